/* SPDX-License-Identifier: MIT */
/* What the gate asks this host: its version, its policies, the domain. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "logger.h"

/* libxenlevel logs a line for each failure.  It is kept, to be said once and in context. */
static struct logger logger;
static char logged[GATE_WHY];

static void keep_line(xentoollog_level level, int err, const char *context, const char *line)
{
    (void)err;
    (void)context;
    if (level >= XTL_ERROR)
        (void)snprintf(logged, sizeof(logged), "%s", line);
}

static int say_failure(char *why, const char *doing)
{
    (void)snprintf(why, GATE_WHY, "%.80s: %.400s", doing, logged[0] ? logged : strerror(errno));
    return -1;
}

void gate_domain_name(const struct gate_host *h, uint32_t domid, char *buf, size_t size)
{
    char *name = xc_domain_name(h->xch, domid);

    if (name && name[0])
        (void)snprintf(buf, size, "%s", name);
    else
        (void)snprintf(buf, size, "domain %u", domid);
    free(name);
    audit_strip_name(buf);
}

static void read_brand(struct gate_host *h)
{
    static struct cpu_policy raw;

    h->brand[0] = '\0';
    /* Only for the message: a host whose name cannot be had is still a host. */
    if (!xc_system_policy(h->xch, XC_POLICY_RAW, &raw))
        policy_brand(&raw, h->brand);
}

int gate_host_reopen(struct gate_host *h, char *why)
{
    logged[0] = '\0';
    h->xch =
        xc_interface_open_transport(gate_transport, NULL, logger_init(&logger, keep_line, NULL));
    return h->xch ? 0 : say_failure(why, "this host's hypervisor cannot be asked");
}

int gate_host_open(struct gate_host *h, char *why)
{
    memset(h, 0, sizeof(*h));
    if (gate_host_reopen(h, why))
        return -1;
    if (xc_version(h->xch, &h->version))
        return say_failure(why, "asking for Xen's version");
    read_brand(h);
    return 0;
}

int gate_host_domain(struct gate_host *h, uint32_t domid, char *why)
{
    gate_domain_name(h, domid, h->name, sizeof(h->name));
    if (xc_domain_getinfo(h->xch, domid, &h->domain))
        return say_failure(why, "asking what the domain is");
    return 0;
}

int gate_host_policies(struct gate_host *h, char *why)
{
    bool pv = h->domain.type == XC_DOMAIN_PV;

    if (!xc_guest_limits(h->xch, xc_domain_guest_type(&h->domain), &h->limits))
        return 0;
    return say_failure(why, pv ? "this host's pv-max policy, or pv-default"
                               : "this host's hvm-max policy, or hvm-default");
}

/* The line of a call before this one is not its reason. */
static void forget_line(void)
{
    logged[0] = '\0';
}

int gate_host_trial(struct gate_host *h, uint32_t domid, const struct xc_leaves *leaves,
                    const struct cpu_policy *told, struct cpu_policy *given,
                    struct policy_report *r, char *why)
{
    int rc;

    forget_line();
    rc = xc_trial_policy(h->xch, domid, leaves, told, given, r, NULL);
    return rc < 0 ? say_failure(why, "giving it its CPU, on trial") : rc;
}

int gate_host_last_look(struct gate_host *h, uint32_t domid, const struct cpu_policy *expected,
                        struct policy_report *r, char *why)
{
    int rc;

    forget_line();
    rc = xc_last_look(h->xch, domid, expected, r);
    return rc < 0 ? say_failure(why, "a last look at its CPU") : rc;
}

int gate_host_domain_policy(struct gate_host *h, uint32_t domid, struct cpu_policy *p, char *why)
{
    forget_line();
    return xc_domain_policy(h->xch, domid, p) ? say_failure(why, "asking for its CPU") : 0;
}

int gate_host_verify_domain(struct gate_host *h, uint32_t domid, char *why)
{
    static struct cpu_policy policy;
    struct policy_fault fault;
    struct policy_report r = {&fault, 1, 0};
    char line[XC_FAULT_TEXT];

    if (xc_domain_policy(h->xch, domid, &policy))
        return say_failure(why, "its CPU policy cannot be had");
    if (!policy_verify(&policy, &r))
        return 0;
    (void)xc_fault_text(&fault, line, sizeof(line));
    (void)snprintf(why, GATE_WHY, "its policy is not a CPU that can exist: %s%s", line,
                   r.count > 1 ? ", and more" : "");
    return -1;
}

void gate_host_close(struct gate_host *h)
{
    xc_interface_close(h->xch);
    h->xch = NULL;
}
