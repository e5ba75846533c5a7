/* SPDX-License-Identifier: MIT */
/*
 * Memory that is shared with a simulated host.  Whole pages, first fit: there are few buffers at a
 * time, and a buffer that ends with its page cannot be overrun into another one's bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xc_sim_window.h"

/* The host insists on F_SEAL_SHRINK: or else its reads could fault. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int window_open(struct window *w)
{
    int err;

    memset(w, 0, sizeof(*w));
    w->fd = memfd_create("xenlevel-hypercall-buffers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (w->fd < 0)
        return -1;
    if (!ftruncate(w->fd, SIM_MAX_BUFFER) && !fcntl(w->fd, F_ADD_SEALS, SEALS)) {
        w->base = mmap(NULL, SIM_MAX_BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
        if (w->base != MAP_FAILED)
            return 0;
    }
    err = errno;
    (void)close(w->fd);
    errno = err;
    return -1;
}

void window_close(struct window *w)
{
    (void)munmap(w->base, SIM_MAX_BUFFER);
    (void)close(w->fd);
}

void *window_alloc(struct window *w, size_t size)
{
    size_t pages = size / WINDOW_PAGE + (size % WINDOW_PAGE != 0), free_pages = 0;

    if (!pages)
        pages = 1;
    for (size_t at = 0; at < WINDOW_PAGES;) {
        if (w->run[at]) {
            at += w->run[at];
            free_pages = 0;
            continue;
        }
        at++;
        if (++free_pages == pages) {
            uint8_t *buffer = w->base + (at - pages) * WINDOW_PAGE;

            w->run[at - pages] = (uint32_t)pages;
            memset(buffer, 0, pages * WINDOW_PAGE);
            return buffer;
        }
    }
    errno = ENOMEM;
    return NULL;
}

void window_release(struct window *w, void *buffer)
{
    size_t offset = (size_t)((uint8_t *)buffer - w->base);

    if (!buffer)
        return;
    if (offset >= SIM_MAX_BUFFER || offset % WINDOW_PAGE || !w->run[offset / WINDOW_PAGE])
        abort();
    w->run[offset / WINDOW_PAGE] = 0;
}
