/* SPDX-License-Identifier: MIT */
/*
 * Levelling on every mechanism: what is found, what a PV guest reads, what is written and when.
 * What must hold over whole histories is in test_properties.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hypervisor.h>
#include <sim/platform.h>
#include <xen/errno.h>
#include <xen/sysctl.h>

#include "cpus.h"
#include "features-gen.h"

#define CAP(name) XEN_SYSCTL_CPU_LEVELCAP_##name

static struct platform platform;
static struct hypervisor hv;
static char console[1 << 16];

static void keep_line(void *opaque, const char *text, size_t len)
{
    size_t at = strlen(console);

    (void)opaque;
    if (at + len + 2 < sizeof(console)) {
        memcpy(console + at, text, len);
        console[at + len] = '\n';
        console[at + len + 1] = '\0';
    }
}

/* The machine, before it is switched on. */
static void build(const char *cpu)
{
    memset(&platform, 0, sizeof(platform));
    platform.model.cpuid = *test_cpu(cpu);
    /* Ivy Bridge and later have faulting; dumps do not have its MSR. */
    if (platform.model.cpuid.basic[0].b == 0x756e6547u) {
        unsigned int family, model, stepping;

        policy_signature(&platform.model.cpuid, &family, &model, &stepping);
        if (family == 6 && model >= 0x3a)
            platform.model.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    }
}

static int try_boot(const char *cmdline)
{
    int rc;

    console[0] = '\0';
    sim_cpu_model_init(&platform.model);
    assert_int_equal(sim_platform_init(&platform, 2, 64), 0);
    platform.console.line = keep_line;
    rc = hypervisor_boot(&hv, &platform, cmdline);
    if (rc)
        sim_platform_fini(&platform);
    return rc;
}

static void boot(const char *cpu)
{
    build(cpu);
    assert_int_equal(try_boot(""), 0);
}

static void halt(void)
{
    hypervisor_shutdown(&hv);
    assert_int_equal(platform.allocated, 0);
    sim_platform_fini(&platform);
}

/* A PV (or HVM) domain whose vCPU 0 is ready to run, without the features that are named. */
static struct domain *create(bool hvm, const unsigned int *without, size_t n)
{
    struct xen_domctl_createdomain config = {
        .flags = hvm ? XEN_DOMCTL_CDF_hvm | (hv.has_hap ? XEN_DOMCTL_CDF_hap : 0) : 0,
        .arch.emulation_flags = hvm ? XEN_X86_EMU_LAPIC : 0,
        .max_vcpus = 1,
    };
    struct domain *d;
    struct cpu_policy p;
    struct featureset fs;

    assert_int_equal(domain_create(&hv, 0x7ff4, &config, &d), 0);
    p = d->policy;
    policy_to_featureset(&p, &fs);
    for (size_t i = 0; i < n; i++)
        featureset_drop(&fs, without[i]);
    policy_from_featureset(&p, &fs);
    policy_close(&p, NULL);
    domain_set_policy(d, &p);
    assert_int_equal(vcpu_create(d, 0), 0);
    return d;
}

/* What a program in this PV domain reads on pCPU 0. */
static struct cpuid_regs pv_reads(struct domain *d, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    context_switch(&hv, 0, hv.pcpus[0].current, d->vcpus[0]);
    if (!sim_pcpu_cpuid(&platform.pcpus[0], 3, leaf, subleaf, &r))
        guest_cpuid(d->vcpus[0], leaf, subleaf, &r);
    return r;
}

static uint64_t writes(void)
{
    return hv.pcpus[0].levelling.writes;
}

/* ---- what is found ---- */

static const struct {
    const char *cpu;
    enum levelling_kind kind;
    uint32_t caps;
} found[] = {
    {"intel-penryn", LEVELLING_INTEL_V1, CAP(ecx) | CAP(edx)},
    {"intel-nehalem-ep", LEVELLING_INTEL_V2, CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx)},
    {"intel-sandybridge-ep", LEVELLING_INTEL_V3,
     CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx) | CAP(xsave_eax)},
    {"intel-ivybridge-ep", LEVELLING_INTEL_FAULTING, CAP(faulting)},
    {"intel-granite-rapids", LEVELLING_INTEL_FAULTING, CAP(faulting)},
    {"amd-barcelona", LEVELLING_AMD, CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx)},
    {"amd-vishera", LEVELLING_AMD,
     CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx) | CAP(thermal_ecx) | CAP(l7s0_eax) |
         CAP(l7s0_ebx)},
    {"amd-castle-peak", LEVELLING_AMD,
     CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx) | CAP(l7s0_eax) | CAP(l7s0_ebx)},
    {"hygon-dhyana", LEVELLING_AMD,
     CAP(ecx) | CAP(edx) | CAP(extd_ecx) | CAP(extd_edx) | CAP(l7s0_eax) | CAP(l7s0_ebx)},
    {"amd-bergamo", LEVELLING_AMD_USERDIS, CAP(faulting)},
};

static void each_cpu_is_found_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        boot(found[i].cpu);
        if (hv.levelling.kind != found[i].kind || hv.levelling.caps != found[i].caps)
            fail_msg("%s: %s, %x, expected %s, %x", found[i].cpu,
                     levelling_kind_name(hv.levelling.kind), hv.levelling.caps,
                     levelling_kind_name(found[i].kind), found[i].caps);
        assert_int_equal(hv.levelling.caps, hv.levelling.expected_caps);
        halt();
    }
}

static void virtualised_there_is_nothing_and_it_is_said(void **state)
{
    static const char *const cpus[] = {"intel-penryn", "intel-sandybridge-ep", "amd-castle-peak"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        build(cpus[i]);
        platform.model.virtualised = true;
        assert_int_equal(try_boot(""), 0);
        assert_int_equal(hv.levelling.kind, LEVELLING_NONE);
        assert_int_equal(hv.levelling.caps, 0);
        assert_int_not_equal(hv.levelling.expected_caps, 0);
        assert_non_null(strstr(console, "should be there and is not"));
        halt();
    }
}

static void faulting_that_is_promised_but_missing(void **state)
{
    (void)state;
    /* The MSR says that it is there, the other one faults: nothing may stand on it. */
    build("intel-ivybridge-ep");
    sim_cpu_model_init(&platform.model);
    assert_int_equal(sim_platform_init(&platform, 1, 64), 0);
    platform.model.has_faulting = false;
    assert_int_equal(hypervisor_boot(&hv, &platform, ""), 0);
    assert_int_equal(hv.levelling.kind, LEVELLING_NONE);
    assert_int_equal(hv.levelling.caps, 0);
    halt();
}

static void k8_is_asked_with_its_key(void **state)
{
    (void)state;
    build("amd-barcelona");
    platform.model.cpuid.basic[1].a = 0x00040f33; /* family 0xF, model 0x43 */
    assert_int_equal(try_boot(""), 0);
    assert_int_equal(hv.levelling.kind, LEVELLING_AMD);
    assert_int_equal(hv.levelling.edi, 0x9c5a203a);
    halt();
}

/* ---- what a PV guest reads ---- */

static void comparable(struct featureset *fs)
{
    featureset_and(fs, fs, featureset_known());
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(fs, fs, featureset_number_bits());
    fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = 0;
}

/* Its policy, and beyond it exactly the bits that are reported as visible. */
static void check_reading(const char *cpu, struct domain *d)
{
    struct featureset seen = {{0}}, expected, hardware;

    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);
        struct cpuid_regs r;

        if (info->leaf == UINT32_MAX || info->leaf > pv_reads(d, info->leaf & 0x80000000u, 0).a)
            continue;
        r = pv_reads(d, info->leaf, info->subleaf == UINT32_MAX ? 0 : info->subleaf);
        seen.w[w] = (&r.a)[info->reg];
    }
    policy_to_featureset(&d->policy, &expected);
    policy_to_featureset(&hv.policies[XEN_SYSCTL_cpu_policy_raw], &hardware);
    if (!(hv.levelling.caps & CAP(faulting))) {
        featureset_and(&expected, &expected, &hardware);
        featureset_or(&expected, &expected, &d->levelling.visible);
    } else {
        assert_true(featureset_empty(&d->levelling.visible));
    }
    comparable(&seen);
    comparable(&expected);
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++)
        if (seen.w[w] != expected.w[w])
            fail_msg("%s: a PV guest reads %s = %08x, expected %08x", cpu,
                     featureset_word_info(w)->location, seen.w[w], expected.w[w]);
}

static void pv_guests_read_their_policy(void **state)
{
    static const unsigned int without[] = {
        X86_FEATURE_SSE4_2,  X86_FEATURE_SSE3,     X86_FEATURE_AVX,    X86_FEATURE_MMX,
        X86_FEATURE_LAHF_LM, X86_FEATURE_NX,       X86_FEATURE_RDTSCP, X86_FEATURE_FSGSBASE,
        X86_FEATURE_ERMS,    X86_FEATURE_XSAVEOPT,
    };
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        boot(cpus[i].name);
        for (size_t k = 0; k <= sizeof(without) / sizeof(without[0]); k++)
            check_reading(cpus[i].name, create(false, without, k));
        halt();
    }
}

static void an_override_never_claims_what_is_not_there(void **state)
{
    struct domain *d;
    struct cpu_policy p;

    (void)state;
    boot("amd-barcelona");
    d = create(false, NULL, 0);
    /* A policy as no audit would let through: the masks must hold even then. */
    p = d->policy;
    p.basic[1].c |= 1u << (X86_FEATURE_SSE4_2 % 32) | 1u << (X86_FEATURE_AVX % 32);
    p.basic[1].d = p.extd[1].c = p.extd[1].d = ~0u;
    domain_set_policy(d, &p);
    assert_int_equal(pv_reads(d, 1, 0).c & ~platform.model.cpuid.basic[1].c, 0);
    assert_int_equal(pv_reads(d, 1, 0).d & ~platform.model.cpuid.basic[1].d, 0);
    assert_int_equal(pv_reads(d, 0x80000001, 0).c & ~platform.model.cpuid.extd[1].c, 0);
    assert_int_equal(pv_reads(d, 0x80000001, 0).d & ~platform.model.cpuid.extd[1].d, 0);
    halt();
}

static void overrides_of_leaves_6_and_7_neither(void **state)
{
    struct domain *d;
    struct cpu_policy p;

    (void)state;
    boot("amd-vishera");
    d = create(false, NULL, 0);
    p = d->policy;
    p.basic[6].c = p.feat[0].b = ~0u;
    domain_set_policy(d, &p);
    assert_int_equal(pv_reads(d, 6, 0).c & ~platform.model.cpuid.basic[6].c, 0);
    assert_int_equal(pv_reads(d, 7, 0).b & ~platform.model.cpuid.feat[0].b, 0);
    halt();
}

/* The bit in a policy means nothing: CR4 does. */
static void osxsave_of_a_policy_is_not_shown(void **state)
{
    static const char *const cpus[] = {"intel-sandybridge-ep", "amd-bulldozer"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct domain *d;
        struct cpu_policy p;

        boot(cpus[i]);
        d = create(false, NULL, 0);
        p = d->policy;
        p.basic[1].c |= 1u << (X86_FEATURE_OSXSAVE % 32);
        d->policy = p;
        levelling_domain_update(&hv, d);
        assert_false(pv_reads(d, 1, 0).c >> (X86_FEATURE_OSXSAVE % 32) & 1);
        halt();
    }
}

/* On family 0xF, MSR CE is something else: nobody reads it. */
static void netburst_is_not_asked(void **state)
{
    (void)state;
    build("intel-penryn");
    platform.model.cpuid.basic[1].a = 0x00000f43;
    platform.model.cpuid.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(try_boot(""), 0);
    assert_int_equal(hv.levelling.caps, 0);
    hv.policies[XEN_SYSCTL_cpu_policy_raw].platform_info = PLATFORM_INFO_CPUID_FAULTING;
    platform.pcpus[0].msr_reads = 0;
    levelling_init(&hv);
    assert_int_equal(platform.pcpus[0].msr_reads, 0);
    halt();
}

static void the_highest_subleaf_is_a_number(void **state)
{
    struct domain *d;
    struct cpu_policy p;

    (void)state;
    build("amd-castle-peak");
    platform.model.cpuid.feat[0].a = 2;
    assert_int_equal(try_boot(""), 0);
    d = create(false, NULL, 0);
    p = d->policy;
    p.feat[0].a = 1; /* 2 & 1 would be 0 */
    domain_set_policy(d, &p);
    assert_int_equal(pv_reads(d, 7, 0).a, 1);
    p.feat[0].a = 3;
    domain_set_policy(d, &p);
    assert_int_equal(pv_reads(d, 7, 0).a, 2);
    halt();
}

static void osxsave_and_apic_follow_the_vcpu(void **state)
{
    static const char *const cpus[] = {"intel-sandybridge-ep", "amd-bulldozer", "intel-haswell-ep",
                                       "amd-granite-ridge"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct cpu_policy p;
        struct domain *d;
        struct vcpu *v;

        boot(cpus[i]);
        d = create(false, NULL, 0);
        v = d->vcpus[0];
        assert_false(pv_reads(d, 1, 0).c >> (X86_FEATURE_OSXSAVE % 32) & 1);
        /* While it runs, its write shows at once. */
        v->running = true;
        v->pcpu = &hv.pcpus[0];
        assert_int_equal(vcpu_write_cr4(v, CR4_OSXSAVE), 0);
        v->running = false;
        assert_true(pv_reads(d, 1, 0).c >> (X86_FEATURE_OSXSAVE % 32) & 1);
        assert_int_equal(vcpu_write_cr4(v, 0), 0);
        assert_false(pv_reads(d, 1, 0).c >> (X86_FEATURE_OSXSAVE % 32) & 1);
        /* A PV guest has no APIC to disable: as its policy says. */
        assert_int_equal(pv_reads(d, 1, 0).d >> (X86_FEATURE_APIC % 32) & 1,
                         d->policy.basic[1].d >> (X86_FEATURE_APIC % 32) & 1);
        p = d->policy;
        p.basic[1].d &= ~(1u << (X86_FEATURE_APIC % 32));
        domain_set_policy(d, &p);
        assert_false(pv_reads(d, 1, 0).d >> (X86_FEATURE_APIC % 32) & 1);
        halt();
    }
}

/* ---- what is written, and when ---- */

static void an_msr_is_written_when_its_value_differs(void **state)
{
    static const unsigned int sse42[] = {X86_FEATURE_SSE4_2}, nx[] = {X86_FEATURE_NX};
    struct domain *plain, *other, *poor, *third, *hvm;
    uint64_t before, mask;

    (void)state;
    boot("intel-nehalem-ep");
    plain = create(false, NULL, 0);
    other = create(false, NULL, 0);
    poor = create(false, sse42, 1);
    third = create(false, nx, 1);
    hvm = create(true, NULL, 0);

    (void)pv_reads(plain, 0, 0);
    before = writes();
    (void)pv_reads(other, 0, 0); /* equal masks */
    assert_int_equal(writes(), before);
    (void)pv_reads(poor, 0, 0); /* leaf 1 differs */
    assert_int_equal(writes(), before + 1);
    mask = platform.pcpus[0].mask[MASK_1];
    context_switch(&hv, 0, poor->vcpus[0], hv.pcpus[0].idle);
    context_switch(&hv, 0, hv.pcpus[0].idle, hvm->vcpus[0]);
    assert_int_equal(writes(), before + 1); /* idle and HVM: as it is */
    assert_true(platform.pcpus[0].mask[MASK_1] == mask);
    (void)pv_reads(poor, 0, 0); /* it is still there */
    assert_int_equal(writes(), before + 1);
    (void)pv_reads(third, 0, 0); /* both differ */
    assert_int_equal(writes(), before + 3);
    assert_true(poor->levelling.costs_switches && third->levelling.costs_switches);
    assert_non_null(strstr(console, "cost MSR writes"));
    halt();
}

static void faulting_is_turned_on_once(void **state)
{
    static const char *const cpus[] = {"intel-haswell-ep", "amd-bergamo"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct domain *a, *b, *hvm;
        struct cpuid_regs r;

        boot(cpus[i]);
        a = create(false, NULL, 0);
        b = create(false, NULL, 0);
        hvm = create(true, NULL, 0);
        assert_true(sim_pcpu_cpuid(&platform.pcpus[0], 3, 0, 0, &r));
        (void)pv_reads(a, 0, 0);
        assert_int_equal(writes(), 1);
        (void)pv_reads(b, 0, 0);
        context_switch(&hv, 0, b->vcpus[0], hv.pcpus[0].idle);
        (void)pv_reads(a, 0, 0);
        assert_int_equal(writes(), 1);
        assert_false(sim_pcpu_cpuid(&platform.pcpus[0], 3, 0, 0, &r));
        /* A fault comes before the VM exit: an HVM guest must not get one it did not ask for. */
        context_switch(&hv, 0, a->vcpus[0], hvm->vcpus[0]);
        assert_true(sim_pcpu_cpuid(&platform.pcpus[0], 3, 0, 0, &r));
        hvm->vcpus[0]->regs.misc_features_enables = 1;
        context_switch(&hv, 0, a->vcpus[0], hvm->vcpus[0]);
        assert_false(sim_pcpu_cpuid(&platform.pcpus[0], 3, 0, 0, &r));
        halt();
    }
}

static void back_to_what_the_machine_had(void **state)
{
    static const unsigned int sse3[] = {X86_FEATURE_SSE3};
    static const char *const cpus[] = {"intel-penryn", "intel-sandybridge-ep", "amd-bulldozer",
                                       "intel-haswell-ep", "amd-granite-ridge"};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct sim_pcpu fresh;

        boot(cpus[i]);
        (void)pv_reads(create(false, sse3, 1), 0, 0);
        levelling_pcpu_restore(&hv, 0); /* a crash, kexec */
        sim_pcpu_reset(&fresh, &platform.model, 0);
        assert_memory_equal(platform.pcpus[0].mask, fresh.mask, sizeof(fresh.mask));
        assert_int_equal(platform.pcpus[0].misc_features_enables, 0);
        assert_int_equal(platform.pcpus[0].hwcr, 0);
        halt();
    }
}

static void a_pcpu_that_comes_up_holds_the_defaults(void **state)
{
    (void)state;
    boot("amd-castle-peak");
    assert_int_equal(pcpu_offline(&hv, 1), 0);
    /* Firmware left something else there. */
    platform.pcpus[1].mask[MASK_1] = 0x55;
    platform.pcpus[1].mask[MASK_7ab0] = 0xaa;
    assert_int_equal(pcpu_online(&hv, 1), 0);
    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++) {
        if (!hv.levelling.msr[slot])
            continue;
        assert_true(platform.pcpus[1].mask[slot] == hv.levelling.defaults.value[slot]);
        assert_true(hv.pcpus[1].levelling.held.value[slot] == platform.pcpus[1].mask[slot]);
    }
    halt();
}

static void old_options_take_from_everybody(void **state)
{
    struct domain *d;

    (void)state;
    build("intel-sandybridge-ep");
    /* Without SSE4.2 (bit 20) for all. */
    assert_int_equal(try_boot("cpuid_mask_ecx=0xffefffff"), 0);
    assert_int_equal(platform.pcpus[1].mask[MASK_1] >> 20 & 1, 0);
    d = create(false, NULL, 0);
    assert_false(pv_reads(d, 1, 0).c >> 20 & 1);
    halt();
    build("intel-haswell-ep");
    assert_int_equal(try_boot("cpuid_mask_ecx=0xffefffff"), 0);
    assert_non_null(strstr(console, "has no effect"));
    halt();
}

static void each_old_option_has_its_register(void **state)
{
    static const struct {
        const char *option;
        enum mask_slot slot;
        unsigned int bit; /* of the MSR's value */
    } options[] = {
        {"cpuid_mask_ecx=0xfffffffe", MASK_1, 32},
        {"cpuid_mask_edx=0xfffffffe", MASK_1, 0},
        {"cpuid_mask_ext_ecx=0xfffffffe", MASK_E1, 32},
        {"cpuid_mask_ext_edx=0xfffffffe", MASK_E1, 0},
        {"cpuid_mask_l7s0_ebx=0xfffffff7", MASK_7ab0, 3}, /* BMI1 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        uint64_t plain;

        build("amd-vishera");
        assert_int_equal(try_boot(""), 0);
        plain = hv.levelling.defaults.value[options[i].slot];
        if (!(plain >> options[i].bit & 1))
            fail_msg("%s: nothing to take from %llx", options[i].option, (unsigned long long)plain);
        halt();
        build("amd-vishera");
        assert_int_equal(try_boot(options[i].option), 0);
        assert_false(platform.pcpus[1].mask[options[i].slot] >> options[i].bit & 1);
        halt();
    }
}

/* The hypervisor reads with its own masks: OSXSAVE and APIC are as they are. */
static void the_defaults_show_how_things_are(void **state)
{
    static const char *const cpus[] = {"intel-sandybridge-ep", "amd-bulldozer"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct cpuid_regs r;

        boot(cpus[i]);
        platform_write_cr4(&platform, 1, CR4_OSXSAVE);
        platform_cpuid(&platform, 1, 1, 0, &r);
        assert_true(r.c >> (X86_FEATURE_OSXSAVE % 32) & 1);
        assert_true(r.d >> (X86_FEATURE_APIC % 32) & 1);
        halt();
    }
}

/* Neither written nor read: what it was believed to hold is not relied on. */
static void a_mask_that_is_not_known_is_written(void **state)
{
    struct domain *d;
    uint64_t wanted;
    uint32_t msr;

    (void)state;
    boot("intel-nehalem-ep");
    d = create(false, NULL, 0);
    context_switch(&hv, 1, hv.pcpus[1].idle, d->vcpus[0]);
    wanted = platform.pcpus[1].mask[MASK_1];
    msr = platform.model.mask_msr[MASK_1];
    platform.model.mask_msr[MASK_1] = 0; /* every access faults */
    assert_int_equal(pcpu_offline(&hv, 1), 0);
    assert_int_equal(pcpu_online(&hv, 1), 0);
    assert_int_equal(hv.pcpus[1].levelling.unknown, 1u << MASK_1);
    hv.pcpus[1].levelling.held.value[MASK_1] = wanted; /* by chance what is wanted */
    platform.model.mask_msr[MASK_1] = msr;
    platform.pcpus[1].mask[MASK_1] = ~0ull;
    context_switch(&hv, 1, hv.pcpus[1].idle, d->vcpus[0]);
    assert_true(platform.pcpus[1].mask[MASK_1] == wanted);
    assert_int_equal(hv.pcpus[1].levelling.unknown, 0);
    /* Idle has no masks of its own, whoever asks. */
    levelling_switch(&hv, 1, hv.pcpus[1].idle);
    assert_true(platform.pcpus[1].mask[MASK_1] == wanted);
    halt();
}

/* ---- accesses that fail ---- */

static void every_probe_may_fail(void **state)
{
    static const char *const cpus[] = {"intel-penryn", "intel-sandybridge-ep", "amd-vishera",
                                       "intel-haswell-ep", "amd-bergamo"};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        for (uint64_t at = 1;; at++) {
            bool failed;

            build(cpus[i]);
            platform.fail_msr.at = at;
            assert_int_equal(try_boot(""), 0);
            failed = platform.fail_msr.count >= at;
            platform.fail_msr.at = 0;
            /* Whatever was found, it is the truth: guests read what is reported. */
            check_reading(cpus[i], create(false, NULL, 0));
            for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++)
                if (hv.levelling.msr[slot])
                    assert_true(hv.pcpus[0].levelling.held.value[slot] ==
                                platform.pcpus[0].mask[slot]);
            halt();
            if (!failed)
                break;
        }
    }
}

static void a_write_that_fails_is_known(void **state)
{
    static const unsigned int sse42[] = {X86_FEATURE_SSE4_2};
    struct domain *d;
    uint64_t before;

    (void)state;
    boot("intel-nehalem-ep");
    (void)pv_reads(create(false, NULL, 0), 0, 0);
    d = create(false, sse42, 1);
    before = platform.pcpus[0].mask[MASK_1];
    platform.fail_msr.at = platform.fail_msr.count + 1;
    (void)pv_reads(d, 0, 0);
    assert_true(platform.pcpus[0].mask[MASK_1] == before);
    assert_true(hv.pcpus[0].levelling.held.value[MASK_1] == before);
    assert_int_equal(hv.pcpus[0].levelling.write_failures, 1);
    assert_non_null(strstr(console, "did not take a value"));
    /* The next switch tries again. */
    (void)pv_reads(d, 0, 0);
    assert_false(pv_reads(d, 1, 0).c >> (X86_FEATURE_SSE4_2 % 32) & 1);
    halt();
}

/* What the core believes is so, or it knows that it does not know. */
static void check_held(unsigned int pcpu)
{
    const struct levelling_pcpu *l = &hv.pcpus[pcpu].levelling;
    const struct sim_pcpu *c = &platform.pcpus[pcpu];

    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++)
        if (hv.levelling.msr[slot] && !(l->unknown >> slot & 1))
            assert_true(l->held.value[slot] == c->mask[slot]);
    if (!(l->unknown >> MASK_SLOTS & 1))
        assert_int_equal(l->faulting, (c->misc_features_enables & 1) || (c->hwcr >> 35 & 1));
}

static void every_switch_may_fail(void **state)
{
    static const unsigned int sse3[] = {X86_FEATURE_SSE3, X86_FEATURE_LAHF_LM};
    static const char *const cpus[] = {
        "intel-penryn",    "intel-nehalem-ep", "intel-sandybridge-ep", "amd-vishera",
        "amd-castle-peak", "intel-haswell-ep", "amd-granite-ridge"};

    (void)state;
    for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
        bool failed = true;

        for (uint64_t at = 1; failed; at++) {
            struct domain *pv[2];
            struct vcpu *order[5];

            boot(cpus[i]);
            pv[0] = create(false, NULL, 0);
            pv[1] = create(false, sse3, 2);
            order[0] = order[3] = pv[0]->vcpus[0];
            order[1] = pv[1]->vcpus[0];
            order[2] = hv.has_hvm ? create(true, NULL, 0)->vcpus[0] : order[1];
            order[4] = hv.pcpus[1].idle;
            platform.fail_msr.count = 0;
            platform.fail_msr.at = at;
            for (unsigned int k = 0; k < 5; k++) {
                context_switch(&hv, 1, hv.pcpus[1].idle, order[k]);
                check_held(1);
            }
            /* Down, off and on again, up. */
            assert_int_equal(pcpu_offline(&hv, 1), 0);
            check_held(1);
            sim_pcpu_reset(&platform.pcpus[1], &platform.model, 1);
            assert_int_equal(pcpu_online(&hv, 1), 0);
            check_held(1);
            failed = platform.fail_msr.count >= at;
            platform.fail_msr.at = 0;
            /* One failure is made good by the next switch. */
            for (unsigned int k = 0; k < 2; k++) {
                struct domain *d = pv[k];
                struct cpuid_regs r;

                context_switch(&hv, 1, hv.pcpus[1].idle, d->vcpus[0]);
                check_held(1);
                assert_int_equal(hv.pcpus[1].levelling.unknown, 0);
                if (hv.levelling.caps & CAP(faulting)) {
                    assert_false(sim_pcpu_cpuid(&platform.pcpus[1], 3, 1, 0, &r));
                } else {
                    assert_true(sim_pcpu_cpuid(&platform.pcpus[1], 3, 1, 0, &r));
                    assert_int_equal(r.c & 1, d->policy.basic[1].c & 1);
                }
            }
            halt();
        }
    }
}

/* Twice in a row: the way down and the way up.  What was on before is not believed to be on. */
static void faulting_that_is_not_known_is_turned_on(void **state)
{
    static const char *const cpus[] = {"intel-haswell-ep", "amd-granite-ridge"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct domain *d;
        struct cpuid_regs r;

        boot(cpus[i]);
        d = create(false, NULL, 0);
        context_switch(&hv, 1, hv.pcpus[1].idle, d->vcpus[0]);
        assert_false(sim_pcpu_cpuid(&platform.pcpus[1], 3, 0, 0, &r));
        platform.fail_msr.at = platform.fail_msr.count + 1;
        assert_int_equal(pcpu_offline(&hv, 1), 0);
        sim_pcpu_reset(&platform.pcpus[1], &platform.model, 1);
        platform.fail_msr.at = platform.fail_msr.count + 1;
        assert_int_equal(pcpu_online(&hv, 1), 0);
        platform.fail_msr.at = 0;
        context_switch(&hv, 1, hv.pcpus[1].idle, d->vcpus[0]);
        assert_false(sim_pcpu_cpuid(&platform.pcpus[1], 3, 0, 0, &r));
        halt();
    }
}

/* MSR 140 of a Xeon Phi also lets programs MONITOR and MWAIT (bit 1): that is firmware's affair. */
static void faulting_leaves_the_other_bit_alone(void **state)
{
    struct domain *d;

    (void)state;
    build("intel-knights-landing");
    platform.model.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(try_boot(""), 0);
    d = create(false, NULL, 0);
    assert_true(sim_pcpu_wrmsr(&platform.pcpus[0], 0x140, 0, 2));
    (void)pv_reads(d, 0, 0);
    assert_int_equal(platform.pcpus[0].misc_features_enables, 3);
    levelling_pcpu_restore(&hv, 0);
    assert_int_equal(platform.pcpus[0].misc_features_enables, 2);
    halt();
}

/* ---- registers that a guest writes ---- */

static void cr4_and_xcr0_are_the_policys(void **state)
{
    static const unsigned int avx[] = {X86_FEATURE_AVX}, smep[] = {X86_FEATURE_SMEP};
    struct vcpu *v;

    (void)state;
    boot("intel-skylake-sp");
    v = create(true, NULL, 0)->vcpus[0];
    assert_int_equal(vcpu_write_xcr0(v, 7), -XEN_EINVAL); /* XSAVE is not turned on */
    assert_int_equal(vcpu_write_cr4(v, CR4_OSXSAVE | 1u << 20), 0);
    assert_int_equal(vcpu_write_xcr0(v, 7), 0);
    assert_int_equal(vcpu_write_xcr0(v, 6), -XEN_EINVAL);    /* without x87 */
    assert_int_equal(vcpu_write_xcr0(v, 5), -XEN_EINVAL);    /* AVX without SSE */
    assert_int_equal(vcpu_write_xcr0(v, 0x27), -XEN_EINVAL); /* a third of AVX-512 */
    assert_int_equal(vcpu_write_xcr0(v, 0xe3), -XEN_EINVAL); /* AVX-512 without AVX */
    assert_int_equal(vcpu_write_xcr0(v, 0xe7), 0);
    assert_int_equal(vcpu_write_xcr0(v, 1ull << 62 | 7), -XEN_EINVAL);
    assert_int_equal(vcpu_write_cr4(v, 1ull << 40), -XEN_EINVAL);
    v = create(true, smep, 1)->vcpus[0];
    assert_int_equal(vcpu_write_cr4(v, 1u << 20), -XEN_EINVAL);
    v = create(true, avx, 1)->vcpus[0];
    assert_int_equal(vcpu_write_cr4(v, CR4_OSXSAVE), 0);
    assert_int_equal(vcpu_write_xcr0(v, 7), -XEN_EINVAL);
    assert_int_equal(vcpu_write_xcr0(v, 3), 0);
    halt();
}

/* XSETBV raises #UD without CR4.OSXSAVE (SDM vol. 2D): what is held and what is so stay the same.
 */
static void xcr0_is_written_where_it_can_be(void **state)
{
    struct vcpu *hvm, *pv;

    (void)state;
    boot("intel-skylake-sp");
    pv = create(false, NULL, 0)->vcpus[0];
    hvm = create(true, NULL, 0)->vcpus[0];
    assert_int_equal(vcpu_write_cr4(pv, CR4_OSXSAVE), 0);
    assert_int_equal(vcpu_write_xcr0(pv, 7), 0);
    context_switch(&hv, 0, hv.pcpus[0].idle, pv);
    assert_int_equal(platform.pcpus[0].xcr0, 7);
    context_switch(&hv, 0, pv, hvm); /* its CR4 has no OSXSAVE, its XCR0 is 1 */
    assert_int_equal(platform.pcpus[0].xcr0, hv.pcpus[0].xcr0);
    /* It turns XSAVE on while it runs: from now on its XCR0 counts. */
    hvm->running = true;
    hvm->pcpu = &hv.pcpus[0];
    assert_int_equal(vcpu_write_cr4(hvm, CR4_OSXSAVE), 0);
    hvm->running = false;
    assert_int_equal(platform.pcpus[0].xcr0, 1);
    context_switch(&hv, 0, hvm, pv);
    assert_int_equal(platform.pcpus[0].xcr0, 7);
    halt();
}

/* Its programs could read in leaf D, and use, what the vCPU before it had turned on. */
static void a_pv_guest_without_xsave_gets_no_xcr0_of_others(void **state)
{
    struct vcpu *before, *v;

    (void)state;
    boot("intel-skylake-sp");
    before = create(true, NULL, 0)->vcpus[0];
    v = create(false, NULL, 0)->vcpus[0];
    v->regs.xcr0 = 0;
    assert_int_equal(vcpu_write_cr4(before, CR4_OSXSAVE), 0);
    assert_int_equal(vcpu_write_xcr0(before, 7), 0);
    context_switch(&hv, 1, hv.pcpus[1].idle, before);
    assert_int_equal(platform.pcpus[1].xcr0, 7);
    context_switch(&hv, 1, before, v);
    assert_int_equal(platform.pcpus[1].xcr0, 1);
    halt();
}

static void registers_are_loaded_after_power_on(void **state)
{
    struct vcpu *v;

    (void)state;
    boot("intel-skylake-sp");
    v = create(true, NULL, 0)->vcpus[0];
    assert_int_equal(vcpu_write_cr4(v, CR4_OSXSAVE), 0);
    assert_int_equal(vcpu_write_xcr0(v, 7), 0);
    context_switch(&hv, 1, hv.pcpus[1].idle, v);
    assert_int_equal(pcpu_offline(&hv, 1), 0);
    sim_pcpu_reset(&platform.pcpus[1], &platform.model, 1);
    assert_int_equal(pcpu_online(&hv, 1), 0);
    context_switch(&hv, 1, hv.pcpus[1].idle, v);
    assert_int_equal(platform.pcpus[1].cr4, CR4_OSXSAVE);
    assert_int_equal(platform.pcpus[1].xcr0, 7);
    halt();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cpu_is_found_out),
        cmocka_unit_test(virtualised_there_is_nothing_and_it_is_said),
        cmocka_unit_test(faulting_that_is_promised_but_missing),
        cmocka_unit_test(k8_is_asked_with_its_key),
        cmocka_unit_test(pv_guests_read_their_policy),
        cmocka_unit_test(an_override_never_claims_what_is_not_there),
        cmocka_unit_test(overrides_of_leaves_6_and_7_neither),
        cmocka_unit_test(osxsave_of_a_policy_is_not_shown),
        cmocka_unit_test(netburst_is_not_asked),
        cmocka_unit_test(the_highest_subleaf_is_a_number),
        cmocka_unit_test(osxsave_and_apic_follow_the_vcpu),
        cmocka_unit_test(an_msr_is_written_when_its_value_differs),
        cmocka_unit_test(faulting_is_turned_on_once),
        cmocka_unit_test(back_to_what_the_machine_had),
        cmocka_unit_test(a_pcpu_that_comes_up_holds_the_defaults),
        cmocka_unit_test(old_options_take_from_everybody),
        cmocka_unit_test(each_old_option_has_its_register),
        cmocka_unit_test(the_defaults_show_how_things_are),
        cmocka_unit_test(a_mask_that_is_not_known_is_written),
        cmocka_unit_test(every_probe_may_fail),
        cmocka_unit_test(a_write_that_fails_is_known),
        cmocka_unit_test(every_switch_may_fail),
        cmocka_unit_test(faulting_that_is_not_known_is_turned_on),
        cmocka_unit_test(faulting_leaves_the_other_bit_alone),
        cmocka_unit_test(cr4_and_xcr0_are_the_policys),
        cmocka_unit_test(xcr0_is_written_where_it_can_be),
        cmocka_unit_test(a_pv_guest_without_xsave_gets_no_xcr0_of_others),
        cmocka_unit_test(registers_are_loaded_after_power_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
