/* SPDX-License-Identifier: MIT */
/*
 * The parameters of an HVM or PVH domain (<xen/hvm/params.h>).
 */
#include <errno.h>

#include "xc_private.h"

#include <xen/hvm/hvm_op.h>

static int call_hvm_op(xc_handle *xch, unsigned int cmd, uint32_t domid, uint32_t index,
                       uint64_t *value)
{
    struct xen_hvm_param *p = xch->ops->alloc(xch->state, sizeof(*p));
    const uint64_t args[XC_HYPERCALL_ARGS] = {cmd, (uintptr_t)p};
    int rc, err;

    if (!p) {
        errno = ENOMEM;
        return -1;
    }
    *p = (struct xen_hvm_param){.domid = (domid_t)domid, .index = index, .value = *value};
    rc = xc_hypercall(xch, __HYPERVISOR_hvm_op, args);
    err = errno;
    *value = p->value;
    xch->ops->release(xch->state, p);
    errno = err;
    return rc < 0 ? -1 : 0;
}

int xc_hvm_get_param(xc_handle *xch, uint32_t domid, uint32_t index, uint64_t *value)
{
    *value = 0;
    return call_hvm_op(xch, HVMOP_get_param, domid, index, value);
}

int xc_hvm_set_param(xc_handle *xch, uint32_t domid, uint32_t index, uint64_t value)
{
    return call_hvm_op(xch, HVMOP_set_param, domid, index, &value);
}
