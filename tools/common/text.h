/* SPDX-License-Identifier: MIT */
/* Text into a fixed buffer, wrapped to a width. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct text {
    char *buf;
    size_t size, len;
    unsigned int width; /* 0: never wrapped */
    bool cut;           /* something did not fit: what is there ends with a whole character */

    /* between text_stream() and text_join() */
    FILE *stream;
    char *streamed;
    size_t streamed_size;
};

/* Begin with an empty text in buf[size]. */
void text_init(struct text *t, char *buf, size_t size, unsigned int width);

/*
 * What follows calls out_of_memory() (util.h) when there is none.
 */

/* Append as it is, without a newline. */
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append one line and its newline.  Where it is longer than the width it is broken at blanks, and
 * what follows is indented by `hanging` columns.
 */
void text_line(struct text *t, unsigned int hanging, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Return a stream for functions that print; text_join() closes it and appends what they printed. */
FILE *text_stream(struct text *t);
void text_join(struct text *t);

#endif /* COMMON_TEXT_H */
