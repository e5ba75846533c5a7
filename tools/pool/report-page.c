/* SPDX-License-Identifier: MIT */
/*
 * The page: report/page.html with its sections.
 */
#include <stdlib.h>
#include <string.h>

#include "report-page-gen.h"
#include "report-private.h"
#include "util.h"

/* Hosts that run no such guests are in no node. */
static void say_hosts_left(const struct report *r, const struct report_graph *g, FILE *f)
{
    size_t n = r->in->pool->n_hosts;

    for (size_t i = 0; i < g->n_groups; i++)
        n -= g->groups[i].n_hosts;
    if (n)
        html(f, "<p>%zu %s no such guests.</p>\n", n, n == 1 ? "host runs" : "hosts run");
}

static void say_level(const struct report *r, const struct report_graph *g, FILE *f)
{
    size_t n = 0, all = r->in->pool->n_hosts;

    if (!report_level_policy(r, g->type))
        return;
    for (size_t i = 0; i < r->n_kinds; i++)
        n += r->kinds[i].level == REPORT_YES ? r->kinds[i].n_hosts : 0;
    html(f, "<p>A guest that is born on the pool's level, <strong>%s</strong>, can run on ",
         r->in->pool->record->level);
    if (n == all)
        html(f, all == 1 ? "this host" : "all %zu hosts", all);
    else
        html(f, "%zu of %zu hosts", n, all);
    html(f, ".</p>\n");
}

static void say_arrows(const struct report_graph *g, FILE *f)
{
    bool any = false, some = false, unknown = false;

    for (size_t i = 0; i < g->n_groups * g->n_groups; i++) {
        any |= g->drawn[i];
        some |= g->drawn[i] && g->edge[i] == REPORT_EDGE_SOME;
        unknown |= g->edge[i] == REPORT_EDGE_UNKNOWN;
    }
    if (g->n_groups == 1) {
        if (g->groups[0].n_hosts > 1)
            html(f, "<p>Guests that are born on one of these hosts can run on the others.</p>\n");
        return;
    }
    if (unknown)
        html(f,
             "<p>Of some kinds nobody can say whether these guests can run there, because not all "
             "is known of their hosts: no arrow goes there.</p>\n");
    if (!any && unknown)
        return;
    if (!any) {
        html(f, "<p>No guest that is born so can run on another kind of host.</p>\n");
        return;
    }
    html(f, "<p>An arrow: a guest that is born where it begins can run where it ends.%s%s%s</p>\n",
         g->reduced ? " Where full arrows follow each other, it can go all the way." : "",
         some ? " A broken arrow: some of these guests can, or to some of these hosts." : "",
         g->coarse ? " There are many kinds, so those with the same processor are drawn together."
                   : "");
}

/* Do two graphs have the same nodes and edges? */
static bool are_same(const struct report_graph *a, const struct report_graph *b)
{
    size_t n = a->n_groups;

    if (n != b->n_groups || memcmp(a->edge, b->edge, n * n) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (a->groups[i].n_kinds != b->groups[i].n_kinds ||
            memcmp(a->groups[i].kinds, b->groups[i].kinds, a->groups[i].n_kinds * sizeof(size_t)) !=
                0)
            return false;
    return true;
}

/* One graph and what is to be said of it. */
static void write_graph(const struct report *r, size_t i, FILE *f)
{
    const struct report_graph *g = &r->graphs[i];

    html(f, "<h3>%s guests</h3>\n", report_type_name(g->type));
    if (!g->n_groups) {
        html(f, "<p>No host runs them.</p>\n");
        return;
    }
    say_hosts_left(r, g, f);
    say_level(r, g, f);
    if (i && are_same(&r->graphs[0], g)) {
        html(f, "<p>Those that are born with all that their host gives can move as the picture "
                "above says.</p>\n");
        return;
    }
    if (r->in->pool->level != POOL_NONE)
        html(f, "<p>The picture is of guests that are born with all that their host gives.</p>\n");
    say_arrows(g, f);
    report_draw_graph(r, i, f);
    html(f,
         "<p class=\"sentence soft needs-script\" role=\"status\" data-sentence=\"%zu\">Point "
         "at a kind, or go there with the Tab key, to see where its guests can go.</p>\n",
         i);
}

static int write_data(const struct report *r, FILE *f)
{
    struct json *j = json_begin_script(f);

    report_data(r, j);
    return json_end(j);
}

static int write_section(const struct report *r, enum page_section section, FILE *f)
{
    switch (section) {
    case PAGE_TITLE:
        html(f, "Pool %s, %s", r->in->pool->record->name, r->in->when);
        break;
    case PAGE_HEAD:
        report_head(r, f);
        break;
    case PAGE_ATTENTION:
        report_attention(r, f);
        break;
    case PAGE_GRAPH:
        for (size_t i = 0; i < r->n_graphs; i++)
            write_graph(r, i, f);
        break;
    case PAGE_MATRIX:
        report_heat_map(r, f);
        break;
    case PAGE_KINDS:
        report_kinds_table(r, f);
        break;
    case PAGE_HOSTS:
        report_hosts_table(r, f);
        break;
    case PAGE_LEVEL:
        report_level_section(r, f);
        break;
    case PAGE_HISTORY:
        report_history_table(r, f);
        break;
    case PAGE_FOOT:
        html(f, "<p>Written by <code>xenlevel pool report</code>. The data of this page is inside "
                "it as JSON.</p>\n");
        break;
    case PAGE_DATA:
        return write_data(r, f);
    case PAGE_END:
        break;
    }
    return 0;
}

int report_write_page(const struct report *r, FILE *f)
{
    for (size_t i = 0; i < sizeof(page_parts) / sizeof(page_parts[0]); i++) {
        (void)fputs(page_parts[i].text, f);
        if (write_section(r, page_parts[i].then, f))
            return 2;
    }
    return 0;
}
