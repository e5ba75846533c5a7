/* SPDX-License-Identifier: MIT */
/*
 * How an operating system finds out which of its processors are threads of a core, cores of a die,
 * dies of a socket, and sharers of a cache: with the CPUID instruction on each of them, and what
 * the manuals say about it.  Knows nothing of domains and policies.
 */
#ifndef TESTS_UNIT_OS_TOPOLOGY_H
#define TESTS_UNIT_OS_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OS_MAX_CPUS   512u
#define OS_MAX_CACHES 8u

struct os_regs {
    uint32_t a, b, c, d;
};

/* A machine, as far as software sees it. */
struct os_machine {
    /* Execute CPUID on processor `cpu`. */
    void (*cpuid)(void *opaque, unsigned int cpu, uint32_t leaf, uint32_t subleaf,
                  struct os_regs *regs);
    void *opaque;
    unsigned int nr_cpus; /* up to OS_MAX_CPUS */
};

enum os_way {
    OS_LEAF_1F,     /* SDM vol. 3A, 9.9.3: the preferred one */
    OS_LEAF_B,      /* the same without dies */
    OS_LEAF_1_4,    /* SDM vol. 3A, 9.9.3, CPUs without leaf B */
    OS_AMD_SIZE,    /* APM vol. 3, E.5: 80000008, sockets only */
    OS_AMD_TOPOEXT, /* 8000001E */
    OS_AMD_LEVELS,  /* 80000026 */
    OS_WAYS
};

/* Processors with the same number are in the same one.  Numbers mean nothing else. */
struct os_cpu {
    uint32_t apic_id;
    uint64_t core, die, socket;
};

struct os_topology {
    bool knows_cores, knows_dies;
    /* Logical processors that the leaves claim for one of each; 0: they claim none. */
    uint32_t per_core, per_die, per_socket;
    struct os_cpu cpus[OS_MAX_CPUS];
};

enum os_result {
    OS_FOUND,
    OS_ABSENT, /* this CPU does not tell it this way */
    OS_BROKEN  /* what it tells makes no sense: why[] */
};

enum os_result os_topology_read(const struct os_machine *m, enum os_way way, struct os_topology *t,
                                char *why, size_t why_size);
const char *os_way_name(enum os_way way);

struct os_cache {
    uint32_t level, type;            /* type: 1 data, 2 instructions, 3 unified */
    uint64_t size;                   /* bytes */
    uint64_t shared_by[OS_MAX_CPUS]; /* processors with the same number share it */
};

/* Leaf 4 (Intel) or 8000001D (AMD with TOPOEXT).  *nr: caches found. */
enum os_result os_caches_read(const struct os_machine *m, struct os_cache caches[OS_MAX_CACHES],
                              unsigned int *nr, char *why, size_t why_size);

#endif
