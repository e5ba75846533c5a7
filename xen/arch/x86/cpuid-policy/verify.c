/* SPDX-License-Identifier: MIT */
/* policy_verify: can this CPU exist? */
#include "policy-private.h"
#include "features-gen.h"

/* Address widths outside these have never been built: SDM vol. 3A 4.1.4, APM vol. 2 5.1. */
enum { PHYSADDR_MIN = 32, PHYSADDR_MAX = 52, LINEARADDR_MIN = 32, LINEARADDR_MAX = 57 };

static void verify_maxima(const struct cpu_policy *p, struct policy_report *r)
{
    uint32_t basic = policy_max_basic(p), extd = policy_max_extd(p);

    if (basic >= POLICY_NR_BASIC)
        policy_fault(r,
                     policy_fault_at(FAULT_MAX_LEAF, 0, POLICY_NONE, basic, POLICY_NR_BASIC - 1));
    if (p->feat[0].a >= POLICY_NR_FEAT)
        policy_fault(r, policy_fault_at(FAULT_MAX_LEAF, 7, 0, p->feat[0].a, POLICY_NR_FEAT - 1));
    if (extd && (extd < EXTD_FIRST || extd - EXTD_FIRST >= POLICY_NR_EXTD))
        policy_fault(r, policy_fault_at(FAULT_MAX_LEAF, EXTD_FIRST, POLICY_NONE, extd,
                                        EXTD_FIRST + POLICY_NR_EXTD - 1));
}

static void report_beyond(uint32_t leaf, uint32_t subleaf, uint32_t max, struct policy_report *r)
{
    policy_fault(r, policy_fault_at(FAULT_BEYOND_MAX, leaf, subleaf, leaf, max));
}

static void verify_beyond(const struct cpu_policy *p, struct policy_report *r)
{
    uint32_t basic = policy_max_basic(p), extd = policy_max_extd(p);

    /* From the first leaf above the maximum; leaf 0 itself is never beyond. */
    for (uint32_t i = basic < POLICY_NR_BASIC ? basic + 1 : POLICY_NR_BASIC; i < POLICY_NR_BASIC;
         i++)
        if (!regs_empty(&p->basic[i]))
            report_beyond(i, POLICY_NONE, basic, r);
    for (uint32_t i = policy_last_extd(p) - EXTD_FIRST + 1; i < POLICY_NR_EXTD; i++)
        if (!regs_empty(&p->extd[i]))
            report_beyond(EXTD_FIRST + i, POLICY_NONE, extd, r);

    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++) {
        const struct leaf_family *f = &policy_families[i];
        const struct cpuid_regs *regs = policy_family_regs(p, f);

        if (f->leaf <= basic)
            continue;
        for (uint32_t s = 0; s < f->count; s++)
            if (!regs_empty(&regs[s]))
                report_beyond(f->leaf, s, basic, r);
    }
    for (uint32_t s = 1; basic >= 7 && s < POLICY_NR_FEAT; s++)
        if (s > p->feat[0].a && !regs_empty(&p->feat[s]))
            report_beyond(7, s, p->feat[0].a, r);
}

/* Leaf D says nothing of a component that is not there; leaf 4 nothing behind its first entry of
 * type 0, and knows three types: SDM vol. 2A, CPUID. */
static void verify_lists(const struct cpu_policy *p, uint64_t components, struct policy_report *r)
{
    bool ended = false;
    unsigned int i;

    for_each_component(i, ~components & ~3ull)
    {
        if (!regs_empty(&p->xstate[i]))
            report_beyond(0xd, i, i, r);
    }
    for (uint32_t s = 0; s < POLICY_NR_CACHE; s++) {
        uint32_t type = p->cache[s].a & 0x1f;

        ended |= type == 0 || type > 3;
        if (ended && !regs_empty(&p->cache[s]))
            report_beyond(4, s, s, r);
    }
}

/* Real CPUs break the rules that are a hypervisor's only. */
static void spare_xen_dependents(unsigned int feature, struct featureset *fallen)
{
    for (unsigned int i = 0; i < NR_XEN_DEPENDENTS; i++)
        if (feature_xen_dependents[i].feature == feature)
            featureset_andnot(fallen, fallen, &feature_xen_dependents[i].set);
}

/* What stands on `absent` though it is not there, and has not been reported yet. */
static void report_fallen(unsigned int absent, const struct featureset *fs,
                          struct featureset *reported, struct policy_report *r)
{
    struct featureset fallen;

    featureset_and(&fallen, feature_dependents(absent), fs);
    spare_xen_dependents(absent, &fallen);
    featureset_andnot(&fallen, &fallen, reported);
    featureset_or(reported, reported, &fallen);
    for (int d = featureset_next(&fallen, 0); d >= 0;
         d = featureset_next(&fallen, (unsigned int)d + 1)) {
        const struct featureset_word_info *w = featureset_word_info((unsigned int)d / 32);
        struct policy_fault fault = policy_fault_at(FAULT_PREREQUISITE, w->leaf, w->subleaf, 1, 0);

        fault.msr = w->msr;
        fault.feature = (uint32_t)d;
        fault.needs = absent;
        policy_fault(r, fault);
    }
}

/* Is anything in the set that stands on the feature?  Looks only where such features are. */
static bool has_dependents(const struct featureset *fs, unsigned int feature)
{
    unsigned int set = feature_dependents_at[feature] - 1u;
    uint32_t found = 0;

    for (uint32_t words = feature_dependents_words[set]; words; words &= words - 1) {
        unsigned int i = (unsigned int)__builtin_ctz(words);

        found |= feature_dependents_sets[set].w[i] & fs->w[i];
    }
    return found != 0;
}

/* Every feature that stands on something absent, once, with the first thing it lacks. */
static void verify_prerequisites(const struct featureset *fs, struct policy_report *r)
{
    struct featureset reported = {{0}};

    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        for (uint32_t absent = features_with_dependents.w[i] & ~fs->w[i]; absent;
             absent &= absent - 1) {
            unsigned int f = i * 32 + (unsigned int)__builtin_ctz(absent);

            if (has_dependents(fs, f))
                report_fallen(f, fs, &reported, r);
        }
}

static void verify_addresses(const struct cpu_policy *p, struct policy_report *r)
{
    uint32_t phys = p->extd[8].a & 0xff, linear = (p->extd[8].a >> 8) & 0xff;

    if (policy_max_extd(p) < EXTD_FIRST + 8)
        return;
    if (phys < PHYSADDR_MIN || phys > PHYSADDR_MAX)
        policy_fault(r, policy_fault_at(FAULT_MAXPHYSADDR, EXTD_FIRST + 8, POLICY_NONE, phys,
                                        phys < PHYSADDR_MIN ? PHYSADDR_MIN : PHYSADDR_MAX));
    /* CPUs without long mode leave the linear width zero. */
    if (linear && (linear < LINEARADDR_MIN || linear > LINEARADDR_MAX))
        policy_fault(r, policy_fault_at(FAULT_LINEARADDR, EXTD_FIRST + 8, POLICY_NONE, linear,
                                        linear < LINEARADDR_MIN ? LINEARADDR_MIN : LINEARADDR_MAX));
}

/*
 * A feature whose state cannot be saved cannot be used.  The reverse is no fault of a CPU, Zen 2
 * has the PKRU component without PKU; of a guest it is: check.c.
 */
static void verify_xstate_features(uint64_t xcr0, const struct featureset *fs,
                                   struct policy_report *r)
{
    unsigned int i;

    for_each_component(i, XSTATE_OF_FEATURES & ~xcr0)
    {
        uint32_t feature = xstate_feature(i);
        struct policy_fault f;

        if (!featureset_test(fs, feature))
            continue;
        f = policy_fault_at(FAULT_XSTATE_FEATURE, 0xd, i, 1, 0);
        f.feature = feature;
        policy_fault(r, f);
    }
}

/* A component of the standard area may not lie on a later one; `later` are those with higher
 * numbers. */
static void verify_overlap(const struct cpu_policy *p, unsigned int component, uint64_t later,
                           struct policy_report *r)
{
    const struct cpuid_regs *c = &p->xstate[component];
    unsigned int i;

    for_each_component(i, later)
    {
        const struct cpuid_regs *o = &p->xstate[i];

        if (c->b < (uint64_t)o->b + o->a && o->b < (uint64_t)c->b + c->a)
            policy_fault(r, policy_fault_at(FAULT_XSTATE_LAYOUT, 0xd, i, o->a, o->b));
    }
}

static void verify_xstate_layout(const struct cpu_policy *p, uint64_t xcr0, uint64_t xss,
                                 struct policy_report *r)
{
    const uint64_t numbered =
        ~3ull & ~(1ull << 63); /* 0 and 1 have no subleaf, 63 is no component */
    unsigned int i;

    for_each_component(i, (xcr0 | xss) & numbered)
    {
        const struct cpuid_regs *c = &p->xstate[i];
        bool user = (xcr0 >> i) & 1, supervisor = (xss >> i) & 1;

        if (!c->a || user == supervisor || !!(c->c & XSTATE_SUPERVISOR) != supervisor ||
            (user ? c->b < XSTATE_AREA : c->b != 0) || (uint64_t)c->a + c->b > UINT32_MAX)
            policy_fault(r, policy_fault_at(FAULT_XSTATE_LAYOUT, 0xd, i, c->a, c->b));
        else if (user)
            verify_overlap(p, i, xcr0 & numbered & ~((2ull << i) - 1), r);
    }
    if (p->xstate[0].c != xstate_standard_size(p, xcr0))
        policy_fault(r, policy_fault_at(FAULT_XSTATE_TOTAL, 0xd, 0, p->xstate[0].c,
                                        xstate_standard_size(p, xcr0)));
}

static void verify_msrs(const struct cpu_policy *p, struct policy_report *r)
{
    struct policy_fault f = policy_fault_init(FAULT_MSR_RESERVED);

    if (!(p->platform_info & ~PLATFORM_INFO_CPUID_FAULTING))
        return;
    f.msr = MSR_INTEL_PLATFORM_INFO;
    f.guest = p->platform_info;
    f.host = PLATFORM_INFO_CPUID_FAULTING;
    policy_fault(r, f);
}

int policy_verify(const struct cpu_policy *p, struct policy_report *r)
{
    struct policy_report count_only = {NULL, 0, 0};
    uint64_t xcr0 = policy_xcr0(p), xss = policy_xss(p);
    struct featureset fs;
    size_t before;

    if (!r)
        r = &count_only;
    before = r->count;

    if (policy_vendor_id(p) == CPU_VENDOR_UNKNOWN)
        policy_fault(r, policy_fault_at(FAULT_VENDOR_UNKNOWN, 0, POLICY_NONE, p->basic[0].b, 0));
    verify_maxima(p, r);
    verify_beyond(p, r);
    verify_lists(p, (xcr0 | xss) & ~(1ull << 63), r);
    policy_to_featureset(p, &fs);
    verify_prerequisites(&fs, r);
    verify_addresses(p, r);
    verify_xstate_features(xcr0, &fs, r);
    verify_xstate_layout(p, xcr0, xss, r);
    verify_msrs(p, r);

    return r->count == before ? 0 : -EINVAL;
}
