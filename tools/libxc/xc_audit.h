/* SPDX-License-Identifier: MIT */
/*
 * The audit of a guest's CPU, in one place for every tool: may it come to this host, did the
 * hypervisor give it what it was told of, and does it have it still?
 *
 * Functions that ask the hypervisor return -1 with errno, logged, when it cannot be asked.
 */
#ifndef XC_AUDIT_H
#define XC_AUDIT_H

#include "xc.h"

/* Fill *p with a policy of this host, or of a domain. */
int xc_system_policy(xc_handle *xch, enum xc_policy_index index, struct cpu_policy *p);
int xc_domain_policy(xc_handle *xch, uint32_t domid, struct cpu_policy *p);

/* What a guest of one type can have here.  Two policies: not for the stack. */
struct xc_guest_limits {
    struct cpu_policy max;   /* what it may arrive with */
    struct cpu_policy deflt; /* what it is born with: the hazards that it must know of */
};

/* The limits for this type. */
int xc_guest_limits(xc_handle *xch, enum guest_type type, struct xc_guest_limits *l);

static inline struct policy_host xc_limits_host(const struct xc_guest_limits *l)
{
    return (struct policy_host){.max = &l->max, .deflt = &l->deflt};
}

/*
 * May a guest that was told of this CPU come to that host?  Everything in one report: what `named`
 * (the arrays that the policy came in; NULL: it did not come from outside) leaves out, why it is no
 * CPU that can exist, and then what this host lacks.  *checked (may be NULL): how many findings
 * stand before the last group.  0; or -1 with errno EINVAL and the findings.
 */
int xc_audit_policy(const struct xc_leaves *named, const struct cpu_policy *told,
                    const struct policy_host *host, struct policy_report *r, size_t *checked);

/* What came of a trial or a last look; -1 is an error. */
enum {
    XC_GIVEN_AS_TOLD = 0,
    XC_GIVEN_OTHERWISE = 1, /* the differences are in the report, FAULT_GIVEN_OTHERWISE */
};

/*
 * The trial: give the domain, which must never have run, the CPU in `leaves`, ask what it has got
 * now (*given), and compare that with `told`, the same CPU in the library's form.  Doing it again
 * changes nothing.  -1 with errno also when the hypervisor refuses the policy; EINVAL then, and
 * *where (may be NULL) says at what.
 */
int xc_trial_policy(xc_handle *xch, uint32_t domid, const struct xc_leaves *leaves,
                    const struct cpu_policy *told, struct cpu_policy *given,
                    struct policy_report *r, struct xc_policy_error *where);

/* The last look: does the domain still have the CPU that the trial gave it? */
int xc_last_look(xc_handle *xch, uint32_t domid, const struct cpu_policy *expected,
                 struct policy_report *r);

#endif /* XC_AUDIT_H */
