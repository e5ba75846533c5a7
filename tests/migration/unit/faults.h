/* SPDX-License-Identifier: MIT */
/*
 * Allocations, reads and writes that fail when they are told to.  The program has to be linked with
 * -Wl,--wrap=FUNCTION for each function in faults.c; what the C library does inside itself is not
 * seen, and what a simulated host does (inproc.h) is not counted.
 */
#ifndef TESTS_UNIT_FAULTS_H
#define TESTS_UNIT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

enum fault_call {
    FAULT_ALLOC, /* malloc, calloc, realloc */
    FAULT_READ,  /* read, readv, splice into memory */
    FAULT_WRITE, /* write, writev, splice out of it */
    FAULT_HOST,  /* a call of the transport: hypercall, buffer, mapping; it chooses errno itself */
    FAULT_CALLS,
};

struct fault {
    enum fault_call call;
    int err;      /* it returns -1 with this; 0: ... */
    size_t bytes; /* ... it does no more than so many bytes.  A read of 0: the file has ended */
};

/* Count from now on, and let the at-th call of that kind fail; UINT_MAX: each one, 0: none. */
void faults_arm(const struct fault *fault, unsigned int at);
/* No more.  How many calls of that kind there were. */
unsigned int faults_disarm(void);
/* How many bytes were asked for while allocations were counted. */
size_t faults_allocated(void);

#endif
