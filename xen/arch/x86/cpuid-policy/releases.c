/* SPDX-License-Identifier: MIT */
/* Questions to what features.def says of releases of Xen. */
#include <cpuid-policy/releases.h>

#include "features-gen.h"

/* Made by gen-features.py. */
extern const struct featureset release_named[XEN_RELEASES];
extern const struct featureset release_guest_maxima[XEN_RELEASES][GUEST_TYPES];
extern const struct featureset release_guest_defaults[XEN_RELEASES][GUEST_TYPES];

bool release_is_known(unsigned int xen)
{
    return xen >= XEN_OLDEST && xen <= XEN_NEWEST;
}

static unsigned int find_nearest(unsigned int xen)
{
    if (xen < XEN_OLDEST)
        return 0;
    return xen > XEN_NEWEST ? XEN_RELEASES - 1 : xen - XEN_OLDEST;
}

const struct featureset *release_names(unsigned int xen)
{
    return &release_named[find_nearest(xen)];
}

const struct featureset *release_guest_max(unsigned int xen, enum guest_type type)
{
    return &release_guest_maxima[find_nearest(xen)][type];
}

const struct featureset *release_guest_default(unsigned int xen, enum guest_type type)
{
    return &release_guest_defaults[find_nearest(xen)][type];
}

const char *release_feature_name(unsigned int xen, unsigned int feature)
{
    if (!featureset_test(release_names(xen), feature))
        return NULL;
    for (unsigned int i = 0; i < NR_FEATURE_SPELLINGS; i++)
        if (feature_spellings[i].feature == feature && feature_spellings[i].since <= xen)
            return feature_spellings[i].name;
    return feature_info(feature)->name;
}
