/* SPDX-License-Identifier: MIT */
/*
 * Giving a new domain a CPU, and finding out what became of it.
 */
#ifndef COMMON_LEVEL_H
#define COMMON_LEVEL_H

#include "xc.h"

struct level_change {
    struct cpu_policy wanted;  /* IN */
    struct featureset dropped; /* what the domain had before and the level has not: the caller's */
    struct cpu_policy after;   /* what the domain has now */
    struct featureset kept;    /* not in what was wanted, and there all the same */
    struct featureset absent;  /* wanted, and not there */
    size_t other;              /* registers, other than features, that are not as wanted */
};

/* Give the domain the CPU c->wanted, read back what it has got, and fill in what differs.  Returns
 * 0; or -1, logged by xch. */
int level_apply(xc_handle *xch, uint32_t domid, struct level_change *c);
/* Return whether the domain's CPU is what was wanted. */
bool level_taken(const struct level_change *c);

#endif /* COMMON_LEVEL_H */
