/* SPDX-License-Identifier: MIT */
/*
 * The commands of `xenlevel pool`; each is a file pool-NAME.c, and a row of builtin-pool.c.  And
 * what they share.
 */
#ifndef XENLEVEL_POOL_COMMANDS_H
#define XENLEVEL_POOL_COMMANDS_H

#include "cmd.h"

/* Every command has it: which registry.  NULL: XENLEVEL_POOL, or what the configuration says. */
/* clang-format off */
#define POOL_WHERE {'p', "pool", "WHERE", "the registry: a folder, or etcd:https://HOST:PORT[,...][/PREFIX] (default: XENLEVEL_POOL, or what /etc/xenlevel/pool.conf says)"}
/* Every command that changes something has it. */
#define POOL_WHY {'w', "why", "TEXT", "the reason, for the history"}
/* clang-format on */

extern const struct command pool_cmd_history, pool_cmd_init;

#endif /* XENLEVEL_POOL_COMMANDS_H */
