/* SPDX-License-Identifier: MIT */
/* The processors of xen/sim/machines as policies, for tests and benchmarks. */
#ifndef TESTS_UNIT_CPUS_H
#define TESTS_UNIT_CPUS_H

#include <cpuid-policy/policy.h>

struct test_cpu {
    char name[64]; /* "intel-cascadelake-sp" */
    struct cpu_policy policy;
};

/* All of them, sorted by name.  Ends the program with a message when one cannot be read. */
size_t test_cpus(const struct test_cpu **cpus);
/* One by its name; ends the program when there is none. */
const struct cpu_policy *test_cpu(const char *name);

#endif
