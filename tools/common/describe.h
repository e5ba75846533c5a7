/* SPDX-License-Identifier: MIT */
/*
 * CPUs and features in words.
 */
#ifndef COMMON_DESCRIBE_H
#define COMMON_DESCRIBE_H

#include <stdio.h>

#include <cpuid-policy/policy.h>

/* "Intel(R) Xeon(R) ..." of a policy, or vendor and numbers when it has no brand; malloc'ed. */
char *show_cpu(const struct cpu_policy *p);

/* A row for each feature: name, place, what it is. */
void show_features(FILE *f, unsigned int indent, const struct featureset *fs);

/* Features that are compared: without those that follow run-time state and mirrors. */
void show_comparable(struct featureset *fs);

#endif /* COMMON_DESCRIBE_H */
