/* SPDX-License-Identifier: MIT */
/*
 * Can a guest run on a host when not all is known of its CPU, or of the host's?  Three answers: no,
 * whatever the unknown bits are; yes, whatever they are; and nobody can say.
 */
#ifndef COMMON_UNSURE_H
#define COMMON_UNSURE_H

#include <cpuid-policy/policy.h>

/* A policy and what is not known of it (unknown.h). */
struct half_known {
    const struct cpu_policy *policy, *unknown;
};

struct unsure {
    struct half_known guest;
    struct half_known max, deflt; /* of the host; deflt.policy NULL: it does not say */
    enum guest_type type;
    bool same; /* the guest was born on this very host: what is unknown of both is the same */
};

/*
 * Ask twice.  *no receives what stands against it whatever the unknown bits are (as
 * xc_audit_policy() does), *maybe what may stand against it besides: features that the host may
 * lack, hazards that it may have.  Their counts say all; never more than their max are kept.
 */
void unsure_ask(const struct unsure *u, struct policy_report *no, struct policy_report *maybe);

/* Take a host whose hazards are not all known on the safe side: it has them, where it may tell its
 * guests of them.  *deflt is what its guests are born with. */
void unsure_assume_hazards(struct cpu_policy *deflt, const struct cpu_policy *unknown,
                           const struct cpu_policy *max);

#endif /* COMMON_UNSURE_H */
