/* SPDX-License-Identifier: MIT */
/*
 * Making a level of a pool: out of what its hosts share, cut to a named level, less some features.
 */
#ifndef POOL_LEVEL_MAKE_H
#define POOL_LEVEL_MAKE_H

#include "admit.h"
#include "named.h"
#include "suggest.h"

/* What the level is to be. */
struct level_wish {
    const struct named_level *at; /* what hosts share is cut to it; NULL: it is not */
    struct featureset without;    /* and less these */
};

/* Why a host of the pool stands against it. */
struct level_objection {
    const char *host; /* the pool's */
    size_t hosts;     /* how many are like it, with it */
    char *why;        /* one line; malloc'ed */
};

struct level_made {
    Xenlevel__File *file; /* NULL where there are objections */
    struct level_objection *objections;
    size_t n_objections;
    struct featureset fallen; /* what --without took with it, or the ceiling */
};

/* Compute a level over all hosts of a pool that has some.  Free with level_made_free(). */
void level_make(const struct pool *p, const struct level_wish *wish, struct level_made *made);
/* Take a level as it is, a copy without name: hosts that cannot give it object. */
void level_take(const struct pool *p, const Xenlevel__Level *level, struct level_made *made);
void level_made_free(struct level_made *made);

/* Return "web.v4" for "web", or for "web.v2" where there are "web.v1" to "web.v3"; malloc'ed. */
char *level_next_name(const struct pool *p, const char *name);

/* Fill a level of a pool's from a file; the file is borrowed. */
void level_view(struct pool_level *view, char *name, Xenlevel__File *file);
/* Say whether two levels are the same CPUs. */
bool level_is_same(const struct pool_level *a, const struct pool_level *b);

/* What has changed from one level to another, for one type of guest, of what is compared. */
void level_difference(const struct pool_level *from, const struct pool_level *to, unsigned int type,
                      struct featureset *gained, struct featureset *lost);

#endif /* POOL_LEVEL_MAKE_H */
