/* SPDX-License-Identifier: MIT */
/* See level-at.h. */
#include "level-at.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "out.h"
#include "show.h"
#include "subject-named.h"
#include "unknown.h"
#include "util.h"

/* ---- what the command line says ---- */

/* The features of a CPU, as far as a named level decides of them. */
static void take_ceiling(struct named_level *l, unsigned int type, const struct cpu_policy *p)
{
    struct featureset decided;
    char vendor[13];

    named_decided(&decided);
    policy_to_featureset(p, &l->features[type]);
    featureset_and(&l->features[type], &l->features[type], &decided);
    l->have[type] = true;
    policy_vendor(p, vendor);
    free(l->vendor);
    l->vendor = xstrdup(vendor);
}

static void fill_named(struct named_level *l, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

    (void)snprintf(l->base, sizeof(l->base), "%.40s", name);
    for (char *c = l->base; *c; c++)
        if (!strchr(allowed, *c))
            *c = '-';
    if (*l->base == '-' || !*l->base)
        (void)snprintf(l->base, sizeof(l->base), "level");
    l->version = 1;
    (void)snprintf(l->name, sizeof(l->name), "%.48s.v1", l->base);
    l->summary = xstrdup("");
    l->source = xstrdup("");
    l->machines = xstrdup("");
    l->xen = xstrdup("");
    l->without = xstrdup("");
    l->with = xstrdup("");
    l->path = xstrdup("");
}

int level_at_subject(const char *arg, struct subject *s)
{
    return access(arg, F_OK) && !strchr(arg, '/') && strcmp(arg, "-") != 0
               ? subject_open_named(arg, true, s)
               : subject_open(arg, s);
}

int level_at_open(const char *arg, struct named_level *l)
{
    struct subject *s = xcalloc(1, sizeof(*s));
    int rc = -1;

    memset(l, 0, sizeof(*l));
    if (level_at_subject(arg, s)) {
        rc = -1;
    } else if (s->kind == SUBJECT_NAMED) {
        *l = *s->named;
        memset(s->named, 0, sizeof(*s->named));
        rc = 0;
    } else if (s->kind == SUBJECT_LEVEL) {
        fill_named(l, s->name);
        (void)snprintf(l->name, sizeof(l->name), "%.60s", s->name);
        for (int type = TYPE_PV; type < TYPES; type++)
            if (s->have_level[type])
                take_ceiling(l, (unsigned int)type, &s->level[type]);
        rc = 0;
    } else {
        warn("--at: %s is no level; `xenlevel level --list` has those that are shipped", s->origin);
    }
    subject_close(s);
    free(s);
    return rc;
}

void level_at_from_plan(const struct level_pool *pool, const char *name, struct named_level *l)
{
    memset(l, 0, sizeof(*l));
    fill_named(l, name);
    for (int type = TYPE_PV; type < TYPES; type++)
        if (pool->plans[type].done)
            take_ceiling(l, (unsigned int)type, &pool->plans[type].level);
    free(l->source);
    l->source = xasprintf("computed by xenlevel from %zu host%s", pool->n, pool->n == 1 ? "" : "s");
}

int level_without_parse(const char *list, struct featureset *fs)
{
    struct featureset found = {.w = {0}};
    char *bad = NULL;

    if (named_match(list, &found, &bad)) {
        warn("--without: '%s' is the name of no feature, and matches none", bad);
        free(bad);
        return -1;
    }
    featureset_and(&found, &found, featureset_merge_mask(MERGE_CAPABILITY));
    featureset_andnot(&found, &found, featureset_number_bits());
    if (featureset_empty(&found)) {
        warn("--without: %s: guests are warned by it, or it follows what runs: it cannot be left "
             "out",
             list);
        return -1;
    }
    featureset_or(fs, fs, &found);
    return 0;
}

/* ---- who can give it ---- */

bool level_at_ask(const struct named_level *l, const struct subject *host, enum subject_type type,
                  struct level_refusal *r)
{
    enum xc_policy_index deflt = subject_default(type);
    struct featureset has, maybe;

    memset(r, 0, sizeof(*r));
    r->offered = host->have[deflt] && l->have[type];
    if (!r->offered)
        return true;
    if (!named_is_vendor(l, &host->policy[deflt])) {
        r->vendor = true;
        return false;
    }
    policy_to_featureset(&host->policy[deflt], &has);
    unknown_features(&host->unknown[deflt], &maybe);
    featureset_andnot(&has, &has, &maybe);
    featureset_andnot(&r->lacks, &l->features[type], &has);
    featureset_and(&r->doubtful, &r->lacks, &maybe);
    featureset_andnot(&r->lacks, &r->lacks, &maybe);
    return featureset_empty(&r->lacks) && featureset_empty(&r->doubtful);
}

static void print_refusal(const struct named_level *l, const struct subject *host,
                          enum subject_type type, const struct level_refusal *r)
{
    char count[32], vendor[13];

    if (r->vendor) {
        policy_vendor(&host->policy[subject_default(type)], vendor);
        out_text(stdout, 0, 2, "%s cannot give %s: its CPU is of %s, and the level of %s",
                 host->name, l->name, vendor, l->vendor);
        return;
    }
    if (!featureset_empty(&r->lacks)) {
        out_text(stdout, 0, 2, "%s cannot give %s to %s guests: it lacks %s", host->name, l->name,
                 type == TYPE_PV ? "PV" : "HVM and PVH",
                 plural(count, sizeof(count), featureset_count(&r->lacks), "feature", "features"));
        show_features(stdout, 2, &r->lacks);
    }
    if (!featureset_empty(&r->doubtful)) {
        char *cause = subject_unknown_cause(host, &r->doubtful);

        out_text(stdout, 0, 2,
                 "nobody can say whether %s can give %s to %s guests: %s %s not in "
                 "the %s",
                 host->name, l->name, type == TYPE_PV ? "PV" : "HVM and PVH", cause,
                 strchr(cause, ',') ? "are" : "is", subject_source_name(host));
        show_features(stdout, 2, &r->doubtful);
        free(cause);
    }
}

/* What is said of the host that may be the reason: old microcode. */
static void print_notes(const struct subject *host)
{
    for (size_t i = 0; host->file && i < host->file->host->n_notes; i++)
        if (strstr(host->file->host->notes[i], "microcode is older") &&
            !strstr(host->file->host->notes[i], "gives guests nothing"))
            out_text(stdout, 2, 4, "%s: %s", host->name, host->file->host->notes[i]);
}

static void refusal_json(struct json *j, const struct subject *host, enum subject_type type,
                         const struct level_refusal *r)
{
    json_object(j, NULL);
    json_string(j, "host", host->name);
    json_string(j, "type", type == TYPE_PV ? "pv" : "hvm");
    json_bool(j, "other_vendor", r->vendor);
    json_features(j, "lacks", &r->lacks);
    json_features(j, "not_known", &r->doubtful);
    json_close_object(j);
}

void level_at_refuse(const struct named_level *l, const struct subject *host,
                     enum subject_type type, const struct level_refusal *r, struct json *j)
{
    if (j) {
        refusal_json(j, host, type, r);
        return;
    }
    print_refusal(l, host, type, r);
    if (!r->vendor)
        print_notes(host);
}

static int check_hosts(const struct level_pool *pool, struct json *j)
{
    struct level_refusal r;
    int status = STATUS_YES;

    for (size_t i = 0; i < pool->n; i++) {
        bool refused = false;

        for (int type = TYPE_HVM; type >= TYPE_PV; type--) {
            if (level_at_ask(pool->at, &pool->hosts[i], type, &r))
                continue;
            status = STATUS_NO;
            refused = !r.vendor;
            if (j)
                refusal_json(j, &pool->hosts[i], type, &r);
            else
                print_refusal(pool->at, &pool->hosts[i], type, &r);
            if (r.vendor) /* said once */
                break;
        }
        if (refused && !j)
            print_notes(&pool->hosts[i]);
    }
    return status;
}

int level_at_check(const struct level_pool *pool, bool json)
{
    struct json *j;
    int status;

    if (!json)
        return check_hosts(pool, NULL);
    for (size_t i = 0; i < pool->n * TYPES; i++) {
        struct level_refusal r;

        if (level_at_ask(pool->at, &pool->hosts[i / TYPES], (enum subject_type)(i % TYPES), &r))
            continue;
        j = json_begin();
        json_object(j, NULL);
        json_string(j, "at", pool->at->name);
        json_array(j, "refused");
        status = check_hosts(pool, j);
        json_close_array(j);
        json_close_object(j);
        return json_end(j) ? STATUS_TROUBLE : status;
    }
    return STATUS_YES;
}
