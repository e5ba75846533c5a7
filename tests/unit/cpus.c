/* SPDX-License-Identifier: MIT */
/* Reads the processors of the simulated machines: xen/sim/machines/NAME.cpuid. */
#include "cpus.h"
#include "dump.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CPUS 64

static struct test_cpu cpus[MAX_CPUS];
static size_t nr_cpus;

static void read_cpu(const char *path, struct cpu_policy *p)
{
    static struct dump d;
    FILE *f = fopen(path, "r");

    if (!f) {
        perror(path);
        exit(2);
    }
    if (dump_read(f, &d)) {
        fprintf(stderr, "%s: %s\n", path, d.error);
        exit(2);
    }
    fclose(f);
    *p = d.cpus[0].policy;
    dump_free(&d);
    if (dump_complete(p)) {
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
    if (glob(TEST_DATA "/*.cpuid", 0, NULL, &g) || g.gl_pathc > MAX_CPUS) {
        fprintf(stderr, "no (or too many) processors in %s\n", TEST_DATA);
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
    fprintf(stderr, "no processor %s in %s\n", name, TEST_DATA);
    exit(2);
}
