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
#include <cpuid-policy/vocabulary.h>
#include <host-policy.h>

#include "cpus.h"
#include "features-gen.h"

enum which { HOST, PV_MAX, HVM_MAX, PV_DEFAULT, HVM_DEFAULT, WHICH };
static struct cpu_policy policies[WHICH];

static void derive_for(const struct cpu_policy *raw, const char *cmdline, unsigned int xen)
{
    struct cpu_policy *p = policies;
    struct host_options o;
    size_t where;

    assert_int_equal(host_options_parse(&o, cmdline, &where), 0);
    o.xen = xen;
    host_policy_from_raw(&p[HOST], raw, &o);
    host_policy_guest_max(&p[PV_MAX], raw, &p[HOST], &o, GUEST_PV);
    host_policy_guest_max(&p[HVM_MAX], raw, &p[HOST], &o, GUEST_HVM_HAP);
    host_policy_guest_default(&p[PV_DEFAULT], &p[PV_MAX], &p[HOST], &o, GUEST_PV);
    host_policy_guest_default(&p[HVM_DEFAULT], &p[HVM_MAX], &p[HOST], &o, GUEST_HVM_HAP);
}

static void derive(const struct cpu_policy *raw, const char *cmdline)
{
    derive_for(raw, cmdline, 417);
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

    /* Its microcode is too old, and the CPU shows it: it states MSR ARCH_CAPS without GDS_CTRL. */
    p.arch_caps = 0x16b;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_GDS_NO), "");
    assert_string_equal(has(X86_FEATURE_AVX), "");
    derive(&p, "spec-ctrl=no-xen");
    assert_string_equal(has(X86_FEATURE_AVX), ALL);
    p.arch_caps |= 1u << X86_FEATURE_GDS_CTRL % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_GDS_NO), ALL);
    p.arch_caps = 0; /* a dump without the MSR shows nothing: as above */

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

/* Xen does not know Knights any more; of Broadwell's servers it knows four steppings. */
static void returns_by_release_and_stepping(void **state)
{
    struct cpu_policy p = model("intel-knights-landing", 0);

    (void)state;
    derive_for(&p, "", 419);
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max ");
    derive_for(&p, "", 420);
    assert_string_equal(has(X86_FEATURE_RSBA), ALL);
    p = model("intel-broadwell-e", 0x50664);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max ");
    p.basic[1].a = 0x50661;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_RSBA), ALL);
}

/* The cores from EIBRS to Golden Cove have it; every other CPU of Intel's is said not to. */
static void indirect_target_selection(void **state)
{
    struct cpu_policy p = model("intel-icelake-sp", 0);

    (void)state;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), "");
    p.arch_caps = 1u << X86_FEATURE_EIBRS % 32;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), "");
    p.feat[2].d |= 1u << X86_FEATURE_BHI_CTRL % 32; /* Golden Cove and later */
    p.feat[0].a = 2;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), ALL);
    p = model("intel-icelake-sp", 0x806f8); /* Sapphire Rapids is not in the table */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), ALL);
    p = model("intel-icelake-sp", 0);
    p.arch_caps = 1u << X86_FEATURE_RSBA % 32; /* as Skylake before */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), ALL);
    p.basic[1].c |= 1u << X86_FEATURE_HYPERVISOR % 32; /* who knows what is below */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), "");
    p = model("intel-haswell-ep", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), ALL);
    p = model("amd-castle-peak", 0);
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_ITS_NO), "");
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

/* Of TSA: who states one of the two bits is believed in both; microcode is of some models. */
static void transient_scheduler_attacks(void **state)
{
    struct cpu_policy zen4 = model("amd-bergamo", 0), zen5 = model("amd-granite-ridge", 0);

    (void)state;
    zen5.extd[0x21].c |= 1u << X86_FEATURE_TSA_SQ_NO % 32;
    derive(&zen5, "");
    assert_string_equal(has(X86_FEATURE_TSA_SQ_NO), ALL);
    assert_string_equal(has(X86_FEATURE_TSA_L1_NO), "");
    zen4.basic[1].a = 0xa10f10; /* a stepping that was never sold */
    derive(&zen4, "");
    assert_string_equal(has(X86_FEATURE_VERW_CLEAR), "pv-max hvm-max ");
}

/* Barriers that also clear branch types: every IBPB before Zen 3, with microcode on Zen 3 and 4. */
static void barriers_of_amd(void **state)
{
    struct cpu_policy zen2 = model("amd-castle-peak", 0), zen4 = model("amd-bergamo", 0),
                      old = model("amd-vishera", 0), dhyana = model("hygon-dhyana", 0);

    (void)state;
    derive(&zen2, "");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), ALL);
    assert_string_equal(has(X86_FEATURE_SBPB), "");
    derive(&zen2, "cpuid=no-ibpb");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), "");
    derive(&zen4, "");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), ALL);
    assert_string_equal(has(X86_FEATURE_SBPB), ALL);
    derive(&old, "");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), "");
    dhyana.extd[8].b |= 1u << X86_FEATURE_IBPB % 32;
    derive(&dhyana, "");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), ALL);
    zen2.basic[1].c |= 1u << X86_FEATURE_HYPERVISOR % 32;
    derive(&zen2, "");
    assert_string_equal(has(X86_FEATURE_IBPB_BRTYPE), "");
}

/* One thread a core makes Zen 1 and 2 safe from SRSO: leaf B says it, or 8000001E. */
static void return_stack_overflow(void **state)
{
    struct cpu_policy p = model("amd-castle-peak", 0);

    (void)state;
    derive(&p, ""); /* two threads a core */
    assert_string_equal(has(X86_FEATURE_SRSO_NO), "");
    p.topo[0].b = 1;
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_SRSO_NO), ALL);
    p.topo[0].b = 0;
    p.extd[0x1e] = (struct cpuid_regs){.b = 0x100};
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_SRSO_NO), "");
    p.extd[0x1e] = (struct cpuid_regs){.b = 1};
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_SRSO_NO), ALL);
    p.extd[0x1e] = (struct cpuid_regs){0}; /* not in the dump */
    derive(&p, "");
    assert_string_equal(has(X86_FEATURE_SRSO_NO), "");
}

static void wrong_bits_of_amd(void **state)
{
    struct cpu_policy k8 = model("amd-k8-santa-rosa", 0), piledriver = model("amd-vishera", 0);

    (void)state;
    k8.extd[1].c |= 1u;
    k8.basic[1].a = 0xf5a; /* before revision D */
    k8.basic[1].d |= 1u << 31;
    derive(&k8, "");
    assert_string_equal(has(X86_FEATURE_LAHF_LM), "");
    assert_string_equal(has(X86_FEATURE_PBE), "");
    derive_for(&k8, "", 422);
    assert_string_equal(has(X86_FEATURE_PBE), "host ");
    k8.basic[1].a = 0x10f5a;
    derive(&k8, "");
    assert_string_equal(has(X86_FEATURE_LAHF_LM), ALL);
    piledriver.basic[1].a = 0x610f01;
    piledriver.extd[1].c &= ~(1u << X86_FEATURE_TOPOEXT % 32);
    derive(&piledriver, "");
    assert_string_equal(has(X86_FEATURE_TOPOEXT), "host ");
}

static struct cpu_policy with_tsx(uint32_t signature, uint32_t ebx, uint32_t edx,
                                  uint32_t arch_caps)
{
    struct cpu_policy p = model("intel-icelake-sp", signature);

    p.feat[0].b = (p.feat[0].b & ~(1u << 4 | 1u << 11)) | ebx;
    p.feat[0].d = (p.feat[0].d & ~(1u << 9 | 1u << 11 | 1u << 13)) | edx;
    p.arch_caps = arch_caps;
    return p;
}

/* TSX_CTRL: what was hidden is seen, and born guests have it where TAA does no harm. */
static void transactions_by_tsx_ctrl(void **state)
{
    struct cpu_policy hidden = with_tsx(0x606a6, 0, 0, 0x20801eb), /* with TAA_NO */
        taa = with_tsx(0x50656, 0x810, 0, 0x20000ab),
                      given_up = with_tsx(0x806ec, 0, 1u << 9 | 1u << 11, 0x2000be9);

    (void)state;
    derive(&hidden, "");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
    assert_string_equal(has(X86_FEATURE_HLE), "host pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "pv-max hvm-max ");
    derive(&hidden, "tsx=0");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "pv-max hvm-max pv hvm ");
    derive(&hidden, "cpuid=no-rtm");
    assert_string_equal(has(X86_FEATURE_RTM), "");

    derive(&taa, "");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    derive(&taa, "tsx=1");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
    derive(&taa, "spec-ctrl=no");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
    derive(&taa, "smt=0");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    taa.arch_caps |= 1u << X86_FEATURE_FB_CLEAR % 32;
    derive(&taa, "smt=0 spec-ctrl=unpriv-mmio");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);

    /* Client parts after the microcode of 2022 */
    derive(&given_up, "");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "host pv-max hvm-max pv hvm ");
    derive(&given_up, "tsx=1");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
}

static void transactions_by_force_abort(void **state)
{
    const uint32_t force = 1u << 13, always = 1u << 11;
    struct cpu_policy server = with_tsx(0x50654, 0x810, force, 0),
                      client = with_tsx(0x906e9, 0, force | always, 0),
                      broken = with_tsx(0x906ea, 0, force | always, 0),
                      haswell = model("intel-haswell-ep", 0);

    (void)state;
    derive(&server, "");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
    derive(&server, "spec-ctrl=no");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
    derive(&server, "no-tsx");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    derive(&client, "");
    assert_string_equal(has(X86_FEATURE_RTM), "host pv-max hvm-max ");
    derive(&broken, "");
    assert_string_equal(has(X86_FEATURE_RTM), "");
    assert_string_equal(has(X86_FEATURE_RTM_ALWAYS_ABORT), "");
    assert_string_equal(has(X86_FEATURE_TSX_FORCE_ABORT), "");
    /* No means to switch it off: the option is not heard. */
    haswell.feat[0].b |= 1u << X86_FEATURE_RTM % 32;
    derive(&haswell, "tsx=0");
    assert_string_equal(has(X86_FEATURE_RTM), ALL);
}

/* MSR SPEC_CTRL is not for guests where the command line says so, born here or coming. */
static void spec_ctrl_by_command_line(void **state)
{
    struct cpu_policy p = model("intel-icelake-sp", 0), amd = model("amd-bergamo", 0);

    (void)state;
    p.arch_caps = 0x2000000 | 1u << X86_FEATURE_EIBRS % 32;
    p.feat[0].d |= 1u << 26 | 1u << 27 | 1u << 31;
    derive(&p, "spec-ctrl=msr-sc=no");
    assert_string_equal(has(X86_FEATURE_IBRSB), "host ");
    assert_string_equal(has(X86_FEATURE_STIBP), "host ");
    assert_string_equal(has(X86_FEATURE_SSBD), "host ");
    assert_string_equal(has(X86_FEATURE_EIBRS), "host ");
    assert_string_equal(has(X86_FEATURE_IBPB), "pv-max hvm-max pv hvm "); /* another MSR */
    /* Without EIBRS the warning of returns has no restriction. */
    assert_string_equal(has(X86_FEATURE_RSBA), "pv-max hvm-max pv hvm ");
    derive(&p, "spec-ctrl=msr-sc=no-pv");
    assert_string_equal(has(X86_FEATURE_IBRSB), "host hvm-max hvm ");
    derive(&p, "spec-ctrl=no-hvm");
    assert_string_equal(has(X86_FEATURE_IBRSB), "host pv-max pv ");

    amd.extd[0xa].d |= 1u << 20;
    derive(&amd, "spec-ctrl=msr-sc=no");
    assert_string_equal(has(X86_FEATURE_IBRS), "host ");
    assert_string_equal(has(X86_FEATURE_AMD_SSBD), "host ");
    assert_string_equal(has(X86_FEATURE_VIRT_SSBD), "");
    amd.extd[0x21].a |= 1u << 30; /* SRSO_US_NO, which PV guests have by BP_SPEC_REDUCE alone */
    derive(&amd, "");
    assert_string_equal(has(X86_FEATURE_SRSO_US_NO), "host hvm-max hvm ");
    amd.extd[0x21].a |= 1u << 31;
    derive(&amd, "");
    assert_string_equal(has(X86_FEATURE_SRSO_US_NO), ALL);
    derive(&amd, "spec-ctrl=bp-spec-reduce=0");
    assert_string_equal(has(X86_FEATURE_SRSO_US_NO), "host hvm-max hvm ");
}

/* Masks work where the CPU has the MSRs, and hide from the hypervisor too. */
static void masks_hide_from_all(void **state)
{
    struct cpu_policy nehalem = model("intel-nehalem-ep", 0),
                      haswell = model("intel-haswell-ep", 0), k8 = model("amd-k8-santa-rosa", 0);

    (void)state;
    derive(&nehalem, "cpuid_mask_ecx=0xffefffff"); /* SSE4.2 */
    assert_string_equal(has(X86_FEATURE_SSE4_2), "");
    assert_string_equal(has(X86_FEATURE_SSE4_1), ALL);
    derive(&haswell, "cpuid_mask_ecx=0xffefffff");
    assert_string_equal(has(X86_FEATURE_SSE4_2), ALL);
    derive(&k8, "cpuid_mask_cpu=fam_0f_rev_c");
    assert_string_equal(has(X86_FEATURE_SSE3), "");
    assert_string_equal(has(X86_FEATURE_LM), ALL);
    assert_string_equal(has(X86_FEATURE_RDTSCP), "");
    derive(&k8, "cpuid_mask_cpu=fam_0f_rev_c cpuid_mask_edx=0xfffffffe");
    assert_string_equal(has(X86_FEATURE_SSE3), ALL); /* the mask of that leaf counts instead */
    assert_string_equal(has(X86_FEATURE_RDTSCP), "");
}

static void leaf_of_the_pmu(void **state)
{
    struct cpu_policy p = model("intel-haswell-ep", 0), amd = model("amd-bergamo", 0);

    (void)state;
    assert_true(p.basic[0xa].a != 0);
    derive(&p, "");
    for (unsigned int i = 0; i < WHICH; i++)
        assert_int_equal(policies[i].basic[0xa].a, 0);
    derive(&p, "vpmu=on");
    for (unsigned int i = 0; i < WHICH; i++)
        assert_memory_equal(&policies[i].basic[0xa], &p.basic[0xa], sizeof(p.basic[0xa]));
    amd.basic[0xa].a = 2;
    derive(&amd, "vpmu=on");
    assert_int_equal(policies[HVM_DEFAULT].basic[0xa].a, 0);
}

/* Xen offers what all CPUs of a machine have. */
static void cpus_that_are_not_alike(void **state)
{
    struct cpu_policy boot = model("intel-icelake-sp", 0), other = boot, unknown = {0},
                      all[8] = {0};
    struct host_options o;
    bool has_hvm, has_hap;

    (void)state;
    host_options_init(&o);
    host_add_lacking(&o.lacking, &boot, &other, NULL);
    assert_true(featureset_empty(&o.lacking));
    other.basic[1].b ^= 1u << 24;                         /* APIC id */
    other.basic[1].c ^= 1u << X86_FEATURE_OSXSAVE % 32;   /* what CR4 was */
    other.basic[6].a ^= 1;                                /* power */
    other.feat[0].b &= ~(1u << X86_FEATURE_AVX512F % 32); /* an efficient core */
    other.feat[0].b |= 1u << X86_FEATURE_RTM % 32;        /* more is nothing */
    unknown.feat[0].b = 1u << X86_FEATURE_SHA % 32;       /* nobody knows */
    other.feat[0].b &= ~unknown.feat[0].b;
    host_add_lacking(&o.lacking, &boot, &other, &unknown);
    assert_int_equal(featureset_count(&o.lacking), 1);
    assert_true(featureset_test(&o.lacking, X86_FEATURE_AVX512F));

    all[0] = boot;
    host_policies_derive(all, &o, &has_hvm, &has_hap);
    for (unsigned int i = 1; i < HOST_SYSTEM_POLICIES; i++)
        assert_false(policy_has(&all[i], X86_FEATURE_AVX512F));
    assert_true(policy_has(&all[0], X86_FEATURE_AVX512F)); /* the boot CPU's, as Xen shows it */
    assert_false(policy_has(&all[5], X86_FEATURE_AVX512BW));
    assert_int_equal(all[5].xstate[0].a & 0xe0, 0);
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
        cmocka_unit_test(returns_by_release_and_stepping),
        cmocka_unit_test(indirect_target_selection),
        cmocka_unit_test(register_files),
        cmocka_unit_test(speculation_control_on_intel),
        cmocka_unit_test(speculation_control_on_amd),
        cmocka_unit_test(bits_later_than_the_cpu),
        cmocka_unit_test(transient_scheduler_attacks),
        cmocka_unit_test(barriers_of_amd),
        cmocka_unit_test(return_stack_overflow),
        cmocka_unit_test(wrong_bits_of_amd),
        cmocka_unit_test(transactions_by_tsx_ctrl),
        cmocka_unit_test(transactions_by_force_abort),
        cmocka_unit_test(spec_ctrl_by_command_line),
        cmocka_unit_test(masks_hide_from_all),
        cmocka_unit_test(leaf_of_the_pmu),
        cmocka_unit_test(cpus_that_are_not_alike),
        cmocka_unit_test(sysenter_on_amd),
        cmocka_unit_test(topology_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
