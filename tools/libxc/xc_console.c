/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_private.h"

/* Larger than any ring that Xen has without conring_size=; what is beyond comes with the next. */
#define CHUNK (64u << 10)

/* Up to CHUNK bytes behind *index into buffer; *count, *index: how far it came. */
static int read_chunk(xc_handle *xch, char *buffer, bool clear, uint32_t *index, uint32_t *count)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_readconsole};

    op.u.readconsole.clear = clear;
    op.u.readconsole.incremental = 1;
    op.u.readconsole.index = *index;
    op.u.readconsole.count = CHUNK;
    set_xen_guest_handle(op.u.readconsole.buffer, buffer);
    if (xc_sysctl(xch, &op) < 0) {
        if (errno == EPROTO)
            return -1;
        return xc_fail(xch, errno, "reading the hypervisor's log: %s", xc_reason(xch, errno));
    }
    if (op.u.readconsole.count > CHUNK)
        return xc_fail(xch, EIO, "the hypervisor says it wrote %u bytes of its log where %u fit",
                       op.u.readconsole.count, CHUNK);
    *index = op.u.readconsole.index;
    *count = op.u.readconsole.count;
    return 0;
}

int xc_readconsole(xc_handle *xch, bool clear, char **text, size_t *len)
{
    char *buffer = xch->ops->alloc(xch->state, CHUNK);
    uint32_t index = 0, count = 0;
    int rc, err;

    *text = NULL;
    *len = 0;
    if (!buffer)
        return xc_fail(xch, errno, "reading the hypervisor's log: %s", strerror(errno));
    do {
        char *more;

        rc = read_chunk(xch, buffer, clear, &index, &count);
        if (rc)
            break;
        more = realloc(*text, *len + count + 1);
        if (!more) {
            rc = xc_fail(xch, ENOMEM, "out of memory for the hypervisor's log");
            break;
        }
        *text = more;
        memcpy(more + *len, buffer, count);
        *len += count;
        more[*len] = '\0';
        /* A full buffer: there may be more.  `clear` has emptied the ring, whatever fitted. */
    } while (count == CHUNK && !clear && *len < XC_CONSOLE_MAX);
    err = errno;
    xch->ops->release(xch->state, buffer);
    if (rc) {
        free(*text);
        *text = NULL;
        *len = 0;
    }
    errno = err;
    return rc;
}
