/* SPDX-License-Identifier: MIT */
/*
 * What is in a save image, to look at.
 */
#ifndef XENLEVEL_STREAM_SHOW_H
#define XENLEVEL_STREAM_SHOW_H

#include "walk.h"

struct tally {
    uint64_t count, bytes, first; /* first: the offset of the first one */
};

#define NR_LIBXC_TYPES XC_SR_TYPES
#define NR_LIBXL_TYPES XC_SR_LIBXL_TYPES

/* One walk through all of it. */
struct image_summary {
    struct tally libxc[NR_LIBXC_TYPES], libxl[NR_LIBXL_TYPES];
    struct tally checksum, optional[IMAGE_LAYERS]; /* optional: others */
    uint64_t pages;                                /* entries of PAGE_DATA */
};

/* Walk through the image and count.  Returns 0; or -1 after a message: the image is not whole. */
int image_summarise(struct image *im, struct image_summary *sum);

/* Print what is in the image, and with `records` every record.  Returns a status. */
int stream_show(struct image *im, bool records, bool as_json);

#endif /* XENLEVEL_STREAM_SHOW_H */
