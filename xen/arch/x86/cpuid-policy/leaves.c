/* SPDX-License-Identifier: MIT */
/* Policies from and to the hypervisor's arrays, and to and from featuresets. */
#include "policy-private.h"
#include "features-gen.h"

const struct leaf_family *policy_family(uint32_t leaf)
{
    unsigned int at = leaf < POLICY_NR_BASIC ? policy_family_at[leaf] : 0;

    return at ? &policy_families[at - 1] : NULL;
}

bool policy_leaf_has_subleaves(uint32_t leaf)
{
    return policy_family(leaf) != NULL;
}

const struct cpuid_regs *policy_leaf_const(const struct cpu_policy *p, uint32_t leaf,
                                           uint32_t subleaf)
{
    const struct leaf_family *f = policy_family(leaf);

    if (f)
        return subleaf < f->count ? &policy_family_regs(p, f)[subleaf] : NULL;
    if (subleaf != POLICY_NONE)
        return NULL;
    if (leaf < POLICY_NR_BASIC)
        return &p->basic[leaf];
    if (leaf - EXTD_FIRST < POLICY_NR_EXTD)
        return &p->extd[leaf - EXTD_FIRST];
    return NULL;
}

struct cpuid_regs *policy_leaf(struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
    return (struct cpuid_regs *)policy_leaf_const(p, leaf, subleaf);
}

/* ---- from arrays ---- */

static struct policy_fault entry_fault(enum policy_fault_kind kind, size_t index,
                                       const xen_cpuid_leaf_t *l)
{
    struct policy_fault f = policy_fault_at(kind, l->leaf, l->subleaf, 0, 0);

    f.index = (uint32_t)index;
    return f;
}

/* Where the entry belongs, or NULL with the reason in *kind. */
static struct cpuid_regs *entry_slot(struct cpu_policy *p, const xen_cpuid_leaf_t *l,
                                     enum policy_fault_kind *kind)
{
    struct cpuid_regs *slot = policy_leaf(p, l->leaf, l->subleaf);

    if (slot)
        return slot;
    if (policy_leaf_has_subleaves(l->leaf))
        *kind = l->subleaf == POLICY_NONE ? FAULT_SUBLEAF_EXPECTED : FAULT_LEAF_RANGE;
    else if (policy_leaf(p, l->leaf, POLICY_NONE))
        *kind = FAULT_SUBLEAF_UNEXPECTED;
    else
        *kind = FAULT_LEAF_RANGE;
    return NULL;
}

static void zero_family(struct cpu_policy *p, const struct leaf_family *f, uint32_t from)
{
    for (uint32_t s = from; s < f->count; s++)
        *policy_leaf(p, f->leaf, s) = (struct cpuid_regs){0};
}

/*
 * The subleaves of a leaf come together: whoever names one of them has named all, and those that
 * are not named are zero.  Or else the end of a shorter list (caches, state components) would be
 * what was there before.  *begun: a bit a family.
 */
static void begin_family(struct cpu_policy *p, uint32_t leaf, uint32_t *begun)
{
    const struct leaf_family *f = policy_family(leaf);
    uint32_t bit = f ? 1u << (f - policy_families) : 0;

    if (bit & ~*begun)
        zero_family(p, f, 0);
    *begun |= bit;
}

static void take_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves, size_t n,
                        struct policy_report *r)
{
    uint32_t begun = 0;

    for (size_t i = 0; i < n; i++) {
        const xen_cpuid_leaf_t *l = &leaves[i];
        enum policy_fault_kind kind = FAULT_LEAF_RANGE;
        struct cpuid_regs *slot;

        if (i) {
            uint64_t key = (uint64_t)l->leaf << 32 | l->subleaf;
            uint64_t before = (uint64_t)l[-1].leaf << 32 | l[-1].subleaf;

            /* Of duplicates the first is kept: the fault refuses the whole anyway. */
            if (key == before) {
                policy_fault(r, entry_fault(FAULT_DUPLICATE, i, l));
                continue;
            }
            if (key < before)
                policy_fault(r, entry_fault(FAULT_UNSORTED, i, l));
        }

        if (l->subleaf == POLICY_NONE && (l->leaf == HV_FIRST || l->leaf == HV2_FIRST)) {
            *(l->leaf == HV_FIRST ? &p->hv_limit : &p->hv2_limit) = l->a;
            continue;
        }

        slot = entry_slot(p, l, &kind);
        if (!slot) {
            policy_fault(r, entry_fault(kind, i, l));
            continue;
        }
        begin_family(p, l->leaf, &begun);
        *slot = (struct cpuid_regs){.a = l->a, .b = l->b, .c = l->c, .d = l->d};
    }
}

static void take_msrs(struct cpu_policy *p, const xen_msr_entry_t *msrs, size_t n,
                      struct policy_report *r)
{
    for (size_t i = 0; i < n; i++) {
        struct policy_fault f = policy_fault_init(FAULT_MSR_RANGE);

        f.index = (uint32_t)i;
        f.msr = msrs[i].idx;
        f.guest = msrs[i].val;
        if (i && msrs[i].idx == msrs[i - 1].idx) {
            f.kind = FAULT_DUPLICATE;
            policy_fault(r, f);
            continue;
        }
        if (i && msrs[i].idx < msrs[i - 1].idx) {
            f.kind = FAULT_UNSORTED;
            policy_fault(r, f);
        }
        if (msrs[i].flags) {
            f.kind = FAULT_MSR_FLAGS;
            f.guest = msrs[i].flags;
            policy_fault(r, f);
            continue;
        }
        switch (msrs[i].idx) {
        case MSR_INTEL_PLATFORM_INFO:
            p->platform_info = msrs[i].val;
            break;
        case MSR_ARCH_CAPABILITIES:
            p->arch_caps = msrs[i].val;
            break;
        default:
            f.kind = FAULT_MSR_RANGE;
            policy_fault(r, f);
            break;
        }
    }
}

/* More entries than a policy has slots cannot all be right; the bound keeps hostile input short. */
static size_t bound_count(size_t n, size_t limit, bool is_msr, struct policy_report *r)
{
    struct policy_fault f = policy_fault_init(FAULT_TOO_MANY);

    if (n <= limit)
        return n;
    f.index = (uint32_t)limit;
    if (is_msr)
        f.msr = 0; /* tells which of the two arrays it is */
    f.guest = n;
    f.host = limit;
    policy_fault(r, f);
    return limit;
}

int policy_merge_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                        const xen_msr_entry_t *msrs, size_t nr_msrs, struct policy_report *r)
{
    struct policy_report count_only = {NULL, 0, 0};
    size_t before;

    if (!r)
        r = &count_only;
    before = r->count;
    take_leaves(p, leaves, bound_count(nr_leaves, POLICY_MAX_LEAVES, false, r), r);
    take_msrs(p, msrs, bound_count(nr_msrs, POLICY_MAX_MSRS, true, r), r);
    return r->count == before ? 0 : -EINVAL;
}

int policy_from_leaves(struct cpu_policy *p, const xen_cpuid_leaf_t *leaves, size_t nr_leaves,
                       const xen_msr_entry_t *msrs, size_t nr_msrs, struct policy_report *r)
{
    *p = (struct cpu_policy){0};
    return policy_merge_leaves(p, leaves, nr_leaves, msrs, nr_msrs, r);
}

/* ---- to arrays ---- */

struct leaf_writer {
    xen_cpuid_leaf_t *out;
    size_t room, count;
};

static void put_leaf(struct leaf_writer *w, uint32_t leaf, uint32_t subleaf,
                     const struct cpuid_regs *r)
{
    if (w->count < w->room)
        w->out[w->count] = (xen_cpuid_leaf_t){
            .leaf = leaf, .subleaf = subleaf, .a = r->a, .b = r->b, .c = r->c, .d = r->d};
    w->count++;
}

/* The count that a list of subleaves ends with its first entry of type 0, that one included. */
static uint32_t until_type_0(const struct cpu_policy *p, uint32_t leaf, uint32_t limit)
{
    uint32_t n = 0;

    while (n < limit) {
        const struct cpuid_regs *r = policy_leaf_const(p, leaf, n++);
        /* SDM vol. 2A, CPUID: leaf 4 has the type in EAX 4:0, leaves B and 1F in ECX 15:8 */
        uint32_t type = leaf == 4 ? r->a & 0x1f : (r->c >> 8) & 0xff;

        if (!type)
            break;
    }
    return n;
}

static uint32_t min_count(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t policy_named_subleaves(const struct cpu_policy *p, const struct leaf_family *f)
{
    const struct cpuid_regs *first = policy_leaf_const(p, f->leaf, 0);
    uint64_t components = (policy_xcr0(p) | policy_xss(p)) & ~(1ull << 63);

    switch (f->leaf) {
    case 0x4:
        return until_type_0(p, f->leaf, XEN_NR_CACHE);
    case 0xb:
    case 0x1f:
        return until_type_0(p, f->leaf, XEN_NR_TOPO);
    case 0x7:
    case 0x1d: /* EAX is the highest subleaf: SDM vol. 2A, CPUID */
    case 0x1e:
    case 0x24:
        return min_count(first->a, f->count - 1u) + 1;
    case 0xd: /* 0 and 1, and as far as there are components */
        return components >> 2 ? 64 - (uint32_t)__builtin_clzll(components) : 2;
    case 0xf:
        return first->d & feature_bit(X86_FEATURE_CMT_L3) ? 2 : 1;
    default:
        return 1;
    }
}

/* How many subleaves of a family are written: those that must be named, and all that say
 * something. */
static uint32_t family_length(const struct cpu_policy *p, const struct leaf_family *f)
{
    uint32_t n = f->count, least = policy_named_subleaves(p, f);

    if (f->leaf == 7)
        return least;
    while (n > least && regs_empty(policy_leaf_const(p, f->leaf, n - 1)))
        n--;
    return n;
}

static void put_range(struct leaf_writer *w, const struct cpu_policy *p, uint32_t first,
                      uint32_t last)
{
    for (uint32_t leaf = first; leaf <= last; leaf++) {
        const struct leaf_family *f = policy_family(leaf);

        if (!f) {
            put_leaf(w, leaf, POLICY_NONE, policy_leaf_const(p, leaf, POLICY_NONE));
            continue;
        }
        for (uint32_t s = 0, n = family_length(p, f); s < n; s++)
            put_leaf(w, leaf, s, policy_leaf_const(p, leaf, s));
    }
}

int policy_to_leaves(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves, size_t *nr_leaves,
                     xen_msr_entry_t *msrs, size_t *nr_msrs)
{
    struct leaf_writer w = {leaves, *nr_leaves, 0};
    size_t msr_room = *nr_msrs;
    const xen_msr_entry_t m[POLICY_MAX_MSRS] = {
        {.idx = MSR_INTEL_PLATFORM_INFO, .val = p->platform_info},
        {.idx = MSR_ARCH_CAPABILITIES, .val = p->arch_caps},
    };

    put_range(&w, p, 0, policy_last_basic(p));
    put_leaf(&w, HV_FIRST, POLICY_NONE, &(struct cpuid_regs){.a = p->hv_limit});
    put_leaf(&w, HV2_FIRST, POLICY_NONE, &(struct cpuid_regs){.a = p->hv2_limit});
    put_range(&w, p, EXTD_FIRST, policy_last_extd(p));

    for (size_t i = 0; i < POLICY_MAX_MSRS && i < msr_room; i++)
        msrs[i] = m[i];

    *nr_leaves = w.count;
    *nr_msrs = POLICY_MAX_MSRS;
    return w.count <= w.room && POLICY_MAX_MSRS <= msr_room ? 0 : -ENOBUFS;
}

/* ---- featuresets ---- */

void policy_to_featureset(const struct cpu_policy *p, struct featureset *fs)
{
    *fs = (struct featureset){{
        [FEATURESET_1d] = p->basic[1].d,
        [FEATURESET_1c] = p->basic[1].c,
        [FEATURESET_e1d] = p->extd[1].d,
        [FEATURESET_e1c] = p->extd[1].c,
        [FEATURESET_Da1] = p->xstate[1].a,
        [FEATURESET_7b0] = p->feat[0].b,
        [FEATURESET_7c0] = p->feat[0].c,
        [FEATURESET_e7d] = p->extd[7].d,
        [FEATURESET_e8b] = p->extd[8].b,
        [FEATURESET_7d0] = p->feat[0].d,
        [FEATURESET_7a1] = p->feat[1].a,
        [FEATURESET_e21a] = p->extd[0x21].a,
        [FEATURESET_7b1] = p->feat[1].b,
        [FEATURESET_7d2] = p->feat[2].d,
        [FEATURESET_7c1] = p->feat[1].c,
        [FEATURESET_7d1] = p->feat[1].d,
        [FEATURESET_m10Al] = (uint32_t)p->arch_caps,
        [FEATURESET_m10Ah] = (uint32_t)(p->arch_caps >> 32),
        [FEATURESET_e21c] = p->extd[0x21].c,
        [FEATURESET_6a] = p->basic[6].a,
        [FEATURESET_6c] = p->basic[6].c,
        [FEATURESET_Aa] = p->basic[0xa].a,
        [FEATURESET_Ab] = p->basic[0xa].b,
        [FEATURESET_Fd0] = p->monitor[0].d,
        [FEATURESET_Fd1] = p->monitor[1].d,
    }};
}

void policy_from_featureset(struct cpu_policy *p, const struct featureset *fs)
{
    p->basic[1].d = fs->w[FEATURESET_1d];
    p->basic[1].c = fs->w[FEATURESET_1c];
    p->extd[1].d = fs->w[FEATURESET_e1d];
    p->extd[1].c = fs->w[FEATURESET_e1c];
    p->xstate[1].a = fs->w[FEATURESET_Da1];
    p->feat[0].b = fs->w[FEATURESET_7b0];
    p->feat[0].c = fs->w[FEATURESET_7c0];
    p->extd[7].d = fs->w[FEATURESET_e7d];
    p->extd[8].b = fs->w[FEATURESET_e8b];
    p->feat[0].d = fs->w[FEATURESET_7d0];
    p->feat[1].a = fs->w[FEATURESET_7a1];
    p->extd[0x21].a = fs->w[FEATURESET_e21a];
    p->feat[1].b = fs->w[FEATURESET_7b1];
    p->feat[2].d = fs->w[FEATURESET_7d2];
    p->feat[1].c = fs->w[FEATURESET_7c1];
    p->feat[1].d = fs->w[FEATURESET_7d1];
    p->arch_caps = fs->w[FEATURESET_m10Al] | (uint64_t)fs->w[FEATURESET_m10Ah] << 32;
    p->extd[0x21].c = fs->w[FEATURESET_e21c];
    p->basic[6].a = fs->w[FEATURESET_6a];
    p->basic[6].c = fs->w[FEATURESET_6c];
    p->basic[0xa].a = fs->w[FEATURESET_Aa];
    p->basic[0xa].b = fs->w[FEATURESET_Ab];
    p->monitor[0].d = fs->w[FEATURESET_Fd0];
    p->monitor[1].d = fs->w[FEATURESET_Fd1];
}

bool policy_has(const struct cpu_policy *p, unsigned int feature)
{
    uint32_t word = 0;

    if (feature < FEATURESET_BITS)
        __builtin_memcpy(&word, (const char *)p + policy_word_at[feature / 32], sizeof(word));
    return word & feature_bit(feature);
}

uint32_t policy_linear_bits(const struct cpu_policy *p)
{
    if (!policy_has(p, X86_FEATURE_LM))
        return 32;
    return policy_has(p, X86_FEATURE_LA57) ? 57 : 48;
}

/* ---- maxima ---- */

void policy_trim(struct cpu_policy *p)
{
    uint32_t basic, extd;

    if (p->basic[0].a >= POLICY_NR_BASIC)
        p->basic[0].a = POLICY_NR_BASIC - 1;
    basic = policy_max_basic(p);

    if (p->extd[0].a < EXTD_FIRST || p->extd[0].a > EXTD_FIRST + 0xffff)
        p->extd[0].a = 0;
    else if (p->extd[0].a - EXTD_FIRST >= POLICY_NR_EXTD)
        p->extd[0].a = EXTD_FIRST + POLICY_NR_EXTD - 1;
    extd = policy_max_extd(p);

    for (uint32_t i = basic + 1; i < POLICY_NR_BASIC; i++)
        p->basic[i] = (struct cpuid_regs){0};
    for (uint32_t i = extd ? extd - EXTD_FIRST + 1 : 0; i < POLICY_NR_EXTD; i++)
        p->extd[i] = (struct cpuid_regs){0};

    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++) {
        const struct leaf_family *f = &policy_families[i];

        if (f->leaf > basic)
            zero_family(p, f, 0);
    }
    if (p->feat[0].a >= POLICY_NR_FEAT)
        p->feat[0].a = POLICY_NR_FEAT - 1;
    zero_family(p, policy_family(7), p->feat[0].a + 1);
}

static bool leaf_empty(const struct cpu_policy *p, uint32_t leaf)
{
    const struct leaf_family *f = policy_family(leaf);

    if (!f)
        return regs_empty(policy_leaf_const(p, leaf, POLICY_NONE));
    for (uint32_t s = 0; s < f->count; s++)
        if (!regs_empty(policy_leaf_const(p, leaf, s)))
            return false;
    return true;
}

void policy_shrink(struct cpu_policy *p)
{
    policy_trim(p);
    while (p->feat[0].a && regs_empty(&p->feat[p->feat[0].a]))
        p->feat[0].a--;
    while (p->basic[0].a > 1 && leaf_empty(p, p->basic[0].a))
        p->basic[0].a--;
    while (p->extd[0].a > EXTD_FIRST && leaf_empty(p, p->extd[0].a))
        p->extd[0].a--;
}
