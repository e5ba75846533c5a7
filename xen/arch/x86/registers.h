/* SPDX-License-Identifier: MIT */
/*
 * Registers that a toolstack wants a vCPU to have: may they be, with this domain's policy?  The
 * rules are the policy library's (cpuid-policy/state.h); here is what the console says.
 *
 * Each returns 0, or -EINVAL after a line on the console that says what is wrong with them, and
 * changes nothing.  The vCPU does not run meanwhile.
 */
#ifndef X86_REGISTERS_H
#define X86_REGISTERS_H

#include <cpuid-policy/state.h>
#include <hypervisor.h>

int check_cr0(const struct vcpu *v, uint64_t cr0);
int check_cr4(const struct vcpu *v, uint64_t cr4);
int check_rflags(const struct vcpu *v, uint64_t rflags);
int check_efer(const struct vcpu *v, uint64_t efer);
int check_msr(const struct vcpu *v, uint32_t msr, uint64_t value);

/* The vCPU of a PV domain, stopped; NULL with *rc: there is none.  *rc is 0 otherwise. */
struct vcpu *pv_stopped_vcpu(struct domain *d, uint32_t id, long *rc);

/* The size of an XSAVE area in standard form with these components; what a vCPU has room for. */
uint32_t xsave_area_size(const struct cpu_policy *p, uint64_t components);

/*
 * An XSAVE area with its XCR0 and the components that were ever in it: are they the policy's, is
 * its header right (SDM vol. 1, 13.4.2), is it whole, and zero beyond its end?
 */
int check_xsave(const struct vcpu *v, uint64_t xcr0, uint64_t xcr0_accum, const uint8_t *area,
                size_t size);
/* Take one that was checked. */
void load_xsave(struct vcpu *v, uint64_t xcr0, const uint8_t *area, size_t size);
/* What of the area is in use: XCR0, what its header says is there, and what comes with that. */
uint64_t xsave_components(const struct vcpu *v);
/* PKRU is kept beside the area while the vCPU runs: bring it back into it. */
void store_pkru(struct vcpu *v);

#endif /* X86_REGISTERS_H */
