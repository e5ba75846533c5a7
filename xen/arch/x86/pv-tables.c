/* SPDX-License-Identifier: MIT */
/*
 * Page tables of PV domains: checked when they are pinned or become a vCPU's, walked when the guest
 * runs (Intel SDM vol. 3A, 4.5: bits 51:12 of an entry are the frame, bit 0 says that it is
 * present, bit 1 that it can be written to, bit 7 of levels 2 and 3 that it is a large page).
 *
 * A PV domain sees machine frames.  So that it reaches its own only, a frame becomes a page table
 * after every entry was looked at, and no frame is one that the domain can write to.  What a frame
 * is it stays until the domain gives it back: simulated guests do not change their tables once they
 * run, so nothing is counted as real Xen does.
 */
#include <hypervisor.h>
#include <pv.h>

#include <xen/errno.h>

#define PTE_PRESENT  (1ull << 0)
#define PTE_WRITABLE (1ull << 1)
#define PTE_LARGE    (1ull << 7)
#define PTE_FRAME    0x000ffffffffff000ull
#define PAGE_SHIFT   12
#define PAGE_SIZE    4096u
#define NR_ENTRIES   512u
#define LEVEL_BITS   9
#define TOP_LEVEL    4u

/* Entries of a top-level table that are the hypervisor's own: from HYPERVISOR_VIRT_START to
 * HYPERVISOR_VIRT_END of <xen/arch-x86/xen-x86_64.h>. */
#define XEN_FIRST 256u
#define XEN_END   272u

#define MAX_OPS 1024u /* of one mmuext_op: there is no preemption here */

struct frame *pv_frame(const struct domain *d, uint64_t mfn)
{
    struct hypervisor *hv = d->hv;
    struct frame *f;

    if (mfn >= hv->nr_pages)
        return NULL;
    f = &hv->frames[index_nospec((uint32_t)mfn, (uint32_t)hv->nr_pages)];
    return f->owner == d && f->pfn != FRAME_SHARED ? f : NULL;
}

/* A toolstack may write to it meanwhile: each entry is looked at once. */
static uint64_t entry_of(const struct domain *d, uint64_t mfn, unsigned int i)
{
    const volatile uint64_t *table = platform_page(d->hv->platform, mfn);

    return table[i];
}

static int refuse_table(const struct domain *d, uint64_t mfn, unsigned int level, const char *why)
{
    printk(d->hv, "d%u: frame %lx cannot be a page table of level %u: %s", d->id, mfn, level, why);
    return -XEN_EINVAL;
}

static int refuse_entry(const struct domain *d, uint64_t mfn, unsigned int level, unsigned int i,
                        uint64_t entry)
{
    printk(d->hv, "d%u: frame %lx, a page table of level %u: entry %u (%lx) cannot be", d->id, mfn,
           level, i, entry);
    return -XEN_EINVAL;
}

/* An entry of the lowest level: one of the domain's frames, or what is shared with it. */
static int check_leaf(struct domain *d, uint64_t entry)
{
    uint64_t mfn = (entry & PTE_FRAME) >> PAGE_SHIFT;
    struct frame *f = pv_frame(d, mfn);

    if (mfn == d->shared_info)
        return 0;
    if (!f || ((entry & PTE_WRITABLE) && f->table))
        return -XEN_EINVAL;
    f->writable |= (entry & PTE_WRITABLE) != 0;
    return 0;
}

static int check_entries(struct domain *d, uint64_t mfn, unsigned int level)
{
    for (unsigned int i = 0; i < NR_ENTRIES; i++) {
        uint64_t e = entry_of(d, mfn, i);
        int rc;

        if (level == TOP_LEVEL && i >= XEN_FIRST && i < XEN_END)
            continue;
        if (!(e & PTE_PRESENT))
            continue;
        if (level == 1)
            rc = check_leaf(d, e);
        else if (e & PTE_LARGE)
            rc = -XEN_EINVAL;
        else
            rc = pv_check_table(d, (e & PTE_FRAME) >> PAGE_SHIFT, level - 1);
        if (rc)
            return refuse_entry(d, mfn, level, i, e);
    }
    return 0;
}

/* The hypervisor's own entries, as in every top-level table: the first one leads to the
 * machine-to-physical table. */
static void add_own_entries(struct domain *d, uint64_t mfn)
{
    uint64_t *table = platform_page(d->hv->platform, mfn);

    for (unsigned int i = XEN_FIRST; i < XEN_END; i++)
        table[i] = i == XEN_FIRST ? d->hv->nr_pages << PAGE_SHIFT | PTE_PRESENT : 0;
}

/* It calls itself at most three times: each time the level is one less. */
int pv_check_table(struct domain *d, uint64_t mfn, unsigned int level)
{
    struct frame *f = pv_frame(d, mfn);

    if (!f)
        return refuse_table(d, mfn, level, "it is not the domain's");
    if (f->table == level)
        return 0;
    if (f->table)
        return refuse_table(d, mfn, level, "it is one of another level");
    if (f->writable)
        return refuse_table(d, mfn, level, "the domain can write to it");
    f->table = (uint8_t)level; /* before its entries: it may name itself */
    if (check_entries(d, mfn, level)) {
        f->table = 0;
        return -XEN_EINVAL;
    }
    if (level == TOP_LEVEL)
        add_own_entries(d, mfn);
    return 0;
}

int pv_check_gdt(struct domain *d, uint64_t mfn)
{
    struct frame *f = pv_frame(d, mfn);

    if (!f || f->writable || (f->table && f->table != FRAME_GDT)) {
        printk(d->hv, "d%u: frame %lx cannot be a GDT", d->id, mfn);
        return -XEN_EINVAL;
    }
    f->table = FRAME_GDT;
    return 0;
}

/* ---- pinning ---- */

static int one_op(struct domain *d, const struct mmuext_op *op)
{
    struct frame *f;
    unsigned int level;

    switch (op->cmd) {
    case MMUEXT_PIN_L1_TABLE:
    case MMUEXT_PIN_L2_TABLE:
    case MMUEXT_PIN_L3_TABLE:
    case MMUEXT_PIN_L4_TABLE:
        level = op->cmd - MMUEXT_PIN_L1_TABLE + 1;
        if (pv_check_table(d, op->arg1.mfn, level))
            return -XEN_EINVAL;
        pv_frame(d, op->arg1.mfn)->pinned = true;
        return 0;
    case MMUEXT_UNPIN_TABLE:
        f = pv_frame(d, op->arg1.mfn);
        if (!f || !f->pinned)
            return -XEN_EINVAL;
        f->pinned = false;
        return 0;
    default:
        return -XEN_ENOSYS;
    }
}

long do_mmuext_op(struct hypervisor *hv, uint64_t ops, unsigned int count, uint64_t done,
                  uint32_t domid)
{
    struct domain *d = domid < DOMID_FIRST_RESERVED ? domain_by_id(hv, (uint16_t)domid) : NULL;
    unsigned int n = 0;
    long rc = 0;

    if (!d)
        return -XEN_ESRCH;
    if (d->hvm || d->id == 0)
        return -XEN_EPERM;
    if (count > MAX_OPS)
        return -XEN_E2BIG;
    while (n < count && !rc) {
        struct mmuext_op op;

        if (platform_copy_from_guest(hv->platform, &op, ops + n * sizeof(op), sizeof(op)))
            rc = -XEN_EFAULT;
        else
            rc = one_op(d, &op);
        if (!rc)
            n++;
    }
    if (done && platform_copy_to_guest(hv->platform, done, &n, sizeof(n)))
        return -XEN_EFAULT;
    return rc;
}

/* ---- walking ---- */

int64_t pv_translate(const struct vcpu *v, uint64_t address, bool write)
{
    const struct domain *d = v->domain;
    uint64_t mfn = xen_cr3_to_pfn(v->regs.cr3);

    for (unsigned int level = TOP_LEVEL; level; level--) {
        unsigned int i =
            (unsigned int)(address >> (PAGE_SHIFT + LEVEL_BITS * (level - 1))) & (NR_ENTRIES - 1);
        const struct frame *f = pv_frame(d, mfn);
        uint64_t e;

        if (!f || f->table != level)
            return -XEN_EFAULT;
        e = entry_of(d, mfn, i);
        if (!(e & PTE_PRESENT) || (write && !(e & PTE_WRITABLE)))
            return -XEN_EFAULT;
        mfn = (e & PTE_FRAME) >> PAGE_SHIFT;
    }
    return pv_frame(d, mfn) ? (int64_t)mfn : -XEN_EFAULT;
}

/* To or from `bytes`, page by page. */
static int access_memory(const struct vcpu *v, uint64_t address, uint8_t *bytes, size_t size,
                         bool write)
{
    struct hypervisor *hv = v->domain->hv;

    while (size) {
        size_t offset = address % PAGE_SIZE;
        size_t n = size < PAGE_SIZE - offset ? size : PAGE_SIZE - offset;
        int64_t mfn = pv_translate(v, address, write);
        uint8_t *page;

        if (mfn < 0)
            return -XEN_EFAULT;
        page = (uint8_t *)platform_page(hv->platform, (uint64_t)mfn) + offset;
        if (write) {
            __builtin_memcpy(page, bytes, n);
            memory_mark_dirty(v->domain, hv->frames[mfn].pfn);
        } else {
            __builtin_memcpy(bytes, page, n);
        }
        bytes += n;
        address += n;
        size -= n;
    }
    return 0;
}

int pv_memory_read(const struct vcpu *v, uint64_t address, void *dst, size_t size)
{
    return access_memory(v, address, dst, size, false);
}

int pv_memory_write(const struct vcpu *v, uint64_t address, const void *src, size_t size)
{
    return access_memory(v, address, (uint8_t *)(uintptr_t)src, size, true);
}
