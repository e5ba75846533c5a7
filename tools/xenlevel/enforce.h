/* SPDX-License-Identifier: MIT */
/*
 * Can a host hold PV guests to a level?
 *
 * HVM guests' CPUID is always intercepted.  A PV guest's kernel asks the hypervisor, but its
 * programs execute CPUID on the processor itself: what they see is the real CPU, unless CPUID can
 * be made to fault (everything is enforced then) or the word in question has a masking MSR.
 */
#ifndef XENLEVEL_ENFORCE_H
#define XENLEVEL_ENFORCE_H

#include "json.h"
#include "subject.h"

struct enforcement {
    bool known;                /* the host's levelling capabilities are */
    bool faulting;             /* all is enforced */
    struct featureset visible; /* beyond the level, and nothing hides them */
    struct featureset masked;  /* beyond the level, hidden by masks that must be switched */
};

/* `level`: what the PV guest has been given. */
void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e);
/* Says what does not go without saying. */
void enforcement_print(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e);
void enforcement_json(struct json *j, const char *key, const struct enforcement *e);

#endif /* XENLEVEL_ENFORCE_H */
