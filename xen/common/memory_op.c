/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_*: memory of domains, by the toolstack.
 *
 * PV guests are given memory by pseudo-physical frame too: this hypervisor keeps their map itself.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/memory.h>

/* The operation is the low 6 bits; what is above is Xen's own note of where it was interrupted. */
#define CMD_MASK       0x3fu
/* There is no preemption here, so one call must not ask for too much: 4 GiB. */
#define CALL_MAX_PAGES (1ull << 20)
#define MAX_ORDER      18u

static struct domain *find_domain(struct hypervisor *hv, domid_t id)
{
    return domain_by_id(hv, id == DOMID_SELF ? 0 : id);
}

/* All pages of an extent, or none. */
static int populate_extent(struct domain *d, uint64_t gfn, uint64_t nr)
{
    uint64_t n = 0;
    int rc = 0;

    if (gfn >= DOMAIN_MAX_PAGES)
        return -XEN_EINVAL;
    for (; n < nr; n++) {
        rc = memory_populate(d, gfn + n);
        if (rc)
            break;
    }
    if (rc)
        while (n)
            (void)memory_release(d, gfn + --n);
    return rc;
}

static int release_extent(struct domain *d, uint64_t gfn, uint64_t nr)
{
    if (gfn >= DOMAIN_MAX_PAGES)
        return -XEN_EINVAL;
    for (uint64_t n = 0; n < nr; n++)
        if (memory_mfn(d, gfn + n) < 0)
            return -XEN_ENOENT;
    for (uint64_t n = 0; n < nr; n++)
        (void)memory_release(d, gfn + n);
    return 0;
}

/* A PV guest learns which machine frame it got. */
static int one_extent(struct hypervisor *hv, struct domain *d, unsigned int cmd, uint64_t at,
                      uint32_t order)
{
    uint64_t gfn, mfn;
    int rc;

    if (platform_copy_from_guest(hv->platform, &gfn, at, sizeof(gfn)))
        return -XEN_EFAULT;
    if (cmd == XENMEM_decrease_reservation)
        return release_extent(d, gfn, 1ull << order);
    rc = populate_extent(d, gfn, 1ull << order);
    if (rc || d->hvm)
        return rc;
    mfn = (uint64_t)memory_mfn(d, gfn);
    if (platform_copy_to_guest(hv->platform, at, &mfn, sizeof(mfn))) {
        (void)release_extent(d, gfn, 1ull << order);
        return -XEN_EFAULT;
    }
    return 0;
}

/* The number of extents that were done: what stopped it is not said. */
static long change_reservation(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    struct xen_memory_reservation r;
    struct domain *d;
    uint64_t done = 0;

    if (platform_copy_from_guest(hv->platform, &r, arg, sizeof(r)))
        return -XEN_EFAULT;
    d = find_domain(hv, r.domid);
    if (!d)
        return -XEN_ESRCH;
    /* An extent of a PV guest is contiguous machine memory, which only single frames are here. */
    if (r.extent_order > MAX_ORDER || (!d->hvm && r.extent_order))
        return 0;
    if (r.nr_extents > CALL_MAX_PAGES >> r.extent_order)
        return -XEN_E2BIG;
    while (
        done < r.nr_extents &&
        !one_extent(hv, d, cmd, HANDLE(r.extent_start) + done * sizeof(xen_pfn_t), r.extent_order))
        done++;
    return (long)done;
}

static long ask_memory(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    struct xen_memory_domain which;
    const struct domain *d;

    if (platform_copy_from_guest(hv->platform, &which, arg, sizeof(which)))
        return -XEN_EFAULT;
    d = find_domain(hv, which.domid);
    if (!d)
        return -XEN_ESRCH;
    switch (cmd) {
    case XENMEM_current_reservation:
        return (long)d->memory.tot_pages;
    case XENMEM_maximum_reservation:
        return (long)d->memory.max_pages;
    default: /* XENMEM_maximum_gpfn; 0 as well when there is none */
        return d->memory.nr_gfns ? (long)d->memory.nr_gfns - 1 : 0;
    }
}

/* Where the pieces of the machine-to-physical table are. */
static long machphys_mfn_list(struct hypervisor *hv, uint64_t arg)
{
    struct xen_machphys_mfn_list list;
    uint64_t n;

    if (platform_copy_from_guest(hv->platform, &list, arg, sizeof(list)))
        return -XEN_EFAULT;
    for (n = 0; n < list.max_extents && n * M2P_CHUNK_FRAMES < hv->nr_m2p; n++) {
        uint64_t mfn = hv->nr_pages + n * M2P_CHUNK_FRAMES;

        if (platform_copy_to_guest(hv->platform, HANDLE(list.extent_start) + n * sizeof(mfn), &mfn,
                                   sizeof(mfn)))
            return -XEN_EFAULT;
    }
    list.nr_extents = (unsigned int)n;
    return platform_copy_to_guest(hv->platform, arg, &list, sizeof(list)) ? -XEN_EFAULT : 0;
}

long do_memory_op(struct hypervisor *hv, unsigned int cmd, uint64_t arg)
{
    switch (cmd & CMD_MASK) {
    case XENMEM_populate_physmap:
    case XENMEM_decrease_reservation:
        return cmd & ~CMD_MASK ? -XEN_ENOSYS : change_reservation(hv, cmd, arg);
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
    case XENMEM_maximum_gpfn:
        return ask_memory(hv, cmd & CMD_MASK, arg);
    case XENMEM_maximum_ram_page:
        return (long)(hv->nr_pages + hv->nr_m2p) - 1;
    case XENMEM_machphys_mfn_list:
        return machphys_mfn_list(hv, arg);
    default:
        return -XEN_ENOSYS;
    }
}
