/* SPDX-License-Identifier: MIT */
/*
 * Giving a new domain a CPU, and finding out what became of it.
 */
#include <errno.h>
#include <stdlib.h>

#include "level.h"
#include "out.h"
#include "xc_audit.h"

enum { MAX_FAULTS = 2048 }; /* every feature bit and register there is */

/* What the hypervisor made of it: features by name, everything else by count. */
static void sort_out(struct level_change *c, const struct policy_report *r)
{
    for (size_t i = 0; i < r->count && i < r->max; i++) {
        const struct policy_fault *f = &r->faults[i];

        if (f->feature == POLICY_NONE)
            c->other++;
        else
            featureset_set(f->guest ? &c->absent : &c->kept, f->feature);
    }
    if (r->count > r->max)
        c->other += r->count - r->max;
}

int level_apply(xc_handle *xch, uint32_t domid, struct level_change *c)
{
    struct policy_report r = {calloc(MAX_FAULTS, sizeof(*r.faults)), MAX_FAULTS, 0};
    struct xc_leaves l;
    int rc, err;

    if (!r.faults || xc_policy_to_leaves(&c->wanted, &l)) {
        free(r.faults);
        warn("out of memory");
        return -1;
    }
    rc = xc_trial_policy(xch, domid, &l, &c->wanted, &c->after, &r, NULL);
    err = errno;
    xc_leaves_free(&l);
    sort_out(c, &r);
    free(r.faults);
    errno = err;
    return rc < 0 ? -1 : 0;
}

bool level_taken(const struct level_change *c)
{
    return featureset_empty(&c->kept) && featureset_empty(&c->absent) && !c->other;
}
