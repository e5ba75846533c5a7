/* SPDX-License-Identifier: MIT */
/*
 * The x86 part of a vCPU's life: what is loaded when it gets a pCPU, and what it may write.
 */
#include <hypervisor.h>

#include <cpuid-policy/vocabulary.h>

#include <cpuid-policy/state.h>
#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

#define XCR0_POWER_ON 1ull /* x87 alone: SDM vol. 1, 13.3 */

int vcpu_write_cr4(struct vcpu *v, uint64_t value)
{
    if (state_check_cr4(&v->domain->policy, !v->domain->hvm, value, NULL))
        return -XEN_EINVAL;
    v->regs.cr4 = value;
    guest_cpuid_update(v);
    if (v->running)
        context_switch(v->domain->hv, v->pcpu->id, v, v);
    return 0;
}

int vcpu_write_xcr0(struct vcpu *v, uint64_t value)
{
    if (!(v->regs.cr4 & CR4_OSXSAVE) || state_check_xcr0(&v->domain->policy, value, NULL))
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
    bool xsave = policy_has(host, X86_FEATURE_XSAVE);

    if (v->domain->hvm)
        return v->regs.cr4;
    return (v->regs.cr4 & ~(CR4_OSXSAVE | CR4_PKE)) | (xsave ? CR4_OSXSAVE : 0);
}

void context_switch(struct hypervisor *hv, unsigned int pcpu, struct vcpu *prev, struct vcpu *next)
{
    struct pcpu *p = &hv->pcpus[pcpu];
    uint64_t cr4, xcr0;

    (void)prev; /* its registers are in its struct already */
    if (next->domain->idle)
        return;
    cr4 = real_cr4(hv, next);
    if (cr4 != p->cr4) {
        platform_write_cr4(hv->platform, pcpu, cr4);
        p->cr4 = cr4;
    }
    /* XSETBV raises #UD without CR4.OSXSAVE (SDM vol. 2D).  Then no instruction looks at XCR0
     * either, and when the vCPU sets the bit it comes through here again.  A PV guest without XSAVE
     * has no XCR0 and runs with the bit set all the same: what another vCPU left is not for it. */
    xcr0 = next->regs.xcr0 ? next->regs.xcr0 : XCR0_POWER_ON;
    if ((cr4 & CR4_OSXSAVE) && xcr0 != p->xcr0) {
        platform_write_xcr0(hv->platform, pcpu, xcr0);
        p->xcr0 = xcr0;
    }
    levelling_switch(hv, pcpu, next);
}
