/* SPDX-License-Identifier: MIT */
/*
 * Which keys a configuration sets.  xl's library answers for the keys it is asked for and cannot be
 * asked which others there are: but a key that nobody reads is a typing error.
 */
#include <ctype.h>
#include <string.h>

#include "settings.h"

/* Behind a string that begins here; a quote or backslash in it has a backslash before it. */
static const char *skip_string(const char *at, unsigned int *line)
{
    char quote = *at++;

    while (*at && *at != quote) {
        if (*at == '\\' && at[1])
            at++;
        *line += *at == '\n';
        at++;
    }
    return *at ? at + 1 : at;
}

/* Behind the value that begins here: at the end of its line, or at ';', outside of any list. */
static const char *skip_value(const char *at, unsigned int *line)
{
    unsigned int depth = 0;

    while (*at && !(depth == 0 && (*at == '\n' || *at == ';'))) {
        if (*at == '\'' || *at == '"') {
            at = skip_string(at, line);
            continue;
        }
        if (*at == '#') {
            at += strcspn(at, "\n");
            continue;
        }
        depth += *at == '[';
        depth -= *at == ']' && depth;
        *line += *at == '\n';
        at++;
    }
    return at;
}

size_t settings_next_key(const char **at, const char **key, unsigned int *line)
{
    const char *s = *at;
    size_t len;

    /* First what the last key was set to: *line was the key's, and a value can be many lines. */
    s += strspn(s, " \t");
    if (*s == '=' || *s == '+')
        s = skip_value(s, line);

    for (;;) {
        s += strspn(s, " \t\r;");
        if (*s == '#')
            s += strcspn(s, "\n");
        if (*s != '\n')
            break;
        ++*line;
        s++;
    }
    for (len = 0; isalnum((unsigned char)s[len]) || s[len] == '_'; len++)
        ;
    *key = s;
    *at = s + len;
    return len;
}
