/* SPDX-License-Identifier: MIT */
/*
 * "etcd:https://a:2379,https://b:2379/PREFIX": where a registry in etcd is.
 */
#ifndef POOL_ETCD_WHERE_H
#define POOL_ETCD_WHERE_H

#include <stddef.h>

#include "etcd_curl.h"

#define ETCD_ENDPOINTS_MAX 16u

struct etcd_where {
    char *endpoints[ETCD_ENDPOINTS_MAX]; /* "https://a:2379" */
    size_t n;
    char *prefix; /* what each key begins with in etcd: "/xenlevel/" */
};

/* Read it.  0; -1 with errno EINVAL and one line in why[], safe to print, which has no password
 * that stands in `where`.  Call etcd_where_free() in both cases. */
int etcd_where_parse(const struct etcd_curl *curl, const char *where, struct etcd_where *w,
                     char *why, size_t size);
void etcd_where_free(struct etcd_where *w);

/* Return "etcd at https://a:2379, https://b:2379, below /xenlevel"; malloc'ed. */
char *etcd_where_name(const struct etcd_where *w);

#endif /* POOL_ETCD_WHERE_H */
