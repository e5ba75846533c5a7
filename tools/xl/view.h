/* SPDX-License-Identifier: MIT */
/*
 * How far a save, a migration or a restore is: a line on a terminal, and when the domain stopped.
 */
#ifndef XL_SIM_VIEW_H
#define XL_SIM_VIEW_H

#include "xc.h"
#include "xc_sr.h"

/* Of a save or a migration: the `data` of struct xc_save_callbacks. */
struct save_view {
    xc_handle *xch;
    uint32_t domid;
    uint64_t suspended; /* ns: when it was asked to stop */
    uint64_t shown;     /* ns: when the line was last written ... */
    unsigned int round; /* ... and about which round */
};

/* Suspend the domain by hypercall, and note when: a xc_save_callbacks.suspend. */
int view_suspend(void *data);
/* Show one line of progress on a terminal, ten times a second at most: its .progress. */
int view_progress(void *data, const struct xc_sr_stats *stats);

/* Of a restore: the `data` of struct xc_restore_callbacks. */
struct restore_view {
    uint64_t pages; /* that the domain may have */
    uint64_t shown; /* ns: when the line was last written */
};

/* The same of a restore: a xc_restore_callbacks.progress. */
int view_restore(void *data, const struct xc_sr_stats *stats);

#endif /* XL_SIM_VIEW_H */
