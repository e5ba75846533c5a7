/* SPDX-License-Identifier: MIT */
/*
 * Does the program that libxl would start refuse a domain that this host cannot give its CPU?
 */
#ifndef XENLEVEL_REHEARSE_H
#define XENLEVEL_REHEARSE_H

#include <stddef.h>

#include "xc.h"

enum rehearsal {
    REHEARSAL_REFUSED, /* it refused, by name */
    REHEARSAL_PASSED,  /* it did not, or for another reason */
    REHEARSAL_UNKNOWN, /* it could not be tried */
};

/*
 * Start `program`, which must be the gate, as libxl starts its helper: with the head of a stream
 * whose domain was told of one feature more than this host can give.  There is no memory behind it,
 * and the domain that it names is the host's own, which nobody can give a CPU: nothing is created,
 * and nothing can be.  Writes to why[size] what came of it, in one sentence.
 */
enum rehearsal rehearse_refusal(xc_handle *xch, const char *program, char *why, size_t size);

#endif /* XENLEVEL_REHEARSE_H */
