/* SPDX-License-Identifier: MIT */
/*
 * A simulated host: its machine switched on, its hypervisor booted, its guests making steps.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <sim/machine.h>

#include <xen/errno.h>

#define SLICE_NS 1000000u

/* The host's own chance: splitmix64. */
static uint64_t next_chance(struct sim_host *h)
{
    uint64_t z = (h->rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* The last line on the console: why it did not boot. */
static void last_line(const struct sim_console *c, char *line, size_t size)
{
    uint64_t end = c->written ? c->written - 1 : 0, begin = end;

    while (begin && c->text[(begin - 1) % c->size] != '\n' && end - begin < size - 1)
        begin--;
    for (uint64_t i = begin; i < end; i++)
        line[i - begin] = c->text[i % c->size];
    line[end - begin] = '\0';
}

int sim_host_boot(struct sim_host *h, const struct sim_machine_file *m, const struct sim_boot *boot,
                  char *why, size_t why_size)
{
    int rc;

    memset(h, 0, sizeof(*h));
    h->platform.model = m->model;
    h->seed = h->rng = boot->seed;
    h->slice = SLICE_NS;
    if (sim_platform_init(&h->platform, boot->nr_pcpus ? boot->nr_pcpus : m->nr_pcpus,
                          (boot->memory_mib ? boot->memory_mib : m->memory_mib) << 8)) {
        (void)snprintf(why, why_size, "%s: the machine cannot be had: %s", m->name,
                       strerror(errno));
        return -1;
    }
    h->platform.console.line = boot->line;
    h->platform.console.opaque = boot->opaque;
    rc = hypervisor_boot(&h->hv, &h->platform, boot->cmdline ? boot->cmdline : "");
    if (!rc)
        return 0;
    last_line(&h->platform.console, why, why_size);
    if (!*why)
        (void)snprintf(why, why_size, "%s: the hypervisor does not boot", m->name);
    sim_platform_fini(&h->platform);
    errno = rc == -XEN_ENOMEM ? ENOMEM : EINVAL;
    return -1;
}

void sim_host_halt(struct sim_host *h)
{
    hypervisor_shutdown(&h->hv);
    sim_platform_fini(&h->platform);
}

/* All pCPUs have had their turn: time moves on.  False: nothing will ever happen again. */
static bool end_round(struct sim_host *h)
{
    uint64_t wakeup = sched_next_wakeup(&h->hv);
    bool idle = h->idle_pcpus == h->hv.nr_pcpus;

    h->idle_pcpus = 0;
    h->next_pcpu = 0;
    if (idle && !wakeup)
        return false;
    if (idle && wakeup > h->platform.now)
        h->platform.now = wakeup;
    else
        h->platform.now += h->round_ns ? h->round_ns : 1;
    h->round_ns = 0;
    /* Interrupts and cache misses make slices unequal: between a half and one and a half. */
    h->hv.slice = h->slice / 2 + next_chance(h) % (h->slice + 1);
    return true;
}

uint64_t sim_host_run(struct sim_host *h, uint64_t n)
{
    uint64_t made = 0;

    while (made < n) {
        struct vcpu *v;
        uint64_t ns;

        if (h->next_pcpu >= h->hv.nr_pcpus && !end_round(h))
            break;
        v = schedule(&h->hv, h->next_pcpu);
        if (v->domain->idle) {
            h->idle_pcpus++;
        } else {
            sim_guest_step(&h->hv, h->next_pcpu, v, &ns);
            ns += next_chance(h) % (ns / 4 + 1);
            h->round_ns = ns > h->round_ns ? ns : h->round_ns;
            h->steps++;
            made++;
        }
        h->next_pcpu++;
    }
    return made;
}
