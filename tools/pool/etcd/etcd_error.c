/* SPDX-License-Identifier: MIT */
/* What an endpoint's answer means, and what to do about an error: see etcd.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd.h"
#include "xc_text.h"

/* gRPC's codes (github.com/grpc/grpc, doc/statuscodes.md) that decide something here. */
enum {
    GRPC_RESOURCE_EXHAUSTED = 8,
};

/*
 * What etcd says (api/v3rpc/rpctypes/error.go has them all), by a part of it.  The words were the
 * same from 3.4 to 3.6.
 */
static const struct {
    const char *part;
    enum etcd_verdict verdict;
    int err;
    bool maybe;         /* it may be carried out all the same */
    const char *advice; /* NULL: what it says is enough.  %1: CONF */
} sayings[] = {
    {"invalid auth token", ETCD_NEW_TOKEN, EACCES, false, NULL},
    {"revision of auth store is old", ETCD_NEW_TOKEN, EACCES, false, NULL},
    {"user name is empty", ETCD_REFUSED, EACCES, false,
     "etcd wants a user: set user and password_file in [etcd]"},
    {"invalid user ID or password", ETCD_REFUSED, EACCES, false,
     "the user or the password is wrong: see user and password_file in [etcd]"},
    {"authentication is not enabled", ETCD_REFUSED, EACCES, false,
     "a user is set, but etcd lets everybody in: 'etcdctl auth enable' there, or take user out of "
     "[etcd]"},
    {"permission denied", ETCD_REFUSED, EACCES, false,
     "the user has no right to that: 'etcdctl role grant-permission ROLE --prefix readwrite "
     "PREFIX/'"},
    {"database space exceeded", ETCD_REFUSED, ENOSPC, false,
     "etcd's database is full: 'etcdctl compact' and 'defrag' it, or raise --quota-backend-bytes; "
     "then 'etcdctl alarm disarm'"},
    {"has been compacted", ETCD_REFUSED, ESTALE, false, NULL},
    {"requested lease not found", ETCD_REFUSED, ENOENT, false, NULL},
    {"request is too large", ETCD_REFUSED, EFBIG, false,
     "the change is too large for one transaction (see etcd's --max-request-bytes): make it in "
     "parts"},
    {"too many operations in txn", ETCD_REFUSED, EFBIG, false,
     "the change has too many parts for one transaction (see etcd's --max-txn-ops): make it in "
     "parts"},
    {"trying to send message larger than max", ETCD_REFUSED, EFBIG, false,
     "the change is too large for one transaction (see etcd's --max-request-bytes)"},
    {"larger than max", ETCD_REFUSED, E2BIG, false, NULL},
    {"too many requests", ETCD_AGAIN, EBUSY, false, NULL},
    {"no leader", ETCD_AGAIN, ETIMEDOUT, true,
     "it has lost the other members: more than half of them must run"},
    {"request timed out", ETCD_AGAIN, ETIMEDOUT, true,
     "it does not reach the other members: more than half of them must run"},
};

/* Judge by the code alone: {InvalidArgument 3, NotFound 5, AlreadyExists 6, PermissionDenied 7,
 * FailedPrecondition 9, OutOfRange 11, Unimplemented 12, Unauthenticated 16} are a definite no. */
static bool code_is_definite(uint64_t code)
{
    const uint32_t definite =
        1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 16;

    return code < 32 && (definite >> code & 1);
}

static void refuse(struct etcd *e, const char *endpoint, const char *said, const char *advice,
                   struct etcd_try *t)
{
    const char *conf = e->store->config.path;

    if (advice && strstr(advice, "[etcd]"))
        (void)store_fail(e->store, t->err, "%s: %s of %s (it says: %.300s)", endpoint, advice,
                         conf ? conf : "pool.conf", said);
    else if (advice)
        (void)store_fail(e->store, t->err, "%s: %s (it says: %.300s)", endpoint, advice, said);
    else
        (void)store_fail(e->store, t->err, "%s refuses: %.300s", endpoint, said);
}

void etcd_judge_error(struct etcd *e, const char *endpoint, yajl_val error, struct etcd_try *t)
{
    const char *said = json_find_string(error, "message"), *advice = NULL;
    uint64_t code = etcd_number(error, "code");

    if (!said)
        said = json_find_string(error, "error");
    if (!said)
        said = "an error without words";
    *t = (struct etcd_try){.verdict = ETCD_AGAIN, .maybe = true, .err = EREMOTEIO};
    if (code_is_definite(code))
        *t = (struct etcd_try){.verdict = ETCD_REFUSED, .err = EREMOTEIO};
    else if (code == GRPC_RESOURCE_EXHAUSTED)
        *t = (struct etcd_try){.verdict = ETCD_AGAIN, .err = EBUSY};
    for (size_t i = 0; i < sizeof(sayings) / sizeof(sayings[0]); i++) {
        if (!strstr(said, sayings[i].part))
            continue;
        t->verdict = sayings[i].verdict;
        t->err = sayings[i].err;
        t->maybe = sayings[i].maybe;
        advice = sayings[i].advice;
        break;
    }
    (void)xc_text_print(t->why, sizeof(t->why), advice ? "%s (it says: %.300s)" : "%s%.300s",
                        advice ? advice : "", said);
    if (t->verdict == ETCD_REFUSED)
        refuse(e, endpoint, said, advice, t);
}

/* An answer that is not etcd's. */
static void judge_stranger(const struct etcd_reply *reply, const char *what, struct etcd_try *t)
{
    /* A proxy or a member that is about to end may have passed it on. */
    bool later = reply->status >= 500;

    *t = (struct etcd_try){.verdict = later ? ETCD_AGAIN : ETCD_LASTING,
                           .maybe = later || reply->status < 300,
                           .err = EPROTO};
    if (reply->status == 404)
        (void)xc_text_print(t->why, sizeof(t->why),
                            "HTTP status 404: it is no etcd, or one older than 3.4, or its JSON "
                            "gateway is off (--enable-grpc-gateway)");
    else if (strstr(reply->body, "CommonName of client")) {
        t->err = EACCES;
        (void)xc_text_print(t->why, sizeof(t->why),
                            "etcd takes no certificate with a CommonName here when it has users: "
                            "cert needs a subject without one");
    } else if (strstr(reply->body, "HTTP request to an HTTPS server"))
        (void)xc_text_print(t->why, sizeof(t->why),
                            "it wants TLS: https:// in the place of http://");
    else
        (void)xc_text_print(t->why, sizeof(t->why), "HTTP status %ld, and it is no etcd: %s",
                            reply->status, what);
}

/* The head of an answer: which cluster it is of.  All endpoints must be of one. */
static bool is_of_cluster(struct etcd *e, const char *endpoint, yajl_val root, struct etcd_try *t)
{
    const char *id = json_find_string(json_find(root, "header", yajl_t_object), "cluster_id");

    if (!e->cluster)
        e->cluster = strdup(id);
    if (e->cluster && !strcmp(e->cluster, id))
        return true;
    *t = (struct etcd_try){.verdict = ETCD_REFUSED, .err = EPROTO, .maybe = true};
    (void)store_fail(e->store, t->err,
                     "%s belongs to another etcd than the endpoints asked before: cluster %s, not "
                     "%s",
                     endpoint, id, e->cluster ? e->cluster : "");
    return false;
}

void etcd_judge(struct etcd *e, const char *endpoint, struct etcd_reply *reply, yajl_val *root,
                struct etcd_try *t)
{
    char why[200];

    *root = NULL;
    if (reply->got == ETCD_GOT_TOO_LONG) {
        *t = (struct etcd_try){.verdict = ETCD_REFUSED, .err = E2BIG, .maybe = true};
        (void)store_fail(e->store, E2BIG, "%s: %s", endpoint, reply->why);
        return;
    }
    if (reply->got != ETCD_GOT_REPLY) {
        /* Where etcd has answered before, its members are only away. */
        *t = (struct etcd_try){.verdict = reply->lasting && !e->cluster ? ETCD_LASTING : ETCD_AGAIN,
                               .maybe = reply->got == ETCD_NO_REPLY,
                               .err = reply->err};
        (void)xc_text_print(t->why, sizeof(t->why), "%s", reply->why);
        return;
    }
    *t = (struct etcd_try){.verdict = ETCD_ANSWERED};
    if (reply->heard)
        return;
    *root = json_read(reply->body, reply->len, why, sizeof(why));
    if (!*root) {
        judge_stranger(reply, why, t);
        return;
    }
    if (reply->status == 200 &&
        json_find_string(json_find(*root, "header", yajl_t_object), "cluster_id")) {
        if (is_of_cluster(e, endpoint, *root, t))
            return;
    } else if (etcd_number(*root, "code") && reply->status != 200) {
        etcd_judge_error(e, endpoint, *root, t);
    } else {
        judge_stranger(reply, "its JSON has no header of etcd's", t);
    }
    yajl_tree_free(*root);
    *root = NULL;
}
