/* SPDX-License-Identifier: MIT */
/* Reading keys: one, or all below some prefixes as they were at one revision.  See etcd.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.h"
#include "util.h"

#define PAGE_FIRST   128u
#define PAGE_MAX     4096u
#define RESTARTS_MAX 5u

static int fail_strange(struct etcd *e, const char *what)
{
    return store_fail(e->store, EPROTO, "%s: etcd's answer has %s", e->where.endpoints[e->at],
                      what);
}

/* ---- one key ---- */

/* Take one of "kvs".  0; -1 after store_fail(). */
static int take_kv(struct etcd *e, yajl_val kv, struct store_value *value)
{
    size_t len, prefix = strlen(e->where.prefix);
    char *key, *bytes;

    if (etcd_bytes(kv, "key", &key, &len))
        return fail_strange(e, "a key that is no base64");
    if (len < prefix || strncmp(key, e->where.prefix, prefix) != 0) {
        free(key);
        return fail_strange(e, "a key that was not asked for");
    }
    if (key[prefix] != '.' && (strlen(key) != len || !store_key_is_valid(key + prefix))) {
        (void)store_fail(e->store, EINVAL,
                         "%s: '%s' is no key of a registry; whose is it? ('etcdctl get' and 'del')",
                         e->store->name, key);
        free(key);
        return -1;
    }
    value->key = xstrdup(key + prefix);
    free(key);
    value->revision = etcd_number(kv, "mod_revision");
    if (!value->revision)
        return fail_strange(e, "a key without mod_revision");
    if (etcd_bytes(kv, "value", &bytes, &value->len))
        return fail_strange(e, "a value that is no base64");
    value->bytes = bytes;
    return 0;
}

int etcd_get_key(struct etcd *e, const char *key, struct store_value *value, uint64_t *lease)
{
    struct etcd_answer a;
    struct etcd_body b;
    yajl_val kvs;
    int rc = 0;

    *value = (struct store_value){0};
    if (lease)
        *lease = 0;
    etcd_body_begin(&b);
    etcd_json_key(b.j, "key", e, key, false);
    etcd_body_end(&b);
    if (etcd_ask_body(e, "/v3/kv/range", &b, false, &a))
        return -1;
    kvs = json_find(a.root, "kvs", yajl_t_array);
    if (json_count(kvs)) {
        rc = take_kv(e, YAJL_GET_ARRAY(kvs)->values[0], value);
        if (lease)
            *lease = etcd_number(YAJL_GET_ARRAY(kvs)->values[0], "lease");
    }
    yajl_tree_free(a.root);
    if (rc) {
        int err = errno;

        store_value_free(value);
        errno = err;
    }
    return rc;
}

int etcd_get(struct store *store, const char *key, struct store_value *value)
{
    int rc = etcd_get_key(store->own, key, value, NULL);

    if (!rc && !value->revision)
        value->key = xstrdup(key);
    return rc;
}

/* ---- many ---- */

struct listing {
    struct etcd *e;
    struct store_list *list;
    size_t room;
    unsigned int page; /* keys that are asked for at once */
};

/* Ask for the keys from `from` on, up to the end of the prefix, at the list's revision. */
static int ask_page(struct listing *l, const char *prefix, const char *from, bool behind,
                    struct etcd_answer *a)
{
    struct etcd_question q = {.path = "/v3/kv/range", .reply_max = ETCD_REPLY_MAX};
    char *whole = xasprintf("%s%s", l->e->where.prefix, from);
    struct etcd_body b;
    int rc, err;

    etcd_body_begin(&b);
    /* the key that follows another is the same with a byte 00 behind it */
    etcd_json_bytes(b.j, "key", whole, strlen(whole) + behind);
    etcd_json_key(b.j, "range_end", l->e, prefix, true);
    json_number(b.j, "limit", l->page);
    if (l->list->revision)
        json_number(b.j, "revision", l->list->revision);
    etcd_body_end(&b);
    q.body = &b;
    rc = etcd_ask(l->e, &q, a);
    err = errno;
    etcd_body_free(&b);
    free(whole);
    errno = err;
    return rc;
}

/* Add what an answer has.  *last: the last key, in the list or not; malloc'ed. */
static int take_page(struct listing *l, yajl_val kvs, char **last)
{
    struct store_list *list = l->list;

    for (size_t i = 0; i < json_count(kvs); i++) {
        struct store_value *v;

        if (list->n == l->room) {
            l->room = l->room ? l->room * 2 : 64;
            list->values = xrealloc(list->values, l->room * sizeof(*list->values));
        }
        v = &list->values[list->n++];
        *v = (struct store_value){0};
        if (take_kv(l->e, YAJL_GET_ARRAY(kvs)->values[i], v))
            return -1;
        if (*last && strcmp(v->key, *last) <= 0) /* it would go on for ever */
            return fail_strange(l->e, "keys that are in no order");
        free(*last);
        *last = xstrdup(v->key);
        if (v->key[0] == '.') { /* this store's own (etcd_txn.c) */
            store_value_free(v);
            list->n--;
        }
    }
    return 0;
}

/* Make the next page smaller or larger, by how much came. */
static void fit_page(struct listing *l, size_t before)
{
    size_t bytes = 0;

    for (size_t i = before; i < l->list->n; i++)
        bytes += l->list->values[i].len;
    if (bytes < ETCD_REPLY_MAX / 16 && l->page < PAGE_MAX)
        l->page *= 2;
}

/* One page.  1: there are more; 0: that was all; -1. */
static int list_page(struct listing *l, const char *prefix, char **last)
{
    struct etcd_answer a;
    size_t before = l->list->n;
    bool more;

    while (ask_page(l, prefix, *last ? *last : prefix, *last, &a)) {
        if (errno != E2BIG || l->page == 1)
            return -1;
        l->page = l->page / 8 ? l->page / 8 : 1;
    }
    if (!l->list->revision)
        l->list->revision = etcd_number(json_find(a.root, "header", yajl_t_object), "revision");
    more = etcd_true(a.root, "more");
    if (take_page(l, json_find(a.root, "kvs", yajl_t_array), last)) {
        int err = errno;

        yajl_tree_free(a.root);
        errno = err;
        return -1;
    }
    yajl_tree_free(a.root);
    fit_page(l, before);
    if (!more)
        return 0;
    return *last ? 1 : fail_strange(l->e, "more keys, and none of them");
}

static int list_prefix(struct listing *l, const char *prefix)
{
    char *last = NULL;
    int rc, err;

    do
        rc = list_page(l, prefix, &last);
    while (rc == 1);
    err = errno;
    free(last);
    errno = err;
    return rc;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All of them once.  -1 with ESTALE: the revision was compacted meanwhile. */
static int list_once(struct etcd *e, const char *const *prefixes, size_t n, struct store_list *list)
{
    struct listing l = {.e = e, .list = list, .page = PAGE_FIRST};
    int rc = 0, err;

    for (size_t i = 0; i < n && !rc; i++)
        rc = list_prefix(&l, prefixes[i]);
    if (rc) {
        err = errno;
        store_list_free(list);
        errno = err;
    }
    return rc;
}

int etcd_list(struct store *store, const char *const *prefixes, size_t n, struct store_list *list)
{
    const char **sorted = xcalloc(n ? n : 1, sizeof(*sorted));
    int rc, err;

    for (size_t i = 0; i < n; i++)
        sorted[i] = prefixes[i];
    qsort(sorted, n, sizeof(*sorted), by_text);
    for (unsigned int i = 0;; i++) {
        *list = (struct store_list){0};
        rc = list_once(store->own, sorted, n, list);
        if (!rc || errno != ESTALE || i == RESTARTS_MAX)
            break;
    }
    err = errno;
    free(sorted);
    errno = err;
    return rc;
}
