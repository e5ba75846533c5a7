/* SPDX-License-Identifier: MIT */
/*
 * Where dom0's hypercalls arrive, and the two families that are too small for files of their own.
 */
#include <hypervisor.h>
#include <pv.h>

#include <xen/errno.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>

long do_sched_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    struct sched_remote_shutdown shutdown;
    struct domain *d;

    if (cmd != SCHEDOP_remote_shutdown)
        return -XEN_ENOSYS;
    if (platform_copy_from_guest(hv->platform, &shutdown, arg, sizeof(shutdown)))
        return -XEN_EFAULT;
    d = domain_by_id(hv, shutdown.domain_id);
    if (!d)
        return -XEN_ESRCH;
    if (d->id == 0) /* itself: there is another operation for that */
        return -XEN_EPERM;
    if (shutdown.reason > SHUTDOWN_MAX)
        return -XEN_EINVAL;
    domain_shutdown(d, (uint8_t)shutdown.reason);
    return 0;
}

long do_hvm_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    struct xen_hvm_param param;
    struct domain *d;

    if (cmd != HVMOP_set_param && cmd != HVMOP_get_param)
        return -XEN_ENOSYS;
    if (platform_copy_from_guest(hv->platform, &param, arg, sizeof(param)))
        return -XEN_EFAULT;
    if (param.index >= HVM_NR_PARAMS)
        return -XEN_EINVAL;
    d = domain_by_id(hv, param.domid == DOMID_SELF ? 0 : param.domid);
    if (!d)
        return -XEN_ESRCH;
    if (!d->hvm)
        return -XEN_EINVAL;

    param.index = index_nospec(param.index, HVM_NR_PARAMS);
    if (cmd == HVMOP_set_param) {
        d->hvm_params[param.index] = param.value;
        return 0;
    }
    param.value = d->hvm_params[param.index];
    return platform_copy_to_guest(hv->platform, arg, &param, sizeof(param)) ? -XEN_EFAULT : 0;
}

long hypercall(struct hypervisor *hv, unsigned int op, const uint64_t args[HYPERCALL_ARGS])
{
    switch (op) {
    case __HYPERVISOR_memory_op:
        return do_memory_op(hv, (unsigned int)args[0], args[1]);
    case __HYPERVISOR_xen_version:
        return do_xen_version(hv, (unsigned int)args[0], args[1]);
    case __HYPERVISOR_sched_op:
        return do_sched_op(hv, (unsigned int)args[0], args[1]);
    case __HYPERVISOR_hvm_op:
        return do_hvm_op(hv, (unsigned int)args[0], args[1]);
    case __HYPERVISOR_mmuext_op:
        return do_mmuext_op(hv, args[0], (unsigned int)args[1], args[2], (uint32_t)args[3]);
    case __HYPERVISOR_sysctl:
        return do_sysctl(hv, args[0]);
    case __HYPERVISOR_domctl:
        return do_domctl(hv, args[0]);
    default:
        return -XEN_ENOSYS;
    }
}
