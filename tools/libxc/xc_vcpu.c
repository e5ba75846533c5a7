/* SPDX-License-Identifier: MIT */
/*
 * vCPUs: what one starts with, its registers, in the two forms in which the hypervisor takes them;
 * and what one reads with CPUID.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ext-domctl.h>

#include "xc_private.h"

#include <xen/arch-x86/hvm/save.h>
#include <xen/hvm/save.h>

#define CR0_PE     0x1u /* SDM vol. 3A, 2.5 */
#define CR0_ET     0x10u
#define CR0_NE     0x20u
#define CR0_PG     0x80000000u
#define CR4_PAE    0x20u
#define CR4_OSFXSR 0x200u
#define EFER_LMA   0x400u /* SDM vol. 3A, 2.2.1 */
#define EFER_LME   0x100u
#define EFER_SCE   0x1u
#define RFLAGS_1   0x2u /* always set */

/* Access rights as VMX has them (SDM vol. 3C, table 25-2). */
#define CODE_64      0xa09bu
#define DATA_FLAT    0xc093u
#define TSS_BUSY     0x008bu
#define LDT_UNUSABLE 0x10082u

#define PAT_RESET   0x0007040600070406ull /* SDM vol. 3A, 12.12.4 */
#define MXCSR_RESET 0x1f80u               /* SDM vol. 1, 11.6.4 */
#define FCW_RESET   0x037fu

#define GDT_PER_FRAME 512u /* descriptors have 8 bytes */

/* The FXSAVE image (SDM vol. 1, table 10-2) of FNINIT and the reset MXCSR. */
static void fresh_fpu(void *image)
{
    uint16_t fcw = FCW_RESET;
    uint32_t mxcsr = MXCSR_RESET;

    memcpy(image, &fcw, sizeof(fcw));
    memcpy((char *)image + 24, &mxcsr, sizeof(mxcsr));
}

/* ---- PV ---- */

int xc_vcpu_start_pv(xc_handle *xch, uint32_t domid, uint32_t vcpu, const struct xc_pv_start *start)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpucontext, .domain = (domid_t)domid};
    vcpu_guest_context_t *c = xch->ops->alloc(xch->state, sizeof(*c));
    int rc, err;

    if (!c)
        return xc_fail(xch, errno, "out of memory for the registers of domain %u", domid);
    c->flags = VGCF_online | VGCF_in_kernel | VGCF_i387_valid;
    fresh_fpu(&c->fpu_ctxt);
    c->user_regs.rip = start->rip;
    c->user_regs.rflags = RFLAGS_1;
    if (vcpu == 0)
        c->user_regs.rdx = start->start_info;
    c->gdt_frames[0] = start->gdt;
    c->gdt_ents = GDT_PER_FRAME;
    c->ctrlreg[0] = CR0_PG | CR0_NE | CR0_ET | CR0_PE;
    c->ctrlreg[1] = xen_pfn_to_cr3(start->user_l4);
    c->ctrlreg[3] = xen_pfn_to_cr3(start->l4);
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    rc = xc_domctl(xch, &op);
    err = errno;
    xch->ops->release(xch->state, c);
    if (rc >= 0 || err == EPROTO) {
        errno = err;
        return rc < 0 ? -1 : 0;
    }
    return xc_fail(xch, err, "setting the registers of vCPU %u of domain %u: %s", vcpu, domid,
                   xc_reason(xch, err));
}

/* ---- HVM ---- */

static void *put_record(void *at, uint16_t code, uint16_t instance, const void *body, uint32_t len)
{
    struct hvm_save_descriptor d = {.typecode = code, .instance = instance, .length = len};

    memcpy(at, &d, sizeof(d));
    if (len)
        memcpy((char *)at + sizeof(d), body, len);
    return (char *)at + sizeof(d) + len;
}

/* 64-bit mode with flat segments, as a kernel has it once it is up. */
static void fresh_cpu(struct hvm_hw_cpu *cpu, uint64_t rip)
{
    memset(cpu, 0, sizeof(*cpu));
    fresh_fpu(cpu->fpu_regs);
    cpu->flags = XEN_X86_FPU_INITIALISED;
    cpu->rip = rip;
    cpu->rflags = RFLAGS_1;
    cpu->cr0 = CR0_PG | CR0_NE | CR0_ET | CR0_PE;
    cpu->cr4 = CR4_PAE | CR4_OSFXSR;
    cpu->msr_efer = EFER_LMA | EFER_LME | EFER_SCE;
    cpu->cs_limit = cpu->ds_limit = cpu->es_limit = cpu->ss_limit = UINT32_MAX;
    cpu->fs_limit = cpu->gs_limit = UINT32_MAX;
    cpu->cs_arbytes = CODE_64;
    cpu->ds_arbytes = cpu->es_arbytes = cpu->ss_arbytes = DATA_FLAT;
    cpu->fs_arbytes = cpu->gs_arbytes = DATA_FLAT;
    cpu->tr_limit = 0x67;
    cpu->tr_arbytes = TSS_BUSY;
    cpu->ldtr_arbytes = LDT_UNUSABLE;
}

/* What the host's own context begins with goes into ours: it says whose it is. */
static int read_header(xc_handle *xch, uint32_t domid, struct hvm_save_header *header)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_gethvmcontext, .domain = (domid_t)domid};
    const size_t least = sizeof(struct hvm_save_descriptor) + sizeof(*header);
    struct hvm_save_descriptor d;
    uint8_t *buffer;
    uint32_t size;
    int rc;

    if (xc_domctl(xch, &op) < 0) /* without a buffer: the size */
        return -1;
    size = op.u.hvmcontext.size;
    buffer = xch->ops->alloc(xch->state, size);
    if (!buffer)
        return -1;
    set_xen_guest_handle(op.u.hvmcontext.buffer, buffer);
    rc = xc_domctl(xch, &op);
    if (rc >= 0) {
        memcpy(&d, buffer, size < sizeof(d) ? size : sizeof(d));
        if (op.u.hvmcontext.size < least || size < least || d.typecode != HVM_SAVE_CODE(HEADER) ||
            d.length != sizeof(*header)) {
            errno = EIO;
            rc = -1;
        } else {
            memcpy(header, buffer + sizeof(d), sizeof(*header));
        }
    }
    size = (uint32_t)errno;
    xch->ops->release(xch->state, buffer);
    errno = (int)size;
    return rc < 0 ? -1 : 0;
}

int xc_vcpus_start_hvm(xc_handle *xch, uint32_t domid, uint32_t nr_vcpus, uint64_t rip)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_sethvmcontext, .domain = (domid_t)domid};
    const size_t descriptor = sizeof(struct hvm_save_descriptor);
    size_t size =
        2 * descriptor + sizeof(struct hvm_save_header) +
        nr_vcpus * (2 * descriptor + sizeof(struct hvm_hw_cpu) + sizeof(struct hvm_hw_mtrr));
    struct hvm_hw_mtrr mtrr = {.msr_pat_cr = PAT_RESET};
    struct hvm_save_header header;
    struct hvm_hw_cpu cpu;
    uint8_t *buffer = NULL;
    void *at;
    int rc = -1, err;

    if (!read_header(xch, domid, &header))
        buffer = xch->ops->alloc(xch->state, size);
    if (buffer) {
        fresh_cpu(&cpu, rip);
        at = put_record(buffer, HVM_SAVE_CODE(HEADER), 0, &header, sizeof(header));
        for (uint32_t i = 0; i < nr_vcpus; i++)
            at = put_record(at, HVM_SAVE_CODE(CPU), (uint16_t)i, &cpu, sizeof(cpu));
        for (uint32_t i = 0; i < nr_vcpus; i++)
            at = put_record(at, HVM_SAVE_CODE(MTRR), (uint16_t)i, &mtrr, sizeof(mtrr));
        (void)put_record(at, HVM_SAVE_CODE(END), 0, NULL, 0);
        op.u.hvmcontext.size = (uint32_t)size;
        set_xen_guest_handle(op.u.hvmcontext.buffer, buffer);
        rc = xc_domctl(xch, &op);
    }
    err = errno;
    xch->ops->release(xch->state, buffer);
    if (rc >= 0)
        return 0;
    errno = err;
    if (err == EPROTO)
        return -1;
    return xc_fail(xch, err, "setting the registers of domain %u: %s", domid, xc_reason(xch, err));
}

/* ---- CPUID ---- */

int xc_vcpu_get_cpuid(xc_handle *xch, uint32_t domid, uint32_t vcpu, xen_cpuid_leaf_t *leaves,
                      size_t n)
{
    struct xen_domctl op = {.cmd = XENLEVEL_DOMCTL_get_vcpu_cpuid, .domain = (domid_t)domid};
    struct xenlevel_domctl_vcpu_cpuid get = {.vcpu = vcpu, .nr_leaves = (uint32_t)n};
    xen_cpuid_leaf_t *buffer =
        n <= POLICY_MAX_LEAVES ? xch->ops->alloc(xch->state, (n ? n : 1) * sizeof(*buffer)) : NULL;
    int rc, err;

    _Static_assert(sizeof(get) <= sizeof(op.u.pad), "it fits into a domctl");
    if (!buffer)
        return xc_fail(xch, ENOMEM, "out of memory for what vCPU %u of domain %u reads", vcpu,
                       domid);
    memcpy(buffer, leaves, n * sizeof(*buffer));
    get.leaves = (uintptr_t)buffer;
    memcpy(op.u.pad, &get, sizeof(get));
    rc = xc_domctl(xch, &op);
    err = errno;
    if (rc >= 0)
        memcpy(leaves, buffer, n * sizeof(*buffer));
    xch->ops->release(xch->state, buffer);
    if (rc >= 0)
        return 0;
    return xc_fail(xch, err, "what vCPU %u of domain %u reads: %s", vcpu, domid,
                   err == ENOSYS || err == EOPNOTSUPP ? "this hypervisor does not say"
                                                      : xc_reason(xch, err));
}
