/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor for tests: it takes the place of xc_transport_xen, below everything that is tested.
 *
 * Environment: FAKE_XEN_HOST, a host's policy file: what the system policies, featuresets and
 * levelling capabilities are.  FAKE_XEN_DOMAIN, a guest's policy file: domain 7, whose policy is
 * read from there and written back.  FAKE_XEN, words: "paused", "ran", "dying" (the domain);
 * "deaf" (takes no policy away: set succeeds and changes nothing), "objects" (refuses leaf 7
 * subleaf 0), "objects-msr", "eperm", "silent" (no such sysctl), "4.16" to "4.23" (that Xen's
 * versions of the interfaces; 4.17's without one of them), "nopv" (no policies for PV guests),
 * "overlong" (says it wrote more than there is room for).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "xc_abi.h"
#include "xc_transport.h"
#include "xlp.h"

#include <xen/domctl.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>

#define DOMID 7

/* What each Xen speaks: its public headers.  4.16 and the next one stand for those that we do not
 * know. */
static const struct version {
    const char *name;
    unsigned int minor;
    uint32_t domctl, sysctl;
} versions[] = {
    {"4.17", 17, 0x15, 0x15}, {"4.16", 16, 0x14, 0x14}, {"4.18", 18, 0x16, 0x15},
    {"4.19", 19, 0x17, 0x15}, {"4.20", 20, 0x17, 0x15}, {"4.21", 21, 0x17, 0x16},
    {"4.22", 22, 0x18, 0x16}, {"4.23", 23, 0x19, 0x17},
};

static bool is(const char *word)
{
    const char *words = getenv("FAKE_XEN");
    const char *at = words ? strstr(words, word) : NULL;
    size_t len = strlen(word);

    return at && (at == words || at[-1] == ' ') && (!at[len] || at[len] == ' ');
}

static const struct version *this_version(void)
{
    for (size_t i = 1; i < sizeof(versions) / sizeof(versions[0]); i++)
        if (is(versions[i].name))
            return &versions[i];
    return &versions[0];
}

static int answer(int err)
{
    errno = err;
    return err ? -1 : 0;
}

static Xenlevel__File *load(const char *variable)
{
    const char *path = getenv(variable);
    struct xlp_error error;
    Xenlevel__File *file = path ? xlp_load(path, &error) : NULL;

    if (path && !file) {
        (void)fprintf(stderr, "fake xen: %s\n", error.text);
        abort();
    }
    return file;
}

static int fake_open(void **state, const char *where, char *why, size_t why_size)
{
    (void)where;
    (void)why;
    (void)why_size;
    *state = xcalloc(1, 1);
    return 0;
}

static void fake_close(void *state)
{
    free(state);
}

static void *fake_alloc(void *state, size_t size)
{
    (void)state;
    return xcalloc(1, size);
}

static void fake_release(void *state, void *buffer)
{
    (void)state;
    free(buffer);
}

/* Leaves and MSRs into guest handles, or their number when there are none. */
static int give(const Xenlevel__Policy *policy, xen_cpuid_leaf_t *leaves, uint32_t *nr_leaves,
                xen_msr_entry_t *msrs, uint32_t *nr_msrs)
{
    struct xc_leaves l;
    int rc = 0;

    xlp_policy_leaves(policy, &l);
    if (!leaves && !msrs) {
        *nr_leaves = POLICY_MAX_LEAVES;
        *nr_msrs = POLICY_MAX_MSRS;
    } else if (*nr_leaves < l.nr_leaves || *nr_msrs < l.nr_msrs) {
        rc = ENOBUFS;
    } else {
        memcpy(leaves, l.leaves, l.nr_leaves * sizeof(*leaves));
        memcpy(msrs, l.msrs, l.nr_msrs * sizeof(*msrs));
        *nr_leaves = is("overlong") ? 100000 : (uint32_t)l.nr_leaves;
        *nr_msrs = (uint32_t)l.nr_msrs;
    }
    xc_leaves_free(&l);
    return answer(rc);
}

static int get_policy(struct xen_sysctl_cpu_policy *p)
{
    Xenlevel__File *file = load("FAKE_XEN_HOST");
    int rc = answer(EOPNOTSUPP);

    if (!file || (is("nopv") && (p->index == 2 || p->index == 4))) {
        xlp_free(file);
        return answer(EOPNOTSUPP);
    }
    for (size_t i = 0; i < file->host->n_policies; i++)
        if (file->host->policies[i]->index == p->index)
            rc = give(file->host->policies[i]->policy, p->leaves.p, &p->nr_leaves, p->msrs.p,
                      &p->nr_msrs);
    xlp_free(file);
    return rc;
}

static int get_featureset(struct xen_sysctl_cpu_featureset *f)
{
    Xenlevel__File *file = load("FAKE_XEN_HOST");
    int rc = EOPNOTSUPP;

    for (size_t i = 0; file && i < file->host->n_featuresets; i++)
        if (file->host->featuresets[i]->index == f->index) {
            /* As many words as Xen 4.17.7 has. */
            if (f->features.p)
                memcpy(f->features.p, file->host->featuresets[i]->featureset->words, 4ul * 19);
            f->nr_features = is("overlong") && f->features.p ? 40 : 19;
            rc = 0;
        }
    xlp_free(file);
    return answer(rc);
}

static int get_caps(uint32_t *caps)
{
    Xenlevel__File *file = load("FAKE_XEN_HOST");

    *caps = file ? file->host->levelling_caps : 0;
    xlp_free(file);
    return 0;
}

static void describe(struct xen_domctl_getdomaininfo *d, uint32_t domid)
{
    Xenlevel__File *file = load("FAKE_XEN_DOMAIN");

    memset(d, 0, sizeof(*d));
    d->domain = (domid_t)domid;
    d->nr_online_vcpus = 1;
    if (domid) {
        if (file->guest->type != XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV)
            d->flags |= XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
        d->arch_config.emulation_flags = XEN_X86_EMU_LAPIC;
        if (file->guest->type == XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM)
            d->arch_config.emulation_flags = XEN_X86_EMU_ALL;
        d->flags |= (is("paused") ? XEN_DOMINF_paused : 0) | (is("dying") ? XEN_DOMINF_dying : 0);
        if (is("shutdown"))
            d->flags |= XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift;
        d->cpu_time = is("ran") ? 12345 : 0;
    }
    xlp_free(file);
}

static int list_domains(struct xen_sysctl_getdomaininfolist *l)
{
    xen_domctl_getdomaininfo_t *out = l->buffer.p;

    l->num_domains = 0;
    if (l->first_domain == 0)
        describe(&out[l->num_domains++], 0);
    if (l->first_domain <= DOMID)
        describe(&out[l->num_domains++], DOMID);
    if (is("overlong"))
        l->num_domains = 1000;
    return 0;
}

static int fake_sysctl(struct xen_sysctl *op)
{
    if (op->interface_version != this_version()->sysctl)
        return answer(EACCES);
    if (is("eperm"))
        return answer(EPERM);
    switch (op->cmd) {
    case XEN_SYSCTL_physinfo:
        op->u.physinfo.capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_pv |
                                      XEN_SYSCTL_PHYSCAP_hap | XEN_SYSCTL_PHYSCAP_shadow;
        op->u.physinfo.nr_cpus = 2;
        return 0;
    case XC_SYSCTL_GET_CPU_LEVELLING_CAPS: /* gone in 4.22 */
        return is("silent") || this_version()->minor > 21 ? answer(ENOSYS)
                                                          : get_caps((uint32_t *)&op->u);
    case XEN_SYSCTL_get_cpu_policy:
        return get_policy(&op->u.cpu_policy);
    case XEN_SYSCTL_get_cpu_featureset:
        return get_featureset(&op->u.cpu_featureset);
    case XEN_SYSCTL_getdomaininfolist:
        return list_domains(&op->u.getdomaininfolist);
    default:
        return answer(ENOSYS);
    }
}

static int set_policy(struct xen_domctl_cpu_policy *p)
{
    const struct xc_leaves l = {p->leaves.p, p->nr_leaves, p->msrs.p, p->nr_msrs};
    Xenlevel__File *file;
    struct xlp_error error;

    if (is("objects")) {
        p->err_leaf = 7;
        p->err_subleaf = 0;
        return answer(EINVAL);
    }
    if (is("objects-msr")) {
        p->err_msr = 0x10a;
        return answer(EINVAL);
    }
    if (is("ran"))
        return answer(EEXIST);
    if (is("deaf"))
        return 0;
    file = load("FAKE_XEN_DOMAIN");
    xenlevel__policy__free_unpacked(file->guest->policy, NULL);
    file->guest->policy = xlp_policy_new(&l);
    if (xlp_save(getenv("FAKE_XEN_DOMAIN"), file, &error))
        abort();
    xlp_free(file);
    return 0;
}

static int get_domain_policy(struct xen_domctl_cpu_policy *p)
{
    Xenlevel__File *file = load("FAKE_XEN_DOMAIN");
    int rc = give(file->guest->policy, p->leaves.p, &p->nr_leaves, p->msrs.p, &p->nr_msrs);

    xlp_free(file);
    return rc;
}

static int fake_domctl(struct xen_domctl *op)
{
    if (op->interface_version != this_version()->domctl)
        return answer(EACCES);
    if (is("eperm"))
        return answer(EPERM);
    if (op->cmd == XEN_DOMCTL_getdomaininfo && op->domain <= DOMID) {
        /* As older versions do: the next one that there is. */
        describe(&op->u.getdomaininfo, op->domain ? DOMID : 0);
        return 0;
    }
    if (op->domain != DOMID || !getenv("FAKE_XEN_DOMAIN"))
        return answer(ESRCH);
    if (op->cmd == XEN_DOMCTL_get_cpu_policy)
        return get_domain_policy(&op->u.cpu_policy);
    if (op->cmd == XEN_DOMCTL_set_cpu_policy)
        return set_policy(&op->u.cpu_policy);
    return answer(ENOSYS);
}

static int fake_version(uint64_t cmd, void *arg)
{
    xen_build_id_t *id = arg;

    switch (cmd) {
    case XENVER_version:
        return (int)(4 << 16 | this_version()->minor);
    case XENVER_extraversion:
        memcpy(arg, ".7-fake", 8);
        return 0;
    case XENVER_capabilities:
        memcpy(arg, "xen-3.0-x86_64 hvm-3.0-x86_64 ", 31);
        return 0;
    case XENVER_build_id:
        if (is("silent"))
            return answer(ENODATA);
        memcpy(id->buf, "\xde\xad\x00\xbe", 4);
        return 4;
    default:
        return answer(ENOSYS);
    }
}

static long fake_hypercall(void *state, unsigned int op, const uint64_t args[XC_HYPERCALL_ARGS])
{
    (void)state;
    switch (op) {
    case __HYPERVISOR_sysctl:
        return fake_sysctl((void *)(uintptr_t)args[0]);
    case __HYPERVISOR_domctl:
        return fake_domctl((void *)(uintptr_t)args[0]);
    case __HYPERVISOR_xen_version:
        return fake_version(args[0], (void *)(uintptr_t)args[1]);
    default:
        return answer(ENOSYS);
    }
}

static const char *fake_why(void *state)
{
    (void)state;
    return NULL;
}

static int fake_store_read(void *state, const char *path, char **value)
{
    (void)state;
    (void)path;
    *value = NULL;
    return answer(ENOENT);
}

static int fake_store_write(void *state, const char *path, const char *value)
{
    (void)state;
    (void)path;
    (void)value;
    return answer(EACCES);
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

/* The linker takes this one, and leaves the real one in its archive. */
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

const struct xc_transport_ops xc_transport_xen = {
    .name = "fake Xen",
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
