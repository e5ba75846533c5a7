/* SPDX-License-Identifier: MIT */
/*
 * The commands of `xenlevel pool`; each is a file pool-NAME.c, and a row of builtin-pool.c.  And
 * what they share (pool-common.c).
 */
#ifndef XENLEVEL_POOL_COMMANDS_H
#define XENLEVEL_POOL_COMMANDS_H

#include "cmd.h"
#include "pool.h"
#include "store.h"

extern const struct command pool_cmd_init, pool_cmd_history, pool_cmd_join, pool_cmd_leave,
    pool_cmd_level, pool_cmd_cmdline, pool_cmd_maintenance, pool_cmd_status, pool_cmd_refresh,
    pool_cmd_drift, pool_cmd_matrix, pool_cmd_evacuate, pool_cmd_rolling, pool_cmd_report,
    pool_cmd_clusters;

/* clang-format off */
/* Every command has it: which registry.  NULL: XENLEVEL_POOL, or what the configuration says. */
#define POOL_WHERE {'p', "pool", "WHERE", "the registry: a folder, or etcd:https://HOST:PORT[,...][/PREFIX] (default: XENLEVEL_POOL, or what /etc/xenlevel/pool.conf says)"}
/* Every command that changes something has it. */
#define POOL_WHY {'w', "why", "TEXT", "the reason, for the history"}
/* clang-format on */

/* A pool that was read.  Close it also when it could not be. */
struct pool_session {
    struct store *store;
    struct pool pool;
};

/* Open the registry (pool_open()) and read all of the pool.  Returns STATUS_YES; or STATUS_TROUBLE
 * after a message. */
int pool_session_open(struct pool_session *s, const char *where);
void pool_session_close(struct pool_session *s);

/* Return a host's index; POOL_NONE after a message. */
size_t pool_session_host(const struct pool_session *s, const char *name);

/* Return what pool_change_run() returned as a status. */
int pool_change_status(int outcome);

/* Write a size in bytes for people, "64.0 GiB", to buf, and return it. */
const char *pool_size_text(uint64_t bytes, char buf[static 32]);
/* Return how many seconds ago an RFC 3339 time was; -1: it is no time, or to come. */
long pool_age_seconds(const char *when);
/* Return how long ago an RFC 3339 time was, "5 minutes ago"; malloc'ed.  What is no time is given
 * back as it is. */
char *pool_age_text(const char *when);
#endif /* XENLEVEL_POOL_COMMANDS_H */
