/* SPDX-License-Identifier: MIT */
/*
 * The raw policy: everything that CPUID and a policy's MSRs say on pCPU 0.  Only the core has a
 * platform to ask; the tools have dumps.
 */
#include <hypervisor.h>

#include <cpuid-policy/vocabulary.h>

#include <xen/sysctl.h>

#include "features-gen.h"

static void read_leaf(struct platform *p, struct cpu_policy *raw, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs *slot = policy_leaf(raw, leaf, subleaf);

    if (slot)
        platform_cpuid(p, 0, leaf, subleaf == POLICY_NONE ? 0 : subleaf, slot);
}

/* Subleaves that are not there read as zero, or repeat: a CPU says itself where they end. */
static void read_subleaves(struct platform *p, struct cpu_policy *raw, uint32_t leaf, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct cpuid_regs *slot;

        read_leaf(p, raw, leaf, i);
        slot = policy_leaf(raw, leaf, i);
        if (!slot)
            return;
        if (leaf == 0x4 && !(slot->a & 0x1f)) /* cache type 0: no more caches */
            return;
        if ((leaf == 0xb || leaf == 0x1f) && !(slot->c & 0xff00u)) { /* level type 0 */
            *slot = (struct cpuid_regs){0};
            return;
        }
        if ((leaf == 0x7 || leaf == 0x1d || leaf == 0x24) &&
            i >= policy_leaf(raw, leaf, 0)->a) /* subleaf 0's EAX is the highest */
            return;
    }
}

static void read_msrs(struct platform *p, struct cpu_policy *raw)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    /* The number means something else on family 0xF, and on other vendors' CPUs. */
    if (policy_vendor_id(raw) == CPU_VENDOR_INTEL && family == 6 &&
        platform_rdmsr(p, 0, MSR_INTEL_PLATFORM_INFO, 0, &raw->platform_info))
        raw->platform_info = 0;
    if (policy_has(raw, X86_FEATURE_ARCH_CAPS) &&
        platform_rdmsr(p, 0, MSR_ARCH_CAPABILITIES, 0, &raw->arch_caps))
        raw->arch_caps = 0;
}

void host_policy_read(struct platform *p, struct cpu_policy *raw)
{
    uint32_t limit;

    *raw = (struct cpu_policy){0};
    read_leaf(p, raw, 0, POLICY_NONE);
    limit = raw->basic[0].a < POLICY_NR_BASIC - 1 ? raw->basic[0].a : POLICY_NR_BASIC - 1;
    for (uint32_t leaf = 1; leaf <= limit; leaf++)
        if (!policy_leaf_has_subleaves(leaf))
            read_leaf(p, raw, leaf, POLICY_NONE);
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        if (policy_families[i].leaf <= limit)
            read_subleaves(p, raw, policy_families[i].leaf, policy_families[i].count);
    read_leaf(p, raw, EXTD_FIRST, POLICY_NONE);
    if (raw->extd[0].a < EXTD_FIRST || raw->extd[0].a > EXTD_FIRST + 0xffff) {
        raw->extd[0] = (struct cpuid_regs){0}; /* a CPU without them answers with anything */
        limit = 0;
    } else {
        limit = raw->extd[0].a & 0xffffu;
    }
    for (uint32_t i = 1; i <= limit && i < POLICY_NR_EXTD; i++)
        read_leaf(p, raw, EXTD_FIRST + i, POLICY_NONE);
    read_msrs(p, raw);
    policy_trim(raw);
}

uint32_t host_khz(const struct hypervisor *hv)
{
    const struct cpu_policy *raw = &hv->policies[XEN_SYSCTL_cpu_policy_raw];

    /* Leaf 16.EAX: base frequency in MHz (SDM vol. 2A, CPUID). */
    return policy_max_basic(raw) >= 0x16 ? (raw->basic[0x16].a & 0xffff) * 1000 : 0;
}
