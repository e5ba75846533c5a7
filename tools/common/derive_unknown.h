/* SPDX-License-Identifier: MIT */
/*
 * The policies of a host of which the raw policy is known in part: what Xen makes of what is known,
 * and which bits of that are not known (unknown.h).
 */
#ifndef COMMON_DERIVE_UNKNOWN_H
#define COMMON_DERIVE_UNKNOWN_H

#include <host-policy.h>

#include "unknown.h"

/*
 * Settle what the rest of a source, or a vendor's document, says of what the source leaves out:
 * there is no MSR 10A where 7.0.EDX[29] says that there is none; family and model say whether a
 * processor (not a virtual one) has CPUID faulting, and which bits of MSR 10A its design has.
 * *raw gains them and *mask loses them.  Returns the features and MSR bits taken from family and
 * model, as a sentence; malloc'ed; NULL where there are none.
 */
char *settle_unknown(struct cpu_policy *raw, struct cpu_policy *mask);

/* What was derived; not for the stack. */
struct derived {
    /* No feature that is unknown is set; but raw, policy 0, has the VMX or SVM that it is taken to
     * have, and its mask is what was passed. */
    struct cpu_policy policy[HOST_POLICIES], unknown[HOST_POLICIES];
    bool has_hvm, has_hap;
};

/*
 * Derive all policies of a host, as host_policies_derive() does.  A bit of a result is not known
 * where it differs between a CPU with none of the unknown bits and one with all of them, or one
 * of them more or less than either.  Where nobody knows whether there is VMX or SVM there is: a
 * host that runs no HVM guests is rare.
 */
void derive_unknown(const struct cpu_policy *raw, const struct cpu_policy *mask,
                    const struct host_options *options, struct derived *d);

/*
 * Find out what a source lacks of a whole CPU: leaf 1, leaves 7 and d where leaf 0 names them,
 * 80000000, and 80000001 and 80000008 where that names them.  Returns "leaf 7, leaf d, ...",
 * malloc'ed; NULL where it lacks none of them.
 */
char *find_missing_leaves(const struct cpu_policy *raw, const struct cpu_policy *mask);

#endif /* COMMON_DERIVE_UNKNOWN_H */
