/* SPDX-License-Identifier: MIT */
/*
 * What a host's default policy has to become for domains to be born on a level.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "narrow.h"
#include "util.h"

/* What a level's features are compared by: not what repeats others, or follows each guest's own
 * state. */
static void drop_dependent(struct featureset *fs)
{
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_DYNAMIC));
}

/* The default policy with all that the level has, as far as the maximum has it: the level may have
 * been made of hosts whose Xen gives it by default. */
static void widen(struct cpu_policy *p, const struct cpu_policy *max,
                  const struct cpu_policy *level)
{
    struct featureset fs, more, possible;

    policy_to_featureset(p, &fs);
    policy_to_featureset(level, &more);
    policy_to_featureset(max, &possible);
    featureset_and(&more, &more, &possible);
    featureset_andnot(&more, &more, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_or(&fs, &fs, &more);
    policy_from_featureset(p, &fs);
    memcpy(p->xstate, max->xstate, sizeof(p->xstate)); /* levelling takes away what is too much */
}

int born_narrow(const struct cpu_policy *deflt, const struct cpu_policy *max,
                const struct cpu_policy *level, struct born_cpu *c)
{
    const struct policy_host host = {max, deflt};
    struct featureset before, after;

    memset(c, 0, sizeof(*c));
    c->report = (struct policy_report){c->faults, sizeof(c->faults) / sizeof(c->faults[0]), 0};
    c->wanted = *deflt;
    widen(&c->wanted, max, level);
    if (policy_apply_level(&c->wanted, level, NULL)) {
        c->foreign = true;
        return -EINVAL;
    }
    policy_to_featureset(deflt, &before);
    policy_to_featureset(&c->wanted, &after);
    featureset_andnot(&c->given_up, &before, &after);
    drop_dependent(&c->given_up);
    policy_to_featureset(level, &before);
    featureset_andnot(&c->absent, &before, &after);
    drop_dependent(&c->absent);
    if (policy_check(level, &host, &c->report) || !featureset_empty(&c->absent))
        return -EINVAL;
    if (policy_verify(&c->wanted, &c->report) || policy_check(&c->wanted, &host, &c->report))
        return -EINVAL;
    return 0;
}

struct entry_list {
    struct born_entry *entries;
    int n;
    bool too_many;
};

static void add_entry(struct entry_list *l, uint32_t leaf, uint32_t subleaf,
                      const struct cpuid_regs *from, const struct cpuid_regs *to)
{
    if (!memcmp(from, to, sizeof(*from)))
        return;
    if (l->n == BORN_MAX)
        l->too_many = true;
    else
        l->entries[l->n++] = (struct born_entry){leaf, subleaf, *from, *to};
}

static void add_subleaves(struct entry_list *l, uint32_t leaf, const struct cpuid_regs *from,
                          const struct cpuid_regs *to, uint32_t n)
{
    for (uint32_t s = 0; s < n; s++)
        add_entry(l, leaf, s, &from[s], &to[s]);
}

static void add_msr(struct entry_list *l, uint32_t msr, uint64_t from, uint64_t to)
{
    const struct cpuid_regs f = {(uint32_t)from, (uint32_t)(from >> 32), 0, 0};
    const struct cpuid_regs t = {(uint32_t)to, (uint32_t)(to >> 32), 0, 0};

    add_entry(l, POLICY_NONE, msr, &f, &t);
}

int born_entries(const struct cpu_policy *from, const struct cpu_policy *to,
                 struct born_entry *entries)
{
    struct entry_list l = {.entries = entries};

    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++) {
        if (leaf == 7)
            add_subleaves(&l, leaf, from->feat, to->feat, POLICY_NR_FEAT);
        else if (leaf == 0xd)
            add_subleaves(&l, leaf, from->xstate, to->xstate, POLICY_NR_XSTATE);
        else if (!policy_leaf_has_subleaves(leaf))
            add_entry(&l, leaf, POLICY_NONE, &from->basic[leaf], &to->basic[leaf]);
    }
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        add_entry(&l, 0x80000000u + i, POLICY_NONE, &from->extd[i], &to->extd[i]);
    add_msr(&l, MSR_INTEL_PLATFORM_INFO, from->platform_info, to->platform_info);
    add_msr(&l, MSR_ARCH_CAPABILITIES, from->arch_caps, to->arch_caps);
    if (from->hv_limit != to->hv_limit || from->hv2_limit != to->hv2_limit)
        return -1;
    return l.too_many ? -1 : l.n;
}

bool born_exactly(const struct cpu_policy *deflt, const struct cpu_policy *max,
                  const struct cpu_policy *level)
{
    struct born_entry *entries = xcalloc(BORN_MAX, sizeof(*entries));
    struct born_cpu *c = xcalloc(1, sizeof(*c));
    bool exact = !born_narrow(deflt, max, level, c) && !born_entries(deflt, &c->wanted, entries);

    free(entries);
    free(c);
    return exact;
}
