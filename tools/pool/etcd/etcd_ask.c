/* SPDX-License-Identifier: MIT */
/* Asking etcd's endpoints until one answers: see etcd.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "etcd.h"
#include "util.h"
#include "xc_clock.h"
#include "xc_text.h"

#define IDLE_MAX_S   8u /* etcd itself gives up after 7 s, and says why */
#define PAUSE_MS     100u
#define PAUSE_MAX_MS 1000u
#define RENEWALS_MAX 3u

/* One question on its way. */
struct asking {
    struct etcd *e;
    const struct etcd_question *q;
    struct etcd_answer *a;
    uint64_t deadline; /* xc_now_ns() */
    unsigned int idle_s, renewals;
    /* of each endpoint */
    struct etcd_try last[ETCD_ENDPOINTS_MAX];
    bool maybe[ETCD_ENDPOINTS_MAX];
};

static unsigned int left_ms(const struct asking *k)
{
    uint64_t now = xc_now_ns();

    return now >= k->deadline ? 0 : (unsigned int)((k->deadline - now) / 1000000u);
}

/* ---- the user ---- */

static void fill_login(struct etcd_body *b, const char *user, const char *password)
{
    etcd_body_begin(b);
    json_string(b->j, "name", user);
    json_string(b->j, "password", password);
    etcd_body_end(b);
}

/* Post to one endpoint and judge what comes. */
static void try_post(struct asking *k, const char *endpoint, const struct etcd_post *post,
                     yajl_val *root, struct etcd_try *t)
{
    struct etcd_post whole = *post;
    struct etcd_reply reply;

    whole.endpoint = endpoint;
    whole.ms = left_ms(k);
    if (!whole.ms)
        whole.ms = 1;
    whole.idle_s = k->idle_s;
    etcd_http_post(k->e->http, &whole, &reply);
    etcd_judge(k->e, endpoint, &reply, root, t);
    free(reply.body);
}

/* A password goes to nobody who listens on the way. */
static bool is_open_to_listeners(const char *endpoint)
{
    static const char *const here[] = {"http://127.", "http://[::1]:", "http://localhost:"};

    if (strncmp(endpoint, "http://", 7) != 0)
        return false;
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        if (!strncmp(endpoint, here[i], strlen(here[i])))
            return false;
    return true;
}

/* Get a token for the user from this endpoint. */
static void authenticate(struct asking *k, const char *endpoint, struct etcd_try *t)
{
    const struct store_config *config = &k->e->store->config;
    struct etcd_post post = {.path = "/v3/auth/authenticate", .reply_max = 1u << 20};
    struct etcd_body b;
    yajl_val root = NULL;
    char *password;

    *t = (struct etcd_try){.verdict = ETCD_REFUSED, .err = EACCES};
    if (is_open_to_listeners(endpoint)) {
        (void)store_fail(k->e->store, EACCES,
                         "%s: the password is not sent without TLS; https:// is needed", endpoint);
        return;
    }
    password = etcd_read_password(k->e->store);
    if (!password) {
        t->err = errno;
        return;
    }
    fill_login(&b, config->user, password);
    explicit_bzero(password, strlen(password));
    free(password);
    post.body = b.text;
    post.len = b.len;
    try_post(k, endpoint, &post, &root, t);
    etcd_body_free(&b);
    t->maybe = false; /* nothing was asked yet */
    if (root && json_find_string(root, "token"))
        k->e->token = xstrdup(json_find_string(root, "token"));
    else if (root)
        *t = (struct etcd_try){.verdict = ETCD_LASTING, .err = EPROTO, .why = "it gave no token"};
    yajl_tree_free(root);
}

void etcd_forget_token(struct etcd *e)
{
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->token);
    e->token = NULL;
}

/* ---- one endpoint ---- */

static void try_once(struct asking *k, const char *endpoint, struct etcd_try *t)
{
    struct etcd_post post = {.path = k->q->path,
                             .token = k->e->token,
                             .body = k->q->body->text,
                             .len = k->q->body->len,
                             .reply_max = k->q->reply_max,
                             .fresh = k->q->changes,
                             .take_line = k->q->take_line,
                             .arg = k->q->arg,
                             .patient = k->q->patient};

    try_post(k, endpoint, &post, &k->a->root, t);
}

/* Keep in mind whether that endpoint may have made the change, or may yet. */
static void note_maybe(struct asking *k, size_t at, const struct etcd_try *t)
{
    if (t->verdict == ETCD_LASTING && t->err == EACCES)
        k->maybe[at] = false; /* it does not know us: what it did not answer it did not do */
    else
        k->maybe[at] |= t->maybe && k->q->changes;
    k->a->maybe = false;
    for (size_t i = 0; i < k->e->where.n; i++)
        k->a->maybe |= k->maybe[i];
}

/* Try an endpoint, with a token where a user is set, and a new one when it is not accepted. */
static void try_endpoint(struct asking *k, size_t at, struct etcd_try *t)
{
    const char *endpoint = k->e->where.endpoints[at];
    bool user = k->e->store->config.user;

    for (;;) {
        *t = (struct etcd_try){.verdict = ETCD_ANSWERED};
        if (user && !k->e->token)
            authenticate(k, endpoint, t);
        if (t->verdict == ETCD_ANSWERED)
            try_once(k, endpoint, t);
        note_maybe(k, at, t);
        if (t->verdict != ETCD_NEW_TOKEN)
            return;
        etcd_forget_token(k->e);
        if (!user || k->renewals++ == RENEWALS_MAX)
            break;
    }
    t->verdict = ETCD_REFUSED;
    (void)store_fail(k->e->store, EACCES, "%s: it does not accept the token that etcd gave",
                     endpoint);
}

/* ---- all of them ---- */

static void pause_between(const struct asking *k, unsigned int round)
{
    unsigned int ms = round < 4 ? PAUSE_MS << round : PAUSE_MAX_MS, left = left_ms(k);
    struct timespec t;

    if (ms > left)
        ms = left;
    t = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

/* Nobody answered: one line with what each endpoint said. */
static int say_silence(struct asking *k)
{
    struct etcd *e = k->e;
    size_t first = e->where.n; /* that says something better than "connection refused" */
    char *line = NULL;
    int err;

    for (size_t i = 0; i < e->where.n; i++) {
        const struct etcd_try *t = &k->last[i];
        char *longer = xasprintf("%s%s%s: %s", line ? line : "", line ? "; " : "",
                                 e->where.endpoints[i], t->why[0] ? t->why : "not asked in time");

        free(line);
        line = longer;
        if (first == e->where.n && t->why[0])
            first = i;
    }
    err = first < e->where.n ? k->last[first].err : ETIMEDOUT;
    (void)store_fail(e->store, err, "etcd does not answer: %s", line);
    free(line);
    errno = err;
    return -1;
}

/* Try each endpoint once.  Whether to begin once more: -1 not, 0 answered, 1 yes. */
static int try_round(struct asking *k)
{
    struct etcd *e = k->e;
    size_t from = e->at;
    bool again = false;

    for (size_t i = 0; i < e->where.n && (i == 0 || left_ms(k)); i++) {
        size_t at = (from + i) % e->where.n;
        struct etcd_try *t = &k->last[at], before = *t;
        bool short_of_time = left_ms(k) < k->idle_s * 1000;

        try_endpoint(k, at, t);
        if (short_of_time && before.why[0] && t->err == ETIMEDOUT) /* it told more then */
            (void)memcpy(t->why, before.why, sizeof(t->why));
        if (t->verdict == ETCD_ANSWERED || t->verdict == ETCD_REFUSED) {
            e->at = at;
            errno = t->err;
            return t->verdict == ETCD_ANSWERED ? 0 : -1;
        }
        again |= t->verdict == ETCD_AGAIN;
    }
    e->at = (from + 1) % e->where.n;
    /* when something may have been changed it is worth to wait for whoever knows */
    return (again || k->a->maybe) && left_ms(k) ? 1 : say_silence(k);
}

int etcd_ask(struct etcd *e, const struct etcd_question *q, struct etcd_answer *a)
{
    unsigned int timeout = e->store->config.timeout ? e->store->config.timeout : STORE_TIMEOUT;
    uint64_t ms = q->ms ? q->ms : timeout * 1000ull;
    struct asking k = {
        .e = e,
        .q = q,
        .a = a,
        .deadline = xc_now_ns() + ms * 1000000u,
        .idle_s = timeout >= STORE_TIMEOUT ? IDLE_MAX_S : timeout / 4 + 1,
    };
    int rc;

    *a = (struct etcd_answer){0};
    for (unsigned int round = 0; (rc = try_round(&k)) == 1; round++)
        pause_between(&k, round);
    return rc;
}

int etcd_ask_body(struct etcd *e, const char *path, struct etcd_body *b, bool changes,
                  struct etcd_answer *a)
{
    struct etcd_question q = {
        .path = path, .body = b, .reply_max = ETCD_REPLY_MAX, .changes = changes};
    int rc = etcd_ask(e, &q, a), err = errno;

    etcd_body_free(b);
    errno = err;
    return rc;
}
