/* SPDX-License-Identifier: MIT */
/* What the parts of planning share. */
#ifndef POOL_PLAN_PRIVATE_H
#define POOL_PLAN_PRIVATE_H

#include "plan.h"

/* A pool in the middle of a plan. */
struct plan_world {
    const struct pool_matrix *m;
    const struct plan_options *options;
    const bool *updated; /* of each host: it runs options->to_xen now; NULL: none does */
    /* Of each host, what plan_room() and plan_target() say. */
    uint64_t *room;
    uint8_t *target;
    size_t *by_room; /* the targets, the one with the most room first */
    size_t n_targets;
    bool must_return; /* guests come home after */
};

void world_begin(struct plan_world *w, const struct pool_matrix *m,
                 const struct plan_options *options);
void world_end(struct plan_world *w);
/* Return the release that a host runs now. */
const char *world_xen(const struct plan_world *w, size_t host);
/* Return whether a domain can go from its host to another one; *one_way: but not come back. */
enum verdict world_verdict(const struct plan_world *w, size_t domain, size_t host, bool *one_way);
/* Plan it.  With `quick` only the hosts with the most room are tried, without the solver: returns
 * false, and nothing to free, where that does not place all. */
bool world_evacuate(const struct plan_world *w, size_t host, bool quick, struct evacuation *e);

/* Find why a domain was not placed and what would help; e->moves are planned. */
void plan_explain(const struct plan_world *w, const struct evacuation *e, struct plan_stuck *s);

#endif /* POOL_PLAN_PRIVATE_H */
