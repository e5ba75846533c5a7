/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool: the commands about a pool of hosts.  Each is a file pool-NAME.c.
 */
#include "commands.h"
#include "pool-commands.h"

/* A row each, in the order in which people need them. */
/* clang-format off */
static const struct command *const commands[] = {
    &pool_cmd_init,
    &pool_cmd_join,
    &pool_cmd_leave,
    &pool_cmd_level,
    &pool_cmd_cmdline,
    &pool_cmd_maintenance,
    &pool_cmd_status,
    &pool_cmd_refresh,
    &pool_cmd_drift,
    &pool_cmd_matrix,
    &pool_cmd_evacuate,
    &pool_cmd_rolling,
    &pool_cmd_clusters,
    &pool_cmd_report,
    &pool_cmd_history,
};
/* clang-format on */

const struct command cmd_pool = {
    .name = "pool",
    .args = "COMMAND",
    .summary = "many hosts for years: registry, levels, drift, evacuation",
    .about =
        "A pool is a registry of hosts, of the levels that they share, and of the domains that run "
        "on them: a folder, or etcd for many hosts. Each host says what it is at boot and by a "
        "timer (`xenlevel pool refresh`); every other command asks the registry, from "
        "anywhere.",
    .commands = commands,
    .nr_commands = sizeof(commands) / sizeof(commands[0]),
};
