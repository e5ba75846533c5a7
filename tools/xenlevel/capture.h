/* SPDX-License-Identifier: MIT */
/*
 * What a host is and can offer: asked of its hypervisor, or worked out from a CPUID dump.
 */
#ifndef XENLEVEL_CAPTURE_H
#define XENLEVEL_CAPTURE_H

#include "xlp.h"

/* This host.  name NULL: the host's own name.  NULL after a message when it cannot be asked. */
Xenlevel__File *capture_xen(xc_handle *xch, const char *name);

/*
 * A CPU of which there is a dump.  name NULL: the file's.  caps NULL: worked out when possible.
 * cmdline: the hypervisor's there, "" for none.
 * NULL after a message.
 */
Xenlevel__File *capture_dump(const char *path, const char *name, const uint32_t *caps,
                             const char *cmdline);

#endif /* XENLEVEL_CAPTURE_H */
