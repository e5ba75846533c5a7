/* SPDX-License-Identifier: MIT */
/* Policies: arrays, verify, check, level.  The tables are meant to be read as the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <xen/errno.h>

#include <cpuid-policy/vocabulary.h>
#include "cpus.h"
#include "features-gen.h"

#define NONE       POLICY_NONE
#define MAX_FAULTS 256

static struct policy_fault faults[MAX_FAULTS];
static struct policy_report report;

static struct policy_report *fresh(void)
{
    report = (struct policy_report){faults, MAX_FAULTS, 0};
    return &report;
}

static void print_faults(const char *what)
{
    for (size_t i = 0; i < report.count && i < MAX_FAULTS; i++)
        print_message(
            "# %s: %s leaf %x subleaf %x msr %x feature %x needs %x guest %llx host %llx\n", what,
            policy_fault_name(faults[i].kind), faults[i].leaf, faults[i].subleaf, faults[i].msr,
            faults[i].feature, faults[i].needs, (unsigned long long)faults[i].guest,
            (unsigned long long)faults[i].host);
}

/* ---- from arrays ---- */

struct array_case {
    const char *name;
    xen_cpuid_leaf_t leaves[4];
    size_t nr_leaves;
    xen_msr_entry_t msrs[3];
    size_t nr_msrs;
    struct {
        enum policy_fault_kind kind;
        uint32_t index, leaf, subleaf, msr;
    } faults[3];
    size_t nr_faults;
};

static const struct array_case array_cases[] = {
    {"nothing at all", .nr_leaves = 0},
    {"in order",
     {{0, NONE, 0xd, 1, 2, 3}, {1, NONE, 1, 1, 1, 1}, {4, 0, 1, 1, 1, 1}},
     3,
     {{0xce, 0, 1u << 31}, {0x10a, 0, 1}},
     2,
     .nr_faults = 0},
    {"descending",
     {{1, NONE, 1, 1, 1, 1}, {0, NONE, 1, 1, 1, 1}},
     2,
     .faults = {{FAULT_UNSORTED, 1, 0, NONE, NONE}},
     .nr_faults = 1},
    {"descending subleaf",
     {{0xd, 2, 1, 1, 1, 1}, {0xd, 1, 1, 1, 1, 1}},
     2,
     .faults = {{FAULT_UNSORTED, 1, 0xd, 1, NONE}},
     .nr_faults = 1},
    {"extended before basic",
     {{0x80000000, NONE, 1, 1, 1, 1}, {1, NONE, 1, 1, 1, 1}},
     2,
     .faults = {{FAULT_UNSORTED, 1, 1, NONE, NONE}},
     .nr_faults = 1},
    {"AMD's flat extended leaves, as Xen writes them",
     {{0x8000001d, NONE, 1, 1, 1, 1}, {0x80000026, NONE, 1, 1, 1, 1}},
     2,
     .nr_faults = 0},
    {"the same twice",
     {{1, NONE, 1, 1, 1, 1}, {1, NONE, 2, 2, 2, 2}},
     2,
     .faults = {{FAULT_DUPLICATE, 1, 1, NONE, NONE}},
     .nr_faults = 1},
    {"a leaf above all",
     {{0x25, NONE, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 0x25, NONE, NONE}},
     .nr_faults = 1},
    {"an extended leaf above all",
     {{0x80000029, NONE, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 0x80000029, NONE, NONE}},
     .nr_faults = 1},
    {"a leaf between the ranges",
     {{0x20000000, NONE, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 0x20000000, NONE, NONE}},
     .nr_faults = 1},
    {"Xen's own leaves",
     {{0x40000000, NONE, 4, 0, 0, 0}, {0x40000100, NONE, 5, 0, 0, 0}},
     2,
     .nr_faults = 0},
    {"another hypervisor leaf",
     {{0x40000001, NONE, 4, 0, 0, 0}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 0x40000001, NONE, NONE}},
     .nr_faults = 1},
    {"a subleaf above all",
     {{7, 4, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 7, 4, NONE}},
     .nr_faults = 1},
    {"state component 64",
     {{0xd, 64, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_LEAF_RANGE, 0, 0xd, 64, NONE}},
     .nr_faults = 1},
    {"no subleaf where there are some",
     {{7, NONE, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_SUBLEAF_EXPECTED, 0, 7, NONE, NONE}},
     .nr_faults = 1},
    {"a subleaf where there are none",
     {{1, 0, 1, 1, 1, 1}},
     1,
     .faults = {{FAULT_SUBLEAF_UNEXPECTED, 0, 1, 0, NONE}},
     .nr_faults = 1},
    {"an unknown MSR", .msrs = {{0x10b, 0, 1}}, .nr_msrs = 1,
     .faults = {{FAULT_MSR_RANGE, 0, NONE, NONE, 0x10b}}, .nr_faults = 1},
    {"MSR flags", .msrs = {{0xce, 1, 0}}, .nr_msrs = 1,
     .faults = {{FAULT_MSR_FLAGS, 0, NONE, NONE, 0xce}}, .nr_faults = 1},
    {"MSRs descending", .msrs = {{0x10a, 0, 0}, {0xce, 0, 0}}, .nr_msrs = 2,
     .faults = {{FAULT_UNSORTED, 1, NONE, NONE, 0xce}}, .nr_faults = 1},
    {"an MSR twice", .msrs = {{0xce, 0, 0}, {0xce, 0, 0}}, .nr_msrs = 2,
     .faults = {{FAULT_DUPLICATE, 1, NONE, NONE, 0xce}}, .nr_faults = 1},
    {"more MSRs than there are", .msrs = {{0xce, 0, 0}, {0x10a, 0, 0}, {0x10b, 0, 0}}, .nr_msrs = 3,
     .faults = {{FAULT_TOO_MANY, 2, NONE, NONE, 0}}, .nr_faults = 1},
    {"all faults, not the first",
     {{7, NONE, 1, 1, 1, 1}, {1, 0, 1, 1, 1, 1}},
     2,
     .faults = {{FAULT_SUBLEAF_EXPECTED, 0, 7, NONE, NONE},
                {FAULT_UNSORTED, 1, 1, 0, NONE},
                {FAULT_SUBLEAF_UNEXPECTED, 1, 1, 0, NONE}},
     .nr_faults = 3},
};

static void array_faults_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(array_cases) / sizeof(array_cases[0]); i++) {
        const struct array_case *c = &array_cases[i];
        struct cpu_policy p;
        int rc = policy_from_leaves(&p, c->leaves, c->nr_leaves, c->msrs, c->nr_msrs, fresh());

        print_message("# %s\n", c->name);
        assert_int_equal(report.count, c->nr_faults);
        assert_int_equal(rc, c->nr_faults ? -XEN_EINVAL : 0);
        for (size_t f = 0; f < c->nr_faults; f++) {
            assert_string_equal(policy_fault_name(faults[f].kind),
                                policy_fault_name(c->faults[f].kind));
            assert_int_equal(faults[f].index, c->faults[f].index);
            assert_int_equal(faults[f].leaf, c->faults[f].leaf);
            assert_int_equal(faults[f].subleaf, c->faults[f].subleaf);
            assert_int_equal(faults[f].msr, c->faults[f].msr);
        }
    }
}

/* Maxima above what a policy holds do not make the writer read beyond it. */
static void arrays_end_where_policies_do(void **state)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS + 1];
    static const uint32_t extra[] = {0, 1, 0x1000};

    (void)state;
    for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++) {
        struct cpu_policy p = {0};
        size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS + 1;

        p.basic[0].a = POLICY_NR_BASIC - 1 + extra[i];
        p.feat[0].a = POLICY_NR_FEAT - 1 + extra[i];
        p.extd[0].a = 0x80000000 + POLICY_NR_EXTD - 1 + extra[i];
        memset(msrs, 0xee, sizeof(msrs));
        assert_int_equal(policy_to_leaves(&p, leaves, &nl, msrs, &nm), 0);
        assert_int_equal(leaves[nl - 1].leaf, 0x80000000 + POLICY_NR_EXTD - 1);
        /* a leaf each, leaf 7's three further subleaves, leaf D's second, and Xen's two */
        assert_int_equal(nl, POLICY_NR_BASIC + POLICY_NR_EXTD + POLICY_NR_FEAT - 1 + 1 + 2);
        assert_int_equal(nm, POLICY_MAX_MSRS);
        assert_int_equal(msrs[POLICY_MAX_MSRS].idx, 0xeeeeeeee);
    }
    {
        struct cpu_policy p = {0};
        size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS;

        p.extd[0].a = 0x80000000; /* the extended range of just itself */
        assert_int_equal(policy_to_leaves(&p, leaves, &nl, msrs, &nm), 0);
        assert_int_equal(nl, 4);
        assert_int_equal(leaves[3].leaf, 0x80000000);
    }
}

static void array_longer_than_any_policy(void **state)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES + 1];
    struct cpu_policy p;

    (void)state;
    for (uint32_t i = 0; i <= POLICY_MAX_LEAVES; i++)
        leaves[i] = (xen_cpuid_leaf_t){.leaf = 0xd, .subleaf = i};
    assert_int_equal(policy_from_leaves(&p, leaves, POLICY_MAX_LEAVES + 1, NULL, 0, fresh()),
                     -XEN_EINVAL);
    assert_int_equal(faults[0].kind, FAULT_TOO_MANY);
    assert_int_equal(faults[0].guest, POLICY_MAX_LEAVES + 1);
    assert_int_equal(faults[0].host, POLICY_MAX_LEAVES);
}

static void arrays_round_trip(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
        xen_msr_entry_t msrs[POLICY_MAX_MSRS];
        size_t nl = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS, full;
        struct cpu_policy in = cpus[i].policy, out;

        in.platform_info = PLATFORM_INFO_CPUID_FAULTING;
        in.arch_caps = 0x4000000000000021ull;
        in.hv_limit = 0x40000005;
        assert_int_equal(policy_to_leaves(&in, leaves, &nl, msrs, &nm), 0);
        assert_int_equal(policy_from_leaves(&out, leaves, nl, msrs, nm, fresh()), 0);
        assert_memory_equal(&in, &out, sizeof(in));

        /* Exact room is enough.  Short room: nothing is written past it, and the need is told. */
        full = nl;
        assert_int_equal(policy_to_leaves(&in, leaves, &nl, msrs, &nm), 0);
        nl = full - 1;
        memset(leaves, 0xee, sizeof(leaves));
        assert_int_equal(policy_to_leaves(&in, leaves, &nl, msrs, &nm), -XEN_ENOBUFS);
        assert_int_equal(nl, full);
        assert_int_equal(leaves[full - 1].leaf, 0xeeeeeeee);
        nm = 1;
        assert_int_equal(policy_to_leaves(&in, leaves, &nl, msrs, &nm), -XEN_ENOBUFS);
        assert_int_equal(nm, 2);
    }
}

/* Each word of a featureset goes to the very register that the table names, and back. */
static void words_are_where_the_table_says(void **state)
{
    (void)state;
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);
        struct cpu_policy p = {0};
        struct featureset in = {{0}}, out;

        in.w[w] = 0x80000001u + w;
        policy_from_featureset(&p, &in);
        if (info->msr != NONE) {
            assert_int_equal(info->msr, MSR_ARCH_CAPABILITIES);
            assert_int_equal((uint32_t)(p.arch_caps >> (info->reg == 3 ? 32 : 0)), in.w[w]);
        } else {
            const struct cpuid_regs *r = policy_leaf_const(&p, info->leaf, info->subleaf);
            uint32_t regs[4];

            assert_non_null(r);
            memcpy(regs, r, sizeof(regs));
            assert_int_equal(regs[info->reg], in.w[w]);
        }
        policy_to_featureset(&p, &out);
        assert_memory_equal(&in, &out, sizeof(in));
    }
}

/* ---- verify ---- */

static void real_processors_verify(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    assert_true(n >= 20);
    for (size_t i = 0; i < n; i++) {
        int rc = policy_verify(&cpus[i].policy, fresh());

        print_faults(cpus[i].name);
        assert_int_equal(rc, 0);
    }
}

static struct cpu_policy *scratch(const char *name)
{
    static struct cpu_policy p;

    p = *test_cpu(name);
    return &p;
}

struct verify_case {
    const char *name, *cpu;
    uint32_t leaf, subleaf; /* the register to change; msr when leaf is NONE */
    char reg;
    uint32_t clear, set;
    enum policy_fault_kind kind;
    uint32_t fault_leaf, fault_subleaf, feature, needs;
};

static const struct verify_case verify_cases[] = {
    {"an unknown vendor", "intel-skylake-sp", 0, NONE, 'b', 0xff, 0, FAULT_VENDOR_UNKNOWN, 0, NONE,
     NONE, NONE},
    {"a maximum above all leaves", "intel-skylake-sp", 0, NONE, 'a', 0xff, 0x25, FAULT_MAX_LEAF, 0,
     NONE, NONE, NONE},
    {"a subleaf maximum above all", "intel-skylake-sp", 7, 0, 'a', 0, 4, FAULT_MAX_LEAF, 7, 0, NONE,
     NONE},
    {"an extended maximum below its base", "intel-skylake-sp", 0x80000000, NONE, 'a', 0x80000000, 0,
     FAULT_MAX_LEAF, 0x80000000, NONE, NONE, NONE},
    {"an extended leaf above the maximum", "intel-skylake-sp", 0x80000010, NONE, 'c', 0, 1,
     FAULT_BEYOND_MAX, 0x80000010, NONE, NONE, NONE},
    {"a basic leaf above the maximum", "intel-haswell-ep", 0x1a, NONE, 'd', 0, 1, FAULT_BEYOND_MAX,
     0x1a, NONE, NONE, NONE},
    {"a subleaf of 7 above its maximum", "intel-haswell-ep", 7, 1, 'd', 0, 1, FAULT_BEYOND_MAX, 7,
     1, NONE, NONE},
    {"a family above the maximum", "intel-haswell-ep", 0x1f, 1, 'a', 0, 1, FAULT_BEYOND_MAX, 0x1f,
     1, NONE, NONE},
    {"an extended maximum above all", "intel-skylake-sp", 0x80000000, NONE, 'a', 0xff, 0x29,
     FAULT_MAX_LEAF, 0x80000000, NONE, NONE, NONE},
    {"MMX without an FPU", "intel-nehalem-ep", 1, NONE, 'd', 1, 0, FAULT_PREREQUISITE, 1, NONE,
     X86_FEATURE_MMX, X86_FEATURE_FPU},
    {"a linear address of 58 bits", "intel-skylake-sp", 0x80000008, NONE, 'a', 0xff00, 58 << 8,
     FAULT_LINEARADDR, 0x80000008, NONE, NONE, NONE},
    {"SSE4.2 without SSE4.1", "intel-nehalem-ep", 1, NONE, 'c', 1u << 19, 0, FAULT_PREREQUISITE, 1,
     NONE, X86_FEATURE_SSE4_2, X86_FEATURE_SSE4_1},
    {"a physical address of 31 bits", "intel-skylake-sp", 0x80000008, NONE, 'a', 0xff, 31,
     FAULT_MAXPHYSADDR, 0x80000008, NONE, NONE, NONE},
    {"a physical address of 53 bits", "intel-skylake-sp", 0x80000008, NONE, 'a', 0xff, 53,
     FAULT_MAXPHYSADDR, 0x80000008, NONE, NONE, NONE},
    {"a linear address of 64 bits", "intel-skylake-sp", 0x80000008, NONE, 'a', 0xff00, 64 << 8,
     FAULT_LINEARADDR, 0x80000008, NONE, NONE, NONE},
    {"AVX without its state", "intel-sandybridge-ep", 0xd, 0, 'a', 4, 0, FAULT_XSTATE_FEATURE, 0xd,
     2, X86_FEATURE_AVX, NONE},
    {"a component of no size", "intel-skylake-sp", 0xd, 5, 'a', ~0u, 0, FAULT_XSTATE_LAYOUT, 0xd, 5,
     NONE, NONE},
    {"a component inside the header", "intel-skylake-sp", 0xd, 5, 'b', ~0u, 0x200,
     FAULT_XSTATE_LAYOUT, 0xd, 5, NONE, NONE},
    {"two components on one place", "intel-skylake-sp", 0xd, 5, 'b', ~0u, 0x480,
     FAULT_XSTATE_LAYOUT, 0xd, 6, NONE, NONE},
    {"a component that ends beyond 4 GiB", "intel-skylake-sp", 0xd, 9, 'b', 0, 0xfffffffc,
     FAULT_XSTATE_LAYOUT, 0xd, 9, NONE, NONE},
    {"a user component called supervisor", "intel-skylake-sp", 0xd, 2, 'c', 0, 1,
     FAULT_XSTATE_LAYOUT, 0xd, 2, NONE, NONE},
    {"an area larger than its parts", "intel-skylake-sp", 0xd, 0, 'c', 0, 0x1000,
     FAULT_XSTATE_TOTAL, 0xd, 0, NONE, NONE},
};

static void change(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf, char reg, uint32_t clear,
                   uint32_t set)
{
    struct cpuid_regs *r = policy_leaf(p, leaf, subleaf);
    uint32_t *v;

    assert_non_null(r);
    v = reg == 'a' ? &r->a : reg == 'b' ? &r->b : reg == 'c' ? &r->c : &r->d;
    *v = (*v & ~clear) | set;
}

static bool reported(enum policy_fault_kind kind, uint32_t leaf, uint32_t subleaf, uint32_t feature,
                     uint32_t needs)
{
    for (size_t i = 0; i < report.count && i < MAX_FAULTS; i++)
        if (faults[i].kind == kind && faults[i].leaf == leaf && faults[i].subleaf == subleaf &&
            faults[i].feature == feature && faults[i].needs == needs)
            return true;
    return false;
}

static void impossible_processors_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(verify_cases) / sizeof(verify_cases[0]); i++) {
        const struct verify_case *c = &verify_cases[i];
        struct cpu_policy *p = scratch(c->cpu);

        change(p, c->leaf, c->subleaf, c->reg, c->clear, c->set);
        assert_int_equal(policy_verify(p, fresh()), -XEN_EINVAL);
        print_faults(c->name);
        assert_true(reported(c->kind, c->fault_leaf, c->fault_subleaf, c->feature, c->needs));
    }
}

/* The outermost values that are still right. */
static void limits_are_inclusive(void **state)
{
    static const uint32_t widths[] = {32 << 8 | 32, 57 << 8 | 52, 0 << 8 | 36};
    struct cpu_policy *p;

    (void)state;
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        p = scratch("intel-skylake-sp");
        change(p, 0x80000008, NONE, 'a', 0xffff, widths[i]);
        assert_int_equal(policy_verify(p, fresh()), 0);
    }
    p = scratch("intel-skylake-sp");
    p->basic[0].a = POLICY_NR_BASIC - 1;
    p->extd[0].a = 0x80000000 + POLICY_NR_EXTD - 1;
    p->feat[0].a = POLICY_NR_FEAT - 1;
    assert_int_equal(policy_verify(p, fresh()), 0);

    p->basic[0].a = POLICY_NR_BASIC;
    p->feat[0].a = POLICY_NR_FEAT;
    p->extd[0].a = 0x80000000 + POLICY_NR_EXTD;
    assert_int_equal(policy_verify(p, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 3);
    assert_int_equal(faults[0].host, POLICY_NR_BASIC - 1); /* each fault tells the limit */
    assert_int_equal(faults[1].host, POLICY_NR_FEAT - 1);
    assert_int_equal(faults[2].host, 0x80000000 + POLICY_NR_EXTD - 1);

    p = scratch("intel-penryn");
    p->extd[0].a = 0x80000000;
    policy_trim(p);
    p->basic[1].d &=
        ~(1u << 23); /* the features that stood on extended ones are of no matter here */
    policy_close(p, NULL);
    assert_int_equal(policy_verify(p, fresh()), 0);
}

static void reserved_msr_bits_are_refused(void **state)
{
    struct cpu_policy *p = scratch("intel-skylake-sp");

    (void)state;
    p->platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(policy_verify(p, fresh()), 0);
    p->platform_info |= 1;
    assert_int_equal(policy_verify(p, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].kind, FAULT_MSR_RESERVED);
    assert_int_equal(faults[0].msr, MSR_INTEL_PLATFORM_INFO);
}

/* A report with less room than findings counts them all and writes only into its room. */
static void reports_are_bounded(void **state)
{
    struct cpu_policy *p = scratch("intel-granite-rapids");
    struct policy_report r = {faults, 2, 0};
    size_t all;

    (void)state;
    p->basic[1].c = 0;
    assert_int_equal(policy_verify(p, fresh()), -XEN_EINVAL);
    all = report.count;
    assert_true(all > 2);
    memset(faults, 0xee, sizeof(faults));
    assert_int_equal(policy_verify(p, &r), -XEN_EINVAL);
    assert_int_equal(r.count, all);
    assert_int_equal(faults[2].leaf, 0xeeeeeeee);
    assert_int_equal(policy_verify(p, NULL), -XEN_EINVAL);
}

/* ---- check ---- */

struct check_case {
    const char *name;
    uint32_t leaf, subleaf; /* the register of the *host* to change */
    char reg;
    uint32_t clear, set;
    enum policy_fault_kind kind; /* the one difference expected; NO_FAULT for none */
    uint32_t fault_leaf, fault_subleaf, feature;
};

#define NO_FAULT ((enum policy_fault_kind)999)

/* A Skylake SP guest on a Skylake SP host that differs in one thing. */
static const struct check_case check_cases[] = {
    {"no difference", 1, NONE, 'c', 0, 0, NO_FAULT, 0, 0, 0},
    {"the host lacks AVX2", 7, 0, 'b', 1u << 5, 0, FAULT_FEATURE_MISSING, 7, 0, X86_FEATURE_AVX2},
    {"the host lacks an FPU", 1, NONE, 'd', 1, 0, FAULT_FEATURE_MISSING, 1, NONE, X86_FEATURE_FPU},
    {"the host lacks NX", 0x80000001, NONE, 'd', 1u << 20, 0, FAULT_FEATURE_MISSING, 0x80000001,
     NONE, X86_FEATURE_NX},
    {"the host has more", 7, 0, 'c', 0, 1u << 8, NO_FAULT, 0, 0, 0},
    {"a mirrored bit is not compared", 0x80000001, NONE, 'd', 1, 0, NO_FAULT, 0, 0, 0},
    {"OSXSAVE is not compared", 1, NONE, 'c', 1u << 27, 0, NO_FAULT, 0, 0, 0},
    {"OSPKE is not compared", 7, 0, 'c', 1u << 4, 0, NO_FAULT, 0, 0, 0},
    {"HTT is not compared", 1, NONE, 'd', 1u << 28, 0, NO_FAULT, 0, 0, 0},
    {"a guest may know a hazard that the host lacks", 7, 0, 'b', 1u << 13, 0, NO_FAULT, 0, 0, 0},
    {"fewer basic leaves", 0, NONE, 'a', 0xff, 0xd, FAULT_MAX_LEAF, 0, NONE, NONE},
    {"fewer extended leaves", 0x80000000, NONE, 'a', 0xff, 7, FAULT_MAX_LEAF, 0x80000000, NONE,
     NONE},
    {"more extended leaves", 0x80000000, NONE, 'a', 0xff, 0x20, NO_FAULT, 0, 0, 0},
    {"fewer physical address bits", 0x80000008, NONE, 'a', 0xff, 39, FAULT_MAXPHYSADDR, 0x80000008,
     NONE, NONE},
    {"more physical address bits", 0x80000008, NONE, 'a', 0xff, 52, NO_FAULT, 0, 0, 0},
    {"fewer linear address bits", 0x80000008, NONE, 'a', 0xff00, 47 << 8, FAULT_LINEARADDR,
     0x80000008, NONE, NONE},
    {"another CLFLUSH size", 1, NONE, 'b', 0xff00, 16 << 8, FAULT_CLFLUSH, 1, NONE, NONE},
    {"another brand, family, stepping", 1, NONE, 'a', ~0u, 0x206d7, NO_FAULT, 0, 0, 0},
    {"no ZMM state", 0xd, 0, 'a', 1u << 6, 0, FAULT_XSTATE_MISSING, 0xd, 6, NONE},
    {"ZMM state of another size", 0xd, 6, 'a', 0, 1, FAULT_XSTATE_SIZE, 0xd, 6, NONE},
    {"ZMM state in another place", 0xd, 6, 'b', 0, 1, FAULT_XSTATE_OFFSET, 0xd, 6, NONE},
    {"ZMM state aligned otherwise", 0xd, 6, 'c', 0, 2, FAULT_XSTATE_FLAGS, 0xd, 6, NONE},
    {"more components", 0xd, 0, 'a', 0, 1u << 18, NO_FAULT, 0, 0, 0},
    {"a PMU of an older version", 0xa, NONE, 'a', 0xff, 3, FAULT_FIELD, 0xa, NONE,
     FEATURE_FIELD_PMU_VERSION},
    {"an unnamed bit is a capability too", 1, NONE, 'd', 1u << 10, 0, NO_FAULT, 0, 0, 0},
};

static void each_difference_is_found(void **state)
{
    const struct cpu_policy *guest = test_cpu("intel-skylake-sp");

    (void)state;
    for (size_t i = 0; i < sizeof(check_cases) / sizeof(check_cases[0]); i++) {
        const struct check_case *c = &check_cases[i];
        struct cpu_policy *max = scratch("intel-skylake-sp");
        int rc;

        change(max, c->leaf, c->subleaf, c->reg, c->clear, c->set);
        rc = policy_check(guest, &(struct policy_host){max, NULL}, fresh());
        print_faults(c->name);
        if (c->kind == NO_FAULT) {
            assert_int_equal(rc, 0);
            assert_int_equal(report.count, 0);
            continue;
        }
        assert_int_equal(rc, -XEN_EINVAL);
        assert_int_equal(report.count, 1);
        assert_true(reported(c->kind, c->fault_leaf, c->fault_subleaf, c->feature, NONE));
    }
}

static void an_unknown_bit_does_not_slip_through(void **state)
{
    const struct cpu_policy *max = test_cpu("intel-skylake-sp");
    struct cpu_policy *guest = scratch("intel-skylake-sp");

    (void)state;
    assert_null(feature_info(FEATURESET_1d * 32 + 10));
    guest->basic[1].d |= 1u << 10;
    assert_int_equal(policy_check(guest, &(struct policy_host){max, NULL}, fresh()), -XEN_EINVAL);
    assert_true(reported(FAULT_FEATURE_MISSING, 1, NONE, FEATURESET_1d * 32 + 10, NONE));
}

static void msrs_are_compared(void **state)
{
    struct cpu_policy guest = *test_cpu("intel-cascadelake-sp"), max = guest;

    (void)state;
    guest.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(policy_check(&guest, &(struct policy_host){&max, NULL}, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].kind, FAULT_MSR);
    assert_int_equal(faults[0].msr, MSR_INTEL_PLATFORM_INFO);
    max.platform_info = guest.platform_info;
    assert_int_equal(policy_check(&guest, &(struct policy_host){&max, NULL}, fresh()), 0);

    guest.arch_caps = 1; /* RDCL_NO: "not vulnerable to Meltdown" */
    assert_int_equal(policy_check(&guest, &(struct policy_host){&max, NULL}, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].kind, FAULT_FEATURE_MISSING);
    assert_int_equal(faults[0].msr, MSR_ARCH_CAPABILITIES);
    assert_int_equal(faults[0].feature, X86_FEATURE_RDCL_NO);
}

static void a_host_s_hazards_must_have_been_told(void **state)
{
    struct cpu_policy guest = *test_cpu("intel-cascadelake-sp"), max = guest, deflt = guest;
    struct policy_host host = {&max, &deflt};

    (void)state;
    assert_true(featureset_test(featureset_merge_mask(MERGE_HAZARD), X86_FEATURE_RSBA));
    assert_true(guest.feat[0].d & (1u << 29)); /* ARCH_CAPS */

    max.arch_caps = deflt.arch_caps = 4; /* RSBA */
    assert_int_equal(policy_check(&guest, &host, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].kind, FAULT_HAZARD_UNTOLD);
    assert_int_equal(faults[0].feature, X86_FEATURE_RSBA);

    /* Xen sets RSBA in max everywhere; only default tells what this host is. */
    deflt.arch_caps = 0;
    assert_int_equal(policy_check(&guest, &host, fresh()), 0);

    /* Told: fine, there and anywhere else. */
    deflt.arch_caps = guest.arch_caps = 4;
    assert_int_equal(policy_check(&guest, &host, fresh()), 0);

    /* A hazard of what the guest does not have concerns it not: AVX-512 that clocks down, here. */
    {
        struct cpu_policy host512 = *test_cpu("amd-granite-ridge"), without = host512;

        host512.extd[0x21].a |= 1u << (X86_FEATURE_FP512_DOWNGRADE % 32);
        without.extd[0x21].a &= ~(1u << (X86_FEATURE_FP512_DOWNGRADE % 32));
        host = (struct policy_host){&host512, &host512};
        assert_int_equal(policy_check(&without, &host, fresh()), -XEN_EINVAL);
        without.feat[0].b &= ~(1u << 16);
        policy_close(&without, NULL);
        assert_int_equal(policy_check(&without, &host, fresh()), 0);
        host = (struct policy_host){&max, &deflt};
    }

    /* A guest that cannot see the MSR has been told nothing. */
    guest.arch_caps = 0;
    guest.feat[0].d &= ~(1u << 29);
    assert_int_equal(policy_check(&guest, &host, fresh()), 0);

    /* A leaf-7 hazard and a guest whose leaves end before. */
    deflt = max = *test_cpu("intel-haswell-ep");
    guest = *test_cpu("intel-sandybridge-ep");
    assert_true(deflt.feat[0].b & (1u << 13)); /* NO_FPU_SEL */
    guest.basic[0].a = 6;
    policy_trim(&guest);
    policy_close(&guest, NULL);
    policy_check(&guest, &host, fresh());
    assert_false(reported(FAULT_HAZARD_UNTOLD, 7, 0, X86_FEATURE_NO_FPU_SEL, NONE));
    guest = *test_cpu("intel-sandybridge-ep");
    policy_check(&guest, &host, fresh());
    assert_true(reported(FAULT_HAZARD_UNTOLD, 7, 0, X86_FEATURE_NO_FPU_SEL, NONE));
}

/* A.EBX says which events cannot be counted: a guest with a PMU must know, one without need not. */
static void hazards_of_the_pmu(void **state)
{
    struct cpu_policy guest = *test_cpu("intel-haswell-ep"), deflt = guest;
    struct policy_host host = {&deflt, &deflt};

    (void)state;
    guest.basic[0xa].b = 0;
    deflt.basic[0xa].b = 1u << 3;
    assert_int_equal(policy_check(&guest, &host, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_true(
        reported(FAULT_HAZARD_UNTOLD, 0xa, NONE, X86_FEATURE_NO_EVENT_LLC_REFERENCES, NONE));
    guest.basic[0xa].a = 0;
    assert_int_equal(policy_check(&guest, &host, fresh()), 0);

    /* Leaf 7 as a guest's last leaf is one that it sees. */
    guest = *test_cpu("intel-sandybridge-ep");
    guest.basic[0].a = 7;
    policy_trim(&guest);
    deflt = guest;
    deflt.feat[0].b |= 1u << 13;
    assert_int_equal(policy_check(&guest, &host, fresh()), -XEN_EINVAL);
    assert_true(reported(FAULT_HAZARD_UNTOLD, 7, 0, X86_FEATURE_NO_FPU_SEL, NONE));
}

static void vendors_do_not_mix(void **state)
{
    struct policy_host host = {test_cpu("amd-bergamo"), NULL};

    (void)state;
    assert_int_equal(policy_check(test_cpu("intel-penryn"), &host, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_int_equal(faults[0].kind, FAULT_VENDOR);

    /* Each of the three registers counts. */
    for (unsigned int i = 1; i < 4; i++) {
        struct cpu_policy other = *test_cpu("amd-bergamo");

        ((uint32_t *)&other.basic[0])[i] ^= 1;
        assert_int_equal(policy_check(&other, &host, fresh()), -XEN_EINVAL);
        assert_int_equal(faults[0].kind, FAULT_VENDOR);
        assert_int_equal(report.count, 1);
    }
}

static void subleaves_of_seven_are_counted(void **state)
{
    struct cpu_policy guest = *test_cpu("intel-sapphire-rapids"), max = guest;

    (void)state;
    max.feat[0].a = guest.feat[0].a - 1;
    assert_int_equal(policy_check(&guest, &(struct policy_host){&max, NULL}, fresh()), -XEN_EINVAL);
    assert_int_equal(report.count, 1);
    assert_true(reported(FAULT_MAX_LEAF, 7, 0, NONE, NONE));
}

static void up_is_free_and_down_is_named(void **state)
{
    static const uint32_t lost[] = {X86_FEATURE_AVX2, X86_FEATURE_BMI1, X86_FEATURE_BMI2,
                                    X86_FEATURE_FMA,  X86_FEATURE_F16C, X86_FEATURE_AVX512F};
    const struct cpu_policy *new = test_cpu("intel-cascadelake-sp");
    const struct cpu_policy *old = test_cpu("intel-sandybridge-ep");
    struct featureset have, had, want = {{0}}, found = {{0}};

    (void)state;
    assert_int_equal(policy_check(new, &(struct policy_host){old, old}, fresh()), -XEN_EINVAL);
    for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
        const struct featureset_word_info *w = featureset_word_info(lost[i] / 32);

        assert_true(reported(FAULT_FEATURE_MISSING, w->leaf, w->subleaf, lost[i], NONE));
    }

    /* Exactly the features that one has and the other has not, counted a second way. */
    policy_to_featureset(new, &have);
    policy_to_featureset(old, &had);
    featureset_andnot(&want, &have, &had);
    featureset_andnot(&want, &want, featureset_merge_mask(MERGE_HAZARD));
    featureset_andnot(&want, &want, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_andnot(&want, &want, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(&want, &want, featureset_number_bits());
    for (size_t i = 0; i < report.count; i++)
        if (faults[i].kind == FAULT_FEATURE_MISSING)
            featureset_set(&found, faults[i].feature);
    assert_memory_equal(&want, &found, sizeof(want));
}

/* ---- level ---- */

static bool same_vendor(const struct cpu_policy *a, const struct cpu_policy *b)
{
    return a->basic[0].b == b->basic[0].b && a->basic[0].d == b->basic[0].d;
}

/* A host that gives guests all it has. */
static struct policy_host of(const struct cpu_policy *p)
{
    return (struct policy_host){p, p};
}

/* A hazard may be told only where the maximum has it; a hypervisor's has those of every CPU. */
static void assert_level_fits(const struct cpu_policy *level, const struct cpu_policy *host,
                              const char *name)
{
    struct cpu_policy max = *host;
    struct featureset fs;
    int rc;

    policy_to_featureset(host, &fs);
    featureset_or(&fs, &fs, featureset_merge_mask(MERGE_HAZARD));
    policy_from_featureset(&max, &fs);
    rc = policy_check(level, &(struct policy_host){&max, host}, fresh());

    print_faults(name);
    assert_int_equal(rc, 0);
}

/* For every two processors: their level is a CPU that can exist, runs on both, and its features do
 * not depend on the order. */
static void levels_run_everywhere(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus), levelled = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            const struct cpu_policy *pair[2] = {&cpus[i].policy, &cpus[j].policy};
            const struct policy_host there[2] = {of(pair[0]), of(pair[1])};
            const struct policy_host back[2] = {there[1], there[0]};
            struct cpu_policy level, other;
            struct featureset a, b;
            char name[160];

            if (!same_vendor(pair[0], pair[1]))
                continue;
            snprintf(name, sizeof(name), "%s + %s", cpus[i].name, cpus[j].name);
            assert_int_equal(policy_level(there, 2, &level, NULL, NULL), 0);
            assert_int_equal(policy_level(back, 2, &other, NULL, NULL), 0);
            assert_level_fits(&level, pair[0], name);
            assert_level_fits(&level, pair[1], name);
            if (policy_verify(&level, fresh()))
                print_faults(name);
            assert_int_equal(report.count, 0);
            policy_to_featureset(&level, &a);
            policy_to_featureset(&other, &b);
            assert_memory_equal(&a, &b, sizeof(a));
            assert_memory_equal(&level.xstate[0], &other.xstate[0], sizeof(level.xstate[0]));
            levelled++;
        }
    }
    assert_true(levelled > 100);
}

/* Nothing is given up that all have: each feature the level lacks, some host lacks, or one that it
 * stands on, or its state. */
static void levels_give_up_no_more_than_they_must(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct policy_host one = of(&cpus[i].policy), twice[2] = {one, one};
        struct cpu_policy level;
        struct featureset fs, own;

        assert_int_equal(policy_level(&one, 1, &level, NULL, NULL), 0);
        policy_to_featureset(&level, &fs);
        policy_to_featureset(one.deflt, &own);
        featureset_close(&own, NULL); /* Zen 2's AMD_STIBP without IBRS is not for guests */
        assert_memory_equal(&fs, &own, sizeof(fs));
        assert_int_equal(policy_level(twice, 2, &level, NULL, NULL), 0);
        policy_to_featureset(&level, &fs);
        assert_memory_equal(&fs, &own, sizeof(fs));
    }
}

static void a_level_of_three_generations(void **state)
{
    const struct policy_host pool[3] = {of(test_cpu("intel-cascadelake-sp")),
                                        of(test_cpu("intel-haswell-ep")),
                                        of(test_cpu("intel-sandybridge-ep"))};
    struct cpu_policy level;
    struct featureset fs;

    (void)state;
    assert_int_equal(policy_level(pool, 3, &level, NULL, NULL), 0);
    policy_to_featureset(&level, &fs);
    assert_true(featureset_test(&fs, X86_FEATURE_AVX));
    assert_false(featureset_test(&fs, X86_FEATURE_AVX2));
    assert_false(featureset_test(&fs, X86_FEATURE_FMA));
    assert_false(featureset_test(&fs, X86_FEATURE_AVX512F));
    /* OR: Haswell stores no FPU selectors, so a guest of this pool must know. */
    assert_true(featureset_test(&fs, X86_FEATURE_NO_FPU_SEL));
    assert_int_equal(level.basic[0].a <= 0xd, 1);
    assert_int_equal(level.extd[8].a & 0xff, 0x2e);
    assert_int_equal(level.xstate[0].a, 7);         /* x87, SSE, AVX */
    assert_int_equal(level.xstate[0].c, 576 + 256); /* and nothing behind */
    assert_int_equal(level.xstate[6].a, 0);
    /* The PMU's version is the oldest one's. */
    assert_int_equal(level.basic[0xa].a & 0xff, 3);
    for (size_t i = 0; i < 3; i++)
        assert_level_fits(&level, pool[i].max, "three generations");
}

/* Faulting is offered by a level only when every host has it. */
static void levels_of_msrs(void **state)
{
    struct cpu_policy a = *test_cpu("intel-skylake-sp"), b = a, level;
    const struct policy_host pair[2] = {of(&a), of(&b)};

    (void)state;
    a.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    a.arch_caps = 0x2b;
    b.arch_caps = 0x25; /* RSBA: a hazard of b alone */
    a.feat[0].d |= 1u << 29;
    b.feat[0].d |= 1u << 29;
    assert_int_equal(policy_level(pair, 2, &level, NULL, NULL), 0);
    assert_int_equal(level.platform_info, 0);
    assert_int_equal(level.arch_caps, 0x25);
    b.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(policy_level(pair, 2, &level, NULL, NULL), 0);
    assert_int_equal(level.platform_info, PLATFORM_INFO_CPUID_FAULTING);
}

static void what_cannot_be_levelled(void **state)
{
    const struct policy_host mixed[3] = {
        of(test_cpu("intel-penryn")), of(test_cpu("intel-haswell-ep")), of(test_cpu("amd-kabini"))};
    struct cpu_policy level, odd = *test_cpu("intel-haswell-ep");
    const struct policy_host lines[2] = {mixed[1], of(&odd)};
    size_t culprit = 99;

    (void)state;
    assert_int_equal(policy_level(mixed, 0, &level, NULL, &culprit), -XEN_EINVAL);
    assert_int_equal(policy_level(mixed, 3, &level, NULL, &culprit), -XEN_EXDEV);
    assert_int_equal(culprit, 2);
    odd.basic[1].b = (odd.basic[1].b & ~0xff00u) | 16 << 8;
    assert_int_equal(policy_level(lines, 2, &level, NULL, &culprit), -XEN_EXDEV);
    assert_int_equal(culprit, 1);
}

/* A component in another place cannot be shared, and its features go with it. */
static void components_in_other_places_are_given_up(void **state)
{
    struct cpu_policy other = *test_cpu("intel-skylake-sp"), level;
    const struct policy_host pair[2] = {of(test_cpu("intel-skylake-sp")), of(&other)};
    struct featureset fs;

    (void)state;
    for (unsigned int i = 5; i < 8; i++)
        other.xstate[i].b += 0x40;
    other.xstate[9].b += 0x40;
    other.xstate[0].c += 0x40;
    assert_int_equal(policy_verify(&other, fresh()), 0);
    assert_int_equal(policy_level(pair, 2, &level, NULL, NULL), 0);
    policy_to_featureset(&level, &fs);
    assert_false(featureset_test(&fs, X86_FEATURE_AVX512F));
    assert_false(featureset_test(&fs, X86_FEATURE_AVX512VL));
    assert_false(featureset_test(&fs, X86_FEATURE_PKU));
    assert_true(featureset_test(&fs, X86_FEATURE_AVX2));
    assert_int_equal(policy_verify(&level, fresh()), 0);
    assert_level_fits(&level, &other, "moved components");
}

/* Old dump programs stop before the last subleaves of leaf D. */
static void dumps_are_completed(void **state)
{
    struct cpu_policy *p = scratch("intel-sapphire-rapids");
    struct cpuid_regs pt = p->xstate[8], tile = p->xstate[18];
    struct featureset fs;

    (void)state;
    assert_int_equal(policy_complete_xstate(p), 0); /* a whole one stays as it is */
    assert_memory_equal(p, test_cpu("intel-sapphire-rapids"), sizeof(*p));

    /* Supervisor state of known size comes back; tile data's size is the model's: given up. */
    p->xstate[8] = p->xstate[18] = (struct cpuid_regs){0};
    assert_int_equal(policy_complete_xstate(p), 1u << 18);
    assert_memory_equal(&p->xstate[8], &pt, sizeof(pt));
    assert_int_equal(p->xstate[0].a, 0x2e7); /* without tiles; both fall together */
    policy_to_featureset(p, &fs);
    assert_false(featureset_test(&fs, X86_FEATURE_AMX_TILE));
    assert_true(featureset_test(&fs, X86_FEATURE_AVX512F));
    assert_int_equal(policy_verify(p, fresh()), 0);
    assert_int_equal(tile.a, 0x2000);

    /* The last user component of known size ends where the area ends. */
    p = scratch("intel-skylake-sp");
    p->xstate[9] = (struct cpuid_regs){0};
    assert_int_equal(policy_complete_xstate(p), 0);
    assert_int_equal(p->xstate[9].a, 8);
    assert_int_equal(p->xstate[9].b, 0xa80);

    /* No room for it: given up, with its feature. */
    p->xstate[9] = (struct cpuid_regs){0};
    p->xstate[0].c = 0xa80;
    assert_int_equal(policy_complete_xstate(p), 1u << 9);
    policy_to_featureset(p, &fs);
    assert_false(featureset_test(&fs, X86_FEATURE_PKU));
}

/* Whoever goes by the mask must find every component that a feature is for, and no other. */
static void the_components_of_features(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 64; i++)
        assert_int_equal(XSTATE_OF_FEATURES >> i & 1, xstate_feature(i) != POLICY_NONE);
}

static void closing_takes_the_state_along(void **state)
{
    struct cpu_policy *p = scratch("intel-sapphire-rapids");
    struct featureset dropped;

    (void)state;
    p->basic[1].c &= ~(1u << 28); /* AVX */
    policy_close(p, &dropped);
    assert_true(featureset_test(&dropped, X86_FEATURE_AVX2));
    assert_true(featureset_test(&dropped, X86_FEATURE_AVX512F));
    assert_true(featureset_test(&dropped, X86_FEATURE_AVX512_FP16));
    assert_false(featureset_test(&dropped, X86_FEATURE_PKU));
    assert_int_equal(p->xstate[0].a & 0xe4, 0);
    assert_int_equal(policy_verify(p, fresh()), 0);

    p = scratch("intel-sapphire-rapids");
    p->basic[1].c &= ~(1u << 26); /* XSAVE */
    policy_close(p, &dropped);
    assert_int_equal(p->xstate[0].a | p->xstate[0].c | p->xstate[1].a | p->xstate[1].c, 0);
    assert_int_equal(policy_verify(p, fresh()), 0);
}

static void a_guest_comes_down_to_its_level(void **state)
{
    const struct policy_host pool[2] = {of(test_cpu("amd-granite-ridge")),
                                        of(test_cpu("amd-castle-peak"))};
    struct cpu_policy level, guest = *pool[0].max;
    struct featureset dropped, level_fs, fs;
    char brand[49];

    (void)state;
    assert_int_equal(policy_level(pool, 2, &level, NULL, NULL), 0);
    guest.basic[1].c |= 1u << 27; /* OSXSAVE: the guest's own */
    guest.basic[1].d |= 1u << 28; /* HTT: its topology */
    assert_int_equal(policy_apply_level(&guest, &level, &dropped), 0);
    assert_true(featureset_test(&dropped, X86_FEATURE_AVX512F));
    assert_true(guest.basic[1].c & (1u << 27));
    assert_true(guest.basic[1].d & (1u << 28));
    assert_level_fits(&guest, pool[1].max, "levelled guest");
    policy_brand(&guest, brand);
    assert_non_null(strstr(brand, "9800X3D")); /* its identity stays */
    policy_to_featureset(&level, &level_fs);
    policy_to_featureset(&guest, &fs);
    featureset_andnot(&fs, &fs, featureset_merge_mask(MERGE_DYNAMIC));
    assert_true(featureset_subset(&fs, &level_fs));
    assert_int_equal(policy_apply_level(&guest, test_cpu("intel-penryn"), NULL), -XEN_EXDEV);
}

/* The copy of 1.EDX in 80000001.EDX is AMD's alone, and real ones agree with the original. */
static void mirrored_bits_agree(void **state)
{
    const struct featureset *mirror = featureset_merge_mask(MERGE_MIRROR);
    uint32_t mask = mirror->w[FEATURESET_e1d];
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    assert_int_equal(mask, 0x0183f3ff);
    for (size_t i = 0; i < n; i++) {
        const struct cpu_policy *p = &cpus[i].policy;
        bool intel = !strncmp(cpus[i].name, "intel", 5);

        assert_int_equal(p->extd[1].d & mask, intel ? 0 : p->basic[1].d & mask);
    }
}

static void identities(void **state)
{
    unsigned int family, model, stepping;
    struct cpu_policy p = {0};
    char brand[49], vendor[13];

    (void)state;
    policy_signature(test_cpu("intel-cascadelake-sp"), &family, &model, &stepping);
    assert_int_equal(family, 6);
    assert_int_equal(model, 0x55);
    assert_int_equal(stepping, 6);
    policy_signature(test_cpu("amd-granite-ridge"), &family, &model, &stepping);
    assert_int_equal(family, 0x1a);
    assert_int_equal(model, 0x44);
    policy_vendor(test_cpu("hygon-dhyana"), vendor);
    assert_string_equal(vendor, "HygonGenuine");
    policy_brand(test_cpu("intel-cascadelake-sp"), brand);
    assert_string_equal(brand, "Intel(R) Xeon(R) Gold 5218 CPU @ 2.30GHz");

    policy_brand(&p, brand);
    assert_string_equal(brand, "");
    p.extd[0].a = 0x80000004;
    p.extd[2].a = 0x1b5b2020; /* blanks, then an escape sequence: must not reach a terminal */
    policy_brand(&p, brand);
    assert_string_equal(brand, "[?");
    memcpy(&p.extd[2], "  A   B  ~\x7f!           ", 24);
    policy_brand(&p, brand);
    assert_string_equal(brand, "A B ~?!");
    memset(&p.extd[2], 'x', 48); /* no terminator at all */
    policy_brand(&p, brand);
    assert_int_equal(strlen(brand), 48);

    p.basic[0] = (struct cpuid_regs){0, 0x7e20417f, 0, 0x1b417e41};
    policy_vendor(&p, vendor);
    assert_string_equal(vendor, "?A ~A~A?");
    assert_string_equal(policy_fault_name(FAULT_MSR), "msr");
    assert_string_equal(policy_fault_name((enum policy_fault_kind)999), "unknown");
    assert_string_equal(policy_fault_name((enum policy_fault_kind) - 1), "unknown");
}

static void trimming_and_shrinking(void **state)
{
    struct cpu_policy *p = scratch("intel-granite-rapids");

    (void)state;
    p->basic[0].a = 0xffffffff;
    p->extd[0].a = 0xffffffff;
    p->feat[0].a = 0xffffffff;
    policy_trim(p);
    assert_int_equal(p->basic[0].a, POLICY_NR_BASIC - 1);
    assert_int_equal(p->extd[0].a, 0); /* not an extended maximum at all */
    assert_int_equal(p->feat[0].a, POLICY_NR_FEAT - 1);
    assert_int_equal(p->extd[1].d, 0);

    /* The topmost leaf stays, the next goes; one above what policies hold is brought into range. */
    p = scratch("intel-granite-rapids");
    p->basic[0].a = 0x10;
    p->basic[0x10].b = 1;
    p->basic[0x11].b = 1;
    p->extd[0].a = 0x80000007;
    p->extd[7].a = 1;
    policy_trim(p);
    assert_int_equal(p->basic[0x10].b, 1);
    assert_int_equal(p->basic[0x11].b, 0);
    assert_int_equal(p->extd[7].a, 1);
    assert_int_equal(p->extd[8].a, 0);
    p->basic[0].a = POLICY_NR_BASIC;
    p->extd[0].a = 0x80000000 + POLICY_NR_EXTD;
    p->feat[0].a = POLICY_NR_FEAT;
    policy_trim(p);
    assert_int_equal(p->basic[0].a, POLICY_NR_BASIC - 1);
    assert_int_equal(p->extd[0].a, 0x80000000 + POLICY_NR_EXTD - 1);
    assert_int_equal(p->feat[0].a, POLICY_NR_FEAT - 1);
    p->extd[0].a = 0x80010000; /* not a maximum of this range */
    policy_trim(p);
    assert_int_equal(p->extd[0].a, 0);
    p->extd[0].a = 0x80000000;
    policy_trim(p);
    assert_int_equal(p->extd[0].a, 0x80000000);

    p = scratch("intel-granite-rapids");
    p->basic[0].a = 6;
    policy_trim(p);
    assert_int_equal(p->feat[0].b | p->xstate[0].a | p->basic[0xa].a | p->tile[1].a, 0);
    assert_int_equal(policy_verify(scratch("intel-granite-rapids"), fresh()), 0);

    p = scratch("intel-haswell-ep");
    p->basic[0].a = 0x20;
    p->feat[0].a = 2;
    p->extd[0].a = 0x80000020;
    policy_shrink(p);
    assert_int_equal(p->basic[0].a, 0xf);
    assert_int_equal(p->feat[0].a, 0);
    assert_int_equal(p->extd[0].a, 0x80000008);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(array_faults_are_named),
        cmocka_unit_test(arrays_end_where_policies_do),
        cmocka_unit_test(array_longer_than_any_policy),
        cmocka_unit_test(arrays_round_trip),
        cmocka_unit_test(words_are_where_the_table_says),
        cmocka_unit_test(real_processors_verify),
        cmocka_unit_test(impossible_processors_do_not),
        cmocka_unit_test(limits_are_inclusive),
        cmocka_unit_test(reserved_msr_bits_are_refused),
        cmocka_unit_test(reports_are_bounded),
        cmocka_unit_test(each_difference_is_found),
        cmocka_unit_test(an_unknown_bit_does_not_slip_through),
        cmocka_unit_test(msrs_are_compared),
        cmocka_unit_test(a_host_s_hazards_must_have_been_told),
        cmocka_unit_test(hazards_of_the_pmu),
        cmocka_unit_test(vendors_do_not_mix),
        cmocka_unit_test(subleaves_of_seven_are_counted),
        cmocka_unit_test(up_is_free_and_down_is_named),
        cmocka_unit_test(levels_run_everywhere),
        cmocka_unit_test(levels_give_up_no_more_than_they_must),
        cmocka_unit_test(a_level_of_three_generations),
        cmocka_unit_test(levels_of_msrs),
        cmocka_unit_test(what_cannot_be_levelled),
        cmocka_unit_test(components_in_other_places_are_given_up),
        cmocka_unit_test(dumps_are_completed),
        cmocka_unit_test(the_components_of_features),
        cmocka_unit_test(closing_takes_the_state_along),
        cmocka_unit_test(a_guest_comes_down_to_its_level),
        cmocka_unit_test(mirrored_bits_agree),
        cmocka_unit_test(identities),
        cmocka_unit_test(trimming_and_shrinking),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
