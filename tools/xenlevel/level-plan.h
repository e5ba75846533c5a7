/* SPDX-License-Identifier: MIT */
/*
 * What the hosts of a pool share, what each gives up for it, and why: `xenlevel level`.
 */
#ifndef XENLEVEL_LEVEL_PLAN_H
#define XENLEVEL_LEVEL_PLAN_H

#include "enforce.h"
#include "json.h"
#include "subject.h"

/* The level of one type of guest over all hosts. */
struct plan {
    enum subject_type type;
    bool done; /* every host offers it */
    struct cpu_policy level;
    struct featureset features;   /* of the level */
    struct featureset *own;       /* what each host offers by default, for sure */
    struct featureset *maybe;     /* what each host offers by default or not: nobody knows */
    struct cpu_policy *assumed;   /* its default, on the safe side */
    struct featureset *given_up;  /* of that, what is not in the level */
    struct featureset hazards;    /* what guests must be told of, and not every host would */
    struct featureset lost;       /* the union of given_up */
    struct featureset left_out;   /* what no host is known to lack, and some may lack */
    struct featureset unsaid;     /* of left_out, what is not left out anyway: to be said */
    struct featureset supposed;   /* hazards in the level that no host is known to have */
    struct featureset *may;       /* what each host may give at most */
    struct featureset untellable; /* what accumulates, and some host cannot give */
    struct enforcement *enforced; /* PV only */
    struct featureset above;      /* some host has it, and the named level has not */
    struct featureset removed;    /* some host has it, and --without takes it away */
    struct featureset fallen;     /* all share it, and it stood on one of those */
};

struct level_pool {
    struct subject *hosts;
    size_t n;
    struct plan plans[TYPES];
    const struct named_level *at; /* the level is cut to it; NULL: it is what hosts share */
    struct featureset without;    /* and these are taken from it */
};

/* Compute the level for one type of guest.  `quiet`: nothing is printed of a type that some host
 * cannot run.  Returns 0; -1 after a message when the hosts have no common level. */
int level_plan_make(struct level_pool *pool, enum subject_type type, bool quiet);
void level_plan_free(struct plan *plan);

/* Return "a, b": the hosts for which `has` is what they have of the feature; malloc'ed. */
char *level_hosts_with(const struct level_pool *pool, const struct featureset *sets, unsigned int f,
                       bool has);
/* Return the prerequisite that took f with it when every host has f itself; -1: there is none. */
int level_fallen_with(const struct level_pool *pool, const struct plan *plan, unsigned int f);
/* Return what makes that there is AVX in the level, where nobody knows; NULL where that is not so.
 */
const char *level_assumption(const struct level_pool *pool, const struct plan *plan, size_t i);

/* Print it for people, or as JSON.  `output`: the file that was written; NULL: none.  Returns a
 * status. */
int level_print(const struct level_pool *pool, const char *output);
int level_print_json(const struct level_pool *pool, const char *output);

/* Write the level of the hosts to a file.  Returns a status; 2 after a message. */
int level_write(const struct level_pool *pool, const char *path, const char *name);

#endif /* XENLEVEL_LEVEL_PLAN_H */
