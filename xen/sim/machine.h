/* SPDX-License-Identifier: MIT */
/*
 * A whole simulated host: a machine read from a file, the hypervisor on it, and its guests
 * running.  The socket (server.h) is around it, not in it: tests use a host without one.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include <hypervisor.h>
#include <sim/guest.h>
#include <sim/platform.h>

struct sim_machine_file {
    char name[64];    /* "intel-penryn" */
    char source[256]; /* where its values come from */
    unsigned int nr_pcpus;
    uint64_t memory_mib;
    struct sim_cpu_model model;
};

struct sim_host {
    struct platform platform;
    struct hypervisor hv;
    uint64_t seed; /* decides the jitter of time slices: equal seeds, equal histories */
    uint64_t rng;
    uint64_t steps; /* guest steps made since boot */
    /* A round is a step on each pCPU: they run side by side, so it takes as long as the longest. */
    unsigned int next_pcpu, idle_pcpus;
    uint64_t round_ns;
    uint64_t slice; /* ns, around which the scheduler's slices vary */
};

/* Read a machine file and the CPUID dump that it names into *m.  0; or -1 with errno and why[]:
 * "FILE: line 12: ...". */
int sim_machine_load(const char *path, struct sim_machine_file *m, char *why, size_t why_size);

/* How a host is switched on. */
struct sim_boot {
    unsigned int nr_pcpus; /* 0: as the machine file says */
    uint64_t memory_mib;   /* 0: the same */
    uint64_t seed;
    const char *cmdline; /* the hypervisor's; NULL: none */
    /* Gets each line of the console as it comes; NULL: nobody does. */
    void (*line)(void *opaque, const char *text, size_t len);
    void *opaque;
};

/* Switch on a machine of this kind and boot it.  0; or -1 with errno and why[]. */
int sim_host_boot(struct sim_host *h, const struct sim_machine_file *m, const struct sim_boot *boot,
                  char *why, size_t why_size);
/* Switch it off: all that it had is given back. */
void sim_host_halt(struct sim_host *h);

/*
 * Run up to n guest steps: pCPUs in turn, time moving with the guests' work.  Returns the number
 * made; less than n when nothing is runnable (time then moves to the next wake-up, if there is
 * one).
 */
uint64_t sim_host_run(struct sim_host *h, uint64_t n);

#endif /* SIM_MACHINE_H */
