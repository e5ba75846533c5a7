/* SPDX-License-Identifier: MIT */
/*
 * Scripted guests: programs that a simulated vCPU runs.  What they are in memory is
 * <sim-abi/guest.h>.
 *
 * What a guest knows of its type it has from CPUID and the builder, as real ones do: a PV guest
 * does not look at APIC ids (they are the pCPU's where nothing faults).  Its kernel asks with the
 * forced emulation prefix, its programs execute the instruction (levelling-view.h).
 */
#ifndef SIM_GUEST_H
#define SIM_GUEST_H

#include <hypervisor.h>
#include <sim-abi/guest.h>
#include <sim/platform.h>

/*
 * One step of what this vCPU is doing, on this pCPU: a bounded piece of work that takes *ns of
 * its time.  A guest that is broken (no magic, its page gone) is crashed by the platform as
 * hardware would: domain_shutdown(SHUTDOWN_crash), after a line on the console.
 */
void sim_guest_step(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint64_t *ns);

/* The CPUID instruction as this guest's programs execute it on that pCPU: HVM exits to the
 * hypervisor; PV gets the hardware's answer unless it faults, and then the hypervisor's. */
void sim_guest_cpuid(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint32_t leaf,
                     uint32_t subleaf, struct cpuid_regs *regs);
/* As its kernel asks: HVM exits as well; PV by forced emulation. */
void sim_guest_kernel_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *regs);

#endif /* SIM_GUEST_H */
