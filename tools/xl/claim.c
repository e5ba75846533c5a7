/* SPDX-License-Identifier: MIT */
/*
 * One at a time: see xl_claim() in xl.h.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "out.h"
#include "xl.h"

/*
 * An abstract socket: bound by one process at most, and free again when that is gone, however it
 * went.  Simulated hosts are on this machine, and so are all who can reach them.  The host is known
 * by its socket's file, not by the many names that it may have.
 */
int xl_claim(uint32_t domid)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct stat st;
    socklen_t length;
    int fd;

    if (stat(xl_socket(), &st)) {
        warn("%s: %s", xl_socket(), strerror(errno));
        return -1;
    }
    length =
        (socklen_t)snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "xl-sim/%llx/%llx/%u",
                            (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, domid);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        warn("a socket: %s", strerror(errno));
        return -1;
    }
    length += (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
    if (!bind(fd, (const struct sockaddr *)&name, length))
        return 0; /* ours, until this process ends */
    if (errno == EADDRINUSE)
        warn("domain %u is being saved, restored or migrated: one at a time", domid);
    else
        warn("domain %u cannot be had for ourselves: %s", domid, strerror(errno));
    (void)close(fd);
    return -1;
}
