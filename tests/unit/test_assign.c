/* SPDX-License-Identifier: MIT */
/* Guests onto hosts: what is found is an assignment, it places as many as can be placed, and the
 * same ones in every run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "assign.h"

#define GIB (1ull << 30)
#define MAX 64

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Nothing is where it may not be, and no bin is too full; returns how many are placed. */
static size_t check_assignment(const struct assign *a)
{
    uint64_t used[MAX] = {0};
    size_t n = 0;

    for (size_t i = 0; i < a->n_items; i++) {
        if (a->to[i] == ASSIGN_NONE)
            continue;
        assert_true(a->to[i] < a->n_bins);
        assert_true(a->allowed[a->items[i].kind * a->n_kinds + a->bins[a->to[i]].kind]);
        used[a->to[i]] += a->items[i].size;
        n++;
    }
    for (size_t b = 0; b < a->n_bins; b++)
        assert_true(used[b] <= a->bins[b].room);
    assert_int_equal(n, a->n_placed);
    return n;
}

/* Guests of 9, 7, 6 and 5 GiB on hosts with 11 and 16: (6, 5) and (9, 7) is the only way, and the
 * largest first finds it neither by the tightest nor by the emptiest host. */
static void test_the_solver_finds_what_greedy_does_not(void **state)
{
    static const uint64_t sizes[] = {9, 6, 5, 7};
    static const bool allowed[] = {true};
    struct assign_item items[4];
    struct assign_bin bins[2] = {{11 * GIB, 0}, {16 * GIB, 0}};
    size_t to[4];
    struct assign a = {.items = items,
                       .bins = bins,
                       .n_items = 4,
                       .n_bins = 2,
                       .allowed = allowed,
                       .n_kinds = 1,
                       .to = to,
                       .no_solver = true};

    (void)state;
    for (unsigned int i = 0; i < 4; i++)
        items[i] = (struct assign_item){sizes[i] * GIB, 0};
    assign_solve(&a);
    assert_int_equal(check_assignment(&a), 3);
    assert_int_equal(a.method, ASSIGN_FIRST_FIT);
    a.no_solver = false;
    assign_solve(&a);
    assert_int_equal(check_assignment(&a), 4);
    assert_int_equal(a.method, ASSIGN_ALL);
}

/* The most that can be placed, by trying everything. */
static size_t try_all(const struct assign *a, size_t item, uint64_t *left)
{
    size_t best, n;

    if (item == a->n_items)
        return 0;
    best = try_all(a, item + 1, left);
    for (size_t b = 0; b < a->n_bins; b++) {
        if (left[b] < a->items[item].size ||
            !a->allowed[a->items[item].kind * a->n_kinds + a->bins[b].kind])
            continue;
        left[b] -= a->items[item].size;
        n = 1 + try_all(a, item + 1, left);
        left[b] += a->items[item].size;
        best = n > best ? n : best;
    }
    return best;
}

/* Small problems at random against trying everything: never less, and ASSIGN_MOST says the truth.
 */
static void test_no_assignment_places_more(void **state)
{
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    size_t by_greedy = 0, tight = 0;

    (void)state;
    for (unsigned int round = 0; round < 300; round++) {
        struct assign_item items[8];
        struct assign_bin bins[4];
        bool allowed[3 * 3];
        uint64_t left[4];
        size_t to[8], again[8], most;
        struct assign a = {.items = items,
                           .bins = bins,
                           .n_items = 4 + next_random(&seed) % 5,
                           .n_bins = 2 + next_random(&seed) % 3,
                           .allowed = allowed,
                           .n_kinds = 3,
                           .to = to};

        for (size_t i = 0; i < 9; i++)
            allowed[i] = next_random(&seed) % 4 != 0;
        for (size_t i = 0; i < a.n_items; i++)
            items[i] =
                (struct assign_item){(2 + next_random(&seed) % 9) * GIB, next_random(&seed) % 3};
        for (size_t b = 0; b < a.n_bins; b++) {
            bins[b] =
                (struct assign_bin){(6 + next_random(&seed) % 12) * GIB, next_random(&seed) % 3};
            left[b] = bins[b].room;
        }
        most = try_all(&a, 0, left);
        assign_solve(&a);
        assert_int_equal(check_assignment(&a), most);
        assert_int_equal(a.method, most == a.n_items ? ASSIGN_ALL : ASSIGN_MOST);
        memcpy(again, to, sizeof(to));
        assign_solve(&a);
        assert_memory_equal(again, to, a.n_items * sizeof(to[0]));
        a.no_solver = true;
        assign_solve(&a);
        by_greedy += check_assignment(&a) == most;
        tight++;
    }
    /* Else this test tries nothing that greedy does not do. */
    assert_true(by_greedy < tight);
}

/* Many equal guests on many hosts: spread, not stacked; and hosts that cannot matter do not. */
static void test_balance(void **state)
{
    static const bool allowed[] = {true};
    struct assign_item items[12];
    struct assign_bin bins[MAX];
    size_t to[12], used[MAX] = {0};
    struct assign a = {.items = items,
                       .bins = bins,
                       .n_items = 12,
                       .n_bins = MAX,
                       .allowed = allowed,
                       .n_kinds = 1,
                       .to = to};

    (void)state;
    for (unsigned int i = 0; i < 12; i++)
        items[i] = (struct assign_item){4 * GIB, 0};
    for (unsigned int i = 0; i < MAX; i++)
        bins[i] = (struct assign_bin){i >= MAX - 4 ? 20 * GIB : 3 * GIB, 0};
    assign_solve(&a);
    assert_int_equal(check_assignment(&a), 12);
    for (unsigned int i = 0; i < 12; i++)
        used[to[i]]++;
    for (unsigned int i = MAX - 4; i < MAX; i++)
        assert_int_equal(used[i], 3);
}

/*
 * What only a tight plan places is not left tight where it need not be: 8 must go where 8 are, and
 * so the small one first goes where 1 is left; it may also go to a host that is nearly empty.
 */
static void test_a_tight_plan_is_loosened(void **state)
{
    static const uint64_t sizes[] = {8, 6, 6, 1};
    static const bool allowed[] = {true, false, true, true};
    struct assign_item items[4];
    struct assign_bin bins[3] = {{13 * GIB, 0}, {8 * GIB, 0}, {40 * GIB, 1}};
    size_t to[4];
    struct assign a = {.items = items,
                       .bins = bins,
                       .n_items = 4,
                       .n_bins = 3,
                       .allowed = allowed,
                       .n_kinds = 2,
                       .to = to};

    (void)state;
    for (unsigned int i = 0; i < 4; i++)
        items[i] = (struct assign_item){sizes[i] * GIB, i == 3};
    assign_solve(&a);
    assert_int_equal(check_assignment(&a), 4);
    assert_int_equal(to[3], 2);
}

/* It ends at its limit, and says that it did. */
static void test_the_limit_is_said(void **state)
{
    static const bool allowed[] = {true};
    struct assign_item items[48];
    struct assign_bin bins[12];
    size_t to[48];
    uint64_t seed = 77, all = 0;
    struct assign a = {.items = items,
                       .bins = bins,
                       .n_items = 48,
                       .n_bins = 12,
                       .allowed = allowed,
                       .n_kinds = 1,
                       .nodes = 1,
                       .to = to};

    (void)state;
    for (unsigned int i = 0; i < 48; i++) {
        items[i] = (struct assign_item){(20000 + next_random(&seed) % 10000) << 20, 0};
        all += items[i].size;
    }
    /* They would just fit, with nothing to spare in any. */
    for (unsigned int i = 0; i < 12; i++)
        bins[i] = (struct assign_bin){all / 12, 0};
    assign_solve(&a);
    assert_true(check_assignment(&a) < 48);
    assert_int_equal(a.method, ASSIGN_LIMIT);
}

static void test_nothing(void **state)
{
    struct assign a = {.n_items = 0};

    (void)state;
    assign_solve(&a);
    assert_int_equal(a.n_placed, 0);
    assert_int_equal(a.method, ASSIGN_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_solver_finds_what_greedy_does_not),
        cmocka_unit_test(test_no_assignment_places_more),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_a_tight_plan_is_loosened),
        cmocka_unit_test(test_the_limit_is_said),
        cmocka_unit_test(test_nothing),
    };

    return cmocka_run_group_tests_name("assign", tests, NULL, NULL);
}
