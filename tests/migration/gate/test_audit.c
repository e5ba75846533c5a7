/* SPDX-License-Identifier: MIT */
/*
 * The gate's audit: every pair of real processors, guest and host; what is given up; and how it is
 * said at every width.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "audit.h"
#include <cpuid-policy/vocabulary.h>
#include "xc_audit.h"
#include "cpus.h"
#include "text.h"
#include "xc_text.h"

static struct audit a;
static struct xc_sr_head head;
static struct audit_allow allow;
static char why[512];

static struct audit_case ask(const struct cpu_policy *guest, const struct cpu_policy *host)
{
    head.version = 3;
    head.xen_major = 4;
    head.xen_minor = 17;
    head.has_cpuid = head.has_msrs = true;
    head.nr_leaves = POLICY_MAX_LEAVES;
    head.nr_msrs = POLICY_MAX_MSRS;
    assert_int_equal(
        policy_to_leaves(guest, head.leaves, &head.nr_leaves, head.msrs, &head.nr_msrs), 0);
    return (struct audit_case){.domain = "web1",
                               .type = "PVH",
                               .host = "a host",
                               .guest = GUEST_HVM_HAP,
                               .width = 100,
                               .head = &head,
                               .max = host,
                               .deflt = host,
                               .allow = &allow};
}

static void give_up(const char *list)
{
    if (audit_allow_parse(list, &allow, why, sizeof(why)))
        fail_msg("%s", why);
}

/* The answer is the library's: nothing is waved through, nothing is made up. */
static void test_every_pair(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    give_up(NULL);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            struct audit_case c = ask(&cpus[i].policy, &cpus[j].policy);
            struct policy_host host = {&cpus[j].policy, &cpus[j].policy};
            bool fits = !policy_check(&cpus[i].policy, &host, NULL);

            audit_run(&c, &a);
            if (a.refused == fits)
                fail_msg("%s on %s: %s", cpus[i].name, cpus[j].name, a.text);
            assert_int_equal(a.given_up, 0);
            assert_true(!a.refused || strstr(a.text, "xenlevel: refused: 'web1' (PVH, from Xen "
                                                     "4.17) cannot run on this host (a host)"));
            assert_null(strchr(a.summary, '\n'));
        }
    }
}

/* The words that the refusal names are the words that give it up: all of them, then one less. */
static void test_naming_all_lets_it_pass(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            struct audit_case c = ask(&cpus[i].policy, &cpus[j].policy);
            char list[AUDIT_SUMMARY] = "", *word, *save = NULL;

            give_up(NULL);
            audit_run(&c, &a);
            if (!a.refused || strstr(a.summary, "its CPU is a"))
                continue;
            for (word = strtok_r(strstr(a.summary, "): ") + 3, " ;", &save); word;
                 word = strtok_r(NULL, " ;", &save)) {
                if (!strcmp(word, "missing") || !strcmp(word, "untold") || !strcmp(word, "differs"))
                    continue;
                (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), ",%s", word);
            }
            give_up(list);
            audit_run(&c, &a);
            if (a.refused)
                fail_msg("%s on %s with %s: %s", cpus[i].name, cpus[j].name, list, a.text);
            assert_true(a.given_up > 0 && a.allowed[0]);
            *strrchr(list, ',') = '\0';
            give_up(list);
            audit_run(&c, &a);
            assert_true(a.refused);
        }
    }
}

/* Whoever gives up a feature gives up its registers: for each component that has a feature. */
static void test_components_go_with_their_feature(void **state)
{
    static const unsigned int numbers[] = {2, 3, 4, 5, 6, 7, 9, 17, 18, 19, 62};
    static struct cpu_policy guest, host;

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        unsigned int n = numbers[i], feature = xstate_feature(n);
        uint64_t bit = 1ull << n;
        struct audit_case c;
        struct featureset fs;

        assert_non_null(feature_info(feature));
        guest = *test_cpu("intel-sapphire-rapids");
        host = guest;
        policy_to_featureset(&guest, &fs);
        featureset_set(&fs, feature);
        policy_from_featureset(&guest, &fs);
        guest.xstate[0].a |= (uint32_t)bit;
        guest.xstate[0].d |= (uint32_t)(bit >> 32);
        host.xstate[0].a &= ~(uint32_t)bit;
        host.xstate[0].d &= ~(uint32_t)(bit >> 32);
        c = ask(&guest, &host);
        give_up("");
        audit_run(&c, &a);
        assert_true(a.refused);
        give_up(feature_info(feature)->name);
        audit_run(&c, &a);
        assert_non_null(strstr(a.allowed, "xstate: given up by XENLEVEL_ALLOW"));
    }
}

static void test_other_vendor(void **state)
{
    struct audit_case c = ask(test_cpu("intel-haswell-ep"), test_cpu("amd-bergamo"));

    (void)state;
    give_up("maxphysaddr,linearaddr,clflush,max-leaf,xstate,msr,unverified");
    allow.kinds = UINT32_MAX & ~(1u << FAULT_VENDOR); /* all that any word can set, and more */
    audit_run(&c, &a);
    assert_true(a.refused);
    assert_non_null(strstr(a.text, "Its CPU is a GenuineIntel, this host's a"));
}

static void test_no_policy(void **state)
{
    struct audit_case c = ask(test_cpu("intel-haswell-ep"), test_cpu("intel-haswell-ep"));

    (void)state;
    head.has_cpuid = false;
    give_up("avx2,xstate");
    audit_run(&c, &a);
    assert_true(a.refused);
    assert_non_null(strstr(a.text, "X86_CPUID_POLICY is not in it"));
    head.version = 2;
    audit_run(&c, &a);
    assert_non_null(strstr(a.text, "version 2 and has no CPU policy"));
    give_up("unverified");
    audit_run(&c, &a);
    assert_false(a.refused);
    assert_int_equal(a.given_up, 1);
    assert_false(a.clamped);
}

static void test_shadow_has_less_than_hap(void **state)
{
    const struct cpu_policy *cpu = test_cpu("intel-sapphire-rapids");
    static struct cpu_policy shadow;
    struct audit_case c = ask(cpu, cpu);
    struct featureset fs, only_hap;

    (void)state;
    featureset_andnot(&only_hap, featureset_guest_max(GUEST_HVM_HAP),
                      featureset_guest_max(GUEST_HVM_SHADOW));
    policy_to_featureset(cpu, &fs);
    featureset_and(&fs, &fs, &only_hap);
    give_up(NULL);
    audit_run(&c, &a);
    assert_false(a.refused);
    c.guest = GUEST_HVM_SHADOW;
    shadow = *cpu;
    policy_restrict(&shadow, GUEST_HVM_SHADOW);
    c.max = &shadow;
    audit_run(&c, &a);
    assert_int_equal(a.refused, !featureset_empty(&fs));
}

static void test_allow_parse(void **state)
{
    static const char *const good[] = {"",
                                       ",",
                                       " ",
                                       "avx2",
                                       "AVX2",
                                       "avx512-vnni",
                                       "avx512_vnni",
                                       "avx2, bmi1\tbmi2\nfma",
                                       ",,avx2,,",
                                       "7b0:22",
                                       "xstate",
                                       "Unverified",
                                       "pmu-version",
                                       "rsba"};
    static const char *const bad[] = {"avx22",          "avx2;bmi1", "all",       "*",
                                      "avx2,,nonsense", "xstat",     "unverifie", "-"};

    (void)state;
    assert_int_equal(audit_allow_parse(NULL, &allow, why, sizeof(why)), 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        give_up(good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!audit_allow_parse(bad[i], &allow, why, sizeof(why)))
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(why, "is neither a feature nor one of"));
    }
}

/* How many differences between what it was told of and what it was given remain. */
static size_t remain(const char *list, const struct cpu_policy *told,
                     const struct cpu_policy *given)
{
    static struct policy_fault named[AUDIT_FAULTS];
    struct policy_report r = {a.faults, AUDIT_FAULTS, 0}, n = {named, AUDIT_FAULTS, 0};

    give_up(list);
    (void)policy_compare(told, given, &r);
    allow_name(told, given, &n);
    return allow_given(&allow, given, &n, a.faults, r.count, a.waived);
}

/* A number that is given up by its name is given up, and nothing beside it. */
static void test_a_field_is_given_up_alone(void **state)
{
    const struct cpu_policy *told = test_cpu("intel-cascadelake-sp");
    static struct cpu_policy given;
    char list[128] = "";

    (void)state;
    for (unsigned int i = 0; featureset_field_info(i); i++)
        if (featureset_field_info(i)->word == FEATURESET_Aa && !featureset_field_info(i)->shift)
            (void)snprintf(list, sizeof(list), "%s", featureset_field_info(i)->name);
    given = *told;
    given.basic[0xa].a -= 1; /* the version */
    assert_int_equal(remain("", told, &given), 1);
    assert_int_equal(remain(list, told, &given), 0);
    given.basic[0xa].a -= 0x100; /* and a counter */
    assert_int_equal(remain(list, told, &given), 1);
    given = *told;
    given.basic[0xa].b ^= 1; /* another register */
    assert_int_equal(remain(list, told, &given), 1);
    given = *told;
    given.basic[0xa].a += 1; /* more than it was told of: no audit names that */
    assert_int_equal(remain(list, told, &given), 1);
}

/* State components: those that are missing and what follows from that, no other number of leaf D.
 */
static void test_components_are_given_up_alone(void **state)
{
    static const char *const lists[] = {"xstate", "pku"};
    const struct cpu_policy *told = test_cpu("intel-cascadelake-sp");
    static struct cpu_policy given;

    (void)state;
    assert_true(policy_xcr0(told) >> 9 & 1);
    for (size_t i = 0; i < 2; i++) {
        given = *told;
        given.xstate[0].a &= ~(1u << 9);
        memset(&given.xstate[9], 0, sizeof(given.xstate[9]));
        given.xstate[0].c = (uint32_t)xstate_standard_size(&given, policy_xcr0(&given));
        assert_true(remain("", told, &given) > 0);
        assert_int_equal(remain(lists[i], told, &given), 0);
        given.xstate[0].c -= 64; /* not the size of what is there */
        assert_int_equal(remain(lists[i], told, &given), 1);
        given.xstate[0].c += 64;
        given.xstate[1].a ^= 1u << 31; /* no feature that has a name, and no component */
        assert_true(remain(lists[i], told, &given) > 0);
        given.xstate[1].a ^= 1u << 31;
        given.xstate[2].c ^= 2; /* AVX is aligned otherwise: "xstate" gives that up */
        assert_int_equal(remain(lists[i], told, &given), i);
    }
    given = *told;
    given.xstate[2].a = given.xstate[2].b =
        0; /* it has the component still, and that is no place */
    assert_int_equal(remain("avx", told, &given), 2);
}

static void test_names(void **state)
{
    char with[] = "web1--incoming", without[] = "web1", only[] = "--incoming",
         inside[] = "web--incoming1";

    (void)state;
    audit_strip_name(with);
    audit_strip_name(without);
    audit_strip_name(only);
    audit_strip_name(inside);
    assert_string_equal(with, "web1");
    assert_string_equal(without, "web1");
    assert_string_equal(only, "--incoming");
    assert_string_equal(inside, "web--incoming1");
}

/* At every width: no line is longer, and no word is lost. */
static void test_width(void **state)
{
    static char words[2][AUDIT_TEXT];
    struct audit_case c = ask(test_cpu("intel-cascadelake-sp"), test_cpu("intel-sandybridge-ep"));

    (void)state;
    give_up(NULL);
    for (unsigned int width = 40; width <= 200; width++) {
        char *out = words[width > 40];

        c.width = width;
        audit_run(&c, &a);
        for (const char *s = a.text; *s; s += strcspn(s, "\n") + 1)
            if (strcspn(s, "\n") > width)
                fail_msg("at %u: %.*s", width, (int)strcspn(s, "\n"), s);
        for (const char *s = a.text; *s; s++)
            if (*s != ' ' && *s != '\n')
                *out++ = *s;
        *out = '\0';
        assert_string_equal(words[0], words[width > 40]);
    }
}

static void test_text(void **state)
{
    char buf[64];
    struct text t;

    (void)state;
    text_init(&t, buf, sizeof(buf), 40);
    text_line(&t, 4, "  %s", "aaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbb");
    assert_string_equal(buf, "  aaaaaaaaaaaaaaaaaaaa\n    bbbbbbbbbbbbbbbbbbbbbbbb\n");
    assert_false(t.cut);
    text_line(&t, 4, "does not fit any more");
    assert_true(t.cut);
    assert_int_equal(strlen(buf), sizeof(buf) - 1);
    text_init(&t, buf, sizeof(buf), 40);
    text_line(&t, 0, "%s", "");
    assert_string_equal(buf, "\n");
}

/* A long name without blanks is broken somewhere, and the buffer ends somewhere. */
static void test_text_breaks_between_characters(void **state)
{
    (void)state;
    for (unsigned int shift = 0; shift < 4; shift++) {
        char buf[150], name[100 * 4 + 4] = "xxx";
        struct text t;

        for (size_t i = 0; i < 100; i++)
            memcpy(name + shift + i * 4, "\xf0\x9f\x98\x80", 5);
        text_init(&t, buf, sizeof(buf), 40);
        text_line(&t, 4, "%s", name);
        assert_true(t.cut);
        for (const char *s = buf; *s; s += strcspn(s, "\n"), s += *s == '\n')
            assert_true(xc_text_is_utf8(s, strcspn(s, "\n")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_naming_all_lets_it_pass),
        cmocka_unit_test(test_components_go_with_their_feature),
        cmocka_unit_test(test_other_vendor),
        cmocka_unit_test(test_no_policy),
        cmocka_unit_test(test_shadow_has_less_than_hap),
        cmocka_unit_test(test_allow_parse),
        cmocka_unit_test(test_a_field_is_given_up_alone),
        cmocka_unit_test(test_components_are_given_up_alone),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_breaks_between_characters),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
