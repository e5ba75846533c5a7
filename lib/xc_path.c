/* SPDX-License-Identifier: MIT */
/* Where a file that is to be written really is: see xc_path.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xc_path.h"

#define MAX_LINKS    40u /* as the kernel */
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

bool xc_path_is_planted(int folder, const struct stat *st)
{
    struct stat dir;

    if (fstat(folder, &dir))
        return true;
    return (dir.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) && st->st_uid != geteuid() &&
           st->st_uid != dir.st_uid;
}

struct walk {
    int folder;
    unsigned int links;
    char *rest;   /* what is still to be walked */
    char *memory; /* that it stands in */
};

/* Go on in another folder; -1 when there is none. */
static int enter_folder(struct walk *w, int folder)
{
    int err = errno;

    if (w->folder >= 0)
        (void)close(w->folder);
    w->folder = folder;
    errno = err;
    return folder < 0 ? -1 : 0;
}

static int walk_text(struct walk *w, const char *path)
{
    return enter_folder(w, open(path[0] == '/' ? "/" : ".", FOLDER_FLAGS));
}

/* Is the folder /proc/self/fd?  Its links are the kernel's: what they say need not be a path. */
static bool is_own_descriptors(int folder)
{
    struct stat st, own;

    return !fstat(folder, &st) && !stat("/proc/self/fd", &own) && st.st_dev == own.st_dev &&
           st.st_ino == own.st_ino;
}

/* Is it one of our descriptors, of what its link's text does not lead to?  (A pipe, a socket, a
 * file that is deleted, or one in another root.) */
static bool is_descriptor(const struct walk *w, const char *name, const char *target)
{
    struct stat open, named;

    return !*w->rest && is_own_descriptors(w->folder) && !fstatat(w->folder, name, &open, 0) &&
           (target[0] != '/' || stat(target, &named) || named.st_dev != open.st_dev ||
            named.st_ino != open.st_ino);
}

/* Put what a link points to in front of what is still to be walked.  1: it is where the walk ends.
 */
static int follow_link(struct walk *w, const char *name, const struct stat *st)
{
    char target[PATH_MAX], *text = NULL;
    ssize_t n;

    if (xc_path_is_planted(w->folder, st)) {
        errno = EACCES;
        return -1;
    }
    if (++w->links > MAX_LINKS) {
        errno = ELOOP;
        return -1;
    }
    n = readlinkat(w->folder, name, target, sizeof(target));
    if (n < 0)
        return -1;
    if (n == 0 || (size_t)n >= sizeof(target)) {
        errno = n ? ENAMETOOLONG : ENOENT;
        return -1;
    }
    target[n] = '\0';
    if (is_descriptor(w, name, target))
        return 1;
    if (asprintf(&text, "%s%s%s", target, *w->rest ? "/" : "", w->rest) < 0) {
        errno = ENOMEM;
        return -1;
    }
    free(w->memory);
    w->memory = w->rest = text;
    return target[0] == '/' ? walk_text(w, text) : 0;
}

/* Cut the next name off the rest.  -1 with errno when there is none that a file could have. */
static int next_name(struct walk *w, char name[NAME_MAX + 1])
{
    size_t n;

    w->rest += strspn(w->rest, "/");
    n = strcspn(w->rest, "/");
    if (n > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name, w->rest, n);
    name[n] = '\0';
    w->rest += n;
    if (*w->rest || (n && strcmp(name, ".") != 0 && strcmp(name, "..") != 0))
        return 0;
    errno = EISDIR;
    return -1;
}

/* 1: name[] is the last; 0: go on; -1. */
static int step_into_name(struct walk *w, char name[NAME_MAX + 1])
{
    struct stat st;

    if (next_name(w, name))
        return -1;
    if (fstatat(w->folder, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT && !*w->rest ? 1 : -1;
    if (S_ISLNK(st.st_mode))
        return follow_link(w, name, &st);
    if (!*w->rest)
        return 1;
    return enter_folder(w, openat(w->folder, name, FOLDER_FLAGS | O_NOFOLLOW));
}

int xc_path_open(const char *path, char name[NAME_MAX + 1])
{
    struct walk w = {.folder = -1};
    int rc, err;

    if (!*path) {
        errno = ENOENT;
        return -1;
    }
    w.memory = w.rest = strdup(path);
    if (!w.memory)
        return -1;
    rc = walk_text(&w, path);
    while (!rc)
        rc = step_into_name(&w, name);
    err = errno;
    if (rc < 0 && w.folder >= 0)
        (void)close(w.folder);
    free(w.memory);
    errno = err;
    return rc < 0 ? -1 : w.folder;
}

int xc_path_openat(int folder, const char *name, int flags, mode_t mode)
{
    if (is_own_descriptors(folder))
        return openat(folder, name, (flags & ~O_CREAT) | O_CLOEXEC);
    return openat(folder, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
}

int xc_path_open_log(const char *path)
{
    char name[NAME_MAX + 1];
    int folder = xc_path_open(path, name);
    struct stat st, dir;
    int fd, err;

    if (folder < 0)
        return -1;
    fd = xc_path_openat(folder, name, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0600);
    err = errno;
    if (fd >= 0 && (fstat(fd, &st) || fstat(folder, &dir) || xc_path_is_planted(folder, &st) ||
                    (dir.st_mode & S_IWOTH && S_ISREG(st.st_mode) && st.st_nlink > 1))) {
        (void)close(fd);
        fd = -1;
        err = EACCES;
    }
    (void)close(folder);
    errno = err;
    return fd;
}
