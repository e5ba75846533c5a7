/* SPDX-License-Identifier: MIT */
/* A transport to a simulated host in the same process: hypercalls are calls. */
#ifndef TESTS_UNIT_INPROC_H
#define TESTS_UNIT_INPROC_H

#include <sim/machine.h>
#include <xc.h>

/* A handle on this host, which is not owned.  Its lines are kept for inproc_said(). */
xc_handle *inproc_open(struct sim_host *host);
void inproc_close(xc_handle *xch);

/* Make the n-th call of the transport from now on fail (a hypercall, an allocation, a mapping);
 * 0: none.  inproc_calls(): how many there were since. */
void inproc_fail_at(unsigned long n);
unsigned long inproc_calls(void);
/* What happens between these two, and within each call of the transport, is the host's doing, not
 * that of whom is tested.  They nest. */
void inproc_enter(void);
void inproc_leave(void);
bool inproc_inside(void);
/* Has any line that was logged since inproc_forget() this text? */
bool inproc_said(const char *text);
void inproc_forget(void);
const char *inproc_log(void);

#endif
