/* SPDX-License-Identifier: MIT */
/*
 * Restoring PV domains: their frames and records.  Nothing in the stream is trusted: every PFN is
 * looked up before it is used.  What is made of it at the end is in xc_sr_pv_apply.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_check.h"
#include "xc_sr_pv.h"
#include "xc_sr_restore.h"

static int out_of_memory(struct sr_pv_restore *pv)
{
    return xc_fail(pv->r->xch, ENOMEM, "out of memory for the frames of domain %u", pv->domid);
}

static int open_pv(struct sr_restore *s)
{
    struct sr_pv_restore *pv = calloc(1, sizeof(*pv));

    s->guest = pv;
    if (!pv)
        return xc_fail(s->r.xch, ENOMEM, "out of memory for restoring a PV domain");
    pv->r = &s->r;
    pv->domid = s->domid;
    if (!s->nr_vcpus || s->nr_vcpus > SR_PV_MAX_VCPUS)
        return xc_fail(s->r.xch, EINVAL, "domain %u has %u vCPUs; 1 to %u can be", s->domid,
                       s->nr_vcpus, SR_PV_MAX_VCPUS);
    if (xc_pv_shared_frame(s->r.xch, s->domid, &pv->shared_frame))
        return -1;
    pv->vcpus = calloc(s->nr_vcpus, sizeof(*pv->vcpus));
    if (!pv->vcpus)
        return xc_fail(s->r.xch, ENOMEM, "out of memory for restoring a PV domain");
    pv->nr_vcpus = s->nr_vcpus;
    return 0;
}

static void close_pv(struct sr_restore *s)
{
    struct sr_pv_restore *pv = s->guest;

    if (!pv)
        return;
    for (uint32_t i = 0; i < pv->nr_vcpus; i++)
        for (unsigned int k = 0; k < SR_PV_NR_BLOBS; k++)
            free(pv->vcpus[i].blob[k].bytes);
    free(pv->vcpus);
    free(pv->shared);
    sr_sparse_free(&pv->frames);
    free(pv->p2m_pfns);
    free(pv);
}

/* ---- frames ---- */

static bool is_populated(struct sr_restore *s, uint64_t pfn)
{
    uint64_t mfn;

    return sr_pv_get_mfn(s->guest, pfn, &mfn);
}

static bool has_page_type(unsigned int type)
{
    return type == XC_SR_PAGE_NOTAB || sr_pv_level(type);
}

/*
 * Gives memory to the PFNs that have none yet, and notes what kind of pages they are (types[], enum
 * xc_sr_page_type; NULL: no page table).  mfns[], unless it is NULL, gets the machine frames.
 */
static int populate_pfns(struct sr_pv_restore *pv, const uint64_t *pfns, const uint8_t *types,
                         size_t n, uint64_t *mfns)
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
            *frame = (*frame & SR_PV_FRAME_MFN) | (uint64_t)types[i] << SR_PV_FRAME_TYPE;
        if (*frame & SR_PV_FRAME_MFN)
            continue;
        *frame |= SR_PV_FRAME_MFN; /* taken: the list may have it twice */
        where[nr] = frame;
        fresh[nr++] = pfns[i];
    }
    if (nr && xc_pv_populate(pv->r->xch, pv->domid, fresh, nr))
        return -1;
    for (size_t i = 0; i < nr; i++)
        *where[i] = (*where[i] & ~SR_PV_FRAME_MFN) | ((fresh[i] + 1) & SR_PV_FRAME_MFN);
    for (size_t i = 0; i < n && mfns; i++)
        (void)sr_pv_get_mfn(pv, pfns[i], &mfns[i]);
    return 0;
}

static int populate_batch(struct sr_restore *s, size_t n)
{
    return populate_pfns(s->guest, s->gfns, s->types, n, s->frames);
}

/* ---- page tables ---- */

static bool translate_to_mfn(void *data, uint64_t pfn, uint64_t *mfn)
{
    return sr_pv_get_mfn(data, pfn, mfn);
}

struct gathering {
    struct sr_pv_restore *pv;
    uint64_t pfns[SR_PV_PER_FRAME];
    size_t n;
};

/* Notes what a table names; nothing is translated. */
static bool gather_pfn(void *data, uint64_t pfn, uint64_t *to)
{
    struct gathering *g = data;
    uint64_t mfn;

    *to = pfn;
    if (pfn >= g->pv->nr_pfns)
        return false;
    if (!sr_pv_get_mfn(g->pv, pfn, &mfn))
        g->pfns[g->n++] = pfn;
    return true;
}

/* The PFNs of a page table, which was read as it is in the stream, to MFNs. */
static int localise_table(struct sr_pv_restore *pv, uint64_t pfn, unsigned int level,
                          uint64_t *table)
{
    struct gathering g = {.pv = pv, .n = 0};
    unsigned int bad;

    /* Frames whose contents come later, or never. */
    if (sr_pv_translate_table(level, table, table, gather_pfn, &g, &bad))
        goto fail;
    if (g.n && populate_pfns(pv, g.pfns, NULL, g.n, NULL))
        return -1;
    if (!sr_pv_translate_table(level, table, table, translate_to_mfn, pv, &bad))
        return 0;
fail:
    return sr_bad(pv->r, "frame %llx, a page table of level %u: entry %u is %llx",
                  (unsigned long long)pfn, level, bad, (unsigned long long)table[bad]);
}

static int localise_page(struct sr_restore *s, size_t i, void *page)
{
    unsigned int level = sr_pv_level(s->types[i]);

    return level ? localise_table(s->guest, s->gfns[i], level, page) : 0;
}

/* ---- records ---- */

static int take_info(struct sr_pv_restore *pv, uint32_t length)
{
    struct xc_sr_pv_info info;
    static const uint8_t zeros[sizeof(info.reserved)];

    if (length != sizeof(info))
        return sr_bad(pv->r, "%u bytes", length);
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
static int grow_p2m(struct sr_pv_restore *pv, uint64_t n)
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

static int take_p2m_frames(struct sr_pv_restore *pv, uint32_t length)
{
    struct xc_sr_p2m_frames head;
    uint64_t first, n;

    if (length < sizeof(head))
        return sr_bad(pv->r, "%u bytes", length);
    if (sr_read(pv->r, &head, sizeof(head)) || check_p2m_frames(pv, &head, length) ||
        grow_p2m(pv, (uint64_t)head.end_pfn + 1))
        return -1;
    first = head.start_pfn / SR_PV_PER_FRAME;
    n = head.end_pfn / SR_PV_PER_FRAME - first + 1;
    if (sr_read(pv->r, pv->p2m_pfns + first, n * sizeof(uint64_t)))
        return -1;
    for (uint64_t i = first; i < first + n; i += SR_BATCH) {
        uint64_t chunk = first + n - i < SR_BATCH ? first + n - i : SR_BATCH;

        if (populate_pfns(pv, pv->p2m_pfns + i, NULL, chunk, NULL))
            return -1;
    }
    return 0;
}

static int take_shared_info(struct sr_pv_restore *pv, uint32_t length)
{
    if (length != PAGE_SIZE)
        return sr_bad(pv->r, "%u bytes", length);
    pv->shared = malloc(PAGE_SIZE);
    if (!pv->shared)
        return out_of_memory(pv);
    return sr_read(pv->r, pv->shared, PAGE_SIZE);
}

static bool has_size(unsigned int kind, uint32_t size)
{
    switch (kind) {
    case SR_PV_BASIC:
        return size == sizeof(vcpu_guest_context_t);
    case SR_PV_EXTENDED:
        return size && size <= sizeof(((struct xen_domctl *)0)->u);
    case SR_PV_XSAVE: /* XCR0, XCR0 accumulated, and the area */
        return size >= 2 * sizeof(uint64_t) && size <= PAGE_SIZE * 4;
    default:
        return size && size <= PAGE_SIZE && size % sizeof(xen_domctl_vcpu_msr_t) == 0;
    }
}

static int take_vcpu(struct sr_pv_restore *pv, uint32_t type, uint32_t length)
{
    const unsigned int kind = type == REC_X86_PV_VCPU_BASIC      ? SR_PV_BASIC
                              : type == REC_X86_PV_VCPU_EXTENDED ? SR_PV_EXTENDED
                              : type == REC_X86_PV_VCPU_XSAVE    ? SR_PV_XSAVE
                                                                 : SR_PV_MSRS;
    struct xc_sr_vcpu head;
    struct sr_pv_blob *b;

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
    if (!length && kind != SR_PV_BASIC)
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

static int take_record(struct sr_restore *s, const struct xc_sr_rhdr *header)
{
    struct sr_pv_restore *pv = s->guest;

    switch (header->type) {
    case REC_X86_PV_INFO:
        return take_info(pv, header->length);
    case REC_X86_PV_P2M_FRAMES:
        return take_p2m_frames(pv, header->length);
    case REC_SHARED_INFO:
        return take_shared_info(pv, header->length);
    case REC_X86_PV_VCPU_BASIC:
    case REC_X86_PV_VCPU_EXTENDED:
    case REC_X86_PV_VCPU_XSAVE:
    case REC_X86_PV_VCPU_MSRS:
        return take_vcpu(pv, header->type, header->length);
    default:
        return sr_bad(&s->r, "no such record (%#x) can be in a PV domain's stream", header->type);
    }
}

static int require_info(struct sr_restore *s)
{
    const struct sr_pv_restore *pv = s->guest;

    return pv->have_info ? 0 : sr_bad(&s->r, "there was no X86_PV_INFO");
}

static int check_vcpus(struct sr_restore *s)
{
    const struct sr_pv_restore *pv = s->guest;
    const struct cpu_policy *p = s->policy.guest;

    for (uint32_t n = 0; n < pv->nr_vcpus; n++) {
        const struct sr_pv_blob *basic = &pv->vcpus[n].blob[SR_PV_BASIC],
                                *xsave = &pv->vcpus[n].blob[SR_PV_XSAVE],
                                *msrs = &pv->vcpus[n].blob[SR_PV_MSRS];

        if ((basic->bytes && sr_pv_check_basic(pv->r, &basic->at, p, n, basic->bytes)) ||
            (xsave->bytes &&
             sr_pv_check_xsave(pv->r, &xsave->at, p, n, xsave->bytes, xsave->size)) ||
            (msrs->bytes && sr_check_msrs(pv->r, &msrs->at, p, n, msrs->bytes,
                                          msrs->size / (uint32_t)sizeof(xen_domctl_vcpu_msr_t))))
            return -1;
    }
    return 0;
}

static int apply_state(struct sr_restore *s)
{
    return sr_pv_apply(s->guest, s->options->ends, s->result);
}

const struct sr_restore_ops sr_restore_pv = {
    .name = "PV",
    .may_leave_mapped = false, /* what is mapped to be written can be no page table */
    .open = open_pv,
    .close = close_pv,
    .take_record = take_record,
    .check_static_data = require_info,
    .has_page_type = has_page_type,
    .is_populated = is_populated,
    .populate = populate_batch,
    .localise_page = localise_page,
    .check_state = check_vcpus,
    .apply = apply_state,
};
