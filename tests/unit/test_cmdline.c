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

    /* What is off stays off, whatever is said later: so it is in Xen. */
    o = parsed("cpuid=no-rdrand,rdrand");
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_RDRAND));
    o = parsed("cpuid=rdrand cpuid=no-rdrand");
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_RDRAND));
    /* All forms of a switch. */
    o = parsed("cpuid=avx=0,rdrand=yes,rtm=off");
    assert_int_equal(featureset_count(&o.cpuid_off), 2);
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_AVX));
    assert_true(featureset_test(&o.cpuid_off, X86_FEATURE_RTM));
    assert_true(featureset_test(&o.cpuid_on, X86_FEATURE_RDRAND));
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

/* Options of one word each, and what they come to. */
static void switches(void **state)
{
    static const struct {
        const char *line;
        unsigned int off; /* in cpuid_off */
    } rows[] = {
        {"xsave=0", X86_FEATURE_XSAVE},         {"no-xsave", X86_FEATURE_XSAVE},
        {"xsave xsave=off", X86_FEATURE_XSAVE}, {"pku=0", X86_FEATURE_PKU},
        {"no-smep", X86_FEATURE_SMEP},          {"smap=false", X86_FEATURE_SMAP},
        {"nolapic", X86_FEATURE_APIC},
    };
    static const char *const nothing[] = {"xsave", "xsave=0 xsave=1", "no-xsave=0", "smep=hvm",
                                          "smap",  "pku=1",           "-- xsave=0"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct host_options o = parsed(rows[i].line);

        assert_int_equal(featureset_count(&o.cpuid_off), 1);
        assert_true(featureset_test(&o.cpuid_off, rows[i].off));
    }
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        struct host_options o = parsed(nothing[i]);

        if (!featureset_empty(&o.cpuid_off))
            fail_msg("'%s' switches something off", nothing[i]);
    }
    assert_true(parsed("smt=0").smt_off);
    assert_true(parsed("no-hap").hap_off);
    assert_false(parsed("hap=0 hap").hap_off);
    assert_int_equal(parsed("tsx=0").tsx, HOST_TSX_OFF);
    assert_int_equal(parsed("no-tsx").tsx, HOST_TSX_OFF);
    assert_int_equal(parsed("tsx=on").tsx, HOST_TSX_ON);
    assert_true(parsed("vpmu=on").vpmu);
    assert_true(parsed("vpmu=arch").vpmu);
    assert_false(parsed("vpmu=bts,off").vpmu);
    assert_false(parsed("vpmu=on watchdog").vpmu);
    assert_true(parsed("vpmu=on watchdog=0").vpmu);
}

static void speculation_control(void **state)
{
    static const struct {
        const char *line;
        bool pv, hvm, gds, reduce;
        enum host_tsx tsx;
    } rows[] = {
        {"spec-ctrl=no", true, true, true, true, HOST_TSX_LEFT},
        {"no-spec-ctrl", true, true, true, true, HOST_TSX_LEFT},
        {"tsx=0 spec-ctrl=off", true, true, true, true, HOST_TSX_OFF},
        {"spec-ctrl=no-xen", false, false, true, true, HOST_TSX_DEFAULT},
        {"spec-ctrl=xen=0,gds-mit", false, false, false, true, HOST_TSX_DEFAULT},
        {"spec-ctrl=no,msr-sc", false, false, true, true, HOST_TSX_LEFT},
        {"spec-ctrl=msr-sc=no", true, true, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=no-msr-sc", true, true, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=msr-sc=no-hvm", false, true, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=msr-sc=pv=0", true, false, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=pv=no,msr-sc=pv", false, false, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=no-hvm", false, true, false, false, HOST_TSX_DEFAULT},
        {"spec-ctrl=bp-spec-reduce=0", false, false, false, true, HOST_TSX_DEFAULT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct host_options o = parsed(rows[i].line);

        if (o.no_msr_pv != rows[i].pv || o.no_msr_hvm != rows[i].hvm ||
            o.no_gds_mit != rows[i].gds || o.no_bp_spec_reduce != rows[i].reduce ||
            o.tsx != rows[i].tsx)
            fail_msg("'%s': pv %d, hvm %d, gds %d, reduce %d, tsx %d", rows[i].line, o.no_msr_pv,
                     o.no_msr_hvm, o.no_gds_mit, o.no_bp_spec_reduce, o.tsx);
    }
    assert_true(parsed("spec-ctrl=unpriv-mmio").unpriv_mmio);
    assert_false(parsed("spec-ctrl=unpriv-mmio,no-xen").unpriv_mmio);
}

/* What the listener hears, as text: the kind by a letter, then the words. */
static char heard[512];
static const char *line_read;

static void hear(void *data, enum host_option_note what, size_t at, size_t len)
{
    const char kind[] = {"UON*"[what], ' ', '\0'};

    (void)data;
    assert_true(strlen(heard) + len + 4 < sizeof(heard));
    (void)strcat(heard, kind); /* NOLINT: it fits */
    (void)strncat(heard, line_read + at, len);
    (void)strcat(heard, " "); /* NOLINT: it fits */
}

static void nothing_is_swallowed(void **state)
{
    static const struct {
        const char *line;
        unsigned int xen;
        const char *heard;
    } rows[] = {
        {"", 417, ""},
        {"xsave=0 tsx=0 spec-ctrl=msr-sc=no,no-gds-mit cpuid=no-avx hap=0 vpmu=on", 417, ""},
        {"no-reboot noreboot dom0_mem=512M", 417, "N no-reboot N noreboot N dom0_mem=512M "},
        {"quiet xsav=0 spec-control=no", 417, "U quiet U xsav=0 U spec-control=no "},
        {"spec-ctrl=ibpb,no-stibp,msr-sc=no,bti-thunk=jmp", 417,
         "N ibpb N no-stibp N bti-thunk=jmp "},
        {"spec-ctrl=ibpb-alt,nonsense,msr-sc=perhaps", 417,
         "O ibpb-alt U nonsense U msr-sc=perhaps "},
        {"spec-ctrl=ibpb-alt,eager-fpu", 418, "N ibpb-alt N eager-fpu "},
        {"spec-ctrl=,msr-sc=no", 417, "U spec-ctrl=,msr-sc=no "},
        {"spec-ctrl=eager-fpu", 422, "O eager-fpu "},
        {"pku=0", 418, "O pku=0 "},
        {"cpuid_mask_ecx=1 cpuid_mask_cpu=fam_10_rev_c", 421, ""},
        {"cpuid_mask_ecx=zzz cpuid_mask_cpu=fam_10_rev_c", 422,
         "O cpuid_mask_ecx=zzz O cpuid_mask_cpu=fam_10_rev_c "},
        {"ucode=scan smt=0", 417, "* ucode=scan N smt=0 "},
        {"smt=0 spec-ctrl=unpriv-mmio", 417, ""},
        {"cpuid=avx,rdrand", 417, "N avx "},
        {"dom0-cpuid=no-avx ivrs_hpet[0]=00:14.0 ept=no-pml", 417,
         "N dom0-cpuid=no-avx N ivrs_hpet[0]=00:14.0 N ept=no-pml "},
        {"cpuid=no-avx512-bmm,no-avx", 417, "O no-avx512-bmm "},
        {"cpuid=no-avx512-bmm,no-avx", 422, ""},
        {"fred", 420, "O fred "},
        {"fred", 421, "N fred "},
        {"watchdog", 417, "N watchdog "},
        {"watchdog vpmu=on", 417, ""},
    };
    const struct host_option_listener listener = {hear, NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct host_options o;
        size_t where;

        heard[0] = '\0';
        line_read = rows[i].line;
        assert_int_equal(host_options_read(&o, rows[i].xen, line_read, &listener, &where), 0);
        assert_int_equal(o.xen, rows[i].xen);
        if (strcmp(heard, rows[i].heard) != 0)
            fail_msg("'%s' for %u: heard '%s'", line_read, rows[i].xen, heard);
    }
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
        {"quiet cpuid_mask_cpu=fam_10_rev_z", 6},
        {"no-cpuid", 0},
        {"no-cpuid=avx", 0},
        {"cpuid=avx=maybe", 6},
        {"cpuid=no-avx=1", 6},
        {"tsx", 0},
        {"quiet spec-ctrl", 6},
        {"spec-ctrl=", 0},
        {"quiet tsx=perhaps", 6},
        {"xsave=2", 0},
        {"smep=host", 0},
        {"vpmu", 0},
        {"vpmu=on,and", 8},
        {"no-cpuid_mask_ecx=1", 0},
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
        cmocka_unit_test(switches),
        cmocka_unit_test(speculation_control),
        cmocka_unit_test(nothing_is_swallowed),
        cmocka_unit_test(what_is_wrong_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
