/* SPDX-License-Identifier: MIT */
/*
 * What people read: text wrapped to the terminal, tables, and messages on standard error.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "logger.h"
#include "out.h"
#include "util.h"
#include "xc_text.h"

#define NARROWEST  40u
#define LEAST_ROOM 24u /* columns for the last cell of a row: with less it goes on further left */
#define ERASE_LINE "\r\033[K" /* ECMA-48: CR, and EL to the end of the line */

unsigned int out_width(FILE *f)
{
    const char *columns = getenv("COLUMNS"); /* NOLINT(concurrency-mt-unsafe): one thread */
    struct winsize size;
    int fd = fileno(f);

    if (!isatty(fd))
        return 0;
    if (columns) {
        char *end;
        unsigned long n = strtoul(columns, &end, 10);

        if (*columns && !*end && n >= NARROWEST && n < 10000)
            return (unsigned int)n;
    }
    if (!ioctl(fd, TIOCGWINSZ, &size) && size.ws_col >= NARROWEST)
        return size.ws_col;
    return 80;
}

/* How many columns n bytes of UTF-8 take: continuation bytes take none. */
static size_t columns_of(const char *s, size_t n)
{
    size_t columns = 0;

    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)s[i] & 0xc0) != 0x80;
    return columns;
}

static void put_blanks(FILE *f, size_t n)
{
    (void)fprintf(f, "%*s", (int)n, "");
}

/* Words up to the width; `at` is the column where the text begins; fresh: no word stands before it.
 */
static void wrap_words(FILE *f, const char *text, size_t at, size_t hanging, bool fresh,
                       unsigned int width)
{
    size_t gap = 0;

    while (*text) {
        size_t len, word;

        if (*text == '\n') {
            (void)fputc('\n', f);
            text++;
            if (*text)
                put_blanks(f, hanging);
            at = hanging;
            fresh = true;
            gap = 0;
            continue;
        }
        if (*text == ' ') {
            gap++;
            text++;
            continue;
        }
        len = strcspn(text, " \n");
        word = columns_of(text, len);
        if (width && !fresh && at + gap + word > width) {
            (void)fputc('\n', f);
            put_blanks(f, hanging);
            at = hanging;
        } else {
            put_blanks(f, gap);
            at += gap;
        }
        (void)fwrite(text, 1, len, f);
        at += word;
        text += len;
        fresh = false;
        gap = 0;
    }
}

void out_wrap(FILE *f, unsigned int width, unsigned int indent, unsigned int hanging,
              const char *text)
{
    put_blanks(f, indent);
    wrap_words(f, text, indent, hanging, true, width);
}

char *out_wrapped(unsigned int width, unsigned int indent, unsigned int hanging, const char *text)
{
    char *lines = NULL;
    size_t size;
    FILE *f = open_memstream(&lines, &size);

    if (!f)
        return NULL;
    out_wrap(f, width, indent, hanging, text);
    (void)fputc('\n', f);
    if (!fclose(f))
        return lines;
    free(lines);
    return NULL;
}

void out_words(FILE *f, unsigned int indent, unsigned int hanging, const char *text)
{
    out_wrap(f, out_width(f), indent, hanging, text);
    (void)fputc('\n', f);
}

char *out_vformat(const char *fmt, va_list ap)
{
    char *text = xc_text_vformat(fmt, ap);

    if (!text)
        out_of_memory();
    return text;
}

void out_text(FILE *f, unsigned int indent, unsigned int hanging, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    out_words(f, indent, hanging, text);
    free(text);
}

static char *safe_copy(const char *text, size_t len)
{
    size_t size = xc_text_safe(text, len, NULL, 0) + 1;
    char *copy = xcalloc(size, 1);

    (void)xc_text_safe(text, len, copy, size);
    return copy;
}

void out_safe(FILE *f, const char *text, size_t len)
{
    char *safe = safe_copy(text, len);

    (void)fputs(safe, f);
    free(safe);
}

void out_print(FILE *f, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    (void)fputs(text, f);
    free(text);
}

static bool line_shown;

void out_line(const char *fmt, ...)
{
    unsigned int width = out_width(stderr);
    va_list ap;
    char *text;

    if (!width)
        return;
    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    out_print(stderr, ERASE_LINE "%.*s", (int)width - 1, text);
    (void)fflush(stderr); /* it ends no line */
    line_shown = true;
    free(text);
}

void out_line_end(void)
{
    if (line_shown && fputs(ERASE_LINE, stderr) >= 0)
        (void)fflush(stderr);
    line_shown = false;
}

static void print_message(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static void print_message(const char *fmt, va_list ap)
{
    char *text, *line;

    (void)fflush(stdout);
    out_line_end();
    text = out_vformat(fmt, ap);
    line = xasprintf("%s: %s", program_name, text);
    out_words(stderr, 0, 2, line);
    free(line);
    free(text);
}

void warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_message(fmt, ap);
    va_end(ap);
}

int complain(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_message(fmt, ap);
    va_end(ap);
    return 2;
}

static void warn_of_line(xentoollog_level level, int err, const char *context, const char *line)
{
    (void)err;
    (void)context;
    if (level >= XTL_WARN)
        warn("%s", line);
}

struct xentoollog_logger *out_logger(void)
{
    static struct logger logger;

    return logger_init(&logger, warn_of_line, NULL);
}

void table_init(struct table *t, unsigned int columns, unsigned int indent)
{
    memset(t, 0, sizeof(*t));
    t->columns = columns;
    t->indent = indent;
}

void table_row(struct table *t, ...)
{
    va_list ap;

    if (t->rows == t->room) {
        t->room = t->room ? t->room * 2 : 16;
        t->cells = xrealloc(t->cells, t->room * t->columns * sizeof(*t->cells));
    }
    va_start(ap, t);
    for (unsigned int i = 0; i < t->columns; i++) {
        const char *cell = va_arg(ap, const char *);

        t->cells[t->rows * t->columns + i] = safe_copy(cell ? cell : "", cell ? strlen(cell) : 0);
    }
    va_end(ap);
    t->rows++;
}

static size_t column_width(const struct table *t, unsigned int column)
{
    size_t widest = 0;

    for (size_t row = 0; row < t->rows; row++) {
        const char *cell = t->cells[row * t->columns + column];
        size_t width = columns_of(cell, strlen(cell));

        if (width > widest)
            widest = width;
    }
    return widest;
}

void table_print(struct table *t, FILE *f)
{
    table_print_to(t, f, out_width(f));
}

void table_print_to(struct table *t, FILE *f, unsigned int width)
{
    size_t *widths = xcalloc(t->columns, sizeof(*widths));

    for (unsigned int i = 0; i < t->columns; i++)
        widths[i] = column_width(t, i);
    for (size_t row = 0; row < t->rows; row++) {
        size_t at = t->indent;
        char **cells = t->cells + row * t->columns;
        unsigned int last = t->columns - 1;

        while (last > 0 && !cells[last][0]) /* no blanks at the ends of lines */
            last--;
        put_blanks(f, t->indent);
        for (unsigned int i = 0; i < last; i++) {
            (void)fputs(cells[i], f);
            put_blanks(f, widths[i] - columns_of(cells[i], strlen(cells[i])) + 2);
            at += widths[i] + 2;
        }
        if (width && at + LEAST_ROOM > width)
            wrap_words(f, cells[last], at, t->indent + 2, last == 0, width);
        else
            wrap_words(f, cells[last], at, at, true, width);
        (void)fputc('\n', f);
    }
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->cells[i]);
    free((void *)t->cells);
    free(widths);
    memset(t, 0, sizeof(*t));
}

const char *plural(char *buf, size_t size, size_t n, const char *one, const char *many)
{
    (void)snprintf(buf, size, "%zu %s", n, n == 1 ? one : many);
    return buf;
}
