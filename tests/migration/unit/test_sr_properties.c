/* SPDX-License-Identifier: MIT */
/*
 * Migrations between all machines, decided by chance: the guest never notices, or is refused by
 * name and goes on at home; and whether it is refused follows from the policies.  The programs of
 * a PV guest notice exactly what levelling_pv_move() announces.  And migrations at
 * every single step: what has moved all the time is what its twin is that never moved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>
#include <xen/hvm/params.h>
#include <xen/sysctl.h>

#include "features-gen.h"
#include "inproc.h"
#include "property.h"
#include "pvview.h"
#include "srpair.h"
#include "topology.h"

#define HOSTS  3u
#define PAGES  64u
#define BEFORE 300u /* steps, at most */

struct place {
    const char *machine;
    struct sim_host *h;
    xc_handle *x;
    struct domain *bystander; /* PV, and has nothing to do with it */
};

static struct place places[HOSTS];
static struct srpair pair;

/* ---- what a host can do ---- */

static struct policy_host limits(const struct sim_host *h, enum guest_type type)
{
    const struct hypervisor *hv = &h->hv;

    if (type == GUEST_PV)
        return (struct policy_host){&hv->policies[XEN_SYSCTL_cpu_policy_pv_max],
                                    &hv->policies[XEN_SYSCTL_cpu_policy_pv_default]};
    if (type == GUEST_HVM_SHADOW)
        return (struct policy_host){&hv->policies[HOST_POLICY_SHADOW_MAX],
                                    &hv->policies[HOST_POLICY_SHADOW_DEFAULT]};
    return (struct policy_host){&hv->policies[XEN_SYSCTL_cpu_policy_hvm_max],
                                &hv->policies[XEN_SYSCTL_cpu_policy_hvm_default]};
}

static bool honours(const struct sim_host *h, enum guest_type type, const struct cpu_policy *p)
{
    const struct policy_host here = limits(h, type);
    struct policy_report none = {NULL, 0, 0};
    uint32_t leaf, subleaf;

    return !policy_verify(p, &none) && !topology_verify(p, &leaf, &subleaf) &&
           !policy_check(p, &here, &none);
}

static bool runs(const struct sim_host *h, enum guest_type type)
{
    if (type == GUEST_PV)
        return true;
    return h->hv.has_hvm && (h->hv.has_hap || type == GUEST_HVM_SHADOW);
}

/* ---- hosts ---- */

/* Often neighbours in the list: those are of one vendor. */
static void boot(void)
{
    unsigned int n = property_nr_machines(), first = property_below(n);

    for (unsigned int i = 0; i < HOSTS; i++) {
        const struct simguest g = {
            .script = SCRIPT_STEADY, .nr_vcpus = 1, .nr_pages = PAGES, .seed = 3 + i};
        struct place *p = &places[i];

        p->machine = property_machine(
            first + (property_below(3) ? property_below(5) : property_random() % n));
        p->h = simhost_boot(p->machine, 1 + property_below(4), 16, property_random());
        p->x = inproc_open(p->h);
        require(p->x, "no handle on %s", p->machine);
        p->bystander = simguest_start(p->h, &g);
        require(p->bystander, "no PV guest on %s", p->machine);
    }
    pair = (struct srpair){.stream = -1};
    inproc_fail_at(0);
}

static void require_status(struct domain *d, const char *what, const char *where)
{
    for (uint32_t n = 0; n < d->max_vcpus; n++) {
        const struct sim_guest_vcpu v = srguest_notes(d, n);

        require(v.status == GUEST_RUNNING || (v.status == GUEST_FRESH && !v.ticks),
                "%s on %s, vCPU %u: %s, leaf %llx", what, where, n, sim_guest_status_name(v.status),
                (unsigned long long)v.changed_leaf);
    }
}

static void halt(void)
{
    for (unsigned int i = 0; i < HOSTS; i++) {
        require_status(places[i].bystander, "the bystander", places[i].machine);
        inproc_close(places[i].x);
        simhost_halt(places[i].h);
    }

    (void)close(pair.stream);
}

/* ---- what the programs of a PV guest see ---- */

/* Where the guest of this journey was born. */
static struct {
    struct pv_view announced;
    struct cpu_policy seen; /* asked there */
    bool changed;           /* its programs have seen another CPU since */
} birth;

static bool has_booted(struct domain *d)
{
    for (uint32_t n = 0; n < d->max_vcpus; n++)
        if (srguest_notes(d, n).status == GUEST_FRESH)
            return false;
    return true;
}

static void begin_views(const struct place *at, struct domain *d)
{
    birth.changed = false;
    if (d->hvm)
        return;
    /* A time slice may be longer than a thousand steps. */
    for (unsigned int n = 0; n < 2000 && !has_booted(d); n++)
        (void)sim_host_run(at->h, 10);
    pvview_announced(at->h, &d->policy, &birth.announced);
    require(has_booted(d), "it does not boot on %s", at->machine);
    require(pvview_read(at->h, d, &birth.seen), "it does not run on %s: %s", at->machine,
            sim_guest_status_name(srguest_notes(d, 0).status));
}

static bool same_change(const struct pv_change *a, const struct pv_change *b)
{
    return featureset_equal(&a->appear, &b->appear) && featureset_equal(&a->vanish, &b->vanish) &&
           a->areas == b->areas && a->basic == b->basic && a->extd == b->extd;
}

/* A program looks for the hypervisor's leaves only where it is told of one. */
static bool is_noticed(const struct domain *d, struct pv_change c)
{
    if (!(d->policy.basic[1].c >> 31))
        c.areas &= ~(1u << PV_AREA_HYPERVISOR);
    return !levelling_pv_same(&c);
}

/* What is read there differs from what was read at home as was announced: no more, no less. */
static void require_announced(const struct place *where, struct domain *d)
{
    struct pv_view here, read = {.exact = false}, was = {.exact = birth.announced.exact};
    struct pv_change announced, really;

    pvview_announced(where->h, &d->policy, &here);
    levelling_pv_move(&birth.announced, &here, &announced);
    read.exact = here.exact;
    was.seen = birth.seen;
    require(pvview_read(where->h, d, &read.seen), "it does not run on %s", where->machine);
    levelling_pv_move(&was, &read, &really);
    require(same_change(&announced, &really),
            "on %s: announced areas %x, %u features more, %u fewer; really %x, %u, %u",
            where->machine, announced.areas, featureset_count(&announced.appear),
            featureset_count(&announced.vanish), really.areas, featureset_count(&really.appear),
            featureset_count(&really.vanish));
    birth.changed |= is_noticed(d, announced);
}

/* Its kernel has noticed nothing, and its programs what was announced. */
static void require_views(const struct place *where, struct domain *d)
{
    struct sim_guest_page page;

    require(!memory_read(d, SIM_GUEST_GFN << 12, &page, sizeof(page)), "it has no page");
    for (uint32_t n = 0; n < d->max_vcpus; n++) {
        const struct sim_guest_vcpu v = srguest_notes(d, n);
        bool noted = v.status == GUEST_PROGRAMS_CHANGED;

        require(noted || v.status == GUEST_RUNNING, "on %s, vCPU %u: %s, leaf %llx", where->machine,
                n, sim_guest_status_name(v.status), (unsigned long long)v.changed_leaf);
        /* The writer does not look at every step. */
        require(noted == birth.changed || (page.script != SCRIPT_STEADY && !noted),
                "on %s, vCPU %u: its programs%s see another CPU; leaf %llx, %llx: %llx, was %llx",
                where->machine, n, noted ? "" : " should", (unsigned long long)v.changed_leaf,
                (unsigned long long)v.changed_subleaf, (unsigned long long)v.seen,
                (unsigned long long)v.expected);
    }
}

/* ---- guests ---- */

/* Fewer features than this one has, at random, and what stood on them. */
static void take_away(struct cpu_policy *p)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    for (unsigned int n = property_below(12); n; n--) {
        int feature = featureset_next(&fs, property_below(FEATURESET_BITS));

        if (feature >= 0)
            featureset_drop(&fs, (unsigned int)feature);
    }
    policy_from_featureset(p, &fs);
    policy_close(p, NULL);
}

/* The host's own, the level of all three, or of two, or one with fewer features. */
static void choose_policy(enum guest_type type, struct cpu_policy *p)
{
    unsigned int kind = property_below(6), n = kind < 4 ? 2 + kind % 2 : 1;
    struct policy_host hosts[HOSTS];

    for (unsigned int i = 0; i < HOSTS; i++)
        hosts[i] = limits(places[i].h, type);
    if (n == 1 || policy_level(hosts, n, p, NULL, NULL))
        *p = *hosts[0].deflt;
    if (kind % 2)
        take_away(p);
    if (!honours(places[0].h, type, p))
        *p = *hosts[0].deflt; /* no toolstack could have given it that */
}

static bool all_fault(void)
{
    uint32_t caps = XEN_SYSCTL_CPU_LEVELCAP_faulting;

    for (unsigned int i = 0; i < HOSTS; i++)
        caps &= places[i].h->hv.levelling.caps;
    return caps;
}

static struct domain *random_guest(void)
{
    const struct sim_host *h = places[0].h;
    bool hap = h->hv.has_hap && property_below(4), pv = runs(h, GUEST_PV) && !property_below(3);
    enum guest_type type = pv ? GUEST_PV : hap ? GUEST_HVM_HAP : GUEST_HVM_SHADOW;
    struct simguest g = {
        /* A program that uses what its policy lacks dies where that is not there. */
        .script = 1 + property_below(pv && !all_fault() ? 2 : 3),
        .hvm = !pv,
        .shadow = !hap,
        .tree = property_below(2),
        .nr_vcpus = 1 + property_below(4),
        .nr_pages = PAGES,
        .seed = property_random(),
    };
    struct cpu_policy policy;
    struct domain *d;

    choose_policy(type, &policy);
    g.policy = &policy;
    d = simguest_start(places[0].h, &g);
    require(d, "no guest on %s", places[0].machine);
    if (d->hvm)
        d->hvm_params[HVM_PARAM_STORE_PFN] = PAGES - 1 - property_below(2);
    return d;
}

/* ---- a migration ---- */

static struct {
    unsigned long arrived, pv, noticed, refused, impossible;
} count;

static struct domain *leave(struct place *from, struct domain *d)
{
    const struct xc_save_options options = {
        .live = property_below(2),
        .checksums = property_below(2),
        .dirty_threshold = 1 + property_below(20),
        .max_rounds = 1 + property_below(6),
    };
    unsigned int during = property_below(2) ? property_below(8) : property_below(150);

    pair.src = from->h;
    pair.xsrc = from->x;
    (void)sim_host_run(from->h, property_below(8) ? property_below(BEFORE) : property_below(4));
    require(!srpair_save(&pair, d, &options, during, 0, NULL), "it cannot leave %s: %s",
            from->machine, inproc_log());
    require(d->shutdown && !d->memory.log_dirty, "it was saved and runs on %s", from->machine);
    return d;
}

/* Policies as their leaves and MSRs say them. */
static bool same_policy(const struct cpu_policy *a, const struct cpu_policy *b)
{
    static xen_cpuid_leaf_t leaves[2][POLICY_MAX_LEAVES];
    static xen_msr_entry_t msrs[2][POLICY_MAX_MSRS];
    size_t nr_leaves[2] = {POLICY_MAX_LEAVES, POLICY_MAX_LEAVES};
    size_t nr_msrs[2] = {POLICY_MAX_MSRS, POLICY_MAX_MSRS};

    memset(leaves, 0, sizeof(leaves));
    memset(msrs, 0, sizeof(msrs));
    (void)policy_to_leaves(a, leaves[0], &nr_leaves[0], msrs[0], &nr_msrs[0]);
    (void)policy_to_leaves(b, leaves[1], &nr_leaves[1], msrs[1], &nr_msrs[1]);
    return nr_leaves[0] == nr_leaves[1] && nr_msrs[0] == nr_msrs[1] &&
           !memcmp(leaves[0], leaves[1], sizeof(leaves[0])) &&
           !memcmp(msrs[0], msrs[1], sizeof(msrs[0]));
}

/* All of it is there, and it runs on neither side until somebody says so. */
static void require_same(const struct place *from, struct domain *d, const struct place *to,
                         struct domain *there)
{
    uint64_t digest = simguest_digest(d);

    (void)sim_host_run(from->h, 20);
    (void)sim_host_run(to->h, 20);
    require(simguest_digest(d) == digest, "it runs on %s while it is away", from->machine);
    require(simguest_digest(there) == digest, "what is on %s is not what left %s", to->machine,
            from->machine);
    require(same_policy(&d->policy, &there->policy), "another CPU on %s than on %s", to->machine,
            from->machine);
    require(!memcmp(d->hvm_params, there->hvm_params, sizeof(d->hvm_params)),
            "other parameters on %s", to->machine);
    require(d->memory.tot_pages == there->memory.tot_pages, "%llu pages on %s, %llu were on %s",
            (unsigned long long)there->memory.tot_pages, to->machine,
            (unsigned long long)d->memory.tot_pages, from->machine);
}

static bool all_further(struct domain *d, const uint64_t ticks[4])
{
    for (uint32_t n = 0; n < d->max_vcpus; n++)
        if (srguest_notes(d, n).ticks <= ticks[n])
            return false;
    return true;
}

/* Several hundred steps: no vCPU notices anything, and all get further.  A vCPU that waits behind
 * others on its pCPU needs more of them. */
static void require_goes_on(const struct place *where, struct domain *d)
{
    uint64_t ticks[4] = {0};

    for (uint32_t n = 0; n < d->max_vcpus; n++)
        ticks[n] = srguest_notes(d, n).ticks;
    require(!d->shutdown && !d->pause_count, "it does not run on %s", where->machine);
    (void)sim_host_run(where->h, 500);
    for (unsigned int more = 0; more < 10 && !all_further(d, ticks); more++)
        (void)sim_host_run(where->h, 200);
    if (d->hvm) {
        require_status(d, "the guest", where->machine);
    } else {
        require_announced(where, d);
        (void)sim_host_run(where->h, 500);
        require_views(where, d);
    }
    for (uint32_t n = 0; n < d->max_vcpus; n++)
        require(srguest_notes(d, n).ticks > ticks[n], "vCPU %u stands still on %s", n,
                where->machine);
}

/* It is where it was before, or there; where it now is, and whether it has moved. */
static struct domain *migrate(struct place *from, struct domain *d, struct place *to, bool *moved)
{
    uint64_t free_pages = to->h->hv.free_pages;
    struct xc_restore_result result;
    struct domain *there;
    bool expected;
    int rc;

    *moved = false;
    (void)leave(from, d);
    if (!runs(to->h, domain_guest_type(d))) {
        count.impossible++;
        domain_resume(d);
        return d;
    }
    pair.dst = to->h;
    pair.xdst = to->x;
    expected = honours(to->h, domain_guest_type(d), &d->policy);
    there = srpair_receive(&pair, d, false, &rc, &result);
    require(!rc == expected, "%s to %s: %s, and should%s; %s", from->machine, to->machine,
            rc ? "it was refused" : "it arrived", expected ? "" : " not", inproc_log());
    if (rc) {
        count.refused++;
        require(inproc_log()[0] && there->memory.tot_pages == 0 && !there->created,
                "%s refuses it without a word, or has taken something: %s", to->machine,
                inproc_log());
        require(domain_guest_type(d) == GUEST_HVM_SHADOW || (errno == EPERM && result.nr_faults),
                "errno %d", errno);
        domain_destroy(there);
        require(to->h->hv.free_pages == free_pages, "%s has lost memory", to->machine);
        domain_resume(d);
        return d;
    }
    count.arrived++;
    count.pv += !d->hvm;
    count.noticed += birth.changed;
    *moved = true;
    require_same(from, d, to, there);
    domain_destroy(d);
    require(!domain_unpause(there), "it cannot be unpaused on %s", to->machine);
    return there;
}

static void journey(void)
{
    struct place *at;
    struct domain *d;

    for (boot(); !places[0].h->hv.has_hvm; boot())
        halt();
    at = &places[0];
    d = random_guest();
    begin_views(at, d);
    for (unsigned int leg = 1 + property_below(4); leg; leg--) {
        struct place *to = &places[(at - places + 1 + property_below(HOSTS - 1)) % HOSTS];
        bool moved;

        d = migrate(at, d, to, &moved);
        at = moved ? to : at;
        require_goes_on(at, d);
    }
    halt();
}

static void journeys(void **state)
{
    (void)state;
    memset(&count, 0, sizeof(count));
    property_run(journey, 700);
    print_message("%lu arrived (%lu of them PV, %lu with programs that had noticed), %lu were "
                  "refused, %lu have no such guests\n",
                  count.arrived, count.pv, count.noticed, count.refused, count.impossible);
}

/* ---- at every step ---- */

/* A guest of one vCPU on `from`, and its twin, which stays. */
struct twins {
    struct sim_host *home;
    struct domain *stays, *moves;
};

static void step_together(struct twins *t, struct sim_host *h)
{
    uint64_t ticks = srguest_notes(t->moves, 0).ticks, behind;

    if (h)
        (void)sim_host_run(h, 1);
    ticks = srguest_notes(t->moves, 0).ticks;
    behind = ticks - srguest_notes(t->stays, 0).ticks;
    require(sim_host_run(t->home, behind) == behind, "the twin stands still");
    require(srguest_notes(t->stays, 0).ticks == ticks, "the twin is not where it should be");
}

static void move_at_every_step(const char *a, const char *b, enum sim_script script, bool live,
                               const struct cpu_policy *level, unsigned int steps)
{
    const struct simguest g = {.script = script,
                               .hvm = true,
                               .nr_vcpus = 1,
                               .nr_pages = PAGES,
                               .seed = property_random(),
                               .policy = level};
    struct twins t = {.home = simhost_boot(a, 1, 16, 9)};
    struct sim_guest_vcpu last;

    srpair_boot(&pair, a, b);
    t.stays = simguest_start(t.home, &g);
    t.moves = srpair_start(&pair, &g);
    for (unsigned int step = 0; step < steps; step++) {
        const struct xc_save_options options = {
            .live = live, .checksums = step % 2, .dirty_threshold = 1, .max_rounds = 1 + step % 5};
        struct xc_restore_result result;
        struct domain *there;
        int rc;

        require(!srpair_save(&pair, t.moves, &options, live ? 1 + step % 3 : 0, 0, NULL),
                "%s, script %u, step %u: it cannot leave: %s", a, script, step, inproc_log());
        there = srpair_receive(&pair, t.moves, false, &rc, &result);
        require(!rc, "%s to %s, script %u, step %u: %s", a, b, script, step, inproc_log());
        domain_destroy(t.moves);
        t.moves = there;
        require(!domain_unpause(there), "it cannot be unpaused");
        srpair_swap(&pair);
        step_together(&t, pair.src);
        require(simguest_digest(t.moves) == simguest_digest(t.stays),
                "%s to %s, script %u, live %d, step %u: it is not what its twin is", a, b, script,
                live, step);
    }
    last = srguest_notes(t.moves, 0);
    require(last.status == GUEST_RUNNING && last.work + last.checks,
            "%s and %s, script %u: it has not worked", a, b, script);
    srpair_halt(&pair);
    simhost_halt(t.home);
}

/* The level of two machines with hardware-assisted paging; false: they have none. */
static bool level_of(const char *a, const char *b, struct cpu_policy *level)
{
    struct sim_host *h[2] = {simhost_boot(a, 1, 16, 1), simhost_boot(b, 1, 16, 1)};
    struct policy_host p[2] = {limits(h[0], GUEST_HVM_HAP), limits(h[1], GUEST_HVM_HAP)};
    bool is = runs(h[0], GUEST_HVM_HAP) && runs(h[1], GUEST_HVM_HAP) &&
              !policy_level(p, 2, level, NULL, NULL);

    simhost_halt(h[0]);
    simhost_halt(h[1]);
    return is;
}

static void at_every_step(void **state)
{
    unsigned int n = property_nr_machines(), pairs = 0;
    struct cpu_policy level;

    (void)state;
    property_seed = 0;
    for (unsigned int i = 0; i < n; i++)
        for (unsigned int j = i + 1; j < n && j <= i + 2; j++) {
            const char *a = property_machine(i), *b = property_machine(j);

            if (!level_of(a, b, &level))
                continue;
            pairs++;
            for (unsigned int k = 0; k < 6; k++)
                move_at_every_step(a, b, 1 + k % 3, k / 3, &level,
                                   (unsigned int)property_scaled(50));
        }
    require(pairs > 20, "only %u pairs", pairs);
}

/* It is given its CPU when its vCPUs are there already: they have no more state than that has. */
static void a_cpu_without_xsave(void **state)
{
    const struct xc_save_options options = {.live = true};
    struct xc_restore_result result;
    struct domain *d, *there;
    struct cpu_policy policy;
    struct featureset fs;
    int rc;

    (void)state;
    srpair_boot(&pair, "intel-haswell-ep", "intel-haswell-ep");
    policy = *limits(pair.src, GUEST_HVM_HAP).deflt;
    policy_to_featureset(&policy, &fs);
    featureset_drop(&fs, X86_FEATURE_XSAVE);
    policy_from_featureset(&policy, &fs);
    policy_close(&policy, NULL);
    d = srpair_guest(&pair, SCRIPT_VECTOR, &policy);
    assert_int_equal(d->vcpus[1]->regs.xcr0, 0);
    (void)sim_host_run(pair.src, 50);
    assert_int_equal(srpair_save(&pair, d, &options, 3, 0, NULL), 0);
    there = srpair_receive(&pair, d, false, &rc, &result);
    if (rc)
        fail_msg("%s", inproc_log());
    assert_int_equal(there->vcpus[1]->regs.xcr0, 0);
    assert_int_equal(domain_unpause(there), 0);
    srguest_require_goes_on(pair.dst, there, srguest_notes(d, 0).ticks);
    srpair_halt(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cpu_without_xsave),
        cmocka_unit_test_teardown(journeys, property_teardown),
        cmocka_unit_test_teardown(at_every_step, property_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
