/* SPDX-License-Identifier: MIT */
/* What leaves.c, verify.c, check.c and level.c share: families of leaves, vendors, reporting. */
#ifndef CPUID_POLICY_POLICY_PRIVATE_H
#define CPUID_POLICY_POLICY_PRIVATE_H

#include <cpuid-policy/policy.h>
#include "private.h"

#define EXTD_FIRST  0x80000000u
#define HV_FIRST    0x40000000u
#define HV2_FIRST   0x40000100u
#define XSTATE_AREA 576u /* legacy region and XSAVE header: SDM vol. 1, 13.4 */

/* State components by number: SDM vol. 1, 13.1; APM vol. 3, appendix E for LWP. */
enum {
    XSTATE_X87,
    XSTATE_SSE,
    XSTATE_AVX,
    XSTATE_BNDREGS,
    XSTATE_BNDCSR,
    XSTATE_OPMASK,
    XSTATE_ZMM,
    XSTATE_HI_ZMM,
    XSTATE_PT,
    XSTATE_PKRU,
    XSTATE_PASID,
    XSTATE_CET_U,
    XSTATE_CET_S,
    XSTATE_UINTR = 14,
    XSTATE_LBR = 15,
    XSTATE_TILECFG = 17,
    XSTATE_TILEDATA = 18,
    XSTATE_APX = 19,
    XSTATE_LWP = 62,
};

/* Subleaf D.n, n >= 2: ECX (SDM vol. 2A, CPUID, leaf D). */
#define XSTATE_SUPERVISOR (1u << 0)
#define XSTATE_ALIGN64    (1u << 1)

enum vendor {
    VENDOR_UNKNOWN,
    VENDOR_INTEL,
    VENDOR_AMD,
    VENDOR_HYGON,
    VENDOR_CENTAUR,
    VENDOR_SHANGHAI,
};

enum vendor policy_vendor_id(const struct cpu_policy *p);

static inline bool vendor_is_amd_like(enum vendor v)
{
    return v == VENDOR_AMD || v == VENDOR_HYGON;
}

/* Count one finding, and keep it if there is room.  r may be NULL. */
static inline void policy_fault(struct policy_report *r, struct policy_fault f)
{
    if (!r)
        return;
    if (r->count < r->max)
        r->faults[r->count] = f;
    r->count++;
}

/* A fault with every "where" empty. */
static inline struct policy_fault policy_fault_init(enum policy_fault_kind kind)
{
    return (struct policy_fault){
        .kind = kind,
        .index = POLICY_NONE,
        .leaf = POLICY_NONE,
        .subleaf = POLICY_NONE,
        .msr = POLICY_NONE,
        .feature = POLICY_NONE,
        .needs = POLICY_NONE,
        .reg = POLICY_NONE,
    };
}

/* A fault about a leaf, with the guest's and the host's value. */
static inline struct policy_fault policy_fault_at(enum policy_fault_kind kind, uint32_t leaf,
                                                  uint32_t subleaf, uint64_t guest, uint64_t host)
{
    struct policy_fault f = policy_fault_init(kind);

    f.leaf = leaf;
    f.subleaf = subleaf;
    f.guest = guest;
    f.host = host;
    return f;
}

static inline bool regs_empty(const struct cpuid_regs *r)
{
    return !(r->a | r->b | r->c | r->d);
}

static inline uint32_t policy_max_basic(const struct cpu_policy *p)
{
    return p->basic[0].a;
}

static inline uint32_t policy_max_extd(const struct cpu_policy *p)
{
    return p->extd[0].a;
}

/* The last leaf that is written and must be named: the maximum, as far as policies can hold it. */
static inline uint32_t policy_last_basic(const struct cpu_policy *p)
{
    return policy_max_basic(p) < POLICY_NR_BASIC ? policy_max_basic(p) : POLICY_NR_BASIC - 1;
}

/* The same of the extended leaves.  80000000 itself is always there, as Xen has it. */
static inline uint32_t policy_last_extd(const struct cpu_policy *p)
{
    uint32_t last = policy_max_extd(p);

    if (last < EXTD_FIRST)
        return EXTD_FIRST;
    return last - EXTD_FIRST < POLICY_NR_EXTD ? last : EXTD_FIRST + POLICY_NR_EXTD - 1;
}

/* XCR0 and XSS components that the policy has. */
static inline uint64_t policy_xcr0(const struct cpu_policy *p)
{
    return p->xstate[0].a | (uint64_t)p->xstate[0].d << 32;
}

static inline uint64_t policy_xss(const struct cpu_policy *p)
{
    return p->xstate[1].c | (uint64_t)p->xstate[1].d << 32;
}

/* Every family of leaves that has subleaves, with room for `count` of them. */
struct leaf_family {
    uint32_t leaf;
    uint16_t offset; /* of its array, in struct cpu_policy */
    uint16_t count;
};

#define POLICY_NR_FAMILIES 9
extern const struct leaf_family policy_families[POLICY_NR_FAMILIES];

/* The family that the leaf is, or NULL when it has no subleaves. */
const struct leaf_family *policy_family(uint32_t leaf);

/*
 * How much of the lists without a stated length Xen itself holds (4.14 to 4.22: six caches, two
 * levels of topology).  More than that is not named in a policy that Xen wrote.
 */
enum { XEN_NR_CACHE = 6, XEN_NR_TOPO = 2 };

/* How many subleaves of a family, from 0, the policy itself says there are; never more than it
 * can hold. */
uint32_t policy_named_subleaves(const struct cpu_policy *p, const struct leaf_family *f);

/* Iterate set bits of a 64-bit component mask. */
#define for_each_component(i, mask)                                                                \
    for (uint64_t m_ = (mask); m_ && ((i) = (unsigned int)__builtin_ctzll(m_), true); m_ &= m_ - 1)

/* Which components stand and fall with a feature; UINT32_MAX where no feature is known. */
uint32_t xstate_feature(unsigned int component);

/* The whole size of the XSAVE area in standard form with these user components. */
uint64_t xstate_standard_size(const struct cpu_policy *p, uint64_t xcr0);

#endif /* CPUID_POLICY_POLICY_PRIVATE_H */
