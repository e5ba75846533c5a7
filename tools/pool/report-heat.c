/* SPDX-License-Identifier: MIT */
/*
 * The matrix of VMs and hosts, by classes and kinds, as a heat map; and its reasons.
 */
#include <stdlib.h>
#include <string.h>

#include "report-private.h"
#include "util.h"

/* What is drawn: a larger map is no picture, and the data has all of it. */
#define ROWS_MOST    60
#define COLUMNS_MOST 40
#define NAMES_MOST   30
#define REASONS_OPEN 10 /* so many are shown at once; more are behind a line */
#define REASONS_MOST 150

/* Told apart without colour: a sign, and a pattern of page.css. */
static const struct {
    const char *css, *sign, *words;
} looks[REPORT_VERDICTS] = {
    [REPORT_YES] = {"yes", "\xe2\x9c\x93", "can run there"},
    [REPORT_CYCLE] = {"cycle", "\xe2\x86\xbb", "only after a power cycle on the pool's level"},
    [REPORT_NO] = {"no", "\xe2\x9c\x95", "cannot run there"},
    [REPORT_UNKNOWN] = {"unknown", "?", "nobody can say"},
};

struct choice {
    size_t *at;
    size_t n, all;
};

/* The `most` largest of n, in their own order. */
static struct choice choose(size_t n, size_t most, size_t (*size)(const struct report *, size_t),
                            const struct report *r)
{
    struct choice c = {.at = xcalloc(n + 1, sizeof(size_t)), .all = n};
    bool *in = xcalloc(n + 1, sizeof(bool));

    for (size_t i = 0; i < n && i < most; i++) {
        size_t best = POOL_NONE;

        for (size_t k = 0; k < n; k++)
            if (!in[k] && (n <= most || best == POOL_NONE || size(r, k) > size(r, best))) {
                best = k;
                if (n <= most)
                    break;
            }
        in[best] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (in[i])
            c.at[c.n++] = i;
    free(in);
    return c;
}

static size_t size_of_guest(const struct report *r, size_t i)
{
    return r->guests[i].n_vms;
}

static size_t size_of_kind(const struct report *r, size_t i)
{
    return r->kinds[i].n_hosts;
}

static void write_legend(FILE *f)
{
    (void)fputs("<ul class=\"legend\" aria-label=\"Legend\">\n", f);
    for (unsigned int i = 0; i < REPORT_VERDICTS; i++)
        html(f, "<li><span class=\"mark %s\" aria-hidden=\"true\">%s</span>%s</li>\n", looks[i].css,
             looks[i].sign, looks[i].words);
    (void)fputs("<li><span class=\"mark yes home\" aria-hidden=\"true\">\xe2\x9c\x93</span>"
                "some of these VMs are there now</li>\n</ul>\n",
                f);
}

static void write_heads(const struct report *r, const struct choice *columns, FILE *f)
{
    (void)fputs("<thead><tr><th class=\"corner\" scope=\"col\">VMs</th>", f);
    for (size_t i = 0; i < columns->n; i++) {
        const struct report_kind *k = &r->kinds[columns->at[i]];

        html(f,
             "<th scope=\"col\"><span class=\"turned\">%s</span><a class=\"letter\" "
             "href=\"#kind-%s\">%s</a><span class=\"count\">%zu<span class=\"hidden-text\"> "
             "%s</span></span></th>",
             k->cpu, k->name, k->name, k->n_hosts, k->n_hosts == 1 ? "host" : "hosts");
    }
    (void)fputs("</tr></thead>\n", f);
}

static void write_vm(const struct pool *p, size_t domain, FILE *f)
{
    const struct pool_domain *d = &p->domains[domain];
    const char *usage = d->record->usage;

    html(f, "<li>%s on %s%s%s</li>", d->record->name, p->hosts[d->host].record->name,
         usage && *usage ? ": " : "", usage);
}

/* The first names; the script writes all of them when they are opened. */
static void write_names(const struct report *r, size_t guest, FILE *f)
{
    const struct pool *p = r->in->pool;
    size_t n = 0;

    html(f, "<ul class=\"names\">");
    for (size_t d = 0; d < p->n_domains && n < NAMES_MOST; d++)
        if (r->guest_of[d] == guest) {
            write_vm(p, d, f);
            n++;
        }
    if (r->guests[guest].n_vms > n)
        html(f, "<li>and %zu more</li>", r->guests[guest].n_vms - n);
    html(f, "</ul>");
}

static void write_row(const struct report *r, size_t guest, const struct choice *columns, FILE *f)
{
    const struct report_guest *g = &r->guests[guest];

    html(f,
         "<tr><th scope=\"row\"><details data-guest=\"%zu\"><summary>%s: %s<span "
         "class=\"count\">%zu %s",
         guest, g->type == GUEST_PV ? "PV" : "HVM, PVH", g->name, g->n_vms,
         g->n_vms == 1 ? "VM" : "VMs");
    if (*g->xen && g->type != GUEST_PV)
        html(f, ", on Xen %s", g->xen);
    html(f, "</span></summary>");
    write_names(r, guest, f);
    html(f, "</details></th>");
    for (size_t i = 0; i < columns->n; i++) {
        size_t k = columns->at[i], why = g->reason[k];
        enum report_verdict verdict = r->reasons[why].verdict;

        html(f, "<td class=\"%s%s\" data-g=\"%zu\" data-k=\"%zu\">%s", looks[verdict].css,
             g->here[k] ? " home" : "", guest, k, looks[verdict].sign);
        if (why && why <= REASONS_MOST)
            html(f, "<sub>%zu</sub>", why);
        html(f, "</td>");
    }
    html(f, "</tr>\n");
}

/* The reasons of what is drawn, by the numbers in the cells. */
static void write_reasons(const struct report *r, const struct choice *rows,
                          const struct choice *columns, FILE *f)
{
    bool *used = xcalloc(r->n_reasons + 1, sizeof(bool));
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++)
        for (size_t k = 0; k < columns->n; k++)
            used[r->guests[rows->at[i]].reason[columns->at[k]]] = true;
    for (size_t i = 1; i < r->n_reasons && i <= REASONS_MOST; i++)
        n += used[i];
    if (n)
        html(f,
             "<h3>Reasons</h3>\n<details%s><summary>%zu reasons, by the small numbers in the "
             "cells</summary>\n<ol class=\"reasons\">\n",
             n <= REASONS_OPEN ? " open" : "", n);
    for (size_t i = 1; i < r->n_reasons && i <= REASONS_MOST; i++)
        if (used[i])
            html(f, "<li value=\"%zu\"><span class=\"sign\">%s</span> %s</li>\n", i,
                 looks[r->reasons[i].verdict].sign, r->reasons[i].text);
    if (n)
        html(f, "</ol>\n");
    if (r->n_reasons > REASONS_MOST + 1)
        html(f, "<p>These stand against most pairs of a VM and a host; the others are beside their "
                "cells, and in <code>--json</code>.</p>\n");
    if (n)
        html(f, "</details>\n");
    free(used);
}

static void say_left_out(const struct choice *rows, const struct choice *columns, FILE *f)
{
    if (rows->n < rows->all)
        html(f, "<p>The %zu classes with most VMs are drawn, of %zu.</p>\n", rows->n, rows->all);
    if (columns->n < columns->all)
        html(f, "<p>The %zu kinds with most hosts are drawn, of %zu.</p>\n", columns->n,
             columns->all);
    if (rows->n < rows->all || columns->n < columns->all)
        html(f, "<p>All of it is in <code>xenlevel pool report --json</code>.</p>\n");
}

void report_heat_map(const struct report *r, FILE *f)
{
    struct choice rows, columns;

    if (!r->n_guests || !r->n_kinds) {
        html(f, "<p>There are no VMs in the registry.</p>\n");
        return;
    }
    rows = choose(r->n_guests, ROWS_MOST, size_of_guest, r);
    columns = choose(r->n_kinds, COLUMNS_MOST, size_of_kind, r);
    html(f, "<p>A row is VMs with the same CPU, a column hosts that offer the same. Point at a "
            "cell for the reason, or walk through the map with the arrow keys.</p>\n");
    write_legend(f);
    html(f, "<div class=\"scroll\"><table class=\"heat\" aria-label=\"Which VMs can run on which "
            "kinds of host\">\n");
    write_heads(r, &columns, f);
    html(f, "<tbody>\n");
    for (size_t i = 0; i < rows.n; i++)
        write_row(r, rows.at[i], &columns, f);
    html(f, "</tbody></table></div>\n");
    say_left_out(&rows, &columns, f);
    write_reasons(r, &rows, &columns, f);
    free(rows.at);
    free(columns.at);
}
