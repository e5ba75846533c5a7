/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <xen/memory.h>

#include "cpus.h"

struct core *core_power_on(const char *cpu, unsigned int nr_pcpus, uint64_t nr_pages)
{
    struct core *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->platform.model.cpuid = *test_cpu(cpu);
    sim_cpu_model_init(&c->platform.model);
    assert_int_equal(sim_platform_init(&c->platform, nr_pcpus, nr_pages), 0);
    c->window = (struct sim_window){CORE_WINDOW_BASE, CORE_WINDOW, calloc(1, CORE_WINDOW)};
    assert_non_null(c->window.map);
    c->platform.windows = &c->window;
    c->platform.nr_windows = 1;
    return c;
}

struct core *core_boot(const char *cpu, unsigned int nr_pcpus, uint64_t nr_pages,
                       const char *cmdline)
{
    struct core *c = core_power_on(cpu, nr_pcpus, nr_pages);

    assert_int_equal(hypervisor_boot(&c->hv, &c->platform, cmdline), 0);
    return c;
}

void core_power_off(struct core *c)
{
    sim_platform_fini(&c->platform);
    free(c->window.map);
    free(c);
}

void core_halt(struct core *c)
{
    hypervisor_shutdown(&c->hv);
    assert_int_equal(c->platform.allocated, 0);
    core_power_off(c);
}

uint64_t core_put(struct core *c, const void *src, size_t size)
{
    uint64_t at = CORE_WINDOW_BASE + c->used;

    assert_true(size <= CORE_WINDOW - c->used);
    if (src)
        memcpy(core_at(c, at), src, size);
    else
        memset(core_at(c, at), 0, size);
    c->used += (size + 15) & ~(size_t)15;
    return at;
}

void *core_at(struct core *c, uint64_t addr)
{
    return c->window.map + (addr - CORE_WINDOW_BASE);
}

void core_reset(struct core *c)
{
    c->used = 0;
}

long core_call(struct core *c, unsigned int op, uint64_t a0, uint64_t a1)
{
    const uint64_t args[HYPERCALL_ARGS] = {a0, a1};

    return hypercall(&c->hv, op, args);
}

static long struct_call(struct core *c, unsigned int nr, void *op, size_t size)
{
    size_t used = c->used;
    uint64_t at = core_put(c, op, size);
    long rc = core_call(c, nr, at, 0);

    memcpy(op, core_at(c, at), size);
    c->used = used;
    return rc;
}

long core_sysctl(struct core *c, struct xen_sysctl *op)
{
    op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
    return struct_call(c, __HYPERVISOR_sysctl, op, sizeof(*op));
}

long core_domctl(struct core *c, struct xen_domctl *op)
{
    op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    return struct_call(c, __HYPERVISOR_domctl, op, sizeof(*op));
}

static void populate(struct core *c, struct domain *d, uint64_t nr_pages)
{
    struct xen_memory_reservation r = {.nr_extents = nr_pages, .domid = d->id};
    size_t used = c->used;
    uint64_t gfns = core_put(c, NULL, nr_pages * sizeof(xen_pfn_t));

    for (uint64_t i = 0; i < nr_pages; i++)
        ((xen_pfn_t *)core_at(c, gfns))[i] = i;
    HANDLE_SET(r.extent_start, gfns);
    assert_int_equal(
        core_call(c, __HYPERVISOR_memory_op, XENMEM_populate_physmap, core_put(c, &r, sizeof(r))),
        nr_pages);
    c->used = used;
}

struct domain *core_domain(struct core *c, uint32_t flags, uint32_t nr_vcpus, uint64_t nr_pages)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain};
    struct domain *d;

    op.u.createdomain.flags = flags;
    op.u.createdomain.max_vcpus = nr_vcpus;
    assert_int_equal(core_domctl(c, &op), 0);
    d = domain_by_id(&c->hv, op.domain);
    assert_non_null(d);

    op = (struct xen_domctl){.cmd = XEN_DOMCTL_max_vcpus, .domain = d->id};
    op.u.max_vcpus.max = nr_vcpus;
    assert_int_equal(core_domctl(c, &op), 0);
    op = (struct xen_domctl){.cmd = XEN_DOMCTL_max_mem, .domain = d->id};
    op.u.max_mem.max_memkb = nr_pages * 4;
    assert_int_equal(core_domctl(c, &op), 0);
    if (nr_pages)
        populate(c, d, nr_pages);
    return d;
}

void core_start(struct core *c, struct domain *d)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_unpausedomain, .domain = d->id};

    for (uint32_t i = 0; i < d->max_vcpus; i++)
        d->vcpus[i]->online = true;
    assert_int_equal(core_domctl(c, &op), 0);
}

bool core_said(const struct core *c, const char *text)
{
    static char copy[CONSOLE_RING + 1];
    uint32_t n = c->hv.console_produced < CONSOLE_RING ? c->hv.console_produced : CONSOLE_RING;

    memcpy(copy, c->hv.console, n);
    copy[n] = '\0';
    return strstr(copy, text) != NULL;
}
