/* SPDX-License-Identifier: MIT */
/* Changing a policy by the names of features, for tests. */
#ifndef TESTS_GATE_EDIT_H
#define TESTS_GATE_EDIT_H

#include <cpuid-policy/policy.h>

/* Both are lists separated by commas, or NULL.  Ends the program at an unknown name. */
void edit_policy(struct cpu_policy *p, const char *set, const char *drop);

#endif
