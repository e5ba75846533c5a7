/* SPDX-License-Identifier: MIT */
/*
 * What the administrator gives up with XENLEVEL_ALLOW, and which findings that covers.
 */
#ifndef GATE_ALLOW_H
#define GATE_ALLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cpuid-policy/policy.h>

/* The list in XENLEVEL_ALLOW, parsed. */
struct audit_allow {
    struct featureset features; /* by name, or by position ("7b0:22") */
    uint32_t kinds;             /* bit (1 << enum policy_fault_kind) */
    uint32_t fields;            /* bit (1 << number): featureset_field_info() */
    bool unverified;            /* a stream that has no policy at all */
    bool release;               /* records of a newer Xen: release.c */
};

/*
 * Parse "avx2,bmi1,maxphysaddr": names separated by commas or blanks.  NULL and "" allow nothing.
 * Returns 0; or -1 with one sentence in why[size] when a name is unknown: a typing error must not
 * quietly allow less, or more, than was meant.
 */
int audit_allow_parse(const char *list, struct audit_allow *allow, char *why, size_t size);

/* Return the feature that a component of the XSAVE area is there for, or -1. */
int allow_component_owner(uint32_t component);

/* Is this finding of the audit's given up? */
bool allow_covers(const struct audit_allow *allow, const struct policy_fault *f);

/* Write the word of XENLEVEL_ALLOW that gives this finding up; the finding's name when none does.
 * 64 bytes suffice. */
void allow_word(const struct policy_fault *f, char *buf, size_t size);

/*
 * Mark in waived[0..n) which of the differences faults[0..n) (policy_compare() of *told and *given)
 * are given up: features by their names, and of everything else those bits that *named accounts for
 * with findings that are given up.  *named is what the audit finds of a host that gives no more
 * than *given: allow_name().  Returns how many remain.
 */
size_t allow_given(const struct audit_allow *allow, const struct cpu_policy *given,
                   const struct policy_report *named, const struct policy_fault *faults, size_t n,
                   bool *waived);

/* Fill *named with what the audit finds of *told on a host that gives no more than *given. */
void allow_name(const struct cpu_policy *told, const struct cpu_policy *given,
                struct policy_report *named);

#endif /* GATE_ALLOW_H */
