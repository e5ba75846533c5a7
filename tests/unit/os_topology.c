/* SPDX-License-Identifier: MIT */
#include "os_topology.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reader {
    const struct os_machine *m;
    char *why;
    size_t why_size;
};

/* What is wrong, into why[]. */
__attribute__((format(printf, 2, 3))) static enum os_result broken(const struct reader *r,
                                                                   const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(r->why, r->why_size, format, ap);
    va_end(ap);
    return OS_BROKEN;
}

static struct os_regs cpuid(const struct reader *r, unsigned int cpu, uint32_t leaf,
                            uint32_t subleaf)
{
    struct os_regs regs = {0};

    r->m->cpuid(r->m->opaque, cpu, leaf, subleaf, &regs);
    return regs;
}

static bool is_amd(const struct reader *r)
{
    uint32_t b = cpuid(r, 0, 0, 0).b;

    return b == 0x68747541 || b == 0x6f677948; /* "Auth", "Hygo" */
}

static bool has_leaf(const struct reader *r, uint32_t leaf)
{
    uint32_t max = cpuid(r, 0, leaf & 0x80000000u, 0).a;

    return max >= leaf;
}

/* Mask width for n ids: SDM vol. 3A, 9.9.3, example FindMaskWidth. */
static uint32_t mask_width(uint32_t n)
{
    uint32_t width = 0;

    while ((1ull << width) < n)
        width++;
    return width;
}

/* ---- leaves B, 1F and 80000026: a subleaf a level, EAX the bits below the next ---- */

struct level {
    uint32_t type, shift, count;
};

#define MAX_LEVELS 8

static int levels_on(const struct reader *r, unsigned int cpu, uint32_t leaf, struct level *out,
                     uint32_t *id)
{
    for (uint32_t i = 0; i < MAX_LEVELS; i++) {
        struct os_regs s = cpuid(r, cpu, leaf, i);

        if ((s.c & 0xff) != i) {
            broken(r, "leaf %x.%u on cpu %u: ECX %x does not echo", leaf, i, cpu, s.c);
            return -1;
        }
        if (i && s.d != *id) {
            broken(r, "leaf %x.%u on cpu %u: id %x, was %x", leaf, i, cpu, s.d, *id);
            return -1;
        }
        *id = s.d;
        if (!(s.b & 0xffff) || !(s.c >> 8 & 0xff)) {
            /* Beyond the last level: nothing but number and id, however far one looks. */
            for (uint32_t j = i; j < 300; j += 41) {
                s = cpuid(r, cpu, leaf, j);
                if (s.a || s.b || s.c != (j & 0xff) || s.d != *id) {
                    broken(r, "leaf %x.%u on cpu %u is no empty level", leaf, j, cpu);
                    return -1;
                }
            }
            return (int)i;
        }
        out[i] = (struct level){s.c >> 8 & 0xff, s.a & 0x1f, s.b & 0xffff};
    }
    broken(r, "leaf %x has no end", leaf);
    return -1;
}

/*
 * `core_type` is the level *of threads in a core*, whose shift leads to the core's id; `die_type`
 * the first level that is a die's (its own shift leads beyond it, so the level before it leads to
 * the die's id).
 */
static enum os_result read_level_leaf(const struct reader *r, uint32_t leaf, uint32_t die_type,
                                      struct os_topology *t)
{
    struct level first[MAX_LEVELS];
    int nr = 0;

    if (!has_leaf(r, leaf) || !(cpuid(r, 0, leaf, 0).b & 0xffff))
        return OS_ABSENT;
    t->knows_cores = true;
    t->knows_dies = die_type != 0;
    for (unsigned int cpu = 0; cpu < r->m->nr_cpus; cpu++) {
        struct level l[MAX_LEVELS];
        struct os_cpu *c = &t->cpus[cpu];
        int n = levels_on(r, cpu, leaf, l, &c->apic_id);
        int below_die;

        if (n < 0)
            return OS_BROKEN;
        if (n < 2 || l[0].type != 1)
            return broken(r, "leaf %x on cpu %u: %d levels, first of type %u", leaf, cpu, n,
                          l[0].type);
        if (!cpu) {
            nr = n;
            memcpy(first, l, sizeof(l));
        }
        if (n != nr || memcmp(first, l, (size_t)n * sizeof(l[0])) != 0)
            return broken(r, "leaf %x on cpu %u: other levels than on cpu 0", leaf, cpu);
        below_die = n - 1;
        for (int i = 1; i < n; i++) {
            if (l[i].type <= l[i - 1].type || l[i].shift < l[i - 1].shift ||
                l[i].count < l[i - 1].count)
                return broken(r, "leaf %x: level %d goes down", leaf, i);
            if (die_type && l[i].type >= die_type && below_die == n - 1 && i < n)
                below_die = i - 1;
        }
        /* 80000026 always has its die level, whose own shift says where the die's id ends. */
        if (leaf == 0x80000026)
            below_die = n - 2;
        c->core = c->apic_id >> l[0].shift;
        c->die = c->apic_id >> l[below_die].shift;
        c->socket = c->apic_id >> l[n - 1].shift;
        t->per_core = l[0].count;
        t->per_die = l[below_die].count;
        t->per_socket = l[n - 1].count;
    }
    return OS_FOUND;
}

/* ---- before leaf B ---- */

static uint32_t initial_id(const struct reader *r, unsigned int cpu)
{
    return cpuid(r, cpu, 1, 0).b >> 24;
}

static enum os_result read_leaf_1_4(const struct reader *r, struct os_topology *t)
{
    if (is_amd(r) || (has_leaf(r, 4) && !(cpuid(r, 0, 4, 0).a & 0x1f)))
        return OS_ABSENT;
    t->knows_cores = true;
    for (unsigned int cpu = 0; cpu < r->m->nr_cpus; cpu++) {
        struct os_regs one = cpuid(r, cpu, 1, 0);
        uint32_t logical = one.d >> 28 & 1 ? one.b >> 16 & 0xff : 1;
        uint32_t cores = has_leaf(r, 4) ? (cpuid(r, cpu, 4, 0).a >> 26) + 1 : 1;
        uint32_t package = mask_width(logical), smt;
        struct os_cpu *c = &t->cpus[cpu];

        if (!logical || mask_width(cores) > package)
            return broken(r, "leaf 1 on cpu %u: %u ids, leaf 4: %u cores", cpu, logical, cores);
        /* Fields that are full say "at least": such CPUs are read by leaf B. */
        if (logical == 255 || cores == 64)
            return OS_ABSENT;
        smt = package - mask_width(cores);
        c->apic_id = initial_id(r, cpu);
        c->core = c->apic_id >> smt;
        c->die = c->socket = c->apic_id >> package;
    }
    return OS_FOUND;
}

/* 80000008.ECX: ApicIdSize when it is not 0, else what NC needs. */
static bool amd_socket(const struct reader *r, unsigned int cpu, uint32_t *bits, uint32_t *threads)
{
    uint32_t c = cpuid(r, cpu, 0x80000008, 0).c;

    *threads = (c & 0xff) + 1;
    *bits = c >> 12 & 0xf ? c >> 12 & 0xf : mask_width(*threads);
    return *threads <= 1u << *bits;
}

/* The id that has all its bits: leaf B when it is there, and 8 bits else. */
static uint32_t whole_id(const struct reader *r, unsigned int cpu)
{
    if (has_leaf(r, 0xb) && cpuid(r, cpu, 0xb, 0).b & 0xffff)
        return cpuid(r, cpu, 0xb, 0).d;
    return initial_id(r, cpu);
}

static enum os_result read_amd_size(const struct reader *r, struct os_topology *t)
{
    if (!is_amd(r) || !has_leaf(r, 0x80000008))
        return OS_ABSENT;
    for (unsigned int cpu = 0; cpu < r->m->nr_cpus; cpu++) {
        struct os_regs one = cpuid(r, cpu, 1, 0);
        uint32_t bits, threads, logical = one.d >> 28 & 1 ? one.b >> 16 & 0xff : 1;

        if (!amd_socket(r, cpu, &bits, &threads))
            return broken(r, "80000008 on cpu %u: %u threads in %u bits", cpu, threads, bits);
        if (logical != (threads > 255 ? 255 : threads))
            return broken(r, "cpu %u: leaf 1 has %u threads, 80000008 %u", cpu, logical, threads);
        if ((logical > 1) != !!(cpuid(r, cpu, 0x80000001, 0).c & 2))
            return broken(r, "cpu %u: %u processors and CMP_LEGACY do not fit", cpu, logical);
        t->cpus[cpu].apic_id = whole_id(r, cpu);
        t->cpus[cpu].socket = t->cpus[cpu].apic_id >> bits;
        t->per_socket = threads < 256 ? threads : 0;
    }
    return OS_FOUND;
}

static bool has_topoext(const struct reader *r)
{
    return is_amd(r) && has_leaf(r, 0x8000001e) && cpuid(r, 0, 0x80000001, 0).c >> 22 & 1;
}

static enum os_result read_amd_topoext(const struct reader *r, struct os_topology *t)
{
    if (!has_topoext(r))
        return OS_ABSENT;
    t->knows_cores = t->knows_dies = true;
    for (unsigned int cpu = 0; cpu < r->m->nr_cpus; cpu++) {
        struct os_regs e = cpuid(r, cpu, 0x8000001e, 0);
        struct os_cpu *c = &t->cpus[cpu];
        uint32_t bits, threads, nodes = (e.c >> 8 & 7) + 1;

        if (!amd_socket(r, cpu, &bits, &threads))
            return broken(r, "80000008 on cpu %u: %u threads in %u bits", cpu, threads, bits);
        c->apic_id = e.a;
        c->socket = e.a >> bits;
        c->core = c->socket << 32 | (e.b & 0xff);
        c->die = e.c & 0xff;
        if (c->die / nodes != c->socket)
            return broken(r, "8000001E on cpu %u: node %u of %u, socket %u", cpu, (unsigned)c->die,
                          nodes, (unsigned)c->socket);
        t->per_core = (e.b >> 8 & 0xff) + 1;
        t->per_socket = threads < 256 ? threads : 0;
        t->per_die = t->per_socket / nodes;
    }
    return OS_FOUND;
}

enum os_result os_topology_read(const struct os_machine *m, enum os_way way, struct os_topology *t,
                                char *why, size_t why_size)
{
    const struct reader r = {m, why, why_size};

    memset(t, 0, sizeof(*t));
    why[0] = '\0';
    switch (way) {
    case OS_LEAF_1F:
        return read_level_leaf(&r, 0x1f, 5, t);
    case OS_LEAF_B:
        return read_level_leaf(&r, 0xb, 0, t);
    case OS_LEAF_1_4:
        return read_leaf_1_4(&r, t);
    case OS_AMD_SIZE:
        return read_amd_size(&r, t);
    case OS_AMD_TOPOEXT:
        return read_amd_topoext(&r, t);
    case OS_AMD_LEVELS:
        return read_level_leaf(&r, 0x80000026, 3, t);
    case OS_WAYS:
        break;
    }
    return OS_ABSENT;
}

const char *os_way_name(enum os_way way)
{
    static const char *const names[OS_WAYS] = {"leaf 1F",  "leaf B",   "leaves 1 and 4",
                                               "80000008", "8000001E", "80000026"};

    return names[way];
}

/* ---- caches: ids that are equal above the sharers' bits (SDM vol. 3A, 9.9; APM, E.4.15) ---- */

enum os_result os_caches_read(const struct os_machine *m, struct os_cache caches[OS_MAX_CACHES],
                              unsigned int *nr, char *why, size_t why_size)
{
    const struct reader r = {m, why, why_size};
    uint32_t leaf = is_amd(&r) ? 0x8000001d : 4;

    *nr = 0;
    why[0] = '\0';
    if (leaf == 4 ? !has_leaf(&r, 4) : !has_topoext(&r))
        return OS_ABSENT;
    for (unsigned int cpu = 0; cpu < m->nr_cpus; cpu++) {
        for (uint32_t i = 0;; i++) {
            struct os_regs s = cpuid(&r, cpu, leaf, i);
            struct os_cache *c = &caches[i];

            if (!(s.a & 0x1f)) {
                if (cpu && i != *nr)
                    return broken(&r, "cpu %u has %u caches, cpu 0 %u", cpu, i, *nr);
                *nr = i;
                break;
            }
            if (i == OS_MAX_CACHES)
                return broken(&r, "leaf %x has no end", leaf);
            c->type = s.a & 0x1f;
            c->level = s.a >> 5 & 7;
            c->size = (uint64_t)((s.b >> 22) + 1) * ((s.b >> 12 & 0x3ff) + 1) *
                      ((s.b & 0xfff) + 1) * ((uint64_t)s.c + 1);
            c->shared_by[cpu] = whole_id(&r, cpu) >> mask_width((s.a >> 14 & 0xfff) + 1);
        }
    }
    return *nr ? OS_FOUND : OS_ABSENT;
}
