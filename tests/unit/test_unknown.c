/* SPDX-License-Identifier: MIT */
/*
 * What is not known of a CPU: masks, what they are in words and in files, and what follows for the
 * policies of a host.  What is said to be known must be so whatever the unknown bits turn out to
 * be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cpuid-policy/vocabulary.h>

#include "cpus.h"
#include "derive_unknown.h"
#include "features-gen.h"
#include "unsure.h"
#include "util.h"
#include "xlp.h"

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t begin_random(void)
{
    const char *text = getenv("SEED");

    return (text ? strtoull(text, NULL, 0) : 1) * 0x9e3779b97f4a7c15ull | 1;
}

static void mask_leaf(struct cpu_policy *mask, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs *r = policy_leaf(mask, leaf, subleaf);

    assert_non_null(r);
    memset(r, 0xff, sizeof(*r));
}

/* ---- words ---- */

static void test_words(void **state)
{
    struct cpu_policy mask = {0};
    struct featureset about = {{0}};
    char *text;

    (void)state;
    text = unknown_text(&mask);
    assert_string_equal(text, "");
    assert_false(unknown_any(&mask));
    free(text);
    mask.arch_caps = 1ull << 26;
    text = unknown_text(&mask);
    assert_string_equal(text, "MSR 10A");
    free(text);
    mask_leaf(&mask, 7, 0);
    mask_leaf(&mask, 7, 1);
    mask_leaf(&mask, 0xd, 1);
    mask_leaf(&mask, 0x80000000u, POLICY_NONE);
    mask_leaf(&mask, 0x80000008u, POLICY_NONE);
    text = unknown_text(&mask);
    assert_string_equal(text, "MSR 10A, leaves 7, d.1, 80000000 and up");
    free(text);
    featureset_set(&about, X86_FEATURE_XSAVEOPT);
    text = unknown_cause(&mask, &about);
    assert_string_equal(text, "leaf d.1");
    free(text);
    memset(&about, 0, sizeof(about));
    featureset_set(&about, X86_FEATURE_FPU); /* known: all that is not is a cause */
    text = unknown_cause(&mask, &about);
    assert_string_equal(text, "MSR 10A, leaves 7, d.1, 80000000 and up");
    free(text);
}

static void test_digits(void **state)
{
    struct cpu_policy p = {0}, mask = {0};
    char words[UNKNOWN_WORDS_TEXT], value[17];

    (void)state;
    p.basic[1].d = 0x1234abcd;
    mask.basic[1].d = 0x00100001;
    mask.basic[1].c = 0x80000000u;
    unknown_format_words(&p, &mask, words);
    assert_string_equal(words, "12?4abc?:?0000000");
    unknown_format_value(0x1f, 0x100, 16, value);
    assert_string_equal(value, "0000000000000?1f");
}

/* ---- files ---- */

static void test_a_mask_comes_back_from_its_message(void **state)
{
    struct cpu_policy *mask = xcalloc(2, sizeof(*mask)), *back = mask + 1;
    uint64_t seed = begin_random();
    Xenlevel__Policy *message;

    (void)state;
    assert_null(xlp_unknown_from(mask));
    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++)
        if (!policy_leaf_has_subleaves(leaf))
            mask->basic[leaf].c = (uint32_t)next_random(&seed);
    for (uint32_t s = 0; s < POLICY_NR_XSTATE; s += 3)
        mask->xstate[s].a = (uint32_t)next_random(&seed);
    mask->extd[0x21].a = 7;
    mask->hv_limit = 0xff;
    mask->platform_info = 1ull << 31;
    mask->arch_caps = next_random(&seed);
    message = xlp_unknown_from(mask);
    assert_non_null(message);
    xlp_unknown_get(message, back);
    assert_memory_equal(mask, back, sizeof(*mask));
    xenlevel__policy__free_unpacked(message, NULL);
    xlp_unknown_get(NULL, back);
    assert_false(unknown_any(back));
    free(mask);
}

/* ---- what follows ---- */

/* Every bit that is said to be known must be what the completed CPU has. */
static void check_known(const char *cpu, const struct derived *d, const struct cpu_policy *result,
                        bool has_hvm)
{
    struct cpu_policy *differ = xcalloc(1, sizeof(*differ));

    for (unsigned int i = 1; i < HOST_POLICIES; i++) {
        const unsigned char *m = (const unsigned char *)&d->unknown[i];
        const unsigned char *x = (const unsigned char *)differ;

        if (i != XC_POLICY_HOST && i != XC_POLICY_PV_MAX && i != XC_POLICY_PV_DEFAULT && !has_hvm)
            continue;
        memset(differ, 0, sizeof(*differ));
        unknown_add_difference(differ, &d->policy[i], &result[i]);
        for (size_t k = 0; k < sizeof(*differ); k++)
            if (x[k] & ~m[k]) {
                char *text;

                unknown_clear(differ, &d->unknown[i]);
                text = unknown_text(differ);
                fail_msg("%s, policy %u: not what is known: %s", cpu, i, text);
            }
    }
    free(differ);
}

/* Complete the unknown bits in any way, and derive. */
static void try_completions(const char *cpu, const struct cpu_policy *raw,
                            const struct cpu_policy *mask, unsigned int n, uint64_t *seed)
{
    struct derived *d = xcalloc(1, sizeof(*d));
    struct cpu_policy *result = xcalloc(HOST_POLICIES, sizeof(*result));
    struct host_options options;

    host_options_init(&options);
    options.arch_caps = mask->arch_caps ? HOST_MSR_NOT_READ : HOST_MSR_READ;
    derive_unknown(raw, mask, &options, d);
    for (unsigned int i = 0; i < n; i++) {
        struct cpu_policy any;
        bool has_hvm, has_hap;

        for (size_t k = 0; k < sizeof(any); k++)
            ((unsigned char *)&any)[k] = (unsigned char)(next_random(seed) >> 24);
        result[0] = *raw;
        unknown_fill(&result[0], mask, &any);
        host_policies_derive(result, &options, &has_hvm, &has_hap);
        check_known(cpu, d, result, has_hvm && d->has_hvm);
    }
    free(result);
    free(d);
}

static void test_what_is_known_is_so(void **state)
{
    uint64_t seed = begin_random();
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct cpu_policy mask = {0}, raw = cpus[i].policy;

        try_completions(cpus[i].name, &raw, &mask, 1, &seed);
        mask.arch_caps = policy_has(&raw, X86_FEATURE_ARCH_CAPS) ? UINT64_MAX : 0;
        mask.platform_info = UINT64_MAX;
        try_completions(cpus[i].name, &raw, &mask, 200, &seed);
        mask_leaf(&mask, 0xd, 1);
        try_completions(cpus[i].name, &raw, &mask, 50, &seed);
        mask.feat[0].c = mask.feat[0].d = UINT32_MAX;
        mask.arch_caps = UINT64_MAX;
        try_completions(cpus[i].name, &raw, &mask, 50, &seed);
    }
}

static void test_what_is_unknown_is_not_set(void **state)
{
    struct derived *d = xcalloc(1, sizeof(*d));
    struct cpu_policy mask = {0}, raw = *test_cpu("intel-icelake-sp");
    struct host_options options;

    (void)state;
    host_options_init(&options);
    mask.arch_caps = UINT64_MAX;
    derive_unknown(&raw, &mask, &options, d);
    for (unsigned int i = 1; i < HOST_POLICIES; i++) {
        struct featureset fs, unknown;

        policy_to_featureset(&d->policy[i], &fs);
        unknown_features(&d->unknown[i], &unknown);
        assert_false(featureset_empty(&unknown));
        featureset_and(&fs, &fs, &unknown);
        assert_true(featureset_empty(&fs));
    }
    free(d);
}

/* ---- may a guest go there? ---- */

struct pair {
    struct cpu_policy raw[2],
        mask[2]; /* of the host that the guest was born on, and of the other */
    struct derived d[2];
    struct cpu_policy truth[2][HOST_POLICIES];
};

/* Nobody knows some bits of MSR 10A and leaf 7. */
static void forget(struct cpu_policy *mask, uint64_t *seed)
{
    memset(mask, 0, sizeof(*mask));
    if (next_random(seed) & 1)
        mask->arch_caps = next_random(seed) & next_random(seed);
    if (next_random(seed) & 1)
        mask->feat[0].d = (uint32_t)(next_random(seed) & next_random(seed));
    if (!(next_random(seed) & 3))
        mask->feat[0].b = (uint32_t)(next_random(seed) & next_random(seed));
}

static void derive_known(const struct cpu_policy *raw, const struct cpu_policy *mask,
                         const struct host_options *options, struct cpu_policy *p, uint64_t *seed)
{
    struct cpu_policy any;
    bool has_hvm, has_hap;

    for (size_t k = 0; k < sizeof(any); k++)
        ((unsigned char *)&any)[k] = (unsigned char)(next_random(seed) >> 24);
    p[0] = *raw;
    unknown_fill(&p[0], mask, &any);
    host_policies_derive(p, options, &has_hvm, &has_hap);
}

/* What a check says when all is known. */
static bool can_go(const struct cpu_policy *guest, const struct cpu_policy *host)
{
    struct cpu_policy most = host[XC_POLICY_PV_MAX];
    const struct policy_host h = {&most, &host[XC_POLICY_PV_DEFAULT]};

    policy_restrict(&most, GUEST_PV);
    return !policy_verify(guest, NULL) && !policy_check(guest, &h, NULL);
}

static void test_answers_hold_whatever_the_rest_is(void **state)
{
    uint64_t seed = begin_random();
    struct pair *p = xcalloc(1, sizeof(*p));
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);
    unsigned int said[3] = {0};
    struct host_options options;

    (void)state;
    host_options_init(&options);
    options.arch_caps = HOST_MSR_NOT_READ;
    for (unsigned int i = 0; i < 400; i++) {
        struct policy_report no = {0}, maybe = {0};
        struct unsure u;
        size_t a = next_random(&seed) % n, b = next_random(&seed) & 1 ? a : next_random(&seed) % n;

        p->raw[0] = cpus[a].policy;
        p->raw[1] = cpus[b].policy;
        for (unsigned int k = 0; k < 2; k++) {
            forget(&p->mask[k], &seed);
            derive_unknown(&p->raw[k], &p->mask[k], &options, &p->d[k]);
        }
        u = (struct unsure){
            .guest = {&p->d[0].policy[XC_POLICY_PV_DEFAULT],
                      &p->d[0].unknown[XC_POLICY_PV_DEFAULT]},
            .max = {&p->d[1].policy[XC_POLICY_PV_MAX], &p->d[1].unknown[XC_POLICY_PV_MAX]},
            .deflt = {&p->d[1].policy[XC_POLICY_PV_DEFAULT],
                      &p->d[1].unknown[XC_POLICY_PV_DEFAULT]},
            .type = GUEST_PV};
        unsure_ask(&u, &no, &maybe);
        said[no.count ? 0 : maybe.count ? 1 : 2]++;
        for (unsigned int k = 0; k < 20; k++) {
            bool can;

            derive_known(&p->raw[0], &p->mask[0], &options, p->truth[0], &seed);
            derive_known(&p->raw[1], &p->mask[1], &options, p->truth[1], &seed);
            can = can_go(&p->truth[0][XC_POLICY_PV_DEFAULT], p->truth[1]);
            if ((no.count && can) || (!no.count && !maybe.count && !can))
                fail_msg("%s to %s: said %s", cpus[a].name, cpus[b].name, no.count ? "no" : "yes");
        }
    }
    for (unsigned int k = 0; k < 3; k++)
        assert_true(said[k] > 10); /* each answer was given */
    free(p);
}

/* ---- what is settled ---- */

static void test_settled_by_family_and_model(void **state)
{
    struct cpu_policy raw = *test_cpu("intel-icelake-sp"), mask = {0};
    char *note;

    (void)state;
    raw.arch_caps = raw.platform_info = 0;
    mask.arch_caps = mask.platform_info = UINT64_MAX;
    note = settle_unknown(&raw, &mask);
    assert_non_null(strstr(note, "taken from family and model"));
    assert_int_equal(mask.platform_info, 0);
    assert_int_equal(raw.platform_info, PLATFORM_INFO_CPUID_FAULTING);
    /* RDCL_NO, EIBRS; and what is assumed of the microcode: GDS_CTRL, and so not GDS_NO. */
    assert_non_null(strstr(note, "assumed: microcode"));
    assert_int_equal(raw.arch_caps, 3 | 1u << 25);
    assert_int_equal(mask.arch_caps, ~(3ull | 3ull << 25));
    free(note);
}

/* Of model 55 only Cascade Lake (stepping 6, 7) and Cooper Lake have EIBRS by design: the host's
 * own rules (host-errata.c) say the same of one whose MSR was not read. */
static void test_skylakes_have_no_eibrs_by_design(void **state)
{
    static const struct {
        uint32_t stepping;
        bool eibrs;
    } rows[] = {{4, false}, {5, false}, {6, true}, {7, true}, {0xb, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct cpu_policy raw = *test_cpu("intel-cascadelake-sp"), mask = {0};

        raw.basic[1].a = (raw.basic[1].a & ~0xfu) | rows[i].stepping;
        raw.arch_caps = 0;
        mask.arch_caps = UINT64_MAX;
        free(settle_unknown(&raw, &mask));
        assert_int_equal(raw.arch_caps & 3, rows[i].eibrs ? 3 : 0);
    }
}

static void test_settled_by_the_rest(void **state)
{
    static const char *const without[] = {"intel-haswell-ep", "amd-bergamo"};
    struct cpu_policy mask, raw;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        memset(&mask, 0, sizeof(mask));
        raw = *test_cpu(without[i]);
        mask.arch_caps = mask.platform_info = UINT64_MAX;
        free(settle_unknown(&raw, &mask));
        assert_int_equal(mask.arch_caps, 0);
        assert_int_equal(mask.platform_info, 0);
        assert_int_equal(raw.arch_caps, 0);
    }
    /* Of a virtual one the model says nothing. */
    raw = *test_cpu("intel-icelake-sp");
    raw.basic[1].c |= 1u << 31;
    mask.arch_caps = mask.platform_info = UINT64_MAX;
    assert_null(settle_unknown(&raw, &mask));
    assert_int_equal(mask.arch_caps, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_a_mask_comes_back_from_its_message),
        cmocka_unit_test(test_what_is_known_is_so),
        cmocka_unit_test(test_what_is_unknown_is_not_set),
        cmocka_unit_test(test_answers_hold_whatever_the_rest_is),
        cmocka_unit_test(test_settled_by_family_and_model),
        cmocka_unit_test(test_skylakes_have_no_eibrs_by_design),
        cmocka_unit_test(test_settled_by_the_rest),
    };

    return cmocka_run_group_tests_name("unknown", tests, NULL, NULL);
}
