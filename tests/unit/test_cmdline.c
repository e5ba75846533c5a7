/* SPDX-License-Identifier: MIT */
/* The hypervisor's command line: what is taken, and where it is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <host-policy.h>
#include <xen/errno.h>

#include "features-gen.h"

static struct host_options parsed(const char *cmdline)
{
    struct host_options o;
    size_t where = 12345;

    if (host_options_parse(&o, cmdline, &where))
        fail_msg("'%s' is refused at %zu", cmdline, where);
    return o;
}

static void nothing_said_nothing_changed(void **state)
{
    static const char *const lines[] = {
        "",
        " ",
        "   console=com1  com1=115200,8n1 dom0_mem=512M ",
        "cpuidle=0 cpufreq=none", /* begin like ours, and are not */
        "dom0-cpuid=no-avx",      /* about dom0, not about the host */
    };
    struct host_options none;

    (void)state;
    host_options_init(&none);
    assert_true(featureset_empty(&none.cpuid_on) && featureset_empty(&none.cpuid_off));
    assert_false(none.no_gds_mit);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct host_options o = parsed(lines[i]);

        assert_memory_equal(&o, &none, sizeof(o));
    }
}

static void features_by_xens_names(void **state)
{
    static const struct {
        const char *name;
        unsigned int feature;
    } known[] = {
        {"avx", X86_FEATURE_AVX},         {"avx512f", X86_FEATURE_AVX512F},
        {"sse4_1", X86_FEATURE_SSE4_1},   {"avx512-vnni", X86_FEATURE_AVX512_VNNI},
        {"rdrand", X86_FEATURE_RDRAND},   {"md-clear", X86_FEATURE_MD_CLEAR},
        {"ibrsb", X86_FEATURE_IBRSB},     {"x2apic", X86_FEATURE_X2APIC},
        {"no-lmsl", X86_FEATURE_NO_LMSL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        char line[64] = "cpuid=no-";
        struct host_options o;

        o = parsed(strcat(line, known[i].name)); /* NOLINT: it is short */
        assert_int_equal(featureset_count(&o.cpuid_off), 1);
        assert_true(featureset_test(&o.cpuid_off, known[i].feature));
        assert_true(featureset_empty(&o.cpuid_on));
    }
}

static void lists_and_repetition(void **state)
{
    struct host_options o = parsed("cpuid=no-avx,rdrand console=vga cpuid=no-rtm,no-hle");

    (void)state;
    assert_int_equal(featureset_count(&o.cpuid_off), 3);
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_AVX));
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_RTM));
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_HLE));
    assert_int_equal(featureset_count(&o.cpuid_on), 1);
    assert_true(featureset_test(&o.cpuid_on, X86_FEATURE_RDRAND));

    /* The last word counts, in both directions. */
    o = parsed("cpuid=no-rdrand,rdrand");
    assert_true(featureset_empty(&o.cpuid_off));
    assert_true(featureset_test(&o.cpuid_on, X86_FEATURE_RDRAND));
    o = parsed("cpuid=rdrand cpuid=no-rdrand");
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_RDRAND));
    assert_true(featureset_empty(&o.cpuid_on));
}

static void masks(void **state)
{
    struct host_options o = parsed(
        "cpuid_mask_ecx=0x1 cpuid_mask_edx=0x2 cpuid_mask_ext_ecx=0X3 cpuid_mask_ext_edx=4 "
        "cpuid_mask_xsave_eax=0xdeadBEEF cpuid_mask_l7s0_eax=6 cpuid_mask_l7s0_ebx=0xffffffff "
        "cpuid_mask_therm_ecx=4294967294");

    (void)state;
    assert_int_equal(o.mask_ecx, 1);
    assert_int_equal(o.mask_edx, 2);
    assert_int_equal(o.mask_ext_ecx, 3);
    assert_int_equal(o.mask_ext_edx, 4);
    assert_int_equal(o.mask_xsave_eax, 0xdeadbeefu);
    assert_int_equal(o.mask_l7s0_eax, 6);
    assert_int_equal(o.mask_l7s0_ebx, 0xffffffffu);
    assert_int_equal(o.mask_therm_ecx, 0xfffffffeu);
    o = parsed("cpuid_mask_ecx=0");
    assert_int_equal(o.mask_ecx, 0);
    assert_int_equal(o.mask_edx, 0xffffffffu); /* not given: lets everything through */
}

static void gds(void **state)
{
    (void)state;
    assert_true(parsed("spec-ctrl=no-gds-mit").no_gds_mit);
    assert_true(parsed("x spec-ctrl=bti-thunk=jmp,gds-mit=0,no-rsb y").no_gds_mit);
    assert_false(parsed("spec-ctrl=gds-mit").no_gds_mit);
    assert_false(parsed("spec-ctrl=no-gds-mitigation").no_gds_mit);
    assert_false(parsed("xspec-ctrl=no-gds-mit").no_gds_mit);
}

static void what_is_wrong_and_where(void **state)
{
    static const struct {
        const char *line;
        size_t where;
    } bad[] = {
        {"cpuid=", 6},
        {"cpuid=avx3", 6},
        {"cpuid=no-avx,no-such", 13},
        {"cpuid=avx,,sse", 10},
        {"cpuid=no-", 6},
        {"cpuid=,avx", 6},
        {"console=vga cpuid=no-avx no=1 cpuid=no-avx9", 36},
        {"cpuid_mask_ecx=", 0},
        {"cpuid_mask_ecx=0x", 0},
        {"cpuid_mask_ecx=0x100000000", 0},
        {"cpuid_mask_ecx=4294967296", 0},
        {"cpuid_mask_ecx=12a", 0},
        {"cpuid_mask_ecx=-1", 0},
        {"cpuid_mask_ecx=0xfg", 0},
        {"quiet cpuid_mask_cpu=fam_10_rev_b", 6},
        {"  cpuid_mask_nothing=1", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct host_options o;
        size_t where = 12345;

        if (host_options_parse(&o, bad[i].line, &where) != -XEN_EINVAL)
            fail_msg("'%s' is taken", bad[i].line);
        if (where != bad[i].where)
            fail_msg("'%s': wrong at %zu, not at %zu", bad[i].line, bad[i].where, where);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_nothing_changed),
        cmocka_unit_test(features_by_xens_names),
        cmocka_unit_test(lists_and_repetition),
        cmocka_unit_test(masks),
        cmocka_unit_test(gds),
        cmocka_unit_test(what_is_wrong_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
