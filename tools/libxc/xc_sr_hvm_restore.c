/* SPDX-License-Identifier: MIT */
/*
 * Restoring HVM and PVH domains: their frames, context and parameters.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_gnttab.h"
#include "xc_sr_check.h"
#include "xc_sr_restore.h"

#include <xen/hvm/params.h>

/* s->guest. */
struct hvm_restore {
    struct sr_sparse populated; /* one bit for each gfn */
    void *context;
    uint32_t context_size;
    struct sr_place context_at;
    struct xc_sr_hvm_param params[SR_MAX_HVM_PARAM];
    uint32_t nr_params;
};

static int open_hvm(struct sr_restore *s)
{
    s->guest = calloc(1, sizeof(struct hvm_restore));
    return s->guest ? 0 : xc_fail(s->r.xch, ENOMEM, "out of memory for restoring an HVM domain");
}

static void close_hvm(struct sr_restore *s)
{
    struct hvm_restore *h = s->guest;

    if (!h)
        return;
    free(h->context);
    sr_sparse_free(&h->populated);
    free(h);
}

/* ---- memory ---- */

static bool has_page_type(unsigned int type)
{
    return type == XC_SR_PAGE_NOTAB;
}

static bool is_populated(struct sr_restore *s, uint64_t gfn)
{
    struct hvm_restore *h = s->guest;

    return sr_sparse_get(&h->populated, gfn / 64) >> (gfn % 64) & 1;
}

/* Returns whether this frame was there already; now it is.  -1: out of memory, logged. */
static int mark_populated(struct sr_restore *s, uint64_t gfn)
{
    struct hvm_restore *h = s->guest;
    uint64_t bit = 1ull << (gfn % 64), *word = sr_sparse_at(&h->populated, gfn / 64);
    bool was;

    if (!word)
        return xc_fail(s->r.xch, ENOMEM, "out of memory for the frames of domain %u", s->domid);
    was = *word & bit;
    *word |= bit;
    return was;
}

/* Frames that were never there before, a hypercall for each run of them. */
static int populate_gfns(struct sr_restore *s, size_t n)
{
    uint64_t first = 0, count = 0;

    memcpy(s->frames, s->gfns, n * sizeof(s->gfns[0]));
    for (size_t i = 0; i < n; i++) {
        int was = mark_populated(s, s->gfns[i]);

        if (was < 0)
            return -1;
        if (was)
            continue;
        if (count && s->gfns[i] == first + count) {
            count++;
            continue;
        }
        if (count && xc_domain_populate(s->r.xch, s->domid, first, count))
            return -1;
        first = s->gfns[i];
        count = 1;
    }
    return count ? xc_domain_populate(s->r.xch, s->domid, first, count) : 0;
}

static int keep_page(struct sr_restore *s, size_t i, void *page)
{
    (void)s;
    (void)i;
    (void)page;
    return 0;
}

/* ---- records ---- */

static int need_no_static(struct sr_restore *s)
{
    (void)s;
    return 0;
}

static int take_context(struct sr_reader *r, struct hvm_restore *h, uint32_t length)
{
    if (!length || length > SR_MAX_CONTEXT)
        return sr_bad(r, "%u bytes; 1 to %u can be", length, SR_MAX_CONTEXT);
    h->context = malloc(length);
    if (!h->context)
        return xc_fail(r->xch, ENOMEM, "out of memory for the domain's state");
    h->context_size = length;
    h->context_at = sr_here(r);
    return sr_read(r, h->context, length);
}

/* Each parameter comes once: of two nobody knows which the domain had. */
static int check_params(struct sr_reader *r, const struct hvm_restore *h)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < h->nr_params; i++) {
        uint64_t index = h->params[i].index;

        if (index < SR_MAX_HVM_PARAM && seen >> index & 1)
            return sr_bad(r, "parameter %llu is there twice", (unsigned long long)index);
        seen |= index < SR_MAX_HVM_PARAM ? 1ull << index : 0;
    }
    return 0;
}

static int take_params(struct sr_reader *r, struct hvm_restore *h, uint32_t length)
{
    struct xc_sr_hvm_params head;

    if (length < sizeof(head) || sr_read(r, &head, sizeof(head)))
        return length < sizeof(head) ? sr_bad(r, "%u bytes, at least 8 are needed", length) : -1;
    if (head.reserved || head.count > SR_MAX_HVM_PARAM ||
        length != sizeof(head) + head.count * sizeof(h->params[0]))
        return sr_bad(r, "%u bytes for %u parameters, of which there can be %u", length, head.count,
                      SR_MAX_HVM_PARAM);
    h->nr_params = head.count;
    if (sr_read(r, h->params, head.count * sizeof(h->params[0])))
        return -1;
    return check_params(r, h);
}

static int take_record(struct sr_restore *s, const struct xc_sr_rhdr *header)
{
    switch (header->type) {
    case REC_HVM_CONTEXT:
        return take_context(&s->r, s->guest, header->length);
    case REC_HVM_PARAMS:
        return take_params(&s->r, s->guest, header->length);
    default:
        return sr_bad(&s->r, "no such record (%#x) can be in an HVM domain's stream", header->type);
    }
}

static int check_context(struct sr_restore *s)
{
    const struct hvm_restore *h = s->guest;

    return h->context ? sr_hvm_check(&s->r, &h->context_at, s->policy.guest, s->nr_vcpus,
                                     h->context, h->context_size)
                      : 0;
}

/* ---- into the domain ---- */

static int apply_context(struct sr_reader *r, const struct hvm_restore *h, uint32_t domid)
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

/* Returns the value that the hypervisor was given last; 0: none. */
static uint64_t find_param(const struct hvm_restore *h, uint64_t index)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < h->nr_params; i++)
        if (h->params[i].index == index)
            value = h->params[i].value;
    return value;
}

static int apply_params(struct sr_reader *r, const struct hvm_restore *h, uint32_t domid,
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

static int apply_state(struct sr_restore *s)
{
    const struct hvm_restore *h = s->guest;
    const struct xc_guest_ends *ends = s->options->ends;
    struct xc_restore_result *result = s->result;

    if (!h->context)
        return sr_bad(&s->r, "there was no HVM_CONTEXT record");
    if (apply_params(&s->r, h, s->domid, ends) || apply_context(&s->r, h, s->domid))
        return -1;
    result->store_gfn = find_param(h, HVM_PARAM_STORE_PFN);
    result->console_gfn = find_param(h, HVM_PARAM_CONSOLE_PFN);
    return ends ? xc_gnttab_seed(s->r.xch, s->domid, ends, result->store_gfn, result->console_gfn)
                : 0;
}

const struct sr_restore_ops sr_restore_hvm = {
    .name = "HVM",
    .may_leave_mapped = true,
    .open = open_hvm,
    .close = close_hvm,
    .take_record = take_record,
    .check_static_data = need_no_static,
    .has_page_type = has_page_type,
    .is_populated = is_populated,
    .populate = populate_gfns,
    .localise_page = keep_page,
    .check_state = check_context,
    .apply = apply_state,
};
