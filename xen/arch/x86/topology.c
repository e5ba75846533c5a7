/* SPDX-License-Identifier: MIT */
/* A topology written into a policy, and the place of a vCPU in it. */
#include "topology-private.h"

/* No cache of leaf 4 or 8000001D can have more sharers: a field of 12 bits. */
#define MAX_SOCKET_SHIFT 12u

/* The map of a topology with no bit wasted. */
static int lay_out_map(const struct cpu_topology *t, struct topology_map *m)
{
    if (!t->threads || !t->cores || !t->dies || !t->sockets)
        return -XEN_EINVAL;
    *m = (struct topology_map){.topology = *t};
    m->core_shift = (uint8_t)bits_for(t->threads);
    m->die_shift = (uint8_t)(m->core_shift + bits_for(t->cores));
    m->socket_shift = (uint8_t)(m->die_shift + bits_for(t->dies));
    return m->socket_shift > MAX_SOCKET_SHIFT ? -XEN_ERANGE : 0;
}

/* The highest id that this topology uses. */
static uint64_t last_apic_id(const struct topology_map *m)
{
    const struct cpu_topology *t = &m->topology;

    return (uint64_t)(t->sockets - 1) << m->socket_shift | (t->dies - 1) << m->die_shift |
           (t->cores - 1) << m->core_shift | (t->threads - 1);
}

static void write_level(struct cpuid_regs *r, unsigned int n, uint32_t type, uint32_t shift,
                        uint32_t count)
{
    r[n] = (struct cpuid_regs){.a = shift, .b = count, .c = type << 8 | n};
}

/* Leaf B knows no dies: its cores are the socket's.  SDM vol. 2A, CPUID. */
static void write_leaf_b(const struct topology_map *m, struct cpu_policy *p)
{
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++)
        p->topo[i] = (struct cpuid_regs){0};
    if (!policy_has_leaf_b(p))
        return;
    write_level(p->topo, 0, LEVEL_SMT, m->core_shift, m->topology.threads);
    write_level(p->topo, 1, LEVEL_CORE, m->socket_shift, threads_per_socket(m));
}

static void write_leaf_1f(const struct topology_map *m, struct cpu_policy *p)
{
    for (unsigned int i = 0; i < POLICY_NR_TOPO_V2; i++)
        p->topo_v2[i] = (struct cpuid_regs){0};
    if (m->amd || policy_max_basic(p) < 0x1f)
        return;
    write_level(p->topo_v2, 0, LEVEL_SMT, m->core_shift, m->topology.threads);
    write_level(p->topo_v2, 1, LEVEL_CORE, m->die_shift, threads_per_die(m));
    if (m->topology.dies > 1)
        write_level(p->topo_v2, 2, LEVEL_DIE, m->socket_shift, threads_per_socket(m));
}

/* Leaf 1: count of ids in the socket (Intel: a range; AMD: a number), HTT when it is not 1. */
static void write_leaf_1(const struct topology_map *m, struct cpu_policy *p)
{
    uint32_t count = m->amd ? threads_per_socket(m) : 1u << m->socket_shift;

    p->basic[1].b = (p->basic[1].b & 0x0000ffffu) | min_u32(count, 0xff) << 16;
    if (!policy_has_leaf_b(p))
        p->basic[1].b |= TOPOLOGY_TOLD << 24;
    p->basic[1].d &= ~feature_bit(X86_FEATURE_HTT);
    if (threads_per_socket(m) > 1)
        p->basic[1].d |= feature_bit(X86_FEATURE_HTT);
}

/*
 * Leaf 4, EAX[25:14] and EAX[31:26].  What the cache is stays as it is.  The second level of a CPU
 * too old for leaf B (Core 2 and before) is its last, and the die's.
 */
static void write_leaf_4(const struct topology_map *m, struct cpu_policy *p)
{
    uint32_t cores = min_u32(1u << (m->socket_shift - m->core_shift), 64);
    uint32_t first_of_die = policy_has_leaf_b(p) ? 3 : 2;

    for (unsigned int i = 0; i < POLICY_NR_CACHE; i++) {
        struct cpuid_regs *r = &p->cache[i];
        unsigned int shift = cache_level(r) >= first_of_die ? m->die_shift : m->core_shift;

        if (!(r->a & CACHE_TYPE_MASK))
            break;
        r->a = (r->a & 0x3fffu) | ((1u << shift) - 1) << 14 | (cores - 1) << 26;
    }
}

static void write_intel(const struct topology_map *m, struct cpu_policy *p)
{
    p->extd[1].c &=
        ~feature_bit(X86_FEATURE_CMP_LEGACY); /* AMD's; there are hosts whose maximum has it */
    write_leaf_4(m, p);
}

/* 80000008.ECX, 8000001D/1E, 80000026: APM vol. 3, appendix E: E.4.7, E.4.15, E.4.16. */
static int write_amd(const struct topology_map *m, struct cpu_policy *p)
{
    const struct cpu_topology *t = &m->topology;
    uint32_t threads = threads_per_socket(m);

    p->extd[1].c &= ~feature_bit(X86_FEATURE_CMP_LEGACY);
    if (threads > 1)
        p->extd[1].c |= feature_bit(X86_FEATURE_CMP_LEGACY);
    if (policy_has_extd(p, 0x80000008))
        p->extd[8].c = (p->extd[8].c & 0xffff0f00u) | (uint32_t)m->socket_shift << 12 |
                       min_u32(threads - 1, 0xff);

    p->extd[0x1e] = (struct cpuid_regs){0};
    p->extd[0x26] = (struct cpuid_regs){0};
    if (!policy_has_topoext(p)) {
        p->extd[0x1d] = (struct cpuid_regs){0};
        return 0;
    }
    /* Core and node ids have 8 bits.  (Counts that do not fit will not read back.) */
    if (t->cores * t->dies > 256 || (uint64_t)t->dies * t->sockets > 256)
        return -XEN_ERANGE;
    p->extd[0x1e].b = (t->threads - 1) << 8;
    p->extd[0x1e].c = (t->dies - 1) << 8;
    if (p->extd[0x1d].a & CACHE_TYPE_MASK)
        p->extd[0x1d].a =
            (p->extd[0x1d].a & 0x3fffu) | (sharing_count(t->threads, m->core_shift) - 1) << 14;
    if (policy_has_extd(p, 0x80000026))
        write_level(&p->extd[0x26], 0, AMD_LEVEL_CORE, m->core_shift, t->threads);
    return 0;
}

/* Do the leaves say all of it?  The sockets they need not: there are as many as vCPUs fill. */
static bool reads_back(const struct cpu_policy *p, const struct topology_map *m)
{
    struct topology_map back;
    uint32_t leaf, subleaf;

    return !topology_read(p, &back, &leaf, &subleaf) && !back.stock &&
           back.topology.threads == m->topology.threads &&
           back.topology.cores == m->topology.cores && back.topology.dies == m->topology.dies &&
           back.core_shift == m->core_shift && back.die_shift == m->die_shift &&
           back.socket_shift == m->socket_shift;
}

int topology_to_policy(const struct cpu_topology *t, struct cpu_policy *p)
{
    struct cpu_policy written = *p;
    struct topology_map m;
    int rc = lay_out_map(t, &m);

    if (rc)
        return rc;
    if (last_apic_id(&m) > topology_max_id(p))
        return -XEN_ERANGE;
    m.amd = vendor_is_amd_like(policy_vendor_id(p));

    write_leaf_1(&m, &written);
    write_leaf_b(&m, &written);
    write_leaf_1f(&m, &written);
    if (m.amd)
        rc = write_amd(&m, &written);
    else
        write_intel(&m, &written);
    if (rc)
        return rc;
    if (!reads_back(&written, &m))
        return -XEN_ERANGE;
    *p = written;
    return 0;
}

void topology_place(const struct topology_map *map, uint32_t vcpu_id, struct cpu_place *place)
{
    const struct cpu_topology *t = &map->topology;
    uint32_t rest = vcpu_id;

    if (map->stock) {
        *place = (struct cpu_place){.core = vcpu_id, .apic_id = vcpu_id * 2};
        return;
    }
    place->thread = rest % t->threads;
    rest /= t->threads;
    place->core = rest % t->cores;
    rest /= t->cores;
    place->die = rest % t->dies;
    place->socket = rest / t->dies;
    place->apic_id = (uint32_t)((uint64_t)place->socket << map->socket_shift) |
                     place->die << map->die_shift | place->core << map->core_shift | place->thread;
}
