/* SPDX-License-Identifier: MIT */
/* PV guests that are built in the core: see guest-pv.h. */
#include <stdlib.h>
#include <string.h>

#include <pv.h>
#include <sim/guest-pv.h>
#include <sim/guest.h>

#include <xen/errno.h>

#define PAGE     4096u
#define GDT_ENTS 512u /* of one frame */

_Static_assert(SIM_GUEST_MAX_PAGES == DOMAIN_MAX_PAGES, "the largest guest is the largest domain");

static int start_vcpus(struct domain *d, const struct sim_pv_layout *l, const uint64_t *mfns)
{
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpus[i];
        struct vcpu_guest_context *c = platform_alloc(d->hv->platform, sizeof(*c));

        if (!c)
            return -XEN_ENOMEM;
        c->ctrlreg[1] = xen_pfn_to_cr3(mfns[l->user_l4]);
        c->gdt_frames[0] = mfns[l->gdt];
        c->gdt_ents = GDT_ENTS;
        platform_free(d->hv->platform, v->context);
        v->context = c;
        v->regs.cr3 = xen_pfn_to_cr3(mfns[l->l4]);
        if (i == 0)
            v->regs.gpr[GPR_RDX] = mfns[l->start_info];
    }
    return 0;
}

static int fill_frames(struct domain *d, const struct sim_pv_layout *l, uint64_t *mfns)
{
    struct shared_info *shared = platform_page(d->hv->platform, d->shared_info);

    for (uint64_t pfn = 0; pfn < l->nr_pfns; pfn++) {
        int rc = memory_populate(d, pfn);

        if (rc)
            return rc;
        mfns[pfn] = (uint64_t)memory_mfn(d, pfn);
    }
    for (uint64_t pfn = l->nr_data; pfn < l->nr_pfns; pfn++)
        sim_pv_page(l, mfns, d->shared_info, pfn, platform_page(d->hv->platform, mfns[pfn]));
    sim_pv_tell(l, mfns, &shared->arch);
    for (unsigned int i = 0; i < 2; i++) {
        uint64_t mfn = mfns[i ? l->user_l4 : l->l4];

        if (pv_check_table(d, mfn, 4))
            return -XEN_EINVAL;
        pv_frame(d, mfn)->pinned = true;
    }
    return start_vcpus(d, l, mfns);
}

int sim_pv_build(struct domain *d, uint64_t nr_pfns, bool tree)
{
    struct sim_pv_layout l;
    uint64_t *mfns;
    int rc;

    if (sim_pv_layout(nr_pfns, tree, &l))
        return -XEN_EINVAL;
    mfns = calloc(nr_pfns, sizeof(*mfns));
    if (!mfns)
        return -XEN_ENOMEM;
    rc = fill_frames(d, &l, mfns);
    free(mfns);
    return rc;
}

int sim_pv_layout_of(struct domain *d, struct sim_pv_layout *l)
{
    struct sim_pv_layout linear;
    struct start_info s;

    if (d->hvm || sim_pv_layout(d->memory.nr_gfns, false, &linear) ||
        memory_read(d, linear.start_info * PAGE, &s, sizeof(s)))
        return -1;
    return sim_pv_layout(d->memory.nr_gfns, !memcmp(s.cmd_line, "p2m=tree", 8), l);
}
