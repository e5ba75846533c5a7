/* SPDX-License-Identifier: MIT */
/* What guest.c and the scripts share: one step of one vCPU. */
#ifndef SIM_GUEST_PRIVATE_H
#define SIM_GUEST_PRIVATE_H

#include <sim/guest.h>

struct guest_run {
    struct hypervisor *hv;
    unsigned int pcpu;
    struct vcpu *v;
    struct sim_guest_page page; /* read at the step's beginning; never written */
    struct sim_guest_vcpu me;   /* read at the beginning, written at the end */
};

static inline void guest_ask(struct guest_run *run, uint32_t leaf, uint32_t subleaf,
                             struct cpuid_regs *r)
{
    sim_guest_cpuid(run->hv, run->pcpu, run->v, leaf, subleaf, r);
}

/* A number that three others decide. */
uint64_t guest_mix(uint64_t a, uint64_t b, uint64_t c);

/* guest-cpuid.c: what CPUID answers goes into the guest's memory at boot, and is compared later.
 * guest_compare_cpuid: false, with me.status and me.changed_*, when any answer is another one. */
void guest_remember_cpuid(struct guest_run *run);
bool guest_compare_cpuid(struct guest_run *run);

/* guest-scripts.c: one step each. */
void guest_steady(struct guest_run *run);
void guest_writer(struct guest_run *run);
void guest_vector_boot(struct guest_run *run);
void guest_vector(struct guest_run *run);

#endif /* SIM_GUEST_PRIVATE_H */
