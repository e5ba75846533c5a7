/* SPDX-License-Identifier: MIT */
/* policy_check: can a guest with this policy run on that host?  Every difference, not the first. */
#include "policy-private.h"
#include "features-gen.h"

static void feature_fault(enum policy_fault_kind kind, unsigned int feature, uint64_t guest,
                          uint64_t host, struct policy_report *r)
{
    const struct featureset_word_info *w = featureset_word_info(feature / 32);
    struct policy_fault f = policy_fault_at(kind, w->leaf, w->subleaf, guest, host);

    f.msr = w->msr;
    f.feature = feature;
    policy_fault(r, f);
}

/*
 * Hazards that a guest may have been told of though the host's limit has not got them.  How the FPU
 * behaves Xen takes from the host whatever it is told, and who was told reckons with either.  What
 * cannot be counted stays as told where the host has leaf A; where it has none, no guest has.  All
 * others Xen takes away with what else is above its limit: 4.17 to 4.22.
 */
static uint32_t tolerated_hazards(unsigned int word, const struct featureset *max)
{
    if (word == FEATURESET_7b0)
        return feature_bit(X86_FEATURE_FDP_EXCP_ONLY) | feature_bit(X86_FEATURE_NO_FPU_SEL);
    if (word == FEATURESET_Ab && max->w[FEATURESET_Aa])
        return featureset_merge_mask(MERGE_HAZARD)->w[word];
    return 0;
}

/*
 * What the guest has been told of and the host lacks.  Bits without a name count as capabilities:
 * a bit that this table does not know yet must not slip through.
 */
static void check_missing(const struct featureset *guest, const struct featureset *max,
                          struct policy_report *r)
{
    const struct featureset *dynamic = featureset_merge_mask(MERGE_DYNAMIC);
    const struct featureset *mirror = featureset_merge_mask(MERGE_MIRROR);
    const struct featureset *numbers = featureset_number_bits(); /* check_fields() */
    struct featureset missing;
    uint32_t any = 0;

    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        missing.w[i] = guest->w[i] & ~max->w[i];
        if (!missing.w[i])
            continue;
        missing.w[i] &= ~(dynamic->w[i] | mirror->w[i] | numbers->w[i] | tolerated_hazards(i, max));
        any |= missing.w[i];
    }
    if (!any)
        return;
    for (int f = featureset_next(&missing, 0); f >= 0;
         f = featureset_next(&missing, (unsigned int)f + 1))
        feature_fault(FAULT_FEATURE_MISSING, (unsigned int)f, 1, 0, r);
}

/*
 * Can the guest see the word at all?  One who cannot has been told nothing by it, careful or not,
 * and goes by family and model, which a migration does not change.
 */
static bool word_visible(const struct cpu_policy *guest, const struct featureset *fs,
                         unsigned int word)
{
    const struct featureset_word_info *w = featureset_word_info(word);

    if (w->msr != POLICY_NONE)
        return true; /* told by a feature, which the MSR's bits need: hazard_concerns() */
    if (word == FEATURESET_Ab)
        return (fs->w[FEATURESET_Aa] & 0xff) != 0; /* a PMU of version 0 is none */
    if (w->leaf >= EXTD_FIRST)
        return w->leaf <= policy_max_extd(guest);
    if (w->leaf == 7)
        return policy_max_basic(guest) >= 7 && w->subleaf <= guest->feat[0].a;
    return w->leaf <= policy_max_basic(guest);
}

/* A hazard of something that the guest does not have is none for it.  RRSBA is RSBA by another
 * name, weighed already: whoever can read the MSR is concerned. */
static bool hazard_concerns(const struct featureset *fs, unsigned int hazard)
{
    const struct featureset *needs =
        feature_needs(hazard == X86_FEATURE_RRSBA ? X86_FEATURE_RSBA : hazard);

    return !needs || featureset_subset(needs, fs);
}

/*
 * RSBA and RRSBA are one hazard in two strengths; beside EIBRS it is the weaker, whatever a host
 * calls it.  A guest told of the stronger knows the weaker; one without EIBRS is told of either as
 * RSBA, as level.c does.
 */
static void weigh_return_stack(const struct featureset *fs, const struct featureset *host,
                               struct featureset *untold)
{
    bool rsba = featureset_test(host, X86_FEATURE_RSBA);
    bool rrsba = featureset_test(host, X86_FEATURE_RRSBA);
    bool strong = rsba && !featureset_test(host, X86_FEATURE_EIBRS);

    featureset_clear(untold, X86_FEATURE_RSBA);
    featureset_clear(untold, X86_FEATURE_RRSBA);
    if (!(rsba || rrsba) || featureset_test(fs, X86_FEATURE_RSBA))
        return;
    if (strong || !featureset_test(fs, X86_FEATURE_EIBRS))
        featureset_set(untold, X86_FEATURE_RSBA);
    else if (!featureset_test(fs, X86_FEATURE_RRSBA))
        featureset_set(untold, X86_FEATURE_RRSBA);
}

static void check_hazards(const struct cpu_policy *guest, const struct featureset *fs,
                          const struct cpu_policy *deflt, struct policy_report *r)
{
    const struct featureset *hazard = featureset_merge_mask(MERGE_HAZARD);
    struct featureset host, untold;
    uint32_t any = 0;

    policy_to_featureset(deflt, &host);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        untold.w[i] = host.w[i] & ~fs->w[i];
        if (!untold.w[i])
            continue;
        untold.w[i] &= hazard->w[i];
        if (untold.w[i] && !word_visible(guest, fs, i))
            untold.w[i] = 0;
    }
    weigh_return_stack(fs, &host, &untold);
    /* It accumulates, and is a hazard to those who have RTM. */
    if (featureset_test(fs, X86_FEATURE_RTM) &&
        !featureset_test(fs, X86_FEATURE_RTM_ALWAYS_ABORT) &&
        featureset_test(&host, X86_FEATURE_RTM_ALWAYS_ABORT))
        featureset_set(&untold, X86_FEATURE_RTM_ALWAYS_ABORT);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        any |= untold.w[i];
    if (!any)
        return;
    for (int f = featureset_next(&untold, 0); f >= 0;
         f = featureset_next(&untold, (unsigned int)f + 1))
        if (hazard_concerns(fs, (unsigned int)f))
            feature_fault(FAULT_HAZARD_UNTOLD, (unsigned int)f, 0, 1, r);
}

static void check_fields(const struct featureset *guest, const struct featureset *max,
                         struct policy_report *r)
{
    for (unsigned int i = 0; i < NR_FEATURE_FIELDS; i++) {
        const struct featureset_field_info *f = &featureset_fields[i];
        uint32_t mask = (1u << f->width) - 1;
        uint32_t g = (guest->w[f->word] >> f->shift) & mask;
        uint32_t h = (max->w[f->word] >> f->shift) & mask;
        const struct featureset_word_info *w;
        struct policy_fault fault;

        if (g <= h)
            continue;
        w = featureset_word_info(f->word);
        fault = policy_fault_at(FAULT_FIELD, w->leaf, w->subleaf, g, h);
        fault.feature = i;
        policy_fault(r, fault);
    }
}

static void prerequisite_fault(const struct feature_need *n, struct policy_report *r)
{
    const struct featureset_word_info *w = featureset_word_info(n->feature / 32);
    struct policy_fault f = policy_fault_at(FAULT_PREREQUISITE, w->leaf, w->subleaf, 1, 0);

    f.msr = w->msr;
    f.feature = n->feature;
    f.needs = n->needs;
    policy_fault(r, f);
}

/*
 * Widths of addresses that Xen makes itself: linear ones as the paging has levels, physical ones of
 * 36 bits at the least with PAE or PSE36 (32 without).  Whoever builds a domain gives it those of
 * the limit (4.17's libxl): they are no domain's, but no fault either; policy_restrict().  What is
 * above the limit's is a fault by the leaf's row.
 */
static void check_widths(const struct cpu_policy *guest, const struct cpu_policy *max,
                         const struct featureset *fs, struct policy_report *r)
{
    uint32_t limit = max->extd[8].a;
    uint32_t phys = guest->extd[8].a & 0xff, linear = guest->extd[8].a >> 8 & 0xff;
    bool wide = featureset_test(fs, X86_FEATURE_PAE) || featureset_test(fs, X86_FEATURE_PSE36);
    uint32_t leaf = EXTD_FIRST + 8, least = wide ? 36 : 32;

    if (policy_max_extd(guest) < leaf)
        return;
    if (linear != policy_linear_bits(guest) && linear < (limit >> 8 & 0xff))
        policy_fault(r, policy_fault_at(FAULT_LINEARADDR, leaf, POLICY_NONE, linear,
                                        policy_linear_bits(guest)));
    if (phys < least && phys < (limit & 0xff))
        policy_fault(r, policy_fault_at(FAULT_MAXPHYSADDR, leaf, POLICY_NONE, phys, least));
}

/* The hypervisor leaves' limits: Xen keeps a byte of each (4.14 to 4.22). */
static void check_hypervisor_limit(uint32_t leaf, uint32_t limit, struct policy_report *r)
{
    if (limit > 0xff)
        policy_fault(r, policy_fault_at(FAULT_MAX_LEAF, leaf, POLICY_NONE, limit, 0xff));
}

/*
 * What Xen takes from every guest, whatever its host has: a feature without what it stands on in
 * Xen's eyes, and a state component without its feature.  CPUs may have either, so policy_verify()
 * does not mind.
 */
static void check_closed(const struct cpu_policy *guest, const struct cpu_policy *max,
                         const struct featureset *fs, struct policy_report *r)
{
    unsigned int i;

    for (i = NR_FEATURE_REAL_NEEDS; i < NR_FEATURE_NEEDS; i++) {
        const struct feature_need *n = &feature_needs_direct[i];

        if (featureset_test(fs, n->feature) && !featureset_test(fs, n->needs))
            prerequisite_fault(n, r);
    }
    for_each_component(i, policy_xcr0(guest) & ~(1ull << 63))
    {
        uint32_t feature = xstate_feature(i);

        if (feature != POLICY_NONE && !featureset_test(fs, feature)) {
            struct policy_fault f = policy_fault_at(FAULT_XSTATE_FEATURE, 0xd, i, 1, 0);

            f.feature = feature;
            policy_fault(r, f);
        }
    }
    check_widths(guest, max, fs, r);
    check_hypervisor_limit(HV_FIRST, guest->hv_limit, r);
    check_hypervisor_limit(HV2_FIRST, guest->hv2_limit, r);
}

static void check_components(const struct cpu_policy *guest, const struct cpu_policy *max,
                             uint64_t guest_set, uint64_t host_set, struct policy_report *r)
{
    unsigned int i;

    for_each_component(i, guest_set)
    {
        const struct cpuid_regs *g = &guest->xstate[i], *h = &max->xstate[i];

        if (!((host_set >> i) & 1)) {
            policy_fault(r, policy_fault_at(FAULT_XSTATE_MISSING, 0xd, i, 1, 0));
            continue;
        }
        if (i < 2 || i == 63) /* x87, SSE and the last have no subleaves of their own */
            continue;
        if (g->a != h->a)
            policy_fault(r, policy_fault_at(FAULT_XSTATE_SIZE, 0xd, i, g->a, h->a));
        if (g->b != h->b)
            policy_fault(r, policy_fault_at(FAULT_XSTATE_OFFSET, 0xd, i, g->b, h->b));
        if (g->c != h->c || g->d != h->d)
            policy_fault(r, policy_fault_at(FAULT_XSTATE_FLAGS, 0xd, i, g->c | (uint64_t)g->d << 32,
                                            h->c | (uint64_t)h->d << 32));
    }
}

static void check_msrs(const struct cpu_policy *guest, const struct cpu_policy *max,
                       struct policy_report *r)
{
    struct policy_fault f = policy_fault_init(FAULT_MSR);

    /* ARCH_CAPS is in the featureset. */
    if (!(guest->platform_info & ~max->platform_info))
        return;
    f.msr = MSR_INTEL_PLATFORM_INFO;
    f.guest = guest->platform_info;
    f.host = max->platform_info;
    policy_fault(r, f);
}

int policy_check(const struct cpu_policy *guest, const struct policy_host *host,
                 struct policy_report *r)
{
    struct policy_report count_only = {NULL, 0, 0};
    const struct cpu_policy *max = host->max;
    struct featureset g, h;
    size_t before;

    if (!r)
        r = &count_only;
    before = r->count;

    if (guest->basic[0].b != max->basic[0].b || guest->basic[0].c != max->basic[0].c ||
        guest->basic[0].d != max->basic[0].d) {
        policy_fault(
            r, policy_fault_at(FAULT_VENDOR, 0, POLICY_NONE, guest->basic[0].b, max->basic[0].b));
        return -EINVAL;
    }

    policy_to_featureset(guest, &g);
    policy_to_featureset(max, &h);
    check_missing(&g, &h, r);
    if (host->deflt)
        check_hazards(guest, &g, host->deflt, r);
    check_fields(&g, &h, r);
    policy_check_fields(guest, max, &g, r);
    check_closed(guest, max, &g, r);
    check_components(guest, max, policy_xcr0(guest), policy_xcr0(max), r);
    check_components(guest, max, policy_xss(guest), policy_xss(max), r);
    check_msrs(guest, max, r);

    return r->count == before ? 0 : -EINVAL;
}
