/* SPDX-License-Identifier: MIT */
/*
 * What the policy library's files share: reporting, walks, the pieces of check and level.  Never
 * its users; the live patch is built of these files, and so is one.
 */
#ifndef CPUID_POLICY_POLICY_PRIVATE_H
#define CPUID_POLICY_POLICY_PRIVATE_H

#include <cpuid-policy/policy.h>
#include <cpuid-policy/vocabulary.h>
#include "features-gen.h"
#include "private.h"

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

/* These two are asked of every leaf, so in two loads and not four. */
static inline bool regs_empty(const struct cpuid_regs *r)
{
    uint64_t x[2];

    __builtin_memcpy(x, r, sizeof(x));
    return !(x[0] | x[1]);
}

static inline bool regs_differ(const struct cpuid_regs *a, const struct cpuid_regs *b)
{
    uint64_t x[2], y[2];

    __builtin_memcpy(x, a, sizeof(x));
    __builtin_memcpy(y, b, sizeof(y));
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) != 0;
}

/* Returns a register of a leaf: 0 EAX .. 3 EDX. */
static inline uint32_t policy_reg(const struct cpuid_regs *r, unsigned int reg)
{
    const uint32_t all[4] = {r->a, r->b, r->c, r->d};

    return all[reg & 3];
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

/*
 * How much of the lists without a stated length Xen itself holds (4.14 to 4.22: six caches, two
 * levels of topology).  More than that is not named in a policy that Xen wrote.
 */
enum { XEN_NR_CACHE = 6, XEN_NR_TOPO = 2 };

/* How many subleaves of a family, from 0, the policy itself says there are; never more than it
 * can hold. */
uint32_t policy_named_subleaves(const struct cpu_policy *p, const struct leaf_family *f);

/* What is no feature, by the LEAF rows of features.def.  fs: the guest's features. */
void policy_check_fields(const struct cpu_policy *guest, const struct cpu_policy *max,
                         const struct featureset *fs, struct policy_report *r);
/* Bring all of a level that is no feature and no component to what this host, too, can give: the
 * LEAF rows' fields, the hypervisor leaves' limits, PLATFORM_INFO.  They are of one vendor.
 * *unshared gains the features whose leaves the two do not share. */
void policy_fit_fields(struct cpu_policy *level, const struct cpu_policy *host,
                       struct featureset *unshared);
/* Drop these features, and zero the leaves that say something only with a feature that the policy
 * does not have. */
void policy_drop_unbacked(struct cpu_policy *p, const struct featureset *unshared);

/* Iterate set bits of a 64-bit component mask. */
#define for_each_component(i, mask)                                                                \
    for (uint64_t m_ = (mask); m_ && ((i) = (unsigned int)__builtin_ctzll(m_), true); m_ &= m_ - 1)

#endif /* CPUID_POLICY_POLICY_PRIVATE_H */
