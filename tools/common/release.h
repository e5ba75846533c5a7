/* SPDX-License-Identifier: MIT */
/*
 * Releases of Xen as people write them ("4.20"), and what they call a feature.
 */
#ifndef COMMON_RELEASE_H
#define COMMON_RELEASE_H

#include <stdbool.h>

#include <cpuid-policy/releases.h>

/* Read a release at the beginning of a text, as in "4.20.5-pre": major * 100 + minor, as in struct
 * host_options; 0 when there is none, or one of which nothing is known here. */
unsigned int release_of(const char *text);

/* Read what an option (`--xen`) was given into *xen.  0; or -1 after a message that names the
 * releases that are known. */
int release_option(const char *option, const char *text, unsigned int *xen);

/* Write "4.20" into buf. */
#define RELEASE_TEXT 12
const char *release_text(unsigned int xen, char buf[static RELEASE_TEXT]);

/*
 * Returns what libxl of that release calls a feature, as in cpuid="host,NAME=0"; and what the
 * hypervisor does, as in its command line's cpuid=no-NAME.  NULL: it has no name for it.
 */
const char *release_libxl_name(unsigned int xen, unsigned int feature);
const char *release_xen_name(unsigned int xen, unsigned int feature);

#endif /* COMMON_RELEASE_H */
