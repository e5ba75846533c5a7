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
 * Make one step of what this vCPU is doing, on this pCPU: a bounded piece of work that takes *ns of
 * its time.  A guest that is broken (no magic, its page gone) is crashed by the platform as
 * hardware would: domain_shutdown(SHUTDOWN_crash), after a line on the console.
 */
void sim_guest_step(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint64_t *ns);

/* Execute CPUID as this guest's programs do on that pCPU: an HVM guest exits to the hypervisor; a
 * PV guest gets the hardware's answer, or the hypervisor's where CPUID faults. */
void sim_guest_cpuid(struct hypervisor *hv, unsigned int pcpu, struct vcpu *v, uint32_t leaf,
                     uint32_t subleaf, struct cpuid_regs *regs);
/* Ask for CPUID as its kernel does: an HVM guest exits as well; a PV guest uses forced emulation.
 */
void sim_guest_kernel_cpuid(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *regs);

#endif /* SIM_GUEST_H */
