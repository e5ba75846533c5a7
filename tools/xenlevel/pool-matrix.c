/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool matrix: all guests on all hosts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "pool-lists.h"
#include "util.h"

#define COLUMNS_SHOWN 12u /* classes of hosts that stand beside each other */

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'g', "vm", "GUEST", "only this guest or image, by name or UUID, with the reasons"},
    {'H', "host", "HOST", "only this host, with the reasons"},
    {'y', "why", NULL, "why, where the answer is not yes"},
    {'f', "full", NULL, "name all guests and hosts, however many"},
    CMD_JSON,
    CMD_END,
};

struct view {
    const struct pool_matrix *m;
    size_t guest, host; /* only these, by their indices in the pool; POOL_NONE: all */
    size_t row, column; /* and their classes */
    bool why, full;
};

static bool has_row(const struct view *v, size_t row)
{
    return v->row == POOL_NONE || v->row == row;
}

static bool has_column(const struct view *v, size_t column)
{
    return v->column == POOL_NONE || v->column == column;
}

/* Is every answer that is shown a yes? */
static bool is_all_yes(const struct view *v)
{
    for (size_t r = 0; r < v->m->n_rows; r++)
        for (size_t c = 0; c < v->m->n_columns; c++)
            if (has_row(v, r) && has_column(v, c) && matrix_verdict(v->m, r, c) != VERDICT_YES)
                return false;
    return true;
}

static void count_pair(const struct view *v, size_t guest, size_t host, struct matrix_count *n)
{
    enum verdict answer = matrix_of(v->m, guest, host);

    if (v->m->pool->domains[guest].host != host)
        ++*(answer == VERDICT_YES ? &n->yes : answer == VERDICT_NO ? &n->no : &n->unknown);
}

/* The pairs of a guest and another host that are shown. */
static struct matrix_count count_shown(const struct view *v)
{
    const struct pool *p = v->m->pool;
    struct matrix_count n = {0, 0, 0};

    if (v->guest == POOL_NONE && v->host == POOL_NONE)
        return v->m->all;
    if (v->guest != POOL_NONE && v->host != POOL_NONE)
        count_pair(v, v->guest, v->host, &n);
    for (size_t h = 0; v->host == POOL_NONE && h < p->n_hosts; h++)
        count_pair(v, v->guest, h, &n);
    for (size_t d = 0; v->guest == POOL_NONE && d < p->n_domains; d++)
        count_pair(v, d, v->host, &n);
    return n;
}

/* ---- text ---- */

static void print_columns(const struct view *v)
{
    const struct pool_matrix *m = v->m;
    struct table t;

    table_init(&t, 5, 2);
    table_row(&t, "", "Hosts", "Xen", "CPU", "");
    for (size_t c = 0; c < m->n_columns; c++) {
        const struct matrix_column *column = &m->columns[c];
        char name[16], count[24], *hosts;

        if (!has_column(v, c))
            continue;
        hosts = list_hosts(m, c, v->full ? 0 : LIST_MOST);
        (void)snprintf(count, sizeof(count), "%zu", column->n);
        table_row(&t, class_name(c, name), count, *column->xen ? column->xen : "?",
                  capture_cpu(m->pool, column->capture), hosts);
        free(hosts);
    }
    table_print(&t, stdout);
}

/* "yes no  ?" below the names of the classes; or, where these are many, by numbers of hosts. */
static char *describe_answers(const struct view *v, size_t row)
{
    const struct pool_matrix *m = v->m;
    struct matrix_count n = matrix_count_row(m, row);
    char *text = xstrdup("");

    if (m->n_columns > COLUMNS_SHOWN && v->column == POOL_NONE) {
        free(text);
        return n.unknown ? xasprintf("%llu of %zu, %llu ?", (unsigned long long)n.yes,
                                     m->pool->n_hosts, (unsigned long long)n.unknown)
                         : xasprintf("%llu of %zu", (unsigned long long)n.yes, m->pool->n_hosts);
    }
    for (size_t c = 0; c < m->n_columns; c++) {
        enum verdict answer = matrix_verdict(m, row, c);
        char *longer;

        if (!has_column(v, c))
            continue;
        longer = xasprintf("%s%-5s", text,
                           answer == VERDICT_YES  ? "yes"
                           : answer == VERDICT_NO ? "no"
                                                  : "?");
        free(text);
        text = longer;
    }
    return text;
}

static char *describe_heads(const struct view *v)
{
    char *text = xstrdup("");

    if (v->m->n_columns > COLUMNS_SHOWN && v->column == POOL_NONE) {
        free(text);
        return xstrdup("Can run on");
    }
    for (size_t c = 0; c < v->m->n_columns; c++) {
        char name[16], *longer;

        if (!has_column(v, c))
            continue;
        longer = xasprintf("%s%-5s", text, class_name(c, name));
        free(text);
        text = longer;
    }
    return text;
}

static char *describe_number(const struct matrix_row *r)
{
    return !r->n_images         ? xasprintf("%zu", r->n)
           : r->n_images < r->n ? xasprintf("%zu + %zu", r->n - r->n_images, r->n_images)
                                : xasprintf("0 + %zu", r->n);
}

static void print_rows(const struct view *v)
{
    const struct pool_matrix *m = v->m;
    char *heads = describe_heads(v);
    struct table t;

    table_init(&t, 6, 2);
    table_row(&t, "", "Guests", "Type", "From", heads, "");
    free(heads);
    for (size_t r = 0; r < m->n_rows; r++) {
        char number[24], *answers, *count, *guests;

        if (!has_row(v, r))
            continue;
        answers = describe_answers(v, r);
        count = describe_number(&m->rows[r]);
        guests = list_guests(m, r, v->full ? 0 : LIST_MOST);
        (void)snprintf(number, sizeof(number), "%zu", r + 1);
        table_row(&t, number, count, row_type(m, r), *m->rows[r].xen ? m->rows[r].xen : "?",
                  answers, guests);
        free(answers);
        free(count);
        free(guests);
    }
    table_print(&t, stdout);
}

/* Why a row is not yes everywhere: classes of hosts with the same reason together. */
static void print_reasons(const struct view *v, size_t row)
{
    const struct pool_matrix *m = v->m;
    char **why = xcalloc(m->n_columns + 1, sizeof(char *));
    bool *said = xcalloc(m->n_columns + 1, sizeof(*said));

    for (size_t c = 0; c < m->n_columns; c++)
        if (has_column(v, c) && matrix_verdict(m, row, c) != VERDICT_YES)
            why[c] = matrix_why(m, row, c, v->full ? 0 : LIST_MOST);
    for (size_t c = 0; c < m->n_columns; c++) {
        char *classes = NULL, *list, name[16];
        size_t n = 0;

        if (!why[c] || said[c])
            continue;
        for (size_t k = c; k < m->n_columns; k++)
            if (why[k] && !strcmp(why[k], why[c])) {
                list_add(&classes, &n, v->full ? 0 : COLUMNS_SHOWN, class_name(k, name));
                said[k] = true;
            }
        list = list_end(&classes, &n, v->full ? 0 : COLUMNS_SHOWN);
        out_text(stdout, 2, 4, "%zu on %s: %s: %s", row + 1, list,
                 matrix_verdict(m, row, c) == VERDICT_NO ? "no" : "cannot say", why[c]);
        free(list);
    }
    for (size_t c = 0; c < m->n_columns; c++)
        free(why[c]);
    free((void *)why);
    free(said);
}

static void print_matrix(const struct view *v)
{
    const struct pool_matrix *m = v->m;
    struct matrix_count n = count_shown(v);
    uint64_t pairs = n.yes + n.no + n.unknown;
    char hosts[32], kinds[32], guests[32], classes[32];

    out_text(stdout, 0, 2, "pool %s: %s of %s, %s of %s", m->pool->record->name,
             plural(hosts, sizeof(hosts), m->pool->n_hosts, "host", "hosts"),
             plural(kinds, sizeof(kinds), m->n_columns, "class", "classes"),
             plural(guests, sizeof(guests), m->pool->n_domains, "guest", "guests"),
             plural(classes, sizeof(classes), m->n_rows, "class", "classes"));
    if (m->n_columns <= COLUMNS_SHOWN || v->full || v->column != POOL_NONE)
        print_columns(v);
    if (m->n_rows)
        print_rows(v);
    if (v->why)
        for (size_t r = 0; r < m->n_rows; r++)
            if (has_row(v, r))
                print_reasons(v, r);
    if (pairs)
        out_text(stdout, 0, 2,
                 "of %llu pairs of a guest and another host %llu can be (%llu %%), %llu cannot%s",
                 (unsigned long long)pairs, (unsigned long long)n.yes,
                 (unsigned long long)(n.yes * 100 / pairs), (unsigned long long)n.no,
                 n.unknown ? "; of the others nobody can say" : "");
    if (!v->why && !is_all_yes(v))
        out_text(stdout, 0, 2, "the reasons: --why");
}

/* ---- JSON ---- */

static void column_json(struct json *j, const struct view *v, size_t c)
{
    const struct pool_matrix *m = v->m;
    const struct matrix_column *column = &m->columns[c];
    struct matrix_count n = matrix_count_column(m, c);
    char name[16];

    json_object(j, NULL);
    json_string(j, "class", class_name(c, name));
    json_string(j, "capture", m->pool->captures[column->capture].digest);
    json_string(j, "cpu", capture_cpu(m->pool, column->capture));
    json_string(j, "xen", column->xen);
    json_array(j, "hosts");
    for (size_t i = 0; i < column->n; i++)
        json_string(j, NULL, m->pool->hosts[m->order_hosts[column->first + i]].record->name);
    json_close_array(j);
    json_counts(j, &n);
    json_close_object(j);
}

static void reason_json(struct json *j, const struct pool_matrix *m, size_t row, size_t column,
                        struct cpu_answer *a)
{
    struct featureset missing, hazards, doubtful;
    char name[16], *why = matrix_why(m, row, column, 0);

    json_object(j, NULL);
    json_string(j, "hosts", class_name(column, name));
    json_string(j, "answer", verdict_word(matrix_verdict(m, row, column)));
    json_string(j, "why", why);
    if (matrix_ask(m, row, column, a)) {
        answer_features(a, &missing, &hazards);
        answer_doubtful(a, &doubtful);
        json_string(j, "release_obstacle", a->obstacle);
        json_features(j, "missing", &missing);
        json_features(j, "hazards", &hazards);
        json_features(j, "not_known", &doubtful);
    }
    json_close_object(j);
    free(why);
}

static void guests_json(struct json *j, const struct pool_matrix *m, const struct matrix_row *row)
{
    json_array(j, "guests");
    for (size_t i = 0; i < row->n; i++) {
        const struct pool_domain *d = &m->pool->domains[m->order_domains[row->first + i]];

        json_object(j, NULL);
        json_string(j, "name", d->record->name);
        json_string(j, "uuid", d->record->uuid);
        json_string(j, "host", m->pool->hosts[d->host].record->name);
        json_string(j, "image", *d->record->image ? d->record->image : NULL);
        json_close_object(j);
    }
    json_close_array(j);
}

static void row_json(struct json *j, const struct view *v, size_t r, struct cpu_answer *a)
{
    const struct pool_matrix *m = v->m;
    const struct matrix_row *row = &m->rows[r];
    struct matrix_count n = matrix_count_row(m, r);

    json_object(j, NULL);
    json_number(j, "class", r + 1);
    json_string(j, "policy",
                row->policy == POOL_NONE ? NULL : m->pool->policies[row->policy].digest);
    json_string(j, "type", row->policy == POOL_NONE ? NULL : row_type(m, r));
    json_string(j, "xen", row->xen);
    guests_json(j, m, row);
    json_counts(j, &n);
    json_array(j, "answers");
    for (size_t c = 0; c < m->n_columns; c++)
        if (has_column(v, c))
            json_string(j, NULL, verdict_word(matrix_verdict(m, r, c)));
    json_close_array(j);
    if (v->why) {
        json_array(j, "reasons");
        for (size_t c = 0; c < m->n_columns; c++)
            if (has_column(v, c) && matrix_verdict(m, r, c) != VERDICT_YES)
                reason_json(j, m, r, c, a);
        json_close_array(j);
    }
    json_close_object(j);
}

static int print_json(const struct view *v)
{
    const struct pool_matrix *m = v->m;
    struct matrix_count n = count_shown(v);
    struct json *j = json_begin();
    struct cpu_answer a;

    answer_init(&a);
    json_object(j, NULL);
    json_string(j, "pool", m->pool->record->name);
    json_array(j, "host_classes");
    for (size_t c = 0; c < m->n_columns; c++)
        if (has_column(v, c))
            column_json(j, v, c);
    json_close_array(j);
    json_array(j, "guest_classes");
    for (size_t r = 0; r < m->n_rows; r++) {
        if (has_row(v, r))
            row_json(j, v, r, &a);
        json_flush(j);
    }
    json_close_array(j);
    json_object(j, "pairs");
    json_counts(j, &n);
    json_close_object(j);
    json_bool(j, "everywhere", is_all_yes(v));
    json_close_object(j);
    answer_free(&a);
    return json_end(j);
}

/* ---- the command ---- */

/* Find what is to be shown.  Returns STATUS_YES; or STATUS_TROUBLE after a message. */
static int find_shown(const struct pool_session *s, const char *guest, const char *host,
                      struct view *v)
{
    size_t more = 0;

    if (guest) {
        v->guest = pool_find_domain(&s->pool, guest, &more);
        if (v->guest == POOL_NONE)
            return complain("there is no guest '%s' in pool %s", guest, s->pool.record->name);
        if (more)
            return complain("%zu guests are called '%s': a UUID says which", more + 1, guest);
        v->row = v->m->row_of[v->guest];
    }
    if (host) {
        v->host = pool_session_host(s, host);
        if (v->host == POOL_NONE)
            return STATUS_TROUBLE;
        v->column = v->m->column_of[v->host];
    }
    return STATUS_YES;
}

static int ask_pool(const struct pool_session *s, const char *guest, const char *host,
                    struct view *v, bool json)
{
    struct pool_matrix m;
    int status;

    out_line("asking about %zu guests and %zu hosts", s->pool.n_domains, s->pool.n_hosts);
    matrix_build(&s->pool, &m);
    out_line_end();
    v->m = &m;
    status = find_shown(s, guest, host, v);
    if (status == STATUS_YES) {
        if (!json)
            print_matrix(v);
        else if (print_json(v))
            status = STATUS_TROUBLE;
        if (status == STATUS_YES && !is_all_yes(v))
            status = STATUS_NO;
    }
    matrix_free(&m);
    return status;
}

static int run_matrix(const struct command *cmd, int argc, char **argv)
{
    struct view v = {.guest = POOL_NONE, .host = POOL_NONE, .row = POOL_NONE, .column = POOL_NONE};
    const char *where = NULL, *guest = NULL, *host = NULL, *value;
    struct pool_session s;
    int letter, first, status;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'g')
            guest = value;
        else if (letter == 'H')
            host = value;
        else if (letter == 'y')
            v.why = true;
        else if (letter == 'f')
            v.full = true;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc != first)
        return cmd_usage(cmd, "takes no arguments: --vm and --host name one");
    v.why |= guest || host;
    status = pool_session_open(&s, where);
    if (status == STATUS_YES)
        status = ask_pool(&s, guest, host, &v, json);
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_matrix = {
    .group = "pool",
    .name = "matrix",
    .args = "",
    .summary = "all guests on all hosts: yes, no and why, or cannot say",
    .about =
        "Asks of every guest and every image of a saved guest whether every host of the pool can "
        "run it, as `xenlevel check` does. Guests with equal CPUs on hosts of the same release of "
        "Xen are one class, and hosts with equal captures under one release are one: a letter. "
        "A guest's release is that of the host that it runs on, since that Xen writes its state; "
        "an image's is the one that saved it.\n\n"
        "Status 0: every guest can run on every host; 1: not so, or nobody can say.",
    .options = options,
    .run = run_matrix,
};
