/* SPDX-License-Identifier: MIT */
/*
 * Leases: a key that hangs on one vanishes when nobody renews it.  A key that is put again keeps
 * the lease that it has, renewed, so that leases do not pile up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.h"
#include "util.h"

int etcd_lease_grant(struct etcd *e, unsigned int seconds, uint64_t *lease)
{
    struct etcd_answer a;
    struct etcd_body b;

    etcd_body_begin(&b);
    json_number(b.j, "TTL", seconds);
    etcd_body_end(&b);
    /* one that is granted twice, because an answer was lost, ends by itself */
    if (etcd_ask_body(e, "/v3/lease/grant", &b, false, &a))
        return -1;
    *lease = etcd_number(a.root, "ID");
    yajl_tree_free(a.root);
    if (*lease)
        return 0;
    return store_fail(e->store, EPROTO, "%s: etcd's answer has no lease",
                      e->where.endpoints[e->at]);
}

void etcd_lease_revoke(struct etcd *e, uint64_t lease)
{
    struct etcd_answer a;
    struct etcd_body b;
    char *said = e->store->error;

    e->store->error = NULL; /* what was said stays said */
    etcd_body_begin(&b);
    json_number(b.j, "ID", lease);
    etcd_body_end(&b);
    if (!etcd_ask_body(e, "/v3/lease/revoke", &b, false, &a))
        yajl_tree_free(a.root);
    free(e->store->error);
    e->store->error = said;
}

/* Renewing is a stream in gRPC: its only answer is a line {"result":{"ID":"7","TTL":"60"}}. */
struct renewal {
    uint64_t id, seconds;
};

static bool take_renewal(void *arg, const char *line, size_t len)
{
    struct renewal *r = arg;
    char why[100];
    yajl_val root = json_read(line, len, why, sizeof(why));
    yajl_val result = json_find(root, "result", yajl_t_object);

    r->id = etcd_number(result, "ID");
    r->seconds = etcd_number(result, "TTL"); /* 0, left out, when it has ended */
    yajl_tree_free(root);
    return false;
}

/* Renew a lease: true when it is for so many seconds from now. */
static bool renew(struct etcd *e, uint64_t lease, unsigned int seconds)
{
    struct renewal r = {0};
    struct etcd_question q = {
        .path = "/v3/lease/keepalive", .reply_max = 1u << 20, .take_line = take_renewal, .arg = &r};
    struct etcd_answer a;
    struct etcd_body b;

    etcd_body_begin(&b);
    json_number(b.j, "ID", lease);
    etcd_body_end(&b);
    q.body = &b;
    if (!etcd_ask(e, &q, &a))
        yajl_tree_free(a.root);
    etcd_body_free(&b);
    return r.id == lease && r.seconds == seconds;
}

int etcd_lease_for(struct etcd *e, const char *key, unsigned int seconds, uint64_t *lease,
                   bool *fresh)
{
    struct store_value value;

    *fresh = false;
    if (etcd_get_key(e, key, &value, lease))
        return -1;
    store_value_free(&value);
    if (*lease && renew(e, *lease, seconds))
        return 0;
    *fresh = true;
    return etcd_lease_grant(e, seconds, lease);
}
