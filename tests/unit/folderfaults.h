/* SPDX-License-Identifier: MIT */
/*
 * System calls of a folder's store that end the process or fail, one of them at a time; by the
 * linker's --wrap.  fsync() never reaches a disk here: what a test sees does not depend on it.
 */
#ifndef TESTS_UNIT_FOLDERFAULTS_H
#define TESTS_UNIT_FOLDERFAULTS_H

#include <stdbool.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_KILL,      /* the process ends in place of the call */
    FAULT_KILL_HALF, /* a write writes half and the process ends; else as FAULT_KILL */
    FAULT_ERROR,     /* the call does nothing and fails */
    FAULT_SHORT,     /* a write writes half, and the next one fails; else as FAULT_ERROR */
    FAULT_ANSWER,    /* rename, unlink and mkdir happen, and fail all the same; others as usual */
};

/* Do it at the at-th call from now (1: the next); at 0: only count.  `err`: for those that fail. */
void folder_fault(enum fault_kind kind, unsigned int at, int err);
/* Return how many calls there were since; nothing fails any more. */
unsigned int folder_fault_end(void);
/* Was the call made that had to fail? */
bool folder_fault_hit(void);

/* Return the calls since folder_fault() that a power cut asks after, in their order: 's' for fsync,
 * 'r' for rename. */
const char *folder_fault_order(void);

#define FAULT_STATUS 77 /* of a process that was ended */

#endif /* TESTS_UNIT_FOLDERFAULTS_H */
