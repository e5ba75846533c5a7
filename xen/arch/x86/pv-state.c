/* SPDX-License-Identifier: MIT */
/*
 * What of a PV vCPU's state is not in struct vcpu_guest_context, to and from the toolstack: its
 * callbacks, its XSAVE area, its MSRs.
 */
#include <pv.h>

#include "registers.h"

#include <xen/errno.h>

#define MAX_MSRS 2u

/* As pv_stopped_vcpu(); none of dom0's, which nobody sets. */
static struct vcpu *vcpu_to_set(struct domain *d, uint32_t id, long *rc)
{
    *rc = -XEN_EINVAL;
    return d->id == 0 ? NULL : pv_stopped_vcpu(d, id, rc);
}

/* ---- callbacks: nothing here calls back, they are kept ---- */

long pv_get_ext_context(struct domain *d, struct xen_domctl_ext_vcpucontext *op)
{
    uint32_t id = op->vcpu;
    long rc;
    const struct vcpu *v = pv_stopped_vcpu(d, id, &rc);

    if (!v)
        return rc;
    *op = v->ext;
    op->vcpu = id;
    op->size = sizeof(*op);
    return 0;
}

long pv_set_ext_context(struct domain *d, const struct xen_domctl_ext_vcpucontext *op)
{
    long rc;
    struct vcpu *v = vcpu_to_set(d, op->vcpu, &rc);

    if (!v)
        return rc;
    if (op->size < offsetof(struct xen_domctl_ext_vcpucontext, syscall32_callback_eip) ||
        op->size > sizeof(*op))
        return -XEN_EINVAL;
    __builtin_memset(&v->ext, 0, sizeof(v->ext));
    __builtin_memcpy(&v->ext, op, op->size);
    return 0;
}

/* ---- XSAVE: XCR0, what was ever on, and the area in standard form ---- */

#define XSTATE_HEAD (2 * sizeof(uint64_t))

long pv_get_xstate(struct domain *d, struct xen_domctl_vcpuextstate *op)
{
    struct platform *p = d->hv->platform;
    uint64_t head[2], size;
    long rc;
    struct vcpu *v = pv_stopped_vcpu(d, op->vcpu, &rc);

    if (!v)
        return rc;
    head[0] = v->regs.xcr0;
    head[1] = xsave_components(v);
    size = v->regs.xcr0 ? XSTATE_HEAD + xsave_area_size(&d->policy, head[1]) : 0;
    op->xfeature_mask = state_components(&d->policy);
    if (HANDLE(op->buffer) && size) {
        if (op->size < size)
            return -XEN_ENOSPC;
        store_pkru(v);
        if (platform_copy_to_guest(p, HANDLE(op->buffer), head, sizeof(head)) ||
            platform_copy_to_guest(p, HANDLE(op->buffer) + XSTATE_HEAD, v->regs.xsave,
                                   size - XSTATE_HEAD))
            return -XEN_EFAULT;
    }
    op->size = size;
    return 0;
}

long pv_set_xstate(struct domain *d, const struct xen_domctl_vcpuextstate *op)
{
    struct platform *p = d->hv->platform;
    uint8_t *area;
    uint64_t head[2];
    long rc;
    struct vcpu *v = vcpu_to_set(d, op->vcpu, &rc);

    if (!v)
        return rc;
    if (op->size < XSTATE_HEAD || op->size > XSTATE_HEAD + VCPU_XSAVE_SIZE)
        return -XEN_EINVAL;
    area = platform_alloc(p, op->size);
    if (!area)
        return -XEN_ENOMEM;
    rc = -XEN_EFAULT;
    if (!platform_copy_from_guest(p, area, HANDLE(op->buffer), op->size)) {
        __builtin_memcpy(head, area, sizeof(head));
        rc = check_xsave(v, head[0], head[1], area + XSTATE_HEAD, op->size - XSTATE_HEAD);
    }
    if (!rc)
        load_xsave(v, head[0], area + XSTATE_HEAD, op->size - XSTATE_HEAD);
    platform_free(p, area);
    return rc;
}

/* ---- MSRs ---- */

/* Without a buffer: how many there can be.  Those that are 0, as at power-on, are left out. */
long pv_get_msrs(struct domain *d, struct xen_domctl_vcpu_msrs *op)
{
    xen_domctl_vcpu_msr_t msrs[MAX_MSRS] = {{0}};
    uint32_t n = 0;
    long rc;
    const struct vcpu *v = pv_stopped_vcpu(d, op->vcpu, &rc);

    if (!v)
        return rc;
    if (!HANDLE(op->msrs)) {
        op->msr_count = MAX_MSRS;
        return 0;
    }
    if (v->regs.misc_features_enables)
        msrs[n++] =
            (xen_domctl_vcpu_msr_t){MSR_MISC_FEATURES_ENABLES, 0, v->regs.misc_features_enables};
    if (v->regs.tsc_aux)
        msrs[n++] = (xen_domctl_vcpu_msr_t){MSR_TSC_AUX, 0, v->regs.tsc_aux};
    if (op->msr_count < n)
        return -XEN_ENOBUFS;
    op->msr_count = n;
    return platform_copy_to_guest(d->hv->platform, HANDLE(op->msrs), msrs, n * sizeof(msrs[0]))
               ? -XEN_EFAULT
               : 0;
}

static long set_msr(struct vcpu *v, const xen_domctl_vcpu_msr_t *m)
{
    if (m->reserved || check_msr(v, m->index, m->value))
        return -XEN_EINVAL;
    switch (m->index) {
    case MSR_MISC_FEATURES_ENABLES:
        v->regs.misc_features_enables = m->value;
        return 0;
    case MSR_TSC_AUX: /* SDM vol. 4, table 2-2: 63:32 are reserved */
        if (m->value > UINT32_MAX)
            return -XEN_EINVAL;
        v->regs.tsc_aux = m->value;
        return 0;
    default:
        printk(v->domain->hv, "d%uv%u: MSR %x is not known here", v->domain->id, v->id, m->index);
        return m->value ? -XEN_EINVAL : 0;
    }
}

long pv_set_msrs(struct domain *d, const struct xen_domctl_vcpu_msrs *op)
{
    xen_domctl_vcpu_msr_t msrs[MAX_MSRS];
    long rc;
    struct vcpu *v = vcpu_to_set(d, op->vcpu, &rc);

    if (!v)
        return rc;
    if (op->msr_count > MAX_MSRS)
        return -XEN_EINVAL;
    if (platform_copy_from_guest(d->hv->platform, msrs, HANDLE(op->msrs),
                                 op->msr_count * sizeof(msrs[0])))
        return -XEN_EFAULT;
    for (uint32_t i = 0; i < op->msr_count && !rc; i++)
        rc = set_msr(v, &msrs[i]);
    return rc;
}
