/* SPDX-License-Identifier: MIT */
/*
 * What levelling cannot hide from a PV guest.  Needs no machine: the tools plan with it too.
 */
#include <levelling.h>

#include <xen/sysctl.h>

/* The word that each masking capability covers.  (l7s0_eax covers no word: 7.0.EAX is a number.) */
static const struct {
    uint32_t cap;
    unsigned int word;
} masked[] = {
    {XEN_SYSCTL_CPU_LEVELCAP_ecx, FEATURESET_1c},
    {XEN_SYSCTL_CPU_LEVELCAP_edx, FEATURESET_1d},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_ecx, FEATURESET_e1c},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_edx, FEATURESET_e1d},
    {XEN_SYSCTL_CPU_LEVELCAP_xsave_eax, FEATURESET_Da1},
    {XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx, FEATURESET_6c},
    {XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx, FEATURESET_7b0},
};

void levelling_visible(uint32_t caps, const struct cpu_policy *raw, const struct cpu_policy *guest,
                       struct featureset *visible)
{
    struct featureset told;

    *visible = (struct featureset){{0}};
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_faulting)
        return;
    policy_to_featureset(raw, visible);
    policy_to_featureset(guest, &told);
    featureset_andnot(visible, visible, &told);
    featureset_and(visible, visible, featureset_known());
    /* What follows the vCPU's state or another bit is no feature of its own. */
    featureset_andnot(visible, visible, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_andnot(visible, visible, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(visible, visible, featureset_number_bits());
    /* MSRs are not read with CPUID: Xen answers for them. */
    visible->w[FEATURESET_m10Al] = visible->w[FEATURESET_m10Ah] = 0;
    for (unsigned int i = 0; i < sizeof(masked) / sizeof(masked[0]); i++)
        if (caps & masked[i].cap)
            visible->w[masked[i].word] = 0;
}

const char *levelling_kind_name(enum levelling_kind kind)
{
    switch (kind) {
    case LEVELLING_NONE:
        return "none";
    case LEVELLING_INTEL_V1:
        return "Intel masking MSR 478";
    case LEVELLING_INTEL_V2:
        return "Intel masking MSRs 130, 131";
    case LEVELLING_INTEL_V3:
        return "Intel masking MSRs 132 to 134";
    case LEVELLING_INTEL_FAULTING:
        return "Intel CPUID faulting";
    case LEVELLING_AMD:
        return "AMD override MSRs";
    case LEVELLING_AMD_USERDIS:
        return "AMD CpuidUserDis";
    }
    return "unknown";
}
