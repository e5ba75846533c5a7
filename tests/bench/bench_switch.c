/* SPDX-License-Identifier: MIT */
/*
 * The x86 part of a context switch in numbers, on simulated machines: with equal masks, where no
 * MSR may be written, and with different ones.  The MSR itself is simulated, so what a WRMSR costs
 * on silicon (some hundred cycles each) is not in the times: the count of writes is what matters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hypervisor.h>
#include <sim/platform.h>

#include "../unit/cpus.h"
#include "bench.h"
#include "features-gen.h"

static struct platform platform;
static struct hypervisor hv;
static struct vcpu *vcpus[2];
static unsigned int turn;

static void switch_call(void)
{
    struct vcpu *prev = vcpus[turn & 1], *next = vcpus[++turn & 1];

    context_switch(&hv, 0, prev, next);
}

static struct vcpu *create(bool hvm, bool poor)
{
    const struct xen_domctl_createdomain config = {
        .flags = hvm ? XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap : 0,
        .max_vcpus = 1,
    };
    struct domain *d;

    if (domain_create(&hv, 0x7ff4, &config, &d) || vcpu_create(d, 0)) {
        (void)fprintf(stderr, "bench_switch: no domain\n");
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    if (poor) {
        struct cpu_policy p = d->policy;
        struct featureset fs;

        policy_to_featureset(&p, &fs);
        featureset_drop(&fs, X86_FEATURE_SSE3);
        featureset_drop(&fs, X86_FEATURE_LAHF_LM);
        policy_from_featureset(&p, &fs);
        domain_set_policy(d, &p);
    }
    return d->vcpus[0];
}

/* Two vCPUs that take turns on one pCPU of this machine. */
static void measure(const char *cpu, bool second_hvm, bool second_poor, const char *what,
                    const char *aim)
{
    char name[128], text[64];
    uint64_t before, switches;
    double ns;

    memset(&platform, 0, sizeof(platform));
    platform.model.cpuid = *test_cpu(cpu);
    if (strstr(cpu, "haswell"))
        platform.model.platform_info = PLATFORM_INFO_CPUID_FAULTING;
    sim_cpu_model_init(&platform.model);
    if (sim_platform_init(&platform, 1, 64) || hypervisor_boot(&hv, &platform, "")) {
        (void)fprintf(stderr, "bench_switch: %s does not boot\n", cpu);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    vcpus[0] = create(false, false);
    vcpus[1] = create(second_hvm, second_poor);
    switch_call();
    switch_call();
    before = hv.pcpus[0].levelling.writes;
    switches = turn;
    ns = median_ns(switch_call, 100000);
    switches = turn - switches;
    (void)snprintf(name, sizeof(name), "%s: %s", cpu, what);
    (void)snprintf(text, sizeof(text), "%.1f ns, %.2f WRMSR", ns,
                   (double)(hv.pcpus[0].levelling.writes - before) / (double)switches);
    bench_row(name, text, aim);
    hypervisor_shutdown(&hv);
    sim_platform_fini(&platform);
}

int main(void)
{
    (void)printf("Context switch between two vCPUs, x86 part (simulated MSRs)\n");
    measure("intel-nehalem-ep", false, false, "PV, PV, equal masks", "(aim: < 10 ns, 0 writes)");
    measure("amd-castle-peak", false, false, "PV, PV, equal masks", "(aim: < 10 ns, 0 writes)");
    measure("intel-haswell-ep", false, true, "PV, PV, faulting", "(aim: < 10 ns, 0 writes)");
    measure("intel-nehalem-ep", true, false, "PV, HVM", "(aim: < 10 ns, 0 writes)");
    measure("intel-nehalem-ep", false, true, "PV, PV of another level", "2 MSRs differ");
    measure("amd-castle-peak", false, true, "PV, PV of another level", "2 MSRs differ");
    measure("intel-penryn", false, true, "PV, PV of another level", "1 MSR differs");
    return 0;
}
