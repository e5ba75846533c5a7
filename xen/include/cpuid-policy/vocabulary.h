/* SPDX-License-Identifier: MIT */
/*
 * The words in which everything that deals with policies speaks of a CPU: vendors, ranges and
 * families of leaves, components of the XSAVE area.  Each is said once: here, or in features.def,
 * whose numbers (X86_FEATURE_*, XSTATE_*) are in the generated features-gen.h.
 */
#ifndef CPUID_POLICY_VOCABULARY_H
#define CPUID_POLICY_VOCABULARY_H

#include <cpuid-policy/policy.h>

#define EXTD_FIRST  0x80000000u
#define HV_FIRST    0x40000000u
#define HV2_FIRST   0x40000100u
#define XSTATE_AREA 576u /* legacy region and XSAVE header: SDM vol. 1, 13.4 */

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

/* Returns the bit that a feature (X86_FEATURE_*) is in its register. */
static inline uint32_t feature_bit(unsigned int feature)
{
    return 1u << feature % 32;
}

/* Returns whether the policy has the feature (X86_FEATURE_*).  For one question; for many there are
 * featuresets. */
bool policy_has(const struct cpu_policy *p, unsigned int feature);

/* Returns how many bits a linear address of a guest has, by how many levels its paging has: 32, 48,
 * or 57 with LA57.  (SDM vol. 3A, 4.1.1; Xen makes the width of every guest so.) */
uint32_t policy_linear_bits(const struct cpu_policy *p);

/* A leaf that has subleaves: a FAMILY row of features.def. */
struct leaf_family {
    uint32_t leaf;
    uint16_t offset; /* of its array, in struct cpu_policy */
    uint16_t count;
};
extern const struct leaf_family policy_families[]; /* POLICY_NR_FAMILIES of features-gen.h */

/* Returns the first of the family's subleaves in the policy; there are f->count. */
static inline const struct cpuid_regs *policy_family_regs(const struct cpu_policy *p,
                                                          const struct leaf_family *f)
{
    return (const struct cpuid_regs *)(const void *)((const char *)p + f->offset);
}

/* Returns the family that the leaf is, or NULL when it has no subleaves. */
const struct leaf_family *policy_family(uint32_t leaf);

/*
 * The feature (its number, X86_FEATURE_*) that a component of the XSAVE area is there for: it
 * stands and falls with it.  POLICY_NONE where no feature is known.  (SDM vol. 1, 13.1; APM vol. 3
 * for LWP.)
 */
uint32_t xstate_feature(unsigned int component);

/* Returns the size in bytes of the XSAVE area in standard form with these user components. */
uint64_t xstate_standard_size(const struct cpu_policy *p, uint64_t xcr0);

#endif /* CPUID_POLICY_VOCABULARY_H */
