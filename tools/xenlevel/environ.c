/* SPDX-License-Identifier: MIT */
/*
 * Which environment a service, or a login, gives to the programs that it starts.
 *
 * Unit files and their places: systemd.unit(5), systemd.exec(5), "Environment=".
 */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "environ.h"
#include "ask.h"
#include "util.h"

/* ---- lists ---- */

const char *environ_get(const struct environ_list *l, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = l->n; i > 0; i--)
        if (!strncmp(l->words[i - 1], name, len) && l->words[i - 1][len] == '=')
            return l->words[i - 1] + len + 1;
    return NULL;
}

void environ_free(struct environ_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->words[i]);
    free((void *)l->words);
    *l = (struct environ_list){NULL, 0};
}

/* Takes `word` over. */
static void add_word(struct environ_list *l, char *word)
{
    l->words = xrealloc((void *)l->words, (l->n + 1) * sizeof(*l->words));
    l->words[l->n++] = word;
}

/* The next word of *text, quotes and backslashes taken away; NULL when there is none. */
static char *next_word(const char **text)
{
    const char *s = *text + strspn(*text, " \t\n");
    char *word, *to, quote = '\0';

    if (!*s)
        return NULL;
    to = word = xcalloc(1, strlen(s) + 1);
    for (; *s && (quote || !isspace((unsigned char)*s)); s++) {
        if (*s == '\\' && s[1] && quote != '\'')
            *to++ = *++s;
        else if (quote ? *s == quote : (*s == '"' || *s == '\''))
            quote = (char)(quote ? '\0' : *s);
        else
            *to++ = *s;
    }
    *text = s;
    return word;
}

static void add_words(struct environ_list *l, const char *text)
{
    for (char *word; (word = next_word(&text));)
        add_word(l, word);
}

/* ---- files of assignments ---- */

static void add_assignment(struct environ_list *l, char *line)
{
    char *name = line + strspn(line, " \t"), *equals, *value;
    const char *rest;

    if (!strncmp(name, "export ", 7))
        name += 7;
    equals = strchr(name, '=');
    if (*name == '#' || *name == ';' || !equals)
        return;
    *equals = '\0';
    rest = equals + 1;
    value = next_word(&rest);
    add_word(l, xasprintf("%s=%s", name, value ? value : ""));
    free(value);
}

int environ_read_file(struct environ_list *l, const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t size = 0;
    int rc;

    if (!f)
        return errno == ENOENT ? 0 : -1;
    while (getline(&line, &size, f) > 0) {
        line[strcspn(line, "\n")] = '\0';
        add_assignment(l, line);
    }
    rc = ferror(f) ? -1 : 0;
    free(line);
    (void)fclose(f);
    return rc;
}

/* ---- units, from their files ---- */

static const char *const unit_folders[] = {
    "/etc/systemd/system",     "/run/systemd/system", "/run/systemd/generator.late",
    "/usr/lib/systemd/system", "/lib/systemd/system",
};

struct unit_reader {
    const char *root;
    struct unit *u;
};

/* A file that the unit names, with '-' in front when it need not be there. */
static void read_named_file(struct unit_reader *r, const char *name)
{
    char *path = xasprintf("%s%s", r->root, name + (*name == '-'));

    if (environ_read_file(&r->u->list, path))
        r->u->state = UNIT_UNKNOWN;
    free(path);
}

static int take_setting(void *user, const char *section, const char *name, const char *value)
{
    struct unit_reader *r = user;

    if (strcmp(section, "Service") != 0)
        return 1;
    if (!strcmp(name, "Environment") && !*value)
        environ_free(&r->u->list);
    else if (!strcmp(name, "Environment"))
        add_words(&r->u->list, value);
    else if (!strcmp(name, "EnvironmentFile") && *value)
        read_named_file(r, value);
    else
        return 1;
    if (ends_with(value, "\\")) /* it goes on in the next line, which we do not have */
        r->u->state = UNIT_UNKNOWN;
    return 1;
}

/* Is there an Environment= or EnvironmentFile= of more bytes than inih keeps of a line?  It takes
 * the rest for a line of its own. */
static bool has_long_setting(const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    bool found = false;
    size_t size = 0;
    ssize_t n;

    while (f && !found && (n = getline(&line, &size, f)) > 0)
        found = n >= INI_MAX_LINE && !strncmp(line + strspn(line, " \t"), "Environment", 11);
    free(line);
    if (f)
        (void)fclose(f);
    return found;
}

static bool read_unit_file(struct unit_reader *r, const char *path)
{
    if (access(path, F_OK))
        return false;
    if (access(path, R_OK) || has_long_setting(path))
        r->u->state = UNIT_UNKNOWN;
    else
        (void)ini_parse(path, take_setting, r); /* lines that it does not know are skipped */
    return true;
}

static int by_name(const void *a, const void *b)
{
    const char *x = strrchr(*(char *const *)a, '/'), *y = strrchr(*(char *const *)b, '/');

    return strcmp(x, y);
}

/* The drop-ins of all folders, by name; the first folder that has a name hides the others. */
static void read_drop_ins(struct unit_reader *r, const char *name)
{
    char **paths = NULL;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(unit_folders) / sizeof(unit_folders[0]); i++) {
        char *pattern = xasprintf("%s%s/%s.service.d/*.conf", r->root, unit_folders[i], name);
        glob_t g;

        if (!glob(pattern, 0, NULL, &g)) {
            for (size_t k = 0; k < g.gl_pathc; k++) {
                bool hidden = false;

                for (size_t m = 0; m < n && !hidden; m++)
                    hidden = !by_name(&paths[m], &g.gl_pathv[k]);
                if (hidden)
                    continue;
                paths = xrealloc((void *)paths, (n + 1) * sizeof(*paths));
                paths[n++] = xstrdup(g.gl_pathv[k]);
            }
            globfree(&g);
        }
        free(pattern);
    }
    if (n)
        qsort((void *)paths, n, sizeof(*paths), by_name);
    for (size_t i = 0; i < n; i++) {
        (void)read_unit_file(r, paths[i]);
        free(paths[i]);
    }
    free((void *)paths);
}

static void read_unit(const char *root, const char *name, struct unit *u)
{
    struct unit_reader r = {root, u};
    char *script = xasprintf("%s/etc/init.d/%s", root, name);
    bool there = false;

    u->state = UNIT_KNOWN;
    for (size_t i = 0; i < sizeof(unit_folders) / sizeof(unit_folders[0]) && !there; i++) {
        char *path = xasprintf("%s%s/%s.service", root, unit_folders[i], name);

        there = read_unit_file(&r, path);
        free(path);
    }
    /* systemd makes a unit of the script, which drop-ins count for. */
    if (!there && access(script, F_OK))
        u->state = UNIT_ABSENT;
    else
        read_drop_ins(&r, name);
    free(script);
}

/* ---- units, asked of systemd ---- */

/* What the process was started with. */
static void read_process(const char *pid, struct unit *u)
{
    char *path = xasprintf("/proc/%s/environ", pid), *word = NULL;
    FILE *f = fopen(path, "re");
    size_t size = 0;

    free(path);
    if (!f)
        return;
    u->runs = true;
    while (getdelim(&word, &size, '\0', f) > 0)
        add_word(&u->running, xstrdup(word));
    free(word);
    (void)fclose(f);
}

static void take_property(struct unit *u, char *line)
{
    char *value = strchr(line, '=');

    if (!value)
        return;
    *value++ = '\0';
    if (!strcmp(line, "LoadState"))
        u->state = !strcmp(value, "loaded")                                  ? UNIT_KNOWN
                   : !strcmp(value, "not-found") || !strcmp(value, "masked") ? UNIT_ABSENT
                                                                             : UNIT_UNKNOWN;
    else if (!strcmp(line, "Environment"))
        add_words(&u->list, value);
    else if (!strcmp(line, "MainPID") && strcmp(value, "0") != 0)
        read_process(value, u);
    else if (!strcmp(line, "EnvironmentFiles")) {
        value[strcspn(value, " ")] = '\0'; /* " (ignore_errors=yes)" */
        if (*value && environ_read_file(&u->list, value))
            u->state = UNIT_UNKNOWN;
    }
}

static int ask_systemd(const char *name, struct unit *u)
{
    char *unit = xasprintf("%s.service", name), *out, *rest;
    char *const argv[] = {
        "systemctl",        "show", "-p",      "LoadState", "-p", "Environment", "-p",
        "EnvironmentFiles", "-p",   "MainPID", "--",        unit, NULL};
    const struct program_run run = {.argv = argv, .keep = -1};
    size_t len;
    int rc = ask_program(&run, &out, &len);

    free(unit);
    u->state = UNIT_UNKNOWN;
    if (!rc) {
        char *line = strtok_r(out, "\n", &rest);

        for (; line; line = strtok_r(NULL, "\n", &rest))
            take_property(u, line);
    }
    free(out);
    return rc ? -1 : 0;
}

void unit_open(const char *root, const char *name, struct unit *u)
{
    *u = (struct unit){.state = UNIT_ABSENT};
    if (!*root && !access("/run/systemd/system", F_OK) && !ask_systemd(name, u))
        return;
    read_unit(root, name, u);
}

void unit_close(struct unit *u)
{
    environ_free(&u->list);
    environ_free(&u->running);
}
