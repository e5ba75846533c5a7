/* SPDX-License-Identifier: MIT */
/*
 * What a stream has brought of a PV domain, into the domain: pinned page tables, p2m, start info,
 * shared info, vCPUs.  Every PFN is looked up before it is used, and what the hypervisor is given
 * it checks again.
 *
 * Start info, shared info, vCPU contexts: <xen/xen.h>, <xen/arch-x86/xen.h>.
 */
#include <errno.h>
#include <string.h>

#include "xc_gnttab.h"
#include "xc_sr_pv.h"

#define PIN_BATCH 512u

static int out_of_memory(const struct sr_pv_restore *pv)
{
    return xc_fail(pv->r->xch, ENOMEM, "out of memory for the state of domain %u", pv->domid);
}

/* ---- frames ---- */

/* Tables that were pinned are pinned again; that checks each, and all below it. */
static int pin_tables(struct sr_pv_restore *pv)
{
    static const unsigned int commands[] = {0, MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                            MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};
    struct mmuext_op ops[PIN_BATCH];
    unsigned int n = 0;

    for (uint64_t pfn = 0; pfn < pv->nr_pfns; pfn++) {
        uint8_t type = sr_pv_get_type(pv, pfn);
        uint64_t mfn;

        if (type < XC_SR_PAGE_L1TAB_PIN || type > XC_SR_PAGE_L4TAB_PIN)
            continue;
        ops[n] = (struct mmuext_op){.cmd = commands[sr_pv_level(type)]};
        (void)sr_pv_get_mfn(pv, pfn, &mfn);
        ops[n++].arg1.mfn = mfn;
        if (n == PIN_BATCH) {
            if (xc_pv_pin(pv->r->xch, pv->domid, ops, n))
                return -1;
            n = 0;
        }
    }
    return n ? xc_pv_pin(pv->r->xch, pv->domid, ops, n) : 0;
}

/* Map one frame that has to be the guest's data, to be written. */
static void *map_pfn(struct sr_pv_restore *pv, uint64_t pfn, const char *what, void **mapping)
{
    uint64_t mfn;
    void *page;

    *mapping = NULL;
    if (!sr_pv_get_mfn(pv, pfn, &mfn) || sr_pv_get_type(pv, pfn) != XC_SR_PAGE_NOTAB) {
        (void)sr_bad(pv->r, "%s would be in frame %llx, which %s", what, (unsigned long long)pfn,
                     sr_pv_get_mfn(pv, pfn, &mfn) ? "is a page table" : "is not there");
        return NULL;
    }
    *mapping = xc_map_foreign_pages(pv->r->xch, pv->domid, &mfn, 1, true, &page);
    if (*mapping && !page) {
        xc_unmap_foreign_pages(pv->r->xch, *mapping);
        *mapping = NULL;
        (void)xc_fail(pv->r->xch, EFAULT, "%s (frame %llx) cannot be mapped", what,
                      (unsigned long long)pfn);
    }
    return *mapping ? page : NULL;
}

/* The guest's own p2m: the new machine frames. */
static int write_p2m(struct sr_pv_restore *pv)
{
    for (uint64_t i = 0; i < pv->p2m_pfns_n; i++) {
        void *mapping;
        uint64_t *page = map_pfn(pv, pv->p2m_pfns[i], "the p2m", &mapping);

        if (!page)
            return -1;
        for (unsigned int k = 0; k < SR_PV_PER_FRAME; k++) {
            uint64_t mfn;

            page[k] = sr_pv_get_mfn(pv, i * SR_PV_PER_FRAME + k, &mfn) ? mfn : UINT64_MAX;
        }
        xc_unmap_foreign_pages(pv->r->xch, mapping);
    }
    return 0;
}

/* ---- what it shares with the outside ---- */

/* A ring's frame: in the stream its PFN (the guest has seen to that before it was suspended). */
static int find_ring(struct sr_pv_restore *pv, const char *what, uint64_t pfn, uint64_t *mfn)
{
    if (sr_pv_get_mfn(pv, pfn, mfn) && sr_pv_get_type(pv, pfn) == XC_SR_PAGE_NOTAB)
        return 0;
    return sr_bad(pv->r, "%s would be in frame %llx, which is not there", what,
                  (unsigned long long)pfn);
}

static int write_start_info(struct sr_pv_restore *pv, vcpu_guest_context_t *c,
                            const struct xc_guest_ends *ends, struct xc_restore_result *result)
{
    uint64_t store = 0, console = 0;
    struct xc_domain_info info;
    start_info_t *start;
    void *mapping;
    int rc = 0;

    if (xc_domain_getinfo(pv->r->xch, pv->domid, &info))
        return -1;
    start = map_pfn(pv, c->user_regs.rdx, "start info", &mapping);
    if (!start)
        return -1;
    if (find_ring(pv, "xenstore's ring", start->store_mfn, &store) ||
        find_ring(pv, "the console's ring", start->console.domU.mfn, &console))
        rc = -1;
    if (!rc) {
        start->nr_pages = info.tot_pages;
        start->shared_info = pv->shared_frame << 12;
        start->flags = 0;
        start->store_mfn = store;
        start->store_evtchn = ends ? ends->store_evtchn : 0;
        start->console.domU.mfn = console;
        start->console.domU.evtchn = ends ? ends->console_evtchn : 0;
        (void)sr_pv_get_mfn(pv, c->user_regs.rdx, &c->user_regs.rdx);
        result->store_gfn = store;
        result->console_gfn = console;
    }
    xc_unmap_foreign_pages(pv->r->xch, mapping);
    return rc;
}

/* What is the guest's in it; its event channels are all gone, and Xen keeps the time. */
static int write_shared_info(struct sr_pv_restore *pv)
{
    void *page,
        *mapping = xc_map_foreign_pages(pv->r->xch, pv->domid, &pv->shared_frame, 1, true, &page);
    shared_info_t *s = page;

    if (!mapping)
        return -1;
    if (!page) {
        xc_unmap_foreign_pages(pv->r->xch, mapping);
        return xc_fail(pv->r->xch, EFAULT, "the shared info of domain %u cannot be mapped",
                       pv->domid);
    }
    memcpy(s->vcpu_info, pv->shared->vcpu_info, sizeof(s->vcpu_info));
    s->arch = pv->shared->arch;
    /* Both are machine frames of the old host; the guest says them anew when it goes on. */
    s->arch.pfn_to_mfn_frame_list_list = 0;
    s->arch.p2m_cr3 = 0;
    memset(s->evtchn_pending, 0, sizeof(s->evtchn_pending));
    memset(s->evtchn_mask, 0xff, sizeof(s->evtchn_mask));
    for (size_t i = 0; i < sizeof(s->vcpu_info) / sizeof(s->vcpu_info[0]); i++)
        s->vcpu_info[i].evtchn_pending_sel = 0;
    xc_unmap_foreign_pages(pv->r->xch, mapping);
    return 0;
}

/* ---- vCPUs ---- */

static int localise_mfn(struct sr_pv_restore *pv, uint32_t vcpu, const char *what, uint64_t pfn,
                        bool top_table, uint64_t *mfn)
{
    if (!sr_pv_get_mfn(pv, pfn, mfn))
        return sr_bad(pv->r, "vCPU %u: %s would be in frame %llx, which is not there", vcpu, what,
                      (unsigned long long)pfn);
    if (top_table && sr_pv_level(sr_pv_get_type(pv, pfn)) != SR_PV_LEVELS)
        return sr_bad(pv->r, "vCPU %u: %s would be frame %llx, which is no top-level table", vcpu,
                      what, (unsigned long long)pfn);
    return 0;
}

static int localise_context(struct sr_pv_restore *pv, uint32_t vcpu, vcpu_guest_context_t *c)
{
    uint64_t frames = (c->gdt_ents + 511) / 512, mfn = 0;

    if (c->gdt_ents > 8192 || frames > sizeof(c->gdt_frames) / sizeof(c->gdt_frames[0]))
        return sr_bad(pv->r, "vCPU %u: a GDT of %lu entries", vcpu, (unsigned long)c->gdt_ents);
    for (uint64_t i = 0; i < frames; i++) {
        if (localise_mfn(pv, vcpu, "its GDT", c->gdt_frames[i], false, &mfn))
            return -1;
        c->gdt_frames[i] = mfn;
    }
    if (localise_mfn(pv, vcpu, "its page table", xen_cr3_to_pfn(c->ctrlreg[3]), true, &mfn))
        return -1;
    c->ctrlreg[3] = xen_pfn_to_cr3(mfn);
    if (c->ctrlreg[1] & 1) {
        if (localise_mfn(pv, vcpu, "its user page table", c->ctrlreg[1] >> 12, true, &mfn))
            return -1;
        c->ctrlreg[1] = mfn << 12;
    } else if (c->ctrlreg[1]) {
        return sr_bad(pv->r, "vCPU %u: %#lx for its user page table: no frame of the stream's",
                      vcpu, (unsigned long)c->ctrlreg[1]);
    }
    return 0;
}

/* One of the set calls, whose argument is a buffer with these bytes. */
static int set_from_buffer(struct sr_pv_restore *pv, uint32_t vcpu, const char *what,
                           struct xen_domctl *op, const struct sr_pv_blob *b, void **handle)
{
    xc_handle *xch = pv->r->xch;
    void *buffer = xch->ops->alloc(xch->state, b->size);
    int rc = 0;

    if (!buffer)
        return out_of_memory(pv);
    memcpy(buffer, b->bytes, b->size);
    *handle = buffer;
    if (xc_domctl(xch, op) < 0)
        rc = xc_fail(xch, errno, "vCPU %u: the hypervisor does not take its %s: %s", vcpu, what,
                     xc_reason(xch, errno));
    xch->ops->release(xch->state, buffer);
    return rc;
}

static int set_basic(struct sr_pv_restore *pv, uint32_t vcpu, const struct sr_pv_blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpucontext, .domain = (domid_t)pv->domid};

    op.u.vcpucontext.vcpu = vcpu;
    return set_from_buffer(pv, vcpu, "registers", &op, b, (void **)&op.u.vcpucontext.ctxt.p);
}

static int set_extended(struct sr_pv_restore *pv, uint32_t vcpu, const struct sr_pv_blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_ext_vcpucontext, .domain = (domid_t)pv->domid};

    memcpy(&op.u, b->bytes, b->size); /* at most what is there: has_size() */
    op.u.ext_vcpucontext.vcpu = vcpu;
    if (xc_domctl(pv->r->xch, &op) < 0)
        return xc_fail(pv->r->xch, errno, "vCPU %u: the hypervisor does not take its callbacks: %s",
                       vcpu, xc_reason(pv->r->xch, errno));
    return 0;
}

static int set_xsave(struct sr_pv_restore *pv, uint32_t vcpu, const struct sr_pv_blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpuextstate, .domain = (domid_t)pv->domid};

    op.u.vcpuextstate.vcpu = vcpu;
    op.u.vcpuextstate.size = b->size;
    return set_from_buffer(pv, vcpu, "XSAVE state", &op, b, (void **)&op.u.vcpuextstate.buffer.p);
}

static int set_msrs(struct sr_pv_restore *pv, uint32_t vcpu, const struct sr_pv_blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_vcpu_msrs, .domain = (domid_t)pv->domid};

    op.u.vcpu_msrs.vcpu = vcpu;
    op.u.vcpu_msrs.msr_count = b->size / (uint32_t)sizeof(xen_domctl_vcpu_msr_t);
    return set_from_buffer(pv, vcpu, "MSRs", &op, b, (void **)&op.u.vcpu_msrs.msrs.p);
}

static int set_vcpu(struct sr_pv_restore *pv, uint32_t n)
{
    const struct sr_pv_blob *b = pv->vcpus[n].blob;

    if (!b[SR_PV_BASIC].bytes)
        return b[SR_PV_EXTENDED].bytes || b[SR_PV_XSAVE].bytes || b[SR_PV_MSRS].bytes
                   ? sr_bad(pv->r, "vCPU %u has no X86_PV_VCPU_BASIC", n)
                   : 0; /* it was not online */
    if (localise_context(pv, n, b[SR_PV_BASIC].bytes) || set_basic(pv, n, &b[SR_PV_BASIC]))
        return -1;
    if (b[SR_PV_EXTENDED].bytes && set_extended(pv, n, &b[SR_PV_EXTENDED]))
        return -1;
    if (b[SR_PV_XSAVE].bytes && set_xsave(pv, n, &b[SR_PV_XSAVE]))
        return -1;
    return b[SR_PV_MSRS].bytes ? set_msrs(pv, n, &b[SR_PV_MSRS]) : 0;
}

int sr_pv_apply(struct sr_pv_restore *pv, const struct xc_guest_ends *ends,
                struct xc_restore_result *result)
{
    if (!pv->have_info || !pv->nr_pfns || !pv->shared || !pv->vcpus[0].blob[SR_PV_BASIC].bytes)
        return sr_bad(pv->r, "there was no %s record",
                      !pv->have_info ? "X86_PV_INFO"
                      : !pv->nr_pfns ? "X86_PV_P2M_FRAMES"
                      : !pv->shared  ? "SHARED_INFO"
                                     : "X86_PV_VCPU_BASIC");
    if (write_start_info(pv, pv->vcpus[0].blob[SR_PV_BASIC].bytes, ends, result) ||
        write_shared_info(pv))
        return -1;
    for (uint32_t n = 0; n < pv->nr_vcpus; n++)
        if (set_vcpu(pv, n))
            return -1;
    if (pin_tables(pv) || write_p2m(pv))
        return -1;
    return ends
               ? xc_gnttab_seed(pv->r->xch, pv->domid, ends, result->store_gfn, result->console_gfn)
               : 0;
}
