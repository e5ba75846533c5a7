/* SPDX-License-Identifier: MIT */
/*
 * Levels as Xen must be told: what it is told it gives, whole.  Xen's closure is written down here
 * a second time, as data (facts of xen/tools/gen-cpuid.py, 4.17 and what later versions added),
 * and every level of two machines is put through it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <host-policy.h>
#include <xen/errno.h>

#include "cpus.h"
#include "features-gen.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define F(name)  X86_FEATURE_##name
#define BIT(n)   (1u << (F(n) % 32))

#define EIBRS (1u << 1)
#define RSBA  (1u << 2)
#define RRSBA (1u << 19)

static struct policy_fault faults[64];

static bool reported(const struct policy_report *r, enum policy_fault_kind kind, uint32_t feature)
{
    for (size_t i = 0; i < r->count && i < r->max; i++)
        if (faults[i].kind == kind && faults[i].feature == feature)
            return true;
    return false;
}

static struct featureset features_of(const struct cpu_policy *p)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    return fs;
}

static void put(struct cpu_policy *p, unsigned int feature, bool is)
{
    struct featureset fs = features_of(p);

    if (is)
        featureset_set(&fs, feature);
    else
        featureset_clear(&fs, feature);
    policy_from_featureset(p, &fs);
}

/* ---- Xen's closure, as data ---- */

static const uint16_t xen_needs[][2] = {
    {F(MMX), F(FPU)},
    {F(RSTR_FP_ERR_PTRS), F(FPU)},
    {F(PSE36), F(PSE)},
    {F(LM), F(PAE)},
    {F(NX), F(PAE)},
    {F(TSC_DEADLINE), F(TSC)},
    {F(RDTSCP), F(TSC)},
    {F(TSC_ADJUST), F(TSC)},
    {F(ITSC), F(TSC)},
    {F(X2APIC), F(APIC)},
    {F(TSC_DEADLINE), F(APIC)},
    {F(EXTAPIC), F(APIC)},
    {F(MMXEXT), F(MMX)},
    {F(3DNOW), F(MMX)},
    {F(FFXSR), F(FXSR)},
    {F(SSE), F(FXSR)},
    {F(SSE2), F(SSE)},
    {F(MISALIGNSSE), F(SSE)},
    {F(SSE3), F(SSE2)},
    {F(LM), F(SSE2)},
    {F(AESNI), F(SSE2)},
    {F(PCLMULQDQ), F(SSE2)},
    {F(SHA), F(SSE2)},
    {F(GFNI), F(SSE2)},
    {F(SSSE3), F(SSE3)},
    {F(SSE4A), F(SSE3)},
    {F(SSE4_1), F(SSSE3)},
    {F(SSE4_2), F(SSE4_1)},
    {F(XSAVEOPT), F(XSAVE)},
    {F(XSAVEC), F(XSAVE)},
    {F(XGETBV1), F(XSAVE)},
    {F(XSAVES), F(XSAVE)},
    {F(AVX), F(XSAVE)},
    {F(MPX), F(XSAVE)},
    {F(PKU), F(XSAVE)},
    {F(LWP), F(XSAVE)},
    {F(FMA), F(AVX)},
    {F(FMA4), F(AVX)},
    {F(F16C), F(AVX)},
    {F(AVX2), F(AVX)},
    {F(XOP), F(AVX)},
    {F(SMAP), F(NX)},
    {F(CX16), F(LM)},
    {F(PCID), F(LM)},
    {F(LAHF_LM), F(LM)},
    {F(PAGE1GB), F(LM)},
    {F(PKU), F(LM)},
    {F(NO_LMSL), F(LM)},
    {F(3DNOWEXT), F(3DNOW)},
    {F(AVX512F), F(AVX2)},
    {F(VAES), F(AVX2)},
    {F(VPCLMULQDQ), F(AVX2)},
    {F(AVX_VNNI), F(AVX2)},
    {F(AVX512DQ), F(AVX512F)},
    {F(AVX512_IFMA), F(AVX512F)},
    {F(AVX512PF), F(AVX512F)},
    {F(AVX512ER), F(AVX512F)},
    {F(AVX512CD), F(AVX512F)},
    {F(AVX512BW), F(AVX512F)},
    {F(AVX512VL), F(AVX512F)},
    {F(AVX512_4VNNIW), F(AVX512F)},
    {F(AVX512_4FMAPS), F(AVX512F)},
    {F(AVX512_VNNI), F(AVX512F)},
    {F(AVX512_VPOPCNTDQ), F(AVX512F)},
    {F(AVX512_VP2INTERSECT), F(AVX512F)},
    {F(AVX512_VBMI), F(AVX512BW)},
    {F(AVX512_VBMI2), F(AVX512BW)},
    {F(AVX512_BITALG), F(AVX512BW)},
    {F(AVX512_BF16), F(AVX512BW)},
    {F(AVX512_FP16), F(AVX512BW)},
    {F(VPCLMULQDQ), F(PCLMULQDQ)},
    {F(VAES), F(AESNI)},
    {F(STIBP), F(IBRSB)},
    {F(SSBD), F(IBRSB)},
    {F(INTEL_PSFD), F(IBRSB)},
    {F(EIBRS), F(IBRSB)},
    {F(IPRED_CTRL), F(IBRSB)},
    {F(RRSBA_CTRL), F(IBRSB)},
    {F(BHI_CTRL), F(IBRSB)},
    {F(AMD_STIBP), F(IBRS)},
    {F(AMD_SSBD), F(IBRS)},
    {F(PSFD), F(IBRS)},
    {F(IBRS_ALWAYS), F(IBRS)},
    {F(IBRS_FAST), F(IBRS)},
    {F(IBRS_SAME_MODE), F(IBRS)},
    {F(IBPB_RET), F(IBPB)},
    {F(SBPB), F(IBPB)},
    {F(IBPB_BRTYPE), F(IBPB)},
    {F(STIBP_ALWAYS), F(AMD_STIBP)},
    {F(TSXLDTRK), F(RTM)},
    {F(RRSBA), F(EIBRS)},
    /* 4.18 to 4.22 */
    {F(AUTO_IBRS), F(IBRS)},
    {F(EPSF), F(PSFD)},
    {F(CLZERO), F(CLFLUSH)},
    {F(CMPCCXADD), F(LM)},
    {F(LKGS), F(LM)},
    {F(MOVRS), F(LM)},
    {F(AMX_TILE), F(XSAVE)},
    {F(AMX_TILE), F(LM)},
    {F(AMX_BF16), F(AMX_TILE)},
    {F(AMX_INT8), F(AMX_TILE)},
    {F(AMX_FP16), F(AMX_TILE)},
    {F(AMX_COMPLEX), F(AMX_TILE)},
    {F(AVX_NE_CONVERT), F(AVX)},
    {F(SM3), F(AVX)},
    {F(AVX_IFMA), F(AVX2)},
    {F(AVX_VNNI_INT8), F(AVX2)},
    {F(AVX_VNNI_INT16), F(AVX2)},
    {F(SHA512), F(AVX2)},
    {F(SM4), F(AVX2)},
    {F(AVX512_BMM), F(AVX512BW)},
};

/* The whole MSR 10A stands on ARCH_CAPS. */
static void xen_closes(struct featureset *fs)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < COUNT(xen_needs); i++)
            if (featureset_test(fs, xen_needs[i][0]) && !featureset_test(fs, xen_needs[i][1])) {
                featureset_clear(fs, xen_needs[i][0]);
                changed = true;
            }
        if (!featureset_test(fs, F(ARCH_CAPS)) &&
            (fs->w[FEATURESET_m10Al] | fs->w[FEATURESET_m10Ah])) {
            fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = 0;
            changed = true;
        }
    }
}

/* The state that Xen makes of these features, and no other. */
static uint64_t xen_components(const struct featureset *fs)
{
    uint64_t xcr0 = 3;

    if (!featureset_test(fs, F(XSAVE)))
        return 0;
    xcr0 |= featureset_test(fs, F(AVX)) ? 4u : 0;
    xcr0 |= featureset_test(fs, F(MPX)) ? 0x18u : 0;
    xcr0 |= featureset_test(fs, F(AVX512F)) ? 0xe0u : 0;
    return xcr0 | (featureset_test(fs, F(PKU)) ? 0x200u : 0);
}

/* Would Xen with this max give exactly this CPU? */
static void require_exact(const char *what, const struct cpu_policy *p,
                          const struct cpu_policy *max)
{
    uint32_t mirrors = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];
    struct featureset told = features_of(p), most = features_of(max), given, gone;

    featureset_and(&given, &told, &most);
    given.w[FEATURESET_e1d] |= told.w[FEATURESET_e1d] & mirrors; /* made anew from 1.EDX */
    xen_closes(&given);
    featureset_andnot(&gone, &told, &given);
    if (!featureset_empty(&gone)) {
        const struct feature_info *info = feature_info((unsigned int)featureset_next(&gone, 0));

        fail_msg("%s: Xen takes %s (and %u in all) away", what, info ? info->name : "?",
                 featureset_count(&gone));
    }
    if ((p->xstate[0].a | (uint64_t)p->xstate[0].d << 32) != xen_components(&told))
        fail_msg("%s: XCR0 %x", what, p->xstate[0].a);
    assert_int_equal(p->xstate[1].c | p->xstate[1].d, 0);
    assert_int_equal(p->extd[8].a >> 8 & 0xff, featureset_test(&told, F(LM)) ? 48 : 32);
    assert_in_range(p->extd[8].a & 0xff, 36, max->extd[8].a & 0xff);
    assert_false(featureset_test(&told, F(RSBA)) && featureset_test(&told, F(RRSBA)));
}

/* ---- every two machines ---- */

#define MAX_HOSTS 40
static struct derived {
    const char *name;
    struct cpu_policy max, deflt;
} derived[MAX_HOSTS];

static size_t derive(enum guest_type type)
{
    struct host_options options;
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    assert_in_range(n, 20, MAX_HOSTS);
    host_options_init(&options);
    for (size_t i = 0; i < n; i++) {
        struct cpu_policy host, raw = cpus[i].policy;

        /* Dumps seldom have the MSR: two kinds of CPUs that show it. */
        if (raw.feat[0].d & BIT(ARCH_CAPS))
            raw.arch_caps |= i % 2 ? EIBRS | RRSBA : EIBRS | 1;
        derived[i].name = cpus[i].name;
        host_policy_from_raw(&host, &raw, &options);
        host_policy_guest_max(&derived[i].max, &raw, &host, &options, type);
        host_policy_guest_default(&derived[i].deflt, &derived[i].max, &host, &options, type);
    }
    return n;
}

static void require_level(const struct derived *a, const struct derived *b, enum guest_type type)
{
    const struct derived *member[2] = {a, b};
    const struct policy_host hosts[2] = {{&a->max, &a->deflt}, {&b->max, &b->deflt}};
    struct policy_report r = {faults, COUNT(faults), 0};
    struct cpu_policy level, guest;
    struct featureset lost, own, told;
    char what[200];

    if (policy_level(hosts, 2, &level, &lost, NULL))
        return;
    assert_int_equal(policy_verify(&level, &r), 0);
    told = features_of(&level);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(what, sizeof(what), "%s + %s, type %d, on %s", a->name, b->name, (int)type,
                       member[i]->name);
        if (policy_check(&level, &hosts[i], &r))
            fail_msg("%s: %s, feature %x", what, policy_fault_name(faults[0].kind),
                     faults[0].feature);
        require_exact(what, &level, &member[i]->max);
        /* A guest of this host, brought down, and on the other. */
        guest = member[i]->deflt;
        assert_int_equal(policy_apply_level(&guest, &level, NULL), 0);
        assert_int_equal(policy_verify(&guest, &r), 0);
        require_exact(what, &guest, &member[i]->max);
        require_exact(what, &guest, &member[!i]->max);
        if (policy_check(&guest, &hosts[!i], &r))
            fail_msg("%s: applied: %s, feature %x", what, policy_fault_name(faults[0].kind),
                     faults[0].feature);
        /* Who would clear by VERW at home is told here, but for what is named. */
        own = features_of(&member[i]->deflt);
        featureset_and(&own, &own, featureset_merge_mask(MERGE_ACCUMULATE));
        featureset_andnot(&own, &own, &lost);
        assert_true(featureset_subset(&own, &told));
    }
}

static void levels_are_what_xen_gives(void **state)
{
    unsigned int pairs = 0;

    (void)state;
    for (enum guest_type type = GUEST_PV; type < GUEST_TYPES; type++) {
        size_t n = derive(type);

        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++, pairs++)
                if (derived[i].max.basic[0].b == derived[j].max.basic[0].b)
                    require_level(&derived[i], &derived[j], type);
    }
    assert_true(pairs > 1000);
}

/* ---- RSBA and RRSBA ---- */

static struct cpu_policy with_caps(uint32_t caps)
{
    struct cpu_policy p = *test_cpu("intel-skylake-sp");

    p.feat[0].d |= BIT(ARCH_CAPS) | BIT(IBRSB);
    p.arch_caps = caps;
    policy_close(&p, NULL);
    p.arch_caps = caps; /* also what is not closed */
    return p;
}

static void one_hazard_in_two_strengths(void **state)
{
    static const struct {
        uint32_t a, b, level;
    } rows[] = {
        {0, 0, 0},
        {EIBRS, EIBRS, EIBRS},
        {RSBA, 0, RSBA},
        {RSBA, RSBA, RSBA},
        {RSBA, EIBRS | RRSBA, RSBA}, /* Skylake and Cascade Lake */
        {0, EIBRS | RRSBA, RSBA},
        {EIBRS | RRSBA, EIBRS | RRSBA, EIBRS | RRSBA},
        {EIBRS, EIBRS | RRSBA, EIBRS | RRSBA},
        {EIBRS | RSBA, EIBRS, EIBRS | RRSBA}, /* called by the other's name */
        {EIBRS | RSBA | RRSBA, EIBRS, EIBRS | RRSBA},
        {EIBRS | RSBA, RSBA, RSBA},
    };
    const struct cpu_policy max = with_caps(EIBRS | RSBA | RRSBA);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned int swap = 0; swap < 2; swap++) {
            struct cpu_policy a = with_caps(swap ? rows[i].b : rows[i].a), level, guest;
            struct cpu_policy b = with_caps(swap ? rows[i].a : rows[i].b);
            const struct policy_host hosts[2] = {{&max, &a}, {&max, &b}};

            assert_int_equal(policy_level(hosts, 2, &level, NULL, NULL), 0);
            assert_int_equal(level.arch_caps, rows[i].level);
            guest = a;
            assert_int_equal(policy_apply_level(&guest, &level, NULL), 0);
            assert_int_equal(guest.arch_caps, rows[i].level);
            for (unsigned int k = 0; k < 2; k++)
                assert_int_equal(policy_check(&level, &hosts[k], NULL), 0);
            /* Who cannot see the MSR is told nothing. */
            put(&b, F(ARCH_CAPS), false);
            b.arch_caps = 0;
            assert_int_equal(policy_level(hosts, 2, &level, NULL, NULL), 0);
            assert_int_equal(level.arch_caps, 0);
        }
}

/* A level without a PMU tells of no events: its leaf A says nothing, as on the host without one.
 * So it is wherever that host stands among the others. */
static void no_pmu_has_no_events_to_miss(void **state)
{
    struct cpu_policy with = *test_cpu("intel-skylake-sp"), without = with, level;

    (void)state;
    with.basic[0xa] = (struct cpuid_regs){.a = 0x08300802, .b = 1u << 4, .d = 0x8603};
    without.basic[0xa] = (struct cpuid_regs){0};
    for (unsigned int lacks = 0; lacks < 3; lacks++) {
        struct policy_host hosts[3];

        for (unsigned int k = 0; k < 3; k++)
            hosts[k].max = hosts[k].deflt = k == lacks ? &without : &with;
        assert_int_equal(policy_level(hosts, 3, &level, NULL, NULL), 0);
        assert_int_equal(level.basic[0xa].a | level.basic[0xa].b | level.basic[0xa].d, 0);
        for (unsigned int k = 0; k < 3; k++)
            assert_int_equal(policy_check(&level, &hosts[k], NULL), 0);
    }
}

/* Every guest and every host, as far as returns go. */
static void whoever_reads_the_msr_is_told(void **state)
{
    const struct cpu_policy max = with_caps(EIBRS | RSBA | RRSBA);

    (void)state;
    for (unsigned int i = 0; i < 512; i++) {
        uint32_t g = (i & 1 ? EIBRS : 0) | (i & 2 ? RSBA : 0) | (i & 4 ? RRSBA : 0);
        uint32_t h = (i & 8 ? EIBRS : 0) | (i & 16 ? RSBA : 0) | (i & 32 ? RRSBA : 0);
        struct cpu_policy guest = with_caps(g), deflt = with_caps(h);
        struct policy_report r = {faults, COUNT(faults), 0};
        bool reads = !(i & 64), knows;

        put(&guest, F(ARCH_CAPS), reads);
        put(&guest, F(IBRSB), !(i & 128));
        put(&deflt, F(ARCH_CAPS), !(i & 256));
        knows = !(h & (RSBA | RRSBA)) || g & RSBA ||
                ((g & EIBRS) && (g & RRSBA) && !((h & RSBA) && !(h & EIBRS)));
        (void)policy_check(&guest, &(struct policy_host){&max, &deflt}, &r);
        assert_int_equal(reported(&r, FAULT_HAZARD_UNTOLD, F(RSBA)) ||
                             reported(&r, FAULT_HAZARD_UNTOLD, F(RRSBA)),
                         reads && !knows);
    }
}

static void the_stronger_covers_the_weaker(void **state)
{
    static const struct {
        uint32_t guest, host, untold; /* untold: a feature, 0 none */
    } rows[] = {
        {RSBA, RSBA, 0},
        {RSBA, EIBRS | RRSBA, 0},
        {EIBRS | RSBA, EIBRS | RRSBA, 0},
        {EIBRS | RRSBA, EIBRS | RRSBA, 0},
        {EIBRS | RRSBA, EIBRS, 0},
        {RSBA, 0, 0},
        {EIBRS, EIBRS | RRSBA, F(RRSBA)},
        {0, EIBRS | RRSBA, F(RSBA)},
        {0, RSBA, F(RSBA)},
        {EIBRS | RRSBA, RSBA, F(RSBA)},
        {EIBRS | RRSBA, EIBRS | RSBA, 0},
        {EIBRS, EIBRS | RSBA, F(RRSBA)},
    };
    const struct cpu_policy max = with_caps(EIBRS | RSBA | RRSBA);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct cpu_policy guest = with_caps(rows[i].guest), deflt = with_caps(rows[i].host);
        struct policy_report r = {faults, COUNT(faults), 0};

        (void)policy_check(&guest, &(struct policy_host){&max, &deflt}, &r);
        assert_int_equal(r.count, rows[i].untold ? 1 : 0);
        if (rows[i].untold)
            assert_true(reported(&r, FAULT_HAZARD_UNTOLD, rows[i].untold));
    }
}

/* ---- what accumulates ---- */

static const uint16_t accumulate[] = {
    F(MD_CLEAR),   F(FB_CLEAR), F(RFDS_CLEAR), F(RTM_ALWAYS_ABORT), /* Intel */
    F(VERW_CLEAR), F(NO_LMSL),  F(FS_GS_NS),                        /* AMD */
};

static struct cpu_policy base_for(unsigned int feature)
{
    bool amd = feature == F(VERW_CLEAR) || feature == F(NO_LMSL) || feature == F(FS_GS_NS);
    struct cpu_policy p = *test_cpu(amd ? "amd-granite-ridge" : "intel-skylake-sp");

    if (!amd)
        p.feat[0].d |= BIT(ARCH_CAPS);
    put(&p, F(RTM), false);
    put(&p, feature, false);
    policy_close(&p, NULL);
    return p;
}

static void what_accumulates(void **state)
{
    struct featureset all = {{0}};

    (void)state;
    for (size_t i = 0; i < COUNT(accumulate); i++)
        featureset_set(&all, accumulate[i]);
    assert_true(featureset_equal(&all, featureset_merge_mask(MERGE_ACCUMULATE)));
}

static void told_where_every_host_can_tell_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accumulate); i++) {
        unsigned int f = accumulate[i];
        const struct cpu_policy without = base_for(f);
        struct cpu_policy with = without, level, guest;
        struct featureset fs, lost, dropped;

        put(&with, f, true);
        for (unsigned int k = 0; k < 8; k++) {
            const bool a = k & 1, b = k & 2, may = k & 4;
            const struct policy_host hosts[2] = {{&with, a ? &with : &without},
                                                 {may ? &with : &without, b ? &with : &without}};

            assert_int_equal(policy_level(hosts, 2, &level, &lost, NULL), 0);
            fs = features_of(&level);
            assert_int_equal(featureset_test(&fs, f), (a || b) && may);
            assert_int_equal(featureset_count(&lost), (a || b) && !may);
            assert_int_equal(featureset_test(&lost, f), (a || b) && !may);
            assert_int_equal(policy_check(&level, &hosts[0], NULL), 0);
            if (may || !b) /* else the host gives what its max has not */
                assert_int_equal(policy_check(&level, &hosts[1], NULL), 0);

            /* An applied level is the level's, up and down. */
            guest = a ? with : without;
            assert_int_equal(policy_apply_level(&guest, &level, &dropped), 0);
            fs = features_of(&guest);
            assert_int_equal(featureset_test(&fs, f), (a || b) && may);
            assert_int_equal(featureset_test(&dropped, f), a && !may);
        }
        /* A host whose max is not known is no reason against it. */
        {
            const struct policy_host hosts[2] = {{NULL, &with}, {NULL, &without}};

            assert_int_equal(policy_level(hosts, 2, &level, &lost, NULL), 0);
            fs = features_of(&level);
            assert_true(featureset_test(&fs, f));
            assert_true(featureset_empty(&lost));
        }
    }
}

static void told_may_go_where_it_can_be_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(accumulate); i++) {
        struct policy_report r = {faults, COUNT(faults), 0};
        const struct cpu_policy without = base_for(accumulate[i]);
        struct cpu_policy with = without;

        put(&with, accumulate[i], true);
        /* An immune host gives it to nobody by default, and to those who come. */
        assert_int_equal(policy_check(&with, &(struct policy_host){&with, &without}, NULL), 0);
        /* It does no harm not to know. */
        assert_int_equal(policy_check(&without, &(struct policy_host){&with, &with}, NULL), 0);
        (void)policy_check(&with, &(struct policy_host){&without, &without}, &r);
        assert_int_equal(r.count, 1);
        assert_true(reported(&r, FAULT_FEATURE_MISSING, accumulate[i]));
    }
}

/* ... but to one with RTM, that it always aborts. */
static void who_has_rtm_must_know(void **state)
{
    struct policy_report r = {faults, COUNT(faults), 0};
    struct cpu_policy guest = base_for(F(RTM_ALWAYS_ABORT)), host;

    (void)state;
    put(&guest, F(RTM), true);
    host = guest;
    put(&host, F(RTM_ALWAYS_ABORT), true);
    (void)policy_check(&guest, &(struct policy_host){&host, &host}, &r);
    assert_int_equal(r.count, 1);
    assert_true(reported(&r, FAULT_HAZARD_UNTOLD, F(RTM_ALWAYS_ABORT)));
    assert_int_equal(policy_check(&host, &(struct policy_host){&host, &host}, NULL), 0);
}

/* ---- what Xen takes from every guest ---- */

static void guests_are_closed(void **state)
{
    static const uint16_t rules[][2] = {
        {F(SMAP), F(NX)},        {F(SSBD), F(IBRSB)},          {F(STIBP), F(IBRSB)},
        {F(AMD_SSBD), F(IBRS)},  {F(AMD_STIBP), F(IBRS)},      {F(PSFD), F(IBRS)},
        {F(IBRS_FAST), F(IBRS)}, {F(IBRS_SAME_MODE), F(IBRS)}, {F(AUTO_IBRS), F(IBRS)},
        {F(EPSF), F(PSFD)},      {F(CLZERO), F(CLFLUSH)},      {F(RRSBA), F(EIBRS)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rules); i++) {
        bool amd = rules[i][0] / 32 == FEATURESET_e8b || rules[i][0] / 32 == FEATURESET_e21a;
        struct cpu_policy p = *test_cpu(amd ? "amd-granite-ridge" : "intel-cascadelake-sp"), max;
        struct policy_report r = {faults, COUNT(faults), 0};
        struct featureset fs, dropped;

        if (!amd)
            p.feat[0].d |= BIT(ARCH_CAPS) | BIT(IBRSB);
        policy_close(&p, NULL);
        fs = *feature_dependents(rules[i][1]);
        for (int f = featureset_next(&fs, 0); f >= 0; f = featureset_next(&fs, (unsigned int)f + 1))
            put(&p, (unsigned int)f, false);
        put(&p, rules[i][0], true);
        for (unsigned int f = 0; feature_needs(rules[i][0]) && f < FEATURESET_BITS; f++)
            if (featureset_test(feature_needs(rules[i][0]), f))
                put(&p, f, true);
        max = p;
        assert_int_equal(policy_check(&p, &(struct policy_host){&max, NULL}, NULL), 0);
        put(&p, rules[i][1], false);
        assert_int_equal(policy_verify(&p, NULL), 0); /* a CPU may be like that */
        (void)policy_check(&p, &(struct policy_host){&max, NULL}, &r);
        assert_int_equal(r.count, 1);
        assert_true(reported(&r, FAULT_PREREQUISITE, rules[i][0]));
        assert_int_equal(faults[0].needs, rules[i][1]);
        policy_close(&p, &dropped);
        assert_true(featureset_test(&dropped, rules[i][0]));
        assert_int_equal(featureset_count(&dropped), 1);
    }
}

/* Zen 2 has PKRU without PKU: a CPU that can be, and not one that a guest can have. */
static void no_state_without_its_feature(void **state)
{
    struct cpu_policy p = *test_cpu("amd-castle-peak");
    struct policy_report r = {faults, COUNT(faults), 0};
    const struct policy_host host = {&p, &p};
    struct cpu_policy level;

    (void)state;
    assert_int_equal(p.xstate[0].a, 0x207);
    assert_int_equal(policy_verify(&p, NULL), 0);
    (void)policy_check(&p, &host, &r);
    assert_true(reported(&r, FAULT_XSTATE_FEATURE, F(PKU)));
    assert_int_equal(policy_level(&host, 1, &level, NULL, NULL), 0);
    assert_int_equal(level.xstate[0].a, 7);
    assert_int_equal(level.xstate[9].a | level.xstate[9].b, 0);
    assert_int_equal(policy_check(&level, &host, NULL), 0);
    /* The same of every component that has a feature. */
    p = *test_cpu("intel-skylake-sp");
    put(&p, F(MPX), false);
    r.count = 0;
    (void)policy_check(&p, &host, NULL);
    (void)policy_check(&p, &(struct policy_host){test_cpu("intel-skylake-sp"), NULL}, &r);
    assert_int_equal(r.count, 2); /* its two components */
    assert_true(reported(&r, FAULT_XSTATE_FEATURE, F(MPX)));
}

/* A CPU with 57 bits of virtual addresses gives a guest without LA57 the 48 of its paging. */
static void virtual_addresses_end_where_paging_does(void **state)
{
    const struct cpu_policy *p = test_cpu("intel-sapphire-rapids");
    const struct policy_host host = {p, p};
    struct cpu_policy level, most = *p, guest;

    (void)state;
    assert_int_equal(p->extd[8].a >> 8 & 0xff, 57);
    assert_int_equal(policy_level(&host, 1, &level, NULL, NULL), 0);
    assert_int_equal(level.extd[8].a >> 8 & 0xff, 57);
    put(&most, F(LA57), false);
    assert_int_equal(policy_level(&(struct policy_host){&most, &most}, 1, &level, NULL, NULL), 0);
    assert_int_equal(level.extd[8].a >> 8 & 0xff, 48);
    guest = *p;
    assert_int_equal(policy_apply_level(&guest, &level, NULL), 0);
    assert_int_equal(guest.extd[8].a >> 8 & 0xff, 48);
    put(&most, F(LM), false);
    assert_int_equal(policy_level(&(struct policy_host){&most, &most}, 1, &level, NULL, NULL), 0);
    assert_int_equal(level.extd[8].a >> 8 & 0xff, 32);
}

/* AMD's leaf 80000001 says family and model once more.  Xen makes it of leaf 1, and so does a
 * level, whatever a host's capture has there (found by the fuzzer). */
static void family_is_said_twice(void **state)
{
    struct cpu_policy odd = *test_cpu("amd-castle-peak"), even = odd, level;
    const struct policy_host pool[2] = {{&odd, &odd}, {&even, &even}};

    (void)state;
    odd.extd[1].a ^= 1;
    assert_int_equal(policy_level(pool, 2, &level, NULL, NULL), 0);
    assert_int_equal(level.extd[1].a, level.basic[1].a);
    for (unsigned int i = 0; i < 2; i++)
        assert_int_equal(policy_check(&level, &pool[i], NULL), 0);
}

/* A component of another form is no component of the level, whichever word differs. */
static void components_are_of_one_form(void **state)
{
    struct cpu_policy a = *test_cpu("intel-haswell-ep"), b = a, level;
    const struct policy_host pool[2] = {{&a, &a}, {&b, &b}};

    (void)state;
    for (unsigned int reg = 0; reg < 4; reg++) {
        uint32_t *regs[4] = {&b.xstate[2].a, &b.xstate[2].b, &b.xstate[2].c, &b.xstate[2].d};

        *regs[reg] ^= 0x100;
        assert_int_equal(policy_level(pool, 2, &level, NULL, NULL), 0);
        assert_int_equal(level.xstate[0].a & 4, 0);
        *regs[reg] ^= 0x100;
        assert_int_equal(policy_level(pool, 2, &level, NULL, NULL), 0);
        assert_int_equal(level.xstate[0].a & 4, 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_what_xen_gives),
        cmocka_unit_test(one_hazard_in_two_strengths),
        cmocka_unit_test(no_pmu_has_no_events_to_miss),
        cmocka_unit_test(whoever_reads_the_msr_is_told),
        cmocka_unit_test(the_stronger_covers_the_weaker),
        cmocka_unit_test(what_accumulates),
        cmocka_unit_test(told_where_every_host_can_tell_it),
        cmocka_unit_test(told_may_go_where_it_can_be_told),
        cmocka_unit_test(who_has_rtm_must_know),
        cmocka_unit_test(guests_are_closed),
        cmocka_unit_test(no_state_without_its_feature),
        cmocka_unit_test(virtual_addresses_end_where_paging_does),
        cmocka_unit_test(family_is_said_twice),
        cmocka_unit_test(components_are_of_one_form),
    };

    return cmocka_run_group_tests_name("level", tests, NULL, NULL);
}
