/* SPDX-License-Identifier: MIT */
/* See derive_unknown.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/releases.h>
#include <cpuid-policy/vocabulary.h>
#include <host-microcode.h>

#include "derive_unknown.h"
#include "features-gen.h"
#include "util.h"
#include "xc.h"

/* ---- what is settled ---- */

/*
 * Family 6 models with CPUID faulting: Ivy Bridge and every later model of the Core line and its
 * servers (Intel's FlexMigration application note; SDM vol. 4, MSR_PLATFORM_INFO
 * of each).  Of Atoms and Knights only the MSR tells.
 */
static const uint8_t with_faulting[] = {
    0x3a, 0x3e,             /* Ivy Bridge */
    0x3c, 0x3f, 0x45, 0x46, /* Haswell */
    0x3d, 0x47, 0x4f, 0x56, /* Broadwell */
    0x4e, 0x5e, 0x55,       /* Skylake; its servers, Cascade and Cooper Lake */
    0x8e, 0x9e, 0xa5, 0xa6, /* Kaby, Coffee, Comet Lake */
    0x7d, 0x7e, 0x6a, 0x6c, /* Ice Lake */
    0x8c, 0x8d, 0xa7,       /* Tiger, Rocket Lake */
    0x97, 0x9a, 0xb7, 0xba, 0xbf, 0x8f, 0xcf, 0xad, 0xae};

/*
 * Family 6 models whose design has enhanced IBRS and not Meltdown, whatever the microcode, from
 * this stepping on: Intel's table "Affected Processors: Transient Execution Attacks".
 */
static const struct {
    uint8_t model, stepping;
} with_eibrs[] = {{0x55, 6}, /* Cascade Lake, Cooper Lake */
                  {0x6a, 0}, {0x6c, 0}, {0x7e, 0}, {0x8c, 0}, {0x8d, 0},
                  {0xa7, 0}, {0x97, 0}, {0x9a, 0}, {0xb7, 0}, {0xba, 0},
                  {0xbf, 0}, {0x8f, 0}, {0xcf, 0}, {0xad, 0}, {0xae, 0}};

static bool one_of(unsigned int model, const uint8_t *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (models[i] == model)
            return true;
    return false;
}

static bool design_has_eibrs(unsigned int model, unsigned int stepping)
{
    for (size_t i = 0; i < sizeof(with_eibrs) / sizeof(with_eibrs[0]); i++)
        if (with_eibrs[i].model == model && stepping >= with_eibrs[i].stepping)
            return true;
    return false;
}

static bool is_known(const struct cpu_policy *mask, unsigned int feature)
{
    return !policy_has(mask, feature);
}

/* MSR CE: whether CPUID faults.  Returns whether family and model said that it does. */
static bool settle_faulting(struct cpu_policy *raw, struct cpu_policy *mask, bool by_model,
                            unsigned int model)
{
    uint32_t masks;

    if (!(mask->platform_info & PLATFORM_INFO_CPUID_FAULTING))
        return false;
    if (policy_vendor_id(raw) != CPU_VENDOR_INTEL && policy_vendor_id(raw) != CPU_VENDOR_UNKNOWN) {
        mask->platform_info = 0; /* the MSR is Intel's */
        return false;
    }
    if (!by_model)
        return false;
    if (!host_policy_levelling_caps(raw, false, XEN_NEWEST, &masks)) { /* older than faulting */
        mask->platform_info = 0;
        return false;
    }
    if (!one_of(model, with_faulting, sizeof(with_faulting)))
        return false;
    mask->platform_info = 0;
    raw->platform_info |= PLATFORM_INFO_CPUID_FAULTING;
    return true;
}

/* Bits of MSR 10A.  Returns whether family and model said some. */
static bool settle_arch_caps(struct cpu_policy *raw, struct cpu_policy *mask, bool by_model,
                             unsigned int model, unsigned int stepping)
{
    const uint64_t design =
        1ull << X86_FEATURE_EIBRS % 32 | 1ull << X86_FEATURE_RDCL_NO % 32; /* of the low half */

    if (!mask->arch_caps)
        return false;
    if (is_known(mask, X86_FEATURE_ARCH_CAPS) && !policy_has(raw, X86_FEATURE_ARCH_CAPS)) {
        mask->arch_caps = 0;
        return false;
    }
    if (!by_model || !policy_has(raw, X86_FEATURE_ARCH_CAPS) || !(mask->arch_caps & design) ||
        !design_has_eibrs(model, stepping))
        return false;
    raw->arch_caps |= mask->arch_caps & design;
    mask->arch_caps &= ~design;
    return true;
}

/*
 * Microcode against gather data sampling, which GDS_CTRL tells: without it Xen hides AVX and all
 * that stands on it.  Where a file does not show how old the microcode is, it is taken for one that
 * has it, and that is said; a file that does show it is believed.  Returns whether it was assumed.
 */
static bool assume_gds_microcode(struct cpu_policy *raw, struct cpu_policy *mask, bool by_model)
{
    const uint64_t bits = 1ull << X86_FEATURE_GDS_CTRL % 32 | 1ull << X86_FEATURE_GDS_NO % 32;
    struct featureset missing;

    if (!by_model || (mask->arch_caps & bits) != bits || !policy_has(raw, X86_FEATURE_ARCH_CAPS) ||
        !policy_has(raw, X86_FEATURE_AVX))
        return false;
    host_microcode_missing(raw, &missing);
    if (!featureset_test(&missing, X86_FEATURE_GDS_CTRL))
        return false;
    raw->arch_caps |= 1ull << X86_FEATURE_GDS_CTRL % 32;
    mask->arch_caps &= ~bits;
    return true;
}

/*
 * Leaf 7 of Core models before Ivy Bridge: microcode of 2018 and later put bits into EDX, nothing
 * else is there (SDM vol. 2A, CPUID leaf 7; the models' CPUID of any microcode).  Programs as old
 * as they do not ask for it.
 */
static void settle_leaf_7(struct cpu_policy *mask, bool by_model, unsigned int model)
{
    static const uint8_t without[] = {0x1a, 0x1e, 0x1f, 0x25, 0x2a, 0x2c, 0x2d, 0x2e, 0x2f};

    if (!by_model || !mask->feat[0].b || !one_of(model, without, sizeof(without)))
        return;
    memset(mask->feat, 0, sizeof(mask->feat));
    mask->feat[0].d = UINT32_MAX;
}

char *settle_unknown(struct cpu_policy *raw, struct cpu_policy *mask)
{
    unsigned int family, model, stepping;
    bool by_model, faulting, arch_caps, gds;

    policy_signature(raw, &family, &model, &stepping);
    by_model = policy_vendor_id(raw) == CPU_VENDOR_INTEL && family == 6 && !mask->basic[1].a &&
               is_known(mask, X86_FEATURE_HYPERVISOR) && !policy_has(raw, X86_FEATURE_HYPERVISOR);
    settle_leaf_7(mask, by_model, model);
    faulting = settle_faulting(raw, mask, by_model, model);
    arch_caps = settle_arch_caps(raw, mask, by_model, model, stepping);
    gds = assume_gds_microcode(raw, mask, by_model);
    if (!faulting && !arch_caps && !gds)
        return NULL;
    return xasprintf(
        "%s%s%s%s%s%s", faulting || arch_caps ? "taken from family and model: " : "",
        faulting ? "CPUID faulting (MSR CE)" : "", faulting && arch_caps ? "; " : "",
        arch_caps ? "eibrs and rdcl-no (MSR 10A)" : "", (faulting || arch_caps) && gds ? "; " : "",
        gds ? "assumed: microcode of 2023-08 or newer (gds-ctrl); with an older one Xen "
              "hides avx and what stands on it"
            : "");
}

/* ---- what follows ---- */

static bool is_for_hvm(unsigned int i)
{
    return i != XC_POLICY_HOST && i != XC_POLICY_PV_MAX && i != XC_POLICY_PV_DEFAULT;
}

/* Derive once more, and note what comes out otherwise. */
static void try_variant(const struct cpu_policy *raw, const struct host_options *options,
                        struct cpu_policy *room, struct derived *d)
{
    bool has_hvm, has_hap;

    room[0] = *raw;
    host_policies_derive(room, options, &has_hvm, &has_hap);
    for (unsigned int i = 1; i < HOST_POLICIES; i++)
        if (has_hvm || !is_for_hvm(i))
            unknown_add_difference(&d->unknown[i], &d->policy[i], &room[i]);
}

static void flip_feature(struct cpu_policy *p, unsigned int feature)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    fs.w[feature / 32] ^= 1u << feature % 32;
    policy_from_featureset(p, &fs);
}

/* What the hypervisor makes itself of a CPU without the unknown bits is not known either. */
static void clear_unknown(struct cpu_policy *p, const struct cpu_policy *mask)
{
    struct featureset fs, unknown;

    unknown_features(mask, &unknown);
    policy_to_featureset(p, &fs);
    featureset_andnot(&fs, &fs, &unknown);
    policy_from_featureset(p, &fs);
    p->platform_info &= ~mask->platform_info;
}

/* A host that runs HVM guests, where the source does not say. */
static void assume_hvm(struct cpu_policy *raw, const struct cpu_policy *mask)
{
    enum cpu_vendor vendor = policy_vendor_id(raw);

    if (vendor == CPU_VENDOR_INTEL && !is_known(mask, X86_FEATURE_VMX))
        raw->basic[1].c |= feature_bit(X86_FEATURE_VMX);
    if (vendor_is_amd_like(vendor) && !is_known(mask, X86_FEATURE_SVM)) {
        raw->extd[1].c |= feature_bit(X86_FEATURE_SVM);
        raw->extd[0xa].d |= mask->extd[0xa].d & 1; /* nested paging */
    }
}

void derive_unknown(const struct cpu_policy *raw, const struct cpu_policy *mask,
                    const struct host_options *options, struct derived *d)
{
    struct cpu_policy *room = xcalloc(HOST_POLICIES + 3, sizeof(*room));
    struct cpu_policy *none = &room[HOST_POLICIES], *all = none + 1, *variant = none + 2;
    struct featureset unknown;

    memset(d, 0, sizeof(*d));
    *none = *raw;
    assume_hvm(none, mask);
    d->policy[0] = *none;
    host_policies_derive(d->policy, options, &d->has_hvm, &d->has_hap);
    d->unknown[0] = *mask;
    d->unknown[0].platform_info &= PLATFORM_INFO_CPUID_FAULTING;
    if (unknown_any(mask)) {
        *all = *raw;
        unknown_set(all, mask);
        try_variant(all, options, room, d);
        unknown_features(mask, &unknown);
        for (int f = featureset_next(&unknown, 0); f >= 0;
             f = featureset_next(&unknown, (unsigned int)f + 1)) {
            *variant = *none;
            flip_feature(variant, (unsigned int)f);
            try_variant(variant, options, room, d);
            *variant = *all;
            flip_feature(variant, (unsigned int)f);
            try_variant(variant, options, room, d);
        }
    }
    for (unsigned int i = 1; i < HOST_POLICIES; i++)
        clear_unknown(&d->policy[i], &d->unknown[i]);
    if (!d->has_hvm)
        for (unsigned int i = 1; i < HOST_POLICIES; i++)
            if (is_for_hvm(i))
                memset(&d->unknown[i], 0, sizeof(d->unknown[i]));
    free(room);
}

/* ---- what is missing ---- */

static void add_missing(char **list, uint32_t leaf)
{
    char *longer = xasprintf("%s%s%x", *list ? *list : "", *list ? ", " : "", leaf);

    free(*list);
    *list = longer;
}

char *find_missing_leaves(const struct cpu_policy *raw, const struct cpu_policy *mask)
{
    const uint32_t all = 0xffffffffu;
    char *list = NULL;

    if (mask->basic[1].a == all)
        add_missing(&list, 1);
    if (raw->basic[0].a >= 7 && mask->feat[0].b == all)
        add_missing(&list, 7);
    if (raw->basic[0].a >= 0xd && mask->xstate[0].a == all)
        add_missing(&list, 0xd);
    if (mask->extd[0].a == all) {
        add_missing(&list, EXTD_FIRST);
        return list;
    }
    for (uint32_t leaf = EXTD_FIRST + 1; leaf <= EXTD_FIRST + 8; leaf += 7)
        if (raw->extd[0].a >= leaf && mask->extd[leaf - EXTD_FIRST].a == all)
            add_missing(&list, leaf);
    return list;
}
