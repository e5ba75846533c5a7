/* SPDX-License-Identifier: MIT */
/*
 * A registry's store: which kind it is, what every kind checks, and where its errors are kept.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "store_private.h"
#include "out.h"
#include "util.h"

#define ETCD_PREFIX "etcd:"

/* ---- errors ---- */

int store_fail(struct store *store, int err, const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    free(store->error);
    store->error = text;
    errno = err;
    return -1;
}

const char *store_error(const struct store *store)
{
    return store->error ? store->error : "";
}

const char *store_name(const struct store *store)
{
    return store->name ? store->name : "the registry";
}

/* ---- keys ---- */

#define KEY_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%-"

bool store_key_is_valid(const char *key)
{
    const char *slash = strchr(key, '/');

    if (strlen(key) > STORE_KEY_MAX || (slash && strchr(slash + 1, '/')))
        return false;
    for (const char *part = key; part; part = slash ? slash + 1 : NULL) {
        size_t len = strspn(part, KEY_BYTES);

        slash = strchr(part, '/');
        if (len == 0 || len > STORE_PART_MAX || part[0] == '.' ||
            len != (slash ? (size_t)(slash - part) : strlen(part)))
            return false;
    }
    return true;
}

static int check_key(struct store *store, const char *key)
{
    const char *part = strchr(key, '/');

    if (store_key_is_valid(key))
        return 0;
    part = part ? part + 1 : key;
    if (strlen(part) > STORE_PART_MAX)
        return store_fail(
            store, EINVAL,
            "'%.24s...' is too long a name: at most %u bytes, of which each that is no "
            "letter, digit or one of ._- counts three times",
            part, STORE_PART_MAX);
    return store_fail(store, EINVAL, "'%s' is no key of a registry", key);
}

/* ---- what is the same for every kind ---- */

int store_open(const char *where, bool create, struct store **store)
{
    bool etcd = !strncmp(where, ETCD_PREFIX, sizeof(ETCD_PREFIX) - 1);
    struct store *s = calloc(1, sizeof(*s));
    char why[512];

    *store = s;
    if (!s) {
        errno = ENOMEM;
        return -1;
    }
    if (store_config_read(&s->config, why, sizeof(why)))
        return store_fail(s, errno, "%s", why);
    if (!where[0])
        return store_fail(s, EINVAL, "a registry is a folder, or etcd:https://HOST:PORT");
    s->ops = etcd ? &store_etcd_ops : &store_folder_ops;
    return s->ops->open(s, where, create);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->ops)
        store->ops->close(store);
    store_config_free(&store->config);
    free(store->name);
    free(store->error);
    free(store);
}

void store_value_free(struct store_value *value)
{
    free(value->key);
    free(value->bytes);
    *value = (struct store_value){0};
}

void store_list_free(struct store_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        store_value_free(&list->values[i]);
    free(list->values);
    *list = (struct store_list){0};
}

int store_get(struct store *store, const char *key, struct store_value *value)
{
    *value = (struct store_value){0};
    if (check_key(store, key))
        return -1;
    return store->ops->get(store, key, value);
}

int store_list(struct store *store, const char *const *prefixes, size_t n, struct store_list *list)
{
    *list = (struct store_list){0};
    return store->ops->list(store, prefixes, n, list);
}

static int check_change(struct store *store, const struct store_change *c)
{
    if (check_key(store, c->key))
        return -1;
    if (c->bytes && c->len > STORE_VALUE_MAX)
        return store_fail(store, EFBIG, "'%s' would have %zu bytes; a value has at most %u", c->key,
                          c->len, STORE_VALUE_MAX);
    return 0;
}

int store_commit(struct store *store, const struct store_change *changes, size_t n,
                 enum store_outcome *outcome, size_t *conflict)
{
    *outcome = STORE_COMMITTED;
    *conflict = 0;
    for (size_t i = 0; i < n; i++)
        if (check_change(store, &changes[i]))
            return -1;
    return store->ops->commit(store, changes, n, outcome, conflict);
}

int store_watch(struct store *store, const char *prefix, uint64_t revision, unsigned int ms)
{
    return store->ops->watch(store, prefix, revision, ms);
}
