/* SPDX-License-Identifier: MIT */
/*
 * What the environment says to xl-sim (besides XENLEVEL_HOST: xl_socket()).
 */
#ifndef XL_SIM_ENVIRONMENT_H
#define XL_SIM_ENVIRONMENT_H

#include <stdbool.h>

/* Return whether frames of zeros are sent without their contents: as XENLEVEL_ZERO_PAGES says, 1 or
 * 0; else `otherwise`. */
bool environment_zero_pages(bool otherwise);

#endif /* XL_SIM_ENVIRONMENT_H */
