/* SPDX-License-Identifier: MIT */
/* Simulated hosts with scripted guests, built without a toolstack. */
#ifndef TESTS_UNIT_SIMHOST_H
#define TESTS_UNIT_SIMHOST_H

#include <sim/machine.h>

/* A booted host with the machine of this name; ends the program when that fails. */
struct sim_host *simhost_boot(const char *machine, unsigned int nr_pcpus, uint64_t memory_mib,
                              uint64_t seed);
/* Fails when memory was not given back. */
void simhost_halt(struct sim_host *h);

/* A domain without anything in its memory, which may have nr_pages; paused.  NULL: the host does
 * not have it. */
struct domain *simdomain_empty(struct sim_host *h, bool hvm, bool hap, uint32_t nr_vcpus,
                               uint64_t nr_pages);

struct simguest {
    enum sim_script script;
    bool hvm;
    bool tree; /* PV: toolstacks find its p2m by a tree of lists */
    uint32_t nr_vcpus;
    /* At least 64: the program, its notes, and 6 for the writer.  A PV guest's structure comes on
     * top. */
    uint64_t nr_pages;
    uint64_t seed;
    const struct cpu_policy *policy; /* NULL: what it is born with */
    bool shadow;                     /* HVM without hardware-assisted paging */
};

#define SIMGUEST_WRITER_GFN  (SIM_GUEST_GFN + 1 + SIM_GUEST_MAX_VCPUS)
#define SIMGUEST_WRITER_GFNS 6u

/* A running domain; NULL: the host does not have it. */
struct domain *simguest_start(struct sim_host *h, const struct simguest *g);
/* The same domain there, register by register and page by page, with this policy.  The first one
 * stays as it is. */
struct domain *simguest_copy(const struct domain *d, struct sim_host *to,
                             const struct cpu_policy *policy);
/* What vCPU n has noted down. */
void simguest_notes(struct domain *d, uint32_t n, struct sim_guest_vcpu *notes);
/* Of all registers and memory; of a PV guest without what is made of machine frames. */
uint64_t simguest_digest(struct domain *d);
/* The host's console has this text. */
bool simhost_said(const struct sim_host *h, const char *text);

#endif
