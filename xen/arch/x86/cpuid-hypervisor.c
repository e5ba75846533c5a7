/* SPDX-License-Identifier: MIT */
/* Leaves 40000000 and on: what Xen tells of itself, by <xen/arch-x86/cpuid.h>. */
#include "features-gen.h"
#include "guest-cpuid.h"

#include <cpuid-policy/vocabulary.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/sysctl.h>

#define XEN_MSR_BASE 0x40000000u
#define TSC_EMULATED (1u << 0)
#define TSC_RELIABLE (1u << 1)
#define TSC_HAS_TSCP (1u << 2)
#define NANO         1000000000ull
#define PAGE_BITS    12u

enum { TSC_MODE_DEFAULT, TSC_MODE_ALWAYS_EMULATE };

static uint32_t guest_khz(const struct domain *d)
{
    return d->tsc.gtsc_khz ? d->tsc.gtsc_khz : host_khz(d->hv);
}

/*
 * ns = (ticks * 2^shift) * mul / 2^32, with mul as large as it goes; both 0 when the rate is not
 * known.
 */
static void tsc_scale(uint32_t khz, struct cpuid_regs *r)
{
    uint64_t hz = (uint64_t)khz * 1000, scaled;
    int shift;

    if (!hz)
        return;
    /* The smallest shift with NANO / scaled below 1: its fraction has 32 bits, the first set. */
    shift = __builtin_clzll(hz) - __builtin_clzll(NANO);
    scaled = shift >= 0 ? hz << shift : hz >> -shift;
    if (scaled <= NANO) {
        shift++;
        scaled = shift >= 0 ? hz << shift : hz >> -shift;
    }
    r->c = (uint32_t)((NANO << 32) / scaled);
    r->d = (uint32_t)shift;
}

static void leaf_time(const struct domain *d, uint32_t subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *host = &d->hv->policies[XEN_SYSCTL_cpu_policy_host];
    uint32_t host_rate = host_khz(d->hv);
    bool emulated = d->tsc.tsc_mode == TSC_MODE_ALWAYS_EMULATE ||
                    (d->tsc.tsc_mode == TSC_MODE_DEFAULT && guest_khz(d) != host_rate);

    switch (subleaf) {
    case 0:
        r->a = (emulated ? TSC_EMULATED : 0) |
               (policy_has(host, X86_FEATURE_ITSC) ? TSC_RELIABLE : 0) |
               (policy_has(host, X86_FEATURE_RDTSCP) ? TSC_HAS_TSCP : 0);
        r->b = d->tsc.tsc_mode;
        r->c = guest_khz(d);
        r->d = d->tsc.incarnation;
        break;
    case 1: /* EAX, EBX: offset; no guest's TSC has one */
        tsc_scale(guest_khz(d), r);
        break;
    case 2:
        r->a = host_rate;
        break;
    default:
        break;
    }
}

/* How many bits an address of this machine's memory has. */
static uint32_t machine_address_width(const struct hypervisor *hv)
{
    uint64_t last = hv->nr_pages ? hv->nr_pages - 1 : 0;

    return PAGE_BITS + (last ? 64u - (uint32_t)__builtin_clzll(last) : 0);
}

void guest_cpuid_hypervisor(const struct vcpu *v, uint32_t leaf, uint32_t subleaf,
                            struct cpuid_regs *r)
{
    const struct domain *d = v->domain;
    uint32_t limit = d->policy.hv_limit;

    /* The toolstack's limit, in the range that Xen takes. */
    if (limit < 2)
        limit = limit ? 2 : XEN_CPUID_MAX_NUM_LEAVES;
    else if (limit > XEN_CPUID_MAX_NUM_LEAVES)
        limit = XEN_CPUID_MAX_NUM_LEAVES;
    if (leaf - XEN_CPUID_FIRST_LEAF > limit)
        return;

    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        *r = (struct cpuid_regs){XEN_CPUID_LEAF(limit), XEN_CPUID_SIGNATURE_EBX,
                                 XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX};
        break;
    case 1:
        r->a = XEN_MAJOR << 16 | XEN_MINOR;
        break;
    case 2:
        r->a = 1; /* hypercall page */
        r->b = XEN_MSR_BASE;
        r->c = d->hvm ? 0 : XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD;
        break;
    case 3:
        leaf_time(d, subleaf, r);
        break;
    case 4: /* no APIC is virtualised by hardware here, and there is no IOMMU */
        if (!d->hvm || subleaf)
            break;
        r->a = XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT;
        r->b = v->id;
        r->c = d->id;
        break;
    case 5:
        if (!d->hvm && !subleaf)
            r->b = machine_address_width(d->hv);
        break;
    default:
        break;
    }
}
