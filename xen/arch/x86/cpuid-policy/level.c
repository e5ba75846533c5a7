/* SPDX-License-Identifier: MIT */
/* policy_level: what hosts share.  policy_close: a policy without what lost its prerequisites. */
#include "policy-private.h"
#include "features-gen.h"

/* The instructions that save in compacted form, in D.1.EAX. */
#define COMPACTING (feature_bit(X86_FEATURE_XSAVEC) | feature_bit(X86_FEATURE_XSAVES))

#define SHADOW_BITS      44u
#define HYPERVISOR_LIMIT 0xffu /* of leaves 40000000 and 40000100: Xen keeps a byte */

/* Keep only these components: zero the others' subleaves, and recompute the sizes of leaf D. */
static void set_components(struct cpu_policy *p, uint64_t xcr0, uint64_t xss)
{
    for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
        if (!(((xcr0 | xss) >> i) & 1))
            p->xstate[i] = (struct cpuid_regs){0};
    p->xstate[0].a = (uint32_t)xcr0;
    p->xstate[0].d = (uint32_t)(xcr0 >> 32);
    p->xstate[1].c = (uint32_t)xss;
    p->xstate[1].d = (uint32_t)(xss >> 32);
    p->xstate[0].c = (uint32_t)xstate_standard_size(p, xcr0);

    /* EBX of D.0 and D.1 follow XCR0 and XSS at run time.  Here they are what they are at reset. */
    p->xstate[0].b = xcr0 ? XSTATE_AREA : 0;
    p->xstate[1].b = p->xstate[1].a & COMPACTING ? XSTATE_AREA : 0;
}

/* Features whose state cannot be kept, and components whose feature is gone. */
static void close_over_components(struct featureset *fs, uint64_t *xcr0, uint64_t *xss)
{
    unsigned int i;

    for_each_component(i, XSTATE_OF_FEATURES & ~*xcr0)
    {
        if (featureset_test(fs, xstate_feature(i)))
            featureset_drop(fs, xstate_feature(i));
    }
    featureset_close(fs, NULL);
    for_each_component(i, XSTATE_OF_FEATURES & *xcr0)
    {
        if (!featureset_test(fs, xstate_feature(i)))
            *xcr0 &= ~(1ull << i);
    }
    if (!featureset_test(fs, X86_FEATURE_XSAVE))
        *xcr0 = 0;
    if (!featureset_test(fs, X86_FEATURE_XSAVES))
        *xss = 0;
}

void policy_close(struct cpu_policy *p, struct featureset *dropped)
{
    uint64_t xcr0 = policy_xcr0(p), xss = policy_xss(p);
    struct featureset before, fs;

    policy_to_featureset(p, &before);
    fs = before;
    close_over_components(&fs, &xcr0, &xss);
    policy_from_featureset(p, &fs);
    set_components(p, xcr0, xss);
    if (dropped)
        featureset_andnot(dropped, &before, &fs);
}

/* What has been found common so far, but for the fields of leaves: fit.c. */
struct common {
    struct featureset all; /* AND */
    struct featureset any; /* OR, for hazards and what accumulates */
    struct featureset may; /* what accumulates and may be given everywhere */
    uint64_t xcr0, xss;
};

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void common_init(struct common *c, const struct cpu_policy *p)
{
    policy_to_featureset(p, &c->all);
    c->any = c->all;
    c->may = *featureset_merge_mask(MERGE_ACCUMULATE);
    c->xcr0 = policy_xcr0(p);
    c->xss = policy_xss(p);
}

/* Numbers inside words do not AND: each field takes the smaller. */
static void merge_fields(struct featureset *all, const struct featureset *before,
                         const struct featureset *fs)
{
    const struct featureset_field_info *f;

    for (unsigned int i = 0; (f = featureset_field_info(i)); i++) {
        uint32_t mask = ((1u << f->width) - 1) << f->shift;

        all->w[f->word] &= ~mask;
        all->w[f->word] |= min_u32(before->w[f->word] & mask, fs->w[f->word] & mask);
    }
}

/* Components that both have in the same place and form. */
static uint64_t same_layout(const struct cpu_policy *a, const struct cpu_policy *b, uint64_t set)
{
    unsigned int i;

    for_each_component(i, set & ~3ull & ~(1ull << 63))
    {
        const struct cpuid_regs *x = &a->xstate[i], *y = &b->xstate[i];

        if ((x->a ^ y->a) | (x->b ^ y->b) | (x->c ^ y->c) | (x->d ^ y->d))
            set &= ~(1ull << i);
    }
    return set;
}

/* level: holds leaf D as every policy before this one had it, where it still counts. */
static void common_add(struct common *c, const struct cpu_policy *level, const struct cpu_policy *p)
{
    struct featureset fs, before = c->all;

    policy_to_featureset(p, &fs);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        c->all.w[i] &= fs.w[i];
        c->any.w[i] |= fs.w[i];
    }
    merge_fields(&c->all, &before, &fs);
    c->xcr0 = same_layout(level, p, c->xcr0 & policy_xcr0(p));
    c->xss = same_layout(level, p, c->xss & policy_xss(p));
}

/* What a host cannot give to anybody, nobody at a level with it is told. */
static void common_limit(struct common *c, const struct cpu_policy *max)
{
    struct featureset fs;

    if (!max)
        return;
    policy_to_featureset(max, &fs);
    featureset_and(&c->may, &c->may, &fs);
}

/* The features of all that was found, before anything falls with its prerequisites. */
static void common_features(const struct common *c, const struct cpu_policy *p,
                            struct featureset *fs)
{
    const struct featureset *hazard = featureset_merge_mask(MERGE_HAZARD);
    const struct featureset *accumulate = featureset_merge_mask(MERGE_ACCUMULATE);
    const struct featureset *mirror = featureset_merge_mask(MERGE_MIRROR);

    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        fs->w[i] = (c->all.w[i] & ~accumulate->w[i]) | (c->any.w[i] & (hazard->w[i] | c->may.w[i]));
    if (!(fs->w[FEATURESET_Aa] & 0xff)) /* a PMU of version 0 is none, and counts nothing */
        fs->w[FEATURESET_Ab] &= ~hazard->w[FEATURESET_Ab];
    fs->w[FEATURESET_e1d] &= ~mirror->w[FEATURESET_e1d];
    if (vendor_is_amd_like(policy_vendor_id(p))) /* AMD repeats 1.EDX: APM vol. 3, E.4.2 */
        fs->w[FEATURESET_e1d] |= fs->w[FEATURESET_1d] & mirror->w[FEATURESET_e1d];
}

/*
 * RSBA: returns may be predicted from elsewhere.  RRSBA: the same, within the mode that EIBRS tells
 * apart (SDM vol. 4, table 2-2).  Whoever has EIBRS is told the weaker one, all others the
 * stronger; who cannot see the MSR is told neither.
 */
static void tell_return_stack(struct cpu_policy *p, const struct featureset *any)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    featureset_clear(&fs, X86_FEATURE_RSBA);
    featureset_clear(&fs, X86_FEATURE_RRSBA);
    if (featureset_test(&fs, X86_FEATURE_ARCH_CAPS) &&
        (featureset_test(any, X86_FEATURE_RSBA) || featureset_test(any, X86_FEATURE_RRSBA)))
        featureset_set(&fs, featureset_test(&fs, X86_FEATURE_EIBRS) ? X86_FEATURE_RRSBA
                                                                    : X86_FEATURE_RSBA);
    policy_from_featureset(p, &fs);
}

/* Leaf 4 (SDM vol. 2A, CPUID): its list ends at the first subleaf that is no cache, and what is
 * reserved in it is zero, as in every domain of Xen's. */
static void close_caches(struct cpu_policy *p)
{
    bool more = true;

    for (unsigned int i = 0; i < POLICY_NR_CACHE; i++) {
        uint32_t type = p->cache[i].a & 0x1f;

        more = more && type >= 1 && type <= 3;
        if (!more)
            p->cache[i] = (struct cpuid_regs){0};
        p->cache[i].a &= 0xffffc3ffu;
        p->cache[i].d &= 7;
    }
}

/* Addresses as wide as a domain's; and what hypervisors map HVM guests with, page tables of 4
 * levels, reaches no further than 48 bits.  PV guests need no more either. */
static void close_widths(struct cpu_policy *p)
{
    uint32_t *widths = &p->extd[8].a;

    *widths = (*widths & ~0xffffu) | min_u32(*widths >> 8 & 0xff, policy_linear_bits(p)) << 8 |
              min_u32(*widths & 0xff, 48);
}

/* Write what is common over a policy that has the identity, and the fields of leaves. */
static void common_store(const struct common *c, struct cpu_policy *p)
{
    struct featureset fs;

    common_features(c, p, &fs);
    policy_from_featureset(p, &fs);
    set_components(p, c->xcr0, c->xss);
    policy_trim(p); /* before closing: a word above a maximum is not there to stand on */
    if (vendor_is_amd_like(policy_vendor_id(p)) && policy_max_extd(p) > EXTD_FIRST)
        p->extd[1].a = p->basic[1].a; /* AMD repeats family and model: APM vol. 3, E.4.2 */
    policy_close(p, NULL);
    tell_return_stack(p, &c->any);
    close_caches(p);
    close_widths(p);
    p->hv_limit = min_u32(p->hv_limit, HYPERVISOR_LIMIT);
    p->hv2_limit = min_u32(p->hv2_limit, HYPERVISOR_LIMIT);
}

static bool can_level(const struct cpu_policy *a, const struct cpu_policy *b)
{
    return a->basic[0].b == b->basic[0].b && a->basic[0].c == b->basic[0].c &&
           a->basic[0].d == b->basic[0].d && ((a->basic[1].b ^ b->basic[1].b) & 0xff00) == 0;
}

int policy_level(const struct policy_host *hosts, size_t n, struct cpu_policy *level,
                 struct featureset *lost, size_t *culprit)
{
    struct featureset unshared = {{0}};
    struct common c;

    if (!n)
        return -EINVAL;
    *level = *hosts[0].deflt;
    common_init(&c, level);
    common_limit(&c, hosts[0].max);
    for (size_t i = 1; i < n; i++) {
        if (!can_level(level, hosts[i].deflt)) {
            if (culprit)
                *culprit = i;
            return -EXDEV;
        }
        common_add(&c, level, hosts[i].deflt);
        common_limit(&c, hosts[i].max);
        policy_fit_fields(level, hosts[i].deflt, &unshared);
    }
    common_store(&c, level);
    policy_drop_unbacked(level, &unshared);
    policy_shrink(level);
    if (lost) {
        policy_to_featureset(level, lost);
        featureset_andnot(lost, &c.any, lost);
        featureset_and(lost, lost, featureset_merge_mask(MERGE_ACCUMULATE));
    }
    return 0;
}

int policy_apply_level(struct cpu_policy *guest, const struct cpu_policy *level,
                       struct featureset *dropped)
{
    const struct featureset *dynamic = featureset_merge_mask(MERGE_DYNAMIC);
    struct featureset before, after, unshared = {{0}};
    struct common c;

    if (!can_level(guest, level))
        return -EXDEV;
    policy_to_featureset(guest, &before);
    common_init(&c, guest);
    common_add(&c, guest, level);
    /* What the level does not say of what accumulates, some host of it could not say. */
    common_limit(&c, level);
    policy_fit_fields(guest, level, &unshared);
    /* What follows this guest's own vCPUs and their state is not the level's to take. */
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        c.all.w[i] |= before.w[i] & dynamic->w[i];
    common_store(&c, guest);
    policy_drop_unbacked(guest, &unshared);
    if (dropped) {
        policy_to_featureset(guest, &after);
        featureset_andnot(dropped, &before, &after);
    }
    return 0;
}

/* What only nested paging brings, and what no mask of features has. */
static void drop_unmasked(struct cpu_policy *p)
{
    static const uint16_t in_no_mask[] = {X86_FEATURE_RSBA, X86_FEATURE_RRSBA,
                                          X86_FEATURE_VIRT_SSBD};
    struct featureset fs;

    policy_to_featureset(p, &fs);
    featureset_andnot(&fs, &fs, featureset_only_hap());
    for (size_t i = 0; i < sizeof(in_no_mask) / sizeof(in_no_mask[0]); i++)
        featureset_clear(&fs, in_no_mask[i]);
    policy_from_featureset(p, &fs);
}

void policy_restrict(struct cpu_policy *p, enum guest_type type)
{
    uint32_t *widths = &p->extd[8].a;

    if (type == GUEST_HVM_SHADOW) {
        drop_unmasked(p);
        *widths = (*widths & ~0xffu) | min_u32(*widths & 0xff, SHADOW_BITS);
    }
    *widths = (*widths & ~0xff00u) | min_u32(*widths >> 8 & 0xff, policy_linear_bits(p)) << 8;
}
