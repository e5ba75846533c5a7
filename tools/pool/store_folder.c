/* SPDX-License-Identifier: MIT */
/*
 * A registry in a folder, which may be on a shared file system or under git.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "util.h"

/* ---- opening ---- */

static int fail_open(struct store *store, const char *where, int err)
{
    if (err == ENOENT)
        return store_fail(store, err, "%s: there is no such folder", where);
    return store_fail(store, err, "%s: %s", where, strerror(err));
}

static int open_folder(struct store *store, const char *where, bool create)
{
    struct folder *f = xcalloc(1, sizeof(*f));

    *f = (struct folder){.store = store, .root = -1, .dot = -1, .lock = -1};
    f->path = xstrdup(where);
    store->own = f;
    store->name = xasprintf("folder %s", where);
    f->root = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0 && errno == ENOENT && create) {
        if (mkdir(where, 0777) && errno != EEXIST)
            return fail_open(store, where, errno);
        f->root = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return f->root < 0 ? fail_open(store, where, errno) : 0;
}

static void close_folder(struct store *store)
{
    struct folder *f = store->own;

    if (!f)
        return;
    folder_unlock(f);
    if (f->dot >= 0)
        (void)close(f->dot);
    if (f->root >= 0)
        (void)close(f->root);
    free(f->path);
    free(f);
    store->own = NULL;
}

/* ---- reading ---- */

/* Nothing is written into a folder that is no registry. */
static bool is_registry(struct folder *f)
{
    struct stat st;

    return !fstatat(f->root, "pool.pb", &st, AT_SYMLINK_NOFOLLOW) ||
           !fstatat(f->root, FOLDER_DOT, &st, AT_SYMLINK_NOFOLLOW);
}

/* Lock for reading, with nothing left of a transaction. */
static int begin_reading(struct folder *f)
{
    if (!is_registry(f))
        return 0;
    if (folder_lock(f, false))
        return -1;
    if (!folder_has_journal(f))
        return 0;
    if (f->can_write && f->lock >= 0) {
        folder_unlock(f);
        if (folder_lock(f, true))
            return -1;
    }
    if (folder_roll_forward(f)) {
        folder_unlock(f);
        return -1;
    }
    folder_share(f);
    return 0;
}

static int get_value(struct store *store, const char *key, struct store_value *value)
{
    struct folder *f = store->own;
    int rc;

    if (begin_reading(f))
        return -1;
    rc = folder_read(f, key, value);
    folder_unlock(f);
    return rc;
}

/* May a key of this kind begin so?  "", "ho" and "host/a" of host/; "" and "pool" of pool. */
static bool may_have(const struct folder_kind *kind, const char *prefix)
{
    size_t len = strlen(kind->name), most = strlen(prefix);

    if (most <= len)
        return !strncmp(kind->name, prefix, most);
    return !kind->single && prefix[len] == '/' && !strncmp(kind->name, prefix, len);
}

static int compare_keys(const void *a, const void *b)
{
    const struct store_value *x = a, *y = b;

    return strcmp(x->key, y->key);
}

static int read_all(struct folder *f, const char *const *prefixes, size_t n,
                    struct store_list *list)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < folder_nr_kinds; k++)
            if (may_have(&folder_kinds[k], prefixes[i]) &&
                folder_read_kind(f, &folder_kinds[k], prefixes[i], list))
                return -1;
    return 0;
}

static int list_values(struct store *store, const char *const *prefixes, size_t n,
                       struct store_list *list)
{
    struct folder *f = store->own;
    int rc;

    if (begin_reading(f))
        return -1;
    rc = read_all(f, prefixes, n, list);
    if (!rc)
        list->revision = folder_revision(f);
    folder_unlock(f);
    if (rc)
        store_list_free(list);
    else if (list->n)
        qsort(list->values, list->n, sizeof(*list->values), compare_keys);
    return rc;
}

/* ---- changing ---- */

/* Look at what is there.  0 where the change may be made; 1 where its condition fails.  *needed:
 * something has to be done for it. */
static int check_change(struct folder *f, const struct store_change *c, bool *needed)
{
    struct store_value there;
    int rc;

    if (folder_read(f, c->key, &there))
        return -1;
    rc = c->checked && there.revision != c->revision;
    if (c->only_check)
        *needed = false;
    else if (c->bytes)
        *needed = !there.revision || there.len != c->len ||
                  (c->len && memcmp(there.bytes, c->bytes, c->len) != 0);
    else
        *needed = there.revision != 0;
    store_value_free(&there);
    return rc;
}

static int commit_locked(struct folder *f, const struct store_change *changes, size_t n,
                         enum store_outcome *outcome, size_t *conflict)
{
    struct folder_step *steps = xcalloc(n, sizeof(*steps));
    size_t nr = 0;
    int rc = 0;

    for (size_t i = 0; i < n && !rc; i++) {
        bool needed = false;

        rc = check_change(f, &changes[i], &needed);
        if (rc > 0)
            *conflict = i;
        if (needed)
            steps[nr++] = (struct folder_step){changes[i].key, changes[i].bytes, changes[i].len};
    }
    if (!rc)
        rc = folder_make(f, steps, nr);
    free(steps);
    *outcome = rc > 0 ? STORE_CONFLICT : STORE_COMMITTED;
    return rc < 0 ? -1 : 0;
}

static int commit_changes(struct store *store, const struct store_change *changes, size_t n,
                          enum store_outcome *outcome, size_t *conflict)
{
    struct folder *f = store->own;
    int rc = -1;

    if (folder_lock(f, true))
        return -1;
    if (!folder_roll_forward(f))
        rc = commit_locked(f, changes, n, outcome, conflict);
    folder_unlock(f);
    return rc;
}

const struct store_ops store_folder_ops = {
    .open = open_folder,
    .close = close_folder,
    .get = get_value,
    .list = list_values,
    .commit = commit_changes,
    .watch = folder_watch,
};
