/* SPDX-License-Identifier: MIT */
/*
 * XENLEVEL_ALLOW beside a stock Xen (xen/sim/stock.h): whoever gives up by name all that the audit
 * finds is let in, because the trial holds what Xen then makes of the CPU against the same words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sim/stock.h>

#include "allow.h"
#include "cpus.h"
#include "simhost.h"
#include "xc_audit.h"

enum { MAX_FAULTS = 1024, MAX_HOSTS = 64 };

struct host {
    const char *name;
    struct sim_host *sim;
    struct domain *domain;
};

static struct host hosts[MAX_HOSTS];
static size_t nr_hosts;

static int boot_all(void **state)
{
    const struct test_cpu *cpus;
    size_t n = test_cpus(&cpus);

    (void)state;
    for (size_t i = 0; i < n && nr_hosts < MAX_HOSTS; i++) {
        struct host *h = &hosts[nr_hosts];

        h->name = cpus[i].name;
        h->sim = simhost_boot(h->name, 1, 64, 1);
        h->sim->hv.policy_way = stock_way(STOCK_FIRST);
        h->domain = simdomain_empty(h->sim, true, h->sim->hv.has_hap, 1, 64);
        if (h->domain)
            nr_hosts++;
        else
            simhost_halt(h->sim);
    }
    return nr_hosts > 10 ? 0 : -1;
}

static int halt_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < nr_hosts; i++)
        simhost_halt(hosts[i].sim);
    return 0;
}

static const struct cpu_policy *policy_of(const struct host *h, unsigned int index)
{
    return &h->sim->hv.policies[index];
}

/* What stock Xen makes of this policy there. */
static long give(const struct host *h, const struct cpu_policy *told, struct cpu_policy *given)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t nr_leaves = POLICY_MAX_LEAVES, nr_msrs = POLICY_MAX_MSRS;
    struct xen_domctl_cpu_policy op = {.err_leaf = POLICY_NONE};

    assert_int_equal(policy_to_leaves(told, leaves, &nr_leaves, msrs, &nr_msrs), 0);
    op.nr_leaves = (uint32_t)nr_leaves;
    op.nr_msrs = (uint32_t)nr_msrs;
    *given = h->domain->policy;
    return h->domain->hv->policy_way->set(h->domain, given, &op, leaves, msrs);
}

/* Every word that the findings have; false when there is one that nobody can give up. */
static bool allow_all(const struct policy_report *found, struct audit_allow *allow)
{
    static char list[MAX_FAULTS * 64];
    char why[512];

    list[0] = '\0';
    for (size_t i = 0; i < found->count; i++) {
        char word[64];

        if (found->faults[i].kind == FAULT_VENDOR)
            return false;
        allow_word(&found->faults[i], word, sizeof(word));
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s,", word);
    }
    if (audit_allow_parse(list, allow, why, sizeof(why)))
        fail_msg("%s: %s", list, why);
    return true;
}

/* A hazard that Xen no longer tells of is no finding of the audit's: only the trial names it. */
static bool is_hazard(uint32_t feature)
{
    return feature != POLICY_NONE && featureset_test(featureset_merge_mask(MERGE_HAZARD), feature);
}

static void try_pair(const struct host *home, const struct host *h, unsigned int *tried)
{
    static struct policy_fault found[MAX_FAULTS], differ[MAX_FAULTS], named[MAX_FAULTS];
    static struct cpu_policy born, given;
    const struct cpu_policy *told = &born; /* what that Xen itself gives its guests */
    static bool waived[MAX_FAULTS];
    const struct policy_host limits = {policy_of(h, XC_POLICY_HVM_MAX),
                                       policy_of(h, XC_POLICY_HVM_DEFAULT)};
    struct policy_report f = {found, MAX_FAULTS, 0}, d = {differ, MAX_FAULTS, 0},
                         n = {named, MAX_FAULTS, 0};
    struct audit_allow allow;

    assert_int_equal(give(home, policy_of(home, XC_POLICY_HVM_DEFAULT), &born), 0);
    (void)xc_audit_policy(NULL, told, &limits, &f, NULL);
    assert_true(f.count <= f.max);
    if (!allow_all(&f, &allow) || give(h, told, &given))
        return;
    (void)policy_compare(told, &given, &d);
    assert_true(d.count <= d.max);
    *tried += d.count != 0;
    allow_name(told, &given, &n);
    (void)allow_given(&allow, &given, &n, differ, d.count, waived);
    for (size_t i = 0; i < d.count; i++) {
        char line[XC_FAULT_TEXT];

        if (waived[i] || is_hazard(differ[i].feature))
            continue;
        (void)xc_fault_text(&differ[i], line, sizeof(line));
        fail_msg("%s on %s: %s", home->name, h->name, line);
    }
}

static void test_stock_xen_keeps_to_the_words(void **state)
{
    unsigned int tried = 0;

    (void)state;
    for (size_t i = 0; i < nr_hosts; i++)
        for (size_t j = 0; j < nr_hosts; j++)
            try_pair(&hosts[i], &hosts[j], &tried);
    assert_true(tried > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stock_xen_keeps_to_the_words)};

    return cmocka_run_group_tests_name("allow", tests, boot_all, halt_all);
}
