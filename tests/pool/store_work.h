/* SPDX-License-Identifier: MIT */
/* A client of a pool, in the store alone: see store_client.c. */
#ifndef TESTS_POOL_STORE_WORK_H
#define TESTS_POOL_STORE_WORK_H

#include <stddef.h>

struct store;

/*
 * Be the host NAME for ROUNDS rounds: join, refresh, count (a number at `pool` that all hosts
 * change), leave.  Every change puts its own history/ID, and that ID into every value that it puts,
 * so that a reader of the store can tell what belongs together.  Prints a line for each:
 * {"id":"...","what":"join","host":"NAME","outcome":"committed"|"conflict"|"open"|"error"}, with
 * "error" and "errno" for the last two; "at" is what it read before.  Returns 0.
 */
int store_work(struct store *store, char **words, size_t n);

#endif /* TESTS_POOL_STORE_WORK_H */
