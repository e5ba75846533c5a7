/* SPDX-License-Identifier: MIT */
/*
 * policy_whole: do the arrays name everything that the policy says there is?
 *
 * Not naming a leaf is not the same as naming it zero: who sets a policy in Xen gives it over the
 * one that the domain was born with, and what is not named stays as it was there.
 */
#include "policy-private.h"

/* Every leaf of struct cpu_policy is a slot, counted from its beginning. */
enum { NR_SLOTS = offsetof(struct cpu_policy, hv_limit) / sizeof(struct cpuid_regs) };
_Static_assert(offsetof(struct cpu_policy, hv_limit) == NR_SLOTS * sizeof(struct cpuid_regs),
               "the leaves of a policy stand together");

struct named {
    struct cpu_policy policy; /* what the arrays say */
    uint64_t slots[(NR_SLOTS + 63) / 64];
    bool platform_info, arch_caps;
};

static size_t slot_number(const struct named *n, const struct cpuid_regs *slot)
{
    return ((size_t)((const char *)slot - (const char *)&n->policy)) / sizeof(*slot);
}

static bool is_named(const struct named *n, uint32_t leaf, uint32_t subleaf)
{
    size_t i = slot_number(n, policy_leaf_const(&n->policy, leaf, subleaf));

    return (n->slots[i / 64] >> (i % 64)) & 1;
}

/* Note what is named.  Entries that no policy holds are not ours to report:
 * policy_from_leaves(). */
static void note_names(struct named *n, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                       const xen_msr_entry_t *msrs, size_t nr_msrs)
{
    for (size_t i = 0; i < nr_leaves && i < POLICY_MAX_LEAVES; i++) {
        struct cpuid_regs *slot = policy_leaf(&n->policy, leaves[i].leaf, leaves[i].subleaf);
        size_t number;

        if (!slot)
            continue;
        number = slot_number(n, slot);
        n->slots[number / 64] |= 1ull << (number % 64);
        *slot = (struct cpuid_regs){leaves[i].a, leaves[i].b, leaves[i].c, leaves[i].d};
    }
    for (size_t i = 0; i < nr_msrs && i < POLICY_MAX_MSRS; i++) {
        n->platform_info |= msrs[i].idx == MSR_INTEL_PLATFORM_INFO;
        n->arch_caps |= msrs[i].idx == MSR_ARCH_CAPABILITIES;
    }
}

static void not_named(uint32_t leaf, uint32_t subleaf, struct policy_report *r)
{
    policy_fault(r, policy_fault_at(FAULT_NOT_NAMED, leaf, subleaf, 0, 0));
}

/* A leaf with subleaves: which, or that not one of them is named. */
static void check_family(const struct named *n, const struct leaf_family *f,
                         struct policy_report *r)
{
    uint32_t count = policy_named_subleaves(&n->policy, f);
    bool any = false;

    for (uint32_t s = 0; s < f->count && !any; s++)
        any = is_named(n, f->leaf, s);
    if (!any) {
        not_named(f->leaf, POLICY_NONE, r);
        return;
    }
    for (uint32_t s = 0; s < count; s++)
        if (!is_named(n, f->leaf, s))
            not_named(f->leaf, s, r);
}

static void check_range(const struct named *n, uint32_t first, uint32_t last,
                        struct policy_report *r)
{
    for (uint32_t leaf = first; leaf <= last; leaf++) {
        const struct leaf_family *f = policy_family(leaf);

        if (f)
            check_family(n, f, r);
        else if (!is_named(n, leaf, POLICY_NONE))
            not_named(leaf, POLICY_NONE, r);
    }
}

static void check_msr(bool named, uint32_t msr, struct policy_report *r)
{
    struct policy_fault f = policy_fault_init(FAULT_NOT_NAMED);

    if (named)
        return;
    f.msr = msr;
    policy_fault(r, f);
}

int policy_whole(const xen_cpuid_leaf_t *leaves, size_t nr_leaves, const xen_msr_entry_t *msrs,
                 size_t nr_msrs, struct policy_report *r)
{
    struct policy_report count_only = {NULL, 0, 0};
    struct named n = {0};
    size_t before;

    if (!r)
        r = &count_only;
    before = r->count;

    note_names(&n, leaves, nr_leaves, msrs, nr_msrs);
    check_range(&n, 0, policy_last_basic(&n.policy), r);
    check_range(&n, EXTD_FIRST, policy_last_extd(&n.policy), r);
    check_msr(n.platform_info, MSR_INTEL_PLATFORM_INFO, r);
    check_msr(n.arch_caps, MSR_ARCH_CAPABILITIES, r);

    return r->count == before ? 0 : -EINVAL;
}
