/* SPDX-License-Identifier: MIT */
/* See unsure.h. */
#include <stdlib.h>
#include <string.h>

#include "features-gen.h"
#include "findings.h"
#include "unknown.h"
#include "unsure.h"
#include "util.h"
#include "xc_audit.h"

#define MAX_FAULTS 1024

/* Room for what is asked: not for the stack. */
struct asked {
    struct cpu_policy guest, max, deflt;
    struct policy_fault faults[MAX_FAULTS];
};

/* The bits that a host tells its guests so that they beware. */
static void find_hazards(struct featureset *fs)
{
    *fs = *featureset_merge_mask(MERGE_HAZARD);
    featureset_set(fs, X86_FEATURE_RTM_ALWAYS_ABORT); /* to those who have RTM: policy_check() */
}

/* Set, or clear, the named features of the mask that are in `which`. */
static void set_features(struct cpu_policy *p, const struct cpu_policy *mask,
                         const struct featureset *which, bool value)
{
    struct featureset fs, unknown;

    unknown_features(mask, &unknown);
    featureset_and(&unknown, &unknown, which);
    policy_to_featureset(p, &fs);
    if (value)
        featureset_or(&fs, &fs, &unknown);
    else
        featureset_andnot(&fs, &fs, &unknown);
    policy_from_featureset(p, &fs);
}

/* The guest and the host as they fit best: a guest has of the unknown what the host gives its own,
 * and a host has what the guest has. */
static void fit_best(const struct unsure *u, struct asked *a)
{
    a->guest = *u->guest.policy;
    unknown_fill(&a->guest, u->guest.unknown, u->deflt.policy ? u->deflt.policy : u->max.policy);
    a->max = *u->max.policy;
    unknown_fill(&a->max, u->max.unknown, &a->guest);
    if (!u->deflt.policy)
        return;
    a->deflt = *u->deflt.policy;
    unknown_fill(&a->deflt, u->deflt.unknown, &a->guest);
}

/* And as they fit worst: a host without the unknown abilities and with the unknown hazards, a guest
 * that was told of the abilities and not of the hazards. */
static void fit_worst(const struct unsure *u, struct asked *a)
{
    struct featureset hazards, abilities;

    find_hazards(&hazards);
    featureset_andnot(&abilities, featureset_known(), &hazards);
    fit_best(u, a);
    set_features(&a->guest, u->guest.unknown, &abilities, true);
    set_features(&a->guest, u->guest.unknown, &hazards, false);
    unknown_clear(&a->max, u->max.unknown);
    if (!u->deflt.policy)
        return;
    unknown_clear(&a->deflt, u->deflt.unknown);
    set_features(&a->deflt, u->deflt.unknown, &hazards, true);
}

static struct policy_host host_of(const struct unsure *u, struct asked *a)
{
    policy_restrict(&a->max, u->type);
    return (struct policy_host){.max = &a->max, .deflt = u->deflt.policy ? &a->deflt : NULL};
}

static bool is_same_fault(const struct policy_fault *a, const struct policy_fault *b)
{
    return a->kind == b->kind && a->leaf == b->leaf && a->subleaf == b->subleaf &&
           a->msr == b->msr && a->feature == b->feature && a->needs == b->needs &&
           a->reg == b->reg && a->shift == b->shift;
}

static bool is_in(const struct policy_report *r, const struct policy_fault *f)
{
    for (size_t i = 0; i < r->count && i < r->max; i++)
        if (is_same_fault(&r->faults[i], f))
            return true;
    return false;
}

/* Is anything of this leaf not known? */
static bool is_leaf_unknown(const struct cpu_policy *mask, uint32_t leaf)
{
    const bool listed = leaf != POLICY_NONE && policy_leaf_has_subleaves(leaf);
    const struct cpuid_regs *r;

    for (uint32_t s = 0; (r = policy_leaf_const(mask, leaf, listed ? s : POLICY_NONE)); s++) {
        if (r->a | r->b | r->c | r->d)
            return true;
        if (!listed)
            break;
    }
    return false;
}

/*
 * Numbers that belong together (components and their sizes, a highest leaf and what is below) need
 * not fit where each was taken from the other side: of a leaf that is not known they are no "no".
 * of_guest: the guest alone is at fault, whatever the host is.
 */
static bool is_doubtful(const struct unsure *u, const struct policy_fault *f, bool of_guest)
{
    return !finding_is_feature(f->kind) && f->kind != FAULT_VENDOR && f->leaf != POLICY_NONE &&
           (is_leaf_unknown(u->guest.unknown, f->leaf) ||
            (!of_guest && is_leaf_unknown(u->max.unknown, f->leaf)));
}

static void add_fault(struct policy_report *r, const struct policy_fault *f)
{
    if (r->count < r->max)
        r->faults[r->count] = *f;
    r->count++;
}

void unsure_ask(const struct unsure *u, struct policy_report *no, struct policy_report *maybe)
{
    struct asked *a = xcalloc(1, sizeof(*a));
    struct policy_report found = {.faults = a->faults, .max = MAX_FAULTS};
    bool half = !u->same && (unknown_any(u->guest.unknown) || unknown_any(u->max.unknown) ||
                             (u->deflt.policy && unknown_any(u->deflt.unknown)));
    struct policy_host host;
    size_t verified;

    fit_best(u, a);
    host = host_of(u, a);
    (void)xc_audit_policy(NULL, &a->guest, &host, &found, &verified);
    for (size_t i = 0; i < found.count && i < found.max; i++)
        add_fault(half && is_doubtful(u, &found.faults[i], i < verified) ? maybe : no,
                  &found.faults[i]);
    if (half) {
        fit_worst(u, a);
        host = host_of(u, a);
        found.count = 0;
        (void)policy_check(&a->guest, &host, &found);
        for (size_t i = 0; i < found.count && i < found.max; i++)
            if (!is_in(no, &found.faults[i]) && !is_in(maybe, &found.faults[i]))
                add_fault(maybe, &found.faults[i]);
    }
    free(a);
}

void unsure_assume_hazards(struct cpu_policy *deflt, const struct cpu_policy *unknown,
                           const struct cpu_policy *max)
{
    struct featureset hazards = *featureset_merge_mask(MERGE_HAZARD), may;
    uint32_t fpu = hazards.w[FEATURESET_7b0]; /* Xen takes these two from each host */

    policy_to_featureset(max, &may);
    featureset_and(&hazards, &hazards, &may);
    hazards.w[FEATURESET_7b0] = fpu;
    set_features(deflt, unknown, &hazards, true);
}
