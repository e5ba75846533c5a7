/* SPDX-License-Identifier: MIT */
/*
 * Pools of 10, 1,000 and 100,000 hosts: what each question costs in processor time and memory, and
 * that it grows with the hosts and no faster.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/pools.h"
#include "matrix.h"
#include "plan.h"
#include "suggest.h"

#define GUESTS 4u /* on each host */

enum { MATRIX, LEVEL, EVACUATE, ROLLING, QUESTIONS };
static const char *const questions[QUESTIONS] = {
    [MATRIX] = "all guests on all hosts",
    [LEVEL] = "the hosts' level, and what each class costs",
    [EVACUATE] = "a plan that empties a host",
    [ROLLING] = "an order in which all are emptied",
};

struct result {
    size_t hosts, guests, rows, columns;
    double ms[QUESTIONS];
    double load_mib, all_mib; /* with the pool alone; at the most */
    unsigned long long yes, pairs;
    size_t steps, blocked;
};

/* Processor time of this process: others that run beside it do not count. */
static double now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double peak_mib(void)
{
    struct rusage u;

    (void)getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static void ask_level(const struct pool *p, double *ms)
{
    const struct named_list none = {0};
    struct suggest_class *classes;
    struct suggestion s;
    size_t n, culprit, intel = 0;
    double begun = now_ms();

    /* A level is of one vendor. */
    classes = suggest_classes(p, &n);
    for (size_t i = 0; i < n; i++)
        if (classes[i].deflt[1] && classes[i].deflt[1]->basic[0].b == 0x756e6547u)
            classes[intel++] = classes[i];
    if (intel && suggest_level(classes, intel, &none, &s, &culprit)) {
        (void)fprintf(stderr, "no level: class %zu does not fit\n", culprit);
        exit(2);
    }
    *ms = now_ms() - begun;
    if (intel)
        suggest_free(&s);
    free(classes);
}

static void ask_all(size_t hosts, struct result *r)
{
    const struct plan_options options = {.reserve = PLAN_RESERVE, .to_xen = "4.20.4"};
    struct pool p;
    struct pool_matrix m;
    struct evacuation e;
    struct rolling roll;
    double begun;

    pools_begin(&p, "bench");
    pools_draw(&p, hosts, GUESTS, 1);
    r->load_mib = peak_mib();
    begun = now_ms();
    matrix_build(&p, &m);
    r->ms[MATRIX] = now_ms() - begun;
    ask_level(&p, &r->ms[LEVEL]);
    begun = now_ms();
    plan_evacuate(&m, &options, hosts / 2, &e);
    r->ms[EVACUATE] = now_ms() - begun;
    evacuation_free(&e);
    begun = now_ms();
    plan_rolling(&m, &options, &roll);
    r->ms[ROLLING] = now_ms() - begun;
    r->steps = roll.n_steps;
    r->blocked = roll.n_blocked;
    rolling_free(&roll);
    r->hosts = p.n_hosts;
    r->guests = p.n_domains;
    r->rows = m.n_rows;
    r->columns = m.n_columns;
    r->yes = m.all.yes;
    r->pairs = m.all.yes + m.all.no + m.all.unknown;
    matrix_free(&m);
    r->all_mib = peak_mib();
    pools_free(&p);
}

/* In a process of its own, for its memory to be its own. */
static int measure(size_t hosts, struct result *r)
{
    int ends[2], status;
    pid_t child;
    ssize_t n;

    if (pipe(ends))
        return -1;
    child = fork();
    if (child == 0) {
        struct result mine = {0};

        ask_all(hosts, &mine);
        _exit(write(ends[1], &mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 2);
    }
    (void)close(ends[1]);
    n = child < 0 ? -1 : read(ends[0], r, sizeof(*r));
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status == 0 && n == (ssize_t)sizeof(*r) ? 0 : -1;
}

/* Near linear: from one size to the next no more than three times what the hosts grow by.  What
 * took less than a millisecond counts as one: it is not measured. */
static int judge(const struct result *small, const struct result *large)
{
    int bad = 0;

    for (unsigned int q = 0; q < QUESTIONS; q++) {
        double before = small->ms[q] < 1 ? 1 : small->ms[q];
        double grown = large->ms[q] / before;

        if (grown > 3 * (double)large->hosts / (double)small->hosts) {
            (void)printf("  %s: %.0f times as long for %.0f times the hosts\n", questions[q], grown,
                         (double)large->hosts / (double)small->hosts);
            bad = 1;
        }
    }
    return bad;
}

int main(void)
{
    static const size_t sizes[] = {10, 1000, 100000};
    struct result r[3];
    int bad = 0;

    (void)printf("Pools of hosts with %u guests on each (ms of processor time)\n", GUESTS);
    for (unsigned int i = 0; i < 3; i++)
        if (measure(sizes[i], &r[i])) {
            (void)fprintf(stderr, "bench_pool: the pool of %zu hosts failed\n", sizes[i]);
            return 2;
        }
    (void)printf("  %-46s %10zu %10zu %10zu\n", "hosts", r[0].hosts, r[1].hosts, r[2].hosts);
    (void)printf("  %-46s %10zu %10zu %10zu\n", "guests", r[0].guests, r[1].guests, r[2].guests);
    (void)printf("  %-46s %10zu %10zu %10zu\n", "classes of guests", r[0].rows, r[1].rows,
                 r[2].rows);
    (void)printf("  %-46s %10zu %10zu %10zu\n", "classes of hosts", r[0].columns, r[1].columns,
                 r[2].columns);
    for (unsigned int q = 0; q < QUESTIONS; q++)
        (void)printf("  %-46s %10.1f %10.1f %10.1f\n", questions[q], r[0].ms[q], r[1].ms[q],
                     r[2].ms[q]);
    (void)printf("  %-46s %10.0f %10.0f %10.0f\n", "memory of the pool, MiB", r[0].load_mib,
                 r[1].load_mib, r[2].load_mib);
    (void)printf("  %-46s %10.0f %10.0f %10.0f\n", "memory at the most, MiB", r[0].all_mib,
                 r[1].all_mib, r[2].all_mib);
    (void)printf("  %-46s %9.1f%% %9.1f%% %9.1f%%\n", "pairs of a guest and a host that can be",
                 100.0 * (double)r[0].yes / (double)r[0].pairs,
                 100.0 * (double)r[1].yes / (double)r[1].pairs,
                 100.0 * (double)r[2].yes / (double)r[2].pairs);
    (void)printf("  %-46s %10zu %10zu %10zu\n", "hosts that the order has", r[0].steps, r[1].steps,
                 r[2].steps);
    for (unsigned int i = 0; i < 2; i++)
        bad |= judge(&r[i], &r[i + 1]);
    return bad;
}
