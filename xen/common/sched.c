/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: a run queue for each pCPU, round robin with time slices.
 *
 * A vCPU is in exactly one of these states: running (some pCPU's `current`), queued (in some pCPU's
 * run queue, and runnable), or neither (it cannot run).  Who becomes runnable goes to where it ran
 * last unless another pCPU has less to do; a pCPU that has nothing takes from the longest queue.
 * Every choice is made by numbers, never by addresses: equal histories give equal futures.
 */
#include "sched.h"

#include <xen/errno.h>

bool vcpu_runnable(const struct vcpu *v)
{
    const struct domain *d = v->domain;

    return v->online && !v->blocked && !d->pause_count && !d->dying && !d->shutdown;
}

static bool is_idle(const struct vcpu *v)
{
    return v->domain->idle;
}

/* ---- run queues ---- */

static void queue_tail(struct pcpu *p, struct vcpu *v)
{
    v->pcpu = p;
    v->queued = true;
    v->next = NULL;
    v->prev = p->tail;
    if (p->tail)
        p->tail->next = v;
    else
        p->head = v;
    p->tail = v;
    p->nr_queued++;
}

static void leave_queue(struct vcpu *v)
{
    struct pcpu *p = v->pcpu;

    if (v->prev)
        v->prev->next = v->next;
    else
        p->head = v->next;
    if (v->next)
        v->next->prev = v->prev;
    else
        p->tail = v->prev;
    v->next = v->prev = NULL;
    v->queued = false;
    p->nr_queued--;
}

static uint32_t load_of(const struct pcpu *p)
{
    return p->nr_queued + !is_idle(p->current);
}

/* Where a vCPU that has become runnable waits: bounded by PLATFORM_MAX_PCPUS, not by the vCPUs. */
static struct pcpu *choose_pcpu(struct hypervisor *hv, const struct vcpu *v)
{
    struct pcpu *best = v->pcpu && v->pcpu->online ? v->pcpu : NULL;

    for (unsigned int i = 0; i < hv->nr_pcpus; i++) {
        struct pcpu *p = &hv->pcpus[i];

        if (p->online && (!best || load_of(p) < load_of(best)))
            best = p;
    }
    return best; /* pCPU 0 is always online */
}

/* After any change: queued exactly when it can run and does not. */
static void update_queue(struct vcpu *v)
{
    bool wanted = vcpu_runnable(v) && !v->running;

    if (wanted && !v->queued)
        queue_tail(choose_pcpu(v->domain->hv, v), v);
    else if (!wanted && v->queued)
        leave_queue(v);
}

/* A vCPU for a pCPU that has none: the one that has waited longest where most are waiting. */
static struct vcpu *steal_vcpu(struct hypervisor *hv)
{
    struct pcpu *longest = NULL;

    for (unsigned int i = 0; i < hv->nr_pcpus; i++)
        if (hv->pcpus[i].nr_queued && (!longest || hv->pcpus[i].nr_queued > longest->nr_queued))
            longest = &hv->pcpus[i];
    return longest ? longest->head : NULL;
}

/* ---- switching ---- */

static void account_time(struct pcpu *p)
{
    uint64_t now = platform_now(p->hv->platform);

    p->current->cpu_time += now - p->last_switch;
    p->last_switch = now;
}

uint64_t vcpu_cpu_time(const struct vcpu *v)
{
    uint64_t time = v->cpu_time;

    if (v->running)
        time += platform_now(v->domain->hv->platform) - v->pcpu->last_switch;
    return time;
}

static void switch_to(struct pcpu *p, struct vcpu *next)
{
    struct vcpu *prev = p->current;

    account_time(p);
    p->slice_end = p->last_switch + p->hv->slice;
    if (prev == next)
        return;
    prev->running = false;
    next->running = true;
    next->pcpu = p;
    p->current = next;
    p->context_switches++;
    context_switch(p->hv, p->id, prev, next);
}

/* Off its pCPU at once; the idle vCPU runs there until the next decision. */
static void take_off(struct vcpu *v)
{
    struct pcpu *p = v->pcpu;

    if (!v->running || is_idle(v))
        return;
    switch_to(p, p->idle);
    p->slice_end = p->last_switch;
}

static void wake_due(struct hypervisor *hv, uint64_t now)
{
    while (hv->nr_timers && hv->timers[0]->wake_time <= now)
        vcpu_wake(hv->timers[0]);
}

struct vcpu *schedule(struct hypervisor *hv, unsigned int pcpu)
{
    struct pcpu *p = &hv->pcpus[pcpu];
    struct vcpu *prev = p->current, *next;
    uint64_t now = platform_now(hv->platform);
    bool stays;

    if (!p->online)
        return p->idle;
    wake_due(hv, now);
    stays = !is_idle(prev) && vcpu_runnable(prev);
    if (stays && (now < p->slice_end || !p->head)) {
        if (now >= p->slice_end)
            switch_to(p, prev); /* nobody waits: another slice */
        return prev;
    }
    next = p->head ? p->head : steal_vcpu(hv);
    if (next)
        leave_queue(next);
    else
        next = p->idle;
    switch_to(p, next);
    if (stays)
        queue_tail(p, prev);
    return next;
}

/* ---- changes of state ---- */

void vcpu_block(struct vcpu *v, uint64_t wake_time)
{
    v->blocked = true;
    timer_set(v, wake_time);
    update_queue(v);
}

void vcpu_wake(struct vcpu *v)
{
    v->blocked = false;
    timer_clear(v);
    update_queue(v);
}

void sched_domain_changed(struct domain *d)
{
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        struct vcpu *v = d->vcpus[i];

        if (!v)
            continue;
        if (!vcpu_runnable(v))
            take_off(v);
        update_queue(v);
    }
}

void sched_domain_stop(struct domain *d)
{
    for (uint32_t i = 0; i < d->max_vcpus; i++) {
        if (!d->vcpus[i])
            continue;
        take_off(d->vcpus[i]);
        update_queue(d->vcpus[i]);
    }
}

uint64_t sched_next_wakeup(const struct hypervisor *hv)
{
    return hv->nr_timers ? hv->timers[0]->wake_time : 0;
}

int sched_add_vcpu(struct vcpu *v)
{
    struct hypervisor *hv = v->domain->hv;

    if (timer_reserve(hv, hv->nr_vcpus + 1))
        return -XEN_ENOMEM;
    hv->nr_vcpus++;
    return 0;
}

void sched_remove_vcpu(struct vcpu *v)
{
    timer_clear(v);
    take_off(v);
    if (v->queued)
        leave_queue(v);
    v->domain->hv->nr_vcpus--;
}

/* ---- pCPUs ---- */

int pcpu_online(struct hypervisor *hv, unsigned int pcpu)
{
    struct pcpu *p;

    if (pcpu >= hv->nr_pcpus || hv->pcpus[pcpu].online)
        return -XEN_EINVAL;
    p = &hv->pcpus[pcpu];
    p->last_switch = p->slice_end = platform_now(hv->platform);
    p->current = p->idle;
    p->idle->running = true;
    p->online = true;
    p->cr4 = p->xcr0 = ~0ull; /* power-on: no value that a vCPU could have, so both are loaded */
    levelling_pcpu_online(hv, pcpu);
    return 0;
}

int pcpu_offline(struct hypervisor *hv, unsigned int pcpu)
{
    struct pcpu *p;
    struct vcpu *v;

    if (pcpu >= hv->nr_pcpus || !hv->pcpus[pcpu].online)
        return -XEN_EINVAL;
    if (pcpu == 0) /* it boots and shuts down, so it is also always the last one */
        return -XEN_EBUSY;
    p = &hv->pcpus[pcpu];
    p->online = false;
    v = p->current;
    take_off(v);
    if (!is_idle(v))
        update_queue(v);
    while ((v = p->head)) {
        leave_queue(v);
        update_queue(v);
    }
    account_time(p);
    p->idle->running = false;
    levelling_pcpu_restore(hv, pcpu);
    return 0;
}

int sched_init(struct hypervisor *hv)
{
    struct domain *idle = &hv->idle_domain;

    idle->hv = hv;
    idle->id = DOMID_IDLE_;
    idle->idle = true;
    idle->vcpus = platform_alloc(hv->platform, hv->nr_pcpus * sizeof(struct vcpu *));
    if (!idle->vcpus)
        return -XEN_ENOMEM;
    idle->max_vcpus = hv->nr_pcpus;
    for (unsigned int i = 0; i < hv->nr_pcpus; i++) {
        struct vcpu *v = platform_alloc(hv->platform, sizeof(*v));

        if (!v) {
            sched_fini(hv);
            return -XEN_ENOMEM;
        }
        v->domain = idle;
        v->id = i;
        v->pcpu = &hv->pcpus[i];
        idle->vcpus[i] = v;
        hv->pcpus[i] = (struct pcpu){.hv = hv, .id = i, .idle = v, .current = v};
    }
    return 0;
}

void sched_fini(struct hypervisor *hv)
{
    struct domain *idle = &hv->idle_domain;

    for (unsigned int i = 0; i < idle->max_vcpus; i++)
        platform_free(hv->platform, idle->vcpus[i]);
    platform_free(hv->platform, idle->vcpus);
    idle->vcpus = NULL;
    idle->max_vcpus = 0;
    platform_free(hv->platform, hv->timers);
    hv->timers = NULL;
    hv->timers_room = hv->nr_timers = 0;
}
