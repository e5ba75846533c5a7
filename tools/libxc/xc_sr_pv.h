/* SPDX-License-Identifier: MIT */
/*
 * PV domains in the stream.  Their page tables, and what their toolstack sees of them, name machine
 * frames (MFNs), which are others on another host; the stream names pseudo-physical ones (PFNs).
 * Only 64-bit guests.
 */
#ifndef XC_SR_PV_H
#define XC_SR_PV_H

#include "xc_sr_private.h"

#pragma GCC visibility push(hidden)

#define SR_PV_PER_FRAME (PAGE_SIZE / 8) /* entries of a page table, or of a frame of the p2m */
#define SR_PV_WIDTH     8u
#define SR_PV_LEVELS    4u
#define SR_PV_MAX_VCPUS 8192u
/* Entries of a top-level table that are Xen's own: 0xffff8000... to 0xffff87ff...
 * (<xen/arch-x86/xen-x86_64.h>: HYPERVISOR_VIRT_START). */
#define SR_PV_XEN_FIRST 256u
#define SR_PV_XEN_END   272u

/* ---- xc_sr_pv_table.c: pure functions ---- */

/*
 * A page table of that level (1 to 4), 512 entries, with another kind of frame number in each
 * entry that is present: what `translate` makes of it.  Xen's own entries of a top-level table
 * become 0.  Returns 0; or -1 with *bad, an entry that has a large page or whose frame cannot be
 * translated.  in == out can be.
 */
int sr_pv_translate_table(unsigned int level, const uint64_t *in, uint64_t *out,
                          bool (*translate)(void *data, uint64_t from, uint64_t *to), void *data,
                          unsigned int *bad);

/* The level of a page type (enum xc_sr_page_type), pinned or not; 0: it is no page table. */
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
void sr_pv_close_p2m(struct sr_pv_p2m *p);
/* Finds the machine frame behind a PFN; false: there is none. */
bool sr_pv_find_mfn(const struct sr_pv_p2m *p, uint64_t pfn, uint64_t *mfn);
/* Finds the PFN of a machine frame.  Returns 0 when it is the domain's and both tables say so; 1
 * when it is not; -1 with errno, logged. */
int sr_pv_find_pfn(struct sr_pv_p2m *p, uint64_t mfn, uint64_t *pfn);
/* Compares, when the domain has stopped: is its p2m where it was?  -1 with errno, logged. */
int sr_pv_check_p2m(const struct sr_pv_p2m *p);

/* ---- xc_sr_pv_save.c ---- */

/* Writes X86_PV_INFO.  -1 with errno, logged. */
int sr_pv_write_info(struct sr_writer *w);

/* ---- xc_sr_pv_restore.c ---- */

struct sr_pv_restore;

struct sr_pv_restore *sr_pv_new(struct sr_reader *r, uint32_t domid);
void sr_pv_free(struct sr_pv_restore *pv);

/* The records' bodies, length bytes; each -1 with errno, logged. */
int sr_pv_take_info(struct sr_pv_restore *pv, uint32_t length);
int sr_pv_take_p2m_frames(struct sr_pv_restore *pv, uint32_t length);
int sr_pv_take_shared_info(struct sr_pv_restore *pv, uint32_t length);
int sr_pv_take_vcpu(struct sr_pv_restore *pv, uint32_t type, uint32_t length);
/* Was there an X86_PV_INFO? */
bool sr_pv_has_info(const struct sr_pv_restore *pv);

/*
 * Memory for the PFNs that have none yet, and what kind of pages they are (types[], enum
 * xc_sr_page_type; NULL: no page table).  mfns[] gets the machine frames.
 */
int sr_pv_populate(struct sr_pv_restore *pv, const uint64_t *pfns, const uint8_t *types, size_t n,
                   uint64_t *mfns);
/* Has it memory already? */
bool sr_pv_is_populated(struct sr_pv_restore *pv, uint64_t pfn);
/* The PFNs of a page table, which was read as it is in the stream, to MFNs. */
int sr_pv_localise(struct sr_pv_restore *pv, uint64_t pfn, unsigned int level, uint64_t *table);

/* All vCPUs' records against the domain's policy (xc_sr_check.h). */
int sr_pv_check(struct sr_pv_restore *pv, const struct cpu_policy *p);
/* At the end: p2m, start info, shared info, vCPUs, pinned tables.  ends: NULL, or who serves its
 * rings. */
int sr_pv_apply(struct sr_pv_restore *pv, const struct xc_guest_ends *ends,
                struct xc_restore_result *result);

#pragma GCC visibility pop

#endif /* XC_SR_PV_H */
