/* SPDX-License-Identifier: MIT */
/*
 * Featuresets and CPU policies, of the host and of domains.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xc_private.h"

static const char *const featureset_names[XC_FEATURESETS] = {
    [XC_FEATURESET_RAW] = "raw",       [XC_FEATURESET_HOST] = "host",
    [XC_FEATURESET_PV] = "pv",         [XC_FEATURESET_HVM] = "hvm",
    [XC_FEATURESET_PV_MAX] = "pv-max", [XC_FEATURESET_HVM_MAX] = "hvm-max",
};

static const char *const policy_names[XC_POLICIES] = {
    [XC_POLICY_RAW] = "raw",
    [XC_POLICY_HOST] = "host",
    [XC_POLICY_PV_MAX] = "pv-max",
    [XC_POLICY_HVM_MAX] = "hvm-max",
    [XC_POLICY_PV_DEFAULT] = "pv-default",
    [XC_POLICY_HVM_DEFAULT] = "hvm-default",
};

const char *xc_featureset_name(enum xc_featureset_index index)
{
    return (unsigned int)index < XC_FEATURESETS ? featureset_names[index] : NULL;
}

const char *xc_policy_name(enum xc_policy_index index)
{
    return (unsigned int)index < XC_POLICIES ? policy_names[index] : NULL;
}

/* Log what failed, unless xc_sysctl() or xc_domctl() has already said why. */
static int fail_to_get(xc_handle *xch, const char *what, const char *which)
{
    int err = errno;

    if (err == EPROTO)
        return -1;
    return xc_fail(xch, err, "%s (%s): %s", what, which, xc_reason(xch, err));
}

static int featureset_call(xc_handle *xch, enum xc_featureset_index index, uint32_t *buffer,
                           uint32_t *nr)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_get_cpu_featureset};

    op.u.cpu_featureset.index = index;
    op.u.cpu_featureset.nr_features = *nr;
    set_xen_guest_handle(op.u.cpu_featureset.features, buffer);
    if (xc_sysctl(xch, &op) < 0)
        return -1;
    *nr = op.u.cpu_featureset.nr_features;
    return 0;
}

int xc_get_cpu_featureset(xc_handle *xch, enum xc_featureset_index index, uint32_t **words,
                          size_t *n)
{
    static const char what[] = "asking Xen for a featureset";
    const char *which = xc_featureset_name(index);
    uint32_t nr = 0, room;
    uint32_t *buffer;
    int rc;

    *words = NULL;
    *n = 0;
    if (!which)
        return xc_fail(xch, EINVAL, "%s: there is no number %u", what, (unsigned int)index);
    /* Without a buffer the answer is the length. */
    if (featureset_call(xch, index, NULL, &nr) < 0)
        return fail_to_get(xch, what, which);
    room = nr;
    buffer = xch->ops->alloc(xch->state, (room ? room : 1) * sizeof(*buffer));
    if (!buffer)
        return fail_to_get(xch, what, which);
    rc = featureset_call(xch, index, buffer, &nr);
    if (rc < 0) {
        rc = fail_to_get(xch, what, which);
    } else if (nr > room) {
        rc = xc_fail(xch, EIO, "%s (%s): %u words in a buffer of %u", what, which, nr, room);
    } else {
        *words = malloc((nr ? nr : 1) * sizeof(**words));
        if (*words) {
            memcpy(*words, buffer, nr * sizeof(**words));
            *n = nr;
        } else {
            rc = fail_to_get(xch, what, which);
        }
    }
    room = (uint32_t)errno;
    xch->ops->release(xch->state, buffer);
    errno = (int)room;
    return rc;
}

void xc_leaves_free(struct xc_leaves *l)
{
    free(l->leaves);
    free(l->msrs);
    memset(l, 0, sizeof(*l));
}

/* Room for nr leaves and MSRs, at least one of each so that no pointer is NULL. */
static int leaves_alloc(struct xc_leaves *l, size_t nr_leaves, size_t nr_msrs)
{
    l->leaves = calloc(nr_leaves ? nr_leaves : 1, sizeof(*l->leaves));
    l->msrs = calloc(nr_msrs ? nr_msrs : 1, sizeof(*l->msrs));
    if (!l->leaves || !l->msrs) {
        xc_leaves_free(l);
        errno = ENOMEM;
        return -1;
    }
    l->nr_leaves = nr_leaves;
    l->nr_msrs = nr_msrs;
    return 0;
}

/* The two hypercall buffers that a policy needs. */
struct policy_buffers {
    xen_cpuid_leaf_t *leaves;
    xen_msr_entry_t *msrs;
    uint32_t nr_leaves, nr_msrs;
};

static void buffers_release(xc_handle *xch, struct policy_buffers *b)
{
    int err = errno;

    xch->ops->release(xch->state, b->leaves);
    xch->ops->release(xch->state, b->msrs);
    errno = err;
}

static int buffers_alloc(xc_handle *xch, struct policy_buffers *b, uint32_t nr_leaves,
                         uint32_t nr_msrs)
{
    b->nr_leaves = nr_leaves;
    b->nr_msrs = nr_msrs;
    b->leaves = xch->ops->alloc(xch->state, (nr_leaves ? nr_leaves : 1) * sizeof(*b->leaves));
    b->msrs = xch->ops->alloc(xch->state, (nr_msrs ? nr_msrs : 1) * sizeof(*b->msrs));
    if (b->leaves && b->msrs)
        return 0;
    buffers_release(xch, b);
    return -1;
}

/* b->leaves == NULL: ask for the sizes. */
static int system_policy_call(xc_handle *xch, enum xc_policy_index index, struct policy_buffers *b)
{
    struct xen_sysctl op = {.cmd = XEN_SYSCTL_get_cpu_policy};

    op.u.cpu_policy.index = index;
    op.u.cpu_policy.nr_leaves = b->nr_leaves;
    op.u.cpu_policy.nr_msrs = b->nr_msrs;
    set_xen_guest_handle(op.u.cpu_policy.leaves, b->leaves);
    set_xen_guest_handle(op.u.cpu_policy.msrs, b->msrs);
    if (xc_sysctl(xch, &op) < 0)
        return -1;
    b->nr_leaves = op.u.cpu_policy.nr_leaves;
    b->nr_msrs = op.u.cpu_policy.nr_msrs;
    return 0;
}

static int domain_policy_call(xc_handle *xch, uint32_t cmd, uint32_t domid,
                              struct policy_buffers *b, struct xc_policy_error *err)
{
    struct xen_domctl op = {.cmd = cmd, .domain = (domid_t)domid};
    struct xen_domctl_cpu_policy *p = &op.u.cpu_policy;
    int rc;

    p->nr_leaves = b->nr_leaves;
    p->nr_msrs = b->nr_msrs;
    set_xen_guest_handle(p->leaves, b->leaves);
    set_xen_guest_handle(p->msrs, b->msrs);
    p->err_leaf = p->err_subleaf = p->err_msr = POLICY_NONE;
    rc = xc_domctl(xch, &op);
    if (err)
        *err = (struct xc_policy_error){p->err_leaf, p->err_subleaf, p->err_msr};
    if (rc < 0)
        return -1;
    b->nr_leaves = p->nr_leaves;
    b->nr_msrs = p->nr_msrs;
    return 0;
}

/* The most entries that any policy of this hypervisor has. */
static int policy_sizes(xc_handle *xch, enum xc_policy_index index, struct policy_buffers *b)
{
    *b = (struct policy_buffers){0};
    return system_policy_call(xch, index, b);
}

/* Copy the answer out of the hypercall buffers, which had the given room. */
static int take_answer(xc_handle *xch, const struct policy_buffers *b, uint32_t room_leaves,
                       uint32_t room_msrs, struct xc_leaves *l)
{
    if (b->nr_leaves > room_leaves || b->nr_msrs > room_msrs)
        return xc_fail(xch, EIO, "Xen says it wrote %u leaves and %u MSRs where %u and %u fit",
                       b->nr_leaves, b->nr_msrs, room_leaves, room_msrs);
    if (leaves_alloc(l, b->nr_leaves, b->nr_msrs))
        return xc_fail(xch, ENOMEM, "out of memory for a CPU policy");
    memcpy(l->leaves, b->leaves, b->nr_leaves * sizeof(*b->leaves));
    memcpy(l->msrs, b->msrs, b->nr_msrs * sizeof(*b->msrs));
    return 0;
}

int xc_get_system_cpu_policy(xc_handle *xch, enum xc_policy_index index, struct xc_leaves *l)
{
    static const char what[] = "asking Xen for a CPU policy";
    const char *which = xc_policy_name(index);
    struct policy_buffers sizes, b;
    int rc;

    memset(l, 0, sizeof(*l));
    if (!which)
        return xc_fail(xch, EINVAL, "%s: there is no number %u", what, (unsigned int)index);
    if (policy_sizes(xch, index, &sizes) < 0 ||
        buffers_alloc(xch, &b, sizes.nr_leaves, sizes.nr_msrs))
        return fail_to_get(xch, what, which);
    rc = system_policy_call(xch, index, &b);
    if (rc < 0)
        rc = fail_to_get(xch, what, which);
    else
        rc = take_answer(xch, &b, sizes.nr_leaves, sizes.nr_msrs, l);
    buffers_release(xch, &b);
    return rc;
}

int xc_get_domain_cpu_policy(xc_handle *xch, uint32_t domid, struct xc_leaves *l)
{
    static const char what[] = "asking Xen for the CPU policy of a domain";
    struct policy_buffers sizes, b;
    char which[32];
    int rc;

    memset(l, 0, sizeof(*l));
    (void)snprintf(which, sizeof(which), "domain %u", domid);
    /* The domctl's own size query is not documented; the host's sizes hold for every policy. */
    if (policy_sizes(xch, XC_POLICY_HOST, &sizes) < 0 ||
        buffers_alloc(xch, &b, sizes.nr_leaves, sizes.nr_msrs))
        return fail_to_get(xch, what, which);
    rc = domain_policy_call(xch, XEN_DOMCTL_get_cpu_policy, domid, &b, NULL);
    if (rc < 0)
        rc = fail_to_get(xch, what, which);
    else
        rc = take_answer(xch, &b, sizes.nr_leaves, sizes.nr_msrs, l);
    buffers_release(xch, &b);
    return rc;
}

void xc_policy_error_text(const struct xc_policy_error *err, char *buf, size_t size)
{
    int len = 0;

    if (size)
        buf[0] = '\0';
    if (err->leaf != POLICY_NONE && err->subleaf != POLICY_NONE)
        len = snprintf(buf, size, "leaf %x subleaf %x", err->leaf, err->subleaf);
    else if (err->leaf != POLICY_NONE)
        len = snprintf(buf, size, "leaf %x", err->leaf);
    if (err->msr != POLICY_NONE && (size_t)len < size)
        (void)snprintf(buf + len, size - (size_t)len, "%sMSR %#x", len ? ", " : "", err->msr);
}

int xc_set_domain_cpu_policy(xc_handle *xch, uint32_t domid, const struct xc_leaves *l,
                             struct xc_policy_error *err)
{
    struct xc_policy_error where = {POLICY_NONE, POLICY_NONE, POLICY_NONE};
    struct policy_buffers b;
    char place[64];
    int rc;

    if (err)
        *err = where;
    if (l->nr_leaves > UINT16_MAX || l->nr_msrs > UINT16_MAX)
        return xc_fail(xch, E2BIG, "a CPU policy of %zu leaves and %zu MSRs is too long",
                       l->nr_leaves, l->nr_msrs);
    if (buffers_alloc(xch, &b, (uint32_t)l->nr_leaves, (uint32_t)l->nr_msrs))
        return xc_fail(xch, ENOMEM, "out of memory for a CPU policy");
    if (l->nr_leaves)
        memcpy(b.leaves, l->leaves, l->nr_leaves * sizeof(*b.leaves));
    if (l->nr_msrs)
        memcpy(b.msrs, l->msrs, l->nr_msrs * sizeof(*b.msrs));
    rc = domain_policy_call(xch, XEN_DOMCTL_set_cpu_policy, domid, &b, &where);
    buffers_release(xch, &b);
    if (err)
        *err = where;
    if (!rc || errno == EPROTO)
        return rc;

    xc_policy_error_text(&where, place, sizeof(place));
    return xc_fail(xch, errno, "domain %u was not given its CPU policy: %s%s%s", domid,
                   errno == EEXIST ? "it has run already" : xc_reason(xch, errno),
                   place[0] ? "; Xen objects to " : "", place);
}

int xc_policy_from_leaves(xc_handle *xch, const char *what, const struct xc_leaves *l,
                          struct cpu_policy *p, char *why, size_t why_size)
{
    struct policy_fault fault;
    struct policy_report report = {.faults = &fault, .max = 1};
    char text[XC_FAULT_TEXT];

    if (why && why_size)
        why[0] = '\0';
    if (!policy_from_leaves(p, l->leaves, l->nr_leaves, l->msrs, l->nr_msrs, &report))
        return 0;
    (void)xc_fault_text(&fault, text, sizeof(text));
    if (why)
        (void)snprintf(why, why_size, "%s", text);
    return xc_fail(xch, EINVAL, "%s: %s%s", what, text,
                   report.count > 1 ? " (and more like it)" : "");
}

int xc_policy_to_leaves(const struct cpu_policy *p, struct xc_leaves *l)
{
    memset(l, 0, sizeof(*l));
    if (leaves_alloc(l, POLICY_MAX_LEAVES, POLICY_MAX_MSRS))
        return -1;
    /* The room always suffices. */
    return policy_to_leaves(p, l->leaves, &l->nr_leaves, l->msrs, &l->nr_msrs) ? -1 : 0;
}
