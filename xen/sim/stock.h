/* SPDX-License-Identifier: MIT */
/*
 * Stock mode: a simulated host whose hypervisor gives domains their policies as stock Xen does.
 *
 * It merges what the toolstack names over what the domain has, looks at the three maxima and at
 * PLATFORM_INFO, and then brings the rest in silence to what it can do: features are AND'ed with
 * the most that a guest may have and closed by Xen's own table, widths are cut, XSAVE's state is
 * made anew from the features, leaves that guests do not see are zeroed.  So what it means to be
 * changed under way can be seen, and that a level is a fixed point of it.
 */
#ifndef SIM_STOCK_H
#define SIM_STOCK_H

#include <hypervisor.h>

/* The Xen versions whose ways are known: 4.17 to 4.22. */
#define STOCK_FIRST 17u
#define STOCK_LAST  22u

/* Return how Xen 4.`minor` does it, for a booted host's hv.policy_way; NULL: not known. */
const struct policy_way *stock_way(unsigned int minor);

/* Clear the features of *fs that need others which it has not got, by the table of Xen 4.`minor`.
 * It looks at Xen's 19 words only. */
void stock_close(struct featureset *fs, unsigned int minor);

#endif /* SIM_STOCK_H */
