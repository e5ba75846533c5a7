/* SPDX-License-Identifier: MIT */
/*
 * A fleet of a million hosts, drawn from the machine files with microcode and settings that differ:
 * which levels give most mobility, for k levels, beside one for each vendor and one for each model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/cpus.h"
#include "../unit/pools.h"
#include "clusters.h"

#define FLEET    1000000u
#define VARIANTS 8u
#define MOST     512u

static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t draw(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed >> 11;
}

/* The kinds of hosts: each machine as it is and with one or two features less. */
static size_t make_kinds(struct pool *p, struct cluster_class *classes, uint64_t *seed)
{
    const struct test_cpu *cpus;
    size_t n_cpus = test_cpus(&cpus), n = 0;

    for (size_t i = 0; i < n_cpus; i++)
        for (unsigned int v = 0; v < VARIANTS; v++) {
            unsigned int less = v ? 1u << draw(seed) % 8 | 1u << draw(seed) % 8 : 0;

            (void)pools_capture(p, cpus[i].name, less, "4.20.4");
        }
    for (size_t i = 0; i < p->n_captures && n < MOST; i++)
        if (p->captures[i].have[XC_POLICY_HVM_DEFAULT])
            classes[n++] = (struct cluster_class){p->captures[i].policy[XC_POLICY_HVM_DEFAULT],
                                                  p->captures[i].policy[XC_POLICY_HVM_MAX], 0};
    return n;
}

static void print_way(const char *what, const struct clusters *c, double ms)
{
    (void)printf("  %-36s %8zu %9.1f%% %9.1f%% %9.4f %10.0f   %s\n", what, c->n_levels,
                 100 * c->mobility, 100 * c->kept, c->score, ms, c->exact ? "exact" : "");
}

/* What people do: none, by vendor, by model.  Returns the best score. */
static double print_people(const struct cluster_class *classes, size_t n)
{
    size_t *group = calloc(n + 1, sizeof(*group));
    struct clusters c;
    double best = 0;

    if (!group)
        exit(2);
    for (unsigned int way = 0; way < 3; way++) {
        static const char *const names[] = {"none: as hosts give it", "one for each vendor",
                                            "one for each model"};

        for (size_t i = 0; way == 0 && i < n; i++)
            group[i] = CLUSTER_NONE;
        if (way == 1)
            (void)clusters_by_vendor(classes, n, group);
        if (way == 2)
            (void)clusters_by_model(classes, n, group);
        clusters_judge(classes, n, group, &c);
        print_way(names[way], &c, 0);
        best = c.score > best ? c.score : best;
        clusters_free(&c);
    }
    free(group);
    return best;
}

int main(void)
{
    static const size_t counts[] = {1, 2, 3, 5, 8};
    struct cluster_class classes[MOST];
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    double best, score = 0;
    struct pool p;
    size_t n;

    pools_begin(&p, "fleet");
    n = make_kinds(&p, classes, &seed);
    for (size_t i = 0; i < FLEET; i++)
        classes[draw(&seed) % n].hosts++;
    (void)printf("A fleet of %u hosts of %zu kinds, a guest on each\n", FLEET, n);
    (void)printf("  %-36s %8s %10s %10s %9s %10s\n", "levels", "", "mobility", "kept", "score",
                 "ms");
    best = print_people(classes, n);
    for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
        enum cluster_goal goal = i % 2 ? CLUSTER_MOBILITY : CLUSTER_SCORE;
        struct clusters c;
        char what[64];
        double begun = now_ms();

        clusters_find(classes, n, counts[i / 2], goal, &c);
        (void)snprintf(what, sizeof(what), "k = %zu, chosen for %s", counts[i / 2],
                       goal == CLUSTER_SCORE ? "the score" : "mobility");
        print_way(what, &c, now_ms() - begun);
        score = goal == CLUSTER_SCORE ? c.score : score;
        clusters_free(&c);
    }
    pools_free(&p);
    /* Eight levels that are chosen are no worse than those that people make: there are not more
     * vendors than that, and models take more. */
    if (score >= best - 1e-9)
        return 0;
    (void)printf("  people do better than the search\n");
    return 1;
}
