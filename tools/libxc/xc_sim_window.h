/* SPDX-License-Identifier: MIT */
/*
 * Memory that is shared with a simulated host: the buffers of hypercalls.
 */
#ifndef XC_SIM_WINDOW_H
#define XC_SIM_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include <sim-abi/protocol.h>

#pragma GCC visibility push(hidden)

#define WINDOW_PAGE  4096u
#define WINDOW_PAGES (SIM_MAX_BUFFER / WINDOW_PAGE)

/* What is free is noted here, not in the memory itself, which the other side can write. */
struct window {
    int fd;
    uint8_t *base;
    uint32_t run[WINDOW_PAGES]; /* where a buffer begins: its pages; 0 elsewhere */
};

/* Sparse, sealed, mapped.  0, or -1 with errno and nothing left open. */
int window_open(struct window *w);
void window_close(struct window *w);

/* Zeroed, page-aligned.  NULL with ENOMEM when there is no such piece left. */
void *window_alloc(struct window *w, size_t size);
/* Aborts when it is not one of ours: that is a programming error. */
void window_release(struct window *w, void *buffer);

#pragma GCC visibility pop

#endif /* XC_SIM_WINDOW_H */
