/* SPDX-License-Identifier: MIT */
/*
 * Restoring HVM and PVH domains: their context and parameters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_gnttab.h"
#include "xc_sr_private.h"

#include <xen/hvm/params.h>

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
    if (index <= UINT32_MAX && !xc_hvm_set_param(r->xch, domid, (uint32_t)index, value))
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
