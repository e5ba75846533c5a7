/* SPDX-License-Identifier: MIT */
/*
 * PV guests that are built in the core, without a toolstack: as <sim-abi/guest-pv.h> describes
 * them.
 */
#ifndef SIM_GUEST_PV_H
#define SIM_GUEST_PV_H

#include <hypervisor.h>
#include <sim-abi/guest-pv.h>

/* Give a PV domain that has neither its memory and structure, and its vCPUs their part of it.
 * 0 or -errno. */
int sim_pv_build(struct domain *d, uint64_t nr_pfns, bool tree);
/* Find its layout from what is in its memory.  -1: it is no guest of this kind. */
int sim_pv_layout_of(struct domain *d, struct sim_pv_layout *l);

#endif /* SIM_GUEST_PV_H */
