/* SPDX-License-Identifier: MIT */
/* guest_cpuid in ns a call, by kind of leaf, and of all leaves the slowest. */
#include <hypervisor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/cpus.h"

#define BATCHES 15
#define AIM     15.0 /* ns */

static struct hypervisor hv;
static struct domain dom;
static struct vcpu vcpu;
static volatile uint32_t sink;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median over batches; each call waits for the answer before it, as a guest does. */
static double cost(uint32_t leaf, uint32_t subleaf, unsigned int n)
{
    double t[BATCHES];

    for (unsigned int b = 0; b < BATCHES; b++) {
        uint32_t chain = 0;
        double begun = now();

        for (unsigned int i = 0; i < n; i++) {
            struct cpuid_regs r;

            guest_cpuid(&vcpu, leaf | chain, subleaf, &r);
            /* Zero, but the compiler and the CPU cannot know. */
            chain = (r.a ^ r.b ^ r.c ^ r.d) & sink;
        }
        t[b] = (now() - begun) / n;
    }
    qsort(t, BATCHES, sizeof(t[0]), by_value);
    return t[BATCHES / 2];
}

static void become(const char *cpu, const struct cpu_topology *t, bool hvm)
{
    struct cpu_policy p = *test_cpu(cpu);

    if (topology_to_policy(t, &p)) {
        fprintf(stderr, "bench_cpuid: %s cannot have this topology\n", cpu);
        exit(2);
    }
    dom = (struct domain){.hv = &hv, .id = 1, .hvm = hvm, .policy = p, .max_vcpus = 48};
    dom.tsc.gtsc_khz = 2100000;
    topology_from_policy(&dom.policy, 48, &dom.topology);
    vcpu = (struct vcpu){.domain = &dom, .id = 37};
    vcpu.regs.cr4 = CR4_OSXSAVE | CR4_PKE;
    vcpu.regs.apic_base = 0xfee00800;
    vcpu.regs.xcr0 = 7;
    topology_place(&dom.topology, 37, &vcpu.place);
    guest_cpuid_update(&vcpu);
}

static void row(const char *what, uint32_t leaf, uint32_t subleaf)
{
    printf("  %-58s %11.1f ns   aim: under %.0f ns\n", what, cost(leaf, subleaf, 200000), AIM);
}

/* All leaves of all families, the ones beyond the last too; the slowest is measured again. */
static void slowest(const char *what)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x28}, {0x40000000, 0x40000008}, {0x80000000, 0x8000002a}};
    uint32_t leaf = 0, subleaf = 0, asked = 0;
    double most = 0;
    char text[80];

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (uint32_t l = ranges[i].first; l <= ranges[i].last; l++)
            for (uint32_t s = 0; s < 20; s++, asked++) {
                double ns = cost(l, s, 1000);

                if (ns > most)
                    most = ns, leaf = l, subleaf = s;
            }
    snprintf(text, sizeof(text), "slowest of %u on %s: %x.%u", asked, what, leaf, subleaf);
    row(text, leaf, subleaf);
}

static void fewer_leaves(void)
{
    double many, few;

    many = cost(7, 0, 200000);
    dom.policy.basic[0].a = 7;
    policy_trim(&dom.policy);
    few = cost(7, 0, 200000);
    printf("  %-58s %11.2f      near 1: no search\n", "leaf 7, a policy of 36 basic leaves / of 7",
           many / few);
}

int main(void)
{
    static const struct cpu_topology intel = {2, 6, 2, 2}, amd = {2, 12, 2, 1};
    struct cpuid_regs *raw = &hv.policies[0].basic[0];

    hv.policies[0] = hv.policies[1] = *test_cpu("intel-cascadelake-sp");
    raw[0x16].a = 2300;
    hv.nr_pages = 1u << 24;

    printf("guest_cpuid (the CPUID instruction of a guest, without the exit)\n");
    become("intel-granite-rapids", &intel, true);
    row("a leaf of the policy (2)", 2, 0);
    row("no such leaf (3F)", 0x3f, 0);
    row("leaf 1: APIC id, OSXSAVE, APIC", 1, 0);
    row("leaf 4, caches", 4, 3);
    row("leaf 7: OSPKE", 7, 0);
    row("leaf B, topology", 0xb, 1);
    row("leaf D.0: size for XCR0", 0xd, 0);
    row("leaf D.1: size for XCR0 | XSS", 0xd, 1);
    row("leaf 1F, topology with dies", 0x1f, 2);
    row("leaf 40000003.0, time", 0x40000003, 0);
    row("leaf 40000003.1, scale of the TSC", 0x40000003, 1);
    row("leaf 80000001", 0x80000001, 0);
    slowest("Granite Rapids");
    fewer_leaves();
    become("amd-bergamo", &amd, true);
    row("leaf 8000001D, caches (AMD)", 0x8000001d, 2);
    row("leaf 8000001E, who am I (AMD)", 0x8000001e, 0);
    row("leaf 80000026, topology (AMD)", 0x80000026, 2);
    slowest("Bergamo");
    become("intel-granite-rapids", &intel, false);
    slowest("Granite Rapids, PV");
    return 0;
}
