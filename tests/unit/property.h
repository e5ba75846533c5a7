/* SPDX-License-Identifier: MIT */
/*
 * Random histories: everything in one follows from one number.
 *
 * PROPERTY_SEED=N replays the history that failed; PROPERTY_RUNS=N makes that many;
 * PROPERTY_SCALE=N makes the test run's number N times smaller (builds with sanitizers).
 */
#ifndef TESTS_UNIT_PROPERTY_H
#define TESTS_UNIT_PROPERTY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after those that it needs */
#include <cmocka.h>

extern uint64_t property_seed; /* of the history that is running: every message has it */

/* Run it for the seeds 1 to n (or what the environment says). */
void property_run(void (*history)(void), unsigned long n);
/* n, as much smaller as PROPERTY_SCALE says, but not 0. */
unsigned long property_scaled(unsigned long n);
/* For cmocka's teardown: which history it was that an assertion ended. */
int property_teardown(void **state);

/* Chance. */
uint64_t property_random(void);
unsigned int property_below(unsigned int n);

/* The machines of xen/sim/machines, by name, in order. */
unsigned int property_nr_machines(void);
const char *property_machine(unsigned int n);

#define require(what, ...)                                                                         \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_error("PROPERTY_SEED=%llu: ", (unsigned long long)property_seed);                \
            print_error(__VA_ARGS__);                                                              \
            print_error("\n");                                                                     \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

#endif
