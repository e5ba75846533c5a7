/* SPDX-License-Identifier: MIT */
/*
 * Put guests onto hosts that may take them and have the memory: a generalized assignment problem.
 * Greedy where that places all; a solver where it does not; the same answer in every run.
 */
#ifndef POOL_ASSIGN_H
#define POOL_ASSIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ASSIGN_NONE ((size_t)-1)

struct assign_item {
    uint64_t size; /* bytes */
    size_t kind;   /* a row of `allowed` */
};

struct assign_bin {
    uint64_t room; /* bytes */
    size_t kind;   /* a column of `allowed` */
};

enum assign_method {
    ASSIGN_ALL,       /* everything is placed */
    ASSIGN_MOST,      /* the solver has proved that no more can be placed */
    ASSIGN_LIMIT,     /* the solver reached its limit: more may be possible */
    ASSIGN_FIRST_FIT, /* without the solver: more may be possible */
};

struct assign {
    const struct assign_item *items;
    const struct assign_bin *bins;
    size_t n_items, n_bins;
    const bool *allowed; /* [item's kind * n_kinds + bin's kind] */
    size_t n_kinds;      /* of bins */
    bool no_solver;      /* do not use it */
    unsigned int nodes;  /* the solver's limit; 0: ASSIGN_NODES */

    /* What came of it. */
    size_t *to; /* [n_items], a bin or ASSIGN_NONE; from the caller */
    size_t n_placed;
    enum assign_method method;
    bool no_library; /* ASSIGN_FIRST_FIT because there is none */
};

#define ASSIGN_NODES 5000u /* some seconds for 80 guests that just fit or just do not */

/*
 * Fill to[].  As many items as possible; among such assignments, one that leaves memory free on all
 * hosts rather than fills one up.
 */
void assign_solve(struct assign *a);

#endif /* POOL_ASSIGN_H */
