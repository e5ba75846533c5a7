/* SPDX-License-Identifier: MIT */
/*
 * How stock Xen gives a domain its policy.  See stock.h.  Numbers and rules are those of Xen 4.17's
 * sources, and were seen on it; where newer versions differ the row says which.
 */
#include <string.h>

#include <cpuid-policy/releases.h>
#include <cpuid-policy/vocabulary.h>
#include <sim/stock.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

/* What its policies hold: leaves 0 to D, so many subleaves, 80000000 to 80000008 or 80000021. */
#define MAX_BASIC      0xdu
#define NR_CACHE       6u
#define NR_FEAT        3u
#define NR_TOPO        2u
#define NR_XSTATE      63u
#define EXTD           0x80000000u
#define MAX_EXTD       0x80000021u
#define MAX_EXTD_INTEL 0x80000008u

#define AREA_MIN      576u /* legacy region and XSAVE header */
#define XCR0_X87_SSE  0x3u /* always there */
#define SHADOW_BITS   44u  /* frame numbers of 32 bits */
#define P2M_BITS      48u  /* page tables of 4 levels */
#define HOST_MAX_BITS 52u

#define VERSION_THAT_COMPARES_VENDORS 22u

static const struct cpuid_regs zero;

static uint32_t lower_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void zero_leaves(struct cpuid_regs *l, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++)
        l[i] = zero;
}

enum maker { MAKER_OTHER, MAKER_INTEL, MAKER_AMD }; /* AMD: Hygon too */

static enum maker maker_of(const struct cpu_policy *p)
{
    char vendor[13];

    policy_vendor(p, vendor);
    if (!strcmp(vendor, "GenuineIntel"))
        return MAKER_INTEL;
    return !strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine") ? MAKER_AMD
                                                                              : MAKER_OTHER;
}

/* The most that a guest of this type may have, as Xen has it: one for all HVM guests. */
static const struct cpu_policy *system_max(const struct domain *d)
{
    return &d->hv->policies[d->hvm ? XEN_SYSCTL_cpu_policy_hvm_max : XEN_SYSCTL_cpu_policy_pv_max];
}

/* ---- recalculation ---- */

static void clamp_maxima(struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t extd = maker_of(p) == MAKER_AMD ? MAX_EXTD : MAX_EXTD_INTEL;

    p->basic[0].a = lower_of(p->basic[0].a, max->basic[0].a);
    p->feat[0].a = lower_of(p->feat[0].a, max->feat[0].a);
    p->extd[0].a = EXTD | lower_of(p->extd[0].a & 0xffffu, extd & 0xffffu);
}

static void clamp_features(const struct domain *d, struct cpu_policy *p,
                           const struct cpu_policy *max)
{
    static const uint16_t hosts[] = {X86_FEATURE_FDP_EXCP_ONLY, X86_FEATURE_NO_FPU_SEL};
    struct featureset fs, most, host;

    policy_to_featureset(p, &fs);
    policy_to_featureset(max, &most);
    policy_to_featureset(&d->hv->policies[XEN_SYSCTL_cpu_policy_host], &host);
    if (d->hvm && !d->hap)
        featureset_and(&most, &most,
                       release_guest_max(400 + d->hv->policy_way->minor, GUEST_HVM_SHADOW));
    if (d->hvm && !(d->config.flags & XEN_DOMCTL_CDF_nested_virt)) {
        featureset_clear(&most, X86_FEATURE_VMX);
        featureset_clear(&most, X86_FEATURE_SVM);
    }
    featureset_and(&fs, &fs, &most);
    if (p->basic[0].a < 0xd)
        featureset_clear(&fs, X86_FEATURE_XSAVE);
    stock_close(&fs, d->hv->policy_way->minor);
    for (unsigned int i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        if (featureset_test(&host, hosts[i]))
            featureset_set(&fs, hosts[i]);
        else
            featureset_clear(&fs, hosts[i]);
    policy_from_featureset(p, &fs);
}

/* Physical addresses of guests end where the host's and its page tables do. */
static uint32_t paddr_bits(const struct domain *d)
{
    uint32_t raw = d->hv->policies[XEN_SYSCTL_cpu_policy_raw].extd[8].a;
    uint32_t bits = raw & 0xffu, guest = raw >> 16 & 0xffu;

    if (d->hvm && d->hap && guest)
        bits = guest;
    bits = lower_of(bits, HOST_MAX_BITS);
    if (!d->hvm)
        return bits;
    return lower_of(bits, d->hap ? P2M_BITS : SHADOW_BITS);
}

static void clamp_widths(const struct domain *d, struct cpu_policy *p, const struct cpu_policy *max)
{
    uint32_t phys = lower_of(p->extd[8].a & 0xffu, max->extd[8].a & 0xffu);
    uint32_t least = policy_has(p, X86_FEATURE_PAE) || policy_has(p, X86_FEATURE_PSE36) ? 36 : 32;
    uint32_t linear = policy_has(p, X86_FEATURE_LM) ? 48 : 32;

    phys = lower_of(phys, paddr_bits(d));
    if (phys < least)
        phys = least;
    p->extd[8].a = (p->extd[8].a & 0xffff0000u) | linear << 8 | phys;
    p->basic[1].b = (p->basic[1].b & ~0xff00u) | (max->basic[1].b & 0xff00u); /* CLFLUSH */
}

/* Leaf D from nothing but the features: sizes and places are the hardware's. */
static void make_xstate(const struct domain *d, struct cpu_policy *p)
{
    static const struct {
        uint16_t feature;
        uint32_t components;
    } states[] = {
        {X86_FEATURE_AVX, 1u << 2},
        {X86_FEATURE_MPX, 3u << 3},
        {X86_FEATURE_AVX512F, 7u << 5},
        {X86_FEATURE_PKU, 1u << 9},
    };
    const struct cpuid_regs *hardware = d->hv->policies[XEN_SYSCTL_cpu_policy_raw].xstate;
    uint32_t xcr0 = XCR0_X87_SSE, size = AREA_MIN, instructions = p->xstate[1].a;

    zero_leaves(p->xstate, 0, POLICY_NR_XSTATE);
    if (!policy_has(p, X86_FEATURE_XSAVE))
        return;
    for (unsigned int i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (policy_has(p, states[i].feature))
            xcr0 |= states[i].components;
    for (unsigned int i = 2; i < 32; i++) {
        if (!(xcr0 >> i & 1))
            continue;
        p->xstate[i] = (struct cpuid_regs){hardware[i].a, hardware[i].b, hardware[i].c & 2, 0};
        if (size < hardware[i].a + hardware[i].b)
            size = hardware[i].a + hardware[i].b;
    }
    p->xstate[0] = (struct cpuid_regs){xcr0, 0, size, 0};
    p->xstate[1].a = instructions;
}

/* What no guest sees. */
static void hide_leaves(struct cpu_policy *p)
{
    p->basic[1].a &= 0x0fff0fffu; /* the processor type */
    p->basic[1].b &= 0x00ffffffu; /* the APIC id */
    p->basic[5] = p->basic[6] = p->basic[8] = p->basic[0xc] = zero;
    p->basic[0xa] = zero; /* the PMU is virtualised only when the command line says so */
    zero_leaves(p->topo, 0, POLICY_NR_TOPO);
    p->extd[7].a = p->extd[7].b = p->extd[7].c = 0;
    p->extd[8].d = 0;
    p->hv_limit &= 0xffu; /* kept in a byte */
    p->hv2_limit &= 0xffu;
    if (!policy_has(p, X86_FEATURE_SVM))
        p->extd[0xa] = zero;
}

static void hide_leaves_intel(struct cpu_policy *p)
{
    p->basic[2].a = (p->basic[2].a & ~0xffu) | 1; /* one query tells all */
    p->basic[3] = p->basic[9] = zero;
    p->extd[0].b = p->extd[0].c = p->extd[0].d = 0;
    p->extd[1].a = p->extd[1].b = 0;
    p->extd[5] = zero;
    p->extd[6].a = p->extd[6].b = p->extd[6].d = 0;
    p->extd[8].a &= 0xffffu;
    p->extd[8].c = 0;
}

static void hide_leaves_amd(struct cpu_policy *p)
{
    p->basic[2] = p->basic[3] = p->basic[9] = zero;
    zero_leaves(p->cache, 0, POLICY_NR_CACHE);
    p->extd[0].b = p->basic[0].b;
    p->extd[0].c = p->basic[0].c;
    p->extd[0].d = p->basic[0].d;
    p->extd[1].a = p->basic[1].a;
    p->extd[1].b &= 0xff00ffffu;
    p->extd[8].a &= 0xffffu;
    p->extd[8].c &= 0x0003f0ffu;
    p->extd[9] = zero;
    zero_leaves(p->extd, 0xb, 0x19);
    zero_leaves(p->extd, 0x1b, 0x21);
    p->extd[0x21].b = p->extd[0x21].d = 0;
}

/* Leaf 4 up to the first subleaf that is no cache; 80000019 only with the pages that it counts. */
static void trim_caches(struct cpu_policy *p)
{
    unsigned int i = 0;

    for (; i < NR_CACHE && (p->cache[i].a & 0x1f) >= 1 && (p->cache[i].a & 0x1f) <= 3; i++) {
        p->cache[i].a &= 0xffffc3ffu;
        p->cache[i].d &= 7;
    }
    zero_leaves(p->cache, i, POLICY_NR_CACHE);
    if (!policy_has(p, X86_FEATURE_PAGE1GB))
        p->extd[0x19] = zero;
}

static void recalculate_policy(const struct domain *d, struct cpu_policy *p)
{
    const struct cpu_policy *max = system_max(d);

    clamp_maxima(p, max);
    clamp_features(d, p, max);
    clamp_widths(d, p, max);
    make_xstate(d, p);
    hide_leaves(p);
    if (maker_of(p) == MAKER_INTEL)
        hide_leaves_intel(p);
    else if (maker_of(p) == MAKER_AMD)
        hide_leaves_amd(p);
    trim_caches(p);
    host_policy_for_domain(p);
    policy_trim(p);
}

/* ---- what the toolstack gives ---- */

/* How many subleaves of this leaf Xen has room for; 0: it has none. */
static uint32_t nr_subleaves(uint32_t leaf)
{
    switch (leaf) {
    case 4:
        return NR_CACHE;
    case 7:
        return NR_FEAT;
    case 0xb:
        return NR_TOPO;
    case 0xd:
        return NR_XSTATE;
    default:
        return 0;
    }
}

/* One entry over what is there: in any order, any number of times. */
static bool merge_leaf(struct cpu_policy *p, const xen_cpuid_leaf_t *l)
{
    uint32_t room = nr_subleaves(l->leaf);
    struct cpuid_regs *slot;

    if (room ? l->subleaf >= room : l->subleaf != POLICY_NONE)
        return false;
    if (l->leaf == 0x40000000u) {
        p->hv_limit = l->a & 0xffu;
        return true;
    }
    if (l->leaf == 0x40000100u) {
        p->hv2_limit = l->a & 0xffu;
        return true;
    }
    if (l->leaf > MAX_BASIC && (l->leaf < EXTD || l->leaf > MAX_EXTD))
        return false;
    slot = policy_leaf(p, l->leaf, l->subleaf);
    if (!slot)
        return false;
    *slot = (struct cpuid_regs){l->a, l->b, l->c, l->d};
    return true;
}

static long merge_msr(struct cpu_policy *p, const xen_msr_entry_t *m)
{
    if (m->flags)
        return -XEN_EINVAL;
    switch (m->idx) {
    case MSR_INTEL_PLATFORM_INFO:
        if (m->val > UINT32_MAX) /* kept in 32 bits */
            return -XEN_EOVERFLOW;
        p->platform_info = m->val;
        return 0;
    case MSR_ARCH_CAPABILITIES:
        p->arch_caps = m->val;
        return 0;
    default:
        return -XEN_ERANGE;
    }
}

/* Zero what lies beyond the policy's own ends. */
static void clear_out_of_range(struct cpu_policy *p)
{
    uint32_t basic = p->basic[0].a, extd = p->extd[0].a & 0xffffu;
    unsigned int caches = 0;

    while (caches < NR_CACHE && (p->cache[caches].a & 0x1f))
        caches++;
    zero_leaves(p->basic, (size_t)basic + 1, POLICY_NR_BASIC);
    zero_leaves(p->cache, basic < 4 ? 0 : caches, POLICY_NR_CACHE);
    zero_leaves(p->feat, basic < 7 ? 0 : (size_t)p->feat[0].a + 1, POLICY_NR_FEAT);
    if (basic < 0xd || !(p->xstate[0].a | p->xstate[0].d | p->xstate[1].c | p->xstate[1].d))
        zero_leaves(p->xstate, 0, POLICY_NR_XSTATE);
    zero_leaves(p->extd, extd + 1, POLICY_NR_EXTD);
}

/* All that Xen looks at before it takes a policy. */
static bool audit_policy(const struct domain *d, const struct cpu_policy *p,
                         struct xen_domctl_cpu_policy *op)
{
    const struct cpu_policy *max = system_max(d);

    if (p->basic[0].a > max->basic[0].a ||
        (d->hv->policy_way->minor >= VERSION_THAT_COMPARES_VENDORS &&
         (p->basic[0].b != max->basic[0].b || p->basic[0].c != max->basic[0].c ||
          p->basic[0].d != max->basic[0].d))) {
        op->err_leaf = 0;
    } else if (p->feat[0].a > max->feat[0].a) {
        op->err_leaf = 7;
        op->err_subleaf = 0;
    } else if (p->extd[0].a > max->extd[0].a) {
        op->err_leaf = EXTD;
    } else if (p->platform_info & ~max->platform_info) {
        op->err_msr = MSR_INTEL_PLATFORM_INFO;
    } else {
        return true;
    }
    return false;
}

static long set_policy(const struct domain *d, struct cpu_policy *p,
                       struct xen_domctl_cpu_policy *op, const xen_cpuid_leaf_t *leaves,
                       const xen_msr_entry_t *msrs)
{
    for (uint32_t i = 0; i < op->nr_leaves; i++)
        if (!merge_leaf(p, &leaves[i])) {
            op->err_leaf = leaves[i].leaf;
            op->err_subleaf = leaves[i].subleaf;
            return -XEN_ERANGE;
        }
    for (uint32_t i = 0; i < op->nr_msrs; i++) {
        long rc = merge_msr(p, &msrs[i]);

        if (rc) {
            op->err_msr = msrs[i].idx;
            return rc;
        }
    }
    clear_out_of_range(p);
    if (!audit_policy(d, p, op))
        return -XEN_EINVAL;
    recalculate_policy(d, p);
    return 0;
}

static void cut_at_birth(const struct domain *d, struct cpu_policy *p)
{
    if (d->hvm)
        *p = d->hv->policies[XEN_SYSCTL_cpu_policy_hvm_default];
    recalculate_policy(d, p);
}

const struct policy_way *stock_way(unsigned int minor)
{
    static const struct policy_way ways[] = {
        {cut_at_birth, set_policy, 17}, {cut_at_birth, set_policy, 18},
        {cut_at_birth, set_policy, 19}, {cut_at_birth, set_policy, 20},
        {cut_at_birth, set_policy, 21}, {cut_at_birth, set_policy, 22},
    };

    return minor >= STOCK_FIRST && minor <= STOCK_LAST ? &ways[minor - STOCK_FIRST] : NULL;
}
