/* SPDX-License-Identifier: MIT */
/*
 * Saving a domain: what the core (xc_sr_save.c), which decides what is written when, shares with
 * the guest types (xc_sr_hvm_save.c, xc_sr_pv_save.c), which know what a domain of theirs is made
 * of.
 */
#ifndef XC_SR_SAVE_H
#define XC_SR_SAVE_H

#include "xc_sr_private.h"

#pragma GCC visibility push(hidden)

struct sr_save_ops;

/* One save.  The ops may read all of it, and write what their comments name. */
struct sr_save {
    struct sr_writer w;
    uint32_t domid;
    uint32_t nr_vcpus;
    const struct sr_save_ops *ops;
    void *guest; /* whatever ops->open() has made */
    const struct xc_save_options *options;
    const struct xc_save_callbacks *cb;
    struct xc_sr_stats stats;
    uint64_t begun, round_begun, suspended; /* ns */
    uint64_t nr_gfns;                       /* gfns are below it; a PV domain's are its PFNs */
    uint64_t *dirty;                        /* a hypercall buffer: one bit for each gfn */
    xen_pfn_t *info;                        /* another: frames in, kinds of pages out */
    bool log_dirty, qemu_log_dirty, was_suspended;
    struct sr_zero zero;
    uint64_t leave; /* how many frames may stay mapped */

    /* One batch. */
    uint64_t gfns[SR_BATCH], entries[SR_BATCH];
    uint64_t frames[SR_BATCH]; /* what the hypervisor calls them: gfns, or PV's machine frames */
    uint8_t types[SR_BATCH];   /* enum xc_sr_page_type */
    void *pages[SR_BATCH];
    struct iovec iov[SR_BATCH + 4];
    uint8_t *copy; /* SR_BATCH pages that nobody else writes; NULL: nobody needs them */
};

/* Returns how many words of 64 bits have one bit for each gfn. */
static inline size_t sr_save_bitmap_words(const struct sr_save *s)
{
    return (size_t)((s->nr_gfns + 63) / 64);
}

/*
 * What is special about saving one type of guest.  Every member must be implemented, even as a
 * function that does nothing.  Where a comment does not say otherwise, a function owes: 0; or -1
 * with errno, after it has logged one line, and then the save fails.
 */
struct sr_save_ops {
    /* Names the type in the domain header: XC_SR_GUEST_*. */
    uint32_t guest_type;

    /* Says that frames of zeros may go without contents, if the options want it. */
    bool may_omit_zeros;

    /* Says that normalise_page() writes to s->copy. */
    bool needs_copies;

    /*
     * Called once, before anything is written; the domain runs.  Owes: s->nr_gfns, and in s->guest
     * whatever the other members need.
     */
    int (*open)(struct sr_save *s);

    /* Called once, after all others, also when open() has failed half-way.  Owes: that everything
     * in s->guest is freed.  Cannot fail. */
    void (*close)(struct sr_save *s);

    /* Called when the headers are written.  Owes: the type's own records that stand before the CPU
     * policy. */
    int (*write_static_data)(struct sr_save *s);

    /* Called behind STATIC_DATA_END.  Owes: the records without which a reader cannot take
     * memory. */
    int (*write_memory_map)(struct sr_save *s);

    /*
     * Called for each batch, s->gfns[0..n).  Owes: that s->gfns[] has those of them that may exist,
     * still in order, and s->frames[] the hypervisor's number for each; returns how many they are.
     * Cannot fail.
     */
    size_t (*find_frames)(struct sr_save *s, size_t n);

    /*
     * Called for each page whose contents are to be sent: *page is s->pages[i], the domain's own,
     * which a running domain changes at any time; its type is s->types[i].  Owes: *page as it was,
     * when the stream has it as the domain has it; or the page in the stream's form, at s->copy +
     * i * PAGE_SIZE; or NULL, when it cannot be had while the domain runs: the page is left out,
     * and add_deferred() names it again.
     */
    int (*normalise_page)(struct sr_save *s, size_t i, void **page);

    /* Called when the domain has been suspended.  Owes: 0 if what open() found is still so. */
    int (*check_suspended)(struct sr_save *s);

    /*
     * Called once in a live save, when the domain has been suspended and s->dirty has what it wrote
     * last.  Owes: that the pages that normalise_page() has left out are in s->dirty too.  Cannot
     * fail.
     */
    void (*add_deferred)(struct sr_save *s);

    /* Called when all memory is written.  Owes: the records of the domain's registers and devices,
     * and a CHECKSUM behind them (sr_write_checksum()). */
    int (*write_state)(struct sr_save *s);
};

/* HVM and PVH domains, which the stream does not tell apart. */
extern const struct sr_save_ops sr_save_hvm;
/* 64-bit PV domains. */
extern const struct sr_save_ops sr_save_pv;

#pragma GCC visibility pop

#endif /* XC_SR_SAVE_H */
