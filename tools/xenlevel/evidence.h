/* SPDX-License-Identifier: MIT */
/*
 * The state of a subject: of a domain from the hypervisor, of a save image from its records.
 */
#ifndef XENLEVEL_EVIDENCE_H
#define XENLEVEL_EVIDENCE_H

#include "subject.h"
#include "usage.h"
#include "xc_vcpu_state.h"

/* Is there a state that could be looked at?  Of policy files and hosts there is none. */
bool evidence_exists(const struct subject *s);

/*
 * Get the state, and find what was used of the CPU.  `arg` is what subject_open() was given.
 * Returns u, malloc'ed; or NULL after a message.
 */
struct usage *evidence_find(const struct subject *s, const char *arg);

#endif /* XENLEVEL_EVIDENCE_H */
