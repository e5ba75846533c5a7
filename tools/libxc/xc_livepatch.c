/* SPDX-License-Identifier: MIT */
/*
 * Live patches: code put into the running hypervisor.  Actions are asynchronous there; here they
 * are waited for.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "xc_private.h"

/* How often, and how long, an action is asked after. */
enum { POLL_MS = 2, WAIT_MS = 30000 };

static int fill_name(xc_handle *xch, const char *name, struct xen_livepatch_name *n, char **buffer)
{
    size_t size = strlen(name) + 1;

    if (size > XEN_LIVEPATCH_NAME_SIZE)
        return xc_fail(xch, EINVAL, "'%s' is too long a name for a live patch", name);
    *buffer = xch->ops->alloc(xch->state, size);
    if (!*buffer)
        return xc_fail(xch, ENOMEM, "out of memory for a hypercall");
    memcpy(*buffer, name, size);
    n->size = (uint16_t)size;
    set_xen_guest_handle(n->name, *buffer);
    return 0;
}

/* -1, or what the hypervisor returns: a number, of the list. */
static int livepatch_op_count(xc_handle *xch, struct xen_sysctl *op)
{
    int rc;

    op->cmd = XEN_SYSCTL_livepatch_op;
    rc = xc_sysctl(xch, op);
    if (rc >= 0)
        return rc;
    if (errno == ENOSYS || errno == EOPNOTSUPP)
        return xc_fail(xch, EOPNOTSUPP, "this Xen has no support for live patches");
    return -1;
}

static int livepatch_op(xc_handle *xch, struct xen_sysctl *op)
{
    return livepatch_op_count(xch, op) < 0 ? -1 : 0;
}

int xc_livepatch_get(xc_handle *xch, const char *name, struct xc_livepatch_status *status)
{
    struct xen_sysctl op = {.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_GET};
    char *buffer;
    int rc, err;

    *status = (struct xc_livepatch_status){XC_LIVEPATCH_ABSENT, 0};
    if (fill_name(xch, name, &op.u.livepatch.u.get.name, &buffer))
        return -1;
    rc = livepatch_op(xch, &op);
    err = errno;
    xch->ops->release(xch->state, buffer);
    if (rc && err == ENOENT)
        return 0;
    if (rc) {
        errno = err;
        return err == EPROTO || err == EOPNOTSUPP
                   ? -1
                   : xc_fail(xch, err, "asking Xen for the live patch %s: %s", name,
                             xc_reason(xch, err));
    }
    status->state = op.u.livepatch.u.get.status.state == LIVEPATCH_STATE_APPLIED
                        ? XC_LIVEPATCH_APPLIED
                        : XC_LIVEPATCH_CHECKED;
    status->error = -op.u.livepatch.u.get.status.rc;
    return 0;
}

/* What the hypervisor writes the list of its live patches to.  A patch that comes in between finds
 * room. */
enum { LIST_MOST = 64, LIST_SLACK = 4096 };

struct list_buffers {
    char *names, *says;
    uint32_t *name_lengths, *says_lengths;
    xen_livepatch_status_t *status;
};

static void list_release(xc_handle *xch, struct list_buffers *b)
{
    int err = errno;

    xch->ops->release(xch->state, b->names);
    xch->ops->release(xch->state, b->says);
    xch->ops->release(xch->state, b->name_lengths);
    xch->ops->release(xch->state, b->says_lengths);
    xch->ops->release(xch->state, b->status);
    errno = err;
}

static int list_alloc(xc_handle *xch, struct list_buffers *b, size_t names, size_t says)
{
    b->names = xch->ops->alloc(xch->state, names + LIST_SLACK);
    b->says = xch->ops->alloc(xch->state, says + LIST_SLACK);
    b->name_lengths = xch->ops->alloc(xch->state, LIST_MOST * sizeof(*b->name_lengths));
    b->says_lengths = xch->ops->alloc(xch->state, LIST_MOST * sizeof(*b->says_lengths));
    b->status = xch->ops->alloc(xch->state, LIST_MOST * sizeof(*b->status));
    if (b->names && b->says && b->name_lengths && b->says_lengths && b->status)
        return 0;
    list_release(xch, b);
    return xc_fail(xch, ENOMEM, "out of memory for a hypercall");
}

/* Of the `n` patches that are in the list, what the one of this name says. */
static void find_says(const struct list_buffers *b, uint32_t n, size_t names, size_t says,
                      const char *name, char *buf, size_t size)
{
    size_t at = 0, said = 0;

    for (uint32_t i = 0; i < n; i++) {
        size_t len = b->name_lengths[i], told = b->says_lengths[i];

        if (len > names - at || told > says - said)
            return;
        if (len == strlen(name) + 1 && !memcmp(b->names + at, name, len) && told) {
            size_t most = told < size ? told : size - 1;

            memcpy(buf, b->says + said, most);
            buf[most] = '\0';
            return;
        }
        at += len;
        said += told;
    }
}

int xc_livepatch_says(xc_handle *xch, const char *name, char *buf, size_t size)
{
    struct xen_sysctl op = {.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_LIST};
    struct xen_sysctl_livepatch_list *list = &op.u.livepatch.u.list;
    struct list_buffers b = {0};
    size_t names, says;
    int rc;

    buf[0] = '\0';
    if (livepatch_op(xch, &op))
        goto failed;
    if (!list->nr)
        return 0;
    names = list->name_total_size;
    says = list->metadata_total_size;
    if (list_alloc(xch, &b, names, says))
        return -1;
    op = (struct xen_sysctl){.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_LIST};
    memset(list, 0, sizeof(*list));
    list->nr = LIST_MOST;
    set_xen_guest_handle(list->status, b.status);
    set_xen_guest_handle(list->name, b.names);
    set_xen_guest_handle(list->len, b.name_lengths);
    set_xen_guest_handle(list->metadata, b.says);
    set_xen_guest_handle(list->metadata_len, b.says_lengths);
    rc = livepatch_op_count(xch, &op);
    if (rc > 0)
        find_says(&b, (uint32_t)rc, names + LIST_SLACK, says + LIST_SLACK, name, buf, size);
    list_release(xch, &b);
    if (rc >= 0)
        return 0;
failed:
    return errno == EPROTO || errno == EOPNOTSUPP
               ? -1
               : xc_fail(xch, errno, "asking Xen for its live patches: %s", xc_reason(xch, errno));
}

int xc_livepatch_upload(xc_handle *xch, const char *name, const void *image, size_t size)
{
    struct xen_sysctl op = {.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_UPLOAD};
    struct xen_sysctl_livepatch_upload *up = &op.u.livepatch.u.upload;
    char *buffer;
    uint8_t *payload;
    int rc, err;

    if (fill_name(xch, name, &up->name, &buffer))
        return -1;
    payload = xch->ops->alloc(xch->state, size);
    if (!payload) {
        xch->ops->release(xch->state, buffer);
        return xc_fail(xch, ENOMEM, "out of memory for the live patch");
    }
    memcpy(payload, image, size);
    up->size = size;
    set_xen_guest_handle(up->payload, payload);
    rc = livepatch_op(xch, &op);
    err = errno;
    xch->ops->release(xch->state, payload);
    xch->ops->release(xch->state, buffer);
    if (!rc)
        return 0;
    errno = err;
    if (err == EPROTO || err == EOPNOTSUPP)
        return -1;
    return xc_fail(xch, err, "Xen does not take the live patch %s: %s", name, xc_reason(xch, err));
}

static int start_action(xc_handle *xch, const char *name, uint32_t action, uint32_t timeout_ns)
{
    struct xen_sysctl op = {.u.livepatch.cmd = XEN_SYSCTL_LIVEPATCH_ACTION};
    char *buffer;
    int rc, err;

    if (fill_name(xch, name, &op.u.livepatch.u.action.name, &buffer))
        return -1;
    op.u.livepatch.u.action.cmd = action;
    op.u.livepatch.u.action.timeout = timeout_ns;
    rc = livepatch_op(xch, &op);
    err = errno;
    xch->ops->release(xch->state, buffer);
    errno = err;
    return rc;
}

/* Until the hypervisor no longer says EAGAIN. */
static int wait_action(xc_handle *xch, const char *name, struct xc_livepatch_status *status)
{
    const struct timespec nap = {.tv_nsec = POLL_MS * 1000000L};

    for (int waited = 0; waited < WAIT_MS; waited += POLL_MS) {
        if (xc_livepatch_get(xch, name, status))
            return -1;
        if (status->error != EAGAIN)
            return 0;
        (void)nanosleep(&nap, NULL);
    }
    return xc_fail(xch, ETIMEDOUT, "Xen is still at work on the live patch %s after %d s", name,
                   WAIT_MS / 1000);
}

/*
 * Xen gathers all its CPUs to change code, and gives up with EBUSY when one of them does not come
 * in time: after 30 ms, if it is not told otherwise.  A CPU that was late must have seen that
 * before the next try begins: one that is still on its way to the last gathering is counted in the
 * new one, which then has nobody to lead it, and the host stands still (seen on an emulated host
 * whose CPUs had to wait for the machine; xen/common/livepatch.c, check_for_livepatch_work(), 4.17
 * to 4.20). So wait longer each time, and between two tries longer than any CPU is away.
 */
#define BUSY_TRIES    6
#define FIRST_TIME_NS 100000000u  /* doubled with each try, */
#define MOST_TIME_NS  1000000000u /* up to this: guests stand still meanwhile */
#define BUSY_NAP_S    1

/* One try.  0, with *status when there is any; -1 with errno; -2 when the line is logged already.
 */
static int try_action(xc_handle *xch, const char *name, uint32_t action, bool waits,
                      uint32_t timeout_ns, struct xc_livepatch_status *status)
{
    status->error = 0;
    if (start_action(xch, name, action, timeout_ns))
        return -1;
    return waits && wait_action(xch, name, status) ? -2 : 0;
}

int xc_livepatch_action(xc_handle *xch, const char *name, enum xc_livepatch_action action)
{
    static const struct {
        uint32_t number;
        const char *verb;
        enum xc_livepatch_state after;
    } actions[] = {
        [XC_LIVEPATCH_APPLY] = {LIVEPATCH_ACTION_APPLY, "apply", XC_LIVEPATCH_APPLIED},
        [XC_LIVEPATCH_REVERT] = {LIVEPATCH_ACTION_REVERT, "revert", XC_LIVEPATCH_CHECKED},
        [XC_LIVEPATCH_UNLOAD] = {LIVEPATCH_ACTION_UNLOAD, "unload", XC_LIVEPATCH_ABSENT},
    };
    const struct timespec nap = {.tv_sec = BUSY_NAP_S};
    const bool waits = actions[action].after != XC_LIVEPATCH_ABSENT;
    struct xc_livepatch_status status;
    uint32_t timeout_ns = FIRST_TIME_NS;
    int rc = 0;

    for (int tries = 0; tries < BUSY_TRIES; tries++) {
        rc = try_action(xch, name, actions[action].number, waits, timeout_ns, &status);
        if (rc == -2)
            return -1;
        if ((rc ? errno : status.error) != EBUSY)
            break;
        (void)nanosleep(&nap, NULL);
        timeout_ns = timeout_ns < MOST_TIME_NS / 2 ? 2 * timeout_ns : MOST_TIME_NS;
    }
    if (!rc && !waits)
        return 0; /* unloading is done when the call returns */
    if (rc && (errno == EPROTO || errno == EOPNOTSUPP))
        return -1;
    if (!rc && status.state == actions[action].after && !status.error)
        return 0;
    rc = rc ? errno : status.error ? status.error : EIO;
    return xc_fail(xch, rc, "Xen does not %s the live patch %s: %s", actions[action].verb, name,
                   xc_reason(xch, rc));
}
