/* SPDX-License-Identifier: MIT */
/* Simulated hosts in numbers: guest steps a second, and ten thousand domains on one host. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sim/machine.h>

#include "bench.h"

#define MANY 10000u

static struct sim_host host;
static struct sim_machine_file machine;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_sim: %s\n", what);
    exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static void boot(unsigned int pcpus, uint64_t mib)
{
    const struct sim_boot how = {.nr_pcpus = pcpus, .memory_mib = mib, .seed = 1};
    char why[256];

    if (sim_machine_load(MACHINES "/intel-cascadelake-sp.ini", &machine, why, sizeof(why)) ||
        sim_host_boot(&host, &machine, &how, why, sizeof(why)))
        die(why);
}

static struct domain *create(uint32_t script, uint64_t pages)
{
    const struct xen_domctl_createdomain config = {.flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap,
                                                   .max_vcpus = 1};
    struct sim_guest_page page = {.magic = SIM_GUEST_MAGIC,
                                  .script = script,
                                  .nr_vcpus = 1,
                                  .seed = 7,
                                  .first_gfn = SIM_GUEST_GFN + 2,
                                  .nr_gfns = pages - SIM_GUEST_GFN - 2,
                                  .pages_per_second = 50000};
    struct domain *d;

    if (domain_create(&host.hv, DOMID_INVALID, &config, &d) || vcpu_create(d, 0))
        die("no domain");
    d->memory.max_pages = pages;
    for (uint64_t gfn = SIM_GUEST_GFN; gfn < pages; gfn++)
        if (memory_populate(d, gfn))
            die("no memory");
    if (memory_write(d, SIM_GUEST_GFN << 12, &page, sizeof(page)))
        die("no page for the guest");
    d->vcpus[0]->regs.rip = SIM_GUEST_GFN << 12;
    d->vcpus[0]->online = true;
    return d;
}

/* Steps a second of real time, over at least a third of one. */
static double steps_per_second(void)
{
    double begun = bench_now(), now = begun;
    uint64_t n = 0;

    (void)sim_host_run(&host, 1000);
    begun = bench_now();
    while (now - begun < 3.3e8) {
        n += sim_host_run(&host, 1000);
        now = bench_now();
    }
    return (double)n / ((now - begun) / 1e9);
}

static void steps(uint32_t script, unsigned int pcpus, unsigned int domains)
{
    char what[96], value[64];

    boot(pcpus, 64);
    for (unsigned int i = 0; i < domains; i++)
        (void)domain_unpause(create(script, 64));
    (void)snprintf(value, sizeof(value), "%.2f M/s", steps_per_second() / 1e6);
    (void)snprintf(what, sizeof(what), "steps of %u '%s' guests on %u pCPU%s", domains,
                   sim_script_name(script), pcpus, pcpus == 1 ? "" : "s");
    bench_row(what, value, "");
    sim_host_halt(&host);
}

/* Resident bytes of this process, guest memory included. */
static double resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long size = 0, rss = 0;

    if (!f ||
        fscanf(f, "%lu %lu", &size, &rss) != 2) /* NOLINT(cert-err34-c): the kernel's numbers */
        die("/proc/self/statm cannot be read");
    (void)fclose(f);
    return (double)rss * (double)sysconf(_SC_PAGESIZE);
}

static void many_domains(void)
{
    static struct domain *domains[MANY];
    double before, begun, t;
    char value[64];

    boot(4, 1024);
    before = resident();
    begun = bench_now();
    for (unsigned int i = 0; i < MANY; i++) {
        domains[i] = create(SCRIPT_STEADY, SIM_GUEST_GFN + 2);
        (void)domain_unpause(domains[i]);
    }
    t = bench_now() - begun;
    (void)snprintf(value, sizeof(value), "%.1f us each", t / MANY / 1e3);
    bench_row("creating 10,000 domains on one host", value, "");
    (void)snprintf(value, sizeof(value), "%.2f M/s", steps_per_second() / 1e6);
    bench_row("steps with 10,000 domains runnable", value, "");
    (void)snprintf(value, sizeof(value), "%.1f KiB each", (resident() - before) / MANY / 1024);
    bench_row("memory of a domain (guest's 8 KiB included)", value, "");
    for (unsigned int i = 10; i < MANY; i++)
        (void)domain_pause(domains[i]);
    (void)snprintf(value, sizeof(value), "%.2f M/s", steps_per_second() / 1e6);
    bench_row("steps with 10 runnable and 9,990 paused", value, "");
    begun = bench_now();
    for (unsigned int i = 0; i < MANY; i++)
        domain_destroy(domains[i]);
    (void)snprintf(value, sizeof(value), "%.1f us each", (bench_now() - begun) / MANY / 1e3);
    bench_row("destroying them", value, "");
    sim_host_halt(&host);
}

int main(void)
{
    (void)printf("Simulated hosts (Cascade Lake; a step of 'steady' is 80 CPUIDs compared)\n");
    steps(SCRIPT_STEADY, 1, 1);
    steps(SCRIPT_STEADY, 4, 8);
    steps(SCRIPT_WRITER, 4, 8);
    steps(SCRIPT_VECTOR, 4, 8);
    many_domains();
    return 0;
}
