/* SPDX-License-Identifier: MIT */
/*
 * Every allocation, MSR access and guest copy of a whole life of a host is made to fail, one at a
 * time.  Whatever happens is an error or a success: never a crash, a leak or half a domain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include <xen/memory.h>

#include "core.h"
#include "core_check.h"

static void check(struct core *c)
{
    const char *what = core_check(&c->hv);

    if (what)
        fail_msg("%s", what);
}

/* Each step is a hypercall that may fail; a failed one ends the life. */
static long make_domain(struct core *c, uint32_t flags, uint16_t *id)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain};
    uint32_t before = c->hv.nr_domains;
    long rc;

    op.u.createdomain.flags = flags;
    op.u.createdomain.max_vcpus = 2;
    rc = core_domctl(c, &op);
    assert_int_equal(c->hv.nr_domains, before + !rc); /* all of it, or nothing */
    if (rc)
        return rc;
    *id = op.domain;
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_max_vcpus, .domain = *id};
    op.u.max_vcpus.max = 2;
    rc = core_domctl(c, &op);
    if (rc)
        return rc;
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_max_mem, .domain = *id};
    op.u.max_mem.max_memkb = 80;
    return core_domctl(c, &op);
}

static long give_memory(struct core *c, uint16_t id)
{
    struct xen_memory_reservation r = {.nr_extents = 20, .domid = id};
    xen_pfn_t gfns[20];
    long rc;

    for (size_t i = 0; i < 20; i++)
        gfns[i] = i * 1500;
    core_reset(c);
    HANDLE_SET(r.extent_start, core_put(c, gfns, sizeof(gfns)));
    rc = core_call(c, __HYPERVISOR_memory_op, XENMEM_populate_physmap, core_put(c, &r, sizeof(r)));
    return rc < 0 ? rc : rc == 20 ? 0 : -XEN_ENOMEM;
}

/* Its own policy, read and set again. */
static long policy_round(struct core *c, uint16_t id)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_cpu_policy, .domain = id};
    long rc;

    core_reset(c);
    op.u.cpu_policy.nr_leaves = POLICY_MAX_LEAVES;
    op.u.cpu_policy.nr_msrs = POLICY_MAX_MSRS;
    HANDLE_SET(op.u.cpu_policy.leaves,
               core_put(c, NULL, POLICY_MAX_LEAVES * sizeof(xen_cpuid_leaf_t)));
    HANDLE_SET(op.u.cpu_policy.msrs, core_put(c, NULL, 64));
    rc = core_domctl(c, &op);
    if (rc)
        return rc;
    op.cmd = XEN_DOMCTL_set_cpu_policy;
    return core_domctl(c, &op);
}

static long context_round(struct core *c, struct domain *d)
{
    struct xen_domctl op = {.domain = d->id};
    uint64_t at;
    long rc;

    core_reset(c);
    at = core_put(c, NULL, 65536);
    for (uint32_t i = 0; i < d->max_vcpus; i++)
        d->vcpus[i]->online = true;
    op.cmd = d->hvm ? XEN_DOMCTL_gethvmcontext : XEN_DOMCTL_getvcpucontext;
    if (d->hvm) {
        op.u.hvmcontext.size = 65536;
        HANDLE_SET(op.u.hvmcontext.buffer, at);
    } else {
        HANDLE_SET(op.u.vcpucontext.ctxt, at);
    }
    rc = core_domctl(c, &op);
    if (rc)
        return rc;
    op.cmd = d->hvm ? XEN_DOMCTL_sethvmcontext : XEN_DOMCTL_setvcpucontext;
    return core_domctl(c, &op);
}

static long log_dirty(struct core *c, uint16_t id)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_shadow_op, .domain = id};
    long rc;

    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY;
    rc = core_domctl(c, &op);
    if (rc)
        return rc;
    core_reset(c);
    op.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_CLEAN;
    op.u.shadow_op.pages = 30000;
    HANDLE_SET(op.u.shadow_op.dirty_bitmap, core_put(c, NULL, 8192));
    return core_domctl(c, &op);
}

static long run(struct core *c, uint16_t id)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_unpausedomain, .domain = id};
    long rc = core_domctl(c, &op);

    for (int i = 0; !rc && i < 8; i++) {
        assert_non_null(schedule(&c->hv, (unsigned int)i % 2));
        c->platform.now += c->hv.slice;
    }
    return rc;
}

static long live_one(struct core *c, uint32_t flags)
{
    uint16_t id = 0;
    long rc = make_domain(c, flags, &id);

    check(c);
    rc = rc ? rc : give_memory(c, id);
    check(c);
    rc = rc ? rc : policy_round(c, id);
    check(c);
    rc = rc ? rc : context_round(c, domain_by_id(&c->hv, id));
    check(c);
    rc = rc ? rc : log_dirty(c, id);
    rc = rc ? rc : run(c, id);
    check(c);
    return rc;
}

static long live(struct core *c, bool hvm)
{
    long rc = live_one(c, 0);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_destroydomain, .domain = 1};

    rc = rc ? rc : live_one(c, 0);
    if (!rc && hvm)
        rc = live_one(c, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap);
    rc = rc ? rc : pcpu_offline(&c->hv, 1);
    rc = rc ? rc : pcpu_online(&c->hv, 1);
    rc = rc ? rc : core_domctl(c, &op);
    check(c);
    return rc;
}

/* The n-th access of one kind fails; false: there were not as many, and all went well. */
static bool one_life(const char *cpu, size_t fault, uint64_t n)
{
    struct core *c = core_power_on(cpu, 2, 200);
    struct sim_fault *f = (struct sim_fault *)((char *)&c->platform + fault);
    bool hit;
    long rc;

    f->at = n;
    rc = hypervisor_boot(&c->hv, &c->platform, "");
    if (!rc) {
        rc = live(c, true);
        hit = f->count >= n;
        f->at = 0;
        hypervisor_shutdown(&c->hv);
    }
    hit = f->count >= n;
    if (!hit)
        assert_int_equal(rc, 0);
    if (c->platform.allocated)
        fail_msg("%s: access %llu: %llu blocks were not freed", cpu, (unsigned long long)n,
                 (unsigned long long)c->platform.allocated);
    core_power_off(c);
    return hit;
}

static const char *const cpus[] = {"intel-cascadelake-sp", "intel-nehalem-ep",
                                   "intel-sandybridge-ep", "amd-barcelona", "amd-bergamo"};

static uint64_t all_lives(size_t fault)
{
    uint64_t total = 0;

    for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
        uint64_t n = 1;

        while (one_life(cpus[i], fault, n))
            n++;
        total += n - 1;
    }
    return total;
}

static void allocations(void **state)
{
    uint64_t n = all_lives(offsetof(struct platform, fail_alloc));

    (void)state;
    print_message("# %llu allocations failed\n", (unsigned long long)n);
    assert_true(n > 150);
}

static void msrs(void **state)
{
    uint64_t n = all_lives(offsetof(struct platform, fail_msr));

    (void)state;
    print_message("# %llu MSR accesses failed\n", (unsigned long long)n);
    assert_true(n > 20);
}

static void copies(void **state)
{
    uint64_t n = all_lives(offsetof(struct platform, fail_copy));

    (void)state;
    print_message("# %llu copies failed\n", (unsigned long long)n);
    assert_true(n > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations),
        cmocka_unit_test(msrs),
        cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests_name("core: faults", tests, NULL, NULL);
}
