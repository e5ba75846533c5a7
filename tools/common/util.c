/* SPDX-License-Identifier: MIT */
/*
 * Small things that every part of our commands needs.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util.h"

const char *program_name = "xenlevel";

static void (*last_words)(void);

void set_out_of_memory(void (*end)(void))
{
    last_words = end;
}

void out_of_memory(void)
{
    if (last_words)
        last_words();
    (void)fputs(program_name, stderr);
    (void)fputs(": out of memory\n", stderr);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size ? size : 1);

    if (!q)
        out_of_memory();
    return q;
}

char *xstrdup(const char *s)
{
    char *copy = strdup(s);

    if (!copy)
        out_of_memory();
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        out_of_memory();
    return text;
}

void date_now(char buf[static 21])
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t now = time(NULL);
    struct tm tm;

    if (epoch) {
        char *end;
        long long given;

        errno = 0;
        given = strtoll(epoch, &end, 10);
        if (!errno && !*end && given >= 0)
            now = (time_t)given;
    }
    if (!gmtime_r(&now, &tm) || !strftime(buf, 21, "%Y-%m-%dT%H:%M:%SZ", &tm))
        (void)snprintf(buf, 21, "1970-01-01T00:00:00Z");
}

bool date_read(const char *text, time_t *t)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);

    if (!end || *end)
        return false;
    *t = timegm(&tm);
    return true;
}

bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);

    return n >= m && !strcmp(s + n - m, suffix);
}

char *base_name(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/');
    char *name = xstrdup(slash ? slash + 1 : path);

    if (ends_with(name, suffix) && strlen(name) > strlen(suffix))
        name[strlen(name) - strlen(suffix)] = '\0';
    return name;
}
