/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool evacuate: where do the guests of a host go?
 */
#include <stdio.h>

#include "json.h"
#include "out.h"
#include "plan-show.h"
#include "pool-commands.h"
#include "pool-lists.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'r', "reserve", "SIZE", "memory that stays free on each other host (default: 512M)"},
    {'1', "first-fit", NULL, "without the solver"},
    {'s', "script", NULL, "print the plan as a shell script of `xl migrate`"},
    CMD_JSON,
    CMD_END,
};

static void print_images(const struct evacuation *e)
{
    char images[48], bound[48];

    if (!e->n_images)
        return;
    out_text(stdout, 2, 4, "%s on its disk%s%s",
             plural(images, sizeof(images), e->n_images, "image of a saved guest stays",
                    "images of saved guests stay"),
             e->n_bound ? "; no other host can run " : "",
             e->n_bound ? plural(bound, sizeof(bound), e->n_bound, "of them", "of them") : "");
}

static void print_plan(const struct pool_matrix *m, const struct plan_options *o,
                       const struct evacuation *e)
{
    const char *host = m->pool->hosts[e->host].record->name;
    char guests[32], hosts[32], size[32];
    size_t n = e->n_moves + e->n_stuck;

    if (!n)
        out_text(stdout, 0, 2, "%s can be emptied: no guest runs there", host);
    else
        out_text(stdout, 0, 2,
                 "%s %s be emptied: %zu of %s %s a place; %s may get guests, with %s left free on "
                 "each",
                 host, e->n_stuck ? "cannot" : "can", e->n_moves,
                 plural(guests, sizeof(guests), n, "guest", "guests"), n == 1 ? "has" : "have",
                 plural(hosts, sizeof(hosts), e->n_targets, "other host", "other hosts"),
                 pool_size_text(o->reserve, size));
    plan_print_moves(m, e, 2);
    plan_print_stuck(m, e, 2);
    plan_print_method(e);
    print_images(e);
    plan_print_skipped(m->pool, e->host);
}

static int print_json(const struct pool_matrix *m, const struct plan_options *o,
                      const struct evacuation *e)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    plan_json(j, m, e);
    json_number(j, "targets", e->n_targets);
    json_number(j, "reserve", o->reserve);
    plan_skipped_json(j, m->pool, e->host);
    json_close_object(j);
    return json_end(j);
}

static int plan_host(const struct pool_session *s, const char *name, const struct plan_options *o,
                     bool script, bool json)
{
    size_t host = pool_session_host(s, name);
    struct pool_matrix m;
    struct evacuation e;
    int status = STATUS_YES;

    if (host == POOL_NONE)
        return STATUS_TROUBLE;
    out_line("planning for %zu hosts", s->pool.n_hosts);
    matrix_build(&s->pool, &m);
    plan_evacuate(&m, o, host, &e);
    out_line_end();
    if (script)
        status = plan_print_script(&m, &e);
    else if (json)
        status = print_json(&m, o, &e);
    else
        print_plan(&m, o, &e);
    if (script && status == STATUS_YES && e.n_stuck)
        warn("%zu of %zu guests are not in the script: they have no place", e.n_stuck,
             e.n_moves + e.n_stuck);
    if (status == STATUS_YES && e.n_stuck)
        status = STATUS_NO;
    evacuation_free(&e);
    matrix_free(&m);
    return status;
}

static int run_evacuate(const struct command *cmd, int argc, char **argv)
{
    struct plan_options o = {.reserve = PLAN_RESERVE};
    bool json = false, script = false;
    const char *where = NULL, *value;
    struct pool_session s;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == '1')
            o.no_solver = true;
        else if (letter == 's')
            script = true;
        else if (letter == 'j')
            json = true;
        else if (letter != 'r' || parse_size("reserve", value, &o.reserve))
            return STATUS_TROUBLE;
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "takes one host");
    if (json && script)
        return cmd_usage(cmd, "--json and --script are two forms of one plan");
    status = pool_session_open(&s, where);
    if (status == STATUS_YES)
        status = plan_host(&s, argv[first], &o, script, json);
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_evacuate = {
    .group = "pool",
    .name = "evacuate",
    .args = "HOST",
    .summary = "a plan that empties a host, or who cannot go and what would help",
    .about =
        "Says which guest of a host goes to which other one, so that each can run there and memory "
        "suffices: the free memory of a host at its last refresh, less the reserve; a guest's "
        "maximum, and for HVM and PVH what Xen needs for its page tables. Hosts in maintenance, "
        "and those that were not heard of, get nothing. A guest goes to where it can come back "
        "from, if it can; and where most memory stays free. Nothing is done: the plan is to be "
        "carried out with `xl migrate` (--script).\n\n"
        "Status 0: every guest has a place; 1: not so.",
    .options = options,
    .run = run_evacuate,
};
