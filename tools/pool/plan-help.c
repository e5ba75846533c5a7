/* SPDX-License-Identifier: MIT */
/* Why a guest has no place in a plan, and what would help. */
#include <stdlib.h>
#include <string.h>

#include "plan-private.h"
#include "util.h"

/* What is asked about one guest that is stuck. */
struct search {
    const struct plan_world *w;
    const struct evacuation *e;
    struct plan_stuck *s;
    uint64_t *left; /* room on each host beside what is planned to go there */
};

static void add_help(struct plan_stuck *s, struct plan_help help)
{
    if (s->n_helps < PLAN_HELPS)
        s->helps[s->n_helps++] = help;
}

static bool is_target(const struct search *q, size_t host)
{
    return host != q->e->host && q->w->target[host] == PLAN_TARGET;
}

/* What hosts are to it: those that can run it, those of which nobody can say, those from which it
 * could not come back; the one of each with the most room, or POOL_NONE. */
struct hosts {
    size_t yes, unknown, one_way;
    bool room_alone; /* one that can run it has room for it, were there nobody else */
};

static void keep_roomier(const struct search *q, size_t *best, size_t host)
{
    if (*best == POOL_NONE || q->left[host] > q->left[*best])
        *best = host;
}

static struct hosts sort_hosts(const struct search *q)
{
    struct hosts h = {POOL_NONE, POOL_NONE, POOL_NONE, false};

    for (size_t i = 0; i < q->w->m->pool->n_hosts; i++) {
        bool one_way;
        enum verdict v;

        if (!is_target(q, i))
            continue;
        v = world_verdict(q->w, q->s->domain, i, &one_way);
        if (v == VERDICT_UNKNOWN)
            keep_roomier(q, &h.unknown, i);
        else if (v == VERDICT_YES && one_way && q->w->must_return)
            keep_roomier(q, &h.one_way, i);
        else if (v == VERDICT_YES) {
            keep_roomier(q, &h.yes, i);
            h.room_alone |= q->w->room[i] >= q->s->need;
        }
    }
    return h;
}

/* ---- memory ---- */

/* Find a guest on `host` that another host could take, and that would leave enough room behind;
 * the smallest such. */
static void find_room(const struct search *q, size_t host, struct plan_help *best)
{
    const struct pool *p = q->w->m->pool;
    const struct pool_host *h = &p->hosts[host];
    uint64_t missing = q->s->need - q->left[host];

    for (size_t d = h->first_domain; d < h->first_domain + h->n_domains; d++) {
        uint64_t size = plan_need(p, d);

        if (p->domains[d].record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED || size < missing ||
            (best->other != POOL_NONE && size >= best->bytes))
            continue;
        for (size_t i = 0; i < q->w->n_targets; i++) {
            size_t to = q->w->by_room[i];
            bool one_way;

            if (to == host || !is_target(q, to) || q->left[to] < size ||
                world_verdict(q->w, d, to, &one_way) != VERDICT_YES || one_way)
                continue;
            *best = (struct plan_help){
                .kind = HELP_MAKE_ROOM, .host = host, .other = d, .other_to = to, .bytes = size};
            break;
        }
    }
}

/* Hosts that would be looked through for a guest to make room. */
#define LOOKED_THROUGH 64

static void help_with_room(const struct search *q, size_t nearest)
{
    struct plan_help best = {.other = POOL_NONE};
    unsigned int looked = 0;

    add_help(q->s, (struct plan_help){.kind = HELP_MEMORY,
                                      .host = nearest,
                                      .bytes = q->s->need - q->left[nearest]});
    for (size_t i = 0; i < q->w->n_targets && looked < LOOKED_THROUGH; i++) {
        size_t host = q->w->by_room[i];
        bool one_way;

        if (!is_target(q, host) || q->left[host] >= q->s->need ||
            world_verdict(q->w, q->s->domain, host, &one_way) != VERDICT_YES ||
            (one_way && q->w->must_return))
            continue;
        looked++;
        find_room(q, host, &best);
    }
    if (best.other != POOL_NONE)
        add_help(q->s, best);
}

/* ---- CPUs ---- */

/* Can a guest that is born on the level run on a host of this class? */
static bool can_take_level(const struct search *q, size_t level, size_t column)
{
    const struct pool *p = q->w->m->pool;
    const struct pool_domain *d = &p->domains[q->s->domain];
    enum guest_type type = p->policies[d->policy].type;
    struct answer_guest guest = {.type = type, .xen = ""};
    struct answer_host host;
    struct cpu_answer a;
    bool can;

    if (!p->levels[level].have[type != GUEST_PV])
        return false;
    guest.policy = &p->levels[level].policy[type != GUEST_PV];
    pool_answer_host(&p->captures[q->w->m->columns[column].capture], "", &host);
    answer_init(&a);
    answer_ask(&guest, &host, &a);
    can = answer_verdict(&a) == VERDICT_YES;
    answer_free(&a);
    return can;
}

/* Find the host with the most room of those whose class passes; POOL_NONE where there is none with
 * enough. */
static size_t find_host(const struct search *q, const bool *columns)
{
    size_t best = POOL_NONE;

    for (size_t i = 0; i < q->w->n_targets; i++) {
        size_t host = q->w->by_room[i];

        if (is_target(q, host) && columns[q->w->m->column_of[host]] && q->left[host] >= q->s->need)
            keep_roomier(q, &best, host);
    }
    return best;
}

static void help_by_restart(const struct search *q)
{
    const struct pool_matrix *m = q->w->m;
    const struct pool *p = m->pool;
    enum guest_type type = p->policies[p->domains[q->s->domain].policy].type;
    bool *columns = xcalloc(m->n_columns + 1, sizeof(*columns));
    struct plan_help help = {.kind = HELP_RESTART, .host = POOL_NONE, .level = p->level};

    if (p->level != POOL_NONE) {
        for (size_t c = 0; c < m->n_columns; c++)
            columns[c] = can_take_level(q, p->level, c);
        help.host = find_host(q, columns);
    }
    if (help.host == POOL_NONE) {
        help.level = POOL_NONE;
        for (size_t c = 0; c < m->n_columns; c++)
            columns[c] = p->captures[m->columns[c].capture].have[answer_max(type)];
        help.host = find_host(q, columns);
    }
    if (help.host != POOL_NONE)
        add_help(q->s, help);
    free(columns);
}

/* What stands between a row and a column, when it is only features, or only the release. */
struct distance {
    bool features, release; /* nothing but these */
    struct featureset missing;
    unsigned int n;
};

static bool is_about_features(const struct cpu_answer *a)
{
    for (size_t i = 0; i < a->report.count; i++)
        if (i >= a->report.max || (a->report.faults[i].kind != FAULT_FEATURE_MISSING &&
                                   a->report.faults[i].kind != FAULT_XSTATE_MISSING))
            return false;
    return a->report.count && !a->maybe.count;
}

static void find_distance(const struct search *q, size_t column, struct cpu_answer *a,
                          struct distance *d)
{
    struct featureset hazards;

    *d = (struct distance){.n = ~0u};
    if (!matrix_ask(q->w->m, q->w->m->row_of[q->s->domain], column, a) || !a->offered)
        return;
    answer_features(a, &d->missing, &hazards);
    d->release = a->obstacle && !a->report.count && !a->maybe.count;
    d->features = !a->obstacle && is_about_features(a);
    d->n = (unsigned int)a->report.count + (a->obstacle != NULL);
}

/* The class that comes nearest, and the one that needs the fewest features given up. */
static void help_by_loss(const struct search *q)
{
    const struct pool_matrix *m = q->w->m;
    bool *column = xcalloc(m->n_columns + 1, sizeof(*column));
    struct plan_help help = {.kind = HELP_GIVE_UP, .host = POOL_NONE};
    unsigned int fewest = ~0u, nearest = ~0u;
    struct cpu_answer a;

    answer_init(&a);
    for (size_t c = 0; c < m->n_columns; c++) {
        struct distance d;
        size_t host;

        find_distance(q, c, &a, &d);
        memset(column, 0, m->n_columns * sizeof(*column));
        column[c] = true;
        if (d.n >= nearest && !(d.features && d.n < fewest) && !d.release)
            continue;
        host = find_host(q, column);
        if (host == POOL_NONE)
            continue;
        if (d.n < nearest) {
            nearest = d.n;
            q->s->nearest = host;
        }
        if (d.features && d.n < fewest) {
            fewest = d.n;
            help.host = host;
            help.features = d.missing;
        }
        if (d.release)
            add_help(q->s, (struct plan_help){.kind = HELP_UPDATE, .host = host});
    }
    answer_free(&a);
    if (help.host != POOL_NONE)
        add_help(q->s, help);
    free(column);
}

static void help_by_knowing(const struct search *q, size_t host)
{
    struct plan_help help = {.kind = HELP_FIND_OUT, .host = host};
    struct cpu_answer a;

    answer_init(&a);
    if (matrix_ask(q->w->m, q->w->m->row_of[q->s->domain], q->w->m->column_of[host], &a))
        answer_doubtful(&a, &help.features);
    answer_free(&a);
    add_help(q->s, help);
}

static void explain(const struct search *q)
{
    struct hosts h = sort_hosts(q);
    struct plan_stuck *s = q->s;

    if (h.yes != POOL_NONE) {
        s->reason = h.room_alone ? PLAN_CROWDED : PLAN_TOO_LARGE;
        s->nearest = h.yes;
        if (q->left[h.yes] < s->need) /* else the assignment is not the best one */
            help_with_room(q, h.yes);
    } else if (h.unknown != POOL_NONE) {
        s->reason = PLAN_CANNOT_SAY;
        s->nearest = h.unknown;
        help_by_knowing(q, h.unknown);
    } else if (h.one_way != POOL_NONE) {
        s->reason = PLAN_CANNOT_RETURN;
        s->nearest = h.one_way;
    } else {
        s->reason = PLAN_NO_HOST;
        if (q->w->m->pool->domains[s->domain].policy != POOL_NONE) {
            help_by_restart(q);
            help_by_loss(q);
        }
    }
    if (s->nearest != POOL_NONE && (s->reason == PLAN_NO_HOST || s->reason == PLAN_CANNOT_SAY))
        s->why = matrix_why(q->w->m, q->w->m->row_of[s->domain], q->w->m->column_of[s->nearest], 6);
}

void plan_explain(const struct plan_world *w, const struct evacuation *e, struct plan_stuck *s)
{
    size_t n = w->m->pool->n_hosts;
    struct search q = {.w = w, .e = e, .s = s};

    s->need = plan_need(w->m->pool, s->domain);
    s->nearest = POOL_NONE;
    s->reason = PLAN_SIZE_UNKNOWN;
    if (!s->need)
        return;
    q.left = xcalloc(n + 1, sizeof(*q.left));
    memcpy(q.left, w->room, n * sizeof(*q.left));
    for (size_t i = 0; i < e->n_moves; i++)
        q.left[e->moves[i].to] -= e->moves[i].need;
    explain(&q);
    free(q.left);
}
