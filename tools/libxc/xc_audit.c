/* SPDX-License-Identifier: MIT */
/* The audit of a guest's CPU; see xc_audit.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "xc_audit.h"
#include "xc_private.h"

int xc_system_policy(xc_handle *xch, enum xc_policy_index index, struct cpu_policy *p)
{
    struct xc_leaves l;
    char what[48];
    int rc;

    if (xc_get_system_cpu_policy(xch, index, &l))
        return -1;
    (void)snprintf(what, sizeof(what), "this host's %s policy", xc_policy_name(index));
    rc = xc_policy_from_leaves(xch, what, &l, p, NULL, 0);
    xc_leaves_free(&l);
    return rc;
}

int xc_domain_policy(xc_handle *xch, uint32_t domid, struct cpu_policy *p)
{
    struct xc_leaves l;
    char what[48];
    int rc;

    if (xc_get_domain_cpu_policy(xch, domid, &l))
        return -1;
    (void)snprintf(what, sizeof(what), "the CPU policy of domain %u", domid);
    rc = xc_policy_from_leaves(xch, what, &l, p, NULL, 0);
    xc_leaves_free(&l);
    return rc;
}

int xc_guest_limits(xc_handle *xch, enum guest_type type, struct xc_guest_limits *l)
{
    bool pv = type == GUEST_PV;

    if (xc_system_policy(xch, pv ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX, &l->max) ||
        xc_system_policy(xch, pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT, &l->deflt))
        return -1;
    /* Its hazards are those that a guest must know of: not those of a level. */
    if (xc_widen_own(xch, pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT, &l->deflt) < 0)
        return -1;
    policy_restrict(&l->max, type);
    policy_restrict(&l->deflt, type);
    return 0;
}

int xc_audit_policy(const struct xc_leaves *named, const struct cpu_policy *told,
                    const struct policy_host *host, struct policy_report *r, size_t *checked)
{
    size_t before = r->count;

    if (named)
        (void)policy_whole(named->leaves, named->nr_leaves, named->msrs, named->nr_msrs, r);
    (void)policy_verify(told, r);
    if (checked)
        *checked = r->count;
    (void)policy_check(told, host, r);
    if (r->count == before)
        return 0;
    errno = EINVAL;
    return -1;
}

int xc_last_look(xc_handle *xch, uint32_t domid, const struct cpu_policy *expected,
                 struct policy_report *r)
{
    struct cpu_policy *now = malloc(sizeof(*now));
    int rc;

    if (!now)
        return xc_fail(xch, ENOMEM, "out of memory for a CPU policy");
    rc = xc_domain_policy(xch, domid, now);
    if (!rc && policy_compare(expected, now, r))
        rc = XC_GIVEN_OTHERWISE;
    free(now);
    return rc;
}

int xc_trial_policy(xc_handle *xch, uint32_t domid, const struct xc_leaves *leaves,
                    const struct cpu_policy *told, struct cpu_policy *given,
                    struct policy_report *r, struct xc_policy_error *where)
{
    if (xc_set_domain_cpu_policy(xch, domid, leaves, where) || xc_domain_policy(xch, domid, given))
        return -1;
    return policy_compare(told, given, r) ? XC_GIVEN_OTHERWISE : XC_GIVEN_AS_TOLD;
}
