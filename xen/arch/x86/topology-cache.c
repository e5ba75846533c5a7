/* SPDX-License-Identifier: MIT */
/*
 * AMD's caches as 8000001D tells them.  Policies hold its subleaf 0, the first-level data cache;
 * the other caches are those of 80000005 and 80000006 (APM vol. 3, E.4.4 and E.4.5), so that both
 * ways of reading give the same.
 */
#include "topology-private.h"

enum { CACHE_DATA = 1, CACHE_CODE, CACHE_UNIFIED };

struct cache {
    uint32_t type, level;
    uint64_t size; /* bytes; 0: there is none */
    uint32_t line; /* bytes */
    uint32_t tags; /* lines that have a tag together */
    uint32_t ways; /* 0: none is known; WAYS_FULL */
};

#define WAYS_FULL 0xffu /* as 80000005 has it */

/*
 * 80000006's codes (APM vol. 3, E.4.5).  9 means "as 8000001D has it", which policies do not
 * hold: the third-level caches of all CPUs that have said so (family 17h to 1Ah) are of 16 ways.
 */
static uint32_t ways_of(uint32_t code)
{
    static const uint8_t ways[16] = {0,  1,  2,  3,  4,  6,  8,   0,
                                     16, 16, 32, 48, 64, 96, 128, WAYS_FULL};

    return ways[code & 0xf];
}

/* The same cache in 8000001D's form; false when it is none, or cannot be told in it. */
static bool describe_cache(struct cpuid_regs *r, const struct cache *c, uint32_t sharers)
{
    uint64_t lines = c->line ? c->size / c->line : 0;
    uint64_t ways = c->ways == WAYS_FULL ? lines : c->ways;

    if (!ways || ways > 1024 || lines < ways || !c->tags)
        return false;
    r->a = c->type | c->level << 5 | 1u << 8 | (c->ways == WAYS_FULL ? 1u << 9 : 0) |
           (sharers - 1) << 14;
    r->b = (c->line - 1) | (c->tags - 1) << 12 | (uint32_t)(ways - 1) << 22;
    r->c = (uint32_t)(lines / ways - 1);
    r->d = 0;
    return true;
}

void topology_amd_caches(const struct cpu_policy *p, struct topology_map *m)
{
    uint32_t edx5 = p->extd[5].d, ecx6 = p->extd[6].c, edx6 = p->extd[6].d;
    uint32_t core = sharing_count(m->topology.threads, m->core_shift);
    uint32_t die = sharing_count(threads_per_die(m), m->die_shift);
    const struct cache caches[] = {
        /* 80000005.EDX: KiB, ways, lines a tag, line size. */
        {CACHE_CODE, 1, (uint64_t)(edx5 >> 24) << 10, edx5 & 0xff, (edx5 >> 8) & 0xff,
         (edx5 >> 16) & 0xff},
        /* 80000006.ECX: KiB.  EDX: 512 KiB, of all the socket's dies. */
        {CACHE_UNIFIED, 2, (uint64_t)(ecx6 >> 16) << 10, ecx6 & 0xff, (ecx6 >> 8) & 0xf,
         ways_of(ecx6 >> 12)},
        {CACHE_UNIFIED, 3, ((uint64_t)(edx6 >> 18) << 19) / m->topology.dies, edx6 & 0xff,
         (edx6 >> 8) & 0xf, ways_of(edx6 >> 12)},
    };
    unsigned int n = 1;

    m->amd_cache[0] = p->extd[0x1d];
    if (!(m->amd_cache[0].a & CACHE_TYPE_MASK))
        return;
    for (unsigned int i = 0; i < sizeof(caches) / sizeof(caches[0]); i++)
        if (describe_cache(&m->amd_cache[n], &caches[i], caches[i].level < 3 ? core : die))
            n++;
}
