/* SPDX-License-Identifier: MIT */
/*
 * Transactions in a folder: all of their steps, or none.
 *
 * 1. Every value is written to .xenlevel/new.N, and is on the disk.
 * 2. The journal, which names them, gets its name.  Now the transaction is made.
 * 3. The values get their names, and the journal is removed.
 *
 * Who is killed before 2 has changed nothing; what is left behind is removed by the next.  Who is
 * killed after it leaves renames to be done, which need no room, and which the next one does before
 * it reads anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dirent.h>

#include "folder.h"
#include "folder.pb-c.h"
#include "util.h"

#define JOURNAL_MAX (4u << 20)
#define JOURNAL_NEW FOLDER_NEW "journal"

/* ---- on the disk ---- */

static int sync_folder(int folder)
{
    /* Some file systems have nothing to sync of a folder. */
    return fsync(folder) && errno != EINVAL && errno != ENOTSUP ? -1 : 0;
}

static int write_whole(int fd, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, (const char *)bytes + at, len - at);

        if (n < 0 && errno != EINTR)
            return -1;
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* A new file in .xenlevel, complete and on the disk. */
static int write_file(struct folder *f, const char *name, const void *bytes, size_t len)
{
    int fd = openat(f->dot, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    int rc;

    if (fd < 0)
        return folder_fail(f, FOLDER_DOT);
    rc = write_whole(fd, bytes, len) || fsync(fd) ? folder_fail(f, "nothing was changed") : 0;
    if (close(fd) && !rc)
        rc = folder_fail(f, "nothing was changed");
    return rc;
}

/* Does this file have that digest?  (An error is a no.) */
static bool has_digest(struct folder *f, int folder, const char *name,
                       const ProtobufCBinaryData *digest)
{
    unsigned char there[DIGEST_SIZE];
    void *bytes = NULL;
    size_t len = 0;

    if (folder_read_file(f, folder, name, JOURNAL_MAX, &bytes, &len))
        return false;
    digest_bytes(bytes, len, there);
    free(bytes);
    return digest->len == DIGEST_SIZE && !memcmp(there, digest->data, DIGEST_SIZE);
}

/*
 * Rename, and find out what happened when that fails: one who was ended then may have done it
 * before, and an NFS server's answer can be lost after it has done it.
 */
static int rename_surely(struct folder *f, const char *from, int folder, const char *to,
                         const ProtobufCBinaryData *digest)
{
    struct stat st;
    int err;

    if (!renameat(f->dot, from, folder, to))
        return 0;
    err = errno;
    if (fstatat(f->dot, from, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT &&
        has_digest(f, folder, to, digest))
        return 0;
    errno = err;
    return -1;
}

/* What is not there has been removed. */
static int unlink_surely(int folder, const char *name)
{
    struct stat st;
    int err;

    if (!unlinkat(folder, name, 0))
        return 0;
    err = errno;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
        return 0;
    errno = err;
    return -1;
}

/* ---- what is left behind ---- */

static bool is_new(const char *name)
{
    return !strncmp(name, FOLDER_NEW, sizeof(FOLDER_NEW) - 1);
}

/* Remove the values of transactions that were never made. */
static int clean_up(struct folder *f)
{
    int fd = openat(f->dot, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return folder_fail(f, FOLDER_DOT);
    }
    for (errno = 0; !rc && (entry = readdir(dir)); errno = 0)
        if (is_new(entry->d_name) && unlink_surely(f->dot, entry->d_name))
            rc = folder_fail(f, FOLDER_DOT);
    if (errno && !rc)
        rc = folder_fail(f, FOLDER_DOT);
    (void)closedir(dir);
    return rc;
}

/* ---- the journal ---- */

bool folder_has_journal(struct folder *f)
{
    struct stat st;

    return f->dot >= 0 && !fstatat(f->dot, FOLDER_JOURNAL, &st, AT_SYMLINK_NOFOLLOW);
}

static Xenlevel__Journal *fail_damaged(struct folder *f)
{
    (void)store_fail(
        f->store, EIO,
        "%s: " FOLDER_DOT "/" FOLDER_JOURNAL
        " is damaged: of the last change some parts may be missing; look at the folder, "
        "then remove that file",
        store_name(f->store));
    return NULL;
}

/* NULL after the store has the error. */
static Xenlevel__Journal *read_journal(struct folder *f)
{
    unsigned char digest[DIGEST_SIZE];
    Xenlevel__Journal *journal = NULL;
    unsigned char *bytes = NULL;
    void *all = NULL;
    size_t len = 0;
    int rc = folder_read_file(f, f->dot, FOLDER_JOURNAL, JOURNAL_MAX, &all, &len);

    if (rc)
        return rc > 0 ? fail_damaged(f) : NULL;
    bytes = all;
    if (len >= DIGEST_SIZE)
        digest_bytes(bytes + DIGEST_SIZE, len - DIGEST_SIZE, digest);
    if (len >= DIGEST_SIZE && !memcmp(bytes, digest, DIGEST_SIZE))
        journal = xenlevel__journal__unpack(NULL, len - DIGEST_SIZE, bytes + DIGEST_SIZE);
    free(all);
    return journal ? journal : fail_damaged(f);
}

static char *name_of_new(size_t i)
{
    return xasprintf(FOLDER_NEW "%zu", i);
}

/* A name that write_journal() gives: no other file is touched by a journal. */
static bool step_is_valid(const Xenlevel__JournalStep *step)
{
    return store_key_is_valid(step->key) &&
           (!step->file[0] || (is_new(step->file) && !strchr(step->file, '/')));
}

/* Do one step, in the folder of its kind. */
static int do_step(struct folder *f, const Xenlevel__Journal *journal,
                   const Xenlevel__JournalStep *step, int folder, const char *name)
{
    struct stat st;

    if (!step->file[0])
        return unlink_surely(folder, name) ? folder_fail(f, step->key) : 0;
    if (!rename_surely(f, step->file, folder, name, &step->digest))
        return 0;
    if (errno != ENOENT || !fstatat(f->dot, step->file, &st, AT_SYMLINK_NOFOLLOW))
        return folder_fail(f, step->key);
    return store_fail(f->store, EIO,
                      "%s: the change that %s made cannot be finished: the value of %s is lost",
                      store_name(f->store), journal->who, step->key);
}

static int make_kind_folder(struct folder *f, const struct folder_kind *kind)
{
    struct stat st;

    if (kind->single)
        return 0;
    if (!fstatat(f->root, kind->name, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (mkdirat(f->root, kind->name, 0777)) {
        int err = errno;

        if (fstatat(f->root, kind->name, &st, AT_SYMLINK_NOFOLLOW)) {
            errno = err;
            return folder_fail(f, kind->name);
        }
    }
    return sync_folder(f->root) ? folder_fail(f, kind->name) : 0;
}

static int apply_step(struct folder *f, const Xenlevel__Journal *journal,
                      const Xenlevel__JournalStep *step)
{
    const struct folder_kind *kind;
    char *name;
    int folder, rc;

    if (!step_is_valid(step)) {
        (void)fail_damaged(f);
        return -1;
    }
    if (folder_find_kind(f, step->key, &kind) || make_kind_folder(f, kind))
        return -1;
    folder = folder_open_kind(f, kind);
    if (folder < 0)
        return errno == ENOENT ? folder_fail(f, kind->name) : -1;
    name = folder_file_name(kind, step->key);
    rc = do_step(f, journal, step, folder, name);
    free(name);
    (void)close(folder);
    return rc;
}

static bool is_touched(struct folder *f, const Xenlevel__Journal *journal,
                       const struct folder_kind *kind)
{
    const struct folder_kind *of;

    for (size_t i = 0; i < journal->n_steps; i++)
        if (!folder_find_kind(f, journal->steps[i]->key, &of) && of == kind)
            return true;
    return false;
}

/* See that what has been done is on the disk. */
static int sync_touched(struct folder *f, const Xenlevel__Journal *journal)
{
    for (size_t i = 0; i < folder_nr_kinds; i++) {
        int folder, rc;

        if (!is_touched(f, journal, &folder_kinds[i]))
            continue;
        folder = folder_open_kind(f, &folder_kinds[i]);
        rc = folder < 0 ? -1 : sync_folder(folder);
        if (rc && (folder >= 0 || errno == ENOENT))
            (void)folder_fail(f, folder_kinds[i].name);
        if (folder >= 0)
            (void)close(folder);
        if (rc)
            return -1;
    }
    return 0;
}

/* Do all steps and forget the journal. */
static int apply_journal(struct folder *f, const Xenlevel__Journal *journal)
{
    for (size_t i = 0; i < journal->n_steps; i++)
        if (apply_step(f, journal, journal->steps[i]))
            return -1;
    if (sync_touched(f, journal))
        return -1;
    if (unlink_surely(f->dot, FOLDER_JOURNAL) || sync_folder(f->dot))
        return folder_fail(f, FOLDER_DOT "/" FOLDER_JOURNAL);
    return 0;
}

int folder_roll_forward(struct folder *f)
{
    Xenlevel__Journal *journal;
    int rc;

    if (!folder_has_journal(f))
        return 0;
    if (!f->can_write)
        return store_fail(f->store, EACCES,
                          "%s: somebody was ended in the middle of a change; a command of one who "
                          "may write there finishes it",
                          store_name(f->store));
    journal = read_journal(f);
    if (!journal)
        return -1;
    rc = apply_journal(f, journal);
    xenlevel__journal__free_unpacked(journal, NULL);
    return rc;
}

/* ---- a transaction ---- */

/* The message, on arrays of the caller's. */
struct draft {
    Xenlevel__Journal journal;
    Xenlevel__JournalStep *steps, **pointers;
    unsigned char (*digests)[DIGEST_SIZE];
    char who[96];
};

static void free_draft(struct draft *d)
{
    for (size_t i = 0; i < d->journal.n_steps; i++)
        if (d->steps[i].file[0])
            free(d->steps[i].file);
    free(d->steps);
    free((void *)d->pointers);
    free(d->digests);
}

static void begin_draft(struct draft *d, const struct folder_step *steps, size_t n)
{
    static char empty[] = "";
    char when[21], host[64] = "";

    xenlevel__journal__init(&d->journal);
    d->steps = xcalloc(n, sizeof(*d->steps));
    d->pointers = xcalloc(n, sizeof(Xenlevel__JournalStep *));
    d->digests = xcalloc(n, sizeof(*d->digests));
    date_now(when);
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(d->who, sizeof(d->who), "%d@%s at %s", (int)getpid(), host, when);
    d->journal.who = d->who;
    d->journal.n_steps = n;
    d->journal.steps = d->pointers;
    for (size_t i = 0; i < n; i++) {
        xenlevel__journal_step__init(&d->steps[i]);
        d->pointers[i] = &d->steps[i];
        d->steps[i].key = (char *)steps[i].key;
        d->steps[i].file = steps[i].bytes ? name_of_new(i) : empty;
        if (!steps[i].bytes)
            continue;
        digest_bytes(steps[i].bytes, steps[i].len, d->digests[i]);
        d->steps[i].digest = (ProtobufCBinaryData){DIGEST_SIZE, d->digests[i]};
    }
}

/* Whatever can be known to be impossible is found before anything is made. */
static int check_place(struct folder *f, const char *key)
{
    const struct folder_kind *kind;

    if (folder_find_kind(f, key, &kind) || make_kind_folder(f, kind))
        return -1;
    if (faccessat(f->root, folder_kind_path(kind), W_OK | X_OK, AT_EACCESS))
        return folder_fail(f, kind->name);
    return 0;
}

static int prepare(struct folder *f, const struct draft *d, const struct folder_step *steps)
{
    for (size_t i = 0; i < d->journal.n_steps; i++) {
        if (check_place(f, steps[i].key))
            return -1;
        if (steps[i].bytes && write_file(f, d->steps[i].file, steps[i].bytes, steps[i].len))
            return -1;
    }
    return 0;
}

/* Give the journal its name. */
static int write_journal(struct folder *f, const struct draft *d)
{
    size_t len = xenlevel__journal__get_packed_size(&d->journal);
    unsigned char *bytes, digest[DIGEST_SIZE];
    int rc;

    if (DIGEST_SIZE + len > JOURNAL_MAX)
        return store_fail(f->store, EFBIG, "%s: too much for one transaction: %zu changes",
                          store_name(f->store), d->journal.n_steps);
    bytes = xcalloc(1, DIGEST_SIZE + len);
    (void)xenlevel__journal__pack(&d->journal, bytes + DIGEST_SIZE);
    digest_bytes(bytes + DIGEST_SIZE, len, bytes);
    digest_bytes(bytes, DIGEST_SIZE + len, digest);
    rc = write_file(f, JOURNAL_NEW, bytes, DIGEST_SIZE + len);
    free(bytes);
    if (rc)
        return -1;
    /* The values' names are safe before the journal's is. */
    if (sync_folder(f->dot) || rename_surely(f, JOURNAL_NEW, f->dot, FOLDER_JOURNAL,
                                             &(ProtobufCBinaryData){DIGEST_SIZE, digest}))
        return folder_fail(f, "nothing was changed");
    return 0;
}

/* Take the journal back, of which nothing has been done.  -1, and the store's error. */
static int take_back(struct folder *f, int err)
{
    errno = err;
    if (!unlink_surely(f->dot, FOLDER_JOURNAL)) {
        (void)sync_folder(f->dot);
        errno = err;
        return folder_fail(f, "nothing was changed");
    }
    return store_fail(f->store, EINPROGRESS,
                      "%s: %s, and it may or may not be changed; `xenlevel pool history` says so",
                      store_name(f->store), strerror(err));
}

/* The first step is surely not done while its value is where it was prepared. */
static bool nothing_is_done(const struct folder *f, const struct draft *d)
{
    struct stat st;

    return d->steps[0].file[0] && !fstatat(f->dot, d->steps[0].file, &st, AT_SYMLINK_NOFOLLOW);
}

static int make_draft(struct folder *f, const struct draft *d, const struct folder_step *steps)
{
    if (prepare(f, d, steps) || write_journal(f, d))
        return -1;
    if (sync_folder(f->dot))
        return take_back(f, errno);
    /* From here on it is made: what cannot be done now is done by the next. */
    if (apply_journal(f, &d->journal) && nothing_is_done(f, d))
        return take_back(f, errno);
    return 0;
}

int folder_make(struct folder *f, const struct folder_step *steps, size_t n)
{
    struct draft d = {0};
    int rc, err;

    if (!n)
        return 0;
    if (clean_up(f))
        return -1;
    begin_draft(&d, steps, n);
    rc = make_draft(f, &d, steps);
    err = errno;
    free_draft(&d);
    if (rc && !folder_has_journal(f)) {
        char *line = xstrdup(store_error(f->store));

        (void)clean_up(f); /* else the next one does */
        (void)store_fail(f->store, err, "%s", line);
        free(line);
    }
    errno = err;
    return rc;
}
