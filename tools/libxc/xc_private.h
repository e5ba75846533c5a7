/* SPDX-License-Identifier: MIT */
/*
 * What the files of libxc share among themselves.
 */
#ifndef XC_PRIVATE_H
#define XC_PRIVATE_H

#include "xc.h"
#include "xc_transport.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/version.h>

/* None of this is offered by the shared library. */
#pragma GCC visibility push(hidden)

struct xc_interface {
    const struct xc_transport_ops *ops;
    void *state;
    struct xentoollog_logger *logger;
    struct xentoollog_logger *own_logger; /* when the caller gave none */
    uint32_t sysctl_version; /* what the hypervisor speaks: at first, what the installed */
    uint32_t domctl_version; /* headers say, which xc_core.c finds out when it is not so */
    char error[512];
};

/* A hypercall whose answer is a small number.  (Those of __HYPERVISOR_memory_op that are frame
 * numbers are not: ask the transport itself.) */
static inline int xc_hypercall(xc_handle *xch, unsigned int op,
                               const uint64_t args[XC_HYPERCALL_ARGS])
{
    return (int)xch->ops->hypercall(xch->state, op, args);
}

/*
 * The one way to fail: remembers and logs the line, sets errno to err, returns -1.  xch may be
 * NULL: then only errno is set.
 */
int xc_fail(xc_handle *xch, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Make a sysctl or domctl, copied to and from a hypercall buffer, in the version of the interface
 * that this hypervisor speaks.  -1 and errno; logs only when that is none of xc_abi.h's (errno
 * EPROTO then). */
int xc_sysctl(xc_handle *xch, struct xen_sysctl *op);
int xc_domctl(xc_handle *xch, struct xen_domctl *op);

/*
 * Reads, or sets, parameter HVM_PARAM_* of an HVM domain.  Returns 0; or -1 with errno, EINVAL
 * where the hypervisor has no such parameter.  Logs nothing: the caller says what it was for.
 */
int xc_hvm_get_param(xc_handle *xch, uint32_t domid, uint32_t index, uint64_t *value);
int xc_hvm_set_param(xc_handle *xch, uint32_t domid, uint32_t index, uint64_t value);

/* The reason to give people for a failed call of the transport: "not permitted: ..." */
const char *xc_reason(xc_handle *xch, int err);

#pragma GCC visibility pop

#endif /* XC_PRIVATE_H */
