/* SPDX-License-Identifier: MIT */
/*
 * Born on the level by Xen's own command line: cpuid=no-..., which narrows what a host offers, so
 * that every toolstack's new domain there is on the level.  It narrows what may come in as well.
 */
#ifndef POOL_CMDLINE_H
#define POOL_CMDLINE_H

#include "admit.h"

struct pool_cmdline {
    char *line;                /* "cpuid=no-avx512f,..."; "" where nothing is to be hidden */
    bool in_place;             /* there is a cpuid= already, which this takes the place of */
    struct featureset unnamed; /* to be hidden, and that Xen has no name for them */
    struct featureset kept;    /* to be hidden, and Xen protects itself by it: not in the line */
    struct featureset needed;  /* the same: hidden, guests of the level could not come in */
    /* What the host would offer with it, worked out from its raw CPU. */
    bool predicted;
    struct pool_capture after; /* no file */
    struct pool_birth birth;
};

/*
 * Work it out for a host with these CPUs: its Xen's version, and the command line that it has now
 * ("" where that is not known).  Free with pool_cmdline_free().
 */
void pool_cmdline_make(const struct pool_capture *capture, const char *xen_version, const char *now,
                       const struct pool_level *level, struct pool_cmdline *c);
void pool_cmdline_free(struct pool_cmdline *c);

#endif /* POOL_CMDLINE_H */
