/* SPDX-License-Identifier: MIT */
/* Domains that two hosts say they run: see twins.h. */
#include "twins.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

/* A domain with its place, so that it can be sorted without the pool. */
struct listed {
    const char *uuid;
    size_t index;
};

static int compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = strcmp(x->uuid, y->uuid);

    if (!order)
        order = x->index < y->index ? -1 : 1; /* no index is there twice */
    return order;
}

size_t pool_find_twins(const struct pool *p, struct pool_twin **twins)
{
    struct listed *list = xcalloc(p->n_domains + 1, sizeof(*list));
    size_t n = 0, found = 0;

    for (size_t i = 0; i < p->n_domains; i++) {
        const Xenlevel__Domain *d = p->domains[i].record;

        if (*d->uuid && d->state != XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED)
            list[n++] = (struct listed){d->uuid, i};
    }
    qsort(list, n, sizeof(*list), compare_listed);
    *twins = xcalloc(n + 1, sizeof(**twins));
    for (size_t i = 1; i < n; i++)
        if (!strcmp(list[i - 1].uuid, list[i].uuid) &&
            p->domains[list[i - 1].index].host != p->domains[list[i].index].host)
            (*twins)[found++] = (struct pool_twin){list[i - 1].index, list[i].index};
    free(list);
    return found;
}
