/* SPDX-License-Identifier: MIT */
/*
 * The domain builder.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "build.h"
#include "build-pv.h"
#include "cpu.h"
#include "name.h"
#include "out.h"
#include "util.h"
#include "xl.h"

#define PAGE           4096u
#define PAGES_PER_MIB  256u
#define KIB_PER_MIB    1024u
/* What a writer dirties begins at 1 MiB less the page of its script; below is the script's. */
#define FIRST_FREE_GFN 32u

_Static_assert(sizeof(struct sim_guest_page) == 128, "its layout is a guest's memory");
_Static_assert(SIM_GUEST_GFN < FIRST_FREE_GFN && FIRST_FREE_GFN < PAGES_PER_MIB,
               "the smallest guest has room for both");

/* ---- memory ---- */

/* room: frames that are the guest's to use, from frame 0 on. */
static int fill_page(const struct guest_config *c, uint64_t room, struct sim_guest_page *page)
{
    room -= FIRST_FREE_GFN;

    if (c->script == SCRIPT_WRITER && c->pages > room) {
        warn("guest_pages = %llu: in %llu MiB there are %llu", (unsigned long long)c->pages,
             (unsigned long long)c->memory_mib, (unsigned long long)room);
        return -1;
    }
    *page = (struct sim_guest_page){
        .magic = SIM_GUEST_MAGIC,
        .script = c->script,
        .nr_vcpus = c->vcpus,
        .seed = c->seed,
    };
    if (c->script == SCRIPT_WRITER) {
        page->first_gfn = FIRST_FREE_GFN;
        page->nr_gfns = c->pages ? c->pages : room;
        page->pages_per_second = c->rate;
    }
    return 0;
}

/* frame: where it is, for the hypervisor. */
static int write_page(xc_handle *xch, uint32_t domid, uint64_t frame,
                      const struct sim_guest_page *content)
{
    void *page = NULL;
    void *mapping = xc_map_foreign_pages(xch, domid, &frame, 1, true, &page);

    if (!mapping)
        return -1;
    if (page)
        memcpy(page, content, sizeof(*content));
    else
        warn("domain %u has no memory at frame %llx", domid, (unsigned long long)frame);
    xc_unmap_foreign_pages(xch, mapping);
    return page ? 0 : -1;
}

/* Where the program begins. */
#define RIP ((uint64_t)SIM_GUEST_GFN * PAGE)

static int fill_hvm(xc_handle *xch, uint32_t domid, const struct guest_config *c)
{
    const uint64_t nr_pages = c->memory_mib * PAGES_PER_MIB;
    struct sim_guest_page content;

    if (fill_page(c, nr_pages, &content) || xc_domain_populate(xch, domid, 0, nr_pages) ||
        write_page(xch, domid, SIM_GUEST_GFN, &content))
        return -1;
    return xc_vcpus_start_hvm(xch, domid, c->vcpus, RIP);
}

static int fill_pv(xc_handle *xch, uint32_t domid, const struct guest_config *c)
{
    struct pv_build b = {.mfns = NULL};
    struct sim_guest_page content;
    int rc = build_pv_memory(xch, domid, c->memory_mib * PAGES_PER_MIB, &b);

    if (!rc)
        rc = fill_page(c, b.layout.nr_data, &content);
    if (!rc)
        rc = write_page(xch, domid, b.mfns[SIM_GUEST_GFN], &content);
    if (!rc)
        rc = build_pv_vcpus(xch, domid, c->vcpus, RIP, &b);
    build_pv_free(&b);
    return rc;
}

/* ---- all of it ---- */

static int fill_domain(xc_handle *xch, uint32_t domid, const struct guest_config *c)
{
    if (xc_domain_max_vcpus(xch, domid, c->vcpus) || give_cpu(xch, domid, c) ||
        xc_domain_max_mem(xch, domid, c->memory_mib * KIB_PER_MIB) ||
        (c->type == XC_DOMAIN_PV ? fill_pv : fill_hvm)(xch, domid, c))
        return -1;
    return xc_domain_set_name(xch, domid, c->name);
}

int build_domain(xc_handle *xch, const struct guest_config *c, uint32_t *domid)
{
    struct xc_domain_config config = {.type = c->type, .max_vcpus = c->vcpus};
    struct xc_physinfo machine;

    if (name_is_taken(xch, c->name) || xc_physinfo(xch, &machine))
        return -1;
    if (c->type == XC_DOMAIN_PV ? !machine.pv : !machine.hvm) {
        warn("this host runs no %s guests", xc_domain_type_name(c->type));
        return -1;
    }
    config.hap = c->hap < 0 ? machine.hap : c->hap;
    if (getrandom(config.uuid, sizeof(config.uuid), 0) != sizeof(config.uuid)) {
        warn("no random numbers: %s", strerror(errno));
        return -1;
    }
    if (xc_domain_create(xch, &config, domid))
        return -1;
    if (!fill_domain(xch, *domid, c))
        return 0;
    (void)xc_domain_destroy(xch, *domid);
    return -1;
}
