/* SPDX-License-Identifier: MIT */
/*
 * The topology of a domain: how its vCPUs are threads of cores of dies of sockets.
 *
 * The hypervisor's ABI has no word for it, and needs none: a topology is part of the CPU that the
 * guest was told about, so it is *written into the policy* (leaf B, leaf 1F when there are dies,
 * 8000001E on AMD) and travels with it.  What differs from vCPU to vCPU is computed by
 * guest_cpuid(); a policy holds what is common to all.
 *
 * Leaf B decides whether a policy says anything, on AMD as well (x2APIC, which every HVM guest
 * has, comes with it): stock Xen empties it in every policy of a guest.  A CPU too old for leaf B
 * says it with leaf 1 and, on Intel, leaf 4, on AMD, 80000008, as it did in silicon; what stock
 * Xen writes there (CMP_LEGACY clear on AMD, no shared cache on Intel) is told apart from that.
 *
 * Caches: the first two levels are a core's and shared by its threads, the third is a die's.
 */
#ifndef TOPOLOGY_H
#define TOPOLOGY_H

#include <cpuid-policy/policy.h>

/* Each at least 1. */
struct cpu_topology {
    uint32_t threads; /* per core */
    uint32_t cores;   /* per die */
    uint32_t dies;    /* per socket */
    uint32_t sockets;
};

/* Where a vCPU is. */
struct cpu_place {
    uint32_t thread, core, die, socket;
    uint32_t apic_id;
};

/* 8000001D has a subleaf a cache; policies hold the first only. */
#define TOPOLOGY_AMD_CACHES 4u

/*
 * What was decoded, ready for use: the shift of each level in an APIC id.  `stock`: the policy says
 * nothing, and vCPUs are placed as stock Xen does (APIC id = 2 * vCPU id).
 */
struct topology_map {
    struct cpu_topology topology;
    uint8_t core_shift, die_shift, socket_shift; /* APIC id bits below each level */
    bool stock;
    bool amd;     /* AMD or Hygon */
    bool topoext; /* 8000001D, 8000001E are there: never when stock */
    /* 8000001D: subleaf 0 from the policy, the others from what 80000005 and 80000006 say of the
     * same caches.  All zero: no cache there. */
    struct cpuid_regs amd_cache[TOPOLOGY_AMD_CACHES];
};

/*
 * Write it into the leaves that this vendor's CPUs use for it.  No leaf beyond the policy's maxima
 * and no feature is added but HTT and CMP_LEGACY (which follow the topology): the host's maximum
 * has to allow the rest.  -EINVAL: a count is 0.  -ERANGE: this CPU's leaves cannot say it: APIC
 * ids above 254 without leaf B and x2APIC, more than 4096 ids a socket, dies without leaf 1F
 * (AMD: TOPOEXT), threads on an old AMD, counts that are no powers of 2 on an old Intel.  On error
 * *p is as it was.
 */
int topology_to_policy(const struct cpu_topology *t, struct cpu_policy *p);
/*
 * Read it back.  `nr_vcpus` is for what the leaves do not say (sockets).  Never fails: what is
 * contradictory is reported by topology_verify, and read as stock here; so is a policy that has
 * not enough APIC ids for so many vCPUs.
 */
void topology_from_policy(const struct cpu_policy *p, uint32_t nr_vcpus, struct topology_map *map);
/*
 * Are the topology leaves of this policy consistent with each other (B, 1F, 4, 1, 80000008,
 * 8000001D, 8000001E, 80000026)?  0 or -EINVAL with *leaf, *subleaf = the first that is not.  A
 * policy that says nothing (stock Xen's) is consistent.
 */
int topology_verify(const struct cpu_policy *p, uint32_t *leaf, uint32_t *subleaf);

void topology_place(const struct topology_map *map, uint32_t vcpu_id, struct cpu_place *place);

#endif /* TOPOLOGY_H */
