/* SPDX-License-Identifier: MIT */
/* The LEAF rows of features.def, as fields.c (the audit) and fit.c (levels) read them. */
#ifndef CPUID_POLICY_FIELDS_H
#define CPUID_POLICY_FIELDS_H

#include "features-gen.h"
#include "policy-private.h"

/* By the first four letters: this is asked for every audit. */
static inline uint8_t rule_vendor(const struct cpu_policy *p)
{
    const uint32_t auth = 0x68747541, hygo = 0x6f677948; /* AuthenticAMD, HygonGenuine */

    return p->basic[0].b == auth || p->basic[0].b == hygo ? RULE_AMD : RULE_INTEL;
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

static inline bool regs_differ(const struct cpuid_regs *a, const struct cpuid_regs *b)
{
    return ((a->a ^ b->a) | (a->b ^ b->b) | (a->c ^ b->c) | (a->d ^ b->d)) != 0;
}

#endif /* CPUID_POLICY_FIELDS_H */
