/* SPDX-License-Identifier: MIT */
/*
 * A level is accepted by each of its hosts.  policy_level() takes the first host's default as the
 * level, then goes through the others one by one (common_add, common_limit, policy_fit_fields), and
 * at the end closes what it has got (common_store, policy_drop_unbacked, policy_shrink).
 *
 *   common    for one host, any, of the pool: what has been found common so far is no more than
 *             that host has ("related") once the host has been gone through, and stays so with
 *             every other host: an induction over any number of hosts
 *   fit       the same of a leaf's fields: once fitted to the host's default they pass its max, and
 *             go on passing when they are fitted to other hosts
 *   tail_*    from any state that is related to a host, the end makes a level with which a part of
 *             policy_check() finds nothing on that host; or a part of policy_verify()
 *
 * Of the host is required: a part of policy_check() finds nothing when its own default comes to its
 * max, which is what makes a host's default and max a pair.
 */
#include "harness.h"

#include "fields.h"
#ifdef GROUP
#include "leaf-rows.h"
#endif

static unsigned int the_vendor; /* of all: they would have no level otherwise */
#define rule_vendor(p) ((uint8_t)the_vendor)

#include "featureset.c"

static struct featureset can_be_unshared; /* rewriting "unshared" */
static unsigned int the_component;        /* rewriting "one": any */

#include "leaves.c"

#include "xstate.c"

#include "check.c"
#include "components.c"
#include "features-gen.c"
#include "fields.c"
#include "fit.c"
#include "level.c"
#include "text.c"
#include "verify.c"

/* Rewriting "judge": of the host it is supposed that nothing is found, of the level it is proved.
 */
static bool supposed;

void found(struct policy_report *r)
{
    (void)r;
    if (supposed)
        ASSUME(0);
    else
        PROVE(0, "nothing is found");
}

static struct cpu_policy level, deflt, max;
static struct featureset fd, fm, fl; /* their features */
struct common nondet_common(void);

/* ---- what has been found so far, related to one of the hosts ---- */

static bool features_related(const struct common *c, const struct featureset *d,
                             const struct featureset *m)
{
    bool all = true;

    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        all &= !(c->all.w[i] & ~d->w[i] & ~features_numbers.w[i]);
        all &= !(d->w[i] & ~c->any.w[i]);
        all &= !(c->may.w[i] & ~(m->w[i] & features_by_merge[MERGE_ACCUMULATE].w[i]));
    }
    for (unsigned int i = 0; i < NR_FEATURE_FIELDS; i++) {
        unsigned int word = featureset_fields[i].word;
        uint32_t mask = ((1u << featureset_fields[i].width) - 1) << featureset_fields[i].shift;

        all &= (c->all.w[word] & mask) <= (d->w[word] & mask);
    }
    return all;
}

static bool same_component(const struct cpuid_regs *x, const struct cpuid_regs *y)
{
    return x->a == y->a && x->b == y->b && x->c == y->c && x->d == y->d;
}

static bool components_related(const struct common *c, const struct cpu_policy *l,
                               const struct cpu_policy *d)
{
    bool all = !(c->xcr0 & ~policy_xcr0(d)) && !(c->xss & ~policy_xss(d));

    for (unsigned int i = 2; i < 63; i++)
        if (((c->xcr0 | c->xss) >> i) & 1)
            all &= same_component(&l->xstate[i], &d->xstate[i]);
    return all;
}

/* One host of the pool, and another that comes after it. */
void accepted_common(void)
{
    struct common c;
    struct cpu_policy other = nondet_policy(), other_max = nondet_policy();

    level = nondet_policy();
    deflt = nondet_policy();
    max = nondet_policy();
    policy_to_featureset(&deflt, &fd);
    policy_to_featureset(&max, &fm);

    /* It is the first. */
    common_init(&c, &deflt);
    common_limit(&c, &max);
    PROVE(features_related(&c, &fd, &fm), "the first host's features");
    PROVE(components_related(&c, &deflt, &deflt), "the first host's components");

    /* It comes after others. */
    c = nondet_common();
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        ASSUME(!(c.may.w[i] & ~features_by_merge[MERGE_ACCUMULATE].w[i]));
    common_add(&c, &level, &deflt);
    common_limit(&c, &max);
    PROVE(features_related(&c, &fd, &fm), "a later host's features");
    PROVE(components_related(&c, &level, &deflt), "a later host's components");

    /* Another comes after it. */
    c = nondet_common();
    ASSUME(features_related(&c, &fd, &fm) && components_related(&c, &level, &deflt));
    common_add(&c, &level, &other);
    common_limit(&c, nondet_bool() ? &other_max : NULL);
    PROVE(features_related(&c, &fd, &fm), "features stay related");
    PROVE(components_related(&c, &level, &deflt), "components stay related");
    REACHED();
}

/* ---- closing, by what features need instead of by what stands on them ---- */

/* A feature stays if and only if it has all that it needs. */
static void close_by_needs(struct featureset *fs)
{
    enum { NR_SETS = sizeof(feature_needs_sets) / sizeof(feature_needs_sets[0]) };
    bool lacks[NR_SETS];

    for (unsigned int s = 0; s < NR_SETS; s++) {
        uint32_t missing = 0;

        for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
            if (feature_needs_sets[s].w[i])
                missing |= feature_needs_sets[s].w[i] & ~fs->w[i];
        lacks[s] = missing != 0;
    }
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        uint32_t falling = 0;

        for (unsigned int bit = 0; bit < 32; bit++)
            if (feature_needs_at[i * 32 + bit])
                falling |= (uint32_t)lacks[feature_needs_at[i * 32 + bit] - 1] << bit;
        fs->w[i] &= ~falling;
    }
}

void accepted_close(void)
{
    struct featureset fs = nondet_featureset(), other = fs;

    featureset_close(&fs, NULL);
    close_by_needs(&other);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(fs.w[i] == other.w[i], "a feature stays if and only if it has all that it needs");
    REACHED();
}

#ifdef TAIL
static void stub_featureset_close(struct featureset *fs, struct featureset *dropped)
{
    PROVE(!dropped, "not asked for");
    close_by_needs(fs);
}

/* Closing once more, from any state, gains no component and no feature. */
void accepted_lose(void)
{
    struct featureset fs = nondet_featureset(), before = fs;
    uint64_t xcr0 = nondet_mask(), xss = nondet_mask(), xcr0_before = xcr0, xss_before = xss;

    close_over_components(&fs, &xcr0, &xss);
    PROVE(!(xcr0 & ~xcr0_before) && !(xss & ~xss_before), "no component is gained");
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(!(fs.w[i] & ~before.w[i]), "no feature is gained");
    REACHED();
}

/* ---- the end ---- */

static void keep_if(bool keep, struct cpuid_regs *x)
{
    x->a = keep ? x->a : 0;
    x->b = keep ? x->b : 0;
    x->c = keep ? x->c : 0;
    x->d = keep ? x->d : 0;
}

#define ZERO_ABOVE(leaf, member)                                                                   \
    for (unsigned int s = 0; s < sizeof(p->member) / sizeof(p->member[0]); s++)                    \
    keep_if((leaf) <= p->basic[0].a, &p->member[s])

/* Proof accepted-trim: the same, with bounds that are numbers. */
static void trim_by_numbers(struct cpu_policy *p)
{
    uint32_t last;

    if (p->basic[0].a >= POLICY_NR_BASIC)
        p->basic[0].a = POLICY_NR_BASIC - 1;
    if (p->extd[0].a < EXTD_FIRST || p->extd[0].a > EXTD_FIRST + 0xffff)
        p->extd[0].a = 0;
    else if (p->extd[0].a - EXTD_FIRST >= POLICY_NR_EXTD)
        p->extd[0].a = EXTD_FIRST + POLICY_NR_EXTD - 1;
    for (uint32_t i = 1; i < POLICY_NR_BASIC; i++)
        keep_if(i <= p->basic[0].a, &p->basic[i]);
    last = p->extd[0].a;
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        keep_if(last && EXTD_FIRST + i <= last, &p->extd[i]);
    ZERO_ABOVE(0x4, cache);
    ZERO_ABOVE(0x7, feat);
    ZERO_ABOVE(0xb, topo);
    ZERO_ABOVE(0xd, xstate);
    ZERO_ABOVE(0xf, monitor);
    ZERO_ABOVE(0x1d, tile);
    ZERO_ABOVE(0x1e, tmul);
    ZERO_ABOVE(0x1f, topo_v2);
    ZERO_ABOVE(0x24, avx10);
    if (p->feat[0].a >= POLICY_NR_FEAT)
        p->feat[0].a = POLICY_NR_FEAT - 1;
    for (uint32_t s = 1; s < POLICY_NR_FEAT; s++)
        keep_if(s <= p->feat[0].a, &p->feat[s]);
}

static void stub_policy_trim(struct cpu_policy *p)
{
    trim_by_numbers(p);
}

/* What policy_shrink() may do to a policy that is trimmed: only lower maxima. */
static void lower_maxima(struct cpu_policy *p)
{
    uint32_t basic = nondet_uint(), feat = nondet_uint(), extd = nondet_uint();

    ASSUME(basic <= p->basic[0].a && feat <= p->feat[0].a && extd <= p->extd[0].a);
    p->basic[0].a = basic;
    p->feat[0].a = feat;
    p->extd[0].a = extd;
}

/* Only features that rows hang on are ever unshared: fit_leaf() takes them from there. */
static struct featureset any_unshared(void)
{
    struct featureset unshared = nondet_featureset();

    for (unsigned int i = 0; i < NR_FIELD_RULES; i++)
        if (field_rules[i].feature)
            featureset_set(&can_be_unshared, field_rules[i].feature - 1u);
    featureset_and(&unshared, &unshared, &can_be_unshared);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(!(unshared.w[i] & ~can_be_unshared.w[i]), "no others");
    return unshared;
}

static void stub_feature_fault(enum policy_fault_kind kind, unsigned int feature, uint64_t guest,
                               uint64_t host, struct policy_report *r)
{
    (void)kind;
    (void)feature;
    (void)guest;
    (void)host;
    found(r);
}

static void stub_prerequisite_fault(const struct feature_need *n, struct policy_report *r)
{
    (void)n;
    found(r);
}

/* Made and compared by this one function: that they agree is seen by eye. */
static uint64_t stub_xstate_standard_size(const struct cpu_policy *p, uint64_t xcr0)
{
    (void)xcr0;
    return p->xstate[0].c;
}

/* A level, from any state that is related to the host deflt and max. */
static struct common common;

/* Addresses that every host has which has the features (proofs fit-). */
static bool wide_enough(const struct featureset *fs)
{
    uint32_t phys = level.extd[8].a & 0xff, linear = level.extd[8].a >> 8 & 0xff;
    bool wide = featureset_test(fs, X86_FEATURE_PAE) || featureset_test(fs, X86_FEATURE_PSE36);
    uint32_t least = !featureset_test(fs, X86_FEATURE_LM)    ? 32
                     : featureset_test(fs, X86_FEATURE_LA57) ? 57
                                                             : 48;

    return phys >= (wide ? 36 : 32) && phys <= 52 && linear >= least && linear <= 57;
}

static void make_level(void)
{
    struct featureset unshared = any_unshared();

    the_vendor =
        RULE_INTEL; /* decides here only which leaves become empty, none of them features */
    level = nondet_policy();
    deflt = nondet_policy();
    max = nondet_policy();
    policy_to_featureset(&deflt, &fd);
    policy_to_featureset(&max, &fm);
    common = nondet_common();
    ASSUME(features_related(&common, &fd, &fm) && components_related(&common, &level, &deflt));
    ASSUME(level.extd[0].a < 0x80000008u || wide_enough(&common.all));
    common_store(&common, &level);
    policy_drop_unbacked(&level, &unshared);
    lower_maxima(&level);
    policy_to_featureset(&level, &fl);
}

static struct policy_report r = {NULL, 0, 0};

/* Whatever warning the level may get of any host, this one's max can be told. */
void tail_missing(void)
{
    struct featureset warnings;

    make_level();
    featureset_and(&warnings, &common.any, &features_by_merge[MERGE_HAZARD]);
    warnings.w[FEATURESET_Ab] = 0; /* where there is no PMU the level has none of these */
    if (featureset_test(&warnings, X86_FEATURE_RSBA) ||
        featureset_test(&warnings, X86_FEATURE_RRSBA)) {
        featureset_set(&warnings, X86_FEATURE_RSBA);
        featureset_set(&warnings, X86_FEATURE_RRSBA);
    }
    supposed = true;
    check_missing(&fd, &fm, &r);
    check_fields(&fd, &fm, &r);
    check_missing(&warnings, &fm, &r);
    supposed = false;
    check_missing(&fl, &fm, &r);
    REACHED();
}

void tail_hazards(void)
{
    make_level();
    /* A default that has RTM and says that it always aborts is none that Xen makes. */
    ASSUME(!featureset_test(&fd, X86_FEATURE_RTM) ||
           !featureset_test(&fd, X86_FEATURE_RTM_ALWAYS_ABORT));
    check_hazards(&level, &fl, &deflt, &r);
    REACHED();
}

void tail_numbers(void)
{
    make_level();
    supposed = true;
    check_fields(&fd, &fm, &r);
    supposed = false;
    check_fields(&fl, &fm, &r);
    PROVE((fl.w[FEATURESET_Aa] & 0xff) ||
              !(fl.w[FEATURESET_Ab] & features_by_merge[MERGE_HAZARD].w[FEATURESET_Ab]),
          "no PMU, no events to miss");
    REACHED();
}

void tail_closed(void)
{
    make_level();
    check_closed(&level, &max, &fl, &r);
    REACHED();
}

/*
 * Leaf D of a level: set_components() writes it, once from what is common and then each time the
 * level is closed, with no more components than before (proof accepted-lose); policy_trim() may
 * make it empty.  What is related to the host stays so.  Of one component, any (rewriting "one").
 */
static bool component_related(const struct common *c)
{
    return !(c->xcr0 & ~policy_xcr0(&deflt)) && !(c->xss & ~policy_xss(&deflt)) &&
           (the_component < 2 || !(((c->xcr0 | c->xss) >> the_component) & 1) ||
            same_component(&level.xstate[the_component], &deflt.xstate[the_component]));
}

static void make_components(void)
{
    struct featureset before;

    the_component = nondet_uint();
    ASSUME(the_component < 64);
    level = nondet_policy();
    deflt = nondet_policy();
    max = nondet_policy();
    common = nondet_common();
    /* Bit 63 is no component and has no subleaf. */
    ASSUME(the_component < 63
               ? component_related(&common)
               : !(common.xcr0 & ~policy_xcr0(&deflt)) && !(common.xss & ~policy_xss(&deflt)));
    common.xcr0 &= nondet_mask();
    common.xss &= nondet_mask();
    policy_to_featureset(&level, &before);
    set_components(&level, common.xcr0, common.xss);
    PROVE(the_component == 63 || component_related(&common), "closing once more is the same again");
    PROVE(policy_xcr0(&level) == common.xcr0 && policy_xss(&level) == common.xss, "as it says");
    policy_to_featureset(&level, &fl);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(fl.w[i] == before.w[i], "no feature is in what it writes");
}

void tail_components(void)
{
    make_components();
    supposed = true;
    check_components(&deflt, &max, policy_xcr0(&deflt), policy_xcr0(&max), &r);
    check_components(&deflt, &max, policy_xss(&deflt), policy_xss(&max), &r);
    supposed = false;
    check_components(&level, &max, policy_xcr0(&level), policy_xcr0(&max), &r);
    check_components(&level, &max, policy_xss(&level), policy_xss(&max), &r);
    REACHED();
}

void tail_copies(void)
{
    struct fields f = {&level, &max, &fl, &r, 0};

    make_level();
    f.vendor = vendor_is_amd_like(policy_vendor_id(&level)) ? RULE_AMD : RULE_INTEL;
    check_copies(&f);
    REACHED();
}

static void stub_verify_overlap(const struct cpu_policy *p, unsigned int component, uint64_t later,
                                struct policy_report *unused)
{
    (void)p;
    (void)component;
    (void)later;
    (void)unused;
}

/* policy_verify(): components are those of the first host, in the same place, which is what
 * verify_overlap() looks at; leaf D is theirs, and leaf 4 a list. */
void tail_verify_lists(void)
{
    uint64_t xcr0, xss;

    make_components();
    close_caches(&level);
    ASSUME(!(policy_xcr0(&deflt) >> 63) && !(policy_xss(&deflt) >> 63));
    supposed = true;
    verify_xstate_layout(&deflt, policy_xcr0(&deflt), policy_xss(&deflt), &r);
    supposed = false;
    xcr0 = policy_xcr0(&level);
    xss = policy_xss(&level);
    PROVE(the_component < 2 || the_component == 63 || !((xcr0 | xss) >> the_component & 1) ||
              same_component(&level.xstate[the_component], &deflt.xstate[the_component]),
          "a component of the first host's");
    verify_xstate_layout(&level, xcr0, xss, &r);
    verify_lists(&level, xcr0 | xss, &r);
    REACHED();
}

/* What closing may do to features and components: take some (proof accepted-lose). */
static void stub_close_over_components(struct featureset *fs, uint64_t *xcr0, uint64_t *xss)
{
    struct featureset stay = nondet_featureset();

    featureset_and(fs, fs, &stay);
    *xcr0 &= nondet_mask();
    *xss &= nondet_mask();
}

/* It writes no feature (proof accepted-components), and otherwise leaf D alone, of which no row
 * hangs on a feature. */
static void stub_set_components(struct cpu_policy *p, uint64_t xcr0, uint64_t xss)
{
    (void)p;
    (void)xcr0;
    (void)xss;
}

/* policy_drop_unbacked(): what is unshared is gone.  The leaves that become empty have no features
 * in them (tail_unbacked, for each vendor). */
void tail_unshared(void)
{
    struct featureset unshared = any_unshared();

    the_vendor = VENDOR;
    level = nondet_policy();
    policy_drop_unbacked(&level, &unshared);
    policy_to_featureset(&level, &fl);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(!(fl.w[i] & unshared.w[i]), "what is unshared is gone");
    REACHED();
}

static void leaf_is_backed(uint32_t leaf, const struct field_rule *f)
{
    const struct leaf_family *family = policy_family(leaf);
    bool backed = featureset_test(&fl, f->feature - 1u);

    for (uint32_t k = 0; k < (family ? family->count : 1u); k++) {
        const struct cpuid_regs *l = policy_leaf_const(&level, leaf, family ? k : POLICY_NONE);

        PROVE(backed || (!l->a && !l->b && !l->c && !l->d), "a leaf without its feature is empty");
    }
}

/* So are the leaves that nothing backs.  unshared: none, so that the loop over leaves begins with
 * any policy and its features; after closing it begins with those, too. */
void tail_unbacked(void)
{
    struct featureset unshared = {{0}}, before;

    the_vendor = VENDOR;
    level = nondet_policy();
    policy_to_featureset(&level, &before);
    policy_drop_unbacked(&level, &unshared);
    policy_to_featureset(&level, &fl);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        PROVE(fl.w[i] == before.w[i], "no feature is in these leaves");
    for (unsigned int j = 0; j < NR_FIELD_RULES; j++) {
        const struct field_rule *f = &field_rules[j];
        uint32_t seen = 0;

        if (!f->feature || !(f->vendors & VENDOR))
            continue;
        for (unsigned int i = 0; i < NR_FIELD_CONDITIONAL; i++)
            if (f->first <= field_conditional[i] && field_conditional[i] <= f->last) {
                seen++;
                leaf_is_backed(field_conditional[i], f);
            }
        PROVE(seen == f->last - f->first + 1, "each leaf of the row");
    }
    REACHED();
}

/* policy_verify(): what stands on what. */
void tail_verify_features(void)
{
    make_level();
    for (unsigned int i = 0; i < NR_FEATURE_NEEDS; i++)
        PROVE(!featureset_test(&fl, feature_needs_direct[i].feature) ||
                  featureset_test(&fl, feature_needs_direct[i].needs),
              "what a feature stands on is there");
    verify_xstate_features(policy_xcr0(&level), &fl, &r);
    verify_addresses(&level, &r);
    REACHED();
}
#endif

/* policy_shrink(): nothing says anything beyond the maxima, and what is below stays.  Slots of
 * basic leaves that have subleaves are not used: policy_from_leaves() leaves them zero. */
#ifdef TAIL
void accepted_shrink(void)
{
    struct cpu_policy p = nondet_policy(), q;
    struct policy_report unused = {NULL, 0, 0};

    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        ASSUME(!policy_leaf_has_subleaves(i) || regs_empty(&p.basic[i]));
    trim_by_numbers(&p);
    q = p;
    policy_shrink(&p);
    PROVE(p.basic[0].a <= q.basic[0].a && p.feat[0].a <= q.feat[0].a && p.extd[0].a <= q.extd[0].a,
          "only lower maxima");
    for (uint32_t i = 1; i < POLICY_NR_BASIC; i++)
        PROVE(same_component(&p.basic[i], &q.basic[i]), "basic leaves stay");
    for (uint32_t i = 1; i < POLICY_NR_EXTD; i++)
        PROVE(same_component(&p.extd[i], &q.extd[i]), "extended leaves stay");
    verify_maxima(&p, &unused);
    verify_beyond(&p, &unused);
    REACHED();
}
#endif

/* policy_trim() does what trim_by_numbers() does. */
#ifdef TAIL
void accepted_trim(void)
{
    struct cpu_policy p = nondet_policy(), q = p;

    real_policy_trim(&p);
    trim_by_numbers(&q);
    PROVE(p.platform_info == q.platform_info && p.arch_caps == q.arch_caps &&
              p.hv_limit == q.hv_limit && p.hv2_limit == q.hv2_limit,
          "what is no leaf");
    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        PROVE(same_component(&p.basic[i], &q.basic[i]), "basic leaves");
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        PROVE(same_component(&p.extd[i], &q.extd[i]), "extended leaves");
    for (unsigned int f = 0; f < POLICY_NR_FAMILIES; f++)
        for (uint32_t k = 0; k < policy_families[f].count; k++)
            PROVE(same_component(policy_leaf(&p, policy_families[f].leaf, k),
                                 policy_leaf(&q, policy_families[f].leaf, k)),
                  "subleaves");
    REACHED();
}
#endif

/* ---- which leaves are fitted ---- */

#ifdef VISITS
static bool seen_basic[POLICY_NR_BASIC], seen_extd[POLICY_NR_EXTD];
static bool seen_sub[POLICY_NR_FAMILIES][POLICY_NR_XSTATE];

static void stub_fit_leaf(struct cpuid_regs *l, const struct cpuid_regs *host, uint32_t leaf,
                          uint32_t subleaf, uint8_t vendor, struct featureset *unshared)
{
    uint32_t s = policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE;

    PROVE(vendor == the_vendor && unshared == &fl, "by the vendor");
    if (leaf < POLICY_NR_BASIC && l == &level.basic[leaf] && s != POLICY_NONE)
        return; /* a slot that is not used */
    PROVE(l == policy_leaf_const(&level, leaf, s), "the level's leaf");
    PROVE(host == policy_leaf_const(&deflt, leaf, s), "the host's leaf");
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        if (policy_families[i].leaf == leaf)
            seen_sub[i][subleaf] = true;
    if (s == POLICY_NONE)
        *(leaf < EXTD_FIRST ? &seen_basic[leaf] : &seen_extd[leaf - EXTD_FIRST]) = true;
}

void accepted_visits(void)
{
    uint64_t before;

    the_vendor = nondet_uint();
    ASSUME(the_vendor == RULE_INTEL || the_vendor == RULE_AMD);
    level = nondet_policy();
    deflt = nondet_policy();
    before = level.platform_info;
    policy_fit_fields(&level, &deflt, &fl);
    PROVE(!(level.platform_info & ~(before & deflt.platform_info)), "MSR CE");
    for (uint32_t i = 0; i < POLICY_NR_BASIC; i++)
        PROVE(i > level.basic[0].a || policy_leaf_has_subleaves(i) ||
                  same_component(&level.basic[i], &deflt.basic[i]) || seen_basic[i],
              "a basic leaf that differs is fitted");
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        PROVE((i && EXTD_FIRST + i > level.extd[0].a) ||
                  same_component(&level.extd[i], &deflt.extd[i]) || seen_extd[i],
              "an extended leaf that differs is fitted");
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES; i++)
        for (uint32_t s = 0; policy_families[i].leaf != 0xd && s < policy_families[i].count; s++)
            PROVE(policy_families[i].leaf > level.basic[0].a ||
                      same_component(policy_leaf_const(&level, policy_families[i].leaf, s),
                                     policy_leaf_const(&deflt, policy_families[i].leaf, s)) ||
                      seen_sub[i][s],
                  "a subleaf that differs is fitted");
    REACHED();
}
#endif

/* ---- fields of leaves ---- */

#ifdef GROUP
#define PASTE_(a, b) a##b
#define PASTE(a, b)  PASTE_(a, b)
#define NR_OF(x)     (sizeof(level.x) / sizeof(level.x[0]))

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

static bool differ(const struct cpuid_regs *x, const struct cpuid_regs *y)
{
    return x->a != y->a || x->b != y->b || x->c != y->c || x->d != y->d;
}

static bool silent(const struct cpuid_regs *x)
{
    return !x->a && !x->b && !x->c && !x->d;
}

/* Does the audit accept the leaf? */
static bool accepts(const struct featureset *fs, uint32_t leaf, uint32_t s,
                    const struct cpuid_regs *g, const struct cpuid_regs *h)
{
    struct policy_report faults = {NULL, 0, 0};
    const struct fields c = {&level, &max, fs, &faults, (uint8_t)the_vendor};

    if (differ(g, h))
        check_leaf(&c, leaf, s, g, h);
    return !faults.count;
}

/* AMD's leaf 4 is reserved: what Intel reserves in its own has nothing in it. */
static bool as_reserved(uint32_t leaf, const struct cpuid_regs *x)
{
    return leaf != 4 || the_vendor != RULE_AMD || (!(x->a & ~0xffffc3ffu) && !(x->d & ~7u));
}

/* What policy_level() requires of hosts, and what is required here: the vendor's name is the same
 * in both of its places; leaf 1 says something. */
static bool one_pool(uint32_t leaf, const struct cpuid_regs *l, const struct cpuid_regs *d)
{
    bool name = l->b == d->b && l->c == d->c && l->d == d->d;

    if (leaf == 1)
        return !((l->b ^ d->b) & 0xff00) && !silent(d);
    if (leaf == 0x80000000u) /* only AMD has it there */
        return the_vendor != RULE_AMD || name;
    return leaf != 0 || name;
}

/* The feature without which policy_drop_unbacked() makes the leaf empty; POLICY_NONE: none. */
static uint32_t backed_by(uint32_t leaf)
{
    for (unsigned int i = 0; i < NR_FIELD_RULES; i++)
        if (field_rules[i].feature && (field_rules[i].vendors & the_vendor) &&
            field_rules[i].first <= leaf && leaf <= field_rules[i].last)
            return field_rules[i].feature - 1u;
    return POLICY_NONE;
}

/* What a level's leaf is at the end: leaf A's EAX and EBX are feature words. */
static struct cpuid_regs at_end(uint32_t leaf, const struct cpuid_regs *l,
                                const struct cpuid_regs *words)
{
    struct cpuid_regs end = *l;

    if (leaf == 0xa) {
        end.a = words->a;
        end.b = words->b;
    }
    return end;
}

/* Proofs accepted-numbers and -missing: a number is at most every host's, a bit of A.EBX without a
 * name is every host's, and without a PMU no events are missing. */
static bool words_follow(const struct cpuid_regs *words, const struct cpuid_regs *host)
{
    uint32_t events = features_by_merge[MERGE_HAZARD].w[FEATURESET_Ab];

    return ((words->a & 0xff) || !(words->b & events)) &&
           (!silent(host) || (!words->a && !(words->b & ~events)));
}

/* 80000008.EAX of hosts that have what stands on so many bits: any numbers. */
static uint32_t least_phys, least_linear;

static bool address_range(const struct cpuid_regs *x)
{
    uint32_t phys = x->a & 0xff, linear = x->a >> 8 & 0xff;

    return phys >= least_phys && phys <= 52 && linear >= least_linear && linear <= 57;
}

/* What else common_store() and policy_shrink() may make of a leaf: lower maxima and widths; a list
 * of caches without what is reserved. */
static bool is_closed(uint32_t leaf, uint32_t s)
{
    return leaf == 0 || leaf == 4 || (leaf == 7 && s == 0) || leaf == 0x80000000u ||
           leaf == 0x80000008u;
}

static struct cpuid_regs closed_leaf(uint32_t leaf, uint32_t s, const struct cpuid_regs *l)
{
    struct cpuid_regs end = *l, any = nondet_regs();

    if (leaf == 4) {
        end.a &= 0xffffc3ffu;
        end.d &= 7;
    }
    if (leaf == 0x80000008u && (any.a & 0xff) <= (l->a & 0xff) &&
        (any.a & 0xff00) <= (l->a & 0xff00))
        end.a = (l->a & 0xffff0000u) | (any.a & 0xffff);
    if ((leaf == 0 || (leaf == 7 && s == 0) || leaf == 0x80000000u) && any.a <= l->a)
        end.a = any.a;
    return end;
}

/* Where a max has no leaf A, neither its default nor the level has: proof accepted-missing. */
static bool words_pass(uint32_t leaf, const struct cpuid_regs *words, const struct cpuid_regs *m)
{
    return leaf != 0xa || !silent(m) || (!words->a && !words->b);
}

/* The level itself, not only what it is at the end. */
static bool stays_silent(uint32_t leaf, const struct cpuid_regs *l, const struct cpuid_regs *m)
{
    return leaf != 0xa || !silent(m) || silent(l);
}

static void fit(struct cpuid_regs *l, const struct cpuid_regs *d, uint32_t leaf, uint32_t s,
                struct featureset *unshared)
{
    if (differ(l, d))
        fit_leaf(l, d, leaf, s, (uint8_t)the_vendor, unshared);
}

/* fs: the level's features at the end. */
static void fit_one(uint32_t leaf, uint32_t s, const struct featureset *fs)
{
    struct cpuid_regs l = nondet_regs(), d = nondet_regs(), m = nondet_regs(), k = nondet_regs();
    struct cpuid_regs words = nondet_regs(), end;
    struct featureset has_d = nondet_featureset(), unshared = {{0}};
    uint32_t feature = backed_by(leaf);
    bool backed = feature == POLICY_NONE || featureset_test(fs, feature % FEATURESET_BITS);
    bool pair, before, ranges, reserved;

    /* What has no feature behind it becomes empty in the end, and passes everywhere. */
    if (feature != POLICY_NONE && !backed) {
        l = (struct cpuid_regs){0};
        PROVE(accepts(fs, leaf, s, &l, &m), "an empty leaf");
        return;
    }
    /* The level is fitted to a host, which has whatever the level has at the end. */
    pair = accepts(&has_d, leaf, s, &d, &m) && one_pool(leaf, &l, &d) && words_follow(&words, &l) &&
           words_follow(&words, &d) && words_pass(leaf, &d, &m) && words_pass(leaf, &words, &m) &&
           (feature == POLICY_NONE || featureset_test(&has_d, feature % FEATURESET_BITS));
    ranges = address_range(&l) && address_range(&d);
    reserved = as_reserved(leaf, &l);
    end = l;
    fit(&l, &d, leaf, s, &unshared);
    PROVE(one_pool(leaf, &end, &l) || (leaf == 1 && silent(&l)), "the identity stays");
    PROVE(!reserved || as_reserved(leaf, &l), "what is reserved stays so");
    PROVE(leaf != 0x80000008u || !ranges || address_range(&l), "addresses that can be");
    if (feature != POLICY_NONE && featureset_test(&unshared, feature % FEATURESET_BITS))
        pair = false; /* not backed at the end */
    end = at_end(leaf, &l, &words);
    PROVE(!pair || accepts(fs, leaf, s, &end, &m), "what has been fitted to a host passes there");
    PROVE(!pair || stays_silent(leaf, &l, &m), "and says nothing where the host has no PMU");

    /* And then to another. */
    l = nondet_regs();
    unshared = (struct featureset){{0}};
    end = at_end(leaf, &l, &words);
    before = accepts(fs, leaf, s, &end, &m) && one_pool(leaf, &l, &k) && words_follow(&words, &l) &&
             words_follow(&words, &k) && words_pass(leaf, &words, &m) && stays_silent(leaf, &l, &m);
    fit(&l, &k, leaf, s, &unshared);
    if (feature != POLICY_NONE && featureset_test(&unshared, feature % FEATURESET_BITS))
        before = false;
    end = at_end(leaf, &l, &words);
    PROVE(!before || accepts(fs, leaf, s, &end, &m), "what passes goes on passing");
    PROVE(!before || stays_silent(leaf, &l, &m), "and goes on saying nothing");

    /* And is closed, or becomes empty. */
    if (is_closed(leaf, s)) {
        before = accepts(fs, leaf, s, &end, &m) && as_reserved(leaf, &end);
        end = closed_leaf(leaf, s, &end);
        PROVE(!before || accepts(fs, leaf, s, &end, &m), "it passes when it is closed");
    }
    end = (struct cpuid_regs){0};
    PROVE(feature != POLICY_NONE || accepts(fs, leaf, s, &end, &m), "so does an empty leaf");
}

#define LEAF_BEGIN(leaf, subs)                                                                     \
    for (uint32_t s = 0; FIRST <= (leaf) && (leaf) <= LAST && s < (subs); s++) {                   \
        fit_one(leaf, s, &fl);
#define ROW(rule, low, high, reg, mask, vendors, feature, name)
#define LEAF_END }

void accepted_fit(void)
{
    fl = nondet_featureset();
    least_phys = nondet_uint();
    least_linear = nondet_uint();
    ASSUME(least_phys && least_linear);
    the_vendor = VENDOR;
#ifdef SAME_ROWS /* the rows are the same for both */
    for (unsigned int i = 0; i < NR_FIELD_RULES; i++)
        PROVE(field_rules[i].last < FIRST || field_rules[i].first > LAST ||
                  field_rules[i].vendors == (RULE_INTEL | RULE_AMD),
              "rows of no vendor");
#endif
    PASTE(ROWS_, GROUP)
    REACHED();
}
#endif
