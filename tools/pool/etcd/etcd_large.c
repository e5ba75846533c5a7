/* SPDX-License-Identifier: MIT */
/* See etcd_large.h. */
#include "etcd_large.h"

#include <stdlib.h>
#include <string.h>

/* etcd's --max-txn-ops and --max-request-bytes, as they are when nobody sets them; and what we use
 * of them.  Conditions and changes are counted apart; one condition is etcd_txn.c's own. */
#define OPS_MAX   (128u - 1)
#define BYTES_MAX ((3u << 19) - 4096u)

/* What a change adds to a request (protobuf): its key thrice, its value, and their heads. */
static size_t request_bytes(const struct etcd *e, const struct store_change *c)
{
    return 3 * (strlen(e->where.prefix) + strlen(c->key)) + (c->bytes ? c->len : 0) + 64;
}

static bool is_large(const struct etcd *e, const struct store_change *changes, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += request_bytes(e, &changes[i]);
    return n > OPS_MAX || bytes > BYTES_MAX;
}

static bool is_named_by_content(const struct store_change *c)
{
    return c->bytes && !c->only_check && !c->lease && !(c->checked && c->revision) &&
           (!strncmp(c->key, "capture/", 8) || !strncmp(c->key, "policy/", 7));
}

/* Put one.  What is there already has the same bytes. */
static int put_one(struct etcd *e, const struct store_change *c)
{
    struct etcd_answer a;
    struct etcd_body b;

    etcd_body_begin(&b);
    etcd_json_key(b.j, "key", e, c->key, false);
    etcd_json_bytes(b.j, "value", c->bytes, c->len);
    etcd_body_end(&b);
    if (etcd_ask_body(e, "/v3/kv/put", &b, false, &a))
        return -1;
    yajl_tree_free(a.root);
    return 0;
}

int etcd_put_large(struct etcd *e, const struct store_change *changes, size_t n, bool *present)
{
    bool large = is_large(e, changes, n);

    for (size_t i = 1; large && i < n; i++) {
        if (!is_named_by_content(&changes[i]))
            continue;
        if (put_one(e, &changes[i]))
            return -1;
        present[i] = true;
    }
    return 0;
}
