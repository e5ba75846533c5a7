/* SPDX-License-Identifier: MIT */
/* See drift.h. */
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "drift.h"
#include "unknown.h"
#include "util.h"

const char *pool_type_name(unsigned int type)
{
    return type == POOL_PV ? "PV guests" : "HVM and PVH guests";
}

/* ---- what changed ---- */

static void add_fact(struct pool_drift *d, const char *what, const char *was, const char *now)
{
    /* What was not known, or is not, has not changed. */
    if (*was && *now && strcmp(was, now) != 0 && d->n_facts < POOL_FACTS)
        d->facts[d->n_facts++] = (struct pool_fact){what, was, now};
}

static void compare_records(const Xenlevel__PoolHost *was, const Xenlevel__PoolHost *now,
                            struct pool_drift *d)
{
    add_fact(d, "machine", was->machine, now->machine);
    add_fact(d, "microcode", was->microcode, now->microcode);
    add_fact(d, "BIOS vendor", was->bios_vendor, now->bios_vendor);
    add_fact(d, "BIOS version", was->bios_version, now->bios_version);
    add_fact(d, "BIOS date", was->bios_date, now->bios_date);
    add_fact(d, "Xen", was->xen_version, now->xen_version);
    add_fact(d, "build of Xen", was->xen_build_id, now->xen_build_id);
    add_fact(d, "kernel of dom0", was->kernel, now->kernel);
    /* An empty command line is one; it is known where the hypervisor was asked. */
    if (was->memory && now->memory && strcmp(was->xen_cmdline, now->xen_cmdline) != 0 &&
        d->n_facts < POOL_FACTS)
        d->facts[d->n_facts++] =
            (struct pool_fact){"command line of Xen", was->xen_cmdline, now->xen_cmdline};
}

/* What a policy has, and what nobody knows of it. */
static void read_features(const struct pool_capture *c, unsigned int type, struct featureset *has,
                          struct featureset *unknown)
{
    enum xc_policy_index i = type == POOL_PV ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX;

    memset(has, 0, sizeof(*has));
    memset(unknown, 0, sizeof(*unknown));
    if (!c->have[i])
        return;
    policy_to_featureset(c->policy[i], has);
    if (c->unknown[i])
        unknown_features(c->unknown[i], unknown);
}

static void compare_type(const struct pool_capture *was, const struct pool_capture *now,
                         unsigned int type, struct pool_drift_type *t)
{
    enum xc_policy_index i = type == POOL_PV ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX;
    struct featureset then_has, then_unknown, now_has, now_unknown, unknown;

    t->offered_then = was->have[i];
    t->offered_now = now->have[i];
    read_features(was, type, &then_has, &then_unknown);
    read_features(now, type, &now_has, &now_unknown);
    featureset_or(&unknown, &then_unknown, &now_unknown);
    featureset_andnot(&t->lost, &then_has, &now_has);
    featureset_andnot(&t->lost, &t->lost, &unknown);
    featureset_andnot(&t->gained, &now_has, &then_has);
    featureset_andnot(&t->gained, &t->gained, &unknown);
    show_comparable(&t->lost);
    show_comparable(&t->gained);
}

/* Are the two equal for guests, as far as both are known? */
static bool is_same_capture(const struct pool_capture *a, const struct pool_capture *b)
{
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        if (a->have[i] != b->have[i])
            return false;
        if (a->have[i] && memcmp(a->policy[i], b->policy[i], sizeof(*a->policy[i])) != 0)
            return false;
    }
    return true;
}

/* ---- guests ---- */

static void add_index(size_t **list, size_t *n, size_t index)
{
    *list = xrealloc(*list, (*n + 1) * sizeof(**list));
    (*list)[(*n)++] = index;
}

/* By policies, which are few, not by domains. */
static void find_stranded(const struct pool *p, const struct pool_capture *was,
                          const struct pool_capture *now, struct pool_drift *d)
{
    enum verdict *then, *today;

    if (!p->n_policies)
        return;
    then = xcalloc(p->n_policies, sizeof(*then));
    today = xcalloc(p->n_policies, sizeof(*today));
    pool_too_rich(p, was, then);
    pool_too_rich(p, now, today);
    for (size_t i = 0; i < p->n_domains; i++) {
        size_t policy = p->domains[i].policy;

        if (policy == POOL_NONE || then[policy] != VERDICT_YES)
            continue;
        if (today[policy] == VERDICT_NO)
            add_index(&d->stranded, &d->n_stranded, i);
        else if (today[policy] == VERDICT_UNKNOWN)
            add_index(&d->doubtful, &d->n_doubtful, i);
    }
    free(then);
    free(today);
}

void pool_drift_compare(const struct pool *p, const struct pool_moment *was,
                        const struct pool_moment *now, struct pool_drift *d)
{
    memset(d, 0, sizeof(*d));
    d->changed = !is_same_capture(was->capture, now->capture);
    for (unsigned int type = 0; type < POOL_TYPES; type++)
        compare_type(was->capture, now->capture, type, &d->type[type]);
    compare_records(was->record, now->record, d);
    d->has_level = p->level != POOL_NONE;
    if (d->has_level) {
        pool_admit(was->capture, &p->levels[p->level], &d->then);
        pool_admit(now->capture, &p->levels[p->level], &d->now);
    }
    if (d->changed)
        find_stranded(p, was->capture, now->capture, d);
}

void pool_drift_free(struct pool_drift *d)
{
    free(d->stranded);
    free(d->doubtful);
    memset(d, 0, sizeof(*d));
}

/* ---- the answer ---- */

bool pool_has_lost(const struct pool_drift *d)
{
    for (unsigned int type = 0; type < POOL_TYPES; type++)
        if (!featureset_empty(&d->type[type].lost) ||
            (d->type[type].offered_then && !d->type[type].offered_now))
            return true;
    return false;
}

bool pool_is_drift(const struct pool_drift *d)
{
    if (d->n_stranded || d->n_doubtful)
        return true;
    return d->has_level ? d->now.verdict != VERDICT_YES : pool_has_lost(d);
}

/* Takes `more` over. */
static void append(char **text, char *more)
{
    char *longer = xasprintf("%s%s%s", *text, **text ? "; " : "", more);

    free(*text);
    free(more);
    *text = longer;
}

static void append_lost(char **text, const struct pool_drift *d)
{
    const struct pool_drift_type *pv = &d->type[POOL_PV], *hvm = &d->type[POOL_HVM];
    bool alike = !memcmp(&pv->lost, &hvm->lost, sizeof(pv->lost));

    for (unsigned int type = 0; type < POOL_TYPES; type++) {
        const struct pool_drift_type *t = &d->type[type];
        char *names;

        if (t->offered_then && !t->offered_now)
            append(text, xasprintf("cannot run %s any more", pool_type_name(type)));
        if (!t->offered_now || featureset_empty(&t->lost) || (alike && type == POOL_HVM))
            continue;
        names = pool_name_features(&t->lost);
        append(text, xasprintf("lost %s%s%s%s", names, alike ? "" : " (",
                               alike ? "" : pool_type_name(type), alike ? "" : ")"));
        free(names);
    }
}

char *pool_drift_text(const struct pool_drift *d, const struct pool *p)
{
    char *text = xstrdup("");

    append_lost(&text, d);
    if (d->has_level && d->now.verdict != VERDICT_YES)
        append(&text, xasprintf("%s is not honoured%s", p->levels[p->level].name,
                                d->then.verdict == VERDICT_YES ? " any more" : ""));
    if (d->n_stranded)
        append(&text, xasprintf("%zu guest%s cannot come any more", d->n_stranded,
                                d->n_stranded == 1 ? "" : "s"));
    if (d->n_doubtful)
        append(&text, xasprintf("nobody can say any more whether %zu guest%s can come",
                                d->n_doubtful, d->n_doubtful == 1 ? "" : "s"));
    return text;
}
