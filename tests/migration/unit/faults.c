/* SPDX-License-Identifier: MIT */
/* See faults.h. */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "inproc.h"

static const struct fault *armed;
static unsigned int fail_at, calls;
static size_t allocated;

void faults_arm(const struct fault *fault, unsigned int at)
{
    armed = fault;
    fail_at = at;
    calls = 0;
    allocated = 0;
    inproc_fail_at(fault->call == FAULT_HOST ? at : 0);
}

unsigned int faults_disarm(void)
{
    if (armed->call == FAULT_HOST)
        calls = (unsigned int)inproc_calls();
    armed = NULL;
    inproc_fail_at(0);
    return calls;
}

size_t faults_allocated(void)
{
    return allocated;
}

/* Is this the call that has to fail? */
static bool hit(enum fault_call call)
{
    if (!armed || armed->call != call || inproc_inside())
        return false;
    calls++;
    if (calls != fail_at && fail_at != UINT_MAX)
        return false;
    if (armed->err)
        errno = armed->err;
    return true;
}

static bool no_memory(size_t size)
{
    if (armed && armed->call == FAULT_ALLOC && !inproc_inside())
        allocated += size;
    return hit(FAULT_ALLOC);
}

/* The vector's beginning, of that many bytes: *n elements of cut[]. */
static void shorten(const struct iovec *iov, int *n, struct iovec *cut, size_t bytes)
{
    int kept = 0;

    for (int i = 0; i < *n && bytes; i++) {
        cut[kept] = iov[i];
        if (cut[kept].iov_len > bytes)
            cut[kept].iov_len = bytes;
        bytes -= cut[kept++].iov_len;
    }
    *n = kept;
}

/* The linker's names: what was called, and what would have been. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __real_readv(int fd, const struct iovec *iov, int n);
ssize_t __real_writev(int fd, const struct iovec *iov, int n);
ssize_t __real_splice(int in, off_t *in_at, int out, off_t *out_at, size_t size, unsigned int how);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_readv(int fd, const struct iovec *iov, int n);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int n);

ssize_t __wrap_splice(int in, off_t *in_at, int out, off_t *out_at, size_t size, unsigned int how);

void *__wrap_malloc(size_t size)
{
    return no_memory(size) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return no_memory(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return no_memory(size) ? NULL : __real_realloc(p, size);
}

ssize_t __wrap_read(int fd, void *buf, size_t size)
{
    if (!hit(FAULT_READ))
        return __real_read(fd, buf, size);
    return armed->err ? -1 : __real_read(fd, buf, size < armed->bytes ? size : armed->bytes);
}

ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
    if (!hit(FAULT_WRITE))
        return __real_write(fd, buf, size);
    return armed->err ? -1 : __real_write(fd, buf, size < armed->bytes ? size : armed->bytes);
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int n)
{
    struct iovec cut[IOV_MAX];

    if (!hit(FAULT_READ))
        return __real_readv(fd, iov, n);
    if (armed->err)
        return -1;
    shorten(iov, &n, cut, armed->bytes);
    return __real_readv(fd, cut, n);
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
    struct iovec cut[IOV_MAX];

    if (!hit(FAULT_WRITE))
        return __real_writev(fd, iov, n);
    if (armed->err)
        return -1;
    shorten(iov, &n, cut, armed->bytes);
    return __real_writev(fd, cut, n);
}

/* Which way: a host's memory has an offset; between a stream and a pipe of the code's own the pipe
 * is what is none here. */
static enum fault_call direction(const off_t *in_at, int out, const off_t *out_at)
{
    struct stat st;

    if (in_at || out_at)
        return in_at ? FAULT_WRITE : FAULT_READ;
    return !fstat(out, &st) && S_ISFIFO(st.st_mode) ? FAULT_READ : FAULT_WRITE;
}

ssize_t __wrap_splice(int in, off_t *in_at, int out, off_t *out_at, size_t size, unsigned int how)
{
    /* A host's memory, and a pipe of the code's own that has room, have nothing to wait for. */
    bool waits = armed && armed->err == EAGAIN;

    if ((waits && (in_at || out_at)) || !hit(direction(in_at, out, out_at)))
        return __real_splice(in, in_at, out, out_at, size, how);
    if (armed->err)
        return -1;
    return armed->bytes ? __real_splice(in, in_at, out, out_at,
                                        size < armed->bytes ? size : armed->bytes, how)
                        : 0;
}
