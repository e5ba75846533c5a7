/* SPDX-License-Identifier: MIT */
/*
 * policy_check(guest, host) == 0 implies the LEAF rows of features.def.  Which bits have which rule
 * comes from the table's JSON (rows.py); what a rule means is written here anew.  Three parts:
 *
 *   check_parts    nothing is at fault only where no part of policy_check() finds anything, and
 *                  policy_check_fields() is given this guest, this host, the guest's features
 *   check_visits   policy_check_fields() looks at every leaf that the guest sees and the host has
 *                  otherwise; and what it says of AMD's copies
 *   check_rows     check_leaf() finds nothing only where the rows of the leaf hold (GROUP: leaves
 *                  that are proved together)
 */
#include "harness.h"

#include "features-gen.c" /* first: how long its arrays are */

#include "fields.c"

#include "check.c"
#include "components.c"
#include "featureset.c"
#include "leaves.c"
#include "text.c"
#include "xstate.c"

#include "leaf-rows.h"

enum { AS_INTEL = 1, AS_AMD = 2 };

/* AMD's and Hygon's CPUs follow AMD's manual, all others Intel's. */
static unsigned int vendor_of(const struct cpu_policy *p)
{
    bool amd = p->basic[0].b == 0x68747541 && p->basic[0].d == 0x69746e65 &&
               p->basic[0].c == 0x444d4163; /* AuthenticAMD */
    bool hygon = p->basic[0].b == 0x6f677948 && p->basic[0].d == 0x6e65476e &&
                 p->basic[0].c == 0x656e6975; /* HygonGenuine */

    return amd || hygon ? AS_AMD : AS_INTEL;
}

/* A leaf above the guest's own maximum is not the guest's to see; 80000000 is always there. */
static bool sees(const struct cpu_policy *p, uint32_t leaf)
{
    return leaf == 0x80000000u || leaf <= (leaf < 0x80000000u ? p->basic[0].a : p->extd[0].a);
}

static bool same(const struct cpuid_regs *x, const struct cpuid_regs *y)
{
    return x->a == y->a && x->b == y->b && x->c == y->c && x->d == y->d;
}

static bool empty(const struct cpuid_regs *r)
{
    return !r->a && !r->b && !r->c && !r->d;
}

/* ---- the parts of policy_check() ---- */

static struct cpu_policy the_guest, the_host;

#ifdef PARTS
static unsigned int parts_called, parts_finding;

static void any_part(unsigned int part, struct policy_report *r)
{
    parts_called |= 1u << part;
    if (nondet_bool()) {
        parts_finding |= 1u << part;
        r->count++;
    }
}

static bool is_features_of(const struct featureset *fs, const struct cpu_policy *p)
{
    struct featureset x;

    policy_to_featureset(p, &x);
    return featureset_equal(fs, &x);
}

static void stub_check_missing(const struct featureset *guest, const struct featureset *max,
                               struct policy_report *r)
{
    PROVE(is_features_of(guest, &the_guest) && is_features_of(max, &the_host), "of these two");
    any_part(0, r);
}

static void stub_check_hazards(const struct cpu_policy *guest, const struct featureset *fs,
                               const struct cpu_policy *deflt, struct policy_report *r)
{
    PROVE(guest == &the_guest && is_features_of(fs, guest) && deflt == &the_host, "of these two");
    any_part(1, r);
}

static void stub_check_fields(const struct featureset *guest, const struct featureset *max,
                              struct policy_report *r)
{
    PROVE(is_features_of(guest, &the_guest) && is_features_of(max, &the_host), "of these two");
    any_part(2, r);
}

static void stub_policy_check_fields(const struct cpu_policy *guest, const struct cpu_policy *max,
                                     const struct featureset *fs, struct policy_report *r)
{
    PROVE(guest == &the_guest && max == &the_host && is_features_of(fs, guest), "of these two");
    any_part(3, r);
}

static void stub_check_closed(const struct cpu_policy *guest, const struct cpu_policy *max,
                              const struct featureset *fs, struct policy_report *r)
{
    PROVE(guest == &the_guest && max == &the_host && is_features_of(fs, guest), "of these two");
    any_part(4, r);
}

static void stub_check_components(const struct cpu_policy *guest, const struct cpu_policy *max,
                                  uint64_t guest_set, uint64_t host_set, struct policy_report *r)
{
    uint64_t xcr0 = guest->xstate[0].a | (uint64_t)guest->xstate[0].d << 32;
    uint64_t xss = guest->xstate[1].c | (uint64_t)guest->xstate[1].d << 32;

    PROVE(guest == &the_guest && max == &the_host, "of these two");
    PROVE(guest_set == xcr0 || guest_set == xss, "of XCR0 or XSS");
    any_part(parts_called >> 5 & 1 ? 6 : 5, r);
}

static void stub_check_msrs(const struct cpu_policy *guest, const struct cpu_policy *max,
                            struct policy_report *r)
{
    PROVE(guest == &the_guest && max == &the_host, "of these two");
    any_part(7, r);
}

void check_parts(void)
{
    struct policy_host host = {&the_host, &the_host};
    struct policy_report r = {NULL, 0, nondet_size()};

    the_guest = nondet_policy();
    the_host = nondet_policy();
    ASSUME(r.count < SIZE_MAX - 16);
    if (policy_check(&the_guest, &host, nondet_bool() ? &r : NULL) == 0) {
        PROVE(parts_called == 0xff, "every part is asked");
        PROVE(!parts_finding, "and has found nothing");
    }
    REACHED();
}
#endif

/* ---- which leaves are looked at ---- */

#ifdef VISITS
static bool seen_basic[POLICY_NR_BASIC], seen_extd[POLICY_NR_EXTD];
static bool seen_sub[POLICY_NR_FAMILIES][POLICY_NR_XSTATE];
static const struct featureset *the_features;

/* Notes which slot it is, and that both are this slot, of the guest and of the host. */
static void stub_check_leaf(const struct fields *c, uint32_t leaf, uint32_t subleaf,
                            const struct cpuid_regs *g, const struct cpuid_regs *h)
{
    uint32_t s = policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE;

    PROVE(c->guest == &the_guest && c->host == &the_host && c->fs == the_features, "these two");
    PROVE(c->vendor == vendor_of(&the_guest), "by the guest's vendor");
    if (leaf < POLICY_NR_BASIC && g == &the_guest.basic[leaf] && s != POLICY_NONE)
        return; /* a slot that is not used: it can only add findings */
    PROVE(g == policy_leaf_const(&the_guest, leaf, s), "the guest's leaf");
    PROVE(h == policy_leaf_const(&the_host, leaf, s), "the host's leaf");
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        if (policy_families[i].leaf == leaf)
            seen_sub[i][subleaf] = true;
    if (s == POLICY_NONE)
        *(leaf < 0x80000000u ? &seen_basic[leaf] : &seen_extd[leaf - 0x80000000u]) = true;
}

static void all_visited(void)
{
    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        if (!policy_leaf_has_subleaves(i))
            PROVE(!sees(&the_guest, i) || same(&the_guest.basic[i], &the_host.basic[i]) ||
                      seen_basic[i],
                  "a basic leaf that differs is looked at");
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        PROVE(!sees(&the_guest, 0x80000000u + i) || same(&the_guest.extd[i], &the_host.extd[i]) ||
                  seen_extd[i],
              "an extended leaf that differs is looked at");
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        for (uint32_t s = 0; policy_families[i].leaf != 0xd && s < policy_families[i].count; s++) {
            const struct cpuid_regs *g = policy_leaf_const(&the_guest, policy_families[i].leaf, s);
            const struct cpuid_regs *h = policy_leaf_const(&the_host, policy_families[i].leaf, s);

            PROVE(!sees(&the_guest, policy_families[i].leaf) || same(g, h) || seen_sub[i][s],
                  "a subleaf that differs is looked at");
        }
}

void check_visits(void)
{
    struct policy_report r = {NULL, 0, 0};
    struct featureset fs = nondet_featureset();
    uint32_t mirrors = features_by_merge[MERGE_MIRROR].w[FEATURESET_e1d], copies, of;

    the_guest = nondet_policy();
    the_host = nondet_policy();
    the_features = &fs;
    policy_check_fields(&the_guest, &the_host, &fs, &r);
    all_visited();
    copies = the_guest.extd[1].d & mirrors;
    of = vendor_of(&the_guest) == AS_AMD ? the_guest.basic[1].d & mirrors : 0;
    PROVE(r.count || !copies || copies == of, "copies of 1.EDX are its own");
    PROVE(r.count || vendor_of(&the_guest) != AS_AMD || the_guest.extd[0].a <= 0x80000000u ||
              the_guest.extd[1].a == the_guest.basic[1].a,
          "AMD repeats family and model");
    REACHED();
}
#endif

/* ---- what the rows say ---- */

#ifdef GROUP
#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
#define NR_OF(x)     (sizeof(the_guest.x) / sizeof(the_guest.x[0]))

static void stub_field_fault(const struct fields *c, const struct field_rule *f, uint32_t leaf,
                             uint32_t subleaf, unsigned int reg, uint32_t g, uint32_t h)
{
    (void)f;
    (void)leaf;
    (void)subleaf;
    (void)reg;
    (void)g;
    (void)h;
    c->r->count++;
}

/* One field of one leaf of both, in its place. */
struct one_field {
    uint32_t g, h;
    bool conditional;      /* the row hangs on a feature, which the guest has */
    bool g_empty, h_empty; /* the whole leaf */
};

static bool row_equal(const struct one_field *x)
{
    return x->g == x->h || (x->g_empty && !x->conditional);
}

static bool row_at_most(const struct one_field *x)
{
    return x->g <= x->h;
}

static bool row_subset(const struct one_field *x)
{
    return (x->g | x->h) == x->h;
}

/* Whoever uses the leaf has been told. */
static bool row_told(const struct one_field *x)
{
    return x->g == x->h || x->g_empty || ((x->g | x->h) == x->g && !x->h_empty);
}

static bool row_offered(const struct one_field *x)
{
    return x->g == x->h || !x->g;
}

/* Only without its feature is anything asked of it. */
static bool row_any(const struct one_field *x)
{
    (void)x;
    return true;
}

/* The guest has not been told of the feature: nothing, or what the host has there anyway. */
static bool row_untold(const struct one_field *x)
{
    return x->g == x->h || !x->g;
}

/* Any two leaves that are accepted. */
#define LEAF_BEGIN(leaf, subs)                                                                     \
    for (uint32_t s = 0; s < (subs); s++) {                                                        \
        struct cpuid_regs g = nondet_regs(), h = nondet_regs();                                    \
        bool accepted;                                                                             \
                                                                                                   \
        r.count = 0;                                                                               \
        if (!same(&g, &h))                                                                         \
            check_leaf(&c, leaf, s, &g, &h);                                                       \
        accepted = !r.count;

#define LEAF_END }

#define ROW(rule, low, high, reg, mask, vendors, feature, name)                                    \
    if ((low) <= s && s <= (high)) {                                                               \
        const struct one_field x = {g.reg & (mask), h.reg & (mask), (feature) != POLICY_NONE,      \
                                    empty(&g), empty(&h)};                                         \
        bool told = (feature) == POLICY_NONE || featureset_test(&fs, (feature) % FEATURESET_BITS); \
                                                                                                   \
        PROVE(!accepted || !(c.vendor & (vendors)) || (told ? row_##rule(&x) : row_untold(&x)),    \
              name);                                                                               \
    }

void check_rows(void)
{
    struct policy_report r = {NULL, 0, 0};
    struct featureset fs = nondet_featureset();
    const struct fields c = {&the_guest, &the_host, &fs, &r, nondet_bool() ? AS_AMD : AS_INTEL};

    PROVE((int)AS_INTEL == (int)RULE_INTEL && (int)AS_AMD == (int)RULE_AMD,
          "the library calls them so");
    PASTE(ROWS_, GROUP)
    REACHED();
}
#endif
