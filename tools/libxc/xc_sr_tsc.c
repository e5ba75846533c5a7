/* SPDX-License-Identifier: MIT */
/*
 * A domain's time, which PV and HVM domains have alike.
 */
#include <errno.h>

#include "xc_sr_private.h"

int sr_write_tsc(struct sr_writer *w, uint32_t domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gettscinfo, .domain = (domid_t)domid};
    const struct xen_domctl_tsc_info *t = &op.u.tsc_info;
    struct xc_sr_tsc_info body;
    struct iovec iov[3] = {{&body, sizeof(body)}};

    if (xc_domctl(w->xch, &op) < 0)
        return xc_fail(w->xch, errno, "domain %u's time: %s", domid, xc_reason(w->xch, errno));
    body = (struct xc_sr_tsc_info){.mode = t->tsc_mode,
                                   .khz = t->gtsc_khz,
                                   .nsec = t->elapsed_nsec,
                                   .incarnation = t->incarnation};
    return sr_write_record(w, REC_X86_TSC_INFO, iov, 1);
}

int sr_take_tsc(struct sr_reader *r, struct sr_tsc *t, uint32_t length)
{
    t->have = true;
    if (length != sizeof(t->info))
        return sr_bad(r, "%u bytes, must be %zu", length, sizeof(t->info));
    if (sr_read(r, &t->info, sizeof(t->info)))
        return -1;
    return t->info.reserved ? sr_bad(r, "a reserved field is not zero") : 0;
}

int sr_apply_tsc(struct sr_reader *r, const struct sr_tsc *t, uint32_t domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_settscinfo, .domain = (domid_t)domid};

    if (!t->have)
        return sr_bad(r, "there was no X86_TSC_INFO record");
    op.u.tsc_info = (struct xen_domctl_tsc_info){.tsc_mode = t->info.mode,
                                                 .gtsc_khz = t->info.khz,
                                                 .elapsed_nsec = t->info.nsec,
                                                 .incarnation = t->info.incarnation};
    if (xc_domctl(r->xch, &op) < 0)
        return xc_fail(r->xch, errno, "the domain's time: %s", xc_reason(r->xch, errno));
    return 0;
}
