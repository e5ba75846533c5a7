/* SPDX-License-Identifier: MIT */
/*
 * Stands for store_etcd.c until that is there.
 */
#include <errno.h>

#include "store_private.h"

static int open_etcd(struct store *store, const char *where, bool create)
{
    (void)create;
    return store_fail(store, ENOSYS, "%s: this program cannot ask etcd", where);
}

static void close_etcd(struct store *store)
{
    (void)store;
}

const struct store_ops store_etcd_ops = {.open = open_etcd, .close = close_etcd};
