/* SPDX-License-Identifier: MIT */
/* Text into a fixed buffer, wrapped to a width: see text.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "text.h"
#include "util.h"
#include "xc_text.h"

void text_init(struct text *t, char *buf, size_t size, unsigned int width)
{
    *t = (struct text){.buf = buf, .size = size, .width = width};
    buf[0] = '\0';
}

/* At most n of the bytes at s: no character of UTF-8 is cut in two. */
static size_t cut_to_characters(const char *s, size_t n)
{
    while (n && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void append_bytes(struct text *t, const char *s, size_t n)
{
    if (n > t->size - 1 - t->len) {
        n = cut_to_characters(s, t->size - 1 - t->len);
        t->cut = true;
    }
    memcpy(t->buf + t->len, s, n);
    t->len += n;
    t->buf[t->len] = '\0';
}

/* Append the text, which is freed; NULL: there was no memory for it. */
static void append_text(struct text *t, char *text)
{
    if (!text)
        out_of_memory();
    append_bytes(t, text, strlen(text));
    free(text);
}

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    append_text(t, xc_text_vformat(fmt, ap));
    va_end(ap);
}

void text_line(struct text *t, unsigned int hanging, const char *fmt, ...)
{
    va_list ap;
    char *line;

    va_start(ap, fmt);
    line = out_vformat(fmt, ap);
    va_end(ap);
    append_text(t, out_wrapped(t->width, 0, hanging, line));
    free(line);
}

FILE *text_stream(struct text *t)
{
    t->stream = open_memstream(&t->streamed, &t->streamed_size);
    if (!t->stream)
        out_of_memory();
    return t->stream;
}

void text_join(struct text *t)
{
    if (fclose(t->stream))
        out_of_memory();
    t->stream = NULL;
    append_text(t, t->streamed);
}
