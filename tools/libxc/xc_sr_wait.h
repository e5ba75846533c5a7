/* SPDX-License-Identifier: MIT */
/*
 * Waiting for the other end of a stream.
 */
#ifndef XC_SR_WAIT_H
#define XC_SR_WAIT_H

#include "xc.h"

#pragma GCC visibility push(hidden)

/*
 * Waits until fd can be written (events: POLLOUT) or read (POLLIN), for at most `patience` ms; 0:
 * for ever.  Returns 0; or -1 with errno, logged: ETIMEDOUT when the time has passed.
 */
int sr_wait(xc_handle *xch, int fd, short events, unsigned int patience);

#pragma GCC visibility pop

#endif /* XC_SR_WAIT_H */
