/* SPDX-License-Identifier: MIT */
/* Where the distribution's own save helper is. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate.h"

#define HELPER "libxl-save-helper"

/* Debian has a directory for each version; the others have one. */
static const char *const fixed_places[] = {
    "/usr/libexec/xen/bin/" HELPER,
    "/usr/lib/xen/bin/" HELPER,
    "/usr/lib64/xen/bin/" HELPER,
    "/usr/local/lib/xen/bin/" HELPER,
};

/* Is this the program that is running?  Then starting it would never end. */
static bool is_self(const char *path)
{
    struct stat a, b;

    return stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int judge_helper(const char *path, char *why)
{
    struct stat st;

    if (stat(path, &st))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || access(path, X_OK))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s is not a program", path);
    else if (is_self(path))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s is xenlevel's own", path);
    else
        return 0;
    return -1;
}

/* The newest by name; only reached when the running version is not known or not installed. */
static bool any_version(char path[PATH_MAX])
{
    bool found = false;
    glob_t g;

    if (glob("/usr/lib/xen-*/bin/" HELPER, 0, NULL, &g))
        return false;
    for (size_t i = g.gl_pathc; i > 0 && !found; i--) {
        char why[GATE_WHY];

        if (judge_helper(g.gl_pathv[i - 1], why))
            continue;
        (void)snprintf(path, PATH_MAX, "%s", g.gl_pathv[i - 1]);
        found = true;
    }
    globfree(&g);
    return found;
}

int gate_find_helper(unsigned int major, unsigned int minor, char path[PATH_MAX], char *why)
{
    const char *given = getenv("XENLEVEL_STOCK_HELPER");

    if (given && given[0]) {
        (void)snprintf(path, PATH_MAX, "%s", given);
        return judge_helper(path, why);
    }
    if (major) {
        (void)snprintf(path, PATH_MAX, "/usr/lib/xen-%u.%u/bin/" HELPER, major, minor);
        if (!judge_helper(path, why))
            return 0;
    }
    for (size_t i = 0; i < sizeof(fixed_places) / sizeof(fixed_places[0]); i++) {
        (void)snprintf(path, PATH_MAX, "%s", fixed_places[i]);
        if (!judge_helper(path, why))
            return 0;
    }
    if (any_version(path))
        return 0;
    (void)snprintf(
        why, GATE_WHY,
        "the stock save helper is not at any known place; XENLEVEL_STOCK_HELPER can name "
        "it");
    return -1;
}
