/* SPDX-License-Identifier: MIT */
/*
 * XEN_DOMCTL_*: operations on one domain.
 */
#include <hypervisor.h>

#include <xen/errno.h>

/* ---- what a domain is ---- */

static uint32_t domain_flags(const struct domain *d)
{
    bool running = false, all_blocked = true;
    uint32_t flags = 0;

    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpus[i];

        if (!v || !v->online)
            continue;
        running |= v->running;
        all_blocked &= v->blocked;
    }
    flags |= d->dying ? XEN_DOMINF_dying : 0;
    flags |= d->hvm ? XEN_DOMINF_hvm_guest : 0;
    flags |= d->hap ? XEN_DOMINF_hap : 0;
    flags |= d->pause_count ? XEN_DOMINF_paused : 0;
    flags |= d->config.flags & XEN_DOMCTL_CDF_xs_domain ? XEN_DOMINF_xs_domain : 0;
    flags |= running ? XEN_DOMINF_running : all_blocked ? XEN_DOMINF_blocked : 0;
    if (d->shutdown)
        flags |= XEN_DOMINF_shutdown | (uint32_t)d->shutdown_reason << XEN_DOMINF_shutdownshift;
    return flags;
}

void domain_getinfo(const struct domain *d, struct xen_domctl_getdomaininfo *info)
{
    uint32_t maxphysaddr = d->policy.extd[8].a & 0xff;

    *info = (struct xen_domctl_getdomaininfo){
        .domain = d->id,
        .flags = domain_flags(d),
        .tot_pages = d->memory.tot_pages,
        .max_pages = d->memory.max_pages,
        .shared_info_frame = d->shared_info,
        .max_vcpu_id = XEN_INVALID_MAX_VCPU_ID,
        .ssidref = d->config.ssidref,
        .gpaddr_bits = (uint8_t)(maxphysaddr ? maxphysaddr : 36),
        .arch_config = d->config.arch,
    };
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        const struct vcpu *v = d->vcpus[i];

        if (!v)
            continue;
        info->max_vcpu_id = i;
        info->nr_online_vcpus += v->online;
        info->cpu_time += vcpu_cpu_time(v);
    }
    __builtin_memcpy(info->handle, d->config.handle, sizeof(info->handle));
}

static long get_vcpu_info(const struct domain *d, struct xen_domctl_getvcpuinfo *get)
{
    const struct vcpu *v;

    if (get->vcpu >= d->max_vcpus)
        return -XEN_EINVAL;
    v = d->vcpus[index_nospec(get->vcpu, d->max_vcpus)];
    if (!v)
        return -XEN_ESRCH;
    get->online = v->online;
    get->blocked = v->blocked;
    get->running = v->running;
    get->cpu_time = vcpu_cpu_time(v);
    get->cpu = v->pcpu ? v->pcpu->id : 0;
    return 0;
}

/* ---- making and changing ---- */

static long create_domain(struct hypervisor *hv, struct xen_domctl *op, uint64_t op_addr)
{
    bool given = op->domain > 0 && op->domain < DOMID_FIRST_RESERVED;
    struct domain *d;
    int rc =
        domain_create(hv, given ? op->domain : (uint16_t)DOMID_INVALID, &op->u.createdomain, &d);

    if (rc)
        return rc;
    op->domain = d->id;
    if (!platform_copy_to_guest(hv->platform, op_addr, op, sizeof(*op)))
        return 0;
    /* A domain whose id nobody learned would be there for ever. */
    domain_destroy(d);
    return -XEN_EFAULT;
}

/* The number was fixed when the domain was made; this only allocates them. */
static long max_vcpus(struct domain *d, const struct xen_domctl_max_vcpus *op)
{
    if (d->id == 0 || op->max != d->max_vcpus)
        return -XEN_EINVAL;
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        int rc = d->vcpus[i] ? 0 : vcpu_create(d, i);

        if (rc)
            return rc; /* those that are there stay: the call is repeatable */
    }
    return 0;
}

/* Those that need nothing but the domain. */
static long simple_op(struct domain *d, struct xen_domctl *op, bool *copyback)
{
    uint64_t pages;

    switch (op->cmd) {
    case XEN_DOMCTL_destroydomain:
        if (d->id == 0)
            return -XEN_EINVAL;
        domain_destroy(d);
        return 0;
    case XEN_DOMCTL_pausedomain:
        return d->id == 0 ? -XEN_EINVAL : domain_pause(d);
    case XEN_DOMCTL_unpausedomain:
        return d->id == 0 ? -XEN_EINVAL : domain_unpause(d);
    case XEN_DOMCTL_resumedomain:
        if (d->id == 0)
            return -XEN_EINVAL;
        domain_resume(d);
        return 0;
    case XEN_DOMCTL_getdomaininfo:
        domain_getinfo(d, &op->u.getdomaininfo);
        *copyback = true;
        return 0;
    case XEN_DOMCTL_max_mem:
        pages = op->u.max_mem.max_memkb >> 2;
        d->memory.max_pages = pages < DOMAIN_MAX_PAGES ? pages : DOMAIN_MAX_PAGES;
        return 0;
    case XEN_DOMCTL_max_vcpus:
        return max_vcpus(d, &op->u.max_vcpus);
    case XEN_DOMCTL_getvcpuinfo:
        *copyback = true;
        return get_vcpu_info(d, &op->u.getvcpuinfo);
    case XEN_DOMCTL_setdomainhandle:
        __builtin_memcpy(d->config.handle, op->u.setdomainhandle.handle, sizeof(d->config.handle));
        return 0;
    case XEN_DOMCTL_shadow_op:
        return log_dirty_op(d, &op->u.shadow_op, copyback);
    default:
        return -XEN_ENOSYS;
    }
}

long do_domctl(struct hypervisor *hv, uint64_t op_addr)
{
    struct xen_domctl op;
    struct domain *d;
    bool copyback = false;
    long rc;

    if (platform_copy_from_guest(hv->platform, &op, op_addr, sizeof(op)))
        return -XEN_EFAULT;
    if (op.interface_version != XEN_DOMCTL_INTERFACE_VERSION)
        return -XEN_EACCES;
    if (op.cmd == XEN_DOMCTL_createdomain)
        return create_domain(hv, &op, op_addr);

    d = domain_by_id(hv, op.domain == DOMID_SELF ? 0 : op.domain);
    if (!d)
        return -XEN_ESRCH;
    op.domain = d->id;
    rc = simple_op(d, &op, &copyback);
    if (rc == -XEN_ENOSYS)
        rc = arch_do_domctl(hv, d, &op, &copyback);
    if (copyback && platform_copy_to_guest(hv->platform, op_addr, &op, sizeof(op)))
        rc = -XEN_EFAULT;
    return rc;
}
