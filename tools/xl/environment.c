/* SPDX-License-Identifier: MIT */
/* What the environment says to xl-sim: see environment.h. */
#include "environment.h"

#include <stdlib.h>

bool environment_zero_pages(bool otherwise)
{
    const char *value =
        getenv("XENLEVEL_ZERO_PAGES"); /* NOLINT(concurrency-mt-unsafe): one thread */

    return value && (value[0] == '0' || value[0] == '1') ? value[0] == '1' : otherwise;
}
