/* SPDX-License-Identifier: MIT */
/*
 * What a PV guest does when it finds itself in another domain than it was suspended in: its machine
 * frames are others now.  The toolstack has put the new ones into its page tables and its p2m; the
 * lists that lead toolstacks to the p2m it makes anew itself, as Linux does, and it looks whether
 * all of it is true.
 */
#include <stdlib.h>
#include <string.h>

#include <pv.h>
#include <sim/guest-pv.h>

#include "guest-private.h"

#define PAGE 4096u

/* Toolstacks have not been told where the p2m is: that was in another domain. */
static bool is_elsewhere(const struct arch_shared_info *a)
{
    return !a->p2m_cr3 && !a->pfn_to_mfn_frame_list_list;
}

static bool note_bad(struct guest_run *run, uint64_t pfn, uint64_t expected, uint64_t seen)
{
    run->me.status = GUEST_MEMORY_BAD;
    run->me.changed_leaf = pfn;
    run->me.expected = expected;
    run->me.seen = seen;
    return false;
}

/* Its p2m, the hypervisor's table and its own page tables say the same of every frame. */
static bool frames_are_right(struct guest_run *run, const struct sim_pv_layout *l,
                             const uint64_t *mfns)
{
    for (uint64_t pfn = 0; pfn < l->nr_pfns; pfn++) {
        const struct frame *f = pv_frame(run->v->domain, mfns[pfn]);
        int64_t mapped = pv_translate(run->v, pfn * PAGE, false);

        if (!f || f->pfn != pfn)
            return note_bad(run, pfn, pfn, f ? f->pfn : UINT64_MAX);
        if (mapped < 0 || (uint64_t)mapped != mfns[pfn])
            return note_bad(run, pfn, mfns[pfn], (uint64_t)mapped);
    }
    return true;
}

/* What the toolstack has written there, with PFNs again where it wrote machine frames. */
static bool take_start_info(struct guest_run *run, const struct sim_pv_layout *l,
                            const uint64_t *mfns)
{
    struct domain *d = run->v->domain;
    struct start_info s;

    if (guest_read(run, l->start_info * PAGE, &s, sizeof(s)))
        return note_bad(run, l->start_info, 0, 0);
    if (d->vcpus[0]->regs.gpr[GPR_RDX] != mfns[l->start_info])
        return note_bad(run, l->start_info, mfns[l->start_info], d->vcpus[0]->regs.gpr[GPR_RDX]);
    if (s.shared_info != d->shared_info * PAGE)
        return note_bad(run, l->start_info, d->shared_info, s.shared_info / PAGE);
    if (s.store_mfn != mfns[l->store] || s.console.domU.mfn != mfns[l->console] ||
        s.nr_pages != l->nr_pfns)
        return note_bad(run, l->start_info, mfns[l->store], s.store_mfn);
    s.store_mfn = l->store;
    s.console.domU.mfn = l->console;
    return !guest_write(run, l->start_info * PAGE, &s, sizeof(s));
}

static bool write_lists(struct guest_run *run, const struct sim_pv_layout *l, const uint64_t *mfns)
{
    uint8_t page[PAGE];

    for (uint64_t pfn = l->lists; pfn <= l->list_list; pfn++) {
        sim_pv_page(l, mfns, run->v->domain->shared_info, pfn, page);
        if (guest_write(run, pfn * PAGE, page, sizeof(page)))
            return note_bad(run, pfn, 0, 0);
    }
    return true;
}

void guest_pv_look_around(struct guest_run *run)
{
    struct domain *d = run->v->domain;
    struct shared_info *shared = platform_page(d->hv->platform, d->shared_info);
    struct sim_pv_layout l;
    uint64_t *mfns;

    if (!is_elsewhere(&shared->arch))
        return;
    if (shared->arch.max_pfn != d->memory.nr_gfns || sim_pv_layout_of(d, &l)) {
        (void)note_bad(run, 0, d->memory.nr_gfns, shared->arch.max_pfn);
        return;
    }
    mfns = calloc(l.nr_p2m, PAGE);
    if (!mfns)
        abort();
    if (guest_read(run, l.p2m * PAGE, mfns, l.nr_p2m * PAGE))
        (void)note_bad(run, l.p2m, 0, 0);
    else if (frames_are_right(run, &l, mfns) && take_start_info(run, &l, mfns) &&
             write_lists(run, &l, mfns))
        sim_pv_tell(&l, mfns, &shared->arch);
    free(mfns);
}
