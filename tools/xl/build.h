/* SPDX-License-Identifier: MIT */
/*
 * The domain builder: from a configuration to a domain that only needs to be unpaused.
 */
#ifndef XL_SIM_BUILD_H
#define XL_SIM_BUILD_H

#include "config.h"

/* Build the domain.  0 and *domid; or -1 after a message, and no domain is left behind. */
int build_domain(xc_handle *xch, const struct guest_config *c, uint32_t *domid);

#endif /* XL_SIM_BUILD_H */
