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

/* Ask as its programs do: with the instruction. */
static inline void guest_ask(struct guest_run *run, uint32_t leaf, uint32_t subleaf,
                             struct cpuid_regs *r)
{
    sim_guest_cpuid(run->hv, run->pcpu, run->v, leaf, subleaf, r);
}

/* Ask as its kernel does. */
static inline void guest_kernel_ask(struct guest_run *run, uint32_t leaf, uint32_t subleaf,
                                    struct cpuid_regs *r)
{
    sim_guest_kernel_cpuid(run->v, leaf, subleaf, r);
}

/* Return whether its kernel goes on. */
static inline bool guest_is_well(uint32_t status)
{
    return status == GUEST_RUNNING || status == GUEST_PROGRAMS_CHANGED;
}

/* Read and write its memory: of an HVM guest by guest-physical address, of a PV guest by virtual
 * address.  0 or -EFAULT. */
int guest_read(const struct guest_run *run, uint64_t address, void *dst, size_t size);
int guest_write(const struct guest_run *run, uint64_t address, const void *src, size_t size);

/* Return a number that three others decide. */
uint64_t guest_mix(uint64_t a, uint64_t b, uint64_t c);

/*
 * guest-cpuid.c: what CPUID answers its kernel and its programs goes into the guest's memory at
 * boot, and is compared later.  guest_compare_cpuid: when an answer is another one, me.status and
 * me.changed_* say so; the kernel's view comes first.
 */
void guest_remember_cpuid(struct guest_run *run);
void guest_compare_cpuid(struct guest_run *run);

/* guest-pv-resume.c: has it been moved?  Then it finds its way again, or me.status says what is
 * wrong. */
void guest_pv_look_around(struct guest_run *run);

/* guest-scripts.c: one step each. */
void guest_steady(struct guest_run *run);
void guest_writer(struct guest_run *run);
void guest_vector_boot(struct guest_run *run);
void guest_vector(struct guest_run *run);

#endif /* SIM_GUEST_PRIVATE_H */
