/* SPDX-License-Identifier: MIT */
/*
 * How long the trial and the last look of a restore take, on a domain that has never run.
 * usage: time-trial DOMID ROUNDS     prints: TRIAL LAST-LOOK, medians in microseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <xc_audit.h>

static int by_value(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;

    return (d > 0) - (d < 0);
}

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    static struct cpu_policy told, given;
    struct policy_report r = {NULL, 0, 0};
    double *trial, *look;
    struct xc_leaves l;
    xc_handle *xch;
    uint32_t domid;
    size_t rounds;

    if (argc != 3)
        return 2;
    domid = (uint32_t)strtoul(argv[1], NULL, 10);
    rounds = strtoul(argv[2], NULL, 10);
    trial = calloc(rounds, sizeof(*trial));
    look = calloc(rounds, sizeof(*look));
    xch = xc_interface_open(NULL);
    if (!rounds || !trial || !look || !xch || xc_get_domain_cpu_policy(xch, domid, &l) ||
        xc_policy_from_leaves(xch, "the domain's", &l, &told, NULL, 0))
        return 1;
    for (size_t i = 0; i < rounds; i++) {
        double at = now_us();

        if (xc_trial_policy(xch, domid, &l, &told, &given, &r, NULL))
            return 1;
        trial[i] = now_us() - at;
        /* The gate asks with a handle of its own, behind the stock helper. */
        xc_interface_close(xch);
        at = now_us();
        xch = xc_interface_open(NULL);
        if (!xch || xc_last_look(xch, domid, &given, &r))
            return 1;
        look[i] = now_us() - at;
    }
    printf("%.0f %.0f\n", median(trial, rounds), median(look, rounds));
    xc_leaves_free(&l);
    xc_interface_close(xch);
    free(trial);
    free(look);
    return 0;
}
