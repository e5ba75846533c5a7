/* SPDX-License-Identifier: MIT */
/* The password of etcd's user: see etcd.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "etcd.h"
#include "util.h"

#define PASSWORD_MAX 4096u

/* Is it a file that only its owner may read?  0; -1 after store_fail(). */
static int check_file(struct store *store, const char *path, int fd)
{
    struct stat st;

    if (fstat(fd, &st))
        return store_fail(store, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return store_fail(store, EINVAL, "%s: the password file is no file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return store_fail(store, EACCES,
                          "%s: others may read the password, or change it: chmod 600 it, and take "
                          "another password",
                          path);
    return 0;
}

/* Take the line out of what was read. */
static char *take_line(struct store *store, const char *path, char *text, ssize_t len)
{
    char *end;

    if (len < 0) {
        (void)store_fail(store, errno, "%s: %s", path, strerror(errno));
        return NULL;
    }
    end = memchr(text, '\n', (size_t)len);
    if (end && end != text + len - 1) {
        (void)store_fail(store, EINVAL, "%s: the password file has more than one line", path);
        return NULL;
    }
    text[end ? end - text : len] = '\0';
    if (len > (ssize_t)PASSWORD_MAX || strlen(text) != (size_t)(end ? end - text : len) ||
        !text[0]) {
        (void)store_fail(store, EINVAL,
                         "%s: the password file has no line of at most %u bytes without NUL", path,
                         PASSWORD_MAX);
        return NULL;
    }
    return xstrdup(text);
}

char *etcd_read_password(struct store *store)
{
    const char *path = store->config.password_file;
    char text[PASSWORD_MAX + 2], *password = NULL;
    int fd, err;

    if (!path) {
        (void)store_fail(store, EINVAL, "%s: [etcd] has a user, and no password_file",
                         store->config.path ? store->config.path : "pool.conf");
        return NULL;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        (void)store_fail(store, errno, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (!check_file(store, path, fd))
        password = take_line(store, path, text, read(fd, text, sizeof(text) - 1));
    err = errno;
    (void)close(fd);
    explicit_bzero(text, sizeof(text));
    errno = err;
    return password;
}
