/* SPDX-License-Identifier: MIT */
/*
 * Two simulated hosts in one process, and domains that go from one to the other through a file in
 * memory.  Under cmocka: what a test cannot do without fails it.
 */
#ifndef TESTS_UNIT_SRPAIR_H
#define TESTS_UNIT_SRPAIR_H

#include <xc_sr.h>

#include "simhost.h"

struct srpair {
    struct sim_host *src, *dst;
    xc_handle *xsrc, *xdst;
    int stream;                 /* what the last save wrote; -1: nothing yet */
    struct domain *saving;      /* the domain that the last save was about ... */
    unsigned int steps, cancel; /* ... how (srpair_save) ... */
    unsigned int calls;         /* ... and how often it has called progress() */
};

void srpair_boot(struct srpair *p, const char *from, const char *to);
/* Fails when memory was not given back. */
void srpair_halt(struct srpair *p);
/* The source is the destination from now on. */
void srpair_swap(struct srpair *p);

/* A running guest on the source. */
struct domain *srpair_start(struct srpair *p, const struct simguest *g);
/* A PVH guest of 2 vCPUs and SRPAIR_PAGES pages.  policy: NULL: what it is born with. */
#define SRPAIR_PAGES 64u
struct domain *srpair_guest(struct srpair *p, enum sim_script script,
                            const struct cpu_policy *policy);

/* xc_domain_save() into p->stream.  steps: that the guests make after each piece of a live save;
 * cancel: call it off at this call of progress(), 0: never. */
int srpair_save(struct srpair *p, struct domain *d, const struct xc_save_options *options,
                unsigned int steps, unsigned int cancel, struct xc_sr_stats *stats);
/* A new domain at the destination, as the toolstack makes it for this one: paused and empty. */
struct domain *srpair_make(struct srpair *p, const struct domain *from);
/* xc_domain_restore() of p->stream, from its beginning, into such a domain. */
int srpair_restore(struct srpair *p, const struct domain *into, bool unverified,
                   struct xc_restore_result *result);
/* Both; *rc is what the restore returned. */
struct domain *srpair_receive(struct srpair *p, const struct domain *from, bool unverified, int *rc,
                              struct xc_restore_result *result);

/* The stream's bytes, malloc'ed; and others in their place. */
uint8_t *srpair_contents(const struct srpair *p, size_t *size);
void srpair_replace(const struct srpair *p, const uint8_t *bytes, size_t size);

struct sim_guest_vcpu srguest_notes(struct domain *d, uint32_t n);
/* No vCPU has noticed anything. */
void srguest_require_running(struct domain *d);
/* The domain goes on there: it notices nothing and gets further than it was. */
void srguest_require_goes_on(struct sim_host *h, struct domain *d, uint64_t ticks);

#endif
