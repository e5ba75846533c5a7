/* SPDX-License-Identifier: MIT */
/*
 * What is no feature: every other field of every leaf, by the rules of the LEAF rows of
 * features.def.  The table says of each bit what the audit does with it; this is the doing.
 */
#include "policy-private.h"
#include "fields.h"

/* One guest against one host, and where the findings go. */
struct fields {
    const struct cpu_policy *guest, *host;
    const struct featureset *fs; /* what the guest has been told of */
    struct policy_report *r;
    uint8_t vendor; /* RULE_INTEL or RULE_AMD */
};

/* May a guest with `g` come where the host has `h`, which is not the same?  Both are the field's
 * bits, in their place.
 * silent, host_silent: the guest's, the host's leaf says nothing at all. */
static bool field_fits(const struct field_rule *f, uint32_t g, uint32_t h, bool silent,
                       bool host_silent)
{
    switch (f->rule) {
    case RULE_EQUAL:
        return silent && !f->feature;
    case RULE_AT_MOST:
        return g <= h;
    case RULE_SUBSET:
        return !(g & ~h);
    case RULE_TOLD:
        return silent || (!(h & ~g) && !host_silent);
    case RULE_OFFERED:
        return !g;
    default: /* not of the host's leaf, or free */
        return true;
    }
}

/* Some fields have been found at fault since before there was a table: their kinds are known. */
static enum policy_fault_kind fault_kind(uint32_t leaf, unsigned int reg, uint32_t mask)
{
    if (reg == 0 && (leaf == 0 || leaf == 7 || leaf == EXTD_FIRST))
        return FAULT_MAX_LEAF;
    if (leaf == 1 && reg == 1 && mask == 0xff00)
        return FAULT_CLFLUSH;
    if (leaf == EXTD_FIRST + 8 && reg == 0 && mask == 0xff)
        return FAULT_MAXPHYSADDR;
    if (leaf == EXTD_FIRST + 8 && reg == 0 && mask == 0xff00)
        return FAULT_LINEARADDR;
    return FAULT_LEAF;
}

static void field_fault(const struct fields *c, const struct field_rule *f, uint32_t leaf,
                        uint32_t subleaf, unsigned int reg, uint32_t g, uint32_t h)
{
    struct policy_fault fault = policy_fault_at(
        fault_kind(leaf, reg, f->mask), leaf,
        policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE, g >> f->shift, h >> f->shift);

    if (fault.kind == FAULT_CLFLUSH) { /* counted in 8 bytes: SDM vol. 2A, CPUID, leaf 1 */
        fault.guest *= 8;
        fault.host *= 8;
    }
    fault.reg = reg;
    fault.shift = f->shift;
    fault.width = f->width;
    if (f->feature && !featureset_test(c->fs, f->feature - 1u))
        fault.needs = f->feature - 1u;
    policy_fault(c->r, fault);
}

/* One leaf of both. */
struct pair {
    uint32_t leaf, subleaf;
    const struct cpuid_regs *guest, *host;
};

/* One row on one leaf, whose registers `regs` differ. */
static void check_rule(const struct fields *c, const struct field_rule *f, const struct pair *p,
                       unsigned int regs)
{
    bool told = !f->feature || featureset_test(c->fs, f->feature - 1u);

    for (; regs; regs &= regs - 1) {
        unsigned int reg = (unsigned int)__builtin_ctz(regs);
        uint32_t g = policy_reg(p->guest, reg) & f->mask, h = policy_reg(p->host, reg) & f->mask;

        if (g == h)
            continue;
        if (told ? !field_fits(f, g, h, regs_empty(p->guest), regs_empty(p->host)) : g != 0)
            field_fault(c, f, p->leaf, p->subleaf, reg, g, told ? h : 0);
    }
}

static void check_leaf(const struct fields *c, uint32_t leaf, uint32_t subleaf,
                       const struct cpuid_regs *g, const struct cpuid_regs *h)
{
    const struct pair p = {leaf, subleaf, g, h};
    unsigned int regs = regs_differing(g, h);

    for (const struct field_rule *f = rules_of(leaf); f->first <= leaf && leaf <= f->last; f++)
        if ((f->rule < NR_RULES_COMPARED || f->feature) && (f->registers & regs) &&
            rule_applies(f, subleaf, c->vendor))
            check_rule(c, f, &p, f->registers & regs);
}

/* Two leaves that are the same are right by every rule.  That holds for the ones that hang on a
 * feature too: in its own limits Xen leaves them as they are, and clears them in a domain. */
static void check_leaves(const struct fields *c)
{
    const struct cpu_policy *g = c->guest, *h = c->host;
    uint32_t basic = policy_last_basic(g), extd = policy_last_extd(g) - EXTD_FIRST;

    for (uint32_t i = 0; i <= basic; i++)
        if (regs_differ(&g->basic[i], &h->basic[i]))
            check_leaf(c, i, 0, &g->basic[i], &h->basic[i]);
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES && policy_families[i].leaf <= basic; i++) {
        const struct leaf_family *f = &policy_families[i];
        const struct cpuid_regs *guest = policy_family_regs(g, f);
        const struct cpuid_regs *host = policy_family_regs(h, f);

        for (uint32_t s = 0; f->leaf != 0xd && s < f->count; s++)
            if (regs_differ(&guest[s], &host[s]))
                check_leaf(c, f->leaf, s, &guest[s], &host[s]);
    }
    for (uint32_t i = 0; i <= extd; i++)
        if (regs_differ(&g->extd[i], &h->extd[i]))
            check_leaf(c, EXTD_FIRST + i, 0, &g->extd[i], &h->extd[i]);
}

/* AMD repeats family and 1.EDX in the extended leaf, nobody else does (APM vol. 3, E.4.2).  Xen
 * makes both itself, whatever it is given; its own limits have no copies of 1.EDX. */
static void check_copies(const struct fields *c)
{
    const struct cpu_policy *p = c->guest;
    uint32_t mirror = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];
    uint32_t copy = p->extd[1].d & mirror;
    bool amd = c->vendor == RULE_AMD;
    struct policy_fault fault;

    if (copy && copy != (amd ? p->basic[1].d & mirror : 0)) {
        fault = policy_fault_at(FAULT_LEAF, EXTD_FIRST + 1, POLICY_NONE, copy,
                                amd ? p->basic[1].d & mirror : 0);
        fault.reg = 3;
        fault.width = 32;
        policy_fault(c->r, fault);
    }
    if (amd && policy_max_extd(p) > EXTD_FIRST && p->extd[1].a != p->basic[1].a) {
        fault =
            policy_fault_at(FAULT_LEAF, EXTD_FIRST + 1, POLICY_NONE, p->extd[1].a, p->basic[1].a);
        fault.reg = 0;
        fault.width = 32;
        policy_fault(c->r, fault);
    }
}

void policy_check_fields(const struct cpu_policy *guest, const struct cpu_policy *max,
                         const struct featureset *fs, struct policy_report *r)
{
    const struct fields c = {guest, max, fs, r, rule_vendor(guest)};

    check_leaves(&c);
    check_copies(&c);
}
