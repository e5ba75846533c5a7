/* SPDX-License-Identifier: MIT */
/*
 * Building a PV guest: memory, then the frames that its structure is in (<sim-abi/guest-pv.h>),
 * page tables pinned, and what toolstacks are told of its p2m.
 */
#include <stdlib.h>
#include <string.h>

#include "build-pv.h"
#include "out.h"
#include "util.h"

#define BATCH 512u

static int give_memory(xc_handle *xch, uint32_t domid, uint64_t *mfns, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        mfns[i] = i;
    for (uint64_t at = 0; at < n; at += BATCH)
        if (xc_pv_populate(xch, domid, mfns + at, n - at < BATCH ? n - at : BATCH))
            return -1;
    return 0;
}

static int bad_frame(uint32_t domid, uint64_t mfn)
{
    warn("domain %u: its machine frame %llx cannot be mapped", domid, (unsigned long long)mfn);
    return -1;
}

/* Frames first to first + n - 1 of the structure. */
static int fill_frames(xc_handle *xch, uint32_t domid, const struct pv_build *b, uint64_t first,
                       size_t n)
{
    void *pages[BATCH],
        *mapping = xc_map_foreign_pages(xch, domid, b->mfns + first, n, true, pages);
    int rc = mapping ? 0 : -1;

    for (size_t i = 0; i < n && !rc; i++) {
        if (pages[i])
            sim_pv_page(&b->layout, b->mfns, b->shared_info, first + i, pages[i]);
        else
            rc = bad_frame(domid, b->mfns[first + i]);
    }
    xc_unmap_foreign_pages(xch, mapping);
    return rc;
}

static int fill_structure(xc_handle *xch, uint32_t domid, const struct pv_build *b)
{
    for (uint64_t at = b->layout.nr_data; at < b->layout.nr_pfns; at += BATCH) {
        uint64_t left = b->layout.nr_pfns - at;

        if (fill_frames(xch, domid, b, at, left < BATCH ? left : BATCH))
            return -1;
    }
    return 0;
}

static int pin_tables(xc_handle *xch, uint32_t domid, const struct pv_build *b)
{
    struct mmuext_op ops[2] = {{.cmd = MMUEXT_PIN_L4_TABLE}, {.cmd = MMUEXT_PIN_L4_TABLE}};

    ops[0].arg1.mfn = b->mfns[b->layout.l4];
    ops[1].arg1.mfn = b->mfns[b->layout.user_l4];
    return xc_pv_pin(xch, domid, ops, 2);
}

static int tell_p2m(xc_handle *xch, uint32_t domid, const struct pv_build *b)
{
    void *page, *mapping = xc_map_foreign_pages(xch, domid, &b->shared_info, 1, true, &page);
    int rc = 0;

    if (!mapping)
        return -1;
    if (page)
        sim_pv_tell(&b->layout, b->mfns, &((struct shared_info *)page)->arch);
    else
        rc = bad_frame(domid, b->shared_info);
    xc_unmap_foreign_pages(xch, mapping);
    return rc;
}

int build_pv_memory(xc_handle *xch, uint32_t domid, uint64_t nr_pages, struct pv_build *b)
{
    if (sim_pv_layout(nr_pages, false, &b->layout)) {
        warn("%llu pages are not enough for a PV guest", (unsigned long long)nr_pages);
        return -1;
    }
    b->mfns = xcalloc(nr_pages, sizeof(*b->mfns));
    return xc_pv_shared_frame(xch, domid, &b->shared_info) ||
                   give_memory(xch, domid, b->mfns, nr_pages) || fill_structure(xch, domid, b) ||
                   pin_tables(xch, domid, b) || tell_p2m(xch, domid, b)
               ? -1
               : 0;
}

int build_pv_vcpus(xc_handle *xch, uint32_t domid, uint32_t nr_vcpus, uint64_t rip,
                   const struct pv_build *b)
{
    const struct xc_pv_start start = {.rip = rip,
                                      .l4 = b->mfns[b->layout.l4],
                                      .user_l4 = b->mfns[b->layout.user_l4],
                                      .gdt = b->mfns[b->layout.gdt],
                                      .start_info = b->mfns[b->layout.start_info]};

    for (uint32_t i = 0; i < nr_vcpus; i++)
        if (xc_vcpu_start_pv(xch, domid, i, &start))
            return -1;
    return 0;
}

void build_pv_free(struct pv_build *b)
{
    free(b->mfns);
    b->mfns = NULL;
}
