/* SPDX-License-Identifier: MIT */
/*
 * Is a page of zeros?  Most are told apart by their first words; where the memory is a file, a page
 * that was never written is not looked at, since looking would make it exist.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "xc_sr_private.h"

bool sr_page_is_zero(const void *page)
{
    const uint8_t *bytes = page;

    /* The first is zero, and each is like the one before. */
    return !bytes[0] && !memcmp(bytes, bytes + 1, PAGE_SIZE - 1);
}

/* Which piece of the file is `at` in, and is it a hole?  lseek() moves the file's position, which
 * nobody uses. */
static void find_piece(struct sr_zero *z, int file, off_t at)
{
    off_t data = lseek(file, at, SEEK_DATA), end;

    *z = (struct sr_zero){.file = file, .from = at, .to = at + (off_t)PAGE_SIZE};
    if (data < 0 && errno != ENXIO)
        return; /* it does not say: it is looked at */
    z->hole = data != at;
    end = z->hole ? data : lseek(file, at, SEEK_HOLE);
    if (end > at)
        z->to = end;
}

bool sr_zero_find(struct sr_zero *z, xc_handle *xch, const void *page)
{
    off_t at;
    int file = xch->ops->file ? xch->ops->file(xch->state, page, &at) : -1;

    if (file < 0)
        return sr_page_is_zero(page);
    if (file != z->file || at < z->from || at >= z->to)
        find_piece(z, file, at);
    return z->hole || sr_page_is_zero(page);
}
