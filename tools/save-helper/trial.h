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

/* Give the domain the stream's CPU and compare it with what it has got.  Returns true when that is
 * as it should be; false with the refusal in *a.  What is given up of it is added to *a. */
bool trial_run(struct gate_host *h, uint32_t domid, const struct audit_case *c, struct trial *t,
               struct audit *a);
/* Look whether the domain still has the CPU that the trial gave it.  Returns the same. */
bool trial_last_look(struct gate_host *h, uint32_t domid, const struct audit_case *c,
                     const struct trial *t, struct audit *a);

#endif /* GATE_TRIAL_H */
