/* SPDX-License-Identifier: MIT */
/* The scheduler: who runs where, for how long, and that nobody is lost or run twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <xen/errno.h>
#include <xen/sched.h>

#include "core.h"

#define CPU      "intel-cascadelake-sp"
#define SLICE(c) ((c)->hv.slice)

static struct core *boot(unsigned int nr_pcpus)
{
    return core_boot(CPU, nr_pcpus, 1024, "");
}

static struct vcpu *started(struct core *c)
{
    struct domain *d = core_domain(c, 0, 1, 0);

    core_start(c, d);
    return d->vcpus[0];
}

static struct vcpu *idle(struct core *c, unsigned int pcpu)
{
    return c->hv.pcpus[pcpu].idle;
}

/* What must hold at every moment. */
static void check(struct core *c)
{
    struct hypervisor *hv = &c->hv;
    uint32_t timers = 0, queued = 0, counted = 0;

    for (unsigned int i = 0; i < hv->nr_pcpus; i++) {
        struct pcpu *p = &hv->pcpus[i];
        struct vcpu *prev = NULL;
        uint32_t n = 0;

        assert_non_null(p->current);
        assert_ptr_equal(p->current->pcpu, p);
        assert_int_equal(p->current->running, p->online);
        for (struct vcpu *v = p->head; v; prev = v, v = v->next, n++) {
            assert_ptr_equal(v->prev, prev);
            assert_true(v->queued && v->pcpu == p && p->online);
        }
        assert_ptr_equal(p->tail, prev);
        assert_int_equal(n, p->nr_queued);
        counted += n;
    }
    for (struct domain *d = hv->domains; d; d = d->next)
        for (uint32_t i = 0; i < d->max_vcpus; i++) {
            struct vcpu *v = d->vcpus[i];

            if (!v)
                continue;
            assert_false(v->running && v->queued);
            assert_int_equal(v->running || v->queued, vcpu_runnable(v) || v->running);
            if (v->running)
                assert_ptr_equal(v->pcpu->current, v);
            queued += v->queued;
            timers += v->timer != 0;
            if (v->timer)
                assert_ptr_equal(hv->timers[v->timer - 1], v);
            assert_int_equal(v->timer != 0, v->wake_time != 0);
        }
    assert_int_equal(queued, counted);
    assert_int_equal(timers, hv->nr_timers);
    for (uint32_t i = 1; i < hv->nr_timers; i++)
        assert_true(hv->timers[(i + 1) / 2 - 1]->wake_time <= hv->timers[i]->wake_time);
}

static void nothing_to_do(void **state)
{
    struct core *c = boot(2);

    (void)state;
    assert_ptr_equal(schedule(&c->hv, 0), idle(c, 0));
    assert_ptr_equal(schedule(&c->hv, 1), idle(c, 1));
    c->platform.now += 5000;
    assert_int_equal(vcpu_cpu_time(idle(c, 0)), 5000);
    check(c);
    core_halt(c);
}

static void round_robin(void **state)
{
    struct core *c = boot(1);
    struct vcpu *v[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        v[i] = started(c);
    for (int turn = 0; turn < 9; turn++) {
        assert_ptr_equal(schedule(&c->hv, 0), v[turn % 3]);
        c->platform.now += SLICE(c) - 1; /* not over yet */
        assert_ptr_equal(schedule(&c->hv, 0), v[turn % 3]);
        c->platform.now += 1;
        check(c);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(vcpu_cpu_time(v[i]), 3 * SLICE(c));
    core_halt(c);
}

static void alone_keeps_running(void **state)
{
    struct core *c = boot(1);
    struct vcpu *v = started(c);
    uint64_t switches;

    (void)state;
    assert_ptr_equal(schedule(&c->hv, 0), v);
    switches = c->hv.pcpus[0].context_switches;
    for (int i = 0; i < 10; i++) {
        c->platform.now += SLICE(c);
        assert_ptr_equal(schedule(&c->hv, 0), v);
    }
    assert_int_equal(c->hv.pcpus[0].context_switches, switches);
    assert_int_equal(vcpu_cpu_time(v), 10 * SLICE(c));
    core_halt(c);
}

/* Its slice ends now, if it runs. */
static void end_slice(struct vcpu *v)
{
    if (v->running)
        v->pcpu->slice_end = platform_now(v->domain->hv->platform);
}

static void slices_that_end_early(void **state)
{
    struct core *c = boot(1);
    struct vcpu *a = started(c), *b = started(c);

    (void)state;
    assert_ptr_equal(schedule(&c->hv, 0), a);
    c->platform.now += 10;
    end_slice(a);
    assert_ptr_equal(schedule(&c->hv, 0), b);
    end_slice(a); /* it does not run: nothing */
    assert_ptr_equal(schedule(&c->hv, 0), b);
    core_halt(c);
}

static void spread_and_stay(void **state)
{
    struct core *c = boot(4);
    struct vcpu *v[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        v[i] = started(c);
    for (unsigned int i = 0; i < 4; i++)
        assert_ptr_equal(schedule(&c->hv, i), v[i]);
    /* It goes back to where it was, though pCPU 0 is the first of the least loaded. */
    vcpu_block(v[0], 0);
    vcpu_block(v[3], 0);
    assert_ptr_equal(schedule(&c->hv, 0), idle(c, 0));
    assert_ptr_equal(schedule(&c->hv, 3), idle(c, 3));
    vcpu_wake(v[3]);
    assert_true(v[3]->queued && v[3]->pcpu->id == 3);
    assert_ptr_equal(schedule(&c->hv, 3), v[3]);
    check(c);
    core_halt(c);
}

static void idle_takes_from_the_busy(void **state)
{
    struct core *c = boot(2);
    struct vcpu *v[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        v[i] = started(c); /* 0 and 2 on pCPU 0; 1 and 3 on pCPU 1 */
    assert_ptr_equal(schedule(&c->hv, 0), v[0]);
    assert_ptr_equal(schedule(&c->hv, 1), v[1]);
    vcpu_block(v[1], 0);
    assert_ptr_equal(schedule(&c->hv, 1), v[3]);
    vcpu_block(v[3], 0);
    assert_ptr_equal(schedule(&c->hv, 1), v[2]);
    check(c);
    core_halt(c);
}

static void sleeping(void **state)
{
    struct core *c = boot(1);
    struct vcpu *a = started(c), *b = started(c);

    (void)state;
    assert_int_equal(sched_next_wakeup(&c->hv), 0);
    vcpu_block(a, 1000);
    vcpu_block(b, 500);
    assert_int_equal(sched_next_wakeup(&c->hv), 500);
    assert_ptr_equal(schedule(&c->hv, 0), idle(c, 0));
    c->platform.now = 499;
    assert_ptr_equal(schedule(&c->hv, 0), idle(c, 0));
    c->platform.now = 500;
    assert_ptr_equal(schedule(&c->hv, 0), b);
    assert_int_equal(sched_next_wakeup(&c->hv), 1000);
    vcpu_wake(a); /* before its time */
    assert_int_equal(sched_next_wakeup(&c->hv), 0);
    check(c);
    /* Whoever is blocked while it runs stays where it is until the next decision. */
    vcpu_block(b, 0);
    assert_true(b->running);
    assert_ptr_equal(schedule(&c->hv, 0), a);
    check(c);
    core_halt(c);
}

static void pausing(void **state)
{
    struct core *c = boot(2);
    struct vcpu *a = started(c), *b = started(c);

    (void)state;
    assert_ptr_equal(schedule(&c->hv, 0), a);
    assert_false(a->domain->pause_count);
    assert_int_equal(domain_pause(a->domain), 0);
    assert_int_equal(domain_pause(a->domain), 0);
    assert_false(a->running); /* at once, not at the next decision */
    assert_ptr_equal(c->hv.pcpus[0].current, idle(c, 0));
    assert_int_equal(domain_unpause(a->domain), 0);
    assert_false(a->queued);
    assert_int_equal(domain_unpause(a->domain), 0);
    assert_true(a->queued);
    assert_int_equal(domain_unpause(a->domain), -XEN_EINVAL);

    domain_shutdown(b->domain, SHUTDOWN_suspend);
    assert_false(b->queued || b->running);
    domain_shutdown(b->domain, SHUTDOWN_crash);
    assert_int_equal(b->domain->shutdown_reason, SHUTDOWN_suspend);
    domain_resume(b->domain);
    assert_true(b->queued);
    check(c);
    core_halt(c);
}

static void pcpus_go_and_come(void **state)
{
    struct core *c = boot(2);
    struct vcpu *v[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        v[i] = started(c);
    assert_ptr_equal(schedule(&c->hv, 0), v[0]);
    assert_ptr_equal(schedule(&c->hv, 1), v[1]);
    assert_int_equal(pcpu_offline(&c->hv, 0), -XEN_EBUSY);
    assert_int_equal(pcpu_offline(&c->hv, 2), -XEN_EINVAL);
    assert_int_equal(pcpu_online(&c->hv, 1), -XEN_EINVAL);
    assert_int_equal(pcpu_offline(&c->hv, 1), 0);
    check(c);
    assert_int_equal(pcpu_offline(&c->hv, 1), -XEN_EINVAL);
    assert_int_equal(c->hv.pcpus[0].nr_queued, 3);
    assert_ptr_equal(schedule(&c->hv, 1), idle(c, 1));
    assert_int_equal(pcpu_online(&c->hv, 1), 0);
    assert_ptr_equal(schedule(&c->hv, 1), v[2]);
    check(c);
    core_halt(c);
}

static void destroyed_while_running(void **state)
{
    struct core *c = boot(1);
    struct vcpu *a = started(c), *b = started(c);

    (void)state;
    assert_ptr_equal(schedule(&c->hv, 0), a);
    vcpu_block(b, 77);
    domain_destroy(a->domain);
    assert_ptr_equal(c->hv.pcpus[0].current, idle(c, 0));
    domain_destroy(b->domain);
    assert_int_equal(sched_next_wakeup(&c->hv), 0);
    check(c);
    core_halt(c);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* One random thing happens. */
static void disturb(struct core *c, struct vcpu *v, uint32_t r, uint32_t what)
{
    switch (what % 10) {
    case 0:
        vcpu_block(v, 0);
        break;
    case 1:
    case 2:
        vcpu_block(v, c->platform.now + 1 + r % (5 * SLICE(c)));
        break;
    case 3:
    case 4:
        vcpu_wake(v);
        break;
    case 5:
        (void)domain_pause(v->domain);
        break;
    case 6:
        if (v->domain->pause_count)
            (void)domain_unpause(v->domain);
        break;
    case 7:
        (void)pcpu_offline(&c->hv, r % c->hv.nr_pcpus);
        break;
    case 8:
        (void)pcpu_online(&c->hv, r % c->hv.nr_pcpus);
        break;
    default:
        end_slice(v);
        break;
    }
}

/* A history in numbers: equal seeds give equal ones. */
static uint64_t history(uint32_t seed)
{
    struct core *c = boot(1 + seed % 7);
    struct vcpu *v[40];
    uint64_t digest = seed, busy = 0, total = 0;

    for (int i = 0; i < 40; i++)
        v[i] = started(c);
    for (int step = 0; step < 400; step++) {
        unsigned int pcpu = next_random(&seed) % c->hv.nr_pcpus;
        const struct vcpu *now = schedule(&c->hv, pcpu);

        digest = (digest ^ now->domain->id ^ (uint64_t)pcpu << 32) * 0x100000001b3ull;
        c->platform.now += next_random(&seed) % (2 * SLICE(c));
        disturb(c, v[next_random(&seed) % 40], next_random(&seed), next_random(&seed));
        check(c);
    }
    /* Time is neither lost nor made: every pCPU was somebody's all along (or offline). */
    for (unsigned int i = 0; i < c->hv.nr_pcpus; i++) {
        (void)pcpu_online(&c->hv, i);
        busy += vcpu_cpu_time(idle(c, i));
    }
    for (int i = 0; i < 40; i++)
        total += vcpu_cpu_time(v[i]);
    assert_true(busy + total <= c->platform.now * c->hv.nr_pcpus);
    if (c->hv.nr_pcpus == 1)
        assert_int_equal(busy + total, c->platform.now);
    core_halt(c);
    return digest;
}

static void random_histories(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 30; seed++) {
        uint64_t first = history(seed);

        if (first != history(seed))
            fail_msg("seed %u: the same history ended differently", seed);
    }
}

/* 10,000 domains, nearly all asleep: a decision must not look at them. */
static void ten_thousand(void **state)
{
    struct core *c = core_boot(CPU, 4, 10000, ""); /* a frame is shared with each */
    uint32_t woken = 0;

    (void)state;
    for (int i = 0; i < 10000; i++)
        vcpu_block(started(c), 1 + (uint64_t)(i * 7919 % 10000));
    assert_int_equal(c->hv.nr_domains, 10001);
    assert_int_equal(c->hv.nr_timers, 10000);
    for (uint64_t now = 1; now <= 10000; now++) {
        struct vcpu *v;

        c->platform.now = now;
        v = schedule(&c->hv, (unsigned int)(now % 4));
        if (v->domain->idle)
            continue;
        assert_int_equal((v->domain->id - 1) * 7919 % 10000 + 1, now);
        woken++;
        vcpu_block(v, 0);
    }
    assert_int_equal(woken, 10000);
    core_halt(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(round_robin),
        cmocka_unit_test(alone_keeps_running),
        cmocka_unit_test(slices_that_end_early),
        cmocka_unit_test(spread_and_stay),
        cmocka_unit_test(idle_takes_from_the_busy),
        cmocka_unit_test(sleeping),
        cmocka_unit_test(pausing),
        cmocka_unit_test(pcpus_go_and_come),
        cmocka_unit_test(destroyed_while_running),
        cmocka_unit_test(random_histories),
        cmocka_unit_test(ten_thousand),
    };

    return cmocka_run_group_tests_name("core: scheduler", tests, NULL, NULL);
}
