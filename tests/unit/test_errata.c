/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor knows of a model beyond its CPUID, on real processors.  No capture of Xen
 * on bare metal stands behind these; the advisories and revision guides named in host-errata.c do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <host-policy.h>

#include "cpus.h"
#include "features-gen.h"

enum which { HOST, PV_MAX, HVM_MAX, PV_DEFAULT, HVM_DEFAULT, WHICH };
static struct cpu_policy policies[WHICH];

static void derive(const struct cpu_policy *raw, const char *cmdline)
{
    struct cpu_policy *p = policies;
    struct host_options o;
    size_t where;

    assert_int_equal(host_options_parse(&o, cmdline, &where), 0);
    host_policy_from_raw(&p[HOST], raw, &o);
    host_policy_guest_max(&p[PV_MAX], raw, &p[HOST], &o, GUEST_PV);
    host_policy_guest_max(&p[HVM_MAX], raw, &p[HOST], &o, GUEST_HVM_HAP);
    host_policy_guest_default(&p[PV_DEFAULT], &p[PV_MAX], &p[HOST], &o, GUEST_PV);
    host_policy_guest_default(&p[HVM_DEFAULT], &p[HVM_MAX], &p[HOST], &o, GUEST_HVM_HAP);
}

/* Which of the five have it, as text in their order: "host pv-max ...". */
static const char *has(unsigned int feature)
{
    static const char *const names[WHICH] = {"host ", "pv-max ", "hvm-max ", "pv ", "hvm "};
    static char text[64];

    text[0] = '\0';
    for (unsigned int i = 0; i < WHICH; i++) {
        struct featureset fs;

        policy_to_featureset(&policies[i], &fs);
        if (featureset_test(&fs, feature))
            (void)strncat(text, names[i], sizeof(text) - strlen(text) - 1);
    }
    return text;
}

#define ALL "host pv-max hvm-max pv hvm "

static struct cpu_policy model(const char *cpu, uint32_t signature)
{
    struct cpu_policy p = *test_cpu(cpu);

    if (signature)
        p.basic[1].a = signature;
    return p;
}

static void rdrand_of_ivy_bridge_clients(void **state)
{
    struct cpu_policy server = model("intel-ivybridge-ep", 0),
                      client = model("intel-ivybridge-ep", 0x306a9);

    (void)state;
    derive(&server, "");
    assert_string_equal(has(X86_FEATURE_RDRAND), ALL);
    derive(&client, "");
    assert_string_equal(has(X86_FEATURE_RDRAND), "host pv-max hvm-max ");
    derive(&client, "cpuid=rdrand");
    assert_string_equal(has(X86_FEATURE_RDRAND), ALL);
    derive(&client, "cpuid=no-rdrand");
    assert_string_equal(has(X86_FEATURE_RDRAND), "");
}

static void rdrand_of_amd_15_and_16(void **state)
{
    struct cpu_policy p = model("amd-vishera", 0);

    (void)state;
    p.basic[1].c |= 1u << X86_FEATURE_RDRAND % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RDRAND), "");
    derive(&p, "cpuid=rdrand");
    assert_string_equal(has(X86_FEATURE_RDRAND), ALL);
    p = model("amd-castle-peak", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RDRAND), ALL);
}

static void clwb_of_skylake_servers(void **state)
{
    struct cpu_policy p = model("intel-cascadelake-sp", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_CLWB), "pv-max hvm-max ");
    p = model("intel-icelake-sp", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_CLWB), ALL);
    /* What the command line takes away stays away where no erratum is. */
    derive(&p, "cpuid=no-clwb");
    assert_string_equal(has(X86_FEATURE_CLWB), "");
}

static void gather_data_sampling(void **state)
{
    struct cpu_policy p = model("intel-icelake-sp", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_GDS_NO), ALL);
    assert_string_equal(has(X86_FEATURE_AVX2), ALL);
    derive(&p, "spec-ctrl=no-gds-mit"); /* as vulnerable as the CPU is */
    assert_string_equal(has(X86_FEATURE_GDS_NO), "");
    assert_string_equal(has(X86_FEATURE_AVX2), ALL);

    /* Under a hypervisor that does not tell of it. */
    p.basic[1].c |= 1u << X86_FEATURE_HYPERVISOR % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_GDS_NO), "");
    assert_string_equal(has(X86_FEATURE_AVX), "");
    assert_string_equal(has(X86_FEATURE_AVX512F), "");
    derive(&p, "spec-ctrl=no-gds-mit");
    assert_string_equal(has(X86_FEATURE_AVX512F), ALL);
    /* And under one that does. */
    p.arch_caps |= 1u << X86_FEATURE_GDS_CTRL % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_AVX), ALL);
    assert_string_equal(has(X86_FEATURE_GDS_NO), ALL);

    p = model("intel-haswell-ep", 0); /* not affected */
    derive(&p, "spec-ctrl=no-gds-mit");
    assert_true(strstr(has(X86_FEATURE_GDS_NO), "host"));
}

static void returns_from_elsewhere(void **state)
{
    struct cpu_policy p = model("intel-broadwell-e", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max ");
    p = model("intel-skylake-sp", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), ALL);
    assert_string_equal(has(X86_FEATURE_RRSBA), "");
    p = model("intel-icelake-sp", 0);
    p.arch_caps = 1u << X86_FEATURE_EIBRS % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_RRSBA), ALL);
    p.arch_caps = 1u << X86_FEATURE_RRSBA % 32; /* that nothing restricts */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max pv hvm ");
    assert_string_equal(has(X86_FEATURE_RRSBA), "host ");
}

static void register_files(void **state)
{
    struct cpu_policy p = model("intel-icelake-sp", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RFDS_NO), ALL);
    p.basic[1].a = 0x506c9; /* Goldmont */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RFDS_NO), "");
    p.basic[1].a = 0x90672; /* Alder Lake, without and with small cores */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RFDS_NO), ALL);
    p.feat[0].d |= 1u << X86_FEATURE_HYBRID % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RFDS_NO), "");
}

/* The hypervisor gives guests STIBP with IBRS, and IBPB alone where there is Intel's IBRS. */
static void speculation_control_on_intel(void **state)
{
    struct cpu_policy p = model("intel-haswell-ep", 0);

    (void)state;
    p.feat[0].d &= ~(1u << X86_FEATURE_IBRSB % 32 | 1u << X86_FEATURE_STIBP % 32);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_STIBP), "");
    assert_string_equal(has(X86_FEATURE_IBPB), "");
    p.feat[0].d |= 1u << X86_FEATURE_IBRSB % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_STIBP), "pv-max hvm-max pv hvm ");
    assert_string_equal(has(X86_FEATURE_IBPB), "pv-max hvm-max pv hvm ");
}

static void speculation_control_on_amd(void **state)
{
    struct cpu_policy p = model("amd-bergamo", 0);
    const uint32_t virtualised = 1u << 20; /* 8000000A.EDX */

    (void)state;
    p.extd[0xa].d |= virtualised;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_IBRS), "host hvm-max hvm ");
    assert_string_equal(has(X86_FEATURE_AMD_SSBD), "host hvm-max hvm ");
    assert_string_equal(has(X86_FEATURE_VIRT_SSBD), "hvm-max ");
    p.extd[0xa].d &= ~virtualised;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_IBRS), "host ");
    assert_string_equal(has(X86_FEATURE_AMD_SSBD), "host ");
    assert_string_equal(has(X86_FEATURE_IBPB), ALL); /* another MSR */

    p = model("amd-vishera", 0); /* by LS_CFG */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_VIRT_SSBD), "hvm-max hvm ");
    p = model("amd-barcelona", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_VIRT_SSBD), "");
}

static void bits_later_than_the_cpu(void **state)
{
    struct cpu_policy zen1 = model("hygon-dhyana", 0), zen2 = model("amd-castle-peak", 0),
                      zen4 = model("amd-bergamo", 0), zen5 = model("amd-granite-ridge", 0);

    (void)state;
    zen4.extd[8].b &= ~(1u << X86_FEATURE_BTC_NO % 32);
    derive(&zen4, "");
    assert_string_equal(has(X86_FEATURE_BTC_NO), ALL);
    assert_string_equal(has(X86_FEATURE_VERW_CLEAR), ALL);
    assert_string_equal(has(X86_FEATURE_TSA_SQ_NO), "");
    derive(&zen2, "");
    assert_string_equal(has(X86_FEATURE_NSCB), ALL);
    assert_string_equal(has(X86_FEATURE_TSA_L1_NO), ALL);
    assert_string_equal(has(X86_FEATURE_VERW_CLEAR), "pv-max hvm-max ");
    derive(&zen1, "");
    assert_string_equal(has(X86_FEATURE_NSCB), "");
    assert_string_equal(has(X86_FEATURE_TSA_SQ_NO), ""); /* Hygon has said nothing */
    derive(&zen5, "");
    assert_string_equal(has(X86_FEATURE_TSA_SQ_NO), ALL);
}

static void sysenter_on_amd(void **state)
{
    struct cpu_policy p = model("amd-barcelona", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_SEP), "hvm-max hvm ");
    assert_string_equal(has(X86_FEATURE_LFENCE_DISPATCH), ALL);
    assert_string_equal(has(X86_FEATURE_MONITOR), "");
}

/* Topology is the toolstack's to give: who comes may have seen any. */
static void topology_bits(void **state)
{
    struct cpu_policy p = model("intel-haswell-ep", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_HTT), ALL);
    p.basic[1].d &= ~(1u << X86_FEATURE_HTT % 32);
    p.feat[0].b &= ~(1u << X86_FEATURE_RTM % 32);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_HTT), "pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_CMP_LEGACY), "pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "");
    p.feat[0].b |= 1u << X86_FEATURE_RTM % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "pv-max hvm-max ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rdrand_of_ivy_bridge_clients),
        cmocka_unit_test(rdrand_of_amd_15_and_16),
        cmocka_unit_test(clwb_of_skylake_servers),
        cmocka_unit_test(gather_data_sampling),
        cmocka_unit_test(returns_from_elsewhere),
        cmocka_unit_test(register_files),
        cmocka_unit_test(speculation_control_on_intel),
        cmocka_unit_test(speculation_control_on_amd),
        cmocka_unit_test(bits_later_than_the_cpu),
        cmocka_unit_test(sysenter_on_amd),
        cmocka_unit_test(topology_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
