/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool status: the members, and what is wrong with them.
 */
#include <stdlib.h>
#include <string.h>

#include "admit.h"
#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "twins.h"
#include "util.h"

static const struct cmd_option options[] = {POOL_WHERE, CMD_JSON, CMD_END};

/* What a member comes to. */
struct member {
    const struct pool_host *host;
    size_t domains, images, unknown; /* unknown: of which the policy is not */
    enum verdict honours;            /* the level; yes where there is none */
    enum verdict born;               /* new domains are on the level */
    char *level_text;                /* what it comes to; NULL: there is no level */
    char *born_text;
    bool silent;
};

/* Are new domains on the level (*born), and how: by what the host says of its live patch, or by
 * what its capture says of its Xen; malloc'ed. */
static char *birth_text(const Xenlevel__PoolHost *r, const struct pool_capture *capture,
                        const struct pool_level *level, enum verdict *born)
{
    bool same = !strcmp(r->born_level, level->name);
    struct pool_birth b;

    if (!strcmp(r->born, "live patch")) {
        *born = same ? VERDICT_YES : VERDICT_NO;
        return same ? xstrdup(r->born) : xasprintf("%s, but on %s", r->born, r->born_level);
    }
    pool_born(capture, level, &b);
    *born = b.exactly;
    return b.exactly == VERDICT_YES && *r->born ? xstrdup(r->born) : pool_birth_text(&b, level);
}

static void read_member(const struct pool *p, size_t index, struct member *m)
{
    const struct pool_host *h = &p->hosts[index];
    const struct pool_capture *capture = &p->captures[h->capture];

    *m = (struct member){.host = h, .honours = VERDICT_YES, .silent = !h->seen};
    for (size_t i = h->first_domain; i < h->first_domain + h->n_domains; i++) {
        bool saved = p->domains[i].record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;

        m->images += saved;
        m->domains += !saved;
        m->unknown += p->domains[i].policy == POOL_NONE;
    }
    if (p->level != POOL_NONE) {
        const struct pool_level *level = &p->levels[p->level];
        struct pool_admission a;

        pool_admit(capture, level, &a);
        m->honours = a.verdict;
        m->level_text = pool_admission_text(&a, capture, level);
        m->born_text = birth_text(h->record, capture, level, &m->born);
    }
}

static void free_member(struct member *m)
{
    free(m->level_text);
    free(m->born_text);
}

static bool is_in_order(const struct member *m)
{
    return !m->silent && !*m->host->record->drift && m->honours == VERDICT_YES;
}

/* A member that never was on its own machine says nothing of itself, and is not expected to. */
static bool is_planned(const struct pool_host *h)
{
    return !h->record->memory;
}

/* What is to be said of it, in a few words; malloc'ed. */
static char *describe_state(const struct member *m)
{
    const Xenlevel__PoolHost *r = m->host->record;
    char *text = xstrdup(r->maintenance ? "maintenance" : "");
    const struct {
        bool applies;
        const char *head, *text;
    } parts[] = {
        {*r->drift, "drift: ", r->drift},
        {!*r->drift && m->honours != VERDICT_YES, "", m->level_text},
        {m->unknown, "a policy is not known", ""},
        {!strcmp(r->gate, "no"), "its gate is off", ""},
        {m->host->ahead, "its last refresh is in the future: a clock is wrong", ""},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char *longer;

        if (!parts[i].applies)
            continue;
        longer = xasprintf("%s%s%s%s", text, *text ? "; " : "", parts[i].head, parts[i].text);
        free(text);
        text = longer;
    }
    return text;
}

/* Are new domains born on the level there, and how, in a word or two? */
static const char *describe_born(const struct pool *p, const struct member *m)
{
    if (p->level == POOL_NONE)
        return "-";
    if (m->born == VERDICT_YES)
        return *m->host->record->born ? m->host->record->born : "yes";
    return m->born == VERDICT_NO ? "no" : "cannot say";
}

static char *describe_seen(const struct member *m)
{
    return m->silent ? xstrdup(is_planned(m->host) ? "not yet" : "silent")
                     : pool_age_text(m->host->seen);
}

/* ---- the pool ---- */

static void print_head(const struct pool_session *s)
{
    const struct pool *p = &s->pool;
    char hosts[32], kinds[32], domains[32], saved[32];
    size_t images = 0;

    for (size_t i = 0; i < p->n_domains; i++)
        images += p->domains[i].record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
    out_text(stdout, 0, 2, "pool %s (%s): %s of %s, %s, %s", p->record->name, store_name(s->store),
             plural(hosts, sizeof(hosts), p->n_hosts, "host", "hosts"),
             plural(kinds, sizeof(kinds), p->n_captures, "kind", "kinds"),
             plural(domains, sizeof(domains), p->n_domains - images, "domain", "domains"),
             plural(saved, sizeof(saved), images, "image", "images"));
    if (p->level == POOL_NONE)
        out_text(stdout, 0, 2, "it has no level yet: `xenlevel pool level` makes one of its hosts");
    else
        out_text(stdout, 0, 2, "its level is %s", p->levels[p->level].name);
}

static bool print_members(const struct pool *p)
{
    bool in_order = true;
    struct table t;

    table_init(&t, 5, 0);
    table_row(&t, "Host", "Seen", "Domains", "Born on it", "State");
    for (size_t i = 0; i < p->n_hosts; i++) {
        struct member m;
        char *seen, *state, count[32];

        read_member(p, i, &m);
        seen = describe_seen(&m);
        state = describe_state(&m);
        (void)snprintf(count, sizeof(count), m.images ? "%zu + %zu" : "%zu", m.domains, m.images);
        table_row(&t, m.host->record->name, seen, count, describe_born(p, &m), state);
        in_order &= is_in_order(&m);
        free(seen);
        free(state);
        free_member(&m);
    }
    table_print(&t, stdout);
    return in_order;
}

/* So many are named. */
#define MAX_TWINS 5

static void print_twins(const struct pool *p)
{
    struct pool_twin *twins;
    size_t n = pool_find_twins(p, &twins);
    char count[32];

    if (n)
        out_text(stdout, 0, 2,
                 "%s by two hosts; it has moved since the first of them refreshed, or one machine "
                 "has joined under two names:",
                 plural(count, sizeof(count), n, "domain is listed", "domains are listed"));
    for (size_t i = 0; i < n && i < MAX_TWINS; i++)
        out_text(stdout, 2, 4, "%s by %s and %s", p->domains[twins[i].domain].record->name,
                 p->hosts[p->domains[twins[i].domain].host].record->name,
                 p->hosts[p->domains[twins[i].other].host].record->name);
    if (n > MAX_TWINS)
        out_text(stdout, 2, 4, "... %s",
                 plural(count, sizeof(count), n - MAX_TWINS, "other", "others"));
    free(twins);
}

static void json_twins(struct json *j, const struct pool *p)
{
    struct pool_twin *twins;
    size_t n = pool_find_twins(p, &twins);

    json_array(j, "listed_twice");
    for (size_t i = 0; i < n; i++) {
        const struct pool_domain *a = &p->domains[twins[i].domain];

        json_object(j, NULL);
        json_string(j, "name", a->record->name);
        json_string(j, "uuid", a->record->uuid);
        json_array(j, "hosts");
        json_string(j, NULL, p->hosts[a->host].record->name);
        json_string(j, NULL, p->hosts[p->domains[twins[i].other].host].record->name);
        json_close_array(j);
        json_close_object(j);
    }
    json_close_array(j);
    free(twins);
}

static void json_member(struct json *j, const char *key, const struct pool *p, size_t index,
                        bool *in_order)
{
    const Xenlevel__PoolHost *r = p->hosts[index].record;
    struct member m;

    read_member(p, index, &m);
    *in_order &= is_in_order(&m);
    json_object(j, key);
    json_string(j, "name", r->name);
    json_string(j, "seen", p->hosts[index].seen);
    json_bool(j, "silent", m.silent);
    json_string(j, "joined", r->joined);
    json_string(j, "captured", r->captured);
    json_string(j, "capture", r->capture);
    json_number(j, "domains", m.domains);
    json_number(j, "images", m.images);
    json_number(j, "policies_not_known", m.unknown);
    json_string(j, "drift", *r->drift ? r->drift : NULL);
    json_bool(j, "maintenance", r->maintenance);
    if (p->level != POOL_NONE) {
        json_string(j, "honours_level",
                    m.honours == VERDICT_YES  ? "yes"
                    : m.honours == VERDICT_NO ? "no"
                                              : "unknown");
        json_string(j, "level_text", m.level_text);
        json_string(j, "born_text", m.born_text);
    }
    json_string(j, "born", *r->born ? r->born : NULL);
    json_string(j, "born_level", *r->born_level ? r->born_level : NULL);
    json_string(j, "gate", *r->gate ? r->gate : NULL);
    json_string(j, "machine", r->machine);
    json_string(j, "microcode", r->microcode);
    json_string(j, "bios_vendor", r->bios_vendor);
    json_string(j, "bios_version", r->bios_version);
    json_string(j, "bios_date", r->bios_date);
    json_string(j, "xen_version", r->xen_version);
    json_string(j, "xen_build_id", r->xen_build_id);
    json_string(j, "xen_cmdline", r->xen_cmdline);
    json_string(j, "kernel", r->kernel);
    json_string(j, "dom0_type", r->dom0_type);
    json_number(j, "memory", r->memory);
    json_number(j, "memory_free", r->memory_free);
    json_close_object(j);
    free_member(&m);
}

static int print_pool_json(const struct pool_session *s, bool *in_order)
{
    const struct pool *p = &s->pool;
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "pool", p->record->name);
    json_string(j, "registry", store_name(s->store));
    json_string(j, "level", p->level == POOL_NONE ? NULL : p->levels[p->level].name);
    json_number(j, "kinds_of_hosts", p->n_captures);
    json_array(j, "hosts");
    for (size_t i = 0; i < p->n_hosts; i++) {
        json_member(j, NULL, p, i, in_order);
        json_flush(j);
    }
    json_close_array(j);
    json_twins(j, p);
    json_close_object(j);
    return json_end(j);
}

/* ---- one host ---- */

static void add_row(struct table *t, const char *what, const char *text)
{
    if (text && *text)
        table_row(t, what, text);
}

static void print_domains(const struct pool *p, const struct pool_host *h)
{
    static const char *const types[] = {"", "PV", "HVM", "PVH"};
    struct table t;

    table_init(&t, 5, 2);
    for (size_t i = h->first_domain; i < h->first_domain + h->n_domains; i++) {
        const Xenlevel__Domain *d = p->domains[i].record;
        char size[32], *note;

        note = p->domains[i].policy == POOL_NONE ? xstrdup("policy not known")
               : *d->born_level                  ? xasprintf("on %s", d->born_level)
                                                 : xstrdup("");
        table_row(&t, d->name, d->type < 4 ? types[d->type] : "",
                  d->memory ? pool_size_text(d->memory, size) : "",
                  *d->image                                           ? d->image
                  : d->state == XENLEVEL__DOMAIN_STATE__DOMAIN_PAUSED ? "paused"
                                                                      : "",
                  note);
        free(note);
    }
    table_print(&t, stdout);
}

static bool print_host(const struct pool *p, size_t index)
{
    const Xenlevel__PoolHost *r = p->hosts[index].record;
    char size[32], *seen, *state;
    bool in_order;
    struct member m;
    struct table t;

    read_member(p, index, &m);
    in_order = is_in_order(&m);
    seen = describe_seen(&m);
    state = describe_state(&m);
    table_init(&t, 2, 0);
    add_row(&t, "host", r->name);
    add_row(&t, "state", *state ? state : "in order");
    add_row(&t, "seen", seen);
    add_row(&t, "joined", r->joined);
    add_row(&t, "CPU", p->captures[p->hosts[index].capture].file->host->cpu);
    add_row(&t, "level", m.level_text);
    add_row(&t, "born there", m.born_text);
    add_row(&t, "gate on", r->gate);
    add_row(&t, "machine", r->machine);
    add_row(&t, "microcode", r->microcode);
    add_row(&t, "BIOS", r->bios_version);
    add_row(&t, "BIOS date", r->bios_date);
    add_row(&t, "Xen", r->xen_version);
    add_row(&t, "command line", r->xen_cmdline);
    add_row(&t, "kernel", r->kernel);
    if (r->memory)
        add_row(&t, "memory", pool_size_text(r->memory, size));
    if (r->memory)
        add_row(&t, "free", pool_size_text(r->memory_free, size));
    table_print(&t, stdout);
    if (p->hosts[index].n_domains)
        print_domains(p, &p->hosts[index]);
    free(seen);
    free(state);
    free_member(&m);
    return in_order;
}

static int print_status(const struct pool_session *s, const char *name, bool json)
{
    size_t host = name ? pool_session_host(s, name) : POOL_NONE;
    bool in_order = true;
    int rc = 0;

    if (name && host == POOL_NONE)
        return STATUS_TROUBLE;
    if (!json && name) {
        in_order = print_host(&s->pool, host);
    } else if (!json) {
        print_head(s);
        in_order = print_members(&s->pool);
        print_twins(&s->pool);
    } else if (name) {
        struct json *j = json_begin();

        json_member(j, NULL, &s->pool, host, &in_order);
        rc = json_end(j);
    } else {
        rc = print_pool_json(s, &in_order);
    }
    return rc ? STATUS_TROUBLE : in_order ? STATUS_YES : STATUS_NO;
}

static int run_status(const struct command *cmd, int argc, char **argv)
{
    const char *where = NULL, *value;
    struct pool_session s;
    int letter, first, status;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first > 1)
        return cmd_usage(cmd, "takes one host, or none for all");
    status = pool_session_open(&s, where);
    if (status == STATUS_YES)
        status = print_status(&s, argv[first], json);
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_status = {
    .group = "pool",
    .name = "status",
    .args = "[HOST]",
    .summary = "the members: when seen, drift, level, domains",
    .about =
        "Lists the members: when each refreshed last (silent: not within the last 15 minutes), how "
        "many domains and images of saved domains it has, whether new domains are born on the "
        "pool's level there and how, and what is wrong with it. With a host, all that the "
        "registry has of it.\n\n"
        "Status 0: all are in order; 1: one is silent, drifts, or cannot give the level.",
    .options = options,
    .run = run_status,
};
