/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor and a xenstore for the test build of the gate, in the place of transport_xen.c.
 *
 * FAKE_XEN_CPU   the processor (xen/sim/machines) that this host has; none: there is no Xen here
 * FAKE_XEN_DROP  features that it lacks all the same, FAKE_XEN_SET some that it has
 * FAKE_XEN_TYPE  what every domain is: pv, hvm, pvh (the default), shadow (PVH without HAP)
 * FAKE_XEN_NAME  the domain's name in xenstore
 * FAKE_SYSLOG    the socket of syslog; none: nobody listens
 * FAKE_XEN_FAIL  the hypercall that fails: version, getdomaininfo, policy, domain-policy,
 *                set-policy, caps; no-caps: it does not offer them, as 4.22
 * FAKE_XEN_CAPS  its levelling capabilities, a number (1: CPUID faulting, the default)
 * FAKE_XEN_KEEPS_NOT  features that a domain is not given though this host has them
 * FAKE_XEN_ADDS  features that a domain is given whatever it was told of
 * FAKE_XEN_CLEARS a basic leaf, in hexadecimal, that the host lacks and clears in each domain
 * FAKE_XEN_LATE  features that a domain loses while the stock helper restores it;
 *                FAKE_XEN_LATE=gone: it cannot be asked for any more
 * FAKE_DRIFT     the file in which `xenlevel pool refresh` leaves its answer
 * FAKE_GATE_RELAY the head is taken from the stream and the rest relayed, whatever the stream is
 * FAKE_XEN_MINOR its version is 4.this (17)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "xc_abi.h"
#include "edit.h"
#include "gate.h"

#include <xen/domctl.h>
#include <xen/sysctl.h>
#include <xen/version.h>

static struct cpu_policy host_policy, domain_policy;
static bool has_own_policy;     /* domain_policy was set */
static unsigned int times_open; /* the gate opens it anew behind the stock helper */

static bool fails(const char *what)
{
    const char *which = getenv("FAKE_XEN_FAIL");

    return which && !strcmp(which, what);
}

static void clear_leaf(struct cpu_policy *p)
{
    const char *leaf = getenv("FAKE_XEN_CLEARS");

    if (leaf)
        p->basic[strtoul(leaf, NULL, 16)] = (struct cpuid_regs){0};
}

static int fake_open(void **state, const char *where, char *why, size_t why_size)
{
    const char *cpu = getenv("FAKE_XEN_CPU");

    (void)where;
    *state = NULL;
    if (!cpu) {
        (void)snprintf(why, why_size, "no Xen here");
        errno = ENOENT;
        return -1;
    }
    host_policy = *test_cpu(cpu);
    edit_policy(&host_policy, getenv("FAKE_XEN_SET"), getenv("FAKE_XEN_DROP"));
    clear_leaf(&host_policy);
    times_open++;
    return 0;
}

static void fake_close(void *state)
{
    (void)state;
}

static void *fake_alloc(void *state, size_t size)
{
    (void)state;
    return calloc(1, size);
}

static void fake_release(void *state, void *buffer)
{
    (void)state;
    free(buffer);
}

/* Leaves and MSRs into the caller's buffers; without buffers, how many there can be. */
static int give_policy(const struct cpu_policy *p, xen_cpuid_leaf_t *leaves, uint32_t *nr_leaves,
                       xen_msr_entry_t *msrs, uint32_t *nr_msrs)
{
    size_t l = *nr_leaves, m = *nr_msrs;

    if (!leaves) {
        *nr_leaves = POLICY_MAX_LEAVES;
        *nr_msrs = POLICY_MAX_MSRS;
        return 0;
    }
    if (policy_to_leaves(p, leaves, &l, msrs, &m)) {
        errno = ENOBUFS;
        return -1;
    }
    *nr_leaves = (uint32_t)l;
    *nr_msrs = (uint32_t)m;
    return 0;
}

static int fake_sysctl(struct xen_sysctl *op)
{
    struct xen_sysctl_cpu_policy *p = &op->u.cpu_policy;
    const char *caps = getenv("FAKE_XEN_CAPS");

    if (op->cmd == XC_SYSCTL_GET_CPU_LEVELLING_CAPS && !fails("no-caps")) {
        const uint32_t answer =
            caps ? (uint32_t)strtoul(caps, NULL, 0) : XEN_SYSCTL_CPU_LEVELCAP_faulting;

        memcpy(&op->u, &answer, sizeof(answer));
        errno = EPERM;
        return fails("caps") ? -1 : 0;
    }
    if (op->cmd != XEN_SYSCTL_get_cpu_policy || fails("policy")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return give_policy(&host_policy, p->leaves.p, &p->nr_leaves, p->msrs.p, &p->nr_msrs);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* As stock Xen does: over what the domain has, cut down to what the host has, and no error. */
static int fake_set_policy(const struct xen_domctl_cpu_policy *p)
{
    struct featureset told, have;

    if (fails("set-policy")) {
        errno = EINVAL;
        return -1;
    }
    if (!has_own_policy)
        domain_policy = host_policy;
    has_own_policy = true;
    if (policy_merge_leaves(&domain_policy, p->leaves.p, p->nr_leaves, p->msrs.p, p->nr_msrs,
                            NULL)) {
        errno = EINVAL;
        return -1;
    }
    domain_policy.basic[0].a = least(domain_policy.basic[0].a, host_policy.basic[0].a);
    domain_policy.extd[0].a = least(domain_policy.extd[0].a, host_policy.extd[0].a);
    if ((domain_policy.extd[8].a & 0xff) > (host_policy.extd[8].a & 0xff))
        domain_policy.extd[8].a =
            (domain_policy.extd[8].a & ~0xffu) | (host_policy.extd[8].a & 0xff);
    policy_trim(&domain_policy);
    policy_to_featureset(&host_policy, &have);
    policy_to_featureset(&domain_policy, &told);
    featureset_and(&have, &told, &have);
    policy_from_featureset(&domain_policy, &have);
    if (!featureset_equal(&have, &told))
        policy_close(&domain_policy, NULL);
    edit_policy(&domain_policy, getenv("FAKE_XEN_ADDS"), getenv("FAKE_XEN_KEEPS_NOT"));
    clear_leaf(&domain_policy);
    return 0;
}

static int fake_get_policy(struct xen_domctl_cpu_policy *p)
{
    const char *late = getenv("FAKE_XEN_LATE");

    if (fails("domain-policy") || (times_open > 1 && late && !strcmp(late, "gone"))) {
        errno = ESRCH;
        return -1;
    }
    if (times_open > 1 && late)
        edit_policy(&domain_policy, NULL, late);
    return give_policy(has_own_policy ? &domain_policy : &host_policy, p->leaves.p, &p->nr_leaves,
                       p->msrs.p, &p->nr_msrs);
}

static int fake_domaininfo(struct xen_domctl *op)
{
    const char *type = getenv("FAKE_XEN_TYPE");
    struct xen_domctl_getdomaininfo *d = &op->u.getdomaininfo;

    if (fails("getdomaininfo")) {
        errno = ESRCH;
        return -1;
    }
    memset(d, 0, sizeof(*d));
    d->domain = op->domain;
    if (type && !strcmp(type, "pv"))
        return 0;
    d->flags = XEN_DOMINF_hvm_guest;
    if (!type || strcmp(type, "shadow"))
        d->flags |= XEN_DOMINF_hap;
    d->arch_config.emulation_flags =
        type && !strcmp(type, "hvm") ? XEN_X86_EMU_ALL : XEN_X86_EMU_LAPIC;
    return 0;
}

static int fake_domctl(struct xen_domctl *op)
{
    struct xen_domctl_cpu_policy *p = &op->u.cpu_policy;

    if (op->cmd == XEN_DOMCTL_getdomaininfo)
        return fake_domaininfo(op);
    if (op->cmd == XEN_DOMCTL_get_cpu_policy)
        return fake_get_policy(p);
    if (op->cmd == XEN_DOMCTL_set_cpu_policy)
        return fake_set_policy(p);
    errno = EOPNOTSUPP;
    return -1;
}

static int fake_version(unsigned int cmd)
{
    const char *minor = getenv("FAKE_XEN_MINOR");

    if (fails("version")) {
        errno = EPERM;
        return -1;
    }
    return cmd == XENVER_version ? 4 << 16 | (minor ? atoi(minor) : 17) : 0;
}

static long fake_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    (void)state;
    switch (op) {
    case __HYPERVISOR_xen_version:
        return fake_version((unsigned int)args[0]);
    case __HYPERVISOR_sysctl:
        return fake_sysctl((struct xen_sysctl *)(uintptr_t)args[0]);
    case __HYPERVISOR_domctl:
        return fake_domctl((struct xen_domctl *)(uintptr_t)args[0]);
    default:
        errno = ENOSYS;
        return -1;
    }
}

static const char *fake_why(void *state)
{
    (void)state;
    return NULL;
}

static int fake_store_read(void *state, const char *path, char **value)
{
    const char *name = getenv("FAKE_XEN_NAME");
    size_t len = strlen(path);

    (void)state;
    *value = NULL;
    if (name && len > 5 && !strcmp(path + len - 5, "/name"))
        *value = strdup(name);
    errno = ENOENT;
    return *value ? 0 : -1;
}

static int fake_store_write(void *state, const char *path, const char *value)
{
    (void)state;
    (void)path;
    (void)value;
    errno = EACCES;
    return -1;
}

static void *fake_map(void *state, uint32_t domid, const uint64_t *gfns, size_t n, bool write,
                      void **pages)
{
    (void)state;
    (void)domid;
    (void)gfns;
    (void)n;
    (void)write;
    (void)pages;
    errno = EPERM;
    return NULL;
}

static void fake_unmap(void *state, void *mapping)
{
    (void)state;
    (void)mapping;
}

static void *fake_map_grants(void *state, uint32_t domid, void **page)
{
    (void)state;
    (void)domid;
    (void)page;
    errno = EOPNOTSUPP;
    return NULL;
}

static void fake_unmap_grants(void *state, void *mapping)
{
    (void)state;
    (void)mapping;
}

static const struct xc_transport_ops fake_ops = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .alloc = fake_alloc,
    .release = fake_release,
    .hypercall = fake_hypercall,
    .why = fake_why,
    .store_read = fake_store_read,
    .store_write = fake_store_write,
    .map = fake_map,
    .unmap = fake_unmap,
    .map_grants = fake_map_grants,
    .unmap_grants = fake_unmap_grants,
};

const struct xc_transport_ops *const gate_transport = &fake_ops;

const char *gate_syslog(void)
{
    const char *path = getenv("FAKE_SYSLOG");

    return path ? path : "/nonexistent";
}

const char *gate_drift_file(void)
{
    const char *path = getenv("FAKE_DRIFT");

    return path ? path : "/nonexistent";
}

bool gate_may_peek(void)
{
    return !getenv("FAKE_GATE_RELAY");
}
