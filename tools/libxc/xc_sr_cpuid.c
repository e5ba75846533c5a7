/* SPDX-License-Identifier: MIT */
/*
 * The policy records: what the domain's CPU is, before anything that it holds.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_audit.h"
#include "xc_sr_private.h"

int sr_write_policy(struct sr_writer *w, uint32_t domid)
{
    struct xc_leaves l;
    struct iovec iov[3];
    int rc;

    if (xc_get_domain_cpu_policy(w->xch, domid, &l))
        return -1;
    iov[0] = (struct iovec){l.leaves, l.nr_leaves * sizeof(*l.leaves)};
    rc = sr_write_record(w, REC_X86_CPUID_POLICY, iov, 1);
    if (!rc) {
        iov[0] = (struct iovec){l.msrs, l.nr_msrs * sizeof(*l.msrs)};
        rc = sr_write_record(w, REC_X86_MSR_POLICY, iov, 1);
    }
    xc_leaves_free(&l);
    if (!rc)
        rc = sr_write_record(w, REC_STATIC_DATA_END, iov, 0);
    return rc ? rc : sr_write_checksum(w);
}

/* The entries of one record, malloc'ed: a policy has no more than `most`. */
static int read_entries(struct sr_reader *r, uint32_t length, size_t size, size_t most,
                        void **entries, size_t *n)
{
    if (!length || length % size || length / size > most)
        return sr_bad(r, "%u bytes; it has 1 to %zu entries of %zu", length, most, size);
    *entries = malloc(length);
    if (!*entries)
        return xc_fail(r->xch, ENOMEM, "out of memory for a CPU policy");
    *n = length / size;
    return sr_read(r, *entries, length);
}

int sr_take_policy(struct sr_reader *r, struct sr_policy *p, const struct xc_sr_rhdr *header)
{
    bool cpuid = header->type == REC_X86_CPUID_POLICY;
    bool *have = cpuid ? &p->have_cpuid : &p->have_msr;

    *have = true;
    if (cpuid)
        return read_entries(r, header->length, sizeof(*p->leaves.leaves), POLICY_MAX_LEAVES,
                            (void **)&p->leaves.leaves, &p->leaves.nr_leaves);
    return read_entries(r, header->length, sizeof(*p->leaves.msrs), POLICY_MAX_MSRS,
                        (void **)&p->leaves.msrs, &p->leaves.nr_msrs);
}

/* Every finding a line; *result has the first of them. */
static int refuse_policy(struct sr_reader *r, const struct policy_report *report, const char *what,
                         int err, struct xc_restore_result *result)
{
    char text[XC_FAULT_TEXT];

    result->nr_faults = report->count;
    for (size_t i = 0; i < report->count && i < report->max; i++) {
        (void)xc_fault_text(&report->faults[i], text, sizeof(text));
        (void)xc_fail(r->xch, err, "%s: %s", what, text);
    }
    return xc_fail(r->xch, err, "%s: %zu finding%s; nothing was taken from the stream", what,
                   report->count, report->count == 1 ? "" : "s");
}

static struct policy_report report_into(struct xc_restore_result *result)
{
    return (struct policy_report){result->faults,
                                  sizeof(result->faults) / sizeof(result->faults[0]), 0};
}

/* On the heap: four policies are some kilobytes. */
struct audit {
    struct cpu_policy told, given;
    struct xc_guest_limits limits;
};

/* May it come? */
static int audit_policy(struct sr_reader *r, const struct sr_policy *p, uint32_t domid,
                        struct audit *a, struct xc_restore_result *result)
{
    struct policy_report report = report_into(result);
    const struct policy_host here = xc_limits_host(&a->limits);
    struct xc_domain_info info;
    size_t checked;

    if (policy_from_leaves(&a->told, p->leaves.leaves, p->leaves.nr_leaves, p->leaves.msrs,
                           p->leaves.nr_msrs, &report))
        return refuse_policy(r, &report, "the stream's CPU policy cannot be", EILSEQ, result);
    if (xc_domain_getinfo(r->xch, domid, &info) ||
        xc_guest_limits(r->xch, xc_domain_guest_type(&info), &a->limits))
        return -1;
    if (!xc_audit_policy(&p->leaves, &a->told, &here, &report, &checked))
        return 0;
    return checked ? refuse_policy(r, &report, "the stream's CPU policy cannot be", EILSEQ, result)
                   : refuse_policy(r, &report, "this host cannot give the domain its CPU", EPERM,
                                   result);
}

/* Does the hypervisor give it?  It decides, whatever the audit thinks. */
static int try_policy(struct sr_reader *r, const struct sr_policy *p, uint32_t domid,
                      struct audit *a, struct xc_restore_result *result)
{
    struct policy_report report = report_into(result);
    int rc = xc_trial_policy(r->xch, domid, &p->leaves, &a->told, &a->given, &report, NULL);

    if (rc == XC_GIVEN_OTHERWISE)
        return refuse_policy(r, &report, "Xen gave the domain another CPU than it was told of",
                             EPERM, result);
    return rc;
}

/* What the registers will be held against, and the domain once more at the end. */
static int keep_policy(struct sr_reader *r, struct sr_policy *p, const struct audit *a)
{
    p->guest = malloc(sizeof(*p->guest));
    if (!p->guest)
        return xc_fail(r->xch, ENOMEM, "out of memory for a CPU policy");
    *p->guest = a->given;
    return 0;
}

int sr_look_again(struct sr_reader *r, const struct sr_policy *p, uint32_t domid,
                  struct xc_restore_result *result)
{
    struct policy_report report = report_into(result);
    int rc;

    if (!p->guest) /* unverified */
        return 0;
    rc = xc_last_look(r->xch, domid, p->guest, &report);
    if (rc != XC_GIVEN_OTHERWISE)
        return rc;
    result->nr_faults = report.count;
    for (size_t i = 0; i < report.count && i < report.max; i++) {
        char text[XC_FAULT_TEXT];

        (void)xc_fault_text(&report.faults[i], text, sizeof(text));
        (void)xc_fail(r->xch, EPERM, "the domain's CPU has changed: %s", text);
    }
    return xc_fail(r->xch, EPERM,
                   "the domain no longer has the CPU that it was given before its memory: it must "
                   "not run");
}

int sr_apply_policy(struct sr_reader *r, struct sr_policy *p, uint32_t domid, bool unverified,
                    struct xc_restore_result *result)
{
    struct audit *a;
    int rc;

    if (!p->have_cpuid) {
        if (!unverified)
            return xc_fail(r->xch, EPERM,
                           "the stream does not say which CPU the domain was told about: it would "
                           "have to be taken unverified");
        xtl_log(r->xch->logger, XTL_WARN, -1, "xenlevel",
                "domain %u gets this host's default CPU: its stream does not say which it had",
                domid);
        return 0;
    }
    a = malloc(sizeof(*a));
    if (!a)
        return xc_fail(r->xch, ENOMEM, "out of memory for the audit");
    rc = audit_policy(r, p, domid, a, result);
    if (!rc)
        rc = try_policy(r, p, domid, a, result);
    if (!rc)
        rc = keep_policy(r, p, a);
    free(a);
    return rc;
}
