/* SPDX-License-Identifier: MIT */
/*
 * Domains that two hosts say they run: one that has moved since the first of them refreshed, or one
 * machine that is in the pool under two names.
 */
#ifndef POOL_TWINS_H
#define POOL_TWINS_H

#include "pool.h"

struct pool_twin {
    size_t domain, other; /* in domains[], of two hosts, with one UUID */
};

/* Find them, in the order of their UUIDs; images of saved domains are none.  A domain that n hosts
 * list is there n - 1 times.  Returns how many, and *twins, which the caller frees. */
size_t pool_find_twins(const struct pool *p, struct pool_twin **twins);

#endif /* POOL_TWINS_H */
