/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: a hostile dom0.  An input is a CPU and a list of operations: hypercalls with arguments
 * that are nearly right or not at all, writes into the memory that the hypercalls read, and time
 * passing meanwhile.  After each everything that must hold is checked (core_check.h); at the end
 * all memory has to be back.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ext-domctl.h>
#include <pv.h>
#include <sim/platform.h>

#include <xen/errno.h>
#include <xen/hvm/hvm_op.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#include "core_check.h"
#include "cpus.h"

#define WINDOW      65536u
#define WINDOW_BASE 0x7f1200000000ull
#define NR_PCPUS    3
#define NR_PAGES    600
#define MAX_DOMAINS 6
#define MAX_OPS     60
#define NR_CPUS     5

/* ---- the input, as numbers ---- */

struct input {
    const uint8_t *data;
    size_t size;
};

static void take(struct input *in, void *to, size_t n)
{
    size_t have = n < in->size ? n : in->size;

    memset(to, 0, n);
    if (have)
        memcpy(to, in->data, have);
    in->data += have;
    in->size -= have;
}

static uint8_t u8(struct input *in)
{
    uint8_t v;

    take(in, &v, sizeof(v));
    return v;
}

static uint16_t u16(struct input *in)
{
    uint16_t v;

    take(in, &v, sizeof(v));
    return v;
}

static uint64_t u64(struct input *in)
{
    uint64_t v;

    take(in, &v, sizeof(v));
    return v;
}

/* Mostly in the window, at times null or anywhere. */
static uint64_t address(struct input *in)
{
    uint8_t how = u8(in);

    return how < 8 ? 0 : how < 16 ? u64(in) : WINDOW_BASE + u16(in);
}

/* ---- the machine ---- */

static struct {
    struct platform platform;
    struct hypervisor hv;
    struct sim_window window;
    uint8_t *start; /* the window as an input finds it */
    struct sim_cpu_model models[NR_CPUS];
    uint32_t nr_leaves, nr_msrs; /* of the policy that was read last: nobody guesses them */
} m;

static const char *const cpus[NR_CPUS] = {"intel-cascadelake-sp", "intel-nehalem-ep",
                                          "amd-barcelona", "amd-bergamo", "intel-penryn"};

static long call(unsigned int op, uint64_t a0, uint64_t a1)
{
    const uint64_t args[HYPERCALL_ARGS] = {a0, a1};
    long rc = hypercall(&m.hv, op, args);
    const char *what = core_check(&m.hv);

    if (what) {
        fprintf(stderr, "after hypercall %u: %s\n", op, what);
        abort();
    }
    return rc;
}

/* The op struct's own place is at the window's end, out of the way of what the input writes. */
static long struct_call(unsigned int nr, void *op, size_t size)
{
    uint64_t at = WINDOW_BASE + WINDOW - 1024;
    long rc;

    memcpy(m.window.map + WINDOW - 1024, op, size);
    rc = call(nr, at, 0);
    memcpy(op, m.window.map + WINDOW - 1024, size);
    return rc;
}

/* ---- operations ---- */

static domid_t some_domain(struct input *in)
{
    uint8_t n = u8(in);

    return n < 4 ? u16(in) : n % (MAX_DOMAINS + 2);
}

static void fill_domctl(struct input *in, struct xen_domctl *op)
{
    void *at;

    switch (op->cmd) {
    case XEN_DOMCTL_createdomain:
        op->domain = 0;
        op->u.createdomain.flags = u8(in) & 3;
        op->u.createdomain.max_vcpus = u8(in) % 5;
        if (u8(in) < 32)
            take(in, &op->u.createdomain, sizeof(op->u.createdomain));
        break;
    case XEN_DOMCTL_max_vcpus:
        op->u.max_vcpus.max = u8(in) % 5;
        break;
    case XEN_DOMCTL_max_mem:
        op->u.max_mem.max_memkb = u16(in);
        break;
    case XEN_DOMCTL_get_cpu_policy:
    case XEN_DOMCTL_set_cpu_policy:
        op->u.cpu_policy.nr_leaves = u8(in);
        op->u.cpu_policy.nr_msrs = u8(in) % 4;
        if (op->cmd == XEN_DOMCTL_set_cpu_policy && op->u.cpu_policy.nr_leaves >= 192) {
            op->u.cpu_policy.nr_leaves = m.nr_leaves;
            op->u.cpu_policy.nr_msrs = m.nr_msrs;
        }
        at = (void *)(uintptr_t)address(in);
        op->u.cpu_policy.leaves.p = at;
        at = (void *)(uintptr_t)address(in);
        op->u.cpu_policy.msrs.p = at;
        break;
    case XEN_DOMCTL_getvcpucontext:
    case XEN_DOMCTL_setvcpucontext:
        op->u.vcpucontext.vcpu = u8(in) % 5;
        op->u.vcpucontext.ctxt.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_getvcpuextstate:
    case XEN_DOMCTL_setvcpuextstate:
        op->u.vcpuextstate.vcpu = u8(in) % 5;
        op->u.vcpuextstate.size = u8(in) < 32 ? u16(in) : 16 + 576;
        op->u.vcpuextstate.buffer.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_get_vcpu_msrs:
    case XEN_DOMCTL_set_vcpu_msrs:
        op->u.vcpu_msrs.vcpu = u8(in) % 5;
        op->u.vcpu_msrs.msr_count = u8(in) % 4;
        op->u.vcpu_msrs.msrs.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_getpageframeinfo3:
        op->u.getpageframeinfo3.num = u8(in) < 8 ? u64(in) : u8(in);
        op->u.getpageframeinfo3.array.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_gethvmcontext:
    case XEN_DOMCTL_sethvmcontext:
        op->u.hvmcontext.size = u16(in);
        op->u.hvmcontext.buffer.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_gethvmcontext_partial:
        op->u.hvmcontext_partial.type = u8(in) % 24;
        op->u.hvmcontext_partial.instance = u8(in) % 5;
        op->u.hvmcontext_partial.bufsz = u16(in);
        op->u.hvmcontext_partial.buffer.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_DOMCTL_shadow_op:
        op->u.shadow_op.op = (uint8_t[]){0, 2, 11, 12, 32, 30}[u8(in) % 6];
        op->u.shadow_op.mode = u8(in) % 8;
        op->u.shadow_op.pages = u16(in);
        op->u.shadow_op.dirty_bitmap.p = (void *)(uintptr_t)address(in);
        break;
    default:
        take(in, &op->u, 32);
        break;
    }
}

static void domctl(struct input *in)
{
    static const uint32_t cmds[] = {
        XEN_DOMCTL_createdomain,
        XEN_DOMCTL_max_vcpus,
        XEN_DOMCTL_max_mem,
        XEN_DOMCTL_unpausedomain,
        XEN_DOMCTL_pausedomain,
        XEN_DOMCTL_destroydomain,
        XEN_DOMCTL_resumedomain,
        XEN_DOMCTL_getdomaininfo,
        XEN_DOMCTL_getvcpuinfo,
        XEN_DOMCTL_get_cpu_policy,
        XEN_DOMCTL_set_cpu_policy,
        XEN_DOMCTL_set_cpu_policy,
        XEN_DOMCTL_getvcpucontext,
        XEN_DOMCTL_setvcpucontext,
        XEN_DOMCTL_gethvmcontext,
        XEN_DOMCTL_sethvmcontext,
        XEN_DOMCTL_gethvmcontext_partial,
        XEN_DOMCTL_shadow_op,
        XEN_DOMCTL_get_ext_vcpucontext,
        XEN_DOMCTL_set_ext_vcpucontext,
        XEN_DOMCTL_getvcpuextstate,
        XEN_DOMCTL_setvcpuextstate,
        XEN_DOMCTL_get_vcpu_msrs,
        XEN_DOMCTL_set_vcpu_msrs,
        XEN_DOMCTL_getpageframeinfo3,
        XEN_DOMCTL_get_address_size,
        XEN_DOMCTL_setdomainhandle,
        XEN_DOMCTL_settscinfo,
        XEN_DOMCTL_gettscinfo,
        XENLEVEL_DOMCTL_get_visible,
        XENLEVEL_DOMCTL_get_vcpu_cpuid,
    };
    struct xen_domctl op = {.interface_version = XEN_DOMCTL_INTERFACE_VERSION};
    uint8_t which = u8(in);

    op.cmd = which < 4 ? u16(in) : cmds[which % (sizeof(cmds) / sizeof(cmds[0]))];
    op.domain = some_domain(in);
    fill_domctl(in, &op);
    if (op.cmd == XEN_DOMCTL_createdomain && m.hv.nr_domains > MAX_DOMAINS)
        return;
    if (!struct_call(__HYPERVISOR_domctl, &op, sizeof(op)) && op.cmd == XEN_DOMCTL_get_cpu_policy) {
        m.nr_leaves = op.u.cpu_policy.nr_leaves;
        m.nr_msrs = op.u.cpu_policy.nr_msrs;
    }
}

static void fill_sysctl(struct input *in, struct xen_sysctl *op)
{
    switch (op->cmd) {
    case XEN_SYSCTL_readconsole:
        op->u.readconsole.clear = u8(in) & 1;
        op->u.readconsole.incremental = u8(in) & 1;
        op->u.readconsole.index = (uint32_t)u64(in);
        op->u.readconsole.count = u16(in);
        op->u.readconsole.buffer.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_getdomaininfolist:
        op->u.getdomaininfolist.first_domain = u8(in);
        op->u.getdomaininfolist.max_domains = u8(in);
        op->u.getdomaininfolist.buffer.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_getcpuinfo:
        op->u.getcpuinfo.max_cpus = u8(in);
        op->u.getcpuinfo.info.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_cputopoinfo:
        op->u.cputopoinfo.num_cpus = u8(in);
        op->u.cputopoinfo.cputopo.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_get_cpu_featureset:
        op->u.cpu_featureset.index = u8(in) % 8;
        op->u.cpu_featureset.nr_features = u8(in);
        op->u.cpu_featureset.features.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_get_cpu_policy:
        op->u.cpu_policy.index = u8(in) % 8;
        op->u.cpu_policy.nr_leaves = u8(in);
        op->u.cpu_policy.nr_msrs = u8(in);
        op->u.cpu_policy.leaves.p = (void *)(uintptr_t)address(in);
        op->u.cpu_policy.msrs.p = (void *)(uintptr_t)address(in);
        break;
    case XEN_SYSCTL_cpu_hotplug:
        op->u.cpu_hotplug.cpu = u8(in) % 5;
        op->u.cpu_hotplug.op = u8(in) % 3;
        break;
    default:
        take(in, &op->u, 32);
        break;
    }
}

static void sysctl(struct input *in)
{
    static const uint32_t cmds[] = {
        XEN_SYSCTL_readconsole,        XEN_SYSCTL_physinfo,       XEN_SYSCTL_getdomaininfolist,
        XEN_SYSCTL_getcpuinfo,         XEN_SYSCTL_cputopoinfo,    XEN_SYSCTL_get_cpu_levelling_caps,
        XEN_SYSCTL_get_cpu_featureset, XEN_SYSCTL_get_cpu_policy, XEN_SYSCTL_cpu_hotplug,
    };
    struct xen_sysctl op = {.interface_version = XEN_SYSCTL_INTERFACE_VERSION};
    uint8_t which = u8(in);

    op.cmd = which < 4 ? u16(in) : cmds[which % (sizeof(cmds) / sizeof(cmds[0]))];
    fill_sysctl(in, &op);
    if (!struct_call(__HYPERVISOR_sysctl, &op, sizeof(op)) && op.cmd == XEN_SYSCTL_get_cpu_policy) {
        m.nr_leaves = op.u.cpu_policy.nr_leaves;
        m.nr_msrs = op.u.cpu_policy.nr_msrs;
    }
}

static void memory(struct input *in)
{
    struct xen_memory_reservation r = {.domid = some_domain(in)};
    uint64_t at = WINDOW_BASE + WINDOW - 1024;
    uint8_t cmd = u8(in);

    r.nr_extents = u8(in) < 8 ? u64(in) : u8(in);
    r.extent_order = u8(in) < 192 ? 0 : u8(in) % 24;
    r.extent_start.p = (void *)(uintptr_t)address(in);
    memcpy(m.window.map + WINDOW - 1024, &r, sizeof(r));
    (void)call(__HYPERVISOR_memory_op,
               cmd < 160   ? XENMEM_populate_physmap
               : cmd < 220 ? XENMEM_decrease_reservation
                           : cmd,
               cmd < 220 ? at : address(in));
}

/* Page tables: a toolstack writes to a domain's frame, or the hypervisor is told that it is one. */
static void page_table(struct input *in)
{
    const struct mmuext_op op = {.cmd = u8(in) % 6, .arg1.mfn = u8(in)};
    const uint64_t args[HYPERCALL_ARGS] = {WINDOW_BASE + WINDOW - 1024, 1, address(in),
                                           some_domain(in)};
    const char *what;

    if (u8(in) & 1) {
        uint64_t *frame = platform_page(&m.platform, op.arg1.mfn);

        frame[u8(in) & 1 ? u16(in) % 512 : 0] = (uint64_t)u8(in) << 12 | (u8(in) & 0x87);
        return;
    }
    memcpy(m.window.map + WINDOW - 1024, &op, sizeof(op));
    (void)hypercall(&m.hv, __HYPERVISOR_mmuext_op, args);
    what = core_check(&m.hv);
    if (what) {
        fprintf(stderr, "after mmuext_op: %s\n", what);
        abort();
    }
}

/* The domain's vCPU that the input means, or NULL. */
static struct vcpu *some_vcpu(struct input *in)
{
    struct domain *d = domain_by_id(&m.hv, some_domain(in));
    uint8_t n = u8(in);

    return d && d->id && n % 5 < d->max_vcpus ? d->vcpus[n % 5] : NULL;
}

static void guest(struct input *in)
{
    struct vcpu *v = some_vcpu(in);
    struct cpuid_regs regs = {0};

    if (!v)
        return;
    switch (u8(in) % 10) {
    case 0:
        vcpu_block(v, 0);
        break;
    case 1:
        vcpu_block(v, m.platform.now + u16(in) * 1000ull);
        break;
    case 2:
        vcpu_wake(v);
        break;
    case 3:
        if (v->running) /* its slice ends */
            v->pcpu->slice_end = m.platform.now;
        break;
    case 4:
        guest_cpuid(v, (uint32_t)u64(in), u8(in), &regs);
        break;
    case 5:
        (void)vcpu_write_cr4(v, u64(in) & 0xffffff);
        break;
    case 6:
        (void)vcpu_write_xcr0(v, u64(in) & 0xfffff);
        break;
    case 7:
        memory_mark_dirty(v->domain, u16(in));
        break;
    case 8:
        if (!v->domain->hvm)
            (void)pv_memory_write(v, u8(in) * 4096ull, &regs, u8(in) % sizeof(regs));
        break;
    default: /* up and down: VCPUOP_up and VCPUOP_down of a guest */
        v->online = !v->online;
        sched_domain_changed(v->domain);
        break;
    }
}

static void write_window(struct input *in)
{
    uint16_t at = u16(in);
    uint8_t n = u8(in);

    if (at + n <= WINDOW - 1024)
        take(in, m.window.map + at, n);
}

static void one(struct input *in)
{
    switch (u8(in) % 13) {
    case 12:
        page_table(in);
        break;
    case 0:
    case 1:
    case 2:
    case 3:
        domctl(in);
        break;
    case 4:
        sysctl(in);
        break;
    case 5:
        memory(in);
        break;
    case 6:
    case 7:
        write_window(in);
        break;
    case 8:
        m.platform.now += u16(in) * 1000ull;
        (void)schedule(&m.hv, u8(in) % NR_PCPUS);
        break;
    case 9:
        guest(in);
        break;
    case 10:
        (void)call(u8(in) & 1 ? __HYPERVISOR_hvm_op : __HYPERVISOR_sched_op, u8(in) % 12,
                   address(in));
        break;
    default:
        (void)call(u8(in) < 128 ? __HYPERVISOR_xen_version : u8(in), u8(in), address(in));
        break;
    }
}

static void power_on(void)
{
    for (int i = 0; i < NR_CPUS; i++) {
        m.models[i].cpuid = *test_cpu(cpus[i]);
        sim_cpu_model_init(&m.models[i]);
    }
    m.platform.model = m.models[0];
    m.window = (struct sim_window){WINDOW_BASE, WINDOW, malloc(WINDOW)};
    m.start = calloc(1, WINDOW);
    if (!m.window.map || !m.start || sim_platform_init(&m.platform, NR_PCPUS, NR_PAGES))
        abort();
    m.platform.windows = &m.window;
    m.platform.nr_windows = 1;
    /* Frame numbers to begin with. */
    for (uint64_t i = 0; i < 512; i++)
        memcpy(m.start + 0x8000 + i * sizeof(i), &i, sizeof(i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (!m.start)
        power_on();
    memcpy(m.window.map, m.start, WINDOW);
    m.platform.model = m.models[u8(&in) % NR_CPUS];
    for (unsigned int i = 0; i < NR_PCPUS; i++)
        sim_pcpu_reset(&m.platform.pcpus[i], &m.platform.model, i);
    m.platform.now = 0;
    m.nr_leaves = m.nr_msrs = 0;
    m.platform.fail_alloc = (struct sim_fault){.at = u8(&in)};
    if (!hypervisor_boot(&m.hv, &m.platform, "")) {
        for (int i = 0; i < MAX_OPS && in.size; i++)
            one(&in);
        hypervisor_shutdown(&m.hv);
    }
    if (m.platform.allocated)
        abort();
    return 0;
}
