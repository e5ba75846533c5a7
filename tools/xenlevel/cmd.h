/* SPDX-License-Identifier: MIT */
/*
 * A subcommand: what it is called, what it takes, and the function that does it.
 */
#ifndef XENLEVEL_CMD_H
#define XENLEVEL_CMD_H

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
    const char *name;
    const char *args;    /* for the usage line */
    const char *summary; /* one line */
    const char *about;   /* paragraphs for --help */
    const struct cmd_option *options;
    int (*run)(const struct command *cmd, int argc, char **argv);
};

/*
 * The next option's letter, its argument in *value; -1 behind the last (arguments begin at
 * *first); '?' after a message.  --help prints and ends the program with status 0.
 */
int cmd_option(const struct command *cmd, int argc, char **argv, const char **value, int *first);
/* A message with the usage line; returns STATUS_TROUBLE. */
int cmd_usage(const struct command *cmd, const char *what);

#define CMD_JSON                                                                                   \
    {                                                                                              \
        'j', "json", (const char *)0, "write JSON"                                                 \
    }
#define CMD_END                                                                                    \
    {                                                                                              \
        0, (const char *)0, (const char *)0, (const char *)0                                       \
    }

extern const struct command cmd_host, cmd_show, cmd_diff, cmd_verify, cmd_level, cmd_check,
    cmd_apply, cmd_xlcfg, cmd_livepatch;

#endif /* XENLEVEL_CMD_H */
