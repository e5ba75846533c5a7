/* SPDX-License-Identifier: MIT */
/* Names of domains: see name.h. */
#include "name.h"

#include <stdlib.h>
#include <string.h>

#include "out.h"

int name_is_taken(xc_handle *xch, const char *name)
{
    struct xc_domain_info *list;
    int taken = 0;
    size_t n;

    if (xc_domain_list(xch, &list, &n))
        return -1;
    for (size_t i = 0; i < n && !taken; i++) {
        char *other = xc_domain_name(xch, list[i].domid);

        taken = other && !strcmp(other, name);
        if (taken)
            warn("there is a domain called '%s' already: it is domain %u", name, list[i].domid);
        free(other);
    }
    free(list);
    return taken;
}
