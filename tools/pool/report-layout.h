/* SPDX-License-Identifier: MIT */
/*
 * Where the nodes of the graph are: in layers, the newest CPUs above, after Sugiyama, Tagawa and
 * Toda (1981): nodes get layers, arrows over several layers a place in each, and the places in a
 * layer are ordered by the middle of their neighbours.  The same graph is drawn the same each time.
 */
#ifndef POOL_REPORT_LAYOUT_H
#define POOL_REPORT_LAYOUT_H

#include "report.h"

#define LAYOUT_MOST 24 /* nodes in one picture: more cannot be read */

/* A node, or where an arrow passes a layer. */
struct layout_place {
    size_t group; /* POOL_NONE: an arrow passes */
    size_t layer; /* 0 is the lowest */
    size_t part;  /* of the graph: parts have no arrows between them, and stand side by side */
    double x, y;  /* its middle; y grows downwards */
    double order;
};

/* One arrow: places from its lower end to its upper end. */
struct layout_line {
    size_t from, to; /* groups; `from` is the lower one */
    bool up, down;   /* guests can go so */
    bool some;       /* some of them can */
    size_t *places;
    size_t n;
};

struct layout {
    struct layout_place *places;
    size_t n_places;
    struct layout_line *lines;
    size_t n_lines;
    size_t n_layers, n_parts;
    double width, height;
    bool *shown; /* by group: the largest, where there are too many */
    size_t n_hidden;
};

#define LAYOUT_WIDE        1060.0 /* parts stand in a row up to here */
#define LAYOUT_NODE_WIDTH  184.0
#define LAYOUT_NODE_HEIGHT 62.0

void layout_make(const struct report_graph *g, struct layout *l);
void layout_free(struct layout *l);

#endif /* POOL_REPORT_LAYOUT_H */
