/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool history: who changed what, when, and why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "pool.h"
#include "store.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'n', "last", "N", "only the last N changes"},
    CMD_JSON,
    CMD_END,
};

static void print_event(const Xenlevel__Event *e)
{
    out_text(stdout, 0, 4, "%s  %s %s  by %s", e->when, e->what, e->subject, e->who);
    for (size_t i = 0; i < e->n_details; i++)
        out_text(stdout, 4, 6, "%s", e->details[i]);
    if (e->why[0])
        out_text(stdout, 4, 6, "why: %s", e->why);
}

/* One that is rubbish is named, and the others are told all the same.  Returns the status. */
static int print_events(const struct store *store, const struct store_list *list, size_t first,
                        struct json *j)
{
    int status = STATUS_YES;

    for (size_t i = first; i < list->n; i++) {
        const struct store_value *v = &list->values[i];
        Xenlevel__Event *e = xenlevel__event__unpack(NULL, v->len, v->bytes);

        if (!e)
            status = complain("%s: %s: this is no Event", store_name(store), v->key);
        else if (j)
            json_event(j, e);
        else
            print_event(e);
        if (e)
            xenlevel__event__free_unpacked(e, NULL);
    }
    return status;
}

static int print_history(struct store *store, size_t last, bool json)
{
    static const char *const prefixes[] = {"history/", "pool"};
    struct store_list list;
    struct json *j = NULL;
    size_t n;
    int status;

    if (store_list(store, prefixes, 2, &list))
        return complain("%s", store_error(store));
    if (!list.n || strcmp(list.values[list.n - 1].key, "pool") != 0) {
        store_list_free(&list);
        return complain("%s: no pool is there: `xenlevel pool init` makes one", store_name(store));
    }
    store_value_free(&list.values[--list.n]);
    n = list.n;
    if (json) {
        j = json_begin();
        json_array(j, NULL);
    }
    status = print_events(store, &list, last < n ? n - last : 0, j);
    if (j)
        json_close_array(j);
    if (j && json_end(j))
        status = STATUS_TROUBLE;
    store_list_free(&list);
    return status;
}

static int run_history(const struct command *cmd, int argc, char **argv)
{
    const char *value, *where = NULL;
    size_t last = SIZE_MAX;
    bool json = false;
    struct store *store;
    int letter, first, status;
    char *end;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p') {
            where = value;
        } else if (letter == 'j') {
            json = true;
        } else if (letter == 'n') {
            errno = 0;
            last = strtoul(value, &end, 10);
            if (errno || !value[0] || *end || value[0] == '-')
                return cmd_usage(cmd, "--last takes a number");
        } else {
            return STATUS_TROUBLE;
        }
    }
    if (argc != first)
        return cmd_usage(cmd, "it takes no arguments");
    store = pool_open(where, false);
    if (!store)
        return STATUS_TROUBLE;
    status = print_history(store, last, json);
    store_close(store);
    return status;
}

const struct command pool_cmd_history = {
    .group = "pool",
    .name = "history",
    .args = "",
    .summary = "who changed what, when, and why",
    .about = "Prints the changes of a pool, the oldest first: when, what, by whom, and the reason "
             "where one was given (--why).",
    .options = options,
    .run = run_history,
};
