/* SPDX-License-Identifier: MIT */
/*
 * What people read: text wrapped to the terminal, tables, and messages on standard error.
 */
#ifndef COMMON_OUT_H
#define COMMON_OUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <xentoollog.h>

/* Return how many columns the terminal behind f has; 0 when it is none: nothing is wrapped then. */
unsigned int out_width(FILE *f);

/*
 * Every function here that takes a format prints the arguments of %s and %c as xc_text_safe() makes
 * them: names come from files and from xenstore.  '\n' in the format itself ends a line.
 */

/* Return such a text, malloc'ed; without memory it calls out_of_memory(). */
char *out_vformat(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* Print one paragraph, wrapped: the first line begins with `indent` blanks, the others with
 * `hanging`. */
void out_text(FILE *f, unsigned int indent, unsigned int hanging, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Do the same for text of the program's own: it is printed as it is, with its line ends. */
void out_words(FILE *f, unsigned int indent, unsigned int hanging, const char *text);

/*
 * Do the same for a given width: lines are broken at blanks after at most `width` columns (0:
 * never), and a word that is longer stays whole.  out_wrap() ends no line; out_wrapped() returns
 * the lines as malloc()'ed text with a line end, or NULL when there is no memory.
 */
void out_wrap(FILE *f, unsigned int width, unsigned int indent, unsigned int hanging,
              const char *text);
char *out_wrapped(unsigned int width, unsigned int indent, unsigned int hanging, const char *text);

/* Print as fprintf() does: nothing is wrapped, and no line end is added. */
void out_print(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Print text[0..len), made safe; it may have NULs. */
void out_safe(FILE *f, const char *text, size_t len);

/* Print a message on standard error, with the program's name in front, wrapped. */
void warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Do the same.  Returns 2, the status for bad usage and bad input. */
int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Print a line on standard error about what goes on.  The next one, a message, or out_line_end()
 * takes it away.  It is cut to the terminal's width; where there is no terminal nothing is printed.
 */
void out_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void out_line_end(void);

/* Returns a logger for libxenlevel that prints warnings and errors as warn() does. */
struct xentoollog_logger *out_logger(void);

/*
 * Rows of text; every column but the last is as wide as its widest cell, the last one wraps: below
 * where it begins, or where that is too far to the right, a little to the right of the indent.
 */
struct table {
    unsigned int columns, indent;
    size_t rows, room;
    char **cells;
};

/* Begin a table without rows. */
void table_init(struct table *t, unsigned int columns, unsigned int indent);
/* Add a row: as many strings as the table has columns, which are copied and made safe; NULL is an
 * empty cell. */
void table_row(struct table *t, ...);
/* Print, and free what the table holds.  table_print_to() wraps at a given width (0: never). */
void table_print(struct table *t, FILE *f);
void table_print_to(struct table *t, FILE *f, unsigned int width);

/* Write "1 feature" or "2 features" to buf[size], and return buf. */
const char *plural(char *buf, size_t size, size_t n, const char *one, const char *many);

#endif /* COMMON_OUT_H */
