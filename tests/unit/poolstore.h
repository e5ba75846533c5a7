/* SPDX-License-Identifier: MIT */
/* A pool of pools.h in a registry: with everything that `join` and `refresh` would put there. */
#ifndef TESTS_UNIT_POOLSTORE_H
#define TESTS_UNIT_POOLSTORE_H

#include <change.h>

/* Make a pool in an empty store out of one in memory.  A failure ends the program. */
void poolstore_put(struct store *store, struct pool *p);

#endif
