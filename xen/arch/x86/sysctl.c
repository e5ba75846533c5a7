/* SPDX-License-Identifier: MIT */
/*
 * XEN_SYSCTL_*, the x86 half: what the CPUs are, and what can be made of them for guests.
 */
#include <hypervisor.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

/* ---- the machine ---- */

/* Threads a core and cores a socket: what the CPUs' leaves say, but never more than there are. */
static void host_topology(const struct hypervisor *hv, uint32_t *threads, uint32_t *cores)
{
    struct topology_map map;

    topology_from_policy(&hv->policies[XEN_SYSCTL_cpu_policy_raw], hv->nr_pcpus, &map);
    *threads = map.stock ? 1 : map.topology.threads;
    if (*threads < 1 || *threads > hv->nr_pcpus)
        *threads = 1;
    *cores = map.stock ? hv->nr_pcpus : map.topology.cores * map.topology.dies;
    if (*cores < 1 || *cores > hv->nr_pcpus / *threads)
        *cores = hv->nr_pcpus / *threads;
}

void arch_cputopo(const struct hypervisor *hv, unsigned int pcpu, uint32_t *core, uint32_t *socket)
{
    uint32_t threads, cores;

    host_topology(hv, &threads, &cores);
    *core = pcpu / threads % cores;
    *socket = pcpu / threads / cores;
}

void arch_physinfo(struct hypervisor *hv, struct xen_sysctl *op)
{
    struct xen_sysctl_physinfo *info = &op->u.physinfo;
    struct featureset fs;

    host_topology(hv, &info->threads_per_core, &info->cores_per_socket);
    info->cpu_khz = host_khz(hv);
    policy_to_featureset(&hv->policies[XEN_SYSCTL_cpu_policy_host], &fs);
    for (unsigned int i = 0; i < sizeof(info->hw_cap) / sizeof(info->hw_cap[0]); i++)
        info->hw_cap[i] = fs.w[i];
}

/* ---- featuresets and policies ---- */

/* NULL: guests of that type cannot run here. */
static const struct cpu_policy *system_policy(const struct hypervisor *hv, uint32_t index)
{
    if (!hv->has_hvm &&
        (index == XEN_SYSCTL_cpu_policy_hvm_max || index == XEN_SYSCTL_cpu_policy_hvm_default))
        return NULL;
    return &hv->policies[index];
}

static long get_cpu_featureset(struct hypervisor *hv, struct xen_sysctl_cpu_featureset *get,
                               bool *copyback)
{
    /* The ABI's "PV" and "HVM" are what such a guest is born with. */
    static const uint8_t policies[] = {
        [XEN_SYSCTL_cpu_featureset_raw] = XEN_SYSCTL_cpu_policy_raw,
        [XEN_SYSCTL_cpu_featureset_host] = XEN_SYSCTL_cpu_policy_host,
        [XEN_SYSCTL_cpu_featureset_pv] = XEN_SYSCTL_cpu_policy_pv_default,
        [XEN_SYSCTL_cpu_featureset_hvm] = XEN_SYSCTL_cpu_policy_hvm_default,
        [XEN_SYSCTL_cpu_featureset_pv_max] = XEN_SYSCTL_cpu_policy_pv_max,
        [XEN_SYSCTL_cpu_featureset_hvm_max] = XEN_SYSCTL_cpu_policy_hvm_max,
    };
    const struct cpu_policy *p;
    struct featureset fs;
    uint32_t n = get->nr_features;

    if (!HANDLE(get->features)) {
        get->nr_features = FEATURESET_XEN_WORDS;
        *copyback = true;
        return 0;
    }
    if (get->index >= sizeof(policies))
        return -XEN_EINVAL;
    p = system_policy(hv, policies[index_nospec(get->index, sizeof(policies))]);
    if (!p)
        return -XEN_EOPNOTSUPP;
    policy_to_featureset(p, &fs);
    if (n > FEATURESET_XEN_WORDS)
        n = FEATURESET_XEN_WORDS;
    if (platform_copy_to_guest(hv->platform, HANDLE(get->features), fs.w, n * sizeof(fs.w[0])))
        return -XEN_EFAULT;
    get->nr_features = n;
    *copyback = true;
    return n < FEATURESET_XEN_WORDS ? -XEN_ENOBUFS : 0;
}

static long get_cpu_policy(struct hypervisor *hv, struct xen_sysctl_cpu_policy *get, bool *copyback)
{
    const struct cpu_policy *p;
    long rc;

    if (get->_rsvd || get->index >= HOST_SYSTEM_POLICIES)
        return -XEN_EINVAL;
    p = system_policy(hv, index_nospec(get->index, HOST_SYSTEM_POLICIES));
    if (!p)
        return -XEN_EOPNOTSUPP;
    rc = policy_copy_to_guest(hv, p, HANDLE(get->leaves), &get->nr_leaves, HANDLE(get->msrs),
                              &get->nr_msrs);
    *copyback = !rc;
    return rc;
}

static long cpu_hotplug(struct hypervisor *hv, const struct xen_sysctl_cpu_hotplug *op)
{
    switch (op->op) {
    case XEN_SYSCTL_CPU_HOTPLUG_ONLINE:
        return pcpu_online(hv, op->cpu);
    case XEN_SYSCTL_CPU_HOTPLUG_OFFLINE:
        return pcpu_offline(hv, op->cpu);
    default:
        return -XEN_EOPNOTSUPP;
    }
}

long arch_do_sysctl(struct hypervisor *hv, struct xen_sysctl *op, bool *copyback)
{
    switch (op->cmd) {
    case XEN_SYSCTL_get_cpu_levelling_caps:
        op->u.cpu_levelling_caps.caps = hv->levelling.caps;
        *copyback = true;
        return 0;
    case XEN_SYSCTL_get_cpu_featureset:
        return get_cpu_featureset(hv, &op->u.cpu_featureset, copyback);
    case XEN_SYSCTL_get_cpu_policy:
        return get_cpu_policy(hv, &op->u.cpu_policy, copyback);
    case XEN_SYSCTL_cpu_hotplug:
        return cpu_hotplug(hv, &op->u.cpu_hotplug);
    default:
        return -XEN_ENOSYS;
    }
}
