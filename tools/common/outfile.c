/* SPDX-License-Identifier: MIT */
/*
 * A file that is written whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile.h"
#include "util.h"

#define MAX_LINKS 40u /* as the kernel */

/* "." or "/" or "dir/". */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? xasprintf("%.*s", (int)(slash - path + 1), path) : xstrdup(".");
}

/* A descriptor without a name where the file system can do that, else with one. */
static int open_temp(struct outfile *o)
{
    char *dir = directory_of(o->path);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    free(dir);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
        return fd;
    o->temp = xasprintf("%s.XXXXXX", o->path);
    fd = mkostemp(o->temp, O_CLOEXEC);
    if (fd < 0) {
        int err = errno;

        free(o->temp);
        o->temp = NULL;
        errno = err;
    }
    return fd;
}

/* Where the file really is, so that links to it stay links; also where one points to what is not
 * there yet.  NULL with errno. */
static char *real_place(const char *path)
{
    char *place = xstrdup(path), *real, target[PATH_MAX];

    for (unsigned int i = 0; i < MAX_LINKS; i++) {
        ssize_t n;
        char *dir;

        real = realpath(place, NULL);
        if (real || errno != ENOENT) {
            free(place);
            return real;
        }
        n = readlink(place, target, sizeof(target));
        if (n < 0 || (size_t)n >= sizeof(target))
            return place; /* no link: a new file */
        dir = target[0] == '/' ? xstrdup("") : directory_of(place);
        real = xasprintf("%s%s%.*s", dir, *dir && dir[strlen(dir) - 1] != '/' ? "/" : "", (int)n,
                         target);
        free(dir);
        free(place);
        place = real;
    }
    free(place);
    errno = ELOOP;
    return NULL;
}

int outfile_open(struct outfile *o, const char *path, mode_t mode)
{
    struct stat st;

    *o = (struct outfile){.fd = -1};
    o->path = real_place(path);
    if (!o->path) {
        int err = errno;

        o->path = xstrdup(path); /* for messages */
        errno = err;
        return -1;
    }
    if (!stat(o->path, &st) && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
        return -1;
    }
    o->fd = open_temp(o);
    if (o->fd < 0)
        return -1;
    return fchmod(o->fd, mode);
}

int outfile_write(struct outfile *o, const void *bytes, size_t len)
{
    const unsigned char *b = bytes;

    while (len) {
        ssize_t n = write(o->fd, b, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        b += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A name beside its place.  link() cannot replace a file, rename() can. */
static int give_name(struct outfile *o)
{
    char *self = xasprintf("/proc/self/fd/%d", o->fd);
    int rc = -1;

    for (unsigned int i = 0; i < 100 && rc; i++) {
        free(o->temp);
        o->temp = xasprintf("%s.%d-%u", o->path, (int)getpid(), i);
        rc = linkat(AT_FDCWD, self, AT_FDCWD, o->temp, AT_SYMLINK_FOLLOW);
        if (rc && errno != EEXIST)
            break;
    }
    if (rc) {
        int err = errno;

        free(o->temp);
        o->temp = NULL;
        errno = err;
    }
    free(self);
    return rc;
}

/* A file's new name is safe only once its directory is. */
static int sync_directory(const char *path)
{
    char *dir = directory_of(path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    int err = errno;

    if (fd >= 0)
        (void)close(fd);
    free(dir);
    errno = err;
    /* Some file systems cannot sync a directory; the file itself is whole in any case. */
    return rc && err != EINVAL && err != EROFS ? -1 : 0;
}

int outfile_commit(struct outfile *o)
{
    int fd = o->fd;

    if (fsync(fd) || (!o->temp && give_name(o)))
        return -1;
    o->fd = -1;
    if (close(fd) || rename(o->temp, o->path))
        return -1;
    free(o->temp);
    o->temp = NULL;
    return sync_directory(o->path);
}

void outfile_close(struct outfile *o)
{
    int err = errno;

    if (o->fd >= 0)
        (void)close(o->fd);
    if (o->temp)
        (void)unlink(o->temp);
    free(o->temp);
    free(o->path);
    *o = (struct outfile){.fd = -1};
    errno = err;
}
