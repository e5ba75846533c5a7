/* SPDX-License-Identifier: MIT */
/* What levelling.c shares with its two halves, one a vendor. */
#ifndef X86_LEVELLING_PRIVATE_H
#define X86_LEVELLING_PRIVATE_H

#include <hypervisor.h>

#define MSR_INTEL_MISC_FEATURES_ENABLES 0x00000140u /* SDM vol. 4, table 2-2 */
#define MISC_FEATURES_CPUID_FAULTING    (1ull << 0)
#define MSR_AMD_HWCR                    0xc0010015u /* APM vol. 2, appendix A */
#define HWCR_CPUID_USER_DIS             (1ull << 35)

/* The registers that one slot covers, as CPUID would give them. */
struct mask_registers {
    uint32_t a, b, c, d;
};

struct levelling_vendor {
    /*
     * Called once, at boot.  Owes: lev->kind, msr[] and edi of what is expected by this CPU's
     * family and model, which probing then confirms or clears.
     */
    void (*expect)(const struct cpu_policy *raw, uint32_t caps, struct levelling *lev);
    /* Called when faulting is expected.  Owes: is it really there, by reading its MSRs? */
    bool (*probe_faulting)(struct hypervisor *hv);
    /* Owes: an MSR's value that shows `r` and nothing that `hardware` (its power-on value) lacks.
     */
    uint64_t (*pack)(enum mask_slot slot, const struct mask_registers *r, uint64_t hardware);
    /* Owes: the bits of this slot's value that stand for OSXSAVE and for APIC. */
    uint64_t (*osxsave_bit)(enum mask_slot slot);
    uint64_t (*apic_bit)(enum mask_slot slot);
    /* Owes: faulting on or off; 0 or -EFAULT.  Called only where it was found. */
    int (*set_faulting)(struct hypervisor *hv, unsigned int pcpu, bool on);
};

extern const struct levelling_vendor levelling_intel, levelling_amd;

#endif /* X86_LEVELLING_PRIVATE_H */
