/* SPDX-License-Identifier: MIT */
/*
 * The CPU of a domain that is being built.
 */
#ifndef XL_SIM_CPU_H
#define XL_SIM_CPU_H

#include "config.h"

/* Give a domain the CPU that its configuration's cpu_policy and topology ask for; nothing happens
 * when it has neither.  0; or -1 after a message. */
int give_cpu(xc_handle *xch, uint32_t domid, const struct guest_config *c);

#endif /* XL_SIM_CPU_H */
