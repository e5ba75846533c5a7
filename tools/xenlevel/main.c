/* SPDX-License-Identifier: MIT */
/*
 * xenlevel: the command people use.  A table of subcommands; each is a file builtin-NAME.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "out.h"

static const struct command *const commands[] = {
    &cmd_host,  &cmd_show,  &cmd_diff,  &cmd_verify,    &cmd_level,
    &cmd_check, &cmd_apply, &cmd_xlcfg, &cmd_livepatch,
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))
#define MAX_OPTIONS 16

static void print_help(const struct command *cmd)
{
    struct table t;
    char option[64];

    out_text(stdout, 0, 7, "usage: xenlevel %s [OPTION]... %s", cmd->name, cmd->args);
    out_text(stdout, 0, 0, "\n%s\n", cmd->about);
    table_init(&t, 2, 2);
    for (const struct cmd_option *o = cmd->options; o->letter; o++) {
        (void)snprintf(option, sizeof(option), "-%c, --%s%s%s", o->letter, o->name,
                       o->arg ? " " : "", o->arg ? o->arg : "");
        table_row(&t, option, o->help);
    }
    table_row(&t, "-h, --help", "this text");
    table_print(&t, stdout);
    out_text(stdout, 0, 0,
             "\nExit status: 0 done, or yes; 1 no, or something is wrong with a policy; 2 bad "
             "usage, bad input, or it could not be done.");
}

int cmd_usage(const struct command *cmd, const char *what)
{
    warn("%s: %s", cmd->name, what);
    out_text(stderr, 0, 7, "usage: xenlevel %s [OPTION]... %s", cmd->name, cmd->args);
    return STATUS_TROUBLE;
}

int cmd_option(const struct command *cmd, int argc, char **argv, const char **value, int *first)
{
    struct option longs[MAX_OPTIONS + 2];
    char shorts[2 * MAX_OPTIONS + 3] = "";
    size_t n = 0, at = 0;
    int letter;

    for (const struct cmd_option *o = cmd->options; o->letter && n < MAX_OPTIONS; o++, n++) {
        longs[n] =
            (struct option){o->name, o->arg ? required_argument : no_argument, NULL, o->letter};
        shorts[at++] = (char)o->letter;
        if (o->arg)
            shorts[at++] = ':';
    }
    longs[n++] = (struct option){"help", no_argument, NULL, 'h'};
    longs[n] = (struct option){NULL, 0, NULL, 0};
    shorts[at++] = 'h';
    shorts[at] = '\0';

    letter =
        getopt_long(argc, argv, shorts, longs, NULL); /* NOLINT(concurrency-mt-unsafe) one thread */
    *value = optarg;
    *first = optind;
    if (letter == 'h') {
        print_help(cmd);
        exit(STATUS_YES); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return letter;
}

static void print_commands(FILE *f)
{
    struct table t;

    out_text(f, 0, 0, "usage: xenlevel COMMAND [OPTION]... [ARGUMENT]...\n");
    table_init(&t, 2, 2);
    for (size_t i = 0; i < NR_COMMANDS; i++)
        table_row(&t, commands[i]->name, commands[i]->summary);
    table_print(&t, f);
    out_text(f, 0, 0, "\n`xenlevel COMMAND --help` says more; xenlevel(1) says all.");
}

static int end(int status)
{
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) || ferror(stdout)) {
        perror("xenlevel: standard output");
        return STATUS_TROUBLE;
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_commands(stderr);
        return STATUS_TROUBLE;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        (void)printf("xenlevel %s\n", XENLEVEL_VERSION);
        return end(STATUS_YES);
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_commands(stdout);
        return end(STATUS_YES);
    }
    for (size_t i = 0; i < NR_COMMANDS; i++)
        if (!strcmp(argv[1], commands[i]->name))
            return end(commands[i]->run(commands[i], argc - 1, argv + 1));
    warn("there is no command '%s'", argv[1]);
    print_commands(stderr);
    return STATUS_TROUBLE;
}
