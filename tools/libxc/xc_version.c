/* SPDX-License-Identifier: MIT */
/*
 * Which hypervisor this is: the XENVER_* questions.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xc_private.h"

/* Ask one question whose answer is text of at most size bytes. */
static int ask_text(xc_handle *xch, unsigned int cmd, char *text, size_t size)
{
    char *buffer = xch->ops->alloc(xch->state, size);
    uint64_t args[XC_HYPERCALL_ARGS] = {cmd, (uintptr_t)buffer};
    int rc, err;

    text[0] = '\0';
    if (!buffer)
        return -1;
    rc = xc_hypercall(xch, __HYPERVISOR_xen_version, args);
    err = errno;
    if (rc >= 0) {
        memcpy(text, buffer, size);
        text[size - 1] = '\0';
    }
    xch->ops->release(xch->state, buffer);
    errno = err;
    return rc;
}

/* The build id is optional: a hypervisor linked without one answers ENODATA. */
static void ask_build_id(xc_handle *xch, char *hex, size_t hex_size)
{
    const uint32_t room = 32;
    xen_build_id_t *id = xch->ops->alloc(xch->state, sizeof(*id) + room);
    uint64_t args[XC_HYPERCALL_ARGS] = {XENVER_build_id, (uintptr_t)id};
    int n;

    hex[0] = '\0';
    if (!id)
        return;
    id->len = room;
    n = xc_hypercall(xch, __HYPERVISOR_xen_version, args);
    for (size_t i = 0; n > 0 && i < (size_t)n && i < room && 2 * i + 2 < hex_size; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", id->buf[i]);
    xch->ops->release(xch->state, id);
}

int xc_version(xc_handle *xch, struct xc_version *v)
{
    uint64_t args[XC_HYPERCALL_ARGS] = {XENVER_version};
    int rc = xc_hypercall(xch, __HYPERVISOR_xen_version, args);

    memset(v, 0, sizeof(*v));
    if (rc < 0)
        return xc_fail(xch, errno, "asking Xen for its version: %s", xc_reason(xch, errno));
    v->major = (unsigned int)rc >> 16;
    v->minor = (unsigned int)rc & 0xffff;
    if (ask_text(xch, XENVER_extraversion, v->extra, sizeof(v->extra)) < 0 ||
        ask_text(xch, XENVER_capabilities, v->capabilities, sizeof(v->capabilities)) < 0)
        return xc_fail(xch, errno, "asking Xen for its version and capabilities: %s",
                       xc_reason(xch, errno));
    (void)snprintf(v->text, sizeof(v->text), "%u.%u%s", v->major, v->minor, v->extra);
    ask_build_id(xch, v->build_id, sizeof(v->build_id));
    return 0;
}

_Static_assert(sizeof(xen_commandline_t) == XC_COMMAND_LINE, "the ABI's size");

int xc_command_line(xc_handle *xch, char text[static XC_COMMAND_LINE])
{
    if (ask_text(xch, XENVER_commandline, text, XC_COMMAND_LINE) < 0)
        return xc_fail(xch, errno, "asking Xen for its command line: %s", xc_reason(xch, errno));
    return 0;
}
