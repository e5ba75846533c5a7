/* SPDX-License-Identifier: MIT */
/*
 * The named levels that are shipped: each is what its file says it comes from, is a CPU that can
 * exist on each machine that it was derived from, and those of a line are within one another.  And
 * the reader of their text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "derive_level.h"
#include "features-gen.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define F(name)  X86_FEATURE_##name

static struct named_list list;

static int read_all(void **state)
{
    char *why = NULL;

    (void)state;
    if (named_list(&list, &why)) {
        print_error("%s\n", why);
        free(why);
        return -1;
    }
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    named_list_free(&list);
    return 0;
}

static const struct named_level *get(const char *name)
{
    const struct named_level *l = named_find(&list, name);

    if (!l)
        fail_msg("there is no level %s", name);
    return l;
}

/* ---- those that are shipped ---- */

static void each_is_what_its_machines_share_today(void **state)
{
    (void)state;
    assert_true(list.n >= 20);
    for (size_t i = 0; i < list.n; i++) {
        const struct named_level *l = &list.levels[i];

        if (named_find(&list, l->base) != l)
            continue; /* an older version: it stays what it was */
        for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++) {
            struct featureset now;

            if (!l->have[type])
                continue;
            derive_features(l, type, &now);
            if (!featureset_equal(&now, &l->features[type]))
                fail_msg("%s is not what its machines share today: make a new version with "
                         "derive-level, and leave this one as it is",
                         l->name);
        }
    }
}

struct given {
    const struct named_level *l;
    unsigned int type;
    size_t count;
};

static void check_given(const char *machine, unsigned int xen, const struct cpu_policy *p,
                        void *arg)
{
    struct given *g = arg;
    struct policy_report r = {0};
    struct cpu_policy cut = *p;
    struct featureset fs, decided, missing;

    named_cut(&cut, &g->l->features[g->type], NULL, NULL);
    if (policy_verify(&cut, &r))
        fail_msg("%s on %s, Xen %u: no such CPU can exist", g->l->name, machine, xen);
    policy_to_featureset(&cut, &fs);
    named_decided(&decided);
    featureset_and(&fs, &fs, &decided);
    assert_true(featureset_subset(&fs, &g->l->features[g->type]));
    featureset_andnot(&missing, &g->l->features[g->type], &fs);
    if (!*g->l->with)
        assert_true(featureset_empty(&missing));
    else if (!featureset_empty(&missing)) /* the one machine for which it was said */
        assert_string_equal(machine, "intel-haswell-ep");
    g->count++;
}

static void each_is_a_cpu_that_can_exist(void **state)
{
    (void)state;
    for (size_t i = 0; i < list.n; i++)
        for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++) {
            struct given g = {&list.levels[i], type, 0};

            derive_each(g.l, type, check_given, &g);
            assert_true(g.count >= 6);
        }
}

static void each_is_written_as_it_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < list.n; i++) {
        const struct named_level *l = &list.levels[i];
        struct named_level again;
        char *text = NULL, *why = NULL, file[65536] = "";
        size_t len = 0;
        FILE *f = open_memstream(&text, &len);

        named_write(f, l);
        (void)fclose(f);
        f = fopen(l->path, "re");
        assert_non_null(f);
        file[fread(file, 1, sizeof(file) - 1, f)] = '\0';
        (void)fclose(f);
        assert_string_equal(file, text);
        assert_int_equal(named_from_text("again", text, len, &again, &why), 0);
        assert_true(featureset_equal(&again.features[NAMED_HVM], &l->features[NAMED_HVM]));
        assert_true(featureset_equal(&again.features[NAMED_PV], &l->features[NAMED_PV]));
        named_free(&again);
        free(text);
    }
}

/* The x86-64 psABI, table 3.1: what programs of a level may use without asking. */
static void psabi_levels_have_what_the_psabi_says(void **state)
{
    static const uint16_t v2[] = {F(CMOV), F(CX8),   F(FPU),     F(FXSR),   F(MMX),
                                  F(SSE),  F(SSE2),  F(SYSCALL), F(CX16),   F(LAHF_LM),
                                  F(SSE3), F(SSSE3), F(SSE4_1),  F(SSE4_2), F(POPCNT)};
    static const uint16_t v3[] = {F(AVX), F(AVX2), F(BMI1),  F(BMI2), F(F16C),
                                  F(FMA), F(ABM),  F(MOVBE), F(XSAVE)};
    static const uint16_t v4[] = {F(AVX512F), F(AVX512BW), F(AVX512CD), F(AVX512DQ), F(AVX512VL)};
    static const struct {
        const char *name;
        const uint16_t *features;
        size_t n;
    } rows[] = {
        {"x86-64-v2", v2, COUNT(v2)}, {"x86-64-v3", v2, COUNT(v2)}, {"x86-64-v3", v3, COUNT(v3)},
        {"x86-64-v4", v2, COUNT(v2)}, {"x86-64-v4", v3, COUNT(v3)}, {"x86-64-v4", v4, COUNT(v4)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < rows[i].n; k++)
            for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++)
                if (!featureset_test(&get(rows[i].name)->features[type], rows[i].features[k]))
                    fail_msg("%s has no %s", rows[i].name, feature_info(rows[i].features[k])->name);
    assert_false(featureset_test(&get("x86-64-v2")->features[NAMED_HVM], F(AVX)));
    assert_false(featureset_test(&get("x86-64-v3")->features[NAMED_HVM], F(AVX512F)));
    assert_string_equal(get("x86-64-v3")->vendor, "any");
}

static void a_line_grows(void **state)
{
    static const char *const lines[][11] = {
        {"intel-nehalem", "intel-sandybridge", "intel-ivybridge", "intel-haswell",
         "intel-broadwell", "intel-skylake", "intel-cascadelake", "intel-icelake",
         "intel-sapphirerapids", "intel-graniterapids"},
        {"amd-naples", "amd-rome", "amd-milan", "amd-genoa", "amd-turin"},
        {"x86-64-v2", "x86-64-v3", "x86-64-v4"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        for (size_t k = 1; lines[i][k]; k++)
            for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++)
                if (!featureset_subset(&get(lines[i][k - 1])->features[type],
                                       &get(lines[i][k])->features[type]))
                    fail_msg("%s is not within %s", lines[i][k - 1], lines[i][k]);
}

/* ---- cutting ---- */

static void cutting_leaves_protections_and_names_what_falls(void **state)
{
    struct featureset ceiling, dropped, fallen, fs;
    struct cpu_policy p = {0};

    (void)state;
    ceiling = get("intel-graniterapids")->features[NAMED_HVM];
    p.basic[0] = (struct cpuid_regs){7, 0x756e6547, 0x6c65746e, 0x49656e69};
    p.basic[1].d = 0x178bfbff;
    p.basic[1].c = 1u << 26 | 1u << 28; /* xsave, avx */
    p.feat[0].b = 1u << 5;              /* avx2 */
    p.feat[0].d = 1u << 26;             /* ibrsb */
    featureset_clear(&ceiling, F(AVX));
    named_cut(&p, &ceiling, &dropped, &fallen);
    policy_to_featureset(&p, &fs);
    assert_false(featureset_test(&fs, F(AVX)));
    assert_true(featureset_test(&dropped, F(AVX)));
    assert_false(featureset_test(&fallen, F(AVX)));
    assert_true(featureset_test(&fallen, F(AVX2))); /* below the ceiling, but nothing to stand on */
    assert_true(featureset_test(&fs, F(IBRSB)));
}

static void patterns_name_features(void **state)
{
    struct featureset fs = {{0}};
    char *bad = NULL;

    (void)state;
    assert_int_equal(named_match("AVX512_vbmi*,rtm", &fs, &bad), 0);
    assert_int_equal(featureset_count(&fs), 3);
    assert_true(featureset_test(&fs, F(AVX512_VBMI)) && featureset_test(&fs, F(AVX512_VBMI2)) &&
                featureset_test(&fs, F(RTM)));
    assert_int_equal(named_match("aesni,avx513*", &fs, &bad), -1);
    assert_string_equal(bad, "avx513*");
    free(bad);
    assert_int_equal(named_match("aesni,,rtm", &fs, &bad), -1);
    assert_string_equal(bad, "");
    free(bad);
}

/* ---- names ---- */

static void names_are_found_or_near(void **state)
{
    char *near = named_near(&list, "intel-cascadlake");

    (void)state;
    assert_string_equal(near, "intel-cascadelake.v1");
    free(near);
    near = named_near(&list, "x86-64.v3");
    assert_non_null(strstr(near, "x86-64-v3.v1"));
    free(near);
    near = named_near(&list, "zzzzzzzzzzzz");
    assert_string_equal(near, "");
    free(near);
    assert_null(named_find(&list, "intel-icelake.v9"));
    assert_ptr_equal(named_find(&list, "intel-icelake"), named_find(&list, "intel-icelake.v1"));
    assert_true(named_is_name("intel-icelake.v1") && named_is_name("x86-64-v2"));
    assert_false(named_is_name("a.xlp") || named_is_name("A") || named_is_name("/a") ||
                 named_is_name("7") || named_is_name("a.v") || named_is_name(""));
}

/* ---- reading ---- */

#define HEAD "[level]\nname = a\nversion = 1\nvendor = any\n"

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {HEAD "[hvm]\n1.edx = fpu\n", NULL},
        {"; a note\n" HEAD "[pv]\n1.edx = fpu\n tsc\n", NULL},
        {"", "t: [level] has no name"},
        {"[level]\nname = a\nvendor = any\n[hvm]\n1.edx = fpu\n", "t: [level] has no version"},
        {"[level]\nname = a\nversion = 1\n[hvm]\n1.edx = fpu\n",
         "t: [level] has no vendor (\"any\" is one)"},
        {HEAD, "t: it has neither [hvm] nor [pv]"},
        {HEAD "[hvm]\n1.edx = avx9\n", "t: line 6: there is no feature 'avx9'"},
        {HEAD "[hvm]\n1.edx = fpu\n  sse3\n", "t: line 7: another register has the feature 'sse3'"},
        {HEAD "[hvm]\n1.eax = fpu\n", "t: line 6: there is no register of features '1.eax'"},
        {HEAD "[hvm]\n7.0.edx = ibrsb\n",
         "t: line 6: hosts and their microcode decide, and no named level, of 'ibrsb'"},
        {HEAD "[pvh]\n1.edx = fpu\n", "t: line 6: there is no section 'pvh'"},
        {HEAD "colour = red\n", "t: line 5: [level] has no key 'colour'"},
        {"[level]\nname = A b\n", "t: line 2: a name is letters, digits and '-', not 'A b'"},
        {"[level]\nversion = 0\n", "t: line 2: a version is a number from 1 to 9999, not '0'"},
        {HEAD "rubbish\n", "t: line 5: this is no 'key = value'"},
        {HEAD "[hvm]\n1.edx = \033[31m\n", "t: line 6: there is no feature '\\x1b[31m'"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct named_level l;
        char *why = NULL;
        int rc = named_from_text("t", rows[i].text, strlen(rows[i].text), &l, &why);

        if (rows[i].why) {
            assert_int_equal(rc, -1);
            assert_string_equal(why, rows[i].why);
        } else {
            assert_int_equal(rc, 0);
        }
        free(why);
        named_free(&l);
    }
    assert_true(named_text_is("; x\n\n [level]\n", 14));
    assert_false(named_text_is("[machine]\n", 10));
    assert_false(named_text_is("", 0));
}

static void a_long_line_is_refused(void **state)
{
    char text[1024] = HEAD "[hvm]\n1.edx =";
    struct named_level l;
    char *why = NULL;

    (void)state;
    for (unsigned int i = 0; i < 60; i++)
        strcat(text, " fpu");
    assert_int_equal(named_from_text("t", text, strlen(text), &l, &why), -1);
    assert_string_equal(why, "t: line 6: a line is at most 190 bytes long");
    free(why);
    named_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_what_its_machines_share_today),
        cmocka_unit_test(each_is_a_cpu_that_can_exist),
        cmocka_unit_test(each_is_written_as_it_is_read),
        cmocka_unit_test(psabi_levels_have_what_the_psabi_says),
        cmocka_unit_test(a_line_grows),
        cmocka_unit_test(cutting_leaves_protections_and_names_what_falls),
        cmocka_unit_test(patterns_name_features),
        cmocka_unit_test(names_are_found_or_near),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_long_line_is_refused),
    };

    return cmocka_run_group_tests(tests, read_all, free_all);
}
