/* SPDX-License-Identifier: MIT */
/*
 * Giving a domain its CPU: XEN_DOMCTL_{get,set}_cpu_policy.
 *
 * What is set is taken as it is or refused, never changed: a guest must not find itself on another
 * CPU than the one that the toolstack asked for.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#define MAX_FAULTS 16u

/* Too much for a stack. */
struct work {
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    struct cpu_policy policy, max;
    struct policy_fault faults[MAX_FAULTS];
};

long domain_get_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *op)
{
    return policy_copy_to_guest(d->hv, &d->policy, HANDLE(op->leaves), &op->nr_leaves,
                                HANDLE(op->msrs), &op->nr_msrs);
}

/* ---- in ---- */

/* What is wrong, for dom0's administrator. */
static void log_fault(const struct domain *d, const struct policy_fault *f)
{
    const struct feature_info *info = feature_info(f->feature);
    char where[40] = "";

    if (f->feature != POLICY_NONE && f->kind != FAULT_FIELD)
        (void)feature_location(f->feature, where, sizeof(where));
    else if (f->msr != POLICY_NONE)
        (void)format_text(where, sizeof(where), "MSR %x", f->msr);
    else if (f->subleaf != POLICY_NONE)
        (void)format_text(where, sizeof(where), "leaf %x subleaf %x", f->leaf, f->subleaf);
    else if (f->leaf != POLICY_NONE)
        (void)format_text(where, sizeof(where), "leaf %x", f->leaf);
    printk(d->hv, "d%u: CPU policy refused: %s%s%s %s (guest %lx, here %lx)", d->id,
           policy_fault_name(f->kind), info ? " " : "", info ? info->name : "", where, f->guest,
           f->host);
}

/* The ABI names a leaf or an MSR: a feature's is where its word is. */
static void blame_fault(struct xen_domctl_cpu_policy *op, const struct policy_fault *f)
{
    op->err_leaf = f->leaf;
    op->err_subleaf = f->subleaf;
    op->err_msr = f->msr;
    if (f->leaf == POLICY_NONE && f->msr == POLICY_NONE && f->feature < FEATURESET_BITS &&
        f->kind != FAULT_FIELD) {
        const struct featureset_word_info *w = featureset_word_info(f->feature / 32);

        op->err_leaf = w->leaf;
        op->err_subleaf = w->subleaf;
        op->err_msr = w->msr;
    }
}

static long refuse_policy(const struct domain *d, struct xen_domctl_cpu_policy *op,
                          const struct policy_report *r)
{
    size_t n = r->count < r->max ? r->count : r->max;

    for (size_t i = 0; i < n; i++)
        log_fault(d, &r->faults[i]);
    if (r->count > n)
        printk(d->hv, "d%u: CPU policy refused: and %lu more", d->id, r->count - n);
    if (n)
        blame_fault(op, &r->faults[0]);
    return -XEN_EINVAL;
}

static struct policy_host limits_of(const struct domain *d)
{
    const struct hypervisor *hv = d->hv;

    switch (domain_guest_type(d)) {
    case GUEST_PV:
        return (struct policy_host){&hv->policies[XEN_SYSCTL_cpu_policy_pv_max],
                                    &hv->policies[XEN_SYSCTL_cpu_policy_pv_default]};
    case GUEST_HVM_SHADOW:
        return (struct policy_host){&hv->policies[HOST_POLICY_SHADOW_MAX],
                                    &hv->policies[HOST_POLICY_SHADOW_DEFAULT]};
    default:
        return (struct policy_host){&hv->policies[XEN_SYSCTL_cpu_policy_hvm_max],
                                    &hv->policies[XEN_SYSCTL_cpu_policy_hvm_default]};
    }
}

static long audit_and_set(struct domain *d, struct xen_domctl_cpu_policy *op, struct work *w)
{
    struct policy_report report = {w->faults, MAX_FAULTS, 0};
    struct policy_host here = limits_of(d);
    uint32_t leaf, subleaf;

    /* What no domain gets of a limit is not accepted, or it would be cut down in silence. */
    w->max = *here.max;
    policy_restrict(&w->max, domain_guest_type(d));
    here.max = &w->max;

    w->policy = d->policy;
    if (policy_merge_leaves(&w->policy, w->leaves, op->nr_leaves, w->msrs, op->nr_msrs, &report))
        return refuse_policy(d, op, &report);
    policy_trim(&w->policy);
    if (policy_verify(&w->policy, &report) | policy_check(&w->policy, &here, &report))
        return refuse_policy(d, op, &report);
    if (topology_verify(&w->policy, &leaf, &subleaf)) {
        printk(d->hv, "d%u: CPU policy refused: topology contradicts itself at leaf %x subleaf %x",
               d->id, leaf, subleaf);
        op->err_leaf = leaf;
        op->err_subleaf = subleaf;
        return -XEN_EINVAL;
    }
    domain_set_policy(d, &w->policy);
    return 0;
}

/* As hv->policy_way has it; see hypervisor.h. */
static long set_another_way(struct domain *d, struct xen_domctl_cpu_policy *op, struct work *w)
{
    long rc;

    w->policy = d->policy;
    rc = d->hv->policy_way->set(d, &w->policy, op, w->leaves, w->msrs);
    if (!rc)
        domain_set_policy(d, &w->policy);
    return rc;
}

/* An array of none may be anywhere. */
static int copy_in(struct platform *p, void *to, uint64_t from, size_t size)
{
    return size ? platform_copy_from_guest(p, to, from, size) : 0;
}

long domain_set_cpu_policy(struct domain *d, struct xen_domctl_cpu_policy *op)
{
    struct platform *p = d->hv->platform;
    struct work *w;
    long rc = -XEN_EFAULT;

    op->err_leaf = op->err_subleaf = op->err_msr = POLICY_NONE;
    if (d->id == 0) /* whoever asks does not change its own CPU under its feet */
        return -XEN_EINVAL;
    if (d->created)
        return -XEN_EEXIST;
    if (op->nr_leaves > POLICY_MAX_LEAVES || op->nr_msrs > POLICY_MAX_MSRS)
        return -XEN_E2BIG;
    w = platform_alloc(p, sizeof(*w));
    if (!w)
        return -XEN_ENOMEM;
    if (!copy_in(p, w->leaves, HANDLE(op->leaves), op->nr_leaves * sizeof(w->leaves[0])) &&
        !copy_in(p, w->msrs, HANDLE(op->msrs), op->nr_msrs * sizeof(w->msrs[0])))
        rc = d->hv->policy_way ? set_another_way(d, op, w) : audit_and_set(d, op, w);
    platform_free(p, w);
    return rc;
}
