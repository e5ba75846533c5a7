/* SPDX-License-Identifier: MIT */
/* Text into a fixed buffer, wrapped to a width: see text.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "xc_text.h"

void text_init(struct text *t, char *buf, size_t size, unsigned int width)
{
    t->buf = buf;
    t->size = size;
    t->len = 0;
    t->width = width;
    t->cut = false;
    buf[0] = '\0';
}

/* At most n of the bytes at s: no character of UTF-8 is cut in two. */
static size_t whole(const char *s, size_t n)
{
    while (n && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void put(struct text *t, const char *s, size_t n)
{
    if (n > t->size - 1 - t->len) {
        n = whole(s, t->size - 1 - t->len);
        t->cut = true;
    }
    memcpy(t->buf + t->len, s, n);
    t->len += n;
    t->buf[t->len] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
    char line[2048];
    va_list ap;

    va_start(ap, fmt);
    (void)xc_text_vprint(line, sizeof(line), fmt, ap);
    va_end(ap);
    put(t, line, strlen(line));
}

/* How many of the bytes at s go into `room` columns: up to a blank, if there is one. */
static size_t fitting(const char *s, size_t room)
{
    size_t n = strlen(s), at = room;

    if (n <= room)
        return n;
    while (at && s[at] != ' ')
        at--;
    return at ? at : whole(s, room);
}

void text_line(struct text *t, unsigned int hang, const char *fmt, ...)
{
    char line[2048];
    const char *s = line;
    size_t indent, width;
    va_list ap;

    va_start(ap, fmt);
    (void)xc_text_vprint(line, sizeof(line), fmt, ap);
    va_end(ap);

    /* Below some width wrapping helps nobody, and a deep indent leaves no room for words. */
    width = t->width ? t->width : sizeof(line);
    if (width < 40)
        width = 40;
    if (hang + 24 > width)
        hang = 6;
    indent = strspn(s, " ");
    for (s += indent;; indent = hang) {
        size_t n = fitting(s, width > indent + 8 ? width - indent : 8);

        for (size_t i = 0; i < indent; i++)
            put(t, " ", 1);
        put(t, s, n);
        put(t, "\n", 1);
        s += n;
        s += strspn(s, " ");
        if (!*s)
            return;
    }
}
