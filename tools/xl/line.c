/* SPDX-License-Identifier: MIT */
/* See line.h. */
#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "out.h"

static int wait_for(int fd, short events, int patience)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;

    if (patience < 0)
        return 0;
    do
        n = poll(&p, 1, patience);
    while (n < 0 && errno == EINTR);
    if (!n)
        errno = ETIMEDOUT;
    return n > 0 ? 0 : -1;
}

int line_write(int fd, const void *buf, size_t size, int patience)
{
    const char *p = buf;

    while (size) {
        /* A pipe that poll() calls writable takes so many without blocking. */
        size_t piece = patience >= 0 && size > PIPE_BUF ? PIPE_BUF : size;
        ssize_t n;

        if (wait_for(fd, POLLOUT, patience))
            return -1;
        n = write(fd, p, piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int line_read(int fd, void *buf, size_t size, int patience)
{
    char *p = buf;

    while (size) {
        ssize_t n;

        if (wait_for(fd, POLLIN, patience))
            return -1;
        n = read(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EPIPE;
        if (n <= 0)
            return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

/* ---- signals ---- */

static volatile sig_atomic_t line = -1;
static int dead = -1; /* an end of a pipe that has no other */

static void cut_line(int number)
{
    int err = errno;

    (void)number;
    if (line >= 0)
        (void)dup2(dead,
                   line); /* async-signal-safe; who is in poll() or read() looks again: EINTR */
    errno = err;
}

int line_cut_by_signals(int fd, bool writing)
{
    static const int fatal[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = cut_line};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC)) {
        warn("a pipe: %s", strerror(errno));
        return -1;
    }
    (void)close(ends[writing ? 0 : 1]);
    dead = ends[writing ? 1 : 0];
    line = fd;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        (void)sigaction(fatal[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
    (void)sigaction(SIGXFSZ, &action, NULL);
    return 0;
}

void line_close(int fd)
{
    if (line == fd)
        line = -1; /* its number may be another file's soon */
    (void)close(fd);
}
