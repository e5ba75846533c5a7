/* SPDX-License-Identifier: MIT */
/*
 * What must hold at every step of every history: random machines, policies, domains and schedules.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>
#include <sim/guest-pv.h>
#include <sim/machine.h>
#include <xen/domctl.h>
#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"
#include "property.h"
#include "pvview.h"

#define MAX_DOMAINS 12
#define STEPS       600

static struct sim_host host;

/* What a toolstack shares for its hypercalls: one op, leaves, MSRs. */
static struct {
    struct xen_domctl op;
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
} shared;
static const struct sim_window window = {(uintptr_t)&shared, sizeof(shared), (uint8_t *)&shared};

static long domctl(uint32_t cmd, uint16_t domid)
{
    const uint64_t args[HYPERCALL_ARGS] = {(uintptr_t)&shared.op};
    long rc;

    shared.op.cmd = cmd;
    shared.op.domain = domid;
    shared.op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    host.platform.windows = &window;
    host.platform.nr_windows = 1;
    rc = hypercall(&host.hv, __HYPERVISOR_domctl, args);
    host.platform.windows = NULL;
    host.platform.nr_windows = 0;
    return rc;
}

static long set_policy(uint16_t domid, const struct cpu_policy *p)
{
    size_t nr_leaves = POLICY_MAX_LEAVES, nr_msrs = POLICY_MAX_MSRS;

    memset(&shared, 0, sizeof(shared));
    assert_int_equal(policy_to_leaves(p, shared.leaves, &nr_leaves, shared.msrs, &nr_msrs), 0);
    shared.op.u.cpu_policy.nr_leaves = (uint32_t)nr_leaves;
    shared.op.u.cpu_policy.nr_msrs = (uint32_t)nr_msrs;
    set_xen_guest_handle(shared.op.u.cpu_policy.leaves, shared.leaves);
    set_xen_guest_handle(shared.op.u.cpu_policy.msrs, shared.msrs);
    return domctl(XEN_DOMCTL_set_cpu_policy, domid);
}

static const struct cpu_policy *max_of(const struct domain *d)
{
    return &host.hv.policies[d->hvm ? XEN_SYSCTL_cpu_policy_hvm_max : XEN_SYSCTL_cpu_policy_pv_max];
}

static const struct cpu_policy *default_of(const struct domain *d)
{
    return &host.hv.policies[d->hvm ? XEN_SYSCTL_cpu_policy_hvm_default
                                    : XEN_SYSCTL_cpu_policy_pv_default];
}

/* A CPU that a toolstack could come with: some features fewer, now and then one too many. */
static void random_policy(const struct domain *d, struct cpu_policy *p)
{
    struct featureset fs;
    unsigned int changes = property_below(12);

    *p = property_below(2) ? *default_of(d) : *max_of(d);
    if (property_below(8)) /* else wider addresses than a domain gets, where the limit has them */
        policy_restrict(p, domain_guest_type(d));
    policy_to_featureset(p, &fs);
    while (changes--) {
        int feature = featureset_next(&fs, property_below(FEATURESET_BITS));

        if (feature < 0)
            continue;
        /* Now and then without what stands on it: a CPU that cannot be. */
        if (property_below(8))
            featureset_drop(&fs, (unsigned int)feature);
        else
            featureset_clear(&fs, (unsigned int)feature);
    }
    if (!property_below(4)) {
        int feature = featureset_next(featureset_known(), property_below(FEATURESET_BITS));

        if (feature >= 0)
            featureset_set(&fs, (unsigned int)feature);
    }
    policy_from_featureset(p, &fs);
    if (property_below(8))
        policy_close(p, NULL);
}

/*
 * set_cpu_policy accepts exactly what the library's verify and check accept; when it refuses,
 * nothing has changed, and when it accepts, the domain has exactly that CPU.
 */
static void try_policy(struct domain *d)
{
    static struct cpu_policy p, before, merged;
    struct policy_report none = {NULL, 0, 0};
    static struct cpu_policy max;
    const struct policy_host limits = {&max, default_of(d)};
    uint32_t leaf, subleaf;
    bool good;
    long rc;

    random_policy(d, &p);
    policy_trim(&p);
    before = d->policy;
    max = *max_of(d);
    policy_restrict(&max, domain_guest_type(d));
    good = !policy_verify(&p, &none) && !topology_verify(&p, &leaf, &subleaf) &&
           !policy_check(&p, &limits, &none);
    rc = set_policy(d->id, &p);
    if (rc != (good ? 0 : -XEN_EINVAL))
        print_error("leaf %x subleaf %x msr %x; console: %.*s\n", shared.op.u.cpu_policy.err_leaf,
                    shared.op.u.cpu_policy.err_subleaf, shared.op.u.cpu_policy.err_msr,
                    (int)(host.platform.console.written < host.platform.console.size
                              ? host.platform.console.written
                              : host.platform.console.size),
                    host.platform.console.text);
    require(rc == (good ? 0 : -XEN_EINVAL), "d%u: set_cpu_policy returned %ld for a %s policy",
            d->id, rc, good ? "good" : "bad");
    if (good) {
        struct featureset wanted, got;

        merged = d->policy;
        policy_to_featureset(&p, &wanted);
        policy_to_featureset(&merged, &got);
        /* AMD's copies of 1.EDX follow it, whatever was sent. */
        featureset_andnot(&wanted, &wanted, featureset_merge_mask(MERGE_MIRROR));
        featureset_andnot(&got, &got, featureset_merge_mask(MERGE_MIRROR));
        require(featureset_equal(&wanted, &got), "d%u does not have the features it was given",
                d->id);
        if (policy_has(&p, X86_FEATURE_LM))
            require(merged.extd[8].a == p.extd[8].a, "d%u does not have the widths it was given",
                    d->id);
    } else {
        require(!memcmp(&before, &d->policy, sizeof(before)), "d%u: a refusal changed its policy",
                d->id);
    }
}

static struct domain *random_domain(void)
{
    struct xen_domctl_createdomain config = {.max_vcpus = 1 + property_below(3)};
    struct sim_guest_page page = {.magic = SIM_GUEST_MAGIC, .script = 1 + property_below(3)};
    struct domain *d = NULL;
    bool hvm = host.hv.has_hvm && property_below(3) == 0;

    if (hvm) {
        config.flags = XEN_DOMCTL_CDF_hvm | (host.hv.has_hap ? XEN_DOMCTL_CDF_hap : 0);
        config.arch.emulation_flags = XEN_X86_EMU_LAPIC;
    }
    require(!domain_create(&host.hv, 0x7ff4 /* DOMID_INVALID */, &config, &d), "no domain");
    d->memory.max_pages = sim_pv_pfns_for(64);
    for (uint64_t gfn = 0; hvm && gfn < 64; gfn++)
        require(!memory_populate(d, gfn), "no memory");
    page.nr_vcpus = config.max_vcpus;
    page.seed = property_random();
    page.first_gfn = 32;
    page.nr_gfns = 16;
    page.pages_per_second = 100000;
    for (uint32_t i = 0; i < config.max_vcpus; i++)
        require(!vcpu_create(d, i), "no vCPU");
    if (!hvm)
        require(!sim_pv_build(d, d->memory.max_pages, property_below(2)), "no PV guest");
    require(!memory_write(d, SIM_GUEST_GFN << 12, &page, sizeof(page)), "no guest page");
    for (uint32_t i = 0; i < config.max_vcpus; i++) {
        d->vcpus[i]->regs.rip = SIM_GUEST_GFN << 12;
        d->vcpus[i]->online = true;
    }
    for (unsigned int tries = property_below(3); tries; tries--)
        try_policy(d);
    require(!domain_unpause(d), "d%u does not run", d->id);
    return d;
}

/* ---- the properties ---- */

/* The CPUID words of a featureset, as read by `read`. */
static void features_seen(struct featureset *fs, unsigned int pcpu, struct vcpu *v)
{
    memset(fs, 0, sizeof(*fs));
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);
        struct cpuid_regs r;
        uint32_t limit;

        if (info->leaf == UINT32_MAX)
            continue;
        /* As programs do: no leaf above the maximum that CPUID itself gives. */
        sim_guest_cpuid(&host.hv, pcpu, v, info->leaf & 0x80000000u, 0, &r);
        limit = r.a;
        if (info->leaf > limit)
            continue;
        sim_guest_cpuid(&host.hv, pcpu, v, info->leaf,
                        info->subleaf == UINT32_MAX ? 0 : info->subleaf, &r);
        fs->w[w] = info->reg == 0 ? r.a : info->reg == 1 ? r.b : info->reg == 2 ? r.c : r.d;
    }
}

/* Of two featuresets only what CPUID shows and what does not follow the vCPU's state. */
static void comparable(struct featureset *fs)
{
    struct featureset number_bits = *featureset_number_bits();

    featureset_and(fs, fs, featureset_known());
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_andnot(fs, fs, &number_bits);
    fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = 0;
}

/* A PV guest reads its policy, and beyond it exactly what is reported as visible. */
static void check_reading(unsigned int pcpu, struct vcpu *v)
{
    const struct domain *d = v->domain;
    struct featureset seen, policy, hardware, expected, visible = d->levelling.visible;
    bool faulting = host.hv.levelling.caps & XEN_SYSCTL_CPU_LEVELCAP_faulting;

    features_seen(&seen, pcpu, v);
    policy_to_featureset(&d->policy, &policy);
    policy_to_featureset(&host.hv.policies[XEN_SYSCTL_cpu_policy_raw], &hardware);
    comparable(&seen);
    comparable(&policy);
    comparable(&visible);
    featureset_and(&expected, &visible, &policy);
    require(featureset_empty(&expected), "d%u: features of its policy are reported as visible",
            d->id);
    if (faulting) {
        require(featureset_empty(&visible), "d%u: visible features in spite of faulting", d->id);
        expected = policy;
    } else {
        /* What the hardware has not, no mask can show. */
        featureset_and(&expected, &policy, &hardware);
        featureset_or(&expected, &expected, &visible);
    }
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++)
        require(seen.w[w] == expected.w[w], "d%uv%u on pCPU %u reads %s = %08x, expected %08x",
                d->id, v->id, pcpu, featureset_word_info(w)->location, seen.w[w], expected.w[w]);
}

/* And of every leaf that a policy holds what levelling_pv_view() announces. */
static void check_view(unsigned int pcpu, struct vcpu *v)
{
    static struct pv_view announced, read;
    struct pv_change c;

    pvview_announced(&host, &v->domain->policy, &announced);
    read.exact = announced.exact;
    pvview_read_now(&host, pcpu, v, &read.seen);
    levelling_pv_move(&announced, &read, &c);
    require(levelling_pv_same(&c),
            "d%uv%u on pCPU %u reads what was not announced: areas %x, %u features more, %u fewer",
            v->domain->id, v->id, pcpu, c.areas, featureset_count(&c.appear),
            featureset_count(&c.vanish));
}

/* What the core believes of a pCPU's MSRs is true, and they are this domain's. */
static void check_masks(unsigned int pcpu, const struct vcpu *v)
{
    const struct sim_pcpu *c = &host.platform.pcpus[pcpu];
    const struct levelling_pcpu *l = &host.hv.pcpus[pcpu].levelling;
    const struct levelling *lev = &host.hv.levelling;

    for (unsigned int slot = 0; slot < MASK_SLOTS; slot++) {
        /* OSXSAVE and APIC follow the vCPU: 1.ECX bit 27, 1.EDX bit 9, whichever half they are in.
         */
        const uint64_t dynamic = 1ull << 27 | 1ull << (27 + 32) | 1ull << 9 | 1ull << (9 + 32);
        uint64_t differ;

        if (!lev->msr[slot])
            continue;
        require(c->mask[slot] == l->held.value[slot], "pCPU %u: MSR %x holds %llx, not %llx", pcpu,
                lev->msr[slot], (unsigned long long)c->mask[slot],
                (unsigned long long)l->held.value[slot]);
        if (!v || (lev->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting))
            continue;
        differ = c->mask[slot] ^ v->domain->levelling.masks.value[slot];
        if (slot == MASK_1 || slot == MASK_E1)
            differ &= ~dynamic;
        require(!differ, "pCPU %u runs d%uv%u under another domain's masks: MSR %x = %llx", pcpu,
                v->domain->id, v->id, lev->msr[slot], (unsigned long long)c->mask[slot]);
    }
}

/* MSR writes are the real changes, no more and no fewer. */
static uint64_t real_changes(void)
{
    uint64_t n = 0;

    for (unsigned int i = 0; i < host.platform.nr_pcpus; i++)
        n += host.platform.pcpus[i].changes;
    return n;
}

static uint64_t switching_writes(void)
{
    uint64_t n = 0;

    for (unsigned int i = 0; i < host.hv.nr_pcpus; i++)
        n += host.hv.pcpus[i].levelling.writes;
    return n;
}

static void check_all(void)
{
    for (unsigned int i = 0; i < host.hv.nr_pcpus; i++) {
        struct vcpu *v = host.hv.pcpus[i].current;
        bool pv = v && !v->domain->idle && !v->domain->hvm;

        check_masks(i, pv ? v : NULL);
        if (pv) {
            check_reading(i, v);
            check_view(i, v);
        }
    }
}

/* ---- histories ---- */

static void random_event(struct domain **domains, unsigned int *nr)
{
    unsigned int i = *nr ? property_below(*nr) : 0;

    switch (property_below(40)) {
    case 0:
        if (*nr < MAX_DOMAINS)
            domains[(*nr)++] = random_domain();
        break;
    case 1:
        if (*nr > 1) {
            domain_destroy(domains[i]);
            domains[i] = domains[--*nr];
        }
        break;
    case 2:
        if (*nr)
            (void)domain_pause(domains[i]);
        break;
    case 3:
    case 4:
        if (*nr && domains[i]->pause_count)
            (void)domain_unpause(domains[i]);
        break;
    case 5:
        if (host.hv.nr_pcpus > 1) {
            unsigned int pcpu = 1 + property_below(host.hv.nr_pcpus - 1);

            if (host.hv.pcpus[pcpu].online)
                require(!pcpu_offline(&host.hv, pcpu), "pCPU %u does not go down", pcpu);
            else
                require(!pcpu_online(&host.hv, pcpu), "pCPU %u does not come up", pcpu);
        }
        break;
    default:
        break;
    }
}

static void one_history(void)
{
    struct sim_machine_file *m = calloc(1, sizeof(*m));
    struct domain *domains[MAX_DOMAINS];
    unsigned int nr = 0;
    char why[256];
    struct sim_boot boot = {.memory_mib = 64};
    const char *name;
    char path[512];

    assert_non_null(m);
    name = property_machine(property_below(property_nr_machines()));
    boot.seed = property_random();
    boot.nr_pcpus = 1 + property_below(4);
    (void)snprintf(path, sizeof(path), "%s/%s.ini", TEST_DATA, name);
    require(!sim_machine_load(path, m, why, sizeof(why)), "%s", why);
    require(!sim_host_boot(&host, m, &boot, why, sizeof(why)), "%s: %s", name, why);
    free(m);
    while (nr < 3)
        domains[nr++] = random_domain();
    for (unsigned int step = 0; step < STEPS; step++) {
        uint64_t writes = switching_writes(), changes = real_changes();

        (void)sim_host_run(&host, 1);
        require(switching_writes() - writes == real_changes() - changes,
                "%s, step %u: %llu MSR writes for %llu changes", name, step,
                (unsigned long long)(switching_writes() - writes),
                (unsigned long long)(real_changes() - changes));
        check_all();
        random_event(domains, &nr);
    }
    sim_host_halt(&host);
    require(host.platform.allocated == 0, "%llu blocks of memory are lost",
            (unsigned long long)host.platform.allocated);
}

static void histories(void **state)
{
    (void)state;
    property_run(one_history, 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(histories, property_teardown)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
