/* SPDX-License-Identifier: MIT */
/*
 * Hosts and guests of a pool in words, for the commands that plan.
 */
#ifndef XENLEVEL_POOL_LISTS_H
#define XENLEVEL_POOL_LISTS_H

#include "json.h"
#include "matrix.h"

#define LIST_MOST 6u /* names in a line; the rest is counted */

/* Return "a, b and 3 others": the hosts of a column; most 0: all of them.  malloc'ed. */
char *list_hosts(const struct pool_matrix *m, size_t column, size_t most);
/* Return the same of the guests of a row. */
char *list_guests(const struct pool_matrix *m, size_t row, size_t most);

/* Append a name to a list that list_end() ends; *list is NULL at first. */
void list_add(char **list, size_t *n, size_t most, const char *name);
/* Return the whole list, malloc'ed, and free *list. */
char *list_end(char **list, size_t *n, size_t most);

/* Return "A" .. "Z", "AA", ...: the name of class i; buf of 16 bytes. */
const char *class_name(size_t i, char *buf);
/* Return what a host's CPU calls itself. */
const char *capture_cpu(const struct pool *p, size_t capture);
/* Return "PV", "HVM/PVH", or "?" where it is not known. */
const char *row_type(const struct pool_matrix *m, size_t row);
/* Return "yes", "no" or "unknown". */
const char *verdict_word(enum verdict v);

/* Add members "yes", "no", "unknown". */
void json_counts(struct json *j, const struct matrix_count *c);

/* Read a size, "512M", "2G" (KiB, MiB, GiB, TiB; bytes without a letter).  Returns 0; or -1 after a
 * message. */
int parse_size(const char *option, const char *text, uint64_t *bytes);

#endif /* XENLEVEL_POOL_LISTS_H */
