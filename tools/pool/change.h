/* SPDX-License-Identifier: MIT */
/*
 * Changing a pool: load it, decide, commit; and again when somebody else was faster.
 *
 * A change is one transaction: an Event in history/, and what is put here.  Each value is put on
 * the condition that it is still what was loaded, so two admins at once lose nothing: the slower
 * one's function decides again, on the pool as it is now.  That the pool's own record is what was
 * loaded is always a condition.
 */
#ifndef POOL_CHANGE_H
#define POOL_CHANGE_H

#include "pool.h"
#include "store.h"
#include "unknown.h"

struct pool_change;

enum pool_decision {
    POOL_COMMIT,  /* make the change */
    POOL_NOTHING, /* there is nothing to change */
    POOL_REFUSE,  /* the function has said why */
};

/*
 * Decide what is to be changed, by the functions below.  It may be called several times, each time
 * with a pool that was just loaded: what it told people before may not be true any more, so it says
 * what it found in `arg`, and its caller prints that in the end.
 */
typedef enum pool_decision pool_decide_fn(struct pool_change *change, const struct pool *pool,
                                          void *arg);

/*
 * Load the pool, call decide(), commit.  `host`: only this host, its capture and domains are in
 * the pool that decide() gets (pool_load_host()), as its own refresh needs; NULL: all of the pool.
 * Returns 0 when the change is made, 1 after POOL_NOTHING, 2 after POOL_REFUSE; or -1 with errno
 * after a message.
 */
int pool_change_run(struct store *store, const char *host, pool_decide_fn *decide, void *arg);

/* ---- for decide(): nothing here can fail, it is all checked when it is committed ---- */

/* Say what the change is: "join", the host, level or domain that it is about, and the reason that
 * the admin gave (NULL: none).  Without it there is no event, which is for seen/ alone. */
void pool_change_event(struct pool_change *c, const char *what, const char *subject,
                       const char *why);
/* Add a sentence to the event. */
void pool_change_detail(struct pool_change *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Put the pool's record: its level, its name. */
void pool_put_record(struct pool_change *c, const Xenlevel__Pool *record);
/* Put a host's record: a new one, or in the place of the one that was loaded. */
void pool_put_host(struct pool_change *c, const Xenlevel__PoolHost *record);
/* Remove a host, its domains and its seen/. */
void pool_remove_host(struct pool_change *c, const char *name);
/* Put a host's domains; they are sorted by name and UUID here. */
void pool_put_domains(struct pool_change *c, const char *host, const Xenlevel__Domains *domains);
/* Say that a host was seen now, and that it will be again within so many seconds. */
void pool_put_seen(struct pool_change *c, const char *host, unsigned int seconds);
/* Put what a host can offer, without name and date, once; digest[] gets its DIGEST. */
void pool_put_capture(struct pool_change *c, const Xenlevel__File *host, char digest[static 65]);
/* Do the same with a guest's CPU.  GUEST_PV, or another for HVM and PVH guests, which are kept
 * together; unknown may be NULL: all of it is known. */
void pool_put_policy(struct pool_change *c, enum guest_type type, const struct cpu_policy *policy,
                     const struct cpu_policy *unknown, char digest[static 65]);
/* Put a level under a name that has none yet, "web.v4". */
void pool_put_level(struct pool_change *c, const char *name, const Xenlevel__File *level);

/* Make it a condition that a host's record and domains, or those of all hosts, and which hosts
 * there are, are what was loaded. */
void pool_require_host(struct pool_change *c, const char *name);
void pool_require_domains(struct pool_change *c, const char *host);

/*
 * Make a pool out of an empty store.  Returns 0; or -1 with errno after a message (EEXIST: there is
 * one).
 */
int pool_create(struct store *store, const char *name, const char *why);

#endif /* POOL_CHANGE_H */
