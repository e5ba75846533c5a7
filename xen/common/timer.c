/* SPDX-License-Identifier: MIT */
/*
 * vCPUs that wait for a time: a binary heap, so that ten thousand sleepers cost a decision of the
 * scheduler nothing, and a wake-up the logarithm of their number.
 */
#include "sched.h"

#include <xen/errno.h>

/* Equal times wake in the order of their ids: whatever happened before, the outcome is the same. */
static bool wakes_earlier(const struct vcpu *a, const struct vcpu *b)
{
    if (a->wake_time != b->wake_time)
        return a->wake_time < b->wake_time;
    if (a->domain->id != b->domain->id)
        return a->domain->id < b->domain->id;
    return a->id < b->id;
}

/* Heap places count from 1: the children of n are 2n and 2n + 1. */
static void place_at(struct hypervisor *hv, uint32_t n, struct vcpu *v)
{
    hv->timers[n - 1] = v;
    v->timer = n;
}

static void sift_up(struct hypervisor *hv, uint32_t n, struct vcpu *v)
{
    for (; n > 1 && wakes_earlier(v, hv->timers[n / 2 - 1]); n /= 2)
        place_at(hv, n, hv->timers[n / 2 - 1]);
    place_at(hv, n, v);
}

static void sift_down(struct hypervisor *hv, uint32_t n, struct vcpu *v)
{
    for (;;) {
        uint32_t child = 2 * n;

        if (child < hv->nr_timers && wakes_earlier(hv->timers[child], hv->timers[child - 1]))
            child++;
        if (child > hv->nr_timers || !wakes_earlier(hv->timers[child - 1], v))
            break;
        place_at(hv, n, hv->timers[child - 1]);
        n = child;
    }
    place_at(hv, n, v);
}

int timer_reserve(struct hypervisor *hv, uint32_t n)
{
    uint32_t room = hv->timers_room ? hv->timers_room : 64;
    struct vcpu **timers;

    if (n <= hv->timers_room)
        return 0;
    while (room < n)
        room *= 2;
    timers = platform_alloc(hv->platform, room * sizeof(struct vcpu *));
    if (!timers)
        return -XEN_ENOMEM;
    for (uint32_t i = 0; i < hv->nr_timers; i++)
        timers[i] = hv->timers[i];
    platform_free(hv->platform, hv->timers);
    hv->timers = timers;
    hv->timers_room = room;
    return 0;
}

void timer_set(struct vcpu *v, uint64_t when)
{
    struct hypervisor *hv = v->domain->hv;

    timer_clear(v);
    v->wake_time = when;
    if (when)
        sift_up(hv, ++hv->nr_timers, v);
}

void timer_clear(struct vcpu *v)
{
    struct hypervisor *hv = v->domain->hv;
    uint32_t n = v->timer;
    struct vcpu *last;

    v->timer = 0;
    v->wake_time = 0;
    if (!n)
        return;
    last = hv->timers[--hv->nr_timers];
    if (last == v)
        return;
    if (n > 1 && wakes_earlier(last, hv->timers[n / 2 - 1]))
        sift_up(hv, n, last);
    else
        sift_down(hv, n, last);
}
