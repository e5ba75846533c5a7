/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool level: the pool's own levels.
 */
#ifndef XENLEVEL_POOL_LEVEL_H
#define XENLEVEL_POOL_LEVEL_H

#include "level_make.h"
#include "pool-commands.h"

/* Domains that something is to be said of: "web on alpha", each malloc'ed. */
struct vm_list {
    char **names;
    size_t n;
};

void vm_list_free(struct vm_list *l);
/* Print "3 domains need ...: web on alpha, db on beta"; nothing when there are none. */
void vm_list_print(const struct vm_list *l, const char *one, const char *many);
void vm_list_json(struct json *j, const char *key, const struct vm_list *l);
/* Add the domains whose policy has anything in its set: sets[p->n_policies]. */
void vm_list_add(struct vm_list *l, const struct pool *p, const struct featureset *sets);

/* Find the domains that lack features of a level, and those that have more than it. */
void level_find_below(const struct pool *p, const struct pool_level *level, struct vm_list *l);
void level_find_above(const struct pool *p, const struct pool_level *level, struct vm_list *l);

/* Print a level of the pool, all of them, and what could be.  Return a status. */
int pool_level_show(const struct pool *p, const char *name, bool json);
int pool_level_suggest(const struct pool *p, bool json);

#endif /* XENLEVEL_POOL_LEVEL_H */
