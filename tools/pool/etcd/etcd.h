/* SPDX-License-Identifier: MIT */
/*
 * What the files of etcd's store share: how etcd is asked, and what it answers.
 *
 * etcd answers JSON at /v3/ (its gateway to gRPC) since 3.4.  Keys and values are base64 there,
 * numbers of 64 bits are strings, and what is zero, false or empty is left out.
 */
#ifndef POOL_ETCD_H
#define POOL_ETCD_H

#include "etcd_http.h"
#include "etcd_where.h"
#include "json.h"
#include "json_read.h"
#include "store_private.h"

struct etcd {
    struct store *store; /* for its configuration and its error */
    struct etcd_curl curl;
    struct etcd_where where;
    struct etcd_http *http;
    size_t at;     /* the endpoint that answered last */
    char *token;   /* of the user; NULL: none yet */
    char *cluster; /* cluster_id; NULL: not heard yet */
};

/* ---- a question (etcd_json.c) ---- */

/* JSON that grows in memory: an object, whose members are added to ->j. */
struct etcd_body {
    struct json *j;
    FILE *f;
    char *text;
    size_t len;
};

void etcd_body_begin(struct etcd_body *b);
void etcd_body_end(struct etcd_body *b); /* ->text and ->len are there then */
void etcd_body_free(struct etcd_body *b);

/* Add a member of bytes, as base64. */
void etcd_json_bytes(struct json *j, const char *member, const void *bytes, size_t len);
/* Add a member that is the key as etcd has it: the prefix in front.  `end`: what follows all keys
 * that begin with it. */
void etcd_json_key(struct json *j, const char *member, const struct etcd *e, const char *key,
                   bool end);

/* ---- an answer's parts (etcd_json.c) ---- */

/* Read a number that may be a string; 0 where it is not there (as etcd leaves out zeros) or is no
 * number. */
uint64_t etcd_number(yajl_val object, const char *member);
bool etcd_true(yajl_val object, const char *member);
/* Decode the base64 of a member into malloc'ed bytes with a NUL behind them; one that is not there
 * is empty.  -1 when it is no base64 (EPROTO) or there is no memory. */
int etcd_bytes(yajl_val object, const char *member, char **bytes, size_t *len);

/* ---- asking (etcd_ask.c) ---- */

struct etcd_question {
    const char *path; /* "/v3/kv/range" */
    const struct etcd_body *body;
    size_t reply_max;
    bool changes; /* an answer that is lost matters */
    /* for an answer of lines (watch) */
    bool (*take_line)(void *arg, const char *line, size_t len);
    void *arg;
    bool patient;    /* silence is no fault */
    unsigned int ms; /* instead of the configuration's time; 0: that */
};

#define ETCD_REPLY_MAX (16u << 20)

struct etcd_answer {
    yajl_val root; /* yajl_tree_free() */
    bool
        maybe; /* `changes`: an earlier try, unanswered, may have been carried out, or may yet be */
};

/*
 * Ask the endpoints, one after the other, until one answers, or time is up.  0: answered.  -1 with
 * store_error() and errno:
 *  EACCES       no rights, or certificates, user or password are refused
 *  ENOSPC       etcd's database is full
 *  ESTALE       the revision has been compacted
 *  ENOENT       there is no such lease
 *  E2BIG        the answer is longer than reply_max;  EFBIG: the question is too long for etcd
 *  EPROTO       no etcd answers there
 *  ETIMEDOUT, ECONNREFUSED, ...  nothing answers
 * With ETIMEDOUT etcd may carry it out even later.
 */
int etcd_ask(struct etcd *e, const struct etcd_question *q, struct etcd_answer *a);

/* Ask for a body that etcd_body_end() has ended, and free it; as etcd_ask() with ETCD_REPLY_MAX. */
int etcd_ask_body(struct etcd *e, const char *path, struct etcd_body *b, bool changes,
                  struct etcd_answer *a);

/* Wipe and forget the user's token, if there is one. */
void etcd_forget_token(struct etcd *e);

/* ---- what an endpoint says (etcd_error.c) ---- */

enum etcd_verdict {
    ETCD_ANSWERED,
    ETCD_REFUSED,   /* a definite no: store_error() is set */
    ETCD_NEW_TOKEN, /* the user must be authenticated again */
    ETCD_LASTING,   /* this endpoint is of no use */
    ETCD_AGAIN,     /* it, or another, may answer a little later */
};

/* What became of one try at one endpoint. */
struct etcd_try {
    enum etcd_verdict verdict;
    bool maybe; /* it may have been carried out */
    int err;
    char why[512];
};

/* Judge a reply: fills *t, and *root with what was answered; NULL for an error, and where
 * take_line() has heard it. */
void etcd_judge(struct etcd *e, const char *endpoint, struct etcd_reply *reply, yajl_val *root,
                struct etcd_try *t);
/* Judge an error object of the gateway, {"error":..., "message":..., "code":...}. */
void etcd_judge_error(struct etcd *e, const char *endpoint, yajl_val error, struct etcd_try *t);

/* ---- authentication (etcd_user.c) ---- */

/* Read what the password file has: malloc'ed, wiped by who frees it.  NULL with store_error(). */
char *etcd_read_password(struct store *store);

/* ---- leases (etcd_lease.c) ---- */

/* Find a lease of so many seconds for a key: the one that it has, renewed; or a new one (*fresh).
 * 0 or -1 as etcd_ask(). */
int etcd_lease_for(struct etcd *e, const char *key, unsigned int seconds, uint64_t *lease,
                   bool *fresh);
int etcd_lease_grant(struct etcd *e, unsigned int seconds, uint64_t *lease);
/* Give a lease back that is used for nothing; what goes wrong does not matter, it ends by itself.
 */
void etcd_lease_revoke(struct etcd *e, uint64_t lease);

/* ---- keys (etcd_range.c) ---- */

int etcd_get(struct store *store, const char *key, struct store_value *value);
int etcd_list(struct store *store, const char *const *prefixes, size_t n, struct store_list *list);
/* Read one key; *lease (may be NULL): what it hangs on, 0 for none.  0 with revision 0 where
 * nothing is there. */
int etcd_get_key(struct etcd *e, const char *key, struct store_value *value, uint64_t *lease);

/* ---- transactions (etcd_txn.c), changes (etcd_watch.c) ---- */

int etcd_commit(struct store *store, const struct store_change *changes, size_t n,
                enum store_outcome *outcome, size_t *conflict);
int etcd_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms);

#endif /* POOL_ETCD_H */
