/* SPDX-License-Identifier: MIT */
/* The registers that say what a domain has switched on of its CPU.  See xc_vcpu_state.h. */
#include "xc_vcpu_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/state.h>

#include "xc_private.h"
#include "xc_sr_stream_format.h"

#include <xen/hvm/save.h>

/* struct hvm_hw_cpu of Xen up to 4.6 had no flags behind it. */
#define CPU_WITHOUT_FLAGS offsetof(struct hvm_hw_cpu, flags)
#define XSAVE_AREA        offsetof(struct hvm_hw_cpu_xsave, save_area)
#define XSTATE_BV         512u /* SDM vol. 1, 13.4.2 */
#define XCOMP_BV          520u
#define MAX_CONTEXT       (64u << 20)

void xc_domain_state_free(struct xc_domain_state *s)
{
    free(s->vcpus);
    memset(s, 0, sizeof(*s));
}

/* -1 with EILSEQ. */
static int refuse(xc_state_wrong *why, const char *what)
{
    *why = what;
    errno = EILSEQ;
    return -1;
}

/* The vCPU of that number, which is made; NULL with errno. */
static struct xc_vcpu_state *take_vcpu(struct xc_domain_state *s, uint32_t id, xc_state_wrong *why)
{
    struct xc_vcpu_state *more;

    if (id >= XC_STATE_MAX_VCPUS) {
        (void)refuse(why, "a vCPU with a number that no domain has");
        return NULL;
    }
    if (id < s->nr_vcpus)
        return &s->vcpus[id];
    more = realloc(s->vcpus, (id + 1) * sizeof(*more));
    if (!more) {
        *why = "out of memory";
        return NULL;
    }
    memset(&more[s->nr_vcpus], 0, (id + 1 - s->nr_vcpus) * sizeof(*more));
    s->vcpus = more;
    s->nr_vcpus = id + 1;
    return &more[id];
}

/* ---- pieces that PV and HVM have alike ---- */

/* XCR0, its accumulated value, and an area in standard form, which may be missing. */
static int take_xsave(struct xc_vcpu_state *v, uint64_t xcr0, uint64_t accum, const uint8_t *area,
                      size_t size, xc_state_wrong *why)
{
    uint64_t bv = 0, comp = 0;

    if (size && size < XSAVE_AREA_MIN)
        return refuse(why, "an XSAVE area without a header");
    if (size) {
        memcpy(&bv, area + XSTATE_BV, sizeof(bv));
        memcpy(&comp, area + XCOMP_BV, sizeof(comp));
    }
    if (comp)
        return refuse(why, "an XSAVE area in compacted form");
    if (xcr0 & ~accum)
        return refuse(why, "XCR0 has components that its accumulated value lacks");
    if (bv & ~(accum | 3)) /* x87 and SSE need no XCR0 */
        return refuse(why, "XSTATE_BV has components that were never on");
    v->have_xsave = true;
    v->xcr0 = xcr0;
    v->xcr0_accum = accum;
    v->xstate_bv = bv;
    return 0;
}

static int add_msr(struct xc_vcpu_state *v, uint32_t index, uint64_t value, xc_state_wrong *why)
{
    if (v->nr_msrs == XC_STATE_MAX_MSRS)
        return refuse(why, "more MSRs than any hypervisor sends");
    v->msrs[v->nr_msrs++] = (struct xc_msr_value){index, value};
    return 0;
}

/* struct hvm_one_msr and xen_domctl_vcpu_msr_t are the same: index, reserved, value. */
static int take_msrs(struct xc_vcpu_state *v, const uint8_t *msrs, size_t size, xc_state_wrong *why)
{
    xen_domctl_vcpu_msr_t m;

    if (size % sizeof(m))
        return refuse(why, "half an MSR");
    for (size_t at = 0; at < size; at += sizeof(m)) {
        memcpy(&m, msrs + at, sizeof(m));
        if (add_msr(v, m.index, m.value, why))
            return -1;
    }
    return 0;
}

/* ---- HVM ---- */

static int take_cpu(struct xc_vcpu_state *v, const uint8_t *data, uint32_t length,
                    xc_state_wrong *why)
{
    struct hvm_hw_cpu c;

    if (length != sizeof(c) && length != CPU_WITHOUT_FLAGS &&
        length != sizeof(struct hvm_hw_cpu_compat))
        return refuse(why, "a CPU entry of a length that it never had");
    memset(&c, 0, sizeof(c));
    memcpy(&c, data, length);
    v->have_regs = v->have_xsave = true; /* Xen leaves an accumulated XCR0 of 0 out: xstate.c */
    v->cr4 = c.cr4;
    v->efer = c.msr_efer;
    if (length != sizeof(struct hvm_hw_cpu_compat) && c.msr_tsc_aux)
        return add_msr(v, MSR_TSC_AUX, c.msr_tsc_aux, why);
    return 0;
}

static int take_hvm_xsave(struct xc_vcpu_state *v, const uint8_t *data, uint32_t length,
                          xc_state_wrong *why)
{
    struct hvm_hw_cpu_xsave head;

    if (length < XSAVE_AREA)
        return refuse(why, "a CPU_XSAVE entry that is too short");
    memcpy(&head, data, XSAVE_AREA);
    return take_xsave(v, head.xcr0, head.xcr0_accum, data + XSAVE_AREA, length - XSAVE_AREA, why);
}

static int take_hvm_msrs(struct xc_vcpu_state *v, const uint8_t *data, uint32_t length,
                         xc_state_wrong *why)
{
    const size_t head = offsetof(struct hvm_msr, msr);
    uint32_t count;

    if (length < head)
        return refuse(why, "a CPU_MSR entry that is too short");
    memcpy(&count, data, sizeof(count));
    if ((length - head) / sizeof(struct hvm_one_msr) != count)
        return refuse(why, "a CPU_MSR entry of another length than it says");
    return take_msrs(v, data + head, length - head, why);
}

static int take_entry(struct xc_domain_state *s, const struct hvm_save_descriptor *d,
                      const uint8_t *data, xc_state_wrong *why)
{
    struct xc_vcpu_state *v;

    if (d->typecode != HVM_SAVE_CODE(CPU) && d->typecode != HVM_SAVE_CODE(LAPIC) &&
        d->typecode != CPU_XSAVE_CODE && d->typecode != CPU_MSR_CODE)
        return 0;
    v = take_vcpu(s, d->instance, why);
    if (!v)
        return -1;
    switch (d->typecode) {
    case HVM_SAVE_CODE(CPU):
        return take_cpu(v, data, d->length, why);
    case HVM_SAVE_CODE(LAPIC): /* APIC_BASE is its first field */
        v->have_apic = d->length >= sizeof(v->apic_base);
        if (v->have_apic)
            memcpy(&v->apic_base, data, sizeof(v->apic_base));
        return 0;
    case CPU_XSAVE_CODE:
        return take_hvm_xsave(v, data, d->length, why);
    default:
        return take_hvm_msrs(v, data, d->length, why);
    }
}

int xc_state_take_hvm(struct xc_domain_state *s, const void *context, size_t size,
                      xc_state_wrong *why)
{
    const uint8_t *bytes = context;
    struct hvm_save_descriptor d;
    size_t pos = 0;

    s->nr_vcpus = 0; /* of several contexts the last one counts */
    for (;;) {
        if (size - pos < sizeof(d))
            return refuse(why, "it ends without an END");
        memcpy(&d, bytes + pos, sizeof(d));
        pos += sizeof(d);
        if (d.length > size - pos)
            return refuse(why, "an entry reaches beyond its end");
        if (d.typecode == HVM_SAVE_CODE(END))
            return 0;
        if (take_entry(s, &d, bytes + pos, why))
            return -1;
        pos += d.length;
    }
}

/* ---- PV ---- */

int xc_state_take_pv(struct xc_domain_state *s, enum xc_state_record which, const void *body,
                     size_t size, xc_state_wrong *why)
{
    const uint8_t *bytes = body;
    vcpu_guest_context_t *c;
    struct xc_vcpu_state *v;
    struct xc_sr_vcpu head;
    uint64_t xcr0[2];

    if (size < sizeof(head))
        return refuse(why, "a record without a vCPU's number");
    memcpy(&head, bytes, sizeof(head));
    bytes += sizeof(head);
    size -= sizeof(head);
    v = take_vcpu(s, head.vcpu_id, why);
    if (!v)
        return -1;
    switch (which) {
    case XC_STATE_PV_BASIC:
        if (size != sizeof(*c)) /* a 32-bit guest's is another */
            return refuse(why, "registers of a length that a 64-bit guest's do not have");
        memcpy(&v->cr4, bytes + offsetof(vcpu_guest_context_t, ctrlreg[4]), sizeof(v->cr4));
        v->have_regs = v->have_xsave = true; /* as above */
        return 0;
    case XC_STATE_PV_XSAVE:
        if (!size) /* it has used none */
            return take_xsave(v, 0, 0, NULL, 0, why);
        if (size < sizeof(xcr0))
            return refuse(why, "XSAVE state that is too short");
        memcpy(xcr0, bytes, sizeof(xcr0));
        return take_xsave(v, xcr0[0], xcr0[1], bytes + sizeof(xcr0), size - sizeof(xcr0), why);
    default:
        return take_msrs(v, bytes, size, why);
    }
}

/* ---- from the hypervisor ---- */

/* -1, after it was logged. */
static int fail_state(xc_handle *xch, uint32_t domid, xc_state_wrong why)
{
    return xc_fail(xch, errno, "the registers of domain %u: %s", domid,
                   errno == EILSEQ && why ? why : xc_reason(xch, errno));
}

static int get_hvm(xc_handle *xch, uint32_t domid, struct xc_domain_state *s)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext, .domain = (domid_t)domid};
    xc_state_wrong why = NULL;
    void *buffer;
    int rc;

    if (xc_domctl(xch, &op) < 0) /* without a buffer: the size */
        return fail_state(xch, domid, NULL);
    if (!op.u.hvmcontext.size || op.u.hvmcontext.size > MAX_CONTEXT)
        return xc_fail(xch, EIO, "the registers of domain %u: %u bytes?", domid,
                       op.u.hvmcontext.size);
    buffer = xch->ops->alloc(xch->state, op.u.hvmcontext.size);
    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for the registers of domain %u", domid);
    set_xen_guest_handle(op.u.hvmcontext.buffer, buffer);
    rc = xc_domctl(xch, &op) < 0 ? -1 : xc_state_take_hvm(s, buffer, op.u.hvmcontext.size, &why);
    if (rc)
        rc = fail_state(xch, domid, why);
    xch->ops->release(xch->state, buffer);
    return rc;
}

/* The control registers, of a vCPU that has been given any. */
static int get_pv_regs(xc_handle *xch, uint32_t domid, uint32_t vcpu, struct xc_vcpu_state *v)
{
    struct xen_domctl info = {.cmd = XEN_DOMCTL_getvcpuinfo, .domain = (domid_t)domid};
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpucontext, .domain = (domid_t)domid};
    vcpu_guest_context_t *c;
    int rc;

    info.u.getvcpuinfo.vcpu = vcpu;
    if (xc_domctl(xch, &info) < 0)
        return -1;
    if (!info.u.getvcpuinfo.online)
        return 0;
    c = xch->ops->alloc(xch->state, sizeof(*c));
    if (!c)
        return -1;
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    rc = xc_domctl(xch, &op) < 0 ? -1 : 0;
    v->have_regs = !rc;
    v->cr4 = c->ctrlreg[4];
    xch->ops->release(xch->state, c);
    return rc;
}

static int get_pv_xsave(xc_handle *xch, uint32_t domid, uint32_t vcpu, struct xc_vcpu_state *v,
                        xc_state_wrong *why)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuextstate, .domain = (domid_t)domid};
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
    uint64_t *blob;
    size_t room;
    int rc;

    x->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0) /* the size of the largest that it can be */
        return -1;
    room = x->size;
    if (!room)
        return take_xsave(v, 0, 0, NULL, 0, why);
    blob = room < 16 || room > MAX_CONTEXT ? NULL : xch->ops->alloc(xch->state, room);
    if (!blob)
        return -1;
    set_xen_guest_handle(x->buffer, blob);
    rc = xc_domctl(xch, &op) < 0 ? -1 : 0;
    if (!rc && x->size > room)
        rc = refuse(why, "more of it than there can be");
    if (!rc && x->size >= 16)
        rc = take_xsave(v, blob[0], blob[1], (const uint8_t *)&blob[2], x->size - 16, why);
    else if (!rc)
        rc = take_xsave(v, 0, 0, NULL, 0, why);
    xch->ops->release(xch->state, blob);
    return rc;
}

static int get_pv_msrs(xc_handle *xch, uint32_t domid, uint32_t vcpu, struct xc_vcpu_state *v,
                       xc_state_wrong *why)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = (domid_t)domid};
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
    xen_domctl_vcpu_msr_t *msrs;
    uint32_t room;
    int rc;

    m->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0)
        return -1;
    room = m->msr_count;
    if (!room)
        return 0;
    if (room > XC_STATE_MAX_MSRS)
        return refuse(why, "more MSRs than any hypervisor sends");
    msrs = xch->ops->alloc(xch->state, room * sizeof(*msrs));
    if (!msrs)
        return -1;
    set_xen_guest_handle(m->msrs, msrs);
    rc = xc_domctl(xch, &op) < 0 ? -1 : 0;
    if (!rc && m->msr_count > room)
        rc = refuse(why, "more MSRs than it said");
    if (!rc)
        rc = take_msrs(v, (const uint8_t *)msrs, m->msr_count * sizeof(*msrs), why);
    xch->ops->release(xch->state, msrs);
    return rc;
}

static int get_pv(xc_handle *xch, uint32_t domid, uint32_t nr_vcpus, struct xc_domain_state *s)
{
    for (uint32_t i = 0; i < nr_vcpus; i++) {
        xc_state_wrong why = NULL;
        struct xc_vcpu_state *v = take_vcpu(s, i, &why);

        if (!v || get_pv_regs(xch, domid, i, v) || get_pv_xsave(xch, domid, i, v, &why) ||
            get_pv_msrs(xch, domid, i, v, &why))
            return fail_state(xch, domid, why);
    }
    return 0;
}

int xc_domain_get_state(xc_handle *xch, const struct xc_domain_info *info,
                        struct xc_domain_state *s)
{
    *s = (struct xc_domain_state){.pv = info->type == XC_DOMAIN_PV};
    return s->pv ? get_pv(xch, info->domid, info->nr_vcpus, s) : get_hvm(xch, info->domid, s);
}
