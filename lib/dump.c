/* SPDX-License-Identifier: MIT */
/*
 * CPUs out of the leaves of a dump.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "dump.h"
#include "features-gen.h"

static int refuse_dump(struct dump *d, const char *what)
{
    if (d->line)
        (void)snprintf(d->error, sizeof(d->error), "line %u: %s", d->line, what);
    else
        (void)snprintf(d->error, sizeof(d->error), "%s", what);
    errno = EINVAL;
    return -1;
}

void dump_init(struct dump *d)
{
    memset(d, 0, sizeof(*d));
}

void dump_free(struct dump *d)
{
    free(d->cpus);
    d->cpus = NULL;
    d->n_cpus = d->room = 0;
}

void dump_set_all_unknown(struct cpu_policy *unknown)
{
    memset(unknown, 0xff, sizeof(*unknown));
    /* Those slots are not used: their leaves have arrays of their own. */
    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++)
        if (policy_leaf_has_subleaves(leaf))
            unknown->basic[leaf] = (struct cpuid_regs){0};
    /* What a hypervisor says of itself is no part of a CPU. */
    unknown->hv_limit = unknown->hv2_limit = 0;
}

int dump_begin_cpu(struct dump *d)
{
    struct dump_cpu *cpus;
    size_t room;

    d->state = (struct dump_state){.begun = true};
    if (d->n_cpus == DUMP_MAX_CPUS) {
        d->too_many_cpus = true; /* its leaves go where nobody looks */
        return 0;
    }
    if (d->n_cpus == d->room) {
        room = d->room ? 2 * d->room : 4;
        cpus = realloc(d->cpus, room * sizeof(*cpus));
        if (!cpus) {
            (void)snprintf(d->error, sizeof(d->error), "out of memory");
            errno = ENOMEM;
            return -1;
        }
        d->cpus = cpus;
        d->room = room;
    }
    memset(&d->cpus[d->n_cpus].policy, 0, sizeof(d->cpus[d->n_cpus].policy));
    dump_set_all_unknown(&d->cpus[d->n_cpus].unknown);
    d->n_cpus++;
    return 0;
}

/* The CPU that is being read; NULL when it is one too many. */
static struct dump_cpu *current_cpu(struct dump *d)
{
    return d->too_many_cpus ? NULL : &d->cpus[d->n_cpus - 1];
}

/*
 * The subleaf of a line that does not number it.  They come in ascending order, but old programs
 * leave out those of leaf D that are zero: subleaf 1 is told from a component by being odd or zero
 * (bit 0 of its EAX is XSAVEOPT, a component's size is even), and components follow D.0's mask.
 */
static uint32_t guess_subleaf(const struct dump *d, const struct cpu_policy *p, uint32_t leaf,
                              const struct cpuid_regs *regs)
{
    uint32_t component = 1;

    if (leaf != 0xd || d->state.count == 0)
        return d->state.count;
    if (d->state.count == 1 && (regs->a == 0 || regs->a & 1))
        return 1;
    for (uint32_t i = 2; i < POLICY_NR_XSTATE; i++) {
        uint32_t mask = i < 32 ? p->xstate[0].a : p->xstate[0].d;

        if (mask >> (i % 32) & 1 && !p->xstate[i].a) {
            component = i;
            break;
        }
    }
    if (component == 1)
        return POLICY_NR_XSTATE; /* nothing is expected: drop it */
    return component;
}

/* Leaves 40000000 to 4FFFFFFF: they say whose virtual machine the dump was taken in. */
static void take_hypervisor_leaf(struct dump *d, uint32_t leaf, uint32_t subleaf,
                                 const struct cpuid_regs *regs)
{
    if (d->n_cpus != 1 || subleaf)
        return;
    if (leaf == HV_FIRST)
        d->hypervisor[0] = *regs;
    else if (leaf == HV2_FIRST)
        d->hypervisor[1] = *regs;
}

static void keep_leaf(struct dump *d, uint32_t leaf, uint32_t subleaf,
                      const struct cpuid_regs *regs)
{
    struct dump_cpu *cpu = current_cpu(d);
    struct cpuid_regs *slot = cpu ? policy_leaf(&cpu->policy, leaf, subleaf) : NULL;

    if (!slot)
        return;
    *slot = *regs;
    *policy_leaf(&cpu->unknown, leaf, subleaf) = (struct cpuid_regs){0};
    d->leaves++;
}

int dump_take_leaf(struct dump *d, uint32_t leaf, bool numbered, uint32_t subleaf,
                   const struct cpuid_regs *regs)
{
    /* A CPU that was begun by its heading has no leaf yet. */
    bool next = leaf == 0 && !(numbered && subleaf) &&
                (!d->state.begun || d->state.count || d->state.last_leaf);

    if (next && dump_begin_cpu(d))
        return -1;
    if (!d->state.begun)
        return refuse_dump(d, "the first leaf of a dump is leaf 0");
    if (leaf != d->state.last_leaf)
        d->state.count = 0;
    d->state.last_leaf = leaf;
    if (leaf >= HV_FIRST && leaf < 0x50000000u) {
        take_hypervisor_leaf(d, leaf, numbered ? subleaf : 0, regs);
        return 0;
    }
    if (policy_leaf_has_subleaves(leaf)) {
        if (!numbered && d->n_cpus)
            subleaf = guess_subleaf(d, &d->cpus[d->n_cpus - 1].policy, leaf, regs);
    } else {
        if (d->state.count || (numbered && subleaf)) {
            d->state.count++; /* leaf 2 of old CPUs: the first answer counts */
            return 0;
        }
        subleaf = POLICY_NONE;
    }
    d->state.count++;
    keep_leaf(d, leaf, subleaf, regs);
    return 0;
}

void dump_take_msr(struct dump *d, uint32_t msr, uint64_t value)
{
    bool arch_caps = msr == MSR_ARCH_CAPABILITIES;
    bool *seen = arch_caps ? &d->state.msr_10a : &d->state.msr_ce;
    struct dump_cpu *cpu;

    if (msr != MSR_INTEL_PLATFORM_INFO && !arch_caps)
        return;
    if (!d->have_msr[arch_caps]) {
        d->have_msr[arch_caps] = true;
        d->msr[arch_caps] = value;
    }
    cpu = d->state.begun ? current_cpu(d) : NULL;
    if (!cpu || *seen)
        return; /* some list them for each CPU behind all CPUs: the first one counts */
    *seen = true;
    if (arch_caps) {
        cpu->policy.arch_caps = value;
        cpu->unknown.arch_caps = 0;
    } else {
        cpu->policy.platform_info = value;
        cpu->unknown.platform_info = 0;
    }
}

/* ---- what follows from the rest ---- */

/* Is every bit of the register said?  (`leaf` of a mask.) */
static bool is_seen(const struct cpuid_regs *unknown)
{
    return !(unknown->a | unknown->b | unknown->c | unknown->d);
}

/* Leaves above the maximum that the CPU states are zero. */
static void settle_maxima(struct dump_cpu *c)
{
    const struct cpu_policy *p = &c->policy;
    struct cpu_policy *u = &c->unknown;
    const struct leaf_family *f;

    if (is_seen(&u->basic[0]))
        for (uint32_t leaf = p->basic[0].a + 1; leaf && leaf < POLICY_NR_BASIC; leaf++) {
            f = policy_family(leaf);
            for (uint32_t s = 0; f && s < f->count; s++)
                *policy_leaf(u, leaf, s) = (struct cpuid_regs){0};
            if (!f)
                u->basic[leaf] = (struct cpuid_regs){0};
        }
    if (is_seen(&u->extd[0]))
        for (uint32_t i = 1; i < POLICY_NR_EXTD; i++)
            if (p->extd[0].a < EXTD_FIRST + i)
                u->extd[i] = (struct cpuid_regs){0};
    if (is_seen(&u->feat[0]))
        for (uint32_t i = 1; i < POLICY_NR_FEAT; i++)
            if (i > p->feat[0].a)
                u->feat[i] = (struct cpuid_regs){0};
}

/*
 * Lists that end by themselves (caches, levels of topology), and components of the XSAVE area,
 * which D.0 and D.1 name: of one that was begun, what was written is all.
 */
static void settle_lists(struct dump_cpu *c)
{
    struct cpu_policy *u = &c->unknown;
    static const uint32_t lists[] = {4, 0xb, 0xf, 0x1d, 0x1e, 0x1f, 0x24};

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        const struct leaf_family *f = policy_family(lists[i]);

        if (!f || !is_seen(policy_family_regs(u, f)))
            continue;
        for (uint32_t s = 1; s < f->count; s++)
            *policy_leaf(u, f->leaf, s) = (struct cpuid_regs){0};
    }
    if (is_seen(&u->xstate[0]))
        for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
            u->xstate[i] = (struct cpuid_regs){0};
}

static void settle_cpu(const struct dump *d, struct dump_cpu *c)
{
    const struct cpu_policy *p = &c->policy;
    struct cpu_policy *u = &c->unknown;
    bool no_msr;

    settle_maxima(c);
    no_msr = is_seen(&u->feat[0]) && !policy_has(p, X86_FEATURE_ARCH_CAPS);
    settle_lists(c);
    if (u->arch_caps && d->have_msr[1]) {
        c->policy.arch_caps = d->msr[1];
        u->arch_caps = 0;
    }
    if (u->platform_info && d->have_msr[0]) {
        c->policy.platform_info = d->msr[0];
        u->platform_info = 0;
    }
    if (no_msr)
        c->policy.arch_caps = u->arch_caps = 0; /* SDM vol. 2A, CPUID 7.0.EDX[29] */
    if (policy_vendor_id(p) != CPU_VENDOR_INTEL)
        u->platform_info = 0; /* only Intel's CPUs have MSR CE */
}

int dump_finish(struct dump *d)
{
    if (!d->n_cpus)
        return refuse_dump(d, "there is no CPU in it");
    if (d->cpus[0].policy.basic[0].a >= 1 && !d->cpus[0].policy.basic[1].a)
        return refuse_dump(d, "the dump ends before leaf 1");
    for (size_t i = 0; i < d->n_cpus; i++)
        settle_cpu(d, &d->cpus[i]);
    return 0;
}

/*
 * Intel shows SYSCALL to 64-bit code only (SDM vol. 2A, CPUID leaf 80000001H); programs that dump
 * CPUID are often 32-bit ones.  A 64-bit guest would not boot without it.
 */
static void show_syscall(struct cpu_policy *p)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    if (!featureset_test(&fs, X86_FEATURE_LM))
        return;
    featureset_set(&fs, X86_FEATURE_SYSCALL);
    policy_from_featureset(p, &fs);
}

/*
 * Components of the XSAVE area that are the same on every CPU that has them, so that a dump need
 * not say them: AVX and MPX in standard form, AVX-512 behind those (SDM vol. 1, 13.5; AMD's are
 * where its own dumps say, for they have no MPX), and LBR's and HWP's supervisor state.
 */
static void fill_components(struct cpu_policy *p)
{
    static const struct {
        unsigned int component;
        struct cpuid_regs regs;
        bool intel_only;
    } parts[] = {
        {2, {256, 576, 0, 0}, false}, {3, {64, 960, 0, 0}, false},  {4, {64, 1024, 0, 0}, false},
        {5, {64, 1088, 0, 0}, true},  {6, {512, 1152, 0, 0}, true}, {7, {1024, 1664, 0, 0}, true},
        {15, {808, 0, 1, 0}, false},  {16, {8, 0, 1, 0}, false},
    };
    uint64_t have = policy_xcr0(p) | policy_xss(p);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct cpuid_regs *to = &p->xstate[parts[i].component];

        if (!(have >> parts[i].component & 1) || to->a ||
            (parts[i].intel_only && policy_vendor_id(p) != CPU_VENDOR_INTEL))
            continue;
        *to = parts[i].regs;
    }
}

uint64_t dump_complete(struct cpu_policy *p)
{
    uint64_t given_up;

    /* A dump may name leaves above the maximum that the CPU states (Intel answers for them). */
    policy_trim(p);
    fill_components(p);
    given_up = policy_complete_xstate(p);
    show_syscall(p);
    return given_up;
}
