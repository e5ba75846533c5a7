/* SPDX-License-Identifier: MIT */
/*
 * Settings of a configuration in xl.cfg's syntax: text and numbers, not yet what they mean.
 */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

/*
 * Read a configuration file, and n settings of the command line ("memory=64"), which come before
 * what the file says.  known: the keys that may be set, NULL behind the last; NULL: any key may be.
 * Returns NULL after a message that names the file and the line.
 */
struct settings *settings_read(const char *path, int n, char **before, const char *const *known);
/* Free them; NULL is allowed. */
void settings_free(struct settings *s);

/* Return whether the key is set. */
bool settings_has(const struct settings *s, const char *key);
/*
 * Get what a key is set to: text (malloc'ed; the old *value is freed), a number from min to max.
 * 0, with *value as it was when the key is not set; or -1 after a message.
 */
int settings_string(struct settings *s, const char *key, char **value);
int settings_number(struct settings *s, const char *key, uint64_t min, uint64_t max,
                    uint64_t *value);

/*
 * Get what a key is set to when that is a list of strings: *items of *n, which belong to *s, in an
 * array for the caller to free.  0; 1 when the key is set to something else, or not at all; or -1
 * after a message.
 */
int settings_list(const struct settings *s, const char *key, const char ***items, size_t *n);

/* ---- settings_keys.c ---- */

/*
 * Find the key of the next setting in a text that xl's library takes.  Returns its length, and in
 * *key and *line where it begins; 0 behind the last one.  *at and *line are the text and 1 at
 * first.
 */
size_t settings_next_key(const char **at, const char **key, unsigned int *line);

#endif /* COMMON_SETTINGS_H */
