/* SPDX-License-Identifier: MIT */
/*
 * Reading the console: XEN_SYSCTL_readconsole.
 *
 * The ABI's index is a count of bytes modulo 2^32, so all comparisons here are of distances.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

long readconsole(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_readconsole *r = &op->u.readconsole;
    uint32_t end = hv->console_produced, from = hv->console_consumed, left, done = 0;

    /* A reader who goes on from where it was: as long as that is still there. */
    if (r->incremental && end - r->index <= end - from)
        from = r->index;
    left = end - from < r->count ? end - from : r->count;
    while (done < left) {
        uint32_t offset = (from + done) % CONSOLE_RING;
        uint32_t n = left - done < CONSOLE_RING - offset ? left - done : CONSOLE_RING - offset;

        if (platform_copy_to_guest(hv->platform, HANDLE(r->buffer) + done, hv->console + offset, n))
            return -XEN_EFAULT;
        done += n;
    }
    if (r->clear)
        hv->console_consumed = from + done;
    r->count = done;
    r->index = from + done;
    return 0;
}
