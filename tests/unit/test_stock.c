/* SPDX-License-Identifier: MIT */
/*
 * Stock mode does what stock Xen does.  The rows were made with Xen 4.17's own policy code beside
 * ours, a bit at a time: a guest that was born there is given its policy with one bit turned over,
 * and afterwards it has exactly that, or something else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sim/stock.h>
#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"
#include "simhost.h"

#define NONE POLICY_NONE
#define EAX  0
#define EBX  1
#define ECX  2
#define EDX  3

/* Of the bits in `turned` Xen keeps those in `kept` and does something about the others. */
struct row {
    uint32_t leaf, subleaf;
    unsigned int reg;
    uint32_t turned, kept;
};

static const struct row bulldozer[] = {
    {0x1, NONE, EAX, 0xffffffff, 0}, /* 80000001.EAX follows */
    {0x1, NONE, EBX, 0xffff00ff, 0x00ff00ff},
    {0x1, NONE, ECX, 0x8ab02002, 0x82b02002},
    {0x1, NONE, EDX, 0x10080800, 0x10080800},
    {0x2, NONE, EAX, 0xffffffff, 0},
    {0x4, 0, EAX, 0xffffffff, 0},
    {0x6, NONE, EBX, 0xffffffff, 0},
    {0x7, 0, EAX, 0x00000003, 0x00000003},
    {0x7, 0, EBX, 0x00002040, 0},
    {0x7, 0, EDX, 0x00000800, 0},
    {0xb, 0, EBX, 0xffffffff, 0},
    {0xd, 0, EBX, 0xffffffff, 0},
    {0xd, 0, EDX, 0x80000000, 0},
    {0xd, 2, EDX, 0xffffffff, 0},
    {0x40000000, NONE, EAX, 0xffffffff, 0x000000ff},
    {0x80000000, NONE, EBX, 0xffffffff, 0},
    {0x80000001, NONE, EBX, 0xffffffff, 0xff00ffff},
    {0x80000001, NONE, ECX, 0x000109f7, 0x000109f3},
    {0x80000001, NONE, EDX, 0x0fd3fbff, 0x0a500800}, /* with 1G pages go their TLBs, 80000019 */
    {0x80000002, NONE, EAX, 0xffffffff, 0xffffffff},
    {0x80000005, NONE, EAX, 0xffffffff, 0xffffffff},
    {0x80000007, NONE, EDX, 0x00000100, 0x00000100},
    {0x80000008, NONE, EAX, 0xffff1010, 0},
    {0x80000008, NONE, EBX, 0x02000000, 0x02000000},
    {0x80000008, NONE, ECX, 0xffffffff, 0x0003f0ff},
    {0x8000000a, NONE, EDX, 0xffffffff, 0},
};

static const struct row cascadelake[] = {
    {0x1, NONE, EAX, 0xffffffff, 0x0fff0fff},
    {0x1, NONE, ECX, 0xebf23022, 0xe3f23002},
    {0x1, NONE, EDX, 0x18cbf9a6, 0x18cbf9a6},
    {0x2, NONE, EAX, 0xffffffff, 0xffffff00},
    {0x3, NONE, EDX, 0xffffffff, 0},
    {0x4, 0, EAX, 0xffffffff, 0xffffc3e2}, /* a type that is none ends the list */
    {0x4, 3, EDX, 0xffffffff, 0x00000007},
    {0x7, 0, EBX, 0xd19e2fdb, 0xd19e0f9b},
    {0x7, 0, ECX, 0x00000818, 0x00000800}, /* with PKU goes its state */
    {0x7, 0, EDX, 0x9c000c00, 0x98000c00}, /* with IBRSB goes what stands on it */
    {0xd, 1, EAX, 0x0000000f, 0x0000000f},
    {0xd, 3, EAX, 0xffffffff, 0},
    {0x80000001, NONE, EAX, 0xffffffff, 0},
    {0x80000001, NONE, ECX, 0x00000123, 0x00000123},
    {0x80000001, NONE, EDX, 0x0d93fbff, 0x0c000800}, /* with NX goes SMAP */
    {0x80000006, NONE, ECX, 0xffffffff, 0xffffffff},
    /* Leaf A stays where vpmu=1 is on the command line; here and by default it is not. */
    {0xa, NONE, ECX, 0xffffffff, 0},
};

static struct domain *guest(const char *machine, bool hvm, struct sim_host **h)
{
    struct domain *d;

    *h = simhost_boot(machine, 1, 64, 1);
    (*h)->hv.policy_way = stock_way(17);
    d = simdomain_empty(*h, hvm, hvm && (*h)->hv.has_hap, 1, 64);
    assert_non_null(d);
    return d;
}

/* The policy that *p becomes when all of it is given to d. */
static long give(const struct domain *d, struct cpu_policy *p)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t nr_leaves = POLICY_MAX_LEAVES, nr_msrs = POLICY_MAX_MSRS;
    struct xen_domctl_cpu_policy op = {.err_leaf = NONE, .err_subleaf = NONE, .err_msr = NONE};

    assert_int_equal(policy_to_leaves(p, leaves, &nr_leaves, msrs, &nr_msrs), 0);
    op.nr_leaves = (uint32_t)nr_leaves;
    op.nr_msrs = (uint32_t)nr_msrs;
    *p = d->policy;
    return d->hv->policy_way->set(d, p, &op, leaves, msrs);
}

static long give_leaf(const struct domain *d, struct cpu_policy *p, xen_cpuid_leaf_t leaf,
                      uint32_t *err_leaf)
{
    struct xen_domctl_cpu_policy op = {
        .nr_leaves = 1, .err_leaf = NONE, .err_subleaf = NONE, .err_msr = NONE};
    long rc;

    *p = d->policy;
    rc = d->hv->policy_way->set(d, p, &op, &leaf, NULL);
    *err_leaf = op.err_leaf;
    return rc;
}

static xen_cpuid_leaf_t leaf_of(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_regs *r = policy_leaf_const(p, leaf, subleaf);
    xen_cpuid_leaf_t l = {leaf, subleaf, 0, 0, 0, 0};

    if (leaf == 0x40000000u)
        l.a = p->hv_limit;
    else
        l = (xen_cpuid_leaf_t){leaf, subleaf, r->a, r->b, r->c, r->d};
    return l;
}

static bool keeps(const struct domain *d, const struct row *row, unsigned int bit)
{
    struct cpu_policy want = d->policy, got;
    xen_cpuid_leaf_t l = leaf_of(&d->policy, row->leaf, row->subleaf);
    uint32_t err_leaf;

    (&l.a)[row->reg] ^= 1u << bit;
    if (row->leaf == 0x40000000u)
        want.hv_limit = l.a;
    else
        *policy_leaf(&want, row->leaf, row->subleaf) = (struct cpuid_regs){l.a, l.b, l.c, l.d};
    assert_int_equal(give_leaf(d, &got, l, &err_leaf), 0);
    return !memcmp(&want, &got, sizeof(got));
}

static void check_rows(const char *machine, const struct row *rows, size_t n)
{
    struct sim_host *h;
    const struct domain *d = guest(machine, true, &h);

    for (size_t i = 0; i < n; i++) {
        uint32_t kept = 0;

        for (unsigned int bit = 0; bit < 32; bit++)
            if ((rows[i].turned >> bit & 1) && keeps(d, &rows[i], bit))
                kept |= 1u << bit;
        if (kept != rows[i].kept)
            fail_msg("%s, leaf %x.%x register %u: %08x stays, on Xen %08x", machine, rows[i].leaf,
                     rows[i].subleaf, rows[i].reg, kept, rows[i].kept);
    }
    simhost_halt(h);
}

static void every_bit_on_amd(void **state)
{
    (void)state;
    check_rows("amd-bulldozer", bulldozer, sizeof(bulldozer) / sizeof(bulldozer[0]));
}

static void every_bit_on_intel(void **state)
{
    (void)state;
    check_rows("intel-cascadelake-sp", cascadelake, sizeof(cascadelake) / sizeof(cascadelake[0]));
}

/* Born and given the same is a fixed point, on every machine. */
static void what_it_gave_it_gives_again(void **state)
{
    static const char *const machines[] = {"intel-nehalem-ep",  "intel-cascadelake-sp",
                                           "amd-k8-santa-rosa", "amd-granite-ridge",
                                           "hygon-dhyana",      "intel-granite-rapids"};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(machines) / sizeof(machines[0]); i++) {
        struct sim_host *h;
        const struct domain *d = guest(machines[i / 2], i % 2, &h);
        struct cpu_policy p = d->policy;

        assert_int_equal(give(d, &p), 0);
        assert_memory_equal(&p, &d->policy, sizeof(p));
        simhost_halt(h);
    }
}

/* What was seen with whole policies on a Cascade Lake: see the words beside each. */
static void whole_policies(void **state)
{
    struct sim_host *h;
    struct domain *d = guest("intel-cascadelake-sp", true, &h);
    struct cpu_policy p = d->policy;

    (void)state;
    assert_int_equal(p.arch_caps, 0xc080023); /* with RRSBA, not RSBA */
    /* VMX without nested virtualisation */
    p.basic[1].c |= 1u << 5;
    assert_int_equal(give(d, &p), 0);
    assert_memory_equal(&p, &d->policy, sizeof(p));
    /* SSBD and STIBP without IBRSB, and EIBRS with its RRSBA */
    p.feat[0].d &= ~(1u << 26);
    assert_int_equal(give(d, &p), 0);
    assert_int_equal(p.feat[0].d & 0x9c000000u, 0x10000000u & d->policy.feat[0].d);
    assert_false(p.arch_caps & (1u << 1 | 1u << 19));
    /* PKRU's state without PKU; and the area it needs */
    p = d->policy;
    p.feat[0].c &= ~(1u << 3);
    assert_int_equal(give(d, &p), 0);
    assert_int_equal(p.xstate[0].a, d->policy.xstate[0].a & ~(1u << 9));
    assert_true(p.xstate[0].c < d->policy.xstate[0].c && !p.xstate[9].a);
    /* the widths of its own max: 46 bits and 57, of which a domain gets 48 */
    p.extd[8].a = 0x392e;
    assert_int_equal(give(d, &p), 0);
    assert_int_equal(p.extd[8].a, 0x302e);
    /* both hazards, no EIBRS */
    p = d->policy;
    p.arch_caps = (p.arch_caps | 1u << 2) & ~(1ull << 1);
    assert_int_equal(give(d, &p), 0);
    assert_int_equal(p.arch_caps & (1u << 1 | 1u << 2 | 1u << 19), 1u << 2);
    /* without XSAVE's leaf there is none */
    p = d->policy;
    p.basic[0].a = 7;
    assert_int_equal(give(d, &p), 0);
    assert_false(p.basic[1].c & (1u << 26 | 1u << 28 | 1u << 12));
    simhost_halt(h);
}

static void a_shadow_domain(void **state)
{
    struct sim_host *h;
    const struct domain *hap = guest("intel-cascadelake-sp", true, &h);
    const struct domain *d = simdomain_empty(h, true, false, 1, 64);
    struct cpu_policy p = hap->policy;

    (void)state;
    assert_int_equal(give(d, &p), 0);
    assert_int_equal(p.basic[1].c ^ hap->policy.basic[1].c, 1u << 17); /* PCID */
    assert_int_equal(p.feat[0].b ^ hap->policy.feat[0].b, 1u << 10);   /* INVPCID */
    assert_int_equal(p.feat[0].c ^ hap->policy.feat[0].c, 1u << 3);    /* PKU */
    assert_int_equal(p.extd[1].d ^ hap->policy.extd[1].d, 1u << 26);   /* PAGE1GB */
    assert_int_equal(p.extd[8].a, 0x302c);
    assert_false(p.arch_caps & (1u << 2 | 1u << 19)); /* RSBA is in no mask, and falls */
    simhost_halt(h);
}

static void what_it_refuses(void **state)
{
    struct sim_host *h;
    struct domain *d = guest("intel-cascadelake-sp", true, &h);
    const struct {
        xen_cpuid_leaf_t leaf;
        long rc;
    } rows[] = {
        {{0x0, NONE, 0xe, 0x756e6547, 0x6c65746e, 0x49656e69}, -XEN_EINVAL},
        {{0x7, 0, 3, 0, 0, 0}, -XEN_EINVAL},
        {{0x80000000, NONE, 0x80000009, 0, 0, 0}, -XEN_EINVAL},
        {{0x0, NONE, 0xd, 0x68747541, 0x444d4163, 0x69746e65}, 0}, /* another vendor: taken */
        {{0xe, NONE, 0, 0, 0, 0}, -XEN_ERANGE},
        {{0x4, 6, 0, 0, 0, 0}, -XEN_ERANGE},
        {{0x7, NONE, 0, 0, 0, 0}, -XEN_ERANGE},
        {{0x1, 0, 0, 0, 0, 0}, -XEN_ERANGE},
        {{0x40000001, NONE, 0, 0, 0, 0}, -XEN_ERANGE},
        {{0x80000022, NONE, 0, 0, 0, 0}, -XEN_ERANGE},
    };
    struct xen_domctl_cpu_policy op = {.nr_msrs = 1};
    xen_msr_entry_t msr = {.idx = MSR_INTEL_PLATFORM_INFO, .val = 1ull << 32};
    struct cpu_policy p = d->policy;
    uint32_t err_leaf;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(give_leaf(d, &p, rows[i].leaf, &err_leaf), rows[i].rc);
        assert_int_equal(err_leaf, rows[i].rc ? rows[i].leaf.leaf : NONE);
    }
    /* Newer ones look at the vendor. */
    h->hv.policy_way = stock_way(22);
    assert_int_equal(give_leaf(d, &p, rows[3].leaf, &err_leaf), -XEN_EINVAL);
    assert_int_equal(d->hv->policy_way->set(d, &p, &op, NULL, &msr), -XEN_EOVERFLOW);
    msr.val = 1;
    assert_int_equal(d->hv->policy_way->set(d, &p, &op, NULL, &msr), -XEN_EINVAL);
    assert_int_equal(op.err_msr, MSR_INTEL_PLATFORM_INFO);
    msr = (xen_msr_entry_t){.idx = 0x10b};
    assert_int_equal(d->hv->policy_way->set(d, &p, &op, NULL, &msr), -XEN_ERANGE);
    assert_null(stock_way(16));
    assert_null(stock_way(23));
    simhost_halt(h);
}

static void what_falls_with_what(void **state)
{
    static const struct {
        unsigned int without, falls, since;
    } rows[] = {
        {X86_FEATURE_PAE, X86_FEATURE_SMAP, 17},
        {X86_FEATURE_NX, X86_FEATURE_SMAP, 17},
        {X86_FEATURE_IBRS, X86_FEATURE_AMD_STIBP, 17},
        {X86_FEATURE_IBRS, X86_FEATURE_STIBP_ALWAYS, 17},
        {X86_FEATURE_IBRS, X86_FEATURE_PSFD, 17},
        {X86_FEATURE_IBRSB, X86_FEATURE_SSBD, 17},
        {X86_FEATURE_IBRSB, X86_FEATURE_RRSBA, 17},
        {X86_FEATURE_EIBRS, X86_FEATURE_RRSBA, 17},
        {X86_FEATURE_ARCH_CAPS, X86_FEATURE_RSBA, 17},
        {X86_FEATURE_FPU, X86_FEATURE_3DNOWEXT, 17},
        {X86_FEATURE_FXSR, X86_FEATURE_AVX512_BITALG, 18}, /* not: AVX stands on XSAVE alone */
        {X86_FEATURE_XSAVE, X86_FEATURE_AVX512_FP16, 17},
        {X86_FEATURE_IBRS, X86_FEATURE_AUTO_IBRS, 18},
        {X86_FEATURE_PSFD, X86_FEATURE_EPSF, 19},
        {X86_FEATURE_LM, X86_FEATURE_AMX_FP16, 20},
        {X86_FEATURE_CLFLUSH, X86_FEATURE_CLZERO, 21},
        {X86_FEATURE_LM, X86_FEATURE_LKGS, 22},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (unsigned int minor = STOCK_FIRST; minor <= STOCK_LAST; minor++) {
            bool apart = rows[i].without == X86_FEATURE_FXSR;
            struct featureset fs = *featureset_known();

            featureset_clear(&fs, rows[i].without);
            stock_close(&fs, minor);
            assert_int_equal(!featureset_test(&fs, rows[i].falls),
                             !apart && minor >= rows[i].since);
        }
    for (unsigned int minor = STOCK_FIRST; minor <= STOCK_LAST; minor++) {
        struct featureset fs = *featureset_known();

        stock_close(&fs, minor);
        assert_true(featureset_equal(&fs, featureset_known()));
    }
}

/* ---- what Xen does not keep, the audit refuses: the trial is not the only one to notice ---- */

/* Bits that a guest was told of beyond (or short of) what its host gave it at birth. */
struct untaken {
    const char *name, *machine;
    bool shadow, refused; /* by the audit; the trial always notices */
    struct {
        uint32_t leaf, subleaf; /* 40000000: the limit; 10A: the MSR */
        unsigned int reg;
        uint32_t clear, set;
    } change[2];
};

static const struct untaken untaken[] = {
    {"linear addresses of 57 bits, which the host's own limit has",
     "intel-cascadelake-sp",
     false,
     true,
     {{0x80000008u, NONE, EAX, 0xff00, 0x3900}}},
    {"physical addresses of 35 bits with PAE",
     "intel-cascadelake-sp",
     false,
     true,
     {{0x80000008u, NONE, EAX, 0xff, 35}}},
    {"physical addresses of 46 bits with shadow paging",
     "intel-cascadelake-sp",
     true,
     true,
     {{0x80000008u, NONE, EAX, 0xff, 46}}},
    {"RSBA with shadow paging", "intel-skylake-sp", true, true, {{0x10a, NONE, EAX, 0, 1u << 2}}},
    {"a hypervisor's leaves beyond a byte",
     "intel-cascadelake-sp",
     false,
     true,
     {{0x40000000u, NONE, EAX, 0, 0x105}}},
    {"the limit of CPUID gone",
     "intel-granite-rapids",
     false,
     true,
     {{0x7, 0, EAX, ~0u, 2}, {0x7, 1, EBX, 0, 1u << 3}}},
    {"an event that cannot be counted, without counters",
     "intel-cascadelake-sp",
     false,
     true,
     {{0xa, NONE, EBX, 0, 1}}},
    {"the SMM_CTL MSR gone",
     "amd-granite-ridge",
     false,
     true,
     {{0x80000021u, NONE, EAX, 0, 1u << 9}}},
    {"opcodes reclaimed",
     "amd-granite-ridge",
     false,
     true,
     {{0x80000021u, NONE, EAX, 0, 1u << 16}}},
    {"AMD's caches without TOPOEXT",
     "amd-granite-ridge",
     false,
     true,
     {{0x8000001du, NONE, EAX, 0, 0x121}}},
    {"AMD's core ids without TOPOEXT",
     "amd-granite-ridge",
     false,
     true,
     {{0x8000001eu, NONE, EBX, 0, 1}}},
    {"TLBs of 1G pages without the pages",
     "amd-granite-ridge",
     false,
     true,
     {{0x80000001u, NONE, EDX, 1u << 26, 0}, {0x80000019u, NONE, EAX, 0, 1u << 16}}},
    /* Who can tell is the domain alone: features.def says so beside each.  And whoever builds a
     * domain without LM tells it the width of the limit: check_widths(). */
    {"VMX in a domain without nested virtualisation",
     "intel-cascadelake-sp",
     false,
     false,
     {{0x1, NONE, ECX, 0, 1u << 5}}},
    {"SVM in a domain without nested virtualisation",
     "amd-granite-ridge",
     false,
     false,
     {{0x80000001u, NONE, ECX, 0, 1u << 2}}},
    {"linear addresses of 48 bits in 32-bit mode",
     "intel-cascadelake-sp",
     false,
     false,
     {{0x80000001u, NONE, EDX, 1u << 29, 0}}},
    {"topology", "intel-cascadelake-sp", false, false, {{0xb, 0, EBX, 0, 2}}},
};

static void tell(struct cpu_policy *p, const struct untaken *u)
{
    for (size_t i = 0; i < 2 && (u->change[i].clear || u->change[i].set); i++) {
        uint32_t leaf = u->change[i].leaf, *reg;

        if (leaf == 0x40000000u)
            reg = &p->hv_limit;
        else if (leaf == 0x10a)
            reg = (uint32_t *)(void *)&p->arch_caps;
        else
            reg = &policy_leaf(p, leaf, u->change[i].subleaf)->a + u->change[i].reg;
        *reg = (*reg & ~u->change[i].clear) | u->change[i].set;
    }
}

static void what_xen_does_not_keep_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(untaken) / sizeof(untaken[0]); i++)
        for (unsigned int minor = STOCK_FIRST; minor <= STOCK_LAST; minor++) {
            const struct untaken *u = &untaken[i];
            struct sim_host *h;
            struct domain *d = guest(u->machine, true, &h);
            struct cpu_policy told, given, max, deflt;
            const struct policy_host here = {&max, &deflt};

            h->hv.policy_way = stock_way(minor);
            if (u->shadow)
                d = simdomain_empty(h, true, false, 1, 64);
            max = h->hv.policies[XEN_SYSCTL_cpu_policy_hvm_max];
            deflt = h->hv.policies[XEN_SYSCTL_cpu_policy_hvm_default];
            policy_restrict(&max, u->shadow ? GUEST_HVM_SHADOW : GUEST_HVM_HAP);
            policy_restrict(&deflt, u->shadow ? GUEST_HVM_SHADOW : GUEST_HVM_HAP);
            /* As it was born it is right, and stays what it is: only what is told now is at fault.
             */
            given = told = d->policy;
            assert_int_equal(policy_check(&told, &here, NULL), 0);
            assert_int_equal(give(d, &given), 0);
            assert_int_equal(policy_compare(&told, &given, NULL), 0);
            tell(&told, u);
            given = told;
            if (!policy_check(&told, &here, NULL) == u->refused)
                fail_msg("%s: the audit %s it", u->name, u->refused ? "accepts" : "refuses");
            assert_int_equal(give(d, &given), 0);
            if (!policy_compare(&told, &given, NULL))
                fail_msg("%s: Xen 4.%u keeps it", u->name, minor);
            simhost_halt(h);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_on_amd),
        cmocka_unit_test(every_bit_on_intel),
        cmocka_unit_test(what_it_gave_it_gives_again),
        cmocka_unit_test(whole_policies),
        cmocka_unit_test(a_shadow_domain),
        cmocka_unit_test(what_it_refuses),
        cmocka_unit_test(what_falls_with_what),
        cmocka_unit_test(what_xen_does_not_keep_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
