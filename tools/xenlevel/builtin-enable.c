/* SPDX-License-Identifier: MIT */
/*
 * xenlevel enable, xenlevel disable: the gate in the way of everything that uses libxl, by
 * LIBXL_SAVE_HELPER, on a machine without the package that puts it into the helper's place.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apparmor.h"
#include "commands.h"
#include "gatemark.h"
#include "out.h"
#include "outfile.h"
#include "places.h"
#include "ask.h"
#include "util.h"

#define VARIABLE    "LIBXL_SAVE_HELPER"
#define ENVIRONMENT "/etc/environment"
#define UNIT_FOLDER "/etc/systemd/system"
#define DROP_IN     "xenlevel.conf"

static const struct cmd_option options[] = {
    {'g', "gate", "FILE", "the gate (default: " GATE_PATH ")"},
    {'d', "dry-run", NULL, "only show what would change"},
    {'r', "root", "DIR", "change the files below DIR, and tell no systemd"},
    CMD_END,
};

/* Everything that starts libxl without anybody's shell. */
static const char *const units[] = {"xendomains", "libvirtd", "virtxend"};

struct change {
    const char *root, *gate;
    bool enable, dry_run;
    unsigned int changed, wrong; /* files */
    bool units;                  /* systemd must read its units again */
};

/* ---- files ---- */

/* No folder or file below the root may be a link: where it leads is somebody's decision, and not
 * what is shown. */
static int refuse_links(const struct change *c, const char *path)
{
    char *whole = xasprintf("%s%s", c->root, path);
    int rc = 0;

    for (char *slash = whole + strlen(c->root) + 1; slash && !rc;) {
        struct stat st;

        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        if (!lstat(whole, &st) && S_ISLNK(st.st_mode)) {
            warn("%s is a symbolic link: nothing is changed behind it", whole);
            rc = -1;
        }
        if (slash)
            *slash++ = '/';
    }
    free(whole);
    return rc;
}

/* The whole file, malloc'ed; "" when there is none; NULL after a message. */
static char *read_text(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    ssize_t n;

    if (!f && errno == ENOENT)
        return xstrdup("");
    /* Up to a NUL, which no such file has. */
    n = f ? getdelim(&text, &size, '\0', f) : -1;
    if (f && n < 0 && feof(f)) {
        free(text);
        text = xstrdup("");
    } else if (n < 0 || strlen(text) != (size_t)n) {
        warn("%s: cannot be read as text", path);
        free(text);
        text = NULL;
    }
    if (f)
        (void)fclose(f);
    return text;
}

static int write_text(const char *path, const char *text)
{
    struct outfile o;
    int rc = outfile_open(&o, path, 0644);

    if (!rc)
        rc = outfile_write(&o, text, strlen(text));
    if (!rc)
        rc = outfile_commit(&o);
    if (rc)
        warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    outfile_close(&o);
    return rc;
}

static void show_lines(char sign, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        out_print(stdout, "  %c %.*s\n", sign, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* ---- drop-ins ---- */

static char *drop_in_text(const struct change *c)
{
    return xasprintf("# `xenlevel enable` wrote this; `xenlevel disable` takes it away.\n"
                     "[Service]\n"
                     "Environment=" VARIABLE "=%s\n",
                     c->gate);
}

static int write_drop_in(struct change *c, const char *folder, const char *path)
{
    char *text = drop_in_text(c), *before = read_text(path);
    int rc = before ? 0 : -1;

    if (!rc && strcmp(before, text) != 0) {
        out_print(stdout, "%s\n", path);
        show_lines('-', before);
        show_lines('+', text);
        c->changed++;
        c->units = true;
        if (!c->dry_run && mkdir(folder, 0755) && errno != EEXIST) {
            warn("%s: %s", folder, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
            rc = -1;
        }
        if (!c->dry_run && !rc)
            rc = write_text(path, text);
    }
    free(before);
    free(text);
    return rc;
}

static int remove_drop_in(struct change *c, const char *folder, const char *path)
{
    char *before;

    if (access(path, F_OK))
        return 0;
    before = read_text(path);
    if (!before)
        return -1;
    out_print(stdout, "%s\n", path);
    show_lines('-', before);
    free(before);
    c->changed++;
    c->units = true;
    if (c->dry_run)
        return 0;
    if (unlink(path)) {
        warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        return -1;
    }
    (void)rmdir(folder); /* where others have drop-ins it stays */
    return 0;
}

static void change_unit(struct change *c, const char *unit)
{
    char *own_folder = xasprintf(UNIT_FOLDER "/%s.service.d", unit);
    char *own = xasprintf("%s/" DROP_IN, own_folder);
    char *folder = xasprintf("%s%s", c->root, own_folder);
    char *path = xasprintf("%s%s", c->root, own);
    int rc = refuse_links(c, own);

    if (!rc)
        rc = c->enable ? write_drop_in(c, folder, path) : remove_drop_in(c, folder, path);
    c->wrong += rc != 0;
    free(path);
    free(folder);
    free(own);
    free(own_folder);
}

/* Where there is no systemd, there are no units to change. */
static void change_units(struct change *c)
{
    char *folder = xasprintf("%s" UNIT_FOLDER, c->root);

    for (size_t i = 0; !access(folder, F_OK) && i < sizeof(units) / sizeof(units[0]); i++)
        change_unit(c, units[i]);
    free(folder);
}

/* ---- /etc/environment ---- */

/* The value in a line that sets the variable; NULL when it is another line. */
static char *variable_value(const char *line, size_t len)
{
    const char *s = line + strspn(line, " \t");
    size_t n = strlen(VARIABLE "=");

    if (!strncmp(s, "export ", 7))
        s += 7;
    if (strncmp(s, VARIABLE "=", n) != 0)
        return NULL;
    s += n;
    len -= (size_t)(s - line);
    if (len >= 2 && (*s == '"' || *s == '\'') && s[len - 1] == *s)
        return xasprintf("%.*s", (int)(len - 2), s + 1);
    return xasprintf("%.*s", (int)len, s);
}

/* May the line go?  Only when it names a gate, or nothing that is there. */
static bool is_ours(const struct change *c, const char *value)
{
    char *path = xasprintf("%s%s", c->root, value);
    bool ours = !strcmp(value, c->gate) || gatemark_find(path) != 0;

    free(path);
    return ours;
}

/*
 * The text without the lines that set the variable, which are printed, and with one that sets it
 * when `enable`.  NULL after a message: somebody else's helper is named there.
 */
static char *edit_environment(const struct change *c, const char *path, const char *before)
{
    char *after = xcalloc(1, strlen(before) + strlen(c->gate) + strlen(VARIABLE) + 4), *to = after;
    unsigned int number = 1;

    for (const char *line = before; *line; number++) {
        size_t len = strcspn(line, "\n"), whole = len + (line[len] == '\n');
        char *value = variable_value(line, len);

        if (value && !is_ours(c, value)) {
            warn("%s, line %u: " VARIABLE " is %s, which is not the gate: nothing is changed there",
                 path, number, value);
            free(value);
            free(after);
            return NULL;
        }
        if (!value) {
            memcpy(to, line, whole);
            to += whole;
        }
        free(value);
        line += whole;
    }
    if (c->enable) {
        if (to > after && to[-1] != '\n')
            *to++ = '\n';
        (void)sprintf(to, VARIABLE "=%s\n", c->gate);
    }
    return after;
}

static void show_environment(const struct change *c, const char *path, const char *before)
{
    out_print(stdout, "%s\n", path);
    for (const char *line = before; *line;) {
        size_t len = strcspn(line, "\n");
        char *value = variable_value(line, len);

        if (value)
            out_print(stdout, "  - %.*s\n", (int)len, line);
        free(value);
        line += len + (line[len] == '\n');
    }
    if (c->enable)
        out_print(stdout, "  + " VARIABLE "=%s\n", c->gate);
}

static void change_environment(struct change *c)
{
    char *path = xasprintf("%s" ENVIRONMENT, c->root), *before = NULL, *after = NULL;
    int rc = refuse_links(c, ENVIRONMENT);

    if (!rc && !(before = read_text(path)))
        rc = -1;
    if (!rc && !(after = edit_environment(c, path, before)))
        rc = -1;
    if (!rc && strcmp(before, after) != 0) {
        show_environment(c, path, before);
        c->changed++;
        if (!c->dry_run)
            rc = write_text(path, after);
    }
    c->wrong += rc != 0;
    free(after);
    free(before);
    free(path);
}

/* ---- all of it ---- */

/* Is the gate what it must be?  It goes into files whose quoting rules differ. */
static int check_gate(const struct change *c)
{
    char *path = xasprintf("%s%s", c->root, c->gate);
    int gate = gatemark_find(path), rc = -1;

    if (c->gate[0] != '/' ||
        c->gate[strspn(c->gate, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._+-")])
        warn("%s: the gate must be named by a whole path of letters, digits and ._+-", c->gate);
    else if (gate < 0)
        warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    else if (!gate || access(path, X_OK))
        warn("%s is not the gate: no " VARIABLE " is set to it", path);
    else
        rc = 0;
    free(path);
    return rc;
}

/* Does every Xen here have the gate in its helper's place? */
static bool stands_everywhere(const char *root)
{
    struct places p;
    bool all;

    places_find(root, &p);
    all = p.n > 0;
    for (size_t i = 0; i < p.n; i++)
        all = all && p.list[i].state == PLACE_GATE && p.list[i].diverted;
    places_free(&p);
    return all;
}

static void tell_systemd(const struct change *c)
{
    char *const argv[] = {"systemctl", "daemon-reload", NULL};
    const struct program_run run = {.argv = argv, .keep = -1};
    size_t len;
    char *out;

    if (*c->root || c->dry_run || !c->units || access("/run/systemd/system", F_OK))
        return;
    if (ask_program(&run, &out, &len))
        warn("`systemctl daemon-reload` failed: systemd does not know of the change yet");
    free(out);
}

/* A variable that names what the daemon may not start stops every save and restore of it. */
static void warn_of_confinement(const struct change *c)
{
    for (size_t i = 0; c->enable && i < sizeof(units) / sizeof(units[0]); i++) {
        char *local = apparmor_local(units[i]);

        if (apparmor_forbids(c->root, units[i], c->gate))
            warn("AppArmor's profile of %s does not let it start %s: add the line `%s PUx,` to %s "
                 "and load the profile again, or it can save and restore nothing",
                 units[i], c->gate, c->gate, local);
        free(local);
    }
}

static int end_change(const struct change *c)
{
    if (c->wrong)
        return STATUS_TROUBLE;
    warn_of_confinement(c);
    if (!c->changed)
        out_text(stdout, 0, 0, "nothing to change: it is %s already", c->enable ? "on" : "off");
    else if (c->dry_run)
        out_text(stdout, 0, 0, "nothing was changed (--dry-run)");
    else if (c->enable)
        out_text(stdout, 0, 0,
                 "It counts for what is started from now on: restart libvirtd or virtxend where "
                 "one runs, and log in again. `xenlevel status` says whether it is on.");
    else
        out_text(stdout, 0, 0,
                 "It counts for what is started from now on: restart libvirtd or virtxend where "
                 "one runs, and log in again.");
    return STATUS_YES;
}

static int run_change(const struct command *cmd, int argc, char **argv, bool enable)
{
    struct change c = {.root = "", .gate = GATE_PATH, .enable = enable};
    const char *value;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'g')
            c.gate = value;
        else if (letter == 'd')
            c.dry_run = true;
        else if (letter == 'r')
            c.root = strcmp(value, "/") != 0 ? value : "";
        else
            return STATUS_TROUBLE;
    }
    if (first != argc)
        return cmd_usage(cmd, "it takes no argument");
    if (*c.root && access(c.root, X_OK))
        return complain("%s: %s", c.root, strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
    if (enable && stands_everywhere(c.root)) {
        out_text(stdout, 0, 0,
                 "nothing to change: the gate has the place of every Xen's save helper here, by "
                 "the package xenlevel-gate");
        return STATUS_YES;
    }
    if (enable && check_gate(&c))
        return STATUS_TROUBLE;
    change_units(&c);
    change_environment(&c);
    tell_systemd(&c);
    return end_change(&c);
}

static int run_enable(const struct command *cmd, int argc, char **argv)
{
    return run_change(cmd, argc, argv, true);
}

static int run_disable(const struct command *cmd, int argc, char **argv)
{
    return run_change(cmd, argc, argv, false);
}

const struct command cmd_enable = {
    .name = "enable",
    .args = "",
    .summary = "put the gate in the way of xl, xendomains and libvirt",
    .about = "For machines without the package xenlevel-gate: sets LIBXL_SAVE_HELPER in "
             "/etc/environment, which logins and ssh read, and in drop-ins of the services "
             "xendomains, libvirtd and virtxend, which do not. What changes is shown. Doing it "
             "again changes nothing; `xenlevel disable` takes it back. Nothing is changed behind a "
             "symbolic link, and no other helper that is set there is replaced.",
    .options = options,
    .run = run_enable,
};

const struct command cmd_disable = {
    .name = "disable",
    .args = "",
    .summary = "take back what enable has done",
    .about = "Takes the drop-ins and the line of /etc/environment away that `xenlevel enable` has "
             "written. A package's diversion stays: remove the package xenlevel-gate.",
    .options = options,
    .run = run_disable,
};
