/* SPDX-License-Identifier: MIT */
/*
 * xenlevel explain: what a message means, by its name or found in pasted text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "json.h"
#include "messages.h"
#include "out.h"
#include "util.h"

#define MAX_TEXT (1u << 20) /* bytes of pasted text */

static const struct cmd_option options[] = {CMD_JSON, CMD_END};

static void print_message(const struct message *m)
{
    out_words(stdout, 0, 2, m->names[0]);
    for (const struct message_said *said = m->says; said->text; said++)
        out_text(stdout, 2, 4, "| %s", said->text);
    for (const char *const *text = m->text; *text; text++) {
        bool example = !strncmp(*text, "    ", 4);

        if (!example || text == m->text || strncmp(text[-1], "    ", 4) != 0)
            (void)fputc('\n', stdout);
        if (example)
            out_print(stdout, "  %s\n", *text);
        else
            out_words(stdout, 2, 2, *text);
    }
}

static void message_json(struct json *j, const struct message *m)
{
    json_object(j, NULL);
    json_string(j, "name", m->names[0]);
    json_array(j, "also");
    for (const char *const *name = m->names + 1; *name; name++)
        json_string(j, NULL, *name);
    json_close_array(j);
    json_array(j, "says");
    for (const struct message_said *said = m->says; said->text; said++)
        json_string(j, NULL, said->text);
    json_close_array(j);
    json_array(j, "text");
    for (const char *const *text = m->text; *text; text++)
        json_string(j, NULL, *text);
    json_close_array(j);
    json_close_object(j);
}

/* Text from standard input, malloc'ed and flattened; NULL after a message. */
static char *read_pasted(void)
{
    char *text = xcalloc(MAX_TEXT + 1, 1);
    size_t len = fread(text, 1, MAX_TEXT, stdin);

    if (ferror(stdin)) {
        warn("standard input: %s", strerror(errno));
        free(text);
        return NULL;
    }
    if (len == MAX_TEXT)
        warn("only the first %u bytes were looked at", MAX_TEXT);
    message_flatten(text, len);
    return text;
}

/* What the user asked for, and how it is to be said. */
struct answer {
    struct json *json;
    size_t count;
    struct featureset features; /* for JSON, where they stand behind the messages */
};

static void add_message(struct answer *a, const struct message *m)
{
    if (a->json)
        message_json(a->json, m);
    else if (a->count)
        (void)fputc('\n', stdout);
    if (!a->json)
        print_message(m);
    a->count++;
}

static int explain_pasted(struct answer *a)
{
    char *text = read_pasted();

    if (!text)
        return STATUS_TROUBLE;
    for (size_t i = 0; i < nr_messages; i++)
        if (message_is_in(&messages[i], text))
            add_message(a, &messages[i]);
    free(text);
    if (a->count)
        return STATUS_YES;
    warn("no message that is known is in this text; `xenlevel explain` lists those that are");
    return STATUS_NO;
}

/* A feature's name, which stands in many messages. */
static void explain_feature(struct answer *a, unsigned int feature)
{
    static const char *const merges[] = {
        [MERGE_CAPABILITY] =
            "A guest that was told of it must find it on every host where it runs.",
        [MERGE_HAZARD] = "A guest must have been told of it if any host where it runs has it.",
        [MERGE_ACCUMULATE] = ("A guest should be told of it if any host of its pool says it, and "
                              "can be where each of them can give it to a guest."),
        [MERGE_DYNAMIC] = "It follows the vCPU at run time, and is not compared.",
        [MERGE_MIRROR] = "It is AMD's copy of another bit, and is not compared.",
    };
    struct table t;

    featureset_set(&a->features, feature);
    if (a->json)
        return;
    if (a->count++)
        (void)fputc('\n', stdout);
    table_init(&t, 3, 0);
    show_feature_row(&t, feature);
    table_print(&t, stdout);
    for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++)
        if (featureset_test(featureset_merge_mask((enum feature_merge)i), feature))
            out_words(stdout, 2, 2, merges[i]);
}

static int explain_names(struct answer *a, int n, char **names)
{
    int status = STATUS_YES;

    for (int i = 0; i < n; i++) {
        const struct message *m = message_by_name(names[i]);

        if (m)
            add_message(a, m);
        else if (feature_by_name(names[i], strlen(names[i])) >= 0)
            explain_feature(a, (unsigned int)feature_by_name(names[i], strlen(names[i])));
        else
            status = complain("there is no message '%s': `xenlevel explain` lists the names, "
                              "`xenlevel explain -` looks into pasted text",
                              names[i]);
    }
    return status;
}

/* Without an argument: all of them, shortly. */
static void list_messages(struct answer *a)
{
    struct table t;

    table_init(&t, 2, 0);
    for (size_t i = 0; i < nr_messages; i++) {
        if (a->json)
            message_json(a->json, &messages[i]);
        else
            table_row(&t, messages[i].names[0], messages[i].says[0].text);
    }
    table_print(&t, stdout);
}

static int run_explain(const struct command *cmd, int argc, char **argv)
{
    struct answer a = {.json = NULL};
    int letter, first, status = STATUS_YES;
    const char *value;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'j')
            return STATUS_TROUBLE;
        if (!a.json)
            a.json = json_begin();
    }
    if (a.json) {
        json_object(a.json, NULL);
        json_array(a.json, "messages");
    }
    if (first == argc)
        list_messages(&a);
    else if (!strcmp(argv[first], "-"))
        status = argc - first == 1 ? explain_pasted(&a) : cmd_usage(cmd, "- stands alone");
    else
        status = explain_names(&a, argc - first, argv + first);
    if (a.json) {
        json_close_array(a.json);
        json_features(a.json, "features", &a.features);
        json_close_object(a.json);
        if (json_end(a.json))
            status = STATUS_TROUBLE;
    }
    return status;
}

const struct command cmd_explain = {
    .name = "explain",
    .args = "[NAME...|-]",
    .summary = "what does this message mean?",
    .about = "Explains a message by its name: what it means, what to do, an example. With - it "
             "reads text from standard input, as it was pasted out of a terminal or a log, and "
             "explains what it finds there: messages of Xenlevel, and those of Xen, xl, libvirt "
             "and XAPI when a guest cannot go on with its CPU. Without an argument it lists all "
             "names. Status 0: explained; 1: nothing that is known is in the text.",
    .options = options,
    .run = run_explain,
};
