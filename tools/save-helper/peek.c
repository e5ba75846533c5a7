/* SPDX-License-Identifier: MIT */
/*
 * The head of a stream, looked at without taking it: recv(MSG_PEEK) on a socket, tee(2) on a pipe.
 *
 * Then the stock helper can be given the very descriptor that libxl gave us, untouched, and nobody
 * need stand in between.  It works when the head is in the buffer of the pipe or socket as a whole;
 * it is a few kilobytes, so that is what happens unless the sender is very slow.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gate.h"

enum {
    PEEK_MAX = 65536,       /* the capacity of a pipe, unless somebody changed it */
    PEEK_PATIENCE_MS = 400, /* without a new byte, before it is read the other way */
    PEEK_PAUSE_MS = 2,
};

struct peek {
    int fd;
    bool socket;
    int copy[2]; /* the pipe that tee(2) writes to; -1 for a socket */
    uint8_t buf[PEEK_MAX];
};

/* What is there now, from the beginning: > 0 bytes in buf; 0: nothing; -1: it cannot be seen. */
static ssize_t look_at_stream(struct peek *p)
{
    ssize_t n, have = 0;

    if (p->socket)
        n = recv(p->fd, p->buf, sizeof(p->buf), MSG_PEEK | MSG_DONTWAIT);
    else
        n = tee(p->fd, p->copy[1], sizeof(p->buf), SPLICE_F_NONBLOCK);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    while (!p->socket && have < n) {
        ssize_t got = read(p->copy[0], p->buf + have, (size_t)(n - have));

        if (got <= 0)
            return -1;
        have += got;
    }
    return n;
}

/* 0 when the stream has more to come, or may have. */
static int wait_for_first(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    while (poll(&pfd, 1, -1) < 0)
        if (errno != EINTR)
            return -1;
    return pfd.revents & POLLIN ? 0 : -1;
}

static bool watch_stream(struct peek *p, struct xc_sr_head *head)
{
    static struct xc_sr_parser parser;
    const struct timespec pause = {.tv_nsec = PEEK_PAUSE_MS * 1000000L};
    int patience = PEEK_PATIENCE_MS / PEEK_PAUSE_MS;
    ssize_t seen = 0;

    if (wait_for_first(p->fd))
        return false;
    while (patience > 0) {
        ssize_t n = look_at_stream(p);

        if (n < 0)
            return false;
        if (n > seen) {
            xc_sr_parser_init(&parser, XC_SR_LIBXC, head);
            if (xc_sr_feed(&parser, p->buf, (size_t)n) < 0)
                return false;
            if (!xc_sr_needs(&parser))
                return true;
            seen = n;
            patience = PEEK_PATIENCE_MS / PEEK_PAUSE_MS;
        }
        if (n == PEEK_MAX)
            return false;
        /* poll() would return at once, because what was seen is still there. */
        (void)nanosleep(&pause, NULL);
        patience--;
    }
    return false;
}

bool peek_head(int fd, struct xc_sr_head *head)
{
    static struct peek p;
    struct stat st;
    bool found;

    if (!gate_may_peek() || fstat(fd, &st) || (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode)))
        return false;
    p.fd = fd;
    p.socket = S_ISSOCK(st.st_mode);
    p.copy[0] = p.copy[1] = -1;
    if (!p.socket && pipe2(p.copy, O_CLOEXEC))
        return false;
    found = watch_stream(&p, head);
    if (!p.socket) {
        close(p.copy[0]);
        close(p.copy[1]);
    }
    return found;
}
