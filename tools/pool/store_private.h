/* SPDX-License-Identifier: MIT */
/*
 * What the kinds of store share.
 */
#ifndef POOL_STORE_PRIVATE_H
#define POOL_STORE_PRIVATE_H

#include "store.h"
#include "store_config.h"

struct store {
    const struct store_ops *ops;
    struct store_config config;
    char *name;  /* store_name(); set by open() */
    char *error; /* the last one, safe to print; NULL: none */
    void *own;   /* the kind's own state; close() frees it */
};

extern const struct store_ops store_folder_ops;
extern const struct store_ops store_etcd_ops;

/* Keep the line for store_error(); every %s is made safe.  Sets errno to err and returns -1. */
int store_fail(struct store *store, int err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Is it a key, as store.h says? */
bool store_key_is_valid(const char *key);

#endif /* POOL_STORE_PRIVATE_H */
