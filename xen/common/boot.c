/* SPDX-License-Identifier: MIT */
/*
 * From a machine that has been switched on to a hypervisor with its dom0, and back.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#define TIME_SLICE 10000000ull /* ns */

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

static void print_banner(struct hypervisor *hv)
{
    char brand[49];

    policy_brand(&hv->policies[XEN_SYSCTL_cpu_policy_raw], brand);
    printk(hv, "Xenlevel's hypervisor core");
    printk(hv, "Command line: %s", hv->cmdline);
    printk(hv, "%u CPUs: %s", hv->nr_pcpus, brand);
    printk(hv, "%lu KiB of memory; guests: PV%s%s", hv->nr_pages * 4, hv->has_hvm ? ", HVM" : "",
           hv->has_hap ? " with nested paging" : "");
}

/* Nothing in the command line is passed over in silence. */
static void log_option(void *data, enum host_option_note what, size_t at, size_t len)
{
    static const char *const becomes[] = {
        [HOST_OPTION_UNKNOWN] = "is not known",
        [HOST_OPTION_OF_OTHER_XEN] = "is not known to this release",
        [HOST_OPTION_CHANGES_NOTHING] = "changes no policy",
        [HOST_OPTION_MICROCODE] = "is not looked at: there is no microcode here",
    };
    struct hypervisor *hv = data;
    char name[64];

    if (len >= sizeof(name))
        len = sizeof(name) - 1;
    for (size_t i = 0; i < len; i++)
        name[i] = hv->cmdline[at + i];
    name[len] = '\0';
    printk(hv, "Command line: '%s' %s", name, becomes[what]);
}

static int take_cmdline(struct hypervisor *hv, const char *cmdline)
{
    const struct host_option_listener listener = {log_option, hv};
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
    if (!host_options_read(&hv->options, HOST_XEN_DEFAULT, hv->cmdline, &listener, &where))
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
    host_policy_read(p, &hv->policies[XEN_SYSCTL_cpu_policy_raw]);
    host_policies_derive(hv->policies, &hv->options, &hv->has_hvm, &hv->has_hap);
    print_banner(hv);
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
