/* SPDX-License-Identifier: MIT */
/*
 * A policy into a toolstack's arrays: a domain's (XEN_DOMCTL_get_cpu_policy) and the system's
 * (XEN_SYSCTL_get_cpu_policy).
 */
#include <hypervisor.h>

#include <xen/errno.h>

/* Too much for a stack. */
struct work {
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
};

static long copy_out(struct hypervisor *hv, struct work *w, const struct cpu_policy *p,
                     uint64_t leaves, uint32_t *nr_leaves, uint64_t msrs, uint32_t *nr_msrs)
{
    size_t have_leaves = POLICY_MAX_LEAVES, have_msrs = POLICY_MAX_MSRS;

    /* This much room always suffices. */
    (void)policy_to_leaves(p, w->leaves, &have_leaves, w->msrs, &have_msrs);
    if ((leaves && *nr_leaves < have_leaves) || (msrs && *nr_msrs < have_msrs))
        return -XEN_ENOBUFS;
    if (leaves &&
        platform_copy_to_guest(hv->platform, leaves, w->leaves, have_leaves * sizeof(w->leaves[0])))
        return -XEN_EFAULT;
    if (msrs && platform_copy_to_guest(hv->platform, msrs, w->msrs, have_msrs * sizeof(w->msrs[0])))
        return -XEN_EFAULT;
    *nr_leaves = leaves ? (uint32_t)have_leaves : POLICY_MAX_LEAVES;
    *nr_msrs = msrs ? (uint32_t)have_msrs : POLICY_MAX_MSRS;
    return 0;
}

long policy_copy_to_guest(struct hypervisor *hv, const struct cpu_policy *p, uint64_t leaves,
                          uint32_t *nr_leaves, uint64_t msrs, uint32_t *nr_msrs)
{
    struct work *w = platform_alloc(hv->platform, sizeof(*w));
    long rc;

    if (!w)
        return -XEN_ENOMEM;
    rc = copy_out(hv, w, p, leaves, nr_leaves, msrs, nr_msrs);
    platform_free(hv->platform, w);
    return rc;
}
