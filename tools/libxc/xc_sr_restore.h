/* SPDX-License-Identifier: MIT */
/*
 * Restoring a domain: what the core (xc_sr_restore.c), which reads the stream and knows its order,
 * shares with the guest types (xc_sr_hvm_restore.c, xc_sr_pv_restore.c), which know what a domain
 * of theirs is made of.  Whoever wrote the stream is not trusted.
 */
#ifndef XC_SR_RESTORE_H
#define XC_SR_RESTORE_H

#include "xc_sr_private.h"
#include "xc_sr_rules.h"

#pragma GCC visibility push(hidden)

struct sr_restore_ops;

/* One restore.  The ops may read all of it, and write what their comments name. */
struct sr_restore {
    struct sr_reader r;
    uint32_t domid;
    uint32_t nr_vcpus; /* that the domain was made with */
    const struct sr_restore_ops *ops;
    void *guest; /* whatever ops->open() has made */
    const struct xc_restore_options *options;
    const struct xc_restore_callbacks *cb;
    struct xc_restore_result *result;
    uint64_t begun;           /* ns */
    uint64_t leave;           /* how many frames may stay mapped */
    struct xc_sr_order order; /* of the records that have come */
    struct sr_policy policy;
    struct sr_tsc tsc;
    bool verifying;     /* VERIFY has come: memory is compared, not written */
    uint64_t different; /* how many pages were */
    uint8_t *copy;      /* SR_BATCH pages of the stream, when they are compared */

    /* One batch. */
    uint64_t gfns[SR_BATCH];
    uint64_t frames[SR_BATCH]; /* what the hypervisor calls them: gfns, or PV's machine frames */
    uint8_t types[SR_BATCH];   /* enum xc_sr_page_type */
    void *pages[SR_BATCH];
    struct iovec iov[SR_BATCH];
};

/*
 * What is special about restoring one type of guest.  Every member must be implemented.  Where a
 * comment does not say otherwise, a function owes: 0; or -1 with errno, after it has logged one
 * line (sr_bad() when the stream is at fault), and then the restore fails.
 */
struct sr_restore_ops {
    /* Names the type in messages: "PV". */
    const char *name;

    /* Says that what was mapped to be written may stay mapped (sr_unmap()). */
    bool may_leave_mapped;

    /* Called once, when the headers have been read.  Owes: in s->guest whatever the other members
     * need. */
    int (*open)(struct sr_restore *s);

    /* Called once, after all others, also when open() has failed half-way.  Owes: that everything
     * in s->guest is freed.  Cannot fail. */
    void (*close)(struct sr_restore *s);

    /*
     * Called for each record that the core does not take itself, where records.def lets it stand in
     * a stream of this type; its body of header->length bytes is next in s->r.  Owes: that the body
     * is read, without its padding, and kept; or that one that it does not know is refused.
     */
    int (*take_record)(struct sr_restore *s, const struct xc_sr_rhdr *header);

    /* Called when all static data has come.  Owes: 0 if all of the type's own is there. */
    int (*check_static_data)(struct sr_restore *s);

    /* Called for any type of page.  Owes: true if the guest can have such pages with contents. */
    bool (*has_page_type)(unsigned int type);

    /* Called for any gfn.  Owes: true if populate() has given it memory. */
    bool (*is_populated)(struct sr_restore *s, uint64_t gfn);

    /*
     * Called for each batch, s->gfns[0..n) with s->types[], before its contents are read; frames
     * may come again.  Owes: memory where there was none, and s->frames[] = the hypervisor's number
     * for each.
     */
    int (*populate)(struct sr_restore *s, size_t n);

    /* Called for page i of a batch, whose contents have just been read to `page`.  Owes: that they
     * are in the form that the guest has on this host. */
    int (*localise_page)(struct sr_restore *s, size_t i, void *page);

    /* Called behind END, when the domain's CPU is known: s->policy.guest.  Owes: 0 if all registers
     * that came are of that CPU (xc_sr_check.h), or are missing, which apply() says. */
    int (*check_state)(struct sr_restore *s);

    /*
     * Called last.  Owes: registers and devices in the domain; the rings told to it and granted to
     * s->options->ends, if there are any; s->result->store_gfn and console_gfn.
     */
    int (*apply)(struct sr_restore *s);
};

/* HVM and PVH domains, which the stream does not tell apart. */
extern const struct sr_restore_ops sr_restore_hvm;
/* 64-bit PV domains. */
extern const struct sr_restore_ops sr_restore_pv;

#pragma GCC visibility pop

#endif /* XC_SR_RESTORE_H */
