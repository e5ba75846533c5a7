/* SPDX-License-Identifier: MIT */
/*
 * Names of domains.  The hypervisor knows numbers only; the toolstack keeps the names in the host's
 * store (xenstore, on a real one), in /local/domain/N/name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xc_private.h"

#define NAME_PATH 64

static void name_path(char path[static NAME_PATH], uint32_t domid)
{
    (void)snprintf(path, NAME_PATH, "/local/domain/%u/name", domid);
}

char *xc_domain_name(xc_handle *xch, uint32_t domid)
{
    char path[NAME_PATH];
    char *name;

    name_path(path, domid);
    return xch->ops->store_read(xch->state, path, &name) ? NULL : name;
}

int xc_domain_set_name(xc_handle *xch, uint32_t domid, const char *name)
{
    char path[NAME_PATH];

    name_path(path, domid);
    if (xch->ops->store_write(xch->state, path, name))
        return xc_fail(xch, errno, "the name of domain %u cannot be kept: %s", domid,
                       xc_reason(xch, errno));
    return 0;
}

static int parse_number(const char *text, uint32_t *number)
{
    unsigned long value;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || *end || value > UINT32_MAX)
        return -1;
    *number = (uint32_t)value;
    return 0;
}

/* 1 and *domid when one of these domains has this name; 0 when none has; -1 and errno. */
static int find_name(xc_handle *xch, const struct xc_domain_info *list, size_t n,
                     const char *wanted, uint32_t *domid)
{
    for (size_t i = 0; i < n; i++) {
        char *name = xc_domain_name(xch, list[i].domid);
        bool found = name && !strcmp(name, wanted);

        if (!name && errno != ENOENT)
            return -1;
        free(name);
        if (found) {
            *domid = list[i].domid;
            return 1;
        }
    }
    return 0;
}

int xc_domain_resolve(xc_handle *xch, const char *name_or_id, uint32_t *domid)
{
    struct xc_domain_info *list;
    size_t n;
    int found;

    if (!parse_number(name_or_id, domid)) {
        struct xc_domain_info info;

        return xc_domain_getinfo(xch, *domid, &info);
    }
    if (xc_domain_list(xch, &list, &n))
        return -1;
    found = find_name(xch, list, n, name_or_id, domid);
    free(list);
    if (found > 0)
        return 0;
    if (found < 0)
        return xc_fail(xch, errno,
                       "cannot look for a domain called '%s': the store of names does not answer: "
                       "%s",
                       name_or_id, xc_reason(xch, errno));
    return xc_fail(xch, ESRCH, "there is no domain called '%s'", name_or_id);
}
