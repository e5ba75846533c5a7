/* SPDX-License-Identifier: MIT */
/* What the benchmark programs share: medians and rows. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_BATCHES 21

static inline double bench_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median ns of one call over batches of `n` calls. */
static inline double median_ns(void (*call)(void), unsigned int n)
{
    double t[BENCH_BATCHES];

    for (unsigned int b = 0; b < BENCH_BATCHES; b++) {
        double begun = bench_now();

        for (unsigned int i = 0; i < n; i++)
            call();
        t[b] = (bench_now() - begun) / n;
    }
    qsort(t, BENCH_BATCHES, sizeof(t[0]), bench_by_value);
    return t[BENCH_BATCHES / 2];
}

static inline void bench_row(const char *what, const char *value, const char *aim)
{
    (void)printf("  %-50s %22s   %s\n", what, value, aim);
}

#endif
