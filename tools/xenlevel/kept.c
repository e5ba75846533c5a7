/* SPDX-License-Identifier: MIT */
/*
 * Payloads that are kept for the next boot.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept.h"
#include "out.h"
#include "util.h"

#define SUFFIX ".livepatch"

/* ---- hypervisors ---- */

static void find_hypervisors(const char *root, const char *pattern, struct hypervisors *h,
                             int (*build_id)(const char *path, char id[static BUILD_ID_TEXT]))
{
    char *whole = xasprintf("%s%s", root, pattern);
    glob_t g;

    *h = (struct hypervisors){NULL, 0};
    if (glob(whole, 0, NULL, &g))
        g.gl_pathc = 0;
    for (size_t i = 0; i < g.gl_pathc; i++) {
        struct hypervisor one = {.build_id = ""};
        struct stat st;

        /* xen.gz may be a link to one of the others. */
        if (lstat(g.gl_pathv[i], &st) || !S_ISREG(st.st_mode) || ends_with(g.gl_pathv[i], ".map"))
            continue;
        if (build_id(g.gl_pathv[i], one.build_id))
            one.build_id[0] = '\0';
        one.path = xstrdup(g.gl_pathv[i]);
        h->list = xrealloc(h->list, (h->n + 1) * sizeof(*h->list));
        h->list[h->n++] = one;
    }
    globfree(&g);
    free(whole);
}

void hypervisors_bootable(const char *root, struct hypervisors *h)
{
    find_hypervisors(root, "/boot/xen*.gz", h, image_build_id);
}

void hypervisors_with_symbols(const char *root, struct hypervisors *h)
{
    find_hypervisors(root, "/usr/lib/debug/boot/xen-syms-*", h, elf_build_id);
}

const struct hypervisor *hypervisors_get(const struct hypervisors *h, const char *build_id)
{
    for (size_t i = 0; i < h->n; i++)
        if (build_id[0] && !strcmp(h->list[i].build_id, build_id))
            return &h->list[i];
    return NULL;
}

void hypervisors_free(struct hypervisors *h)
{
    for (size_t i = 0; i < h->n; i++)
        free(h->list[i].path);
    free(h->list);
    *h = (struct hypervisors){NULL, 0};
}

/* ---- payloads ---- */

char *kept_path(const char *root, const char *build_id)
{
    return xasprintf("%s" PATCH_DIR "/%s" SUFFIX, root, build_id);
}

bool kept_is_good(const char *root, const char *build_id, char **why)
{
    char *path = kept_path(root, build_id);
    struct payload p = {NULL, 0, ""};

    *why = NULL;
    if (!*build_id)
        *why = xstrdup("it has no build-id");
    else if (access(path, F_OK))
        *why = xasprintf("no payload for build-id %s: `xenlevel livepatch build --all` builds it "
                         "when the hypervisor's debug symbols are installed",
                         build_id);
    else if (payload_read(path, &p))
        *why = xasprintf("%s is no payload", path);
    else if (strcmp(p.xen_build_id, build_id) != 0)
        *why = xasprintf("%s is for another hypervisor, build-id %s", path, p.xen_build_id);
    payload_free(&p);
    free(path);
    return !*why;
}

int kept_make_folder(const char *root)
{
    static const char *const folders[] = {STATE_DIR, PATCH_DIR};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char *path = xasprintf("%s%s", root, folders[i]);
        int rc = mkdir(path, 0755) && errno != EEXIST ? -1 : 0;

        if (rc)
            warn("%s: %s", path, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        free(path);
        if (rc)
            return -1;
    }
    return 0;
}

void kept_prune(const char *root, const struct hypervisors *built, const struct hypervisors *boot,
                const char *running)
{
    char *pattern = xasprintf("%s" PATCH_DIR "/*" SUFFIX, root);
    bool known = true;
    glob_t g;

    for (size_t i = 0; i < boot->n; i++)
        known = known && boot->list[i].build_id[0];
    if (known && !glob(pattern, 0, NULL, &g)) {
        for (size_t i = 0; i < g.gl_pathc; i++) {
            char *id = base_name(g.gl_pathv[i], SUFFIX);

            if (strcmp(id, running) != 0 && !hypervisors_get(built, id) &&
                !hypervisors_get(boot, id) && !unlink(g.gl_pathv[i]))
                out_print(stdout, "%s: deleted, its hypervisor is gone\n", g.gl_pathv[i]);
            free(id);
        }
        globfree(&g);
    }
    free(pattern);
}
