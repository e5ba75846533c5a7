/* SPDX-License-Identifier: MIT */
/* What a PV guest is built of: see <sim-abi/guest-pv.h>. */
#include <string.h>

#include <sim-abi/guest-pv.h>
#include <sim-abi/guest.h>

#define PAGE        4096u
#define PER_FRAME   512u
#define SINGLE      8u /* frames of its structure that there is one of: l3 to console, but lists */
#define NO_ENTRY    (~0ull)
#define PTE_FIXED   0x65ull /* present, user, accessed, dirty */
#define PTE_WRITE   0x02ull
#define GUEST_LEAST (SIM_GUEST_GFN + 2)

static uint64_t frames_for(uint64_t entries)
{
    return (entries + PER_FRAME - 1) / PER_FRAME;
}

int sim_pv_layout(uint64_t nr_pfns, bool tree, struct sim_pv_layout *l)
{
    uint64_t structure, at;

    *l = (struct sim_pv_layout){.nr_pfns = nr_pfns, .tree = tree};
    l->nr_l1 = l->nr_p2m = frames_for(nr_pfns);
    l->nr_l2 = l->nr_lists = frames_for(l->nr_l1);
    structure = l->nr_l1 + l->nr_l2 + l->nr_p2m + l->nr_lists + SINGLE;
    if (nr_pfns > SIM_GUEST_MAX_PAGES || nr_pfns < structure + GUEST_LEAST)
        return -1;
    at = l->nr_data = nr_pfns - structure;
    l->l1 = at;
    l->l2 = at += l->nr_l1;
    l->l3 = at += l->nr_l2;
    l->l4 = ++at;
    l->user_l4 = ++at;
    l->gdt = ++at;
    l->p2m = ++at;
    l->lists = at += l->nr_p2m;
    l->list_list = at += l->nr_lists;
    l->start_info = ++at;
    l->store = ++at;
    l->console = ++at;
    return 0;
}

uint64_t sim_pv_pfns_for(uint64_t nr_data)
{
    struct sim_pv_layout l;
    uint64_t n = nr_data;

    while (sim_pv_layout(n, false, &l) || l.nr_data < nr_data)
        n++;
    return n;
}

static bool is_table(const struct sim_pv_layout *l, uint64_t pfn)
{
    return pfn >= l->l1 && pfn <= l->user_l4;
}

/* ---- contents ---- */

/* Entries first, first + 1, ... of a list of machine frames that has `end` entries. */
static void fill_list(const uint64_t *mfns, uint64_t first, uint64_t end, uint64_t *page)
{
    for (uint64_t i = 0; i < PER_FRAME; i++)
        page[i] = first + i < end ? mfns[first + i] : NO_ENTRY;
}

/* A table whose entries are the frames first, first + 1, ... up to end. */
static void fill_table(const uint64_t *mfns, uint64_t first, uint64_t end, uint64_t *page)
{
    for (uint64_t i = 0; i < PER_FRAME && first + i < end; i++)
        page[i] = mfns[first + i] << 12 | PTE_FIXED | PTE_WRITE;
}

/* Its own tables and the GDT the guest may only read. */
static void fill_l1(const struct sim_pv_layout *l, const uint64_t *mfns, uint64_t first,
                    uint64_t *page)
{
    fill_table(mfns, first, l->nr_pfns, page);
    for (uint64_t i = 0; i < PER_FRAME && first + i < l->nr_pfns; i++)
        if (is_table(l, first + i) || first + i == l->gdt)
            page[i] &= ~PTE_WRITE;
}

static void fill_start_info(const struct sim_pv_layout *l, uint64_t shared_info,
                            struct start_info *s)
{
    memcpy(s->magic, "xen-3.0-x86_64", sizeof("xen-3.0-x86_64"));
    s->nr_pages = l->nr_pfns;
    s->shared_info = shared_info << 12;
    /* PFNs: a guest that is about to be suspended has seen to that, and this one always is. */
    s->store_mfn = l->store;
    s->console.domU.mfn = l->console;
    s->pt_base = l->l4 * PAGE;
    s->nr_pt_frames = l->gdt - l->l1;
    s->mfn_list = l->p2m * PAGE;
    s->first_p2m_pfn = l->p2m;
    s->nr_p2m_frames = l->nr_p2m;
    if (l->tree)
        memcpy(s->cmd_line, "p2m=tree", sizeof("p2m=tree"));
    else
        memcpy(s->cmd_line, "p2m=linear", sizeof("p2m=linear"));
}

void sim_pv_page(const struct sim_pv_layout *l, const uint64_t *mfns, uint64_t shared_info,
                 uint64_t pfn, void *page)
{
    memset(page, 0, PAGE);
    if (pfn >= l->l1 && pfn < l->l2)
        fill_l1(l, mfns, (pfn - l->l1) * PER_FRAME, page);
    else if (pfn >= l->l2 && pfn < l->l3)
        fill_table(mfns, l->l1 + (pfn - l->l2) * PER_FRAME, l->l2, page);
    else if (pfn == l->l3)
        fill_table(mfns, l->l2, l->l3, page);
    else if (pfn == l->l4 || pfn == l->user_l4)
        fill_table(mfns, l->l3, l->l4, page);
    else if (pfn >= l->p2m && pfn < l->lists)
        fill_list(mfns, (pfn - l->p2m) * PER_FRAME, l->nr_pfns, page);
    else if (pfn >= l->lists && pfn < l->list_list)
        fill_list(mfns, l->p2m + (pfn - l->lists) * PER_FRAME, l->lists, page);
    else if (pfn == l->list_list)
        fill_list(mfns, l->lists, l->list_list, page);
    else if (pfn == l->start_info)
        fill_start_info(l, shared_info, page);
}

void sim_pv_tell(const struct sim_pv_layout *l, const uint64_t *mfns, struct arch_shared_info *a)
{
    a->max_pfn = l->nr_pfns;
    a->p2m_generation = 0;
    a->pfn_to_mfn_frame_list_list = l->tree ? mfns[l->list_list] : NO_ENTRY;
    a->p2m_cr3 = l->tree ? 0 : xen_pfn_to_cr3(mfns[l->l4]);
    a->p2m_vaddr = l->tree ? 0 : l->p2m * PAGE;
}
