/* SPDX-License-Identifier: MIT */
/*
 * A new domain's grant table, as its toolstack leaves it: the rings of xenstore and the console are
 * granted to their daemons (<xen/grant_table.h>: the reserved entries).
 */
#include <errno.h>

#include "xc_gnttab.h"
#include "xc_private.h"

#include <xen/grant_table.h>

static void grant_frame(grant_entry_v1_t *table, unsigned int ref, uint32_t domid, uint64_t gfn)
{
    if (!gfn)
        return; /* it has no such ring */
    table[ref].domid = (domid_t)domid;
    table[ref].frame = (uint32_t)gfn;
    __atomic_store_n(&table[ref].flags, GTF_permit_access, __ATOMIC_RELEASE);
}

int xc_gnttab_seed(xc_handle *xch, uint32_t domid, const struct xc_guest_ends *ends,
                   uint64_t store_gfn, uint64_t console_gfn)
{
    void *page, *mapping;

    if (store_gfn > UINT32_MAX || console_gfn > UINT32_MAX)
        return xc_fail(xch, EINVAL, "domain %u: a ring beyond the frames that can be granted",
                       domid);
    mapping = xch->ops->map_grants(xch->state, domid, &page);
    if (!mapping)
        return xc_fail(xch, errno, "the grant table of domain %u: %s", domid,
                       xc_reason(xch, errno));
    grant_frame(page, GNTTAB_RESERVED_CONSOLE, ends->console_domid, console_gfn);
    grant_frame(page, GNTTAB_RESERVED_XENSTORE, ends->store_domid, store_gfn);
    xch->ops->unmap_grants(xch->state, mapping);
    return 0;
}
