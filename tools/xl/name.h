/* SPDX-License-Identifier: MIT */
/*
 * Names of domains: one on a host.
 */
#ifndef XL_SIM_NAME_H
#define XL_SIM_NAME_H

#include "xc.h"

/* Has a domain of this host that name?  1 after a message; 0; -1 after a message: it is not known.
 */
int name_is_taken(xc_handle *xch, const char *name);

#endif /* XL_SIM_NAME_H */
