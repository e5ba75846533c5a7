/* SPDX-License-Identifier: MIT */
/* What judging levels and searching for them share. */
#ifndef POOL_CLUSTERS_PRIVATE_H
#define POOL_CLUSTERS_PRIVATE_H

#include "clusters.h"

/* Write the features that count: those that are compared, and no hazards. */
void cluster_features(const struct cpu_policy *p, struct featureset *fs);
/* Return a number that is equal for CPUs that can share a level: vendor and CLFLUSH are. */
uint32_t cluster_family(const struct cpu_policy *p);
/* Count the hosts that can run guests with this CPU: the policy library's answer. */
uint64_t cluster_reach(const struct cluster_class *classes, size_t n,
                       const struct cpu_policy *guest);
/* Count those that can run guests that are born with the CPU that a host of the class gives. */
uint64_t cluster_own_reach(const struct cluster_class *classes, size_t n, size_t class);
/* Make the level that the classes with shares[] share; false where there are none. */
bool cluster_make_level(const struct cluster_class *classes, size_t n, const bool *shares,
                        struct cluster_level *level);
/* Judge groups that have the level of shares[group * n + class]. */
void cluster_judge(const struct cluster_class *classes, size_t n, const size_t *group,
                   const bool *shares, size_t groups, struct clusters *c);

#endif /* POOL_CLUSTERS_PRIVATE_H */
