/* SPDX-License-Identifier: MIT */
/* What a named level's machines share today: the derivation that its file says it comes from. */
#ifndef TESTS_UNIT_DERIVE_LEVEL_H
#define TESTS_UNIT_DERIVE_LEVEL_H

#include "named.h"

/* Call visit() for each default policy of each machine under each release that the level names.
 * type: NAMED_PV or NAMED_HVM.  Ends the program with a message when one cannot be read. */
void derive_each(const struct named_level *l, unsigned int type,
                 void (*visit)(const char *machine, unsigned int xen, const struct cpu_policy *p,
                               void *arg),
                 void *arg);
/* Write what all of them offer by default, of that which a named level decides. */
void derive_features(const struct named_level *l, unsigned int type, struct featureset *fs);

#endif
