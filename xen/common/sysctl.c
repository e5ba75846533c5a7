/* SPDX-License-Identifier: MIT */
/*
 * XEN_SYSCTL_*: questions about the whole machine.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

static long get_phys_info(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *info = &op->u.physinfo;

    *info = (struct xen_sysctl_physinfo){
        .max_cpu_id = hv->nr_pcpus - 1,
        .nr_nodes = 1,
        .capabilities = XEN_SYSCTL_PHYSCAP_pv,
        .total_pages = hv->nr_pages,
        .free_pages = hv->free_pages,
        .max_mfn = hv->nr_pages + hv->nr_m2p - 1,
    };
    for (unsigned int i = 0; i < hv->nr_pcpus; i++)
        info->nr_cpus += hv->pcpus[i].online;
    if (hv->has_hvm)
        info->capabilities |= XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_shadow;
    if (hv->has_hap)
        info->capabilities |= XEN_SYSCTL_PHYSCAP_hap;
    arch_physinfo(hv, op);
    return 0;
}

static long get_domain_list(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_getdomaininfolist *list = &op->u.getdomaininfolist;
    const struct domain *d = domain_by_id(hv, list->first_domain);
    uint32_t n = 0;

    if (!d)
        for (d = hv->domains; d && d->id < list->first_domain; d = d->next)
            ;
    for (; d && n < list->max_domains; d = d->next, n++) {
        struct xen_domctl_getdomaininfo info;

        domain_getinfo(d, &info);
        if (platform_copy_to_guest(hv->platform, HANDLE(list->buffer) + n * sizeof(info), &info,
                                   sizeof(info)))
            return -XEN_EFAULT;
    }
    list->num_domains = n;
    return 0;
}

static long get_cpu_info(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_getcpuinfo *get = &op->u.getcpuinfo;
    uint32_t n = get->max_cpus < hv->nr_pcpus ? get->max_cpus : hv->nr_pcpus;

    for (uint32_t i = 0; i < n; i++) {
        const struct xen_sysctl_cpuinfo info = {.idletime = vcpu_cpu_time(hv->pcpus[i].idle)};

        if (platform_copy_to_guest(hv->platform, HANDLE(get->info) + i * sizeof(info), &info,
                                   sizeof(info)))
            return -XEN_EFAULT;
    }
    get->nr_cpus = n;
    return 0;
}

static long get_cpu_topology(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_cputopoinfo *get = &op->u.cputopoinfo;
    uint64_t to = HANDLE(get->cputopo);
    uint32_t n = hv->nr_pcpus;

    for (uint32_t i = 0; to && i < n && i < get->num_cpus; i++) {
        struct xen_sysctl_cputopo topo = {XEN_INVALID_CORE_ID, XEN_INVALID_SOCKET_ID,
                                          XEN_INVALID_NODE_ID};

        if (hv->pcpus[i].online) {
            arch_cputopo(hv, i, &topo.core, &topo.socket);
            topo.node = 0;
        }
        if (platform_copy_to_guest(hv->platform, to + i * sizeof(topo), &topo, sizeof(topo)))
            return -XEN_EFAULT;
    }
    get->num_cpus = n;
    return 0;
}

long do_sysctl(struct hypervisor *hv, uint64_t op_addr)
{
    struct xen_sysctl op;
    bool copyback = true;
    long rc;

    if (platform_copy_from_guest(hv->platform, &op, op_addr, sizeof(op)))
        return -XEN_EFAULT;
    if (op.interface_version != XEN_SYSCTL_INTERFACE_VERSION)
        return -XEN_EACCES;

    switch (op.cmd) {
    case XEN_SYSCTL_readconsole:
        rc = readconsole(hv, &op);
        break;
    case XEN_SYSCTL_physinfo:
        rc = get_phys_info(hv, &op);
        break;
    case XEN_SYSCTL_getdomaininfolist:
        rc = get_domain_list(hv, &op);
        break;
    case XEN_SYSCTL_getcpuinfo:
        rc = get_cpu_info(hv, &op);
        break;
    case XEN_SYSCTL_cputopoinfo:
        rc = get_cpu_topology(hv, &op);
        break;
    default:
        copyback = false;
        rc = arch_do_sysctl(hv, &op, &copyback);
        if (copyback && platform_copy_to_guest(hv->platform, op_addr, &op, sizeof(op)))
            rc = -XEN_EFAULT;
        return rc;
    }
    if (!rc && platform_copy_to_guest(hv->platform, op_addr, &op, sizeof(op)))
        rc = -XEN_EFAULT;
    return rc;
}
