/* SPDX-License-Identifier: MIT */
/*
 * Pages between a stream and the file that a simulated host's memory is, moved inside the kernel
 * (splice(2)): nothing is mapped, a frame that is overwritten at once is not cleared before, and
 * what goes into a pipe or a socket is not copied at all: the reader gets it from the frame.
 *
 * The memory of a real host has no such file; then readv() and writev() do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xc_sr_private.h"
#include "xc_sr_wait.h"

#define PIPE_BYTES (1 << 20) /* what an unprivileged process may have, if it was not forbidden */
#define COPY_BYTES 65536u

/* Which way is there for this end of the stream? */
static void choose_way(struct sr_splice *s, int fd, bool by_reference)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    s->how = SR_SPLICE_NEVER;
    if (flags < 0 || fstat(fd, &st))
        return;
    if (S_ISFIFO(st.st_mode)) {
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* one side works while the other does */
        if (by_reference)
            s->how = SR_SPLICE_DIRECT;
        return;
    }
    if (!S_ISREG(st.st_mode) && !(S_ISSOCK(st.st_mode) && by_reference))
        return;
    if (pipe2(s->pipe, O_CLOEXEC))
        return;
    (void)fcntl(s->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
    s->how = SR_SPLICE_THROUGH;
}

void sr_splice_close(struct sr_splice *s)
{
    int err = errno;

    if (s->how == SR_SPLICE_THROUGH) {
        (void)close(s->pipe[0]);
        (void)close(s->pipe[1]);
    }
    s->how = SR_SPLICE_NEVER;
    errno = err;
}

bool sr_splice_find(struct sr_splice *s, xc_handle *xch, int fd, bool by_reference,
                    const struct iovec *pages, size_t n)
{
    s->xch = xch;
    if (s->how == SR_SPLICE_UNKNOWN)
        choose_way(s, fd, by_reference);
    if (s->how == SR_SPLICE_NEVER || !xch->ops->file)
        return false;
    s->nr_runs = 0;
    for (size_t i = 0; i < n; i++) {
        struct sr_run *last = &s->runs[s->nr_runs ? s->nr_runs - 1 : 0];
        off_t at;
        int file = xch->ops->file(xch->state, pages[i].iov_base, &at);

        if (file < 0)
            return false;
        if (s->nr_runs && last->file == file && last->at + (off_t)last->size == at)
            last->size += pages[i].iov_len;
        else
            s->runs[s->nr_runs++] = (struct sr_run){file, at, pages[i].iov_len};
    }
    return true;
}

/* splice(), which is not interrupted. */
static ssize_t move_bytes(int from, off_t *from_at, int to, off_t *to_at, size_t size,
                          unsigned int flags)
{
    ssize_t n;

    do
        n = splice(from, from_at, to, to_at, size, flags);
    while (n < 0 && errno == EINTR);
    return n;
}

/* The stream's end of a splice() that would block: wait for it.  -1 with errno, logged. */
static int wait_for(struct sr_splice *s, int fd, short events)
{
    s->told = sr_wait(s->xch, fd, events, s->patience) != 0;
    return s->told ? -1 : 0;
}

/* ---- writing ---- */

/* The same without splice(), for a file that does not take it: one that is opened to append, or of
 * a file system that has no such thing. */
static int copy_out(struct sr_splice *s, int from, int fd, size_t size)
{
    char buf[COPY_BYTES];

    while (size) {
        ssize_t n = read(from, buf, size < sizeof(buf) ? size : sizeof(buf)), done = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        while (done < n) {
            ssize_t w = write(fd, buf + done, (size_t)(n - done));

            if (w < 0 && errno == EAGAIN ? wait_for(s, fd, POLLOUT) : w < 0 && errno != EINTR)
                return -1;
            done += w > 0 ? w : 0;
        }
        size -= (size_t)n;
    }
    return 0;
}

/* What stands in our pipe, all of it, into the stream. */
static int empty_pipe(struct sr_splice *s, int fd, size_t size)
{
    while (size) {
        ssize_t n = move_bytes(s->pipe[0], NULL, fd, NULL, size, 0);

        if (n < 0 && errno == EINVAL)
            return copy_out(s, s->pipe[0], fd, size);
        if (n < 0 && errno == EAGAIN && !wait_for(s, fd, POLLOUT))
            continue;
        if (n <= 0)
            return -1;
        size -= (size_t)n;
    }
    return 0;
}

static int write_through(struct sr_splice *s, int fd)
{
    size_t held = 0;

    for (size_t i = 0; i < s->nr_runs; i++) {
        struct sr_run run = s->runs[i];

        while (run.size) {
            ssize_t n =
                move_bytes(run.file, &run.at, s->pipe[1], NULL, run.size, SPLICE_F_NONBLOCK);

            if (n < 0 && errno == EAGAIN && held) {
                if (empty_pipe(s, fd, held))
                    return -1;
                held = 0;
                continue;
            }
            if (n <= 0)
                return -1;
            run.size -= (size_t)n;
            held += (size_t)n;
        }
    }
    return empty_pipe(s, fd, held);
}

static int write_direct(struct sr_splice *s, int fd)
{
    for (size_t i = 0; i < s->nr_runs; i++) {
        struct sr_run run = s->runs[i];

        while (run.size) {
            ssize_t n = move_bytes(run.file, &run.at, fd, NULL, run.size, 0);

            if (n < 0 && errno == EAGAIN && !wait_for(s, fd, POLLOUT))
                continue;
            if (n <= 0)
                return -1;
            run.size -= (size_t)n;
        }
    }
    return 0;
}

int sr_splice_write(struct sr_splice *s, int fd)
{
    int rc;

    s->told = false;
    errno = EIO; /* for a file that ends too early */
    rc = s->how == SR_SPLICE_DIRECT ? write_direct(s, fd) : write_through(s, fd);
    return rc && !s->told ? xc_fail(s->xch, errno, "writing the stream: %s", strerror(errno)) : rc;
}

/* ---- reading ---- */

/* Up to `size` bytes from a pipe into the runs from *run on, which become shorter.  0: the end of
 * the pipe. */
static ssize_t fill_run(struct sr_run **run, int from, size_t size)
{
    ssize_t n;

    while (!(*run)->size)
        ++*run;
    n = move_bytes(from, NULL, (*run)->file, &(*run)->at, size < (*run)->size ? size : (*run)->size,
                   0);
    if (n > 0)
        (*run)->size -= (size_t)n;
    return n;
}

/* The next bytes of the stream: into the runs, or into our pipe.  As splice(). */
static ssize_t take_bytes(struct sr_splice *s, struct sr_run **run, int fd, size_t size)
{
    ssize_t n;

    do {
        /* A descriptor that blocks must not keep us longer than the patience. */
        if (s->patience && wait_for(s, fd, POLLIN))
            return -1;
        n = s->how == SR_SPLICE_DIRECT
                ? fill_run(run, fd, size)
                : move_bytes(fd, NULL, s->pipe[1], NULL, size < PIPE_BYTES ? size : PIPE_BYTES, 0);
    } while (n < 0 && errno == EAGAIN && !wait_for(s, fd, POLLIN));
    return n;
}

/* As sr_splice_read(), and not logged. */
static ssize_t read_runs(struct sr_splice *s, int fd)
{
    struct sr_run *run = s->runs;
    size_t total = 0, left;

    for (size_t i = 0; i < s->nr_runs; i++)
        total += s->runs[i].size;
    left = total;
    while (left) {
        ssize_t n = take_bytes(s, &run, fd, left);

        if (n < 0 && errno == EINVAL && left == total) {
            sr_splice_close(s); /* a file system that does not know it */
            return SR_SPLICE_REFUSED;
        }
        if (n <= 0)
            return n;
        left -= (size_t)n;
        while (s->how == SR_SPLICE_THROUGH && n) {
            ssize_t done = fill_run(&run, s->pipe[0], (size_t)n);

            if (done <= 0)
                return -1;
            n -= done;
        }
    }
    return 1;
}

ssize_t sr_splice_read(struct sr_splice *s, int fd)
{
    ssize_t rc;

    s->told = false;
    rc = read_runs(s, fd);
    return rc == -1 && !s->told ? xc_fail(s->xch, errno, "reading the stream: %s", strerror(errno))
                                : rc;
}
