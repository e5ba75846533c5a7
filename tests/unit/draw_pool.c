/* SPDX-License-Identifier: MIT */
/*
 * Draw a pool that is in no registry, for tests/pool/test_report.py:
 *
 *     draw-pool POOL page|json|metrics
 *
 * writes to standard output.  POOL: one, three, hostile, unsure, mixed, large, empty.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <report.h>

#include "features-gen.h"
#include "pools.h"
#include "util.h"

/* Names that want to be something else. */
#define EVIL_HOST  "</script><script>evil()</script>"
#define EVIL_VM    "<img src=x onerror=evil()>&amp;\"'`\n# x\x1b[31m\\"
#define EVIL_BYTES "\xff\xfe<!--<b>\xe2\x80\xae"

struct drawing {
    struct pool pool;
    Xenlevel__Event *events[64];
    size_t n_events;
};

static void set(char **text, const char *value)
{
    if (*text != protobuf_c_empty_string)
        free(*text);
    *text = xstrdup(value);
}

static void add_event(struct drawing *d, const char *what, const char *subject, const char *detail,
                      const char *why)
{
    Xenlevel__Event *e = xcalloc(1, sizeof(*e));

    xenlevel__event__init(e);
    e->when = xasprintf("2026-11-%02zuT08:%02zu:00Z", 28 - d->n_events % 28, d->n_events % 60);
    e->who = xstrdup("root@a.example");
    e->what = xstrdup(what);
    e->subject = xstrdup(subject);
    e->why = xstrdup(why);
    if (*detail) {
        e->details = xcalloc(1, sizeof(char *));
        e->details[e->n_details++] = xstrdup(detail);
    }
    d->events[d->n_events++] = e;
}

/* The level of some captures, as the pool's. */
static size_t add_level(struct pool *p, const char *name, const size_t *captures, size_t n)
{
    size_t hvm = pools_levelled(p, captures, n, GUEST_HVM_HAP);
    size_t pv = pools_levelled(p, captures, n, GUEST_PV);

    p->levels = xcalloc(1, sizeof(*p->levels));
    p->n_levels = 1;
    p->level = 0;
    p->levels[0].name = xstrdup(name);
    p->levels[0].have[0] = p->levels[0].have[1] = true;
    p->levels[0].policy[0] = p->policies[pv].policy;
    p->levels[0].policy[1] = p->policies[hvm].policy;
    set(&p->record->level, name);
    return hvm;
}

static void draw_one(struct drawing *d)
{
    struct pool *p = &d->pool;
    size_t c = pools_capture(p, "intel-haswell-ep", 0, "4.17.7");
    size_t h = pools_host(p, "alone", c, 64, 40);

    (void)pools_domain(p, h, "web1", pools_born(p, c, GUEST_HVM_HAP), 4);
    add_event(d, "init", "one", "", "");
}

static void draw_three(struct drawing *d)
{
    static const char *const machines[3] = {"intel-cascadelake-sp", "intel-haswell-ep",
                                            "intel-sandybridge-ep"};
    static const char *const hosts[3] = {"ada", "bert", "carl"};
    struct pool *p = &d->pool;
    size_t c[3], h[3], level;

    for (unsigned int i = 0; i < 3; i++) {
        c[i] = pools_capture(p, machines[i], 0, "4.17.7");
        h[i] = pools_host(p, hosts[i], c[i], 128, 24 + 8 * i);
        set(&p->hosts[h[i]].record->microcode, i ? "0x0000049" : "0x5003604");
    }
    level = add_level(p, "web.v2", c, 3);
    for (unsigned int i = 0; i < 9; i++) {
        char *name = xasprintf("web%u", i + 1);

        set(&pools_domain(p, h[i % 3], name, level, 4)->born_level, "web.v2");
        free(name);
    }
    (void)pools_domain(p, h[0], "build", pools_born(p, c[0], GUEST_HVM_HAP), 16);
    (void)pools_domain(p, h[1], "db1", pools_born(p, c[1], GUEST_HVM_HAP), 32);
    (void)pools_domain(p, h[1], "mail", pools_born(p, c[1], GUEST_PV), 8);
    (void)pools_domain(p, h[2], "old", POOL_NONE, 2);
    set(&p->hosts[h[0]].record->born_level, "web.v2");
    set(&p->hosts[h[1]].record->born_level, "web.v2");
    set(&p->hosts[h[1]].record->drift,
        "rtm and hle are gone since microcode 0x0000049 (was 0x0000043)");
    p->hosts[h[2]].record->maintenance = true;
    set(&p->hosts[h[2]].seen, "2026-11-28T06:00:00Z");
    add_event(d, "drift", "bert", "rtm and hle are gone. The level web.v2 is still honoured.", "");
    add_event(d, "maintenance", "carl", "Nothing is placed here.", "new power supply");
    add_event(d, "level", "web.v2", "avx2 was given up for carl.", "carl joins");
    add_event(d, "join", "carl", "Level web.v2.", "");
    add_event(d, "init", "three", "", "");
}

/* A host whose dump does not say whether it has ERMS. */
static void draw_unsure(struct drawing *d)
{
    struct pool *p = &d->pool;
    size_t all = pools_capture(p, "intel-cascadelake-sp", 0, "4.17.7");
    size_t half = pools_capture(p, "intel-cascadelake-sp", 0, "4.17.7");
    size_t h = pools_host(p, "known", all, 64, 40);

    for (unsigned int i = XC_POLICY_HOST; i < XC_POLICIES; i++) {
        struct featureset fs = {{0}};

        featureset_set(&fs, X86_FEATURE_ERMS);
        p->captures[half].unknown[i] = xcalloc(1, sizeof(struct cpu_policy));
        policy_from_featureset(p->captures[half].unknown[i], &fs);
        policy_to_featureset(p->captures[half].policy[i], &fs);
        featureset_clear(&fs, X86_FEATURE_ERMS);
        policy_from_featureset(p->captures[half].policy[i], &fs);
    }
    set(&pools_domain(p, h, "web1", pools_born(p, all, GUEST_HVM_HAP), 4)->usage,
        "told avx512f, its state never used");
    (void)pools_host(p, "unsure", half, 64, 40);
}

static void draw_hostile(struct drawing *d)
{
    struct pool *p = &d->pool;
    size_t new = pools_capture(p, "amd-bergamo", 0, "4.17.7");
    size_t old = pools_capture(p, "intel-penryn", 0, "4.17.7");
    size_t h = pools_host(p, EVIL_HOST, new, 64, 4), other = pools_host(p, EVIL_BYTES, old, 64, 4);

    set(&p->record->name, "</title>" EVIL_HOST);
    set(&p->captures[new].file->host->cpu, "CPU </style><script>evil()</script>");
    set(&p->hosts[h].record->drift, "<b>drift</b> " EVIL_VM);
    set(&p->hosts[h].record->microcode, EVIL_VM);
    (void)pools_domain(p, h, EVIL_VM, pools_born(p, new, GUEST_HVM_HAP), 4);
    set(&pools_domain(p, other, EVIL_BYTES, pools_born(p, old, GUEST_PV), 4)->born_level,
        "</script>" EVIL_VM);
    add_event(d, EVIL_VM, EVIL_HOST, EVIL_BYTES, "</script>");
}

/* Of all generations, with microcode of all kinds; a third of the VMs on the level. */
static void draw_large(struct drawing *d, const char *const *machines, unsigned int n_machines,
                       unsigned int variants, unsigned int n_hosts, unsigned int per_host)
{
    struct pool *p = &d->pool;
    unsigned int n = n_machines * variants;
    size_t *captures = xcalloc(n, sizeof(*captures)), *born = xcalloc(n, sizeof(*born)), level;

    for (unsigned int i = 0; i < n; i++)
        captures[i] = pools_capture(p, machines[i / variants], i % variants * 37 % 256,
                                    i % variants % 2 ? "4.20.4" : "4.17.7");
    level = add_level(p, "fleet.v7", captures, n);
    for (unsigned int i = 0; i < n; i++)
        born[i] = pools_born(p, captures[i], GUEST_HVM_HAP);
    for (unsigned int i = 0; i < n_hosts; i++) {
        unsigned int kind = i * 7919u % n;
        char *name = xasprintf("host%04u.rack%02u", i, i / 40);
        size_t h = pools_host(p, name, captures[kind], 256, i * 13 % 200);

        free(name);
        set(&p->hosts[h].record->microcode, "0x5003604");
        set(&p->hosts[h].record->born_level, "fleet.v7");
        for (unsigned int v = 0; v < per_host; v++) {
            bool levelled = (i + v) % 3 != 0;
            char *vm = xasprintf("vm-%05u", i * per_host + v);
            Xenlevel__Domain *domain = pools_domain(p, h, vm, levelled ? level : born[kind], 8);

            if (levelled)
                set(&domain->born_level, "fleet.v7");
            free(vm);
        }
        if (i % 211 == 7)
            set(&p->hosts[h].record->drift, "rtm is gone since microcode 0x5003604");
        if (i % 307 == 11) {
            free(p->hosts[h].seen);
            p->hosts[h].seen = NULL;
        }
        p->hosts[h].record->maintenance = i % 401 == 3;
    }
    for (unsigned int i = 0; i < 40; i++)
        add_event(d, i % 3 ? "refresh" : "join", "host0001.rack00", "Changed.", "");
    free(born);
    free(captures);
}

static int fill(struct drawing *d, const char *name)
{
    static const char *const fleet[] = {"intel-sapphire-rapids", "intel-icelake-sp",
                                        "intel-cascadelake-sp",  "intel-skylake-sp",
                                        "intel-broadwell-e",     "intel-haswell-ep",
                                        "intel-ivybridge-ep",    "intel-sandybridge-ep"};

    pools_begin(&d->pool, name);
    if (!strcmp(name, "one"))
        draw_one(d);
    else if (!strcmp(name, "three"))
        draw_three(d);
    else if (!strcmp(name, "hostile"))
        draw_hostile(d);
    else if (!strcmp(name, "unsure"))
        draw_unsure(d);
    else if (!strcmp(name, "mixed"))
        draw_large(d, fleet, 8, 1, 30, 12);
    else if (!strcmp(name, "large"))
        draw_large(d, fleet, 8, 12, 3000, 10);
    else if (strcmp(name, "empty") != 0)
        return -1;
    pools_end(&d->pool);
    return 0;
}

int main(int argc, char **argv)
{
    static struct drawing d;
    struct report_input in = {.pool = &d.pool, .source = "folder /srv/pool"};
    struct report r;
    char when[21];
    int rc;

    if (argc != 3 || fill(&d, argv[1])) {
        (void)fputs(
            "usage: draw-pool one|three|hostile|unsure|mixed|large|empty page|json|metrics\n",
            stderr);
        return 2;
    }
    date_now(when);
    in.when = when;
    in.events = d.events;
    in.n_events = d.n_events;
    in.all_events = d.n_events + (d.n_events > 9 ? 1000 : 0);
    report_make(&in, &r);
    rc = !strcmp(argv[2], "page")   ? report_write_page(&r, stdout)
         : !strcmp(argv[2], "json") ? report_write_json(&r)
                                    : report_write_metrics(&r, stdout);
    report_free(&r);
    return rc;
}
