/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of xenlevel; each is a file builtin-NAME.c.
 */
#ifndef XENLEVEL_COMMANDS_H
#define XENLEVEL_COMMANDS_H

#include "cmd.h"

extern const struct command cmd_host, cmd_show, cmd_diff, cmd_verify, cmd_level, cmd_check,
    cmd_apply, cmd_xlcfg, cmd_livepatch, cmd_stream, cmd_explain, cmd_status, cmd_enable,
    cmd_disable, cmd_pool, cmd_usage_of;

#endif /* XENLEVEL_COMMANDS_H */
