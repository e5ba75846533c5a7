/* SPDX-License-Identifier: MIT */
/*
 * From a machine that has been switched on to a hypervisor with its dom0, and back.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#define TIME_SLICE 10000000ull /* ns */

/* 1.ECX: SDM vol. 2A; 80000001.ECX and 8000000A.EDX: APM vol. 3, appendix E. */
#define ECX1_VMX     (1u << 5)
#define ECX_E1_SVM   (1u << 2)
#define EDX_8A_NP    (1u << 0)
#define VENDOR_INTEL 0x756e6547u

/*
 * Can it run HVM guests, and with nested page tables?  AMD says both with CPUID.  On Intel the
 * second stands in MSRs that no dump has; every model with VMX since Nehalem has EPT.
 */
static void detect_hvm(struct hypervisor *hv)
{
    const struct cpu_policy *raw = &hv->policies[XEN_SYSCTL_cpu_policy_raw];
    unsigned int family, model, stepping;

    if (raw->basic[0].b == VENDOR_INTEL) {
        policy_signature(raw, &family, &model, &stepping);
        hv->has_hvm = raw->basic[1].c & ECX1_VMX;
        hv->has_hap = hv->has_hvm && family == 6 && model >= 0x1a && model != 0x1d;
    } else {
        hv->has_hvm = raw->extd[1].c & ECX_E1_SVM;
        hv->has_hap = hv->has_hvm && (raw->extd[0xa].d & EDX_8A_NP);
    }
}

static void derive_policies(struct hypervisor *hv)
{
    struct cpu_policy *p = hv->policies;
    const struct cpu_policy *raw = &p[XEN_SYSCTL_cpu_policy_raw];
    const struct cpu_policy *host = &p[XEN_SYSCTL_cpu_policy_host];
    enum guest_type hvm;

    host_policy_read(hv->platform, &p[XEN_SYSCTL_cpu_policy_raw]);
    host_policy_from_raw(&p[XEN_SYSCTL_cpu_policy_host], raw, &hv->options);
    detect_hvm(hv);
    host_policy_guest_max(&p[XEN_SYSCTL_cpu_policy_pv_max], raw, host, GUEST_PV);
    host_policy_guest_default(&p[XEN_SYSCTL_cpu_policy_pv_default],
                              &p[XEN_SYSCTL_cpu_policy_pv_max], host, &hv->options, GUEST_PV);
    if (!hv->has_hvm)
        return;
    hvm = hv->has_hap ? GUEST_HVM_HAP : GUEST_HVM_SHADOW;
    host_policy_guest_max(&p[XEN_SYSCTL_cpu_policy_hvm_max], raw, host, hvm);
    host_policy_guest_default(&p[XEN_SYSCTL_cpu_policy_hvm_default],
                              &p[XEN_SYSCTL_cpu_policy_hvm_max], host, &hv->options, hvm);
    host_policy_guest_max(&hv->shadow_max, raw, host, GUEST_HVM_SHADOW);
    host_policy_guest_default(&hv->shadow_default, &hv->shadow_max, host, &hv->options,
                              GUEST_HVM_SHADOW);
}

/* dom0 runs nothing here: its toolstack makes hypercalls from outside.  So its vCPUs sleep. */
static int create_dom0(struct hypervisor *hv)
{
    const struct xen_domctl_createdomain config = {.max_vcpus = hv->nr_pcpus};
    struct domain *d;
    int rc = domain_create(hv, 0, &config, &d);

    for (uint32_t i = 0; !rc && i < hv->nr_pcpus; i++) {
        rc = vcpu_create(d, i);
        if (!rc) {
            d->vcpus[i]->online = true;
            vcpu_block(d->vcpus[i], 0);
        }
    }
    return rc ? rc : domain_unpause(d);
}

static void banner(struct hypervisor *hv)
{
    char brand[49];

    policy_brand(&hv->policies[XEN_SYSCTL_cpu_policy_raw], brand);
    printk(hv, "Xenlevel's hypervisor core");
    printk(hv, "Command line: %s", hv->cmdline);
    printk(hv, "%u CPUs: %s", hv->nr_pcpus, brand);
    printk(hv, "%lu KiB of memory; guests: PV%s%s", hv->nr_pages * 4, hv->has_hvm ? ", HVM" : "",
           hv->has_hap ? " with nested paging" : "");
}

static int take_cmdline(struct hypervisor *hv, const char *cmdline)
{
    size_t where = 0, len = 0;

    while (len < sizeof(hv->cmdline) - 1 && cmdline[len]) {
        hv->cmdline[len] = cmdline[len];
        len++;
    }
    if (cmdline[len]) {
        printk(hv, "The command line is longer than %u bytes",
               (unsigned int)sizeof(hv->cmdline) - 1);
        return -XEN_EINVAL;
    }
    if (!host_options_parse(&hv->options, hv->cmdline, &where))
        return 0;
    printk(hv, "Command line: what is wrong begins at: %s",
           where < len ? &hv->cmdline[where] : "its end");
    return -XEN_EINVAL;
}

int hypervisor_boot(struct hypervisor *hv, struct platform *p, const char *cmdline)
{
    int rc;

    __builtin_memset(hv, 0, sizeof(*hv));
    hv->platform = p;
    hv->slice = TIME_SLICE;
    hv->nr_pcpus = platform_nr_pcpus(p);
    if (hv->nr_pcpus < 1 || hv->nr_pcpus > PLATFORM_MAX_PCPUS)
        return -XEN_EINVAL;
    rc = take_cmdline(hv, cmdline);
    if (rc)
        return rc;
    rc = sched_init(hv);
    if (rc)
        return rc;
    rc = memory_init(hv);
    if (rc) {
        sched_fini(hv);
        return rc;
    }
    derive_policies(hv);
    banner(hv);
    levelling_init(hv);
    for (unsigned int i = 0; !rc && i < hv->nr_pcpus; i++)
        rc = pcpu_online(hv, i);
    if (!rc)
        rc = create_dom0(hv);
    if (rc)
        hypervisor_shutdown(hv);
    return rc;
}

void hypervisor_shutdown(struct hypervisor *hv)
{
    while (hv->domains)
        domain_destroy(hv->domains);
    for (unsigned int i = 0; i < hv->nr_pcpus; i++)
        if (hv->pcpus[i].online) {
            hv->pcpus[i].online = false;
            levelling_pcpu_restore(hv, i);
        }
    sched_fini(hv);
    memory_fini(hv);
}
