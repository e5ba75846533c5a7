/* SPDX-License-Identifier: MIT */
/*
 * Settings of a configuration in xl.cfg's syntax: text and numbers, not yet what they mean.
 */
#ifndef XL_SIM_SETTINGS_H
#define XL_SIM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings;

/*
 * Read a configuration file, and n settings of the command line ("memory=64"), which come before
 * what the file says.  known: the keys that may be set, NULL behind the last.  NULL after a message
 * that names the file and the line.
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

/* ---- settings_keys.c ---- */

/*
 * Find the key of the next setting in a text that xl's library takes.  Returns its length, and in
 * *key and *line where it begins; 0 behind the last one.  *at and *line are the text and 1 at
 * first.
 */
size_t settings_next_key(const char **at, const char **key, unsigned int *line);

#endif /* XL_SIM_SETTINGS_H */
