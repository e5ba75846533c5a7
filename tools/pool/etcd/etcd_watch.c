/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a change: etcd tells what has changed since a revision, also what has before it was
 * asked, so whoever waits again from the same revision misses nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "etcd.h"
#include "util.h"
#include "xc_clock.h"

/* What the lines said until now. */
struct watching {
    bool changed, ended;
};

/* {"result":{"header":{...},"created":true}}, then {"result":{"events":[...]}}. */
static bool take_event(void *arg, const char *line, size_t len)
{
    struct watching *w = arg;
    char why[100];
    yajl_val root = json_read(line, len, why, sizeof(why));
    yajl_val result = json_find(root, "result", yajl_t_object);

    if (json_count(json_find(result, "events", yajl_t_array)) ||
        etcd_number(result, "compact_revision")) /* what was there before is not known any more */
        w->changed = true;
    else if (!result || etcd_true(result, "canceled"))
        w->ended = true;
    yajl_tree_free(root);
    return !w->changed && !w->ended;
}

static void fill_watch(const struct etcd *e, const char *prefix, uint64_t revision,
                       struct etcd_body *b)
{
    etcd_body_begin(b);
    json_object(b->j, "create_request");
    etcd_json_key(b->j, "key", e, prefix, false);
    etcd_json_key(b->j, "range_end", e, prefix, true);
    json_number(b->j, "start_revision", revision + 1);
    json_close_object(b->j);
    etcd_body_end(b);
}

/* Has something been put since, as more than half of the members know?  1, 0, -1. */
static int look(struct etcd *e, const char *prefix, uint64_t revision)
{
    struct etcd_answer a;
    struct etcd_body b;
    int rc;

    etcd_body_begin(&b);
    etcd_json_key(b.j, "key", e, prefix, false);
    etcd_json_key(b.j, "range_end", e, prefix, true);
    json_number(b.j, "min_mod_revision", revision + 1);
    json_number(b.j, "limit", 1);
    json_bool(b.j, "keys_only", true);
    etcd_body_end(&b);
    if (etcd_ask_body(e, "/v3/kv/range", &b, false, &a))
        return -1;
    rc = json_count(json_find(a.root, "kvs", yajl_t_array)) ? 1 : 0;
    yajl_tree_free(a.root);
    return rc;
}

/* Listen to one member after the other until something has changed, one has no more to say
 * (->ended), or time is up. */
static void listen_for(struct etcd *e, const struct etcd_body *b, struct watching *w,
                       unsigned int ms)
{
    struct etcd_question q = {.path = "/v3/watch",
                              .body = b,
                              .reply_max = ETCD_REPLY_MAX,
                              .take_line = take_event,
                              .arg = w,
                              .patient = true,
                              .ms = ms};
    struct etcd_answer a;

    w->ended = false;
    if (!etcd_ask(e, &q, &a))
        yajl_tree_free(a.root);
    else if (errno == E2BIG) /* only what has changed is so long */
        w->changed = true;
}

int etcd_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms)
{
    const struct timespec pause = {.tv_nsec = 100000000};
    uint64_t end = xc_now_ns() + ms * 1000000ull, now;
    struct etcd *e = store->own;
    struct watching w = {0};
    struct etcd_body b;
    int rc = 0;

    fill_watch(e, prefix, revision, &b);
    while (!rc && (now = xc_now_ns()) < end) {
        if (w.ended) {
            e->at = (e->at + 1) % e->where.n;
            (void)nanosleep(&pause, NULL);
        }
        listen_for(e, &b, &w, (unsigned int)((end - now) / 1000000u + 1));
        /* What was listened to may have heard nothing itself. */
        rc = w.changed ? 1 : look(e, prefix, revision);
    }
    etcd_body_free(&b);
    return rc;
}
