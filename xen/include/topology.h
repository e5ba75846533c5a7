/* SPDX-License-Identifier: MIT */
/*
 * The topology of a domain: how its vCPUs are threads of cores of dies of sockets.
 *
 * The hypervisor's ABI has no word for it, and needs none: a topology is part of the CPU that the
 * guest was told about, so it is *written into the policy* (leaf B, leaf 1F when there are dies,
 * 8000001E on AMD) and travels with it.  What differs from vCPU to vCPU is computed by
 * guest_cpuid(); a policy holds what is common to all.
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

/*
 * What was decoded, ready for use: the shift of each level in an APIC id.  `stock`: the policy says
 * nothing, and vCPUs are placed as stock Xen does (APIC id = 2 * vCPU id).
 */
struct topology_map {
    struct cpu_topology topology;
    uint8_t core_shift, die_shift, socket_shift; /* APIC id bits below each level */
    bool stock;
};

/* Write it into the leaves that this vendor's CPUs use for it.  -EINVAL: a count is 0, or the APIC
 * ids would need more than 32 bits (more than 8 where the CPU has no leaf B: -ERANGE). */
int topology_to_policy(const struct cpu_topology *t, struct cpu_policy *p);
/* Read it back.  `nr_vcpus` is for what the leaves do not say (sockets).  Never fails: what is
 * contradictory is reported by topology_verify, and read as stock here. */
void topology_from_policy(const struct cpu_policy *p, uint32_t nr_vcpus, struct topology_map *map);
/* Are the topology leaves of this policy consistent with each other (B, 1F, 4, 1, 80000008,
 * 8000001E)? 0 or -EINVAL with *leaf, *subleaf = the first that is not. */
int topology_verify(const struct cpu_policy *p, uint32_t *leaf, uint32_t *subleaf);

void topology_place(const struct topology_map *map, uint32_t vcpu_id, struct cpu_place *place);

#endif /* TOPOLOGY_H */
