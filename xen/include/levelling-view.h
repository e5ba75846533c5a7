/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest's programs see of the CPU.
 *
 * A PV guest has two views of CPUID.  Its kernel asks the hypervisor with the forced emulation
 * prefix (<xen/arch-x86/xen.h>, XEN_EMULATE_PREFIX) and reads the policy, on every host.  Its
 * programs execute CPUID on the processor: where that faults the hypervisor answers, with the
 * policy; where there are masking MSRs they read the processor's leaves with some feature words
 * masked; elsewhere the processor's leaves as they are.
 *
 * Needs no machine: the tools plan with it too.  A host's own masks for everybody (cpuid_mask_* on
 * Xen's command line) are not known here.
 */
#ifndef LEVELLING_VIEW_H
#define LEVELLING_VIEW_H

#include <cpuid-policy/policy.h>

/* Parts of what CPUID says that are no feature bits. */
enum pv_area {
    PV_AREA_VENDOR,     /* leaves 0 and 80000000 */
    PV_AREA_MODEL,      /* family, model, stepping: 1.EAX, 80000001.EAX */
    PV_AREA_BRAND,      /* 80000002 to 80000004; the brand numbers 1.EBX[7:0], 80000001.EBX */
    PV_AREA_LEAVES,     /* the highest leaves: 0.EAX, 7.0.EAX, 80000000.EAX */
    PV_AREA_CACHES,     /* leaves 2, 4, 18; 80000005, 80000006, 80000019, 8000001D; CLFLUSH */
    PV_AREA_TOPOLOGY,   /* leaves B, 1F, 8000001E, 80000026, and how many share what */
    PV_AREA_WIDTHS,     /* of addresses: 80000008.EAX */
    PV_AREA_XSTATE,     /* leaf D but for its feature bits */
    PV_AREA_HYPERVISOR, /* leaves 40000000 and up: Xen's, or those that the CPU itself gives */
    PV_AREA_OTHER, /* every other leaf, and bits that have no name: see pv_change.basic, extd */
    PV_AREAS,
};

/* How what CPUID says differs.  What is a vCPU's place or follows its own state (APIC ids, OSXSAVE,
 * OSPKE, the size of the XSAVE area in use) is not compared. */
struct pv_change {
    struct featureset appear, vanish; /* APIC too; HTT and CMP_LEGACY are topology */
    uint32_t areas;                   /* bit (1 << enum pv_area) */
    uint64_t basic, extd;             /* leaves of PV_AREA_OTHER: bit n for leaf n, 80000000 + n */
};

struct pv_view {
    bool exact;             /* the policy and nothing else: CPUID faults */
    struct cpu_policy seen; /* what programs read; leaves beyond those of a policy are not there */
    /*
     * From the policy to what is seen.  appear: stays visible, though the policy lacks it; vanish:
     * cannot be shown, though the policy has it; areas: the policy's identity is not what is seen.
     */
    struct pv_change beyond;
};

/*
 * caps: XEN_SYSCTL_CPU_LEVELCAP_* of the host (<xen/sysctl.h>), raw: its raw policy, policy: what
 * the guest has been given.
 */
void levelling_pv_view(uint32_t caps, const struct cpu_policy *raw, const struct cpu_policy *policy,
                       struct pv_view *view);
/* What its programs find otherwise when it moves from one host to another. */
void levelling_pv_move(const struct pv_view *from, const struct pv_view *to, struct pv_change *c);
bool levelling_pv_same(const struct pv_change *c);

/* The features alone that are seen beyond the policy: `appear` without what follows a vCPU's state
 * or another bit. */
void levelling_visible(uint32_t caps, const struct cpu_policy *raw, const struct cpu_policy *guest,
                       struct featureset *visible);

/* "brand", "caches", ...; NULL beyond the last. */
const char *levelling_pv_area_name(unsigned int area);

#endif /* LEVELLING_VIEW_H */
