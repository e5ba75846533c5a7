/* SPDX-License-Identifier: MIT */
/* The simulated CPU: CPUID and MSRs as the manuals have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sim/cpu.h>

#include "cpus.h"
#include "features-gen.h"

#define BIT(feature)     (1u << ((feature) % 32))
#define CR4_OSXSAVE_TEST (1ull << 18) /* SDM vol. 3A, 2.5 */
#define CR4_PKE_TEST     (1ull << 22)

static struct sim_cpu_model model;
static struct sim_pcpu cpu;

static void power_on(const char *name)
{
    memset(&model, 0, sizeof(model));
    model.cpuid = *test_cpu(name);
    sim_cpu_model_init(&model);
    sim_pcpu_reset(&cpu, &model, 3);
}

static struct cpuid_regs ask(unsigned int cpl, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r;

    assert_true(sim_pcpu_cpuid(&cpu, cpl, leaf, subleaf, &r));
    return r;
}

/* ---- CPUID ---- */

static void every_cpu_answers_as_its_dump(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct featureset dump, seen = {{0}};

        power_on(cpus[i].name);
        /* As an operating system that has turned everything on. */
        cpu.cr4 = CR4_OSXSAVE_TEST | CR4_PKE_TEST;
        for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
            const struct featureset_word_info *info = featureset_word_info(w);
            struct cpuid_regs r;

            if (info->leaf == UINT32_MAX || info->leaf > ask(0, info->leaf & 0x80000000u, 0).a)
                continue;
            r = ask(3, info->leaf, info->subleaf == UINT32_MAX ? 0 : info->subleaf);
            seen.w[w] = (&r.a)[info->reg];
        }
        policy_to_featureset(&cpus[i].policy, &dump);
        featureset_andnot(&dump, &dump, featureset_merge_mask(MERGE_DYNAMIC));
        featureset_andnot(&seen, &seen, featureset_merge_mask(MERGE_DYNAMIC));
        dump.w[FEATURESET_m10Al] = dump.w[FEATURESET_m10Ah] = 0;
        for (unsigned int w = 0; w < FEATURESET_WORDS; w++)
            if (seen.w[w] != dump.w[w])
                fail_msg("%s: %s reads %08x, the dump has %08x", cpus[i].name,
                         featureset_word_info(w)->location, seen.w[w], dump.w[w]);
    }
}

static void out_of_range_leaves(void **state)
{
    struct cpuid_regs highest, beyond;

    (void)state;
    /* Intel: as the highest basic leaf.  AMD: zero. */
    power_on("intel-sandybridge-ep");
    cpu.xcr0 = 7;
    highest = ask(0, model.cpuid.basic[0].a, 0);
    beyond = ask(0, 0x70, 0);
    assert_memory_equal(&highest, &beyond, sizeof(beyond));
    power_on("amd-barcelona");
    beyond = ask(0, 0x70, 0);
    assert_int_equal(beyond.a | beyond.b | beyond.c | beyond.d, 0);
}

static void osxsave_is_cr4s(void **state)
{
    (void)state;
    power_on("intel-sandybridge-ep");
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    cpu.cr4 = CR4_OSXSAVE_TEST;
    assert_true(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    /* Cleared in the mask it is hidden; set, it is as it is. */
    cpu.mask[MASK_1] &= ~(uint64_t)BIT(X86_FEATURE_OSXSAVE);
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    /* A CPU without XSAVE never shows it. */
    power_on("intel-nehalem-ep");
    cpu.cr4 = CR4_OSXSAVE_TEST;
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    /* AMD: the override shows it only while it is so. */
    power_on("amd-bulldozer");
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    cpu.cr4 = CR4_OSXSAVE_TEST;
    assert_true(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
    cpu.mask[MASK_1] &= ~((uint64_t)BIT(X86_FEATURE_OSXSAVE) << 32);
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_OSXSAVE));
}

static void each_pcpu_is_somebody(void **state)
{
    (void)state;
    power_on("intel-sandybridge-ep");
    assert_int_equal(ask(0, 1, 0).b >> 24, 3);
    assert_int_equal(ask(0, 0xb, 0).d, 3);
    assert_int_equal(ask(0, 0xb, 1).c & 0xff, 1);
}

static void xsave_area_follows_xcr0(void **state)
{
    (void)state;
    power_on("intel-skylake-sp");
    cpu.xcr0 = 3;
    assert_int_equal(ask(3, 0xd, 0).b, 576);
    cpu.xcr0 = 7;
    assert_int_equal(ask(3, 0xd, 0).b, 832);
    cpu.xcr0 = 0xe7;
    assert_int_equal(ask(3, 0xd, 0).b, 2688);
    /* Compacted: 576 + 256 of AVX, then 64, 512 and 1024 of AVX-512. */
    assert_int_equal(ask(3, 0xd, 1).b, 576 + 256 + 64 + 512 + 1024);
}

/* ---- MSRs ---- */

struct mask_case {
    const char *cpu;
    uint32_t msr;
    uint32_t edi;
    enum mask_slot slot;
};

static const struct mask_case mask_cases[] = {
    {"intel-penryn", 0x478, 0, MASK_1},          {"intel-nehalem-ep", 0x130, 0, MASK_1},
    {"intel-nehalem-ep", 0x131, 0, MASK_E1},     {"intel-sandybridge-ep", 0x132, 0, MASK_1},
    {"intel-sandybridge-ep", 0x133, 0, MASK_E1}, {"intel-sandybridge-ep", 0x134, 0, MASK_Da1},
    {"amd-barcelona", 0xc0011004, 0, MASK_1},    {"amd-barcelona", 0xc0011005, 0, MASK_E1},
    {"amd-vishera", 0xc0011003, 0, MASK_6c},     {"amd-castle-peak", 0xc0011002, 0, MASK_7ab0},
};

static void masks_are_where_the_manuals_have_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mask_cases) / sizeof(mask_cases[0]); i++) {
        const struct mask_case *c = &mask_cases[i];
        uint64_t value;

        power_on(c->cpu);
        assert_true(sim_pcpu_rdmsr(&cpu, c->msr, c->edi, &value));
        assert_true(value == cpu.mask[c->slot]);
        assert_true(sim_pcpu_wrmsr(&cpu, c->msr, c->edi, 0x1234));
        assert_int_equal(cpu.mask[c->slot], 0x1234);
        /* Virtualised, it is not. */
        model.virtualised = true;
        sim_cpu_model_init(&model);
        sim_pcpu_reset(&cpu, &model, 0);
        assert_false(sim_pcpu_rdmsr(&cpu, c->msr, c->edi, &value));
        assert_false(sim_pcpu_wrmsr(&cpu, c->msr, c->edi, 0));
    }
}

static void an_intel_mask_only_takes_away(void **state)
{
    struct cpuid_regs before, after;

    (void)state;
    power_on("intel-nehalem-ep");
    before = ask(0, 1, 0);
    /* 31:0 is ECX, 63:32 EDX. */
    cpu.mask[MASK_1] = ~((uint64_t)BIT(X86_FEATURE_SSE4_2) | (uint64_t)BIT(X86_FEATURE_MMX) << 32);
    after = ask(0, 1, 0);
    assert_int_equal(after.c, before.c & ~BIT(X86_FEATURE_SSE4_2));
    assert_int_equal(after.d, before.d & ~BIT(X86_FEATURE_MMX));
    power_on("intel-sandybridge-ep");
    model.cpuid.xstate[1].a |= BIT(X86_FEATURE_XSAVEOPT); /* not in every dump, but in the CPU */
    before = ask(0, 0xd, 1);
    assert_true(before.a & BIT(X86_FEATURE_XSAVEOPT));
    cpu.mask[MASK_Da1] = 0xffffffff00000000ull;
    assert_int_equal(ask(0, 0xd, 1).a, 0);
}

static void an_amd_override_is_believed(void **state)
{
    (void)state;
    power_on("amd-barcelona");
    /* 31:0 is EDX, 63:32 ECX; also what this CPU has not. */
    assert_false(ask(0, 1, 0).c & BIT(X86_FEATURE_SSE4_2));
    cpu.mask[MASK_1] = (uint64_t)BIT(X86_FEATURE_SSE4_2) << 32 | BIT(X86_FEATURE_FPU);
    assert_int_equal(ask(0, 1, 0).c, BIT(X86_FEATURE_SSE4_2));
    assert_int_equal(ask(0, 1, 0).d, BIT(X86_FEATURE_FPU));
    assert_false(sim_pcpu_executes(&cpu, X86_FEATURE_SSE4_2));
}

static void k8_wants_its_key(void **state)
{
    uint64_t value;

    (void)state;
    memset(&model, 0, sizeof(model));
    model.cpuid = *test_cpu("amd-barcelona");
    model.cpuid.basic[1].a = 0x00040f33; /* family 0xF, model 0x43: K8 revision F */
    sim_cpu_model_init(&model);
    sim_pcpu_reset(&cpu, &model, 0);
    assert_int_equal(model.family, 0xf);
    assert_false(sim_pcpu_rdmsr(&cpu, 0xc0011004, 0, &value));
    assert_false(sim_pcpu_wrmsr(&cpu, 0xc0011004, 0x12345678, 0));
    assert_true(sim_pcpu_rdmsr(&cpu, 0xc0011004, 0x9c5a203a, &value));
    assert_true(sim_pcpu_wrmsr(&cpu, 0xc0011004, 0x9c5a203a, value));
    /* Before revision F there are none. */
    model.cpuid.basic[1].a = 0x00000f5a;
    sim_cpu_model_init(&model);
    assert_false(sim_pcpu_rdmsr(&cpu, 0xc0011004, 0x9c5a203a, &value));
    assert_int_equal(model.kind, LEVELLING_NONE);
}

static void faulting_is_for_programs(void **state)
{
    struct cpuid_regs r;
    uint64_t value;

    (void)state;
    memset(&model, 0, sizeof(model));
    model.cpuid = *test_cpu("intel-ivybridge-ep");
    model.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    sim_cpu_model_init(&model);
    sim_pcpu_reset(&cpu, &model, 0);
    assert_int_equal(model.kind, LEVELLING_INTEL_FAULTING);
    assert_true(sim_pcpu_rdmsr(&cpu, 0xce, 0, &value));
    assert_true(value & PLATFORM_INFO_CPUID_FAULTING);
    assert_false(sim_pcpu_wrmsr(&cpu, 0xce, 0, value));    /* read-only */
    assert_false(sim_pcpu_wrmsr(&cpu, 0x140, 0, 1u << 1)); /* reserved here */
    assert_true(sim_pcpu_wrmsr(&cpu, 0x140, 0, 1));
    assert_true(sim_pcpu_cpuid(&cpu, 0, 0, 0, &r));
    assert_false(sim_pcpu_cpuid(&cpu, 3, 0, 0, &r));
    assert_true(sim_pcpu_wrmsr(&cpu, 0x140, 0, 0));
    assert_true(sim_pcpu_cpuid(&cpu, 3, 0, 0, &r));
    /* A CPU that has not got it. */
    power_on("intel-sandybridge-ep");
    assert_false(sim_pcpu_wrmsr(&cpu, 0x140, 0, 1));
}

static void user_dis_is_for_programs(void **state)
{
    struct cpuid_regs r;

    (void)state;
    power_on("amd-bergamo");
    assert_int_equal(model.kind, LEVELLING_AMD_USERDIS);
    assert_true(sim_pcpu_wrmsr(&cpu, 0xc0010015, 0, 1ull << 35));
    assert_true(sim_pcpu_cpuid(&cpu, 0, 0, 0, &r));
    assert_false(sim_pcpu_cpuid(&cpu, 3, 0, 0, &r));
    power_on("amd-castle-peak");
    assert_false(sim_pcpu_wrmsr(&cpu, 0xc0010015, 0, 1ull << 35));
    assert_true(sim_pcpu_wrmsr(&cpu, 0xc0010015, 0, 1ull << 24));
}

static void what_silicon_executes(void **state)
{
    (void)state;
    power_on("intel-skylake-sp");
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_SSE4_2));
    /* AVX needs its state turned on. */
    assert_false(sim_pcpu_executes(&cpu, X86_FEATURE_AVX));
    cpu.cr4 = CR4_OSXSAVE_TEST;
    cpu.xcr0 = 7;
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_AVX));
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_AVX2));
    assert_false(sim_pcpu_executes(&cpu, X86_FEATURE_AVX512F));
    cpu.xcr0 = 0xe7;
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_AVX512F));
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_AVX512BW));
    /* Masked it still executes: a mask is only about CPUID. */
    power_on("intel-nehalem-ep");
    cpu.mask[MASK_1] = 0;
    assert_false(ask(3, 1, 0).c & BIT(X86_FEATURE_SSE4_2));
    assert_true(sim_pcpu_executes(&cpu, X86_FEATURE_SSE4_2));
    assert_false(sim_pcpu_executes(&cpu, X86_FEATURE_AVX2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cpu_answers_as_its_dump),
        cmocka_unit_test(out_of_range_leaves),
        cmocka_unit_test(osxsave_is_cr4s),
        cmocka_unit_test(each_pcpu_is_somebody),
        cmocka_unit_test(xsave_area_follows_xcr0),
        cmocka_unit_test(masks_are_where_the_manuals_have_them),
        cmocka_unit_test(an_intel_mask_only_takes_away),
        cmocka_unit_test(an_amd_override_is_believed),
        cmocka_unit_test(k8_wants_its_key),
        cmocka_unit_test(faulting_is_for_programs),
        cmocka_unit_test(user_dis_is_for_programs),
        cmocka_unit_test(what_silicon_executes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
