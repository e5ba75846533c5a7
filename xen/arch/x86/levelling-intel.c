/* SPDX-License-Identifier: MIT */
/*
 * Intel: masking MSRs, which are ANDed with what the CPU has, and CPUID faulting.
 *
 * Source: Intel application note 323850, "Virtualization Technology FlexMigration"; the MSRs by
 * model in the SDM, vol. 4.
 */
#include "levelling-private.h"

#include <cpuid-policy/vocabulary.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

static void intel_expect(const struct cpu_policy *raw, uint32_t caps, struct levelling *lev)
{
    (void)raw;
    /* How much a model can mask says which generation of MSRs it has. */
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_xsave_eax) {
        lev->kind = LEVELLING_INTEL_V3;
        lev->msr[MASK_1] = 0x132;
        lev->msr[MASK_E1] = 0x133;
        lev->msr[MASK_Da1] = 0x134;
    } else if (caps & XEN_SYSCTL_CPU_LEVELCAP_extd_ecx) {
        lev->kind = LEVELLING_INTEL_V2;
        lev->msr[MASK_1] = 0x130;
        lev->msr[MASK_E1] = 0x131;
    } else if (caps & XEN_SYSCTL_CPU_LEVELCAP_ecx) {
        lev->kind = LEVELLING_INTEL_V1;
        lev->msr[MASK_1] = 0x478;
    }
}

static bool intel_probe_faulting(struct hypervisor *hv)
{
    unsigned int family, model, stepping;
    uint64_t value;

    policy_signature(&hv->policies[XEN_SYSCTL_cpu_policy_raw], &family, &model, &stepping);
    /* On family 0xF the MSR number means something else. */
    return family != 0xf && !platform_rdmsr(hv->platform, 0, MSR_INTEL_PLATFORM_INFO, 0, &value) &&
           (value & PLATFORM_INFO_CPUID_FAULTING) &&
           !platform_rdmsr(hv->platform, 0, MSR_INTEL_MISC_FEATURES_ENABLES, 0, &value);
}

static uint64_t intel_pack(enum mask_slot slot, const struct mask_registers *r, uint64_t hardware)
{
    switch (slot) {
    case MASK_1:
    case MASK_E1:
        return hardware & ((uint64_t)r->d << 32 | r->c);
    case MASK_Da1: /* the upper half is all ones */
        return hardware & (0xffffffffull << 32 | r->a);
    default:
        return hardware;
    }
}

static uint64_t intel_osxsave_bit(enum mask_slot slot)
{
    return slot == MASK_1 ? feature_bit(X86_FEATURE_OSXSAVE) : 0;
}

static uint64_t intel_apic_bit(enum mask_slot slot)
{
    return slot == MASK_1 ? (uint64_t)feature_bit(X86_FEATURE_APIC) << 32 : 0;
}

static int intel_set_faulting(struct hypervisor *hv, unsigned int pcpu, bool on)
{
    uint64_t value;
    int rc = platform_rdmsr(hv->platform, pcpu, MSR_INTEL_MISC_FEATURES_ENABLES, 0, &value);

    if (rc)
        return rc;
    /* On Xeon Phi firmware may have set bit 1, MONITOR and MWAIT for programs: not ours to clear.
     */
    value = on ? value | MISC_FEATURES_CPUID_FAULTING : value & ~MISC_FEATURES_CPUID_FAULTING;
    return platform_wrmsr(hv->platform, pcpu, MSR_INTEL_MISC_FEATURES_ENABLES, 0, value);
}

const struct levelling_vendor levelling_intel = {
    .expect = intel_expect,
    .probe_faulting = intel_probe_faulting,
    .pack = intel_pack,
    .osxsave_bit = intel_osxsave_bit,
    .apic_bit = intel_apic_bit,
    .set_faulting = intel_set_faulting,
};
