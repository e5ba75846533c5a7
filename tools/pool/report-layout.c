/* SPDX-License-Identifier: MIT */
/*
 * Where the nodes of the graph are.
 */
#include <stdlib.h>
#include <string.h>

#include "report-layout.h"
#include "util.h"

#define GAP       22.0 /* between nodes of a layer */
#define PASS      14.0 /* what a passing arrow needs */
#define LAYER_GAP 58.0
#define MARGIN    12.0
#define SWEEPS    12

/* ---- which nodes ---- */

static void choose_shown(const struct report_graph *g, struct layout *l)
{
    size_t n = 0;

    l->shown = xcalloc(g->n_groups + 1, sizeof(bool));
    while (n < g->n_groups && n < LAYOUT_MOST) {
        size_t best = POOL_NONE;

        for (size_t i = 0; i < g->n_groups; i++)
            if (!l->shown[i] &&
                (best == POOL_NONE || g->groups[i].n_hosts > g->groups[best].n_hosts))
                best = i;
        l->shown[best] = true;
        n++;
    }
    l->n_hidden = g->n_groups - n;
}

/* ---- layers ---- */

static bool are_joined(const struct report_graph *g, size_t a, size_t b)
{
    return g->drawn[a * g->n_groups + b] || g->drawn[b * g->n_groups + a];
}

/* Groups are in order, the newest first: an arrow goes from a later one up to an earlier one. */
static void choose_layers(const struct report_graph *g, struct layout *l, size_t *layer)
{
    for (size_t i = g->n_groups; i-- > 0;) {
        layer[i] = 0;
        for (size_t j = i + 1; j < g->n_groups && l->shown[i]; j++)
            if (l->shown[j] && are_joined(g, i, j) && layer[j] + 1 > layer[i])
                layer[i] = layer[j] + 1;
        if (l->shown[i] && layer[i] + 1 > l->n_layers)
            l->n_layers = layer[i] + 1;
    }
}

static size_t add_place(struct layout *l, size_t group, size_t layer, size_t part)
{
    l->places = xrealloc(l->places, (l->n_places + 1) * sizeof(*l->places));
    l->places[l->n_places] = (struct layout_place){
        .group = group, .layer = layer, .part = part, .order = (double)l->n_places};
    return l->n_places++;
}

static void add_line(const struct report_graph *g, struct layout *l, size_t low, size_t high,
                     const size_t *place)
{
    struct layout_line line = {
        .from = low,
        .to = high,
        .up = g->drawn[low * g->n_groups + high],
        .down = g->drawn[high * g->n_groups + low],
    };
    const struct layout_place bottom = l->places[place[low]], top = l->places[place[high]];

    line.some = (line.up && g->edge[low * g->n_groups + high] == REPORT_EDGE_SOME) ||
                (line.down && g->edge[high * g->n_groups + low] == REPORT_EDGE_SOME);
    line.places = xcalloc(top.layer - bottom.layer + 1, sizeof(size_t));
    line.places[line.n++] = place[low];
    for (size_t i = bottom.layer + 1; i < top.layer; i++)
        line.places[line.n++] = add_place(l, POOL_NONE, i, bottom.part);
    line.places[line.n++] = place[high];
    l->lines = xrealloc(l->lines, (l->n_lines + 1) * sizeof(*l->lines));
    l->lines[l->n_lines++] = line;
}

/* Give all groups that are joined the number of one part. */
static void spread_part(const struct report_graph *g, const struct layout *l, size_t group,
                        size_t number, size_t *part)
{
    bool more = true;

    part[group] = number;
    while (more) {
        more = false;
        for (size_t a = 0; a < g->n_groups; a++)
            for (size_t b = 0; b < g->n_groups && part[a] == number; b++)
                if (l->shown[a] && l->shown[b] && part[b] != number && are_joined(g, a, b)) {
                    part[b] = number;
                    more = true;
                }
    }
}

static void choose_parts(const struct report_graph *g, struct layout *l, size_t *part)
{
    for (size_t i = 0; i < g->n_groups; i++)
        part[i] = POOL_NONE;
    for (size_t i = 0; i < g->n_groups; i++)
        if (l->shown[i] && part[i] == POOL_NONE)
            spread_part(g, l, i, l->n_parts++, part);
}

static void add_all(const struct report_graph *g, struct layout *l)
{
    size_t *layer = xcalloc(g->n_groups + 1, sizeof(size_t));
    size_t *place = xcalloc(g->n_groups + 1, sizeof(size_t));
    size_t *part = xcalloc(g->n_groups + 1, sizeof(size_t));

    choose_layers(g, l, layer);
    choose_parts(g, l, part);
    for (size_t i = 0; i < g->n_groups; i++)
        if (l->shown[i])
            place[i] = add_place(l, i, layer[i], part[i]);
    for (size_t low = 0; low < g->n_groups; low++)
        for (size_t high = 0; high < low; high++)
            if (l->shown[low] && l->shown[high] && are_joined(g, low, high))
                add_line(g, l, low, high, place);
    free(layer);
    free(place);
    free(part);
}

/* ---- places in a layer ---- */

static double width_of(const struct layout_place *p)
{
    return p->group == POOL_NONE ? PASS : LAYOUT_NODE_WIDTH;
}

/* The middle of a place's neighbours on one side; its own where it has none. */
static double find_middle(const struct layout *l, size_t place, bool above)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n_lines; i++)
        for (size_t j = 0; j < l->lines[i].n; j++) {
            const size_t *places = l->lines[i].places;

            if (places[j] != place || (above ? j + 1 >= l->lines[i].n : j == 0))
                continue;
            sum += l->places[places[above ? j + 1 : j - 1]].x;
            n++;
        }
    return n ? sum / (double)n : l->places[place].x;
}

static int order_places(const void *a, const void *b)
{
    const struct layout_place *const *x = a, *const *y = b;

    if ((*x)->order != (*y)->order)
        return (*x)->order < (*y)->order ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

/* Give the places of a layer their x from left to right: as near to what each wants as the one
 * before lets it, the whole of it in the middle of what they want. */
static void place_layer(struct layout *l, size_t part, size_t layer)
{
    struct layout_place **row = xcalloc(l->n_places + 1, sizeof(struct layout_place *));
    double shift = 0, right = 0;
    size_t n = 0;

    for (size_t i = 0; i < l->n_places; i++)
        if (l->places[i].part == part && l->places[i].layer == layer)
            row[n++] = &l->places[i];
    qsort(row, n, sizeof(struct layout_place *), order_places);
    for (size_t i = 0; i < n; i++) {
        double half = width_of(row[i]) / 2;

        row[i]->x = i && row[i]->order < right + half ? right + half : row[i]->order;
        right = row[i]->x + half + GAP;
        shift += row[i]->order - row[i]->x;
    }
    for (size_t i = 0; i < n; i++)
        row[i]->x += shift / (double)n;
    free(row);
}

static void sweep(struct layout *l, size_t part, bool up)
{
    for (size_t i = 0; i < l->n_layers; i++) {
        size_t layer = up ? i : l->n_layers - 1 - i;

        for (size_t p = 0; p < l->n_places; p++)
            if (l->places[p].part == part && l->places[p].layer == layer)
                l->places[p].order = find_middle(l, p, !up);
        place_layer(l, part, layer);
    }
}

static void place_part(struct layout *l, size_t part)
{
    for (size_t i = 0; i < l->n_layers; i++) {
        for (size_t p = 0; p < l->n_places; p++)
            if (l->places[p].layer == i)
                l->places[p].order = (double)p * (LAYOUT_NODE_WIDTH + GAP);
        place_layer(l, part, i);
    }
    for (unsigned int i = 0; i < SWEEPS; i++)
        sweep(l, part, i % 2 == 0);
}

/* The room of a part, from its left edge and its lowest layer. */
struct room {
    double left, width, height;
};

static struct room measure_part(const struct layout *l, size_t part)
{
    double left = 0, right = 0, layers = 0;
    bool any = false;

    for (size_t i = 0; i < l->n_places; i++) {
        const struct layout_place *p = &l->places[i];
        double half = width_of(p) / 2;

        if (p->part != part)
            continue;
        left = !any || p->x - half < left ? p->x - half : left;
        right = !any || p->x + half > right ? p->x + half : right;
        layers = (double)p->layer > layers ? (double)p->layer : layers;
        any = true;
    }
    return (struct room){left, right - left,
                         layers * (LAYOUT_NODE_HEIGHT + LAYER_GAP) + LAYOUT_NODE_HEIGHT};
}

/* Put a part's places where it stands: x from `left`, its lowest layer at `bottom`. */
static void move_part(struct layout *l, size_t part, double shift, double bottom)
{
    for (size_t i = 0; i < l->n_places; i++)
        if (l->places[i].part == part) {
            l->places[i].x += shift;
            l->places[i].y = bottom - LAYOUT_NODE_HEIGHT / 2 -
                             (double)l->places[i].layer * (LAYOUT_NODE_HEIGHT + LAYER_GAP);
        }
}

/* Put the parts that have room in one row, from `first` on; returns the first one behind it. */
static size_t place_row(struct layout *l, const struct room *rooms, size_t first)
{
    double x = MARGIN, height = 0;
    size_t end = first;

    while (end < l->n_parts && (end == first || x + rooms[end].width + MARGIN <= LAYOUT_WIDE)) {
        height = rooms[end].height > height ? rooms[end].height : height;
        x += rooms[end].width + GAP;
        end++;
    }
    l->width = x - GAP + MARGIN > l->width ? x - GAP + MARGIN : l->width;
    x = MARGIN;
    for (size_t i = first; i < end; i++) {
        move_part(l, i, x - rooms[i].left, l->height + rooms[i].height);
        x += rooms[i].width + GAP;
    }
    l->height += height + GAP;
    return end;
}

static void place_parts(struct layout *l)
{
    struct room *rooms = xcalloc(l->n_parts + 1, sizeof(*rooms));

    for (size_t i = 0; i < l->n_parts; i++) {
        place_part(l, i);
        rooms[i] = measure_part(l, i);
    }
    l->height = MARGIN;
    for (size_t i = 0; i < l->n_parts;)
        i = place_row(l, rooms, i);
    l->height += MARGIN - GAP;
    free(rooms);
}

void layout_make(const struct report_graph *g, struct layout *l)
{
    memset(l, 0, sizeof(*l));
    choose_shown(g, l);
    add_all(g, l);
    place_parts(l);
}

void layout_free(struct layout *l)
{
    for (size_t i = 0; i < l->n_lines; i++)
        free(l->lines[i].places);
    free(l->lines);
    free(l->places);
    free(l->shown);
    memset(l, 0, sizeof(*l));
}
