/* SPDX-License-Identifier: MIT */
/*
 * A registry in a folder: the parts of store_folder.c.
 *
 *   FOLDER/pool.pb, FOLDER/host/NAME.pb, FOLDER/capture/DIGEST.xlp, ...   a file for each key
 *   FOLDER/.xenlevel/lock      locked while somebody reads or changes; says who changed last
 *   FOLDER/.xenlevel/new.N     values that a transaction has prepared
 *   FOLDER/.xenlevel/journal   what is left to be done of a transaction that has been made
 *
 * A transaction is made at the moment when its journal gets its name: its values are on the disk
 * by then, and only renames are left, which whoever comes next can do.
 */
#ifndef POOL_FOLDER_H
#define POOL_FOLDER_H

#include <sys/stat.h>

#include "digest.h"
#include "store_private.h"

#define FOLDER_DOT     ".xenlevel"
#define FOLDER_LOCK    "lock"
#define FOLDER_JOURNAL "journal"
#define FOLDER_NEW     "new."

struct folder {
    struct store *store;
    char *path;
    int root;       /* the folder */
    int dot;        /* its .xenlevel; -1: there is none */
    int lock;       /* the lock file, locked; -1: it is not */
    bool can_write; /* while locked: the lock file is open for writing */
    bool said_foreign;
};

/* ---- folder_files.c: keys as files.  -1 and the store's error, as all here ---- */

/* What can be kept, and how its files end. */
struct folder_kind {
    const char *name, *suffix;
    bool single; /* one value in the folder itself; else each has a name, in a folder of the kind */
};
extern const struct folder_kind folder_kinds[];
extern const size_t folder_nr_kinds;

/* Find the kind of a key; -1 when a folder keeps none of it. */
int folder_find_kind(struct folder *f, const char *key, const struct folder_kind **kind);
/* Open the folder where values of a kind are.  -1 and ENOENT: there is none, and that is no error;
 * -1 and another: the store has it. */
int folder_open_kind(struct folder *f, const struct folder_kind *kind);
/* Return the path of that folder, below the root. */
const char *folder_kind_path(const struct folder_kind *kind);
/* Return the file's name in it; malloc'ed. */
char *folder_file_name(const struct folder_kind *kind, const char *key);
/* Read the value of a key; revision 0: nothing is there. */
int folder_read(struct folder *f, const char *key, struct store_value *value);
/* Read all of a regular file in a folder.  0; 1: there is none; -1 */
int folder_read_file(struct folder *f, int folder, const char *name, size_t most, void **bytes,
                     size_t *len);
/* Append the values of a kind whose keys begin with the prefix. */
int folder_read_kind(struct folder *f, const struct folder_kind *kind, const char *prefix,
                     struct store_list *list);
/* Fail with the line "folder F: WHAT: strerror(errno)". */
int folder_fail(struct folder *f, const char *what);

/* ---- folder_lock.c ---- */

/* Lock the folder, for reading with others or alone; wait a while for it.  A reader in a folder
 * that it may not write to, and that has no lock file, goes without. */
int folder_lock(struct folder *f, bool alone);
/* Let others read, in the place of alone. */
void folder_share(struct folder *f);
void folder_unlock(struct folder *f);

/* ---- folder_journal.c: transactions ---- */

/* One thing that a transaction does. */
struct folder_step {
    const char *key;
    const void *bytes; /* NULL: the key is removed */
    size_t len;
};

/* Do what is left of a transaction that somebody else has made.  The folder is locked alone, or
 * nothing is left. */
int folder_roll_forward(struct folder *f);
/* Is there anything left? */
bool folder_has_journal(struct folder *f);
/* Make all steps, or none. */
int folder_make(struct folder *f, const struct folder_step *steps, size_t n);

/* ---- folder_watch.c ---- */

/* Compute a number that changes whenever something in the folder does. */
uint64_t folder_revision(struct folder *f);
int folder_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms);

#endif /* POOL_FOLDER_H */
