/* SPDX-License-Identifier: MIT */
/* The objects of a hypervisor that the live patch's code refers to.  Here the maxima can be
 * written, so this file does not see how the payload declares them. */
#include <stdint.h>

#include "layout-gen.h"

#define OBJECT(name) __attribute__((aligned(8))) uint8_t name[LAYOUT_SIZE]

OBJECT(test_pv_max);
OBJECT(test_hvm_max);
OBJECT(pv_def_cpu_policy);
OBJECT(hvm_def_cpu_policy);
extern const uint8_t pv_max_cpu_policy[LAYOUT_SIZE] __attribute__((alias("test_pv_max")));
extern const uint8_t hvm_max_cpu_policy[LAYOUT_SIZE] __attribute__((alias("test_hvm_max")));
