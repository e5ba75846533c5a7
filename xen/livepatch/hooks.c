/* SPDX-License-Identifier: MIT */
/*
 * What the hypervisor is told to replace, and the test that it must pass first.
 *
 * The pre-apply hook runs before anything is patched, and its error keeps the patch from being
 * applied.  It holds what the payload was built on against the running hypervisor.
 */
#include "born.h"
#include "features-gen.h"
#include "payload.h"

#include <xen/errno.h>

/* The payload's own record format: struct livepatch_func, version 2, of Xen's public sysctl.h. */
struct patched_function {
    const char *name;
    void *new_addr, *old_addr;
    uint32_t new_size, old_size;
    uint8_t version, pad[39];
    struct {
        uint8_t enabled : 1, len : 5, reserved : 2;
        uint8_t data[31];
    } expect; /* the bytes that must be there, or the hypervisor refuses */
};
_Static_assert(sizeof(struct patched_function) == 104, "the public layout");

__attribute__((section(".livepatch.funcs"), used)) struct patched_function audit_functions = {
    .name = "x86_cpu_policies_are_compatible",
    .new_addr = (void *)audit_entry,
    .new_size = 16,
    .old_size = AUDIT_OLD_SIZE,
    .version = 2,
    .expect = {.enabled = 1, .len = 5, .data = {AUDIT_FIRST_BYTES}},
};

static struct {
    uint8_t native[LAYOUT_SIZE] __attribute__((aligned(8)));
    struct cpu_policy policy;
    uint32_t words[FEATURESET_WORDS + LAYOUT_XEN_WORDS];
} space;

static int say_wrong(const char *what, uint32_t leaf, uint32_t subleaf)
{
    printk(LOG_ERROR "xenlevel: not applied: %s (leaf %08x subleaf %08x): this is not the "
                     "hypervisor that the payload was built for\n",
           what, leaf, subleaf);
    return -XEN_EINVAL;
}

/* Our conversion and the hypervisor's own reading give the same feature words. */
static int test_words(const void *policy, const char *what)
{
    struct featureset fs;

    convert_policy(&space.policy, policy);
    policy_to_featureset(&space.policy, &fs);
    for (unsigned int i = 0; i < FEATURESET_WORDS + LAYOUT_XEN_WORDS; i++)
        space.words[i] = 0;
    x86_cpu_policy_to_featureset(policy, space.words);
    for (unsigned int i = 0; i < LAYOUT_XEN_WORDS; i++)
        if (space.words[i] != fs.w[i])
            return say_wrong(what, i, 0);
    /* Nor does it know more words than the payload. */
    for (unsigned int i = LAYOUT_XEN_WORDS; i < FEATURESET_WORDS + LAYOUT_XEN_WORDS; i++)
        if (space.words[i])
            return say_wrong("more feature words than expected", i, 0);
    return 0;
}

static void execute_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    __asm__ volatile("cpuid"
                     : "=a"(r->a), "=b"(r->b), "=c"(r->c), "=d"(r->d)
                     : "0"(leaf), "2"(subleaf));
}

/* What differs from one reading to the next: APIC id, state sizes by XCR0, OSXSAVE, OSPKE. */
static void mask_dynamic(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    if (leaf == 1) {
        r->b &= 0x00ffffffu;
        r->c &= ~(1u << X86_FEATURE_OSXSAVE % 32);
    }
    if (leaf == 7 && subleaf == 0)
        r->c &= ~(1u << X86_FEATURE_OSPKE % 32);
    if (leaf == 0xd && subleaf < 2)
        r->b = 0;
}

static int test_leaf(uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_regs *at = policy_leaf_const(&space.policy, leaf, subleaf);
    struct cpuid_regs ours, real;

    if (!at)
        return say_wrong("no such leaf in the policy", leaf, subleaf);
    ours = *at;
    execute_cpuid(leaf, subleaf == POLICY_NONE ? 0 : subleaf, &real);
    mask_dynamic(leaf, subleaf, &ours);
    mask_dynamic(leaf, subleaf, &real);
    if ((ours.a ^ real.a) | (ours.b ^ real.b) | (ours.c ^ real.c) | (ours.d ^ real.d))
        return say_wrong("a leaf is not where it should be", leaf, subleaf);
    return 0;
}

/* The hypervisor reads this processor into an object of its own; ours must find every leaf in it.
 */
static int test_leaves(void)
{
    uint32_t basic, extd;
    int rc = 0;

    x86_cpu_policy_fill_native(space.native);
    convert_policy(&space.policy, space.native);
    basic = space.policy.basic[0].a;
    extd = space.policy.extd[0].a;
    if (!basic || extd < 0x80000001u)
        return say_wrong("no maxima", basic, extd);

    for (uint32_t leaf = 1; !rc && leaf < LAYOUT_NR_BASIC && leaf <= basic; leaf++)
        if (!policy_leaf_has_subleaves(leaf))
            rc = test_leaf(leaf, POLICY_NONE);
    for (uint32_t s = 1; !rc && basic >= 7 && s < LAYOUT_NR_FEAT && s <= space.policy.feat[0].a;
         s++)
        rc = test_leaf(7, s);
    for (uint32_t s = 0; !rc && basic >= 0xd && s < LAYOUT_NR_XSTATE; s++) {
        uint64_t components = space.policy.xstate[0].a | (uint64_t)space.policy.xstate[0].d << 32;

        if (s < 2 || ((components >> s) & 1))
            rc = test_leaf(0xd, s);
    }
    for (uint32_t leaf = 0x80000001u; !rc && leaf <= extd && leaf < 0x80000000u + LAYOUT_NR_EXTD;
         leaf++)
        if (!policy_leaf_has_subleaves(leaf))
            rc = test_leaf(leaf, POLICY_NONE);
    return rc;
}

/* A host that could not take its own guests would refuse everything. */
static int test_verdicts(const void *max, const void *deflt, const char *what)
{
    convert_policy(&space.policy, max);
    if (!space.policy.basic[0].a)
        return 0; /* this type of guest is compiled out */
    if (audit_policy(max, max, NULL, NULL) || audit_policy(max, deflt, NULL, NULL))
        return say_wrong(what, space.policy.basic[0].a, 0);
    return 0;
}

/* What one type's new domains would be born with is a CPU that can exist, and that a domain can
 * have here; and what is written lands where the hypervisor reads it. */
static int test_born(unsigned int type, const void *max, const uint8_t *deflt, const char *what)
{
    struct policy_report r = {NULL, 0, 0};
    int rc;

    if (!born_count(type))
        return 0;
    for (unsigned int i = 0; i < LAYOUT_SIZE; i++)
        space.native[i] = deflt[i];
    born_write(type, space.native, true);
    rc = test_words(space.native, what);
    if (rc)
        return rc;
    if (policy_verify(&space.policy, &r) || audit_policy(max, space.native, NULL, NULL)) {
        printk(LOG_ERROR "xenlevel: not applied: %s: no domain can be born with that here\n", what);
        return -XEN_EINVAL;
    }
    return 0;
}

/* The level's table is about these very default policies.  Before any audit: that reads it. */
static int test_table(void)
{
    uint32_t leaf, subleaf;
    const char *what;
    int rc = born_check(&what, &leaf, &subleaf);

    if (!rc) {
        what = "the default policies are not those that the level was worked out for";
        rc = born_holds(false, &leaf, &subleaf);
    }
    if (rc)
        printk(LOG_ERROR "xenlevel: not applied: %s (leaf %08x subleaf %08x)\n", what, leaf,
               subleaf);
    return rc;
}

static int test_level(void)
{
    int rc = test_born(BORN_PV, pv_max_cpu_policy, pv_def_cpu_policy, "the level of PV guests");

    return rc ? rc
              : test_born(BORN_HVM, hvm_max_cpu_policy, hvm_def_cpu_policy,
                          "the level of HVM guests");
}

/* Cycles of one call, the best of some: an interrupt is in the others. */
static uint64_t best_of(int (*call)(const void *max, const void *guest, struct audit_where *w))
{
    uint64_t best = UINT64_MAX;
    struct audit_where w;

    for (unsigned int i = 0; i < 200; i++) {
        uint64_t begun = read_tsc(), cycles;

        call(hvm_max_cpu_policy, hvm_def_cpu_policy, &w);
        cycles = read_tsc() - begun;
        if (cycles < best)
            best = cycles;
    }
    return best;
}

static int audit_without_log(const void *max, const void *guest, struct audit_where *w)
{
    return audit_policy(max, guest, w, NULL);
}

static int self_test(void *payload)
{
    uint64_t stock, mine;
    int rc;

    (void)payload;
    rc = test_words(raw_cpu_policy, "the words of the raw policy differ");
    rc = rc ? rc : test_words(host_cpu_policy, "the words of the host policy differ");
    rc = rc ? rc : test_words(pv_max_cpu_policy, "the words of the PV maximum differ");
    rc = rc ? rc : test_words(hvm_max_cpu_policy, "the words of the HVM maximum differ");
    rc = rc ? rc : test_leaves();
    rc = rc ? rc : test_table();
    if (rc)
        return rc;
    audit_prepare();
    rc = test_verdicts(pv_max_cpu_policy, pv_def_cpu_policy, "PV guests of its own refused");
    rc =
        rc ? rc
           : test_verdicts(hvm_max_cpu_policy, hvm_def_cpu_policy, "HVM guests of its own refused");
    rc = rc ? rc : test_level();
    if (rc)
        return rc;

    /* Not patched yet: old_addr is the stock function still. */
    stock = best_of(
        (int (*)(const void *, const void *, struct audit_where *))audit_functions.old_addr);
    mine = best_of(audit_without_log);
    printk(LOG_INFO "xenlevel: self-test passed; an audit takes %lu cycles, the stock one %lu "
                    "(%lu kHz)\n",
           mine, stock, cpu_khz);
    if (born_count(BORN_PV) || born_count(BORN_HVM))
        printk(LOG_INFO "xenlevel: new domains will be born on a level: %u registers of the PV "
                        "default change, %u of the HVM default\n",
               born_count(BORN_PV), born_count(BORN_HVM));
    audit_prepare(); /* the statistics begin here */
    return 0;
}

static void say_statistics(void *payload)
{
    struct audit_stats s;

    (void)payload;
    audit_statistics(&s);
    printk(LOG_INFO "xenlevel: reverted; %lu audits, %lu refused, %lu cycles each, %lu at most\n",
           s.calls, s.refused, s.calls ? s.cycles_total / s.calls : 0, s.cycles_max);
}

/* Arrays of function pointers, one section a hook: Xen's livepatch design, "Payload hooks". */
__attribute__((section(".livepatch.hooks.preapply"),
               used)) int (*const audit_preapply)(void *) = self_test;
__attribute__((section(".livepatch.hooks.postrevert"),
               used)) void (*const audit_postrevert)(void *) = say_statistics;
