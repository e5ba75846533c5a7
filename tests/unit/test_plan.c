/* SPDX-License-Identifier: MIT */
/* Emptying hosts: every guest goes where it can run and where memory is, who stays is told why, and
 * an order of hosts keeps to what releases allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "features-gen.h"
#include "plan.h"
#include "pools.h"
#include "util.h"

static const struct plan_options plain = {.reserve = 0};

/* No move that cannot be, and no host too full. */
static void check_moves(const struct pool_matrix *m, const struct plan_options *options,
                        const struct evacuation *e)
{
    const struct pool *p = m->pool;
    uint64_t *used = xcalloc(p->n_hosts, sizeof(*used));

    for (size_t i = 0; i < e->n_moves; i++) {
        const struct plan_move *move = &e->moves[i];

        assert_int_equal(p->domains[move->domain].host, e->host);
        assert_int_not_equal(move->to, e->host);
        assert_int_equal(plan_target(p, move->to), PLAN_TARGET);
        assert_int_equal(matrix_cpus(m, m->row_of[move->domain], m->column_of[move->to]),
                         VERDICT_YES);
        used[move->to] += plan_need(p, move->domain);
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        assert_true(!used[i] || used[i] <= plan_room(p, options, i));
    free(used);
}

static const struct plan_stuck *find_stuck(const struct pool *p, const struct evacuation *e,
                                           const char *name)
{
    for (size_t i = 0; i < e->n_stuck; i++)
        if (!strcmp(p->domains[e->stuck[i].domain].record->name, name))
            return &e->stuck[i];
    fail_msg("%s is not stuck", name);
    return NULL;
}

static const struct plan_help *find_help(const struct plan_stuck *s, enum plan_help_kind kind)
{
    for (size_t i = 0; i < s->n_helps; i++)
        if (s->helps[i].kind == kind)
            return &s->helps[i];
    return NULL;
}

static const char *host_name(const struct pool *p, size_t host)
{
    return p->hosts[host].record->name;
}

/* Two generations; host "a" is emptied.  "rich" can only go to "b", and "poor" anywhere. */
struct two {
    struct pool p;
    struct pool_matrix m;
    size_t captures[2], rich, poor;
};

static void begin_two(struct two *t)
{
    pools_begin(&t->p, "two");
    t->captures[0] = pools_capture(&t->p, "intel-haswell-ep", 0, "4.17.7");
    t->captures[1] = pools_capture(&t->p, "intel-sandybridge-ep", 0, "4.17.7");
    t->rich = pools_born(&t->p, t->captures[0], GUEST_HVM_HAP);
    t->poor = pools_levelled(&t->p, t->captures, 2, GUEST_HVM_HAP);
}

static void end_two(struct two *t)
{
    pools_end(&t->p);
    matrix_build(&t->p, &t->m);
}

static void free_two(struct two *t)
{
    matrix_free(&t->m);
    pools_free(&t->p);
}

static void test_each_goes_where_it_can_run(void **state)
{
    struct two t;
    struct evacuation e;
    size_t a;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 10);
    pools_host(&t.p, "b", t.captures[0], 64, 9);
    pools_host(&t.p, "c", t.captures[1], 64, 60);
    pools_domain(&t.p, a, "poor", t.poor, 8);
    pools_domain(&t.p, a, "rich", t.rich, 8);
    pools_domain(&t.p, a, "saved", t.rich, 8)->state = XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
    end_two(&t);
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    check_moves(&t.m, &plain, &e);
    assert_int_equal(e.n_moves, 2);
    assert_int_equal(e.n_images, 1);
    assert_int_equal(e.n_bound, 0);
    assert_int_equal(e.method, ASSIGN_ALL);
    assert_string_equal(host_name(&t.p, e.moves[0].to), "c");
    assert_string_equal(host_name(&t.p, e.moves[1].to), "b");
    assert_false(e.moves[1].one_way);
    evacuation_free(&e);
    free_two(&t);
}

/* Hosts that are in maintenance, silent, or of unknown memory take nobody. */
static void test_no_targets(void **state)
{
    struct two t;
    struct evacuation e;
    const struct plan_stuck *s;
    size_t a, b, c, d;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 60);
    b = pools_host(&t.p, "b", t.captures[0], 64, 60);
    c = pools_host(&t.p, "c", t.captures[0], 64, 60);
    d = pools_host(&t.p, "d", t.captures[0], 0, 0);
    t.p.hosts[b].record->maintenance = true;
    free(t.p.hosts[c].seen);
    t.p.hosts[c].seen = NULL;
    (void)d;
    pools_domain(&t.p, a, "rich", t.rich, 8);
    end_two(&t);
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    assert_int_equal(e.n_moves, 0);
    assert_int_equal(e.n_targets, 0);
    assert_int_equal(e.n_skipped[PLAN_MAINTENANCE], 1);
    assert_int_equal(e.n_skipped[PLAN_SILENT], 1);
    assert_int_equal(e.n_skipped[PLAN_MEMORY_UNKNOWN], 1);
    s = find_stuck(&t.p, &e, "rich");
    assert_int_equal(s->reason, PLAN_NO_HOST);
    assert_int_equal(s->n_helps, 0);
    evacuation_free(&e);
    free_two(&t);
}

/* The only other host lacks features: a power cycle on the level, or giving them up. */
static void test_what_helps_a_rich_guest(void **state)
{
    struct two t;
    struct evacuation e;
    const struct plan_stuck *s;
    const struct plan_help *help;
    struct pool_level level = {.name = "web.v1"};
    size_t a;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 60);
    pools_host(&t.p, "c", t.captures[1], 64, 60);
    pools_domain(&t.p, a, "rich", t.rich, 8);
    end_two(&t);
    level.have[1] = true;
    level.policy[1] = t.p.policies[t.poor].policy;
    t.p.levels = &level;
    t.p.n_levels = 1;
    t.p.level = 0;
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    s = find_stuck(&t.p, &e, "rich");
    assert_int_equal(s->reason, PLAN_NO_HOST);
    assert_string_equal(host_name(&t.p, s->nearest), "c");
    assert_non_null(strstr(s->why, "lacks "));
    help = find_help(s, HELP_RESTART);
    assert_non_null(help);
    assert_int_equal(help->level, 0);
    assert_string_equal(host_name(&t.p, help->host), "c");
    help = find_help(s, HELP_GIVE_UP);
    assert_non_null(help);
    assert_true(featureset_test(&help->features, X86_FEATURE_AVX2));
    assert_false(featureset_test(&help->features, X86_FEATURE_AVX));
    evacuation_free(&e);
    /* Without a level it is born with that host's CPU. */
    t.p.level = POOL_NONE;
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    help = find_help(find_stuck(&t.p, &e, "rich"), HELP_RESTART);
    assert_non_null(help);
    assert_int_equal(help->level, POOL_NONE);
    evacuation_free(&e);
    t.p.levels = NULL;
    t.p.n_levels = 0;
    free_two(&t);
}

/* Memory: how much is missing where, and who would make room. */
static void test_memory_is_counted(void **state)
{
    struct two t;
    struct evacuation e;
    struct plan_options options = {.reserve = 2 * POOLS_GIB};
    const struct plan_stuck *s;
    const struct plan_help *help;
    size_t a, b;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 10);
    b = pools_host(&t.p, "b", t.captures[0], 64, 9);
    pools_host(&t.p, "c", t.captures[1], 64, 7);
    pools_domain(&t.p, a, "rich", t.rich, 8);
    pools_domain(&t.p, b, "movable", t.poor, 4);
    end_two(&t);
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    assert_int_equal(e.n_moves, 1);
    evacuation_free(&e);
    plan_evacuate(&t.m, &options, pools_find(&t.p, "a"), &e);
    s = find_stuck(&t.p, &e, "rich");
    assert_int_equal(s->reason, PLAN_TOO_LARGE);
    help = find_help(s, HELP_MEMORY);
    assert_non_null(help);
    assert_string_equal(host_name(&t.p, help->host), "b");
    /* 8 GiB, 1 MiB for its vCPU and 4 KiB for each of 8192 MiB; 7 GiB are there. */
    assert_int_equal(help->bytes, POOLS_GIB + (1 << 20) + 8192 * 4096);
    help = find_help(s, HELP_MAKE_ROOM);
    assert_non_null(help);
    assert_string_equal(t.p.domains[help->other].record->name, "movable");
    assert_string_equal(host_name(&t.p, help->other_to), "c");
    evacuation_free(&e);
    free_two(&t);
}

/* By the largest first neither the tightest nor the emptiest host leads to a plan; the solver's
 * does. */
static void test_the_solver_plans_what_greedy_cannot(void **state)
{
    static const unsigned int sizes[] = {9, 6, 5, 7};
    struct two t;
    struct evacuation e;
    struct plan_options options = {.no_solver = true};
    char name[8];
    size_t a;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 10);
    pools_host(&t.p, "b", t.captures[0], 64, 11);
    pools_host(&t.p, "c", t.captures[0], 64, 16);
    for (unsigned int i = 0; i < 4; i++) {
        Xenlevel__Domain *d;

        (void)snprintf(name, sizeof(name), "vm%u", i);
        d = pools_domain(&t.p, a, name, t.poor, sizes[i]);
        d->type = XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV; /* without what page tables need */
    }
    end_two(&t);
    plan_evacuate(&t.m, &options, pools_find(&t.p, "a"), &e);
    check_moves(&t.m, &options, &e);
    assert_int_equal(e.n_moves, 3);
    assert_int_equal(e.method, ASSIGN_FIRST_FIT);
    assert_int_equal(e.stuck[0].reason, PLAN_CROWDED);
    evacuation_free(&e);
    options.no_solver = false;
    plan_evacuate(&t.m, &options, pools_find(&t.p, "a"), &e);
    check_moves(&t.m, &options, &e);
    assert_int_equal(e.n_moves, 4);
    assert_int_equal(e.method, ASSIGN_ALL);
    evacuation_free(&e);
    free_two(&t);
}

/* One host of each release: where a guest can come back from is taken first. */
static void test_one_way_only_where_nothing_else_is(void **state)
{
    struct pool p;
    struct pool_matrix m;
    struct evacuation e;
    size_t old, new, hvm, a;

    (void)state;
    pools_begin(&p, "releases");
    old = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
    new = pools_capture(&p, "intel-haswell-ep", 0, "4.20.4");
    hvm = pools_born(&p, old, GUEST_HVM_HAP);
    a = pools_host(&p, "a", old, 64, 10);
    pools_host(&p, "b", old, 64, 9);
    pools_host(&p, "c", new, 64, 60);
    pools_domain(&p, a, "one", hvm, 8);
    pools_end(&p);
    matrix_build(&p, &m);
    plan_evacuate(&m, &plain, pools_find(&p, "a"), &e);
    assert_string_equal(host_name(&p, e.moves[0].to), "b");
    assert_false(e.moves[0].one_way);
    evacuation_free(&e);
    matrix_free(&m);
    p.hosts[pools_find(&p, "b")].record->memory_free = POOLS_GIB;
    matrix_build(&p, &m);
    plan_evacuate(&m, &plain, pools_find(&p, "a"), &e);
    assert_int_equal(e.n_moves, 1);
    assert_string_equal(host_name(&p, e.moves[0].to), "c");
    assert_true(e.moves[0].one_way);
    evacuation_free(&e);
    matrix_free(&m);
    pools_free(&p);
}

/*
 * "n" runs 4.20 already, and its guest can go to no older host: without a target release nothing
 * takes it, and with 4.20 it is not asked to go.  "a" and "b" go by each other.  Then the only room
 * for b's guest is on "n": it cannot come back unless b is updated.
 */
static void test_rolling_keeps_to_releases(void **state)
{
    struct pool p;
    struct pool_matrix m;
    struct plan_options options = {.to_xen = "4.20"};
    struct rolling r;
    size_t old, new, hvm, hosts[3];

    (void)state;
    pools_begin(&p, "rolling");
    old = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
    new = pools_capture(&p, "intel-haswell-ep", 0, "4.20.4");
    hvm = pools_born(&p, old, GUEST_HVM_HAP);
    hosts[0] = pools_host(&p, "a", old, 64, 30);
    hosts[1] = pools_host(&p, "b", old, 64, 30);
    hosts[2] = pools_host(&p, "n", new, 64, 30);
    pools_domain(&p, hosts[0], "one", hvm, 8);
    pools_domain(&p, hosts[1], "two", hvm, 8);
    pools_domain(&p, hosts[2], "three", hvm, 8);
    pools_end(&p);
    matrix_build(&p, &m);
    plan_rolling(&m, &plain, &r);
    assert_int_equal(r.n_steps, 2);
    assert_int_equal(r.n_blocked, 1);
    assert_string_equal(host_name(&p, r.blocked[0].host), "n");
    assert_int_equal(r.blocked[0].stuck[0].reason, PLAN_NO_HOST);
    rolling_free(&r);
    plan_rolling(&m, &options, &r);
    assert_int_equal(r.n_steps, 2);
    assert_int_equal(r.n_blocked, 0);
    assert_int_equal(r.n_done, 1);
    rolling_free(&r);
    /* No room on old ones. */
    p.hosts[pools_find(&p, "a")].record->memory_free = POOLS_GIB;
    p.hosts[pools_find(&p, "b")].record->memory_free = POOLS_GIB;
    plan_rolling(&m, &plain, &r);
    assert_int_equal(r.n_steps, 0);
    assert_int_equal(r.n_blocked, 3);
    assert_int_equal(r.blocked[0].stuck[0].reason, PLAN_TOO_LARGE);
    rolling_free(&r);
    plan_rolling(&m, &options, &r);
    assert_int_equal(r.n_steps, 2);
    rolling_free(&r);
    matrix_free(&m);
    pools_free(&p);
}

/* "n" is to be updated within 4.20 and comes first by its name, but only hosts of 4.20 take its
 * guest: another host must have been updated before. */
static void test_rolling_finds_the_order(void **state)
{
    struct pool p;
    struct pool_matrix m;
    struct plan_options options = {.to_xen = "4.20.4"};
    struct rolling r;
    size_t old, new, hvm, hosts[3];

    (void)state;
    pools_begin(&p, "order");
    old = pools_capture(&p, "intel-haswell-ep", 0, "4.17.7");
    new = pools_capture(&p, "intel-haswell-ep", 0, "4.20.3");
    hvm = pools_born(&p, old, GUEST_HVM_HAP);
    hosts[0] = pools_host(&p, "a-new", new, 64, 30);
    hosts[1] = pools_host(&p, "b", old, 64, 30);
    hosts[2] = pools_host(&p, "c", old, 64, 30);
    for (unsigned int i = 0; i < 3; i++) {
        char name[] = {'v', (char)('0' + i), '\0'};

        pools_domain(&p, hosts[i], name, hvm, 8);
    }
    pools_end(&p);
    matrix_build(&p, &m);
    plan_rolling(&m, &options, &r);
    assert_int_equal(r.n_blocked, 0);
    assert_int_equal(r.n_steps, 3);
    assert_string_equal(host_name(&p, r.steps[0].host), "b");
    assert_string_equal(host_name(&p, r.steps[1].host), "c");
    assert_string_equal(host_name(&p, r.steps[2].host), "a-new");
    rolling_free(&r);
    matrix_free(&m);
    pools_free(&p);
}

static void test_unknown_is_not_yes(void **state)
{
    struct two t;
    struct evacuation e;
    size_t a;

    (void)state;
    begin_two(&t);
    a = pools_host(&t.p, "a", t.captures[0], 64, 60);
    pools_host(&t.p, "b", t.captures[0], 64, 60);
    pools_domain(&t.p, a, "no-cpu", POOL_NONE, 8);
    pools_domain(&t.p, a, "no-size", t.poor, 0);
    end_two(&t);
    plan_evacuate(&t.m, &plain, pools_find(&t.p, "a"), &e);
    assert_int_equal(e.n_moves, 0);
    assert_int_equal(find_stuck(&t.p, &e, "no-cpu")->reason, PLAN_CANNOT_SAY);
    assert_int_equal(find_stuck(&t.p, &e, "no-size")->reason, PLAN_SIZE_UNKNOWN);
    evacuation_free(&e);
    free_two(&t);
}

/* A registry can say any number: what is too much for a sum is no small guest, and nothing that
 * fits nowhere fits on a host that says so. */
static void test_memory_at_its_limit(void **state)
{
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - (1ull << 40), 0xff01ull << 48};
    const struct plan_options none = {.reserve = 0};
    struct two t;
    struct evacuation e;
    Xenlevel__Domain *d;
    size_t a, b;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        begin_two(&t);
        a = pools_host(&t.p, "a", t.captures[0], 64, 60);
        b = pools_host(&t.p, "b", t.captures[0], 64, 60);
        d = pools_domain(&t.p, a, "huge", t.poor, 8);
        d->memory = sizes[i];
        d->vcpus = UINT32_MAX;
        pools_domain(&t.p, a, "no-size", t.poor, 0);
        pools_domain(&t.p, a, "usual", t.poor, 8);
        t.p.hosts[b].record->memory_free = UINT64_MAX;
        end_two(&t);
        assert_int_equal(plan_need(&t.p, pool_find_domain(&t.p, "huge", NULL)), PLAN_FITS_NOWHERE);
        plan_evacuate(&t.m, &none, pools_find(&t.p, "a"), &e);
        check_moves(&t.m, &none, &e);
        assert_int_equal(e.n_moves, 1);
        assert_int_equal(find_stuck(&t.p, &e, "huge")->reason, PLAN_TOO_LARGE);
        assert_int_equal(find_stuck(&t.p, &e, "no-size")->reason, PLAN_SIZE_UNKNOWN);
        evacuation_free(&e);
        free_two(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_goes_where_it_can_run),
        cmocka_unit_test(test_no_targets),
        cmocka_unit_test(test_what_helps_a_rich_guest),
        cmocka_unit_test(test_memory_is_counted),
        cmocka_unit_test(test_the_solver_plans_what_greedy_cannot),
        cmocka_unit_test(test_one_way_only_where_nothing_else_is),
        cmocka_unit_test(test_rolling_keeps_to_releases),
        cmocka_unit_test(test_rolling_finds_the_order),
        cmocka_unit_test(test_unknown_is_not_yes),
        cmocka_unit_test(test_memory_at_its_limit),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
