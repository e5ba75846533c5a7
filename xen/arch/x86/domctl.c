/* SPDX-License-Identifier: MIT */
/*
 * XEN_DOMCTL_*, the x86 half.
 */
#include <ext-domctl.h>
#include <hypervisor.h>
#include <pv.h>

#include <xen/errno.h>

#define TSC_MODES 3u /* XEN_DOMCTL_settscinfo: default, always and never emulated */

/* A null list asks how many words there are. */
static long get_visible(struct hypervisor *hv, struct domain *d, struct xen_domctl *op,
                        bool *copyback)
{
    struct xenlevel_domctl_visible get;
    uint32_t n;

    __builtin_memcpy(&get, &op->u, sizeof(get));
    n = get.nr_words < FEATURESET_WORDS ? get.nr_words : FEATURESET_WORDS;
    if (!get.words)
        n = FEATURESET_WORDS;
    else if (platform_copy_to_guest(hv->platform, get.words, d->levelling.visible.w,
                                    n * sizeof(uint32_t)))
        return -XEN_EFAULT;
    get.nr_words = n;
    get.costs_switches = d->levelling.costs_switches;
    __builtin_memcpy(&op->u, &get, sizeof(get));
    *copyback = true;
    return n < FEATURESET_WORDS ? -XEN_ENOBUFS : 0;
}

/* The real vCPU's answers: its place, CR4 and XCR0 included. */
static long get_vcpu_cpuid(const struct domain *d, const struct xen_domctl *op)
{
    struct platform *p = d->hv->platform;
    struct xenlevel_domctl_vcpu_cpuid get;
    const struct vcpu *v;

    __builtin_memcpy(&get, &op->u, sizeof(get));
    v = get.vcpu < d->max_vcpus ? d->vcpus[index_nospec(get.vcpu, d->max_vcpus)] : NULL;
    if (!v)
        return -XEN_ESRCH;
    if (get.nr_leaves > POLICY_MAX_LEAVES)
        return -XEN_E2BIG;
    for (uint32_t i = 0; i < get.nr_leaves; i++) {
        uint64_t at = get.leaves + i * sizeof(xen_cpuid_leaf_t);
        struct cpuid_regs regs;
        xen_cpuid_leaf_t l;

        if (platform_copy_from_guest(p, &l, at, sizeof(l)))
            return -XEN_EFAULT;
        guest_cpuid(v, l.leaf, l.subleaf == XEN_CPUID_NO_SUBLEAF ? 0 : l.subleaf, &regs);
        l.a = regs.a;
        l.b = regs.b;
        l.c = regs.c;
        l.d = regs.d;
        if (platform_copy_to_guest(p, at, &l, sizeof(l)))
            return -XEN_EFAULT;
    }
    return 0;
}

static long set_tsc_info(struct domain *d, const struct xen_domctl_tsc_info *info)
{
    if (d->id == 0 || info->tsc_mode >= TSC_MODES)
        return -XEN_EINVAL;
    d->tsc = *info;
    d->tsc.pad = 0;
    d->tsc_set = platform_now(d->hv->platform);
    return 0;
}

static long get_tsc_info(const struct domain *d, struct xen_domctl_tsc_info *info)
{
    *info = d->tsc;
    if (!info->gtsc_khz)
        info->gtsc_khz = host_khz(d->hv);
    info->elapsed_nsec += platform_now(d->hv->platform) - d->tsc_set;
    return 0;
}

long arch_do_domctl(struct hypervisor *hv, struct domain *d, struct xen_domctl *op, bool *copyback)
{
    long rc;

    switch (op->cmd) {
    case XEN_DOMCTL_get_cpu_policy:
        *copyback = true;
        return domain_get_cpu_policy(d, &op->u.cpu_policy);
    case XEN_DOMCTL_set_cpu_policy:
        rc = domain_set_cpu_policy(d, &op->u.cpu_policy);
        *copyback = rc != 0; /* it says something only when it objects */
        return rc;
    case XENLEVEL_DOMCTL_get_visible:
        return get_visible(hv, d, op, copyback);
    case XENLEVEL_DOMCTL_get_vcpu_cpuid:
        return get_vcpu_cpuid(d, op);
    case XEN_DOMCTL_setvcpucontext:
        return pv_set_context(d, &op->u.vcpucontext);
    case XEN_DOMCTL_getvcpucontext:
        return pv_get_context(d, &op->u.vcpucontext);
    case XEN_DOMCTL_set_ext_vcpucontext:
        return pv_set_ext_context(d, &op->u.ext_vcpucontext);
    case XEN_DOMCTL_get_ext_vcpucontext:
        *copyback = true;
        return pv_get_ext_context(d, &op->u.ext_vcpucontext);
    case XEN_DOMCTL_setvcpuextstate:
        return pv_set_xstate(d, &op->u.vcpuextstate);
    case XEN_DOMCTL_getvcpuextstate:
        *copyback = true;
        return pv_get_xstate(d, &op->u.vcpuextstate);
    case XEN_DOMCTL_set_vcpu_msrs:
        return pv_set_msrs(d, &op->u.vcpu_msrs);
    case XEN_DOMCTL_get_vcpu_msrs:
        *copyback = true;
        return pv_get_msrs(d, &op->u.vcpu_msrs);
    case XEN_DOMCTL_get_address_size:
        op->u.address_size.size = 64; /* of every guest here */
        *copyback = true;
        return 0;
    case XEN_DOMCTL_sethvmcontext:
        return hvm_set_context(d, &op->u.hvmcontext);
    case XEN_DOMCTL_gethvmcontext:
        *copyback = true;
        return hvm_get_context(d, &op->u.hvmcontext);
    case XEN_DOMCTL_gethvmcontext_partial:
        *copyback = true;
        return hvm_get_context_partial(d, &op->u.hvmcontext_partial);
    case XEN_DOMCTL_getpageframeinfo3:
        return get_page_info(d, &op->u.getpageframeinfo3);
    case XEN_DOMCTL_settscinfo:
        return set_tsc_info(d, &op->u.tsc_info);
    case XEN_DOMCTL_gettscinfo:
        *copyback = true;
        return get_tsc_info(d, &op->u.tsc_info);
    default:
        return -XEN_ENOSYS;
    }
}
