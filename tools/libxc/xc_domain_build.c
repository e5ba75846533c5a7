/* SPDX-License-Identifier: MIT */
/*
 * Making domains, and what a toolstack does to them afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_private.h"

#include <ext-domctl.h>

#include <xen/memory.h>

/* What libxl asks for: enough for every guest, nothing unusual. */
#define MAX_EVTCHN_PORT 1023
#define GRANT_VERSION   2

/* A guest of today's kind has all of the emulated PC, one of PVH's the local APIC alone. */
#define EMU_HVM (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI & ~XEN_X86_EMU_USE_PIRQ)
#define EMU_PVH XEN_X86_EMU_LAPIC

/* Extents in one XENMEM_populate_physmap. */
#define POPULATE_CHUNK  8192u
#define SUPERPAGE_ORDER 9
#define SUPERPAGE       (1u << SUPERPAGE_ORDER)

static int fail_at_step(xc_handle *xch, uint32_t domid, const char *what)
{
    if (errno == EPROTO)
        return -1;
    if (errno == ESRCH)
        return xc_fail(xch, ESRCH, "%s domain %u: there is no such domain", what, domid);
    return xc_fail(xch, errno, "%s domain %u: %s", what, domid, xc_reason(xch, errno));
}

int xc_domain_create(xc_handle *xch, const struct xc_domain_config *config, uint32_t *domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_createdomain, .domain = DOMID_INVALID};
    struct xen_domctl_createdomain *c = &op.u.createdomain;

    c->max_vcpus = config->max_vcpus;
    c->max_evtchn_port = MAX_EVTCHN_PORT;
    c->max_grant_frames = c->max_maptrack_frames = -1;
    c->grant_opts = XEN_DOMCTL_GRANT_version(GRANT_VERSION);
    memcpy(c->handle, config->uuid, sizeof(c->handle));
    if (config->type != XC_DOMAIN_PV) {
        c->flags = XEN_DOMCTL_CDF_hvm | (config->hap ? XEN_DOMCTL_CDF_hap : 0);
        c->arch.emulation_flags = config->type == XC_DOMAIN_HVM ? EMU_HVM : EMU_PVH;
    }
    if (xc_domctl(xch, &op) < 0) {
        if (errno == EPROTO)
            return -1;
        return xc_fail(xch, errno, "creating a %s domain of %u vCPUs: %s",
                       xc_domain_type_name(config->type), config->max_vcpus, xc_reason(xch, errno));
    }
    *domid = op.domain;
    return 0;
}

static int call_simple_domctl(xc_handle *xch, uint32_t domid, uint32_t cmd, const char *what)
{
    struct xen_domctl op = {.cmd = cmd, .domain = (domid_t)domid};

    return xc_domctl(xch, &op) < 0 ? fail_at_step(xch, domid, what) : 0;
}

int xc_domain_pause(xc_handle *xch, uint32_t domid)
{
    return call_simple_domctl(xch, domid, XEN_DOMCTL_pausedomain, "pausing");
}

int xc_domain_unpause(xc_handle *xch, uint32_t domid)
{
    return call_simple_domctl(xch, domid, XEN_DOMCTL_unpausedomain, "unpausing");
}

int xc_domain_destroy(xc_handle *xch, uint32_t domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_destroydomain, .domain = (domid_t)domid};

    /* A large domain goes in pieces: EAGAIN means that there are more. */
    while (xc_domctl(xch, &op) < 0)
        if (errno != EAGAIN && errno != ERESTART)
            return fail_at_step(xch, domid, "destroying");
    return 0;
}

int xc_domain_max_vcpus(xc_handle *xch, uint32_t domid, uint32_t max)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_max_vcpus, .domain = (domid_t)domid};

    op.u.max_vcpus.max = max;
    return xc_domctl(xch, &op) < 0 ? fail_at_step(xch, domid, "making the vCPUs of") : 0;
}

int xc_domain_max_mem(xc_handle *xch, uint32_t domid, uint64_t kib)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_max_mem, .domain = (domid_t)domid};

    op.u.max_mem.max_memkb = kib;
    return xc_domctl(xch, &op) < 0 ? fail_at_step(xch, domid, "setting the memory of") : 0;
}

/* The number of extents, each 2^order frames, that there are now, of n from `first` on; or -1. */
static int populate_chunk(xc_handle *xch, uint32_t domid, uint64_t first, size_t n,
                          unsigned int order)
{
    struct xen_memory_reservation *r = xch->ops->alloc(xch->state, sizeof(*r));
    xen_pfn_t *gfns = xch->ops->alloc(xch->state, n * sizeof(*gfns));
    uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_populate_physmap, (uintptr_t)r};
    int rc = -1, err;

    if (r && gfns) {
        for (size_t i = 0; i < n; i++)
            gfns[i] = first + (i << order);
        set_xen_guest_handle(r->extent_start, gfns);
        r->nr_extents = n;
        r->extent_order = order;
        r->domid = (domid_t)domid;
        rc = xc_hypercall(xch, __HYPERVISOR_memory_op, args);
    }
    err = errno;
    xch->ops->release(xch->state, r);
    xch->ops->release(xch->state, gfns);
    errno = err;
    return rc;
}

int xc_domain_populate(xc_handle *xch, uint32_t domid, uint64_t first_gfn, uint64_t n)
{
    bool large = true; /* 2 MiB pieces where they fit, until the host has none */

    while (n) {
        uint64_t to_aligned = -first_gfn % SUPERPAGE;
        bool aligned = large && !to_aligned && n >= SUPERPAGE;
        unsigned int order = aligned ? SUPERPAGE_ORDER : 0;
        uint64_t wanted = aligned                                ? n >> SUPERPAGE_ORDER
                          : large && n >= to_aligned + SUPERPAGE ? to_aligned
                                                                 : n;
        size_t chunk = wanted < POPULATE_CHUNK ? (size_t)wanted : POPULATE_CHUNK;
        int done = populate_chunk(xch, domid, first_gfn, chunk, order);

        if (done < 0)
            return fail_at_step(xch, domid, "giving memory to");
        first_gfn += (uint64_t)done << order;
        n -= (uint64_t)done << order;
        /* Less than asked for is how it says that there is no more. */
        if ((size_t)done < chunk && !order)
            return xc_fail(xch, ENOMEM,
                           "giving memory to domain %u: the host has none left (%llu pages are "
                           "missing)",
                           domid, (unsigned long long)n);
        large = large && (size_t)done == chunk;
    }
    return 0;
}

void *xc_map_foreign_pages(xc_handle *xch, uint32_t domid, const uint64_t *gfns, size_t n,
                           bool write, void **pages)
{
    void *mapping = xch->ops->map(xch->state, domid, gfns, n, write, pages);

    if (!mapping)
        (void)fail_at_step(xch, domid, "mapping memory of");
    return mapping;
}

void xc_unmap_foreign_pages(xc_handle *xch, void *mapping)
{
    if (mapping)
        xch->ops->unmap(xch->state, mapping);
}

int xc_domain_get_visible(xc_handle *xch, uint32_t domid, struct featureset *visible,
                          bool *costs_switches)
{
    struct xen_domctl op = {.cmd = XENLEVEL_DOMCTL_get_visible, .domain = (domid_t)domid};
    struct xenlevel_domctl_visible *v = (struct xenlevel_domctl_visible *)(void *)op.u.pad;
    uint32_t *words = xch->ops->alloc(xch->state, sizeof(visible->w));
    int rc, err;

    _Static_assert(sizeof(*v) <= sizeof(op.u.pad), "it fits into a domctl");
    memset(visible, 0, sizeof(*visible));
    *costs_switches = false;
    if (!words)
        return fail_at_step(xch, domid, "asking what stays visible to");
    v->nr_words = FEATURESET_WORDS;
    v->words = (uintptr_t)words;
    rc = xc_domctl(xch, &op);
    err = errno;
    if (rc >= 0 &&
        (v->nr_words > FEATURESET_WORDS || featureset_from_words(visible, words, v->nr_words))) {
        rc = -1;
        err = EIO;
    }
    if (rc >= 0)
        *costs_switches = v->costs_switches != 0;
    xch->ops->release(xch->state, words);
    errno = err;
    if (rc < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return -1; /* a stock hypervisor: the caller knows what to do */
    return rc < 0 ? fail_at_step(xch, domid, "asking what stays visible to") : 0;
}
