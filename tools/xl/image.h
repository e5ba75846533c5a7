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

/* Of a domain that is there.  -1 after a message. */
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

/* All in front of libxc's stream, and all behind it, with a checksum of what is in front when
 * `summed` says which head that was.  patience: as line_write()'s.  -1 after a message. */
int image_write_head(int fd, int patience, struct image_config *c);
int image_write_tail(int fd, int patience, const struct image_config *summed);
int image_read_head(const struct image_source *from, struct image_config *c);
int image_read_tail(const struct image_source *from, const struct image_config *c);

/* Behind the name of a domain that is not yet all there, and must not run. */
#define IMAGE_INCOMING "--incoming"

/*
 * Make the domain and fill it.  It is left paused, claimed (xl_claim), and called NAME--incoming.
 * STATUS_NO: this host cannot give it its CPU (said by name); STATUS_TROUBLE after a message.  Then
 * nothing is left of it.
 */
int image_restore(xc_handle *xch, const struct image_source *from, uint32_t *domid,
                  struct image_config *c, struct xc_restore_result *result);
/* Give it its own name: from now on it may run.  -1 after a message: another has it meanwhile. */
int image_take_name(xc_handle *xch, uint32_t domid, const struct image_config *c);

/* Frames of zeros without contents?  What XENLEVEL_ZERO_PAGES says, 1 or 0; or else this. */
bool image_zero_pages(bool otherwise);

/* For xc_domain_save: suspend by hypercall; a line of progress on a terminal. */
struct save_view {
    xc_handle *xch;
    uint32_t domid;
    uint64_t suspended; /* ns: when it was asked to stop */
    uint64_t shown;     /* ns: when the line was last written ... */
    unsigned int round; /* ... and about which round */
};
uint64_t view_now(void); /* ns of a clock that only goes on */
int view_suspend(void *data);
int view_progress(void *data, const struct xc_sr_stats *stats);

#endif /* XL_SIM_IMAGE_H */
