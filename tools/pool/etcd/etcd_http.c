/* SPDX-License-Identifier: MIT */
/* See etcd_http.h. */
#include "etcd_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "etcd_tls.h"
#include "util.h"
#include "xc_text.h"

struct etcd_http {
    CURL *curl;
    const struct store_config *config;
    char error[CURL_ERROR_SIZE];
};

/* What a reply is collected in. */
struct collector {
    CURL *curl;
    const struct etcd_post *post;
    char *bytes;
    size_t len, room;
    bool too_long, enough;
};

struct etcd_http *etcd_http_open(const struct store_config *config)
{
    struct etcd_http *http;

    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return NULL;
    http = xcalloc(1, sizeof(*http));
    http->config = config;
    http->curl = curl_easy_init();
    if (http->curl)
        return http;
    etcd_http_close(http);
    return NULL;
}

void etcd_http_close(struct etcd_http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->curl);
    free(http);
    curl_global_cleanup();
}

/* Give take_line() the whole lines that are there.  Errors of HTTP are no lines. */
static void give_lines(struct collector *c)
{
    size_t from = 0;
    long status = 0;
    const char *end;

    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return;
    while (!c->enough && (end = memchr(c->bytes + from, '\n', c->len - from))) {
        size_t at = (size_t)(end - c->bytes);

        c->enough = !c->post->take_line(c->post->arg, c->bytes + from, at - from);
        from = at + 1;
    }
    memmove(c->bytes, c->bytes + from, c->len - from);
    c->len -= from;
}

/* libcurl's write function: anything but n ends the transfer. */
static size_t take_bytes(char *bytes, size_t one, size_t n, void *arg)
{
    struct collector *c = arg;

    (void)one; /* 1, it says */
    if (n > c->post->reply_max - c->len) {
        c->too_long = true;
        return 0;
    }
    if (c->room - c->len < n + 1) {
        size_t room = (c->len + n + 1) * 2;
        char *more = realloc(c->bytes, room);

        if (!more)
            return 0;
        c->bytes = more;
        c->room = room;
    }
    memcpy(c->bytes + c->len, bytes, n);
    c->len += n;
    c->bytes[c->len] = '\0';
    if (c->post->take_line)
        give_lines(c);
    return c->enough ? 0 : n;
}

static void set_certificates(struct etcd_http *http)
{
    const struct store_config *config = http->config;

    (void)curl_easy_setopt(http->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(http->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (config->cacert) {
        (void)curl_easy_setopt(http->curl, CURLOPT_CAINFO, config->cacert);
        /* nobody else's certificates beside it */
        (void)curl_easy_setopt(http->curl, CURLOPT_CAPATH, NULL);
    }
    if (config->cert)
        (void)curl_easy_setopt(http->curl, CURLOPT_SSLCERT, config->cert);
    if (config->key)
        (void)curl_easy_setopt(http->curl, CURLOPT_SSLKEY, config->key);
}

static void set_question(struct etcd_http *http, const struct etcd_post *post,
                         struct curl_slist *headers, const char *url)
{
    CURL *curl = http->curl;

    curl_easy_reset(curl); /* connections stay */
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* none, whatever the environment says */
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->len);
    (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, post->fresh ? 1L : 0L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)post->ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)post->idle_s);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error);
    if (!post->patient) {
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)post->idle_s);
    }
    set_certificates(http);
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *line)
{
    struct curl_slist *more = curl_slist_append(headers, line);

    if (!more)
        out_of_memory();
    return more;
}

static struct curl_slist *make_headers(const struct etcd_post *post)
{
    struct curl_slist *headers = add_header(NULL, "Content-Type: application/json");
    char *line;

    headers = add_header(headers, "Expect:"); /* the body goes with the head */
    /* A member that has lost the others says so, and does not wait for them in silence. */
    headers = add_header(headers, "Grpc-Metadata-hasleader: true");
    if (post->token) {
        line = xasprintf("Authorization: %s", post->token);
        headers = add_header(headers, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
    return headers;
}

/* Nothing came back: say what libcurl says, and whether the question can have arrived. */
static void say_failure(struct etcd_http *http, const struct etcd_post *post, CURLcode code,
                        struct etcd_reply *reply)
{
    const char *said = http->error[0] ? http->error : curl_easy_strerror(code);
    curl_off_t sent_after = 0;

    (void)curl_easy_getinfo(http->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_after);
    reply->got = sent_after ? ETCD_NO_REPLY : ETCD_NOT_SENT;
    reply->err = code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : ECONNREFUSED;
    if (etcd_tls_explain(http->curl, http->config, post->endpoint, code, said, reply))
        return;
    if (code == CURLE_OUT_OF_MEMORY)
        reply->err = ENOMEM;
    else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        reply->lasting = true;
    (void)xc_text_print(reply->why, sizeof(reply->why), "%s", said);
}

void etcd_http_post(struct etcd_http *http, const struct etcd_post *post, struct etcd_reply *reply)
{
    char *url = xasprintf("%s%s", post->endpoint, post->path);
    struct curl_slist *headers = make_headers(post);
    struct collector c = {.curl = http->curl, .post = post};
    CURLcode code;

    *reply = (struct etcd_reply){.got = ETCD_GOT_REPLY};
    http->error[0] = '\0';
    set_question(http, post, headers, url);
    (void)curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &c);
    code = curl_easy_perform(http->curl);
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
    reply->body = c.bytes;
    reply->len = c.len;
    reply->heard = c.enough;
    if (c.too_long) {
        reply->got = ETCD_GOT_TOO_LONG;
        (void)xc_text_print(reply->why, sizeof(reply->why), "its answer is longer than %zu bytes",
                            post->reply_max);
    } else if (code && !c.enough) {
        say_failure(http, post, code, reply);
    } else if (!reply->body) {
        reply->body = xstrdup("");
    }
    /* what was set points to what is freed here */
    curl_easy_reset(http->curl);
    curl_slist_free_all(headers);
    free(url);
}
