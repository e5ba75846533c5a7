/* SPDX-License-Identifier: MIT */
/*
 * A registry in a folder: keys and files, conditions, what others leave there, locks, waiting.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "store.h"
#include "util.h"

#define NR(a)     (sizeof(a) / sizeof((a)[0]))
#define LIST(...) (const char *const[]){__VA_ARGS__}, NR(((const char *const[]){__VA_ARGS__}))
#define NOBODY    65534u

struct fixture {
    char *path;
    struct store *store;
};

static int begin(void **state)
{
    static unsigned int n;
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->path = scratch_path("%u", n++);
    if (store_open(f->path, true, &f->store))
        return -1;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    free(f->path);
    free(f);
    return 0;
}

/* Is `said` the store's error, behind "folder PATH: "? */
static void must_say(const struct fixture *f, const struct store *store, const char *said)
{
    char *line = xasprintf("folder %s: %s", f->path, said);

    assert_string_equal(store_error(store), line);
    free(line);
}

/* ---- keys and values ---- */

static struct store_change put(const char *key, const char *text)
{
    return (struct store_change){.key = key, .bytes = text, .len = strlen(text)};
}

static void must_commit(struct store *store, const struct store_change *changes, size_t n)
{
    enum store_outcome outcome;
    size_t conflict;

    if (store_commit(store, changes, n, &outcome, &conflict))
        fail_msg("%s", store_error(store));
    assert_int_equal(outcome, STORE_COMMITTED);
}

static void must_conflict(struct store *store, const struct store_change *changes, size_t n,
                          size_t which)
{
    enum store_outcome outcome;
    size_t conflict;

    assert_int_equal(store_commit(store, changes, n, &outcome, &conflict), 0);
    assert_int_equal(outcome, STORE_CONFLICT);
    assert_int_equal(conflict, which);
}

/* Returns its revision, 0 for none. */
static uint64_t must_be(struct store *store, const char *key, const char *text)
{
    struct store_value value;
    uint64_t revision;

    assert_int_equal(store_get(store, key, &value), 0);
    revision = value.revision;
    assert_int_equal(revision != 0, text != NULL);
    if (text) {
        assert_int_equal(value.len, strlen(text));
        assert_memory_equal(value.bytes, text, value.len);
    }
    store_value_free(&value);
    return revision;
}

static void test_keys_are_files(void **state)
{
    static const char *const files[] = {"pool.pb",        "host/a%2Fb.pb",    "domains/a%2Fb.pb",
                                        "seen/x.pb",      "capture/00ff.xlp", "policy/00fe.xlp",
                                        "level/w.v1.xlp", "history/1-2.pb"};
    struct fixture *f = *state;
    struct store_change changes[] = {put("pool", "1"),          put("host/a%2Fb", "2"),
                                     put("domains/a%2Fb", "3"), put("seen/x", "4"),
                                     put("capture/00ff", ""),   put("policy/00fe", "5"),
                                     put("level/w.v1", "abc"),  put("history/1-2", "6")};

    must_commit(f->store, changes, NR(changes));
    for (size_t i = 0; i < NR(changes); i++) {
        char *path = xasprintf("%s/%s", f->path, files[i]);
        unsigned long len;
        char *bytes = scratch_read(path, &len);

        assert_string_equal(bytes, changes[i].bytes);
        (void)must_be(f->store, changes[i].key, changes[i].bytes);
        free(bytes);
        free(path);
    }
    (void)must_be(f->store, "host/none", NULL);
}

static void test_what_is_no_key(void **state)
{
    static const char *const keys[] = {"",         "/",        "host/",        "/host",
                                       "host/a/b", "host/..",  "host/.a",      ".xenlevel/lock",
                                       "host/a b", "host/a\n", "../pool",      "other/a",
                                       "pool/a",   "host",     "host/\xc3\xa9"};
    struct fixture *f = *state;
    char *longest = xcalloc(1, 300);

    for (size_t i = 0; i < NR(keys); i++) {
        struct store_change change = put(keys[i], "x");
        enum store_outcome outcome;
        struct store_value value;
        size_t conflict;

        assert_int_equal(store_commit(f->store, &change, 1, &outcome, &conflict), -1);
        assert_int_equal(errno, EINVAL);
        assert_int_equal(store_get(f->store, keys[i], &value), -1);
    }
    memcpy(longest, "host/", 5);
    memset(longest + 5, 'a', STORE_PART_MAX);
    must_commit(f->store, (struct store_change[]){put(longest, "x")}, 1);
    (void)must_be(f->store, longest, "x");
    free(longest);
}

static void must_list(struct store *store, const char *const *prefixes, size_t n, const char *keys)
{
    struct store_list list;
    char text[256] = "";

    if (store_list(store, prefixes, n, &list))
        fail_msg("%s", store_error(store));
    for (size_t i = 0; i < list.n; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", list.values[i].key);
    assert_string_equal(text, keys);
    store_list_free(&list);
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    struct store_change changes[] = {put("pool", ""),     put("policy/1", ""), put("host/b", ""),
                                     put("host/a", ""),   put("host/aa", ""),  put("host/a-b", ""),
                                     put("history/1", "")};

    must_list(f->store, LIST(""), "");
    must_commit(f->store, changes, NR(changes));
    must_list(f->store, LIST(""), "history/1 host/a host/a-b host/aa host/b policy/1 pool ");
    must_list(f->store, LIST("host/"), "host/a host/a-b host/aa host/b ");
    must_list(f->store, LIST("host/a"), "host/a host/a-b host/aa ");
    must_list(f->store, LIST("pool", "host/b"), "host/b pool ");
    must_list(f->store, LIST("po"), "policy/1 pool ");
    must_list(f->store, LIST("level/", "pool/", "other"), "");
}

static void test_conditions(void **state)
{
    struct fixture *f = *state;
    struct store_change c[3] = {put("history/1", "e"), put("host/a", "1"), put("host/b", "1")};
    uint64_t revision;

    c[0].checked = c[1].checked = true;
    must_commit(f->store, c, 2);
    revision = must_be(f->store, "host/a", "1");
    /* An event that is there, a host that is there: nothing is changed. */
    must_conflict(f->store, c, 3, 0);
    c[0].key = "history/2";
    must_conflict(f->store, c, 3, 1);
    (void)must_be(f->store, "host/b", NULL);
    c[1].revision = revision;
    c[1].bytes = "2";
    must_commit(f->store, c, 3);
    assert_true(must_be(f->store, "host/a", "2") != revision);
    /* Only checked; removed; removed once more. */
    c[1].only_check = true;
    must_conflict(f->store, &c[1], 1, 0);
    c[1].revision = must_be(f->store, "host/a", "2");
    must_commit(f->store, &c[1], 1);
    (void)must_be(f->store, "host/a", "2");
    c[1] = (struct store_change){.key = "host/a", .checked = true, .revision = c[1].revision};
    must_commit(f->store, &c[1], 1);
    (void)must_be(f->store, "host/a", NULL);
    must_conflict(f->store, &c[1], 1, 0);
}

static void test_a_value_is_bounded(void **state)
{
    struct fixture *f = *state;
    char *bytes = xcalloc(1, STORE_VALUE_MAX + 1), *path = xasprintf("%s/host/big.pb", f->path);
    struct store_change change = {.key = "host/big", .bytes = bytes, .len = STORE_VALUE_MAX};
    enum store_outcome outcome;
    struct store_value value;
    size_t conflict;

    must_commit(f->store, &change, 1);
    change.len++;
    assert_int_equal(store_commit(f->store, &change, 1, &outcome, &conflict), -1);
    assert_int_equal(errno, EFBIG);
    assert_string_equal(store_error(f->store),
                        "'host/big' would have 1048577 bytes; a value has at most 1048576");
    scratch_write(path, bytes, STORE_VALUE_MAX + 1);
    assert_int_equal(store_get(f->store, "host/big", &value), -1);
    must_say(f, f->store, "big.pb: 1048577 bytes; there are at most 1048576");
    free(path);
    free(bytes);
}

/* ---- what others leave there ---- */

static void test_foreign_files(void **state)
{
    struct fixture *f = *state;
    struct store_list list;
    char *path;

    must_commit(f->store, (struct store_change[]){put("pool", "p"), put("host/a", "a")}, 2);
    /* Beside the registry's folders, and hidden: git's, an editor's, an NFS client's. */
    for (size_t i = 0; i < 5; i++) {
        static const char *const names[] = {"README", "host/.nfs0000000000000001", "host/.a.pb.swp",
                                            ".nfs01", "host/.gitkeep"};

        path = xasprintf("%s/%s", f->path, names[i]);
        scratch_write(path, "x", 1);
        free(path);
    }
    must_list(f->store, LIST(""), "host/a pool ");
    /* Named and ignored. */
    path = xasprintf("%s/host/a.pb~", f->path);
    scratch_write(path, "x", 1);
    free(path);
    must_list(f->store, LIST(""), "host/a pool ");
    /* Refused. */
    path = xasprintf("%s/host/b.pb", f->path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(store_list(f->store, LIST(""), &list), -1);
    must_say(f, f->store, "b.pb: a symbolic link, which is not followed");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(store_list(f->store, LIST("host/"), &list), -1);
    must_say(f, f->store, "b.pb: not a regular file");
    must_list(f->store, LIST("pool"), "pool ");
    free(path);
}

static void test_a_linked_folder(void **state)
{
    struct fixture *f = *state;
    char *path = xasprintf("%s/host", f->path);
    struct store_list list;

    must_commit(f->store, (struct store_change[]){put("pool", "p")}, 1);
    assert_int_equal(symlink("/etc", path), 0);
    assert_int_equal(store_list(f->store, LIST(""), &list), -1);
    must_say(f, f->store, "host: Not a directory");
    free(path);
}

/* ---- a journal that cannot be gone by ---- */

static void test_a_damaged_journal(void **state)
{
    struct fixture *f = *state;
    struct store_change change = put("pool", "p");
    char *path = xasprintf("%s/.xenlevel/journal", f->path);
    enum store_outcome outcome;
    struct store_value value;
    size_t conflict;

    must_commit(f->store, &change, 1);
    scratch_write(path, "0123456789012345678901234567890123456789", 40);
    assert_int_equal(store_get(f->store, "pool", &value), -1);
    must_say(f, f->store,
             ".xenlevel/journal is damaged: of the last change some parts may be missing; look at "
             "the folder, then remove that file");
    assert_int_equal(store_commit(f->store, &change, 1, &outcome, &conflict), -1);
    assert_int_equal(unlink(path), 0);
    (void)must_be(f->store, "pool", "p");
    free(path);
}

/* ---- who may only read ---- */

/* In a process of a user who may not write there.  Its status is what fn() returns. */
static int as_another_user(struct fixture *f, int (*fn)(struct fixture *))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (!pid) {
        if (geteuid() == 0 && seteuid(NOBODY))
            _exit(99);
        _exit(fn(f));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int read_and_fail_to_change(struct fixture *f)
{
    struct store_change change = put("host/b", "b");
    enum store_outcome outcome;
    struct store_value value;
    struct store *store;
    size_t conflict;

    if (store_open(f->path, true, &store) || store_get(store, "host/a", &value) || value.len != 1)
        return 1;
    if (store_commit(store, &change, 1, &outcome, &conflict) != -1 || errno != EACCES)
        return 2;
    return strstr(store_error(store), ": it may only be read: Permission denied") ? 0 : 3;
}

static int fail_to_finish(struct fixture *f)
{
    struct store_value value;
    struct store *store;

    if (store_open(f->path, true, &store) || store_get(store, "host/a", &value) != -1)
        return 1;
    return strstr(store_error(store), ": somebody was ended in the middle of a change; ") ? 0 : 3;
}

static void set_modes(const struct fixture *f, mode_t mode)
{
    static const char *const folders[] = {"", "/.xenlevel", "/host"};

    for (size_t i = 0; i < NR(folders); i++) {
        char *path = xasprintf("%s%s", f->path, folders[i]);

        assert_int_equal(chmod(path, mode), 0);
        free(path);
    }
}

static void test_who_may_only_read(void **state)
{
    struct fixture *f = *state;
    char *lock = xasprintf("%s/.xenlevel/lock", f->path),
         *journal = xasprintf("%s/.xenlevel/journal", f->path);

    must_commit(f->store, (struct store_change[]){put("pool", "p"), put("host/a", "a")}, 2);
    assert_int_equal(chmod(lock, 0444), 0);
    set_modes(f, 0555);
    assert_int_equal(as_another_user(f, read_and_fail_to_change), 0);
    set_modes(f, 0755);
    scratch_write(journal, "x", 1);
    set_modes(f, 0555);
    assert_int_equal(as_another_user(f, fail_to_finish), 0);
    /* Nobody has locked it yet: a clone of git's on a read-only disk. */
    set_modes(f, 0755);
    assert_int_equal(unlink(journal), 0);
    assert_int_equal(unlink(lock), 0);
    set_modes(f, 0555);
    assert_int_equal(as_another_user(f, read_and_fail_to_change), 0);
    set_modes(f, 0755);
    free(lock);
    free(journal);
}

/* ---- the lock ---- */

/* A process that holds the lock until it is killed; returns when it has it. */
static pid_t hold_lock(const struct fixture *f, short type)
{
    char *path = xasprintf("%s/.xenlevel/lock", f->path);
    int ready[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) || write(ready[1], "x", 1) != 1)
            _exit(99);
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    free(path);
    return pid;
}

static void end_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* With a wait of a second; the store that is returned waits no longer. */
static struct store *open_impatient(const struct fixture *f)
{
    char *conf = xasprintf("%s.conf", f->path);
    struct store *store;

    scratch_write(conf, "[folder]\nwait = 1\n", 18);
    (void)setenv("XENLEVEL_POOL_CONF", conf, 1);
    assert_int_equal(store_open(f->path, false, &store), 0);
    (void)setenv("XENLEVEL_POOL_CONF", "/dev/null", 1);
    free(conf);
    return store;
}

static void test_a_lock_that_is_held(void **state)
{
    struct fixture *f = *state;
    struct store_change change = put("pool", "q");
    char *lock = xasprintf("%s/.xenlevel/lock", f->path), *said, host[64] = "";
    enum store_outcome outcome;
    struct store_value value;
    struct store *store;
    size_t conflict;
    pid_t pid;

    must_commit(f->store, (struct store_change[]){put("pool", "p")}, 1);
    store = open_impatient(f);
    (void)gethostname(host, sizeof(host) - 1);
    /* What stands in the file says who it is: here, this process was the last. */
    pid = hold_lock(f, F_WRLCK);
    assert_int_equal(store_get(store, "pool", &value), -1);
    assert_int_equal(errno, EBUSY);
    said = xasprintf("locked for 1 seconds by process %d on %s, since ", (int)getpid(), host);
    assert_non_null(strstr(store_error(store), said));
    assert_non_null(strstr(store_error(store), "Z; if that hangs, end it"));
    free(said);
    scratch_write(lock, "\x1b[2J", 4);
    assert_int_equal(store_get(store, "pool", &value), -1);
    must_say(f, store, "locked for 1 seconds by \\x1b[2J; if that hangs, end it");
    end_process(pid);
    (void)must_be(store, "pool", "p");
    /* A reader keeps nobody from reading. */
    pid = hold_lock(f, F_RDLCK);
    (void)must_be(store, "pool", "p");
    assert_int_equal(store_commit(store, &change, 1, &outcome, &conflict), -1);
    must_say(f, store, "another program has been reading it for 1 seconds");
    end_process(pid);
    must_commit(store, &change, 1);
    store_close(store);
    free(lock);
}

/* `git clean` removes the lock: whoever has it, and whoever waits for it, notices. */
static void test_a_lock_that_is_removed(void **state)
{
    struct fixture *f = *state;
    char *path = xasprintf("%s/.xenlevel", f->path);

    must_commit(f->store, (struct store_change[]){put("pool", "p")}, 1);
    scratch_empty(path);
    must_commit(f->store, (struct store_change[]){put("pool", "q"), put("host/a", "a")}, 2);
    (void)must_be(f->store, "pool", "q");
    assert_int_equal(access(path, F_OK), 0);
    free(path);
}

/* ---- waiting for a change ---- */

static void test_watch(void **state)
{
    struct fixture *f = *state;
    struct store_list list;
    pid_t pid;

    must_commit(f->store, (struct store_change[]){put("pool", "p")}, 1);
    assert_int_equal(store_list(f->store, LIST(""), &list), 0);
    assert_int_equal(store_watch(f->store, "", list.revision, 0), 0);
    assert_int_equal(store_watch(f->store, "", list.revision, 20), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        struct store_change change = put("host/a", "a");
        enum store_outcome outcome;
        struct store *store;
        size_t conflict;

        if (store_open(f->path, false, &store))
            _exit(1);
        _exit(store_commit(store, &change, 1, &outcome, &conflict) ? 2 : 0);
    }
    assert_int_equal(store_watch(f->store, "", list.revision, 600000), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    store_list_free(&list);
    assert_int_equal(store_list(f->store, LIST(""), &list), 0);
    assert_int_equal(list.n, 2);
    assert_int_equal(store_watch(f->store, "", list.revision, 0), 0);
    store_list_free(&list);
}

/* ---- opening ---- */

static void must_not_open(const char *where, bool create, const char *said)
{
    struct store *store;

    assert_int_equal(store_open(where, create, &store), -1);
    assert_string_equal(store_error(store), said);
    store_close(store);
}

static void test_what_cannot_be_opened(void **state)
{
    (void)state;
    must_not_open("", true, "a registry is a folder, or etcd:https://HOST:PORT");
    must_not_open("/nowhere/at/all", false, "/nowhere/at/all: there is no such folder");
    must_not_open("/nowhere/at/all", true, "/nowhere/at/all: there is no such folder");
    must_not_open("/etc/passwd", true, "/etc/passwd: Not a directory");
    must_not_open("/tmp/\x1b[1m", false, "/tmp/\\x1b[1m: there is no such folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keys_are_files, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_no_key, begin, end),
        cmocka_unit_test_setup_teardown(test_lists, begin, end),
        cmocka_unit_test_setup_teardown(test_conditions, begin, end),
        cmocka_unit_test_setup_teardown(test_a_value_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(test_foreign_files, begin, end),
        cmocka_unit_test_setup_teardown(test_a_linked_folder, begin, end),
        cmocka_unit_test_setup_teardown(test_a_damaged_journal, begin, end),
        cmocka_unit_test_setup_teardown(test_who_may_only_read, begin, end),
        cmocka_unit_test_setup_teardown(test_a_lock_that_is_held, begin, end),
        cmocka_unit_test_setup_teardown(test_a_lock_that_is_removed, begin, end),
        cmocka_unit_test_setup_teardown(test_watch, begin, end),
        cmocka_unit_test(test_what_cannot_be_opened),
    };

    (void)setenv("XENLEVEL_POOL_CONF", "/dev/null", 1);
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
