/* SPDX-License-Identifier: MIT */
/*
 * The transport to a real hypervisor: libxencall.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xencall.h>
#include <xentoollog.h>

#include "xc_transport.h"

struct xen_state {
    xencall_handle *call;
    xentoollog_logger_stdiostream *quiet;
};

static void explain_open(int err, char *why, size_t size)
{
    /* libxencall looks at both places; /proc/xen is where older kernels have it. */
    if (access("/dev/xen/privcmd", F_OK) && access("/proc/xen/privcmd", F_OK))
        (void)snprintf(
            why, size,
            "no Xen here: there is neither /dev/xen/privcmd nor /proc/xen/privcmd (this must "
            "run in dom0 of a Xen host)");
    else if (err == EACCES || err == EPERM)
        (void)snprintf(why, size, "Xen's privcmd device cannot be opened: %s (root is needed)",
                       strerror(err));
    else
        (void)snprintf(why, size, "no Xen here: its privcmd device cannot be opened: %s",
                       strerror(err));
}

static int xen_open(void **state, const char *where, char *why, size_t why_size)
{
    struct xen_state *s;
    int err;

    if (where) {
        (void)snprintf(why, why_size, "the Xen transport takes no address ('%s')", where);
        errno = EINVAL;
        return -1;
    }
    s = calloc(1, sizeof(*s));
    if (!s) {
        (void)snprintf(why, why_size, "out of memory");
        return -1;
    }
    /* libxencall reports each device it tried; explain_open() says it once, and better. */
    s->quiet = xtl_createlogger_stdiostream(stderr, XTL_CRITICAL, 0);
    s->call = xencall_open((struct xentoollog_logger *)s->quiet, 0);
    if (s->call) {
        *state = s;
        return 0;
    }
    err = errno ? errno : EIO;
    explain_open(err, why, why_size);
    if (s->quiet)
        xtl_logger_destroy((struct xentoollog_logger *)s->quiet);
    free(s);
    errno = err;
    return -1;
}

static void xen_close(void *state)
{
    struct xen_state *s = state;

    (void)xencall_close(s->call); /* nothing can be done about a failure */
    if (s->quiet)
        xtl_logger_destroy((struct xentoollog_logger *)s->quiet);
    free(s);
}

static void *xen_alloc(void *state, size_t size)
{
    struct xen_state *s = state;
    void *buffer = xencall_alloc_buffer(s->call, size);

    if (buffer)
        memset(buffer, 0, size);
    else if (!errno)
        errno = ENOMEM;
    return buffer;
}

static void xen_release(void *state, void *buffer)
{
    struct xen_state *s = state;

    if (buffer)
        xencall_free_buffer(s->call, buffer);
}

static int xen_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    struct xen_state *s = state;

    return xencall5(s->call, op, args[0], args[1], args[2], args[3], args[4]);
}

const struct xc_transport_ops xc_transport_xen = {
    .name = "Xen",
    .open = xen_open,
    .close = xen_close,
    .alloc = xen_alloc,
    .release = xen_release,
    .hypercall = xen_hypercall,
};
