/* SPDX-License-Identifier: MIT */
/*
 * The graph as a picture.
 */
#include <stdlib.h>
#include <string.h>

#include "report-layout.h"
#include "report-private.h"
#include "util.h"

#define LABEL_MOST 22 /* characters of a CPU's name in a node */
#define TIP        9.0

/* An arrow's end at (x, y), pointing up or down. */
static void draw_tip(FILE *f, double x, double y, bool up)
{
    double back = up ? TIP : -TIP;

    (void)fprintf(f, "<path class=\"tip\" d=\"M%.1f %.1fl-4.5 %.1fh9z\"/>", x, y, back);
}

static void draw_line(const struct layout *l, const struct layout_line *line, FILE *f)
{
    const struct layout_place *low = &l->places[line->places[0]];
    const struct layout_place *high = &l->places[line->places[line->n - 1]];
    double x = low->x, y = low->y - LAYOUT_NODE_HEIGHT / 2 - (line->down ? TIP - 1 : 0);

    (void)fprintf(f, "<g class=\"edge%s%s\" data-from=\"%zu\" data-to=\"%zu\"><path d=\"M%.1f %.1f",
                  line->up && line->down ? " both" : "", line->some ? " some" : "",
                  line->up ? line->from : line->to, line->up ? line->to : line->from, x, y);
    for (size_t i = 1; i < line->n; i++) {
        const struct layout_place *p = &l->places[line->places[i]];
        bool last = i + 1 == line->n;
        double half = LAYOUT_NODE_HEIGHT / 2;
        double below = p->y + half + (last && line->up ? TIP - 1 : 0), middle = (y + below) / 2;

        (void)fprintf(f, "C%.1f %.1f %.1f %.1f %.1f %.1f", x, middle, p->x, middle, p->x, below);
        if (!last)
            (void)fprintf(f, "V%.1f", p->y - half);
        x = p->x;
        y = p->y - half;
    }
    (void)fputs("\"/>", f);
    if (line->up)
        draw_tip(f, high->x, high->y + LAYOUT_NODE_HEIGHT / 2, true);
    if (line->down)
        draw_tip(f, low->x, low->y - LAYOUT_NODE_HEIGHT / 2, false);
    (void)fputs("</g>\n", f);
}

/* "A", "A, B, C", "A, B and 7 more". */
static char *name_group(const struct report *r, const struct report_group *g)
{
    size_t most = g->n_kinds > 4 ? 2 : g->n_kinds;
    char *text = xstrdup("");

    for (size_t i = 0; i < most; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? ", " : "", r->kinds[g->kinds[i]].name);

        free(text);
        text = longer;
    }
    if (most < g->n_kinds) {
        char *longer = xasprintf("%s and %zu more", text, g->n_kinds - most);

        free(text);
        text = longer;
    }
    return text;
}

static void draw_node(const struct report *r, const struct layout_place *p,
                      const struct report_group *g, FILE *f)
{
    const struct report_kind *kind = &r->kinds[g->kinds[0]];
    double left = p->x - LAYOUT_NODE_WIDTH / 2, top = p->y - LAYOUT_NODE_HEIGHT / 2;
    char *name = name_group(r, g), *hosts = report_count(g->n_hosts);
    char *vms = report_count(g->n_vms), cpu[LABEL_MOST + 4];

    (void)snprintf(cpu, sizeof(cpu), "%.*s%s", LABEL_MOST, kind->cpu,
                   strlen(kind->cpu) > LABEL_MOST ? "..." : "");
    html(f, "<a href=\"#kind-%s\" data-group=\"%zu\" aria-label=\"", kind->name, p->group);
    html(f, "%s %s, %s: %zu %s, %zu %s\">", g->n_kinds == 1 ? "Kind" : "Kinds", name, kind->cpu,
         g->n_hosts, g->n_hosts == 1 ? "host" : "hosts", g->n_vms, g->n_vms == 1 ? "VM" : "VMs");
    (void)fprintf(f,
                  "<rect class=\"box\" x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" "
                  "rx=\"6\"/>",
                  left, top, LAYOUT_NODE_WIDTH, LAYOUT_NODE_HEIGHT);
    (void)fprintf(f, "<text class=\"big\" x=\"%.1f\" y=\"%.1f\">", left + 10, top + 19);
    html(f, "%s</text>", name);
    (void)fprintf(f, "<text x=\"%.1f\" y=\"%.1f\">", left + 10, top + 36);
    html(f, "%s</text>", cpu);
    (void)fprintf(f, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\">", left + 10, top + 53);
    html(f, "%s %s, %s %s</text></a>\n", hosts, g->n_hosts == 1 ? "host" : "hosts", vms,
         g->n_vms == 1 ? "VM" : "VMs");
    free(name);
    free(hosts);
    free(vms);
}

static void say_hidden(const struct layout *l, const struct report_graph *g, FILE *f)
{
    size_t hosts = 0;

    for (size_t i = 0; i < g->n_groups; i++)
        if (!l->shown[i])
            hosts += g->groups[i].n_hosts;
    if (l->n_hidden)
        html(f,
             "<p>The %zu largest of %zu groups of kinds are drawn. The others have %zu %s; the "
             "tables below have them all.</p>\n",
             g->n_groups - l->n_hidden, g->n_groups, hosts, hosts == 1 ? "host" : "hosts");
}

void report_draw_graph(const struct report *r, size_t graph, FILE *f)
{
    const struct report_graph *g = &r->graphs[graph];
    struct layout l;

    layout_make(g, &l);
    (void)fprintf(f,
                  "<div class=\"graph\"><svg data-graph=\"%zu\" width=\"%.0f\" height=\"%.0f\" "
                  "viewBox=\"0 0 %.0f %.0f\" role=\"group\" aria-label=\"",
                  graph, l.width, l.height, l.width, l.height);
    html(f, "Kinds of host, and where %s guests can move between them\">\n",
         report_type_name(g->type));
    for (size_t i = 0; i < l.n_lines; i++)
        draw_line(&l, &l.lines[i], f);
    for (size_t i = 0; i < l.n_places; i++)
        if (l.places[i].group != POOL_NONE)
            draw_node(r, &l.places[i], &g->groups[l.places[i].group], f);
    (void)fputs("</svg></div>\n", f);
    say_hidden(&l, g, f);
    layout_free(&l);
}
