/* SPDX-License-Identifier: MIT */
/* The policy library in numbers: ns a call, and levelling beside a plain read of the same bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/cpus.h"
#include "features-gen.h"

#define BATCHES  21
#define POLICIES 100000u

static volatile uint64_t sink;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median ns of one call over batches of `n` calls. */
static double median_ns(void (*call)(void), unsigned int n)
{
    double t[BATCHES];

    for (unsigned int b = 0; b < BATCHES; b++) {
        double begun = now();

        for (unsigned int i = 0; i < n; i++)
            call();
        t[b] = (now() - begun) / n;
    }
    qsort(t, BATCHES, sizeof(t[0]), by_value);
    return t[BATCHES / 2];
}

static void row(const char *what, const char *aim, const char *format, double value)
{
    char text[64];

    snprintf(text, sizeof(text), format, value);
    printf("  %-58s %14s   %s\n", what, text, aim);
}

static const struct cpu_policy *guest, *host;

static void check_call(void)
{
    static struct policy_fault faults[64];
    struct policy_report r = {faults, 64, 0};

    sink += (uint64_t)policy_check(guest, &(struct policy_host){host, host}, &r) + r.count;
}

static void verify_call(void)
{
    static struct policy_fault faults[64];
    struct policy_report r = {faults, 64, 0};

    sink += (uint64_t)policy_verify(guest, &r) + r.count;
}

static struct featureset whole;
static unsigned int victim;

static void drop_call(void)
{
    struct featureset fs = whole;

    featureset_drop(&fs, victim);
    sink += fs.w[FEATURESET_7b0];
}

static void level_many(void)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus), intel = 0, bytes = POLICIES * sizeof(struct cpu_policy);
    struct policy_host *list = malloc(POLICIES * sizeof(*list));
    const struct cpu_policy *kinds[64];
    struct cpu_policy *all = malloc(bytes), level;
    double best_level = 1e18, best_read = 1e18;

    if (!all || !list) {
        fprintf(stderr, "bench_policy: no memory for %zu bytes\n", bytes);
        exit(2);
    }
    for (size_t i = 0; i < n; i++)
        if (!strncmp(cpus[i].name, "intel", 5))
            kinds[intel++] = &cpus[i].policy;
    for (size_t i = 0; i < POLICIES; i++) {
        all[i] = *kinds[i % intel];
        list[i] = (struct policy_host){NULL, &all[i]};
    }
    for (unsigned int round = 0; round < 5; round++) {
        const uint64_t *w = (const uint64_t *)(const void *)all;
        uint64_t sum = 0;
        double begun = now(), t;

        for (size_t i = 0; i < bytes / sizeof(*w); i++)
            sum += w[i];
        sink += sum;
        t = now() - begun;
        best_read = t < best_read ? t : best_read;

        begun = now();
        sink += (uint64_t)policy_level(list, POLICIES, &level, NULL, NULL);
        t = now() - begun;
        best_level = t < best_level ? t : best_level;
    }
    row("policy_level, 100,000 policies", "", "%.1f ms", best_level / 1e6);
    row("  a plain read of the same bytes", "", "%.1f ms", best_read / 1e6);
    row("  ratio", "near 1: memory bandwidth", "%.2f", best_level / best_read);
    free(list);
    free(all);
}

int main(void)
{
    struct cpu_policy level;
    const struct cpu_policy *pair[2] = {test_cpu("intel-cascadelake-sp"),
                                        test_cpu("intel-sandybridge-ep")};
    const struct policy_host hosts[2] = {{pair[0], pair[0]}, {pair[1], pair[1]}};

    printf("The policy library (%zu bytes a policy, %u words)\n", sizeof(struct cpu_policy),
           FEATURESET_WORDS);
    if (policy_level(hosts, 2, &level, NULL, NULL))
        return 2;
    guest = &level;
    host = pair[0];
    row("policy_check, a guest that may come", "aim: under 300 ns", "%.0f ns",
        median_ns(check_call, 20000));
    guest = pair[0];
    host = pair[1];
    row("policy_check, one refused with all its differences", "", "%.0f ns",
        median_ns(check_call, 20000));
    guest = test_cpu("intel-granite-rapids");
    row("policy_verify, Granite Rapids", "aim: under 1000 ns", "%.0f ns",
        median_ns(verify_call, 20000));
    policy_to_featureset(guest, &whole);
    victim = X86_FEATURE_SSE;
    row("closure of one feature (SSE falls, and all above it)", "aim: under 50 ns", "%.1f ns",
        median_ns(drop_call, 200000));
    level_many();
    return 0;
}
