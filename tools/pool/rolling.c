/* SPDX-License-Identifier: MIT */
/* An order in which all hosts can be emptied, updated and refilled; see plan.h. */
#include <stdlib.h>
#include <string.h>

#include "plan-private.h"
#include "util.h"
#include "xc_release.h"

/* Does a host run that release, or a newer one, already? */
static bool is_done(const char *xen, const char *to)
{
    struct xc_release is, wanted;

    if (!to || !xc_read_release(xen, &is) || !xc_read_release(to, &wanted))
        return false;
    if (is.major != wanted.major)
        return is.major > wanted.major;
    if (is.minor != wanted.minor)
        return is.minor > wanted.minor;
    return wanted.point < 0 || is.point >= wanted.point;
}

static bool try_step(const struct plan_world *w, size_t host, struct evacuation *e)
{
    if (world_evacuate(w, host, true, e))
        return true;
    (void)world_evacuate(w, host, false, e);
    if (!e->n_stuck)
        return true;
    evacuation_free(e);
    return false;
}

/* Divide the hosts into those that are to be emptied (*pending, malloc'ed) and the others. */
static size_t sort_hosts(const struct plan_world *w, struct rolling *r, size_t **pending)
{
    const struct pool *p = w->m->pool;
    size_t n = 0;

    *pending = xcalloc(p->n_hosts + 1, sizeof(**pending));
    r->done = xcalloc(p->n_hosts + 1, sizeof(*r->done));
    r->silent = xcalloc(p->n_hosts + 1, sizeof(*r->silent));
    for (size_t i = 0; i < p->n_hosts; i++) {
        if (!p->hosts[i].seen)
            r->silent[r->n_silent++] = i;
        else if (is_done(pool_host_xen(p, i), w->options->to_xen))
            r->done[r->n_done++] = i;
        else
            (*pending)[n++] = i;
    }
    return n;
}

/*
 * Whoever can be emptied now can be later: guests are at home between the steps, so room stays as
 * it is, and an update takes no host away from the guests of those that are still to come (older
 * records go to a newer Xen).  So taking whoever can go next finds an order where there is one.
 */
void plan_rolling(const struct pool_matrix *m, const struct plan_options *options,
                  struct rolling *r)
{
    bool *updated = xcalloc(m->pool->n_hosts + 1, sizeof(*updated));
    struct plan_options each = *options;
    struct plan_world w;
    size_t *pending, n, before;

    *r = (struct rolling){.n_steps = 0};
    each.nodes = options->nodes ? options->nodes : PLAN_ROLLING_NODES;
    world_begin(&w, m, &each);
    w.updated = updated;
    w.must_return = true;
    n = sort_hosts(&w, r, &pending);
    r->steps = xcalloc(n + 1, sizeof(*r->steps));
    r->blocked = xcalloc(n + 1, sizeof(*r->blocked));
    do {
        size_t left = 0;

        before = n;
        for (size_t i = 0; i < n; i++) {
            size_t host = pending[i];

            if (try_step(&w, host, &r->steps[r->n_steps])) {
                updated[host] = options->to_xen != NULL;
                r->n_steps++;
            } else {
                pending[left++] = host;
            }
        }
        n = left;
    } while (n && n < before && options->to_xen); /* else nothing has changed */
    for (size_t i = 0; i < n; i++)
        (void)world_evacuate(&w, pending[i], false, &r->blocked[r->n_blocked++]);
    world_end(&w);
    free(pending);
    free(updated);
}

void rolling_free(struct rolling *r)
{
    for (size_t i = 0; i < r->n_steps; i++)
        evacuation_free(&r->steps[i]);
    for (size_t i = 0; i < r->n_blocked; i++)
        evacuation_free(&r->blocked[i]);
    free(r->steps);
    free(r->blocked);
    free(r->done);
    free(r->silent);
    *r = (struct rolling){.n_steps = 0};
}
