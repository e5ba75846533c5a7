/* SPDX-License-Identifier: MIT */
/* What the programs of a PV guest on a simulated host really read: asked, not computed. */
#ifndef TESTS_UNIT_PVVIEW_H
#define TESTS_UNIT_PVVIEW_H

#include <levelling-view.h>
#include <sim/machine.h>

/* Lets the host run until a vCPU of d is on a pCPU, and executes CPUID there for every leaf that a
 * policy holds and CPUID itself says there is.  false: no vCPU of it has run for a long time. */
bool pvview_read(struct sim_host *h, struct domain *d, struct cpu_policy *seen);
/* The same without letting it run: this vCPU is on that pCPU. */
void pvview_read_now(struct sim_host *h, unsigned int pcpu, struct vcpu *v,
                     struct cpu_policy *seen);
/* What levelling_pv_view() says about it. */
void pvview_announced(const struct sim_host *h, const struct cpu_policy *policy,
                      struct pv_view *view);

/* Without what is a vCPU's or pCPU's place, or follows the vCPU's state. */
void pvview_forget_place(struct cpu_policy *p);

#endif
