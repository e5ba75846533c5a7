/* SPDX-License-Identifier: MIT */
/*
 * A PV domain's own state on its way in.  Nothing in the stream is trusted: every PFN is looked up
 * before it is used, and what the hypervisor is given it checks again.
 *
 * Start info, shared info, vCPU contexts: <xen/xen.h>, <xen/arch-x86/xen.h>.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_gnttab.h"
#include "xc_sr_check.h"
#include "xc_sr_pv.h"

#include <xen/memory.h>

#define PIN_BATCH 512u

/* The vCPU records' kinds. */
enum { BASIC, EXTENDED, XSAVE, MSRS, NR_BLOBS };

struct blob {
    void *bytes;
    uint32_t size;
    struct sr_place at;
};

struct vcpu {
    struct blob blob[NR_BLOBS];
};

struct sr_pv_restore {
    struct sr_reader *r;
    uint32_t domid;
    bool have_info;

    uint64_t nr_pfns;        /* PFNs are below it */
    struct sr_sparse frames; /* what is known of each: below */
    uint64_t p2m_pfns_n;     /* frames of the guest's own p2m ... */
    uint64_t p2m_pfns_room;
    uint64_t *p2m_pfns; /* ... and which */

    shared_info_t *shared;
    uint32_t nr_vcpus; /* that the domain has */
    uint64_t shared_frame, tot_pages;
    struct vcpu *vcpus;
};

/* In frames: MFN and one (0: it has none) in the lower bits, enum xc_sr_page_type above. */
#define FRAME_MFN  ((1ull << 52) - 1)
#define FRAME_TYPE 60

static int out_of_memory(struct sr_pv_restore *pv)
{
    return xc_fail(pv->r->xch, ENOMEM, "out of memory for the frames of domain %u", pv->domid);
}

struct sr_pv_restore *sr_pv_new(struct sr_reader *r, uint32_t domid)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)domid};
    struct sr_pv_restore *pv;

    if (xc_domctl(r->xch, &op) < 0) {
        (void)xc_fail(r->xch, errno, "domain %u: %s", domid, xc_reason(r->xch, errno));
        return NULL;
    }
    pv = calloc(1, sizeof(*pv));
    if (pv && op.u.getdomaininfo.max_vcpu_id < SR_PV_MAX_VCPUS) {
        pv->nr_vcpus = op.u.getdomaininfo.max_vcpu_id + 1;
        pv->shared_frame = op.u.getdomaininfo.shared_info_frame;
        pv->vcpus = calloc(pv->nr_vcpus, sizeof(*pv->vcpus));
    }
    if (!pv || !pv->vcpus) {
        free(pv);
        (void)xc_fail(r->xch, ENOMEM, "out of memory for restoring a PV domain");
        return NULL;
    }
    pv->r = r;
    pv->domid = domid;
    return pv;
}

void sr_pv_free(struct sr_pv_restore *pv)
{
    if (!pv)
        return;
    for (uint32_t i = 0; i < pv->nr_vcpus; i++)
        for (unsigned int k = 0; k < NR_BLOBS; k++)
            free(pv->vcpus[i].blob[k].bytes);
    free(pv->vcpus);
    free(pv->shared);
    sr_sparse_free(&pv->frames);
    free(pv->p2m_pfns);
    free(pv);
}

bool sr_pv_has_info(const struct sr_pv_restore *pv)
{
    return pv->have_info;
}

/* ---- frames ---- */

static bool mfn_of(struct sr_pv_restore *pv, uint64_t pfn, uint64_t *mfn)
{
    uint64_t frame = pfn < pv->nr_pfns ? sr_sparse_get(&pv->frames, pfn) & FRAME_MFN : 0;

    *mfn = frame - 1;
    return frame;
}

bool sr_pv_is_populated(struct sr_pv_restore *pv, uint64_t pfn)
{
    uint64_t mfn;

    return mfn_of(pv, pfn, &mfn);
}

static uint8_t type_of(struct sr_pv_restore *pv, uint64_t pfn)
{
    return (uint8_t)(sr_sparse_get(&pv->frames, pfn) >> FRAME_TYPE);
}

int sr_pv_populate(struct sr_pv_restore *pv, const uint64_t *pfns, const uint8_t *types, size_t n,
                   uint64_t *mfns)
{
    uint64_t fresh[SR_BATCH], *where[SR_BATCH];
    size_t nr = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t *frame;

        if (pfns[i] >= pv->nr_pfns)
            return sr_bad(pv->r, "frame %llx is beyond the %llu of its X86_PV_P2M_FRAMES",
                          (unsigned long long)pfns[i], (unsigned long long)pv->nr_pfns);
        frame = sr_sparse_at(&pv->frames, pfns[i]);
        if (!frame)
            return out_of_memory(pv);
        if (types)
            *frame = (*frame & FRAME_MFN) | (uint64_t)types[i] << FRAME_TYPE;
        if (*frame & FRAME_MFN)
            continue;
        *frame |= FRAME_MFN; /* taken: the list may have it twice */
        where[nr] = frame;
        fresh[nr++] = pfns[i];
    }
    if (nr && xc_pv_populate(pv->r->xch, pv->domid, fresh, nr))
        return -1;
    for (size_t i = 0; i < nr; i++)
        *where[i] = (*where[i] & ~FRAME_MFN) | ((fresh[i] + 1) & FRAME_MFN);
    for (size_t i = 0; i < n && mfns; i++)
        (void)mfn_of(pv, pfns[i], &mfns[i]);
    return 0;
}

/* ---- page tables ---- */

static bool to_mfn(void *data, uint64_t pfn, uint64_t *mfn)
{
    return mfn_of(data, pfn, mfn);
}

struct gathering {
    struct sr_pv_restore *pv;
    uint64_t pfns[SR_PV_PER_FRAME];
    size_t n;
};

/* Note what a table names; nothing is translated. */
static bool gather(void *data, uint64_t pfn, uint64_t *to)
{
    struct gathering *g = data;
    uint64_t mfn;

    *to = pfn;
    if (pfn >= g->pv->nr_pfns)
        return false;
    if (!mfn_of(g->pv, pfn, &mfn))
        g->pfns[g->n++] = pfn;
    return true;
}

int sr_pv_localise(struct sr_pv_restore *pv, uint64_t pfn, unsigned int level, uint64_t *table)
{
    struct gathering g = {.pv = pv, .n = 0};
    unsigned int bad;

    /* Frames whose contents come later, or never. */
    if (sr_pv_translate_table(level, table, table, gather, &g, &bad))
        goto fail;
    if (g.n && sr_pv_populate(pv, g.pfns, NULL, g.n, NULL))
        return -1;
    if (!sr_pv_translate_table(level, table, table, to_mfn, pv, &bad))
        return 0;
fail:
    return sr_bad(pv->r, "frame %llx, a page table of level %u: entry %u is %llx",
                  (unsigned long long)pfn, level, bad, (unsigned long long)table[bad]);
}

/* ---- records ---- */

int sr_pv_take_info(struct sr_pv_restore *pv, uint32_t length)
{
    struct xc_sr_pv_info info;
    static const uint8_t zeros[sizeof(info.reserved)];

    if (length != sizeof(info) || pv->have_info)
        return sr_bad(pv->r, pv->have_info ? "it stands here a second time" : "%u bytes", length);
    if (sr_read(pv->r, &info, sizeof(info)))
        return -1;
    if (memcmp(info.reserved, zeros, sizeof(zeros)) != 0)
        return sr_bad(pv->r, "reserved bytes are not zero");
    if (info.guest_width == 4 && info.pt_levels == 3)
        return xc_fail(pv->r->xch, EOPNOTSUPP,
                       "the stream is a 32-bit PV domain's; 64-bit ones can be restored");
    if (info.guest_width != SR_PV_WIDTH || info.pt_levels != SR_PV_LEVELS)
        return sr_bad(pv->r, "a guest with words of %u bytes and %u levels of page tables",
                      info.guest_width, info.pt_levels);
    pv->have_info = true;
    return 0;
}

static int check_p2m_frames(struct sr_pv_restore *pv, const struct xc_sr_p2m_frames *head,
                            uint32_t length)
{
    uint64_t first = head->start_pfn / SR_PV_PER_FRAME;
    unsigned long long n = head->end_pfn / SR_PV_PER_FRAME - first + 1;

    if (head->start_pfn > head->end_pfn)
        return sr_bad(pv->r, "frames %x to %x", head->start_pfn, head->end_pfn);
    if (length != sizeof(*head) + n * sizeof(uint64_t))
        return sr_bad(pv->r, "%u bytes for the %llu frames of %x to %x", length, n, head->start_pfn,
                      head->end_pfn);
    /* A later one may make it larger, or say a part anew, but leave nothing out. */
    if (first > pv->p2m_pfns_n)
        return sr_bad(pv->r, "it begins at frame %x, %llu are known", head->start_pfn,
                      (unsigned long long)pv->nr_pfns);
    return 0;
}

/* Room for the frames 0 to n - 1. */
static int grow(struct sr_pv_restore *pv, uint64_t n)
{
    uint64_t nr_frames = (n + SR_PV_PER_FRAME - 1) / SR_PV_PER_FRAME, room = nr_frames;
    uint64_t *more;

    if (n <= pv->nr_pfns)
        return 0;
    if (nr_frames > pv->p2m_pfns_room) {
        /* It doubles: there can be many records, each a little longer. */
        room = room > pv->p2m_pfns_room * 2 ? room : pv->p2m_pfns_room * 2;
        more = realloc(pv->p2m_pfns, room * sizeof(*more));
        if (!more)
            return out_of_memory(pv);
        pv->p2m_pfns = more;
        pv->p2m_pfns_room = room;
    }
    pv->nr_pfns = n;
    pv->p2m_pfns_n = nr_frames;
    return 0;
}

int sr_pv_take_p2m_frames(struct sr_pv_restore *pv, uint32_t length)
{
    struct xc_sr_p2m_frames head;
    uint64_t first, n;

    if (length < sizeof(head))
        return sr_bad(pv->r, "%u bytes", length);
    if (sr_read(pv->r, &head, sizeof(head)) || check_p2m_frames(pv, &head, length) ||
        grow(pv, (uint64_t)head.end_pfn + 1))
        return -1;
    first = head.start_pfn / SR_PV_PER_FRAME;
    n = head.end_pfn / SR_PV_PER_FRAME - first + 1;
    if (sr_read(pv->r, pv->p2m_pfns + first, n * sizeof(uint64_t)))
        return -1;
    for (uint64_t i = first; i < first + n; i += SR_BATCH) {
        uint64_t chunk = first + n - i < SR_BATCH ? first + n - i : SR_BATCH;

        if (sr_pv_populate(pv, pv->p2m_pfns + i, NULL, chunk, NULL))
            return -1;
    }
    return 0;
}

int sr_pv_take_shared_info(struct sr_pv_restore *pv, uint32_t length)
{
    if (length != PAGE_SIZE || pv->shared)
        return sr_bad(pv->r, pv->shared ? "it stands here a second time" : "%u bytes", length);
    pv->shared = malloc(PAGE_SIZE);
    if (!pv->shared)
        return out_of_memory(pv);
    return sr_read(pv->r, pv->shared, PAGE_SIZE);
}

static bool has_size(unsigned int kind, uint32_t size)
{
    switch (kind) {
    case BASIC:
        return size == sizeof(vcpu_guest_context_t);
    case EXTENDED:
        return size && size <= sizeof(((struct xen_domctl *)0)->u.ext_vcpucontext);
    case XSAVE: /* XCR0, XCR0 accumulated, and the area */
        return size >= 2 * sizeof(uint64_t) && size <= PAGE_SIZE * 4;
    default:
        return size && size <= PAGE_SIZE && size % sizeof(xen_domctl_vcpu_msr_t) == 0;
    }
}

int sr_pv_take_vcpu(struct sr_pv_restore *pv, uint32_t type, uint32_t length)
{
    const unsigned int kind = type == REC_X86_PV_VCPU_BASIC      ? BASIC
                              : type == REC_X86_PV_VCPU_EXTENDED ? EXTENDED
                              : type == REC_X86_PV_VCPU_XSAVE    ? XSAVE
                                                                 : MSRS;
    struct xc_sr_vcpu head;
    struct blob *b;

    if (length < sizeof(head))
        return sr_bad(pv->r, "%u bytes", length);
    if (sr_read(pv->r, &head, sizeof(head)))
        return -1;
    length -= (uint32_t)sizeof(head);
    if (head.reserved)
        return sr_bad(pv->r, "a reserved field is not zero");
    if (head.vcpu_id >= pv->nr_vcpus)
        return sr_bad(pv->r, "vCPU %u; the domain has %u", head.vcpu_id, pv->nr_vcpus);
    /* Xen 4.6 to 4.12 wrote empty ones of the last two kinds. */
    if (!length && (kind == XSAVE || kind == MSRS))
        return 0;
    if (!has_size(kind, length))
        return sr_bad(pv->r, "vCPU %u: %u bytes", head.vcpu_id, length);
    b = &pv->vcpus[head.vcpu_id].blob[kind];
    if (b->bytes)
        return sr_bad(pv->r, "vCPU %u: it stands here a second time", head.vcpu_id);
    b->bytes = malloc(length);
    if (!b->bytes)
        return out_of_memory(pv);
    b->size = length;
    b->at = sr_here(pv->r);
    return sr_read(pv->r, b->bytes, length);
}

/* ---- into the domain: frames ---- */

/* Tables that were pinned are pinned again; that checks each, and all below it. */
static int pin_tables(struct sr_pv_restore *pv)
{
    static const unsigned int commands[] = {0, MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                            MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE};
    struct mmuext_op ops[PIN_BATCH];
    unsigned int n = 0;

    for (uint64_t pfn = 0; pfn < pv->nr_pfns; pfn++) {
        uint8_t type = type_of(pv, pfn);
        uint64_t mfn;

        if (type < XC_SR_PAGE_L1TAB_PIN || type > XC_SR_PAGE_L4TAB_PIN)
            continue;
        ops[n] = (struct mmuext_op){.cmd = commands[sr_pv_level(type)]};
        (void)mfn_of(pv, pfn, &mfn);
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
    if (!mfn_of(pv, pfn, &mfn) || type_of(pv, pfn) != XC_SR_PAGE_NOTAB) {
        (void)sr_bad(pv->r, "%s would be in frame %llx, which %s", what, (unsigned long long)pfn,
                     mfn_of(pv, pfn, &mfn) ? "is a page table" : "is not there");
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

            page[k] = mfn_of(pv, i * SR_PV_PER_FRAME + k, &mfn) ? mfn : UINT64_MAX;
        }
        xc_unmap_foreign_pages(pv->r->xch, mapping);
    }
    return 0;
}

/* ---- into the domain: what it shares with the outside ---- */

/* A ring's frame: in the stream its PFN (the guest has seen to that before it was suspended). */
static int ring(struct sr_pv_restore *pv, const char *what, uint64_t pfn, uint64_t *mfn)
{
    if (mfn_of(pv, pfn, mfn) && type_of(pv, pfn) == XC_SR_PAGE_NOTAB)
        return 0;
    return sr_bad(pv->r, "%s would be in frame %llx, which is not there", what,
                  (unsigned long long)pfn);
}

static int write_start_info(struct sr_pv_restore *pv, vcpu_guest_context_t *c,
                            const struct xc_guest_ends *ends, struct xc_restore_result *result)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)pv->domid};
    uint64_t store = 0, console = 0;
    start_info_t *start;
    void *mapping;
    int rc = 0;

    if (xc_domctl(pv->r->xch, &op) < 0)
        return xc_fail(pv->r->xch, errno, "domain %u: %s", pv->domid, xc_reason(pv->r->xch, errno));
    start = map_pfn(pv, c->user_regs.rdx, "start info", &mapping);
    if (!start)
        return -1;
    if (ring(pv, "xenstore's ring", start->store_mfn, &store) ||
        ring(pv, "the console's ring", start->console.domU.mfn, &console))
        rc = -1;
    if (!rc) {
        start->nr_pages = op.u.getdomaininfo.tot_pages;
        start->shared_info = pv->shared_frame << 12;
        start->flags = 0;
        start->store_mfn = store;
        start->store_evtchn = ends ? ends->store_evtchn : 0;
        start->console.domU.mfn = console;
        start->console.domU.evtchn = ends ? ends->console_evtchn : 0;
        (void)mfn_of(pv, c->user_regs.rdx, &c->user_regs.rdx);
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

/* ---- into the domain: vCPUs ---- */

static int localise_mfn(struct sr_pv_restore *pv, uint32_t vcpu, const char *what, uint64_t pfn,
                        bool top_table, uint64_t *mfn)
{
    if (!mfn_of(pv, pfn, mfn))
        return sr_bad(pv->r, "vCPU %u: %s would be in frame %llx, which is not there", vcpu, what,
                      (unsigned long long)pfn);
    if (top_table && sr_pv_level(type_of(pv, pfn)) != SR_PV_LEVELS)
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
static int give(struct sr_pv_restore *pv, uint32_t vcpu, const char *what, struct xen_domctl *op,
                const struct blob *b, void **handle)
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

static int set_basic(struct sr_pv_restore *pv, uint32_t vcpu, const struct blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpucontext, .domain = (domid_t)pv->domid};

    op.u.vcpucontext.vcpu = vcpu;
    return give(pv, vcpu, "registers", &op, b, (void **)&op.u.vcpucontext.ctxt.p);
}

static int set_extended(struct sr_pv_restore *pv, uint32_t vcpu, const struct blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_ext_vcpucontext, .domain = (domid_t)pv->domid};

    memcpy(&op.u.ext_vcpucontext, b->bytes, b->size);
    op.u.ext_vcpucontext.vcpu = vcpu;
    if (xc_domctl(pv->r->xch, &op) < 0)
        return xc_fail(pv->r->xch, errno, "vCPU %u: the hypervisor does not take its callbacks: %s",
                       vcpu, xc_reason(pv->r->xch, errno));
    return 0;
}

static int set_xsave(struct sr_pv_restore *pv, uint32_t vcpu, const struct blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_setvcpuextstate, .domain = (domid_t)pv->domid};

    op.u.vcpuextstate.vcpu = vcpu;
    op.u.vcpuextstate.size = b->size;
    return give(pv, vcpu, "XSAVE state", &op, b, (void **)&op.u.vcpuextstate.buffer.p);
}

static int set_msrs(struct sr_pv_restore *pv, uint32_t vcpu, const struct blob *b)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_set_vcpu_msrs, .domain = (domid_t)pv->domid};

    op.u.vcpu_msrs.vcpu = vcpu;
    op.u.vcpu_msrs.msr_count = b->size / (uint32_t)sizeof(xen_domctl_vcpu_msr_t);
    return give(pv, vcpu, "MSRs", &op, b, (void **)&op.u.vcpu_msrs.msrs.p);
}

int sr_pv_check(struct sr_pv_restore *pv, const struct cpu_policy *p)
{
    for (uint32_t n = 0; n < pv->nr_vcpus; n++) {
        const struct blob *basic = &pv->vcpus[n].blob[BASIC], *xsave = &pv->vcpus[n].blob[XSAVE],
                          *msrs = &pv->vcpus[n].blob[MSRS];

        if ((basic->bytes && sr_pv_check_basic(pv->r, &basic->at, p, n, basic->bytes)) ||
            (xsave->bytes &&
             sr_pv_check_xsave(pv->r, &xsave->at, p, n, xsave->bytes, xsave->size)) ||
            (msrs->bytes && sr_check_msrs(pv->r, &msrs->at, p, n, msrs->bytes,
                                          msrs->size / (uint32_t)sizeof(xen_domctl_vcpu_msr_t))))
            return -1;
    }
    return 0;
}

static int set_vcpu(struct sr_pv_restore *pv, uint32_t n)
{
    const struct blob *b = pv->vcpus[n].blob;

    if (!b[BASIC].bytes)
        return b[EXTENDED].bytes || b[XSAVE].bytes || b[MSRS].bytes
                   ? sr_bad(pv->r, "vCPU %u has no X86_PV_VCPU_BASIC", n)
                   : 0; /* it was not online */
    if (localise_context(pv, n, b[BASIC].bytes) || set_basic(pv, n, &b[BASIC]))
        return -1;
    if (b[EXTENDED].bytes && set_extended(pv, n, &b[EXTENDED]))
        return -1;
    if (b[XSAVE].bytes && set_xsave(pv, n, &b[XSAVE]))
        return -1;
    return b[MSRS].bytes ? set_msrs(pv, n, &b[MSRS]) : 0;
}

int sr_pv_apply(struct sr_pv_restore *pv, const struct xc_guest_ends *ends,
                struct xc_restore_result *result)
{
    if (!pv->have_info || !pv->nr_pfns || !pv->shared || !pv->vcpus[0].blob[BASIC].bytes)
        return sr_bad(pv->r, "there was no %s record",
                      !pv->have_info ? "X86_PV_INFO"
                      : !pv->nr_pfns ? "X86_PV_P2M_FRAMES"
                      : !pv->shared  ? "SHARED_INFO"
                                     : "X86_PV_VCPU_BASIC");
    if (write_start_info(pv, pv->vcpus[0].blob[BASIC].bytes, ends, result) || write_shared_info(pv))
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
