/* SPDX-License-Identifier: MIT */
/* See property.h. */
#include "property.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MACHINES 64

uint64_t property_seed;
static uint64_t rng;
static bool running;

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */

    return value && *value ? strtoul(value, NULL, 0) : otherwise;
}

unsigned long property_scaled(unsigned long n)
{
    unsigned long scale = setting("PROPERTY_SCALE", 1);

    n /= scale ? scale : 1;
    return n ? n : 1;
}

static void one(void (*history)(void))
{
    rng = property_seed;
    running = true;
    history();
    running = false;
}

void property_run(void (*history)(void), unsigned long n)
{
    unsigned long only = setting("PROPERTY_SEED", 0);

    property_seed = only;
    if (only) {
        one(history);
        return;
    }
    n = setting("PROPERTY_RUNS", property_scaled(n));
    for (property_seed = 1; property_seed <= n; property_seed++)
        one(history);
}

int property_teardown(void **state)
{
    (void)state;
    if (running)
        print_error("PROPERTY_SEED=%llu replays it\n", (unsigned long long)property_seed);
    running = false;
    return 0;
}

/* ---- chance ---- */

uint64_t property_random(void)
{
    /* splitmix64: every seed is a good one. */
    uint64_t z = (rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

unsigned int property_below(unsigned int n)
{
    return (unsigned int)(property_random() % n);
}

/* ---- machines ---- */

static char machines[MAX_MACHINES][64];
static unsigned int nr_machines;

static void find_machines(void)
{
    glob_t g;

    if (nr_machines)
        return;
    if (glob(TEST_DATA "/*.ini", 0, NULL, &g) || g.gl_pathc > MAX_MACHINES) {
        (void)fprintf(stderr, "no machines, or too many, in %s\n", TEST_DATA);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    for (; nr_machines < g.gl_pathc; nr_machines++) {
        const char *name = strrchr(g.gl_pathv[nr_machines], '/') + 1;

        (void)snprintf(machines[nr_machines], sizeof(machines[0]), "%.*s", (int)strlen(name) - 4,
                       name);
    }
    globfree(&g);
}

unsigned int property_nr_machines(void)
{
    find_machines();
    return nr_machines;
}

const char *property_machine(unsigned int n)
{
    find_machines();
    return machines[n % nr_machines];
}
