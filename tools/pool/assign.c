/* SPDX-License-Identifier: MIT */
/* See assign.h. */
#include "assign.h"

#include <stdlib.h>
#include <string.h>

#include "solver.h"
#include "util.h"

#define MIB_SHIFT 20

/*
 * The problem on the way to its solution.  Of hosts of one kind only as many can be needed as there
 * are items, and those with the most room will do: the rest is left out, which loses nothing.
 */
struct work {
    const struct assign *a;
    size_t *bins;   /* the bins that are left, their indices in a->bins */
    uint64_t *left; /* the room in each, now */
    size_t n_bins;
    size_t *order; /* the items, in the order in which they are placed */
    size_t *to;    /* [item], an index of bins[], or ASSIGN_NONE */
    size_t n_placed;
};

static bool is_allowed(const struct assign *a, size_t item, size_t bin)
{
    return a->allowed[a->items[item].kind * a->n_kinds + a->bins[bin].kind];
}

/* ---- which bins matter ---- */

struct ranked {
    uint64_t room;
    size_t kind, bin;
};

static int by_kind_and_room(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->room != y->room)
        return x->room > y->room ? -1 : 1;
    return x->bin < y->bin ? -1 : x->bin > y->bin;
}

static int by_number(const void *a, const void *b)
{
    const size_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void choose_bins(struct work *w)
{
    const struct assign *a = w->a;
    struct ranked *all = xcalloc(a->n_bins + 1, sizeof(*all));
    size_t of_kind = 0;

    for (size_t i = 0; i < a->n_bins; i++)
        all[i] = (struct ranked){a->bins[i].room, a->bins[i].kind, i};
    qsort(all, a->n_bins, sizeof(*all), by_kind_and_room);
    w->bins = xcalloc(a->n_bins + 1, sizeof(*w->bins));
    for (size_t i = 0; i < a->n_bins; i++) {
        of_kind = i && all[i].kind == all[i - 1].kind ? of_kind + 1 : 0;
        if (of_kind < a->n_items)
            w->bins[w->n_bins++] = all[i].bin;
    }
    qsort(w->bins, w->n_bins, sizeof(*w->bins), by_number);
    w->left = xcalloc(w->n_bins + 1, sizeof(*w->left));
    free(all);
}

/* ---- greedy ---- */

struct choosy {
    size_t choices, item; /* how many bins could take the item alone */
    uint64_t size;
};

static int by_choices(const void *a, const void *b)
{
    const struct choosy *x = a, *y = b;

    if (x->choices != y->choices)
        return x->choices < y->choices ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static int by_size(const void *a, const void *b)
{
    const struct choosy *x = a, *y = b;

    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    if (x->choices != y->choices)
        return x->choices < y->choices ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

static void empty_bins(struct work *w)
{
    for (size_t i = 0; i < w->n_bins; i++)
        w->left[i] = w->a->bins[w->bins[i]].room;
    for (size_t i = 0; i < w->a->n_items; i++)
        w->to[i] = ASSIGN_NONE;
    w->n_placed = 0;
}

static void put_item(struct work *w, size_t item, size_t bin)
{
    w->to[item] = bin;
    w->left[bin] -= w->a->items[item].size;
    w->n_placed++;
}

static void order_items(struct work *w, int (*compare)(const void *, const void *))
{
    const struct assign *a = w->a;
    struct choosy *items = xcalloc(a->n_items + 1, sizeof(*items));

    empty_bins(w);
    for (size_t i = 0; i < a->n_items; i++) {
        items[i] = (struct choosy){.item = i, .size = a->items[i].size};
        for (size_t b = 0; b < w->n_bins; b++)
            items[i].choices += is_allowed(a, i, w->bins[b]) && w->left[b] >= a->items[i].size;
    }
    qsort(items, a->n_items, sizeof(*items), compare);
    for (size_t i = 0; i < a->n_items; i++)
        w->order[i] = items[i].item;
    free(items);
}

/* Find a bin for an item: the one with the most room (so that none gets full), or the least that
 * suffices.  ASSIGN_NONE where there is none. */
static size_t find_bin(const struct work *w, size_t item, bool tightest)
{
    size_t best = ASSIGN_NONE;

    for (size_t b = 0; b < w->n_bins; b++) {
        if (w->left[b] < w->a->items[item].size || !is_allowed(w->a, item, w->bins[b]))
            continue;
        if (best == ASSIGN_NONE ||
            (tightest ? w->left[b] < w->left[best] : w->left[b] > w->left[best]))
            best = b;
    }
    return best;
}

static void place_greedily(struct work *w, bool tightest)
{
    empty_bins(w);
    for (size_t i = 0; i < w->a->n_items; i++) {
        size_t bin = find_bin(w, w->order[i], tightest);

        if (bin != ASSIGN_NONE)
            put_item(w, w->order[i], bin);
    }
}

/* ---- the solver ---- */

/* Items of one size and kind are one group: they are interchangeable. */
struct groups {
    struct solver_group *group;
    size_t n;
    size_t *of, *sample; /* of each item; an item of each group */
};

/* Sizes in MiB, rounded up, as rooms are rounded down: numbers that a solver computes with. */
static uint64_t count_mib(uint64_t bytes, bool up)
{
    return (bytes >> MIB_SHIFT) + (up && bytes & ((1u << MIB_SHIFT) - 1));
}

static void group_items(const struct work *w, struct groups *g)
{
    const struct assign *a = w->a;

    g->group = xcalloc(a->n_items + 1, sizeof(*g->group));
    g->of = xcalloc(a->n_items + 1, sizeof(*g->of));
    g->sample = xcalloc(a->n_items + 1, sizeof(*g->sample));
    for (size_t i = 0; i < a->n_items; i++) {
        uint64_t size = count_mib(a->items[i].size, true);
        size_t k = 0;

        while (k < g->n &&
               (g->group[k].size != size || a->items[g->sample[k]].kind != a->items[i].kind))
            k++;
        if (k == g->n) {
            g->group[g->n].size = size;
            g->sample[g->n++] = i;
        }
        g->group[k].n++;
        g->of[i] = k;
    }
}

static void take_numbers(struct work *w, const struct groups *g, size_t *n)
{
    empty_bins(w);
    for (size_t i = 0; i < w->a->n_items; i++)
        for (size_t b = 0; b < w->n_bins; b++) {
            size_t *many = &n[g->of[i] * w->n_bins + b];

            if (*many && w->left[b] >= w->a->items[i].size) {
                --*many;
                put_item(w, i, b);
                break;
            }
        }
}

/* How many can be placed at most: those that some bin could take alone. */
static size_t count_placeable(struct work *w)
{
    size_t n = 0;

    empty_bins(w);
    for (size_t i = 0; i < w->a->n_items; i++)
        n += find_bin(w, i, false) != ASSIGN_NONE;
    return n;
}

static enum solver_result place_by_solver(struct work *w, size_t enough)
{
    const struct assign *a = w->a;
    struct groups g = {.n = 0};
    struct solver_problem p;
    uint64_t *rooms = xcalloc(w->n_bins + 1, sizeof(*rooms));
    size_t *n;
    bool *allowed;
    enum solver_result result;

    group_items(w, &g);
    n = xcalloc(g.n * w->n_bins + 1, sizeof(*n));
    allowed = xcalloc(g.n * w->n_bins + 1, sizeof(*allowed));
    for (size_t b = 0; b < w->n_bins; b++)
        rooms[b] = count_mib(a->bins[w->bins[b]].room, false);
    for (size_t k = 0; k < g.n; k++)
        for (size_t b = 0; b < w->n_bins; b++)
            allowed[k * w->n_bins + b] = is_allowed(a, g.sample[k], w->bins[b]);
    p = (struct solver_problem){
        .groups = g.group,
        .n_groups = g.n,
        .rooms = rooms,
        .n_bins = w->n_bins,
        .allowed = allowed,
        .enough = enough,
        .nodes = a->nodes ? a->nodes : ASSIGN_NODES,
    };
    result = solver_run(&p, n);
    take_numbers(w, &g, n);
    free(g.group);
    free(g.of);
    free(g.sample);
    free(rooms);
    free(allowed);
    free(n);
    return result;
}

/* ---- all together ---- */

/* Move items from the fullest bins to others as long as the least room of both grows. */
static void balance(struct work *w)
{
    for (size_t turn = 0; turn < 4 * w->a->n_items; turn++) {
        size_t item = ASSIGN_NONE, bin = ASSIGN_NONE;
        uint64_t gain = 0;

        for (size_t i = 0; i < w->a->n_items; i++) {
            uint64_t size = w->a->items[i].size, least;
            size_t other = w->to[i] == ASSIGN_NONE ? ASSIGN_NONE : find_bin(w, i, false);

            if (other == ASSIGN_NONE || other == w->to[i])
                continue;
            least = w->left[other] - size;
            if (least > w->left[w->to[i]] && least - w->left[w->to[i]] > gain) {
                gain = least - w->left[w->to[i]];
                item = i;
                bin = other;
            }
        }
        if (item == ASSIGN_NONE)
            return;
        w->left[w->to[item]] += w->a->items[item].size;
        w->left[bin] -= w->a->items[item].size;
        w->to[item] = bin;
    }
}

struct best {
    size_t *to, n_placed;
};

/* Keep what was found when it is better than what was found before. */
static void keep_better(const struct work *w, struct best *best)
{
    if (w->n_placed <= best->n_placed)
        return;
    best->n_placed = w->n_placed;
    memcpy(best->to, w->to, w->a->n_items * sizeof(*best->to));
}

static void take_best(struct work *w, const struct best *best)
{
    empty_bins(w);
    for (size_t i = 0; i < w->a->n_items; i++)
        if (best->to[i] != ASSIGN_NONE)
            put_item(w, i, best->to[i]);
}

static bool try_greedy(struct work *w, struct best *best, size_t enough)
{
    static const struct {
        int (*order)(const void *, const void *);
        bool tightest;
    } ways[] = {{by_choices, false}, {by_choices, true}, {by_size, true}};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        order_items(w, ways[i].order);
        place_greedily(w, ways[i].tightest);
        keep_better(w, best);
        if (best->n_placed >= enough)
            return true;
    }
    return false;
}

void assign_solve(struct assign *a)
{
    struct work w = {.a = a};
    struct best best = {.n_placed = 0};
    size_t enough;

    choose_bins(&w);
    w.order = xcalloc(a->n_items + 1, sizeof(*w.order));
    w.to = xcalloc(a->n_items + 1, sizeof(*w.to));
    best.to = xcalloc(a->n_items + 1, sizeof(*best.to));
    for (size_t i = 0; i < a->n_items; i++)
        best.to[i] = ASSIGN_NONE;
    a->no_library = false;
    enough = count_placeable(&w);
    if (try_greedy(&w, &best, enough)) {
        a->method = best.n_placed == a->n_items ? ASSIGN_ALL : ASSIGN_MOST;
    } else if (a->no_solver) {
        a->method = ASSIGN_FIRST_FIT;
    } else {
        enum solver_result result = place_by_solver(&w, enough);

        keep_better(&w, &best);
        a->no_library = result == SOLVER_NONE;
        a->method = best.n_placed == a->n_items                           ? ASSIGN_ALL
                    : result == SOLVER_NONE                               ? ASSIGN_FIRST_FIT
                    : best.n_placed == enough || result == SOLVER_OPTIMAL ? ASSIGN_MOST
                                                                          : ASSIGN_LIMIT;
    }
    take_best(&w, &best);
    balance(&w);
    a->n_placed = w.n_placed;
    for (size_t i = 0; i < a->n_items; i++)
        a->to[i] = w.to[i] == ASSIGN_NONE ? ASSIGN_NONE : w.bins[w.to[i]];
    free(w.bins);
    free(w.left);
    free(w.order);
    free(w.to);
    free(best.to);
}
