/* SPDX-License-Identifier: MIT */
/*
 * A pool out of its registry: all of it, or what one host needs to know.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "digest.h"
#include "pool_load.h"
#include "util.h"
#include "xlp.h"

#define SCHEMA      1u
#define MAX_AT_ONCE 64u /* prefixes in one question */

/* ---- the pool's own record ---- */

static int load_record(struct load *l)
{
    const struct store_value *value = pool_load_find(l, "pool");
    Xenlevel__Pool *record;

    if (!value)
        return pool_load_fail(l, ENOENT, "no pool is there: `xenlevel pool init` makes one");
    l->p->record = record = pool_load_record(l, value, &xenlevel__pool__descriptor);
    if (!record)
        return -1;
    l->p->revision = value->revision;
    if (record->schema > SCHEMA)
        return pool_load_fail(l, EPROTONOSUPPORT,
                              "the registry has schema %u, of a newer Xenlevel; this one knows %u",
                              record->schema, SCHEMA);
    if (record->schema != SCHEMA)
        return pool_load_fail(l, EINVAL, "pool: there is no schema %u", record->schema);
    return 0;
}

/* ---- hosts ---- */

enum { SEEN_AHEAD = 900 }; /* seconds by which clocks may differ, where a host has no lease */

/* When the host was last seen, if its lease has not ended. */
static int load_seen(struct load *l, struct pool_host *host)
{
    char *key = pool_key("seen", host->record->name), now_text[21];
    const struct store_value *value = pool_load_find(l, key);
    Xenlevel__Seen *seen;
    time_t when, now;

    free(key);
    if (!value)
        return 0;
    seen = pool_load_record(l, value, &xenlevel__seen__descriptor);
    if (!seen)
        return -1;
    date_now(now_text);
    if (!date_read(seen->when, &when) || !date_read(now_text, &now)) {
        xenlevel__seen__free_unpacked(seen, NULL);
        return pool_load_fail(l, EINVAL, "%s: it says no time", value->key);
    }
    /* By a clock that is wrong nobody knows when that was: it could have ended hours ago. */
    host->ahead = when - now > (time_t)(seen->lease ? seen->lease : SEEN_AHEAD);
    if (!host->ahead && (!seen->lease || now - when <= (time_t)seen->lease))
        host->seen = xstrdup(seen->when);
    xenlevel__seen__free_unpacked(seen, NULL);
    return 0;
}

static int load_host(struct load *l, const struct store_value *value)
{
    struct pool *p = l->p;
    Xenlevel__PoolHost *record = pool_load_record(l, value, &xenlevel__pool_host__descriptor);
    struct pool_host *host;
    char *key;
    bool same;

    if (!record)
        return -1;
    host = &p->hosts[p->n_hosts++];
    *host = (struct pool_host){.record = record, .revision = value->revision};
    key = pool_key("host", record->name);
    same = !strcmp(key, value->key);
    free(key);
    if (!same)
        return pool_load_fail(l, EINVAL, "%s: the record in it is that of '%s'", value->key,
                              record->name);
    return pool_load_capture(l, record->capture, value->key, &host->capture) || load_seen(l, host)
               ? -1
               : 0;
}

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(((const struct pool_host *)a)->record->name,
                  ((const struct pool_host *)b)->record->name);
}

/* only: the one that is wanted; NULL: all */
static int load_hosts(struct load *l, const char *only)
{
    char *key = only ? pool_key("host", only) : NULL;
    int rc = 0;

    l->p->hosts = xcalloc(l->list.n, sizeof(*l->p->hosts));
    for (size_t i = 0; i < l->list.n && !rc; i++) {
        const struct store_value *value = &l->list.values[i];

        if (!strncmp(value->key, "host/", 5) && (!only || !strcmp(value->key, key)))
            rc = load_host(l, value);
    }
    free(key);
    if (!rc && l->p->n_hosts)
        qsort(l->p->hosts, l->p->n_hosts, sizeof(*l->p->hosts), compare_hosts);
    return rc;
}

/* ---- domains ---- */

static int add_domain(struct load *l, const char *owner, size_t host, Xenlevel__Domain *record)
{
    struct pool *p = l->p;
    struct pool_domain *d;

    /* A power of two is full. */
    if (!(p->n_domains & (p->n_domains - 1)))
        p->domains =
            xrealloc(p->domains, (p->n_domains ? 2 * p->n_domains : 1) * sizeof(*p->domains));
    d = &p->domains[p->n_domains++];
    *d = (struct pool_domain){.record = record, .host = host, .policy = POOL_NONE};
    if (!record->name[0])
        return pool_load_fail(l, EINVAL, "%s: a domain in it has no name", owner);
    return record->policy[0] ? pool_load_policy(l, record->policy, owner, &d->policy) : 0;
}

static int load_domains_of(struct load *l, size_t index)
{
    struct pool_host *host = &l->p->hosts[index];
    char *key = pool_key("domains", host->record->name);
    const struct store_value *value = pool_load_find(l, key);
    Xenlevel__Domains *domains;
    int rc = 0;

    free(key);
    host->first_domain = l->p->n_domains;
    if (!value)
        return 0;
    host->domains_revision = value->revision;
    domains = pool_load_record(l, value, &xenlevel__domains__descriptor);
    if (!domains)
        return -1;
    for (size_t i = 0; i < domains->n_domains; i++) {
        /* The pool owns it from here on. */
        Xenlevel__Domain *record = domains->domains[i];

        domains->domains[i] = NULL;
        if (!rc)
            rc = add_domain(l, value->key, index, record);
        else
            xenlevel__domain__free_unpacked(record, NULL);
    }
    domains->n_domains = 0;
    xenlevel__domains__free_unpacked(domains, NULL);
    host->n_domains = l->p->n_domains - host->first_domain;
    return rc;
}

/* Find domains of which the host has no record: none of them is in any answer. */
static void load_strays(struct load *l)
{
    for (size_t i = 0; i < l->list.n; i++) {
        const struct store_value *value = &l->list.values[i];
        char *host;

        if (strncmp(value->key, "domains/", 8) != 0)
            continue;
        host = xasprintf("host/%s", value->key + 8);
        if (!pool_load_find(l, host)) {
            l->p->strays = xrealloc(l->p->strays, (l->p->n_strays + 1) * sizeof(*l->p->strays));
            l->p->strays[l->p->n_strays++] =
                (struct pool_stray){xstrdup(value->key), value->revision};
        }
        free(host);
    }
}

static int load_domains(struct load *l)
{
    load_strays(l);
    for (size_t i = 0; i < l->p->n_hosts; i++)
        if (load_domains_of(l, i))
            return -1;
    return 0;
}

/* ---- all ---- */

static int ask(struct load *l, const char *const *prefixes, size_t n, struct store_list *list)
{
    if (!store_list(l->store, prefixes, n, list))
        return 0;
    free(l->p->error);
    l->p->error = xstrdup(store_error(l->store));
    return -1;
}

static int load_all(struct load *l, const char *only)
{
    l->class_of = xcalloc(l->list.n, sizeof(*l->class_of));
    for (size_t i = 0; i < l->list.n; i++)
        l->class_of[i] = POOL_NONE;
    return load_record(l) || pool_load_levels(l) || load_hosts(l, only) || load_domains(l) ? -1 : 0;
}

static int finish(struct load *l, int rc)
{
    int err = errno;

    store_list_free(&l->list);
    free(l->class_of);
    errno = err;
    return rc;
}

int pool_load(struct store *store, struct pool *p)
{
    static const char *const prefixes[] = {"capture/", "domains/", "host/", "level/",
                                           "policy/",  "pool",     "seen/"};
    struct load l = {.store = store, .p = p};

    *p = (struct pool){.level = POOL_NONE};
    if (ask(&l, prefixes, sizeof(prefixes) / sizeof(prefixes[0]), &l.list))
        return -1;
    p->store_revision = l.list.revision;
    return finish(&l, load_all(&l, NULL));
}

/* ---- one host ---- */

struct keys {
    char **keys;
    size_t n;
};

static void add_key(struct keys *k, char *key)
{
    k->keys = xrealloc((void *)k->keys, (k->n + 1) * sizeof(char *));
    k->keys[k->n++] = key;
}

static void free_keys(struct keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->keys[i]);
    free((void *)k->keys);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_once(struct keys *k)
{
    size_t n = 0;

    if (k->n)
        qsort((void *)k->keys, k->n, sizeof(char *), compare_texts);
    for (size_t i = 0; i < k->n; i++)
        if (n && !strcmp(k->keys[n - 1], k->keys[i]))
            free(k->keys[i]);
        else
            k->keys[n++] = k->keys[i];
    k->n = n;
}

/* The keys of what the host and its domains refer to. */
static int find_content_keys(struct load *l, const char *name, struct keys *keys)
{
    char *host_key = pool_key("host", name), *domains_key = pool_key("domains", name);
    const struct store_value *host = pool_load_find(l, host_key);
    const struct store_value *domains = pool_load_find(l, domains_key);
    Xenlevel__PoolHost *record = NULL;
    Xenlevel__Domains *list = NULL;
    int rc = 0;

    free(host_key);
    free(domains_key);
    if (host) {
        record = pool_load_record(l, host, &xenlevel__pool_host__descriptor);
        if (record && strlen(record->capture) == DIGEST_TEXT - 1)
            add_key(keys, pool_key("capture", record->capture));
        rc = record ? 0 : -1;
    }
    if (host && domains && !rc) {
        list = pool_load_record(l, domains, &xenlevel__domains__descriptor);
        for (size_t i = 0; list && i < list->n_domains; i++)
            if (strlen(list->domains[i]->policy) == DIGEST_TEXT - 1)
                add_key(keys, pool_key("policy", list->domains[i]->policy));
        rc = list ? 0 : -1;
    }
    if (record)
        xenlevel__pool_host__free_unpacked(record, NULL);
    if (list)
        xenlevel__domains__free_unpacked(list, NULL);
    sort_once(keys);
    return rc;
}

static int compare_values(const void *a, const void *b)
{
    return strcmp(((const struct store_value *)a)->key, ((const struct store_value *)b)->key);
}

/* Add them to the list.  What a digest stands for never changes: it need not be the same moment. */
static int ask_more(struct load *l, const struct keys *keys)
{
    struct store_list *all = &l->list;

    for (size_t at = 0; at < keys->n; at += MAX_AT_ONCE) {
        size_t n = keys->n - at < MAX_AT_ONCE ? keys->n - at : MAX_AT_ONCE;
        struct store_list more;

        if (ask(l, (const char *const *)keys->keys + at, n, &more))
            return -1;
        all->values = xrealloc(all->values, (all->n + more.n) * sizeof(*all->values));
        if (more.n)
            memcpy(all->values + all->n, more.values, more.n * sizeof(*all->values));
        all->n += more.n;
        free(more.values);
    }
    if (all->n)
        qsort(all->values, all->n, sizeof(*all->values), compare_values);
    return 0;
}

int pool_load_host(struct store *store, const char *name, struct pool *p)
{
    char *host = pool_key("host", name), *domains = pool_key("domains", name),
         *seen = pool_key("seen", name);
    const char *prefixes[] = {domains, host, "level/", "pool", seen};
    struct load l = {.store = store, .p = p};
    struct keys keys = {0};
    int rc;

    *p = (struct pool){.level = POOL_NONE};
    rc = ask(&l, prefixes, sizeof(prefixes) / sizeof(prefixes[0]), &l.list);
    p->store_revision = l.list.revision;
    if (!rc)
        rc = find_content_keys(&l, name, &keys);
    if (!rc)
        rc = ask_more(&l, &keys);
    if (!rc)
        rc = load_all(&l, name);
    free_keys(&keys);
    free(host);
    free(domains);
    free(seen);
    return finish(&l, rc);
}

/* ---- the end ---- */

static void free_captures(struct pool *p)
{
    for (size_t i = 0; i < p->n_captures; i++)
        pool_capture_clear(&p->captures[i]);
    free(p->captures);
}

void pool_free(struct pool *p)
{
    free_captures(p);
    free(p->policies);
    for (size_t i = 0; i < p->n_levels; i++) {
        free(p->levels[i].name);
        xlp_free(p->levels[i].file);
    }
    free(p->levels);
    for (size_t i = 0; i < p->n_hosts; i++) {
        xenlevel__pool_host__free_unpacked(p->hosts[i].record, NULL);
        free(p->hosts[i].seen);
    }
    free(p->hosts);
    for (size_t i = 0; i < p->n_strays; i++)
        free(p->strays[i].key);
    free(p->strays);
    for (size_t i = 0; i < p->n_domains; i++)
        xenlevel__domain__free_unpacked(p->domains[i].record, NULL);
    free(p->domains);
    if (p->record)
        xenlevel__pool__free_unpacked(p->record, NULL);
    free(p->error);
    *p = (struct pool){.level = POOL_NONE};
}
