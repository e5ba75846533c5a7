/* SPDX-License-Identifier: MIT */
/*
 * Saving, restoring and migrating a domain: the libxc layer of the migration stream
 * (docs/specs/libxc-migration-stream.pandoc).  The caller writes and reads what surrounds it in a
 * file: the headers of xl and libxl.
 *
 * At every moment the domain can run on exactly one side.  When xc_domain_save() fails, the domain
 * is as it was before, and runs if it ran.  The caller must not save a domain twice at the same
 * time.  When xc_domain_restore() fails, the caller destroys the domain that it has created; it has
 * not run.
 */
#ifndef XENLEVEL_XC_SR_H
#define XENLEVEL_XC_SR_H

#include "xc.h"

/* Reports what a save has done so far: for progress bars, and for deciding when to stop. */
struct xc_sr_stats {
    unsigned int round;   /* 0: all pages; 1, 2, ...: pages dirtied during the last round */
    uint64_t total_pages; /* pages that the domain has */
    uint64_t round_pages; /* pages to send in this round */
    uint64_t sent_in_round;
    uint64_t sent_pages;  /* pages sent so far; a page sent twice counts twice */
    uint64_t zero_pages;  /* pages sent without contents; not counted in sent_pages */
    uint64_t bytes;       /* length of the stream so far */
    uint64_t dirty_count; /* pages dirtied during the round that has just ended */
    uint64_t elapsed_ns;  /* real time since the save began */
    uint64_t dirty_pages_per_second, bytes_per_second;
    uint64_t expected_downtime_ns; /* downtime if the domain were suspended now */
    uint64_t downtime_ns;          /* from the suspend request to the last byte; 0 until then */
};

struct xc_save_options {
    bool live;      /* send memory while the domain runs; false: suspend it first */
    bool checksums; /* write our optional CHECKSUM records, which stock Xen skips */
    bool verify;    /* send all memory a second time, for the receiver to compare (VERIFY) */
    /*
     * Send pages by reference where fd is a pipe or a socket on this machine.  A slow reader then
     * sees a page as it is when it reads it, so the caller must keep the domain suspended (or throw
     * the stream away) until the reader has confirmed that it has everything.
     */
    bool by_reference;
    /* Send pages of zeros without contents, as XALLOC, unless they were sent before.  The reader
     * must fill those pages with zeros: ours does, stock Xen's does not promise it. */
    bool zero_pages;
    bool ends_soon;           /* the process exits after the save: mappings may stay until then */
    unsigned int max_rounds;  /* 0: 5, as stock Xen */
    uint64_t dirty_threshold; /* suspend when so few pages are dirty; 0: 50, as stock Xen */
    /* How many milliseconds to wait while fd accepts nothing before the save fails with ETIMEDOUT;
     * 0: for ever.  If it is not 0, fd is O_NONBLOCK until the save returns, also for others who
     * share the open file. */
    unsigned int patience;
};

/*
 * Each function owes 0; or -1 with errno, after it has said why.  `suspend` is required; others may
 * be NULL.
 */
struct xc_save_callbacks {
    /* Called once, to suspend the domain.  Owes: that it has shut down with SHUTDOWN_suspend. */
    int (*suspend)(void *data);
    /* Called when the save has failed after suspend().  Owes: that the domain runs again; a guest
     * with drivers must be told that it has not moved.  NULL: XEN_DOMCTL_resumedomain is used. */
    int (*resume)(void *data);
    /* Called before and after a live save.  Owes: that the device model logs which pages it
     * dirties, or stops doing so.  NULL: the domain has no device model. */
    int (*switch_qemu_logdirty)(void *data, bool enable);
    /* Called after each batch of pages and each round.  Anything but 0 cancels the save, which then
     * fails with ECANCELED. */
    int (*progress)(void *data, const struct xc_sr_stats *stats);
    void *data;
};

/*
 * Saves domain `domid` to fd, which may be anything that can be written.  stats may be NULL; else
 * *stats is set at the end, also after a failure.  Returns 0; or -1 with errno, logged: ECANCELED,
 * ETIMEDOUT, and whatever hypercalls, callbacks and write() give.
 */
int xc_domain_save(xc_handle *xch, int fd, uint32_t domid, const struct xc_save_options *options,
                   const struct xc_save_callbacks *callbacks, struct xc_sr_stats *stats);

/* Describes the other ends of the domain's xenstore and console rings. */
struct xc_guest_ends {
    uint32_t store_evtchn, console_evtchn; /* event channel ports of the restored domain */
    uint32_t store_domid, console_domid;   /* domains of the daemons, which may map the rings */
};

struct xc_restore_options {
    /* Accept a stream without a CPU policy, or of version 2: the domain gets this host's default
     * policy, and a warning is logged.  False: such a stream is refused. */
    bool unverified;
    bool ends_soon; /* the process exits after the restore: mappings may stay until then */
    /* The domain is told of these, and they are granted its rings.  NULL: there are none (simulated
     * hosts). */
    const struct xc_guest_ends *ends;
    /* How many milliseconds to wait for the next byte before the restore fails with ETIMEDOUT; 0:
     * for ever, as stock Xen.  It must be longer than a guest takes to suspend, because the sender
     * is silent meanwhile. */
    unsigned int patience;
};

/* Members may be NULL.  Anything but 0 cancels the restore, which then fails with ECANCELED. */
struct xc_restore_callbacks {
    /* Called once, when the static data has been read and the policy is set.  Bits of `missing`: 0:
     * the stream had no CPUID policy, 1: no MSR policy.  (libxl's static_data_done.) */
    int (*static_data_done)(void *data, unsigned int missing);
    /* Called after each batch of pages. */
    int (*progress)(void *data, const struct xc_sr_stats *stats);
    void *data;
};

struct xc_restore_result {
    struct xc_sr_stats stats;
    bool hvm;
    uint64_t store_gfn, console_gfn; /* frames of the rings, for libxl; 0: no ring */
    size_t nr_faults;                /* after EPERM: how many findings the audit had ... */
    struct policy_fault faults[64];  /* ... and the first of them */
};

/*
 * Restores domain `domid`, which must be new, paused and without memory, from the stream in fd.
 * Reads up to the end of the END record and not a byte further.  Always sets *result.
 *
 * Returns 0; or -1 with errno, logged.  EPERM: this host cannot give the domain its CPU
 * (result->faults), or the stream has registers that its own policy does not allow (no faults).
 * EILSEQ: the stream is damaged, or is no migration stream; the log says at which offset and in
 * which record.  ECANCELED, ETIMEDOUT, and whatever hypercalls and read() give.
 */
int xc_domain_restore(xc_handle *xch, int fd, uint32_t domid,
                      const struct xc_restore_options *options,
                      const struct xc_restore_callbacks *callbacks,
                      struct xc_restore_result *result);

#endif /* XENLEVEL_XC_SR_H */
