/* SPDX-License-Identifier: MIT */
/* Registers of vCPUs, to and from the toolstack: what goes in comes out, or does not go in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <xen/errno.h>
#include <xen/hvm/save.h>

#include "core.h"

#define CPU     "intel-cascadelake-sp"
#define HVM_HAP (XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap)
#define ROOM    65536u

static struct core *boot(void)
{
    return core_boot(CPU, 1, 1000, "");
}

/* Every register another value, all of them possible. */
static void fill(struct vcpu *v, uint64_t salt)
{
    struct vcpu_regs *r = &v->regs;

    for (int i = 0; i < NR_GPRS; i++)
        r->gpr[i] = salt * 0x9e3779b97f4a7c15ull + (uint64_t)i;
    r->rip = 0x100000 + salt;
    r->rflags = 0x246;
    r->cr0 = 0x80050033;
    r->cr2 = 0xdead000 + salt;
    r->cr3 = v->domain->hvm ? 0x1000 * salt : 0; /* PV: test_core_pv.c */
    r->cr4 = v->domain->hvm ? 0x406b0 : 0x40620; /* PV guests have no PGE and no PSE */
    for (size_t i = 0; i < 512; i++)
        r->xsave[i] = (uint8_t)(i * 3 + salt);
    v->online = true;
}

static void same(const struct vcpu_regs *a, const struct vcpu_regs *b)
{
    assert_memory_equal(a->gpr, b->gpr, sizeof(a->gpr));
    assert_int_equal(a->rip, b->rip);
    assert_int_equal(a->rflags, b->rflags);
    assert_int_equal(a->cr0, b->cr0);
    assert_int_equal(a->cr2, b->cr2);
    assert_int_equal(a->cr3, b->cr3);
    assert_int_equal(a->cr4, b->cr4);
    assert_int_equal(a->efer, b->efer);
    assert_int_equal(a->xcr0, b->xcr0);
    assert_int_equal(a->xss, b->xss);
    assert_int_equal(a->apic_base, b->apic_base);
    assert_int_equal(a->tsc_aux, b->tsc_aux);
    assert_int_equal(a->misc_features_enables, b->misc_features_enables);
    assert_int_equal(a->pkru, b->pkru);
    assert_memory_equal(a->xsave, b->xsave, sizeof(a->xsave));
}

/* ---- PV ---- */

static long pv(struct core *c, uint32_t cmd, uint16_t domid, uint32_t vcpu, uint64_t at)
{
    struct xen_domctl op = {.cmd = cmd, .domain = domid};

    op.u.vcpucontext.vcpu = vcpu;
    HANDLE_SET(op.u.vcpucontext.ctxt, at);
    return core_domctl(c, &op);
}

static void pv_round_trip(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 2, 0), *e = core_domain(c, 0, 2, 0);
    uint64_t at = core_put(c, NULL, sizeof(struct vcpu_guest_context));
    struct vcpu_guest_context *ctx = core_at(c, at);

    (void)state;
    assert_int_equal(pv(c, XEN_DOMCTL_getvcpucontext, d->id, 1, at), -XEN_ENODATA);
    fill(d->vcpus[1], 5);
    assert_int_equal(pv(c, XEN_DOMCTL_getvcpucontext, d->id, 1, at), 0);
    assert_true(ctx->flags & VGCF_online);
    assert_int_equal(ctx->user_regs.rsi, d->vcpus[1]->regs.gpr[GPR_RSI]);
    ctx->kernel_sp = 0x1234; /* what the core does not know of */
    ctx->trap_ctxt[200].address = 0x5678;
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, e->id, 1, at), 0);
    same(&e->vcpus[1]->regs, &d->vcpus[1]->regs);
    assert_true(e->vcpus[1]->online);
    memset(ctx, 0xee, sizeof(*ctx));
    assert_int_equal(pv(c, XEN_DOMCTL_getvcpucontext, e->id, 1, at), 0);
    assert_int_equal(ctx->kernel_sp, 0x1234);
    assert_int_equal(ctx->trap_ctxt[200].address, 0x5678);
    core_halt(c);
}

static void pv_refusals(void **state)
{
    struct core *c = boot();
    struct domain *d = core_domain(c, 0, 1, 0), *hvm = core_domain(c, HVM_HAP, 1, 0);
    uint64_t at = core_put(c, NULL, sizeof(struct vcpu_guest_context));
    struct vcpu_guest_context *ctx = core_at(c, at);
    struct vcpu_regs before = d->vcpus[0]->regs;

    (void)state;
    ctx->flags = VGCF_online;
    ctx->user_regs.rip = 0x1000;
    ctx->ctrlreg[4] = 1ull << 40;
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 0, at), -XEN_EINVAL);
    assert_true(core_said(c, "CR4"));
    ctx->ctrlreg[4] = 0;
    ctx->ctrlreg[0] = 0x80000000; /* paging without protection */
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 0, at), -XEN_EINVAL);
    ctx->ctrlreg[0] = 0x80000001;
    ctx->user_regs.rflags = 1u << 15;
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 0, at), -XEN_EINVAL);
    same(&d->vcpus[0]->regs, &before);
    assert_false(d->vcpus[0]->online);
    ctx->user_regs.rflags = 0;
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 1, at), -XEN_EINVAL);
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 0, 8), -XEN_EFAULT);
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, 0, 0, at), -XEN_EINVAL);
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, hvm->id, 0, at), -XEN_EINVAL);
    assert_int_equal(pv(c, XEN_DOMCTL_setvcpucontext, d->id, 0, at), 0);
    core_halt(c);
}

/* ---- HVM ---- */

static long get_hvm(struct core *c, const struct domain *d, uint64_t at, uint32_t *size)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext, .domain = d->id};
    long rc;

    op.u.hvmcontext.size = *size;
    HANDLE_SET(op.u.hvmcontext.buffer, at);
    rc = core_domctl(c, &op);
    *size = op.u.hvmcontext.size;
    return rc;
}

static long set_hvm(struct core *c, const struct domain *d, uint64_t at, uint32_t size)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_sethvmcontext, .domain = d->id};

    op.u.hvmcontext.size = size;
    HANDLE_SET(op.u.hvmcontext.buffer, at);
    return core_domctl(c, &op);
}

/* The record of this type, behind its descriptor. */
static void *record(void *records, uint32_t size, uint16_t code, uint16_t instance)
{
    uint8_t *at = records;

    for (uint8_t *end = at + size; at < end;) {
        struct hvm_save_descriptor desc;

        memcpy(&desc, at, sizeof(desc));
        at += sizeof(desc);
        if (desc.typecode == code && desc.instance == instance)
            return at;
        at += desc.length;
    }
    fail_msg("no record %u of %u", code, instance);
    return NULL;
}

static void fill_hvm(struct vcpu *v, uint64_t salt)
{
    uint64_t bv = 0x207;

    fill(v, salt);
    v->regs.efer = 0xd01;
    v->regs.tsc_aux = 77;
    v->regs.misc_features_enables = 1;
    v->regs.apic_base = 0xfee00c00;
    v->regs.xcr0 = 0x207;
    v->regs.pkru = 0x55555554;
    memcpy(v->regs.xsave + 512, &bv, sizeof(bv));
    for (size_t i = 576; i < 832; i++)
        v->regs.xsave[i] = (uint8_t)(i + salt);
    guest_cpuid_update(v);
}

static struct domain *filled(struct core *c)
{
    struct domain *d = core_domain(c, HVM_HAP, 2, 0);

    fill_hvm(d->vcpus[0], 1);
    fill_hvm(d->vcpus[1], 2);
    return d;
}

static void hvm_round_trip(void **state)
{
    struct core *c = boot();
    struct domain *d = filled(c), *e = core_domain(c, HVM_HAP, 2, 0);
    uint64_t at = core_put(c, NULL, ROOM);
    uint32_t size = 0, again;
    struct hvm_hw_cpu *cpu;

    (void)state;
    assert_int_equal(get_hvm(c, d, 0, &size), 0); /* how much? */
    again = size - 1;
    assert_int_equal(get_hvm(c, d, at, &again), -XEN_ENOSPC);
    again = ROOM;
    assert_int_equal(get_hvm(c, d, at, &again), 0);
    assert_int_equal(again, size);
    cpu = record(core_at(c, at), size, HVM_SAVE_CODE(CPU), 1);
    cpu->cs_base = 0x4321; /* what the core does not know of */
    ((struct hvm_hw_mtrr *)record(core_at(c, at), size, 14, 0))->msr_mtrr_cap = 0x508;
    assert_int_equal(set_hvm(c, e, at, size), 0);
    for (int i = 0; i < 2; i++) {
        same(&e->vcpus[i]->regs, &d->vcpus[i]->regs);
        assert_true(e->vcpus[i]->online);
        assert_int_equal(e->vcpus[i]->xstate_size, d->vcpus[i]->xstate_size);
    }
    assert_int_equal(e->vcpus[0]->regs.pkru, 0x55555554);
    memset(core_at(c, at), 0xee, size);
    assert_int_equal(get_hvm(c, e, at, &again), 0);
    assert_int_equal(again, size);
    cpu = record(core_at(c, at), size, HVM_SAVE_CODE(CPU), 1);
    assert_int_equal(cpu->cs_base, 0x4321);
    assert_int_equal(((struct hvm_hw_mtrr *)record(core_at(c, at), size, 14, 0))->msr_mtrr_cap,
                     0x508);
    core_halt(c);
}

static void hvm_partial(void **state)
{
    struct core *c = boot();
    struct domain *d = filled(c);
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext_partial, .domain = d->id};
    struct xen_domctl_hvmcontext_partial *p = &op.u.hvmcontext_partial;
    uint64_t at = core_put(c, NULL, 4096);

    (void)state;
    p->type = HVM_SAVE_CODE(CPU);
    p->instance = 1;
    p->bufsz = 4096;
    HANDLE_SET(p->buffer, at);
    assert_int_equal(core_domctl(c, &op), 0);
    assert_int_equal(p->bufsz, sizeof(struct hvm_hw_cpu));
    assert_int_equal(((struct hvm_hw_cpu *)core_at(c, at))->rip, 0x100002);
    p->bufsz = 10;
    assert_int_equal(core_domctl(c, &op), -XEN_ENOSPC);
    p->instance = 2;
    assert_int_equal(core_domctl(c, &op), -XEN_ENOENT);
    p->type = HVM_SAVE_CODE_MAX + 1;
    assert_int_equal(core_domctl(c, &op), -XEN_EINVAL);
    core_halt(c);
}

/* Offsets into a record, a value for the 8 bytes there, and what is said about it. */
struct damage {
    uint16_t code;
    size_t offset;
    uint64_t value;
    long rc;
    const char *says;
};
#define CPU_AT(f)   HVM_SAVE_CODE(CPU), offsetof(struct hvm_hw_cpu, f)
#define XSAVE_AT(f) CPU_XSAVE_CODE, offsetof(struct hvm_hw_cpu_xsave, f)
#define MSR_AT(f)   CPU_MSR_CODE, offsetof(struct hvm_msr, f)

static const struct damage damages[] = {
    {HVM_SAVE_CODE(HEADER), 0, 0, -XEN_EINVAL, "not this format"},
    {CPU_AT(cr0), 1ull << 31, -XEN_EINVAL, "CR0: 0x80000000"},
    {CPU_AT(cr0), 1ull << 63, -XEN_EINVAL, "CR0: bit 63"},
    {CPU_AT(cr4), 1ull << 13, -XEN_EINVAL, "CR4: vmx is not in"},
    {CPU_AT(msr_efer), 0x1d01, -XEN_EINVAL, "EFER: svm"},
    {CPU_AT(msr_efer), 0x401, -XEN_EINVAL, "EFER: 0x401"},
    {CPU_AT(msr_efer), 1ull << 40, -XEN_EINVAL, "EFER: bit 40"},
    {CPU_AT(rflags), 1ull << 22, -XEN_EINVAL, "RFLAGS: 400000"},
    {CPU_AT(msr_tsc_aux), 1ull << 32, -XEN_EINVAL, "TSC_AUX: bit 32"},
    {XSAVE_AT(xcr0), 0x206, -XEN_EINVAL, "XCR0: 0x206"},
    {XSAVE_AT(xcr0), 0x60207, -XEN_EINVAL, "XCR0: component 17 (amx-tile)"},
    {XSAVE_AT(xcr0_accum), 0x60207, -XEN_EINVAL, "accumulated XCR0: component 18"},
    {XSAVE_AT(save_area.xsave_hdr.xstate_bv), 0x60207, -XEN_EINVAL,
     "XSTATE_BV: component 18 (amx-tile)"},
    {XSAVE_AT(xcr0), 0x20f, -XEN_EINVAL, "XCR0: component 3 (mpx)"},
    {XSAVE_AT(xcr0_accum), 3, -XEN_EINVAL, "accumulated XCR0: 0x3 cannot be"},
    {XSAVE_AT(save_area.xsave_hdr.xcomp_bv), 1ull << 63, -XEN_EINVAL, "XCOMP_BV"},
    {XSAVE_AT(save_area.xsave_hdr.reserved), 1, -XEN_EINVAL, "XSAVE header"},
    {MSR_AT(count), 2, -XEN_EINVAL, "wrong length"},
    {MSR_AT(msr), 0x10, -XEN_ENXIO, "MSR 10"},
    {MSR_AT(msr[0].val), 3, -XEN_EINVAL, "MISC_FEATURES_ENABLES: bit 1"},
    {HVM_SAVE_CODE(LAPIC), 0, 0xfee00400, -XEN_EINVAL, "APIC_BASE: 0xfee00400"},
    {HVM_SAVE_CODE(LAPIC), 8, 1, -XEN_EINVAL, "local APIC in use"},
    {14, 0, 0x0007040600070403ull, -XEN_EINVAL, "PAT"},
};

static void hvm_damages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        const struct damage *m = &damages[i];
        struct core *c = boot();
        struct domain *d = filled(c), *e = core_domain(c, HVM_HAP, 2, 0);
        uint64_t at = core_put(c, NULL, ROOM);
        struct vcpu_regs before[2] = {e->vcpus[0]->regs, e->vcpus[1]->regs};
        uint32_t size = ROOM;
        long rc;

        assert_int_equal(get_hvm(c, d, at, &size), 0);
        memcpy((uint8_t *)record(core_at(c, at), size, m->code, m->code != 1) + m->offset,
               &m->value, sizeof(m->value));
        rc = set_hvm(c, e, at, size);
        if (rc != m->rc || !core_said(c, m->says))
            fail_msg("%s: %ld", m->says, rc);
        for (int v = 0; v < 2; v++) { /* vCPU 0's records were right, and changed nothing either */
            same(&e->vcpus[v]->regs, &before[v]);
            assert_false(e->vcpus[v]->online);
        }
        core_halt(c);
    }
}

/* Cut anywhere it is refused, and nothing changes. */
static void hvm_truncated(void **state)
{
    struct core *c = boot();
    struct domain *d = filled(c), *e = core_domain(c, HVM_HAP, 2, 0);
    uint64_t at = core_put(c, NULL, ROOM);
    struct vcpu_regs before = e->vcpus[0]->regs;
    uint32_t size = ROOM;

    (void)state;
    assert_int_equal(get_hvm(c, d, at, &size), 0);
    for (uint32_t n = 0; n < size; n++)
        assert_true(set_hvm(c, e, at, n) < 0);
    same(&e->vcpus[0]->regs, &before);
    assert_int_equal(set_hvm(c, e, at, 1u << 20), -XEN_EINVAL);
    assert_int_equal(set_hvm(c, e, 8, size), -XEN_EFAULT);
    assert_int_equal(set_hvm(c, e, at, size), 0);
    core_halt(c);
}

/* A vCPU or a record that is not there. */
static void hvm_other_domain(void **state)
{
    struct core *c = boot();
    struct domain *d = filled(c), *small = core_domain(c, HVM_HAP, 1, 0);
    uint64_t at = core_put(c, NULL, ROOM);
    uint32_t size = ROOM;
    struct hvm_save_descriptor *first = core_at(c, at);

    (void)state;
    assert_int_equal(get_hvm(c, d, at, &size), 0);
    assert_int_equal(set_hvm(c, small, at, size), -XEN_EINVAL);
    assert_true(core_said(c, "more than it can have"));
    first[4].instance = 2;
    assert_int_equal(set_hvm(c, d, at, size), -XEN_EINVAL);
    assert_true(core_said(c, "no such vCPU"));
    first[4].instance = 0;
    first[4].typecode = 3; /* behind the header's 8 + 24 bytes: the PIC */
    assert_int_equal(set_hvm(c, d, at, size), -XEN_EINVAL);
    assert_true(core_said(c, "record 3: not known here"));
    assert_int_equal(set_hvm(c, core_domain(c, 0, 1, 0), at, size), -XEN_EINVAL);
    core_halt(c);
}

/* Whoever reads a running vCPU's state finds it complete, and the vCPU goes on. */
static void running_meanwhile(void **state)
{
    struct core *c = boot();
    struct domain *d = filled(c);
    uint64_t at = core_put(c, NULL, ROOM);
    uint32_t size = ROOM;

    (void)state;
    core_start(c, d);
    assert_ptr_equal(schedule(&c->hv, 0), d->vcpus[0]);
    assert_int_equal(get_hvm(c, d, at, &size), 0);
    assert_false(d->vcpus[0]->running);
    assert_true(d->vcpus[0]->queued && d->vcpus[1]->queued);
    assert_false(schedule(&c->hv, 0)->domain->idle);
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pv_round_trip),    cmocka_unit_test(pv_refusals),
        cmocka_unit_test(hvm_round_trip),   cmocka_unit_test(hvm_partial),
        cmocka_unit_test(hvm_damages),      cmocka_unit_test(hvm_truncated),
        cmocka_unit_test(hvm_other_domain), cmocka_unit_test(running_meanwhile),
    };

    return cmocka_run_group_tests_name("core: registers", tests, NULL, NULL);
}
