/* SPDX-License-Identifier: MIT */
/* See store_work.h. */
#include "store_work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "json.h"
#include "store.h"
#include "util.h"
#include "xc_clock.h"

#define LEASE_S     600u
#define CHANGES_MAX 6

struct worker {
    struct store *store;
    const char *name;
    char *host, *domains, *seen; /* keys */
};

/* One change, and what becomes of it. */
struct work {
    const char *what;
    char id[40], *history;
    struct store_change changes[CHANGES_MAX];
    size_t n;
};

static void begin_work(struct work *w, const char *what)
{
    uint64_t random = 0;

    (void)getrandom(&random, sizeof(random), 0);
    *w = (struct work){.what = what};
    (void)snprintf(w->id, sizeof(w->id), "%020" PRIu64 "-%016" PRIx64, xc_now_ns(), random);
    w->history = xasprintf("history/%s", w->id);
    w->changes[w->n++] = (struct store_change){
        .key = w->history, .bytes = w->id, .len = strlen(w->id), .checked = true};
}

static struct store_change *put(struct work *w, const char *key, uint64_t revision)
{
    struct store_change *c = &w->changes[w->n++];

    *c = (struct store_change){
        .key = key, .bytes = w->id, .len = strlen(w->id), .checked = true, .revision = revision};
    return c;
}

static void print_work(const struct worker *k, const struct work *w, const char *outcome, int err)
{
    struct json *j = json_begin_compact(stdout);

    json_object(j, NULL);
    json_string(j, "id", w->id);
    json_string(j, "what", w->what);
    json_string(j, "host", k->name);
    json_string(j, "outcome", outcome);
    if (err) {
        json_string(j, "errno", strerrorname_np(err));
        json_string(j, "error", store_error(k->store));
    }
    json_close_object(j);
    (void)json_end(j);
    (void)putchar('\n');
    (void)fflush(stdout);
}

/* Commit, and say what became of it; true when it was made. */
static bool end_work(struct worker *k, struct work *w)
{
    enum store_outcome outcome;
    size_t conflict;
    int rc = store_commit(k->store, w->changes, w->n, &outcome, &conflict);

    if (rc)
        print_work(k, w, errno == EINPROGRESS ? "open" : "error", errno);
    else
        print_work(k, w, outcome == STORE_COMMITTED ? "committed" : "conflict", 0);
    free(w->history);
    return !rc && outcome == STORE_COMMITTED;
}

/* Read a key's revision; the value too where *value is wanted.  false when it cannot be read. */
static bool look_at(struct worker *k, const char *key, uint64_t *revision, uint64_t *number)
{
    struct store_value v;

    if (store_get(k->store, key, &v))
        return false;
    *revision = v.revision;
    if (number)
        *number = v.revision ? strtoull(v.bytes, NULL, 10) : 0;
    store_value_free(&v);
    return true;
}

/* What stands there could not be read, and that was the end of it. */
static void give_up(struct worker *k, struct work *w)
{
    print_work(k, w, "error", errno);
    free(w->history);
}

static void join_or_refresh(struct worker *k, const char *what)
{
    uint64_t host, domains;
    struct work w;

    begin_work(&w, what);
    if (!look_at(k, k->host, &host, NULL) || !look_at(k, k->domains, &domains, NULL)) {
        give_up(k, &w);
        return;
    }
    (void)put(&w, k->host, host);
    (void)put(&w, k->domains, domains);
    w.changes[w.n++] =
        (struct store_change){.key = k->seen, .bytes = w.id, .len = strlen(w.id), .lease = LEASE_S};
    (void)end_work(k, &w);
}

/* Add one to the number that all count with; again until it is ours, or cannot be. */
static void count_one(struct worker *k)
{
    for (unsigned int i = 0; i < 1000; i++) {
        uint64_t revision, number;
        struct work w;
        char text[24];
        struct store_change *c;

        if (!look_at(k, "pool", &revision, &number))
            continue;
        begin_work(&w, "count");
        (void)snprintf(text, sizeof(text), "%" PRIu64, number + 1);
        c = put(&w, "pool", revision);
        c->bytes = text;
        c->len = strlen(text) + 1; /* so that it can be read as a string */
        if (end_work(k, &w))
            return;
    }
}

static void leave(struct worker *k)
{
    uint64_t host, domains;
    struct work w;

    begin_work(&w, "leave");
    if (!look_at(k, k->host, &host, NULL) || !look_at(k, k->domains, &domains, NULL)) {
        give_up(k, &w);
        return;
    }
    if (!host) {
        free(w.history);
        return;
    }
    put(&w, k->host, host)->bytes = NULL;
    put(&w, k->domains, domains)->bytes = NULL;
    w.changes[w.n++] = (struct store_change){.key = k->seen};
    (void)end_work(k, &w);
}

int store_work(struct store *store, char **words, size_t n)
{
    struct worker k = {.store = store, .name = n ? words[0] : "x"};
    unsigned long rounds = n > 1 ? strtoul(words[1], NULL, 10) : 1;

    k.host = xasprintf("host/%s", k.name);
    k.domains = xasprintf("domains/%s", k.name);
    k.seen = xasprintf("seen/%s", k.name);
    for (unsigned long i = 0; i < rounds; i++) {
        join_or_refresh(&k, "join");
        join_or_refresh(&k, "refresh");
        count_one(&k);
        leave(&k);
    }
    join_or_refresh(&k, "join");
    free(k.host);
    free(k.domains);
    free(k.seen);
    return 0;
}
