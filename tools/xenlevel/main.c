/* SPDX-License-Identifier: MIT */
/*
 * xenlevel: the command people use.  A table of subcommands; each is a file builtin-NAME.c.
 */
#include "commands.h"

static const struct command *const commands[] = {
    &cmd_host,   &cmd_show,    &cmd_diff,      &cmd_verify,   &cmd_level,   &cmd_check,
    &cmd_apply,  &cmd_xlcfg,   &cmd_livepatch, &cmd_stream,   &cmd_explain, &cmd_status,
    &cmd_enable, &cmd_disable, &cmd_pool,      &cmd_usage_of,
};

int main(int argc, char **argv)
{
    static const struct program xenlevel = {
        .name = "xenlevel",
        .version = XENLEVEL_VERSION,
        .manual = "xenlevel(1)",
        .commands = commands,
        .nr_commands = sizeof(commands) / sizeof(commands[0]),
    };

    return cmd_main(&xenlevel, argc, argv);
}
