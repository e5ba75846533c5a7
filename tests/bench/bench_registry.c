/* SPDX-License-Identifier: MIT */
/*
 * What it takes to load a large pool from its registry in a folder.
 *
 *   bench_registry HOSTS DOMAINS FOLDER     makes it there, and loads it three times
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "pools.h"
#include "poolstore.h"

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_pool(struct pool *p, size_t n_hosts, size_t n_domains)
{
    static const char *const machines[] = {"intel-haswell-ep", "intel-sandybridge-ep",
                                           "intel-cascadelake-sp", "amd-bergamo"};
    size_t captures[32], policies[32];
    char name[32];

    pools_begin(p, "large");
    for (unsigned int i = 0; i < 32; i++) {
        captures[i] = pools_capture(p, machines[i % 4], i / 4, "4.17.7");
        policies[i] = pools_born(p, captures[i], GUEST_HVM_HAP);
    }
    for (size_t i = 0; i < n_hosts; i++) {
        (void)snprintf(name, sizeof(name), "host%06zu", i);
        (void)pools_host(p, name, captures[i % 32], 256, 64);
    }
    for (size_t i = 0; i < n_domains; i++) {
        (void)snprintf(name, sizeof(name), "domain%07zu", i);
        (void)pools_domain(p, i % n_hosts, name, policies[i % n_hosts % 32], 2);
    }
    pools_end(p);
}

int main(int argc, char **argv)
{
    size_t n_hosts = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
    struct store *store;
    struct rusage used;
    struct pool p;
    double begun;

    if (!n_hosts || store_open(argv[3], true, &store)) {
        (void)fprintf(stderr, "usage: bench_registry HOSTS DOMAINS FOLDER\n");
        return 2;
    }
    make_pool(&p, n_hosts, strtoul(argv[2], NULL, 10));
    begun = now();
    poolstore_put(store, &p);
    (void)printf("put %zu hosts, %zu domains: %.2f s\n", p.n_hosts, p.n_domains, now() - begun);
    pools_free(&p);
    for (unsigned int i = 0; i < 3; i++) {
        begun = now();
        if (pool_load(store, &p)) {
            (void)fprintf(stderr, "%s\n", p.error);
            return 1;
        }
        (void)printf("load: %.2f s\n", now() - begun);
        pool_free(&p);
    }
    store_close(store);
    (void)getrusage(RUSAGE_SELF, &used);
    (void)printf("at most %ld MiB\n", used.ru_maxrss / 1024);
    return 0;
}
