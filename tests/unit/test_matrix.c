/* SPDX-License-Identifier: MIT */
/* All guests of a pool on all of its hosts: the answers are those of `xenlevel check`, whatever
 * classes they go through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "features-gen.h"
#include "matrix.h"
#include "pools.h"
#include "util.h"

static enum verdict ask_one(const struct pool *p, size_t domain, size_t host)
{
    struct answer_guest guest;
    struct answer_host there;
    struct cpu_answer a;
    enum verdict v;

    if (p->domains[domain].policy == POOL_NONE)
        return VERDICT_UNKNOWN;
    pool_answer_guest(p, p->domains[domain].policy, pool_domain_xen(p, domain), &guest);
    pool_answer_host(&p->captures[p->hosts[host].capture], pool_host_xen(p, host), &there);
    answer_init(&a);
    answer_ask(&guest, &there, &a);
    v = answer_verdict(&a);
    answer_free(&a);
    return v;
}

/* Every pair, asked one by one; returns how many there are of each answer on other hosts. */
static struct matrix_count compare_all(const struct pool_matrix *m)
{
    const struct pool *p = m->pool;
    struct matrix_count n = {0, 0, 0};

    for (size_t d = 0; d < p->n_domains; d++)
        for (size_t h = 0; h < p->n_hosts; h++) {
            enum verdict v = ask_one(p, d, h);

            assert_int_equal(matrix_of(m, d, h), v);
            if (p->domains[d].host == h)
                continue;
            n.yes += v == VERDICT_YES;
            n.no += v == VERDICT_NO;
            n.unknown += v == VERDICT_UNKNOWN;
        }
    assert_int_equal(n.yes, m->all.yes);
    assert_int_equal(n.no, m->all.no);
    assert_int_equal(n.unknown, m->all.unknown);
    return n;
}

static void test_two_generations(void **state)
{
    struct pool p;
    struct pool_matrix m;
    struct matrix_count n;
    size_t captures[2], hosts[3], rich, poor;
    char *why;

    (void)state;
    pools_begin(&p, "two");
    captures[0] = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
    captures[1] = pools_capture(&p, "intel-sandybridge-ep", 0, "4.17.7");
    hosts[0] = pools_host(&p, "b", captures[0], 64, 40);
    hosts[1] = pools_host(&p, "a", captures[0], 64, 40);
    hosts[2] = pools_host(&p, "c", captures[1], 64, 40);
    rich = pools_born(&p, captures[0], GUEST_HVM_HAP);
    poor = pools_levelled(&p, captures, 2, GUEST_HVM_HAP);
    pools_domain(&p, hosts[0], "rich1", rich, 4);
    pools_domain(&p, hosts[1], "rich2", rich, 4);
    pools_domain(&p, hosts[2], "poor", poor, 4);
    pools_domain(&p, hosts[2], "odd", POOL_NONE, 4);
    pools_end(&p);
    assert_string_equal(p.hosts[0].record->name, "a");
    matrix_build(&p, &m);
    assert_int_equal(m.n_rows, 3);
    assert_int_equal(m.n_columns, 2);
    n = compare_all(&m);
    assert_int_equal(n.yes, 2 * 1 + 2);
    assert_int_equal(n.no, 2);
    assert_int_equal(n.unknown, 2);
    /* The rich ones lack their AVX2 and others on c, by name. */
    why = matrix_why(&m, m.row_of[0], m.column_of[2], 0);
    assert_non_null(strstr(why, "lacks "));
    assert_non_null(strstr(why, "avx2"));
    free(why);
    why = matrix_why(&m, m.row_of[0], m.column_of[2], 2);
    assert_non_null(strstr(why, "others"));
    free(why);
    why = matrix_why(&m, m.row_of[0], m.column_of[0], 0);
    assert_string_equal(why, "");
    free(why);
    matrix_free(&m);
    pools_free(&p);
}

/* A guest goes from the release that its host runs, whatever it was born under; an image from the
 * one that saved it. */
static void test_releases_go_one_way(void **state)
{
    struct pool p;
    struct pool_matrix m;
    size_t old, new, hosts[2], hvm, pv;
    Xenlevel__Domain *image;

    (void)state;
    pools_begin(&p, "releases");
    old = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
    new = pools_capture(&p, "intel-haswell-ep", 0, "4.20.4");
    hosts[0] = pools_host(&p, "old", old, 64, 40);
    hosts[1] = pools_host(&p, "new", new, 64, 40);
    hvm = pools_born(&p, old, GUEST_HVM_HAP);
    pv = pools_born(&p, old, GUEST_PV);
    pools_domain(&p, hosts[0], "at-home", hvm, 4);
    pools_domain(&p, hosts[1], "moved", hvm, 4)->xen_version = xstrdup("4.17.7");
    pools_domain(&p, hosts[1], "pv", pv, 4);
    image = pools_domain(&p, hosts[1], "saved", hvm, 4);
    image->state = XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
    image->xen_version = xstrdup("4.17.7");
    pools_end(&p);
    matrix_build(&p, &m);
    (void)compare_all(&m);
    for (size_t d = 0; d < p.n_domains; d++) {
        size_t to_old = pools_find(&p, "old");
        bool goes = strcmp(p.domains[d].record->name, "moved") != 0;

        assert_int_equal(matrix_of(&m, d, to_old), goes ? VERDICT_YES : VERDICT_NO);
    }
    matrix_free(&m);
    pools_free(&p);
}

/* Hosts of all machines with features missing at random, guests born on each and on levels. */
static void test_answers_are_those_of_one_by_one(void **state)
{
    static const char *const machines[] = {"intel-haswell-ep",     "intel-sandybridge-ep",
                                           "intel-cascadelake-sp", "amd-castle-peak",
                                           "amd-bergamo",          "intel-icelake-sp"};
    struct pool p;
    struct pool_matrix m;
    struct matrix_count n;
    char name[32];

    (void)state;
    pools_begin(&p, "random");
    for (unsigned int i = 0; i < 6; i++)
        for (unsigned int v = 0; v < 4; v++) {
            size_t c = pools_capture(&p, machines[i], v * 37 % 256, v & 1 ? "4.20.4" : "4.17.7");
            size_t policy = pools_born(&p, c, v & 2 ? GUEST_PV : GUEST_HVM_HAP);

            for (unsigned int k = 0; k < 2; k++) {
                size_t h;

                (void)snprintf(name, sizeof(name), "h%u-%u-%u", i, v, k);
                h = pools_host(&p, name, c, 64, 30);
                pools_domain(&p, h, name, policy, 4);
            }
        }
    /* One of which not all is known. */
    p.captures[3].unknown[XC_POLICY_PV_MAX] = xcalloc(1, sizeof(struct cpu_policy));
    p.captures[3].unknown[XC_POLICY_PV_MAX]->feat[0].b = 0xffffffffu;
    pools_end(&p);
    matrix_build(&p, &m);
    n = compare_all(&m);
    assert_true(n.yes && n.no && n.unknown);
    assert_int_equal(m.n_rows, 24);
    assert_int_equal(m.n_columns, 24);
    matrix_free(&m);
    free(p.captures[3].unknown[XC_POLICY_PV_MAX]);
    pools_free(&p);
}

/* What a guest was not told to beware of stands against it as well. */
static void test_hazards_count(void **state)
{
    struct pool p;
    struct pool_matrix m;
    struct featureset fs;
    size_t c, careful, careless, host;
    char *why;

    (void)state;
    pools_begin(&p, "hazards");
    c = pools_capture(&p, "intel-skylake-sp", 0, "4.17.7");
    host = pools_host(&p, "h", c, 64, 40);
    careful = pools_born(&p, c, GUEST_HVM_HAP);
    careless = pools_born(&p, c, GUEST_HVM_HAP);
    policy_to_featureset(&p.policies[careless].policy, &fs);
    featureset_andnot(&fs, &fs, featureset_merge_mask(MERGE_HAZARD));
    policy_from_featureset(&p.policies[careless].policy, &fs);
    pools_domain(&p, host, "careful", careful, 4);
    pools_domain(&p, host, "careless", careless, 4);
    pools_end(&p);
    matrix_build(&p, &m);
    (void)compare_all(&m);
    assert_int_equal(matrix_of(&m, 0, 0), VERDICT_YES);
    assert_int_equal(matrix_of(&m, 1, 0), VERDICT_NO);
    why = matrix_why(&m, m.row_of[1], 0, 0);
    assert_non_null(strstr(why, "not told of"));
    free(why);
    matrix_free(&m);
    pools_free(&p);
}

static void test_empty(void **state)
{
    struct pool p;
    struct pool_matrix m;

    (void)state;
    pools_begin(&p, "empty");
    pools_end(&p);
    matrix_build(&p, &m);
    assert_int_equal(m.n_rows, 0);
    assert_int_equal(m.n_columns, 0);
    assert_int_equal(m.all.yes + m.all.no + m.all.unknown, 0);
    matrix_free(&m);
    pools_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_generations),
        cmocka_unit_test(test_releases_go_one_way),
        cmocka_unit_test(test_answers_are_those_of_one_by_one),
        cmocka_unit_test(test_hazards_count),
        cmocka_unit_test(test_empty),
    };

    return cmocka_run_group_tests_name("matrix", tests, NULL, NULL);
}
