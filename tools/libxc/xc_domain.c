/* SPDX-License-Identifier: MIT */
/*
 * Domains: which there are, and what they are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_private.h"

#include <xen/sched.h>

const char *xc_domain_type_name(enum xc_domain_type type)
{
    switch (type) {
    case XC_DOMAIN_PV:
        return "PV";
    case XC_DOMAIN_HVM:
        return "HVM";
    case XC_DOMAIN_PVH:
        return "PVH";
    }
    return "unknown";
}

enum guest_type xc_domain_guest_type(const struct xc_domain_info *info)
{
    if (info->type == XC_DOMAIN_PV)
        return GUEST_PV;
    return info->hap ? GUEST_HVM_HAP : GUEST_HVM_SHADOW;
}

const char *xc_shutdown_reason_name(unsigned int reason)
{
    static const char *const names[] = {
        [SHUTDOWN_poweroff] = "poweroff", [SHUTDOWN_reboot] = "reboot",
        [SHUTDOWN_suspend] = "suspend",   [SHUTDOWN_crash] = "crash",
        [SHUTDOWN_watchdog] = "watchdog", [SHUTDOWN_soft_reset] = "soft-reset",
    };

    return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

_Static_assert(XC_SHUTDOWN_POWEROFF == SHUTDOWN_poweroff && XC_SHUTDOWN_REBOOT == SHUTDOWN_reboot &&
                   XC_SHUTDOWN_SUSPEND == SHUTDOWN_suspend && XC_SHUTDOWN_CRASH == SHUTDOWN_crash,
               "the ABI's numbers");

static void take_info(const struct xen_domctl_getdomaininfo *d, struct xc_domain_info *info)
{
    memset(info, 0, sizeof(*info));
    info->domid = d->domain;
    info->emulation_flags = d->arch_config.emulation_flags;
    /*
     * The hypervisor knows PV and HVM only.  A PVH guest is an HVM guest whose emulated machine
     * has no interrupt controller of a PC: the toolstack gives it a local APIC at most (and Xen's
     * own dom0 an I/O APIC and a virtual PCI bus), an HVM guest always has the PIC.
     */
    if (!(d->flags & XEN_DOMINF_hvm_guest))
        info->type = XC_DOMAIN_PV;
    else
        info->type = info->emulation_flags & XEN_X86_EMU_PIC ? XC_DOMAIN_HVM : XC_DOMAIN_PVH;
    info->hap = d->flags & XEN_DOMINF_hap;
    info->paused = d->flags & XEN_DOMINF_paused;
    info->dying = d->flags & XEN_DOMINF_dying;
    info->running = d->flags & XEN_DOMINF_running;
    info->blocked = d->flags & XEN_DOMINF_blocked;
    info->shutdown = d->flags & XEN_DOMINF_shutdown;
    if (info->shutdown)
        info->shutdown_reason = (d->flags >> XEN_DOMINF_shutdownshift) & XEN_DOMINF_shutdownmask;
    info->cpu_time_ns = d->cpu_time;
    info->has_run = d->cpu_time != 0;
    info->tot_pages = d->tot_pages;
    info->nr_online_vcpus = d->nr_online_vcpus;
    info->nr_vcpus = d->max_vcpu_id + 1;
    info->max_pages = d->max_pages;
    memcpy(info->uuid, d->handle, sizeof(info->uuid));
}

int xc_domain_getinfo(xc_handle *xch, uint32_t domid, struct xc_domain_info *info)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)domid};

    memset(info, 0, sizeof(*info));
    if (domid >= DOMID_FIRST_RESERVED)
        return xc_fail(xch, ESRCH, "there is no domain %u", domid);
    if (xc_domctl(xch, &op) < 0) {
        if (errno == EPROTO)
            return -1;
        if (errno == ESRCH)
            return xc_fail(xch, ESRCH, "there is no domain %u", domid);
        return xc_fail(xch, errno, "asking Xen about domain %u: %s", domid, xc_reason(xch, errno));
    }
    /* Some versions answer with the next domain when the one asked for is not there. */
    if (op.u.getdomaininfo.domain != (domid_t)domid)
        return xc_fail(xch, ESRCH, "there is no domain %u", domid);
    take_info(&op.u.getdomaininfo, info);
    return 0;
}

int xc_domain_get_address_size(xc_handle *xch, uint32_t domid, unsigned int *bits)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_address_size, .domain = (domid_t)domid};

    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "whether domain %u has 64 bits: %s", domid,
                       xc_reason(xch, errno));
    *bits = op.u.address_size.size;
    return 0;
}

#define LIST_CHUNK 256u

/* One hypercall's worth of domains, from `first` on, into a hypercall buffer.  The count or -1. */
static int list_chunk(xc_handle *xch, uint32_t first, struct xen_domctl_getdomaininfo *buffer)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_getdomaininfolist};

    if (first > UINT16_MAX)
        return 0;
    op.u.getdomaininfolist.first_domain = (domid_t)first;
    op.u.getdomaininfolist.max_domains = LIST_CHUNK;
    set_xen_guest_handle(op.u.getdomaininfolist.buffer, buffer);
    if (xc_sysctl(xch, &op) < 0) {
        if (errno == EPROTO)
            return -1;
        return xc_fail(xch, errno, "asking Xen for its domains: %s", xc_reason(xch, errno));
    }
    if (op.u.getdomaininfolist.num_domains > LIST_CHUNK)
        return xc_fail(xch, EIO, "Xen says it wrote %u domains where %u fit",
                       op.u.getdomaininfolist.num_domains, LIST_CHUNK);
    /* Ascending, or asking for the next ones would never end. */
    for (uint32_t i = 0; i < op.u.getdomaininfolist.num_domains; i++) {
        if (buffer[i].domain < first)
            return xc_fail(xch, EIO, "Xen lists domain %u where those from %u on were asked for",
                           buffer[i].domain, first);
        first = buffer[i].domain + 1u;
    }
    return (int)op.u.getdomaininfolist.num_domains;
}

int xc_domain_list(xc_handle *xch, struct xc_domain_info **list, size_t *n)
{
    struct xen_domctl_getdomaininfo *buffer;
    uint32_t first = 0;
    int got, err;

    *list = NULL;
    *n = 0;
    buffer = xch->ops->alloc(xch->state, LIST_CHUNK * sizeof(*buffer));
    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for the list of domains");
    while ((got = list_chunk(xch, first, buffer)) > 0) {
        struct xc_domain_info *more = realloc(*list, (*n + (size_t)got) * sizeof(*more));

        if (!more) {
            got = xc_fail(xch, ENOMEM, "out of memory for the list of domains");
            break;
        }
        *list = more;
        for (int i = 0; i < got; i++)
            take_info(&buffer[i], &more[(*n)++]);
        first = more[*n - 1].domid + 1;
    }
    err = errno;
    xch->ops->release(xch->state, buffer);
    if (got < 0) {
        free(*list);
        *list = NULL;
        *n = 0;
    }
    errno = err;
    return got < 0 ? -1 : 0;
}
