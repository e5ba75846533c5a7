/* SPDX-License-Identifier: MIT */
/* policy_compare: every difference is found, but for those of one table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <xen/errno.h>

#include "cpus.h"
#include "features-gen.h"

#define NONE       POLICY_NONE
#define MAX_FAULTS 2048

static struct policy_fault faults[MAX_FAULTS];
static struct policy_report report;
static struct cpu_policy told, given;

static int compare(void)
{
    report = (struct policy_report){faults, MAX_FAULTS, 0};
    return policy_compare(&told, &given, &report);
}

static void both(const char *cpu)
{
    told = given = *test_cpu(cpu);
}

static uint32_t *reg_of(struct cpuid_regs *regs, uint32_t reg)
{
    uint32_t *all[] = {&regs->a, &regs->b, &regs->c, &regs->d};

    return all[reg];
}

static void test_every_cpu_is_itself(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        told = given = cpus[i].policy;
        assert_int_equal(compare(), 0);
        assert_int_equal(report.count, 0);
    }
}

/* Turn over one bit, both ways: found once, at its place, or the table says why not. */
static void turn_over(uint32_t leaf, uint32_t subleaf, uint32_t reg, unsigned int bit)
{
    struct cpuid_regs *t = policy_leaf(&told, leaf, subleaf);
    uint32_t own;
    const char *reason = policy_own_nature(leaf, subleaf, reg, &own);

    assert_int_equal(reason == NULL, own == 0);
    *reg_of(t, reg) ^= 1u << bit;
    if (own >> bit & 1) {
        assert_int_equal(compare(), 0);
        assert_int_equal(report.count, 0);
    } else {
        assert_int_equal(compare(), -XEN_EINVAL);
        assert_int_equal(report.count, 1);
        assert_int_equal(faults[0].kind, FAULT_GIVEN_OTHERWISE);
        assert_int_equal(faults[0].leaf, leaf);
        assert_int_equal(faults[0].subleaf, subleaf);
        assert_int_equal(faults[0].reg, reg);
        assert_int_equal(faults[0].msr, NONE);
        assert_int_not_equal(faults[0].guest, faults[0].host);
        if (faults[0].feature != NONE)
            assert_int_equal(faults[0].feature % 32, bit);
    }
    *reg_of(t, reg) ^= 1u << bit;
}

static void test_every_bit(void **state)
{
    static const uint32_t subleaves[] = {4, 7, 0xb, 0xd, 0xf, 0x1d, 0x1e, 0x1f, 0x24};
    unsigned int slots = 0;

    (void)state;
    both("intel-sapphire-rapids");
    for (uint32_t at = 0; at < POLICY_NR_BASIC + POLICY_NR_EXTD; at++) {
        uint32_t leaf = at < POLICY_NR_BASIC ? at : 0x80000000u + at - POLICY_NR_BASIC;
        uint32_t n = policy_leaf_has_subleaves(leaf) ? POLICY_NR_XSTATE : 1;

        for (uint32_t s = 0; s < n; s++) {
            uint32_t subleaf = policy_leaf_has_subleaves(leaf) ? s : NONE;

            if (!policy_leaf(&told, leaf, subleaf))
                continue;
            slots++;
            for (unsigned int bit = 0; bit < 128; bit++)
                turn_over(leaf, subleaf, bit / 32, bit % 32);
        }
    }
    /* Every slot but the two hypervisor leaves was there. */
    assert_int_equal(slots, POLICY_MAX_LEAVES - 2 - sizeof(subleaves) / sizeof(subleaves[0]));
}

static void test_features_by_name(void **state)
{
    (void)state;
    both("intel-cascadelake-sp");
    told.feat[0].b |= 1u << X86_FEATURE_AVX2 % 32;
    given.feat[0].b &= ~(1u << X86_FEATURE_AVX2 % 32);
    told.arch_caps &= ~(1ull << X86_FEATURE_RRSBA % 32);
    given.arch_caps |= 1ull << X86_FEATURE_RRSBA % 32;
    assert_int_equal(compare(), -XEN_EINVAL);
    assert_int_equal(report.count, 2);
    assert_int_equal(faults[0].feature, X86_FEATURE_AVX2);
    assert_int_equal(faults[0].guest, 1);
    assert_int_equal(faults[0].host, 0);
    assert_int_equal(faults[1].feature, X86_FEATURE_RRSBA);
    assert_int_equal(faults[1].msr, MSR_ARCH_CAPABILITIES);
    assert_int_equal(faults[1].guest, 0);
    assert_int_equal(faults[1].host, 1);
}

static void test_msrs(void **state)
{
    (void)state;
    both("intel-cascadelake-sp");
    for (unsigned int bit = 0; bit < 64; bit++) {
        told.platform_info ^= 1ull << bit;
        assert_int_equal(compare(), -XEN_EINVAL);
        assert_int_equal(report.count, 1);
        assert_int_equal(faults[0].msr, MSR_INTEL_PLATFORM_INFO);
        assert_int_equal(faults[0].guest, told.platform_info);
        told.platform_info ^= 1ull << bit;
        told.arch_caps ^= 1ull << bit;
        assert_int_equal(compare(), -XEN_EINVAL);
        assert_int_equal(report.count, 1);
        assert_int_equal(faults[0].feature % 32, bit % 32);
        told.arch_caps ^= 1ull << bit;
    }
}

/* What is told as 0 is Xen's to choose. */
static void test_hypervisor_leaves(void **state)
{
    (void)state;
    both("intel-cascadelake-sp");
    told.hv_limit = told.hv2_limit = 0;
    given.hv_limit = 0x40000005;
    given.hv2_limit = 0x40000100;
    assert_int_equal(compare(), 0);
    told.hv_limit = 0x40000004;
    told.hv2_limit = 0x40000101;
    assert_int_equal(compare(), -XEN_EINVAL);
    assert_int_equal(report.count, 2);
    assert_int_equal(faults[0].leaf, 0x40000000);
    assert_int_equal(faults[1].leaf, 0x40000100);
}

/* A leaf of numbers is told as one register, not as features without names. */
static void test_numbers_are_no_features(void **state)
{
    (void)state;
    both("intel-cascadelake-sp");
    told.basic[0xa].a = 0x07300404;
    given.basic[0xa].a = 0;
    assert_int_equal(compare(), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].feature, NONE);
    assert_int_equal(faults[0].guest, 0x07300404);
}

static void test_room(void **state)
{
    struct policy_fault one;
    struct policy_report little = {&one, 1, 0};

    (void)state;
    told = *test_cpu("intel-cascadelake-sp");
    given = *test_cpu("amd-bulldozer");
    assert_int_equal(policy_compare(&told, &given, &little), -XEN_EINVAL);
    assert_true(little.count > 100);
    assert_int_equal(policy_compare(&told, &given, NULL), -XEN_EINVAL);
    assert_int_equal(policy_compare(&told, &told, NULL), 0);
    assert_string_equal(policy_fault_name(FAULT_GIVEN_OTHERWISE), "given-otherwise");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cpu_is_itself),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_features_by_name),
        cmocka_unit_test(test_msrs),
        cmocka_unit_test(test_hypervisor_leaves),
        cmocka_unit_test(test_numbers_are_no_features),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
