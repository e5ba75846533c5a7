/* SPDX-License-Identifier: MIT */
/*
 * Where libxl has its save helper here.  Each libxl has one path built in; Debian's has a folder
 * for each version of Xen.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatemark.h"
#include "places.h"
#include "ask.h"
#include "util.h"

#define HELPER "libxl-save-helper"

static const char *const patterns[] = {
    "/usr/lib/xen-*/bin/" HELPER,     "/usr/libexec/xen/bin/" HELPER,
    "/usr/lib/xen/bin/" HELPER,       "/usr/lib64/xen/bin/" HELPER,
    "/usr/local/lib/xen/bin/" HELPER, "/usr/local/libexec/xen/bin/" HELPER,
};

/* "4.17" out of /usr/lib/xen-4.17/bin/... */
static void read_version(struct place *place)
{
    static const char folder[] = "/usr/lib/xen-";
    const char *version = place->path + strlen(folder);

    if (!strncmp(place->path, folder, strlen(folder)))
        (void)snprintf(place->xen, sizeof(place->xen), "%.*s", (int)strcspn(version, "/"), version);
}

/* Does dpkg say this of the path?  Anything that is printed is a yes. */
static bool ask_dpkg(char *const argv[])
{
    const struct program_run run = {.argv = argv, .keep = -1};
    size_t len;
    char *out;
    bool yes = ask_program(&run, &out, &len) == 0 && len;

    free(out);
    return yes;
}

/* Where there is no dpkg, it knows of nothing. */
static void read_dpkg(const char *root, struct place *place)
{
    char *option = xasprintf("--root=%s", *root ? root : "/");
    char *const divert[] = {"dpkg-divert", option, "--listpackage", place->path, NULL};
    char *const owner[] = {"dpkg-query", option, "--search", place->path, NULL};

    place->diverted = ask_dpkg(divert);
    place->packaged = place->diverted || ask_dpkg(owner);
    free(option);
}

static void look_at_place(const char *root, struct place *place)
{
    char *path = xasprintf("%s%s", root, place->path);
    char *stock = xasprintf("%s" GATE_STOCK_SUFFIX, path);
    int gate = gatemark_find(path);

    if (gate < 0)
        place->state = errno == ENOENT ? PLACE_EMPTY : PLACE_UNKNOWN;
    else
        place->state = gate ? PLACE_GATE : PLACE_STOCK;
    place->has_stock = gatemark_find(stock) == 0;
    read_version(place);
    read_dpkg(root, place);
    free(stock);
    free(path);
}

static void add_place(struct places *p, const char *root, const char *found)
{
    char *path = xstrdup(found + strlen(root));

    if (ends_with(path, GATE_STOCK_SUFFIX))
        path[strlen(path) - strlen(GATE_STOCK_SUFFIX)] = '\0';
    for (size_t i = 0; i < p->n; i++)
        if (!strcmp(p->list[i].path, path)) {
            free(path);
            return;
        }
    p->list = xrealloc(p->list, (p->n + 1) * sizeof(*p->list));
    p->list[p->n] = (struct place){.path = path};
    look_at_place(root, &p->list[p->n++]);
}

void places_find(const char *root, struct places *p)
{
    *p = (struct places){NULL, 0};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        static const char *const suffixes[] = {"", GATE_STOCK_SUFFIX};

        for (size_t k = 0; k < 2; k++) {
            char *pattern = xasprintf("%s%s%s", root, patterns[i], suffixes[k]);
            glob_t g;

            if (!glob(pattern, 0, NULL, &g)) {
                for (size_t m = 0; m < g.gl_pathc; m++)
                    add_place(p, root, g.gl_pathv[m]);
                globfree(&g);
            }
            free(pattern);
        }
    }
}

void places_free(struct places *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->list[i].path);
    free(p->list);
    *p = (struct places){NULL, 0};
}
