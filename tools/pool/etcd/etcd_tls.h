/* SPDX-License-Identifier: MIT */
/*
 * Why a connection with TLS did not come about, and what to do.
 */
#ifndef POOL_ETCD_TLS_H
#define POOL_ETCD_TLS_H

#include "etcd_http.h"

/* Fill in reply's err, lasting, got and why when the failure is one of TLS or certificates; false
 * when it is another.  `said`: libcurl's line. */
bool etcd_tls_explain(const struct etcd_curl *lib, CURL *curl, const struct store_config *config,
                      CURLcode code, const char *said, struct etcd_reply *reply);

#endif /* POOL_ETCD_TLS_H */
