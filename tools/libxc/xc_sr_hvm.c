/* SPDX-License-Identifier: MIT */
/*
 * An HVM (or PVH) domain's own state: its context and parameters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_gnttab.h"
#include "xc_sr_private.h"

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>

/* The parameters that belong to a guest rather than to the host that it is on. */
static const uint32_t travelling[] = {
    HVM_PARAM_STORE_PFN,        HVM_PARAM_IOREQ_PFN,
    HVM_PARAM_BUFIOREQ_PFN,     HVM_PARAM_VIRIDIAN,
    HVM_PARAM_IDENT_PT,         HVM_PARAM_ACPI_IOPORTS_LOCATION,
    HVM_PARAM_CONSOLE_PFN,      HVM_PARAM_PAGING_RING_PFN,
    HVM_PARAM_MONITOR_RING_PFN, HVM_PARAM_SHARING_RING_PFN,
    HVM_PARAM_VM86_TSS_SIZED,   HVM_PARAM_VM_GENERATION_ID_ADDR,
    HVM_PARAM_IOREQ_SERVER_PFN, HVM_PARAM_NR_IOREQ_SERVER_PAGES,
    HVM_PARAM_X87_FIP_WIDTH,    HVM_PARAM_MCA_CAP,
};
#define NR_TRAVELLING (sizeof(travelling) / sizeof(travelling[0]))

/* -1 with errno: the caller says what it was for. */
static int hvm_param(xc_handle *xch, unsigned int cmd, uint32_t domid, uint32_t index,
                     uint64_t *value)
{
    struct xen_hvm_param *p = xch->ops->alloc(xch->state, sizeof(*p));
    const uint64_t args[XC_HYPERCALL_ARGS] = {cmd, (uintptr_t)p};
    int rc, err;

    if (!p) {
        errno = ENOMEM;
        return -1;
    }
    *p = (struct xen_hvm_param){.domid = (domid_t)domid, .index = index, .value = *value};
    rc = xc_hypercall(xch, __HYPERVISOR_hvm_op, args);
    err = errno;
    *value = p->value;
    xch->ops->release(xch->state, p);
    errno = err;
    return rc < 0 ? -1 : 0;
}

/* ---- out ---- */

static int write_params(struct sr_writer *w, uint32_t domid)
{
    struct xc_sr_hvm_param params[NR_TRAVELLING];
    struct xc_sr_hvm_params head = {.count = 0};
    struct iovec iov[4];

    for (size_t i = 0; i < NR_TRAVELLING; i++) {
        uint64_t value = 0;

        if (hvm_param(w->xch, HVMOP_get_param, domid, travelling[i], &value)) {
            if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
                continue; /* this hypervisor has no such parameter */
            return xc_fail(w->xch, errno, "parameter %u of domain %u: %s", travelling[i], domid,
                           xc_reason(w->xch, errno));
        }
        if (value)
            params[head.count++] = (struct xc_sr_hvm_param){travelling[i], value};
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

int sr_hvm_write_state(struct sr_writer *w, uint32_t domid)
{
    if (write_context(w, domid) || write_params(w, domid))
        return -1;
    return sr_write_checksum(w);
}

/* ---- in ---- */

int sr_hvm_take_context(struct sr_reader *r, struct sr_hvm *h, uint32_t length)
{
    if (h->context)
        return sr_bad(r, "it stands here a second time");
    if (!length || length > SR_MAX_CONTEXT)
        return sr_bad(r, "%u bytes; 1 to %u can be", length, SR_MAX_CONTEXT);
    h->context = malloc(length);
    if (!h->context)
        return xc_fail(r->xch, ENOMEM, "out of memory for the domain's state");
    h->context_size = length;
    h->context_at = sr_here(r);
    return sr_read(r, h->context, length);
}

int sr_hvm_take_params(struct sr_reader *r, struct sr_hvm *h, uint32_t length)
{
    struct xc_sr_hvm_params head;

    if (h->nr_params)
        return sr_bad(r, "it stands here a second time");
    if (length < sizeof(head) || sr_read(r, &head, sizeof(head)))
        return length < sizeof(head) ? sr_bad(r, "%u bytes, at least 8 are needed", length) : -1;
    if (head.reserved || head.count > SR_MAX_HVM_PARAM ||
        length != sizeof(head) + head.count * sizeof(h->params[0]))
        return sr_bad(r, "%u bytes for %u parameters, of which there can be %u", length, head.count,
                      SR_MAX_HVM_PARAM);
    h->nr_params = head.count;
    return sr_read(r, h->params, head.count * sizeof(h->params[0]));
}

static int apply_context(struct sr_reader *r, const struct sr_hvm *h, uint32_t domid)
{
    xc_handle *xch = r->xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_sethvmcontext, .domain = (domid_t)domid};
    void *buffer = xch->ops->alloc(xch->state, h->context_size);
    int rc = 0;

    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for the domain's state");
    memcpy(buffer, h->context, h->context_size);
    op.u.hvmcontext.size = h->context_size;
    set_xen_guest_handle(op.u.hvmcontext.buffer, buffer);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno,
                     "the hypervisor does not take the domain's registers (its log says what is "
                     "wrong with them): %s",
                     xc_reason(xch, errno));
    xch->ops->release(xch->state, buffer);
    return rc;
}

/* A ring, or a page of the device model's: what was in it was between the domain and those whom it
 * has left behind. */
static int clear_frame(struct sr_reader *r, uint32_t domid, uint64_t gfn)
{
    void *page, *mapping = xc_map_foreign_pages(r->xch, domid, &gfn, 1, true, &page);
    int rc = 0;

    if (!mapping)
        return -1;
    if (page)
        memset(page, 0, PAGE_SIZE);
    else
        rc =
            sr_bad(r, "frame %llx, which a parameter names, is not there", (unsigned long long)gfn);
    xc_unmap_foreign_pages(r->xch, mapping);
    return rc;
}

static bool is_shared_frame(uint64_t index)
{
    return index == HVM_PARAM_STORE_PFN || index == HVM_PARAM_CONSOLE_PFN ||
           index == HVM_PARAM_IOREQ_PFN || index == HVM_PARAM_BUFIOREQ_PFN;
}

static int set_param(struct sr_reader *r, uint32_t domid, uint64_t index, uint64_t value)
{
    if (index <= UINT32_MAX && !hvm_param(r->xch, HVMOP_set_param, domid, (uint32_t)index, &value))
        return 0;
    return xc_fail(r->xch, index > UINT32_MAX ? EINVAL : errno,
                   "the hypervisor does not take parameter %llu: %s", (unsigned long long)index,
                   index > UINT32_MAX ? "there is none" : xc_reason(r->xch, errno));
}

static uint64_t param_of(const struct sr_hvm *h, uint64_t index)
{
    for (uint32_t i = 0; i < h->nr_params; i++)
        if (h->params[i].index == index)
            return h->params[i].value;
    return 0;
}

static int apply_params(struct sr_reader *r, const struct sr_hvm *h, uint32_t domid,
                        const struct xc_guest_ends *ends)
{
    for (uint32_t i = 0; i < h->nr_params; i++) {
        const struct xc_sr_hvm_param *p = &h->params[i];

        if (ends && is_shared_frame(p->index) && clear_frame(r, domid, p->value))
            return -1;
        if (set_param(r, domid, p->index, p->value))
            return -1;
    }
    if (!ends)
        return 0;
    return set_param(r, domid, HVM_PARAM_STORE_EVTCHN, ends->store_evtchn) ||
                   set_param(r, domid, HVM_PARAM_CONSOLE_EVTCHN, ends->console_evtchn)
               ? -1
               : 0;
}

int sr_hvm_apply(struct sr_reader *r, const struct sr_hvm *h, uint32_t domid,
                 const struct xc_guest_ends *ends)
{
    if (!h->context)
        return sr_bad(r, "there was no HVM_CONTEXT record");
    if (apply_params(r, h, domid, ends) || apply_context(r, h, domid))
        return -1;
    return ends ? xc_gnttab_seed(r->xch, domid, ends, param_of(h, HVM_PARAM_STORE_PFN),
                                 param_of(h, HVM_PARAM_CONSOLE_PFN))
                : 0;
}
