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

/* `level`: what the PV guest has been given. */
void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e);
/* Another CPU that guests of that level may have, born elsewhere: its identity counts too. */
void enforcement_add_identity(const struct subject *host, const struct cpu_policy *level,
                              struct enforcement *e);
/* The guest has this policy and was born on `home`. */
void enforcement_of_move(const struct subject *home, const struct subject *host,
                         const struct cpu_policy *policy, struct enforcement *e);

/* Do programs read exactly the policy, and do not notice that they have moved?  What is not known
 * does not count as that. */
bool enforcement_is_exact(const struct enforcement *e);
/* Says what does not go without saying. */
void enforcement_print(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e);
/* Why --strict refuses; nothing when it does not. */
void enforcement_print_refusal(FILE *f, unsigned int indent, const struct subject *host,
                               const struct enforcement *e);
void enforcement_json(struct json *j, const char *key, const struct enforcement *e);

#define CMD_STRICT                                                                                 \
    {                                                                                              \
        's', "strict", NULL,                                                                       \
            "refuse PV guests whose programs do not read exactly the policy (status 1)"            \
    }

#endif /* XENLEVEL_ENFORCE_H */
