/* SPDX-License-Identifier: MIT */
/* Reads tests/data/cpus/NAME.cpuid, in the text form of `cpuid -r`. */
#include "cpus.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CPUS 64

static struct test_cpu cpus[MAX_CPUS];
static size_t nr_cpus;

static void read_cpu(const char *path, struct cpu_policy *p)
{
    FILE *f = fopen(path, "r");
    char line[256];
    unsigned int leaf, sub, a, b, c, d, entries = 0;

    if (!f) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof(line), f)) {
        struct cpuid_regs *r;

        if (sscanf(line, " 0x%x 0x%x: eax=0x%x ebx=0x%x ecx=0x%x edx=0x%x", &leaf, &sub, &a, &b, &c,
                   &d) != 6)
            continue;
        if (!policy_leaf_has_subleaves(leaf)) {
            if (sub)
                continue;
            sub = POLICY_NONE;
        }
        r = policy_leaf(p, leaf, sub);
        if (!r)
            continue;
        *r = (struct cpuid_regs){a, b, c, d};
        entries++;
    }
    fclose(f);
    if (!entries) {
        fprintf(stderr, "%s: no CPUID leaf in it\n", path);
        exit(2);
    }
    policy_trim(p);
    if (policy_complete_xstate(p)) {
        fprintf(stderr, "%s: state components without a size\n", path);
        exit(2);
    }
}

size_t test_cpus(const struct test_cpu **out)
{
    glob_t g;

    *out = cpus;
    if (nr_cpus)
        return nr_cpus;
    if (glob(TEST_DATA "/cpus/*.cpuid", 0, NULL, &g) || g.gl_pathc > MAX_CPUS) {
        fprintf(stderr, "no (or too many) processors in %s/cpus\n", TEST_DATA);
        exit(2);
    }
    for (size_t i = 0; i < g.gl_pathc; i++) {
        const char *base = strrchr(g.gl_pathv[i], '/') + 1;
        int len = (int)(strlen(base) - strlen(".cpuid"));

        snprintf(cpus[i].name, sizeof(cpus[i].name), "%.*s", len, base);
        read_cpu(g.gl_pathv[i], &cpus[i].policy);
    }
    nr_cpus = g.gl_pathc;
    globfree(&g);
    return nr_cpus;
}

const struct cpu_policy *test_cpu(const char *name)
{
    const struct test_cpu *all;
    size_t n = test_cpus(&all);

    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, name))
            return &all[i].policy;
    fprintf(stderr, "no processor %s in %s/cpus\n", name, TEST_DATA);
    exit(2);
}
