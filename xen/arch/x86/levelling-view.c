/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest's programs see of the CPU.  See levelling-view.h.
 *
 * Sources: Intel SDM vol. 2A and AMD APM vol. 3, appendix E, for what stands in which leaf; for
 * what a mask does levelling-intel.c and levelling-amd.c.
 */
#include <levelling-view.h>
#include <levelling.h>

#include <xen/sysctl.h>

#include "features-gen.h"

/* The word that each masking capability covers. */
static const struct {
    uint32_t cap;
    unsigned int word;
} masked[] = {
    {XEN_SYSCTL_CPU_LEVELCAP_ecx, FEATURESET_1c},
    {XEN_SYSCTL_CPU_LEVELCAP_edx, FEATURESET_1d},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_ecx, FEATURESET_e1c},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_edx, FEATURESET_e1d},
    {XEN_SYSCTL_CPU_LEVELCAP_xsave_eax, FEATURESET_Da1},
    {XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx, FEATURESET_6c},
    {XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx, FEATURESET_7b0},
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- what is seen ---- */

/* A mask takes away and never adds: an AMD override is not let beyond the CPU's own value. */
static void see_masked(uint32_t caps, const struct cpu_policy *policy, struct cpu_policy *seen)
{
    struct featureset fs, told;

    policy_to_featureset(seen, &fs);
    policy_to_featureset(policy, &told);
    for (unsigned int i = 0; i < COUNT(masked); i++)
        if (caps & masked[i].cap)
            fs.w[masked[i].word] &= told.w[masked[i].word];
    policy_from_featureset(seen, &fs);
    /* A number, the highest subleaf: the lower one. */
    if ((caps & XEN_SYSCTL_CPU_LEVELCAP_l7s0_eax) && policy->feat[0].a < seen->feat[0].a)
        seen->feat[0].a = policy->feat[0].a;
}

/* A leaf that is not reached: programs do not ask beyond the maxima that CPUID names. */
static void see_reachable(struct cpu_policy *seen)
{
    for (uint32_t i = seen->feat[0].a; i < POLICY_NR_FEAT - 1; i++)
        seen->feat[i + 1] = (struct cpuid_regs){0};
}

/* ---- what differs ---- */

enum reg { EAX, EBX, ECX, EDX };

#define ALL      0xffffffffu
#define ANY_LEAF 0xffffffffu /* of subleaves: all of them */
#define IGNORED  PV_AREAS    /* a vCPU's place, or its state */

struct field {
    uint32_t leaf, subleaf;
    uint8_t reg, area;
    uint32_t bits;
};

/* What stands where.  What is in no row is PV_AREA_OTHER; named features are taken out before. */
static const struct field fields[] = {
    {0x1, ANY_LEAF, EBX, IGNORED, 0xff000000u}, /* APIC id */
    {0x1, ANY_LEAF, ECX, IGNORED, 1u << X86_FEATURE_OSXSAVE % 32},
    {0x7, 0, ECX, IGNORED, 1u << (X86_FEATURE_OSPKE % 32)},
    {0xb, ANY_LEAF, ECX, IGNORED, 0xff}, /* the subleaf's number */
    {0xb, ANY_LEAF, EDX, IGNORED, ALL},  /* x2APIC id */
    {0x1f, ANY_LEAF, ECX, IGNORED, 0xff},
    {0x1f, ANY_LEAF, EDX, IGNORED, ALL},
    {0xd, 0, EBX, IGNORED, ALL}, /* sizes for the XCR0 of now */
    {0xd, 1, EBX, IGNORED, ALL},
    {0x8000001e, ANY_LEAF, EAX, IGNORED, ALL}, /* APIC, core and node id */
    {0x8000001e, ANY_LEAF, EBX, IGNORED, 0xff},
    {0x8000001e, ANY_LEAF, ECX, IGNORED, 0xff},
    {0x80000026, ANY_LEAF, ECX, IGNORED, 0xff},
    {0x80000026, ANY_LEAF, EDX, IGNORED, ALL},

    {0x0, ANY_LEAF, EAX, PV_AREA_LEAVES, ALL},
    {0x0, ANY_LEAF, EBX, PV_AREA_VENDOR, ALL},
    {0x0, ANY_LEAF, ECX, PV_AREA_VENDOR, ALL},
    {0x0, ANY_LEAF, EDX, PV_AREA_VENDOR, ALL},
    {0x80000000, ANY_LEAF, EAX, PV_AREA_LEAVES, ALL},
    {0x80000000, ANY_LEAF, EBX, PV_AREA_VENDOR, ALL},
    {0x80000000, ANY_LEAF, ECX, PV_AREA_VENDOR, ALL},
    {0x80000000, ANY_LEAF, EDX, PV_AREA_VENDOR, ALL},
    {0x7, 0, EAX, PV_AREA_LEAVES, ALL},
    {0x1, ANY_LEAF, EAX, PV_AREA_MODEL, ALL},
    {0x1, ANY_LEAF, EBX, PV_AREA_BRAND, 0xff},
    {0x1, ANY_LEAF, EBX, PV_AREA_CACHES, 0xff00},
    {0x1, ANY_LEAF, EBX, PV_AREA_TOPOLOGY, 0xff0000},
    {0x1, ANY_LEAF, EDX, PV_AREA_TOPOLOGY, 1u << (X86_FEATURE_HTT % 32)},
    {0x80000001, ANY_LEAF, EAX, PV_AREA_MODEL, ALL},
    {0x80000001, ANY_LEAF, EBX, PV_AREA_BRAND, ALL},
    {0x80000001, ANY_LEAF, ECX, PV_AREA_TOPOLOGY, 1u << (X86_FEATURE_CMP_LEGACY % 32)},
    {0x4, ANY_LEAF, EAX, PV_AREA_TOPOLOGY, 0xffffc000u}, /* who shares it */
    {0x80000008, ANY_LEAF, EAX, PV_AREA_WIDTHS, ALL},
    {0x80000008, ANY_LEAF, ECX, PV_AREA_TOPOLOGY, ALL},
    {0x8000001d, ANY_LEAF, EAX, PV_AREA_TOPOLOGY, 0xffffc000u},
};

/* Leaves of which all that is left belongs to one area. */
static const struct {
    uint32_t first, last;
    uint8_t area;
} ranges[] = {
    {0x2, 0x2, PV_AREA_CACHES},
    {0x4, 0x4, PV_AREA_CACHES},
    {0x18, 0x18, PV_AREA_CACHES},
    {0xb, 0xb, PV_AREA_TOPOLOGY},
    {0x1f, 0x1f, PV_AREA_TOPOLOGY},
    {0xd, 0xd, PV_AREA_XSTATE},
    {0x80000002u, 0x80000004u, PV_AREA_BRAND},
    {0x80000005u, 0x80000006u, PV_AREA_CACHES},
    {0x80000019u, 0x80000019u, PV_AREA_CACHES},
    {0x8000001du, 0x8000001du, PV_AREA_CACHES},
    {0x8000001eu, 0x8000001eu, PV_AREA_TOPOLOGY},
    {0x80000026u, 0x80000026u, PV_AREA_TOPOLOGY},
};

/* Of one leaf the bits that differ, features no longer among them. */
static void add_areas(uint32_t leaf, uint32_t subleaf, uint32_t differ[4], struct pv_change *c)
{
    for (unsigned int i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];

        if (f->leaf != leaf || (f->subleaf != ANY_LEAF && f->subleaf != subleaf))
            continue;
        if ((differ[f->reg] & f->bits) && f->area != IGNORED)
            c->areas |= 1u << f->area;
        differ[f->reg] &= ~f->bits;
    }
    if (!(differ[EAX] | differ[EBX] | differ[ECX] | differ[EDX]))
        return;
    for (unsigned int i = 0; i < COUNT(ranges); i++)
        if (leaf >= ranges[i].first && leaf <= ranges[i].last) {
            c->areas |= 1u << ranges[i].area;
            return;
        }
    c->areas |= 1u << PV_AREA_OTHER;
    if (leaf < 64)
        c->basic |= 1ull << leaf;
    else if (leaf - 0x80000000u < 64)
        c->extd |= 1ull << (leaf - 0x80000000u);
}

/* Bits that are told as features: those with a name that are no numbers, and in CPUID. */
static void as_features(struct featureset *fs)
{
    const uint32_t state[] = {X86_FEATURE_OSXSAVE, X86_FEATURE_OSPKE, X86_FEATURE_HTT,
                              X86_FEATURE_CMP_LEGACY};

    featureset_and(fs, fs, featureset_known());
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(fs, fs, featureset_number_bits());
    for (unsigned int i = 0; i < COUNT(state); i++)
        featureset_clear(fs, state[i]);
    /* MSRs are not read with CPUID: Xen answers for them. */
    fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = 0;
}

/* Both sets, and in `told` the bits of each word that they tell of. */
static void add_features(const struct cpu_policy *a, const struct cpu_policy *b,
                         struct featureset *told, struct pv_change *c)
{
    const uint32_t mirrors = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];
    struct featureset before, after;

    policy_to_featureset(a, &before);
    policy_to_featureset(b, &after);
    featureset_andnot(&c->appear, &after, &before);
    featureset_andnot(&c->vanish, &before, &after);
    as_features(&c->appear);
    as_features(&c->vanish);
    featureset_or(told, &c->appear, &c->vanish);
    /* AMD's copy of a bit that is told already. */
    told->w[FEATURESET_e1d] |= told->w[FEATURESET_1d] & mirrors;
}

static void take_told(const struct featureset *told, uint32_t leaf, uint32_t subleaf,
                      uint32_t differ[4])
{
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);

        if (info->leaf == leaf && info->msr == POLICY_NONE &&
            (info->subleaf == POLICY_NONE || info->subleaf == subleaf))
            differ[info->reg] &= ~told->w[w];
    }
}

static void compare_leaf(const struct cpu_policy *a, const struct cpu_policy *b, uint32_t leaf,
                         uint32_t subleaf, const struct featureset *told, struct pv_change *c)
{
    const struct cpuid_regs *x = policy_leaf_const(a, leaf, subleaf);
    const struct cpuid_regs *y = policy_leaf_const(b, leaf, subleaf);
    uint32_t differ[4];

    if (!x || !y)
        return;
    differ[EAX] = x->a ^ y->a;
    differ[EBX] = x->b ^ y->b;
    differ[ECX] = x->c ^ y->c;
    differ[EDX] = x->d ^ y->d;
    if (!(differ[EAX] | differ[EBX] | differ[ECX] | differ[EDX]))
        return;
    take_told(told, leaf, subleaf, differ);
    add_areas(leaf, subleaf, differ, c);
}

static void compare_views(const struct cpu_policy *a, const struct cpu_policy *b,
                          struct pv_change *c)
{
    struct featureset told;

    *c = (struct pv_change){.areas = 0};
    add_features(a, b, &told, c);
    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++) {
        if (!policy_leaf_has_subleaves(leaf))
            compare_leaf(a, b, leaf, POLICY_NONE, &told, c);
        /* policy_leaf_const() ends it. */
        for (uint32_t i = 0; policy_leaf_has_subleaves(leaf) && i < POLICY_NR_XSTATE; i++)
            compare_leaf(a, b, leaf, i, &told, c);
    }
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        compare_leaf(a, b, 0x80000000u + i, POLICY_NONE, &told, c);
}

void levelling_pv_view(uint32_t caps, const struct cpu_policy *raw, const struct cpu_policy *policy,
                       struct pv_view *view)
{
    view->exact = caps & XEN_SYSCTL_CPU_LEVELCAP_faulting;
    view->beyond = (struct pv_change){.areas = 0};
    if (view->exact) {
        view->seen = *policy;
        return;
    }
    view->seen = *raw;
    see_masked(caps, policy, &view->seen);
    see_reachable(&view->seen);
    compare_views(policy, &view->seen, &view->beyond);
    view->beyond.areas |= 1u << PV_AREA_HYPERVISOR;
}

void levelling_pv_move(const struct pv_view *from, const struct pv_view *to, struct pv_change *c)
{
    compare_views(&from->seen, &to->seen, c);
    /* Of two CPUs that answer in Xen's place, each in its way: the same, when they are the same. */
    if (from->exact != to->exact)
        c->areas |= 1u << PV_AREA_HYPERVISOR;
}

bool levelling_pv_same(const struct pv_change *c)
{
    return !c->areas && featureset_empty(&c->appear) && featureset_empty(&c->vanish);
}

void levelling_visible(uint32_t caps, const struct cpu_policy *raw, const struct cpu_policy *guest,
                       struct featureset *visible)
{
    struct featureset told;

    *visible = (struct featureset){{0}};
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_faulting)
        return;
    policy_to_featureset(raw, visible);
    policy_to_featureset(guest, &told);
    for (unsigned int i = 0; i < COUNT(masked); i++)
        if (caps & masked[i].cap)
            visible->w[masked[i].word] = 0;
    featureset_andnot(visible, visible, &told);
    as_features(visible);
    featureset_andnot(visible, visible, featureset_merge_mask(MERGE_DYNAMIC));
}

/* ---- names ---- */

const char *levelling_pv_area_name(unsigned int area)
{
    static const char *const names[PV_AREAS] = {
        [PV_AREA_VENDOR] = "vendor",
        [PV_AREA_MODEL] = "family and model",
        [PV_AREA_BRAND] = "brand",
        [PV_AREA_LEAVES] = "highest leaves",
        [PV_AREA_CACHES] = "caches",
        [PV_AREA_TOPOLOGY] = "topology",
        [PV_AREA_WIDTHS] = "address widths",
        [PV_AREA_XSTATE] = "XSAVE area",
        [PV_AREA_HYPERVISOR] = "hypervisor leaves",
        [PV_AREA_OTHER] = "other leaves",
    };

    return area < PV_AREAS ? names[area] : NULL;
}

const char *levelling_kind_name(enum levelling_kind kind)
{
    switch (kind) {
    case LEVELLING_NONE:
        return "none";
    case LEVELLING_INTEL_V1:
        return "Intel masking MSR 478";
    case LEVELLING_INTEL_V2:
        return "Intel masking MSRs 130, 131";
    case LEVELLING_INTEL_V3:
        return "Intel masking MSRs 132 to 134";
    case LEVELLING_INTEL_FAULTING:
        return "Intel CPUID faulting";
    case LEVELLING_AMD:
        return "AMD override MSRs";
    case LEVELLING_AMD_USERDIS:
        return "AMD CpuidUserDis";
    }
    return "unknown";
}
