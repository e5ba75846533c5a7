/* SPDX-License-Identifier: MIT */
/*
 * Domains that are born on a level: what a host's default policy has to become for it.
 */
#ifndef COMMON_NARROW_H
#define COMMON_NARROW_H

#include <born.h>

/* What new domains of one type are to be born with on a host. */
struct born_cpu {
    struct cpu_policy wanted;
    struct featureset given_up; /* what the default has and the level has not */
    struct featureset absent;   /* what the level has, and no domain can be born with here */
    bool foreign;               /* another vendor's level, or one of other CLFLUSH sizes */
    struct policy_fault faults[64];
    struct policy_report report; /* why a guest on the level cannot run here; its faults are ours */
};

/*
 * Work out the CPU of new domains that are born on a level, on a host with these policies for their
 * type: the level's features and fields, with the host's own identity.  What the level has and the
 * default has not is taken from the maximum.  Returns 0; or -EINVAL where the host cannot give the
 * level: *c says why.
 */
int born_narrow(const struct cpu_policy *deflt, const struct cpu_policy *max,
                const struct cpu_policy *level, struct born_cpu *c);

/*
 * Write what changes from one policy to another: entries[BORN_MAX] in ascending order.  Returns how
 * many; or -1 when there are more, or when something changes that no payload can: the limits of the
 * hypervisor's own leaves.  Caches and topology are left out: each domain gets its own.
 */
int born_entries(const struct cpu_policy *from, const struct cpu_policy *to,
                 struct born_entry *entries);

/* Return whether new domains are born exactly on a level where this is the default. */
bool born_exactly(const struct cpu_policy *deflt, const struct cpu_policy *max,
                  const struct cpu_policy *level);

#endif /* COMMON_NARROW_H */
