/* SPDX-License-Identifier: MIT */
/*
 * Names of domains.  The hypervisor knows numbers only; the toolstack keeps the names in xenstore,
 * in /local/domain/N/name.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "xc_private.h"

static char *read_name(struct xs_handle *xs, unsigned int domid)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
    return xs_read(xs, XBT_NULL, path, NULL);
}

char *xc_domain_name(uint32_t domid)
{
    struct xs_handle *xs = xs_open(0);
    char *name;
    int err;

    if (!xs)
        return NULL;
    name = read_name(xs, domid);
    err = errno;
    xs_close(xs);
    errno = err;
    return name;
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

/* 1 and *domid when a domain has this name, 0 when none has. */
static int find_name(struct xs_handle *xs, const char *wanted, uint32_t *domid)
{
    unsigned int n = 0;
    char **dirs = xs_directory(xs, XBT_NULL, "/local/domain", &n);
    int found = 0;

    for (unsigned int i = 0; dirs && i < n && !found; i++) {
        char *name;
        uint32_t id;

        if (parse_number(dirs[i], &id))
            continue;
        name = read_name(xs, id);
        if (name && !strcmp(name, wanted)) {
            *domid = id;
            found = 1;
        }
        free(name);
    }
    free(dirs);
    return found;
}

int xc_domain_resolve(xc_handle *xch, const char *name_or_id, uint32_t *domid)
{
    struct xs_handle *xs;
    int found;

    if (!parse_number(name_or_id, domid)) {
        struct xc_domain_info info;

        return xc_domain_getinfo(xch, *domid, &info);
    }
    xs = xs_open(0);
    if (!xs)
        return xc_fail(xch, errno ? errno : EIO,
                       "cannot look for a domain called '%s': xenstore does not answer: %s",
                       name_or_id, strerror(errno));
    found = find_name(xs, name_or_id, domid);
    xs_close(xs);
    if (!found)
        return xc_fail(xch, ESRCH, "there is no domain called '%s'", name_or_id);
    return 0;
}
