/* SPDX-License-Identifier: MIT */
/* See plan.h. */
#include "plan-private.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define MIB (1ull << 20)

enum plan_target plan_target(const struct pool *p, size_t host)
{
    const struct pool_host *h = &p->hosts[host];

    if (h->record->maintenance)
        return PLAN_MAINTENANCE;
    if (!h->seen)
        return PLAN_SILENT;
    return h->record->memory || h->record->memory_free ? PLAN_TARGET : PLAN_MEMORY_UNKNOWN;
}

static bool is_pv(const struct pool_domain *d)
{
    return d->record->type == XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV;
}

uint64_t plan_need(const struct pool *p, size_t domain)
{
    const struct pool_domain *d = &p->domains[domain];
    uint64_t memory = d->record->memory, tables;

    if (!memory || is_pv(d))
        return memory;
    tables = d->record->vcpus * MIB + memory / MIB * 4096;
    return memory > PLAN_FITS_NOWHERE - tables ? PLAN_FITS_NOWHERE : memory + tables;
}

uint64_t plan_room(const struct pool *p, const struct plan_options *options, size_t host)
{
    uint64_t left = p->hosts[host].record->memory_free;

    if (left >= PLAN_FITS_NOWHERE)
        left = PLAN_FITS_NOWHERE - 1; /* the registry can say anything */
    return left > options->reserve ? left - options->reserve : 0;
}

/* ---- the pool in the middle of a plan ---- */

struct roomy {
    uint64_t room;
    size_t host;
};

static int by_room(const void *a, const void *b)
{
    const struct roomy *x = a, *y = b;

    if (x->room != y->room)
        return x->room > y->room ? -1 : 1;
    return x->host < y->host ? -1 : x->host > y->host;
}

void world_begin(struct plan_world *w, const struct pool_matrix *m,
                 const struct plan_options *options)
{
    const struct pool *p = m->pool;
    struct roomy *order = xcalloc(p->n_hosts + 1, sizeof(*order));

    *w = (struct plan_world){.m = m, .options = options};
    w->room = xcalloc(p->n_hosts + 1, sizeof(*w->room));
    w->target = xcalloc(p->n_hosts + 1, sizeof(*w->target));
    w->by_room = xcalloc(p->n_hosts + 1, sizeof(*w->by_room));
    for (size_t i = 0; i < p->n_hosts; i++) {
        w->room[i] = plan_room(p, options, i);
        w->target[i] = (uint8_t)plan_target(p, i);
        if (w->target[i] == PLAN_TARGET)
            order[w->n_targets++] = (struct roomy){w->room[i], i};
    }
    qsort(order, w->n_targets, sizeof(*order), by_room);
    for (size_t i = 0; i < w->n_targets; i++)
        w->by_room[i] = order[i].host;
    free(order);
}

void world_end(struct plan_world *w)
{
    free(w->room);
    free(w->target);
    free(w->by_room);
}

const char *world_xen(const struct plan_world *w, size_t host)
{
    return w->updated && w->updated[host] ? w->options->to_xen : pool_host_xen(w->m->pool, host);
}

/* The release that a host will run when its guests come home. */
static const char *find_later_xen(const struct plan_world *w, size_t host)
{
    return w->options->to_xen ? w->options->to_xen : world_xen(w, host);
}

enum verdict world_verdict(const struct plan_world *w, size_t domain, size_t host, bool *one_way)
{
    const struct pool_matrix *m = w->m;
    const struct matrix_row *row = &m->rows[m->row_of[domain]];
    size_t home = m->pool->domains[domain].host;
    const char *there = world_xen(w, host);
    enum guest_type type;

    *one_way = false;
    if (row->policy == POOL_NONE)
        return VERDICT_UNKNOWN;
    type = m->pool->policies[row->policy].type;
    if (answer_obstacle(type, world_xen(w, home), there))
        return VERDICT_NO;
    *one_way = answer_obstacle(type, there, find_later_xen(w, home)) != NULL;
    return matrix_cpus(m, m->row_of[domain], m->column_of[host]);
}

/* ---- emptying one host ---- */

/* Guests and hosts on the way to an assignment. */
struct placing {
    const struct plan_world *w;
    size_t *domains; /* of each item */
    size_t *hosts;   /* of each bin */
    struct assign_item *items;
    struct assign_bin *bins;
    size_t n_items, n_bins;
    size_t *kind_domain, n_item_kinds; /* a domain of each kind */
    size_t *kind_host, n_bin_kinds;    /* a host of each kind */
    bool *allowed;
};

static bool is_image(const struct pool_domain *d)
{
    return d->record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
}

/* Can an image that lies there run on any other host? */
static bool is_bound(const struct pool_matrix *m, size_t domain, size_t host)
{
    for (size_t c = 0; c < m->n_columns; c++)
        if (matrix_verdict(m, m->row_of[domain], c) == VERDICT_YES &&
            (m->columns[c].n > 1 || m->column_of[host] != c))
            return false;
    return true;
}

/* The domains that must go, each with the kind that its row is. */
static void list_items(struct placing *pl, size_t host, struct evacuation *e)
{
    const struct pool_matrix *m = pl->w->m;
    const struct pool_host *h = &m->pool->hosts[host];

    pl->domains = xcalloc(h->n_domains + 1, sizeof(*pl->domains));
    pl->items = xcalloc(h->n_domains + 1, sizeof(*pl->items));
    pl->kind_domain = xcalloc(h->n_domains + 1, sizeof(*pl->kind_domain));
    for (size_t i = h->first_domain; i < h->first_domain + h->n_domains; i++) {
        uint64_t need = plan_need(m->pool, i);
        size_t k = 0;

        if (is_image(&m->pool->domains[i])) {
            e->n_images++;
            e->n_bound += is_bound(m, i, host);
            continue;
        }
        while (k < pl->n_item_kinds && m->row_of[pl->kind_domain[k]] != m->row_of[i])
            k++;
        if (k == pl->n_item_kinds)
            pl->kind_domain[pl->n_item_kinds++] = i;
        /* What nobody knows the size of fits nowhere. */
        pl->domains[pl->n_items] = i;
        pl->items[pl->n_items++] = (struct assign_item){need ? need : PLAN_FITS_NOWHERE, k};
    }
}

/* Hosts of one column that run the same release now are one kind. */
static size_t find_bin_kind(struct placing *pl, size_t *kind_of, size_t host)
{
    const struct plan_world *w = pl->w;
    bool updated = w->updated && w->updated[host];
    size_t *kind = &kind_of[2 * w->m->column_of[host] + updated];

    if (!*kind) {
        pl->kind_host[pl->n_bin_kinds++] = host;
        *kind = pl->n_bin_kinds;
    }
    return *kind - 1;
}

/* The first `most` targets by their room, or all. */
static void list_bins(struct placing *pl, size_t host, size_t most)
{
    const struct plan_world *w = pl->w;
    size_t *kind_of = xcalloc(2 * w->m->n_columns + 1, sizeof(*kind_of));
    size_t n = most < w->n_targets ? most : w->n_targets;

    pl->hosts = xcalloc(n + 1, sizeof(*pl->hosts));
    pl->bins = xcalloc(n + 1, sizeof(*pl->bins));
    pl->kind_host = xcalloc(n + 1, sizeof(*pl->kind_host));
    for (size_t i = 0; i < n; i++) {
        size_t to = w->by_room[i];

        if (to == host)
            continue;
        pl->hosts[pl->n_bins] = to;
        pl->bins[pl->n_bins++] = (struct assign_bin){w->room[to], find_bin_kind(pl, kind_of, to)};
    }
    free(kind_of);
}

static void find_allowed(struct placing *pl, bool must_return)
{
    free(pl->allowed);
    pl->allowed = xcalloc(pl->n_item_kinds * pl->n_bin_kinds + 1, sizeof(*pl->allowed));
    for (size_t i = 0; i < pl->n_item_kinds; i++)
        for (size_t b = 0; b < pl->n_bin_kinds; b++) {
            bool one_way;
            enum verdict v = world_verdict(pl->w, pl->kind_domain[i], pl->kind_host[b], &one_way);

            pl->allowed[i * pl->n_bin_kinds + b] = v == VERDICT_YES && !(must_return && one_way);
        }
}

static void free_placing(struct placing *pl)
{
    free(pl->domains);
    free(pl->hosts);
    free(pl->items);
    free(pl->bins);
    free(pl->kind_domain);
    free(pl->kind_host);
    free(pl->allowed);
}

static void run_assignment(const struct placing *pl, bool no_solver, size_t *to, struct assign *a)
{
    *a = (struct assign){
        .items = pl->items,
        .bins = pl->bins,
        .n_items = pl->n_items,
        .n_bins = pl->n_bins,
        .allowed = pl->allowed,
        .n_kinds = pl->n_bin_kinds,
        .no_solver = no_solver,
        .nodes = pl->w->options->nodes,
        .to = to,
    };
    assign_solve(a);
}

/* Write the moves, and who stays. */
static void take_assignment(const struct placing *pl, const struct assign *a, struct evacuation *e)
{
    e->method = a->method;
    e->no_library = a->no_library;
    e->moves = xcalloc(a->n_items + 1, sizeof(*e->moves));
    e->stuck = xcalloc(a->n_items + 1, sizeof(*e->stuck));
    for (size_t i = 0; i < a->n_items; i++) {
        struct plan_move move = {.domain = pl->domains[i], .need = pl->items[i].size};

        if (a->to[i] == ASSIGN_NONE) {
            e->stuck[e->n_stuck++] = (struct plan_stuck){.domain = move.domain};
            continue;
        }
        move.to = pl->hosts[a->to[i]];
        (void)world_verdict(pl->w, move.domain, move.to, &move.one_way);
        e->moves[e->n_moves++] = move;
    }
}

/* Place all so that they can come back; and where that is not asked for and does not place all,
 * also where they cannot. */
static void assign_items(struct placing *pl, struct evacuation *e)
{
    size_t *to = xcalloc(pl->n_items + 1, sizeof(*to));
    size_t *more = xcalloc(pl->n_items + 1, sizeof(*more));
    struct assign first, second;

    find_allowed(pl, true);
    run_assignment(pl, pl->w->options->no_solver, to, &first);
    if (first.method != ASSIGN_ALL && !pl->w->must_return) {
        find_allowed(pl, false);
        run_assignment(pl, pl->w->options->no_solver, more, &second);
        if (second.n_placed > first.n_placed)
            first = second;
    }
    take_assignment(pl, &first, e);
    free(to);
    free(more);
}

static void count_targets(const struct plan_world *w, struct evacuation *e)
{
    for (size_t i = 0; i < w->m->pool->n_hosts; i++)
        if (i != e->host)
            e->n_skipped[w->target[i]]++;
    e->n_targets = e->n_skipped[PLAN_TARGET];
}

bool world_evacuate(const struct plan_world *w, size_t host, bool quick, struct evacuation *e)
{
    struct placing pl = {.w = w};
    bool done = true;

    *e = (struct evacuation){.host = host};
    list_items(&pl, host, e);
    list_bins(&pl, host, quick ? 4 * pl.n_items + 8 : SIZE_MAX);
    if (quick) {
        size_t *to = xcalloc(pl.n_items + 1, sizeof(*to));
        struct assign a;

        find_allowed(&pl, true);
        run_assignment(&pl, true, to, &a);
        done = a.method == ASSIGN_ALL;
        if (done)
            take_assignment(&pl, &a, e);
        free(to);
    } else {
        assign_items(&pl, e);
        count_targets(w, e);
        for (size_t i = 0; i < e->n_stuck; i++)
            plan_explain(w, e, &e->stuck[i]);
    }
    free_placing(&pl);
    return done;
}

void plan_evacuate(const struct pool_matrix *m, const struct plan_options *options, size_t host,
                   struct evacuation *e)
{
    struct plan_options plain = *options;
    struct plan_world w;

    plain.to_xen = NULL;
    world_begin(&w, m, &plain);
    (void)world_evacuate(&w, host, false, e);
    world_end(&w);
}

void evacuation_free(struct evacuation *e)
{
    for (size_t i = 0; i < e->n_stuck; i++)
        free(e->stuck[i].why);
    free(e->moves);
    free(e->stuck);
    *e = (struct evacuation){0};
}
