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
 * A file, and settings ("memory=64") that come before what it says.  known: the keys that may be
 * set, NULL behind the last.  NULL after a message that names the file and the line.
 */
struct settings *settings_read(const char *path, int n, char **before, const char *const *known);
void settings_free(struct settings *s); /* NULL is allowed */

bool settings_has(const struct settings *s, const char *key);
/* 0, with *value (malloc'ed) as it was when the key is not set; or -1 after a message. */
int settings_string(struct settings *s, const char *key, char **value);
int settings_number(struct settings *s, const char *key, uint64_t min, uint64_t max,
                    uint64_t *value);

/* ---- settings_keys.c ---- */

/*
 * The next setting's key in a text that xl's library takes: its length, and *key, *line where it
 * begins.  *at and *line begin as the text and 1.  0 behind the last one.
 */
size_t settings_next_key(const char **at, const char **key, unsigned int *line);

#endif /* XL_SIM_SETTINGS_H */
