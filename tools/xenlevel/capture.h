/* SPDX-License-Identifier: MIT */
/*
 * What a host is and can offer: asked of its hypervisor, or worked out from a CPUID dump.
 */
#ifndef XENLEVEL_CAPTURE_H
#define XENLEVEL_CAPTURE_H

#include "forms.h"
#include "xlp.h"

/* Ask the hypervisor behind xch what this host can offer.  name NULL: the host's own name.  Returns
 * NULL after a message when it cannot be asked. */
Xenlevel__File *capture_xen(xc_handle *xch, const char *name);

/*
 * What a host offers by a file that somebody has of it, in any form (forms.h): its policies, or
 * what they are worked out from.  name NULL: the file's.  caps NULL: they are worked out where
 * possible.  cmdline: of the hypervisor there, "" for what the file says of it, if anything; xen:
 * its release, as in struct host_options, 0 for the file's (where that says none, 4.17's rules are
 * followed).  A dump that cannot be a whole CPU is taken with `partial` alone.  What it does not
 * say and nothing settles is not known of the policies; one warning names it.  Returns NULL after a
 * message.
 */
Xenlevel__File *capture_dump(const char *path, const char *name, const uint32_t *caps,
                             const char *cmdline, unsigned int xen, bool partial);
/* Do the same with a form that was read from there. */
Xenlevel__File *capture_form(const char *path, struct form *f, const char *name,
                             const uint32_t *caps, const char *cmdline, unsigned int xen,
                             bool partial);

/* Return what a file of that path is called: its name without folders and usual endings; malloc'ed.
 */
char *capture_name(const char *path);

#endif /* XENLEVEL_CAPTURE_H */
