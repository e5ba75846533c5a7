/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool rolling: in which order can all hosts be emptied, updated and refilled?
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "out.h"
#include "plan-show.h"
#include "pool-commands.h"
#include "pool-lists.h"
#include "util.h"
#include "xc_release.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'x', "to-xen", "RELEASE", "hosts are updated to this release of Xen, 4.20 or 4.20.4"},
    {'r', "reserve", "SIZE", "memory that stays free on each host (default: 512M)"},
    {'1', "first-fit", NULL, "without the solver"},
    {'f', "full", NULL, "name each guest's place in each step"},
    CMD_JSON,
    CMD_END,
};

static void print_names(const struct pool *p, const size_t *hosts, size_t n, const char *what)
{
    char *names = NULL, *list;
    size_t count = 0;

    if (!n)
        return;
    for (size_t i = 0; i < n; i++)
        list_add(&names, &count, LIST_MOST, p->hosts[hosts[i]].record->name);
    list = list_end(&names, &count, LIST_MOST);
    out_text(stdout, 0, 2, "%s: %s", what, list);
    free(list);
}

static void print_steps(const struct pool_matrix *m, const struct rolling *r, bool full)
{
    struct table t;

    table_init(&t, 4, 2);
    table_row(&t, "", "Host", "Guests that go and come home", "");
    for (size_t i = 0; i < r->n_steps; i++) {
        const struct evacuation *e = &r->steps[i];
        char number[24], guests[24], *places = NULL, *list;
        size_t n = 0;

        for (size_t k = 0; k < e->n_moves; k++) {
            char *place = xasprintf("%s to %s", m->pool->domains[e->moves[k].domain].record->name,
                                    m->pool->hosts[e->moves[k].to].record->name);

            list_add(&places, &n, full ? 0 : 3, place);
            free(place);
        }
        list = list_end(&places, &n, full ? 0 : 3);
        (void)snprintf(number, sizeof(number), "%zu.", i + 1);
        (void)snprintf(guests, sizeof(guests), "%zu", e->n_moves);
        table_row(&t, number, m->pool->hosts[e->host].record->name, guests, list);
        free(list);
    }
    table_print(&t, stdout);
}

static void print_rolling(const struct pool_matrix *m, const struct plan_options *o,
                          const struct rolling *r, bool full)
{
    const struct pool *p = m->pool;
    size_t n = r->n_steps + r->n_blocked;

    if (!r->n_blocked && !r->n_silent)
        out_text(stdout, 0, 2,
                 "all %zu hosts can be emptied, updated%s%s and refilled, one after another:", n,
                 o->to_xen ? " to Xen " : "", o->to_xen ? o->to_xen : "");
    else
        out_text(stdout, 0, 2, "%zu of %zu hosts can be emptied, updated%s%s and refilled%s",
                 r->n_steps, n + r->n_silent, o->to_xen ? " to Xen " : "",
                 o->to_xen ? o->to_xen : "", r->n_steps ? ", in this order:" : "");
    if (r->n_steps)
        print_steps(m, r, full);
    for (size_t i = 0; i < r->n_blocked; i++) {
        char guests[32];

        out_text(stdout, 0, 2,
                 "%s cannot be emptied, for %s:", p->hosts[r->blocked[i].host].record->name,
                 plural(guests, sizeof(guests), r->blocked[i].n_stuck, "guest", "guests"));
        plan_print_stuck(m, &r->blocked[i], 2);
        plan_print_method(&r->blocked[i]);
    }
    print_names(p, r->done, r->n_done,
                "not to be updated, since they run that release or a newer one");
    print_names(p, r->silent, r->n_silent,
                "silent, so nobody knows what runs there (`xenlevel pool refresh` on them)");
    plan_print_skipped(p, POOL_NONE);
    if (r->n_steps)
        out_text(stdout, 0, 2,
                 "each step: `xenlevel pool evacuate HOST --script`, the update, "
                 "`xenlevel pool refresh` there, and its guests come home");
}

static void names_json(struct json *j, const char *key, const struct pool *p, const size_t *hosts,
                       size_t n)
{
    json_array(j, key);
    for (size_t i = 0; i < n; i++)
        json_string(j, NULL, p->hosts[hosts[i]].record->name);
    json_close_array(j);
}

static void plans_json(struct json *j, const char *key, const struct pool_matrix *m,
                       const struct evacuation *e, size_t n)
{
    json_array(j, key);
    for (size_t i = 0; i < n; i++) {
        json_object(j, NULL);
        plan_json(j, m, &e[i]);
        json_close_object(j);
        json_flush(j);
    }
    json_close_array(j);
}

static int print_json(const struct pool_matrix *m, const struct plan_options *o,
                      const struct rolling *r)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_bool(j, "all", !r->n_blocked && !r->n_silent);
    json_string(j, "to_xen", o->to_xen);
    plans_json(j, "steps", m, r->steps, r->n_steps);
    plans_json(j, "blocked", m, r->blocked, r->n_blocked);
    names_json(j, "done", m->pool, r->done, r->n_done);
    names_json(j, "silent", m->pool, r->silent, r->n_silent);
    plan_skipped_json(j, m->pool, POOL_NONE);
    json_close_object(j);
    return json_end(j);
}

static int plan_pool(const struct pool_session *s, const struct plan_options *o, bool full,
                     bool json)
{
    struct pool_matrix m;
    struct rolling r;
    int status = STATUS_YES;

    out_line("planning for %zu hosts", s->pool.n_hosts);
    matrix_build(&s->pool, &m);
    plan_rolling(&m, o, &r);
    out_line_end();
    if (json)
        status = print_json(&m, o, &r);
    else
        print_rolling(&m, o, &r, full);
    if (status == STATUS_YES && (r.n_blocked || r.n_silent))
        status = STATUS_NO;
    rolling_free(&r);
    matrix_free(&m);
    return status;
}

static int run_rolling(const struct command *cmd, int argc, char **argv)
{
    struct plan_options o = {.reserve = PLAN_RESERVE};
    const char *where = NULL, *value;
    struct xc_release release;
    struct pool_session s;
    int letter, first, status;
    bool json = false, full = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'x')
            o.to_xen = value;
        else if (letter == '1')
            o.no_solver = true;
        else if (letter == 'f')
            full = true;
        else if (letter == 'j')
            json = true;
        else if (letter != 'r' || parse_size("reserve", value, &o.reserve))
            return STATUS_TROUBLE;
    }
    if (argc != first)
        return cmd_usage(cmd, "takes no arguments");
    if (o.to_xen && !xc_read_release(o.to_xen, &release))
        return complain("--to-xen is a release of Xen, as 4.20, not '%s'", o.to_xen);
    status = pool_session_open(&s, where);
    if (status == STATUS_YES)
        status = plan_pool(&s, &o, full, json);
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_rolling = {
    .group = "pool",
    .name = "rolling",
    .args = "",
    .summary = "an order in which all hosts can be emptied, updated and refilled",
    .about =
        "Plans an update of all hosts, one after another: its guests go to others, it is updated, "
        "and they come home before the next one is emptied. Guests of a newer Xen do not go to an "
        "older one, so a guest is placed where it can come home from, and a host whose guests only "
        "updated hosts can take comes after those; --to-xen says what hosts are updated to, "
        "and those that run it already are left out. What a host offers is taken to stay "
        "as it is. Where no order does, it says which guests prevent it and what would help.\n\n"
        "Status 0: all hosts can be updated so; 1: not all, or of some nobody can say.",
    .options = options,
    .run = run_rolling,
};
