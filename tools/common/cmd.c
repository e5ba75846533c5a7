/* SPDX-License-Identifier: MIT */
/*
 * Subcommands: finding them, their options, and what --help says.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "out.h"
#include "util.h"

#define MAX_OPTIONS 16

/* The one that runs: set by cmd_main() before anything else. */
static const struct program *running;

static void option_rows(struct table *t, const struct cmd_option *options)
{
    char text[64];

    for (const struct cmd_option *o = options; o && o->letter; o++) {
        (void)snprintf(text, sizeof(text), "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "",
                       o->arg ? o->arg : "");
        table_row(t, text, o->help);
    }
}

static const char *group_of(const struct command *cmd)
{
    return cmd->group ? cmd->group : "";
}

static void print_usage(FILE *f, const struct command *cmd)
{
    out_text(f, 0, 7, "usage: %s %s%s%s [OPTION]... %s", running->name, group_of(cmd),
             cmd->group ? " " : "", cmd->name, cmd->args);
}

static void print_help(const struct command *cmd)
{
    struct table t;

    print_usage(stdout, cmd);
    (void)putchar('\n');
    out_words(stdout, 0, 0, cmd->about);
    (void)putchar('\n');
    table_init(&t, 2, 2);
    option_rows(&t, cmd->options);
    option_rows(&t, running->options);
    table_row(&t, "-h, --help", "this text");
    table_print(&t, stdout);
    out_text(stdout, 0, 0,
             "\nExit status: 0 done, or yes; 1 no, or something is wrong with a policy; 2 bad "
             "usage, bad input, or it could not be done.");
}

static void print_table_of(FILE *f, const struct command *const *commands, size_t n)
{
    struct table t;

    table_init(&t, 2, 2);
    for (size_t i = 0; i < n; i++)
        table_row(&t, commands[i]->name, commands[i]->summary);
    table_print(&t, f);
}

static void print_group(FILE *f, const struct command *group)
{
    out_text(f, 0, 7, "usage: %s %s COMMAND [OPTION]... [ARGUMENT]...\n", running->name,
             group->name);
    if (f == stdout) {
        out_words(f, 0, 0, group->about);
        (void)fputc('\n', f);
    }
    print_table_of(f, group->commands, group->nr_commands);
    out_text(f, 0, 0, "\n`%s %s COMMAND --help` says more; %s says all.", running->name,
             group->name, running->manual);
}

static void print_commands(FILE *f)
{
    struct table t;

    out_text(f, 0, 0, "usage: %s %sCOMMAND [OPTION]... [ARGUMENT]...\n", running->name,
             running->options ? "[OPTION]... " : "");
    print_table_of(f, running->commands, running->nr_commands);
    if (running->options) {
        (void)fputc('\n', f);
        table_init(&t, 2, 2);
        option_rows(&t, running->options);
        table_print(&t, f);
    }
    out_text(f, 0, 0, "\n`%s COMMAND --help` says more; %s says all.", running->name,
             running->manual);
}

int cmd_usage(const struct command *cmd, const char *what)
{
    warn("%s%s%s: %s", group_of(cmd), cmd->group ? " " : "", cmd->name, what);
    print_usage(stderr, cmd);
    return STATUS_TROUBLE;
}

/* For getopt_long(): the options of a command (may be NULL), the program's, and --help. */
struct getopt_tables {
    struct option longs[2 * MAX_OPTIONS + 3];
    char shorts[4 * MAX_OPTIONS + 8];
    size_t n, at;
};

static void add_options(struct getopt_tables *t, const struct cmd_option *options)
{
    size_t n = 0;

    for (const struct cmd_option *o = options; o && o->letter && n < MAX_OPTIONS; o++, n++) {
        t->longs[t->n++] =
            (struct option){o->name, o->arg ? required_argument : no_argument, NULL, o->letter};
        t->shorts[t->at++] = (char)o->letter;
        if (o->arg)
            t->shorts[t->at++] = ':';
    }
}

/* getopt's own messages would print the words of the command line as they are: `*` may have put the
 * names of files there. */
static void say_bad_option(const struct getopt_tables *t, char **argv)
{
    const char *name = NULL;

    for (size_t i = 0; i < t->n; i++)
        if (t->longs[i].val == optopt)
            name = t->longs[i].name;
    if (name)
        warn("option --%s: its argument is missing, or it takes none", name);
    else if (optopt)
        warn("there is no option -%c", optopt);
    else
        warn("there is no option '%s'", argv[optind - 1]);
}

static int next_option(struct getopt_tables *t, int argc, char **argv)
{
    int letter;

    t->longs[t->n++] = (struct option){"help", no_argument, NULL, 'h'};
    t->shorts[t->at++] = 'h';
    opterr = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    letter = getopt_long(argc, argv, t->shorts, t->longs, NULL);
    if (letter == '?')
        say_bad_option(t, argv);
    return letter;
}

static bool is_program_option(int letter)
{
    for (const struct cmd_option *o = running->options; o && o->letter; o++)
        if (o->letter == letter)
            return true;
    return false;
}

int cmd_option(const struct command *cmd, int argc, char **argv, const char **value, int *first)
{
    int letter;

    do {
        struct getopt_tables t = {.n = 0};

        add_options(&t, cmd->options);
        add_options(&t, running->options);
        letter = next_option(&t, argc, argv);
        if (letter > 0 && is_program_option(letter))
            running->option(letter, optarg);
    } while (letter > 0 && is_program_option(letter));
    *value = optarg;
    *first = optind;
    if (letter == 'h') {
        print_help(cmd);
        exit(STATUS_YES); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return letter;
}

static int end_program(int status)
{
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) || ferror(stdout)) {
        (void)fprintf(stderr, "%s: ", running->name);
        perror("standard output");
        return STATUS_TROUBLE;
    }
    return status;
}

static bool is_help(const char *name)
{
    return !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help");
}

/* argv[0] is the group's name. */
static int run_group(const struct command *group, int argc, char **argv)
{
    if (argc < 2) {
        print_group(stderr, group);
        return STATUS_TROUBLE;
    }
    if (is_help(argv[1])) {
        print_group(stdout, group);
        return STATUS_YES;
    }
    for (size_t i = 0; i < group->nr_commands; i++)
        if (!strcmp(argv[1], group->commands[i]->name))
            return group->commands[i]->run(group->commands[i], argc - 1, argv + 1);
    warn("there is no command '%s %s'", group->name, argv[1]);
    print_group(stderr, group);
    return STATUS_TROUBLE;
}

static int run_found(const struct command *cmd, int argc, char **argv)
{
    return cmd->commands ? run_group(cmd, argc, argv) : cmd->run(cmd, argc, argv);
}

static int run_command(const char *name, int argc, char **argv)
{
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        (void)printf("%s %s\n", running->name, running->version);
        return STATUS_YES;
    }
    if (is_help(name)) {
        print_commands(stdout);
        return STATUS_YES;
    }
    for (size_t i = 0; i < running->nr_commands; i++)
        if (!strcmp(name, running->commands[i]->name))
            return run_found(running->commands[i], argc, argv);
    warn("there is no command '%s'", name);
    print_commands(stderr);
    return STATUS_TROUBLE;
}

/* Take the program's options in front of the command; returns where that is, 0 after a message. */
static int before_command(int argc, char **argv)
{
    for (int letter;;) {
        struct getopt_tables t = {.shorts = "+V", .at = 2};

        t.longs[t.n++] = (struct option){"version", no_argument, NULL, 'V'};
        add_options(&t, running->options);
        letter = next_option(&t, argc, argv);
        if (letter == 'h' || letter == 'V') {
            /* As a command of that name, so that run_command() has it all. */
            argv[optind - 1] = letter == 'h' ? "--help" : "--version";
            return optind - 1;
        }
        if (letter == '?')
            return 0;
        if (letter == -1)
            return optind;
        running->option(letter, optarg);
    }
}

int cmd_main(const struct program *program, int argc, char **argv)
{
    int first;

    running = program;
    program_name = program->name;
    first = before_command(argc, argv);
    if (!first)
        return STATUS_TROUBLE;
    if (first >= argc) {
        print_commands(stderr);
        return STATUS_TROUBLE;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    optind = 0; /* glibc: begin again, in another vector */
    return end_program(run_command(argv[first], argc - first, argv + first));
}
