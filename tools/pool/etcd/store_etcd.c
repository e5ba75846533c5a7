/* SPDX-License-Identifier: MIT */
/*
 * A registry in etcd: a key is a key there, below the prefix, and its revision is etcd's
 * mod_revision.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.h"
#include "util.h"

static int etcd_open(struct store *store, const char *where, bool create)
{
    struct etcd *e = xcalloc(1, sizeof(*e));
    char why[512];

    (void)create; /* etcd makes keys out of nothing */
    store->own = e;
    e->store = store;
    if (etcd_curl_load(&e->curl, why, sizeof(why)))
        return store_fail(store, ENOSYS, "%s", why);
    if (etcd_where_parse(&e->curl, where, &e->where, why, sizeof(why)))
        return store_fail(store, EINVAL, "%s", why);
    store->name = etcd_where_name(&e->where);
    if (!store->config.key != !store->config.cert)
        return store_fail(store, EINVAL, "%s: [etcd] has one of cert and key, and both are needed",
                          store->config.path ? store->config.path : "pool.conf");
    e->http = etcd_http_open(&e->curl, &store->config);
    if (!e->http)
        return store_fail(store, ENOMEM, "libcurl cannot be started");
    return 0;
}

static void etcd_close(struct store *store)
{
    struct etcd *e = store->own;

    if (!e)
        return;
    etcd_http_close(e->http);
    etcd_where_free(&e->where);
    etcd_curl_unload(&e->curl);
    etcd_forget_token(e);
    free(e->cluster);
    free(e);
    store->own = NULL;
}

const struct store_ops store_etcd_ops = {
    .open = etcd_open,
    .close = etcd_close,
    .get = etcd_get,
    .list = etcd_list,
    .commit = etcd_commit,
    .watch = etcd_watch,
};
