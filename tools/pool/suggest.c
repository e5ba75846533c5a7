/* SPDX-License-Identifier: MIT */
/* See suggest.h. */
#include "suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xen/errno.h>

#include "answer.h"
#include "describe.h"
#include "unknown.h"
#include "unsure.h"
#include "util.h"

static enum guest_type type_of(unsigned int type)
{
    return type == 0 ? GUEST_PV : GUEST_HVM_HAP;
}

/* What a class has for sure. */
static void find_own(const struct suggest_class *c, unsigned int type, struct featureset *own)
{
    struct featureset unknown;

    policy_to_featureset(c->deflt[type], own);
    if (!c->unknown[type])
        return;
    unknown_features(c->unknown[type], &unknown);
    featureset_andnot(own, own, &unknown);
}

static bool all_have(const struct suggest_class *classes, size_t n, unsigned int type)
{
    for (size_t i = 0; i < n; i++)
        if (!classes[i].deflt[type])
            return false;
    return true;
}

/* 0; -1 with *culprit. */
static int level_type(const struct suggest_class *classes, size_t n, unsigned int type,
                      struct suggestion *s, size_t *culprit)
{
    struct policy_host *hosts = xcalloc(n, sizeof(*hosts));
    struct cpu_policy *assumed = xcalloc(n, sizeof(*assumed));
    int rc;

    for (size_t i = 0; i < n; i++) {
        const struct suggest_class *c = &classes[i];

        assumed[i] = *c->deflt[type];
        if (c->max[type] && c->unknown[type])
            unsure_assume_hazards(&assumed[i], c->unknown[type], c->max[type]);
        hosts[i] = (struct policy_host){c->max[type], &assumed[i]};
    }
    rc = policy_level(hosts, n, &s->level[type], NULL, culprit);
    free(assumed);
    free(hosts);
    if (!rc)
        return 0;
    errno = rc == -XEN_EXDEV ? EXDEV : EINVAL;
    return -1;
}

/* The abilities that all of a set share, and that have all that they need. */
static void close_shared(struct featureset *fs)
{
    featureset_close(fs, NULL);
    featureset_and(fs, fs, featureset_merge_mask(MERGE_CAPABILITY));
    featureset_andnot(fs, fs, featureset_number_bits());
}

/* For each class, what all before it share and all behind it: what all but it do. */
static void find_gains(const struct suggest_class *classes, size_t n, unsigned int type,
                       struct suggestion *s)
{
    struct featureset *behind = xcalloc(n + 1, sizeof(*behind)), before, all, own;

    memset(&behind[n], 0xff, sizeof(behind[n]));
    for (size_t i = n; i-- > 0;) {
        find_own(&classes[i], type, &own);
        featureset_and(&behind[i], &behind[i + 1], &own);
    }
    all = behind[0];
    close_shared(&all);
    memset(&before, 0xff, sizeof(before));
    for (size_t i = 0; n > 1 && i < n; i++) {
        struct featureset *gain = &s->gain[type][i];

        featureset_and(gain, &before, &behind[i + 1]);
        close_shared(gain);
        featureset_andnot(gain, gain, &all);
        find_own(&classes[i], type, &own);
        featureset_and(&before, &before, &own);
    }
    free(behind);
}

/* Do all hosts give all of it? */
static bool can_give(const struct suggest_class *classes, const struct suggestion *s,
                     const struct featureset shared[static SUGGEST_TYPES],
                     const struct named_level *l)
{
    bool any = false;

    for (unsigned int type = 0; type < SUGGEST_TYPES; type++) {
        if (!s->have[type] || !l->have[type])
            continue;
        if (!named_is_vendor(l, classes[0].deflt[type]) ||
            !featureset_subset(&l->features[type], &shared[type]))
            return false;
        any = true;
    }
    return any;
}

static unsigned int count_named(const struct named_level *l)
{
    return l ? featureset_count(&l->features[NAMED_HVM]) + featureset_count(&l->features[NAMED_PV])
             : 0;
}

static void find_named(const struct suggest_class *classes, const struct named_list *list,
                       const struct featureset shared[static SUGGEST_TYPES], struct suggestion *s)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct named_level *l = &list->levels[i], **best;

        best = !strcmp(l->vendor, "any") ? &s->any_vendor : &s->newest;
        if (can_give(classes, s, shared, l) && count_named(l) >= count_named(*best))
            *best = l;
    }
}

int suggest_level(const struct suggest_class *classes, size_t n, const struct named_list *list,
                  struct suggestion *s, size_t *culprit)
{
    struct featureset shared[SUGGEST_TYPES];

    memset(s, 0, sizeof(*s));
    for (unsigned int type = 0; type < SUGGEST_TYPES; type++) {
        struct featureset own;

        s->gain[type] = xcalloc(n, sizeof(*s->gain[type]));
        memset(&shared[type], 0xff, sizeof(shared[type]));
        s->have[type] = all_have(classes, n, type);
        if (!s->have[type])
            continue;
        for (size_t i = 0; i < n; i++) {
            find_own(&classes[i], type, &own);
            featureset_and(&shared[type], &shared[type], &own);
        }
        if (level_type(classes, n, type, s, culprit))
            return -1;
        policy_to_featureset(&s->level[type], &s->features[type]);
        show_comparable(&s->features[type]);
        find_gains(classes, n, type, s);
    }
    find_named(classes, list, shared, s);
    return 0;
}

void suggest_free(struct suggestion *s)
{
    for (unsigned int type = 0; type < SUGGEST_TYPES; type++)
        free(s->gain[type]);
    memset(s, 0, sizeof(*s));
}

struct suggest_class *suggest_classes(const struct pool *p, size_t *n)
{
    struct suggest_class *classes = xcalloc(p->n_captures + 1, sizeof(*classes));
    size_t kept = 0;

    for (size_t i = 0; i < p->n_hosts; i++) {
        struct suggest_class *c = &classes[p->hosts[i].capture];

        if (!c->hosts++)
            c->name = p->hosts[i].record->name;
    }
    for (size_t i = 0; i < p->n_captures; i++) {
        const struct pool_capture *capture = &p->captures[i];

        if (!classes[i].hosts)
            continue;
        for (unsigned int type = 0; type < SUGGEST_TYPES; type++) {
            enum xc_policy_index deflt = answer_default(type_of(type)),
                                 max = answer_max(type_of(type));

            classes[i].deflt[type] = capture->have[deflt] ? capture->policy[deflt] : NULL;
            classes[i].unknown[type] = capture->have[deflt] ? capture->unknown[deflt] : NULL;
            classes[i].max[type] = capture->have[max] ? capture->policy[max] : NULL;
        }
        classes[kept++] = classes[i];
    }
    *n = kept;
    return classes;
}

void suggest_below(const struct pool *p, const bool have[static SUGGEST_TYPES],
                   const struct cpu_policy level[static SUGGEST_TYPES], struct featureset *lacks)
{
    for (size_t i = 0; i < p->n_policies; i++) {
        unsigned int type = p->policies[i].type == GUEST_PV ? 0 : 1;
        struct featureset own, unknown;

        memset(&lacks[i], 0, sizeof(lacks[i]));
        if (!have[type])
            continue;
        policy_to_featureset(&level[type], &lacks[i]);
        policy_to_featureset(&p->policies[i].policy, &own);
        unknown_features(&p->policies[i].unknown, &unknown);
        featureset_andnot(&lacks[i], &lacks[i], &own);
        featureset_andnot(&lacks[i], &lacks[i], &unknown);
        featureset_and(&lacks[i], &lacks[i], featureset_merge_mask(MERGE_CAPABILITY));
        show_comparable(&lacks[i]);
    }
}
