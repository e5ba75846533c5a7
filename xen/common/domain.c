/* SPDX-License-Identifier: MIT */
/*
 * Domains and their vCPUs: made, found, paused, shut down, gone.
 */
#include <hypervisor.h>

#include <cpuid-policy/vocabulary.h>

#include <xen/errno.h>
#include <xen/hvm/params.h>
#include <xen/sched.h>
#include <xen/sysctl.h>

#include "features-gen.h"

_Static_assert(HVM_NR_PARAMS <= 64, "hvm_params is too short for the ABI's parameters");
_Static_assert(DOMID_IDLE == DOMID_IDLE_, "DOMID_IDLE");

#define CREATE_FLAGS                                                                               \
    (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap | XEN_DOMCTL_CDF_s3_integrity |                       \
     XEN_DOMCTL_CDF_oos_off | XEN_DOMCTL_CDF_xs_domain)

/* ---- finding ---- */

struct domain *domain_by_id(struct hypervisor *hv, uint16_t id)
{
    struct domain *d = hv->by_id[id % DOMAIN_HASH];

    while (d && d->id != id)
        d = d->hash_next;
    return d;
}

static void link_domain(struct domain *d)
{
    struct hypervisor *hv = d->hv;
    struct domain *before = hv->last_domain;

    /* Ids mostly grow, so the place is mostly at the end. */
    while (before && before->id > d->id)
        before = before->prev;
    d->prev = before;
    d->next = before ? before->next : hv->domains;
    *(before ? &before->next : &hv->domains) = d;
    *(d->next ? &d->next->prev : &hv->last_domain) = d;

    d->hash_next = hv->by_id[d->id % DOMAIN_HASH];
    hv->by_id[d->id % DOMAIN_HASH] = d;
    hv->nr_domains++;
}

static void unlink_domain(struct domain *d)
{
    struct hypervisor *hv = d->hv;
    struct domain **link = &hv->by_id[d->id % DOMAIN_HASH];

    while (*link != d)
        link = &(*link)->hash_next;
    *link = d->hash_next;
    *(d->prev ? &d->prev->next : &hv->domains) = d->next;
    *(d->next ? &d->next->prev : &hv->last_domain) = d->prev;
    hv->nr_domains--;
}

/* The next id after the last one given, so that an id is not reused soon; -ENOMEM: all taken. */
static int free_id(struct hypervisor *hv)
{
    uint16_t id = hv->last_domid;

    for (unsigned int i = 0; i < DOMID_FIRST_RESERVED; i++) {
        id = (uint16_t)(id + 1u < DOMID_FIRST_RESERVED ? id + 1u : 1u);
        if (!domain_by_id(hv, id))
            return id;
    }
    return -XEN_ENOMEM;
}

/* ---- making ---- */

static int check_config(const struct hypervisor *hv, const struct xen_domctl_createdomain *c)
{
    bool hvm = c->flags & XEN_DOMCTL_CDF_hvm, hap = c->flags & XEN_DOMCTL_CDF_hap;

    if ((c->flags & ~CREATE_FLAGS) || (hap && !hvm))
        return -XEN_EINVAL;
    if ((hvm && !hv->has_hvm) || (hap && !hv->has_hap))
        return -XEN_EOPNOTSUPP;
    /* There is no IOMMU, no processor trace and one CPU pool here. */
    if (c->iommu_opts || c->vmtrace_size || c->cpupool_id)
        return -XEN_EINVAL;
    if (c->max_vcpus < 1 || c->max_vcpus > DOMAIN_MAX_VCPUS)
        return -XEN_EINVAL;
    if ((c->grant_opts & ~(uint32_t)XEN_DOMCTL_GRANT_version_mask) ||
        XEN_DOMCTL_GRANT_version(c->grant_opts) > 2)
        return -XEN_EINVAL;
    if ((c->arch.emulation_flags & ~XEN_X86_EMU_ALL) || (!hvm && c->arch.emulation_flags) ||
        (c->arch.misc_flags & ~XEN_X86_MSR_RELAXED))
        return -XEN_EINVAL;
    return 0;
}

static const struct cpu_policy *born_with(const struct domain *d)
{
    switch (domain_guest_type(d)) {
    case GUEST_PV:
        return &d->hv->policies[XEN_SYSCTL_cpu_policy_pv_default];
    case GUEST_HVM_SHADOW:
        return &d->hv->policies[HOST_POLICY_SHADOW_DEFAULT];
    default:
        return &d->hv->policies[XEN_SYSCTL_cpu_policy_hvm_default];
    }
}

static void give_birth_policy(struct domain *d)
{
    struct cpu_policy p = *born_with(d);

    if (d->hv->policy_way)
        d->hv->policy_way->birth(d, &p);
    domain_set_policy(d, &p);
}

int domain_create(struct hypervisor *hv, uint16_t id, const struct xen_domctl_createdomain *config,
                  struct domain **out)
{
    int rc = check_config(hv, config);
    struct domain *d;

    if (rc)
        return rc;
    if (id == DOMID_INVALID) {
        rc = free_id(hv);
        if (rc < 0)
            return rc;
        id = (uint16_t)rc;
    } else if (id >= DOMID_FIRST_RESERVED) {
        return -XEN_EINVAL;
    } else if (domain_by_id(hv, id)) {
        return -XEN_EEXIST;
    }

    d = platform_alloc(hv->platform, sizeof(*d));
    if (!d)
        return -XEN_ENOMEM;
    d->hv = hv;
    d->vcpus = platform_alloc(hv->platform, config->max_vcpus * sizeof(struct vcpu *));
    if (!d->vcpus) {
        platform_free(hv->platform, d);
        return -XEN_ENOMEM;
    }
    d->id = id;
    d->hvm = config->flags & XEN_DOMCTL_CDF_hvm;
    d->hap = config->flags & XEN_DOMCTL_CDF_hap;
    d->pause_count = 1;
    d->config = *config;
    d->max_vcpus = config->max_vcpus;
    d->shared_info = INVALID_MFN_;
    if (!d->hvm && id != 0 && memory_share_info(d)) { /* dom0 has no memory here */
        platform_free(hv->platform, d->vcpus);
        platform_free(hv->platform, d);
        return -XEN_ENOMEM;
    }
    link_domain(d);
    hv->last_domid = id;
    give_birth_policy(d);
    *out = d;
    return 0;
}

static void vcpu_free(struct vcpu *v)
{
    struct platform *p = v->domain->hv->platform;

    sched_remove_vcpu(v);
    platform_free(p, v->context);
    platform_free(p, v);
}

void domain_destroy(struct domain *d)
{
    struct platform *p = d->hv->platform;

    d->dying = true;
    sched_domain_changed(d);
    for (uint32_t i = 0; i < d->max_vcpus; i++)
        if (d->vcpus[i])
            vcpu_free(d->vcpus[i]);
    memory_free_all(d);
    unlink_domain(d);
    platform_free(p, d->vcpus);
    platform_free(p, d);
}

static void vcpu_policy_changed(struct vcpu *v)
{
    bool xsave = policy_has(&v->domain->policy, X86_FEATURE_XSAVE);

    topology_place(&v->domain->topology, v->id, &v->place);
    /* As at power-on: a CPU without XSAVE has no XCR0, every other has x87 state in it. */
    if (xsave != !!v->regs.xcr0)
        v->regs.xcr0 = xsave;
    guest_cpuid_update(v);
}

void domain_set_policy(struct domain *d, const struct cpu_policy *p)
{
    d->policy = *p;
    host_policy_for_domain(&d->policy);
    topology_from_policy(&d->policy, d->max_vcpus, &d->topology);
    for (uint32_t i = 0; i < d->max_vcpus; i++)
        if (d->vcpus[i])
            vcpu_policy_changed(d->vcpus[i]);
    if (!d->hvm)
        levelling_domain_update(d->hv, d);
}

void vcpu_reset(struct vcpu *v)
{
    struct vcpu_regs *r = &v->regs;

    *r = (struct vcpu_regs){
        .gpr[GPR_RDX] = v->domain->policy.basic[1].a, /* the processor's signature */
        .rip = 0xfff0,
        .rflags = 2, /* bit 1 reads as one */
        .cr0 = 0x60000010,
        .xcr0 = policy_has(&v->domain->policy, X86_FEATURE_XSAVE), /* x87 state */
        .apic_base = 0xfee00000u | 1u << 11 | (v->id == 0 ? 1u << 8 : 0),
    };
    /* The legacy area: FCW 37F and MXCSR 1F80 are what XRSTOR gives in place of absent state (SDM
     * vol. 1, 13.6). */
    r->xsave[0] = 0x7f;
    r->xsave[1] = 0x03;
    r->xsave[24] = 0x80;
    r->xsave[25] = 0x1f;
    guest_cpuid_update(v);
}

int vcpu_create(struct domain *d, uint32_t id)
{
    struct vcpu *v;

    if (id >= d->max_vcpus || d->dying)
        return -XEN_EINVAL;
    if (d->vcpus[id])
        return -XEN_EEXIST;
    v = platform_alloc(d->hv->platform, sizeof(*v));
    if (!v)
        return -XEN_ENOMEM;
    v->domain = d;
    v->id = id;
    if (sched_add_vcpu(v)) {
        platform_free(d->hv->platform, v);
        return -XEN_ENOMEM;
    }
    d->vcpus[id] = v;
    topology_place(&d->topology, id, &v->place);
    vcpu_reset(v);
    return 0;
}

/* ---- running and not running ---- */

int domain_pause(struct domain *d)
{
    if (d->dying)
        return -XEN_ESRCH;
    if (d->pause_count == INT32_MAX)
        return -XEN_EINVAL;
    d->pause_count++;
    sched_domain_changed(d);
    return 0;
}

int domain_unpause(struct domain *d)
{
    if (!d->pause_count)
        return -XEN_EINVAL;
    d->pause_count--;
    if (!d->pause_count)
        d->created = true;
    sched_domain_changed(d);
    return 0;
}

void domain_shutdown(struct domain *d, uint8_t reason)
{
    if (d->shutdown || d->dying)
        return;
    d->shutdown = true;
    d->shutdown_reason = reason;
    if (reason == SHUTDOWN_crash)
        printk(d->hv, "d%u has crashed", d->id);
    sched_domain_changed(d);
}

void domain_resume(struct domain *d)
{
    if (!d->shutdown)
        return;
    d->shutdown = false;
    d->shutdown_reason = 0;
    for (uint32_t i = 0; i < d->max_vcpus; i++)
        if (d->vcpus[i])
            vcpu_wake(d->vcpus[i]);
    sched_domain_changed(d);
}
