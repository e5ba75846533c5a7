/* SPDX-License-Identifier: MIT */
/* The topology that a policy's leaves tell, and whether they tell the same one. */
#include "topology-private.h"

/* Where leaves contradict each other. */
struct where {
    uint32_t leaf, subleaf;
};

static int blame_leaf(struct where *w, uint32_t leaf, uint32_t subleaf)
{
    *w = (struct where){leaf, subleaf};
    return -XEN_EINVAL;
}

/* A level of leaf B or 1F: APIC id bits below the next level, logical processors in one of it. */
struct level {
    uint32_t shift, count;
};

/* Those of leaf B or 1F that a topology is made of. */
struct levels {
    struct level smt, core, socket;
    bool die; /* there is a level of dies: `core` and `socket` differ in meaning */
    int last; /* subleaf of `socket` */
};

static bool level_fits(const struct level *l, const struct level *below)
{
    return l->count && l->shift >= below->shift && l->count % below->count == 0 &&
           l->count / below->count <= 1ull << (l->shift - below->shift);
}

/*
 * SDM vol. 2A, leaves B and 1F: types ascend from SMT, a count of 0 ends.  Modules and tiles are
 * not told from cores: the last level below the die is taken.  Returns the subleaf that is wrong,
 * or -1.
 */
static int read_levels(const struct cpuid_regs *r, unsigned int room, struct levels *out)
{
    struct level below = {0, 1};
    uint32_t last = LEVEL_NONE;
    unsigned int i;

    *out = (struct levels){0};
    for (i = 0; i < room && (r[i].b & 0xffff); i++) {
        struct level l = {r[i].a & 0x1f, r[i].b & 0xffff};
        uint32_t type = (r[i].c >> 8) & 0xff;

        if (type <= last || (i == 0) != (type == LEVEL_SMT) || !level_fits(&l, &below))
            return (int)i;
        if (type == LEVEL_SMT)
            out->smt = l;
        if (type < LEVEL_DIE)
            out->core = l;
        else
            out->die = true;
        out->socket = below = l;
        out->last = (int)i;
        last = type;
    }
    if (last < LEVEL_CORE)
        return (int)i;
    for (; i < room; i++)
        if (r[i].b & 0xffff)
            return (int)i;
    return -1;
}

static void set_counts(struct topology_map *m, uint32_t threads, uint32_t dies, uint32_t all)
{
    m->topology.threads = threads;
    m->topology.dies = dies;
    m->topology.cores = all / threads / dies;
}

/* Dies of AMD's: nodes of a processor, 8000001E.ECX[10:8], whose number is above the cores'. */
static int read_nodes(const struct cpu_policy *p, struct topology_map *m, struct where *w)
{
    uint32_t nodes = ((p->extd[0x1e].c >> 8) & 7) + 1, bits = bits_for(nodes);
    uint32_t per_socket = threads_per_socket(m);

    if (((p->extd[0x1e].b >> 8) & 0xff) + 1 != m->topology.threads ||
        per_socket % (m->topology.threads * nodes) || m->core_shift + bits > m->socket_shift)
        return blame_leaf(w, 0x8000001e, POLICY_NONE);
    set_counts(m, m->topology.threads, nodes, per_socket);
    m->die_shift = (uint8_t)(m->socket_shift - bits);
    if (m->core_shift + bits_for(m->topology.cores) > m->die_shift)
        return blame_leaf(w, 0x8000001e, POLICY_NONE);
    return 0;
}

/* Leaf 1F says the same as leaf B, and how the socket is made of dies. */
static int read_leaf_1f(const struct cpu_policy *p, const struct levels *b, struct topology_map *m,
                        struct where *w)
{
    struct levels f;
    int wrong = read_levels(p->topo_v2, POLICY_NR_TOPO_V2, &f);

    if (wrong < 0 && (f.smt.shift != b->smt.shift || f.smt.count != b->smt.count))
        wrong = 0;
    if (wrong < 0 && (f.socket.shift != b->socket.shift || f.socket.count != b->socket.count))
        wrong = f.last;
    if (wrong >= 0)
        return blame_leaf(w, 0x1f, (uint32_t)wrong);
    set_counts(m, f.smt.count, f.die ? f.socket.count / f.core.count : 1, f.socket.count);
    m->die_shift = (uint8_t)(f.die ? f.core.shift : f.socket.shift);
    return 0;
}

static int read_leaf_b(const struct cpu_policy *p, struct topology_map *m, struct where *w)
{
    struct levels b;
    int wrong = read_levels(p->topo, POLICY_NR_TOPO, &b);

    if (wrong < 0 && b.die)
        wrong = 2;
    if (wrong >= 0)
        return blame_leaf(w, 0xb, (uint32_t)wrong);
    m->core_shift = (uint8_t)b.smt.shift;
    m->die_shift = m->socket_shift = (uint8_t)b.socket.shift;
    set_counts(m, b.smt.count, 1, b.socket.count);
    if (!m->amd && policy_max_basic(p) >= 0x1f && (p->topo_v2[0].b & 0xffff))
        return read_leaf_1f(p, &b, m, w);
    return 0;
}

/* The last of leaf 4's caches. */
static const struct cpuid_regs *last_cache(const struct cpu_policy *p)
{
    const struct cpuid_regs *last = NULL;

    for (unsigned int i = 0; i < POLICY_NR_CACHE && (p->cache[i].a & CACHE_TYPE_MASK); i++)
        last = &p->cache[i];
    return last;
}

/*
 * A CPU too old for leaf B, and a topology only when it is marked as one.  AMD's 80000008 counts
 * cores, when CMP_LEGACY says so; Intel's leaf 4 gives ranges of ids only, when a cache has
 * sharers.
 */
static int read_old(const struct cpu_policy *p, struct topology_map *m)
{
    uint32_t count = (p->basic[1].b >> 16) & 0xff, cores;
    bool several = policy_has(p, X86_FEATURE_HTT);
    const struct cpuid_regs *last = last_cache(p);

    m->stock = true;
    if (p->basic[1].b >> 24 != TOPOLOGY_TOLD)
        return 0;
    if (count == 1 && !several) {
        m->stock = false;
        set_counts(m, 1, 1, 1);
        return 0;
    }
    if (count < 2 || !several)
        return 0;
    if (m->amd) {
        uint32_t ecx = p->extd[8].c, bits = (ecx >> 12) & 0xf;

        if (!policy_has(p, X86_FEATURE_CMP_LEGACY) || (ecx & 0xff) + 1 != count)
            return 0;
        m->socket_shift = (uint8_t)(bits ? bits : bits_for(count));
        if (bits_for(count) > m->socket_shift)
            return 0;
        m->die_shift = m->socket_shift;
        set_counts(m, 1, 1, count);
    } else {
        if (!last || cache_sharers(last) < 2)
            return 0;
        cores = 1u << bits_for((last->a >> 26) + 1);
        m->die_shift = m->socket_shift = (uint8_t)bits_for(count);
        if (cores > 1u << m->socket_shift)
            return 0;
        m->core_shift = (uint8_t)(m->socket_shift - bits_for(cores));
        set_counts(m, 1u << m->core_shift, 1, 1u << m->socket_shift);
    }
    m->stock = false;
    return 0;
}

/* ---- what else says it ---- */

/* The next power of 2 of a count is the range of ids: SDM vol. 2A, leaves 1 and 4. */
static bool range_is(uint32_t count, uint32_t range, uint32_t limit)
{
    return 1u << bits_for(count) == min_u32(range, limit);
}

static int check_leaf_1(const struct cpu_policy *p, const struct topology_map *m, struct where *w)
{
    uint32_t count = (p->basic[1].b >> 16) & 0xff, all = threads_per_socket(m);
    bool several = policy_has(p, X86_FEATURE_HTT);

    if (several != (all > 1) || (!several && count > 1) ||
        (several && m->amd && count != min_u32(all, 0xff)) ||
        (several && !m->amd && !range_is(count, 1u << m->socket_shift, 256)))
        return blame_leaf(w, 1, POLICY_NONE);
    return 0;
}

/* A cache is shared by whole cores, by at least those that share the level before, and within
 * the socket. */
static int check_leaf_4(const struct cpu_policy *p, const struct topology_map *m, struct where *w)
{
    uint32_t cores = 1u << (m->socket_shift - m->core_shift);
    unsigned int before = m->core_shift, level = 0;

    for (unsigned int i = 0; i < POLICY_NR_CACHE && (p->cache[i].a & CACHE_TYPE_MASK); i++) {
        const struct cpuid_regs *r = &p->cache[i];
        unsigned int bits = bits_for(cache_sharers(r));

        if (bits < before || bits > m->socket_shift || cache_level(r) < level ||
            !range_is((r->a >> 26) + 1, cores, 64))
            return blame_leaf(w, 4, i);
        before = bits;
        level = cache_level(r);
    }
    return 0;
}

static int check_amd(const struct cpu_policy *p, const struct topology_map *m, struct where *w)
{
    const struct cpuid_regs *l1 = &p->extd[0x1d], *core = &p->extd[0x26];

    if (policy_has_extd(p, 0x80000008)) {
        uint32_t ecx = p->extd[8].c, bits = (ecx >> 12) & 0xf;

        if ((ecx & 0xff) + 1 != min_u32(threads_per_socket(m), 256) ||
            (bits ? bits : bits_for((ecx & 0xff) + 1)) != m->socket_shift)
            return blame_leaf(w, 0x80000008, POLICY_NONE);
    }
    if (m->topoext && (l1->a & CACHE_TYPE_MASK) &&
        (bits_for(cache_sharers(l1)) != m->core_shift || cache_level(l1) != 1))
        return blame_leaf(w, 0x8000001d, POLICY_NONE);
    if (m->topoext && policy_has_extd(p, 0x80000026) && (core->b & 0xffff) &&
        ((core->a & 0x1f) != m->core_shift || (core->b & 0xffff) != m->topology.threads ||
         ((core->c >> 8) & 0xff) != AMD_LEVEL_CORE))
        return blame_leaf(w, 0x80000026, POLICY_NONE);
    return 0;
}

static int read_and_check(const struct cpu_policy *p, struct topology_map *m, struct where *w)
{
    int rc;

    *m = (struct topology_map){.amd = vendor_is_amd_like(policy_vendor_id(p))};
    if (!policy_has_leaf_b(p))
        rc = read_old(p, m);
    else if (p->topo[0].b & 0xffff)
        rc = read_leaf_b(p, m, w);
    else
        m->stock = true, rc = 0;
    if (rc || m->stock)
        return rc;

    m->topoext = m->amd && policy_has_topoext(p);
    if (m->topoext)
        rc = read_nodes(p, m, w);
    if (!rc)
        rc = check_leaf_1(p, m, w);
    if (!rc)
        rc = m->amd ? check_amd(p, m, w) : check_leaf_4(p, m, w);
    return rc;
}

int topology_read(const struct cpu_policy *p, struct topology_map *m, uint32_t *leaf,
                  uint32_t *subleaf)
{
    struct where w = {POLICY_NONE, POLICY_NONE};
    int rc = read_and_check(p, m, &w);

    *leaf = w.leaf;
    *subleaf = w.subleaf;
    return rc;
}

int topology_verify(const struct cpu_policy *p, uint32_t *leaf, uint32_t *subleaf)
{
    struct topology_map m;

    return topology_read(p, &m, leaf, subleaf);
}

static void as_stock(struct topology_map *m, uint32_t nr_vcpus)
{
    bool amd = m->amd;

    *m = (struct topology_map){
        .topology = {.threads = 1, .cores = nr_vcpus ? nr_vcpus : 1, .dies = 1, .sockets = 1},
        .core_shift = 1,
        .stock = true,
        .amd = amd,
    };
    m->die_shift = m->socket_shift = (uint8_t)(1 + bits_for(nr_vcpus));
}

/* Do all vCPUs get ids that this CPU's APICs can have, and that are different? */
static bool ids_fit(const struct cpu_policy *p, const struct topology_map *m, uint32_t nr_vcpus)
{
    struct cpu_place last;

    if (m->topology.sockets - 1 > UINT32_MAX >> m->socket_shift)
        return false;
    topology_place(m, nr_vcpus ? nr_vcpus - 1 : 0, &last); /* ids ascend */
    return last.apic_id <= topology_max_id(p);
}

void topology_from_policy(const struct cpu_policy *p, uint32_t nr_vcpus, struct topology_map *map)
{
    uint32_t leaf, subleaf;
    int rc = topology_read(p, map, &leaf, &subleaf);

    if (!rc && !map->stock)
        map->topology.sockets = nr_vcpus ? (nr_vcpus - 1) / threads_per_socket(map) + 1 : 1;
    if (rc || map->stock || !ids_fit(p, map, nr_vcpus))
        as_stock(map, nr_vcpus);
    else if (map->topoext)
        topology_amd_caches(p, map);
}
