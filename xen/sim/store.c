/* SPDX-License-Identifier: MIT */
/*
 * The store: a sorted array.  See store.h.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sim/store.h>

struct store_node {
    char *path, *value;
};

static bool path_is_valid(const char *path)
{
    if (path[0] != '/' || !path[1])
        return false;
    for (const char *c = path; *c; c++) {
        if (*c == '/' ? c[1] == '/' || !c[1] : !isalnum((unsigned char)*c) && !strchr("-_.@", *c))
            return false;
    }
    return true;
}

/* The place of the first node that is not before `path`. */
static size_t find_node(const struct store *s, const char *path)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(s->nodes[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct store *s, size_t i, const char *path)
{
    return i < s->count && !strcmp(s->nodes[i].path, path);
}

static int make_room(struct store *s)
{
    size_t room = s->room ? s->room * 2 : 64;
    struct store_node *nodes;

    if (s->count < s->room)
        return 0;
    if (s->count >= STORE_MAX_NODES)
        return -ENOSPC;
    nodes = realloc(s->nodes, room * sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    s->nodes = nodes;
    s->room = room;
    return 0;
}

int store_write(struct store *s, const char *path, const char *value)
{
    size_t i = find_node(s, path);
    char *copy;
    int rc;

    if (!path_is_valid(path))
        return -EINVAL;
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    if (is_at(s, i, path)) {
        free(s->nodes[i].value);
        s->nodes[i].value = copy;
        return 0;
    }
    rc = make_room(s);
    if (!rc) {
        char *name = strdup(path);

        if (name) {
            memmove(&s->nodes[i + 1], &s->nodes[i], (s->count - i) * sizeof(s->nodes[0]));
            s->nodes[i] = (struct store_node){name, copy};
            s->count++;
            return 0;
        }
        rc = -ENOMEM;
    }
    free(copy);
    return rc;
}

const char *store_read(const struct store *s, const char *path)
{
    size_t i = find_node(s, path);

    return is_at(s, i, path) ? s->nodes[i].value : NULL;
}

static bool is_below(const char *path, const char *parent, size_t len)
{
    return !strncmp(path, parent, len) && (path[len] == '/' || !path[len]);
}

int store_remove(struct store *s, const char *path)
{
    size_t len = strlen(path), kept = 0, before = s->count;

    if (!path_is_valid(path))
        return -EINVAL;
    for (size_t i = 0; i < s->count; i++) {
        if (is_below(s->nodes[i].path, path, len)) {
            free(s->nodes[i].path);
            free(s->nodes[i].value);
        } else {
            s->nodes[kept++] = s->nodes[i];
        }
    }
    s->count = kept;
    return kept == before ? -ENOENT : 0;
}

int store_list(const struct store *s, const char *path, char *buf, size_t size)
{
    size_t len = strlen(path), at = 0, last = 0, last_len = 0;
    bool found = false;

    if (!path_is_valid(path))
        return -EINVAL;
    for (size_t i = 0; i < s->count; i++) {
        const char *name = s->nodes[i].path + len + 1;
        size_t n;

        if (!is_below(s->nodes[i].path, path, len))
            continue;
        found = true;
        if (!s->nodes[i].path[len])
            continue; /* the node itself */
        n = strcspn(name, "/");
        /* Its children come one after the other; a child's own children repeat its name. */
        if (at && n == last_len && !memcmp(buf + last, name, n))
            continue;
        if (n + 1 > size - at)
            return -ENOBUFS;
        memcpy(buf + at, name, n);
        buf[at + n] = '\0';
        last = at;
        last_len = n;
        at += n + 1;
    }
    return found ? (int)at : -ENOENT;
}

void store_sweep(struct store *s, int (*alive)(void *opaque, uint32_t domid), void *opaque)
{
    static const char prefix[] = "/local/domain/";
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        const char *path = s->nodes[i].path;

        if (!strncmp(path, prefix, sizeof(prefix) - 1) &&
            isdigit((unsigned char)path[sizeof(prefix) - 1]) &&
            !alive(opaque, (uint32_t)strtoul(path + sizeof(prefix) - 1, NULL, 10))) {
            free(s->nodes[i].path);
            free(s->nodes[i].value);
        } else {
            s->nodes[kept++] = s->nodes[i];
        }
    }
    s->count = kept;
}

void store_free(struct store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->nodes[i].path);
        free(s->nodes[i].value);
    }
    free(s->nodes);
    *s = (struct store){0};
}
