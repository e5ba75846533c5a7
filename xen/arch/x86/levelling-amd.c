/* SPDX-License-Identifier: MIT */
/*
 * AMD and Hygon: MSRs that override what CPUID says, and CpuidUserDis.
 *
 * An override is taken as it is, also where it claims what the CPU has not.  So every value made
 * here is ANDed with what the MSR held when the machine was switched on.
 *
 * Source: AMD's BIOS and Kernel Developer's Guides, MSR C001_1002 to C001_1005; APM vol. 3,
 * appendix E, CPUID 80000021.EAX[17].
 */
#include "levelling-private.h"

#include <cpuid-policy/vocabulary.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

/* What RDMSR and WRMSR want to find in EDI before family 0x10. */
#define EDI_KEY 0x9c5a203au

static void amd_expect(const struct cpu_policy *raw, uint32_t caps, struct levelling *lev)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    lev->edi = family < 0x10 ? EDI_KEY : 0;
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_ecx) {
        lev->msr[MASK_1] = 0xc0011004u;
        lev->msr[MASK_E1] = 0xc0011005u;
    }
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx)
        lev->msr[MASK_7ab0] = 0xc0011002u;
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx)
        lev->msr[MASK_6c] = 0xc0011003u;
    if (lev->msr[MASK_1] || lev->msr[MASK_7ab0] || lev->msr[MASK_6c])
        lev->kind = LEVELLING_AMD;
}

static bool amd_probe_faulting(struct hypervisor *hv)
{
    uint64_t value;

    return !platform_rdmsr(hv->platform, 0, MSR_AMD_HWCR, 0, &value);
}

static uint64_t amd_pack(enum mask_slot slot, const struct mask_registers *r, uint64_t hardware)
{
    uint32_t max_subleaf = (uint32_t)(hardware >> 32);

    switch (slot) {
    case MASK_1:
    case MASK_E1:
        return hardware & ((uint64_t)r->c << 32 | r->d);
    case MASK_7ab0:
        /* EAX is a number, the highest subleaf: the lower one, not the common bits. */
        if (r->a < max_subleaf)
            max_subleaf = r->a;
        return (uint64_t)max_subleaf << 32 | (r->b & (uint32_t)hardware);
    case MASK_6c:
        return hardware & r->c;
    default:
        return hardware;
    }
}

static uint64_t amd_osxsave_bit(enum mask_slot slot)
{
    return slot == MASK_1 ? (uint64_t)feature_bit(X86_FEATURE_OSXSAVE) << 32 : 0;
}

static uint64_t amd_apic_bit(enum mask_slot slot)
{
    return slot == MASK_1 || slot == MASK_E1 ? feature_bit(X86_FEATURE_APIC) : 0;
}

static int amd_set_faulting(struct hypervisor *hv, unsigned int pcpu, bool on)
{
    uint64_t hwcr;
    int rc = platform_rdmsr(hv->platform, pcpu, MSR_AMD_HWCR, 0, &hwcr);

    if (rc)
        return rc;
    hwcr = on ? hwcr | HWCR_CPUID_USER_DIS : hwcr & ~HWCR_CPUID_USER_DIS;
    return platform_wrmsr(hv->platform, pcpu, MSR_AMD_HWCR, 0, hwcr);
}

const struct levelling_vendor levelling_amd = {
    .expect = amd_expect,
    .probe_faulting = amd_probe_faulting,
    .pack = amd_pack,
    .osxsave_bit = amd_osxsave_bit,
    .apic_bit = amd_apic_bit,
    .set_faulting = amd_set_faulting,
};
