/* SPDX-License-Identifier: MIT */
/* The LEAF rows of features.def, as fields.c (the audit) and fit.c (levels) read them. */
#ifndef CPUID_POLICY_FIELDS_H
#define CPUID_POLICY_FIELDS_H

#include "features-gen.h"
#include "policy-private.h"

static inline uint8_t rule_vendor(const struct cpu_policy *p)
{
    return vendor_is_amd_like(policy_vendor_id(p)) ? RULE_AMD : RULE_INTEL;
}

/* The first of the leaf's rows; the rest follow it. */
static inline const struct field_rule *rules_of(uint32_t leaf)
{
    return &field_rules[leaf < EXTD_FIRST ? field_rules_basic[leaf]
                                          : field_rules_extd[leaf - EXTD_FIRST]];
}

static inline bool rule_applies(const struct field_rule *f, uint32_t subleaf, uint8_t vendor)
{
    return f->low <= subleaf && subleaf <= f->high && (f->vendors & vendor);
}

/* Which registers differ: a bit for each, as in field_rule. */
static inline unsigned int regs_differing(const struct cpuid_regs *a, const struct cpuid_regs *b)
{
    return (unsigned int)(a->a != b->a) | (unsigned int)(a->b != b->b) << 1 |
           (unsigned int)(a->c != b->c) << 2 | (unsigned int)(a->d != b->d) << 3;
}

#endif /* CPUID_POLICY_FIELDS_H */
