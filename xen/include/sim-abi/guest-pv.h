/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest is built of besides its program: page tables, the list of its machine frames (the
 * p2m), start info, a GDT, two rings that nobody is at the other end of.  A pure description, so
 * that whoever builds one (xl-sim create by hypercall, the tests in the core) builds the same.
 *
 * Frame n is mapped at n * 4096.  The frames of the guest's own use come first, those of its
 * structure are the last ones.  Formats: <xen/xen.h>, struct start_info; <xen/arch-x86/xen.h>,
 * struct arch_shared_info; Intel SDM vol. 3A, 4.5.
 */
#ifndef SIM_ABI_GUEST_PV_H
#define SIM_ABI_GUEST_PV_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

struct sim_pv_layout {
    uint64_t nr_pfns; /* in all */
    uint64_t nr_data; /* of the guest's own use: 0 to nr_data - 1 */
    bool tree;        /* toolstacks find the p2m by a tree of lists; else by its page tables */
    /* PFNs. */
    uint64_t l1, nr_l1, l2, nr_l2, l3, l4, user_l4; /* page tables; the last one is user mode's */
    uint64_t gdt;
    uint64_t p2m, nr_p2m, lists, nr_lists, list_list;
    uint64_t start_info, store, console;
};

/* Lay out a guest of nr_pfns PFNs.  0; or -1: they are too few for a guest, or more than
 * SIM_GUEST_MAX_PAGES. */
int sim_pv_layout(uint64_t nr_pfns, bool tree, struct sim_pv_layout *l);
/* Return how many PFNs a guest has with nr_data of its own use. */
uint64_t sim_pv_pfns_for(uint64_t nr_data);

/* Write what frame pfn (nr_data or above) begins with into page[], of 4096 bytes.  mfns[]: the
 * machine frame of every PFN; shared_info: a machine frame. */
void sim_pv_page(const struct sim_pv_layout *l, const uint64_t *mfns, uint64_t shared_info,
                 uint64_t pfn, void *page);
/* Write what the guest tells toolstacks about its p2m into *a. */
void sim_pv_tell(const struct sim_pv_layout *l, const uint64_t *mfns, struct arch_shared_info *a);

#endif /* SIM_ABI_GUEST_PV_H */
