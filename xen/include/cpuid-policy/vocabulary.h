/* SPDX-License-Identifier: MIT */
/*
 * The words in which everything that deals with policies speaks of a CPU: vendors, ranges of
 * leaves, components of the XSAVE area and the features that they are there for.  Each is said
 * here, once.
 */
#ifndef CPUID_POLICY_VOCABULARY_H
#define CPUID_POLICY_VOCABULARY_H

#include <cpuid-policy/policy.h>

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

/* Those that stand and fall with a feature: xstate_feature() knows it. */
#define XSTATE_OF_FEATURES                                                                         \
    (1ull << XSTATE_X87 | 1ull << XSTATE_SSE | 1ull << XSTATE_AVX | 1ull << XSTATE_BNDREGS |       \
     1ull << XSTATE_BNDCSR | 1ull << XSTATE_OPMASK | 1ull << XSTATE_ZMM | 1ull << XSTATE_HI_ZMM |  \
     1ull << XSTATE_PKRU | 1ull << XSTATE_TILECFG | 1ull << XSTATE_TILEDATA | 1ull << XSTATE_APX | \
     1ull << XSTATE_LWP)

/* Subleaf D.n, n >= 2: ECX (SDM vol. 2A, CPUID, leaf D). */
#define XSTATE_SUPERVISOR (1u << 0)
#define XSTATE_ALIGN64    (1u << 1)

/* Who made the CPU: all twelve bytes of leaf 0 (SDM vol. 2A, APM vol. 3, CPUID leaf 0). */
enum cpu_vendor {
    CPU_VENDOR_UNKNOWN,
    CPU_VENDOR_INTEL,
    CPU_VENDOR_AMD,
    CPU_VENDOR_HYGON,
    CPU_VENDOR_CENTAUR,
    CPU_VENDOR_SHANGHAI,
};

enum cpu_vendor policy_vendor_id(const struct cpu_policy *p);

/* Does the CPU follow AMD's manual where the two differ? */
static inline bool vendor_is_amd_like(enum cpu_vendor v)
{
    return v == CPU_VENDOR_AMD || v == CPU_VENDOR_HYGON;
}

/* The highest basic leaf, and the highest extended one, that the policy names (leaf 0, 80000000).
 */
static inline uint32_t policy_max_basic(const struct cpu_policy *p)
{
    return p->basic[0].a;
}

static inline uint32_t policy_max_extd(const struct cpu_policy *p)
{
    return p->extd[0].a;
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

/*
 * The feature (its number, X86_FEATURE_*) that a component of the XSAVE area is there for: it
 * stands and falls with it.  POLICY_NONE where no feature is known.  (SDM vol. 1, 13.1; APM vol. 3
 * for LWP.)
 */
uint32_t xstate_feature(unsigned int component);

/* The size in bytes of the XSAVE area in standard form with these user components. */
uint64_t xstate_standard_size(const struct cpu_policy *p, uint64_t xcr0);

#endif /* CPUID_POLICY_VOCABULARY_H */
