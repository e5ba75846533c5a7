/* SPDX-License-Identifier: MIT */
/*
 * Which hosts should share a level, when there may be k levels?
 *
 * One level for all lets guests go everywhere and takes most of their CPUs' features; none keeps
 * the features and lets nobody go anywhere.  What is sought gives each pair of a guest and a host
 * that works the share of features that the guest has of those that its home would give it, and
 * adds these up: the score, of 1 at the most.  A guest is born on its host, and its CPU is the
 * level that its host is given, or the host's own where none fits.
 *
 * A host that can be given several levels is given the one that is worth most, which does not
 * depend on the other hosts; so choosing k levels is to cover the hosts as well as possible
 * (facility location).  Candidates are what sets of hosts share.  Where these are few all choices
 * of k are tried; else the most useful is added k times, and then single ones are exchanged as long
 * as that helps.
 */
#ifndef POOL_CLUSTERS_H
#define POOL_CLUSTERS_H

#include "matrix.h"

#define CLUSTER_NONE ((size_t)-1)

/* Hosts with equal CPUs, for one type of guests. */
struct cluster_class {
    const struct cpu_policy *deflt, *max; /* all of both is known */
    uint64_t hosts;
};

struct cluster_level {
    struct cpu_policy policy;
    uint64_t hosts; /* whose guests are born on it */
    uint64_t reach; /* that can run them */
    unsigned int features;
};

struct clusters {
    struct cluster_level *levels;
    size_t n_levels;
    size_t *of;      /* the level of each class, or CLUSTER_NONE: its own CPU */
    double mobility; /* the share of pairs of a guest and another host that work */
    double kept;     /* the share of features that guests have, on average over hosts */
    double score;
    bool exact; /* no other choice is better */
};

/* What is sought: the score; or mobility alone, whatever guests keep. */
enum cluster_goal { CLUSTER_SCORE, CLUSTER_MOBILITY };

/* Choose at most k levels.  Free with clusters_free(). */
void clusters_find(const struct cluster_class *classes, size_t n, size_t k, enum cluster_goal goal,
                   struct clusters *c);
/* Judge given groups: group[i] of class i, or CLUSTER_NONE.  Hosts of a group share a level; those
 * of another vendor than its first one get none. */
void clusters_judge(const struct cluster_class *classes, size_t n, const size_t *group,
                    struct clusters *c);
void clusters_free(struct clusters *c);

/* Write the group of each class when all of a vendor are together; and when those of a family and
 * model are.  Returns how many groups there are. */
size_t clusters_by_vendor(const struct cluster_class *classes, size_t n, size_t *group);
size_t clusters_by_model(const struct cluster_class *classes, size_t n, size_t *group);

#endif /* POOL_CLUSTERS_H */
