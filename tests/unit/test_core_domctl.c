/* SPDX-License-Identifier: MIT */
/* Domains by domctl: their life, and the CPU that they are given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <ext-domctl.h>

#include <xen/errno.h>

#include "core.h"
#include "features-gen.h"

#define CPU     "intel-cascadelake-sp"
#define HVM_HAP (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)
#define NONE    POLICY_NONE

static struct core *boot(void)
{
    return core_boot(CPU, 2, 1000, "");
}

static long simple(struct core *c, uint32_t cmd, uint16_t domid)
{
    struct xen_domctl op = {.cmd = cmd, .domain = domid};

    return core_domctl(c, &op);
}

/* ---- life ---- */

static long create(struct core *c, struct xen_domctl *op, uint16_t id)
{
    op->cmd = XEN_DOMCTL_createdomain;
    op->domain = id;
    return core_domctl(c, op);
}

static void ids(void **state)
{
    struct core *c = boot();
    struct xen_domctl op = {0};

    (void)state;
    op.u.createdomain.max_vcpus = 1;
    assert_int_equal(create(c, &op, 0), 0);
    assert_int_equal(op.domain, 1);
    assert_int_equal(create(c, &op, (uint16_t)DOMID_INVALID), 0);
    assert_int_equal(op.domain, 2);
    assert_int_equal(create(c, &op, 20), 0);
    assert_int_equal(op.domain, 20);
    assert_int_equal(create(c, &op, 20), -XEN_EEXIST);
    assert_int_equal(create(c, &op, 0), 0);
    assert_int_equal(op.domain, 21);
    assert_int_equal(create(c, &op, 0x7fef), 0);
    assert_int_equal(create(c, &op, 0), 0); /* round to the first free one */
    assert_int_equal(op.domain, 3);
    assert_int_equal(simple(c, XEN_DOMCTL_destroydomain, 2), 0);
    assert_int_equal(simple(c, XEN_DOMCTL_destroydomain, 2), -XEN_ESRCH);
    assert_int_equal(simple(c, XEN_DOMCTL_destroydomain, 0), -XEN_EINVAL);
    assert_int_equal(c->hv.nr_domains, 6);
    core_halt(c);
}

static void configurations(void **state)
{
    static const struct {
        struct xen_domctl_createdomain config;
        long rc;
    } cases[] = {
        {{.max_vcpus = 1}, 0},
        {{.max_vcpus = DOMAIN_MAX_VCPUS}, 0},
        {{.max_vcpus = 0}, -XEN_EINVAL},
        {{.max_vcpus = DOMAIN_MAX_VCPUS + 1}, -XEN_EINVAL},
        {{.max_vcpus = 1, .flags = HVM_HAP}, 0},
        {{.max_vcpus = 1, .flags = XEN_DOMCTL_CDF_hvm}, 0},
        {{.max_vcpus = 1, .flags = XEN_DOMCTL_CDF_hap}, -XEN_EINVAL},
        {{.max_vcpus = 1, .flags = XEN_DOMCTL_CDF_iommu}, -XEN_EINVAL},
        {{.max_vcpus = 1, .flags = XEN_DOMCTL_CDF_vpmu}, -XEN_EINVAL},
        {{.max_vcpus = 1, .flags = 1u << 31}, -XEN_EINVAL},
        {{.max_vcpus = 1, .iommu_opts = 1}, -XEN_EINVAL},
        {{.max_vcpus = 1, .vmtrace_size = 4096}, -XEN_EINVAL},
        {{.max_vcpus = 1, .cpupool_id = 1}, -XEN_EINVAL},
        {{.max_vcpus = 1, .grant_opts = 3}, -XEN_EINVAL},
        {{.max_vcpus = 1, .arch.emulation_flags = XEN_X86_EMU_LAPIC}, -XEN_EINVAL},
        {{.max_vcpus = 1, .flags = HVM_HAP, .arch.emulation_flags = XEN_X86_EMU_LAPIC}, 0},
        {{.max_vcpus = 1, .flags = HVM_HAP, .arch.emulation_flags = 1u << 30}, -XEN_EINVAL},
        {{.max_vcpus = 1, .arch.misc_flags = 2}, -XEN_EINVAL},
    };
    struct core *c = boot();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct xen_domctl op = {0};
        uint32_t before = c->hv.nr_domains;
        long rc;

        op.u.createdomain = cases[i].config;
        rc = create(c, &op, 0);
        if (rc != cases[i].rc)
            fail_msg("case %zu: %ld instead of %ld", i, rc, cases[i].rc);
        assert_int_equal(c->hv.nr_domains, before + !rc);
    }
    core_halt(c);
}

static void vcpus(void **state)
{
    struct core *c = boot();
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain};
    struct domain *d;

    (void)state;
    op.u.createdomain.max_vcpus = 3;
    assert_int_equal(core_domctl(c, &op), 0);
    d = domain_by_id(&c->hv, op.domain);
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_getvcpuinfo, .domain = d->id};
    assert_int_equal(core_domctl(c, &op), -XEN_ESRCH);
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_max_vcpus, .domain = d->id};
    op.u.max_vcpus.max = 2;
    assert_int_equal(core_domctl(c, &op), -XEN_EINVAL);
    op.u.max_vcpus.max = 3;
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(vcpu_create(d, 1), -XEN_EEXIST);
    assert_int_equal(vcpu_create(d, 3), -XEN_EINVAL);

    core_start(c, d);
    assert_ptr_equal(schedule(&c->hv, 0), d->vcpus[0]);
    c->platform.now += 777;
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_getvcpuinfo, .domain = d->id};
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(op.u.getvcpuinfo.online, 1);
    assert_int_equal(op.u.getvcpuinfo.running, 1);
    assert_int_equal(op.u.getvcpuinfo.cpu_time, 777);
    op.u.getvcpuinfo.vcpu = 3;
    assert_int_equal(core_domctl(c, &op), -XEN_EINVAL);
    core_halt(c);
}

static void info(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, HVM_HAP, 2, 50);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setdomainhandle, .domain = d->id};
    const struct xen_domctl_getdomaininfo *i = &op.u.getdomaininfo;

    (void)state;
    memcpy(op.u.setdomainhandle.handle, "0123456789abcdef", 16);
    assert_int_equal(core_domctl(c, &op), 0);
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_getdomaininfo, .domain = d->id};
    assert_int_equal(core_domctl(c, &op), 0);
    assert_memory_equal(i->handle, "0123456789abcdef", 16);
    assert_int_equal(i->domain, d->id);
    assert_int_equal(i->flags, XEN_DOMINF_hvm_guest | XEN_DOMINF_hap | XEN_DOMINF_paused |
                                   XEN_DOMINF_blocked);
    assert_int_equal(i->tot_pages, 50);
    assert_int_equal(i->max_pages, 50);
    assert_int_equal(i->max_vcpu_id, 1);
    assert_int_equal(i->nr_online_vcpus, 0);
    assert_true(i->gpaddr_bits >= 36 && i->gpaddr_bits <= 52);

    core_start(c, d);
    (void)schedule(&c->hv, 0);
    c->platform.now += 5;
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(i->flags, XEN_DOMINF_hvm_guest | XEN_DOMINF_hap | XEN_DOMINF_running);
    assert_int_equal(i->cpu_time, 5);
    domain_shutdown(d, 3);
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(i->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask, 3);
    assert_false(i->flags & XEN_DOMINF_running);
    assert_int_equal(simple(c, XEN_DOMCTL_resumedomain, d->id), 0);
    assert_int_equal(core_domctl(c, &op), 0);
    assert_false(i->flags & XEN_DOMINF_shutdown);
    core_halt(c);
}

static void pause_and_unpause(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 1, 0);

    (void)state;
    assert_false(d->created);
    assert_int_equal(simple(c, XEN_DOMCTL_pausedomain, d->id), 0);
    assert_int_equal(simple(c, XEN_DOMCTL_unpausedomain, d->id), 0);
    assert_false(d->created);
    assert_int_equal(simple(c, XEN_DOMCTL_unpausedomain, d->id), 0);
    assert_true(d->created);
    assert_int_equal(simple(c, XEN_DOMCTL_unpausedomain, d->id), -XEN_EINVAL);
    assert_int_equal(simple(c, XEN_DOMCTL_pausedomain, 0), -XEN_EINVAL);
    assert_int_equal(simple(c, XEN_DOMCTL_unpausedomain, 0), -XEN_EINVAL);
    core_halt(c);
}

static void tsc(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 1, 0);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_settscinfo, .domain = d->id};

    (void)state;
    op.u.tsc_info = (struct xen_domctl_tsc_info){2, 2400000, 3, 0, 1000};
    assert_int_equal(core_domctl(c, &op), 0);
    c->platform.now += 50;
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_gettscinfo, .domain = d->id};
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(op.u.tsc_info.tsc_mode, 2);
    assert_int_equal(op.u.tsc_info.gtsc_khz, 2400000);
    assert_int_equal(op.u.tsc_info.incarnation, 3);
    assert_int_equal(op.u.tsc_info.elapsed_nsec, 1050);
    op.cmd = XEN_DOMCTL_settscinfo;
    op.u.tsc_info.tsc_mode = 3;
    assert_int_equal(core_domctl(c, &op), -XEN_EINVAL);
    core_halt(c);
}

/* ---- the CPU policy ---- */

static xen_cpuid_leaf_t leaf_of(const struct domain *d, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_regs *r = policy_leaf_const(&d->policy, leaf, subleaf);

    return (xen_cpuid_leaf_t){leaf, subleaf, r->a, r->b, r->c, r->d};
}

static long set_policy(struct core *c, const struct domain *d, const xen_cpuid_leaf_t *leaves,
                       uint32_t nr_leaves, const xen_msr_entry_t *msrs, uint32_t nr_msrs,
                       struct xen_domctl_cpu_policy *out)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_cpu_policy, .domain = d->id};
    long rc;

    core_reset(c);
    op.u.cpu_policy.nr_leaves = nr_leaves;
    op.u.cpu_policy.nr_msrs = nr_msrs;
    if (nr_leaves)
        HANDLE_SET(op.u.cpu_policy.leaves, core_put(c, leaves, nr_leaves * sizeof(*leaves)));
    if (nr_msrs)
        HANDLE_SET(op.u.cpu_policy.msrs, core_put(c, msrs, nr_msrs * sizeof(*msrs)));
    rc = core_domctl(c, &op);
    if (out)
        *out = op.u.cpu_policy;
    return rc;
}

static void policy_is_merged(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, HVM_HAP, 2, 0);
    const struct cpu_policy born = d->policy;
    xen_cpuid_leaf_t leaf = leaf_of(d, 7, 0);
    struct featureset before, after, dropped;

    (void)state;
    assert_memory_equal(&born, &c->hv.policies[XEN_SYSCTL_cpu_policy_hvm_default], sizeof(born));
    assert_int_equal(set_policy(c, d, NULL, 0, NULL, 0, NULL), 0);
    assert_memory_equal(&d->policy, &born, sizeof(born));
    /* A feature that nothing stands on goes; all else stays. */
    assert_true(leaf.b >> X86_FEATURE_BMI2 % 32 & 1);
    leaf.b &= ~(1u << X86_FEATURE_BMI2 % 32);
    assert_int_equal(set_policy(c, d, &leaf, 1, NULL, 0, NULL), 0);
    policy_to_featureset(&born, &before);
    policy_to_featureset(&d->policy, &after);
    featureset_andnot(&dropped, &before, &after);
    assert_int_equal(featureset_count(&dropped), 1);
    assert_true(featureset_test(&dropped, X86_FEATURE_BMI2));
    core_halt(c);
}

struct refusal {
    const char *name, *says;
    uint32_t leaf, subleaf; /* which to change, and the place that is blamed */
    int reg;
    uint32_t set, clear;
    uint32_t err_leaf, err_subleaf;
};

static const struct refusal refusals[] = {
    {"a feature that the host lacks", " sha ", 7, 0, 1, 1u << 29, 0, 7, 0},
    {"a prerequisite is missing", "prerequisite", 1, NONE, 2, 0, 1u << 28, 1, NONE},
    {"another vendor", "vendor", 0, NONE, 1, 0, 1, 0, NONE},
    {"a maximum beyond the host's", "", 0x80000008, NONE, 0, 0x3f, 0, 0x80000008, NONE},
    {"another line size", "clflush", 1, NONE, 1, 0x1000, 0, 1, NONE},
    {"a component's offset", "xstate", 0xd, 2, 1, 128, 0, 0xd, 2},
};

static void policy_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        struct core *c = boot();
        struct domain *d = core_domain(c, HVM_HAP, 1, 0);
        const struct cpu_policy before = d->policy;
        xen_cpuid_leaf_t leaf = leaf_of(d, r->leaf, r->subleaf);
        uint32_t *reg = &leaf.a + r->reg;
        struct xen_domctl_cpu_policy out;

        *reg = (*reg | r->set) & ~r->clear;
        if (set_policy(c, d, &leaf, 1, NULL, 0, &out) != -XEN_EINVAL)
            fail_msg("%s: accepted", r->name);
        assert_memory_equal(&d->policy, &before, sizeof(before));
        if (out.err_leaf != r->err_leaf || out.err_msr != NONE)
            fail_msg("%s: blames leaf %x subleaf %x msr %x", r->name, out.err_leaf, out.err_subleaf,
                     out.err_msr);
        assert_true(core_said(c, "CPU policy refused: "));
        if (!core_said(c, r->says))
            fail_msg("%s: %s is not named", r->name, r->says);
        core_halt(c);
    }
}

/* The limit's own width of linear addresses, 57 bits, is no domain's here: to accept it would be to
 * give the domain another CPU than it was told of. */
static void no_width_is_cut_down(void **state)
{
    struct core *c = core_boot("intel-icelake-sp", 2, 1000, "");
    struct domain *d = core_domain(c, HVM_HAP, 1, 0);
    const struct cpu_policy before = d->policy;
    xen_cpuid_leaf_t leaf = leaf_of(d, 0x80000008, NONE);
    struct xen_domctl_cpu_policy out;

    (void)state;
    assert_int_equal(c->hv.policies[XEN_SYSCTL_cpu_policy_hvm_max].extd[8].a >> 8 & 0xff, 57);
    assert_int_equal(leaf.a >> 8 & 0xff, 48);
    assert_int_equal(set_policy(c, d, &leaf, 1, NULL, 0, &out), 0);
    leaf.a = (leaf.a & ~0xff00u) | 57u << 8;
    assert_int_equal(set_policy(c, d, &leaf, 1, NULL, 0, &out), -XEN_EINVAL);
    assert_int_equal(out.err_leaf, 0x80000008);
    assert_memory_equal(&d->policy, &before, sizeof(before));
    core_halt(c);
}

static void policy_arrays_are_checked(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, HVM_HAP, 1, 0);
    xen_cpuid_leaf_t leaves[2] = {leaf_of(d, 1, NONE), leaf_of(d, 0, NONE)};
    xen_msr_entry_t msr = {.idx = 0x10, .val = 1};
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_cpu_policy, .domain = d->id};
    struct xen_domctl_cpu_policy out;

    (void)state;
    assert_int_equal(set_policy(c, d, leaves, 2, NULL, 0, &out), -XEN_EINVAL); /* descending */
    assert_int_equal(out.err_leaf, 0);
    leaves[0].leaf = 0x30;
    assert_int_equal(set_policy(c, d, leaves, 1, NULL, 0, &out), -XEN_EINVAL);
    assert_int_equal(out.err_leaf, 0x30);
    assert_int_equal(set_policy(c, d, NULL, 0, &msr, 1, &out), -XEN_EINVAL);
    assert_int_equal(out.err_msr, 0x10);
    msr = (xen_msr_entry_t){.idx = MSR_ARCH_CAPABILITIES, .val = 1ull << 63};
    assert_int_equal(set_policy(c, d, NULL, 0, &msr, 1, &out), -XEN_EINVAL);
    assert_int_equal(out.err_msr, MSR_ARCH_CAPABILITIES);

    op.u.cpu_policy.nr_leaves = ~0u;
    assert_int_equal(core_domctl(c, &op), -XEN_E2BIG);
    op.u.cpu_policy.nr_leaves = 0;
    op.u.cpu_policy.nr_msrs = POLICY_MAX_MSRS + 1;
    assert_int_equal(core_domctl(c, &op), -XEN_E2BIG);
    op.u.cpu_policy.nr_msrs = 1;
    HANDLE_SET(op.u.cpu_policy.msrs, 8);
    assert_int_equal(core_domctl(c, &op), -XEN_EFAULT);
    core_halt(c);
}

/* What a guest has once run with stays; and nobody changes the CPU of whoever asks. */
static void policy_is_frozen(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 1, 0);

    (void)state;
    assert_int_equal(set_policy(c, d, NULL, 0, NULL, 0, NULL), 0);
    core_start(c, d);
    assert_int_equal(set_policy(c, d, NULL, 0, NULL, 0, NULL), -XEN_EEXIST);
    assert_int_equal(domain_pause(d), 0);
    assert_int_equal(set_policy(c, d, NULL, 0, NULL, 0, NULL), -XEN_EEXIST);
    assert_int_equal(set_policy(c, domain_by_id(&c->hv, 0), NULL, 0, NULL, 0, NULL), -XEN_EINVAL);
    core_halt(c);
}

/* Of every type, what the host offers at most can be set, and what is read can be set again. */
static void policy_round_trip(void **state)
{
    static const uint32_t flags[] = {0, XEN_DOMCTL_CDF_hvm, HVM_HAP};
    struct core *c = boot();

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct domain *d = core_domain(c, flags[i], 1, 0), *e = core_domain(c, flags[i], 1, 0);
        struct xen_domctl op = {.cmd = XEN_DOMCTL_get_cpu_policy, .domain = d->id};
        struct xen_domctl_cpu_policy *p = &op.u.cpu_policy;

        core_reset(c);
        assert_int_equal(core_domctl(c, &op), 0); /* sizes */
        assert_int_equal(p->nr_leaves, POLICY_MAX_LEAVES);
        HANDLE_SET(p->leaves, core_put(c, NULL, p->nr_leaves * sizeof(xen_cpuid_leaf_t)));
        HANDLE_SET(p->msrs, core_put(c, NULL, p->nr_msrs * sizeof(xen_msr_entry_t)));
        assert_int_equal(core_domctl(c, &op), 0);
        op.cmd = XEN_DOMCTL_set_cpu_policy;
        op.domain = e->id;
        assert_int_equal(core_domctl(c, &op), 0);
        assert_memory_equal(&d->policy, &e->policy, sizeof(d->policy));
        p->nr_leaves = 3;
        op.cmd = XEN_DOMCTL_get_cpu_policy;
        assert_int_equal(core_domctl(c, &op), -XEN_ENOBUFS);
    }
    core_halt(c);
}

static void visible(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 1, 0);
    struct xen_domctl op = {.cmd = XENLEVEL_DOMCTL_get_visible, .domain = d->id};
    struct xenlevel_domctl_visible v = {0};

    (void)state;
    featureset_set(&d->levelling.visible, X86_FEATURE_AVX2);
    d->levelling.costs_switches = true;
    memcpy(&op.u, &v, sizeof(v));
    assert_int_equal(core_domctl(c, &op), 0);
    memcpy(&v, &op.u, sizeof(v));
    assert_int_equal(v.nr_words, FEATURESET_WORDS);
    assert_int_equal(v.costs_switches, 1);
    v.words = core_put(c, NULL, 200);
    memcpy(&op.u, &v, sizeof(v));
    assert_int_equal(core_domctl(c, &op), 0);
    assert_memory_equal(core_at(c, v.words), d->levelling.visible.w, sizeof(uint32_t) * v.nr_words);
    v.nr_words = 2;
    memcpy(&op.u, &v, sizeof(v));
    assert_int_equal(core_domctl(c, &op), -XEN_ENOBUFS);
    v.words = 8;
    memcpy(&op.u, &v, sizeof(v));
    assert_int_equal(core_domctl(c, &op), -XEN_EFAULT);
    core_halt(c);
}

static long ask_cpuid(struct core *c, struct domain *d, uint32_t vcpu, uint32_t n, uint64_t leaves)
{
    struct xen_domctl op = {.cmd = XENLEVEL_DOMCTL_get_vcpu_cpuid, .domain = d->id};
    const struct xenlevel_domctl_vcpu_cpuid get = {.vcpu = vcpu, .nr_leaves = n, .leaves = leaves};

    memcpy(&op.u, &get, sizeof(get));
    return core_domctl(c, &op);
}

static void vcpu_reads(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, 2, 0);
    const xen_cpuid_leaf_t asked[] = {{.leaf = 1, .subleaf = XEN_CPUID_NO_SUBLEAF},
                                      {.leaf = 0xb, .subleaf = 1}};
    uint64_t at = core_put(c, asked, sizeof(asked));
    const xen_cpuid_leaf_t *l = core_at(c, at);
    struct cpuid_regs regs;

    (void)state;
    assert_int_equal(ask_cpuid(c, d, 1, 2, at), 0);
    guest_cpuid(d->vcpus[1], 1, 0, &regs);
    assert_int_equal(l[0].leaf, 1);
    assert_int_equal(l[0].b, regs.b);
    assert_int_equal(l[0].b >> 24, 2); /* where stock Xen puts vCPU 1 */
    assert_int_equal(l[0].d, regs.d);
    guest_cpuid(d->vcpus[1], 0xb, 1, &regs);
    assert_int_equal(l[1].subleaf, 1);
    assert_int_equal(l[1].d, regs.d);
    /* As it is now: OSXSAVE follows CR4. */
    assert_int_equal(l[0].c >> 27 & 1, 0);
    assert_int_equal(vcpu_write_cr4(d->vcpus[1], CR4_OSXSAVE), 0);
    assert_int_equal(ask_cpuid(c, d, 1, 1, at), 0);
    assert_int_equal(l[0].c >> 27 & 1, 1);
    assert_int_equal(ask_cpuid(c, d, 0, 1, at), 0);
    assert_int_equal(l[0].c >> 27 & 1, 0);
    assert_int_equal(ask_cpuid(c, d, 2, 1, at), -XEN_ESRCH);
    assert_int_equal(ask_cpuid(c, d, UINT32_MAX, 1, at), -XEN_ESRCH);
    assert_int_equal(ask_cpuid(c, d, 0, POLICY_MAX_LEAVES + 1, at), -XEN_E2BIG);
    assert_int_equal(ask_cpuid(c, d, 0, 1, 8), -XEN_EFAULT);
    assert_int_equal(ask_cpuid(c, d, 0, 0, 8), 0);
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids),
        cmocka_unit_test(configurations),
        cmocka_unit_test(vcpus),
        cmocka_unit_test(info),
        cmocka_unit_test(pause_and_unpause),
        cmocka_unit_test(tsc),
        cmocka_unit_test(policy_is_merged),
        cmocka_unit_test(policy_is_refused),
        cmocka_unit_test(no_width_is_cut_down),
        cmocka_unit_test(policy_arrays_are_checked),
        cmocka_unit_test(policy_is_frozen),
        cmocka_unit_test(policy_round_trip),
        cmocka_unit_test(visible),
        cmocka_unit_test(vcpu_reads),
    };

    return cmocka_run_group_tests_name("core: domctl", tests, NULL, NULL);
}
