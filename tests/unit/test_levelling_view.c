/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest's programs see: what levelling_pv_view() announces, against what CPUID really
 * answers on simulated CPUs with every mechanism.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/sysctl.h>

#include "features-gen.h"
#include "property.h"
#include "pvview.h"
#include "simhost.h"

#define PAGES 64u

struct machine {
    const char *name;
    struct sim_host *h;
};

static struct machine boot(const char *name)
{
    return (struct machine){name, simhost_boot(name, 1, 64, 1)};
}

static const struct cpu_policy *own_of(const struct machine *m, unsigned int index)
{
    return &m->h->hv.policies[index];
}

/* What its programs read on this host with this policy, which becomes what the core has made of it
 * (AMD's copies of 1.EDX follow it). */
static void look(const struct machine *m, struct cpu_policy *policy, struct cpu_policy *seen)
{
    const struct simguest g = {
        .script = SCRIPT_STEADY, .nr_vcpus = 1, .nr_pages = PAGES, .seed = 7, .policy = policy};
    struct domain *d = simguest_start(m->h, &g);

    require(d, "no PV guest on %s", m->name);
    (void)sim_host_run(m->h, 20);
    require(pvview_read(m->h, d, seen), "it does not run on %s", m->name);
    *policy = d->policy;
    domain_destroy(d);
}

/* ---- a second opinion on how they differ ---- */

static bool differs(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) != 0;
}

/* Areas that are easily told: those bits of `areas` that this knows about. */
#define KNOWN_AREAS                                                                                \
    (1u << PV_AREA_VENDOR | 1u << PV_AREA_MODEL | 1u << PV_AREA_LEAVES | 1u << PV_AREA_WIDTHS)

static uint32_t areas_between(const struct cpu_policy *a, const struct cpu_policy *b)
{
    uint32_t areas = 0;

    if (differs(&a->basic[0].b, &b->basic[0].b, 12) || differs(&a->extd[0].b, &b->extd[0].b, 12))
        areas |= 1u << PV_AREA_VENDOR;
    if (a->basic[1].a != b->basic[1].a || a->extd[1].a != b->extd[1].a)
        areas |= 1u << PV_AREA_MODEL;
    if (a->basic[0].a != b->basic[0].a || a->feat[0].a != b->feat[0].a ||
        a->extd[0].a != b->extd[0].a)
        areas |= 1u << PV_AREA_LEAVES;
    if (a->extd[8].a != b->extd[8].a)
        areas |= 1u << PV_AREA_WIDTHS;
    return areas;
}

/* Every feature that CPUID tells of, one by one. */
static void require_features(const struct cpu_policy *a, const struct cpu_policy *b,
                             const struct pv_change *c, const char *what)
{
    struct featureset before, after;

    policy_to_featureset(a, &before);
    policy_to_featureset(b, &after);
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        const struct feature_info *info = feature_info(f);
        bool was = featureset_test(&before, f), is = featureset_test(&after, f);
        bool told = info && info->merge != MERGE_MIRROR && f != X86_FEATURE_OSXSAVE &&
                    f != X86_FEATURE_OSPKE && f != X86_FEATURE_HTT && f != X86_FEATURE_CMP_LEGACY &&
                    f / 32 != FEATURESET_m10Al && f / 32 != FEATURESET_m10Ah &&
                    !featureset_test(featureset_number_bits(), f);

        require(featureset_test(&c->appear, f) == (told && is && !was),
                "%s: %s is %sannounced as visible", what, info ? info->name : "a bit",
                featureset_test(&c->appear, f) ? "" : "not ");
        require(featureset_test(&c->vanish, f) == (told && was && !is),
                "%s: %s is %sannounced as hidden", what, info ? info->name : "a bit",
                featureset_test(&c->vanish, f) ? "" : "not ");
    }
}

static void require_areas(const struct cpu_policy *a, const struct cpu_policy *b,
                          const struct pv_change *c, const char *what)
{
    const bool brand = differs(&a->extd[2], &b->extd[2], 48) ||
                       ((a->basic[1].b ^ b->basic[1].b) & 0xff) || a->extd[1].b != b->extd[1].b;

    require((c->areas & KNOWN_AREAS) == areas_between(a, b), "%s: areas %x are announced, not %x",
            what, c->areas & KNOWN_AREAS, areas_between(a, b));
    require((!differs(&a->basic[2], &b->basic[2], 16) && !differs(&a->extd[5], &b->extd[5], 32)) ||
                (c->areas >> PV_AREA_CACHES & 1),
            "%s: the caches", what);
    require(!(c->areas >> PV_AREAS), "%s: areas without a name", what);
    require((c->basic | c->extd) == 0 || (c->areas >> PV_AREA_OTHER & 1), "%s: other leaves", what);
    require(!(c->basic & (1ull << 0 | 1ull << 2 | 1ull << 4 | 1ull << 0xb | 1ull << 0xd)) &&
                !(c->extd & 0x7f),
            "%s: a leaf that has an area is called another leaf", what);
    require((c->areas >> PV_AREA_BRAND & 1) == brand, "%s: the brand", what);
}

/* Nothing differs that is announced nowhere, and nothing is announced that does not differ. */
static void require_whole(const struct cpu_policy *a, const struct cpu_policy *b,
                          const struct pv_change *c, const char *what)
{
    struct cpu_policy x = *a, y = *b;

    pvview_forget_place(&x);
    pvview_forget_place(&y);
    x.platform_info = y.platform_info = x.arch_caps = y.arch_caps = 0;
    x.hv_limit = y.hv_limit = x.hv2_limit = y.hv2_limit = 0;
    require(levelling_pv_same(c) ==
                (!differs(&x, &y, sizeof(x)) && !(c->areas >> PV_AREA_HYPERVISOR & 1)),
            "%s: something differs without a word, or nothing with one", what);
    require_features(a, b, c, what);
    require_areas(a, b, c, what);
}

/* ---- one host ---- */

static void require_view(const struct machine *m, struct cpu_policy *policy,
                         struct cpu_policy *seen)
{
    struct pv_view view, real;
    struct pv_change none;

    look(m, policy, seen);
    pvview_announced(m->h, policy, &view);
    require_whole(policy, &view.seen, &view.beyond, m->name);
    real = (struct pv_view){.exact = view.exact, .seen = *seen};
    levelling_pv_move(&view, &real, &none);
    require(levelling_pv_same(&none),
            "%s: what is seen is not what is announced: areas %x (leaves %llx, %llx), %u features "
            "more, %u fewer (%d)",
            m->name, none.areas, (unsigned long long)none.basic, (unsigned long long)none.extd,
            featureset_count(&none.appear), featureset_count(&none.vanish),
            featureset_next(&none.vanish, 0));
    if (!view.exact) { /* and without the function's own idea of what counts */
        struct cpu_policy x = view.seen, y = *seen;

        pvview_forget_place(&x);
        pvview_forget_place(&y);
        y.arch_caps = x.arch_caps;
        y.platform_info = x.platform_info;
        require(!differs(&x, &y, sizeof(x)), "%s: another leaf than announced", m->name);
    }
}

/* Fewer features, at random, and what stood on them. */
static void take_away(struct cpu_policy *p)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    for (unsigned int n = property_below(20); n; n--) {
        int feature = featureset_next(&fs, property_below(FEATURESET_BITS));

        if (feature >= 0)
            featureset_drop(&fs, (unsigned int)feature);
    }
    policy_from_featureset(p, &fs);
    policy_close(p, NULL);
    policy_shrink(p);
}

static uint32_t kinds; /* of levelling, that were asked */

static void each_machine(void)
{
    for (unsigned int n = 0; n < property_nr_machines(); n++) {
        const struct machine m = boot(property_machine(n));

        kinds |= 1u << m.h->hv.levelling.kind;
        for (unsigned int i = 0; i < 60; i++) {
            struct cpu_policy policy, seen;

            policy = *own_of(&m, i % 2 ? XEN_SYSCTL_cpu_policy_pv_max
                                       : XEN_SYSCTL_cpu_policy_pv_default);
            if (i > 1)
                take_away(&policy);
            require_view(&m, &policy, &seen);
        }
        simhost_halt(m.h);
    }
}

static void each_machine_shows_what_is_announced(void **state)
{
    (void)state;
    kinds = 0;
    property_run(each_machine, 1);
    assert_int_equal(kinds, (1u << (LEVELLING_AMD_USERDIS + 1)) - 1);
}

/* ---- two hosts ---- */

static void require_move(const struct machine *from, const struct machine *to,
                         struct cpu_policy *policy)
{
    struct cpu_policy here, there;
    struct pv_view a, b;
    struct pv_change c;
    char what[128];

    (void)snprintf(what, sizeof(what), "%s to %s", from->name, to->name);
    require_view(from, policy, &here);
    require_view(to, policy, &there);
    pvview_announced(from->h, policy, &a);
    pvview_announced(to->h, policy, &b);
    levelling_pv_move(&a, &b, &c);
    require_whole(&here, &there, &c, what);
    require(!a.exact || !b.exact || levelling_pv_same(&c), "%s: both fault", what);
}

static unsigned int pairs;

static void try_pair(const char *from, const char *to)
{
    const struct machine m[2] = {boot(from), boot(to)};
    const struct policy_host own[2] = {
        {.max = own_of(&m[0], XEN_SYSCTL_cpu_policy_pv_max),
         .deflt = own_of(&m[0], XEN_SYSCTL_cpu_policy_pv_default)},
        {.max = own_of(&m[1], XEN_SYSCTL_cpu_policy_pv_max),
         .deflt = own_of(&m[1], XEN_SYSCTL_cpu_policy_pv_default)},
    };
    struct cpu_policy level;

    if (!policy_level(own, 2, &level, NULL, NULL)) {
        require_move(&m[0], &m[1], &level);
        pairs++;
    }
    simhost_halt(m[0].h);
    simhost_halt(m[1].h);
}

static void each_pair(void)
{
    for (unsigned int i = 0; i < property_nr_machines(); i++)
        for (unsigned int j = 0; j < property_nr_machines(); j++)
            try_pair(property_machine(i), property_machine(j));
}

static void each_pair_changes_what_is_announced(void **state)
{
    (void)state;
    pairs = 0;
    property_run(each_pair, 1);
    assert_true(pairs > 100);
}

/* ---- by name ---- */

static void view_of(const char *machine, const struct cpu_policy *policy, struct pv_view *view)
{
    const struct machine m = boot(machine);

    pvview_announced(m.h, policy ? policy : own_of(&m, XEN_SYSCTL_cpu_policy_pv_default), view);
    simhost_halt(m.h);
}

/* The scene of the README: masks cannot set a bit that the CPU shows as 0. */
static void sandy_bridge_and_haswell(void **state)
{
    struct pv_view snb, hsw;
    struct cpu_policy policy;
    struct pv_change c;

    (void)state;
    view_of("intel-sandybridge-ep", NULL, &snb);
    assert_false(snb.exact);
    assert_true(featureset_test(&snb.beyond.vanish, X86_FEATURE_HYPERVISOR));
    assert_true(featureset_test(&snb.beyond.vanish, X86_FEATURE_ARCH_CAPS));
    assert_int_equal(featureset_count(&snb.beyond.vanish), 2);
    assert_false(snb.beyond.areas >> PV_AREA_BRAND & 1);
    policy = snb.seen;
    view_of("intel-haswell-ep", &policy, &hsw);
    assert_true(hsw.exact);
    assert_true(levelling_pv_same(&hsw.beyond));
    levelling_pv_move(&snb, &hsw, &c);
    assert_int_equal(c.areas, 1u << PV_AREA_HYPERVISOR);

    view_of("intel-haswell-ep", NULL, &hsw);
    policy = hsw.seen;
    view_of("intel-sandybridge-ep", &policy, &snb);
    assert_true(snb.beyond.areas >> PV_AREA_BRAND & 1);
    assert_true(snb.beyond.areas >> PV_AREA_MODEL & 1);
    assert_true(featureset_test(&snb.beyond.vanish, X86_FEATURE_AVX2));
}

/* Without a mask nothing of the CPU is hidden. */
static void nothing_hides_avx512(void **state)
{
    struct pv_view hsw, virtual;
    struct cpu_policy policy;

    (void)state;
    view_of("intel-haswell-ep", NULL, &hsw);
    policy = hsw.seen;
    view_of("virtual-skylake-sp", &policy, &virtual);
    assert_true(featureset_test(&virtual.beyond.appear, X86_FEATURE_AVX512F));
    assert_true(virtual.beyond.areas >> PV_AREA_XSTATE & 1);
}

/* What no machine here has. */
static void rare_things(void **state)
{
    static struct cpu_policy raw, policy;
    struct pv_view view;

    (void)state;
    memset(&raw, 0, sizeof(raw));
    raw.basic[0].a = 7;
    raw.feat[0].a = 2;
    raw.feat[1].a = 1u << 4; /* AVX-VNNI */
    raw.feat[2].d = 1;
    raw.basic[1].b = 7;
    policy = raw;
    policy.feat[0].a = 1;
    policy.feat[2].d = 0;
    policy.basic[1].b = 8;
    levelling_pv_view(XEN_SYSCTL_CPU_LEVELCAP_l7s0_eax, &raw, &policy, &view);
    assert_int_equal(view.seen.feat[0].a, 1);
    assert_int_equal(view.seen.feat[1].a, 1u << 4);
    assert_int_equal(view.seen.feat[2].d, 0);
    assert_int_equal(view.beyond.areas, 1u << PV_AREA_BRAND | 1u << PV_AREA_HYPERVISOR);
    levelling_pv_view(0, &raw, &policy, &view);
    assert_int_equal(view.seen.feat[0].a, 2);
    assert_int_equal(view.beyond.areas,
                     1u << PV_AREA_BRAND | 1u << PV_AREA_LEAVES | 1u << PV_AREA_HYPERVISOR);
    assert_true(featureset_test(&view.beyond.appear, FEATURESET_7d2 * 32));

    /* Leaf D, subleaf 1 (the Sandy Bridge here is too early for it), with a mask and without. */
    raw.xstate[1].a = 1; /* XSAVEOPT */
    levelling_pv_view(XEN_SYSCTL_CPU_LEVELCAP_xsave_eax, &raw, &policy, &view);
    assert_int_equal(view.seen.xstate[1].a, 0);
    assert_false(featureset_test(&view.beyond.appear, X86_FEATURE_XSAVEOPT));
    levelling_pv_view(0, &raw, &policy, &view);
    assert_true(featureset_test(&view.beyond.appear, X86_FEATURE_XSAVEOPT));

    /* AMD's copy of a bit is no second difference. */
    raw.basic[1].d = 1u << 23; /* MMX */
    raw.extd[1].d = 1u << 23;
    levelling_pv_view(0, &raw, &policy, &view);
    assert_true(featureset_test(&view.beyond.appear, X86_FEATURE_MMX));
    assert_false(view.beyond.areas >> PV_AREA_OTHER & 1);
    policy.basic[1].d = 1u << 23; /* by itself it is one */
    levelling_pv_view(0, &raw, &policy, &view);
    assert_true(view.beyond.areas >> PV_AREA_OTHER & 1);
    assert_int_equal(view.beyond.extd, 1u << 1);
}

static void areas_have_names(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < PV_AREAS; i++)
        assert_non_null(levelling_pv_area_name(i));
    assert_null(levelling_pv_area_name(PV_AREAS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_machine_shows_what_is_announced, property_teardown),
        cmocka_unit_test_teardown(each_pair_changes_what_is_announced, property_teardown),
        cmocka_unit_test(sandy_bridge_and_haswell),
        cmocka_unit_test(nothing_hides_avx512),
        cmocka_unit_test(rare_things),
        cmocka_unit_test(areas_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
