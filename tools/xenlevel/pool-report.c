/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool report: the picture of a pool.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "out.h"
#include "outfile.h"
#include "pool-commands.h"
#include "pool.h"
#include "report.h"
#include "store.h"
#include "util.h"

#define EVENTS_MOST 100 /* in the report; `pool history` has all */

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'o', "output", "FILE", "write the page here; - is standard output"},
    {'P', "prometheus", "FILE", "write numbers for node_exporter's textfile collector here"},
    CMD_JSON,
    CMD_END,
};

/* What is asked for. */
struct wish {
    const char *where, *page, *metrics;
    bool json;
};

/* The last events of the registry, the newest first. */
struct events {
    Xenlevel__Event **list;
    size_t n, all;
};

static void free_events(struct events *e)
{
    for (size_t i = 0; i < e->n; i++)
        xenlevel__event__free_unpacked(e->list[i], NULL);
    free(e->list);
}

/* Returns 0; or 2 after a message. */
static int load_events(struct store *store, struct events *e)
{
    static const char *const prefix[] = {"history/"};
    struct store_list list;
    int rc = 0;

    *e = (struct events){0};
    if (store_list(store, prefix, 1, &list))
        return complain("%s", store_error(store));
    e->all = list.n;
    e->list = xcalloc(EVENTS_MOST, sizeof(Xenlevel__Event *));
    for (size_t i = list.n; i-- > 0 && e->n < EVENTS_MOST && !rc;) {
        const struct store_value *v = &list.values[i];

        e->list[e->n] = xenlevel__event__unpack(NULL, v->len, v->bytes);
        if (e->list[e->n])
            e->n++;
        else
            rc = complain("%s: %s: this is no Event", store_name(store), v->key);
    }
    store_list_free(&list);
    return rc;
}

/* Put a text into a file, whole or not at all.  Returns 0; or 2 after a message. */
static int save_text(const char *path, const char *text, size_t len)
{
    return outfile_save(path, text, len)
               ? complain("%s: cannot be written: %s", path, strerror(errno))
               : 0;
}

static int write_file(const struct report *r, const char *path,
                      int (*write)(const struct report *, FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *f;
    int rc;

    if (!strcmp(path, "-"))
        return write(r, stdout);
    f = open_memstream(&text, &len);
    if (!f)
        out_of_memory();
    rc = write(r, f);
    if (fclose(f))
        out_of_memory();
    if (!rc)
        rc = save_text(path, text, len);
    free(text);
    return rc;
}

static int write_all(const struct wish *wish, const struct report *r)
{
    int rc = 0;

    if (wish->page)
        rc = write_file(r, wish->page, report_write_page);
    if (!rc && wish->metrics)
        rc = write_file(r, wish->metrics, report_write_metrics);
    if (!rc && wish->json)
        rc = report_write_json(r);
    return rc;
}

static int draw(const struct wish *wish, const struct pool_session *s)
{
    struct report_input in = {.pool = &s->pool, .source = store_name(s->store)};
    struct events events;
    struct report r;
    char when[21];
    int rc = load_events(s->store, &events);

    if (!rc) {
        date_now(when);
        in.when = when;
        in.events = events.list;
        in.n_events = events.n;
        in.all_events = events.all;
        out_line("asking %zu hosts for %zu VMs", s->pool.n_hosts, s->pool.n_domains);
        report_make(&in, &r);
        out_line_end();
        rc = write_all(wish, &r);
        report_free(&r);
    }
    free_events(&events);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

static bool is_stdout(const char *path)
{
    return path && !strcmp(path, "-");
}

static int run_report(const struct command *cmd, int argc, char **argv)
{
    struct wish wish = {0};
    const char *value;
    struct pool_session session;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            wish.where = value;
        else if (letter == 'o')
            wish.page = value;
        else if (letter == 'P')
            wish.metrics = value;
        else if (letter == 'j')
            wish.json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc != first)
        return cmd_usage(cmd, "it takes no arguments");
    if (!wish.page && !wish.metrics && !wish.json)
        return cmd_usage(cmd, "say what to write: -o FILE, --prometheus FILE or --json");
    if (is_stdout(wish.page) + is_stdout(wish.metrics) + wish.json > 1)
        return cmd_usage(cmd, "only one of them can go to standard output");
    status = pool_session_open(&session, wish.where);
    if (status == STATUS_YES)
        status = draw(&wish, &session);
    pool_session_close(&session);
    return status;
}

const struct command pool_cmd_report = {
    .name = "report",
    .group = "pool",
    .args = "[-o FILE] [--json] [--prometheus FILE]",
    .summary = "draw the pool: who can move where, what a host costs, drift, history",
    .about =
        "-o writes one page of HTML that needs nothing else: no network, no server. It shows "
        "between which hosts guests can move, which VMs can run on which hosts and why not, what "
        "each kind of host costs the pool, hosts that are silent, in maintenance or changed, and "
        "the last events of the history.\n\n"
        "--json writes the same as data. --prometheus writes its numbers for Prometheus: name a "
        "file that ends with .prom in the folder of node_exporter's textfile collector.\n\n"
        "Every file is written whole or not at all, so a timer may write over the last one.",
    .options = options,
    .run = run_report,
};
