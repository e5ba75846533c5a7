/* SPDX-License-Identifier: MIT */
/* What the report computes: kinds, what they cost, who can leave, arrows, and where nodes stand.
 * SEED=N begins what is random elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "features-gen.h"
#include "pools.h"
#include "report-layout.h"
#include "report-private.h"
#include "util.h"

/* ---- chance ---- */

static uint64_t chance;

static unsigned int below(unsigned int n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (unsigned int)(chance >> 33) % n;
}

static int begin_chance(void **state)
{
    const char *seed = getenv("SEED"); /* NOLINT(concurrency-mt-unsafe): one thread */

    (void)state;
    chance = 0x9e3779b97f4a7c15u * (1 + (seed ? strtoull(seed, NULL, 10) : 0));
    return 0;
}

/* ---- a pool and what is said of it ---- */

struct said {
    struct pool pool;
    struct report_input in;
    struct report report;
};

static void say(struct said *s)
{
    pools_end(&s->pool);
    s->in = (struct report_input){.pool = &s->pool, .when = "2026-01-01T00:00:00Z"};
    report_make(&s->in, &s->report);
}

static void end(struct said *s)
{
    report_free(&s->report);
    pools_free(&s->pool);
}

static const struct report_host *host_of(const struct said *s, const char *name)
{
    return &s->report.hosts[pools_find(&s->pool, name)];
}

static void test_hosts_that_offer_the_same_are_a_kind(void **state)
{
    struct said s;
    size_t one, again, newer;

    (void)state;
    pools_begin(&s.pool, "kinds");
    one = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.17.7");
    again = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.17.7");
    newer = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.20.4");
    (void)pools_host(&s.pool, "a", one, 64, 64);
    (void)pools_host(&s.pool, "b", again, 64, 64);
    (void)pools_host(&s.pool, "c", newer, 64, 64);
    (void)pools_host(&s.pool, "d", one, 64, 64);
    say(&s);
    assert_int_equal(s.report.n_kinds, 2);
    assert_int_equal(host_of(&s, "a")->kind, host_of(&s, "b")->kind);
    assert_int_equal(host_of(&s, "a")->kind, host_of(&s, "d")->kind);
    assert_int_not_equal(host_of(&s, "a")->kind, host_of(&s, "c")->kind);
    assert_int_equal(s.report.kinds[host_of(&s, "a")->kind].n_hosts, 3);
    assert_string_equal(s.report.kinds[0].name, "A");
    assert_string_equal(s.report.kinds[1].name, "B");
    end(&s);
}

/* Bits of `variant` in pools.c: 0 RTM, 3 PKU, 6 MOVBE. */
static void test_a_kind_costs_what_all_others_have(void **state)
{
    struct said s;
    size_t all, no_rtm, no_rtm_movbe;
    const struct report_kind *a, *b, *c;

    (void)state;
    pools_begin(&s.pool, "costs");
    all = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.17.7");
    no_rtm = pools_capture(&s.pool, "intel-haswell-ep", 1u << 0, "4.17.7");
    no_rtm_movbe = pools_capture(&s.pool, "intel-haswell-ep", 1u << 0 | 1u << 6, "4.17.7");
    (void)pools_host(&s.pool, "a", all, 64, 64);
    (void)pools_host(&s.pool, "b", no_rtm, 64, 64);
    (void)pools_host(&s.pool, "c", no_rtm_movbe, 64, 64);
    say(&s);
    assert_int_equal(s.report.n_kinds, 3);
    a = &s.report.kinds[host_of(&s, "a")->kind];
    b = &s.report.kinds[host_of(&s, "b")->kind];
    c = &s.report.kinds[host_of(&s, "c")->kind];
    assert_ptr_equal(a, &s.report.kinds[0]); /* it has most */
    assert_true(featureset_empty(&a->cost));
    assert_true(featureset_empty(&b->cost)); /* RTM would not be there without b either */
    assert_true(featureset_test(&c->cost, X86_FEATURE_MOVBE));
    assert_false(featureset_test(&c->cost, X86_FEATURE_RTM));
    assert_int_equal(featureset_count(&c->cost), 1);
    end(&s);
}

/* What is not known of a kind is not said to be its cost, and no cost of another either. */
static void test_the_unknown_costs_nothing(void **state)
{
    struct said s;
    struct featureset fs = {{0}};
    struct pool_capture *c;
    size_t all, half, none;

    (void)state;
    pools_begin(&s.pool, "unknown");
    all = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.17.7");
    half = pools_capture(&s.pool, "intel-haswell-ep", 1u << 6, "4.17.7");
    c = &s.pool.captures[half];
    featureset_set(&fs, X86_FEATURE_MOVBE);
    c->unknown[XC_POLICY_HVM_DEFAULT] = xcalloc(1, sizeof(struct cpu_policy));
    policy_from_featureset(c->unknown[XC_POLICY_HVM_DEFAULT], &fs);
    (void)pools_host(&s.pool, "a", all, 64, 64);
    (void)pools_host(&s.pool, "b", half, 64, 64);
    none = pools_capture(&s.pool, "intel-haswell-ep", 1u << 6 | 1u << 7, "4.17.7");
    (void)pools_host(&s.pool, "c", none, 64, 64);
    say(&s);
    assert_false(featureset_test(&s.report.kinds[host_of(&s, "b")->kind].cost, X86_FEATURE_MOVBE));
    assert_false(featureset_test(&s.report.kinds[host_of(&s, "c")->kind].cost, X86_FEATURE_MOVBE));
    assert_true(featureset_test(&s.report.kinds[host_of(&s, "c")->kind].cost, X86_FEATURE_ERMS));
    free(s.pool.captures[half].unknown[XC_POLICY_HVM_DEFAULT]);
    s.pool.captures[half].unknown[XC_POLICY_HVM_DEFAULT] = NULL;
    end(&s);
}

static void test_vendors_have_nothing_in_common(void **state)
{
    struct said s;

    (void)state;
    pools_begin(&s.pool, "vendors");
    (void)pools_host(&s.pool, "a", pools_capture(&s.pool, "amd-bergamo", 0, "4.17.7"), 64, 64);
    (void)pools_host(&s.pool, "b", pools_capture(&s.pool, "intel-penryn", 0, "4.17.7"), 64, 64);
    say(&s);
    assert_false(s.report.one_vendor);
    assert_true(featureset_empty(&s.report.kinds[1].cost));
    end(&s);
}

static void test_who_can_leave(void **state)
{
    struct said s;
    size_t new, old, h;

    (void)state;
    pools_begin(&s.pool, "leave");
    new = pools_capture(&s.pool, "intel-cascadelake-sp", 0, "4.17.7");
    old = pools_capture(&s.pool, "intel-haswell-ep", 0, "4.17.7");
    h = pools_host(&s.pool, "a", new, 64, 64);
    (void)pools_domain(&s.pool, h, "rich", pools_born(&s.pool, new, GUEST_HVM_HAP), 1);
    (void)pools_domain(&s.pool, h, "poor",
                       pools_levelled(&s.pool, (size_t[]){new, old}, 2, GUEST_HVM_HAP), 1);
    (void)pools_domain(&s.pool, h, "strange", POOL_NONE, 1);
    (void)pools_host(&s.pool, "b", old, 64, 64);
    h = pools_host(&s.pool, "c", new, 64, 64);
    s.pool.hosts[h].record->maintenance = true;
    h = pools_host(&s.pool, "d", new, 64, 64);
    free(s.pool.hosts[h].seen);
    s.pool.hosts[h].seen = NULL;
    say(&s);
    assert_int_equal(host_of(&s, "a")->leave, 1); /* the poor one, to b; c and d take nothing */
    assert_int_equal(s.report.n_stuck, 2);
    assert_int_equal(s.report.n_silent, 1);
    assert_int_equal(s.report.n_maintenance, 1);
    assert_int_equal(s.report.pairs, 9);
    assert_int_equal(s.report.pair[REPORT_YES], 3 + 2);
    assert_int_equal(s.report.pair[REPORT_NO], 1);
    assert_int_equal(s.report.pair[REPORT_UNKNOWN], 3);
    end(&s);
}

/* ---- arrows ---- */

static void close_moves(const struct report_graph *g, bool *reached)
{
    size_t n = g->n_groups;

    for (size_t i = 0; i < n * n; i++)
        reached[i] = g->drawn[i];
    for (size_t b = 0; b < n; b++)
        for (size_t a = 0; a < n; a++)
            for (size_t c = 0; c < n && reached[a * n + b]; c++)
                reached[a * n + c] |= reached[b * n + c];
}

/* Where arrows stand for those behind them, they say just what is so. */
static void check_arrows(const struct report_graph *g)
{
    size_t n = g->n_groups;
    bool *reached = xcalloc(n * n + 1, sizeof(bool));

    close_moves(g, reached);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            bool can = a != b && g->edge[a * n + b] == REPORT_EDGE_ALL;

            assert_true(!g->drawn[a * n + b] || g->edge[a * n + b]);
            if (g->reduced && !g->coarse)
                assert_int_equal(reached[a * n + b], can);
            else if (!g->reduced && can)
                assert_true(g->drawn[a * n + b]);
        }
    free(reached);
}

static void check_places(const struct report_graph *g, const struct layout *l)
{
    size_t shown = 0;

    for (size_t i = 0; i < l->n_places; i++) {
        const struct layout_place *p = &l->places[i];

        if (p->group == POOL_NONE)
            continue;
        shown++;
        assert_true(p->x >= LAYOUT_NODE_WIDTH / 2 && p->x + LAYOUT_NODE_WIDTH / 2 <= l->width);
        assert_true(p->y >= LAYOUT_NODE_HEIGHT / 2 && p->y + LAYOUT_NODE_HEIGHT / 2 <= l->height);
        for (size_t j = 0; j < i; j++)
            if (l->places[j].group != POOL_NONE)
                assert_true(fabs(p->x - l->places[j].x) >= LAYOUT_NODE_WIDTH ||
                            fabs(p->y - l->places[j].y) >= LAYOUT_NODE_HEIGHT);
    }
    assert_int_equal(shown, g->n_groups > LAYOUT_MOST ? LAYOUT_MOST : g->n_groups);
    assert_int_equal(l->n_hidden, g->n_groups - shown);
}

static void check_lines(const struct report_graph *g, const struct layout *l)
{
    size_t arrows = 0, drawn = 0;

    for (size_t a = 0; a < g->n_groups; a++)
        for (size_t b = 0; b < g->n_groups; b++)
            drawn += l->shown[a] && l->shown[b] && g->drawn[a * g->n_groups + b];
    for (size_t i = 0; i < l->n_lines; i++) {
        const struct layout_line *line = &l->lines[i];

        arrows += line->up + line->down;
        assert_int_equal(l->places[line->places[0]].group, line->from);
        assert_int_equal(l->places[line->places[line->n - 1]].group, line->to);
        for (size_t j = 1; j < line->n; j++)
            assert_true(l->places[line->places[j]].y < l->places[line->places[j - 1]].y);
    }
    assert_int_equal(arrows, drawn);
}

static void check_layout(const struct report_graph *g)
{
    struct layout l;

    layout_make(g, &l);
    check_places(g, &l);
    check_lines(g, &l);
    layout_free(&l);
}

static void test_arrows_say_what_is_so(void **state)
{
    static const char *const machines[] = {"intel-sandybridge-ep", "intel-haswell-ep",
                                           "intel-cascadelake-sp", "intel-icelake-sp",
                                           "amd-bergamo",          "intel-penryn"};
    unsigned int reduced = 0;

    (void)state;
    for (unsigned int i = 0; i < 25; i++) {
        unsigned int n = 1 + below(9);
        struct said s;

        pools_begin(&s.pool, "arrows");
        for (unsigned int k = 0; k < n; k++) {
            size_t c = pools_capture(&s.pool, machines[below(6)], below(256),
                                     below(4) ? "4.17.7" : "4.20.4");
            char *name = xasprintf("h%u", k);

            (void)pools_host(&s.pool, name, c, 64, 64);
            free(name);
        }
        say(&s);
        for (size_t k = 0; k < s.report.n_graphs; k++) {
            check_arrows(&s.report.graphs[k]);
            check_layout(&s.report.graphs[k]);
            reduced += s.report.graphs[k].reduced;
        }
        end(&s);
    }
    assert_true(reduced > 5);
}

/* Any graph, also such as no pool has. */
static void test_nodes_stand_apart(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 200; i++) {
        unsigned int n = below(32), sparse = 1 + below(12);
        struct report_graph g = {.n_groups = n};

        g.groups = xcalloc(n + 1, sizeof(*g.groups));
        g.edge = xcalloc(n * n + 1, 1);
        g.drawn = xcalloc(n * n + 1, sizeof(bool));
        for (unsigned int k = 0; k < n; k++)
            g.groups[k].n_hosts = below(9);
        for (unsigned int k = 0; k < n * n; k++)
            if (k / (n ? n : 1) != k % (n ? n : 1) && !below(sparse)) {
                g.edge[k] = (uint8_t)(1 + below(2));
                g.drawn[k] = true;
            }
        check_layout(&g);
        free(g.groups);
        free(g.edge);
        free(g.drawn);
    }
}

/* Many kinds of few processors are drawn by processor, and an edge says whether all can go. */
static void test_many_kinds_are_drawn_by_processor(void **state)
{
    struct said s;
    const struct report_graph *g;

    (void)state;
    pools_begin(&s.pool, "many");
    for (unsigned int i = 0; i < 64; i++) {
        char *name = xasprintf("h%02u", i);
        size_t c = pools_capture(&s.pool, i % 2 ? "intel-haswell-ep" : "intel-cascadelake-sp",
                                 i / 2 * 5, "4.17.7");

        (void)pools_host(&s.pool, name, c, 64, 64);
        free(name);
    }
    say(&s);
    g = &s.report.graphs[0];
    assert_true(s.report.n_kinds > 26);
    assert_string_equal(s.report.kinds[26].name, "AA");
    assert_true(g->coarse);
    assert_int_equal(g->n_groups, 2);
    assert_int_equal(g->groups[0].n_hosts + g->groups[1].n_hosts, 64);
    for (unsigned int i = 0; i < 4; i++)
        assert_int_not_equal(g->edge[i], REPORT_EDGE_ALL); /* microcode differs within each */
    check_layout(g);
    end(&s);
}

/* ---- words ---- */

static void test_words(void **state)
{
    static const struct {
        const char *brand, *is;
    } cpus[] = {
        {"Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", "Xeon Gold 6248"},
        {"AMD EPYC 7763 64-Core Processor", "EPYC 7763 64-Core"},
        {"Genuine Intel(R) CPU  @ 2.60GHz", ""},
        {"", ""},
        {"@", ""},
    };
    static const struct {
        size_t n;
        const char *is;
    } counts[] = {{0, "0"}, {999, "999"}, {1000, "1,000"}, {48523684, "48,523,684"}};
    char *text;

    (void)state;
    for (unsigned int i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
        text = report_short_cpu(cpus[i].brand);
        assert_string_equal(text, cpus[i].is);
        free(text);
    }
    for (unsigned int i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        text = report_count(counts[i].n);
        assert_string_equal(text, counts[i].is);
        free(text);
    }
    text = report_date("2026-11-29T18:05:09Z");
    assert_string_equal(text, "29 November 2026, 18:05 UTC");
    free(text);
    text = report_date("yesterday <b>");
    assert_string_equal(text, "yesterday <b>");
    free(text);
}

static void test_html_is_text(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    html(f, "<p>%s|%zu|%u%%</p>", "<&\"'>\x1b\xff", (size_t)7, 8u);
    (void)fclose(f);
    assert_string_equal(text, "<p>&lt;&amp;&quot;&#39;&gt;\\x1b\\xff|7|8%</p>");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_that_offer_the_same_are_a_kind),
        cmocka_unit_test(test_a_kind_costs_what_all_others_have),
        cmocka_unit_test(test_the_unknown_costs_nothing),
        cmocka_unit_test(test_vendors_have_nothing_in_common),
        cmocka_unit_test(test_who_can_leave),
        cmocka_unit_test_setup(test_arrows_say_what_is_so, begin_chance),
        cmocka_unit_test_setup(test_nodes_stand_apart, begin_chance),
        cmocka_unit_test(test_many_kinds_are_drawn_by_processor),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_html_is_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
