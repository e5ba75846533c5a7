/* SPDX-License-Identifier: MIT */
/*
 * A saved domain as xl keeps it: xl's header with what the domain is, libxl's layer, and in it
 * libxc's stream (docs/specs/libxc-migration-stream.pandoc).
 */
#ifndef XL_SIM_IMAGE_H
#define XL_SIM_IMAGE_H

#include "xc.h"
#include "xc_sr.h"
#include "xc_sr_stream_format.h"

/* What has to be known to make the domain again. */
struct image_config {
    char *name; /* malloc'ed */
    enum xc_domain_type type;
    bool hap;
    uint32_t vcpus;
    uint64_t memory_kib;
    struct xc_sr_head_checksum sum; /* of the head that was written or read */
};

/* Find out what a domain of this host is.  0; or -1 after a message. */
int image_config_of(xc_handle *xch, uint32_t domid, struct image_config *c);
void image_config_free(struct image_config *c);

/* Where an image comes from. */
struct image_source {
    int fd;
    int patience;     /* ms that nothing may come; -1: for ever */
    const char *what; /* for messages: a file's name */
    bool unverified;  /* also one that does not say which CPU the domain was told about */
    bool show;        /* on a terminal: how far it is */
};

/*
 * Write and read what stands in front of libxc's stream (head) and behind it (tail).  Writing the
 * head fills c->sum; a tail with `summed` holds the checksum of that head.  patience: as
 * line_write()'s.  0; or -1 after a message.
 */
int image_write_head(int fd, int patience, struct image_config *c);
int image_write_tail(int fd, int patience, const struct image_config *summed);
int image_read_head(const struct image_source *from, struct image_config *c);
int image_read_tail(const struct image_source *from, const struct image_config *c);

#endif /* XL_SIM_IMAGE_H */
