/* SPDX-License-Identifier: MIT */
/*
 * A file that is written whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile.h"
#include "util.h"
#include "xc_path.h"

#define EVERY_MODE 0777u
#define OWN_FILES  "/proc/self/fd"

/* A name in the folder that nothing has, tried in turn. */
static char *another_name(const struct outfile *o, unsigned int i)
{
    return xasprintf("%.*s.%d-%u", NAME_MAX - 24, o->name, (int)getpid(), i);
}

static int forget_temp(struct outfile *o)
{
    int err = errno;

    free(o->temp);
    o->temp = NULL;
    errno = err;
    return -1;
}

/* One without a name; it gets one through /proc, which a chroot may not have. */
static int open_nameless(const struct outfile *o)
{
    if (access(OWN_FILES, F_OK))
        return -1;
    return openat(o->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* Open one without a name where that can be done, else with one. */
static int open_temp(struct outfile *o)
{
    int fd = open_nameless(o);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
        return fd;
    for (unsigned int i = 0; i < 100 && fd < 0; i++) {
        free(o->temp);
        o->temp = another_name(o, i);
        fd = openat(o->folder, o->temp, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd < 0 ? forget_temp(o) : fd;
}

/* Look at what is there already: it must be a file, and not one that somebody put there for us. */
static int look_at_place(struct outfile *o)
{
    if (fstatat(o->folder, o->name, &o->before, AT_SYMLINK_NOFOLLOW)) {
        o->replaces = false;
        return errno == ENOENT ? 0 : -1;
    }
    o->replaces = true;
    if (S_ISREG(o->before.st_mode) && !xc_path_is_planted(o->folder, &o->before))
        return 0;
    errno = S_ISDIR(o->before.st_mode) ? EISDIR : S_ISREG(o->before.st_mode) ? EACCES : EINVAL;
    return -1;
}

/* What may be allowed at most: what the replaced file allows, to the same people. */
static mode_t widest_mode(const struct outfile *o)
{
    const struct stat *before = &o->before;
    mode_t mode = before->st_mode & EVERY_MODE;
    struct stat now;

    if (!o->replaces)
        return EVERY_MODE;
    if (fstat(o->fd, &now))
        return S_IRUSR | S_IWUSR;
    /* Somebody else's file stays theirs, and another group's that group's, where we may do that. */
    if ((now.st_uid == before->st_uid && now.st_gid == before->st_gid) ||
        !fchown(o->fd, before->st_uid, before->st_gid) ||
        (now.st_uid == before->st_uid && !fchown(o->fd, (uid_t)-1, before->st_gid)))
        return mode;
    /* Else our own group gets no more than all others had. */
    return (mode & ~(mode_t)S_IRWXG) | ((mode & S_IRWXO) << 3 & mode);
}

int outfile_open(struct outfile *o, const char *path, mode_t mode)
{
    *o = (struct outfile){.fd = -1, .folder = -1};
    o->path = xstrdup(path);
    o->folder = xc_path_open(path, o->name);
    if (o->folder < 0 || look_at_place(o))
        return -1;
    o->fd = open_temp(o);
    if (o->fd < 0)
        return -1;
    o->most = widest_mode(o);
    return outfile_allow(o, mode);
}

int outfile_allow(struct outfile *o, mode_t mode)
{
    return fchmod(o->fd, mode & o->most);
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
    char *self = xasprintf(OWN_FILES "/%d", o->fd);
    int rc = -1;

    for (unsigned int i = 0; i < 100 && rc; i++) {
        free(o->temp);
        o->temp = another_name(o, i);
        rc = linkat(AT_FDCWD, self, o->folder, o->temp, AT_SYMLINK_FOLLOW);
        if (rc && errno != EEXIST)
            break;
    }
    if (rc)
        (void)forget_temp(o);
    free(self);
    return rc;
}

/* A file's new name is safe only once its folder is. */
static int sync_folder(const struct outfile *o)
{
    int fd = openat(o->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    int err = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = err;
    /* Some file systems cannot sync a directory, and one that may be written to cannot always be
     * read; the file itself is whole in any case. */
    return rc && err != EINVAL && err != EROFS && err != EACCES ? -1 : 0;
}

int outfile_commit(struct outfile *o)
{
    int fd = o->fd;

    if (fsync(fd) || (!o->temp && give_name(o)))
        return -1;
    o->fd = -1;
    if (close(fd) || renameat(o->folder, o->temp, o->folder, o->name))
        return -1;
    free(o->temp);
    o->temp = NULL;
    return sync_folder(o);
}

void outfile_close(struct outfile *o)
{
    int err = errno;

    if (o->fd >= 0)
        (void)close(o->fd);
    if (o->temp)
        (void)unlinkat(o->folder, o->temp, 0);
    if (o->folder >= 0)
        (void)close(o->folder);
    free(o->temp);
    free(o->path);
    *o = (struct outfile){.fd = -1, .folder = -1};
    errno = err;
}

int outfile_save(const char *path, const void *bytes, size_t len)
{
    mode_t mask = umask(0);
    struct outfile out;
    int rc;

    (void)umask(mask);
    rc = outfile_open(&out, path, 0666 & ~mask);
    if (!rc)
        rc = outfile_write(&out, bytes, len);
    if (!rc)
        rc = outfile_commit(&out);
    outfile_close(&out); /* errno stays */
    return rc;
}
