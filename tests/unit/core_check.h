/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_CORE_CHECK_H
#define TESTS_UNIT_CORE_CHECK_H

#include <hypervisor.h>

/* What holds in a hypervisor between any two hypercalls.  NULL, or what does not. */
const char *core_check(struct hypervisor *hv);

#endif
