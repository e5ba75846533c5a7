/* SPDX-License-Identifier: MIT */
/*
 * A small xenstore: values by path, bounded in number and size.  What a toolstack keeps about its
 * domains: /local/domain/N/name.  The nodes of a domain go with it.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include <stddef.h>
#include <stdint.h>

#define STORE_MAX_NODES 65536u

struct store_node;

struct store {
    struct store_node *nodes; /* sorted by path */
    size_t count, room;
};

/* Paths are as xenstore's: "/a/b-c", of letters, digits and -_.@, no empty part. */
int store_write(struct store *s, const char *path, const char *value); /* -EINVAL -ENOSPC -ENOMEM */
int store_remove(struct store *s, const char *path); /* with all below it.  -ENOENT, -EINVAL */
const char *store_read(const struct store *s, const char *path); /* NULL: there is none */
/* The names of path's children, each ended by a NUL.  The bytes written; -ENOBUFS, -ENOENT. */
int store_list(const struct store *s, const char *path, char *buf, size_t size);
/* Everything below /local/domain/N for which alive(N) is false. */
void store_sweep(struct store *s, int (*alive)(void *opaque, uint32_t domid), void *opaque);
void store_free(struct store *s);

#endif /* SIM_STORE_H */
