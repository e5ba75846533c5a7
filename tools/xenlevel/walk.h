/* SPDX-License-Identifier: MIT */
/*
 * A save image on disk, walked from its first byte to its last: headers and records of all three
 * layers (docs/specs/libxc-migration-stream).  Bodies are not read, and nothing is kept, so the
 * size of an image does not matter.
 */
#ifndef XENLEVEL_WALK_H
#define XENLEVEL_WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "xc_sr_head.h"

enum image_layer {
    IMAGE_XL,
    IMAGE_LIBXL,
    IMAGE_LIBXC,
    IMAGE_LAYERS,
};

/* A header, or a record with its own header, body and padding. */
struct image_item {
    enum image_layer layer;
    bool header;           /* of the layer: what follows up to the offsets does not apply */
    uint32_t record;       /* number, counted from 0 in its layer */
    uint32_t type, length; /* as in the record's header */
    uint32_t pages;        /* PAGE_DATA: entries */
    uint64_t offset, body, end;
};

struct image {
    const char *path;
    int fd;
    struct stat st;
    uint64_t size;
    enum xc_sr_layer format;
    const char *whose; /* toolstack that has put something around it ("XAPI"); NULL: none, or xl */
    uint64_t base;     /* where it begins then, else 0 */
    struct xc_sr_head *head; /* whole and valid once the image is open */

    int state; /* of the walk */
    uint64_t at;
    uint32_t next[IMAGE_LAYERS]; /* records' numbers */
    uint32_t run;                /* optional records that have come one behind the other */
    struct xc_sr_order order;    /* of libxc's records */
    uint32_t seen;               /* libxl's records: bits of xc_sr_libxl_records */
    bool in_checkpoint;
};

/* Open a file and read its head.  Returns 0; or -1 after a message, with nothing to close. */
int image_open(struct image *im, const char *path);
void image_close(struct image *im);

/* Go to the next item.  Returns 1 and *it; 0 at the end; -1 after a message.  What cannot be part
 * of a whole image is an error; contents are not judged (verify-stream does that). */
int image_next(struct image *im, struct image_item *it);
/* Go back to the beginning. */
void image_rewind(struct image *im);

/* Read len bytes at this offset.  Returns 0; or -1 after a message when not all are there. */
int image_read(const struct image *im, uint64_t offset, void *buf, size_t len);

/* Print a message with the place: "FILE: offset 40, record 0 (X86_CPUID_POLICY, type 0x11): ...".
 * `it` may be NULL.  Returns -1. */
int image_fault(const struct image *im, const struct image_item *it, uint64_t offset,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Return "xl", "libxl" or "libxc"; and a record's name. */
const char *image_layer_name(enum image_layer layer);
const char *image_record_name(const struct image_item *it);

#endif /* XENLEVEL_WALK_H */
