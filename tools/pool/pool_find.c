/* SPDX-License-Identifier: MIT */
/*
 * Finding things in a pool, and how keys are made of names.
 */
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "util.h"

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

char *pool_key(const char *kind, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    char *key = xcalloc(1, strlen(kind) + 1 + 3 * strlen(name) + 1), *at = key;

    at = stpcpy(stpcpy(at, kind), "/");
    for (const char *s = name; *s; s++) {
        /* A name may begin with a dot, a part of a key may not. */
        if (strchr(PLAIN, *s) && (*s != '.' || s != name)) {
            *at++ = *s;
            continue;
        }
        *at++ = '%';
        *at++ = digits[(unsigned char)*s >> 4];
        *at++ = digits[(unsigned char)*s & 15];
    }
    return key;
}

size_t pool_find_host(const struct pool *p, const char *name)
{
    size_t from = 0, to = p->n_hosts;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(name, p->hosts[middle].record->name);

        if (order == 0)
            return middle;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return POOL_NONE;
}

size_t pool_find_domain(const struct pool *p, const char *name, size_t *more)
{
    size_t found = POOL_NONE, others = 0;

    for (size_t i = 0; i < p->n_domains; i++) {
        const Xenlevel__Domain *d = p->domains[i].record;

        if (strcmp(d->name, name) != 0 && strcmp(d->uuid, name) != 0)
            continue;
        if (found == POOL_NONE)
            found = i;
        else
            others++;
    }
    if (more)
        *more = others;
    return found;
}

size_t pool_find_level(const struct pool *p, const char *name)
{
    for (size_t i = 0; i < p->n_levels; i++)
        if (!strcmp(p->levels[i].name, name))
            return i;
    return POOL_NONE;
}
