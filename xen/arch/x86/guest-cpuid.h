/* SPDX-License-Identifier: MIT */
/* The parts of guest_cpuid(). */
#ifndef GUEST_CPUID_H
#define GUEST_CPUID_H

#include <hypervisor.h>

/* cpuid-hypervisor.c: leaves 40000000 .. 7FFFFFFF.  *r is zero. */
void guest_cpuid_hypervisor(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *r);

#endif /* GUEST_CPUID_H */
