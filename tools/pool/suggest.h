/* SPDX-License-Identifier: MIT */
/*
 * What hosts could have: the level that they share, the newest named level that all of them can
 * give, and what each costs the others.
 *
 * Hosts come as classes of equal CPUs, and the time is linear in the classes.
 */
#ifndef POOL_SUGGEST_H
#define POOL_SUGGEST_H

#include "named.h"
#include "pool.h"

enum { SUGGEST_TYPES = 2 }; /* PV, HVM, as in struct pool_level */

/* Hosts with equal CPUs.  A type that they cannot run has NULL. */
struct suggest_class {
    const char *name; /* of the first of them */
    size_t hosts;
    const struct cpu_policy *deflt[SUGGEST_TYPES], *max[SUGGEST_TYPES], *unknown[SUGGEST_TYPES];
};

struct suggestion {
    bool have[SUGGEST_TYPES]; /* all hosts run guests of the type */
    struct cpu_policy level[SUGGEST_TYPES];
    struct featureset features[SUGGEST_TYPES]; /* of the level, those that are compared */
    /* Of those that are shipped, the richest that all can give: of a generation, and of the x86-64
     * psABI's or another of any vendor; NULL: none. */
    const struct named_level *newest, *any_vendor;
    /* By class: the features that all others share, and the level would have, were all hosts of the
     * class retired; all zero where there is no other class. */
    struct featureset *gain[SUGGEST_TYPES];
};

/* Compute it for n > 0 classes.  Returns 0; or -1 with errno EXDEV and *culprit, the class that
 * does not fit the first: another vendor, or another size of a CLFLUSH line.  Free with
 * suggest_free() in both cases. */
int suggest_level(const struct suggest_class *classes, size_t n, const struct named_list *list,
                  struct suggestion *s, size_t *culprit);
void suggest_free(struct suggestion *s);

/* Make the classes of a pool: its captures that hosts have, with how many.  Returns them,
 * malloc'ed, and *n; a capture that no host has is none. */
struct suggest_class *suggest_classes(const struct pool *p, size_t *n);

/*
 * Say which policies are below a level: their guests lack features that the level has.  Each gets
 * what it lacks, of that which is compared: lacks[p->n_policies]; all zero where nothing.
 */
void suggest_below(const struct pool *p, const bool have[static SUGGEST_TYPES],
                   const struct cpu_policy level[static SUGGEST_TYPES], struct featureset *lacks);

#endif /* POOL_SUGGEST_H */
