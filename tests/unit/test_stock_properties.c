/* SPDX-License-Identifier: MIT */
/*
 * A level is a fixed point of what stock Xen does: whatever hosts a pool has, a domain that stock
 * Xen is told to bring to their level has exactly that, on each of them, may go to each of them,
 * and comes back as it was.  For every pair and triple of machines of one vendor, PV and HVM, and
 * every version of Xen whose ways are known; larger pools, and levels that gave up more, by chance.
 */
#include <stdio.h>
#include <string.h>

#include <sim/stock.h>

#include "property.h"
#include "simhost.h"

#include <xen/sysctl.h>

#define MAX_MACHINES 32u
#define MAX_POOL     8u
#define MAX_FAULTS   16u
#define TYPES        2u /* PV, HVM */

struct machine {
    const char *name;
    struct sim_host *host;
    struct domain *domain[TYPES]; /* NULL: it has no such guests */
    struct policy_host limits[TYPES];
};

static struct machine machines[MAX_MACHINES];
static unsigned int nr_machines;

/* The hosts of which a level is being looked at, and how the test's messages call them. */
struct pool {
    unsigned int n, type, minor;
    const struct machine *members[MAX_POOL];
    char what[MAX_POOL * 32];
};

static int boot_all(void **state)
{
    (void)state;
    nr_machines = property_nr_machines();
    assert_true(nr_machines > 20 && nr_machines <= MAX_MACHINES);
    for (unsigned int i = 0; i < nr_machines; i++) {
        struct machine *m = &machines[i];
        const struct cpu_policy *p;

        m->name = property_machine(i);
        m->host = simhost_boot(m->name, 1, 64, 1);
        m->host->hv.policy_way = stock_way(STOCK_FIRST);
        p = m->host->hv.policies;
        m->domain[0] = simdomain_empty(m->host, false, false, 1, 64);
        m->limits[0] = (struct policy_host){&p[XEN_SYSCTL_cpu_policy_pv_max],
                                            &p[XEN_SYSCTL_cpu_policy_pv_default]};
        if (!m->host->hv.has_hvm)
            continue;
        m->domain[1] = simdomain_empty(m->host, true, m->host->hv.has_hap, 1, 64);
        m->limits[1] = (struct policy_host){&p[XEN_SYSCTL_cpu_policy_hvm_max],
                                            &p[XEN_SYSCTL_cpu_policy_hvm_default]};
    }
    return 0;
}

static int halt_all(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < nr_machines; i++)
        simhost_halt(machines[i].host);
    return 0;
}

static void name_pool(struct pool *pool)
{
    size_t at = 0;

    for (unsigned int i = 0; i < pool->n; i++)
        at += (size_t)snprintf(pool->what + at, sizeof(pool->what) - at, "%s%s", i ? " + " : "",
                               pool->members[i]->name);
    (void)snprintf(pool->what + at, sizeof(pool->what) - at, ", %s, Xen 4.%u",
                   pool->type ? "HVM" : "PV", pool->minor);
}

static void describe(const struct policy_report *r)
{
    for (size_t i = 0; i < r->count && i < r->max; i++) {
        const struct policy_fault *f = &r->faults[i];
        const struct feature_info *feature = feature_info(f->feature);

        print_error("  %s %s leaf %x.%x msr %x: %llx, %llx\n", policy_fault_name(f->kind),
                    feature ? feature->name : "", f->leaf, f->subleaf, f->msr,
                    (unsigned long long)f->guest, (unsigned long long)f->host);
    }
}

/* What stock Xen makes of this policy, when all of it is given to this domain on that host. */
static long give(const struct pool *pool, const struct machine *m, const struct cpu_policy *told,
                 struct cpu_policy *got)
{
    static xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    const struct domain *d = m->domain[pool->type];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t nr_leaves = POLICY_MAX_LEAVES, nr_msrs = POLICY_MAX_MSRS;
    struct xen_domctl_cpu_policy op = {.err_leaf = POLICY_NONE};

    assert_int_equal(policy_to_leaves(told, leaves, &nr_leaves, msrs, &nr_msrs), 0);
    op.nr_leaves = (uint32_t)nr_leaves;
    op.nr_msrs = (uint32_t)nr_msrs;
    *got = d->policy;
    m->host->hv.policy_way = stock_way(pool->minor);
    return m->host->hv.policy_way->set(d, got, &op, leaves, msrs);
}

/* It has exactly what it was told of. */
static void require_given(const struct pool *pool, const struct machine *m,
                          const struct cpu_policy *told, struct cpu_policy *got, const char *what)
{
    struct policy_fault faults[MAX_FAULTS];
    struct policy_report r = {faults, MAX_FAULTS, 0};

    require(!give(pool, m, told, got), "%s: %s is refused on %s", pool->what, what, m->name);
    if (policy_compare(told, got, &r))
        describe(&r);
    require(!r.count, "%s: %s is given otherwise on %s", pool->what, what, m->name);
}

/* Whoever has this can exist, and may go to every host of the pool. */
static void require_welcome(const struct pool *pool, const struct cpu_policy *p, const char *what)
{
    for (unsigned int i = 0; i < pool->n; i++) {
        struct policy_fault faults[MAX_FAULTS];
        struct policy_report r = {faults, MAX_FAULTS, 0};

        (void)policy_verify(p, &r);
        (void)policy_check(p, &pool->members[i]->limits[pool->type], &r);
        if (r.count)
            describe(&r);
        require(!r.count, "%s: %s may not run on %s", pool->what, what, pool->members[i]->name);
    }
}

/* A guest that was told this goes from each host to each, and back. */
static void require_travels(const struct pool *pool, const struct cpu_policy *told,
                            const char *what)
{
    static struct cpu_policy here, there, back;

    require_welcome(pool, told, what);
    for (unsigned int i = 0; i < pool->n; i++) {
        require_given(pool, pool->members[i], told, &here, what);
        require_welcome(pool, &here, "what came of it");
        for (unsigned int j = 0; j < pool->n; j++) {
            require_given(pool, pool->members[j], &here, &there, "what came of it");
            require_given(pool, pool->members[i], &there, &back, "what came back");
        }
    }
}

/* False: these cannot be in one pool. */
static bool level(const struct pool *pool, struct cpu_policy *p)
{
    struct policy_host hosts[MAX_POOL];

    for (unsigned int i = 0; i < pool->n; i++) {
        if (!pool->members[i]->domain[pool->type])
            return false;
        hosts[i] = pool->members[i]->limits[pool->type];
    }
    return !policy_level(hosts, pool->n, p, NULL, NULL);
}

/* The level as it is (xlcfg's way), and a guest that was born on each host brought down to it. */
static bool check_pool(struct pool *pool)
{
    static struct cpu_policy p, guest;

    name_pool(pool);
    if (!level(pool, &p))
        return false;
    require_travels(pool, &p, "the level");
    for (unsigned int i = 0; i < pool->n; i++) {
        guest = pool->members[i]->domain[pool->type]->policy;
        require(!policy_apply_level(&guest, &p, NULL), "%s: cannot be applied", pool->what);
        require_travels(pool, &guest, "a guest at the level");
    }
    return true;
}

static void every_pair_and_triple(void **state)
{
    /* Of the triples a build with sanitizers takes every sixth. */
    unsigned int pools = 0, stride = 6 / (unsigned int)property_scaled(6);

    (void)state;
    for (unsigned int a = 0; a < nr_machines; a++)
        for (unsigned int b = a; b < nr_machines; b++)
            for (unsigned int c = b; c < nr_machines; c++)
                for (unsigned int type = 0; type < TYPES; type++) {
                    /* Of the versions one is enough for triples: their closures are data. */
                    unsigned int last = c == b ? STOCK_LAST : STOCK_FIRST;

                    if (c > b && (a + b + c) % stride)
                        continue;
                    for (unsigned int minor = STOCK_FIRST; minor <= last; minor++) {
                        struct pool pool = {.n = 1, .type = type, .minor = minor};

                        pool.members[0] = &machines[a];
                        if (b > a)
                            pool.members[pool.n++] = &machines[b];
                        if (c > b)
                            pool.members[pool.n++] = &machines[c];
                        pools += check_pool(&pool);
                    }
                }
    print_message("# %u pools\n", pools);
    assert_true(pools > 1000);
}

/* Any machine of the same vendor. */
static unsigned int one_like(const struct machine *m)
{
    unsigned int n;

    do
        n = property_below(nr_machines);
    while (machines[n].limits[0].max->basic[0].b != m->limits[0].max->basic[0].b);
    return n;
}

/* A pool of up to eight, and a level that an admin took more from: what fell with it fell as Xen
 * would let it fall. */
static void random_pool(void)
{
    static struct cpu_policy p, less;
    struct pool pool = {.n = 1 + property_below(MAX_POOL),
                        .type = property_below(TYPES),
                        .minor = STOCK_FIRST + property_below(STOCK_LAST - STOCK_FIRST + 1)};
    struct featureset fs;

    for (unsigned int i = 0; i < pool.n; i++)
        pool.members[i] = &machines[i ? one_like(pool.members[0]) : property_below(nr_machines)];
    if (!check_pool(&pool) || !level(&pool, &p))
        return;
    policy_to_featureset(&p, &fs);
    for (unsigned int n = 1 + property_below(4); n; n--) {
        int f = featureset_next(&fs, property_below(FEATURESET_BITS));

        if (f >= 0 && feature_info((unsigned int)f) &&
            feature_info((unsigned int)f)->merge == MERGE_CAPABILITY)
            featureset_drop(&fs, (unsigned int)f);
    }
    less = p;
    policy_from_featureset(&less, &fs);
    policy_close(&less, NULL);
    require(!policy_apply_level(&p, &less, NULL), "%s: less cannot be applied", pool.what);
    less = p;
    require_travels(&pool, &less, "the level with less in it");
}

static void random_pools(void **state)
{
    (void)state;
    property_run(random_pool, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_and_triple),
        cmocka_unit_test_teardown(random_pools, property_teardown),
    };

    return cmocka_run_group_tests(tests, boot_all, halt_all);
}
