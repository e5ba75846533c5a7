/* SPDX-License-Identifier: MIT */
/* See xc_sr_wait.h. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "xc_private.h"
#include "xc_sr_wait.h"

int sr_wait(xc_handle *xch, int fd, short events, unsigned int patience)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    do
        n = poll(&p, 1, patience && patience < INT_MAX ? (int)patience : -1);
    while (n < 0 && errno == EINTR);
    if (n > 0) /* an error too is something: the call itself says which */
        return 0;
    if (n < 0)
        return xc_fail(xch, errno, "waiting for the stream: %s", strerror(errno));
    if (events == POLLOUT)
        return xc_fail(xch, ETIMEDOUT,
                       "writing the stream: the line is stalled, it has taken "
                       "nothing for %u ms",
                       patience);
    return xc_fail(xch, ETIMEDOUT,
                   "reading the stream: the line is stalled, nothing has come for "
                   "%u ms",
                   patience);
}
