/* SPDX-License-Identifier: MIT */
/* Text into a fixed buffer, wrapped to a width. */
#ifndef GATE_TEXT_H
#define GATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *buf;
    size_t size, len;
    unsigned int width; /* 0: never wrapped */
    bool cut;           /* something did not fit */
};

void text_init(struct text *t, char *buf, size_t size, unsigned int width);

/* Append as it is, without a newline. */
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Append one line and its newline.  Where it is longer than the width it is broken at blanks, and
 * what follows is indented by `hang` columns.
 */
void text_line(struct text *t, unsigned int hang, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* GATE_TEXT_H */
