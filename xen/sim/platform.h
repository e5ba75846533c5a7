/* SPDX-License-Identifier: MIT */
/*
 * The simulated machine as the core's platform: <platform.h> implemented over memory, CPUs and a
 * console that are data.  Deterministic: its clock is moved by whoever runs it.
 */
#ifndef SIM_PLATFORM_H
#define SIM_PLATFORM_H

#include <platform.h>
#include <sim/cpu.h>

/* Memory that a client has shared for its hypercalls. */
struct sim_window {
    uint64_t base; /* where the client has it */
    size_t size;
    uint8_t *map; /* where we have it */
};

/* Exactly the access number `at` fails, counted from 1; 0: none does. */
struct sim_fault {
    uint64_t at;
    uint64_t count; /* so far */
};

struct sim_console {
    char *text; /* a ring of `size` bytes */
    size_t size;
    uint64_t written; /* bytes ever written: the last `size` of them are there */
    /* Each line as it comes; may be NULL. */
    void (*line)(void *opaque, const char *text, size_t len);
    void *opaque;
};

struct platform {
    struct sim_cpu_model model;
    unsigned int nr_pcpus;
    struct sim_pcpu pcpus[PLATFORM_MAX_PCPUS];

    int memory_fd; /* a sealed memfd, sparse: a frame that was never touched costs nothing */
    uint8_t *memory;
    uint64_t nr_pages;

    uint64_t now; /* ns */
    struct sim_console console;
    const struct sim_window *windows; /* of the current caller; any number */
    size_t nr_windows;

    /* For tests: make the n-th of these fail. */
    struct sim_fault fail_msr, fail_alloc, fail_copy;
    uint64_t allocated; /* blocks not freed yet */
};

/*
 * Switch on a machine of p->model, which must be filled in (sim_cpu_model_init), with nr_pcpus
 * pCPUs and nr_pages frames that domains can have (and some more for the hypervisor itself).  0; or
 * -1 with errno.
 */
int sim_platform_init(struct platform *p, unsigned int nr_pcpus, uint64_t nr_pages);
/* Switch it off and give its memory back. */
void sim_platform_fini(struct platform *p);

#endif /* SIM_PLATFORM_H */
