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
#include "gatemark.h"

#define HELPER "libxl-save-helper"

/* Debian has a directory for each version; the others have one. */
static const char *const fixed_places[] = {
    "/usr/libexec/xen/bin/" HELPER,
    "/usr/lib/xen/bin/" HELPER,
    "/usr/lib64/xen/bin/" HELPER,
    "/usr/local/lib/xen/bin/" HELPER,
};

/* Is this the gate, under whatever name?  Then starting it would never end. */
static bool is_gate(const char *path)
{
    struct stat a, b;

    if (stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino)
        return true;
    return gatemark_find(path) == 1;
}

static int judge_helper(const char *path, char *why)
{
    struct stat st;

    if (stat(path, &st))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || access(path, X_OK))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s is not a program", path);
    else if (is_gate(path))
        (void)snprintf(why, GATE_WHY, "the stock save helper %s is xenlevel's own", path);
    else
        return 0;
    return -1;
}

/* Where the gate has the stock helper's name, that one is beside it under another. */
static bool judge_place(const char *place, char path[PATH_MAX], char *why)
{
    (void)snprintf(path, PATH_MAX, "%s" GATE_STOCK_SUFFIX, place);
    if (!judge_helper(path, why))
        return true;
    (void)snprintf(path, PATH_MAX, "%s", place);
    return !judge_helper(path, why);
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

        found = judge_place(g.gl_pathv[i - 1], path, why);
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
        char place[sizeof("/usr/lib/xen-4294967295.4294967295/bin/" HELPER)];

        (void)snprintf(place, sizeof(place), "/usr/lib/xen-%u.%u/bin/" HELPER, major, minor);
        if (judge_place(place, path, why))
            return 0;
    }
    for (size_t i = 0; i < sizeof(fixed_places) / sizeof(fixed_places[0]); i++)
        if (judge_place(fixed_places[i], path, why))
            return 0;
    if (any_version(path))
        return 0;
    (void)snprintf(
        why, GATE_WHY,
        "the stock save helper is not at any known place; XENLEVEL_STOCK_HELPER can name "
        "it");
    return -1;
}
