/* SPDX-License-Identifier: MIT */
/*
 * The configuration of registries: /etc/xenlevel/pool.conf, or the file that XENLEVEL_POOL_CONF
 * names.
 */
#ifndef POOL_STORE_CONFIG_H
#define POOL_STORE_CONFIG_H

#include <stddef.h>

struct store_config {
    char *path;  /* the file; for messages */
    char *store; /* `store`: which registry; NULL: not said */
    char *host;  /* `host`: what this host is called in its pool; NULL: not said */
    unsigned int
        wait; /* [folder]: seconds to wait for one that somebody else changes; 0: STORE_WAIT */
    /* [etcd]; NULL or 0: not said */
    char *cacert;         /* PEM: who signs etcd's certificates; NULL: the system's */
    char *cert, *key;     /* PEM: ours */
    char *user;           /* of etcd's own authentication */
    char *password_file;  /* a line; nobody but its owner may read it */
    unsigned int timeout; /* seconds that one question may take in all; 0: STORE_TIMEOUT */
};

#define STORE_WAIT    30u
#define STORE_TIMEOUT 30u

/* Read the file; one that is not there is an empty one, unless XENLEVEL_POOL_CONF names it.  0; -1
 * with errno and one safe line in why[].  Call store_config_free() in both cases. */
int store_config_read(struct store_config *config, char *why, size_t size);
void store_config_free(struct store_config *config);

#endif /* POOL_STORE_CONFIG_H */
