/* SPDX-License-Identifier: MIT */
/*
 * Settings of a configuration, by xl's own library: text and numbers, not yet what they mean.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "settings.h"
#include "util.h"
#include "xlu.h"

#define MAX_SIZE (1u << 20) /* of a file */

struct settings {
    struct xlu xlu;
    XLU_Config *file, *before; /* `before`: of the command line */
    FILE *report;              /* what xl's library says goes into `said` */
    char *said;
    size_t said_len;
};

/* Pass on what the library has said, if it has; true when it has. */
static bool pass_on(struct settings *s)
{
    char *line, *rest = NULL;
    bool any = false;

    (void)fflush(s->report);
    for (line = strtok_r(s->said, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        warn("%s", line);
        any = true;
    }
    return any;
}

/* ---- text ---- */

/* The whole file, malloc'ed; NULL after a message. */
static char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = xcalloc(1, MAX_SIZE + 1);
    size_t n = 0;

    if (f)
        n = fread(text, 1, MAX_SIZE, f);
    if (!f || ferror(f)) {
        warn("%s: %s", path, strerror(errno));
    } else if (!feof(f) && fgetc(f) != EOF) {
        warn("%s: too large for a configuration", path);
    } else if (strlen(text) != n) {
        warn("%s: this is not text", path);
    } else {
        (void)fclose(f);
        return text;
    }
    if (f)
        (void)fclose(f);
    free(text);
    return NULL;
}

/* A value as xl's library wants it: what is no number, list or quoted string becomes a string. */
static char *quote_value(const char *value)
{
    size_t digits = strspn(value, "0123456789");

    if (strchr("'\"[", value[0]) || (digits && !value[digits]))
        return xstrdup(value);
    return strchr(value, '\'') ? xasprintf("\"%s\"", value) : xasprintf("'%s'", value);
}

/* "memory=64", "guest=writer" -> lines of a configuration, malloc'ed; NULL after a message. */
static char *settings_text(int n, char **settings)
{
    char *text = xstrdup("");

    for (int i = 0; i < n; i++) {
        const char *equals = strchr(settings[i], '=');
        char *value, *more;

        if (!equals || equals == settings[i]) {
            warn("'%s' is not a setting: KEY=VALUE", settings[i]);
            free(text);
            return NULL;
        }
        value = quote_value(equals + 1);
        more = xasprintf("%s%.*s = %s\n", text, (int)(equals - settings[i]), settings[i], value);
        free(value);
        free(text);
        text = more;
    }
    return text;
}

/* ---- keys ---- */

static bool is_known(const char *const *known, const char *key, size_t len)
{
    for (; *known; known++)
        if (strlen(*known) == len && !strncmp(*known, key, len))
            return true;
    return false;
}

/* -1 after a message for each key that is not known. */
static int check_keys(const char *const *known, const char *where, const char *text)
{
    const char *key;
    unsigned int line = 1;
    size_t len;
    int rc = 0;

    while (known && (len = settings_next_key(&text, &key, &line)) != 0)
        if (!is_known(known, key, len)) {
            warn("%s:%u: a simulated guest has no setting '%.*s'", where, line, (int)len, key);
            rc = -1;
        }
    return rc;
}

/* NULL after a message. */
static XLU_Config *parse_text(struct settings *s, const char *const *known, const char *where,
                              const char *text)
{
    XLU_Config *config = s->xlu.init(s->report, where);

    if (!config) {
        warn("out of memory");
        return NULL;
    }
    if (!s->xlu.readdata(config, text, (int)strlen(text)) && !check_keys(known, where, text))
        return config;
    (void)pass_on(s);
    s->xlu.destroy(config);
    return NULL;
}

static int parse_both(struct settings *s, const char *const *known, const char *path, int n,
                      char **before)
{
    char *text = read_text(path);

    if (text)
        s->file = parse_text(s, known, path, text);
    free(text);
    if (!s->file)
        return -1;
    text = settings_text(n, before);
    if (text)
        s->before = parse_text(s, known, "command line", text);
    free(text);
    return s->before ? 0 : -1;
}

/* ---- values ---- */

/* The configuration that sets this key; NULL when neither does. */
static const XLU_Config *find_owner(const struct settings *s, const char *key)
{
    const char *value;

    /* A list is set too: it is for the one who wants the value to complain of. */
    if (s->xlu.get_string(s->before, key, &value, 1) != ESRCH)
        return s->before;
    return s->xlu.get_string(s->file, key, &value, 1) != ESRCH ? s->file : NULL;
}

/* 0, with *value as it was when the key is not set; or -1 after a message. */
int settings_string(struct settings *s, const char *key, char **value)
{
    const XLU_Config *config = find_owner(s, key);
    const char *text;

    if (!config)
        return 0;
    if (s->xlu.get_string(config, key, &text, 0)) {
        (void)pass_on(s);
        return -1;
    }
    free(*value);
    *value = xstrdup(text);
    return 0;
}

int settings_number(struct settings *s, const char *key, uint64_t min, uint64_t max,
                    uint64_t *value)
{
    const XLU_Config *config = find_owner(s, key);
    long number;

    if (!config)
        return 0;
    if (s->xlu.get_long(config, key, &number, 0)) {
        if (!pass_on(s))
            warn("'%s' is not a number that fits", key);
        return -1;
    }
    if (number < 0 || (uint64_t)number < min || (uint64_t)number > max) {
        warn("%s = %ld: it must be from %llu to %llu", key, number, (unsigned long long)min,
             (unsigned long long)max);
        return -1;
    }
    *value = (uint64_t)number;
    return 0;
}

bool settings_has(const struct settings *s, const char *key)
{
    return find_owner(s, key) != NULL;
}

int settings_list(const struct settings *s, const char *key, const char ***items, size_t *n)
{
    const XLU_Config *config = find_owner(s, key);
    XLU_ConfigList *list;
    int entries;

    *items = NULL;
    *n = 0;
    if (!config || s->xlu.get_list(config, key, &list, &entries, 1))
        return 1;
    *items = xcalloc((size_t)entries + 1, sizeof(char *));
    for (int i = 0; i < entries; i++) {
        (*items)[i] = s->xlu.get_listitem(list, i);
        if (!(*items)[i]) {
            warn("%s: item %d is no string", key, i + 1);
            free((void *)*items);
            return -1;
        }
    }
    *n = (size_t)entries;
    return 0;
}

struct settings *settings_read(const char *path, int n, char **before, const char *const *known)
{
    struct settings *s = xcalloc(1, sizeof(*s));

    s->report = open_memstream(&s->said, &s->said_len);
    if (!s->report)
        warn("out of memory");
    else if (!xlu_open(&s->xlu) && !parse_both(s, known, path, n, before))
        return s;
    settings_free(s);
    return NULL;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    if (s->file)
        s->xlu.destroy(s->file);
    if (s->before)
        s->xlu.destroy(s->before);
    if (s->report)
        (void)fclose(s->report);
    xlu_close(&s->xlu);
    free(s->said);
    free(s);
}
