/* SPDX-License-Identifier: MIT */
/*
 * May this host's Xen take the save records that the sender's Xen writes?  It says no itself, but
 * only after all of the memory has moved.
 */
#include <stdio.h>
#include <string.h>

#include "gate.h"
#include "text.h"
#include "xc_release.h"

/* The obstacle, or NULL.  A PV guest has none of the records that grew. */
static const char *find_obstacle(const struct gate_host *h, const struct audit_case *c)
{
    const struct xc_release from = {c->head->xen_major, c->head->xen_minor, -1};
    struct xc_release here;

    if (h->domain.type == XC_DOMAIN_PV || !xc_read_release(h->version.text, &here))
        return NULL;
    return xc_release_obstacle(&from, &here);
}

bool release_refuses(const struct gate_host *h, const struct audit_case *c, struct audit *a)
{
    const char *obstacle = find_obstacle(h, c);
    char who[512];
    struct text t, summary;

    if (!obstacle)
        return false;
    if (c->allow->release) {
        size_t n = strlen(a->allowed);

        (void)snprintf(a->allowed + n, sizeof(a->allowed) - n,
                       "release: from Xen %u.%u to %s: %s\n", c->head->xen_major,
                       c->head->xen_minor, h->version.text, obstacle);
        a->given_up++;
        return false;
    }
    (void)snprintf(who, sizeof(who),
                   "refused: '%s' (%s, from Xen %u.%u) cannot go on under this host's Xen %s",
                   c->domain, c->type, c->head->xen_major, c->head->xen_minor, h->version.text);
    text_init(&t, a->text, sizeof(a->text), c->width);
    text_init(&summary, a->summary, sizeof(a->summary), 0);
    text_line(&t, 4, "xenlevel: %s", who);
    text_line(&t, 4,
              "  The Xen it comes from is newer: %s. Xen would refuse it after all of its memory "
              "has moved.",
              obstacle);
    text_add(&summary, "%s: %s", who, obstacle);
    audit_say_untouched(c, &t);
    audit_say_names("release-newer", &t);
    text_line(&t, 4, "  To try it all the same:  XENLEVEL_ALLOW=release");
    a->refused = true;
    return true;
}
