/* SPDX-License-Identifier: MIT */
/*
 * How many things can be put into bins, and where: the integer program, by GLPK, whose library is
 * loaded when it is needed, so that hosts need not have it.
 */
#ifndef POOL_SOLVER_H
#define POOL_SOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Things of one kind and size: `n` of them, each needs `size` of a bin's room. */
struct solver_group {
    uint64_t size;
    size_t n;
};

struct solver_problem {
    const struct solver_group *groups;
    size_t n_groups;
    const uint64_t *rooms;
    size_t n_bins;
    const bool *allowed; /* [group * n_bins + bin] */
    size_t enough;       /* so many placed are as good as it can get: all of them, as a rule */
    unsigned int nodes;  /* of the search tree, then it ends: the same answer on every machine */
};

enum solver_result {
    SOLVER_OPTIMAL, /* no assignment places more */
    SOLVER_LIMIT,   /* it ended at its limit, with the best that it had found, perhaps nothing */
    SOLVER_NONE,    /* there is no library here */
};

#define SOLVER_COLUMNS 20000u /* pairs that are allowed: more are too many for it */
#define SOLVER_SECONDS 60u    /* the last resort, if the limit of nodes does not end it */

/* Solve it.  n[group * n_bins + bin]: how many of a group go into a bin. */
enum solver_result solver_run(const struct solver_problem *p, size_t *n);
/* Return what is needed for it: "GLPK (Debian: libglpk40)". */
const char *solver_name(void);

#endif /* POOL_SOLVER_H */
