/* SPDX-License-Identifier: MIT */
/*
 * The trial before memory and the last look behind it: what this host's hypervisor really makes of
 * the stream's CPU, whatever the audit thinks of it.
 */
#ifndef GATE_TRIAL_H
#define GATE_TRIAL_H

#include "gate.h"

struct trial {
    bool unverified;         /* the stream has no policy: nothing was tried */
    struct cpu_policy given; /* what the domain has got; unverified: what it was born with */
    struct policy_fault named[AUDIT_FAULTS]; /* what the audit says of a host that gives that */
};

/* Both: true: as it should be.  false: *a has the refusal.  What the trial finds and XENLEVEL_ALLOW
 * gives up is added to what the audit found of that kind. */
bool trial_run(struct gate_host *h, uint32_t domid, const struct audit_case *c, struct trial *t,
               struct audit *a);
bool trial_last_look(struct gate_host *h, uint32_t domid, const struct audit_case *c,
                     const struct trial *t, struct audit *a);

#endif /* GATE_TRIAL_H */
