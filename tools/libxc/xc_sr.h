/* SPDX-License-Identifier: MIT */
/*
 * Saving, restoring and migrating a domain: the libxc layer of the migration stream
 * (docs/specs/libxc-migration-stream.pandoc).  What stands around it in a file (xl's and libxl's
 * headers) is the caller's.
 *
 * At every moment the domain is runnable on exactly one side.  xc_domain_save: when it fails, the
 * domain is as it was, running if it ran; two saves of one domain at the same time are the caller's
 * to prevent.  xc_domain_restore: when it fails, the caller destroys
 * the domain it has made; nothing that was refused has run.
 */
#ifndef XENLEVEL_XC_SR_H
#define XENLEVEL_XC_SR_H

#include "xc.h"

/* What a save has done so far; for progress bars and for the policy that ends the live rounds. */
struct xc_sr_stats {
    unsigned int round;   /* 0: all pages; 1, 2, ...: what was dirtied meanwhile */
    uint64_t total_pages; /* of the domain */
    uint64_t round_pages; /* to be sent in this round */
    uint64_t sent_in_round;
    uint64_t sent_pages;  /* in all, repeats counted */
    uint64_t zero_pages;  /* that went without contents; not among them */
    uint64_t bytes;       /* of the stream */
    uint64_t dirty_count; /* pages dirtied in the round that has just ended */
    uint64_t elapsed_ns;  /* real time since the beginning */
    uint64_t dirty_pages_per_second, bytes_per_second;
    uint64_t expected_downtime_ns; /* if the domain were suspended now */
    uint64_t downtime_ns;          /* from the suspend request to the last byte; 0 before */
};

struct xc_save_options {
    bool live;      /* rounds while it runs; else it is suspended first */
    bool checksums; /* our optional CHECKSUM records; stock Xen skips them */
    bool verify;    /* memory a second time, for the receiver to compare (VERIFY) */
    /* Into a pipe or a socket of this machine pages may go by reference: what a reader that is
     * behind gets is the frame as it is then.  The caller promises that the domain stays suspended
     * (or the stream is worthless) until the reader has said that it has everything. */
    bool by_reference;
    /* Frames of zeros go without contents, as XALLOC, unless they were sent before.  Only for a
     * reader that is known to give zeros for those: ours does; stock Xen's does not promise it. */
    bool zero_pages;
    bool ends_soon;           /* the process does, when this is done: see sr_unmap() */
    unsigned int max_rounds;  /* 0: 5, as stock Xen */
    uint64_t dirty_threshold; /* pages: few enough for the last round; 0: 50, as stock Xen */
    /* ms that fd may take nothing in; then the save fails with ETIMEDOUT.  0: for ever.  Until it
     * returns fd is O_NONBLOCK, for all who share its open file. */
    unsigned int patience;
};

/* Each returns 0, or -1 with errno (and has said why).  NULL members are not called, except
 * suspend, which every save needs. */
struct xc_save_callbacks {
    /* Stop the domain so that it is shut down with SHUTDOWN_suspend.  Called once. */
    int (*suspend)(void *data);
    /* Undo that, after a failure.  NULL: XEN_DOMCTL_resumedomain.  (A guest with drivers has to be
     * told that it has not moved, which libxl does.) */
    int (*resume)(void *data);
    /* The device model too must log what it dirties (HVM with one). */
    int (*switch_qemu_logdirty)(void *data, bool enable);
    /* After each round and now and then within one.  Nonzero: stop, undo, fail with ECANCELED. */
    int (*progress)(void *data, const struct xc_sr_stats *stats);
    void *data;
};

/* fd: anything that can be written.  *stats (may be NULL): in the end.  -1 with errno. */
int xc_domain_save(xc_handle *xch, int fd, uint32_t domid, const struct xc_save_options *options,
                   const struct xc_save_callbacks *callbacks, struct xc_sr_stats *stats);

/* Who is at the other ends of the domain's xenstore and console rings. */
struct xc_guest_ends {
    uint32_t store_evtchn, console_evtchn; /* the domain's ports */
    uint32_t store_domid, console_domid;   /* whose daemons they are, and who may map the rings */
};

struct xc_restore_options {
    /* Take a stream without a policy, or of version 2: the domain gets this host's default, with a
     * warning.  Else such a stream is refused. */
    bool unverified;
    bool ends_soon; /* the process does, when this is done: see sr_unmap() */
    /* Told to the domain, and the rings granted.  NULL: nobody is there (simulated hosts). */
    const struct xc_guest_ends *ends;
    /* ms that nothing may come; then the restore fails with ETIMEDOUT.  0: for ever, as stock Xen
     * waits.  Longer than a guest may take to suspend: meanwhile the sender is silent. */
    unsigned int patience;
};

struct xc_restore_callbacks {
    /* STATIC_DATA_END has come and the policy is set; `missing`: bit 0 CPUID, bit 1 MSR policy.
     * (libxl's static_data_done.)  Nonzero: refuse. */
    int (*static_data_done)(void *data, unsigned int missing);
    int (*progress)(void *data, const struct xc_sr_stats *stats);
    void *data;
};

struct xc_restore_result {
    struct xc_sr_stats stats;
    bool hvm;
    uint64_t store_gfn, console_gfn; /* for libxl's restore_results; 0: none */
    size_t nr_faults;                /* EPERM: differences to what this host can honour ... */
    struct policy_fault faults[64];  /* ... and the first of them */
};

/*
 * Fill domain `domid`, which is new, paused and without memory, from a stream.  Reads exactly up to
 * the end of END: what stands behind it stays in fd.  -1 with errno: EPERM: this host cannot honour
 * the policy (result->faults), or there are registers in the stream that are not of its policy (no
 * faults); EILSEQ: the stream is damaged or not one (for both the line that is logged says at which
 * offset and record); ECANCELED; what hypercalls and read() give.
 */
int xc_domain_restore(xc_handle *xch, int fd, uint32_t domid,
                      const struct xc_restore_options *options,
                      const struct xc_restore_callbacks *callbacks,
                      struct xc_restore_result *result);

#endif /* XENLEVEL_XC_SR_H */
