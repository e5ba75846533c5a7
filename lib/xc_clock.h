/* SPDX-License-Identifier: MIT */
/*
 * The clock that durations are measured with.
 */
#ifndef XC_CLOCK_H
#define XC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Returns nanoseconds of CLOCK_MONOTONIC, which only goes forward.  Two values can be compared; one
 * alone means nothing. */
static inline uint64_t xc_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail: Linux has this clock */
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif /* XC_CLOCK_H */
