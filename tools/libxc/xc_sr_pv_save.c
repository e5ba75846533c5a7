/* SPDX-License-Identifier: MIT */
/*
 * A PV domain's own state on its way out: its p2m, shared info and vCPUs, with PFNs where the
 * domain has MFNs.  Whatever is read from the domain's memory may be wrong on purpose.
 *
 * Where a guest keeps its p2m: <xen/arch-x86/xen.h>, struct arch_shared_info.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_pv.h"

#include <xen/memory.h>

#define M2P_CHUNK       (2u << 20)      /* bytes: what XENMEM_machphys_mfn_list counts in */
#define M2P_PER_CHUNK   (M2P_CHUNK / 8) /* machine frames */
#define MAX_MFN         (1ull << 36)    /* 256 TiB: beyond it no host has memory */
#define PTE_PRESENT     1u
#define PTE_FRAME       0x000ffffffffff000ull
#define INVALID_TREE    (~0ull) /* "no tree": the guest has only the linear p2m */
#define VIRT_LEVEL_BITS 9u

struct sr_pv_save {
    xc_handle *xch;
    uint32_t domid;
    uint32_t max_vcpu_id;

    void *shared_mapping;
    const shared_info_t *shared;

    uint64_t nr_pfns;
    uint64_t generation; /* of the linear p2m; odd: it is being changed */
    uint64_t nr_p2m_frames;
    uint64_t *p2m_mfns; /* the frames that hold the p2m */
    void *p2m_mapping;
    void **p2m; /* nr_p2m_frames pages, of 512 entries each */

    uint64_t max_mfn;
    size_t nr_chunks;
    xen_pfn_t *m2p_mfns; /* a hypercall buffer: where each chunk of the M2P begins */
    void **m2p_mappings; /* a chunk of the M2P is mapped when it is first needed */
    void ***m2p;         /* its pages */
};

static int out_of_memory(const struct sr_pv_save *pv)
{
    return xc_fail(pv->xch, ENOMEM, "out of memory for the frames of domain %u", pv->domid);
}

/* ---- the machine-to-physical table, which Xen has ---- */

static int find_m2p(struct sr_pv_save *pv)
{
    xc_handle *xch = pv->xch;
    const uint64_t ask_max[XC_HYPERCALL_ARGS] = {XENMEM_maximum_ram_page};
    struct xen_machphys_mfn_list *list;
    uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_machphys_mfn_list};
    long rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, ask_max);

    if (rc < 0)
        return xc_fail(xch, errno, "the host's highest machine frame: %s", xc_reason(xch, errno));
    if ((uint64_t)rc >= MAX_MFN)
        return xc_fail(xch, EIO, "the host has a machine frame %#lx?", (unsigned long)rc);
    pv->max_mfn = (uint64_t)rc;
    pv->nr_chunks = (size_t)(pv->max_mfn / M2P_PER_CHUNK + 1);
    pv->m2p_mfns = xch->ops->alloc(xch->state, pv->nr_chunks * sizeof(*pv->m2p_mfns));
    pv->m2p_mappings = calloc(pv->nr_chunks, sizeof(*pv->m2p_mappings));
    pv->m2p = calloc(pv->nr_chunks, sizeof(*pv->m2p));
    list = xch->ops->alloc(xch->state, sizeof(*list));
    if (!pv->m2p_mfns || !pv->m2p_mappings || !pv->m2p || !list) {
        xch->ops->release(xch->state, list);
        return out_of_memory(pv);
    }
    list->max_extents = (unsigned int)pv->nr_chunks;
    set_xen_guest_handle(list->extent_start, pv->m2p_mfns);
    args[1] = (uintptr_t)list;
    rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, args);
    if (rc < 0)
        rc = xc_fail(xch, errno, "where Xen's table of machine frames is: %s",
                     xc_reason(xch, errno));
    else if (list->nr_extents < pv->nr_chunks)
        pv->nr_chunks = list->nr_extents; /* frames beyond it have no entry */
    xch->ops->release(xch->state, list);
    return rc < 0 ? -1 : 0;
}

static int map_chunk(struct sr_pv_save *pv, size_t chunk)
{
    const size_t n = M2P_CHUNK / PAGE_SIZE;
    uint64_t *mfns = calloc(n, sizeof(*mfns));
    void **pages = calloc(n, sizeof(*pages));
    int rc = 0;

    if (!mfns || !pages) {
        free(mfns);
        free(pages);
        return out_of_memory(pv);
    }
    for (size_t i = 0; i < n; i++)
        mfns[i] = pv->m2p_mfns[chunk] + i;
    pv->m2p_mappings[chunk] = xc_map_foreign_pages(pv->xch, DOMID_XEN, mfns, n, false, pages);
    if (pv->m2p_mappings[chunk])
        pv->m2p[chunk] = pages;
    else
        rc = -1;
    if (rc)
        free(pages);
    free(mfns);
    return rc;
}

/* The PFN of a machine frame, when it is the domain's and both tables say so.  1: it is not. */
static int pfn_of(struct sr_pv_save *pv, uint64_t mfn, uint64_t *pfn)
{
    size_t chunk = (size_t)(mfn / M2P_PER_CHUNK), at = (size_t)(mfn % M2P_PER_CHUNK);
    const uint64_t *page;
    uint64_t back;

    if (mfn > pv->max_mfn || chunk >= pv->nr_chunks)
        return 1;
    if (!pv->m2p[chunk] && map_chunk(pv, chunk))
        return -1;
    page = pv->m2p[chunk][at / SR_PV_PER_FRAME];
    if (!page)
        return 1;
    *pfn = page[at % SR_PV_PER_FRAME];
    return sr_pv_mfn(pv, *pfn, &back) && back == mfn ? 0 : 1;
}

/* ---- the p2m, which the domain has ---- */

bool sr_pv_mfn(const struct sr_pv_save *pv, uint64_t pfn, uint64_t *mfn)
{
    if (pfn >= pv->nr_pfns)
        return false;
    /* The guest may write it at any time: one look. */
    *mfn = *(const volatile uint64_t *)((const uint64_t *)pv->p2m[pfn / SR_PV_PER_FRAME] +
                                        pfn % SR_PV_PER_FRAME);
    return *mfn <= pv->max_mfn; /* foreign and identity frames have bits 63 and 62 */
}

uint64_t sr_pv_nr_pfns(const struct sr_pv_save *pv)
{
    return pv->nr_pfns;
}

/* Copy one frame of the domain's. */
static int read_frame(const struct sr_pv_save *pv, uint64_t mfn, const char *what, uint64_t *out)
{
    void *page, *mapping;

    if (mfn > pv->max_mfn)
        return xc_fail(pv->xch, EINVAL,
                       "domain %u: %s would be in machine frame %llx, which there "
                       "is not",
                       pv->domid, what, (unsigned long long)mfn);
    mapping = xc_map_foreign_pages(pv->xch, pv->domid, &mfn, 1, false, &page);
    if (!mapping)
        return -1;
    if (page)
        memcpy(out, page, PAGE_SIZE);
    xc_unmap_foreign_pages(pv->xch, mapping);
    if (!page)
        return xc_fail(pv->xch, EINVAL,
                       "domain %u: %s would be in machine frame %llx, which is not "
                       "its own",
                       pv->domid, what, (unsigned long long)mfn);
    return 0;
}

/* The frames of a linear p2m: its page tables are walked, one table of each level in hand. */
static int walk_linear(struct sr_pv_save *pv, uint64_t root, uint64_t virt)
{
    static const char *const names[] = {"", "a level 1 table of its p2m",
                                        "a level 2 table of its p2m", "a level 3 table of its p2m",
                                        "the page table of its p2m"};
    uint64_t(*tables)[SR_PV_PER_FRAME] = calloc(SR_PV_LEVELS + 1, sizeof(*tables));
    uint64_t have[SR_PV_LEVELS + 1] = {0};
    int rc = 0;

    if (!tables)
        return out_of_memory(pv);
    for (uint64_t i = 0; i < pv->nr_p2m_frames && !rc; i++, virt += PAGE_SIZE) {
        unsigned long long pfn = i * SR_PV_PER_FRAME;
        uint64_t mfn = root;

        for (unsigned int level = SR_PV_LEVELS; level && !rc; level--) {
            uint64_t e;

            if (have[level] != mfn + 1)
                rc = read_frame(pv, mfn, names[level], tables[level]);
            have[level] = rc ? 0 : mfn + 1;
            e = tables[level][virt >> (12 + VIRT_LEVEL_BITS * (level - 1)) & (SR_PV_PER_FRAME - 1)];
            if (!rc && !(e & PTE_PRESENT))
                rc = xc_fail(pv->xch, EINVAL,
                             "domain %u: its p2m is not mapped at %#llx, for frame %#llx",
                             pv->domid, (unsigned long long)virt, pfn);
            mfn = (e & PTE_FRAME) >> 12;
        }
        pv->p2m_mfns[i] = mfn;
    }
    free(tables);
    return rc;
}

/* The frames of a p2m that is a tree of lists. */
static int walk_tree(struct sr_pv_save *pv, uint64_t top_mfn)
{
    uint64_t top[SR_PV_PER_FRAME], list[SR_PV_PER_FRAME];

    if (pv->nr_p2m_frames > (uint64_t)SR_PV_PER_FRAME * SR_PV_PER_FRAME)
        return xc_fail(pv->xch, EINVAL, "domain %u: its p2m has %llu frames, a tree of them %u",
                       pv->domid, (unsigned long long)pv->nr_p2m_frames,
                       SR_PV_PER_FRAME * SR_PV_PER_FRAME);
    if (read_frame(pv, top_mfn, "the top of its p2m", top))
        return -1;
    for (uint64_t i = 0; i < pv->nr_p2m_frames; i++) {
        if (i % SR_PV_PER_FRAME == 0 &&
            read_frame(pv, top[i / SR_PV_PER_FRAME], "a list of its p2m", list))
            return -1;
        pv->p2m_mfns[i] = list[i % SR_PV_PER_FRAME];
    }
    return 0;
}

static int find_p2m(struct sr_pv_save *pv)
{
    const struct arch_shared_info a = pv->shared->arch;
    int rc;

    pv->nr_pfns = a.max_pfn;
    pv->generation = a.p2m_generation;
    if (!pv->nr_pfns || pv->nr_pfns > UINT32_MAX)
        return xc_fail(pv->xch, EINVAL, "domain %u says that it has %llu frames", pv->domid,
                       (unsigned long long)pv->nr_pfns);
    pv->nr_p2m_frames = (pv->nr_pfns + SR_PV_PER_FRAME - 1) / SR_PV_PER_FRAME;
    pv->p2m_mfns = calloc(pv->nr_p2m_frames, sizeof(*pv->p2m_mfns));
    pv->p2m = calloc(pv->nr_p2m_frames, sizeof(*pv->p2m));
    if (!pv->p2m_mfns || !pv->p2m)
        return out_of_memory(pv);
    if (a.p2m_cr3)
        rc = walk_linear(pv, a.p2m_cr3 >> 12, a.p2m_vaddr);
    else if (a.pfn_to_mfn_frame_list_list && a.pfn_to_mfn_frame_list_list != INVALID_TREE)
        rc = walk_tree(pv, a.pfn_to_mfn_frame_list_list);
    else
        rc = xc_fail(pv->xch, EAGAIN,
                     "domain %u has not said where its p2m is: it has not got so far yet",
                     pv->domid);
    if (rc)
        return -1;
    pv->p2m_mapping =
        xc_map_foreign_pages(pv->xch, pv->domid, pv->p2m_mfns, pv->nr_p2m_frames, false, pv->p2m);
    if (!pv->p2m_mapping)
        return -1;
    for (uint64_t i = 0; i < pv->nr_p2m_frames; i++)
        if (!pv->p2m[i])
            return xc_fail(pv->xch, EINVAL, "domain %u: frame %llu of its p2m is not its own",
                           pv->domid, (unsigned long long)i);
    return 0;
}

int sr_pv_check_p2m(const struct sr_pv_save *pv)
{
    const struct arch_shared_info *a = &pv->shared->arch;

    if (a->max_pfn == pv->nr_pfns && a->p2m_generation == pv->generation)
        return 0;
    return xc_fail(pv->xch, EAGAIN,
                   "domain %u has changed the shape of its p2m meanwhile; it can be tried again",
                   pv->domid);
}

/* ---- open, close ---- */

static int require_64_bit(const struct sr_pv_save *pv)
{
    unsigned int bits;

    if (xc_domain_get_address_size(pv->xch, pv->domid, &bits))
        return -1;
    if (bits != 64)
        return xc_fail(pv->xch, EOPNOTSUPP,
                       "domain %u is a %u-bit PV domain; 64-bit ones can be saved", pv->domid,
                       bits);
    return 0;
}

static int map_shared_info(struct sr_pv_save *pv)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getdomaininfo, .domain = (domid_t)pv->domid};
    uint64_t frame;
    void *page;

    if (xc_domctl(pv->xch, &op) < 0)
        return xc_fail(pv->xch, errno, "domain %u: %s", pv->domid, xc_reason(pv->xch, errno));
    pv->max_vcpu_id = op.u.getdomaininfo.max_vcpu_id;
    frame = op.u.getdomaininfo.shared_info_frame;
    pv->shared_mapping = xc_map_foreign_pages(pv->xch, pv->domid, &frame, 1, false, &page);
    if (!pv->shared_mapping)
        return -1;
    if (!page)
        return xc_fail(pv->xch, EIO, "the shared info of domain %u cannot be mapped", pv->domid);
    pv->shared = page;
    return 0;
}

struct sr_pv_save *sr_pv_open(xc_handle *xch, uint32_t domid)
{
    struct sr_pv_save *pv = calloc(1, sizeof(*pv));
    int err;

    if (!pv) {
        (void)xc_fail(xch, ENOMEM, "out of memory for saving a PV domain");
        return NULL;
    }
    pv->xch = xch;
    pv->domid = domid;
    if (!require_64_bit(pv) && !find_m2p(pv) && !map_shared_info(pv) && !find_p2m(pv))
        return pv;
    err = errno;
    sr_pv_close(pv);
    errno = err;
    return NULL;
}

void sr_pv_close(struct sr_pv_save *pv)
{
    if (!pv)
        return;
    for (size_t i = 0; pv->m2p && pv->m2p_mappings && i < pv->nr_chunks; i++) {
        xc_unmap_foreign_pages(pv->xch, pv->m2p_mappings[i]);
        free(pv->m2p[i]);
    }
    free(pv->m2p);
    free(pv->m2p_mappings);
    pv->xch->ops->release(pv->xch->state, pv->m2p_mfns);
    xc_unmap_foreign_pages(pv->xch, pv->p2m_mapping);
    free(pv->p2m);
    free(pv->p2m_mfns);
    xc_unmap_foreign_pages(pv->xch, pv->shared_mapping);
    free(pv);
}

/* ---- page tables ---- */

struct normalising {
    struct sr_pv_save *pv;
    bool broken; /* not the frame is wrong: the M2P could not be had */
};

static bool to_pfn(void *data, uint64_t mfn, uint64_t *pfn)
{
    struct normalising *n = data;
    int rc = pfn_of(n->pv, mfn, pfn);

    n->broken = rc < 0;
    return !rc;
}

int sr_pv_normalise(struct sr_pv_save *pv, unsigned int type, const void *page, void *out,
                    unsigned int *bad)
{
    struct normalising n = {pv, false};
    int rc;

    /* A copy first: what is checked must be what is sent. */
    memcpy(out, page, PAGE_SIZE);
    rc = sr_pv_translate_table(sr_pv_level(type), out, out, to_pfn, &n, bad);
    if (rc && !n.broken)
        errno = EAGAIN;
    return rc;
}

/* ---- records ---- */

int sr_pv_write_info(struct sr_writer *w)
{
    struct xc_sr_pv_info body = {.guest_width = SR_PV_WIDTH, .pt_levels = SR_PV_LEVELS};
    struct iovec iov[3] = {{&body, sizeof(body)}};

    return sr_write_record(w, REC_X86_PV_INFO, iov, 1);
}

int sr_pv_write_p2m_frames(struct sr_writer *w, const struct sr_pv_save *pv)
{
    struct xc_sr_p2m_frames head = {.start_pfn = 0, .end_pfn = (uint32_t)(pv->nr_pfns - 1)};
    uint64_t *pfns = calloc(pv->nr_p2m_frames, sizeof(*pfns));
    struct iovec iov[4] = {{&head, sizeof(head)}, {pfns, pv->nr_p2m_frames * sizeof(*pfns)}};
    int rc = 0;

    if (!pfns)
        return out_of_memory(pv);
    for (uint64_t i = 0; i < pv->nr_p2m_frames && !rc; i++)
        rc = pfn_of((struct sr_pv_save *)pv, pv->p2m_mfns[i], &pfns[i]);
    if (rc > 0)
        rc = xc_fail(pv->xch, EINVAL, "domain %u: a frame of its p2m is not in its p2m", pv->domid);
    if (!rc)
        rc = sr_write_record(w, REC_X86_PV_P2M_FRAMES, iov, 2);
    free(pfns);
    return rc;
}

static int write_vcpu_record(struct sr_writer *w, uint32_t type, uint32_t vcpu, void *blob,
                             size_t size)
{
    struct xc_sr_vcpu head = {.vcpu_id = vcpu};
    struct iovec iov[4] = {{&head, sizeof(head)}, {blob, size}};

    return sr_write_record(w, type, iov, 2);
}

/* In place. */
static int normalise_mfn(struct sr_pv_save *pv, uint32_t vcpu, const char *what, uint64_t mfn,
                         uint64_t *pfn)
{
    int rc = pfn_of(pv, mfn, pfn);

    if (rc <= 0)
        return rc;
    return xc_fail(pv->xch, EINVAL,
                   "domain %u, vCPU %u: %s is in machine frame %llx, which is not "
                   "the domain's",
                   pv->domid, vcpu, what, (unsigned long long)mfn);
}

static int normalise_context(struct sr_pv_save *pv, uint32_t vcpu, vcpu_guest_context_t *c)
{
    uint64_t pfn, frames = (c->gdt_ents + 511) / 512;

    /* The first vCPU asked for the suspension, with the frame of its start info. */
    if (vcpu == 0) {
        if (normalise_mfn(pv, vcpu, "its start info", c->user_regs.rdx, &pfn))
            return -1;
        c->user_regs.rdx = pfn;
    }
    if (frames > sizeof(c->gdt_frames) / sizeof(c->gdt_frames[0]))
        return xc_fail(pv->xch, EINVAL, "domain %u, vCPU %u: a GDT of %lu entries", pv->domid, vcpu,
                       (unsigned long)c->gdt_ents);
    for (uint64_t i = 0; i < frames; i++) {
        if (normalise_mfn(pv, vcpu, "its GDT", c->gdt_frames[i], &pfn))
            return -1;
        c->gdt_frames[i] = pfn;
    }
    if (normalise_mfn(pv, vcpu, "its page table", xen_cr3_to_pfn(c->ctrlreg[3]), &pfn))
        return -1;
    c->ctrlreg[3] = xen_pfn_to_cr3(pfn);
    /* The page table of user mode, when there is one; bit 0 says so in the stream. */
    if (c->ctrlreg[1]) {
        if (normalise_mfn(pv, vcpu, "its user page table", c->ctrlreg[1] >> 12, &pfn))
            return -1;
        c->ctrlreg[1] = pfn << 12 | 1;
    }
    return 0;
}

static int write_basic(struct sr_writer *w, struct sr_pv_save *pv, uint32_t vcpu)
{
    xc_handle *xch = pv->xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpucontext, .domain = (domid_t)pv->domid};
    vcpu_guest_context_t *c = xch->ops->alloc(xch->state, sizeof(*c));
    int rc;

    if (!c)
        return out_of_memory(pv);
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its registers: %s", pv->domid, vcpu,
                     xc_reason(xch, errno));
    else
        rc = normalise_context(pv, vcpu, c);
    if (!rc)
        rc = write_vcpu_record(w, REC_X86_PV_VCPU_BASIC, vcpu, c, sizeof(*c));
    xch->ops->release(xch->state, c);
    return rc;
}

static int write_extended(struct sr_writer *w, struct sr_pv_save *pv, uint32_t vcpu)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_ext_vcpucontext, .domain = (domid_t)pv->domid};

    op.u.ext_vcpucontext.vcpu = vcpu;
    if (xc_domctl(pv->xch, &op) < 0)
        return xc_fail(pv->xch, errno, "domain %u, vCPU %u: its callbacks: %s", pv->domid, vcpu,
                       xc_reason(pv->xch, errno));
    return write_vcpu_record(w, REC_X86_PV_VCPU_EXTENDED, vcpu, &op.u.ext_vcpucontext,
                             sizeof(op.u.ext_vcpucontext));
}

static int write_xsave(struct sr_writer *w, struct sr_pv_save *pv, uint32_t vcpu)
{
    xc_handle *xch = pv->xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuextstate, .domain = (domid_t)pv->domid};
    struct xen_domctl_vcpuextstate *s = &op.u.vcpuextstate;
    uint64_t *blob;
    int rc;

    s->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u, vCPU %u: the size of its XSAVE state: %s", pv->domid,
                       vcpu, xc_reason(xch, errno));
    if (!s->size)
        return 0; /* it has not used any */
    blob = xch->ops->alloc(xch->state, s->size);
    if (!blob)
        return out_of_memory(pv);
    set_xen_guest_handle(s->buffer, blob);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its XSAVE state: %s", pv->domid, vcpu,
                     xc_reason(xch, errno));
    else
        rc = s->size ? write_vcpu_record(w, REC_X86_PV_VCPU_XSAVE, vcpu, blob, s->size) : 0;
    xch->ops->release(xch->state, blob);
    return rc;
}

static int write_msrs(struct sr_writer *w, struct sr_pv_save *pv, uint32_t vcpu)
{
    xc_handle *xch = pv->xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = (domid_t)pv->domid};
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
    xen_domctl_vcpu_msr_t *msrs;
    int rc;

    m->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u, vCPU %u: how many MSRs it has: %s", pv->domid, vcpu,
                       xc_reason(xch, errno));
    if (!m->msr_count)
        return 0;
    msrs = xch->ops->alloc(xch->state, m->msr_count * sizeof(*msrs));
    if (!msrs)
        return out_of_memory(pv);
    set_xen_guest_handle(m->msrs, msrs);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its MSRs: %s", pv->domid, vcpu,
                     xc_reason(xch, errno));
    else /* those that are 0 are left out, so there may be none */
        rc = m->msr_count ? write_vcpu_record(w, REC_X86_PV_VCPU_MSRS, vcpu, msrs,
                                              m->msr_count * sizeof(*msrs))
                          : 0;
    xch->ops->release(xch->state, msrs);
    return rc;
}

static int write_vcpu(struct sr_writer *w, struct sr_pv_save *pv, uint32_t vcpu)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuinfo, .domain = (domid_t)pv->domid};

    op.u.getvcpuinfo.vcpu = vcpu;
    if (xc_domctl(pv->xch, &op) < 0)
        return xc_fail(pv->xch, errno, "domain %u, vCPU %u: %s", pv->domid, vcpu,
                       xc_reason(pv->xch, errno));
    if (!op.u.getvcpuinfo.online)
        return 0;
    return write_basic(w, pv, vcpu) || write_extended(w, pv, vcpu) || write_xsave(w, pv, vcpu) ||
                   write_msrs(w, pv, vcpu)
               ? -1
               : 0;
}

int sr_pv_write_state(struct sr_writer *w, struct sr_pv_save *pv)
{
    struct iovec iov[3] = {{(void *)(uintptr_t)pv->shared, PAGE_SIZE}};

    if (sr_write_record(w, REC_SHARED_INFO, iov, 1))
        return -1;
    for (uint32_t vcpu = 0; vcpu <= pv->max_vcpu_id; vcpu++)
        if (write_vcpu(w, pv, vcpu))
            return -1;
    return sr_write_checksum(w);
}
