/* SPDX-License-Identifier: MIT */
/*
 * guest_cpuid: the policy and nothing else, the bits that follow the vCPU, the leaves about Xen.
 * What is about topology is in test_topology.c.
 */
#include <hypervisor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xen/arch-x86/cpuid.h>
#include <xen/sysctl.h>

#include "cpus.h"

#define C1_X2APIC      (1u << 21)
#define C1_XSAVE       (1u << 26)
#define C1_OSXSAVE     (1u << 27)
#define D1_APIC        (1u << 9)
#define C7_OSPKE       (1u << 4)
#define E1C_TOPOEXT    (1u << 22)
#define APIC_BASE_BOOT 0xfee00900ull /* enabled, and the boot CPU's */

static struct hypervisor hv;
static struct domain dom;
static struct vcpu vcpu;

/* vCPU 3 of a domain with this policy. */
static void make(const struct cpu_policy *p, bool hvm)
{
    dom = (struct domain){.hv = &hv, .id = 5, .hvm = hvm, .policy = *p, .max_vcpus = 4};
    topology_from_policy(&dom.policy, 4, &dom.topology);
    vcpu = (struct vcpu){.domain = &dom, .id = 3};
    vcpu.regs.apic_base = APIC_BASE_BOOT;
    vcpu.regs.xcr0 = 1;
    topology_place(&dom.topology, 3, &vcpu.place);
    guest_cpuid_update(&vcpu);
}

static struct cpuid_regs ask(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs r = {0xdead, 0xdead, 0xdead, 0xdead};

    guest_cpuid(&vcpu, leaf, subleaf, &r);
    return r;
}

static bool zero(struct cpuid_regs r)
{
    return !(r.a | r.b | r.c | r.d);
}

static bool equal(struct cpuid_regs x, struct cpuid_regs y)
{
    return x.a == y.a && x.b == y.b && x.c == y.c && x.d == y.d;
}

/* ---- the policy ---- */

/* Leaves in which bits of the vCPU, or of its place, are mixed with the policy's. */
static bool mixed(uint32_t leaf, uint32_t subleaf)
{
    return leaf == 1 || leaf == 0xb || leaf == 0x1f || leaf == 0x80000001 || leaf == 0x8000001d ||
           leaf == 0x8000001e || leaf == 0x80000026 || (leaf == 7 && subleaf == 0) ||
           (leaf == 0xd && subleaf < 2);
}

static void expect(const char *name, uint32_t leaf, uint32_t subleaf)
{
    static const uint8_t one_subleaf[] = {0x10, 0x12, 0x14, 0x17, 0x18, 0x1b, 0x20, 0x23};
    const struct cpu_policy *p = &dom.policy;
    const struct cpuid_regs *slot = NULL;
    struct cpuid_regs want = {0}, got = ask(leaf, subleaf);
    bool extended = leaf >= 0x80000000;

    if (leaf >= 0x40000000 && !extended)
        return;
    if (leaf <= (extended ? p->extd[0].a : p->basic[0].a))
        slot = policy_leaf_const(p, leaf, policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE);
    if (leaf == 7 && subleaf > p->feat[0].a)
        slot = NULL;
    if (leaf == 0xd && !(p->basic[1].c & C1_XSAVE))
        slot = NULL;
    for (size_t i = 0; i < sizeof(one_subleaf); i++)
        if (leaf == one_subleaf[i] && subleaf)
            slot = NULL;
    if (leaf == 0x80000020 && subleaf)
        slot = NULL;
    if (slot)
        want = *slot;
    if (slot && mixed(leaf, subleaf))
        return;
    /* Beyond its levels leaf B still says who one is. */
    if ((leaf == 0xb || leaf == 0x1f || leaf == 0x80000026 || leaf == 0x8000001d) &&
        leaf <= (extended ? p->extd[0].a : p->basic[0].a))
        return;
    if (!equal(got, want))
        fail_msg("%s: %x.%x reads %x %x %x %x, not %x %x %x %x", name, leaf, subleaf, got.a, got.b,
                 got.c, got.d, want.a, want.b, want.c, want.d);
}

static uint64_t rng;

static uint32_t random32(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 20);
}

static void seed(void)
{
    const char *given = getenv("SEED");
    uint64_t s = given ? strtoull(given, NULL, 0) : 1;

    print_message("# SEED=%llu\n", (unsigned long long)s);
    rng = s * 0x9e3779b97f4a7c15ull | 1;
}

static void test_policy_alone(void **state)
{
    static const uint32_t far[] = {63, 64, 255, 256, 0xfffffffe, 0xffffffff};
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n; i++)
        for (int hvm = 0; hvm < 2; hvm++) {
            make(&cpus[i].policy, hvm);
            for (uint32_t l = 0; l < 0x60; l++)
                for (uint32_t top = 0; top < 2; top++) {
                    uint32_t leaf = top << 31 | l;

                    for (uint32_t s = 0; s < 12; s++)
                        expect(cpus[i].name, leaf, s);
                    for (size_t k = 0; k < sizeof(far) / sizeof(far[0]); k++)
                        expect(cpus[i].name, leaf, far[k]);
                }
        }
}

/* Policies of noise, and any leaf: also such that no verification would let pass. */
static void test_noise(void **state)
{
    (void)state;
    seed();
    for (unsigned int round = 0; round < 300; round++) {
        struct cpu_policy p;
        uint32_t *w = (uint32_t *)&p;

        for (size_t i = 0; i < sizeof(p) / sizeof(*w); i++)
            w[i] = random32();
        if (round % 2) {
            p.basic[0].a = random32() % 0x30;
            p.extd[0].a = 0x80000000 + random32() % 0x30;
            p.feat[0].a = random32() % 6;
        }
        make(&p, round % 3);
        vcpu.regs.xcr0 = random32() | (uint64_t)random32() << 32;
        vcpu.regs.xss = random32() | (uint64_t)random32() << 32;
        guest_cpuid_update(&vcpu);
        for (uint32_t i = 0; i < 500; i++)
            expect("noise", (random32() & 0xc0000000) | random32() % 0x40, random32() % 70);
        for (uint32_t i = 0; i < 500; i++)
            expect("noise", random32() << 12 | random32() % 0x1000, random32() << 12);
    }
}

/* A leaf above the maximum: zero, though the slot were full.  (An Intel CPU would repeat its last
 * basic leaf here: SDM vol. 2A, CPUID.) */
static void test_above_maximum(void **state)
{
    struct cpu_policy p = *test_cpu("intel-granite-rapids");

    (void)state;
    p.basic[0].a = 6;
    p.feat[0].a = 0;
    p.extd[0].a = 0x80000001;
    make(&p, true);
    assert_false(zero(ask(6, 0)));
    assert_true(zero(ask(7, 0)));
    assert_true(zero(ask(0xb, 0)));
    assert_true(zero(ask(0xd, 0)));
    assert_true(zero(ask(0xd, 1)));
    assert_true(zero(ask(0x1f, 0)));
    assert_true(zero(ask(0x25, 0)));
    assert_false(zero(ask(0x80000001, 0)));
    assert_true(zero(ask(0x80000002, 0)));
    assert_true(zero(ask(0x80000008, 0)));
    assert_true(zero(ask(0x80860000, 0)));
    assert_true(zero(ask(0xc0000000, 0)));
    assert_true(zero(ask(0xffffffff, 0)));
    p.basic[0].a = 7;
    make(&p, true);
    assert_false(zero(ask(7, 0)));
    assert_true(zero(ask(7, 1)));
    p.extd[0].a = 0; /* no extended leaf at all */
    make(&p, true);
    assert_true(zero(ask(0x80000000, 0)));
    assert_true(zero(ask(0x80000001, 0)));
}

/* ---- what follows the vCPU ---- */

static void test_cr4(void **state)
{
    struct cpu_policy p = *test_cpu("intel-cascadelake-sp");

    (void)state;
    for (int hvm = 0; hvm < 2; hvm++)
        for (int told = 0; told < 2; told++) {
            /* What the policy has there, does not count. */
            p.basic[1].c = (p.basic[1].c & ~C1_OSXSAVE) | (told ? C1_OSXSAVE : 0);
            p.feat[0].c = (p.feat[0].c & ~C7_OSPKE) | (told ? C7_OSPKE : 0);
            make(&p, hvm);
            assert_int_equal(ask(1, 0).c, p.basic[1].c & ~C1_OSXSAVE);
            assert_int_equal(ask(7, 0).c, p.feat[0].c & ~C7_OSPKE);
            vcpu.regs.cr4 = CR4_OSXSAVE;
            assert_int_equal(ask(1, 0).c, p.basic[1].c | C1_OSXSAVE);
            assert_int_equal(ask(7, 0).c, p.feat[0].c & ~C7_OSPKE);
            vcpu.regs.cr4 = CR4_PKE;
            assert_int_equal(ask(1, 0).c, p.basic[1].c & ~C1_OSXSAVE);
            assert_int_equal(ask(7, 0).c, p.feat[0].c | C7_OSPKE);
            assert_int_equal(ask(7, 1).c, p.feat[1].c);
        }
}

static void test_apic(void **state)
{
    struct cpu_policy p = *test_cpu("amd-castle-peak");

    (void)state;
    make(&p, true);
    assert_int_equal(ask(1, 0).d, p.basic[1].d);
    assert_int_equal(ask(0x80000001, 0).d, p.extd[1].d);
    assert_true(p.basic[1].d & p.extd[1].d & D1_APIC);
    vcpu.regs.apic_base &= ~0x800ull;
    assert_int_equal(ask(1, 0).d, p.basic[1].d & ~D1_APIC);
    assert_int_equal(ask(0x80000001, 0).d, p.extd[1].d & ~D1_APIC);
    /* PV has none to disable. */
    make(&p, false);
    vcpu.regs.apic_base = 0;
    assert_int_equal(ask(1, 0).d, p.basic[1].d);
    assert_int_equal(ask(0x80000001, 0).d, p.extd[1].d);
    /* No bit comes that the policy lacks. */
    p.basic[1].d &= ~D1_APIC;
    p.extd[1].d &= ~D1_APIC;
    make(&p, true);
    assert_int_equal(ask(1, 0).d & D1_APIC, 0);
    assert_int_equal(ask(0x80000001, 0).d & D1_APIC, 0);
}

static void set_xstate(uint64_t xcr0, uint64_t xss)
{
    vcpu.regs.xcr0 = xcr0;
    vcpu.regs.xss = xss;
    guest_cpuid_update(&vcpu);
}

static void test_xstate(void **state)
{
    /*
     * EBX of D.0 and D.1.  The first line of a processor that has compacted form is what it said
     * itself under the system that dumped it (xen/sim/machines), with the XCR0 and XSS that fit;
     * the others are sums by hand.
     */
    static const struct {
        const char *name;
        uint64_t xcr0, xss;
        uint32_t size, compact;
    } known[] = {
        {"amd-granite-ridge", 0xe7, 0x800, 0x980, 0x990},
        {"amd-granite-ridge", 0x2e7, 0x1800, 0x988, 0x9b0},
        {"amd-granite-ridge", 0x1, 0, 576, 576},
        {"intel-sapphire-rapids", 0x602e7, 0x100, 0x2b00, 0x2a80},
        {"intel-skylake-sp", 0x7, 0, 0x340, 0x340},
        {"intel-skylake-sp", 0x2ff, 0, 0xa88, 2568},
        {"intel-skylake-sp", 0x207, 0, 0xa88, 840},
        {"intel-sandybridge-ep", 0x7, 0, 832, 0}, /* knows no compacted form */
        {"amd-bulldozer", 0x7, 0, 832, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        make(test_cpu(known[i].name), true);
        set_xstate(known[i].xcr0, known[i].xss);
        if (ask(0xd, 0).b != known[i].size || ask(0xd, 1).b != known[i].compact)
            fail_msg("%s, XCR0 %llx, XSS %llx: %u and %u bytes", known[i].name,
                     (unsigned long long)known[i].xcr0, (unsigned long long)known[i].xss,
                     ask(0xd, 0).b, ask(0xd, 1).b);
        assert_int_equal(ask(0xd, 0).c, dom.policy.xstate[0].c);
        assert_int_equal(ask(0xd, 1).a, dom.policy.xstate[1].a);
        assert_int_equal(ask(0xd, 2).b, dom.policy.xstate[2].b);
    }
}

/* Tiles are aligned in compacted form, and supervisor state counts with XSAVES only. */
static void test_xstate_forms(void **state)
{
    struct cpu_policy p = *test_cpu("intel-sapphire-rapids");

    (void)state;
    make(&p, true);
    assert_int_equal(p.xstate[17].c & 2, 2);
    /* 576 + PKRU 8 = 584, to 640, TILECFG 64, TILEDATA 8192 */
    set_xstate(0x60201, 0);
    assert_int_equal(ask(0xd, 1).b, 640 + 64 + 8192);
    assert_int_equal(ask(0xd, 0).b, p.xstate[18].b + 8192);
    set_xstate(0x3, 0x1800); /* CET: 16 and 24 */
    assert_int_equal(ask(0xd, 1).b, 576 + 16 + 24);
    p.xstate[1].a &= ~8u; /* XSAVEC without XSAVES */
    make(&p, true);
    set_xstate(0x3, 0x1800);
    assert_int_equal(ask(0xd, 1).b, 576);
    p.xstate[1].a &= ~2u;
    make(&p, true);
    set_xstate(0x3, 0);
    assert_int_equal(ask(0xd, 1).b, 0);
    /* State that the policy lacks counts nothing, whatever the registers and subleaves hold. */
    set_xstate(~0ull, ~0ull);
    assert_int_equal(ask(0xd, 0).b, p.xstate[0].c);
    p = *test_cpu("intel-sapphire-rapids");
    p.xstate[0].a &= ~0x60200u;
    p.xstate[1].c &= ~0x1000u;
    make(&p, true);
    set_xstate(0x60007, 0x1800);
    assert_int_equal(ask(0xd, 0).b, 832);
    assert_int_equal(ask(0xd, 1).b, 832 + 16);
    set_xstate(0, 0); /* x87 state is always there */
    assert_int_equal(ask(0xd, 0).b, 576);
    assert_int_equal(ask(0xd, 1).b, 576);
    /* No XSAVE, no leaf D. */
    p.basic[1].c &= ~C1_XSAVE;
    make(&p, true);
    for (uint32_t s = 0; s < 64; s++)
        assert_true(zero(ask(0xd, s)));
}

/* Changes of one vCPU are its own. */
static void test_vcpus_differ(void **state)
{
    struct vcpu other;

    (void)state;
    make(test_cpu("intel-skylake-sp"), true);
    other = vcpu;
    other.regs.cr4 = CR4_OSXSAVE;
    other.regs.xcr0 = 7;
    guest_cpuid_update(&other);
    assert_int_equal(ask(0xd, 0).b, 576);
    assert_int_equal(ask(1, 0).c & C1_OSXSAVE, 0);
    vcpu = other;
    assert_int_equal(ask(0xd, 0).b, 832);
    assert_int_equal(ask(1, 0).c & C1_OSXSAVE, C1_OSXSAVE);
}

/* ---- the hypervisor's own leaves ---- */

static void test_xen_leaves(void **state)
{
    struct cpu_policy p = *test_cpu("intel-cascadelake-sp");
    struct cpuid_regs r;

    (void)state;
    hv.nr_pages = 1u << 21; /* 8 GiB: 33 bits */
    make(&p, true);
    r = ask(0x40000000, 0);
    assert_int_equal(r.a, 0x40000005);
    assert_memory_equal(&r.b, "XenVMMXenVMM", 12);
    assert_int_equal(ask(0x40000001, 0).a, 4 << 16 | 17);
    assert_true(equal(ask(0x40000002, 0), (struct cpuid_regs){1, 0x40000000, 0, 0}));
    r = ask(0x40000004, 0);
    assert_int_equal(r.a, XEN_HVM_CPUID_VCPU_ID_PRESENT | XEN_HVM_CPUID_DOMID_PRESENT);
    assert_int_equal(r.b, 3);
    assert_int_equal(r.c, 5);
    assert_true(zero(ask(0x40000004, 1)));
    assert_true(zero(ask(0x40000005, 0)));
    for (uint32_t leaf = 0x40000006; leaf < 0x40000300; leaf++)
        assert_true(zero(ask(leaf, 0)));
    assert_true(zero(ask(0x3fffffff, 0)));
    assert_true(zero(ask(0x7fffffff, 0)));

    make(&p, false);
    assert_int_equal(ask(0x40000002, 0).c, XEN_CPUID_FEAT1_MMU_PT_UPDATE_PRESERVE_AD);
    assert_true(zero(ask(0x40000004, 0)));
    assert_true(equal(ask(0x40000005, 0), (struct cpuid_regs){0, 33, 0, 0}));
    assert_true(zero(ask(0x40000005, 1)));
    hv.nr_pages = (1u << 21) + 1;
    assert_int_equal(ask(0x40000005, 0).b, 34);
}

static void test_xen_limit(void **state)
{
    static const struct {
        uint32_t limit, last;
    } limits[] = {{0, 5}, {1, 2}, {2, 2}, {3, 3}, {5, 5}, {6, 5}, {0xffffffff, 5}};
    struct cpu_policy p = *test_cpu("intel-cascadelake-sp");

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        p.hv_limit = limits[i].limit;
        make(&p, true);
        assert_int_equal(ask(0x40000000, 0).a, 0x40000000 + limits[i].last);
        assert_false(zero(ask(0x40000002, 0)));
        assert_int_equal(zero(ask(0x40000004, 0)), limits[i].last < 4);
    }
}

static void test_xen_time(void **state)
{
    static const uint32_t rates[] = {2300000, 1000000, 999999, 1000001, 800000, 4000000,
                                     3999999, 2000000, 33,     25000,   1,      6500000};
    struct cpu_policy p = *test_cpu("intel-cascadelake-sp");
    struct cpu_policy *raw = &hv.policies[XEN_SYSCTL_cpu_policy_raw];
    struct cpu_policy *host = &hv.policies[XEN_SYSCTL_cpu_policy_host];
    struct cpuid_regs r;

    (void)state;
    *raw = *host = p;
    raw->basic[0x16].a = 2300; /* MHz */
    make(&p, true);
    dom.tsc.incarnation = 4;
    r = ask(0x40000003, 0);
    assert_int_equal(r.a, 6); /* runs on the hardware's, reliable, RDTSCP */
    assert_int_equal(r.b, 0);
    assert_int_equal(r.c, 2300000);
    assert_int_equal(r.d, 4);
    assert_int_equal(ask(0x40000003, 2).a, 2300000);
    assert_true(zero(ask(0x40000003, 3)));
    host->extd[7].d = 0;
    host->extd[1].d &= ~(1u << 27);
    dom.tsc.gtsc_khz = 2000000; /* as where it came from: emulated here, unless forbidden */
    assert_int_equal(ask(0x40000003, 0).a, 1);
    dom.tsc.tsc_mode = 2;
    assert_int_equal(ask(0x40000003, 0).a, 0);
    dom.tsc.tsc_mode = 1;
    dom.tsc.gtsc_khz = 2300000;
    r = ask(0x40000003, 0);
    assert_int_equal(r.a, 1);
    assert_int_equal(r.b, 1);

    /* A guest that turns a second of ticks into ns comes out at a second. */
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        unsigned __int128 ticks = (unsigned __int128)rates[i] * 1000;
        uint64_t ns;

        dom.tsc.gtsc_khz = rates[i];
        r = ask(0x40000003, 1);
        assert_int_equal(r.a | r.b, 0);
        assert_true(r.c >> 31);
        ticks = (int32_t)r.d >= 0 ? ticks << r.d : ticks >> -(int32_t)r.d;
        ns = (uint64_t)(ticks * r.c >> 32);
        if (ns > 1000000000 || ns < 999999990)
            fail_msg("%u kHz: a second is %llu ns", rates[i], (unsigned long long)ns);
    }
    dom.tsc.gtsc_khz = 0xffffffff;
    (void)ask(0x40000003, 1);
    raw->basic[0].a = 5; /* a CPU that does not say its rate */
    dom.tsc.gtsc_khz = 0;
    assert_int_equal(ask(0x40000003, 0).c, 0);
    assert_true(zero(ask(0x40000003, 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy_alone),  cmocka_unit_test(test_noise),
        cmocka_unit_test(test_above_maximum), cmocka_unit_test(test_cr4),
        cmocka_unit_test(test_apic),          cmocka_unit_test(test_xstate),
        cmocka_unit_test(test_xstate_forms),  cmocka_unit_test(test_vcpus_differ),
        cmocka_unit_test(test_xen_leaves),    cmocka_unit_test(test_xen_limit),
        cmocka_unit_test(test_xen_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
