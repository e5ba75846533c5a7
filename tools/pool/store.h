/* SPDX-License-Identifier: MIT */
/*
 * Where a registry is kept: keys with values, read as one snapshot and changed by transactions.
 *
 * A key is "kind" or "kind/name" (proto/pool.proto): bytes of [A-Za-z0-9._%-] in one or two parts,
 * no part empty, beginning with '.', or longer than STORE_PART_MAX.  A value is at most
 * STORE_VALUE_MAX bytes.
 *
 * Functions return 0; or -1 with errno and one line in store_error(), safe to print, that says what
 * and where.
 */
#ifndef POOL_STORE_H
#define POOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_KEY_MAX   512u
#define STORE_PART_MAX  200u       /* so that a file can be called so */
#define STORE_VALUE_MAX (1u << 20) /* etcd takes 1.5 MiB in one request */

struct store;

/*
 * Open a store.  `where` is a folder, or "etcd:https://HOST:PORT[,https://...][/PREFIX]", whose
 * certificates and user are in the configuration (store_config.h).  `create`: a folder that is not
 * there is made.  Always sets *store, for store_error() and store_close(); NULL only with ENOMEM.
 */
int store_open(const char *where, bool create, struct store **store);
void store_close(struct store *store);
const char *store_error(const struct store *store);
/* Return how messages call it: "folder /srv/pool", "etcd at https://a:2379, below /xenlevel". */
const char *store_name(const struct store *store);

/* What stands at a key.  revision 0: nothing does.  It is another number whenever the value has
 * changed, and no order. */
struct store_value {
    char *key;
    void *bytes; /* malloc'ed */
    size_t len;
    uint64_t revision;
};

/* All keys that begin with one of some prefixes, in ascending order, as they were at one moment. */
struct store_list {
    struct store_value *values;
    size_t n;
    uint64_t revision; /* of the store, for store_watch() */
};

/* Read one key; 0 with revision 0 where nothing is there. */
int store_get(struct store *store, const char *key, struct store_value *value);
void store_value_free(struct store_value *value);
/* List the keys that begin with one of n prefixes, none of which begins with another: "host/",
 * "pool"; "" for all. */
int store_list(struct store *store, const char *const *prefixes, size_t n, struct store_list *list);
void store_list_free(struct store_list *list);

/* One change of a transaction, and what must be true for it. */
struct store_change {
    const char *key;
    const void *bytes; /* NULL: the key is removed, or left as it is (see `only_check`) */
    size_t len;
    bool checked;       /* `revision` must be what is there now, */
    uint64_t revision;  /* 0: the key must not exist */
    bool only_check;    /* nothing is changed */
    unsigned int lease; /* seconds until the key vanishes unless it is put again; 0: never.  A
                           folder keeps it: its reader looks at the time in it */
};

enum store_outcome {
    STORE_COMMITTED,
    STORE_CONFLICT, /* nothing was changed; *conflict is the index of a change whose condition
                       failed */
};

/*
 * Make all changes, or none.  Exactly once, also when an answer is lost: the first change must
 * create a key that nobody else creates (`checked`, revision 0: the event in history/, or a key of
 * its own), by which a repeated transaction is known.  -1: nothing was changed; or, with errno
 * EINPROGRESS, nobody can say, and store_error() says how to find out.
 */
int store_commit(struct store *store, const struct store_change *changes, size_t n,
                 enum store_outcome *outcome, size_t *conflict);

/* Wait until something below the prefix has changed since that revision of the store, at most so
 * many milliseconds.  Returns 1 if so, 0 if not; -1.  A folder may say 1 when something else has.
 */
int store_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms);

/* What a kind of store does; one of each in store_folder.c and store_etcd.c.  Each function is as
 * the one of its name above. */
struct store_ops {
    int (*open)(struct store *store, const char *where, bool create);
    void (*close)(struct store *store);
    int (*get)(struct store *store, const char *key, struct store_value *value);
    int (*list)(struct store *store, const char *const *prefixes, size_t n,
                struct store_list *list);
    int (*commit)(struct store *store, const struct store_change *changes, size_t n,
                  enum store_outcome *outcome, size_t *conflict);
    int (*watch)(struct store *store, const char *prefix, uint64_t revision, unsigned int ms);
};

#endif /* POOL_STORE_H */
