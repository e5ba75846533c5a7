/* SPDX-License-Identifier: MIT */
/*
 * Giving a new domain a CPU, and finding out what became of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "level.h"
#include "out.h"

/* What the hypervisor made of it, against what was asked for. */
static void compare(struct level_change *c)
{
    struct featureset wanted, after;

    policy_to_featureset(&c->wanted, &wanted);
    policy_to_featureset(&c->after, &after);
    featureset_andnot(&c->kept, &after, &wanted);
    featureset_andnot(&c->absent, &wanted, &after);
    show_comparable(&c->kept);
    show_comparable(&c->absent);
    /* Beyond features: numbers above the level's, and a state area of another form. */
    c->other = (c->after.basic[0].a > c->wanted.basic[0].a) +
               (c->after.feat[0].a > c->wanted.feat[0].a) +
               (c->after.extd[0].a > c->wanted.extd[0].a) +
               ((c->after.extd[8].a & 0xff) > (c->wanted.extd[8].a & 0xff)) +
               ((c->after.platform_info & ~c->wanted.platform_info) != 0);
    for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
        if (memcmp(&c->after.xstate[i], &c->wanted.xstate[i], sizeof(c->after.xstate[i])) != 0)
            c->other++;
}

int level_apply(xc_handle *xch, uint32_t domid, struct level_change *c)
{
    struct xc_leaves l;
    char what[32];
    int rc;

    if (xc_policy_to_leaves(&c->wanted, &l)) {
        warn("out of memory");
        return -1;
    }
    rc = xc_set_domain_cpu_policy(xch, domid, &l, NULL);
    xc_leaves_free(&l);
    if (rc || xc_get_domain_cpu_policy(xch, domid, &l))
        return -1;
    (void)snprintf(what, sizeof(what), "domain %u", domid);
    rc = xc_policy_from_leaves(xch, what, &l, &c->after, NULL, 0);
    xc_leaves_free(&l);
    if (!rc)
        compare(c);
    return rc;
}

bool level_taken(const struct level_change *c)
{
    return featureset_empty(&c->kept) && featureset_empty(&c->absent) && !c->other;
}
