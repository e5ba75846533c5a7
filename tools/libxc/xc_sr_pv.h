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

/* ---- xc_sr_pv_save.c ---- */

struct sr_pv_save;

/* Find the domain's p2m.  NULL with errno, logged. */
struct sr_pv_save *sr_pv_open(xc_handle *xch, uint32_t domid);
void sr_pv_close(struct sr_pv_save *pv);
/* How many PFNs it has: the highest and one. */
uint64_t sr_pv_nr_pfns(const struct sr_pv_save *pv);
/* The machine frame behind a PFN; false: there is none. */
bool sr_pv_mfn(const struct sr_pv_save *pv, uint64_t pfn, uint64_t *mfn);
/*
 * A page table with PFNs, into out.  -1: it names frames that are not the domain's, as a running
 * domain's may for a moment; errno is EAGAIN, nothing is logged.  Other failures are, with *bad
 * meaningless.
 */
int sr_pv_normalise(struct sr_pv_save *pv, unsigned int type, const void *page, void *out,
                    unsigned int *bad);

int sr_pv_write_info(struct sr_writer *w);
int sr_pv_write_p2m_frames(struct sr_writer *w, const struct sr_pv_save *pv);
/* The domain has stopped: is its p2m where it was?  -1 with errno, logged. */
int sr_pv_check_p2m(const struct sr_pv_save *pv);
/* When it has stopped: shared info and the vCPUs. */
int sr_pv_write_state(struct sr_writer *w, struct sr_pv_save *pv);

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
