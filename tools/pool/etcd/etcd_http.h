/* SPDX-License-Identifier: MIT */
/*
 * One question to one endpoint: a POST of JSON over HTTP, with TLS, by libcurl.
 */
#ifndef POOL_ETCD_HTTP_H
#define POOL_ETCD_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "etcd_curl.h"
#include "store_config.h"

struct etcd_http;

struct etcd_post {
    const char *endpoint, *path; /* "https://a:2379", "/v3/kv/range" */
    const char *token;           /* of the user; NULL: none */
    const char *body;
    size_t len;
    unsigned int ms;     /* for all of it */
    unsigned int idle_s; /* until it is connected; and without a byte from there */
    size_t reply_max;    /* bytes */
    bool fresh;          /* over a connection of its own, on which libcurl sends nothing twice */
    /* For an answer of lines that come one by one.  Returns false when it has heard enough. */
    bool (*take_line)(void *arg, const char *line, size_t len);
    void *arg;
    bool patient; /* lines come when there is something to say: silence is no fault */
};

enum etcd_got {
    ETCD_GOT_REPLY, /* and it is whole; or take_line() has heard enough */
    ETCD_GOT_TOO_LONG,
    ETCD_NOT_SENT, /* the endpoint has not seen the question */
    ETCD_NO_REPLY, /* it may have */
};

struct etcd_reply {
    enum etcd_got got;
    bool heard;  /* take_line() has heard enough */
    long status; /* of HTTP */
    char *body;  /* with a NUL behind it; free() */
    size_t len;
    int err;       /* without a reply: EACCES (certificates), ETIMEDOUT, ECONNREFUSED, ... */
    bool lasting;  /* and asking again would not help */
    char why[512]; /* one line, safe to print */
};

/* Open what holds connections.  `curl` and `config` must stay.  NULL without memory. */
struct etcd_http *etcd_http_open(const struct etcd_curl *curl, const struct store_config *config);
void etcd_http_close(struct etcd_http *http);

/* Ask.  Always fills *reply. */
void etcd_http_post(struct etcd_http *http, const struct etcd_post *post, struct etcd_reply *reply);

#endif /* POOL_ETCD_HTTP_H */
