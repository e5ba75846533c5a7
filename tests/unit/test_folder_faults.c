/* SPDX-License-Identifier: MIT */
/*
 * A registry in a folder, while everything goes wrong: a process that is ended at every system
 * call, every call failing once, answers that are lost, twenty processes at once.  A transaction is
 * whole or not there, and its answer says which.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "folderfaults.h"
#include "scratch.h"
#include "store.h"
#include "util.h"

#define EVERY (const char *const[]){""}, 1

static char *folder; /* of the test */

/* ---- a folder for each test ---- */

static int begin(void **state)
{
    static unsigned int n;

    (void)state;
    folder = scratch_path("%u", n++);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(folder);
    return 0;
}

static struct store *open_store(void)
{
    struct store *store;

    if (store_open(folder, true, &store))
        fail_msg("%s", store_error(store));
    return store;
}

/* ---- two states, and the transaction between them ---- */

static struct store_change put(const char *key, const char *text)
{
    return (struct store_change){.key = key, .bytes = text, .len = strlen(text)};
}

/* 0; 1: a condition fails; -1 */
static int commit(struct store *store, const struct store_change *changes, size_t n)
{
    enum store_outcome outcome;
    size_t conflict;
    int rc = store_commit(store, changes, n, &outcome, &conflict);

    return rc ? rc : outcome == STORE_CONFLICT;
}

static const char *const before[][2] = {{"capture/c", "cap"},
                                        {"domains/a", "d0"},
                                        {"history/0", "e0"},
                                        {"host/a", "a0"},
                                        {"pool", "p0"}};
static const char *const after[][2] = {
    {"capture/c", "cap"}, {"history/0", "e0"},  {"history/1", "e1"}, {"host/a", "a1"},
    {"host/b", "b1"},     {"level/l.v1", "l1"}, {"pool", "p1"}};

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static void make_before(void)
{
    struct store_change changes[NR(before)];
    struct store *store;

    scratch_empty(folder);
    store = open_store();
    for (size_t i = 0; i < NR(before); i++)
        changes[i] = put(before[i][0], before[i][1]);
    assert_int_equal(commit(store, changes, NR(changes)), 0);
    store_close(store);
}

static uint64_t revision_of(struct store *store, const char *key)
{
    struct store_value value;
    uint64_t revision;

    if (store_get(store, key, &value))
        return 0;
    revision = value.revision;
    store_value_free(&value);
    return revision;
}

/* From before to after.  0; 1: that is done already; or -1, with the store's error. */
static int make_after(struct store *store, uint64_t pool)
{
    struct store_change changes[] = {put("history/1", "e1"), put("pool", "p1"),
                                     put("host/a", "a1"),    {.key = "domains/a"},
                                     put("host/b", "b1"),    put("level/l.v1", "l1")};

    changes[0].checked = true;
    changes[1].checked = true;
    changes[1].revision = pool;
    return commit(store, changes, NR(changes));
}

static bool is_state(const struct store_list *list, const char *const state[][2], size_t n)
{
    if (list->n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(list->values[i].key, state[i][0]) != 0 ||
            list->values[i].len != strlen(state[i][1]) ||
            memcmp(list->values[i].bytes, state[i][1], list->values[i].len) != 0)
            return false;
    return true;
}

/* 'b', 'a', or '?': something else is there */
static char state_there(struct store *store)
{
    struct store_list list;
    char state;

    if (store_list(store, EVERY, &list))
        fail_msg("%s", store_error(store));
    state = is_state(&list, before, NR(before)) ? 'b'
            : is_state(&list, after, NR(after)) ? 'a'
                                                : '?';
    store_list_free(&list);
    return state;
}

static char look(void)
{
    struct store *store = open_store();
    char state = state_there(store);

    store_close(store);
    return state;
}

/* How many files are in the folder's .xenlevel. */
static unsigned int count_own_files(void)
{
    char *path = xasprintf("%s/.xenlevel", folder);
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, NULL);

    free(path);
    assert_true(n >= 2);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free((void *)entries);
    return (unsigned int)n - 2;
}

/* Whatever happened, the next one works, and leaves nothing behind. */
static void must_go_on(void)
{
    struct store *store = open_store();
    struct store_change change = put("host/next", "n");

    if (commit(store, &change, 1))
        fail_msg("%s", store_error(store));
    change.bytes = NULL;
    assert_int_equal(commit(store, &change, 1), 0);
    store_close(store);
    assert_int_equal(count_own_files(), 2); /* lock, .gitignore */
}

/* ---- a process that is ended at every call ---- */

/* In a process of its own, from before to after, ended at the at-th call.  Returns its status. */
static int run_ended(enum fault_kind kind, unsigned int at)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (!pid) {
        struct store *store;
        uint64_t pool;

        folder_fault(kind, at, EIO);
        if (store_open(folder, true, &store))
            _exit(99);
        pool = revision_of(store, "pool");
        _exit(make_after(store, pool) < 0 ? 98 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void end_at_every_call(enum fault_kind kind)
{
    unsigned int seen[2] = {0, 0};

    for (unsigned int at = 1;; at++) {
        int status;
        char state;

        make_before();
        status = run_ended(kind, at);
        state = look();
        if (status == 0) { /* it had fewer calls */
            assert_int_equal(state, 'a');
            break;
        }
        assert_int_equal(status, FAULT_STATUS);
        if (state == '?')
            fail_msg("ended at call %u: half a change", at);
        seen[state == 'a']++;
        must_go_on();
        assert_int_equal(look(), state);
    }
    /* Both happened, many times. */
    assert_true(seen[0] >= 10 && seen[1] >= 10);
}

static void test_ended_at_every_call(void **state)
{
    (void)state;
    end_at_every_call(FAULT_KILL);
}

static void test_ended_in_every_write(void **state)
{
    (void)state;
    end_at_every_call(FAULT_KILL_HALF);
}

static bool is_half_done(void)
{
    char *path = xasprintf("%s/.xenlevel/journal", folder);
    bool there = !access(path, F_OK);

    free(path);
    return there;
}

/* Who finishes what another has begun can be ended too.  True: it was. */
static bool end_finisher(unsigned int at, unsigned int then)
{
    int status;

    make_before();
    (void)run_ended(FAULT_KILL, at);
    status = run_ended(FAULT_KILL, then);
    if (look() != 'a')
        fail_msg("ended at calls %u and %u: not the whole change", at, then);
    return status == FAULT_STATUS;
}

static void test_ended_while_finishing(void **state)
{
    /* With sanitizers a process costs several times as much: every sixth call then. */
    const char *scale = getenv("PROPERTY_SCALE");
    unsigned int finishers = 0, step = scale ? (unsigned int)strtoul(scale, NULL, 10) : 1;
    int status;

    (void)state;
    for (unsigned int at = 1;; at++) {
        make_before();
        status = run_ended(FAULT_KILL, at);
        if (status == 0)
            break;
        if (!is_half_done())
            continue;
        for (unsigned int then = 1 + at % step; end_finisher(at, then); then += step)
            finishers++;
    }
    assert_true(finishers > 200 / step);
}

/* ---- every call failing once ---- */

static unsigned int fail_every_call(enum fault_kind kind, int err)
{
    unsigned int failed = 0;

    for (unsigned int at = 1;; at++) {
        struct store *store;
        uint64_t pool;
        char *line, state;
        int rc, error;
        bool hit;

        make_before();
        store = open_store();
        pool = revision_of(store, "pool");
        folder_fault(kind, at, err);
        rc = make_after(store, pool);
        error = errno;
        hit = folder_fault_hit();
        (void)folder_fault_end();
        line = xstrdup(store_error(store));
        store_close(store);
        if (rc && (strncmp(line, "folder ", 7) != 0 || strchr(line, '\n') || error == 0))
            fail_msg("call %u: errno %d and '%s'", at, error, line);
        free(line);
        state = look();
        /* One thing that goes wrong never leaves anybody without an answer. */
        if (state != (rc ? 'b' : 'a') || (rc && error == EINPROGRESS))
            fail_msg("call %u fails: it said %d (errno %d), and the state is '%c'", at, rc, error,
                     state);
        failed += rc != 0;
        must_go_on();
        if (!hit)
            return failed;
    }
}

static void test_every_call_fails(void **state)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT, ESTALE};

    (void)state;
    for (size_t i = 0; i < NR(errors); i++)
        assert_true(fail_every_call(FAULT_ERROR, errors[i]) > 10);
    assert_true(fail_every_call(FAULT_SHORT, ENOSPC) > 10);
}

static void test_every_answer_is_lost(void **state)
{
    (void)state;
    /* It was done, so it is found out that it was. */
    assert_int_equal(fail_every_call(FAULT_ANSWER, EIO), 0);
    assert_int_equal(fail_every_call(FAULT_ANSWER, ENOENT), 0);
}

/* What a power cut must find on the disk before what comes next: the two values and the journal
 * before the names they have, those before the journal gets its own, that before the values get
 * theirs, and all of it before the journal goes. */
static void test_the_order_on_the_disk(void **state)
{
    const struct store_change changes[] = {{.key = "host/a", .bytes = "1", .len = 1},
                                           {.key = "pool", .bytes = "2", .len = 1}};
    const struct store_change others[] = {{.key = "host/a", .bytes = "3", .len = 1},
                                          {.key = "pool", .bytes = "4", .len = 1}};
    struct store *store = open_store();

    (void)state;
    assert_int_equal(commit(store, changes, NR(changes)), 0); /* makes the folders */
    folder_fault(FAULT_NONE, 0, 0);
    assert_int_equal(commit(store, others, NR(others)), 0);
    (void)folder_fault_end();
    assert_string_equal(folder_fault_order(), "sss"
                                              "s"
                                              "r"
                                              "s"
                                              "rr"
                                              "ss"
                                              "s");
    store_close(store);
}

/* A reader gets one state or an error. */
static void test_every_call_of_a_reader_fails(void **state)
{
    (void)state;
    make_before();
    for (unsigned int at = 1;; at++) {
        struct store *store = open_store();
        struct store_list list;
        bool hit;
        int rc;

        folder_fault(FAULT_ERROR, at, EIO);
        rc = store_list(store, EVERY, &list);
        hit = folder_fault_hit();
        (void)folder_fault_end();
        if (!rc)
            assert_true(is_state(&list, before, NR(before)));
        else
            assert_non_null(strstr(store_error(store), "Input/output error"));
        store_list_free(&list);
        store_close(store);
        if (!hit)
            break;
    }
}

/* ---- a full disk, for real: no file may be longer than that ---- */

static void test_a_file_that_cannot_grow(void **state)
{
    (void)state;
    for (rlim_t most = 0; most < 300; most += 7) {
        pid_t pid;
        int status;

        make_before();
        pid = fork();
        assert_true(pid >= 0);
        if (!pid) {
            struct store *store;

            (void)signal(SIGXFSZ, SIG_IGN);
            (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){most, most});
            if (store_open(folder, true, &store))
                _exit(99);
            status = make_after(store, revision_of(store, "pool")) ? 1 : 0;
            if (status && !strstr(store_error(store), "nothing was changed: File too large"))
                status = 2;
            _exit(status);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        assert_int_equal(look(), WEXITSTATUS(status) ? 'b' : 'a');
    }
}

/* ---- twenty at once ---- */

#define PROCESSES 20u
#define ROUNDS    25u

static unsigned int number_in(const struct store_value *value)
{
    char text[16] = "";

    if (value->len && value->len < sizeof(text))
        memcpy(text, value->bytes, value->len);
    return (unsigned int)strtoul(text, NULL, 10);
}

/* Add one to the number at `pool`, with an event that says who.  1: somebody else was faster. */
static int count_once(struct store *store, unsigned int who, unsigned int round)
{
    char key[64], text[16];
    struct store_change changes[2];
    enum store_outcome outcome;
    struct store_value value;
    size_t conflict;

    if (store_get(store, "pool", &value))
        return -1;
    (void)snprintf(key, sizeof(key), "history/%u-%u", who, round);
    (void)snprintf(text, sizeof(text), "%u", number_in(&value) + 1);
    changes[0] = put(key, "event");
    changes[0].checked = true;
    changes[1] = put("pool", text);
    changes[1].checked = true;
    changes[1].revision = value.revision;
    store_value_free(&value);
    if (store_commit(store, changes, 2, &outcome, &conflict))
        return -1;
    return outcome == STORE_CONFLICT && conflict == 1;
}

/* A process of its own, which never returns. */
static void count_rounds(unsigned int who, unsigned int first, unsigned int ended_at)
{
    struct store *store;

    if (store_open(folder, true, &store))
        _exit(99);
    folder_fault(ended_at ? FAULT_KILL : FAULT_NONE, ended_at, 0);
    for (unsigned int round = first; round < ROUNDS;) {
        int rc = count_once(store, who, round);

        if (rc < 0) {
            (void)fprintf(stderr, "# %s\n", store_error(store));
            _exit(98);
        }
        round += rc == 0;
    }
    _exit(0);
}

static bool is_done(struct store *store, unsigned int who, unsigned int round)
{
    char key[64];

    (void)snprintf(key, sizeof(key), "history/%u-%u", who, round);
    return revision_of(store, key) != 0;
}

/* The number is that of the events, and nobody's is missing. */
static void must_have_counted(void)
{
    struct store *store = open_store();
    struct store_list list;
    struct store_value value;

    assert_int_equal(store_list(store, (const char *const[]){"history/"}, 1, &list), 0);
    assert_int_equal(store_get(store, "pool", &value), 0);
    assert_int_equal(list.n, PROCESSES * ROUNDS);
    assert_int_equal(number_in(&value), PROCESSES * ROUNDS);
    for (unsigned int who = 0; who < PROCESSES; who++)
        for (unsigned int round = 0; round < ROUNDS; round++)
            assert_true(is_done(store, who, round));
    store_value_free(&value);
    store_list_free(&list);
    store_close(store);
}

/* What a reader sees at any moment is whole: as many events as the number says. */
static void must_be_whole(struct store *store)
{
    struct store_list list;
    unsigned int number = 0;

    if (store_list(store, (const char *const[]){"history/", "pool"}, 2, &list))
        fail_msg("%s", store_error(store));
    if (list.n) {
        number = number_in(&list.values[list.n - 1]);
        assert_string_equal(list.values[list.n - 1].key, "pool");
        assert_int_equal(list.n - 1, number);
    }
    store_list_free(&list);
}

static void test_twenty_at_once(void **state)
{
    struct store *store = open_store();

    (void)state;
    for (unsigned int who = 0; who < PROCESSES; who++)
        if (!fork())
            count_rounds(who, 0, 0);
    for (unsigned int ended = 0; ended < PROCESSES;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        assert_true(pid >= 0);
        must_be_whole(store);
        if (pid)
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        ended += pid > 0;
    }
    store_close(store);
    must_have_counted();
}

/* The same, while each of them is ended again and again somewhere, and begun anew. */
static void test_twenty_at_once_and_ended(void **state)
{
    unsigned int ended = 0, running = 0, seed = 1;
    pid_t pids[PROCESSES];

    (void)state;
    store_close(open_store());
    for (unsigned int who = 0; who < PROCESSES; who++) {
        pids[who] = fork();
        if (!pids[who])
            count_rounds(who, 0, 20 + who * 7);
        running++;
    }
    while (running) {
        struct store *store;
        unsigned int who = 0, first = 0;
        int status;
        pid_t pid = wait(&status);

        assert_true(pid > 0 && WIFEXITED(status));
        while (pids[who] != pid)
            who++;
        if (WEXITSTATUS(status) == 0) {
            running--;
            continue;
        }
        assert_int_equal(WEXITSTATUS(status), FAULT_STATUS);
        ended++;
        /* What it has done before it was ended may or may not count: the store says it. */
        store = open_store();
        while (first < ROUNDS && is_done(store, who, first))
            first++;
        store_close(store);
        seed = seed * 1103515245u + 12345u;
        pids[who] = fork();
        if (!pids[who])
            count_rounds(who, first, 30 + seed / 65536u % 400u);
    }
    assert_true(ended > PROCESSES);
    must_have_counted();
}

/* However slow the machine is: nobody gives up waiting for the lock. */
static int make_patient(void **state)
{
    static const char text[] = "[folder]\nwait = 3600\n";
    char *conf;
    int rc = scratch_make(state);

    if (rc)
        return rc;
    conf = scratch_path("pool.conf");
    scratch_write(conf, text, sizeof(text) - 1);
    rc = setenv("XENLEVEL_POOL_CONF", conf, 1);
    free(conf);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_order_on_the_disk, begin, end),
        cmocka_unit_test_setup_teardown(test_ended_at_every_call, begin, end),
        cmocka_unit_test_setup_teardown(test_ended_in_every_write, begin, end),
        cmocka_unit_test_setup_teardown(test_ended_while_finishing, begin, end),
        cmocka_unit_test_setup_teardown(test_every_call_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_every_answer_is_lost, begin, end),
        cmocka_unit_test_setup_teardown(test_every_call_of_a_reader_fails, begin, end),
        cmocka_unit_test_setup_teardown(test_a_file_that_cannot_grow, begin, end),
        cmocka_unit_test_setup_teardown(test_twenty_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_twenty_at_once_and_ended, begin, end),
    };

    return cmocka_run_group_tests(tests, make_patient, scratch_remove);
}
