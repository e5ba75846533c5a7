/* SPDX-License-Identifier: MIT */
/*
 * The age of microcode, as far as a CPU shows it: what newer microcode would give, and which
 * differences of two CPUs are differences of microcode alone.
 */
#ifndef XENLEVEL_MICROCODE_H
#define XENLEVEL_MICROCODE_H

#include <host-policy.h>

#include "subject.h"

/*
 * Say that a CPU's microcode is old, and what guests there would have with a newer one: a sentence,
 * malloc'ed; NULL where the CPU does not show that it is old.
 */
char *microcode_note(const struct cpu_policy *raw, const struct cpu_policy *unknown,
                     const struct host_options *options);

/* How two hosts' CPUs compare. */
enum cpu_relation {
    CPU_OTHER,         /* another family, model or stepping, or nobody knows */
    CPU_SAME,          /* the same, with the same microcode as far as it shows */
    CPU_SAME_BUT_CODE, /* the same; all that differs comes by microcode */
    CPU_SAME_SETTINGS, /* the same; what differs comes by firmware settings, or by both */
};
enum cpu_relation microcode_compare(const struct subject *a, const struct subject *b);

/*
 * Find which of the features that are missing on host b, for guests of host a, come by microcode:
 * of the same CPU those in which their microcode differs, of any what a newer one there gives.
 */
void microcode_features(enum cpu_relation relation, const struct subject *a,
                        const struct subject *b, const struct featureset *missing,
                        struct featureset *by_microcode);

/* Return "2023-08, INTEL-SA-00828; ...": the updates that these features came with; malloc'ed. */
char *microcode_sources(const struct featureset *features);

#endif /* XENLEVEL_MICROCODE_H */
