/* SPDX-License-Identifier: MIT */
/*
 * What releases of Xen make of the table: which bits they name, which they give to whom.  From the
 * public headers of the newest point release of each; rows SINCE, GUESTS, SPELLED of features.def.
 *
 * A release is one number here: major * 100 + minor, as in struct host_options.
 */
#ifndef CPUID_POLICY_RELEASES_H
#define CPUID_POLICY_RELEASES_H

#include <cpuid-policy/featureset.h>

/* The releases of the table: gen-features.py asserts that they are its own. */
enum {
    XEN_RELEASE_0 = 417,
    XEN_RELEASE_1 = 418,
    XEN_RELEASE_2 = 419,
    XEN_RELEASE_3 = 420,
    XEN_RELEASE_4 = 421,
    XEN_RELEASE_5 = 422,
    XEN_OLDEST = XEN_RELEASE_0,
    XEN_NEWEST = XEN_RELEASE_5,
    XEN_RELEASES = XEN_NEWEST - XEN_OLDEST + 1,
};
#define XEN_RELEASES_TEXT "4.17, 4.18, 4.19, 4.20, 4.21 and 4.22"

/* Is it one of the table's? */
bool release_is_known(unsigned int xen);

/*
 * Returns what a release names (mirrors with it), what its guests of a type may have, and what they
 * have by default: as its header says it, before any rule.  A release that is not known is taken
 * for the nearest that is.
 */
const struct featureset *release_names(unsigned int xen);
const struct featureset *release_guest_max(unsigned int xen, enum guest_type type);
const struct featureset *release_guest_default(unsigned int xen, enum guest_type type);

/* Returns how that release's header and libxl spell a feature; NULL when they have no name for it.
 */
const char *release_feature_name(unsigned int xen, unsigned int feature);

#endif /* CPUID_POLICY_RELEASES_H */
