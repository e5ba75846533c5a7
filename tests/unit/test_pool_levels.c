/* SPDX-License-Identifier: MIT */
/*
 * Levels of pools in memory: who can give one, who is born on it, the next lower one, what could
 * be, and the command line that narrows a host to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admit.h"
#include "cmdline.h"
#include "features-gen.h"
#include "level_make.h"
#include "pools.h"
#include "suggest.h"
#include "util.h"
#include "xlp.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define F(name)  X86_FEATURE_##name

static bool has(const struct featureset *fs, unsigned int feature)
{
    return featureset_test(fs, feature);
}

/* A pool of one host for each machine, in that order of names. */
static void begin(struct pool *p, const char *const *machines, size_t n, const char *xen)
{
    pools_begin(p, "test");
    for (size_t i = 0; i < n; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "h%zu", i);
        (void)pools_host(p, name, pools_capture(p, machines[i], 0, xen), 64, 40);
    }
}

/* What the hosts share, as a level of the pool's; free with level_made_free(). */
static struct pool_level *make(const struct pool *p, struct level_made *made)
{
    static const struct level_wish all = {.at = NULL};
    struct pool_level *view = xcalloc(1, sizeof(*view));

    level_make(p, &all, made);
    assert_int_equal(made->n_objections, 0);
    level_view(view, (char *)"web.v1", made->file);
    return view;
}

#define BEGIN(p, xen, ...)                                                                         \
    do {                                                                                           \
        static const char *const machines_[] = {__VA_ARGS__};                                      \
        begin(p, machines_, COUNT(machines_), xen);                                                \
        pools_end(p);                                                                              \
    } while (0)

/* ---- admission ---- */

static void a_level_is_given_by_its_hosts_and_refused_by_name(void **state)
{
    struct pool p, other;
    struct level_made made;
    struct pool_level *level;
    struct pool_admission a;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    BEGIN(&other, "4.17.7", "intel-broadwell-e", "intel-sandybridge-ep", "amd-bergamo");
    level = make(&p, &made);
    pool_admit(&p.captures[0], level, &a);
    assert_int_equal(a.verdict, VERDICT_YES);
    text = pool_admission_text(&a, &p.captures[0], level);
    assert_string_equal(text, "it can give web.v1");
    free(text);
    pool_admit(&other.captures[1], level, &a);
    assert_int_equal(a.verdict, VERDICT_NO);
    assert_true(has(&a.type[POOL_HVM].missing, F(AVX2)) && has(&a.type[POOL_PV].missing, F(AVX2)));
    assert_false(has(&a.type[POOL_HVM].missing, F(AVX)));
    text = pool_admission_text(&a, &other.captures[1], level);
    assert_non_null(strstr(text, "it lacks fma, movbe, f16c and"));
    assert_non_null(strstr(text, "web.v1"));
    free(text);
    pool_admit(&other.captures[2], level, &a);
    assert_int_equal(a.verdict, VERDICT_NO);
    assert_int_equal(a.type[POOL_HVM].first_other.kind, FAULT_VENDOR);
    level_made_free(&made);
    free(level);
    pools_free(&p);
    pools_free(&other);
}

static void what_is_not_known_is_no_yes(void **state)
{
    struct cpu_policy *mask = xcalloc(1, sizeof(*mask)), *kept[XC_POLICIES];
    struct featureset avx2 = {.w = {0}};
    struct pool p;
    struct level_made made;
    struct pool_level *level;
    struct pool_admission a;
    struct pool_birth b;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    level = make(&p, &made);
    mask->feat[0].b = 1u << (F(AVX2) % 32);
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        kept[i] = p.captures[0].unknown[i];
        p.captures[0].unknown[i] = mask;
    }
    pool_admit(&p.captures[0], level, &a);
    assert_int_equal(a.verdict, VERDICT_UNKNOWN);
    assert_true(has(&a.type[POOL_HVM].doubtful, F(AVX2)));
    text = pool_admission_text(&a, &p.captures[0], level);
    assert_non_null(strstr(text, "nobody can say: "));
    free(text);
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_UNKNOWN);
    text = pool_birth_text(&b, level);
    assert_non_null(strstr(text, "nobody knows of avx2"));
    free(text);
    /* Nor is it richer by what nobody knows of. */
    featureset_set(&avx2, F(AVX2));
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        named_drop(&level->policy[type], &avx2, NULL, NULL);
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_UNKNOWN);
    assert_false(has(&b.type[POOL_HVM].richer, F(AVX2)));
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        p.captures[0].unknown[i] = kept[i];
    level_made_free(&made);
    free(level);
    free(mask);
    pools_free(&p);
}

static void a_host_without_a_type_of_guest_cannot_give_it(void **state)
{
    struct pool p;
    struct level_made made;
    struct pool_level *level;
    struct pool_admission a;
    struct pool_birth b;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    level = make(&p, &made);
    p.captures[0].have[XC_POLICY_PV_MAX] = p.captures[0].have[XC_POLICY_PV_DEFAULT] = false;
    pool_admit(&p.captures[0], level, &a);
    assert_int_equal(a.verdict, VERDICT_NO);
    assert_int_equal(a.type[POOL_HVM].verdict, VERDICT_YES);
    text = pool_admission_text(&a, &p.captures[0], level);
    assert_string_equal(text, "it runs no PV guests (web.v1, PV guests)");
    free(text);
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_NO);
    level->have[POOL_PV] = false;
    pool_admit(&p.captures[0], level, &a);
    assert_int_equal(a.verdict, VERDICT_YES);
    level_made_free(&made);
    free(level);
    pools_free(&p);
}

/* ---- births ---- */

static void births_are_exact_richer_or_lack(void **state)
{
    struct pool p, poor;
    struct level_made made, made_poor;
    struct pool_level *level, *low;
    struct pool_birth b;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    BEGIN(&poor, "4.17.7", "intel-ivybridge-ep");
    level = make(&p, &made);
    low = make(&poor, &made_poor);
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_YES);
    text = pool_birth_text(&b, level);
    assert_string_equal(text, "exactly on web.v1");
    free(text);
    pool_born(&p.captures[0], low, &b);
    assert_int_equal(b.exactly, VERDICT_NO);
    assert_true(has(&b.type[POOL_HVM].richer, F(AVX2)));
    assert_false(has(&b.type[POOL_HVM].richer, F(AVX)));
    pool_born(&poor.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_NO);
    assert_true(has(&b.type[POOL_HVM].lacks, F(AVX2)));
    text = pool_birth_text(&b, level);
    assert_non_null(strstr(text, "lacks "));
    free(text);
    level_made_free(&made);
    level_made_free(&made_poor);
    free(level);
    free(low);
    pools_free(&p);
    pools_free(&poor);
}

/* A number above the level's is enough not to be on it. */
static void a_number_counts(void **state)
{
    struct pool p;
    struct level_made made;
    struct pool_level *level;
    struct pool_birth b;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    level = make(&p, &made);
    level->policy[POOL_HVM].extd[8].a -= 4; /* bits of a physical address */
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_NO);
    assert_true(b.type[POOL_HVM].other > 0);
    text = pool_birth_text(&b, level);
    assert_non_null(strstr(text, "80000008"));
    free(text);
    level_made_free(&made);
    free(level);
    pools_free(&p);
}

/* Who is born without a warning that the level has is not on it: it would not be told. */
static void a_hazard_of_the_level_is_told(void **state)
{
    struct pool p;
    struct level_made made;
    struct pool_level *level;
    struct pool_birth b;
    char *text;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    level = make(&p, &made);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        level->policy[type].arch_caps |= 1u << F(RSBA) % 32;
    pool_born(&p.captures[0], level, &b);
    assert_int_equal(b.exactly, VERDICT_NO);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        assert_true(has(&b.type[type].untold, F(RSBA)));
        assert_true(featureset_empty(&b.type[type].richer));
        assert_true(featureset_empty(&b.type[type].lacks));
        assert_int_equal(b.type[type].other, 0);
    }
    text = pool_birth_text(&b, level);
    assert_string_equal(text, "is not told of rsba");
    free(text);
    level_made_free(&made);
    free(level);
    pools_free(&p);
}

/* ---- a lower level ---- */

static void a_lower_level_does_for_both(void **state)
{
    struct pool p, newcomer;
    struct level_made made;
    struct pool_level *level, *low = xcalloc(1, sizeof(*low));
    struct pool_admission a;
    Xenlevel__File *file;
    enum verdict verdicts[2];
    char *why = NULL;

    (void)state;
    BEGIN(&newcomer, "4.17.7", "intel-sandybridge-ep", "amd-bergamo");
    pools_begin(&p, "test");
    (void)pools_host(&p, "h", pools_capture(&p, "intel-haswell-ep", 0, "4.17.7"), 64, 40);
    (void)pools_born(&p, 0, GUEST_HVM_HAP);
    p.policies = xrealloc(p.policies, 2 * sizeof(*p.policies));
    p.policies[1] = p.policies[0];
    p.n_policies = 2;
    level = make(&p, &made);
    file = pool_lower(level, &newcomer.captures[0], &why);
    assert_non_null(file);
    level_view(low, (char *)"web.v2", file);
    pool_admit(&p.captures[0], low, &a);
    assert_int_equal(a.verdict, VERDICT_YES);
    pool_admit(&newcomer.captures[0], low, &a);
    assert_int_equal(a.verdict, VERDICT_YES);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        struct policy_report r = {0};

        assert_int_equal(policy_verify(&low->policy[type], &r), 0);
    }
    p.policies[1].policy = low->policy[POOL_HVM];
    pool_too_rich(&p, &newcomer.captures[0], verdicts);
    assert_int_equal(verdicts[0], VERDICT_NO);
    assert_int_equal(verdicts[1], VERDICT_YES);
    xlp_free(file);
    assert_null(pool_lower(level, &newcomer.captures[1], &why));
    assert_non_null(strstr(why, "differ in vendor"));
    free(why);
    level_made_free(&made);
    free(level);
    free(low);
    pools_free(&p);
    pools_free(&newcomer);
}

/* ---- making one ---- */

static void named_levels_and_without_cut_what_hosts_share(void **state)
{
    struct level_wish wish = {.at = NULL};
    struct named_list list;
    struct level_made made;
    struct featureset fs;
    struct cpu_policy policy;
    struct pool p;
    char *why = NULL;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-broadwell-e", "intel-haswell-ep", "intel-broadwell-e");
    assert_int_equal(named_list(&list, &why), 0);
    wish.at = named_find(&list, "x86-64-v2");
    featureset_set(&wish.without, F(SSE4_2));
    level_make(&p, &wish, &made);
    assert_non_null(made.file);
    xlp_policy_get(made.file->level->hvm, &policy);
    policy_to_featureset(&policy, &fs);
    assert_true(has(&fs, F(SSE4_1)) && has(&fs, F(SMEP)) == has(&wish.at->features[1], F(SMEP)));
    assert_false(has(&fs, F(AVX)) || has(&fs, F(SSE4_2)));
    assert_true(made.file->level->n_members >= 2);
    level_made_free(&made);
    wish.at = named_find(&list, "intel-broadwell");
    level_make(&p, &wish, &made);
    assert_null(made.file);
    assert_int_equal(made.n_objections, 1);
    assert_string_equal(made.objections[0].host, "h1");
    assert_non_null(strstr(made.objections[0].why, "it lacks aesni, "));
    level_made_free(&made);
    wish.at = named_find(&list, "amd-rome");
    level_make(&p, &wish, &made);
    assert_string_equal(made.objections[0].why, "its CPU is not of AuthenticAMD");
    level_made_free(&made);
    named_list_free(&list);
    pools_free(&p);
}

static void a_file_is_taken_where_all_hosts_can_give_it(void **state)
{
    struct level_made made, taken;
    struct pool_level *level;
    struct pool p, poor;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep");
    BEGIN(&poor, "4.17.7", "intel-haswell-ep", "intel-ivybridge-ep");
    level = make(&p, &made);
    level_take(&p, made.file->level, &taken);
    assert_non_null(taken.file);
    level_made_free(&taken);
    level_take(&poor, made.file->level, &taken);
    assert_null(taken.file);
    assert_int_equal(taken.n_objections, 1);
    assert_string_equal(taken.objections[0].host, "h1");
    level_made_free(&taken);
    level_made_free(&made);
    free(level);
    pools_free(&p);
    pools_free(&poor);
}

static void versions_go_on(void **state)
{
    static const char *const names[] = {"db.v7", "web.v1", "web.v10", "web.v9", "website.v20"};
    struct pool_level levels[COUNT(names)];
    struct pool p = {.levels = levels, .n_levels = COUNT(names)};
    static const struct {
        const char *name, *next;
    } rows[] = {{"web", "web.v11"}, {"web.v1", "web.v11"},    {"db", "db.v8"},
                {"new", "new.v1"},  {"a.vx", "a.vx.v1"},      {"a.v0", "a.v0.v1"},
                {"we", "we.v1"},    {"web.v1x", "web.v1x.v1"}};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        levels[i].name = (char *)names[i];
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *next = level_next_name(&p, rows[i].name);

        assert_string_equal(next, rows[i].next);
        free(next);
    }
}

/* ---- suggestions ---- */

/* What retiring a class gains is what the level of the others has more. */
static void gains_are_those_of_the_level_without(void **state)
{
    static const struct named_list none;
    struct suggestion s, less;
    struct suggest_class *classes, *others;
    size_t n, culprit;
    struct pool p;

    (void)state;
    pools_begin(&p, "test");
    for (unsigned int v = 0; v < 40; v++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "h%02u", v);
        /* Most lack something; two classes alone lack one thing each. */
        (void)pools_host(&p, name,
                         pools_capture(&p, "intel-cascadelake-sp",
                                       v == 7    ? 1u << 3
                                       : v == 21 ? 1u << 6
                                                 : (v & 1u) << 1,
                                       "4.17.7"),
                         64, 40);
    }
    pools_end(&p);
    classes = suggest_classes(&p, &n);
    others = xcalloc(n, sizeof(*others));
    assert_int_equal(n, 40);
    assert_int_equal(suggest_level(classes, n, &none, &s, &culprit), 0);
    for (size_t i = 0; i < n; i++) {
        memcpy(others, classes, i * sizeof(*others));
        memcpy(others + i, classes + i + 1, (n - i - 1) * sizeof(*others));
        assert_int_equal(suggest_level(others, n - 1, &none, &less, &culprit), 0);
        for (unsigned int type = 0; type < SUGGEST_TYPES; type++) {
            struct featureset more;

            featureset_andnot(&more, &less.features[type], &s.features[type]);
            featureset_and(&more, &more, featureset_merge_mask(MERGE_CAPABILITY));
            assert_true(featureset_equal(&more, &s.gain[type][i]));
        }
        suggest_free(&less);
    }
    assert_true(has(&s.gain[POOL_HVM][7], F(PKU)));
    assert_true(has(&s.gain[POOL_HVM][21], F(MOVBE)));
    assert_true(featureset_empty(&s.gain[POOL_HVM][1]));
    suggest_free(&s);
    free(others);
    free(classes);
    pools_free(&p);
}

static void equal_hosts_are_one_class(void **state)
{
    struct suggest_class *classes;
    struct named_list list;
    struct suggestion s;
    size_t n, culprit;
    struct pool p;
    char *why = NULL;

    (void)state;
    pools_begin(&p, "test");
    (void)pools_capture(&p, "intel-nehalem-ep", 0, "4.17.7"); /* no host has it */
    for (unsigned int i = 0; i < 2; i++)
        (void)pools_capture(&p, i ? "intel-broadwell-e" : "intel-cascadelake-sp", 0, "4.17.7");
    for (unsigned int i = 0; i < 10000; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "h%04u", i);
        (void)pools_host(&p, name, i == 5000 ? 1 : 2, 64, 40);
    }
    pools_end(&p);
    classes = suggest_classes(&p, &n);
    assert_int_equal(n, 2);
    assert_string_equal(classes[0].name, "h5000");
    assert_int_equal(classes[1].hosts, 9999);
    assert_int_equal(named_list(&list, &why), 0);
    assert_int_equal(suggest_level(classes, n, &list, &s, &culprit), 0);
    assert_non_null(s.newest);
    assert_string_equal(s.any_vendor->name, "x86-64-v3.v1");
    suggest_free(&s);
    named_list_free(&list);
    free(classes);
    pools_free(&p);
}

static void domains_below_a_level_are_found(void **state)
{
    struct level_made made;
    struct pool_level *level;
    struct featureset lacks[2];
    struct pool p, old;

    (void)state;
    BEGIN(&old, "4.17.7", "intel-ivybridge-ep");
    pools_begin(&p, "test");
    (void)pools_host(&p, "h", pools_capture(&p, "intel-haswell-ep", 0, "4.17.7"), 64, 40);
    (void)pools_born(&p, 0, GUEST_HVM_HAP);
    p.policies = xrealloc(p.policies, 2 * sizeof(*p.policies));
    p.policies[1] = p.policies[0];
    p.policies[1].policy = *old.captures[0].policy[XC_POLICY_HVM_DEFAULT];
    p.n_policies = 2;
    level = make(&p, &made);
    suggest_below(&p, level->have, level->policy, lacks);
    assert_true(featureset_empty(&lacks[0]));
    assert_true(has(&lacks[1], F(AVX2)) && !has(&lacks[1], F(AVX)));
    level_made_free(&made);
    free(level);
    pools_free(&p);
    pools_free(&old);
}

/* ---- the command line ---- */

static void a_command_line_narrows_to_the_level(void **state)
{
    struct level_made made;
    struct pool_level *level;
    struct pool_cmdline c;
    struct featureset fs;
    struct pool p;

    (void)state;
    BEGIN(&p, "4.17.7", "intel-haswell-ep", "intel-ivybridge-ep");
    level = make(&p, &made);
    pool_cmdline_make(&p.captures[0], "4.17.7", "dom0_mem=2G", level, &c);
    assert_true(c.predicted && !c.in_place);
    assert_ptr_equal(strstr(c.line, "cpuid=no-"), c.line);
    assert_non_null(strstr(c.line, "no-avx2"));
    assert_null(strstr(c.line, "no-smap")); /* Xen needs it */
    policy_to_featureset(c.after.policy[XC_POLICY_HVM_MAX], &fs);
    assert_false(has(&fs, F(AVX2)));
    assert_false(has(&c.birth.type[POOL_HVM].richer, F(AVX2)));
    pool_cmdline_free(&c);
    pool_cmdline_make(&p.captures[0], "4.17.7", "cpuid=no-avx,no-aesni dom0_mem=2G", level, &c);
    assert_true(c.in_place);
    assert_null(strstr(c.line, "no-avx,"));
    assert_non_null(strstr(c.line, "no-avx2"));
    pool_cmdline_free(&c);
    pool_cmdline_make(&p.captures[1], "4.17.7", "", level, &c);
    assert_null(strstr(c.line, "avx2"));
    pool_cmdline_free(&c);
    level_made_free(&made);
    free(level);
    pools_free(&p);
}

/* Whatever the machines and the release: a host that can give the level can give it with the line.
 */
static void with_the_line_guests_of_the_level_still_come(void **state)
{
    static const char *const machines[] = {"intel-sandybridge-ep",  "intel-haswell-ep",
                                           "intel-cascadelake-sp",  "intel-icelake-sp",
                                           "intel-sapphire-rapids", "intel-granite-rapids"};
    static const char *const releases[] = {"4.17.7", "4.20.1", "4.22.0"};

    (void)state;
    for (size_t r = 0; r < COUNT(releases); r++)
        for (size_t i = 0; i < COUNT(machines); i++)
            for (size_t k = i + 1; k < COUNT(machines); k++) {
                const char *two[] = {machines[i], machines[k]};
                struct level_made made;
                struct pool_level *level;
                struct pool p;

                begin(&p, two, 2, releases[r]);
                pools_end(&p);
                level = make(&p, &made);
                for (size_t h = 0; h < 2; h++) {
                    struct pool_admission before, after;
                    struct pool_cmdline c;

                    pool_admit(&p.captures[h], level, &before);
                    pool_cmdline_make(&p.captures[h], releases[r], "", level, &c);
                    assert_true(c.predicted);
                    pool_admit(&c.after, level, &after);
                    if (before.verdict == VERDICT_YES && after.verdict != VERDICT_YES)
                        fail_msg("%s, of %s and %s, Xen %s: %s", two[h], two[0], two[1],
                                 releases[r], c.line);
                    pool_cmdline_free(&c);
                }
                level_made_free(&made);
                free(level);
                pools_free(&p);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_is_given_by_its_hosts_and_refused_by_name),
        cmocka_unit_test(what_is_not_known_is_no_yes),
        cmocka_unit_test(a_host_without_a_type_of_guest_cannot_give_it),
        cmocka_unit_test(births_are_exact_richer_or_lack),
        cmocka_unit_test(a_number_counts),
        cmocka_unit_test(a_hazard_of_the_level_is_told),
        cmocka_unit_test(a_lower_level_does_for_both),
        cmocka_unit_test(named_levels_and_without_cut_what_hosts_share),
        cmocka_unit_test(a_file_is_taken_where_all_hosts_can_give_it),
        cmocka_unit_test(versions_go_on),
        cmocka_unit_test(gains_are_those_of_the_level_without),
        cmocka_unit_test(equal_hosts_are_one_class),
        cmocka_unit_test(domains_below_a_level_are_found),
        cmocka_unit_test(a_command_line_narrows_to_the_level),
        cmocka_unit_test(with_the_line_guests_of_the_level_still_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
