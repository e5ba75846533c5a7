/* SPDX-License-Identifier: MIT */
/*
 * Where a PV domain has its frames: its own table from PFNs to MFNs (p2m), and Xen's table back
 * (M2P).  Whatever is read from the domain's memory may be wrong on purpose.
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

static int out_of_memory(const struct sr_pv_p2m *p)
{
    return xc_fail(p->xch, ENOMEM, "out of memory for the frames of domain %u", p->domid);
}

/* ---- the machine-to-physical table, which Xen has ---- */

static int find_m2p(struct sr_pv_p2m *p)
{
    xc_handle *xch = p->xch;
    const uint64_t ask_max[XC_HYPERCALL_ARGS] = {XENMEM_maximum_ram_page};
    struct xen_machphys_mfn_list *list;
    uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_machphys_mfn_list};
    long rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, ask_max);

    if (rc < 0)
        return xc_fail(xch, errno, "the host's highest machine frame: %s", xc_reason(xch, errno));
    if ((uint64_t)rc >= MAX_MFN)
        return xc_fail(xch, EIO, "the host has a machine frame %#lx?", (unsigned long)rc);
    p->max_mfn = (uint64_t)rc;
    p->nr_chunks = (size_t)(p->max_mfn / M2P_PER_CHUNK + 1);
    p->m2p_mfns = xch->ops->alloc(xch->state, p->nr_chunks * sizeof(*p->m2p_mfns));
    p->m2p_mappings = calloc(p->nr_chunks, sizeof(*p->m2p_mappings));
    p->m2p = calloc(p->nr_chunks, sizeof(*p->m2p));
    list = xch->ops->alloc(xch->state, sizeof(*list));
    if (!p->m2p_mfns || !p->m2p_mappings || !p->m2p || !list) {
        xch->ops->release(xch->state, list);
        return out_of_memory(p);
    }
    list->max_extents = (unsigned int)p->nr_chunks;
    set_xen_guest_handle(list->extent_start, p->m2p_mfns);
    args[1] = (uintptr_t)list;
    rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, args);
    if (rc < 0)
        rc = xc_fail(xch, errno, "where Xen's table of machine frames is: %s",
                     xc_reason(xch, errno));
    else if (list->nr_extents < p->nr_chunks)
        p->nr_chunks = list->nr_extents; /* frames beyond it have no entry */
    xch->ops->release(xch->state, list);
    return rc < 0 ? -1 : 0;
}

static int map_chunk(struct sr_pv_p2m *p, size_t chunk)
{
    const size_t n = M2P_CHUNK / PAGE_SIZE;
    uint64_t *mfns = calloc(n, sizeof(*mfns));
    void **pages = calloc(n, sizeof(*pages));
    int rc = 0;

    if (!mfns || !pages) {
        free(mfns);
        free(pages);
        return out_of_memory(p);
    }
    for (size_t i = 0; i < n; i++)
        mfns[i] = p->m2p_mfns[chunk] + i;
    p->m2p_mappings[chunk] = xc_map_foreign_pages(p->xch, DOMID_XEN, mfns, n, false, pages);
    if (p->m2p_mappings[chunk])
        p->m2p[chunk] = pages;
    else
        rc = -1;
    if (rc)
        free(pages);
    free(mfns);
    return rc;
}

int sr_pv_find_pfn(struct sr_pv_p2m *p, uint64_t mfn, uint64_t *pfn)
{
    size_t chunk = (size_t)(mfn / M2P_PER_CHUNK), at = (size_t)(mfn % M2P_PER_CHUNK);
    const uint64_t *page;
    uint64_t back;

    if (mfn > p->max_mfn || chunk >= p->nr_chunks)
        return 1;
    if (!p->m2p[chunk] && map_chunk(p, chunk))
        return -1;
    page = p->m2p[chunk][at / SR_PV_PER_FRAME];
    if (!page)
        return 1;
    *pfn = page[at % SR_PV_PER_FRAME];
    return sr_pv_find_mfn(p, *pfn, &back) && back == mfn ? 0 : 1;
}

/* ---- the p2m, which the domain has ---- */

bool sr_pv_find_mfn(const struct sr_pv_p2m *p, uint64_t pfn, uint64_t *mfn)
{
    if (pfn >= p->nr_pfns)
        return false;
    /* The guest may write it at any time: one look. */
    *mfn = *(const volatile uint64_t *)((const uint64_t *)p->p2m[pfn / SR_PV_PER_FRAME] +
                                        pfn % SR_PV_PER_FRAME);
    return *mfn <= p->max_mfn; /* foreign and identity frames have bits 63 and 62 */
}

/* Copy one frame of the domain's. */
static int read_frame(const struct sr_pv_p2m *p, uint64_t mfn, const char *what, uint64_t *out)
{
    void *page, *mapping;

    if (mfn > p->max_mfn)
        return xc_fail(p->xch, EINVAL,
                       "domain %u: %s would be in machine frame %llx, which there "
                       "is not",
                       p->domid, what, (unsigned long long)mfn);
    mapping = xc_map_foreign_pages(p->xch, p->domid, &mfn, 1, false, &page);
    if (!mapping)
        return -1;
    if (page)
        memcpy(out, page, PAGE_SIZE);
    xc_unmap_foreign_pages(p->xch, mapping);
    if (!page)
        return xc_fail(p->xch, EINVAL,
                       "domain %u: %s would be in machine frame %llx, which is not "
                       "its own",
                       p->domid, what, (unsigned long long)mfn);
    return 0;
}

/* The frames of a linear p2m: its page tables are walked, one table of each level in hand. */
static int walk_linear(struct sr_pv_p2m *p, uint64_t root, uint64_t virt)
{
    static const char *const names[] = {"", "a level 1 table of its p2m",
                                        "a level 2 table of its p2m", "a level 3 table of its p2m",
                                        "the page table of its p2m"};
    uint64_t(*tables)[SR_PV_PER_FRAME] = calloc(SR_PV_LEVELS + 1, sizeof(*tables));
    uint64_t have[SR_PV_LEVELS + 1] = {0};
    int rc = 0;

    if (!tables)
        return out_of_memory(p);
    for (uint64_t i = 0; i < p->nr_p2m_frames && !rc; i++, virt += PAGE_SIZE) {
        unsigned long long pfn = i * SR_PV_PER_FRAME;
        uint64_t mfn = root;

        for (unsigned int level = SR_PV_LEVELS; level && !rc; level--) {
            uint64_t e;

            if (have[level] != mfn + 1)
                rc = read_frame(p, mfn, names[level], tables[level]);
            have[level] = rc ? 0 : mfn + 1;
            e = tables[level][virt >> (12 + VIRT_LEVEL_BITS * (level - 1)) & (SR_PV_PER_FRAME - 1)];
            if (!rc && !(e & PTE_PRESENT))
                rc = xc_fail(p->xch, EINVAL,
                             "domain %u: its p2m is not mapped at %#llx, for frame %#llx", p->domid,
                             (unsigned long long)virt, pfn);
            mfn = (e & PTE_FRAME) >> 12;
        }
        p->p2m_mfns[i] = mfn;
    }
    free(tables);
    return rc;
}

/* The frames of a p2m that is a tree of lists. */
static int walk_tree(struct sr_pv_p2m *p, uint64_t top_mfn)
{
    uint64_t top[SR_PV_PER_FRAME], list[SR_PV_PER_FRAME];

    if (p->nr_p2m_frames > (uint64_t)SR_PV_PER_FRAME * SR_PV_PER_FRAME)
        return xc_fail(p->xch, EINVAL, "domain %u: its p2m has %llu frames, a tree of them %u",
                       p->domid, (unsigned long long)p->nr_p2m_frames,
                       SR_PV_PER_FRAME * SR_PV_PER_FRAME);
    if (read_frame(p, top_mfn, "the top of its p2m", top))
        return -1;
    for (uint64_t i = 0; i < p->nr_p2m_frames; i++) {
        if (i % SR_PV_PER_FRAME == 0 &&
            read_frame(p, top[i / SR_PV_PER_FRAME], "a list of its p2m", list))
            return -1;
        p->p2m_mfns[i] = list[i % SR_PV_PER_FRAME];
    }
    return 0;
}

static int find_p2m(struct sr_pv_p2m *p)
{
    const struct arch_shared_info a = p->shared->arch;
    int rc;

    p->nr_pfns = a.max_pfn;
    p->generation = a.p2m_generation;
    if (!p->nr_pfns || p->nr_pfns > UINT32_MAX)
        return xc_fail(p->xch, EINVAL, "domain %u says that it has %llu frames", p->domid,
                       (unsigned long long)p->nr_pfns);
    p->nr_p2m_frames = (p->nr_pfns + SR_PV_PER_FRAME - 1) / SR_PV_PER_FRAME;
    p->p2m_mfns = calloc(p->nr_p2m_frames, sizeof(*p->p2m_mfns));
    p->p2m = calloc(p->nr_p2m_frames, sizeof(*p->p2m));
    if (!p->p2m_mfns || !p->p2m)
        return out_of_memory(p);
    if (a.p2m_cr3)
        rc = walk_linear(p, a.p2m_cr3 >> 12, a.p2m_vaddr);
    else if (a.pfn_to_mfn_frame_list_list && a.pfn_to_mfn_frame_list_list != INVALID_TREE)
        rc = walk_tree(p, a.pfn_to_mfn_frame_list_list);
    else
        rc =
            xc_fail(p->xch, EAGAIN,
                    "domain %u has not said where its p2m is: it has not got so far yet", p->domid);
    if (rc)
        return -1;
    p->p2m_mapping =
        xc_map_foreign_pages(p->xch, p->domid, p->p2m_mfns, p->nr_p2m_frames, false, p->p2m);
    if (!p->p2m_mapping)
        return -1;
    for (uint64_t i = 0; i < p->nr_p2m_frames; i++)
        if (!p->p2m[i])
            return xc_fail(p->xch, EINVAL, "domain %u: frame %llu of its p2m is not its own",
                           p->domid, (unsigned long long)i);
    return 0;
}

int sr_pv_check_p2m(const struct sr_pv_p2m *p)
{
    const struct arch_shared_info *a = &p->shared->arch;

    if (a->max_pfn == p->nr_pfns && a->p2m_generation == p->generation)
        return 0;
    return xc_fail(p->xch, EAGAIN,
                   "domain %u has changed the shape of its p2m meanwhile; it can be tried again",
                   p->domid);
}

/* ---- open, close ---- */

static int require_64_bit(const struct sr_pv_p2m *p)
{
    unsigned int bits;

    if (xc_domain_get_address_size(p->xch, p->domid, &bits))
        return -1;
    if (bits != 64)
        return xc_fail(p->xch, EOPNOTSUPP,
                       "domain %u is a %u-bit PV domain; 64-bit ones can be saved", p->domid, bits);
    return 0;
}

static int map_shared_info(struct sr_pv_p2m *p)
{
    uint64_t frame;
    void *page;

    if (xc_pv_shared_frame(p->xch, p->domid, &frame))
        return -1;
    p->shared_mapping = xc_map_foreign_pages(p->xch, p->domid, &frame, 1, false, &page);
    if (!p->shared_mapping)
        return -1;
    if (!page)
        return xc_fail(p->xch, EIO, "the shared info of domain %u cannot be mapped", p->domid);
    p->shared = page;
    return 0;
}

struct sr_pv_p2m *sr_pv_open_p2m(xc_handle *xch, uint32_t domid)
{
    struct sr_pv_p2m *p = calloc(1, sizeof(*p));
    int err;

    if (!p) {
        (void)xc_fail(xch, ENOMEM, "out of memory for saving a PV domain");
        return NULL;
    }
    p->xch = xch;
    p->domid = domid;
    if (!require_64_bit(p) && !find_m2p(p) && !map_shared_info(p) && !find_p2m(p))
        return p;
    err = errno;
    sr_pv_close_p2m(p);
    errno = err;
    return NULL;
}

void sr_pv_close_p2m(struct sr_pv_p2m *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->m2p && p->m2p_mappings && i < p->nr_chunks; i++) {
        xc_unmap_foreign_pages(p->xch, p->m2p_mappings[i]);
        free(p->m2p[i]);
    }
    free(p->m2p);
    free(p->m2p_mappings);
    p->xch->ops->release(p->xch->state, p->m2p_mfns);
    xc_unmap_foreign_pages(p->xch, p->p2m_mapping);
    free(p->p2m);
    free(p->p2m_mfns);
    xc_unmap_foreign_pages(p->xch, p->shared_mapping);
    free(p);
}
