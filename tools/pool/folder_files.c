/* SPDX-License-Identifier: MIT */
/*
 * Keys as files: how they are called, and reading them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "out.h"
#include "util.h"

const struct folder_kind folder_kinds[] = {
    {"capture", ".xlp", false}, {"domains", ".pb", false}, {"history", ".pb", false},
    {"host", ".pb", false},     {"level", ".xlp", false},  {"policy", ".xlp", false},
    {"pool", ".pb", true},      {"seen", ".pb", false},
};
const size_t folder_nr_kinds = sizeof(folder_kinds) / sizeof(folder_kinds[0]);

int folder_fail(struct folder *f, const char *what)
{
    int err = errno;

    return store_fail(f->store, err, "%s: %s: %s", store_name(f->store), what, strerror(err));
}

/* ---- names ---- */

int folder_find_kind(struct folder *f, const char *key, const struct folder_kind **kind)
{
    size_t len = strcspn(key, "/");

    for (size_t i = 0; i < folder_nr_kinds; i++)
        if (strlen(folder_kinds[i].name) == len && !strncmp(folder_kinds[i].name, key, len) &&
            folder_kinds[i].single == !key[len]) {
            *kind = &folder_kinds[i];
            return 0;
        }
    return store_fail(f->store, EINVAL, "%s: '%s': a folder keeps nothing of that kind",
                      store_name(f->store), key);
}

char *folder_file_name(const struct folder_kind *kind, const char *key)
{
    const char *slash = strchr(key, '/');

    return xasprintf("%s%s", slash ? slash + 1 : key, kind->suffix);
}

const char *folder_kind_path(const struct folder_kind *kind)
{
    return kind->single ? "." : kind->name;
}

int folder_open_kind(struct folder *f, const struct folder_kind *kind)
{
    int fd =
        openat(f->root, folder_kind_path(kind), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT)
        return folder_fail(f, kind->name);
    return fd;
}

/* ---- one file ---- */

static int read_whole(int fd, void *bytes, size_t size, size_t *len)
{
    *len = 0;
    while (*len < size) {
        ssize_t n = read(fd, (char *)bytes + *len, size - *len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return 0;
}

/* Not through a link, which might lead anywhere; and no pipe or device, which might never end. */
static int open_regular(struct folder *f, int folder, const char *name, struct stat *st)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ELOOP)
        return store_fail(f->store, ELOOP, "%s: %s: a symbolic link, which is not followed",
                          store_name(f->store), name);
    if (fd < 0 && errno == ENOENT)
        return -1;
    if (fd < 0)
        return folder_fail(f, name);
    if (fstat(fd, st)) {
        (void)folder_fail(f, name);
    } else if (!S_ISREG(st->st_mode)) {
        (void)store_fail(f->store, EINVAL, "%s: %s: not a regular file", store_name(f->store),
                         name);
    } else {
        return fd;
    }
    (void)close(fd);
    return -1;
}

int folder_read_file(struct folder *f, int folder, const char *name, size_t most, void **bytes,
                     size_t *len)
{
    struct stat st;
    int fd = open_regular(f, folder, name, &st), rc = -1;

    if (fd < 0)
        return errno == ENOENT ? 1 : -1;
    if ((uint64_t)st.st_size > most) {
        (void)store_fail(f->store, EFBIG, "%s: %s: %lld bytes; there are at most %zu",
                         store_name(f->store), name, (long long)st.st_size, most);
    } else {
        *bytes = xcalloc(1, (size_t)st.st_size + 1);
        rc = read_whole(fd, *bytes, (size_t)st.st_size, len);
        if (rc) {
            (void)folder_fail(f, name);
            free(*bytes);
            *bytes = NULL;
        }
    }
    (void)close(fd);
    return rc;
}

/* ---- values ---- */

static uint64_t revision_of(const void *bytes, size_t len)
{
    unsigned char digest[DIGEST_SIZE];
    uint64_t revision;

    digest_bytes(bytes, len, digest);
    memcpy(&revision, digest, sizeof(revision));
    return revision ? revision : 1;
}

/* In the folder of its kind.  0 and revision 0: there is none. */
static int read_value(struct folder *f, int folder, const char *name, const char *key,
                      struct store_value *value)
{
    int rc = folder_read_file(f, folder, name, STORE_VALUE_MAX, &value->bytes, &value->len);

    if (rc)
        return rc > 0 ? 0 : -1;
    value->key = xstrdup(key);
    value->revision = revision_of(value->bytes, value->len);
    return 0;
}

int folder_read(struct folder *f, const char *key, struct store_value *value)
{
    const struct folder_kind *kind;
    char *name;
    int folder, rc;

    *value = (struct store_value){0};
    if (folder_find_kind(f, key, &kind))
        return -1;
    folder = folder_open_kind(f, kind);
    if (folder < 0)
        return errno == ENOENT ? 0 : -1;
    name = folder_file_name(kind, key);
    rc = read_value(f, folder, name, key, value);
    free(name);
    (void)close(folder);
    return rc;
}

/* ---- all of a kind ---- */

struct names {
    char **names;
    size_t n, room;
};

static void free_names(struct names *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free((void *)list->names);
}

static void add_name(struct names *list, const char *name)
{
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->names = xrealloc((void *)list->names, list->room * sizeof(char *));
    }
    list->names[list->n++] = xstrdup(name);
}

/* What somebody else has put there is left alone, and said once. */
static void say_foreign(struct folder *f, const char *kind, const char *name)
{
    if (!f->said_foreign)
        warn("%s: %s/%s is nothing of a registry's, and ignored", store_name(f->store), kind, name);
    f->said_foreign = true;
}

/* The key of a file in a kind's folder, malloc'ed; NULL for what is none of ours. */
static char *key_of_file(struct folder *f, const struct folder_kind *kind, const char *name)
{
    char *key;

    /* Of git, of an editor, of an NFS client (.nfs...), and our own. */
    if (name[0] == '.')
        return NULL;
    if (ends_with(name, kind->suffix)) {
        key = xasprintf("%s/%.*s", kind->name, (int)(strlen(name) - strlen(kind->suffix)), name);
        if (store_key_is_valid(key))
            return key;
        free(key);
    }
    say_foreign(f, kind->name, name);
    return NULL;
}

static int list_folder(struct folder *f, const struct folder_kind *kind, int folder,
                       struct names *list)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return folder_fail(f, kind->name);
    }
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        add_name(list, entry->d_name);
    if (errno) {
        (void)folder_fail(f, kind->name);
        (void)closedir(dir);
        return -1;
    }
    (void)closedir(dir);
    return 0;
}

static void add_value(struct store_list *list, const struct store_value *value)
{
    /* A power of two is full. */
    if (!(list->n & (list->n - 1)))
        list->values = xrealloc(list->values, (list->n ? 2 * list->n : 1) * sizeof(*list->values));
    list->values[list->n++] = *value;
}

static int read_names(struct folder *f, const struct folder_kind *kind, int folder,
                      const struct names *names, const char *prefix, struct store_list *list)
{
    for (size_t i = 0; i < names->n; i++) {
        char *key = key_of_file(f, kind, names->names[i]);
        struct store_value value = {0};
        int rc = 0;

        if (key && !strncmp(key, prefix, strlen(prefix)))
            rc = read_value(f, folder, names->names[i], key, &value);
        free(key);
        if (rc)
            return -1;
        if (value.revision)
            add_value(list, &value);
    }
    return 0;
}

int folder_read_kind(struct folder *f, const struct folder_kind *kind, const char *prefix,
                     struct store_list *list)
{
    struct store_value value;
    struct names names = {0};
    int folder, rc;

    if (kind->single) {
        if (folder_read(f, kind->name, &value))
            return -1;
        if (value.revision)
            add_value(list, &value);
        return 0;
    }
    folder = folder_open_kind(f, kind);
    if (folder < 0)
        return errno == ENOENT ? 0 : -1;
    rc = list_folder(f, kind, folder, &names);
    if (!rc)
        rc = read_names(f, kind, folder, &names, prefix, list);
    free_names(&names);
    (void)close(folder);
    return rc;
}
