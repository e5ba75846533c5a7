/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool drift: is a host still what it was when it joined?
 */
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "describe.h"
#include "drift.h"
#include "host-record.h"
#include "host-self.h"
#include "json.h"
#include "out.h"
#include "pool-base.h"
#include "pool-commands.h"
#include "pool-conf.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'H', "host", "FILE", "the host as it is now, out of a file of any form"},
    {'n', "name", "NAME", "what the pool calls this host (default: as `refresh`)"},
    {'a', "accept", NULL, "what it is now is in order: forget what it was"},
    {'r', "root", "DIR", "read /proc and /sys below DIR"},
    POOL_WHY,
    CMD_JSON,
    CMD_END,
};

struct drift_options {
    const char *where, *file, *host, *why; /* host: as it is in the registry; NULL: this one */
    struct host_self_options self;
    bool accept, json;
};

/* What is compared with what. */
struct question {
    struct pool_session session;
    size_t host;
    struct host_self self; /* the host as it is now; not with o->host alone */
    bool has_self;
    struct pool_base base;
    struct pool_moment now;
    struct pool_drift drift;
    bool is_drift;
    char *text;
};

static const char *name_of(const struct question *q)
{
    return q->session.pool.hosts[q->host].record->name;
}

/* ---- for people ---- */

static void print_facts(const struct pool_drift *d)
{
    struct table t;

    if (!d->n_facts)
        return;
    table_init(&t, 2, 2);
    for (size_t i = 0; i < d->n_facts; i++) {
        const struct pool_fact *f = &d->facts[i];
        char *change = xasprintf("%s -> %s", *f->was ? f->was : "none", *f->now ? f->now : "none");

        table_row(&t, f->what, change);
        free(change);
    }
    table_print(&t, stdout);
}

static void print_type(const struct pool_drift_type *t, unsigned int type, const char *whose)
{
    if (t->offered_then && !t->offered_now)
        out_text(stdout, 0, 2, "It cannot run %s any more.", pool_type_name(type));
    if (t->offered_now && !featureset_empty(&t->lost)) {
        out_text(stdout, 0, 2, "%s cannot have any more:", whose);
        show_features(stdout, 2, &t->lost);
    }
    if (t->offered_now && !featureset_empty(&t->gained)) {
        char *names = pool_name_features(&t->gained);

        out_text(stdout, 0, 2, "%s can have now: %s", whose, names);
        free(names);
    }
}

static void print_types(const struct pool_drift *d)
{
    const struct pool_drift_type *pv = &d->type[POOL_PV], *hvm = &d->type[POOL_HVM];

    if (!memcmp(&pv->lost, &hvm->lost, sizeof(pv->lost)) &&
        !memcmp(&pv->gained, &hvm->gained, sizeof(pv->gained)) &&
        pv->offered_now == hvm->offered_now) {
        print_type(hvm, POOL_HVM, "Guests");
        return;
    }
    for (unsigned int type = 0; type < POOL_TYPES; type++)
        print_type(&d->type[type], type, pool_type_name(type));
}

static void print_level(const struct question *q)
{
    const struct pool *p = &q->session.pool;
    char *text;

    if (!q->drift.has_level) {
        out_text(stdout, 0, 2, "The pool has no level that it could be held against.");
        return;
    }
    text = pool_admission_text(&q->drift.now, q->now.capture, &p->levels[p->level]);
    out_text(stdout, 0, 2, "The level %s is %s%s: %s.", p->levels[p->level].name,
             q->drift.now.verdict == VERDICT_YES ? "honoured" : "not honoured",
             q->drift.now.verdict != VERDICT_YES && q->drift.then.verdict == VERDICT_YES
                 ? " any more"
                 : "",
             text);
    free(text);
}

static void print_guests(const struct pool *p, const char *head, const size_t *list, size_t n)
{
    struct table t;

    if (!n)
        return;
    out_text(stdout, 0, 2, "%s", head);
    table_init(&t, 2, 2);
    for (size_t i = 0; i < n; i++) {
        const struct pool_domain *d = &p->domains[list[i]];
        const char *host = p->hosts[d->host].record->name;
        char *where = *d->record->image ? xasprintf("on %s, saved in %s", host, d->record->image)
                                        : xasprintf("on %s", host);

        table_row(&t, d->record->name, where);
        free(where);
    }
    table_print(&t, stdout);
}

static void print_text(const struct question *q)
{
    const struct pool *p = &q->session.pool;
    const struct pool_drift *d = &q->drift;

    out_text(stdout, 0, 2, "%s: %s%s", name_of(q), q->is_drift ? "drift: " : "no drift",
             q->is_drift ? q->text : "");
    print_facts(d);
    if (d->changed)
        print_types(d);
    print_level(q);
    print_guests(p, "Cannot come or start here any more:", d->stranded, d->n_stranded);
    print_guests(p, "Nobody can say any more whether these can:", d->doubtful, d->n_doubtful);
    if (q->is_drift)
        out_text(stdout, 0, 2, "If this is how it is to be: `xenlevel pool drift %s --accept`.",
                 name_of(q));
}

/* ---- for programs ---- */

static void json_guests(struct json *j, const char *key, const struct pool *p, const size_t *list,
                        size_t n)
{
    json_array(j, key);
    for (size_t i = 0; i < n; i++) {
        const struct pool_domain *d = &p->domains[list[i]];

        json_object(j, NULL);
        json_string(j, "name", d->record->name);
        json_string(j, "uuid", *d->record->uuid ? d->record->uuid : NULL);
        json_string(j, "host", p->hosts[d->host].record->name);
        json_string(j, "image", *d->record->image ? d->record->image : NULL);
        json_close_object(j);
    }
    json_close_array(j);
}

static void json_changes(struct json *j, const struct pool_drift *d)
{
    json_array(j, "changes");
    for (size_t i = 0; i < d->n_facts; i++) {
        json_object(j, NULL);
        json_string(j, "what", d->facts[i].what);
        json_string(j, "was", d->facts[i].was);
        json_string(j, "now", d->facts[i].now);
        json_close_object(j);
    }
    json_close_array(j);
    for (unsigned int type = 0; type < POOL_TYPES; type++) {
        const struct pool_drift_type *t = &d->type[type];

        json_object(j, type == POOL_PV ? "pv" : "hvm");
        json_bool(j, "offered_then", t->offered_then);
        json_bool(j, "offered", t->offered_now);
        json_features(j, "lost", &t->lost);
        json_features(j, "gained", &t->gained);
        json_close_object(j);
    }
}

static void json_level(struct json *j, const struct question *q)
{
    const struct pool *p = &q->session.pool;
    char *text;

    if (!q->drift.has_level) {
        json_string(j, "level", NULL);
        return;
    }
    text = pool_admission_text(&q->drift.now, q->now.capture, &p->levels[p->level]);
    json_object(j, "level");
    json_string(j, "name", p->levels[p->level].name);
    json_bool(j, "honoured_then", q->drift.then.verdict == VERDICT_YES);
    json_bool(j, "honoured", q->drift.now.verdict == VERDICT_YES);
    json_string(j, "text", text);
    json_close_object(j);
    free(text);
}

static int print_json(const struct question *q)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "host", name_of(q));
    json_bool(j, "drift", q->is_drift);
    json_string(j, "text", q->is_drift ? q->text : NULL);
    json_bool(j, "changed", q->drift.changed);
    json_changes(j, &q->drift);
    json_level(j, q);
    json_guests(j, "stranded", &q->session.pool, q->drift.stranded, q->drift.n_stranded);
    json_guests(j, "doubtful", &q->session.pool, q->drift.doubtful, q->drift.n_doubtful);
    json_close_object(j);
    return json_end(j);
}

/* ---- the question ---- */

/* Which member it is, and what it is now.  0; or -1 after a message. */
static int find_now(struct question *q, const struct drift_options *o)
{
    const struct pool *p = &q->session.pool;

    q->has_self = o->file || !o->host;
    if (o->file && host_self_from_file(&q->self, o->file, o->host))
        return -1;
    if (!o->file && !o->host && host_self_read(&q->self, &o->self))
        return -1;
    q->host = pool_session_host(&q->session, o->host ? o->host : q->self.name);
    if (q->host == POOL_NONE)
        return -1;
    if (q->has_self) {
        q->now = (struct pool_moment){&q->self.cpu, q->self.facts};
    } else {
        q->now =
            (struct pool_moment){&p->captures[p->hosts[q->host].capture], p->hosts[q->host].record};
    }
    return pool_base_open(q->session.store, p, q->host, &q->base);
}

static int answer(struct question *q, const struct drift_options *o)
{
    const Xenlevel__PoolHost *record = q->session.pool.hosts[q->host].record;
    int rc = 0;

    pool_drift_compare(&q->session.pool, &q->base.moment, &q->now, &q->drift);
    q->is_drift = pool_is_drift(&q->drift) || (*record->drift && pool_has_lost(&q->drift));
    q->text = pool_drift_text(&q->drift, &q->session.pool);
    if (o->json)
        rc = print_json(q);
    else
        print_text(q);
    return rc ? STATUS_TROUBLE : q->is_drift ? STATUS_NO : STATUS_YES;
}

static int ask_drift(const struct drift_options *o)
{
    struct question *q = xcalloc(1, sizeof(*q));
    int status = pool_session_open(&q->session, o->where);

    if (status == STATUS_YES && find_now(q, o))
        status = STATUS_TROUBLE;
    else if (status == STATUS_YES)
        status = answer(q, o);
    pool_base_close(&q->base);
    pool_drift_free(&q->drift);
    if (q->has_self)
        host_self_close(&q->self);
    pool_session_close(&q->session);
    free(q->text);
    free(q);
    return status;
}

/* ---- accepting it ---- */

struct acceptance {
    const char *host, *why;
    bool member;
};

static enum pool_decision decide_accept(struct pool_change *c, const struct pool *p, void *arg)
{
    struct acceptance *a = arg;
    size_t host = pool_find_host(p, a->host);
    Xenlevel__PoolHost record;

    a->member = host != POOL_NONE;
    if (!a->member)
        return POOL_REFUSE;
    record = *p->hosts[host].record;
    if (!*record.drift)
        return POOL_NOTHING;
    pool_change_event(c, "accept", a->host, a->why);
    pool_change_detail(c, "in order from now on: %s", record.drift);
    record.drift = (char *)protobuf_c_empty_string;
    record.before = (ProtobufCBinaryData){0, NULL};
    pool_put_host(c, &record);
    return POOL_COMMIT;
}

static int print_accepted(const struct drift_options *o, const char *host, bool accepted)
{
    struct json *j;

    if (!o->json) {
        out_text(stdout, 0, 2,
                 accepted ? "%s: what it is now is in order" : "%s: its record says no drift",
                 host);
        return STATUS_YES;
    }
    j = json_begin();
    json_object(j, NULL);
    json_string(j, "host", host);
    json_bool(j, "accepted", accepted);
    json_close_object(j);
    return json_end(j);
}

static int accept_drift(const struct drift_options *o)
{
    char *configured = o->host || o->self.name ? NULL : pool_conf_host();
    struct acceptance a = {o->host        ? o->host
                           : o->self.name ? o->self.name
                                          : configured,
                           o->why, false};
    struct store *store = a.host ? pool_open(o->where, false) : NULL;
    int outcome = -1, status = STATUS_TROUBLE;

    if (!a.host)
        warn("--accept needs a host's name: pool.conf does not say what this one is called");
    if (store)
        outcome = pool_change_run(store, a.host, decide_accept, &a);
    if (outcome >= 0 && !a.member)
        warn("there is no host '%s' in the pool (%s)", a.host, store_name(store));
    else if (outcome >= 0)
        status = print_accepted(o, a.host, !outcome);
    store_close(store);
    free(configured);
    return status;
}

static int run_drift(const struct command *cmd, int argc, char **argv)
{
    struct drift_options o = {.self = {.root = ""}};
    const char *value;
    char *configured = NULL;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            o.where = value;
        else if (letter == 'H')
            o.file = value;
        else if (letter == 'n')
            o.self.name = value;
        else if (letter == 'a')
            o.accept = true;
        else if (letter == 'r')
            o.self.root = value;
        else if (letter == 'w')
            o.why = value;
        else if (letter == 'j')
            o.json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first > 1)
        return cmd_usage(cmd, "takes one host, or none for this one");
    o.host = argv[first]; /* NULL behind the last one */
    if (o.why && !o.accept)
        return cmd_usage(cmd, "--why goes with --accept");
    if (o.accept && o.file)
        return cmd_usage(cmd,
                         "--accept is about what the registry has: --host says something else");
    if (o.accept)
        return accept_drift(&o);
    if (!o.host && !o.file && !o.self.name)
        o.self.name = configured = pool_conf_host();
    status = ask_drift(&o);
    free(configured);
    return status;
}

const struct command pool_cmd_drift = {
    .group = "pool",
    .name = "drift",
    .args = "[HOST]",
    .summary = "is a host still what it was when it joined?",
    .about =
        "Compares a host with what it was when it joined the pool, or when that was last accepted, "
        "and with the pool's level: which features its guests have lost or gained, what changed of "
        "microcode, BIOS, Xen and its command line, whether the level is honoured, and which "
        "domains and images of the pool could have come or started there and cannot any more.\n\n"
        "Without an argument that is this host as it is now; HOST is a member as its last refresh "
        "found it; --host FILE is a host out of a file. Status 0: no drift; 1: drift.",
    .options = options,
    .run = run_drift,
};
