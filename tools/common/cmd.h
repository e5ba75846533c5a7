/* SPDX-License-Identifier: MIT */
/*
 * A program is a table of subcommands.  A subcommand: what it is called, what it takes, and the
 * function that does it.
 */
#ifndef COMMON_CMD_H
#define COMMON_CMD_H

#include <stddef.h>

/* Exit statuses, the same for every subcommand. */
enum {
    STATUS_YES = 0,     /* done; yes; no difference; nothing wrong */
    STATUS_NO = 1,      /* no; a difference; something wrong with a policy */
    STATUS_TROUBLE = 2, /* bad usage, bad input, or it could not be done */
};

/* Ends with a row whose letter is 0. */
struct cmd_option {
    int letter;       /* what cmd_option() returns, and the short option */
    const char *name; /* the long option */
    const char *arg;  /* the name of its argument; NULL when it takes none */
    const char *help;
};

struct command {
    const char *group; /* "pool" for `xenlevel pool join`; NULL: it is none of a group's */
    const char *name;
    const char *args;    /* for the usage line */
    const char *summary; /* one line */
    const char *about;   /* paragraphs for --help */
    const struct cmd_option *options;
    int (*run)(const struct command *cmd, int argc, char **argv);
    /* Of a group, whose run is NULL: its commands, each with the group's name in `group`. */
    const struct command *const *commands;
    size_t nr_commands;
};

/*
 * Parse the next option.  Returns its letter, with its argument in *value; '?' after a message; or
 * -1 behind the last option, with *first, where the arguments begin.  --help prints and ends the
 * program with status 0.
 */
int cmd_option(const struct command *cmd, int argc, char **argv, const char **value, int *first);
/* Print a message and the usage line.  Returns STATUS_TROUBLE. */
int cmd_usage(const struct command *cmd, const char *what);

/* Releases of clang-format break these lines differently. */
/* clang-format off */
#define CMD_JSON {'j', "json", (const char *)0, "write JSON"}
#define CMD_END  {0, (const char *)0, (const char *)0, (const char *)0}
/* clang-format on */

struct program {
    const char *name;    /* "xenlevel" */
    const char *version; /* "0.1.0" */
    const char *manual;  /* "xenlevel(1)" */
    /* Before the command, and among the options of each.  NULL, and NULL: there are none. */
    const struct cmd_option *options;
    void (*option)(int letter, const char *value);
    const struct command *const *commands;
    size_t nr_commands;
};

/* Do all of main(): find the command and run it.  Returns the exit status. */
int cmd_main(const struct program *program, int argc, char **argv);

#endif /* COMMON_CMD_H */
