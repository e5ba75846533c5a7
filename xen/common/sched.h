/* SPDX-License-Identifier: MIT */
/* What the scheduler's own sources share. */
#ifndef COMMON_SCHED_H
#define COMMON_SCHED_H

#include <hypervisor.h>

/* Room for this many timers: as many as there are vCPUs, so that setting one cannot fail. */
int timer_reserve(struct hypervisor *hv, uint32_t n);
/* when == 0: none.  Sets v->wake_time. */
void timer_set(struct vcpu *v, uint64_t when);
void timer_clear(struct vcpu *v);

#endif /* COMMON_SCHED_H */
