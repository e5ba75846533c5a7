/* SPDX-License-Identifier: MIT */
/*
 * A pool in its registry: what is put comes back, changes of two admins at once, and values that
 * are rubbish, each named by its key.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pools.h"
#include "poolstore.h"
#include "scratch.h"
#include "util.h"
#include "xlp.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
    char *path;
    struct store *store;
    struct pool p; /* what was put */
};

/* Three hosts, of which two are equal, with equal and unlike guests. */
static void make_pool(struct pool *p)
{
    size_t haswell, sandy, a, b, c, hvm, pv;

    pools_begin(p, "web");
    haswell = pools_capture(p, "intel-haswell-ep", 0, "4.17.7");
    sandy = pools_capture(p, "intel-sandybridge-ep", 0, "4.17.7");
    a = pools_host(p, "a/1", haswell, 64, 40);
    b = pools_host(p, "b", haswell, 64, 40);
    c = pools_host(p, ".c", sandy, 32, 10);
    hvm = pools_born(p, haswell, GUEST_HVM_HAP);
    pv = pools_born(p, haswell, GUEST_PV);
    (void)pools_domain(p, a, "web1", hvm, 4);
    (void)pools_domain(p, a, "web2", hvm, 4);
    (void)pools_domain(p, b, "web1", pv, 4);
    (void)pools_domain(p, c, "new", POOL_NONE, 1);
    pools_end(p);
}

static int begin(void **state)
{
    static unsigned int n;
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->path = scratch_path("%u", n++);
    make_pool(&f->p);
    if (store_open(f->path, true, &f->store))
        return -1;
    poolstore_put(f->store, &f->p);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    pools_free(&f->p);
    free(f->path);
    free(f);
    return 0;
}

static unsigned int count_values(struct store *store, const char *prefix)
{
    struct store_list list;
    unsigned int n;

    assert_int_equal(store_list(store, &prefix, 1, &list), 0);
    n = (unsigned int)list.n;
    store_list_free(&list);
    return n;
}

static void must_load(struct store *store, struct pool *p)
{
    if (pool_load(store, p))
        fail_msg("%s", p->error);
}

/* ---- what is put comes back ---- */

static void test_comes_back(void **state)
{
    struct fixture *f = *state;
    const struct pool_domain *d;
    struct pool p;
    size_t more;

    must_load(f->store, &p);
    assert_string_equal(p.record->name, "web");
    assert_int_equal(p.level, POOL_NONE);
    assert_int_equal(p.n_hosts, 3);
    assert_int_equal(p.n_domains, 4);
    /* Equal ones are kept once, without name and date. */
    assert_int_equal(p.n_captures, 2);
    assert_int_equal(p.n_policies, 2);
    assert_int_equal(count_values(f->store, "capture/"), 2);
    assert_int_equal(count_values(f->store, "policy/"), 2);
    assert_int_equal(p.hosts[pool_find_host(&p, "a/1")].capture,
                     p.hosts[pool_find_host(&p, "b")].capture);
    for (size_t i = 0; i < p.n_hosts; i++) {
        const struct pool_capture *c = &p.captures[p.hosts[i].capture];
        const struct pool_capture *was =
            &f->p.captures[f->p.hosts[pools_find(&f->p, p.hosts[i].record->name)].capture];

        assert_non_null(p.hosts[i].seen);
        assert_string_equal(c->file->host->name, "");
        assert_string_equal(c->digest, p.hosts[i].record->capture);
        assert_int_equal(c->caps, was->caps);
        for (unsigned int k = 0; k < XC_POLICIES; k++) {
            assert_int_equal(c->have[k], was->have[k]);
            if (c->have[k])
                assert_memory_equal(c->policy[k], was->policy[k], sizeof(*c->policy[k]));
        }
    }
    /* By host, then by name. */
    d = &p.domains[p.hosts[pool_find_host(&p, "a/1")].first_domain];
    assert_string_equal(d[0].record->name, "web1");
    assert_string_equal(d[1].record->name, "web2");
    assert_int_equal(d[0].policy, d[1].policy);
    assert_int_equal(p.policies[d[0].policy].type, GUEST_HVM_HAP);
    assert_int_equal(p.domains[pool_find_domain(&p, "new", &more)].policy, POOL_NONE);
    assert_int_equal(more, 0);
    assert_int_not_equal(pool_find_domain(&p, "web1", &more), POOL_NONE);
    assert_int_equal(more, 1);
    assert_int_equal(pool_find_domain(&p, "web", NULL), POOL_NONE);
    assert_int_equal(pool_find_host(&p, "a"), POOL_NONE);
    pool_free(&p);
}

static void test_one_host(void **state)
{
    struct fixture *f = *state;
    struct pool p;

    if (pool_load_host(f->store, "a/1", &p))
        fail_msg("%s", p.error);
    assert_int_equal(p.n_hosts, 1);
    assert_int_equal(p.n_captures, 1);
    assert_int_equal(p.n_policies, 1);
    assert_int_equal(p.n_domains, 2);
    assert_string_equal(p.record->name, "web");
    pool_free(&p);
    assert_int_equal(pool_load_host(f->store, "none", &p), 0);
    assert_int_equal(p.n_hosts, 0);
    pool_free(&p);
}

/* ---- changes ---- */

struct rename_host {
    struct fixture *f;
    const char *host, *kernel;
    unsigned int calls;
    bool disturbed;
};

static enum pool_decision set_kernel(struct pool_change *c, const struct pool *p, void *arg)
{
    struct rename_host *r = arg;
    Xenlevel__PoolHost record = *p->hosts[pool_find_host(p, r->host)].record;

    r->calls++;
    record.kernel = (char *)r->kernel;
    pool_change_event(c, "refresh", r->host, "a test");
    pool_change_detail(c, "kernel %s", r->kernel);
    pool_put_host(c, &record);
    return POOL_COMMIT;
}

/* As set_kernel(); but somebody else changes the same host between its loading and its commit. */
static enum pool_decision set_kernel_late(struct pool_change *c, const struct pool *p, void *arg)
{
    struct rename_host *r = arg;

    if (!r->disturbed) {
        struct rename_host other = {.f = r->f, .host = r->host, .kernel = "other"};
        struct store *store;

        r->disturbed = true;
        assert_int_equal(store_open(r->f->path, false, &store), 0);
        assert_int_equal(pool_change_run(store, NULL, set_kernel, &other), 0);
        store_close(store);
    } else {
        assert_string_equal(p->hosts[pool_find_host(p, r->host)].record->kernel, "other");
    }
    return set_kernel(c, p, arg);
}

static void test_two_admins_at_once(void **state)
{
    struct fixture *f = *state;
    struct rename_host r = {.f = f, .host = "b", .kernel = "ours"};
    unsigned int events = count_values(f->store, "history/");
    struct pool p;

    assert_int_equal(pool_change_run(f->store, NULL, set_kernel_late, &r), 0);
    assert_int_equal(r.calls, 2);
    assert_int_equal(count_values(f->store, "history/"), events + 2);
    must_load(f->store, &p);
    assert_string_equal(p.hosts[pool_find_host(&p, "b")].record->kernel, "ours");
    pool_free(&p);
    r = (struct rename_host){.f = f, .host = "b", .kernel = "again"};
    assert_int_equal(pool_change_run(f->store, "b", set_kernel_late, &r), 0);
    assert_int_equal(r.calls, 2);
}

static enum pool_decision rename_pool(struct pool_change *c, const struct pool *p, void *arg)
{
    Xenlevel__Pool record = *p->record;

    (void)arg;
    record.name = (char *)"other";
    pool_change_event(c, "rename", "other", NULL);
    pool_put_record(c, &record);
    return POOL_COMMIT;
}

/* What was decided on the pool's record is decided again when that is another. */
static enum pool_decision set_kernel_of_pool(struct pool_change *c, const struct pool *p, void *arg)
{
    struct rename_host *r = arg;
    struct store *store;

    if (!r->disturbed) {
        r->disturbed = true;
        assert_int_equal(store_open(r->f->path, false, &store), 0);
        assert_int_equal(pool_change_run(store, NULL, rename_pool, NULL), 0);
        store_close(store);
    } else {
        assert_string_equal(p->record->name, "other");
    }
    return set_kernel(c, p, arg);
}

static void test_the_pool_changes_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct rename_host r = {.f = f, .host = "b", .kernel = "ours"};

    assert_int_equal(pool_change_run(f->store, NULL, set_kernel_of_pool, &r), 0);
    assert_int_equal(r.calls, 2);
}

static enum pool_decision put_again(struct pool_change *c, const struct pool *p, void *arg)
{
    struct fixture *f = arg;
    char digest[65];

    pool_put_capture(c, p->captures[0].file, digest);
    assert_string_equal(digest, p->captures[0].digest);
    pool_put_policy(c, p->policies[0].type, &p->policies[0].policy, NULL, digest);
    assert_string_equal(digest, p->policies[0].digest);
    pool_put_seen(c, "b", 60);
    (void)f;
    return POOL_COMMIT;
}

static void test_nothing_new_is_no_event(void **state)
{
    struct fixture *f = *state;
    unsigned int all = count_values(f->store, "");

    assert_int_equal(pool_change_run(f->store, NULL, put_again, f), 0);
    assert_int_equal(count_values(f->store, ""), all);
}

static enum pool_decision remove_it(struct pool_change *c, const struct pool *p, void *arg)
{
    (void)arg;
    if (pool_find_host(p, "b") == POOL_NONE)
        return POOL_NOTHING;
    pool_change_event(c, "leave", "b", NULL);
    pool_remove_host(c, "b");
    return POOL_COMMIT;
}

static enum pool_decision refuse(struct pool_change *c, const struct pool *p, void *arg)
{
    (void)p;
    (void)arg;
    pool_change_event(c, "leave", "b", NULL);
    pool_remove_host(c, "b");
    return POOL_REFUSE;
}

static void test_a_host_that_leaves(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(pool_change_run(f->store, NULL, refuse, NULL), 2);
    assert_int_equal(count_values(f->store, "host/b"), 1);
    assert_int_equal(pool_change_run(f->store, NULL, remove_it, NULL), 0);
    assert_int_equal(count_values(f->store, "host/b"), 0);
    assert_int_equal(count_values(f->store, "domains/b"), 0);
    assert_int_equal(count_values(f->store, "seen/b"), 0);
    assert_int_equal(pool_change_run(f->store, NULL, remove_it, NULL), 1);
}

/* One that has left is not seen again. */
static enum pool_decision see(struct pool_change *c, const struct pool *p, void *arg)
{
    struct fixture *f = arg;
    struct store *store;

    if (pool_find_host(p, "b") == POOL_NONE)
        return POOL_NOTHING;
    assert_int_equal(store_open(f->path, false, &store), 0);
    assert_int_equal(pool_change_run(store, NULL, remove_it, NULL), 0);
    store_close(store);
    pool_put_seen(c, "b", 60);
    return POOL_COMMIT;
}

static void test_seen_while_it_leaves(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(pool_change_run(f->store, "b", see, f), 1);
    assert_int_equal(count_values(f->store, "seen/b"), 0);
}

/* More than one transaction of etcd's takes: what is by its digest goes first. */
static enum pool_decision put_many(struct pool_change *c, const struct pool *p, void *arg)
{
    struct cpu_policy *policy = xcalloc(1, sizeof(*policy));
    char digest[65];

    (void)arg;
    *policy = p->policies[0].policy;
    pool_change_event(c, "refresh", "many", NULL);
    for (unsigned int i = 0; i < 150; i++) {
        policy->basic[1].b = i << 24;
        pool_put_policy(c, GUEST_PV, policy, NULL, digest);
    }
    free(policy);
    return POOL_COMMIT;
}

static void test_many_policies(void **state)
{
    struct fixture *f = *state;
    unsigned int events = count_values(f->store, "history/");

    assert_int_equal(pool_change_run(f->store, NULL, put_many, NULL), 0);
    assert_int_equal(count_values(f->store, "policy/"), 152);
    assert_int_equal(count_values(f->store, "history/"), events + 1);
}

/* ---- rubbish ---- */

static void put_value(struct store *store, const char *key, const void *bytes, size_t len)
{
    struct store_change change = {.key = key, .bytes = bytes, .len = len};
    enum store_outcome outcome;
    size_t conflict;

    assert_int_equal(store_commit(store, &change, 1, &outcome, &conflict), 0);
}

static void put_message(struct store *store, const char *key, const ProtobufCMessage *m)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = xcalloc(1, len + 1);

    (void)protobuf_c_message_pack(m, bytes);
    put_value(store, key, bytes, len);
    free(bytes);
}

/* The pool does not load, and says: "folder PATH: " and this. */
static void must_refuse(struct fixture *f, int err, const char *said)
{
    char *line = xasprintf("folder %s: %s", f->path, said);
    struct pool p;

    assert_int_equal(pool_load(f->store, &p), -1);
    assert_int_equal(errno, err);
    assert_string_equal(p.error, line);
    pool_free(&p);
    free(line);
}

static void test_a_pool_of_a_newer_program(void **state)
{
    struct fixture *f = *state;
    Xenlevel__Pool record = XENLEVEL__POOL__INIT;

    record.schema = 2;
    put_message(f->store, "pool", &record.base);
    must_refuse(f, EPROTONOSUPPORT,
                "the registry has schema 2, of a newer Xenlevel; this one knows 1");
    record.schema = 0;
    put_message(f->store, "pool", &record.base);
    must_refuse(f, EINVAL, "pool: there is no schema 0");
    record.schema = 1;
    record.level = (char *)"web.v7";
    put_message(f->store, "pool", &record.base);
    must_refuse(f, EINVAL, "pool: its level 'web.v7' is not there");
    put_value(f->store, "pool", "\xff\xff", 2);
    must_refuse(f, EINVAL, "pool: this is no Pool");
    put_value(f->store, "pool", NULL, 0);
    must_refuse(f, ENOENT, "no pool is there: `xenlevel pool init` makes one");
}

static void test_records_that_are_rubbish(void **state)
{
    struct fixture *f = *state;
    Xenlevel__PoolHost host = XENLEVEL__POOL_HOST__INIT;
    char *longest = xcalloc(1, 5000);

    put_value(f->store, "host/x", "\x0a\x7f", 2);
    must_refuse(f, EINVAL, "host/x: this is no PoolHost");
    host.name = (char *)"y\x1b";
    put_message(f->store, "host/x", &host.base);
    must_refuse(f, EINVAL, "host/x: the record in it is that of 'y\\x1b'");
    host.name = (char *)"x";
    put_message(f->store, "host/x", &host.base);
    must_refuse(f, EINVAL, "host/x: its capture '' is not there");
    host.capture = (char *)"../../etc/passwd";
    put_message(f->store, "host/x", &host.base);
    must_refuse(f, EINVAL, "host/x: its capture '../../etc/passwd' is not there");
    host.capture = f->p.hosts[0].record->capture;
    host.kernel = longest;
    memset(longest, 'k', 4097);
    put_message(f->store, "host/x", &host.base);
    must_refuse(f, EINVAL, "host/x: a text in it is too long");
    free(longest);
}

static void test_domains_that_are_rubbish(void **state)
{
    struct fixture *f = *state;
    Xenlevel__Domain domain = XENLEVEL__DOMAIN__INIT, *list = &domain;
    Xenlevel__Domains domains = XENLEVEL__DOMAINS__INIT;
    Xenlevel__Seen seen = XENLEVEL__SEEN__INIT;
    char *longest = xcalloc(1, 5000);

    domains.n_domains = 1;
    domains.domains = &list;
    put_message(f->store, "domains/b", &domains.base);
    must_refuse(f, EINVAL, "domains/b: a domain in it has no name");
    domain.name = (char *)"d";
    domain.policy = (char *)"00";
    put_message(f->store, "domains/b", &domains.base);
    must_refuse(f, EINVAL, "domains/b: its policy '00' is not there");
    domain.policy = f->p.hosts[0].record->capture;
    put_message(f->store, "domains/b", &domains.base);
    domain.policy = (char *)"";
    memset(longest, 'k', 4097);
    domain.usage = longest;
    put_message(f->store, "domains/b", &domains.base);
    must_refuse(f, EINVAL, "domains/b: a text in it is too long");
    put_value(f->store, "domains/b", NULL, 0);
    seen.when = (char *)"yesterday";
    put_message(f->store, "seen/b", &seen.base);
    must_refuse(f, EINVAL, "seen/b: it says no time");
    free(longest);
}

static void test_contents_that_are_rubbish(void **state)
{
    struct fixture *f = *state;
    const char *digest = f->p.hosts[pools_find(&f->p, "b")].record->capture;
    char *key = xasprintf("capture/%s", digest), *policy, *said;
    struct store_value value;
    struct pool p;

    /* One byte of it is another: its digest says so before anything is decoded. */
    assert_int_equal(store_get(f->store, key, &value), 0);
    ((unsigned char *)value.bytes)[value.len / 2] ^= 1;
    put_value(f->store, key, value.bytes, value.len);
    said = xasprintf("folder %s: %s: damaged: its SHA-256 is ", f->path, key);
    assert_int_equal(pool_load(f->store, &p), -1);
    assert_int_equal(strncmp(p.error, said, strlen(said)), 0);
    pool_free(&p);
    free(said);
    /* It has the right digest, and is no policy file. */
    ((unsigned char *)value.bytes)[value.len / 2] ^= 1;
    put_value(f->store, key, value.bytes, value.len);
    policy = xasprintf("policy/%s", digest);
    put_value(f->store, policy, value.bytes, value.len);
    must_load(f->store, &p); /* nothing refers to it */
    pool_free(&p);
    put_value(f->store, key, NULL, 0);
    said = xasprintf("host/a%%2F1: its capture '%s' is not there", digest);
    must_refuse(f, EINVAL, said);
    store_value_free(&value);
    free(policy);
    free(said);
    free(key);
}

static void test_levels_that_are_rubbish(void **state)
{
    static const char *const names[] = {"level/web",    "level/web.v0", "level/web.v01",
                                        "level/web.vx", "level/%2Ev1",  "level/a%62.v1"};
    struct fixture *f = *state;
    Xenlevel__File *file = xlp_new();
    struct store_value value;
    struct pool p;
    size_t len;
    void *bytes;
    char *key;

    file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
    file->level = xcalloc(1, sizeof(*file->level));
    xenlevel__level__init(file->level);
    bytes = xlp_encode(file, &len);
    for (size_t i = 0; i < NR(names); i++) {
        char *said = xasprintf("%s: this is no level, or not called NAME.vN", names[i]);

        put_value(f->store, names[i], bytes, len);
        must_refuse(f, EINVAL, said);
        put_value(f->store, names[i], NULL, 0);
        free(said);
    }
    /* In the order of names and numbers. */
    put_value(f->store, "level/web.v10", bytes, len);
    put_value(f->store, "level/web.v9", bytes, len);
    put_value(f->store, "level/we%2Fb.v9", bytes, len);
    must_load(f->store, &p);
    assert_int_equal(p.n_levels, 3);
    assert_string_equal(p.levels[0].name, "we/b.v9");
    assert_string_equal(p.levels[1].name, "web.v9");
    assert_string_equal(p.levels[2].name, "web.v10");
    assert_int_equal(pool_find_level(&p, "web.v10"), 2);
    pool_free(&p);
    /* A capture is no level. */
    key = xasprintf("capture/%s", f->p.hosts[0].record->capture);
    assert_int_equal(store_get(f->store, key, &value), 0);
    free(key);
    put_value(f->store, "level/web.v11", value.bytes, value.len);
    must_refuse(f, EINVAL, "level/web.v11: this is no level, or not called NAME.vN");
    store_value_free(&value);
    free(bytes);
    xlp_free(file);
}

/* ---- who is silent ---- */

static void test_a_lease_that_has_ended(void **state)
{
    struct fixture *f = *state;
    Xenlevel__Seen seen = XENLEVEL__SEEN__INIT;
    struct pool p;

    seen.when = (char *)"2026-01-01T00:00:00Z";
    seen.lease = 60;
    put_message(f->store, "seen/b", &seen.base);
    (void)setenv("SOURCE_DATE_EPOCH", "1767225660", 1); /* 2026-01-01T00:01:00Z */
    must_load(f->store, &p);
    assert_string_equal(p.hosts[pool_find_host(&p, "b")].seen, "2026-01-01T00:00:00Z");
    pool_free(&p);
    (void)setenv("SOURCE_DATE_EPOCH", "1767225661", 1);
    must_load(f->store, &p);
    assert_null(p.hosts[pool_find_host(&p, "b")].seen);
    pool_free(&p);
    (void)unsetenv("SOURCE_DATE_EPOCH");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_comes_back),
        CASE(test_one_host),
        CASE(test_two_admins_at_once),
        CASE(test_the_pool_changes_meanwhile),
        CASE(test_nothing_new_is_no_event),
        CASE(test_a_host_that_leaves),
        CASE(test_seen_while_it_leaves),
        CASE(test_many_policies),
        CASE(test_a_pool_of_a_newer_program),
        CASE(test_records_that_are_rubbish),
        CASE(test_domains_that_are_rubbish),
        CASE(test_contents_that_are_rubbish),
        CASE(test_levels_that_are_rubbish),
        CASE(test_a_lease_that_has_ended),
    };

    (void)setenv("XENLEVEL_POOL_CONF", "/dev/null", 1);
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
