/* SPDX-License-Identifier: MIT */
/* xl.cfg's cpuid= in both forms, and what libxl makes of a policy with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "features-gen.h"
#include "xlcpuid.h"

static const char ones[] = "11111111111111111111111111111111",
                  exes[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/* The only leaf of a setting that must be taken. */
static struct xlcpuid_leaf leaf_of(const char *names)
{
    struct xlcpuid c = {.n = 0};
    char why[256] = "";

    if (xlcpuid_add_names(&c, names, why, sizeof(why)))
        fail_msg("%s: %s", names, why);
    assert_int_equal(c.n, 1);
    return c.leaves[0];
}

static void test_names_set_bits(void **state)
{
    struct xlcpuid_leaf l = leaf_of("host,avx2=0");

    (void)state;
    assert_int_equal(l.leaf, 7);
    assert_int_equal(l.subleaf, 0);
    assert_string_equal(l.bits[1], "xxxxxxxxxxxxxxxxxxxxxxxxxx0xxxxx");
    assert_string_equal(l.bits[0], "");
    l = leaf_of("host,sse4_1=1,sse4.2=k,cmpxchg16=x");
    assert_int_equal(l.leaf, 1);
    assert_int_equal(l.subleaf, POLICY_NONE);
    assert_string_equal(l.bits[2], "xxxxxxxxxxxk1xxxxxxxxxxxxxxxxxxx");
    /* What comes later wins; blanks around a name are none of it. */
    l = leaf_of("host, avx2=0 , avx2=1");
    assert_string_equal(l.bits[1], "xxxxxxxxxxxxxxxxxxxxxxxxxx1xxxxx");
}

static void test_names_set_numbers(void **state)
{
    struct xlcpuid_leaf l = leaf_of("host,maxleaf=0xd");

    (void)state;
    assert_string_equal(l.bits[0], "00000000000000000000000000001101");
    assert_string_equal(leaf_of("host,clflush=8").bits[1], "xxxxxxxxxxxxxxxx00001000xxxxxxxx");
    assert_string_equal(leaf_of("host,clfsh=0").bits[3], "xxxxxxxxxxxx0xxxxxxxxxxxxxxxxxxx");
    /* Extended model 5, model 5; family 6. */
    assert_string_equal(leaf_of("host,model=0x55,family=6").bits[0],
                        "xxxx000000000101xxxx01100101xxxx");
    /* Family 0x19 is 0xf and 0xa. */
    assert_string_equal(leaf_of("host,family=0x19").bits[0], "xxxx00001010xxxxxxxx1111xxxxxxxx");
}

static void test_msr_bits(void **state)
{
    struct xlcpuid c = {.n = 0};
    char why[256];

    (void)state;
    assert_int_equal(xlcpuid_add_names(&c, "host,rdcl-no=0,rrsba=1", why, sizeof(why)), 0);
    assert_int_equal(c.n, 0);
    assert_int_equal(strlen(c.arch_caps), 64);
    assert_int_equal(c.arch_caps[63], '0');
    assert_int_equal(c.arch_caps[63 - 19], '1');
    assert_int_equal(c.arch_caps[62], 'x');
}

static void test_bit_strings(void **state)
{
    struct xlcpuid c = {.n = 0};
    char item[256], why[256];

    (void)state;
    (void)snprintf(item, sizeof(item), "0x7,0:ebx=%s,ecx=%s", exes, ones);
    assert_int_equal(xlcpuid_add_bits(&c, item, why, sizeof(why)), 0);
    (void)snprintf(item, sizeof(item), "1:ecx=%s", ones);
    assert_int_equal(xlcpuid_add_bits(&c, item, why, sizeof(why)), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.leaves[0].bits[1], exes);
    assert_string_equal(c.leaves[0].bits[2], ones);
    assert_string_equal(c.leaves[0].bits[0], "");
    assert_int_equal(c.leaves[1].subleaf, POLICY_NONE);
}

static void test_mistakes(void **state)
{
    static const char *const names[] = {"",
                                        "avx2=0",
                                        "host,avx2",
                                        "host,=0",
                                        "hosts",
                                        "host,avx2=2",
                                        "host,avx2=y",
                                        "host,avx2=",
                                        "host,a b",
                                        "host,nothere=0",
                                        "host,rrsba=2",
                                        "host,model=256",
                                        "host,avx2=-1",
                                        "host,avx2=0x",
                                        "host,avx512_vnni=0"};
    static const char *const items[] = {"",
                                        "x",
                                        "0x1",
                                        "0x1:",
                                        "0x1:ecx",
                                        "0x1:ecx=01",
                                        "1,:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "1:esi=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "1:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "1:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx2",
                                        "-1:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                        "1:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,",
                                        "0x100000000:ecx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};
    struct xlcpuid c = {.n = 0};
    char why[256];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!xlcpuid_add_names(&c, names[i], why, sizeof(why)))
            fail_msg("taken: '%s'", names[i]);
    assert_string_equal(why, "'avx512_vnni': libxl knows no such name; it has 'avx512-vnni'");
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        if (!xlcpuid_add_bits(&c, items[i], why, sizeof(why)))
            fail_msg("taken: '%s'", items[i]);
    assert_int_equal(xlcpuid_add_names(&c, "host,\x1b[2J=0", why, sizeof(why)), -1);
    assert_null(strchr(why, '\x1b'));
}

static void test_no_room(void **state)
{
    struct xlcpuid c = {.n = 0};
    char item[64], why[256];

    (void)state;
    for (unsigned int i = 0; i < XLCPUID_MAX_LEAVES; i++) {
        (void)snprintf(item, sizeof(item), "%u:eax=%s", i, exes);
        assert_int_equal(xlcpuid_add_bits(&c, item, why, sizeof(why)), 0);
    }
    (void)snprintf(item, sizeof(item), "%u:eax=%s", XLCPUID_MAX_LEAVES, exes);
    assert_int_equal(xlcpuid_add_bits(&c, item, why, sizeof(why)), -1);
    assert_int_equal(xlcpuid_add_bits(&c,
                                      "3:eax="
                                      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                                      why, sizeof(why)),
                     0);
}

/* own 0011.., default 0101.., host 1001..: each letter takes its own. */
static void test_apply(void **state)
{
    struct cpu_policy own = {.basic[1].c = 0x3, .arch_caps = 0x1},
                      deflt = {.basic[1].c = 0x5, .arch_caps = 0x2},
                      host = {.basic[1].c = 0x9, .arch_caps = 0x4};
    struct xlcpuid c = {.n = 0};
    char why[256];

    (void)state;
    assert_int_equal(
        xlcpuid_add_bits(&c, "1:ecx=0000000000000000000000000000kx10", why, sizeof(why)), 0);
    assert_int_equal(xlcpuid_add_names(&c, "host,rdcl-no=0,eibrs=x,rsba=k", why, sizeof(why)), 0);
    assert_int_equal(xlcpuid_apply(&c, &deflt, &host, &own, why, sizeof(why)), 0);
    assert_int_equal(own.basic[1].c, 0xe); /* host's bit 3, default's bit 2, 1, 0 */
    assert_int_equal(own.basic[1].a, 0);
    assert_int_equal(own.arch_caps, 0x6);
    c.leaves[0].leaf = 0x12345;
    assert_int_equal(xlcpuid_apply(&c, &deflt, &host, &own, why, sizeof(why)), -1);
    assert_string_equal(why, "no policy has leaf 0x12345");
}

/* What max lacks goes, and what stands on it; what follows the vCPU stays. */
static void test_clamp(void **state)
{
    struct cpu_policy max = {.basic[0].a = 0xd, .feat[0].a = 0}, p = max;
    struct featureset fs = {.w = {0}}, most, taken;

    (void)state;
    featureset_set(&fs, X86_FEATURE_FXSR);
    featureset_set(&fs, X86_FEATURE_SSE);
    featureset_set(&fs, X86_FEATURE_SSE2);
    featureset_set(&fs, X86_FEATURE_HTT);
    most = fs;
    featureset_clear(&most, X86_FEATURE_SSE);
    featureset_clear(&most, X86_FEATURE_HTT);
    policy_from_featureset(&p, &fs);
    policy_from_featureset(&max, &most);
    xlcpuid_clamp(&p, &max, &taken);
    policy_to_featureset(&p, &fs);
    assert_true(featureset_test(&fs, X86_FEATURE_FXSR) && featureset_test(&fs, X86_FEATURE_HTT));
    assert_true(featureset_test(&taken, X86_FEATURE_SSE) &&
                featureset_test(&taken, X86_FEATURE_SSE2));
    assert_false(featureset_test(&fs, X86_FEATURE_SSE2) ||
                 featureset_test(&taken, X86_FEATURE_HTT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_set_bits), cmocka_unit_test(test_names_set_numbers),
        cmocka_unit_test(test_msr_bits),       cmocka_unit_test(test_bit_strings),
        cmocka_unit_test(test_mistakes),       cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_apply),          cmocka_unit_test(test_clamp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
