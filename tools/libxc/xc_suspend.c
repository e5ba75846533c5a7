/* SPDX-License-Identifier: MIT */
/*
 * Suspending a domain from outside, and calling that off.
 */
#include <errno.h>

#include "xc_private.h"

#include <xen/sched.h>

/*
 * A guest with drivers has to be asked (xenstore's control/shutdown); this is for those that have
 * none, as the guests of simulated hosts.
 */
int xc_domain_suspend(xc_handle *xch, uint32_t domid)
{
    struct sched_remote_shutdown *arg = xch->ops->alloc(xch->state, sizeof(*arg));
    const uint64_t args[XC_HYPERCALL_ARGS] = {SCHEDOP_remote_shutdown, (uintptr_t)arg};
    int rc, err;

    if (!arg)
        return xc_fail(xch, ENOMEM, "out of memory for suspending a domain");
    *arg = (struct sched_remote_shutdown){.domain_id = (domid_t)domid, .reason = SHUTDOWN_suspend};
    rc = xc_hypercall(xch, __HYPERVISOR_sched_op, args);
    err = errno;
    xch->ops->release(xch->state, arg);
    if (rc < 0)
        return xc_fail(xch, err, "domain %u is not suspended: %s", domid, xc_reason(xch, err));
    return 0;
}

int xc_domain_resume(xc_handle *xch, uint32_t domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_resumedomain, .domain = (domid_t)domid};

    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u does not go on: %s", domid, xc_reason(xch, errno));
    return 0;
}
