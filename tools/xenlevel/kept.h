/* SPDX-License-Identifier: MIT */
/*
 * Payloads that are kept for the next boot, one for each hypervisor that is installed.
 */
#ifndef XENLEVEL_KEPT_H
#define XENLEVEL_KEPT_H

#include <stdbool.h>
#include <stddef.h>

#include "payload.h"

/* A file with a hypervisor in it: what is booted, or what its debug symbols are in. */
struct hypervisor {
    char *path;
    char build_id[BUILD_ID_TEXT]; /* "" when the file does not say */
};

struct hypervisors {
    struct hypervisor *list;
    size_t n;
};

/* Find what can be booted (/boot/xen*.gz) below root, and what has debug symbols. */
void hypervisors_bootable(const char *root, struct hypervisors *h);
void hypervisors_with_symbols(const char *root, struct hypervisors *h);
/* Is one of this build-id among them?  NULL: no. */
const struct hypervisor *hypervisors_get(const struct hypervisors *h, const char *build_id);
void hypervisors_free(struct hypervisors *h);

/* Return the path of the payload for a hypervisor, malloc'ed; it need not be there. */
char *kept_path(const char *root, const char *build_id);
/* Is it there, and for that hypervisor?  *why (malloc'ed): a sentence why not, else NULL. */
bool kept_is_good(const char *root, const char *build_id, char **why);
/* Make the folder.  Returns 0; or -1 after a message. */
int kept_make_folder(const char *root);
/* Delete the payloads that are for none of these: whose symbols are installed, what can be booted,
 * what runs (a build-id).  When something can be booted that does not say which it is, all stay. */
void kept_prune(const char *root, const struct hypervisors *built, const struct hypervisors *boot,
                const char *running);

#endif /* XENLEVEL_KEPT_H */
