/* SPDX-License-Identifier: MIT */
/* See etcd_where.h. */
#include "etcd_where.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "util.h"
#include "xc_text.h"

#define SCHEME         "etcd:"
#define DEFAULT_PORT   "2379"
#define DEFAULT_PREFIX "/xenlevel"

static int say_invalid(char *why, size_t size, const char *url, const char *what)
{
    (void)xc_text_print(
        why, size, "'%s' is no address of etcd: %s (etcd:https://HOST:2379,.../PREFIX)", url, what);
    errno = EINVAL;
    return -1;
}

/* "/PREFIX" behind the last address, without slashes at its end. */
static bool prefix_is_valid(const char *prefix)
{
    static const char usual[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789._%-/";

    return prefix[0] == '/' && prefix[1] && strlen(prefix) <= STORE_KEY_MAX &&
           !strstr(prefix, "//") && !prefix[strspn(prefix, usual)];
}

static char *get_part(const struct etcd_curl *curl, CURLU *url, CURLUPart part)
{
    char *text = NULL, *copy;

    if (curl->url_get(url, part, &text, 0))
        return NULL;
    copy = xstrdup(text);
    curl->free(text);
    return copy;
}

static bool has_part(const struct etcd_curl *curl, CURLU *url, CURLUPart part)
{
    char *text = get_part(curl, url, part);

    free(text);
    return text;
}

/* Keep the path of the last address as the prefix. */
static int take_prefix(struct etcd_where *w, const char *path, bool last, char *why, size_t size)
{
    size_t len = strlen(path);
    char *prefix;

    while (len && path[len - 1] == '/')
        len--;
    if (!len)
        return 0;
    prefix = xasprintf("%.*s", (int)len, path);
    if (!last || !prefix_is_valid(prefix)) {
        (void)say_invalid(why, size, prefix,
                          last ? "it has other characters than letters, digits and . _ % - /"
                               : "a prefix stands behind the last address");
        free(prefix);
        return -1;
    }
    free(w->prefix);
    w->prefix = xasprintf("%s/", prefix);
    free(prefix);
    return 0;
}

static int take_parts(const struct etcd_curl *curl, struct etcd_where *w, CURLU *url, bool last,
                      char *why, size_t size)
{
    char *scheme = get_part(curl, url, CURLUPART_SCHEME),
         *host = get_part(curl, url, CURLUPART_HOST), *port = get_part(curl, url, CURLUPART_PORT),
         *path = get_part(curl, url, CURLUPART_PATH);
    int rc = -1;

    if (!scheme || !host || (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
        (void)say_invalid(why, size, host ? host : "", "it begins with https://, or http://");
    else if (has_part(curl, url, CURLUPART_USER) || has_part(curl, url, CURLUPART_PASSWORD))
        (void)say_invalid(why, size, host,
                          "a user and a password_file stand in the section [etcd] of pool.conf");
    else if (has_part(curl, url, CURLUPART_QUERY) || has_part(curl, url, CURLUPART_FRAGMENT))
        (void)say_invalid(why, size, host, "there is a '?' or a '#' behind it");
    else
        rc = take_prefix(w, path ? path : "", last, why, size);
    if (!rc)
        w->endpoints[w->n++] = xasprintf("%s://%s:%s", scheme, host, port ? port : DEFAULT_PORT);
    free(scheme);
    free(host);
    free(port);
    free(path);
    return rc;
}

static int take_endpoint(const struct etcd_curl *curl, struct etcd_where *w, const char *text,
                         bool last, char *why, size_t size)
{
    CURLU *url = curl->url();
    int rc;

    if (!url)
        out_of_memory();
    if (w->n == ETCD_ENDPOINTS_MAX)
        rc = say_invalid(why, size, text, "more than 16 of them");
    else if (curl->url_set(url, CURLUPART_URL, text, 0))
        rc = say_invalid(why, size, strchr(text, '@') ? strrchr(text, '@') + 1 : text,
                         "it has another form");
    else
        rc = take_parts(curl, w, url, last, why, size);
    curl->url_cleanup(url);
    return rc;
}

int etcd_where_parse(const struct etcd_curl *curl, const char *where, struct etcd_where *w,
                     char *why, size_t size)
{
    char *copy, *rest;
    int rc = 0;

    *w = (struct etcd_where){.prefix = xstrdup(DEFAULT_PREFIX "/")};
    if (strncmp(where, SCHEME, sizeof(SCHEME) - 1) != 0)
        return say_invalid(why, size, where, "it begins with etcd:");
    rest = copy = xstrdup(where + sizeof(SCHEME) - 1);
    while (rest && !rc) {
        const char *text = strsep(&rest, ",");

        rc = take_endpoint(curl, w, text, !rest, why, size);
    }
    free(copy);
    return rc;
}

void etcd_where_free(struct etcd_where *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->endpoints[i]);
    free(w->prefix);
    *w = (struct etcd_where){0};
}

char *etcd_where_name(const struct etcd_where *w)
{
    char *name = xstrdup("etcd at"), *whole;

    for (size_t i = 0; i < w->n; i++) {
        char *longer = xasprintf("%s%s %s", name, i ? "," : "", w->endpoints[i]);

        free(name);
        name = longer;
    }
    /* without the slash at its end */
    whole = xasprintf("%s, below %.*s", name, (int)strlen(w->prefix) - 1, w->prefix);
    free(name);
    return whole;
}
