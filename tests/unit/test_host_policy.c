/* SPDX-License-Identifier: MIT */
/*
 * The derivation of a host's policies, held against what stock Xen itself made of the same CPUs.
 *
 * tests/data/hosts holds what Debian's Xen 4.17.7 answered in the lab, on emulated CPUs, and 4.20
 * in it what Debian's Xen 4.20 did (tests/lab/test_host_policy.py captures anew and runs this
 * program over the captures).  From the raw policy of each ours are derived, as that release does,
 * and every register of every leaf and every MSR is compared. What differs must stand in `known`,
 * with its reason; what stands there must differ somewhere.
 *
 * usage: test-host-policy [CAPTURE.xlp]...      those in tests/data/hosts by default
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <cpuid-policy/releases.h>
#include <host-policy.h>

#include "cpus.h"
#include "xlp.h"

#define MAX_CAPTURES 64

struct capture {
    char name[64];
    const char *cmdline;
    unsigned int xen; /* as in struct host_options */
    struct cpu_policy policy[XC_POLICIES];
    bool have[XC_POLICIES];
    struct featureset featureset[XC_FEATURESETS];
    size_t words[XC_FEATURESETS]; /* 0: it was not captured */
};

/* ---- what may differ ---- */

static const struct known {
    const char *hosts;     /* a piece of the capture's name; "" all */
    unsigned int policies; /* bits by enum xc_policy_index */
    uint32_t leaf, subleaf;
    unsigned int reg; /* 0 EAX .. 3 EDX; MSRs: leaf is the MSR, subleaf UINT32_MAX - 1 */
    uint32_t bits;
    const char *reason;
    unsigned int before; /* only in releases before this one; 0: in all */
} known[] = {
#define ALL    ((1u << XC_POLICIES) - 2) /* but raw, which ours are made from */
#define MAXIMA (1u << XC_POLICY_PV_MAX | 1u << XC_POLICY_HVM_MAX)
#define NO_DE_CFG                                                                                  \
    "the emulated CPU does not keep what is written to DE_CFG, so LFENCE stays as it is; a real "  \
    "family 0x10 keeps it, and is then given leaf 80000021"
    {"opteron_g3", ALL, 0x80000000, POLICY_NONE, 0, 0x2b, NO_DE_CFG, 0},
    {"opteron_g3", ALL, 0x80000021, POLICY_NONE, 0, 1u << 2, NO_DE_CFG, 0},
    {"opteron_g3", MAXIMA, 0x80000021, POLICY_NONE, 0, 1u << 5, "VERW_CLEAR: in that same leaf",
     418},
};
#define NR_KNOWN (sizeof(known) / sizeof(known[0]))
static unsigned int used[NR_KNOWN];

/* ---- captures ---- */

static struct capture captures[MAX_CAPTURES];
static size_t nr_captures;

/* "4.20.5-pre" -> 420; a release without rules would be held against another's. */
static unsigned int release_of(const char *path, const char *text)
{
    unsigned int major, minor, xen;

    if (sscanf(text, "%u.%u", &major, &minor) != 2 || minor > 99 ||
        !release_is_known(xen = major * 100 + minor)) {
        (void)fprintf(stderr, "%s: no rules for Xen '%s'\n", path, text);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return xen;
}

static void load(const char *path)
{
    struct capture *c = &captures[nr_captures++];
    const char *slash = strrchr(path, '/');
    struct xlp_error error;
    Xenlevel__File *file = xlp_load(path, &error);

    if (!file || !file->host) {
        (void)fprintf(stderr, "%s\n", file ? "not a host's file" : error.text);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    (void)snprintf(c->name, sizeof(c->name), "%s", slash ? slash + 1 : path);
    c->xen = release_of(path, file->host->xen_version);
    c->cmdline = strstr(c->name, "nogds") ? "spec-ctrl=no-gds-mit" : "";
    for (size_t i = 0; i < file->host->n_policies; i++) {
        uint32_t index = file->host->policies[i]->index;
        struct xc_leaves l;

        if (index >= XC_POLICIES)
            continue;
        xlp_policy_leaves(file->host->policies[i]->policy, &l);
        if (policy_from_leaves(&c->policy[index], l.leaves, l.nr_leaves, l.msrs, l.nr_msrs, NULL)) {
            (void)fprintf(stderr, "%s: policy %u is not in order\n", path, index);
            exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
        }
        c->have[index] = true;
        xc_leaves_free(&l);
    }
    for (size_t i = 0; i < file->host->n_featuresets; i++) {
        const Xenlevel__HostFeatureset *f = file->host->featuresets[i];

        if (f->index < XC_FEATURESETS && f->featureset &&
            !featureset_from_words(&c->featureset[f->index], f->featureset->words,
                                   f->featureset->n_words))
            c->words[f->index] = f->featureset->n_words;
    }
    xlp_free(file);
}

/* ---- comparing ---- */

static unsigned int unexplained;

/* Is a row about this capture? */
static bool is_about(const struct known *k, const struct capture *c)
{
    return strstr(c->name, k->hosts) && (!k->before || c->xen < k->before);
}

static void differ(const struct capture *c, unsigned int policy, uint32_t leaf, uint32_t subleaf,
                   unsigned int reg, uint32_t xen, uint32_t ours)
{
    uint32_t bits = xen ^ ours;

    for (size_t i = 0; i < NR_KNOWN && bits; i++) {
        const struct known *k = &known[i];

        if (!is_about(k, c) || !(k->policies >> policy & 1) || k->leaf != leaf ||
            k->subleaf != subleaf || k->reg != reg || !(bits & k->bits))
            continue;
        used[i]++;
        bits &= ~k->bits;
    }
    if (!bits)
        return;
    unexplained++;
    print_error("%s, Xen %u: %s: %x.%x.%s: Xen %08x, ours %08x: %08x\n", c->name, c->xen,
                xc_policy_name(policy), leaf, subleaf,
                (const char *[]){"eax", "ebx", "ecx", "edx"}[reg], xen, ours, bits);
}

static void compare(const struct capture *c, unsigned int index, const struct cpu_policy *ours)
{
    static xen_cpuid_leaf_t a[POLICY_MAX_LEAVES], b[POLICY_MAX_LEAVES];
    const struct cpu_policy *xen = &c->policy[index];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t na = POLICY_MAX_LEAVES, nb = POLICY_MAX_LEAVES, nm = POLICY_MAX_MSRS;

    /* Every leaf that either of them has. */
    assert_int_equal(policy_to_leaves(xen, a, &na, msrs, &nm), 0);
    nm = POLICY_MAX_MSRS;
    assert_int_equal(policy_to_leaves(ours, b, &nb, msrs, &nm), 0);
    for (unsigned int side = 0; side < 2; side++)
        for (size_t i = 0; i < (side ? nb : na); i++) {
            const xen_cpuid_leaf_t *l = side ? &b[i] : &a[i];
            const struct cpuid_regs *x, *o;
            static const struct cpuid_regs zero;

            if (l->leaf >= 0x40000000u && l->leaf < 0x80000000u)
                continue;
            x = policy_leaf_const(xen, l->leaf, l->subleaf);
            o = policy_leaf_const(ours, l->leaf, l->subleaf);
            if (!x)
                x = &zero;
            if (!o)
                o = &zero;
            if (side && (x->a | x->b | x->c | x->d))
                continue; /* seen from the first side */
            for (unsigned int reg = 0; reg < 4; reg++)
                if ((&x->a)[reg] != (&o->a)[reg])
                    differ(c, index, l->leaf, l->subleaf, reg, (&x->a)[reg], (&o->a)[reg]);
        }
    if (xen->platform_info != ours->platform_info)
        differ(c, index, MSR_INTEL_PLATFORM_INFO, UINT32_MAX - 1, 0, (uint32_t)xen->platform_info,
               (uint32_t)ours->platform_info);
    for (unsigned int half = 0; half < 2; half++)
        if ((uint32_t)(xen->arch_caps >> (32 * half)) != (uint32_t)(ours->arch_caps >> (32 * half)))
            differ(c, index, MSR_ARCH_CAPABILITIES, UINT32_MAX - 1, half ? 3 : 0,
                   (uint32_t)(xen->arch_caps >> (32 * half)),
                   (uint32_t)(ours->arch_caps >> (32 * half)));
}

static void derive(const struct capture *c, struct cpu_policy p[static HOST_POLICIES])
{
    struct host_options options;
    bool has_hvm, has_hap;
    size_t where;

    assert_int_equal(host_options_parse(&options, c->cmdline, &where), 0);
    options.xen = c->xen;
    p[XC_POLICY_RAW] = c->policy[XC_POLICY_RAW];
    host_policies_derive(p, &options, &has_hvm, &has_hap);
    assert_true(has_hvm == c->have[XC_POLICY_HVM_MAX]);
    assert_true(has_hap == has_hvm); /* the lab's emulated CPUs have SVM with nested paging */
}

static void every_bit_of_every_policy(void **state)
{
    static struct cpu_policy ours[HOST_POLICIES];
    unsigned int compared = 0;

    (void)state;
    for (size_t i = 0; i < nr_captures; i++) {
        derive(&captures[i], ours);
        for (unsigned int index = 0; index < XC_POLICIES; index++)
            if (captures[i].have[index]) {
                compare(&captures[i], index, &ours[index]);
                compared++;
            }
    }
    print_message("# %u policies of %zu hosts compared\n", compared, nr_captures);
    assert_int_equal(unexplained, 0);
}

/* What XEN_SYSCTL_get_cpu_featureset answers is what the policies have. */
static void every_featureset(void **state)
{
    static const enum xc_policy_index from[XC_FEATURESETS] = {
        [XC_FEATURESET_RAW] = XC_POLICY_RAW,       [XC_FEATURESET_HOST] = XC_POLICY_HOST,
        [XC_FEATURESET_PV] = XC_POLICY_PV_DEFAULT, [XC_FEATURESET_HVM] = XC_POLICY_HVM_DEFAULT,
        [XC_FEATURESET_PV_MAX] = XC_POLICY_PV_MAX, [XC_FEATURESET_HVM_MAX] = XC_POLICY_HVM_MAX,
    };
    unsigned int compared = 0;

    (void)state;
    for (size_t i = 0; i < nr_captures; i++)
        for (unsigned int index = 0; index < XC_FEATURESETS; index++) {
            const struct cpu_policy *p = &captures[i].policy[from[index]];
            struct featureset policy;

            if (!captures[i].words[index] || !captures[i].have[from[index]])
                continue;
            policy_to_featureset(p, &policy);
            for (unsigned int w = 0; w < captures[i].words[index]; w++, compared++) {
                uint32_t leaf = featureset_word_info(w)->leaf;

                /* A word of a leaf that the CPU does not reach is no part of the policy. */
                if (leaf != POLICY_NONE &&
                    leaf > (leaf & 0x80000000u ? p->extd[0].a : p->basic[0].a))
                    continue;
                if (captures[i].featureset[index].w[w] != policy.w[w])
                    fail_msg("%s: featureset %s, word %u: %08x, its policy has %08x",
                             captures[i].name, xc_featureset_name(index), w,
                             captures[i].featureset[index].w[w], policy.w[w]);
            }
        }
    assert_true(compared > 0);
}

/* What a real Xen gives is a CPU that can be, and a guest that is born there may stay. */
static void what_xen_gives_is_accepted(void **state)
{
    static struct policy_fault faults[16];

    (void)state;
    for (size_t i = 0; i < nr_captures; i++) {
        const struct capture *c = &captures[i];
        struct policy_report r = {faults, 16, 0};

        /* Raw and host are QEMU's, which shows VAES where it was told to leave out AVX. */
        for (unsigned int index = XC_POLICY_PV_MAX; index < XC_POLICIES; index++)
            if (c->have[index])
                (void)policy_verify(&c->policy[index], &r);
        for (unsigned int pv = 0; pv < 2; pv++) {
            const struct cpu_policy *max = &c->policy[pv ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX];
            const struct cpu_policy *deflt =
                &c->policy[pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT];
            struct cpu_policy born = *deflt;

            host_policy_for_domain(&born);
            if (c->have[pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT])
                (void)policy_check(&born, &(struct policy_host){max, deflt}, &r);
        }
        if (r.count)
            fail_msg("%s: %s, feature %x, leaf %x", c->name, policy_fault_name(faults[0].kind),
                     faults[0].feature, faults[0].leaf);
    }
}

/* On every CPU there is a dump of, under every release: a guest that is born there may stay, and so
 * may the most that may come. */
static void may_stay(unsigned int xen)
{
    static struct policy_fault faults[16];
    struct host_options options;
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    host_options_init(&options);
    options.xen = xen;
    for (size_t i = 0; i < n; i++)
        for (enum guest_type type = GUEST_PV; type < GUEST_TYPES; type++) {
            const struct cpu_policy *raw = &cpus[i].policy;
            struct policy_report r = {faults, 16, 0};
            struct cpu_policy host, max, deflt, born, most;
            const struct policy_host here = {&max, &deflt};

            host_policy_from_raw(&host, raw, &options);
            host_policy_guest_max(&max, raw, &host, &options, type);
            host_policy_guest_default(&deflt, &max, &host, &options, type);
            (void)policy_verify(&deflt, &r);
            (void)policy_verify(&max, &r);
            born = deflt;
            most = max;
            host_policy_for_domain(&born);
            host_policy_for_domain(&most);
            (void)policy_check(&born, &here, &r);
            (void)policy_check(&most, &here, &r);
            if (r.count)
                fail_msg("%s, Xen %u, guest type %d: %s, feature %x, leaf %x", cpus[i].name, xen,
                         (int)type, policy_fault_name(faults[0].kind), faults[0].feature,
                         faults[0].leaf);
        }
}

static void who_is_born_here_may_stay(void **state)
{
    (void)state;
    for (unsigned int xen = XEN_OLDEST; xen <= XEN_NEWEST; xen++)
        may_stay(xen);
}

static void no_explanation_without_a_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < NR_KNOWN; i++) {
        bool wanted = false;

        for (size_t k = 0; k < nr_captures; k++)
            wanted = wanted || is_about(&known[i], &captures[k]);
        if (wanted && !used[i])
            fail_msg("nothing differs any more: %s", known[i].reason);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bit_of_every_policy),
        cmocka_unit_test(every_featureset),
        cmocka_unit_test(what_xen_gives_is_accepted),
        cmocka_unit_test(who_is_born_here_may_stay),
        cmocka_unit_test(no_explanation_without_a_difference),
    };
    glob_t g;

    for (int i = 1; i < argc && nr_captures < MAX_CAPTURES; i++)
        load(argv[i]);
    if (argc == 1) {
        if (glob(TESTS_DIR "/data/hosts/*.xlp", 0, NULL, &g) ||
            glob(TESTS_DIR "/data/hosts/4.20/*.xlp", GLOB_APPEND, NULL, &g))
            return 2;
        for (size_t i = 0; i < g.gl_pathc && nr_captures < MAX_CAPTURES; i++)
            load(g.gl_pathv[i]);
        globfree(&g);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
