/* SPDX-License-Identifier: MIT */
/*
 * policy_whole: what a policy does not name is found and named.
 *
 * Over the policy of every machine file and every captured host, and over the arrays that stock
 * Xen itself wrote into tests/migration/streams.
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
#include <host-policy.h>
#include <unistd.h>
#include <xen/errno.h>

#include "cpus.h"
#include "xc.h"
#include "xc_sr_head.h"
#include "xlp.h"

struct arrays {
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t nr_leaves, nr_msrs;
};

static struct policy_fault faults[POLICY_MAX_LEAVES];
static struct policy_report report;

static int whole(const struct arrays *a)
{
    report = (struct policy_report){faults, POLICY_MAX_LEAVES, 0};
    return policy_whole(a->leaves, a->nr_leaves, a->msrs, a->nr_msrs, &report);
}

static void must_be_whole(const struct arrays *a, const char *name)
{
    char text[256] = "";

    if (!whole(a))
        return;
    if (report.count)
        (void)xc_fault_text(&faults[0], text, sizeof(text));
    fail_msg("%s: %s (%zu faults)", name, text, report.count);
}

static bool is_hypervisor_leaf(uint32_t leaf)
{
    return leaf >= 0x40000000u && leaf < 0x80000000u;
}

/* Is the leaf's only entry, or the one that says how many there are of which the rest follows? */
static size_t entries_of(const struct arrays *a, uint32_t leaf)
{
    size_t n = 0;

    for (size_t i = 0; i < a->nr_leaves; i++)
        n += a->leaves[i].leaf == leaf;
    return n;
}

/*
 * May the entry be taken out unseen?  Only where the rest does not say that it was there: entries
 * that policies have behind the end that they themselves state.
 */
static bool behind_the_end(const struct arrays *a, size_t i)
{
    static struct cpu_policy p;
    const xen_cpuid_leaf_t *l = &a->leaves[i];
    uint64_t components;

    (void)policy_from_leaves(&p, a->leaves, a->nr_leaves, a->msrs, a->nr_msrs, NULL);
    components = (p.xstate[0].a | (uint64_t)p.xstate[0].d << 32 | p.xstate[1].c |
                  (uint64_t)p.xstate[1].d << 32) &
                 ~(1ull << 63);
    switch (l->leaf) {
    case 0x4: /* Xen has six, ours hold more */
        return l->subleaf >= 6;
    case 0xb:
    case 0x1f: /* Xen has two */
        return l->subleaf >= 2;
    case 0xd:
        return l->subleaf >= 2 && !(components >> l->subleaf);
    case 0xf:
        return l->subleaf == 1 && !(p.monitor[0].d & 2);
    case 0x1d:
        return l->subleaf > p.tile[0].a;
    case 0x1e:
        return l->subleaf > p.tmul[0].a;
    case 0x24:
        return l->subleaf > p.avx10[0].a;
    default:
        return is_hypervisor_leaf(l->leaf);
    }
}

/* Take out one entry; the fault must say which. */
static unsigned int without_each_leaf(const struct arrays *all, const char *name)
{
    static struct arrays a;
    unsigned int found = 0;

    for (size_t i = 0; i < all->nr_leaves; i++) {
        const xen_cpuid_leaf_t *l = &all->leaves[i];
        bool sole = entries_of(all, l->leaf) == 1;
        bool named = false;

        a = *all;
        a.nr_leaves--;
        memmove(&a.leaves[i], &a.leaves[i + 1], (a.nr_leaves - i) * sizeof(a.leaves[0]));
        (void)whole(&a);
        for (size_t j = 0; j < report.count; j++)
            named |= faults[j].kind == FAULT_NOT_NAMED && faults[j].leaf == l->leaf &&
                     faults[j].subleaf == (sole ? POLICY_NONE : l->subleaf);
        if (named == behind_the_end(all, i))
            fail_msg("%s: leaf %x subleaf %x taken out: %s", name, l->leaf, l->subleaf,
                     named ? "said to be missing" : "not seen");
        found += named;
        /* Nothing else is said to be missing, where it does not state the length of the rest. */
        if (named && l->subleaf == POLICY_NONE && l->leaf != 0 && l->leaf != 0x80000000u)
            assert_int_equal(report.count, 1);
    }
    return found;
}

static unsigned int without_each_msr(const struct arrays *all)
{
    for (unsigned int i = 0; i < 2; i++) {
        struct arrays a = *all;

        a.nr_msrs = 1;
        a.msrs[0] = all->msrs[!i];
        assert_int_equal(whole(&a), -XEN_EINVAL);
        assert_int_equal(report.count, 1);
        assert_int_equal(faults[0].kind, FAULT_NOT_NAMED);
        assert_int_equal(faults[0].msr, i ? MSR_ARCH_CAPABILITIES : MSR_INTEL_PLATFORM_INFO);
        assert_int_equal(faults[0].leaf, POLICY_NONE);
    }
    return 2;
}

static unsigned int written;

static void as_written(const struct cpu_policy *p, const char *name)
{
    static struct arrays a;

    a.nr_leaves = POLICY_MAX_LEAVES;
    a.nr_msrs = POLICY_MAX_MSRS;
    assert_int_equal(policy_to_leaves(p, a.leaves, &a.nr_leaves, a.msrs, &a.nr_msrs), 0);
    must_be_whole(&a, name);
    written += without_each_leaf(&a, name);
    written += without_each_msr(&a);
}

static void every_machine(void **state)
{
    struct host_options options;
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    written = 0;
    host_options_init(&options);
    for (size_t i = 0; i < n; i++) {
        as_written(&cpus[i].policy, cpus[i].name);
        for (enum guest_type type = GUEST_PV; type < GUEST_TYPES; type++) {
            struct cpu_policy host, max, deflt;

            host_policy_from_raw(&host, &cpus[i].policy, &options);
            host_policy_guest_max(&max, &cpus[i].policy, &host, &options, type);
            host_policy_guest_default(&deflt, &max, &host, &options, type);
            as_written(&max, cpus[i].name);
            as_written(&deflt, cpus[i].name);
        }
    }
    print_message("# %u entries taken out of %zu machines' policies\n", written, n);
}

/* The arrays as stock Xen 4.17 wrote them, and what ours make of them. */
static void every_captured_host(void **state)
{
    glob_t g;
    unsigned int policies = 0;

    (void)state;
    written = 0;
    assert_int_equal(glob(TESTS_DIR "/data/hosts/*.xlp", 0, NULL, &g), 0);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        struct xlp_error error;
        Xenlevel__File *file = xlp_load(g.gl_pathv[i], &error);

        assert_non_null(file);
        for (size_t j = 0; j < file->host->n_policies; j++) {
            static struct arrays a;
            static struct cpu_policy p;
            struct xc_leaves l;

            xlp_policy_leaves(file->host->policies[j]->policy, &l);
            assert_true(l.nr_leaves <= POLICY_MAX_LEAVES && l.nr_msrs <= POLICY_MAX_MSRS);
            a.nr_leaves = l.nr_leaves;
            a.nr_msrs = l.nr_msrs;
            memcpy(a.leaves, l.leaves, l.nr_leaves * sizeof(a.leaves[0]));
            memcpy(a.msrs, l.msrs, l.nr_msrs * sizeof(a.msrs[0]));
            (void)policy_from_leaves(&p, a.leaves, a.nr_leaves, a.msrs, a.nr_msrs, NULL);
            as_written(&p, g.gl_pathv[i]);
            policies++;
            /* A raw policy states more leaves than that Xen keeps; a guest's never does. */
            if (file->host->policies[j]->index != XC_POLICY_RAW) {
                must_be_whole(&a, g.gl_pathv[i]);
                written += without_each_leaf(&a, g.gl_pathv[i]);
            }
            xc_leaves_free(&l);
        }
        xlp_free(file);
    }
    print_message("# %u entries taken out of %u policies of %zu hosts\n", written, policies,
                  g.gl_pathc);
    globfree(&g);
    assert_true(policies > 30);
}

/* What stock Xen and libxc wrote into a stream. */
static void every_captured_stream(void **state)
{
    static struct xc_sr_head head;
    static struct arrays a;
    glob_t g;

    (void)state;
    written = 0;
    assert_int_equal(glob(TESTS_DIR "/migration/streams/*.save.xz", 0, NULL, &g), 0);
    assert_int_equal(g.gl_pathc, 6);
    for (size_t i = 0; i < g.gl_pathc; i++) {
        struct xc_sr_fault fault = {0};
        char command[512];
        FILE *image;

        (void)snprintf(command, sizeof(command), "xz -dc '%s'", g.gl_pathv[i]);
        image = popen(command, "r"); /* NOLINT(cert-env33-c): a test's own file */
        assert_non_null(image);
        if (xc_sr_head_read(fileno(image), XC_SR_XL, &head, NULL, &fault))
            fail_msg("%s: %s", g.gl_pathv[i], fault.text);
        (void)pclose(image);
        a.nr_leaves = head.nr_leaves;
        a.nr_msrs = head.nr_msrs;
        assert_true(head.nr_msrs <= POLICY_MAX_MSRS);
        memcpy(a.leaves, head.leaves, sizeof(a.leaves));
        memcpy(a.msrs, head.msrs, sizeof(a.msrs));
        must_be_whole(&a, g.gl_pathv[i]);
        written += without_each_leaf(&a, g.gl_pathv[i]);
        written += without_each_msr(&a);
    }
    globfree(&g);
    print_message("# %u entries taken out of streams\n", written);
}

static void no_policy_at_all(void **state)
{
    static const uint32_t leaf[] = {0, 0x80000000u, POLICY_NONE, POLICY_NONE};
    static const uint32_t msr[] = {POLICY_NONE, POLICY_NONE, 0xce, 0x10a};
    struct arrays *a = calloc(1, sizeof(*a));

    (void)state;
    assert_non_null(a);
    assert_int_equal(whole(a), -XEN_EINVAL);
    assert_int_equal(report.count, 4);
    for (unsigned int i = 0; i < 4; i++) {
        assert_int_equal(faults[i].kind, FAULT_NOT_NAMED);
        assert_int_equal(faults[i].leaf, leaf[i]);
        assert_int_equal(faults[i].msr, msr[i]);
    }
    assert_int_equal(policy_whole(NULL, 0, NULL, 0, NULL), -XEN_EINVAL);
    free(a);
}

/* Maxima that no policy can hold: bounded, and policy_verify() refuses them. */
static void maxima_out_of_range(void **state)
{
    static struct arrays a;

    (void)state;
    a = (struct arrays){
        .leaves = {{0, POLICY_NONE, 0xffffffff, 0, 0, 0},
                   {7, 0, 0xffffffff, 0, 0, 0},
                   {0xd, 0, 0xffffffff, 0, 0, 0xffffffff},
                   {0x80000000u, POLICY_NONE, 0xffffffff, 0, 0, 0}},
        .nr_leaves = 4,
        .msrs = {{0xce, 0, 0}, {0x10a, 0, 0}},
        .nr_msrs = 2,
    };
    assert_int_equal(whole(&a), -XEN_EINVAL);
    /* basic but 0, 7, D; 7.1 .. 7.3; D.1 .. D.62; extended but the first */
    assert_int_equal(report.count, POLICY_NR_BASIC - 3 + 3 + 62 + POLICY_NR_EXTD - 1);
}

static void in_words(void **state)
{
    static const struct {
        struct policy_fault fault;
        const char *text;
    } cases[] = {
        {{.leaf = 7, .subleaf = POLICY_NONE, .msr = POLICY_NONE},
         "incomplete: leaf 7 is not named"},
        {{.leaf = 0xd, .subleaf = 2, .msr = POLICY_NONE},
         "incomplete: leaf D, subleaf 2 is not named"},
        {{.leaf = 0x8000001fu, .subleaf = POLICY_NONE, .msr = POLICY_NONE},
         "incomplete: leaf 8000001F is not named"},
        {{.leaf = POLICY_NONE, .subleaf = POLICY_NONE, .msr = 0x10a},
         "incomplete: MSR 10A is not named"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct policy_fault f = cases[i].fault;
        char text[128];

        f.kind = FAULT_NOT_NAMED;
        f.index = POLICY_NONE;
        (void)xc_fault_text(&f, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
    assert_string_equal(policy_fault_name(FAULT_NOT_NAMED), "incomplete");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_machine),         cmocka_unit_test(every_captured_host),
        cmocka_unit_test(every_captured_stream), cmocka_unit_test(no_policy_at_all),
        cmocka_unit_test(maxima_out_of_range),   cmocka_unit_test(in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
