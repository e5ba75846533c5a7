/* SPDX-License-Identifier: MIT */
/* What writing a topology into a policy and reading it back have in common. */
#ifndef TOPOLOGY_PRIVATE_H
#define TOPOLOGY_PRIVATE_H

#include <topology.h>

#include <cpuid-policy/vocabulary.h>
#include <xen/errno.h>

#include "features-gen.h"

#define CACHE_TYPE_MASK 0x1fu /* leaf 4 and 8000001D, EAX: 0 = no more caches */

/* Level types: leaves B and 1F, SDM vol. 2A; 80000026, APM vol. 3, appendix E. */
enum { LEVEL_NONE, LEVEL_SMT, LEVEL_CORE, LEVEL_MODULE, LEVEL_TILE, LEVEL_DIE };
enum { AMD_LEVEL_CORE = 1, AMD_LEVEL_COMPLEX, AMD_LEVEL_DIE, AMD_LEVEL_SOCKET };

/* Fields of leaf 4's and 8000001D's EAX. */
static inline uint32_t cache_level(const struct cpuid_regs *r)
{
    return (r->a >> 5) & 7;
}

static inline uint32_t cache_sharers(const struct cpuid_regs *r)
{
    return ((r->a >> 14) & 0xfff) + 1;
}

/* The number of bits that number n things: 0 for one. */
static inline unsigned int bits_for(uint32_t n)
{
    return n <= 1 ? 0 : 32u - (unsigned int)__builtin_clz(n - 1);
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/*
 * What to write where the reader rounds up to a power of 2 and takes that for the id range: the
 * count itself when it leads to this shift, else the range.
 */
static inline uint32_t sharing_count(uint32_t count, unsigned int shift)
{
    return bits_for(count) == shift ? count : 1u << shift;
}

static inline uint32_t threads_per_die(const struct topology_map *m)
{
    return m->topology.threads * m->topology.cores;
}

static inline uint32_t threads_per_socket(const struct topology_map *m)
{
    return threads_per_die(m) * m->topology.dies;
}

static inline bool policy_has_leaf_b(const struct cpu_policy *p)
{
    return policy_max_basic(p) >= 0xb;
}

static inline bool policy_has_extd(const struct cpu_policy *p, uint32_t leaf)
{
    return policy_max_extd(p) >= leaf && leaf - EXTD_FIRST < POLICY_NR_EXTD;
}

static inline bool policy_has_topoext(const struct cpu_policy *p)
{
    return policy_has(p, X86_FEATURE_TOPOEXT) && policy_has_extd(p, 0x8000001e);
}

/* The highest id that a vCPU with this policy can have.  255 and FFFFFFFF are broadcasts: SDM
 * vol. 3A, 11.6.2 and 11.12.9. */
static inline uint32_t topology_max_id(const struct cpu_policy *p)
{
    return policy_has_leaf_b(p) && policy_has(p, X86_FEATURE_X2APIC) ? 0xfffffffeu : 0xfeu;
}

/*
 * topology-read.c: all but sockets and caches.  0; or -EINVAL with the leaf that contradicts the
 * others.
 */
int topology_read(const struct cpu_policy *p, struct topology_map *m, uint32_t *leaf,
                  uint32_t *subleaf);

/* topology-cache.c: fill in m->amd_cache, from a map that is complete but for it. */
void topology_amd_caches(const struct cpu_policy *p, struct topology_map *m);

/*
 * In 1.EBX[31:24] of a policy without leaf B: the other leaves are a topology that was given to
 * this domain.  Else they are what stock Xen left of the host's, and it puts 0 there, because each
 * vCPU has an APIC id of its own.
 */
#define TOPOLOGY_TOLD 0xffu

#endif /* TOPOLOGY_PRIVATE_H */
