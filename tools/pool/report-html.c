/* SPDX-License-Identifier: MIT */
/*
 * Text on its way into a page.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report-private.h"
#include "util.h"
#include "xc_text.h"

static void write_byte(FILE *f, char c)
{
    switch (c) {
    case '&':
        (void)fputs("&amp;", f);
        break;
    case '<':
        (void)fputs("&lt;", f);
        break;
    case '>':
        (void)fputs("&gt;", f);
        break;
    case '"':
        (void)fputs("&quot;", f);
        break;
    case '\'':
        (void)fputs("&#39;", f);
        break;
    default:
        (void)fputc(c, f);
    }
}

static void write_text(FILE *f, const char *text)
{
    size_t size = xc_text_safe(text, strlen(text), NULL, 0) + 1;
    char *safe = xcalloc(size, 1);

    (void)xc_text_safe(text, strlen(text), safe, size);
    for (const char *c = safe; *c; c++)
        write_byte(f, *c);
    free(safe);
}

/* Write one argument; returns what follows its place in the format. */
static const char *write_argument(FILE *f, const char *at, va_list *ap)
{
    switch (at[1]) {
    case 's': {
        const char *text = va_arg(*ap, const char *);

        write_text(f, text ? text : "");
        return at + 2;
    }
    case 'z': /* "zu" */
        (void)fprintf(f, "%zu", va_arg(*ap, size_t));
        return at + 3;
    case 'u':
        (void)fprintf(f, "%u", va_arg(*ap, unsigned int));
        return at + 2;
    case 'd':
        (void)fprintf(f, "%d", va_arg(*ap, int));
        return at + 2;
    default: /* "%%" */
        (void)fputc('%', f);
        return at + 2;
    }
}

void html(FILE *f, const char *markup, ...)
{
    va_list ap;

    va_start(ap, markup);
    for (const char *at = markup; *at;) {
        size_t plain = strcspn(at, "%");

        (void)fwrite(at, 1, plain, f);
        at += plain;
        if (*at)
            at = write_argument(f, at, &ap);
    }
    va_end(ap);
}
