/* SPDX-License-Identifier: MIT */
/*
 * Changing a pool: what is put, on which conditions, and again when somebody else was faster.
 */
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "change.h"
#include "digest.h"
#include "out.h"
#include "util.h"
#include "xlp.h"

#define TRIES       100u
#define MAX_AT_ONCE 100u /* changes in a transaction: etcd takes 128 */

struct item {
    struct store_change change; /* ->key and ->bytes are malloc'ed */
    bool content;               /* by its digest: putting it twice is putting it once */
};

struct pool_change {
    struct store *store;
    const struct pool *pool;
    struct item *items;
    size_t n;
    Xenlevel__Event event; /* ->what "" until pool_change_event() */
};

/* ---- what is put ---- */

static struct item *find_item(struct pool_change *c, const char *key)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->items[i].change.key, key))
            return &c->items[i];
    return NULL;
}

/* The key is owned.  What was put there before is forgotten, its condition stays. */
static struct item *add_item(struct pool_change *c, char *key)
{
    struct item *item = find_item(c, key);

    if (item) {
        free((void *)item->change.bytes);
        free((void *)item->change.key);
        item->change.only_check = false;
    } else {
        c->items = xrealloc(c->items, (c->n + 1) * sizeof(*c->items));
        item = &c->items[c->n++];
        *item = (struct item){0};
    }
    item->change.key = key;
    item->change.bytes = NULL;
    item->change.len = 0;
    return item;
}

/* On the condition that it is what was loaded. */
static struct item *add_checked(struct pool_change *c, char *key, uint64_t revision)
{
    struct item *item = add_item(c, key);

    item->change.checked = true;
    item->change.revision = revision;
    return item;
}

static void set_message(struct item *item, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    unsigned char *bytes = xcalloc(1, len + 1);

    item->change.len = protobuf_c_message_pack(m, bytes);
    item->change.bytes = bytes;
}

/* Unless more is done with it, it must only be what was loaded. */
static void require(struct pool_change *c, char *key, uint64_t revision)
{
    struct item *item = find_item(c, key);

    if (item) {
        item->change.checked = true;
        item->change.revision = revision;
        free(key);
        return;
    }
    add_checked(c, key, revision)->change.only_check = true;
}

static const struct pool_host *find_host(const struct pool_change *c, const char *name)
{
    size_t i = pool_find_host(c->pool, name);

    return i == POOL_NONE ? NULL : &c->pool->hosts[i];
}

void pool_put_record(struct pool_change *c, const Xenlevel__Pool *record)
{
    set_message(add_checked(c, xstrdup("pool"), c->pool->revision), &record->base);
}

void pool_put_host(struct pool_change *c, const Xenlevel__PoolHost *record)
{
    const struct pool_host *host = find_host(c, record->name);

    set_message(add_checked(c, pool_key("host", record->name), host ? host->revision : 0),
                &record->base);
}

/* The revision of a host's domains, which may be there without the host; 0: they are not. */
static uint64_t find_domains_revision(const struct pool_change *c, const char *name)
{
    const struct pool_host *host = find_host(c, name);
    uint64_t revision = host ? host->domains_revision : 0;
    char *key = host ? NULL : pool_key("domains", name);

    for (size_t i = 0; key && i < c->pool->n_strays; i++)
        if (!strcmp(c->pool->strays[i].key, key))
            revision = c->pool->strays[i].revision;
    free(key);
    return revision;
}

void pool_remove_host(struct pool_change *c, const char *name)
{
    const struct pool_host *host = find_host(c, name);

    (void)add_checked(c, pool_key("host", name), host ? host->revision : 0);
    (void)add_checked(c, pool_key("domains", name), find_domains_revision(c, name));
    (void)add_item(c, pool_key("seen", name));
}

static int compare_domains(const void *a, const void *b)
{
    const Xenlevel__Domain *x = *(const Xenlevel__Domain *const *)a,
                           *y = *(const Xenlevel__Domain *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->uuid, y->uuid);
}

void pool_put_domains(struct pool_change *c, const char *host, const Xenlevel__Domains *domains)
{
    Xenlevel__Domains sorted = *domains;

    sorted.domains = xcalloc(domains->n_domains, sizeof(Xenlevel__Domain *));
    if (sorted.n_domains) {
        memcpy((void *)sorted.domains, (void *)domains->domains,
               sorted.n_domains * sizeof(Xenlevel__Domain *));
        qsort((void *)sorted.domains, sorted.n_domains, sizeof(Xenlevel__Domain *),
              compare_domains);
    }
    set_message(add_checked(c, pool_key("domains", host), find_domains_revision(c, host)),
                &sorted.base);
    free((void *)sorted.domains);
}

void pool_put_seen(struct pool_change *c, const char *host, unsigned int seconds)
{
    struct item *item = add_item(c, pool_key("seen", host));
    Xenlevel__Seen seen = XENLEVEL__SEEN__INIT;
    char now[21];

    date_now(now);
    seen.when = now;
    seen.lease = seconds;
    set_message(item, &seen.base);
    item->change.lease = seconds;
    pool_require_host(c, host);
}

void pool_require_host(struct pool_change *c, const char *name)
{
    const struct pool_host *host = find_host(c, name);

    require(c, pool_key("host", name), host ? host->revision : 0);
}

void pool_require_domains(struct pool_change *c, const char *host)
{
    require(c, pool_key("domains", host), find_domains_revision(c, host));
}

/* ---- captures, policies, levels ---- */

/* Nothing that is there by this digest has to be put again, because nothing removes it. */
static bool is_there(const struct pool *p, const char *kind, const char *digest)
{
    bool capture = kind[0] == 'c';
    size_t n = capture ? p->n_captures : p->n_policies;

    for (size_t i = 0; i < n; i++)
        if (!strcmp(digest, capture ? p->captures[i].digest : p->policies[i].digest))
            return true;
    return false;
}

static void put_content(struct pool_change *c, const char *kind, const Xenlevel__File *file,
                        char digest[static DIGEST_TEXT])
{
    size_t len;
    void *bytes = xlp_encode(file, &len);
    struct item *item;

    digest_text(bytes, len, digest);
    if (is_there(c->pool, kind, digest)) {
        free(bytes);
        return;
    }
    item = add_item(c, pool_key(kind, digest));
    item->content = true;
    item->change.bytes = bytes;
    item->change.len = len;
}

void pool_put_capture(struct pool_change *c, const Xenlevel__File *host, char digest[static 65])
{
    static char empty[] = "";
    Xenlevel__File file = *host;
    Xenlevel__Host plain = *host->host;

    plain.name = plain.date = empty;
    file.host = &plain;
    put_content(c, "capture", &file, digest);
}

void pool_put_policy(struct pool_change *c, enum guest_type type, const struct cpu_policy *policy,
                     const struct cpu_policy *unknown, char digest[static 65])
{
    Xenlevel__File *file = xlp_new();
    Xenlevel__Guest *guest = xcalloc(1, sizeof(*guest));

    xenlevel__guest__init(guest);
    file->content_case = XENLEVEL__FILE__CONTENT_GUEST;
    file->guest = guest;
    guest->type = type == GUEST_PV ? XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV
                                   : XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM;
    guest->policy = xlp_policy_from(policy);
    guest->unknown = unknown ? xlp_unknown_from(unknown) : NULL;
    put_content(c, "policy", file, digest);
    xlp_free(file);
}

void pool_put_level(struct pool_change *c, const char *name, const Xenlevel__File *level)
{
    struct item *item = add_checked(c, pool_key("level", name), 0);

    item->change.bytes = xlp_encode(level, &item->change.len);
}

/* ---- the event ---- */

static char *who_am_i(void)
{
    const struct passwd *user = getpwuid(geteuid()); /* NOLINT(concurrency-mt-unsafe): one thread */
    const char *sudo = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    if (sudo && sudo[0])
        return xasprintf("%s@%s", sudo, host);
    return user ? xasprintf("%s@%s", user->pw_name, host)
                : xasprintf("%u@%s", (unsigned int)geteuid(), host);
}

static void free_event(Xenlevel__Event *e)
{
    if (!e->what[0])
        return;
    free(e->when);
    free(e->who);
    free(e->what);
    free(e->subject);
    free(e->why);
    for (size_t i = 0; i < e->n_details; i++)
        free(e->details[i]);
    free((void *)e->details);
}

void pool_change_event(struct pool_change *c, const char *what, const char *subject,
                       const char *why)
{
    char now[21];

    date_now(now);
    free_event(&c->event);
    xenlevel__event__init(&c->event);
    c->event.when = xstrdup(now);
    c->event.who = who_am_i();
    c->event.what = xstrdup(what);
    c->event.subject = xstrdup(subject);
    c->event.why = xstrdup(why ? why : "");
}

void pool_change_detail(struct pool_change *c, const char *fmt, ...)
{
    Xenlevel__Event *e = &c->event;
    char *text;
    va_list ap;

    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    e->details = xrealloc((void *)e->details, (e->n_details + 1) * sizeof(char *));
    e->details[e->n_details++] = text;
}

/* A key that nobody else makes, in the order of time. */
static char *event_key(void)
{
    struct timespec t;
    uint64_t id = 0;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)!getrandom(&id, sizeof(id), 0);
    return xasprintf("history/%011lld%09ld-%016llx", (long long)t.tv_sec, t.tv_nsec,
                     (unsigned long long)id);
}

/* ---- committing ---- */

static void free_change(struct pool_change *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free((void *)c->items[i].change.bytes);
        free((void *)c->items[i].change.key);
    }
    free(c->items);
    free_event(&c->event);
}

/* 0; -1 after a message */
static int commit(struct store *store, const struct store_change *changes, size_t n,
                  enum store_outcome *outcome)
{
    size_t conflict;

    if (!store_commit(store, changes, n, outcome, &conflict))
        return 0;
    warn("%s", store_error(store));
    return -1;
}

/* What is too much for one transaction can be put before it, one by one: it is only content. */
static int put_content_first(struct pool_change *c)
{
    enum store_outcome outcome; /* a conflict: it is there already */

    for (size_t i = 0; i < c->n; i++) {
        struct store_change change = c->items[i].change;

        if (!c->items[i].content)
            continue;
        change.checked = true;
        change.revision = 0;
        if (commit(c->store, &change, 1, &outcome))
            return -1;
    }
    return 0;
}

/* 0; -1 after a message */
static int commit_change(struct pool_change *c, enum store_outcome *outcome)
{
    bool split = c->n + 1 > MAX_AT_ONCE;
    struct store_change *changes = xcalloc(c->n + 1, sizeof(*changes));
    struct item event = {0};
    size_t n = 0;
    int rc;

    if (c->event.what[0]) {
        event.change.key = event_key();
        event.change.checked = true;
        set_message(&event, &c->event.base);
        changes[n++] = event.change;
    }
    for (size_t i = 0; i < c->n; i++)
        if (!split || !c->items[i].content)
            changes[n++] = c->items[i].change;
    rc = split ? put_content_first(c) : 0;
    if (!rc)
        rc = commit(c->store, changes, n, outcome);
    free((void *)event.change.key);
    free((void *)event.change.bytes);
    free(changes);
    return rc;
}

static void wait_a_little(unsigned int tries)
{
    unsigned int random = 0, most = tries < 8 ? 2u << tries : 500u;
    struct timespec t = {0};

    (void)!getrandom(&random, sizeof(random), 0);
    t.tv_nsec = (long)random % ((long)most * 1000000L);
    (void)nanosleep(&t, NULL);
}

/* As pool_change_run(); 3: somebody else was faster. */
static int try_once(struct store *store, const char *host, pool_decide_fn *decide, void *arg)
{
    struct pool_change c = {.store = store};
    enum store_outcome outcome = STORE_COMMITTED;
    enum pool_decision decision;
    struct pool pool;
    int rc;

    if (host ? pool_load_host(store, host, &pool) : pool_load(store, &pool)) {
        int err = errno;

        warn("%s", pool.error);
        pool_free(&pool);
        errno = err;
        return -1;
    }
    c.pool = &pool;
    xenlevel__event__init(&c.event);
    decision = decide(&c, &pool, arg);
    require(&c, xstrdup("pool"), pool.revision);
    if (decision == POOL_COMMIT)
        rc = commit_change(&c, &outcome);
    else
        rc = decision == POOL_NOTHING ? 1 : 2;
    free_change(&c);
    pool_free(&pool);
    return rc == 0 && outcome == STORE_CONFLICT ? 3 : rc;
}

int pool_change_run(struct store *store, const char *host, pool_decide_fn *decide, void *arg)
{
    for (unsigned int tries = 0; tries < TRIES; tries++) {
        int rc = try_once(store, host, decide, arg);

        if (rc != 3)
            return rc;
        wait_a_little(tries);
    }
    warn("%s: others changed the same thing %u times meanwhile; nothing was changed",
         store_name(store), TRIES);
    errno = EAGAIN;
    return -1;
}

int pool_create(struct store *store, const char *name, const char *why)
{
    struct pool nothing = {.level = POOL_NONE};
    struct pool_change c = {.store = store, .pool = &nothing};
    Xenlevel__Pool record = XENLEVEL__POOL__INIT;
    enum store_outcome outcome;
    char now[21];
    int rc;

    date_now(now);
    record.schema = 1;
    record.name = (char *)name;
    record.created = now;
    xenlevel__event__init(&c.event);
    pool_change_event(&c, "init", name, why);
    pool_put_record(&c, &record);
    rc = commit_change(&c, &outcome);
    free_change(&c);
    if (rc || outcome == STORE_COMMITTED)
        return rc;
    warn("%s: a pool is there already", store_name(store));
    errno = EEXIST;
    return -1;
}
