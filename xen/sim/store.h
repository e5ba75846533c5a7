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

/* Set the value of a node, and make it when it is not there.  0; -EINVAL, -ENOSPC, -ENOMEM. */
int store_write(struct store *s, const char *path, const char *value);
/* Remove a node and all below it.  0; -ENOENT, -EINVAL. */
int store_remove(struct store *s, const char *path);
/* Return the value of a node, which the store keeps; NULL: there is none. */
const char *store_read(const struct store *s, const char *path);
/* Write the names of the children of `path` into buf, each ended by a NUL.  Returns the number of
 * bytes; -ENOBUFS, -ENOENT. */
int store_list(const struct store *s, const char *path, char *buf, size_t size);
/* Remove everything below /local/domain/N for each N whose alive(opaque, N) is 0. */
void store_sweep(struct store *s, int (*alive)(void *opaque, uint32_t domid), void *opaque);
/* Free all nodes. */
void store_free(struct store *s);

#endif /* SIM_STORE_H */
