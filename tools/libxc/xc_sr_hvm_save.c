/* SPDX-License-Identifier: MIT */
/*
 * Saving HVM and PVH domains: their context and parameters.  Their frames are what the stream calls
 * them, and no page needs translation.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_save.h"

#include <xen/hvm/params.h>
#include <xen/memory.h>

/* The parameters that belong to a guest rather than to the host that it is on. */
static const uint32_t travelling_params[] = {
    HVM_PARAM_STORE_PFN,        HVM_PARAM_IOREQ_PFN,
    HVM_PARAM_BUFIOREQ_PFN,     HVM_PARAM_VIRIDIAN,
    HVM_PARAM_IDENT_PT,         HVM_PARAM_ACPI_IOPORTS_LOCATION,
    HVM_PARAM_CONSOLE_PFN,      HVM_PARAM_PAGING_RING_PFN,
    HVM_PARAM_MONITOR_RING_PFN, HVM_PARAM_SHARING_RING_PFN,
    HVM_PARAM_VM86_TSS_SIZED,   HVM_PARAM_VM_GENERATION_ID_ADDR,
    HVM_PARAM_IOREQ_SERVER_PFN, HVM_PARAM_NR_IOREQ_SERVER_PAGES,
    HVM_PARAM_X87_FIP_WIDTH,    HVM_PARAM_MCA_CAP,
};
#define NR_TRAVELLING (sizeof(travelling_params) / sizeof(travelling_params[0]))

/* ---- the domain ---- */

/* Finds how many gfns the domain has: the highest and one. */
static int count_gfns(struct sr_save *s)
{
    xc_handle *xch = s->w.xch;
    domid_t *domid = xch->ops->alloc(xch->state, sizeof(*domid));
    const uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_maximum_gpfn, (uintptr_t)domid};
    long rc;
    int err;

    if (!domid)
        return xc_fail(xch, ENOMEM, "out of memory");
    *domid = (domid_t)s->domid;
    rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, args);
    err = errno;
    xch->ops->release(xch->state, domid);
    if (rc < 0)
        return xc_fail(xch, err, "the highest frame of domain %u: %s", s->domid,
                       xc_reason(xch, err));
    s->nr_gfns = (uint64_t)rc + 1;
    if (s->nr_gfns > SR_MAX_PFN)
        return xc_fail(xch, EIO, "domain %u has a frame %#lx?", s->domid, (unsigned long)rc);
    return 0;
}

/* The hypervisor knows them by their gfns. */
static size_t find_frames(struct sr_save *s, size_t n)
{
    memcpy(s->frames, s->gfns, n * sizeof(s->gfns[0]));
    return n;
}

static int keep_page(struct sr_save *s, size_t i, void **page)
{
    (void)s;
    (void)i;
    (void)page;
    return 0;
}

/* For members that have nothing to do. */
static void do_nothing(struct sr_save *s)
{
    (void)s;
}

static int succeed_at_once(struct sr_save *s)
{
    (void)s;
    return 0;
}

/* ---- records ---- */

static int write_params(struct sr_writer *w, uint32_t domid)
{
    struct xc_sr_hvm_param params[NR_TRAVELLING];
    struct xc_sr_hvm_params head = {.count = 0};
    struct iovec iov[4];

    for (size_t i = 0; i < NR_TRAVELLING; i++) {
        uint64_t value;

        if (xc_hvm_get_param(w->xch, domid, travelling_params[i], &value)) {
            if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
                continue; /* this hypervisor has no such parameter */
            return xc_fail(w->xch, errno, "parameter %u of domain %u: %s", travelling_params[i],
                           domid, xc_reason(w->xch, errno));
        }
        if (value)
            params[head.count++] = (struct xc_sr_hvm_param){travelling_params[i], value};
    }
    if (!head.count)
        return 0;
    iov[0] = (struct iovec){&head, sizeof(head)};
    iov[1] = (struct iovec){params, head.count * sizeof(params[0])};
    return sr_write_record(w, REC_HVM_PARAMS, iov, 2);
}

static int write_context(struct sr_writer *w, uint32_t domid)
{
    xc_handle *xch = w->xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext, .domain = (domid_t)domid};
    struct iovec iov[3];
    void *buffer;
    int rc;

    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "the size of domain %u's state: %s", domid,
                       xc_reason(xch, errno));
    if (!op.u.hvmcontext.size || op.u.hvmcontext.size > SR_MAX_CONTEXT)
        return xc_fail(xch, EIO, "domain %u's state has %u bytes?", domid, op.u.hvmcontext.size);
    buffer = xch->ops->alloc(xch->state, op.u.hvmcontext.size);
    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for domain %u's state", domid);
    set_xen_guest_handle(op.u.hvmcontext.buffer, buffer);
    if (xc_domctl(xch, &op) < 0) {
        rc = xc_fail(xch, errno, "domain %u's state: %s", domid, xc_reason(xch, errno));
    } else {
        iov[0] = (struct iovec){buffer, op.u.hvmcontext.size};
        rc = sr_write_record(w, REC_HVM_CONTEXT, iov, 1);
    }
    xch->ops->release(xch->state, buffer);
    return rc;
}

static int write_state(struct sr_save *s)
{
    if (write_context(&s->w, s->domid) || write_params(&s->w, s->domid))
        return -1;
    return sr_write_checksum(&s->w);
}

const struct sr_save_ops sr_save_hvm = {
    .guest_type = XC_SR_GUEST_HVM,
    .may_omit_zeros = true,
    .open = count_gfns,
    .close = do_nothing,
    .write_static_data = succeed_at_once,
    .write_memory_map = succeed_at_once,
    .find_frames = find_frames,
    .normalise_page = keep_page,
    .check_suspended = succeed_at_once,
    .add_deferred = do_nothing,
    .write_state = write_state,
};
