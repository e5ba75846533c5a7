/* SPDX-License-Identifier: MIT */
/*
 * Can a host hold PV guests to a level, and what do their programs see there otherwise?
 *
 * HVM guests' CPUID is always intercepted.  A PV guest's kernel asks the hypervisor, but its
 * programs execute CPUID on the processor itself: what they see is the real CPU, unless CPUID can
 * be made to fault (everything is enforced then) or the word in question has a masking MSR.
 */
#ifndef XENLEVEL_ENFORCE_H
#define XENLEVEL_ENFORCE_H

#include <levelling-view.h>

#include "json.h"
#include "subject.h"

struct enforcement {
    bool known;                /* the host's levelling capabilities are */
    bool faulting;             /* all is enforced */
    struct featureset visible; /* beyond the level, and nothing hides them */
    struct featureset masked;  /* beyond the level, hidden by masks that must be switched */
    struct pv_change beyond;   /* everything that programs see beyond or short of the policy */
    const char *home;          /* where it comes from, when that is a host that is known; or NULL */
    struct pv_change move;     /* what changes for its programs on the way from there */
};

/* Fill *e for a PV guest on this host that has been given the CPU `level`. */
void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e);
/* Add the identity of another CPU that guests of the level may have, since they were born
 * elsewhere.
 */
void enforcement_add_identity(const struct subject *host, const struct cpu_policy *level,
                              struct enforcement *e);
/* Add what changes for the programs of a guest with this policy that comes from `home`. */
void enforcement_of_move(const struct subject *home, const struct subject *host,
                         const struct cpu_policy *policy, struct enforcement *e);

/* Return whether programs read exactly the policy and do not notice that they have moved.  False
 * when that is not known. */
bool enforcement_is_exact(const struct enforcement *e);
/* Print what programs see there beyond or short of the policy; nothing when that is nothing. */
void enforcement_print(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e);
/* Print why --strict refuses; nothing when it does not. */
void enforcement_print_refusal(FILE *f, unsigned int indent, const struct subject *host,
                               const struct enforcement *e);
/* Write the same as an object. */
void enforcement_json(struct json *j, const char *key, const struct enforcement *e);

/* Releases of clang-format break these lines differently. */
/* clang-format off */
#define CMD_STRICT {'s', "strict", NULL,                                                           \
                    "refuse PV guests whose programs do not read exactly the policy (status 1)"}
/* clang-format on */

#endif /* XENLEVEL_ENFORCE_H */
