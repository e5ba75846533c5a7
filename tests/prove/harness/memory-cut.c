/* SPDX-License-Identifier: MIT */
/*
 * Memory of what did not end in one piece.  It is cut where the addresses do not hang on what is
 * cut off: a stub requires what the cut function was proved for, and answers anything.
 */
#include "harness.h"

#include "features-gen.c" /* first: how long its arrays are */

#include "components.c"
#include "featureset.c"
#include "leaves.c"
#include "level.c"
#include "text.c"
#include "verify.c"
#include "whole.c"
#include "xstate.c"

void policy_fit_fields(struct cpu_policy *level, const struct cpu_policy *host,
                       struct featureset *unshared);
void policy_drop_unbacked(struct cpu_policy *p, const struct featureset *unshared);

static struct cpu_policy the_policy;

/* ---- to arrays ---- */

#ifdef TO_LEAVES
/* What put_leaf() needs: a leaf to read.  How many there are is shown on the way. */
static void stub_put_leaf(struct leaf_writer *w, uint32_t leaf, uint32_t subleaf,
                          const struct cpuid_regs *r)
{
    (void)leaf;
    (void)subleaf;
    PROVE(__CPROVER_r_ok(r, sizeof(*r)), "a leaf that is there");
    PROVE(w->count < POLICY_MAX_LEAVES, "no more than the most");
    w->count++;
}

/* As put_leaf() makes no difference to what else is read, the arrays need not be there. */
void memory_to_leaves(void)
{
    size_t room = nondet_size(), msr_room = nondet_size(), n = room, m = msr_room;
    xen_msr_entry_t *msrs;
    int rc;

    ASSUME(msr_room <= 3);
    msrs = malloc(msr_room * sizeof(*msrs));
    the_policy = nondet_policy();
    rc = policy_to_leaves(&the_policy, NULL, &n, msrs, &m);
    PROVE(n <= POLICY_MAX_LEAVES && m <= POLICY_MAX_MSRS, "that much room suffices");
    PROVE((rc == 0) == (n <= room && m <= msr_room), "and is asked for otherwise");
    REACHED();
}
#endif

/* Any writer: what is written is within its room. */
void memory_put_leaf(void)
{
    struct leaf_writer w = {NULL, nondet_size(), nondet_size()};
    struct cpuid_regs r = nondet_regs();
    size_t before = w.count;

    ASSUME(w.room <= 2 * POLICY_MAX_LEAVES && w.count < SIZE_MAX);
    w.out = malloc(w.room * sizeof(*w.out));
    put_leaf(&w, nondet_uint(), nondet_uint(), &r);
    PROVE(w.count == before + 1, "every leaf is counted");
    REACHED();
}

/* ---- whole ---- */

#ifdef WHOLE
struct named nondet_named(void);

static void stub_note_names(struct named *n, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                            const xen_msr_entry_t *msrs, size_t nr_msrs)
{
    (void)leaves;
    (void)nr_leaves;
    (void)msrs;
    (void)nr_msrs;
    *n = nondet_named();
}

/* What check_family() needs: one of the families. */
static void stub_check_family(const struct named *n, const struct leaf_family *f,
                              struct policy_report *r)
{
    (void)n;
    PROVE(f >= policy_families && f < policy_families + POLICY_NR_FAMILIES, "a family");
    r->count += nondet_bool();
}

void memory_named_family(void)
{
    struct named n = nondet_named();
    struct policy_report r = {NULL, 0, 0};

    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        real_check_family(&n, &policy_families[i], &r);
    REACHED();
}

void memory_whole(void)
{
    struct policy_report r;

    policy_whole(NULL, 0, NULL, 0, any_report(&r, 3));
    REACHED();
}
#endif

static xen_cpuid_leaf_t *any_leaves(size_t n)
{
    return malloc((n < POLICY_MAX_LEAVES ? n : POLICY_MAX_LEAVES) * sizeof(xen_cpuid_leaf_t));
}

static xen_msr_entry_t *any_msrs(size_t n)
{
    return malloc((n < POLICY_MAX_MSRS ? n : POLICY_MAX_MSRS) * sizeof(xen_msr_entry_t));
}

/* Any step, from any state (rewriting "step"). */
void memory_note_names(void)
{
    static struct named n;
    size_t leaves = nondet_size(), msrs = nondet_size();

    note_names(&n, any_leaves(leaves), leaves, any_msrs(msrs), msrs);
    REACHED();
}

/* ---- from arrays ---- */

#ifdef MERGE
static void stub_zero_family(struct cpu_policy *p, const struct leaf_family *f, uint32_t from)
{
    PROVE(f >= policy_families && f < policy_families + POLICY_NR_FAMILIES, "a family");
    (void)p;
    (void)from;
}

/* Any step, from any state (rewriting "step").  policy_from_leaves() is the same after a zero. */
void memory_merge(void)
{
    struct policy_report r, *given = any_report(&r, 3);
    size_t n = nondet_size(), m = nondet_size();

    r.count = nondet_size();
    ASSUME(r.count < SIZE_MAX / 2);
    the_policy = nondet_policy();
    policy_merge_leaves(&the_policy, any_leaves(n), n, any_msrs(m), m, given);
    REACHED();
}

void memory_trim(void)
{
    the_policy = nondet_policy();
    policy_trim(&the_policy);
    PROVE(
        the_policy.basic[0].a < POLICY_NR_BASIC && the_policy.feat[0].a < POLICY_NR_FEAT &&
            (!the_policy.extd[0].a || the_policy.extd[0].a - EXTD_FIRST < (uint32_t)POLICY_NR_EXTD),
        "maxima that policies hold");
    REACHED();
}
#endif

/* ---- maxima ---- */

#ifdef SHRINK
/* What memory_trim says of it. */
static void stub_policy_trim(struct cpu_policy *p)
{
    ASSUME(p->basic[0].a < POLICY_NR_BASIC && p->feat[0].a < POLICY_NR_FEAT &&
           (!p->extd[0].a || p->extd[0].a - EXTD_FIRST < (uint32_t)POLICY_NR_EXTD));
}

static bool stub_leaf_empty(const struct cpu_policy *p, uint32_t leaf)
{
    (void)p;
    PROVE(leaf < POLICY_NR_BASIC || leaf - EXTD_FIRST < (uint32_t)POLICY_NR_EXTD, "a leaf");
    return nondet_bool();
}

void memory_shrink(void)
{
    the_policy = nondet_policy();
    policy_shrink(&the_policy);
    REACHED();
}
#endif

void memory_leaf_empty(void)
{
    the_policy = nondet_policy();
    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        leaf_empty(&the_policy, i);
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        leaf_empty(&the_policy, EXTD_FIRST + i);
    REACHED();
}

/* ---- verify ---- */

#ifdef VERIFY
static void stub_verify_prerequisites(const struct featureset *fs, struct policy_report *r)
{
    (void)fs;
    r->count += nondet_bool();
}

/* What verify_overlap() needs: a component that has a subleaf. */
static void stub_verify_overlap(const struct cpu_policy *p, unsigned int component, uint64_t later,
                                struct policy_report *r)
{
    (void)p;
    (void)later;
    PROVE(component < POLICY_NR_XSTATE, "a component");
    r->count += nondet_bool();
}

void memory_overlap(void)
{
    struct policy_report r = {NULL, 0, 0};
    unsigned int component = nondet_uint();

    ASSUME(component < POLICY_NR_XSTATE);
    the_policy = nondet_policy();
    real_verify_overlap(&the_policy, component, nondet_mask(), &r);
    REACHED();
}

void memory_verify(void)
{
    struct policy_report r;

    the_policy = nondet_policy();
    policy_verify(&the_policy, any_report(&r, 3));
    REACHED();
}
#endif

/* Any step: verify_prerequisites() takes only features that others stand on. */
void memory_prerequisites(void)
{
    struct featureset fs = nondet_featureset(), reported = nondet_featureset();
    struct policy_report r = {NULL, 0, 0};
    unsigned int f = nondet_uint();

    ASSUME(f < FEATURESET_BITS && featureset_test(&features_with_dependents, f));
    has_dependents(&fs, f);
    report_fallen(f, &fs, &reported, &r);
    REACHED();
}

/* ---- close ---- */

#ifdef CLOSE
static void stub_featureset_close(struct featureset *fs, struct featureset *dropped)
{
    if (dropped)
        *dropped = nondet_featureset();
    *fs = nondet_featureset();
}

void memory_close(void)
{
    struct featureset dropped;

    the_policy = nondet_policy();
    policy_close(&the_policy, nondet_bool() ? &dropped : NULL);
    REACHED();
}
#endif

/* Any step of featureset_close(): it takes only features that others stand on. */
void memory_featureset_close(void)
{
    struct featureset falling = nondet_featureset();
    unsigned int f = nondet_uint();

    ASSUME(f < FEATURESET_BITS && featureset_test(&features_with_dependents, f));
    PROVE(feature_dependents(f) != NULL, "something stands on it");
    featureset_or(&falling, &falling, feature_dependents(f));
    REACHED();
}
