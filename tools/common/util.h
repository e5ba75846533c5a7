/* SPDX-License-Identifier: MIT */
/*
 * Small things that every part of our commands needs.
 */
#ifndef COMMON_UTIL_H
#define COMMON_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* What messages begin with: "xenlevel".  Set once, by main(), when it is another program. */
extern const char *program_name;

/*
 * Call what set_out_of_memory() has set, say on standard error that there is no memory, and end the
 * program with status 2: a command has nothing better to do.  Does not return.
 */
void out_of_memory(void) __attribute__((noreturn));
/*
 * Set what out_of_memory() calls first.  end() may say it and end the program in a way of its own;
 * it must not need memory.  NULL: nothing, as at the beginning.
 */
void set_out_of_memory(void (*end)(void));

/* As the functions of the C library; when there is no memory they call out_of_memory(). */
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Write the time as RFC 3339 in UTC, 20 characters and a NUL: SOURCE_DATE_EPOCH, or now. */
void date_now(char buf[static 21]);

/* Read such a time into *t, seconds since 1970.  False: it is no such text, and *t is not set. */
bool date_read(const char *text, time_t *t);

/* Return the part of a path behind the last '/', without `suffix`; malloc'ed. */
char *base_name(const char *path, const char *suffix);

/* Return whether s ends with this suffix. */
bool ends_with(const char *s, const char *suffix);

#endif /* COMMON_UTIL_H */
