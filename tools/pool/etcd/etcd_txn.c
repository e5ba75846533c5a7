/* SPDX-License-Identifier: MIT */
/*
 * Transactions: made once or not at all, also when an answer is lost.
 *
 * etcd does not know which question is a repeated one, so the first change creates a key that
 * nobody else creates.  When the transaction is repeated and that key is there with our value, the
 * earlier one was carried out.
 *
 * When it is not there, an earlier one that nobody has answered may still be on its way, and be
 * carried out when we have told that nothing was changed.  It cannot any more when one of its
 * conditions has failed for good: a revision that has passed does not come back.  Else we make one
 * fail: every transaction has as a condition that a key ".fence/KEY" does not exist, and giving up
 * means to create it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.h"
#include "etcd_large.h"
#include "util.h"

#define FENCE         ".fence/"
#define FENCE_SECONDS 3600u /* then nothing is on its way any more */

/* What is known of a transaction that was not answered with "succeeded". */
enum fate {
    FATE_COMMITTED,
    FATE_CONFLICT, /* and nothing was or will be changed */
    FATE_OPEN,
};

struct txn {
    struct etcd *e;
    const struct store_change *changes;
    size_t n;
    const uint64_t *leases; /* of each change; 0: none */
    const bool *present;    /* of each change: etcd_large.c has put it before, for good */
    bool once;              /* changes[0] creates a key of its own */
    size_t conflict;
    bool failed_for_good; /* that condition */
};

static bool changes_something(const struct txn *t, size_t i)
{
    return !t->changes[i].only_check && !t->present[i];
}

static bool has_condition(const struct txn *t, size_t i)
{
    return t->changes[i].checked && !t->present[i];
}

/* ---- the question ---- */

/* The condition that what stands at a key has this revision; 0: nothing stands there. */
static void add_compare(struct etcd_body *b, const struct etcd *e, const char *key,
                        uint64_t revision)
{
    json_object(b->j, NULL);
    etcd_json_key(b->j, "key", e, key, false);
    json_string(b->j, "target", "MOD");
    json_string(b->j, "result", "EQUAL");
    json_number(b->j, "mod_revision", revision);
    json_close_object(b->j);
}

static void add_change(struct etcd_body *b, const struct txn *t, size_t i)
{
    const struct store_change *c = &t->changes[i];

    json_object(b->j, NULL);
    json_object(b->j, c->bytes ? "request_put" : "request_delete_range");
    etcd_json_key(b->j, "key", t->e, c->key, false);
    if (c->bytes)
        etcd_json_bytes(b->j, "value", c->bytes, c->len);
    if (c->bytes && t->leases[i])
        json_number(b->j, "lease", t->leases[i]);
    json_close_object(b->j);
    json_close_object(b->j);
}

/* Ask what stands at a key now: its revision, and with `value` its value too. */
static void add_look(struct etcd_body *b, const struct etcd *e, const char *key, bool value)
{
    json_object(b->j, NULL);
    json_object(b->j, "request_range");
    etcd_json_key(b->j, "key", e, key, false);
    json_bool(b->j, "keys_only", !value);
    json_close_object(b->j);
    json_close_object(b->j);
}

static void fill_txn(const struct txn *t, struct etcd_body *b)
{
    char *fence = xasprintf(FENCE "%s", t->changes[0].key);

    etcd_body_begin(b);
    json_array(b->j, "compare");
    for (size_t i = 0; i < t->n; i++)
        if (has_condition(t, i))
            add_compare(b, t->e, t->changes[i].key, t->changes[i].revision);
    if (t->once)
        add_compare(b, t->e, fence, 0);
    json_close_array(b->j);
    json_array(b->j, "success");
    for (size_t i = 0; i < t->n; i++)
        if (changes_something(t, i))
            add_change(b, t, i);
    json_close_array(b->j);
    json_array(b->j, "failure");
    for (size_t i = 0; i < t->n; i++)
        if (has_condition(t, i))
            add_look(b, t->e, t->changes[i].key, i == 0 && t->once);
    json_close_array(b->j);
    etcd_body_end(b);
    free(fence);
}

/* ---- the answer ---- */

/* What a look has found: NULL for nothing. */
static yajl_val found_at(yajl_val root, size_t i)
{
    yajl_val responses = json_find(root, "responses", yajl_t_array), range, kvs;

    if (i >= json_count(responses))
        return NULL;
    range = json_find(YAJL_GET_ARRAY(responses)->values[i], "response_range", yajl_t_object);
    kvs = json_find(range, "kvs", yajl_t_array);
    return json_count(kvs) ? YAJL_GET_ARRAY(kvs)->values[0] : NULL;
}

/* Is it the value that the first change puts? */
static bool is_ours(const struct txn *t, yajl_val kv)
{
    char *bytes;
    size_t len;
    bool same;

    if (!kv || etcd_bytes(kv, "value", &bytes, &len))
        return false;
    same = len == t->changes[0].len && !memcmp(bytes, t->changes[0].bytes, len);
    free(bytes);
    return same;
}

/* Read the looks of a transaction of which a condition has failed. */
static enum fate read_looks(struct txn *t, yajl_val root, bool maybe)
{
    bool found = false;
    size_t look = 0;

    if (t->once && is_ours(t, found_at(root, 0)))
        return FATE_COMMITTED;
    t->failed_for_good = false;
    for (size_t i = 0; i < t->n; i++) {
        uint64_t now;
        bool holds;

        if (!has_condition(t, i))
            continue;
        now = etcd_number(found_at(root, look++), "mod_revision");
        holds = now == t->changes[i].revision;
        if (!holds && !found)
            t->conflict = i;
        found |= !holds;
        t->failed_for_good |= !holds && t->changes[i].revision;
    }
    return !maybe || !t->once || t->failed_for_good ? FATE_CONFLICT : FATE_OPEN;
}

/* ---- giving up ---- */

/* See to it that no earlier try is carried out from now on; or find out that one was. */
static enum fate raise_fence(struct txn *t)
{
    char *fence = xasprintf(FENCE "%s", t->changes[0].key);
    enum fate fate = FATE_OPEN;
    struct etcd_answer a;
    struct etcd_body b;
    uint64_t lease;

    if (!etcd_lease_grant(t->e, FENCE_SECONDS, &lease)) {
        etcd_body_begin(&b);
        json_array(b.j, "compare");
        add_compare(&b, t->e, t->changes[0].key, 0);
        json_close_array(b.j);
        json_array(b.j, "success");
        json_object(b.j, NULL);
        json_object(b.j, "request_put");
        etcd_json_key(b.j, "key", t->e, fence, false);
        json_number(b.j, "lease", lease);
        json_close_object(b.j);
        json_close_object(b.j);
        json_close_array(b.j);
        json_array(b.j, "failure");
        add_look(&b, t->e, t->changes[0].key, true);
        json_close_array(b.j);
        etcd_body_end(&b);
        if (!etcd_ask_body(t->e, "/v3/kv/txn", &b, false, &a)) {
            fate = etcd_true(a.root, "succeeded") || !is_ours(t, found_at(a.root, 0))
                       ? FATE_CONFLICT
                       : FATE_COMMITTED;
            yajl_tree_free(a.root);
        }
    }
    free(fence);
    return fate;
}

/* Nobody can say: one line that says how to look. */
static int say_open(struct txn *t)
{
    char *why = xstrdup(store_error(t->e->store));

    (void)store_fail(t->e->store, EINPROGRESS,
                     "cannot say whether the change was made, or will be: 'xenlevel pool history' "
                     "shows %s if it was; %s",
                     t->changes[0].key, why);
    free(why);
    errno = EINPROGRESS;
    return -1;
}

/* The answer is an error.  When no earlier try can have been carried out, nothing was changed. */
static int settle_error(struct txn *t, bool maybe, enum store_outcome *outcome)
{
    int err = errno;
    char *said;

    if (!maybe)
        return -1;
    if (!t->once || err == ETIMEDOUT || err == ECONNREFUSED || err == EREMOTEIO)
        return say_open(t);
    said = xstrdup(store_error(t->e->store));
    switch (raise_fence(t)) {
    case FATE_COMMITTED:
        free(said);
        *outcome = STORE_COMMITTED;
        return 0;
    case FATE_CONFLICT:
        (void)store_fail(t->e->store, err, "%s", said);
        free(said);
        errno = err;
        return -1;
    default:
        free(said);
        return say_open(t);
    }
}

/* ---- all of it ---- */

static int run_txn(struct txn *t, enum store_outcome *outcome)
{
    struct etcd_answer a;
    struct etcd_body b;
    enum fate fate;

    fill_txn(t, &b);
    if (etcd_ask_body(t->e, "/v3/kv/txn", &b, true, &a))
        return settle_error(t, a.maybe, outcome);
    fate = etcd_true(a.root, "succeeded") ? FATE_COMMITTED : read_looks(t, a.root, a.maybe);
    yajl_tree_free(a.root);
    if (fate == FATE_OPEN)
        fate = raise_fence(t);
    if (fate == FATE_OPEN)
        return say_open(t);
    *outcome = fate == FATE_COMMITTED ? STORE_COMMITTED : STORE_CONFLICT;
    return 0;
}

/* Find a lease for each change that wants one; changes with the same time share a new one. */
static int find_leases(struct txn *t, uint64_t *leases, bool *fresh)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct store_change *c = &t->changes[i];

        if (c->lease && c->bytes && !c->only_check &&
            etcd_lease_for(t->e, c->key, c->lease, &leases[i], &fresh[i]))
            return -1;
    }
    return 0;
}

/* Give back what was granted for a transaction that was not made. */
static void return_leases(struct txn *t, const uint64_t *leases, const bool *fresh)
{
    for (size_t i = 0; i < t->n; i++)
        if (fresh[i])
            etcd_lease_revoke(t->e, leases[i]);
}

static int commit_with_leases(struct txn *t, enum store_outcome *outcome)
{
    uint64_t *leases = xcalloc(t->n, sizeof(*leases));
    bool *fresh = xcalloc(t->n, sizeof(*fresh));
    int rc, err;

    t->leases = leases;
    rc = find_leases(t, leases, fresh);
    if (!rc)
        rc = run_txn(t, outcome);
    err = errno;
    if (rc ? err != EINPROGRESS : *outcome == STORE_CONFLICT)
        return_leases(t, leases, fresh);
    free(leases);
    free(fresh);
    errno = err;
    return rc;
}

int etcd_commit(struct store *store, const struct store_change *changes, size_t n,
                enum store_outcome *outcome, size_t *conflict)
{
    struct txn t = {.e = store->own, .changes = changes, .n = n};
    unsigned int tries = 0;
    bool *present;
    int rc, err;

    if (!n)
        return 0;
    t.once =
        changes[0].checked && !changes[0].revision && changes[0].bytes && !changes[0].only_check;
    present = xcalloc(n, sizeof(*present));
    t.present = present;
    rc = etcd_put_large(t.e, changes, n, present);
    if (!rc)
        do /* a lease can end between its renewal and the transaction */
            rc = commit_with_leases(&t, outcome);
        while (rc && errno == ENOENT && tries++ < 3);
    err = errno;
    *conflict = t.conflict;
    free(present);
    errno = err;
    return rc;
}
