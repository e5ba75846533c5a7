/* SPDX-License-Identifier: MIT */
/*
 * The folder's lock: a record lock of the open file, which an NFS server keeps too, and which ends
 * with its process however that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "util.h"

#define HOLDER_MAX 256u

/* ---- the file ---- */

/* git leaves alone what is there only while somebody works. */
static void hide_from_git(int folder)
{
    int fd = openat(folder, ".gitignore", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return;
    if (write(fd, "*\n", 2) != 2) /* a full disk says so elsewhere */
        (void)unlinkat(folder, ".gitignore", 0);
    (void)close(fd);
}

static bool is_denied(int err)
{
    return err == EACCES || err == EPERM || err == EROFS;
}

static int open_dot(struct folder *f, bool create)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

    /* Each time anew: somebody may have removed it. */
    if (f->dot >= 0)
        (void)close(f->dot);
    f->dot = openat(f->root, FOLDER_DOT, flags);
    if (f->dot >= 0 || errno != ENOENT || !create)
        return f->dot < 0 ? -1 : 0;
    if (mkdirat(f->root, FOLDER_DOT, 0777) && errno != EEXIST)
        return -1;
    f->dot = openat(f->root, FOLDER_DOT, flags);
    if (f->dot < 0)
        return -1;
    hide_from_git(f->dot);
    return 0;
}

/* For writing where that is allowed, because only then can it be locked alone. */
static int open_lock(struct folder *f, bool *can_write)
{
    const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd;

    *can_write = true;
    if (open_dot(f, true))
        return -1;
    fd = openat(f->dot, FOLDER_LOCK, O_RDWR | O_CREAT | flags, 0666);
    if (fd < 0 && is_denied(errno)) {
        int err = errno;

        *can_write = false;
        fd = openat(f->dot, FOLDER_LOCK, O_RDONLY | flags);
        if (fd < 0 && errno == ENOENT)
            errno = err;
    }
    return fd;
}

/* Is the file that was locked still the one that others will lock? */
static bool is_current(const struct folder *f, int fd)
{
    struct stat ours, there;

    return !fstat(fd, &ours) && !fstatat(f->dot, FOLDER_LOCK, &there, AT_SYMLINK_NOFOLLOW) &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* ---- who has it ---- */

/* For the others' message, and so that each change makes another revision.  A full disk has no room
 * for it, which is no reason not to go on. */
static void write_holder(int fd)
{
    char text[HOLDER_MAX], host[64] = "", when[21];
    uint64_t id = 0;
    int len;

    date_now(when);
    (void)gethostname(host, sizeof(host) - 1);
    (void)!getrandom(&id, sizeof(id), 0);
    len = snprintf(text, sizeof(text), "process %d on %s, since %s (%016llx)\n", (int)getpid(),
                   host, when, (unsigned long long)id);
    if (!ftruncate(fd, 0) && pwrite(fd, text, (size_t)len, 0) != len)
        (void)!ftruncate(fd, 0);
}

static int fail_busy(struct folder *f, int fd, unsigned int seconds)
{
    struct flock who = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[HOLDER_MAX] = "";
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

    text[len > 0 ? len : 0] = '\0';
    text[strcspn(text, "(\n")] = '\0';
    if (text[0] && text[strlen(text) - 1] == ' ')
        text[strlen(text) - 1] = '\0';
    if (!fcntl(fd, F_OFD_GETLK, &who) && who.l_type == F_RDLCK)
        return store_fail(f->store, EBUSY, "%s: another program has been reading it for %u seconds",
                          store_name(f->store), seconds);
    return store_fail(f->store, EBUSY, "%s: locked for %u seconds by %s; if that hangs, end it",
                      store_name(f->store), seconds, text[0] ? text : "another program");
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Not all at the same moment. */
static void wait_a_little(unsigned int tries)
{
    unsigned int random = 0, most = tries < 6 ? 1u << tries : 50u;
    struct timespec t = {0};

    (void)!getrandom(&random, sizeof(random), 0);
    t.tv_nsec = 500000L + (long)random % ((long)most * 1000000L);
    (void)nanosleep(&t, NULL);
}

/* 0; -1: the store has the error. */
static int take_lock(struct folder *f, int fd, bool alone)
{
    unsigned int seconds = f->store->config.wait ? f->store->config.wait : STORE_WAIT;
    uint64_t end = now_ms() + seconds * 1000ull;

    for (unsigned int tries = 0;; tries++) {
        struct flock lock = {.l_type = alone ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};

        if (!fcntl(fd, F_OFD_SETLK, &lock))
            return 0;
        if (errno != EAGAIN && errno != EACCES && errno != EINTR)
            return folder_fail(f, "it cannot be locked");
        if (now_ms() >= end)
            return fail_busy(f, fd, seconds);
        wait_a_little(tries);
    }
}

/* 0, and f->lock -1 where a reader goes without. */
static int lock_once(struct folder *f, bool alone)
{
    int fd = open_lock(f, &f->can_write);

    if (fd < 0 && is_denied(errno))
        return alone ? folder_fail(f, "it may only be read") : 0;
    if (fd < 0)
        return folder_fail(f, FOLDER_DOT "/" FOLDER_LOCK);
    if (alone && !f->can_write) {
        (void)close(fd);
        errno = EACCES;
        return folder_fail(f, "it may only be read");
    }
    if (take_lock(f, fd, alone)) {
        int err = errno;

        (void)close(fd);
        errno = err;
        return -1;
    }
    f->lock = fd;
    return 0;
}

int folder_lock(struct folder *f, bool alone)
{
    /* Who removes the lock file (git clean) does not get two of us at once. */
    for (unsigned int i = 0; i < 100; i++) {
        if (lock_once(f, alone))
            return -1;
        if (f->lock < 0)
            return 0;
        if (is_current(f, f->lock)) {
            if (alone)
                write_holder(f->lock);
            return 0;
        }
        folder_unlock(f);
    }
    errno = ESTALE;
    return folder_fail(f, "somebody removes its lock again and again");
}

void folder_share(struct folder *f)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

    /* From alone to shared there is nothing to wait for; if it fails it stays alone. */
    (void)fcntl(f->lock, F_OFD_SETLK, &lock);
}

void folder_unlock(struct folder *f)
{
    int err = errno;

    if (f->lock >= 0)
        (void)close(f->lock);
    f->lock = -1;
    errno = err;
}
