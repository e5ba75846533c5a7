/* SPDX-License-Identifier: MIT */
/*
 * The machine: its size, the guests it can run, and what can be hidden from PV guests.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xc_abi.h"
#include "xc_private.h"

/* In the order of XEN_SYSCTL_CPU_LEVELCAP_*, by the leaf and register that can be changed. */
static const char *const levelcap_names[] = {
    "faulting", "1.ecx", "1.edx",   "80000001.ecx", "80000001.edx",
    "d.1.eax",  "6.ecx", "7.0.eax", "7.0.ebx",
};
#define NR_LEVELCAPS (sizeof(levelcap_names) / sizeof(levelcap_names[0]))

const char *xc_levelling_cap_name(unsigned int bit)
{
    return bit < NR_LEVELCAPS ? levelcap_names[bit] : NULL;
}

int xc_levelling_caps_text(uint32_t caps, char *buf, size_t size)
{
    size_t len = 0;

    if (size)
        buf[0] = '\0';
    for (unsigned int bit = 0; bit < 32 && len < size; bit++) {
        const char *name = xc_levelling_cap_name(bit);
        int n;

        if (!(caps >> bit & 1))
            continue;
        n = name ? snprintf(buf + len, size - len, "%s%s", len ? " " : "", name)
                 : snprintf(buf + len, size - len, "%sbit %u", len ? " " : "", bit);
        len += (size_t)n;
    }
    if (!caps)
        len = (size_t)snprintf(buf, size, "none");
    if (len < size)
        return (int)len;
    errno = ENOSPC;
    return -1;
}

int xc_get_cpu_levelling_caps(xc_handle *xch, uint32_t *caps)
{
    struct xen_sysctl op = {.cmd = XC_SYSCTL_GET_CPU_LEVELLING_CAPS};

    *caps = 0;
    if (xc_sysctl(xch, &op) < 0) {
        if (errno == EPROTO || errno == ENOSYS || errno == EOPNOTSUPP)
            return -1;
        return xc_fail(xch, errno, "asking Xen for its levelling capabilities: %s",
                       xc_reason(xch, errno));
    }
    memcpy(caps, &op.u, sizeof(*caps));
    return 0;
}

int xc_physinfo(xc_handle *xch, struct xc_physinfo *info)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo};
    const struct xen_sysctl_physinfo *p = &op.u.physinfo;

    memset(info, 0, sizeof(*info));
    if (xc_sysctl(xch, &op) < 0) {
        if (errno == EPROTO)
            return -1;
        return xc_fail(xch, errno, "asking Xen about the machine: %s", xc_reason(xch, errno));
    }
    info->threads_per_core = p->threads_per_core;
    info->cores_per_socket = p->cores_per_socket;
    info->nr_cpus = p->nr_cpus;
    info->nr_nodes = p->nr_nodes;
    info->cpu_khz = p->cpu_khz;
    info->total_pages = p->total_pages;
    info->free_pages = p->free_pages;
    info->pv = p->capabilities & XEN_SYSCTL_PHYSCAP_pv;
    info->hvm = p->capabilities & XEN_SYSCTL_PHYSCAP_hvm;
    info->hap = p->capabilities & XEN_SYSCTL_PHYSCAP_hap;
    info->shadow = p->capabilities & XEN_SYSCTL_PHYSCAP_shadow;
    info->levelling_known = !xc_get_cpu_levelling_caps(xch, &info->levelling_caps);
    return info->levelling_known || errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
}
