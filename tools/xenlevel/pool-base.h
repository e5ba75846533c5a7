/* SPDX-License-Identifier: MIT */
/*
 * A member as it was when it was last in order: what drift is measured against.
 */
#ifndef XENLEVEL_POOL_BASE_H
#define XENLEVEL_POOL_BASE_H

#include "drift.h"
#include "store.h"

struct pool_base {
    struct pool_moment moment;
    /* Read for it alone; NULL, and ->file NULL: they are the pool's. */
    Xenlevel__PoolHost *record;
    struct pool_capture capture;
};

/* Find it.  0; or -1 after a message.  Close it when that was 0. */
int pool_base_open(struct store *store, const struct pool *p, size_t host, struct pool_base *base);
void pool_base_close(struct pool_base *base);

#endif /* XENLEVEL_POOL_BASE_H */
