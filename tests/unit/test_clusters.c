/* SPDX-License-Identifier: MIT */
/* Which hosts should share a level: what is found is what trying everything finds, and no worse
 * than what people do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clusters.h"
#include "pools.h"
#include "util.h"

#define MAX 64

static size_t make_classes(struct pool *p, const char *const *machines, size_t n,
                           const unsigned int *variants, size_t n_variants,
                           struct cluster_class *classes)
{
    size_t made = 0;

    pools_begin(p, "clusters");
    for (size_t i = 0; i < n; i++)
        for (size_t v = 0; v < n_variants; v++)
            (void)pools_capture(p, machines[i], variants[v], "4.17.7");
    pools_end(p);
    for (size_t i = 0; i < p->n_captures; i++)
        classes[made++] =
            (struct cluster_class){.deflt = p->captures[i].policy[XC_POLICY_HVM_DEFAULT],
                                   .max = p->captures[i].policy[XC_POLICY_HVM_MAX],
                                   .hosts = 10 + 7 * i % 30};
    return made;
}

static const char *const machines[] = {"intel-sandybridge-ep", "intel-haswell-ep",
                                       "intel-skylake-sp", "amd-castle-peak"};
static const unsigned int plain[] = {0};

/* No level: guests go where their CPU is; one for each vendor: everywhere within it. */
static void test_extremes(void **state)
{
    struct pool p;
    struct cluster_class classes[MAX];
    size_t group[MAX], n = make_classes(&p, machines, 4, plain, 1, classes);
    double hosts = 0, intel, all;
    struct clusters none, vendors, models;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        group[i] = CLUSTER_NONE;
        hosts += (double)classes[i].hosts;
    }
    clusters_judge(classes, n, group, &none);
    assert_int_equal(none.n_levels, 0);
    assert_true(none.kept > 0.999 && none.kept < 1.001);
    assert_int_equal(clusters_by_vendor(classes, n, group), 2);
    clusters_judge(classes, n, group, &vendors);
    assert_int_equal(vendors.n_levels, 2);
    intel = hosts - (double)classes[3].hosts;
    all = (intel * (intel - 1) + (double)classes[3].hosts * ((double)classes[3].hosts - 1)) /
          (hosts * (hosts - 1));
    assert_true(vendors.mobility > all - 1e-9 && vendors.mobility < all + 1e-9);
    assert_true(vendors.mobility > none.mobility && vendors.kept < none.kept);
    assert_int_equal(clusters_by_model(classes, n, group), 4);
    clusters_judge(classes, n, group, &models);
    assert_int_equal(models.n_levels, 4);
    assert_true(models.mobility <= vendors.mobility && models.kept >= vendors.kept);
    clusters_free(&none);
    clusters_free(&vendors);
    clusters_free(&models);
    pools_free(&p);
}

/* The best of all ways to put the classes into at most k groups, by judging each. */
static double try_all(const struct cluster_class *classes, size_t n, size_t k, size_t at,
                      size_t *group, size_t used)
{
    struct clusters c;
    double best = 0, score;

    if (at == n) {
        clusters_judge(classes, n, group, &c);
        score = c.score;
        clusters_free(&c);
        return score;
    }
    for (size_t g = 0; g <= used && g <= k; g++) {
        group[at] = g == k ? CLUSTER_NONE : g;
        score = try_all(classes, n, k, at + 1, group, g == used && g < k ? used + 1 : used);
        best = score > best ? score : best;
    }
    group[at] = CLUSTER_NONE;
    score = try_all(classes, n, k, at + 1, group, used);
    return score > best ? score : best;
}

static void test_small_is_exact(void **state)
{
    static const unsigned int variants[] = {0, 5};
    struct pool p;
    struct cluster_class classes[MAX];
    size_t group[MAX], n = make_classes(&p, machines + 1, 3, variants, 2, classes);
    double before = 0;

    (void)state;
    for (size_t k = 1; k <= 3; k++) {
        struct clusters c;
        double best = try_all(classes, n, k, 0, group, 0);

        clusters_find(classes, n, k, CLUSTER_SCORE, &c);
        assert_true(c.exact);
        assert_true(c.n_levels <= k);
        assert_true(c.score > best - 1e-9);
        assert_true(c.score >= before);
        before = c.score;
        clusters_free(&c);
        /* With a level for each vendor nothing else moves more. */
        clusters_find(classes, n, k, CLUSTER_MOBILITY, &c);
        if (k >= clusters_by_vendor(classes, n, group)) {
            struct clusters vendors;

            clusters_judge(classes, n, group, &vendors);
            assert_true(c.mobility > vendors.mobility - 1e-9);
            clusters_free(&vendors);
        }
        clusters_free(&c);
    }
    pools_free(&p);
}

/* Large: the search is no worse than what people do with as many levels, and says the same twice.
 */
static void test_large_is_no_worse_than_people(void **state)
{
    static const char *const many[] = {
        "intel-sandybridge-ep", "intel-haswell-ep", "intel-skylake-sp", "intel-cascadelake-sp",
        "intel-icelake-sp",     "amd-castle-peak",  "amd-bergamo",      "amd-granite-ridge"};
    static const unsigned int variants[] = {0, 1, 6, 33, 130};
    struct pool p;
    struct cluster_class classes[MAX];
    size_t group[MAX], n = make_classes(&p, many, 8, variants, 5, classes), k;
    struct clusters people, found, again;

    (void)state;
    k = clusters_by_vendor(classes, n, group);
    clusters_judge(classes, n, group, &people);
    clusters_find(classes, n, k, CLUSTER_SCORE, &found);
    assert_true(found.score >= people.score - 1e-9);
    clusters_free(&people);
    clusters_find(classes, n, k, CLUSTER_SCORE, &again);
    assert_memory_equal(found.of, again.of, n * sizeof(found.of[0]));
    clusters_free(&found);
    clusters_free(&again);
    k = clusters_by_model(classes, n, group);
    clusters_judge(classes, n, group, &people);
    clusters_find(classes, n, k, CLUSTER_SCORE, &found);
    assert_true(found.score >= people.score - 1e-9);
    clusters_free(&people);
    clusters_free(&found);
    pools_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_small_is_exact),
        cmocka_unit_test(test_large_is_no_worse_than_people),
    };

    return cmocka_run_group_tests_name("clusters", tests, NULL, NULL);
}
