/* SPDX-License-Identifier: MIT */
/*
 * A saved domain as xl keeps it: xl's header with what the domain is, libxl's layer, and in it
 * libxc's stream (docs/specs/libxc-migration-stream.pandoc).
 */
#ifndef XL_SIM_IMAGE_H
#define XL_SIM_IMAGE_H

#include "xc.h"
#include "xc_sr.h"

/* What has to be known to make the domain again. */
struct image_config {
    char *name; /* malloc'ed */
    enum xc_domain_type type;
    bool hap;
    uint32_t vcpus;
    uint64_t memory_kib;
};

/* Of a domain that is there.  -1 after a message. */
int image_config_of(xc_handle *xch, uint32_t domid, struct image_config *c);
void image_config_free(struct image_config *c);

/* All in front of libxc's stream, and all behind it.  -1 after a message. */
int image_write_head(int fd, const struct image_config *c);
int image_write_tail(int fd);
int image_read_head(int fd, const char *what, struct image_config *c);
int image_read_tail(int fd, const char *what);

/*
 * Make the domain and fill it from fd, which stands at the image's beginning.  It is left paused,
 * with its name.  STATUS_NO: this host cannot give it its CPU (said by name); STATUS_TROUBLE after
 * a message.  Then nothing is left of it.
 */
int image_restore(xc_handle *xch, int fd, const char *what, bool unverified, uint32_t *domid,
                  struct image_config *c, struct xc_restore_result *result);

/* Exactly so many octets; -1 with errno, 0 at the end of the file = EPIPE. */
int write_all(int fd, const void *buf, size_t size);
int read_all(int fd, void *buf, size_t size);

/* For xc_domain_save: suspend by hypercall; a line of progress on a terminal. */
struct save_view {
    xc_handle *xch;
    uint32_t domid;
    bool show;
};
int view_suspend(void *data);
int view_progress(void *data, const struct xc_sr_stats *stats);
void view_end(const struct save_view *v);

#endif /* XL_SIM_IMAGE_H */
