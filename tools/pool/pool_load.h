/* SPDX-License-Identifier: MIT */
/*
 * Loading a pool: what pool.c and the reader of each kind of value share.
 */
#ifndef POOL_POOL_LOAD_H
#define POOL_POOL_LOAD_H

#include "pool.h"
#include "store.h"

#define POOL_TEXT_MAX 4096u /* bytes of any text in a record */

struct load {
    struct store *store;
    struct pool *p;
    struct store_list list;
    size_t *class_of; /* for each value of the list: the capture or policy that it has become */
};

/* Keep the line in p->error; every %s is made safe.  Sets errno and returns -1. */
int pool_load_fail(struct load *l, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Find a value; NULL where there is none. */
const struct store_value *pool_load_find(const struct load *l, const char *key);
/* Decode a record, of which every text has at most POOL_TEXT_MAX bytes; NULL and p->error. */
void *pool_load_record(struct load *l, const struct store_value *value,
                       const ProtobufCMessageDescriptor *type);
/* Find the class of a DIGEST that `owner` (a key) refers to, and decode it if it is the first. */
int pool_load_capture(struct load *l, const char *digest, const char *owner, size_t *index);
int pool_load_policy(struct load *l, const char *digest, const char *owner, size_t *index);
int pool_load_levels(struct load *l);

#endif /* POOL_POOL_LOAD_H */
