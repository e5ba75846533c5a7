/* SPDX-License-Identifier: MIT */
/*
 * XEN_DOMCTL_getpageframeinfo3: what kind of page each of some frames is, for whoever saves them.
 */
#include <hypervisor.h>
#include <pv.h>

#include <xen/errno.h>

#define MAX_FRAMES 1024u /* of one call: what real Xen takes too */
#define CHUNK      64u

/* A gfn of an HVM domain, a machine frame of a PV one. */
static uint64_t kind_of(struct domain *d, uint64_t frame)
{
    const struct frame *f;

    if (d->hvm)
        return memory_mfn(d, frame) < 0 ? XEN_DOMCTL_PFINFO_XTAB : XEN_DOMCTL_PFINFO_NOTAB;
    f = pv_frame(d, frame);
    if (!f)
        return XEN_DOMCTL_PFINFO_XTAB;
    if (f->table == FRAME_GDT)
        return XEN_DOMCTL_PFINFO_NOTAB;
    /* <xen/domctl.h>: the level is the number, a pinned one has bit 31 as well. */
    return (uint64_t)f->table << XEN_DOMCTL_PFINFO_LTAB_SHIFT |
           (f->pinned ? XEN_DOMCTL_PFINFO_LPINTAB : 0);
}

long get_page_info(struct domain *d, const struct xen_domctl_getpageframeinfo3 *op)
{
    struct platform *p = d->hv->platform;
    uint64_t at = HANDLE(op->array), frames[CHUNK];

    if (op->num > MAX_FRAMES)
        return -XEN_E2BIG;
    for (uint64_t done = 0; done < op->num;) {
        uint64_t n = op->num - done < CHUNK ? op->num - done : CHUNK;

        if (platform_copy_from_guest(p, frames, at, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        for (uint64_t i = 0; i < n; i++)
            frames[i] = kind_of(d, frames[i]);
        if (platform_copy_to_guest(p, at, frames, n * sizeof(frames[0])))
            return -XEN_EFAULT;
        at += n * sizeof(frames[0]);
        done += n;
    }
    return 0;
}
