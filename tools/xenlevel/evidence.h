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

/* Read the state that is in an image; *s begins with zeros, and is to be freed in any case. Returns
 * 0; or -1 after a message. */
int evidence_read_image(const char *path, struct xc_domain_state *s);

/* What is asked for when it is first needed, and once. */
struct evidence {
    const char *arg; /* what subject_open() was given; NULL: there is none */
    bool asked;
    struct usage *usage;
};

/* Return it; NULL: there is none, or it cannot be had, after a message.  free(e->usage). */
const struct usage *evidence_get(struct evidence *e, const struct subject *s);

/* Return usage_line() of a domain that has this CPU; NULL, with nothing said, where its registers
 * cannot be had. */
char *evidence_domain_line(xc_handle *xch, const struct xc_domain_info *info,
                           const struct cpu_policy *p);

#endif /* XENLEVEL_EVIDENCE_H */
