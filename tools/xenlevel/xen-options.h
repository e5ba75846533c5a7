/* SPDX-License-Identifier: MIT */
/* Xen's command line as a user gives it. */
#ifndef XENLEVEL_XEN_OPTIONS_H
#define XENLEVEL_XEN_OPTIONS_H

#include <host-policy.h>

/*
 * Read a command line as that release of Xen does (418: 4.18), and warn once of every option in it
 * that changes no policy: what Xen does not know, what only other releases know, and what does not
 * matter to guests' CPUs.  0; -1 after a message when a value is wrong.
 */
int xen_options_read(struct host_options *options, unsigned int xen, const char *cmdline);

/*
 * Warn once of the options that were taken, and without which this CPU's policies would be the
 * same: tsx= where nothing switches transactions off, pku= on a CPU without it.  `options` is what
 * was made of the command line.
 */
void xen_options_judge(const struct host_options *options, const char *cmdline,
                       const struct cpu_policy *raw, const struct cpu_policy *unknown);

#endif /* XENLEVEL_XEN_OPTIONS_H */
