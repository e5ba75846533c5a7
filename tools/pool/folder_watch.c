/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a change in a folder: the kernel says so of a local one; a shared one, which others
 * change elsewhere, is looked at once a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "util.h"

#define LOOK_MS 1000u

/* ---- what tells one state from another ---- */

struct state {
    struct {
        uint64_t inode;
        int64_t seconds, nanoseconds;
    } folders[16];
    char holder[256]; /* the lock file: another for each change */
};

/* Opening it makes an NFS client ask its server. */
static void look_at(struct folder *f, const char *name, struct state *s, size_t i)
{
    int fd = openat(f->root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (!fstat(fd, &st)) {
        s->folders[i].inode = st.st_ino;
        s->folders[i].seconds = st.st_mtim.tv_sec;
        s->folders[i].nanoseconds = st.st_mtim.tv_nsec;
    }
    (void)close(fd);
}

static void read_holder(struct folder *f, struct state *s)
{
    int fd = openat(f->root, FOLDER_DOT "/" FOLDER_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (pread(fd, s->holder, sizeof(s->holder), 0) < 0)
        s->holder[0] = '\0';
    (void)close(fd);
}

uint64_t folder_revision(struct folder *f)
{
    struct state *s = xcalloc(1, sizeof(*s));
    unsigned char digest[DIGEST_SIZE];
    uint64_t revision;

    look_at(f, ".", s, 0);
    for (size_t i = 0; i < folder_nr_kinds; i++)
        if (!folder_kinds[i].single)
            look_at(f, folder_kinds[i].name, s, i + 1);
    read_holder(f, s);
    digest_bytes(s, sizeof(*s), digest);
    free(s);
    memcpy(&revision, digest, sizeof(revision));
    return revision;
}

/* ---- waiting ---- */

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Folders may come later: it is called again and again, and adds what is new. */
static void add_watches(struct folder *f, int fd)
{
    const uint32_t what = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR;
    char *path;

    (void)inotify_add_watch(fd, f->path, what);
    for (size_t i = 0; i < folder_nr_kinds; i++) {
        path = xasprintf("%s/%s", f->path, folder_kinds[i].name);
        (void)inotify_add_watch(fd, path, what);
        free(path);
    }
}

static void wait_for_event(int fd, unsigned int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char events[4096];

    if (poll(&p, 1, (int)ms) > 0)
        (void)!read(fd, events, sizeof(events));
}

int folder_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms)
{
    struct folder *f = store->own;
    uint64_t now = now_ms(), end = now + ms;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), changed;

    (void)prefix; /* its folders say no more than that something has changed */
    for (;;) {
        add_watches(f, fd);
        changed = folder_revision(f) != revision;
        now = now_ms();
        if (changed || now >= end)
            break;
        /* Without inotify (fd -1) poll() only waits. */
        wait_for_event(fd, end - now < LOOK_MS ? (unsigned int)(end - now) : LOOK_MS);
    }
    if (fd >= 0)
        (void)close(fd);
    return changed;
}
