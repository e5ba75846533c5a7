/* SPDX-License-Identifier: MIT */
/*
 * The CPU of a domain that is being built.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "describe.h"
#include "level.h"
#include "out.h"
#include "util.h"
#include "xc_audit.h"
#include "xlp.h"

#define MAX_FAULTS 1024

/* ---- cpu_policy = FILE ---- */

static int apply_level(const char *path, const Xenlevel__Level *level, bool pv,
                       struct level_change *c)
{
    const Xenlevel__Policy *message = pv ? level->pv : level->hvm;
    struct cpu_policy p;

    if (!message) {
        warn("%s has no level for %s guests: not every host in it can run them", path,
             pv ? "PV" : "HVM and PVH");
        return -1;
    }
    xlp_policy_get(message, &p);
    if (!policy_apply_level(&c->wanted, &p, &c->dropped))
        return 0;
    warn("%s: this host has another vendor's CPU, or another CLFLUSH size: it is no host of that "
         "pool",
         path);
    return -1;
}

/* The domain's own policy in c->wanted -> the one that the file asks for. */
static int take_file(const char *path, bool pv, struct level_change *c)
{
    struct xlp_error error;
    Xenlevel__File *file = xlp_load(path, &error);
    int rc = 0;

    if (!file) {
        warn("%s", error.text);
        return -1;
    }
    switch (file->content_case) {
    case XENLEVEL__FILE__CONTENT_LEVEL:
        rc = apply_level(path, file->level, pv, c);
        break;
    case XENLEVEL__FILE__CONTENT_GUEST:
        /* One guest's CPU, exactly. */
        xlp_policy_get(file->guest->policy, &c->wanted);
        break;
    default:
        warn("%s is a host: a pool's level, or a guest's CPU, is needed", path);
        rc = -1;
        break;
    }
    xlp_free(file);
    return rc;
}

/* ---- cpuid = ---- */

/* As libxl asks, and closed as Xen closes it: "avx=0" takes what stands on AVX as well. */
static int apply_cpuid(xc_handle *xch, const struct guest_config *c, struct cpu_policy *wanted)
{
    struct cpu_policy *system = xcalloc(2, sizeof(*system));
    bool pv = c->type == XC_DOMAIN_PV;
    char why[512];
    int rc = -1;

    if (!xc_system_policy(xch, pv ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT, &system[0]) &&
        !xc_system_policy(xch, XC_POLICY_HOST, &system[1])) {
        rc = xlcpuid_apply(&c->cpuid, &system[0], &system[1], wanted, why, sizeof(why));
        if (rc)
            warn("cpuid: %s", why);
        else
            policy_close(wanted, NULL);
    }
    free(system);
    return rc;
}

/* ---- why it was refused ---- */

/* The hypervisor names a register; which features of it, its own rules tell. */
static void explain_refusal(xc_handle *xch, uint32_t domid, const struct cpu_policy *wanted)
{
    struct policy_fault *faults = xcalloc(MAX_FAULTS, sizeof(*faults));
    struct xc_guest_limits *limits = xcalloc(1, sizeof(*limits));
    struct policy_report r = {.faults = faults, .max = MAX_FAULTS};
    struct policy_host host = xc_limits_host(limits);
    struct xc_domain_info info;

    if (!xc_domain_getinfo(xch, domid, &info) &&
        !xc_guest_limits(xch, xc_domain_guest_type(&info), limits))
        (void)xc_audit_policy(NULL, wanted, &host, &r, NULL);
    for (size_t i = 0; i < r.count && i < r.max; i++) {
        char text[XC_FAULT_TEXT];

        (void)xc_fault_text(&faults[i], text, sizeof(text));
        out_text(stderr, 2, 4, "%s", text);
    }
    free(limits);
    free(faults);
}

/* ---- */

static void say_not_taken(const struct level_change *c)
{
    warn("the hypervisor did not give the domain the CPU that was asked for:");
    if (!featureset_empty(&c->kept)) {
        out_text(stderr, 2, 4, "there all the same:");
        show_features(stderr, 4, &c->kept);
    }
    if (!featureset_empty(&c->absent)) {
        out_text(stderr, 2, 4, "not there:");
        show_features(stderr, 4, &c->absent);
    }
    if (c->other)
        out_text(stderr, 2, 4, "%zu other registers", c->other);
}

int give_cpu(xc_handle *xch, uint32_t domid, const struct guest_config *c)
{
    struct level_change *change;
    int rc = -1;

    if (!c->cpu_policy && !c->has_cpuid && !c->has_topology)
        return 0;
    change = xcalloc(1, sizeof(*change));
    if (xc_domain_policy(xch, domid, &change->wanted))
        goto out;
    if (c->has_cpuid && apply_cpuid(xch, c, &change->wanted))
        goto out;
    if (c->cpu_policy && take_file(c->cpu_policy, c->type == XC_DOMAIN_PV, change))
        goto out;
    if (c->has_topology && topology_to_policy(&c->topology, &change->wanted)) {
        warn("this CPU cannot tell its guests of a topology of %u threads, %u cores, %u dies and "
             "%u sockets",
             c->topology.threads, c->topology.cores, c->topology.dies, c->topology.sockets);
        goto out;
    }
    if (level_apply(xch, domid, change)) {
        if (errno == EINVAL)
            explain_refusal(xch, domid, &change->wanted);
        goto out;
    }
    if (level_taken(change))
        rc = 0;
    else
        say_not_taken(change);
out:
    free(change);
    return rc;
}
