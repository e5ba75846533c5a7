/* SPDX-License-Identifier: MIT */
/*
 * Save images of other toolstacks: what they put around a migration stream.
 *
 * libvirt's Xen driver: 16 bytes of magic, two 32-bit numbers (the header's version, the bytes of
 * the domain's XML) and 40 unused bytes; the XML; libxl's stream.  (struct libxlSavefileHeader of
 * its src/libxl/libxl_conf.h.)
 * XAPI: "XenSavedDomv2-\n", then records of a 64-bit type, a 64-bit length and so many bytes;
 * behind the header of the one that is libxc's (or libxl's) its stream follows, whatever length it
 * says. (xenopsd's suspend_image.ml.)
 */
#ifndef XC_SR_ENVELOPE_H
#define XC_SR_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xc_sr_head.h"

/* Where in a file the stream begins. */
struct xc_sr_envelope {
    const char *whose; /* "XAPI", "libvirt"; NULL: there is nothing around it */
    uint64_t offset;
    enum xc_sr_layer layer; /* what begins there */
};

/*
 * Look at the beginning of a regular file, whose position stays.  Returns 0 with *e: e->whose NULL
 * when the file is none of these; or -1 with errno EINVAL (or of read()) and why[size], when it is
 * one in which no stream can be found.
 */
int xc_sr_find_stream(int fd, struct xc_sr_envelope *e, char *why, size_t size);

#endif /* XC_SR_ENVELOPE_H */
