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
#include "xlp.h"

#define MAX_FAULTS 1024

int read_domain_policy(xc_handle *xch, uint32_t domid, struct cpu_policy *p)
{
    struct xc_leaves l;
    char what[48];
    int rc;

    if (xc_get_domain_cpu_policy(xch, domid, &l))
        return -1;
    (void)snprintf(what, sizeof(what), "the CPU policy of domain %u", domid);
    rc = xc_policy_from_leaves(xch, what, &l, p, NULL, 0);
    xc_leaves_free(&l);
    return rc;
}

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

/* ---- why it was refused ---- */

/* The hypervisor names a register; which features of it, its own rules tell. */
static void explain(xc_handle *xch, const struct guest_config *c, const struct cpu_policy *wanted)
{
    enum xc_policy_index index = c->type == XC_DOMAIN_PV ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX;
    struct policy_fault *faults = xcalloc(MAX_FAULTS, sizeof(*faults));
    struct policy_report r = {.faults = faults, .max = MAX_FAULTS};
    struct cpu_policy max;
    struct xc_leaves l;

    if (!xc_get_system_cpu_policy(xch, index, &l)) {
        if (!xc_policy_from_leaves(xch, "the host's policy", &l, &max, NULL, 0)) {
            struct policy_host host = {.max = &max};

            (void)policy_check(wanted, &host, &r);
        }
        xc_leaves_free(&l);
    }
    for (size_t i = 0; i < r.count && i < r.max; i++) {
        char text[XC_FAULT_TEXT];

        (void)xc_fault_text(&faults[i], text, sizeof(text));
        out_text(stderr, 2, 4, "%s", text);
    }
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

    if (!c->cpu_policy && !c->has_topology)
        return 0;
    change = xcalloc(1, sizeof(*change));
    if (read_domain_policy(xch, domid, &change->wanted))
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
            explain(xch, c, &change->wanted);
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
