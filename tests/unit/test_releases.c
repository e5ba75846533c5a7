/* SPDX-License-Identifier: MIT */
/*
 * What one release of Xen makes of a CPU and the one before it does not, on real processors' dumps:
 * a row for each rule, also for releases of which there is no capture.  The facts are those that
 * host-policy.c names; 4.17 and 4.20 are held against running hosts by test_host_policy.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <cpuid-policy/releases.h>
#include <cpuid-policy/vocabulary.h>
#include <host-policy.h>
#include <xen/sysctl.h>

#include "cpus.h"
#include "features-gen.h"

static struct cpu_policy policies[HOST_POLICIES];

enum {
    RAW = XEN_SYSCTL_cpu_policy_raw,
    HOST = XEN_SYSCTL_cpu_policy_host,
    PV_MAX = XEN_SYSCTL_cpu_policy_pv_max,
    HVM_MAX = XEN_SYSCTL_cpu_policy_hvm_max,
    PV = XEN_SYSCTL_cpu_policy_pv_default,
    HVM = XEN_SYSCTL_cpu_policy_hvm_default,
};

static void derive_from(const struct cpu_policy *raw, unsigned int xen)
{
    struct host_options options;
    bool has_hvm, has_hap;

    host_options_init(&options);
    options.xen = xen;
    policies[RAW] = *raw;
    host_policies_derive(policies, &options, &has_hvm, &has_hap);
    assert_true(has_hvm && has_hap);
}

static void derive(const char *cpu, unsigned int xen)
{
    derive_from(test_cpu(cpu), xen);
}

/* The policies that have it, as bits of their numbers. */
static unsigned int who_has(unsigned int feature)
{
    unsigned int who = 0;

    for (unsigned int i = HOST; i <= HVM; i++) {
        struct featureset fs;

        policy_to_featureset(&policies[i], &fs);
        who |= (unsigned int)featureset_test(&fs, feature) << i;
    }
    return who;
}

#define BIT(i)  (1u << (i))
#define ALL     (BIT(HOST) | BIT(PV_MAX) | BIT(HVM_MAX) | BIT(PV) | BIT(HVM))
#define ALL_HVM (BIT(HOST) | BIT(HVM_MAX) | BIT(HVM))

/* A feature on a CPU that has it: who has it before a release, and from it on. */
static const struct {
    const char *cpu;
    unsigned int feature, xen, before, since;
} features[] = {
    {"intel-granite-rapids", X86_FEATURE_AVX512_FP16, 418, BIT(HOST), ALL},
    {"intel-granite-rapids", X86_FEATURE_PKS, 418, 0, ALL_HVM},
    {"intel-granite-rapids", X86_FEATURE_PREFETCHI, 419, 0, ALL},
    {"intel-granite-rapids", X86_FEATURE_LA57, 420, 0, BIT(HOST)},
    {"intel-granite-rapids", X86_FEATURE_XFD, 420, 0, BIT(HOST)},
    {"intel-granite-rapids", X86_FEATURE_AMX_TILE, 419, 0, BIT(HOST)},
    {"amd-granite-ridge", X86_FEATURE_FS_GS_NS, 419, 0, ALL_HVM},
    {"amd-granite-ridge", X86_FEATURE_AUTO_IBRS, 418, BIT(HOST), ALL_HVM},
    {"amd-granite-ridge", X86_FEATURE_ADDR_MASK_EXT, 419, 0, ALL},
    {"intel-knights-landing", X86_FEATURE_AVX512ER, 420, ALL, BIT(HOST)},
    /* Xen has no name for it yet. */
    {"amd-granite-ridge", X86_FEATURE_AMD_ERAPS, 422, 0, 0},
    /* On a CPU without it: who may come with it. */
    {"intel-sandybridge-ep", X86_FEATURE_ERMS, 421, 0, BIT(PV_MAX) | BIT(HVM_MAX)},
    {"intel-haswell-ep", X86_FEATURE_ERMS, 421, ALL, ALL},
    /* In none: PV guests saw it until 4.17.3. */
    {"intel-haswell-ep", X86_FEATURE_X2APIC, 418, ALL & ~BIT(PV), ALL & ~BIT(PV)},
};

static void features_by_release(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
            unsigned int expected = xen < features[i].xen ? features[i].before : features[i].since;
            unsigned int who;

            derive(features[i].cpu, xen);
            who = who_has(features[i].feature);
            if (who != expected)
                fail_msg("%s, Xen %u: %s: %#x, must be %#x", features[i].cpu, xen,
                         feature_info(features[i].feature)->name, who, expected);
        }
}

/* 4.18: whoever comes may have every leaf that Xen keeps; who is born has the host's. */
static void highest_leaves(void **state)
{
    (void)state;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        bool all = xen >= 418;

        derive("intel-nehalem-ep", xen);
        for (unsigned int i = PV_MAX; i <= HVM_MAX; i++) {
            assert_int_equal(policies[i].basic[0].a, all ? 0xd : 0xb);
            assert_int_equal(policies[i].feat[0].a, 2);
            assert_int_equal(policies[i].extd[0].a, all ? 0x80000021 : 0x80000008);
        }
        for (unsigned int i = PV; i <= HVM; i++) {
            assert_int_equal(policies[i].basic[0].a, 0xb);
            assert_int_equal(policies[i].feat[0].a, 0);
            assert_int_equal(policies[i].extd[0].a, 0x80000008);
        }
        /* A subleaf that says nothing to guests is there all the same. */
        derive("intel-granite-rapids", xen);
        assert_int_equal(policies[HVM].feat[0].a, policies[HOST].feat[0].a);
    }
}

/* 4.19: leaf 8000000A is the CPU's own in the host's policy; HVM guests lose the TSC ratio. */
static void nested_svm(void **state)
{
    (void)state;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        derive("amd-bergamo", xen);
        assert_int_equal(policies[HOST].extd[0xa].d,
                         xen < 419 ? (policies[RAW].extd[0xa].d & 0x48b) | 0x30
                                   : policies[RAW].extd[0xa].d);
        for (unsigned int i = HVM_MAX; i <= HVM; i += 2)
            assert_int_equal(policies[i].extd[0xa].d,
                             (policies[RAW].extd[0xa].d & 0x48b) | (xen < 419 ? 0x30 : 0x20));
        assert_int_equal(policies[PV].extd[0xa].d, 0);
    }
}

/* 4.19: that a component is aligned is told to who can compact; 4.20: the tiles' are known. */
static void state_components(void **state)
{
    struct cpu_policy raw = *test_cpu("intel-granite-rapids");

    (void)state;
    assert_true(raw.xstate[XSTATE_ZMM].c & XSTATE_ALIGN64 ||
                raw.xstate[XSTATE_OPMASK].c & XSTATE_ALIGN64 ||
                raw.xstate[XSTATE_TILECFG].c & XSTATE_ALIGN64);
    raw.xstate[XSTATE_OPMASK].c |= XSTATE_ALIGN64;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        derive_from(&raw, xen);
        assert_int_equal(policies[HVM].xstate[XSTATE_OPMASK].c, XSTATE_ALIGN64);
        assert_int_equal(policies[HOST].xstate[0].a >> XSTATE_TILECFG & 3, xen < 420 ? 0 : 3);
        assert_int_equal(policies[HOST].xstate[XSTATE_TILEDATA].a, xen < 420 ? 0 : 8192);
        assert_int_equal(policies[HVM_MAX].xstate[0].a >> XSTATE_TILECFG & 3, 0);
    }
    raw.xstate[1].a &= ~2u;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        derive_from(&raw, xen);
        assert_int_equal(policies[HVM].xstate[XSTATE_OPMASK].c, xen < 419 ? XSTATE_ALIGN64 : 0);
    }
}

/* 4.22: what guests do not see is cleared in their policies, and no more in the host's. */
static void hosts_own_leaves(void **state)
{
    struct cpu_policy raw = *test_cpu("intel-haswell-ep");

    (void)state;
    raw.basic[1].b |= 0x12000000;
    assert_true(raw.basic[5].a && raw.basic[6].a && raw.basic[0xa].a);
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        bool kept = xen >= 422;

        derive_from(&raw, xen);
        assert_int_equal(policies[HOST].basic[5].a, kept ? raw.basic[5].a : 0);
        assert_int_equal(policies[HOST].basic[6].a, kept ? raw.basic[6].a : 0);
        assert_int_equal(policies[HOST].basic[1].b >> 24, kept ? raw.basic[1].b >> 24 : 0);
        assert_int_equal(policies[HOST].basic[0xa].a, 0);
        for (unsigned int i = PV_MAX; i <= HVM; i++) {
            assert_int_equal(policies[i].basic[1].b >> 24, 0);
            assert_int_equal(policies[i].basic[5].a | policies[i].basic[6].a, 0);
        }
    }
}

/* 4.18: supervisor keys are given where VMX switches them. */
static void pks_without_vmx(void **state)
{
    struct cpu_policy raw = *test_cpu("amd-bergamo");

    (void)state;
    raw.feat[0].c |= 1u << 31;
    derive_from(&raw, 420);
    assert_int_equal(who_has(X86_FEATURE_PKS), BIT(HOST));
}

static uint32_t caps_of(const char *cpu, unsigned int xen)
{
    uint32_t caps;

    assert_int_equal(host_policy_levelling_caps(test_cpu(cpu), true, xen, &caps), 0);
    return caps;
}

/* 4.18: AMD's CpuidUserDis makes CPUID fault for PV guests. */
static void user_dis(void **state)
{
    (void)state;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        assert_int_equal(!!(caps_of("amd-granite-ridge", xen) & XEN_SYSCTL_CPU_LEVELCAP_faulting),
                         xen >= 418);
        assert_false(caps_of("amd-shanghai", xen) & XEN_SYSCTL_CPU_LEVELCAP_faulting);
        assert_int_equal(caps_of("intel-sandybridge-ep", xen),
                         caps_of("intel-sandybridge-ep", 417));
    }
}

/* A guest without nested paging is given none of what only HAP brings, whichever release gives it.
 */
static void only_hap(void **state)
{
    (void)state;
    assert_true(featureset_test(featureset_only_hap(), X86_FEATURE_PKS));
    assert_true(featureset_test(featureset_only_hap(), X86_FEATURE_PCID));
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++) {
        struct featureset fs;

        derive("intel-granite-rapids", xen);
        policy_to_featureset(&policies[HOST_POLICY_SHADOW_MAX], &fs);
        featureset_and(&fs, &fs, featureset_only_hap());
        assert_true(featureset_empty(&fs));
        assert_true(featureset_subset(featureset_only_hap(), release_names(XEN_NEWEST)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_by_release),
        cmocka_unit_test(highest_leaves),
        cmocka_unit_test(nested_svm),
        cmocka_unit_test(state_components),
        cmocka_unit_test(hosts_own_leaves),
        cmocka_unit_test(pks_without_vmx),
        cmocka_unit_test(user_dis),
        cmocka_unit_test(only_hap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
