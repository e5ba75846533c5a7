/* SPDX-License-Identifier: MIT */
/*
 * What the state of a VM that one release of Xen writes holds, and another does not take.
 *
 * Xen takes the save records of older releases (it fills up with zeros), but not those of newer
 * ones: it says so after all of the memory has moved.  Here it is known before.
 */
#ifndef XC_RELEASE_H
#define XC_RELEASE_H

#include <stdbool.h>

/* A release of Xen, "4.17.7"; point -1: not known (the head of a stream has only the first two). */
struct xc_release {
    unsigned int major, minor;
    int point;
};

/*
 * Reads a release at the beginning of a text ("4.17.7", "4.20", "4.17.4-pre": the point before a
 * release is not known).  Returns whether there is one.
 */
bool xc_read_release(const char *text, struct xc_release *r);

/*
 * Says what stands in the way of an HVM or PVH guest saved by `from` on a host that runs `to`: a
 * static sentence about `from` ("it may write a LAPIC entry of 32 bytes"), or NULL when nothing is
 * known to.  Where the point release decides and is not known, it may: that is in the way as well.
 * PV guests have no such records.
 * Source: hvm/save.h in the public headers of Xen 4.17.7 to 4.22.0.
 */
const char *xc_release_obstacle(const struct xc_release *from, const struct xc_release *to);

#endif /* XC_RELEASE_H */
