/* SPDX-License-Identifier: MIT */
/*
 * The state of a PV vCPU, to and from the toolstack: struct vcpu_guest_context.
 *
 * What the core itself uses is in struct vcpu_regs; the rest (trap table, descriptor tables,
 * segments, debug registers) is kept as it came and goes out the same.
 */
#include <pv.h>

#include "registers.h"

#include <xen/errno.h>

/* Descriptors: of 8 bytes, and at most 14 frames of them are the guest's (<xen/arch-x86/xen.h>,
 * FIRST_RESERVED_GDT_PAGE). */
#define GDT_PER_FRAME 512u
#define GDT_MAX       (FIRST_RESERVED_GDT_PAGE * GDT_PER_FRAME)

static void get_user_regs(const struct vcpu_regs *r, struct cpu_user_regs *u)
{
    u->rax = r->gpr[GPR_RAX];
    u->rcx = r->gpr[GPR_RCX];
    u->rdx = r->gpr[GPR_RDX];
    u->rbx = r->gpr[GPR_RBX];
    u->rsp = r->gpr[GPR_RSP];
    u->rbp = r->gpr[GPR_RBP];
    u->rsi = r->gpr[GPR_RSI];
    u->rdi = r->gpr[GPR_RDI];
    u->r8 = r->gpr[8];
    u->r9 = r->gpr[9];
    u->r10 = r->gpr[10];
    u->r11 = r->gpr[11];
    u->r12 = r->gpr[12];
    u->r13 = r->gpr[13];
    u->r14 = r->gpr[14];
    u->r15 = r->gpr[15];
    u->rip = r->rip;
    u->rflags = r->rflags;
}

static void set_user_regs(struct vcpu_regs *r, const struct cpu_user_regs *u)
{
    r->gpr[GPR_RAX] = u->rax;
    r->gpr[GPR_RCX] = u->rcx;
    r->gpr[GPR_RDX] = u->rdx;
    r->gpr[GPR_RBX] = u->rbx;
    r->gpr[GPR_RSP] = u->rsp;
    r->gpr[GPR_RBP] = u->rbp;
    r->gpr[GPR_RSI] = u->rsi;
    r->gpr[GPR_RDI] = u->rdi;
    r->gpr[8] = u->r8;
    r->gpr[9] = u->r9;
    r->gpr[10] = u->r10;
    r->gpr[11] = u->r11;
    r->gpr[12] = u->r12;
    r->gpr[13] = u->r13;
    r->gpr[14] = u->r14;
    r->gpr[15] = u->r15;
    r->rip = u->rip;
    r->rflags = u->rflags | 2; /* bit 1 reads as one */
}

struct vcpu *pv_stopped_vcpu(struct domain *d, uint32_t id, long *rc)
{
    struct vcpu *v;

    *rc = -XEN_EINVAL;
    if (d->hvm || id >= d->max_vcpus)
        return NULL;
    v = d->vcpus[index_nospec(id, d->max_vcpus)];
    *rc = v ? 0 : -XEN_ESRCH;
    if (v)
        sched_domain_stop(d);
    return v;
}

static void get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
    const struct vcpu_regs *r = &v->regs;

    if (v->context)
        *c = *(const struct vcpu_guest_context *)v->context;
    store_pkru(v);
    __builtin_memcpy(&c->fpu_ctxt, r->xsave, sizeof(c->fpu_ctxt));
    c->flags &= ~(unsigned long)VGCF_online;
    c->flags |= VGCF_i387_valid | (v->online ? VGCF_online : 0);
    get_user_regs(r, &c->user_regs);
    c->ctrlreg[0] = r->cr0;
    c->ctrlreg[2] = r->cr2;
    c->ctrlreg[3] = r->cr3;
    c->ctrlreg[4] = r->cr4;
}

long pv_get_context(struct domain *d, const struct xen_domctl_vcpucontext *op)
{
    struct platform *p = d->hv->platform;
    struct vcpu_guest_context *c;
    long rc;
    struct vcpu *v = pv_stopped_vcpu(d, op->vcpu, &rc);

    if (!v)
        return rc;
    if (!v->online && !v->context)
        return -XEN_ENODATA; /* nobody has ever set it up */
    c = platform_alloc(p, sizeof(*c));
    if (!c)
        return -XEN_ENOMEM;
    get_context(v, c);
    rc = platform_copy_to_guest(p, HANDLE(op->ctxt), c, sizeof(*c)) ? -XEN_EFAULT : 0;
    platform_free(p, c);
    return rc;
}

static int bad_frame(const struct vcpu *v, const char *what, uint64_t mfn)
{
    printk(v->domain->hv, "d%uv%u: %s: frame %lx cannot be", v->domain->id, v->id, what, mfn);
    return -XEN_EINVAL;
}

/* Its page tables (of user mode too, when it has one) and its GDT are the domain's, and what they
 * are said to be.  No CR3: it is not set up yet, and what it does first is to fault. */
static int check_frames(const struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct domain *d = v->domain;
    uint64_t frames = (c->gdt_ents + GDT_PER_FRAME - 1) / GDT_PER_FRAME;

    if (c->gdt_ents > GDT_MAX)
        return bad_frame(v, "GDT entries", c->gdt_ents);
    for (uint64_t i = 0; i < frames; i++)
        if (pv_check_gdt(d, c->gdt_frames[i]))
            return bad_frame(v, "GDT", c->gdt_frames[i]);
    if (c->ctrlreg[3] && pv_check_table(d, xen_cr3_to_pfn(c->ctrlreg[3]), 4))
        return bad_frame(v, "CR3", xen_cr3_to_pfn(c->ctrlreg[3]));
    if (c->ctrlreg[1] && pv_check_table(d, xen_cr3_to_pfn(c->ctrlreg[1]), 4))
        return bad_frame(v, "CR3 of user mode", xen_cr3_to_pfn(c->ctrlreg[1]));
    return 0;
}

static long set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
    struct vcpu_regs *r = &v->regs;

    if (check_frames(v, c) || check_cr0(v, c->ctrlreg[0]) || check_cr4(v, c->ctrlreg[4]) ||
        check_rflags(v, c->user_regs.rflags))
        return -XEN_EINVAL;
    if (c->flags & VGCF_i387_valid)
        __builtin_memcpy(r->xsave, &c->fpu_ctxt, sizeof(c->fpu_ctxt));
    set_user_regs(r, &c->user_regs);
    r->cr0 = c->ctrlreg[0];
    r->cr2 = c->ctrlreg[2];
    r->cr3 = c->ctrlreg[3];
    r->cr4 = c->ctrlreg[4];
    v->online = c->flags & VGCF_online;
    guest_cpuid_update(v);
    sched_domain_changed(v->domain);
    return 0;
}

long pv_set_context(struct domain *d, const struct xen_domctl_vcpucontext *op)
{
    struct platform *p = d->hv->platform;
    struct vcpu_guest_context *c;
    long rc;
    struct vcpu *v;

    if (d->id == 0)
        return -XEN_EINVAL;
    v = pv_stopped_vcpu(d, op->vcpu, &rc);
    if (!v)
        return rc;
    c = platform_alloc(p, sizeof(*c));
    if (!c)
        return -XEN_ENOMEM;
    rc = -XEN_EFAULT;
    if (!platform_copy_from_guest(p, c, HANDLE(op->ctxt), sizeof(*c)))
        rc = set_context(v, c);
    if (rc) {
        platform_free(p, c);
        return rc;
    }
    platform_free(p, v->context);
    v->context = c;
    return 0;
}
