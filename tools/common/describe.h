/* SPDX-License-Identifier: MIT */
/*
 * CPUs and features in words.
 */
#ifndef COMMON_DESCRIBE_H
#define COMMON_DESCRIBE_H

#include <stdio.h>

#include <cpuid-policy/policy.h>

/* Return "Intel(R) Xeon(R) ..." of a policy, or vendor and numbers when it has no brand;
 * malloc'ed. */
char *show_cpu(const struct cpu_policy *p);

/*
 * Write the word for a feature that feature_by_name() reads back: its name, or "e8b:10", a bit of a
 * word, when it has none.  64 bytes suffice.
 */
void feature_word(unsigned int feature, char *buf, size_t size);

struct table;

/* Add to a table of three columns a feature's word, its place, and what it is. */
void show_feature_row(struct table *t, unsigned int feature);
/* Print a table of all of them; numbers in words of features are none. */
void show_features(FILE *f, unsigned int indent, const struct featureset *fs);

/* Reduce a set to the features that are compared: without mirrors and what follows run-time state.
 */
void show_comparable(struct featureset *fs);

#endif /* COMMON_DESCRIBE_H */
