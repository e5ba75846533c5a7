/* SPDX-License-Identifier: MIT */
/* PV domains in the core: what a frame can be, page tables, and the parts of a vCPU's state that
 * only PV has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

#include <pv.h>
#include <sim/guest-pv.h>
#include <xen/errno.h>
#include <xen/memory.h>

#include "core.h"

#define CPU      "intel-cascadelake-sp"
#define NR_PAGES 64u
#define FLAGS    0x65ull
#define WRITABLE 2ull

static struct core *c;
static struct domain *d;
static uint64_t mfns[NR_PAGES];

/* A PV domain whose frames are all nothing yet. */
static void boot(void)
{
    c = core_boot(CPU, 1, 1000, "");
    (void)core_domain(c, 0, 1, 10); /* someone else's frames: 1 to 10 */
    d = core_domain(c, 0, 1, NR_PAGES);
    for (uint64_t pfn = 0; pfn < NR_PAGES; pfn++)
        mfns[pfn] = (uint64_t)memory_mfn(d, pfn);
}

static uint64_t *page(uint64_t pfn)
{
    return platform_page(&c->platform, mfns[pfn]);
}

static void entry(uint64_t table, unsigned int i, uint64_t pfn, uint64_t flags)
{
    page(table)[i] = mfns[pfn] << 12 | flags;
}

/* 1 is an L4, 2 an L3, 3 an L2, 4 an L1, and through them frames 10 to 19 are mapped. */
static void small_tables(void)
{
    entry(1, 0, 2, FLAGS | WRITABLE);
    entry(2, 0, 3, FLAGS | WRITABLE);
    entry(3, 0, 4, FLAGS | WRITABLE);
    for (unsigned int i = 0; i < 10; i++)
        entry(4, i, 10 + i, FLAGS | WRITABLE);
}

static uint64_t info_of(uint64_t frame)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getpageframeinfo3, .domain = d->id};

    core_reset(c);
    op.u.getpageframeinfo3.num = 1;
    HANDLE_SET(op.u.getpageframeinfo3.array, core_put(c, &frame, sizeof(frame)));
    assert_int_equal(core_domctl(c, &op), 0);
    return *(uint64_t *)core_at(c, CORE_WINDOW_BASE);
}

static long mmuext(unsigned int cmd, uint64_t mfn, uint16_t domid, unsigned int *done)
{
    const struct mmuext_op op = {.cmd = cmd, .arg1.mfn = mfn};
    uint64_t args[HYPERCALL_ARGS], at;
    long rc;

    core_reset(c);
    args[0] = core_put(c, &op, sizeof(op));
    args[1] = 1;
    args[2] = at = core_put(c, NULL, sizeof(unsigned int));
    args[3] = domid;
    rc = hypercall(&c->hv, __HYPERVISOR_mmuext_op, args);
    if (done)
        *done = *(unsigned int *)core_at(c, at);
    return rc;
}

static void pinned(void **state)
{
    unsigned int done;

    (void)state;
    boot();
    small_tables();
    assert_int_equal(info_of(mfns[1]), XEN_DOMCTL_PFINFO_NOTAB);
    assert_int_equal(mmuext(MMUEXT_PIN_L4_TABLE, mfns[1], d->id, &done), 0);
    assert_int_equal(done, 1);
    assert_int_equal(info_of(mfns[1]), XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB);
    assert_int_equal(info_of(mfns[2]), XEN_DOMCTL_PFINFO_L3TAB);
    assert_int_equal(info_of(mfns[3]), XEN_DOMCTL_PFINFO_L2TAB);
    assert_int_equal(info_of(mfns[4]), XEN_DOMCTL_PFINFO_L1TAB);
    assert_int_equal(info_of(mfns[10]), XEN_DOMCTL_PFINFO_NOTAB);
    assert_int_equal(info_of(5), XEN_DOMCTL_PFINFO_XTAB);              /* another's */
    assert_int_equal(info_of(d->shared_info), XEN_DOMCTL_PFINFO_XTAB); /* not its memory */
    assert_int_equal(info_of(c->hv.nr_pages), XEN_DOMCTL_PFINFO_XTAB); /* the hypervisor's */
    assert_int_equal(page(1)[256] >> 12, c->hv.nr_pages);              /* its own entry */
    assert_int_equal(mmuext(MMUEXT_PIN_L3_TABLE, mfns[1], d->id, &done), -XEN_EINVAL);
    assert_int_equal(done, 0);
    assert_int_equal(mmuext(MMUEXT_UNPIN_TABLE, mfns[1], d->id, NULL), 0);
    assert_int_equal(mmuext(MMUEXT_UNPIN_TABLE, mfns[1], d->id, NULL), -XEN_EINVAL);
    assert_int_equal(info_of(mfns[1]), XEN_DOMCTL_PFINFO_L4TAB);
    assert_int_equal(mmuext(MMUEXT_PIN_L1_TABLE, mfns[20], 0, NULL), -XEN_EPERM);
    assert_int_equal(mmuext(MMUEXT_PIN_L1_TABLE, mfns[20], 4711, NULL), -XEN_ESRCH);
    assert_int_equal(mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, d->id, NULL), -XEN_ENOSYS);
    assert_int_equal(do_mmuext_op(&c->hv, CORE_WINDOW_BASE, 1025, 0, d->id), -XEN_E2BIG);
    assert_int_equal(do_mmuext_op(&c->hv, 64, 1, 0, d->id), -XEN_EFAULT);
    core_halt(c);
}

/* One thing is wrong, and what it is the console says; nothing of it is a table then. */
static void refused(const char *says)
{
    assert_int_equal(mmuext(MMUEXT_PIN_L4_TABLE, mfns[1], d->id, NULL), -XEN_EINVAL);
    if (!core_said(c, says))
        fail_msg("'%s' was not said", says);
    assert_int_equal(info_of(mfns[1]), XEN_DOMCTL_PFINFO_NOTAB);
    core_halt(c);
}

static void refusals(void **state)
{
    (void)state;
    boot();
    small_tables();
    page(4)[3] = 5ull << 12 | FLAGS; /* another's frame */
    refused("a page table of level 1: entry 3");
    boot();
    small_tables();
    page(4)[3] = (c->hv.nr_pages << 12) | FLAGS;
    refused("a page table of level 1: entry 3");
    boot();
    small_tables();
    entry(4, 3, 4, FLAGS | WRITABLE); /* itself, to be written to */
    refused("a page table of level 1: entry 3");
    boot();
    small_tables();
    entry(4, 3, 1, FLAGS | WRITABLE); /* the top of all, which is being looked at */
    refused("a page table of level 1: entry 3");
    boot();
    small_tables();
    entry(3, 1, 10, FLAGS); /* a frame that was found to be writable */
    refused("the domain can write to it");
    boot();
    small_tables();
    entry(3, 2, 20, FLAGS | 1 << 7);
    refused("a page table of level 2: entry 2");
    boot();
    small_tables();
    entry(1, 2, 1, FLAGS);
    refused("it is one of another level");
    boot();
    small_tables();
    page(1)[511] = d->shared_info << 12 | FLAGS;
    refused("it is not the domain's");
    boot(); /* what is not present can be anything; what is shared can be mapped */
    small_tables();
    page(4)[511] = 0xffffffffffffe000ull;
    page(4)[510] = d->shared_info << 12 | FLAGS | WRITABLE;
    entry(4, 509, 4, FLAGS);                     /* its own table, to be read */
    page(1)[256] = c->hv.nr_pages << 12 | FLAGS; /* the hypervisor's, from another top level */
    assert_int_equal(mmuext(MMUEXT_PIN_L4_TABLE, mfns[1], d->id, NULL), 0);
    core_halt(c);
}

static void walked(void **state)
{
    struct vcpu *v;
    char text[6000], back[6000];

    (void)state;
    boot();
    small_tables();
    entry(4, 5, 15, FLAGS); /* to be read only */
    v = d->vcpus[0];
    memset(text, 'x', sizeof(text));
    v->regs.cr3 = xen_pfn_to_cr3(mfns[1]);
    assert_int_equal(pv_memory_read(v, 0, back, 1), -XEN_EFAULT); /* no table yet */
    assert_int_equal(mmuext(MMUEXT_PIN_L4_TABLE, mfns[1], d->id, NULL), 0);
    assert_int_equal(pv_memory_write(v, 4000, text, sizeof(text)), 0);
    assert_int_equal(pv_memory_read(v, 4000, back, sizeof(back)), 0);
    assert_memory_equal(text, back, sizeof(text));
    assert_memory_equal(page(11), text, 4096);
    assert_int_equal(pv_memory_read(v, 5 * 4096, back, 1), 0);
    assert_int_equal(pv_memory_write(v, 5 * 4096, text, 1), -XEN_EFAULT);
    assert_int_equal(pv_memory_read(v, 10 * 4096 - 1, back, 2), -XEN_EFAULT);
    assert_int_equal(pv_memory_read(v, 1ull << 30, back, 1), -XEN_EFAULT);
    assert_int_equal(pv_translate(v, 3 * 4096, true), mfns[13]);
    /* A frame that it has no more. */
    assert_int_equal(memory_release(d, 13), 0);
    assert_int_equal(pv_translate(v, 3 * 4096, false), -XEN_EFAULT);
    core_halt(c);
}

/* Machine frame to pseudo-physical one, as toolstacks read it; and what they can map. */
static void machine_to_physical(void **state)
{
    struct xen_machphys_mfn_list list = {.max_extents = 4};
    struct domain *hvm;
    uint64_t at, table, gone;

    (void)state;
    boot();
    hvm = core_domain(c, XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap, 1, 5);
    core_reset(c);
    HANDLE_SET(list.extent_start, core_put(c, NULL, 4 * sizeof(xen_pfn_t)));
    at = core_put(c, &list, sizeof(list));
    assert_int_equal(core_call(c, __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, at), 0);
    assert_int_equal(((struct xen_machphys_mfn_list *)core_at(c, at))->nr_extents, 1);
    table = *(xen_pfn_t *)core_at(c, CORE_WINDOW_BASE);
    for (uint64_t pfn = 0; pfn < NR_PAGES; pfn++) {
        int64_t frame = memory_foreign_frame(&c->hv, DOMID_XEN, table + mfns[pfn] / 512);

        assert_true(frame >= 0);
        assert_int_equal(
            ((uint64_t *)platform_page(&c->platform, (uint64_t)frame))[mfns[pfn] % 512], pfn);
        assert_int_equal(memory_foreign_frame(&c->hv, d->id, mfns[pfn]), mfns[pfn]);
        assert_int_equal(memory_foreign_frame(&c->hv, hvm->id, pfn) < 0, pfn >= 5);
    }
    assert_int_equal(memory_foreign_frame(&c->hv, DOMID_XEN, table - 1), -XEN_ENOENT);
    assert_int_equal(memory_foreign_frame(&c->hv, DOMID_XEN, table + c->hv.nr_m2p), -XEN_ENOENT);
    assert_int_equal(memory_foreign_frame(&c->hv, d->id, d->shared_info), d->shared_info);
    assert_int_equal(memory_foreign_frame(&c->hv, d->id, 5), -XEN_ENOENT);
    assert_int_equal(memory_foreign_frame(&c->hv, d->id, ~0ull), -XEN_ENOENT);
    assert_int_equal(memory_foreign_frame(&c->hv, 4711, 0), -XEN_ENOENT);
    gone = mfns[7];
    assert_int_equal(memory_release(d, 7), 0);
    assert_int_equal(((uint64_t *)platform_page(&c->platform, table + gone / 512))[gone % 512],
                     M2P_INVALID);
    core_halt(c);
}

static long domctl(uint32_t cmd, struct xen_domctl *op)
{
    op->cmd = cmd;
    op->domain = d->id;
    return core_domctl(c, op);
}

static void state_round_trip(void **state)
{
    struct xen_domctl op = {0};
    struct xen_domctl_ext_vcpucontext ext = {
        .size = sizeof(ext), .syscall32_callback_eip = 0x1234, .sysenter_callback_cs = 0xe033};
    xen_domctl_vcpu_msr_t msrs[2] = {{0xc0000103, 0, 77}, {0x140, 0, 1}};
    uint64_t at, xstate[(16 + 4096) / 8];

    (void)state;
    boot();
    op.u.ext_vcpucontext = ext;
    assert_int_equal(domctl(XEN_DOMCTL_set_ext_vcpucontext, &op), 0);
    memset(&op.u, 0, sizeof(op.u));
    assert_int_equal(domctl(XEN_DOMCTL_get_ext_vcpucontext, &op), 0);
    assert_memory_equal(&op.u.ext_vcpucontext, &ext, sizeof(ext));
    op.u.ext_vcpucontext.size = sizeof(ext) + 1;
    assert_int_equal(domctl(XEN_DOMCTL_set_ext_vcpucontext, &op), -XEN_EINVAL);
    op.u.ext_vcpucontext.vcpu = 1;
    assert_int_equal(domctl(XEN_DOMCTL_get_ext_vcpucontext, &op), -XEN_EINVAL);

    /* Its XSAVE state: size first, then it, and back. */
    memset(&op.u, 0, sizeof(op.u));
    assert_int_equal(domctl(XEN_DOMCTL_getvcpuextstate, &op), 0);
    assert_int_equal(op.u.vcpuextstate.size, 16 + 576);
    core_reset(c);
    at = core_put(c, NULL, sizeof(xstate));
    HANDLE_SET(op.u.vcpuextstate.buffer, at);
    assert_int_equal(domctl(XEN_DOMCTL_getvcpuextstate, &op), 0);
    memcpy(xstate, core_at(c, at), 16 + 576);
    assert_int_equal(xstate[0], d->vcpus[0]->regs.xcr0);
    ((uint8_t *)core_at(c, at))[16 + 160] = 0x5a; /* XMM0 */
    assert_int_equal(domctl(XEN_DOMCTL_setvcpuextstate, &op), 0);
    assert_int_equal(d->vcpus[0]->regs.xsave[160], 0x5a);
    ((uint64_t *)core_at(c, at))[0] |= 1ull << 62;
    assert_int_equal(domctl(XEN_DOMCTL_setvcpuextstate, &op), -XEN_EINVAL);
    op.u.vcpuextstate.size = 15;
    assert_int_equal(domctl(XEN_DOMCTL_setvcpuextstate, &op), -XEN_EINVAL);

    /* MSRs: those that its policy has, and that are not zero. */
    memset(&op.u, 0, sizeof(op.u));
    d->policy.platform_info |= PLATFORM_INFO_CPUID_FAULTING;
    assert_int_equal(domctl(XEN_DOMCTL_get_vcpu_msrs, &op), 0);
    assert_int_equal(op.u.vcpu_msrs.msr_count, 2);
    core_reset(c);
    HANDLE_SET(op.u.vcpu_msrs.msrs, core_put(c, msrs, sizeof(msrs)));
    assert_int_equal(domctl(XEN_DOMCTL_get_vcpu_msrs, &op), 0);
    assert_int_equal(op.u.vcpu_msrs.msr_count, 0);
    op.u.vcpu_msrs.msr_count = 2;
    assert_int_equal(domctl(XEN_DOMCTL_set_vcpu_msrs, &op), 0);
    assert_int_equal(d->vcpus[0]->regs.tsc_aux, 77);
    assert_int_equal(d->vcpus[0]->regs.misc_features_enables, 1);
    op.u.vcpu_msrs.msr_count = 3;
    assert_int_equal(domctl(XEN_DOMCTL_set_vcpu_msrs, &op), -XEN_EINVAL);
    d->policy.platform_info = 0;
    op.u.vcpu_msrs.msr_count = 2;
    assert_int_equal(domctl(XEN_DOMCTL_set_vcpu_msrs, &op), -XEN_EINVAL);
    assert_true(core_said(c, "cpuid-faulting"));
    core_halt(c);
}

/* CR3 and the GDT of a context are frames of the domain's, and what they have to be. */
static void contexts(void **state)
{
    struct vcpu_guest_context *ctx;
    struct xen_domctl op = {0};

    (void)state;
    boot();
    small_tables();
    core_reset(c);
    HANDLE_SET(op.u.vcpucontext.ctxt, core_put(c, NULL, sizeof(*ctx)));
    ctx = core_at(c, CORE_WINDOW_BASE);
    ctx->flags = VGCF_online;
    ctx->user_regs.rflags = 2;
    ctx->ctrlreg[0] = 0x80050033;
    ctx->ctrlreg[3] = xen_pfn_to_cr3(mfns[10]);
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), 0); /* an empty table is one too */
    ctx->ctrlreg[3] = xen_pfn_to_cr3(5);
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->ctrlreg[3] = xen_pfn_to_cr3(mfns[2]);
    ctx->ctrlreg[1] = xen_pfn_to_cr3(mfns[3]); /* and then it cannot be below the first */
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->ctrlreg[1] = 0;
    ctx->ctrlreg[3] = xen_pfn_to_cr3(mfns[20]);
    ctx->gdt_ents = 513;
    ctx->gdt_frames[0] = mfns[30];
    ctx->gdt_frames[1] = mfns[31];
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), 0);
    assert_int_equal(info_of(mfns[31]), XEN_DOMCTL_PFINFO_NOTAB);
    assert_int_equal(mmuext(MMUEXT_PIN_L1_TABLE, mfns[31], d->id, NULL), -XEN_EINVAL);
    core_halt(c);
}

static void descriptors(void **state)
{
    struct vcpu_guest_context *ctx;
    struct xen_domctl op = {0};

    (void)state;
    boot();
    small_tables();
    assert_int_equal(mmuext(MMUEXT_PIN_L4_TABLE, mfns[1], d->id, NULL), 0);
    core_reset(c);
    HANDLE_SET(op.u.vcpucontext.ctxt, core_put(c, NULL, sizeof(*ctx)));
    ctx = core_at(c, CORE_WINDOW_BASE);
    ctx->user_regs.rflags = 2;
    ctx->gdt_ents = 1;
    ctx->gdt_frames[0] = mfns[4]; /* a page table */
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->gdt_frames[0] = mfns[10]; /* the guest can write to it */
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->gdt_frames[0] = 5; /* another's */
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->gdt_frames[0] = mfns[40];
    ctx->gdt_ents = 14 * 512 + 1;
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), -XEN_EINVAL);
    ctx->gdt_ents = 512;
    assert_int_equal(domctl(XEN_DOMCTL_setvcpucontext, &op), 0);
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pinned),           cmocka_unit_test(refusals),
        cmocka_unit_test(walked),           cmocka_unit_test(machine_to_physical),
        cmocka_unit_test(state_round_trip), cmocka_unit_test(contexts),
        cmocka_unit_test(descriptors),
    };

    return cmocka_run_group_tests_name("core: PV", tests, NULL, NULL);
}
