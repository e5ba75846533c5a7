/* SPDX-License-Identifier: MIT */
/* Questions about the machine: sysctls, version, console; and how hypercalls are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/version.h>

#include "core.h"

#define INTEL   "intel-cascadelake-sp"
#define NO_HVM  "amd-barcelona"
#define HVM_HAP (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)

static struct core *boot(void)
{
    return core_boot(INTEL, 4, 1000, "");
}

/* Interface versions, unknown operations, addresses that are nowhere. */
static void refusals(void **state)
{
    struct core *c = boot();
    struct xen_sysctl s = {.cmd = XEN_SYSCTL_physinfo};
    struct xen_domctl d = {.cmd = XEN_DOMCTL_getdomaininfo};

    (void)state;
    s.interface_version = XEN_SYSCTL_INTERFACE_VERSION + 1;
    assert_int_equal(core_call(c, __HYPERVISOR_sysctl, core_put(c, &s, sizeof(s)), 0), -XEN_EACCES);
    d.interface_version = XEN_DOMCTL_INTERFACE_VERSION - 1;
    assert_int_equal(core_call(c, __HYPERVISOR_domctl, core_put(c, &d, sizeof(d)), 0), -XEN_EACCES);
    s.cmd = 0xffffffff;
    assert_int_equal(core_sysctl(c, &s), -XEN_ENOSYS);
    d.cmd = XEN_DOMCTL_hypercall_init;
    assert_int_equal(core_domctl(c, &d), -XEN_ENOSYS);
    d.cmd = XEN_DOMCTL_getdomaininfo;
    d.domain = 1234;
    assert_int_equal(core_domctl(c, &d), -XEN_ESRCH);
    for (unsigned int op = 0; op < 64; op++) {
        long rc = core_call(c, op, 0, 0);
        bool known = op == __HYPERVISOR_sysctl || op == __HYPERVISOR_domctl ||
                     op == __HYPERVISOR_memory_op || op == __HYPERVISOR_xen_version ||
                     op == __HYPERVISOR_sched_op || op == __HYPERVISOR_hvm_op ||
                     op == __HYPERVISOR_mmuext_op;

        assert_true(known ? rc != 0 : rc == -XEN_ENOSYS);
    }
    assert_int_equal(core_call(c, __HYPERVISOR_sysctl, CORE_WINDOW_BASE - 1, 0), -XEN_EFAULT);
    assert_int_equal(core_call(c, __HYPERVISOR_domctl, CORE_WINDOW_BASE + CORE_WINDOW - 8, 0),
                     -XEN_EFAULT);
    assert_int_equal(core_call(c, __HYPERVISOR_domctl, ~0ull, 0), -XEN_EFAULT);
    core_halt(c);
}

static void physinfo(void **state)
{
    struct core *c = boot();
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo};
    const struct xen_sysctl_physinfo *p = &op.u.physinfo;

    (void)state;
    (void)core_domain(c, HVM_HAP, 1, 100);
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(p->nr_cpus, 4);
    assert_int_equal(p->max_cpu_id, 3);
    assert_int_equal(p->total_pages, 1000);
    assert_int_equal(p->free_pages, 900);
    assert_true(p->threads_per_core >= 1 && p->cores_per_socket >= 1);
    assert_int_equal(p->capabilities, XEN_SYSCTL_PHYSCAP_pv | XEN_SYSCTL_PHYSCAP_hvm |
                                          XEN_SYSCTL_PHYSCAP_hap | XEN_SYSCTL_PHYSCAP_shadow);
    assert_int_equal(p->hw_cap[0], c->hv.policies[XEN_SYSCTL_cpu_policy_host].basic[1].d);
    core_halt(c);
}

static long hotplug(struct core *c, uint32_t cpu, uint32_t op)
{
    struct xen_sysctl ctl = {.cmd = XEN_SYSCTL_cpu_hotplug};

    ctl.u.cpu_hotplug.cpu = cpu;
    ctl.u.cpu_hotplug.op = op;
    return core_sysctl(c, &ctl);
}

static void pcpus(void **state)
{
    struct core *c = boot();
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_getcpuinfo};
    uint64_t to = core_put(c, NULL, 256);
    const struct xen_sysctl_cpuinfo *info = core_at(c, to);
    const struct xen_sysctl_cputopo *topo = core_at(c, to);

    (void)state;
    c->platform.now = 12345;
    op.u.getcpuinfo.max_cpus = 100;
    HANDLE_SET(op.u.getcpuinfo.info, to);
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(op.u.getcpuinfo.nr_cpus, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(info[i].idletime, 12345);

    assert_int_equal(hotplug(c, 2, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE), 0);
    assert_int_equal(hotplug(c, 0, XEN_SYSCTL_CPU_HOTPLUG_OFFLINE), -XEN_EBUSY);
    assert_int_equal(hotplug(c, 9, XEN_SYSCTL_CPU_HOTPLUG_ONLINE), -XEN_EINVAL);
    assert_int_equal(hotplug(c, 1, XEN_SYSCTL_CPU_HOTPLUG_SMT_DISABLE), -XEN_EOPNOTSUPP);
    op = (struct xen_sysctl){.cmd = XEN_SYSCTL_cputopoinfo};
    assert_int_equal(core_sysctl(c, &op), 0); /* how many? */
    assert_int_equal(op.u.cputopoinfo.num_cpus, 4);
    op.u.cputopoinfo.num_cpus = 3;
    memset(core_at(c, to), 0xee, 256);
    HANDLE_SET(op.u.cputopoinfo.cputopo, to);
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(op.u.cputopoinfo.num_cpus, 4);
    assert_int_equal(topo[0].core | topo[0].socket | topo[0].node, 0);
    assert_int_equal(topo[2].core, XEN_INVALID_CORE_ID);
    assert_int_equal(topo[3].core, 0xeeeeeeee);
    core_halt(c);
}

static void domain_list(void **state)
{
    struct core *c = boot();
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_getdomaininfolist};
    uint64_t to = core_put(c, NULL, 4 * sizeof(struct xen_domctl_getdomaininfo));
    const struct xen_domctl_getdomaininfo *info = core_at(c, to);

    (void)state;
    for (int i = 0; i < 6; i++)
        (void)core_domain(c, i == 3 ? HVM_HAP : 0, 1, 0);
    domain_destroy(domain_by_id(&c->hv, 2));
    op.u.getdomaininfolist.max_domains = 4;
    HANDLE_SET(op.u.getdomaininfolist.buffer, to);
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 4);
    assert_int_equal(info[0].domain, 0);
    assert_int_equal(info[0].nr_online_vcpus, 4);
    assert_false(info[0].flags & XEN_DOMINF_paused);
    assert_int_equal(info[1].domain, 1);
    assert_int_equal(info[1].flags, XEN_DOMINF_paused | XEN_DOMINF_blocked);
    assert_int_equal(info[2].domain, 3);
    assert_int_equal(info[3].domain, 4);
    assert_true(info[3].flags & XEN_DOMINF_hvm_guest && info[3].flags & XEN_DOMINF_hap);
    op.u.getdomaininfolist.first_domain = 2;
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(info[0].domain, 3);
    op.u.getdomaininfolist.first_domain = 7;
    assert_int_equal(core_sysctl(c, &op), 0);
    assert_int_equal(op.u.getdomaininfolist.num_domains, 0);
    op.u.getdomaininfolist.first_domain = 0;
    HANDLE_SET(op.u.getdomaininfolist.buffer, 0);
    assert_int_equal(core_sysctl(c, &op), -XEN_EFAULT);
    core_halt(c);
}

/* ---- the console ---- */

static long dmesg(struct core *c, struct xen_sysctl *op, uint32_t room, bool clear, bool more)
{
    op->cmd = XEN_SYSCTL_readconsole;
    op->u.readconsole.count = room;
    op->u.readconsole.clear = clear;
    op->u.readconsole.incremental = more;
    HANDLE_SET(op->u.readconsole.buffer, CORE_WINDOW_BASE + CORE_WINDOW / 2);
    return core_sysctl(c, op);
}

static void console(void **state)
{
    struct core *c = boot();
    const char *text = core_at(c, CORE_WINDOW_BASE + CORE_WINDOW / 2);
    struct xen_sysctl op = {0};
    uint32_t all;

    (void)state;
    printk(&c->hv, "%s %d %5u|%04x|%lx %c%% %s", "numbers", -7, 42u, 0xabu, 0x123456789abul, 'x',
           "a\33[2Jb");
    assert_int_equal(dmesg(c, &op, CONSOLE_RING, false, false), 0);
    all = op.u.readconsole.count;
    assert_int_equal(op.u.readconsole.index, c->hv.console_produced);
    assert_non_null(memmem(text, all, "numbers -7    42|00ab|123456789ab x% a?[2Jb\n", 44));

    printk(&c->hv, "later");
    assert_int_equal(dmesg(c, &op, 100, false, true), 0); /* on from there */
    assert_int_equal(op.u.readconsole.count, 6);
    assert_memory_equal(text, "later\n", 6);
    op.u.readconsole.index = 1u << 31; /* nowhere: from the beginning */
    assert_int_equal(dmesg(c, &op, 10, true, true), 0);
    assert_int_equal(op.u.readconsole.count, 10);
    assert_int_equal(dmesg(c, &op, CONSOLE_RING, true, false), 0); /* only what was not cleared */
    assert_int_equal(op.u.readconsole.count, all + 6 - 10);
    assert_int_equal(dmesg(c, &op, CONSOLE_RING, false, false), 0);
    assert_int_equal(op.u.readconsole.count, 0);
    core_halt(c);
}

static void console_wraps(void **state)
{
    struct core *c = boot();
    const char *text = core_at(c, CORE_WINDOW_BASE + CORE_WINDOW / 2);
    struct xen_sysctl op = {0};
    char line[300];

    (void)state;
    c->hv.console_produced = c->hv.console_consumed = 0xfffffff0u; /* the index wraps too */
    memset(line, 'y', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    for (int i = 0; i < 300; i++)
        printk(&c->hv, "%s", line);
    printk(&c->hv, "end");
    assert_int_equal(dmesg(c, &op, 2 * CONSOLE_RING, false, false), 0);
    assert_int_equal(op.u.readconsole.count, CONSOLE_RING);
    assert_memory_equal(text + CONSOLE_RING - 5, "\nend\n", 5);
    assert_int_equal(text[CONSOLE_RING - 5 - 256], '\n'); /* 255 of a line, no more */
    HANDLE_SET(op.u.readconsole.buffer, 8);
    op.u.readconsole.clear = 1;
    op.u.readconsole.incremental = 0;
    op.u.readconsole.count = 100;
    assert_int_equal(core_sysctl(c, &op), -XEN_EFAULT);
    assert_int_equal(c->hv.console_produced - c->hv.console_consumed, CONSOLE_RING);
    core_halt(c);
}

/* ---- featuresets and policies ---- */

static long featureset(struct core *c, uint32_t index, uint64_t to, uint32_t *n)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_get_cpu_featureset};
    long rc;

    op.u.cpu_featureset.index = index;
    op.u.cpu_featureset.nr_features = *n;
    HANDLE_SET(op.u.cpu_featureset.features, to);
    rc = core_sysctl(c, &op);
    *n = op.u.cpu_featureset.nr_features;
    return rc;
}

static void featuresets(void **state)
{
    static const int policies[] = {0, 1, 4, 5, 2, 3};
    struct core *c = boot();
    uint64_t to = core_put(c, NULL, 256);
    uint32_t *words = core_at(c, to), n = 0;

    (void)state;
    assert_int_equal(featureset(c, 77, 0, &n), 0);
    assert_int_equal(n, FEATURESET_XEN_WORDS);
    for (uint32_t i = 0; i < 6; i++) {
        struct featureset fs;

        n = 40;
        memset(words, 0xee, 256);
        assert_int_equal(featureset(c, i, to, &n), 0);
        assert_int_equal(n, FEATURESET_XEN_WORDS);
        policy_to_featureset(&c->hv.policies[policies[i]], &fs);
        assert_memory_equal(words, fs.w, FEATURESET_XEN_WORDS * 4);
        assert_int_equal(words[FEATURESET_XEN_WORDS], 0xeeeeeeee);
    }
    n = 3;
    memset(words, 0xee, 256);
    assert_int_equal(featureset(c, 0, to, &n), -XEN_ENOBUFS);
    assert_int_equal(n, 3);
    assert_int_equal(words[2], c->hv.policies[0].extd[1].d);
    assert_int_equal(words[3], 0xeeeeeeee);
    n = 40;
    assert_int_equal(featureset(c, 6, to, &n), -XEN_EINVAL);
    assert_int_equal(featureset(c, 0, 64, &n), -XEN_EFAULT);
    core_halt(c);
}

static long policy(struct core *c, uint32_t index, uint64_t leaves, uint32_t *nr_leaves,
                   uint64_t msrs, uint32_t *nr_msrs)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_get_cpu_policy};
    long rc;

    op.u.cpu_policy.index = index;
    op.u.cpu_policy.nr_leaves = *nr_leaves;
    op.u.cpu_policy.nr_msrs = *nr_msrs;
    HANDLE_SET(op.u.cpu_policy.leaves, leaves);
    HANDLE_SET(op.u.cpu_policy.msrs, msrs);
    rc = core_sysctl(c, &op);
    *nr_leaves = op.u.cpu_policy.nr_leaves;
    *nr_msrs = op.u.cpu_policy.nr_msrs;
    return rc;
}

static void policies(void **state)
{
    struct core *c = boot();
    uint64_t leaves = core_put(c, NULL, POLICY_MAX_LEAVES * sizeof(xen_cpuid_leaf_t));
    uint64_t msrs = core_put(c, NULL, 64);
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_get_cpu_policy};
    uint32_t nl = 0, nm = 0;

    (void)state;
    assert_int_equal(policy(c, 0, 0, &nl, 0, &nm), 0);
    assert_int_equal(nl, POLICY_MAX_LEAVES);
    assert_int_equal(nm, POLICY_MAX_MSRS);
    for (uint32_t i = 0; i < 6; i++) {
        struct cpu_policy p;

        nl = POLICY_MAX_LEAVES;
        nm = POLICY_MAX_MSRS;
        assert_int_equal(policy(c, i, leaves, &nl, msrs, &nm), 0);
        assert_true(nl > 10 && nl <= POLICY_MAX_LEAVES);
        assert_int_equal(policy_from_leaves(&p, core_at(c, leaves), nl, core_at(c, msrs), nm, NULL),
                         0);
        if (i) /* a raw dump may hold leaves above its maxima */
            assert_memory_equal(&p, &c->hv.policies[i], sizeof(p));
    }
    nl = 5;
    nm = 2;
    assert_int_equal(policy(c, 1, leaves, &nl, msrs, &nm), -XEN_ENOBUFS);
    nl = POLICY_MAX_LEAVES;
    nm = 1;
    assert_int_equal(policy(c, 1, leaves, &nl, msrs, &nm), -XEN_ENOBUFS);
    nm = 2;
    assert_int_equal(policy(c, 6, leaves, &nl, msrs, &nm), -XEN_EINVAL);
    assert_int_equal(policy(c, 1, 64, &nl, msrs, &nm), -XEN_EFAULT);
    assert_int_equal(policy(c, 1, leaves, &nl, 64, &nm), -XEN_EFAULT);
    op.u.cpu_policy._rsvd = 1;
    assert_int_equal(core_sysctl(c, &op), -XEN_EINVAL);
    core_halt(c);
}

/* A CPU that has no (known) way to run HVM guests says so. */
static void no_hvm(void **state)
{
    struct core *c = core_power_on(NO_HVM, 1, 100);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain};
    uint64_t to = core_put(c, NULL, 8192);
    uint32_t n = 40, nl = POLICY_MAX_LEAVES, nm = 2;

    (void)state;
    c->platform.model.cpuid.extd[1].c &= ~4u; /* SVM off, as firmware can */
    sim_pcpu_reset(&c->platform.pcpus[0], &c->platform.model, 0);
    assert_int_equal(hypervisor_boot(&c->hv, &c->platform, ""), 0);
    assert_int_equal(featureset(c, XEN_SYSCTL_cpu_featureset_hvm, to, &n), -XEN_EOPNOTSUPP);
    assert_int_equal(featureset(c, XEN_SYSCTL_cpu_featureset_hvm_max, to, &n), -XEN_EOPNOTSUPP);
    assert_int_equal(policy(c, XEN_SYSCTL_cpu_policy_hvm_max, to, &nl, to, &nm), -XEN_EOPNOTSUPP);
    assert_int_equal(policy(c, XEN_SYSCTL_cpu_policy_pv_max, to, &nl, to, &nm), 0);
    op.u.createdomain.max_vcpus = 1;
    op.u.createdomain.flags = XEN_DOMCTL_CDF_hvm;
    assert_int_equal(core_domctl(c, &op), -XEN_EOPNOTSUPP);
    core_halt(c);
}

/* ---- the small ones ---- */

static void version(void **state)
{
    struct core *c = core_boot(INTEL, 1, 100, "loglvl=all");
    uint64_t to = core_put(c, NULL, 2048);
    const char *text = core_at(c, to);

    (void)state;
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_version, 0), 0x40011);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_pagesize, 0), 4096);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_build_id, to), -XEN_ENODATA);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_capabilities, to), 0);
    assert_non_null(strstr(text, "hvm-3.0-x86_64 "));
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_commandline, to), 0);
    assert_string_equal(text, "loglvl=all");
    memset(core_at(c, to), 0xee, 2048);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_extraversion, to), 0);
    assert_string_equal(text, "-xenlevel");
    assert_int_equal((uint8_t)text[16], 0xee);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, XENVER_extraversion, 1), -XEN_EFAULT);
    assert_int_equal(core_call(c, __HYPERVISOR_xen_version, 1000, to), -XEN_ENOSYS);
    core_halt(c);
}

static long param(struct core *c, unsigned int cmd, uint16_t domid, uint32_t index, uint64_t *value)
{
    struct xen_hvm_param p = {.domid = domid, .index = index, .value = *value};
    uint64_t at;
    long rc;

    core_reset(c);
    at = core_put(c, &p, sizeof(p));
    rc = core_call(c, __HYPERVISOR_hvm_op, cmd, at);
    *value = ((struct xen_hvm_param *)core_at(c, at))->value;
    return rc;
}

static void hvm_params(void **state)
{
    struct core *c = boot();
    struct domain *hvm = core_domain(c, HVM_HAP, 1, 0), *pv = core_domain(c, 0, 1, 0);
    uint64_t value = 0x1234567;

    (void)state;
    assert_int_equal(param(c, HVMOP_set_param, hvm->id, HVM_PARAM_STORE_PFN, &value), 0);
    value = 0;
    assert_int_equal(param(c, HVMOP_get_param, hvm->id, HVM_PARAM_STORE_PFN, &value), 0);
    assert_int_equal(value, 0x1234567);
    assert_int_equal(param(c, HVMOP_set_param, pv->id, HVM_PARAM_STORE_PFN, &value), -XEN_EINVAL);
    assert_int_equal(param(c, HVMOP_set_param, hvm->id, HVM_NR_PARAMS, &value), -XEN_EINVAL);
    assert_int_equal(param(c, HVMOP_set_param, 999, 1, &value), -XEN_ESRCH);
    assert_int_equal(param(c, HVMOP_flush_tlbs, 1, 1, &value), -XEN_ENOSYS);
    core_halt(c);
}

static long shut(struct core *c, uint16_t domid, unsigned int reason)
{
    struct sched_remote_shutdown s = {.domain_id = domid, .reason = reason};

    core_reset(c);
    return core_call(c, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, core_put(c, &s, sizeof(s)));
}

static void remote_shutdown(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, HVM_HAP, 1, 0);

    (void)state;
    assert_int_equal(shut(c, d->id, SHUTDOWN_MAX + 1), -XEN_EINVAL);
    assert_false(d->shutdown);
    assert_int_equal(shut(c, d->id, SHUTDOWN_suspend), 0);
    assert_true(d->shutdown);
    assert_int_equal(d->shutdown_reason, SHUTDOWN_suspend);
    assert_int_equal(shut(c, 0, SHUTDOWN_poweroff), -XEN_EPERM);
    assert_int_equal(shut(c, 999, SHUTDOWN_poweroff), -XEN_ESRCH);
    core_halt(c);
}

static void long_command_line(void **state)
{
    struct core *c = core_power_on(INTEL, 1, 100);
    char text[1100];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(hypervisor_boot(&c->hv, &c->platform, text), -XEN_EINVAL);
    assert_true(core_said(c, "longer than"));
    assert_int_equal(c->platform.allocated, 0);
    text[1023] = '\0';
    assert_int_equal(hypervisor_boot(&c->hv, &c->platform, text), 0);
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals),
        cmocka_unit_test(physinfo),
        cmocka_unit_test(pcpus),
        cmocka_unit_test(domain_list),
        cmocka_unit_test(console),
        cmocka_unit_test(console_wraps),
        cmocka_unit_test(featuresets),
        cmocka_unit_test(policies),
        cmocka_unit_test(no_hvm),
        cmocka_unit_test(version),
        cmocka_unit_test(hvm_params),
        cmocka_unit_test(remote_shutdown),
        cmocka_unit_test(long_command_line),
    };

    return cmocka_run_group_tests_name("core: sysctl", tests, NULL, NULL);
}
