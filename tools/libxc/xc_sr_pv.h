/* SPDX-License-Identifier: MIT */
/*
 * PV domains in the stream.  Page tables of a PV domain name machine frames (MFNs), and so does
 * what it shares with the toolstack; they differ on another host, so the stream names
 * pseudo-physical frames (PFNs) instead.  Only 64-bit guests.  Unless a comment says otherwise, a
 * function that returns int returns 0, or -1 with errno after it has logged why.
 */
#ifndef XC_SR_PV_H
#define XC_SR_PV_H

#include "xc_sr_private.h"

#pragma GCC visibility push(hidden)

#define SR_PV_PER_FRAME (PAGE_SIZE / 8) /* entries in a page table, or in a frame of the p2m */
#define SR_PV_WIDTH     8u              /* bytes in a guest's word */
#define SR_PV_LEVELS    4u              /* levels of page tables */
#define SR_PV_MAX_VCPUS 8192u
/* The entries of a top-level table that are Xen's own: 0xffff8000... to 0xffff87ff...
 * (<xen/arch-x86/xen-x86_64.h>: HYPERVISOR_VIRT_START). */
#define SR_PV_XEN_FIRST 256u
#define SR_PV_XEN_END   272u

/* ---- xc_sr_pv_table.c: pure functions ---- */

/*
 * Copies a page table of level 1 to 4, 512 entries, from `in` to `out`, which may be the same.  The
 * frame number in each present entry is replaced by what translate() makes of it; Xen's own entries
 * of a top-level table become 0.  Returns 0; or -1 with *bad, the first entry that maps a large
 * page or whose frame translate() refuses.  Logs nothing.
 */
int sr_pv_translate_table(unsigned int level, const uint64_t *in, uint64_t *out,
                          bool (*translate)(void *data, uint64_t from, uint64_t *to), void *data,
                          unsigned int *bad);

/* Returns the level of a page table of that type (enum xc_sr_page_type), pinned or not; 0: such a
 * page is no page table. */
unsigned int sr_pv_level(unsigned int type);

/* ---- xc_sr_pv_p2m.c: where a domain has its frames ---- */

struct sr_pv_p2m {
    xc_handle *xch;
    uint32_t domid;

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

/* Finds the domain's p2m.  Returns NULL with errno, logged: EAGAIN when the domain has not said yet
 * where it is. */
struct sr_pv_p2m *sr_pv_open_p2m(xc_handle *xch, uint32_t domid);
/* Frees it; p may be NULL. */
void sr_pv_close_p2m(struct sr_pv_p2m *p);
/* Finds the machine frame behind a PFN; false: there is none. */
bool sr_pv_find_mfn(const struct sr_pv_p2m *p, uint64_t pfn, uint64_t *mfn);
/* Finds the PFN of a machine frame.  Returns 0 when it is the domain's and both tables say so; 1
 * when it is not; -1 with errno, logged. */
int sr_pv_find_pfn(struct sr_pv_p2m *p, uint64_t mfn, uint64_t *pfn);
/* Checks, when the domain has been suspended, that its p2m is where it was.  EAGAIN: it is not. */
int sr_pv_check_p2m(const struct sr_pv_p2m *p);

/* ---- xc_sr_pv_save.c ---- */

/* Writes an X86_PV_INFO record. */
int sr_pv_write_info(struct sr_writer *w);

/* ---- xc_sr_pv_restore.c ---- */

/* The kinds of vCPU records. */
enum { SR_PV_BASIC, SR_PV_EXTENDED, SR_PV_XSAVE, SR_PV_MSRS, SR_PV_NR_BLOBS };

/* The body of one, behind its struct xc_sr_vcpu. */
struct sr_pv_blob {
    void *bytes; /* NULL: it has not come */
    uint32_t size;
    struct sr_place at;
};

struct sr_pv_vcpu {
    struct sr_pv_blob blob[SR_PV_NR_BLOBS];
};

/* In sr_pv_restore.frames: the MFN and one (0: it has none) in the lower bits, enum xc_sr_page_type
 * in the highest four. */
#define SR_PV_FRAME_MFN  ((1ull << 52) - 1)
#define SR_PV_FRAME_TYPE 60

/* Holds what has come of a PV domain. */
struct sr_pv_restore {
    struct sr_reader *r;
    uint32_t domid;
    bool have_info;

    uint64_t nr_pfns;        /* PFNs are below it */
    struct sr_sparse frames; /* what is known of each: SR_PV_FRAME_* */
    uint64_t p2m_pfns_n;     /* frames of the guest's own p2m ... */
    uint64_t p2m_pfns_room;
    uint64_t *p2m_pfns; /* ... and which */

    shared_info_t *shared; /* the record's body */
    uint64_t shared_frame; /* the machine frame that it belongs to */
    uint32_t nr_vcpus;     /* that the domain has */
    struct sr_pv_vcpu *vcpus;
};

/* Finds the machine frame that a PFN was given; false: it has no memory. */
static inline bool sr_pv_get_mfn(struct sr_pv_restore *pv, uint64_t pfn, uint64_t *mfn)
{
    uint64_t frame = pfn < pv->nr_pfns ? sr_sparse_get(&pv->frames, pfn) & SR_PV_FRAME_MFN : 0;

    *mfn = frame - 1;
    return frame;
}

/* Returns what kind of page the stream says it is: enum xc_sr_page_type. */
static inline uint8_t sr_pv_get_type(struct sr_pv_restore *pv, uint64_t pfn)
{
    return (uint8_t)(sr_sparse_get(&pv->frames, pfn) >> SR_PV_FRAME_TYPE);
}

/* ---- xc_sr_pv_apply.c ---- */

/*
 * Gives the domain everything that has come.  ends: who serves its rings, or NULL: nobody.
 * result->store_gfn and console_gfn become the rings' machine frames.
 */
int sr_pv_apply(struct sr_pv_restore *pv, const struct xc_guest_ends *ends,
                struct xc_restore_result *result);

#pragma GCC visibility pop

#endif /* XC_SR_PV_H */
