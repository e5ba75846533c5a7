/* SPDX-License-Identifier: MIT */
/*
 * The x86 part of a vCPU's life: what is loaded when it gets a pCPU, and what it may write.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

/* CR4 bits that need a feature (SDM vol. 3A, 2.5; a bit of what is given to no guest is not here).
 */
static const struct {
    uint8_t bit;
    uint16_t feature;
} cr4_bits[] = {
    {0, X86_FEATURE_VME},       {1, X86_FEATURE_VME},     {2, X86_FEATURE_TSC},
    {3, X86_FEATURE_DE},        {4, X86_FEATURE_PSE},     {5, X86_FEATURE_PAE},
    {6, X86_FEATURE_MCE},       {7, X86_FEATURE_PGE},     {9, X86_FEATURE_FXSR},
    {10, X86_FEATURE_SSE},      {11, X86_FEATURE_UMIP},   {13, X86_FEATURE_VMX},
    {16, X86_FEATURE_FSGSBASE}, {17, X86_FEATURE_PCID},   {18, X86_FEATURE_XSAVE},
    {12, X86_FEATURE_LA57},     {20, X86_FEATURE_SMEP},   {21, X86_FEATURE_SMAP},
    {22, X86_FEATURE_PKU},      {23, X86_FEATURE_CET_SS},
};
#define CR4_PCE (1ull << 8) /* performance counters: needs no feature bit */

int vcpu_write_cr4(struct vcpu *v, uint64_t value)
{
    struct featureset fs;
    uint64_t allowed = CR4_PCE;

    policy_to_featureset(&v->domain->policy, &fs);
    for (unsigned int i = 0; i < sizeof(cr4_bits) / sizeof(cr4_bits[0]); i++)
        if (featureset_test(&fs, cr4_bits[i].feature))
            allowed |= 1ull << cr4_bits[i].bit;
    if (value & ~allowed)
        return -XEN_EINVAL;
    v->regs.cr4 = value;
    guest_cpuid_update(v);
    if (v->running)
        context_switch(v->domain->hv, v->pcpu->id, v, v);
    return 0;
}

/* State components that come together (SDM vol. 1, 13.3). */
#define XCR0_X87    (1ull << 0)
#define XCR0_SSE    (1ull << 1)
#define XCR0_AVX    (1ull << 2)
#define XCR0_MPX    (3ull << 3)
#define XCR0_AVX512 (7ull << 5)
#define XCR0_AMX    (3ull << 17)

static bool all_or_none(uint64_t value, uint64_t group)
{
    return !(value & group) || (value & group) == group;
}

int vcpu_write_xcr0(struct vcpu *v, uint64_t value)
{
    const struct cpuid_regs *d0 = &v->domain->policy.xstate[0];
    uint64_t allowed = (uint64_t)d0->d << 32 | d0->a;

    if ((value & ~allowed) || !(value & XCR0_X87) || !(v->regs.cr4 & CR4_OSXSAVE) ||
        ((value & XCR0_AVX) && !(value & XCR0_SSE)) ||
        ((value & XCR0_AVX512) && !(value & XCR0_AVX)) || !all_or_none(value, XCR0_MPX) ||
        !all_or_none(value, XCR0_AVX512) || !all_or_none(value, XCR0_AMX))
        return -XEN_EINVAL;
    v->regs.xcr0 = value;
    guest_cpuid_update(v);
    if (v->running)
        context_switch(v->domain->hv, v->pcpu->id, v, v);
    return 0;
}

/*
 * What CR4 really is while this vCPU runs.  An HVM guest's own is loaded.  Under a PV guest the
 * hypervisor keeps its own: XSAVE is on wherever the host has it.
 */
static uint64_t real_cr4(const struct hypervisor *hv, const struct vcpu *v)
{
    const struct cpu_policy *host = &hv->policies[XEN_SYSCTL_cpu_policy_host];
    bool xsave = host->basic[1].c >> (X86_FEATURE_XSAVE % 32) & 1;

    if (v->domain->hvm)
        return v->regs.cr4;
    return (v->regs.cr4 & ~(CR4_OSXSAVE | CR4_PKE)) | (xsave ? CR4_OSXSAVE : 0);
}

void context_switch(struct hypervisor *hv, unsigned int pcpu, struct vcpu *prev, struct vcpu *next)
{
    struct pcpu *p = &hv->pcpus[pcpu];
    uint64_t cr4;

    (void)prev; /* its registers are in its struct already */
    if (next->domain->idle)
        return;
    cr4 = real_cr4(hv, next);
    if (cr4 != p->cr4) {
        platform_write_cr4(hv->platform, pcpu, cr4);
        p->cr4 = cr4;
    }
    /* XSETBV raises #UD without CR4.OSXSAVE (SDM vol. 2D).  Then no instruction looks at XCR0
     * either, and when the vCPU sets the bit it comes through here again. */
    if ((cr4 & CR4_OSXSAVE) && next->regs.xcr0 && next->regs.xcr0 != p->xcr0) {
        platform_write_xcr0(hv->platform, pcpu, next->regs.xcr0);
        p->xcr0 = next->regs.xcr0;
    }
    levelling_switch(hv, pcpu, next);
}
