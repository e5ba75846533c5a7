/* SPDX-License-Identifier: MIT */
/*
 * What an audit of a guest's CPU found, in words and tables: for the command and for the gate.
 */
#ifndef COMMON_FINDINGS_H
#define COMMON_FINDINGS_H

#include <stdbool.h>
#include <stdio.h>

#include <cpuid-policy/policy.h>

struct findings {
    const struct policy_fault *faults; /* faults[first..end) */
    size_t first, end;
    const bool *hidden; /* hidden[i]: faults[i] is not to be said; NULL: all are */
};

/* Is it a feature that is missing or a hazard that the guest was not told of? */
bool finding_is_feature(enum policy_fault_kind kind);

/* Return how many findings are of this kind; hidden ones do not count. */
size_t findings_count(const struct findings *found, enum policy_fault_kind kind);

/*
 * Write the names of the kinds that there are, each once, with a blank between them, as `xenlevel
 * explain` takes them: "feature-missing hazard-untold".  Hidden findings do not count.  256 bytes
 * suffice for what an audit finds of one guest; what has no room is left out.
 */
void findings_names(const struct findings *found, char *buf, size_t size);

/*
 * Print to f, wrapped to `width` (0: never): "15 features are missing:", where `one` or `many` is
 * what follows the number and `kind` is for what finding_is_feature(), and a table of them.  Prints
 * nothing where there is none.
 */
void findings_features(FILE *f, unsigned int width, const struct findings *found,
                       enum policy_fault_kind kind, const char *one, const char *many);

/*
 * Print to f, wrapped to `width`, a line for each finding that is none of a feature, below the
 * heading (NULL: there is none).  Prints nothing where there is none.
 */
void findings_others(FILE *f, unsigned int width, const struct findings *found,
                     const char *heading);

#endif /* COMMON_FINDINGS_H */
