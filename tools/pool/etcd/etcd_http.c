/* SPDX-License-Identifier: MIT */
/* See etcd_http.h. */
#include "etcd_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "etcd_tls.h"
#include "util.h"
#include "xc_clock.h"
#include "xc_text.h"

struct etcd_http {
    const struct etcd_curl *lib;
    CURL *curl;
    const struct store_config *config;
    bool old_tls; /* the next connection is one of TLS 1.2: see note_loss() */
    char error[CURL_ERROR_SIZE];
};

/* What a reply is collected in. */
struct collector {
    const struct etcd_http *http;
    const struct etcd_post *post;
    char *bytes;
    size_t len, room;
    bool too_long, enough;
    curl_off_t moved;  /* bytes, in both directions, */
    uint64_t moved_at; /* until then: xc_now_ns() */
};

struct etcd_http *etcd_http_open(const struct etcd_curl *curl, const struct store_config *config)
{
    struct etcd_http *http = xcalloc(1, sizeof(*http));

    http->lib = curl;
    http->config = config;
    http->curl = curl->easy_init();
    if (http->curl)
        return http;
    etcd_http_close(http);
    return NULL;
}

void etcd_http_close(struct etcd_http *http)
{
    if (!http)
        return;
    http->lib->easy_cleanup(http->curl);
    free(http);
}

/* Give take_line() the whole lines that are there.  Errors of HTTP are no lines. */
static void give_lines(struct collector *c)
{
    size_t from = 0;
    long status = 0;
    const char *end;

    (void)c->http->lib->easy_getinfo(c->http->curl, CURLINFO_RESPONSE_CODE, &status);
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

/* libcurl's progress function, about once a second: anything but 0 ends the transfer.  (Its own
 * limit of speed looks at the mean of five seconds.) */
static int watch_idle(void *arg, curl_off_t dltotal, curl_off_t down, curl_off_t ultotal,
                      curl_off_t up)
{
    struct collector *c = arg;
    uint64_t now = xc_now_ns();

    (void)dltotal;
    (void)ultotal;
    if (down + up != c->moved) {
        c->moved = down + up;
        c->moved_at = now;
    }
    return now - c->moved_at > c->post->idle_s * 1000000000ull;
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

    (void)http->lib->easy_setopt(http->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)http->lib->easy_setopt(http->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (config->cacert) {
        (void)http->lib->easy_setopt(http->curl, CURLOPT_CAINFO, config->cacert);
        /* nobody else's certificates beside it */
        (void)http->lib->easy_setopt(http->curl, CURLOPT_CAPATH, NULL);
    }
    if (config->cert)
        (void)http->lib->easy_setopt(http->curl, CURLOPT_SSLCERT, config->cert);
    if (config->key)
        (void)http->lib->easy_setopt(http->curl, CURLOPT_SSLKEY, config->key);
}

static void set_question(struct etcd_http *http, const struct etcd_post *post,
                         struct curl_slist *headers, const char *url)
{
    const struct etcd_curl *lib = http->lib;
    CURL *curl = http->curl;

    lib->easy_reset(curl); /* connections stay */
    (void)lib->easy_setopt(curl, CURLOPT_URL, url);
    (void)lib->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)lib->easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)lib->easy_setopt(curl, CURLOPT_PROXY, ""); /* none, whatever the environment says */
    (void)lib->easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)lib->easy_setopt(curl, CURLOPT_POST, 1L);
    (void)lib->easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    (void)lib->easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->len);
    (void)lib->easy_setopt(curl, CURLOPT_FRESH_CONNECT, post->fresh ? 1L : 0L);
    (void)lib->easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)post->ms);
    (void)lib->easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)post->idle_s);
    (void)lib->easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error);
    if (http->old_tls)
        (void)lib->easy_setopt(curl, CURLOPT_SSLVERSION,
                               (long)CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2);
    set_certificates(http);
}

static struct curl_slist *add_header(const struct etcd_curl *lib, struct curl_slist *headers,
                                     const char *line)
{
    struct curl_slist *more = lib->slist_append(headers, line);

    if (!more)
        out_of_memory();
    return more;
}

static struct curl_slist *make_headers(const struct etcd_curl *lib, const struct etcd_post *post)
{
    struct curl_slist *headers = add_header(lib, NULL, "Content-Type: application/json");
    char *line;

    headers = add_header(lib, headers, "Expect:"); /* the body goes with the head */
    /* A member that has lost the others says so, and does not wait for them in silence. */
    headers = add_header(lib, headers, "Grpc-Metadata-hasleader: true");
    if (post->token) {
        line = xasprintf("Authorization: %s", post->token);
        headers = add_header(lib, headers, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
    return headers;
}

/*
 * A connection was lost.  In TLS 1.3 that may be how a certificate of ours is refused: we think
 * that we are connected, our question crosses the refusal, and the other side's reset then throws
 * the refusal away.  In TLS 1.2 it comes before any question, so we try that next, once.
 */
static void note_loss(struct etcd_http *http, const struct etcd_post *post, CURLcode code)
{
    bool lost = code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR;

    http->old_tls = lost && !http->old_tls && !strncmp(post->endpoint, "https://", 8);
}

/* Nothing came back: say what libcurl says, and whether the question can have arrived. */
static void say_failure(struct etcd_http *http, const struct etcd_post *post, CURLcode code,
                        struct etcd_reply *reply)
{
    const char *said = http->error[0] ? http->error : http->lib->easy_strerror(code);
    curl_off_t sent_after = 0;

    (void)http->lib->easy_getinfo(http->curl, CURLINFO_PRETRANSFER_TIME_T, &sent_after);
    reply->got = sent_after ? ETCD_NO_REPLY : ETCD_NOT_SENT;
    reply->err = code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : ECONNREFUSED;
    if (etcd_tls_explain(http->lib, http->curl, http->config, code, said, reply))
        return;
    if (code == CURLE_ABORTED_BY_CALLBACK) { /* watch_idle() */
        reply->err = ETIMEDOUT;
        (void)xc_text_print(reply->why, sizeof(reply->why), "no answer within %u seconds",
                            post->idle_s);
        return;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        reply->err = ENOMEM;
    else if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        reply->lasting = true;
    if (code == CURLE_GOT_NOTHING && !strncmp(post->endpoint, "http://", 7)) {
        reply->lasting = true; /* so does etcd when it wants TLS */
        (void)xc_text_print(reply->why, sizeof(reply->why), "%s: does it want https://?", said);
    } else {
        (void)xc_text_print(reply->why, sizeof(reply->why), "%s", said);
    }
}

void etcd_http_post(struct etcd_http *http, const struct etcd_post *post, struct etcd_reply *reply)
{
    char *url = xasprintf("%s%s", post->endpoint, post->path);
    struct curl_slist *headers = make_headers(http->lib, post);
    struct collector c = {.http = http, .post = post, .moved_at = xc_now_ns()};
    CURLcode code;

    *reply = (struct etcd_reply){.got = ETCD_GOT_REPLY};
    http->error[0] = '\0';
    set_question(http, post, headers, url);
    (void)http->lib->easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)http->lib->easy_setopt(http->curl, CURLOPT_WRITEDATA, &c);
    if (!post->patient) {
        (void)http->lib->easy_setopt(http->curl, CURLOPT_NOPROGRESS, 0L);
        (void)http->lib->easy_setopt(http->curl, CURLOPT_XFERINFOFUNCTION, watch_idle);
        (void)http->lib->easy_setopt(http->curl, CURLOPT_XFERINFODATA, &c);
    }
    code = http->lib->easy_perform(http->curl);
    note_loss(http, post, code);
    (void)http->lib->easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &reply->status);
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
    http->lib->easy_reset(http->curl);
    http->lib->slist_free_all(headers);
    free(url);
}
