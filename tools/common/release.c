/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "release.h"
#include "util.h"
#include "xc_release.h"

unsigned int release_of(const char *text)
{
    struct xc_release r;

    if (!xc_read_release(text, &r) || r.minor > 99)
        return 0;
    return release_is_known(r.major * 100 + r.minor) ? r.major * 100 + r.minor : 0;
}

int release_option(const char *option, const char *text, unsigned int *xen)
{
    struct xc_release r;
    const char *rest = text + strspn(text, "0123456789.");
    bool numbers = !*rest || *rest == '-';

    *xen = numbers ? release_of(text) : 0;
    if (*xen)
        return 0;
    if (numbers && xc_read_release(text, &r))
        warn("%s: nothing is known of Xen %u.%u: it is one of " XEN_RELEASES_TEXT, option, r.major,
             r.minor);
    else
        warn("%s: '%s' is no release of Xen: it is one of " XEN_RELEASES_TEXT, option, text);
    return -1;
}

const char *release_text(unsigned int xen, char buf[static RELEASE_TEXT])
{
    (void)snprintf(buf, RELEASE_TEXT, "%u.%u", xen / 100 % 100, xen % 100);
    return buf;
}

const char *release_xen_name(unsigned int xen, unsigned int feature)
{
    return feature / 32 < FEATURESET_XEN_WORDS ? release_feature_name(xen, feature) : NULL;
}

const char *release_libxl_name(unsigned int xen, unsigned int feature)
{
    const char *name = release_xen_name(xen, feature);

    /* To libxl `clflush` is the size of a line; its name for the feature is another. */
    return name && !strcmp(name, "clflush") ? "clfsh" : name;
}
