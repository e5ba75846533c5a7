/* SPDX-License-Identifier: MIT */
/*
 * What building and restoring PV domains share: memory whose machine frames are told, page tables
 * that are pinned, the frame that is shared with the hypervisor, and where a guest's frames are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_pv.h"

#include <xen/memory.h>

int xc_pv_populate(xc_handle *xch, uint32_t domid, uint64_t *frames, size_t n)
{
    struct xen_memory_reservation *m = xch->ops->alloc(xch->state, sizeof(*m));
    xen_pfn_t *extents = xch->ops->alloc(xch->state, n * sizeof(*extents));
    const uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_populate_physmap, (uintptr_t)m};
    int rc = -1, err = ENOMEM;

    if (m && extents) {
        memcpy(extents, frames, n * sizeof(*extents));
        set_xen_guest_handle(m->extent_start, extents);
        m->nr_extents = n;
        m->domid = (domid_t)domid;
        rc = xc_hypercall(xch, __HYPERVISOR_memory_op, args);
        err = rc < 0 ? errno : ENOMEM;
        memcpy(frames, extents, n * sizeof(*extents));
    }
    xch->ops->release(xch->state, m);
    xch->ops->release(xch->state, extents);
    if (rc >= 0 && (size_t)rc == n)
        return 0;
    return xc_fail(xch, err, "giving memory to domain %u: %s", domid,
                   rc < 0 ? xc_reason(xch, err) : "the host has none left");
}

int xc_pv_pin(xc_handle *xch, uint32_t domid, const struct mmuext_op *ops, unsigned int n)
{
    struct mmuext_op *buffer = xch->ops->alloc(xch->state, n * sizeof(*buffer));
    const uint64_t args[XC_HYPERCALL_ARGS] = {(uintptr_t)buffer, n, 0, domid};
    int rc, err;

    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for the page tables of domain %u", domid);
    memcpy(buffer, ops, n * sizeof(*buffer));
    rc = xc_hypercall(xch, __HYPERVISOR_mmuext_op, args);
    err = errno;
    xch->ops->release(xch->state, buffer);
    return rc < 0 ? xc_fail(xch, err,
                            "the hypervisor does not take a page table of domain %u (its log says "
                            "what is wrong with it): %s",
                            domid, xc_reason(xch, err))
                  : 0;
}

int xc_pv_shared_frame(xc_handle *xch, uint32_t domid, uint64_t *mfn)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)domid};

    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u: %s", domid, xc_reason(xch, errno));
    *mfn = op.u.getdomaininfo.shared_info_frame;
    return 0;
}

int xc_pv_frames(xc_handle *xch, uint32_t domid, uint64_t *frames, size_t n)
{
    struct sr_pv_p2m *p2m = sr_pv_open_p2m(xch, domid);
    int rc = p2m ? 0 : -1, err;

    for (size_t i = 0; i < n && !rc; i++)
        if (!sr_pv_find_mfn(p2m, frames[i], &frames[i]))
            rc = xc_fail(xch, ENOENT, "domain %u has nothing at frame %llx", domid,
                         (unsigned long long)frames[i]);
    err = errno;
    sr_pv_close_p2m(p2m);
    errno = err;
    return rc;
}
