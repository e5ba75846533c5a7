/* SPDX-License-Identifier: MIT */
/* What a guest has used of its CPU: the comparison.  See usage.h; usage-words.c prints it. */
#include "usage.h"

#include <string.h>

#include <cpuid-policy/state.h>
#include <cpuid-policy/vocabulary.h>

#include "describe.h"
#include "features-gen.h"

/* Of every PV guest: Xen's own, which the guest sees (state.c). */
#define CR4_OF_HYPERVISOR (1ull << 5 | 1ull << 6 | 1ull << 9 | 1ull << 10)
/* Components with a feature of their own: without x87 and SSE, which every CPU has, and bit 63. */
#define FIRST_COMPONENT   2u
#define END_COMPONENT     63u

/* One that is not there is 0, or not sent at all: no evidence in either case. */
static bool read_msr(const struct xc_vcpu_state *v, unsigned int reg, uint64_t *value)
{
    for (unsigned int i = 0; i < v->nr_msrs; i++)
        if (v->msrs[i].index == register_infos[reg].msr) {
            *value = v->msrs[i].value;
            return true;
        }
    return false;
}

/* What a vCPU has in a register of features.def; false: nobody says. */
static bool read_register(const struct xc_vcpu_state *v, unsigned int reg, bool pv, uint64_t *value)
{
    switch (reg) {
    case POLICY_REGISTER_CR4:
        *value = v->cr4;
        return v->have_regs;
    case POLICY_REGISTER_EFER: /* a PV guest's is Xen's */
        *value = v->efer;
        return v->have_regs && !pv;
    case POLICY_REGISTER_APIC_BASE:
        *value = v->apic_base;
        return v->have_apic && !pv;
    default:
        return read_msr(v, reg, value);
    }
}

static uint64_t mask_of(const struct register_bits *b)
{
    return (~0ull >> (64 - b->width)) << b->shift;
}

static bool stands_on(const struct register_bits *b, unsigned int feature)
{
    for (unsigned int i = 0; i < b->nr_features; i++)
        if (b->features[i] == feature)
            return true;
    return false;
}

/* How many of the policy's features bring the bits? */
static unsigned int count_told(const struct register_bits *b, const struct featureset *told)
{
    unsigned int n = 0;

    for (unsigned int i = 0; i < b->nr_features; i++)
        n += featureset_test(told, b->features[i]);
    return n;
}

/*
 * Does the feature not work while the bits are clear?  MSRs are none of these: RDTSCP does not need
 * TSC_AUX.  CR4.TSD takes RDTSC away, and CR4.LAM_SUP is one of LAM's three (SDM vol. 3A, 2.5 and
 * 4.4).
 */
static bool is_gate(const struct register_bits *b)
{
    if (b->reg == POLICY_REGISTER_CR4)
        return b->features[0] != X86_FEATURE_TSC && b->features[0] != X86_FEATURE_LAM;
    return b->reg == POLICY_REGISTER_EFER || b->reg == POLICY_REGISTER_APIC_BASE;
}

/* Of several features it is a gate of the first that the guest was told of. */
static bool is_gate_of(const struct register_bits *b, const struct featureset *told,
                       unsigned int feature)
{
    unsigned int i = 0;

    while (i < b->nr_features && !featureset_test(told, b->features[i]))
        i++;
    return is_gate(b) && i < b->nr_features && b->features[i] == feature;
}

/* Is it this feature that is on when the bits are set?  Of several, of a gate: the first, but of
 * CR4.CET, which is for both of its. */
static bool is_alone(const struct register_bits *b, const struct featureset *told,
                     unsigned int feature)
{
    return count_told(b, told) <= 1 ||
           (is_gate_of(b, told, feature) && feature != X86_FEATURE_CET_SS);
}

/* Keep the stronger verdict, with its place. */
static void raise_verdict(struct usage_finding *f, enum usage_verdict verdict, const char *reg,
                          unsigned int bit)
{
    if (verdict <= f->verdict && f->where[0])
        return;
    f->verdict = verdict;
    (void)snprintf(f->where, sizeof(f->where), "%s[%u]", reg, bit);
}

/* ---- registers ---- */

static void look_at_bits(const struct register_bits *b, const struct xc_domain_state *s,
                         const struct featureset *told, struct usage_finding *f)
{
    bool cr4 = b->reg == POLICY_REGISTER_CR4;
    uint64_t mask = mask_of(b) & ~(s->pv && cr4 ? CR4_OF_HYPERVISOR : 0);

    for (size_t i = 0; mask && i < s->nr_vcpus; i++) {
        enum usage_verdict verdict = USAGE_OFF;
        uint64_t value, set;

        if (!read_register(&s->vcpus[i], b->reg, s->pv, &value))
            continue;
        set = value & mask;
        if (set)
            verdict = is_alone(b, told, f->feature) ? USAGE_IN_USE : USAGE_SHARED;
        else if (!is_gate_of(b, told, f->feature))
            continue;
        raise_verdict(f, verdict, register_infos[b->reg].name,
                      (unsigned int)__builtin_ctzll(set ? set : mask));
    }
}

static void look_at_registers(const struct xc_domain_state *s, const struct featureset *told,
                              struct usage_finding *f)
{
    for (unsigned int i = 0; i < NR_REGISTER_BITS; i++)
        if (stands_on(&register_bits[i], f->feature))
            look_at_bits(&register_bits[i], s, told, f);
}

/* ---- components of the XSAVE area ---- */

static uint64_t components_of(unsigned int feature)
{
    uint64_t components = 0;

    for (unsigned int i = FIRST_COMPONENT; i < END_COMPONENT; i++)
        if (xstate_feature(i) == feature)
            components |= 1ull << i;
    return components;
}

static unsigned int first_of(uint64_t bits)
{
    return (unsigned int)__builtin_ctzll(bits);
}

static void look_at_components(const struct xc_domain_state *s, uint64_t components,
                               struct usage_finding *f)
{
    bool said = false;

    for (size_t i = 0; i < s->nr_vcpus; i++) {
        const struct xc_vcpu_state *v = &s->vcpus[i];

        if (!v->have_xsave)
            continue;
        said = true;
        if (v->xstate_bv & components)
            raise_verdict(f, USAGE_IN_USE, "XSTATE_BV", first_of(v->xstate_bv & components));
        else if (v->xcr0 & components)
            raise_verdict(f, USAGE_ON, "XCR0", first_of(v->xcr0 & components));
        else if (v->xcr0_accum & components)
            raise_verdict(f, USAGE_WAS_ON, "accumulated XCR0",
                          first_of(v->xcr0_accum & components));
    }
    if (f->verdict == USAGE_UNTRACED && said)
        raise_verdict(f, USAGE_NEVER, "accumulated XCR0", first_of(components));
}

/*
 * A feature with components of its own.  Xen has PKRU's and MPX's in the accumulated value as soon
 * as CR4.PKE or BNDCFGS is set (hvm_set_cr4() of hvm.c, guest_wrmsr() of msr.c): so they, too,
 * cannot have been used when it is not.
 */
static void look_at_owner(const struct xc_domain_state *s, uint64_t components,
                          struct usage_finding *f)
{
    struct usage_finding in_area = {.feature = f->feature};

    look_at_components(s, components, &in_area);
    if (f->verdict >= USAGE_SHARED || !in_area.where[0])
        return;
    f->verdict = in_area.verdict;
    memcpy(f->where, in_area.where, sizeof(f->where));
}

/* Of what a feature stands on, that with components which itself stands on most: AVX512F rather
 * than AVX.  POLICY_NONE: none has components. */
static uint32_t find_owner(unsigned int feature)
{
    const struct featureset *needs = feature_needs(feature);
    uint32_t owner = POLICY_NONE;
    unsigned int most = 0;

    for (int g = needs ? featureset_next(needs, 0) : -1; g >= 0;
         g = featureset_next(needs, (unsigned int)g + 1)) {
        const struct featureset *below = feature_needs((unsigned int)g);
        unsigned int depth = below ? featureset_count(below) + 1 : 1;

        if (depth > most && components_of((unsigned int)g)) {
            owner = (uint32_t)g;
            most = depth;
        }
    }
    return owner;
}

/*
 * A feature of instructions that work in another's registers: it cannot be used while that one's
 * state is off, and nobody can tell the two apart while it is in use.
 */
static void look_at_needs(const struct xc_domain_state *s, struct usage_finding *f)
{
    uint32_t owner = find_owner(f->feature);
    struct usage_finding other = {.verdict = USAGE_UNTRACED};

    if (owner == POLICY_NONE)
        return;
    look_at_components(s, components_of(owner), &other);
    if (!other.where[0])
        return;
    f->verdict = other.verdict == USAGE_IN_USE ? USAGE_SHARED : other.verdict;
    memcpy(f->where, other.where, sizeof(f->where));
}

/* XSAVEOPT and its like cannot be used while CR4.OSXSAVE is off. */
static void look_at_xsave(const struct xc_domain_state *s, const struct featureset *told,
                          struct usage_finding *f)
{
    const struct featureset *needs = feature_needs(f->feature);
    struct usage_finding xsave = {.feature = X86_FEATURE_XSAVE};

    if (f->where[0] || !needs || !featureset_test(needs, X86_FEATURE_XSAVE))
        return;
    look_at_registers(s, told, &xsave);
    if (xsave.verdict != USAGE_OFF)
        return;
    f->verdict = USAGE_OFF;
    memcpy(f->where, xsave.where, sizeof(f->where));
}

/* ---- all of it ---- */

static void look_at_feature(const struct xc_domain_state *s, const struct featureset *told,
                            struct usage_finding *f)
{
    uint64_t components = components_of(f->feature);

    look_at_registers(s, told, f);
    if (components)
        look_at_owner(s, components, f);
    else if (f->verdict < USAGE_SHARED)
        look_at_needs(s, f);
    look_at_xsave(s, told, f);
}

/* What the state shows of features that nobody told the guest of. */
static void find_untold(const struct xc_domain_state *s, const struct featureset *told,
                        struct featureset *untold)
{
    memset(untold, 0, sizeof(*untold));
    for (unsigned int i = FIRST_COMPONENT; i < END_COMPONENT; i++) {
        uint32_t feature = xstate_feature(i);

        for (size_t k = 0; feature != POLICY_NONE && k < s->nr_vcpus; k++)
            if (s->vcpus[k].have_xsave && s->vcpus[k].xcr0_accum >> i & 1 &&
                !featureset_test(told, feature))
                featureset_set(untold, feature);
    }
    for (unsigned int i = 0; i < NR_REGISTER_BITS; i++) {
        const struct register_bits *b = &register_bits[i];
        struct usage_finding f = {.verdict = USAGE_UNTRACED};

        if (!b->nr_features || count_told(b, told))
            continue;
        look_at_bits(b, s, told, &f);
        if (f.verdict > USAGE_OFF)
            featureset_set(untold, b->features[0]);
    }
}

void usage_find(const struct cpu_policy *p, const struct xc_domain_state *s, struct usage *u)
{
    struct featureset told, untold, all;

    memset(u, 0, sizeof(*u));
    u->pv = s->pv;
    for (size_t i = 0; i < s->nr_vcpus; i++) {
        u->vcpus += s->vcpus[i].have_regs;
        u->unread += !s->vcpus[i].have_regs;
    }
    policy_to_featureset(p, &told);
    find_untold(s, &told, &untold);
    show_comparable(&told);
    featureset_or(&all, &told, &untold);
    for (int i = featureset_next(&all, 0); i >= 0; i = featureset_next(&all, (unsigned int)i + 1)) {
        struct usage_finding *f = &u->findings[u->n++];

        f->feature = (uint16_t)i;
        f->told = featureset_test(&told, (unsigned int)i);
        look_at_feature(s, &told, f);
    }
}

const struct usage_finding *usage_of(const struct usage *u, unsigned int feature)
{
    for (size_t i = 0; i < u->n; i++)
        if (u->findings[i].feature == feature)
            return &u->findings[i];
    return NULL;
}
