/* SPDX-License-Identifier: MIT */
/*
 * xenlevel usage: what a guest has used of the CPU that it was told of.
 */
#include <stdlib.h>

#include "commands.h"
#include "evidence.h"
#include "json.h"
#include "out.h"
#include "subject.h"
#include "util.h"

static const struct cmd_option options[] = {
    CMD_JSON,
    CMD_END,
};

static void print_text(const struct subject *s, const struct usage *u)
{
    char *line = usage_line(u);

    out_text(stdout, 0, 2, "'%s' (%s, %zu vCPU%s): %s", s->name, s->type_name, u->vcpus,
             u->vcpus == 1 ? "" : "s", line);
    usage_print(stdout, u);
    free(line);
}

static int print_json(const struct subject *s, const struct usage *u)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "name", s->name);
    json_string(j, "type", s->type_name);
    usage_json(j, u);
    json_close_object(j);
    return json_end(j);
}

/* A status. */
static int show_usage(const char *arg, bool json)
{
    struct subject *s = xcalloc(1, sizeof(*s));
    struct usage *u = NULL;
    int status = STATUS_TROUBLE;

    if (!subject_open(arg, s)) {
        if (!evidence_exists(s))
            (void)complain("%s has no state to look at: a domain or a save image is needed",
                           s->origin);
        else
            u = evidence_find(s, arg);
    }
    if (u && json) {
        status = print_json(s, u);
    } else if (u) {
        print_text(s, u);
        status = STATUS_YES;
    }
    free(u);
    subject_close(s);
    free(s);
    return status;
}

static int run_usage(const struct command *cmd, int argc, char **argv)
{
    const char *value;
    int letter, first;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'j')
            return STATUS_TROUBLE;
        json = true;
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "one domain or save image is needed");
    return show_usage(argv[first], json);
}

const struct command cmd_usage_of = {
    .name = "usage",
    .args = "DOMAIN|IMAGE",
    .summary = "what a guest has used of the CPU that it was told of",
    .about =
        "Says of each feature that a guest was told of whether it uses it, as far as its registers "
        "tell: which state is in use now, which is on, which was never on since the guest was "
        "booted, and which features leave no trace, so that nobody can say. A domain runs on "
        "meanwhile: the hypervisor holds each vCPU for the moment in which it is read.",
    .options = options,
    .run = run_usage,
};
