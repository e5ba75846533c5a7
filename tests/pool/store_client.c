/* SPDX-License-Identifier: MIT */
/*
 * A client of a registry's store, for tests: it runs what its arguments say, or each line of its
 * standard input, and answers each with a line of JSON.
 *
 *   get KEY                     list PREFIX...              watch PREFIX REVISION MS
 *   txn CHANGE...               with CHANGE: put:KEY:VALUE  create:KEY:VALUE  at:REVISION:KEY:VALUE
 *                               lease:SECONDS:KEY:VALUE  delete:REVISION:KEY  check:REVISION:KEY
 *   work NAME ROUNDS            a host that joins, refreshes, counts and leaves (store_work.c)
 *
 * VALUE is hexadecimal, or @FILE.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "out.h"
#include "store.h"
#include "store_work.h"
#include "util.h"

#define WORDS_MAX 300

static struct json *begin_answer(void)
{
    struct json *j = json_begin_compact(stdout);

    json_object(j, NULL);
    return j;
}

static void end_answer(struct json *j)
{
    json_close_object(j);
    (void)json_end(j);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static int say_error(const struct store *store)
{
    int err = errno;
    struct json *j = begin_answer();

    json_string(j, "error", store_error(store));
    json_string(j, "errno", strerrorname_np(err));
    end_answer(j);
    return 1;
}

static void add_value(struct json *j, const char *key, const struct store_value *v)
{
    char *hex = xcalloc(v->len * 2 + 1, 1);

    for (size_t i = 0; i < v->len; i++)
        (void)sprintf(hex + 2 * i, "%02x", ((const unsigned char *)v->bytes)[i]);
    json_object(j, key);
    json_string(j, "key", v->key);
    json_string(j, "value", hex);
    json_number(j, "revision", v->revision);
    json_close_object(j);
    free(hex);
}

static int run_get(struct store *store, char **words, size_t n)
{
    struct store_value value;
    struct json *j;

    if (n != 1 || store_get(store, words[0], &value))
        return say_error(store);
    j = begin_answer();
    add_value(j, "found", &value);
    end_answer(j);
    store_value_free(&value);
    return 0;
}

static int run_list(struct store *store, char **words, size_t n)
{
    static const char *const all[] = {""};
    struct store_list list;
    struct json *j;

    if (store_list(store, n ? (const char *const *)words : all, n ? n : 1, &list))
        return say_error(store);
    j = begin_answer();
    json_number(j, "revision", list.revision);
    json_array(j, "values");
    for (size_t i = 0; i < list.n; i++)
        add_value(j, NULL, &list.values[i]);
    json_close_array(j);
    end_answer(j);
    store_list_free(&list);
    return 0;
}

static int run_watch(struct store *store, char **words, size_t n)
{
    struct json *j;
    int rc;

    rc = n == 3
             ? store_watch(store, strcmp(words[0], "all") != 0 ? words[0] : "",
                           strtoull(words[1], NULL, 10), (unsigned int)strtoul(words[2], NULL, 10))
             : -1;
    if (rc < 0)
        return say_error(store);
    j = begin_answer();
    json_bool(j, "changed", rc);
    end_answer(j);
    return 0;
}

/* ---- transactions ---- */

static void *read_value(const char *text, size_t *len)
{
    unsigned char *bytes = xcalloc(strlen(text) / 2 + 1, 1);

    *len = 0;
    if (text[0] == '@') {
        FILE *f = fopen(text + 1, "re");

        bytes = xrealloc(bytes, STORE_VALUE_MAX + 2);
        if (f)
            *len = fread(bytes, 1, STORE_VALUE_MAX + 1, f);
        if (f)
            (void)fclose(f);
        return bytes;
    }
    for (const char *p = text; p[0] && p[1]; p += 2) {
        const char pair[] = {p[0], p[1], '\0'};

        bytes[(*len)++] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return bytes;
}

static void read_change(char *word, struct store_change *c)
{
    const char *what = strsep(&word, ":"), *number = NULL;
    uint64_t n;

    if (strcmp(what, "put") != 0 && strcmp(what, "create") != 0)
        number = strsep(&word, ":");
    n = number ? strtoull(number, NULL, 10) : 0;
    *c = (struct store_change){.key = strsep(&word, ":")};
    if (word)
        c->bytes = read_value(word, &c->len);
    c->checked = strcmp(what, "put") != 0 && strcmp(what, "lease") != 0;
    c->only_check = !strcmp(what, "check");
    if (!strcmp(what, "lease"))
        c->lease = (unsigned int)n;
    else
        c->revision = n;
}

static int run_txn(struct store *store, char **words, size_t n)
{
    struct store_change *changes = xcalloc(n ? n : 1, sizeof(*changes));
    enum store_outcome outcome;
    size_t conflict;
    struct json *j;
    int rc;

    for (size_t i = 0; i < n; i++)
        read_change(words[i], &changes[i]);
    rc = store_commit(store, changes, n, &outcome, &conflict);
    if (rc) {
        rc = say_error(store);
    } else {
        j = begin_answer();
        json_string(j, "outcome", outcome == STORE_COMMITTED ? "committed" : "conflict");
        json_number(j, "conflict", conflict);
        end_answer(j);
    }
    for (size_t i = 0; i < n; i++)
        free((void *)changes[i].bytes);
    free(changes);
    return rc;
}

/* ---- all of them ---- */

static int run_words(struct store *store, char **words, size_t n)
{
    static const struct {
        const char *name;
        int (*run)(struct store *store, char **words, size_t n);
    } commands[] = {{"get", run_get},
                    {"list", run_list},
                    {"watch", run_watch},
                    {"txn", run_txn},
                    {"work", store_work}};

    for (size_t i = 0; n && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i].name, words[0]))
            return commands[i].run(store, words + 1, n - 1);
    return 2;
}

static void run_lines(struct store *store)
{
    char *line = NULL, *words[WORDS_MAX];
    size_t room = 0;
    ssize_t len;

    while ((len = getline(&line, &room, stdin)) > 0) {
        char *rest = line, *word;
        size_t n = 0;

        line[strcspn(line, "\n")] = '\0';
        while (n < WORDS_MAX && (word = strsep(&rest, " ")))
            words[n++] = word;
        (void)run_words(store, words, n);
    }
    free(line);
}

int main(int argc, char **argv)
{
    struct store *store;
    int rc;

    if (argc < 2)
        return complain("usage: store-client WHERE [COMMAND...]");
    rc = store_open(argv[1], true, &store);
    if (!store)
        return 2;
    if (rc)
        rc = say_error(store);
    else if (argc > 2)
        rc = run_words(store, argv + 2, (size_t)argc - 2);
    else
        run_lines(store);
    store_close(store);
    return rc;
}
