/* SPDX-License-Identifier: MIT */
/*
 * A level that people name instead of computing it: `xenlevel level --at`, `--without`, `--list`.
 */
#ifndef XENLEVEL_LEVEL_AT_H
#define XENLEVEL_LEVEL_AT_H

#include "level-plan.h"

/* Open what --at says: the name of a level that is shipped, its text in a file, or a pool's level
 * in a file, whose features are taken.  0; -1 after a message.  named_free() in both cases. */
int level_at_open(const char *arg, struct named_level *l);
/* Open it as a subject, SUBJECT_NAMED or SUBJECT_LEVEL where it is a level.  0; -1 after a message.
 * subject_close() in both cases. */
int level_at_subject(const char *arg, struct subject *s);
/* Make a named level of a CPU's features, one of a pool: no machines, version 1. */
void level_at_from_plan(const struct level_pool *pool, const char *name, struct named_level *l);

/* Parse what --without says.  0; -1 after a message. */
int level_without_parse(const char *list, struct featureset *fs);

/* What keeps a host from giving a named level to guests of one type. */
struct level_refusal {
    bool vendor;                /* the level is of another */
    bool offered;               /* the host runs such guests, and the level is for them */
    struct featureset lacks;    /* the host does not give these to guests */
    struct featureset doubtful; /* or nobody knows whether it does */
};

/* Ask a host.  Returns whether it can give the level, or does not run such guests. */
bool level_at_ask(const struct named_level *l, const struct subject *host, enum subject_type type,
                  struct level_refusal *r);
/* Print why it cannot, or write it as an object of a list. */
void level_at_refuse(const struct named_level *l, const struct subject *host,
                     enum subject_type type, const struct level_refusal *r, struct json *j);
/* Print who of the pool cannot give the level that it was asked for, and why; nothing where all
 * can.  JSON: as an object of its own.  Returns STATUS_YES, or STATUS_NO. */
int level_at_check(const struct level_pool *pool, bool json);

/* Print the levels that are shipped.  Returns a status. */
int level_list(bool json);
/* Print one of them. */
void level_named_print(const struct named_level *l);
void level_named_json(struct json *j, const struct named_level *l);

#endif /* XENLEVEL_LEVEL_AT_H */
