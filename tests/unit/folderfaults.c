/* SPDX-License-Identifier: MIT */
/* See folderfaults.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "folderfaults.h"

static char order[64]; /* what was called, in that order */
static size_t n_order;
static enum fault_kind armed;
static unsigned int calls, fail_at;
static int fail_with;
static bool was_hit, fails_next;

void folder_fault(enum fault_kind kind, unsigned int at, int err)
{
    armed = kind;
    fail_at = at;
    fail_with = err;
    calls = 0;
    was_hit = fails_next = false;
    n_order = 0;
}

const char *folder_fault_order(void)
{
    order[n_order] = '\0';
    return order;
}

static void note(char what)
{
    if (n_order + 1 < sizeof(order))
        order[n_order++] = what;
}

unsigned int folder_fault_end(void)
{
    armed = FAULT_NONE;
    fails_next = false;
    fail_at = 0;
    return calls;
}

bool folder_fault_hit(void)
{
    return was_hit;
}

/* Is this the call? */
static bool is_the_call(void)
{
    if (fails_next) {
        fails_next = false;
        return true;
    }
    calls++;
    if (armed == FAULT_NONE || calls != fail_at)
        return false;
    was_hit = true;
    if (armed == FAULT_KILL)
        _exit(FAULT_STATUS);
    return true;
}

/* For calls that cannot be done by half. */
static bool fails(void)
{
    if (!is_the_call() || armed == FAULT_ANSWER)
        return false;
    if (armed == FAULT_KILL_HALF)
        _exit(FAULT_STATUS);
    errno = fail_with;
    return true;
}

/* For calls whose answer can be lost.  rc: what the real one returned. */
static int lose_answer(bool hit, int rc)
{
    if (!hit || rc)
        return rc;
    errno = fail_with;
    return -1;
}

int __real_openat64(int folder, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off64_t at);
ssize_t __real_read(int fd, void *bytes, size_t len);
int __real_renameat(int from, const char *old, int to, const char *new);
int __real_unlinkat(int folder, const char *path, int flags);
int __real_mkdirat(int folder, const char *path, mode_t mode);
int __real_ftruncate64(int fd, off64_t len);
int __real_fcntl64(int fd, int what, ...);

int __wrap_openat64(int folder, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off64_t at);
ssize_t __wrap_read(int fd, void *bytes, size_t len);
int __wrap_renameat(int from, const char *old, int to, const char *new);
int __wrap_unlinkat(int folder, const char *path, int flags);
int __wrap_mkdirat(int folder, const char *path, mode_t mode);
int __wrap_ftruncate64(int fd, off64_t len);
int __wrap_fcntl64(int fd, int what, ...);
int __wrap_fsync(int fd);

int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;

    if (flags & O_CREAT) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    return fails() ? -1 : __real_openat64(folder, path, flags, mode);
}

static ssize_t half(ssize_t written)
{
    if (armed == FAULT_KILL_HALF)
        _exit(FAULT_STATUS);
    fails_next = true;
    return written;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    bool again = fails_next;

    if (!is_the_call() || armed == FAULT_ANSWER)
        return __real_write(fd, bytes, len);
    if (!again && (armed == FAULT_KILL_HALF || armed == FAULT_SHORT) && len > 1)
        return half(__real_write(fd, bytes, len / 2));
    errno = fail_with;
    return -1;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    if (!is_the_call() || armed == FAULT_ANSWER)
        return __real_pwrite64(fd, bytes, len, at);
    if (armed == FAULT_KILL_HALF)
        return half(__real_pwrite64(fd, bytes, len / 2, at));
    errno = fail_with;
    return -1;
}

ssize_t __wrap_read(int fd, void *bytes, size_t len)
{
    return fails() ? -1 : __real_read(fd, bytes, len);
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    unsigned int before = calls;

    note('r');
    if (fails())
        return -1;
    return lose_answer(armed == FAULT_ANSWER && before + 1 == fail_at,
                       __real_renameat(from, old, to, new));
}

int __wrap_unlinkat(int folder, const char *path, int flags)
{
    unsigned int before = calls;

    if (fails())
        return -1;
    return lose_answer(armed == FAULT_ANSWER && before + 1 == fail_at,
                       __real_unlinkat(folder, path, flags));
}

int __wrap_mkdirat(int folder, const char *path, mode_t mode)
{
    unsigned int before = calls;

    if (fails())
        return -1;
    return lose_answer(armed == FAULT_ANSWER && before + 1 == fail_at,
                       __real_mkdirat(folder, path, mode));
}

int __wrap_ftruncate64(int fd, off64_t len)
{
    return fails() ? -1 : __real_ftruncate64(fd, len);
}

int __wrap_fcntl64(int fd, int what, ...)
{
    va_list ap;
    void *arg;

    va_start(ap, what);
    arg = va_arg(ap, void *);
    va_end(ap);
    return fails() ? -1 : __real_fcntl64(fd, what, arg);
}

int __wrap_fsync(int fd)
{
    (void)fd;
    note('s');
    return fails() ? -1 : 0;
}
