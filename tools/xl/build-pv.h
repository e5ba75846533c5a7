/* SPDX-License-Identifier: MIT */
/* The domain builder's part that is about PV guests. */
#ifndef XL_SIM_BUILD_PV_H
#define XL_SIM_BUILD_PV_H

#include <sim-abi/guest-pv.h>

#include "xc.h"

struct pv_build {
    struct sim_pv_layout layout;
    uint64_t *mfns; /* of every PFN */
    uint64_t shared_info;
};

/* Give a domain its memory and structure, and its vCPUs their registers, which begin at rip.  Both:
 * 0; or -1 after a message; build_pv_free() is due in any case. */
int build_pv_memory(xc_handle *xch, uint32_t domid, uint64_t nr_pages, struct pv_build *b);
int build_pv_vcpus(xc_handle *xch, uint32_t domid, uint32_t nr_vcpus, uint64_t rip,
                   const struct pv_build *b);
void build_pv_free(struct pv_build *b);

#endif /* XL_SIM_BUILD_PV_H */
