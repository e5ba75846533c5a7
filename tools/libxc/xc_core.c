/* SPDX-License-Identifier: MIT */
/*
 * The handle, its errors, and the way of a sysctl or domctl through the transport.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xc_abi.h"
#include "xc_private.h"
#include "xc_text.h"

int xc_fail(xc_handle *xch, int err, const char *fmt, ...)
{
    va_list ap;

    if (xch) {
        va_start(ap, fmt);
        (void)xc_text_vprint(xch->error, sizeof(xch->error), fmt, ap);
        va_end(ap);
        xtl_log(xch->logger, XTL_ERROR, -1, "xenlevel", "%s", xch->error);
    }
    errno = err;
    return -1;
}

xc_handle *xc_interface_open_transport(const struct xc_transport_ops *ops, const char *where,
                                       struct xentoollog_logger *logger)
{
    xc_handle *xch = calloc(1, sizeof(*xch));
    char why[256] = "";
    int err;

    if (!xch)
        return NULL;
    if (!logger)
        logger = xch->own_logger =
            (struct xentoollog_logger *)xtl_createlogger_stdiostream(stderr, XTL_WARN, 0);
    if (!logger) {
        free(xch);
        errno = ENOMEM;
        return NULL;
    }
    xch->ops = ops;
    xch->logger = logger;
    xch->sysctl_version = XEN_SYSCTL_INTERFACE_VERSION;
    xch->domctl_version = XEN_DOMCTL_INTERFACE_VERSION;
    if (!ops->open(&xch->state, where, why, sizeof(why)))
        return xch;

    err = errno;
    (void)xc_fail(xch, err, "%s", why);
    if (xch->own_logger)
        xtl_logger_destroy(xch->own_logger);
    free(xch);
    errno = err;
    return NULL;
}

xc_handle *xc_interface_open(struct xentoollog_logger *logger)
{
    /* secure_: a program with more rights than its user asks the hypervisor that it runs under. */
    const char *where = secure_getenv("XENLEVEL_HOST");

    if (where && where[0])
        return xc_interface_open_transport(&xc_transport_sim, where, logger);
    return xc_interface_open_transport(&xc_transport_xen, NULL, logger);
}

void xc_interface_close(xc_handle *xch)
{
    int err = errno;

    if (xch) {
        xch->ops->close(xch->state);
        if (xch->own_logger)
            xtl_logger_destroy(xch->own_logger);
        free(xch);
    }
    errno = err;
}

struct xentoollog_logger *xc_set_logger(xc_handle *xch, struct xentoollog_logger *logger)
{
    struct xentoollog_logger *before = xch->logger;

    xch->logger = logger;
    return before;
}

const char *xc_last_error(const xc_handle *xch)
{
    return xch->error;
}

const char *xc_reason(xc_handle *xch, int err)
{
    const char *why = err == EIO ? xch->ops->why(xch->state) : NULL;

    switch (err) {
    case EPERM:
        return "not permitted (only dom0, or a domain that its policy allows, may ask)";
    case EACCES:
        return "refused by the hypervisor's access control";
    case ENOSYS:
    case EOPNOTSUPP:
        return "this hypervisor does not offer it";
    default:
        return why ? why : strerror(err);
    }
}

/* One hypercall whose only argument is a struct that goes both ways. */
static int struct_call(xc_handle *xch, unsigned int nr, void *op, size_t size)
{
    void *buffer = xch->ops->alloc(xch->state, size);
    uint64_t args[XC_HYPERCALL_ARGS] = {(uintptr_t)buffer};
    int rc, err;

    if (!buffer)
        return -1;
    memcpy(buffer, op, size);
    rc = xc_hypercall(xch, nr, args);
    err = errno;
    memcpy(op, buffer, size);
    xch->ops->release(xch->state, buffer);
    errno = err;
    return rc;
}

/*
 * EACCES from a sysctl or domctl means "another interface version" as well as "not allowed".  Ask
 * again, a question without effect whose form is the same in all versions: the version that is not
 * refused is what this hypervisor speaks.
 */
#define VERSIONS_TRIED 0x60u

static bool speaks_sysctl(xc_handle *xch, uint32_t version)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_physinfo, .interface_version = version};

    return struct_call(xch, __HYPERVISOR_sysctl, &op, sizeof(op)) >= 0 || errno != EACCES;
}

static bool speaks_domctl(xc_handle *xch, uint32_t version)
{
    struct xen_domctl op = {
        .cmd = XEN_DOMCTL_getdomaininfo, .interface_version = version, .domain = 0};

    return struct_call(xch, __HYPERVISOR_domctl, &op, sizeof(op)) >= 0 || errno != EACCES;
}

/* One of the two interfaces, and which of its versions we know. */
struct interface {
    const char *name;
    uint32_t oldest, newest;
    bool (*speaks)(xc_handle *xch, uint32_t version);
};

static const struct interface sysctl_interface = {"sysctl", XC_SYSCTL_OLDEST, XC_SYSCTL_NEWEST,
                                                  speaks_sysctl};
static const struct interface domctl_interface = {"domctl", XC_DOMCTL_OLDEST, XC_DOMCTL_NEWEST,
                                                  speaks_domctl};

static int fail_version(xc_handle *xch, const struct interface *i, uint32_t running)
{
    uint64_t args[XC_HYPERCALL_ARGS] = {XENVER_version};
    int rc = xc_hypercall(xch, __HYPERVISOR_xen_version, args);
    unsigned int xen = rc > 0 ? (unsigned int)rc : 0;

    return xc_fail(
        xch, EPROTO,
        "Xen %u.%u speaks version %#x of the %s interface, and this xenlevel knows %#x to "
        "%#x (Xen 4.17 to 4.22): install %s",
        xen >> 16, xen & 0xffff, running, i->name, i->oldest, i->newest,
        running > i->newest ? "a newer xenlevel" : "a newer Xen");
}

/*
 * Finds out which version of an interface the hypervisor speaks, after it has refused *version.
 * 0, and *version is another one that we know; -1 and errno: EPROTO, logged, when it is none of
 * those, EACCES when it was not the version that was refused.
 */
static int find_version(xc_handle *xch, const struct interface *i, uint32_t *version)
{
    uint32_t running = 0;

    for (uint32_t v = i->oldest; v <= i->newest && !running; v++)
        if (i->speaks(xch, v))
            running = v;
    for (uint32_t v = 1; v < VERSIONS_TRIED && !running; v++)
        if (i->speaks(xch, v))
            running = v;
    if (!running || running == *version) {
        errno = EACCES;
        return -1;
    }
    if (running < i->oldest || running > i->newest)
        return fail_version(xch, i, running);
    *version = running;
    return 0;
}

int xc_sysctl(xc_handle *xch, struct xen_sysctl *op)
{
    const struct xen_sysctl asked = *op;
    int rc;

    op->interface_version = xch->sysctl_version;
    rc = struct_call(xch, __HYPERVISOR_sysctl, op, sizeof(*op));
    if (rc >= 0 || errno != EACCES)
        return rc;
    if (find_version(xch, &sysctl_interface, &xch->sysctl_version))
        return -1;
    *op = asked;
    op->interface_version = xch->sysctl_version;
    return struct_call(xch, __HYPERVISOR_sysctl, op, sizeof(*op));
}

int xc_domctl(xc_handle *xch, struct xen_domctl *op)
{
    const struct xen_domctl asked = *op;
    int rc;

    op->interface_version = xch->domctl_version;
    rc = struct_call(xch, __HYPERVISOR_domctl, op, sizeof(*op));
    if (rc >= 0 || errno != EACCES)
        return rc;
    if (find_version(xch, &domctl_interface, &xch->domctl_version))
        return -1;
    *op = asked;
    op->interface_version = xch->domctl_version;
    return struct_call(xch, __HYPERVISOR_domctl, op, sizeof(*op));
}
