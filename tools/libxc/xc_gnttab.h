/* SPDX-License-Identifier: MIT */
/*
 * The grant table of a domain that is being built.
 */
#ifndef XC_GNTTAB_H
#define XC_GNTTAB_H

#include "xc_sr.h"

#pragma GCC visibility push(hidden)

/*
 * Grants the rings of xenstore and the console, which are in frames store_gfn and console_gfn (0:
 * the domain has no such ring), to the domains of `ends`.  Returns 0; or -1 with errno, logged.
 */
int xc_gnttab_seed(xc_handle *xch, uint32_t domid, const struct xc_guest_ends *ends,
                   uint64_t store_gfn, uint64_t console_gfn);

#pragma GCC visibility pop

#endif /* XC_GNTTAB_H */
