/* SPDX-License-Identifier: MIT */
/* The trial and the last look; see trial.h. */
#include "trial.h"

#include <string.h>

bool trial_run(struct gate_host *h, uint32_t domid, const struct audit_case *c, struct trial *t,
               struct audit *a)
{
    struct policy_report r = {a->faults, AUDIT_FAULTS, 0}, named = {t->named, AUDIT_FAULTS, 0};
    /* What the stock reader will set, entry by entry; nothing here changes it. */
    const struct xc_leaves leaves = audit_named(c->head);
    char why[GATE_WHY];
    size_t n;
    int rc;

    t->unverified = !c->head->has_cpuid;
    if (t->unverified) {
        rc = gate_host_domain_policy(h, domid, &t->given, why);
        if (rc)
            audit_not_given(c, why, false, a);
        return !rc;
    }
    memset(a->waived, 0, sizeof(a->waived));
    rc = gate_host_trial(h, domid, &leaves, &a->policy, &t->given, &r, why);
    if (rc < 0) {
        audit_not_given(c, why, false, a);
        return false;
    }
    if (rc == XC_GIVEN_AS_TOLD)
        return true;
    n = r.count < r.max ? r.count : r.max;
    allow_name(&a->policy, &t->given, &named);
    if (allow_given(c->allow, &t->given, &named, a->faults, n, a->waived) || r.count > n) {
        audit_given(c, n, false, a);
        return false;
    }
    audit_given_up(c, &named, n, a);
    return true;
}

/* Nobody knows what it was told of at its birth; at least it is on record what it has got. */
static void say_what_it_got(const struct audit_case *c, const struct audit *a, size_t n)
{
    if (!n)
        report_line(LOG_WARNING, "'%s': unverified: it has the CPU that this host gives by default",
                    c->domain);
    for (size_t i = 0; i < n; i++) {
        char line[XC_FAULT_TEXT];

        (void)xc_fault_text(&a->faults[i], line, sizeof(line));
        report_line(LOG_WARNING, "'%s': unverified: this host's default CPU %s", c->domain, line);
    }
}

bool trial_last_look(struct gate_host *h, uint32_t domid, const struct audit_case *c,
                     const struct trial *t, struct audit *a)
{
    struct policy_report r = {a->faults, AUDIT_FAULTS, 0};
    char why[GATE_WHY];
    size_t n;
    int rc;

    memset(a->waived, 0, sizeof(a->waived));
    rc = gate_host_last_look(h, domid, &t->given, &r, why);
    n = r.count < r.max ? r.count : r.max;
    if (rc < 0) {
        audit_not_given(c, why, true, a);
        return false;
    }
    if (t->unverified) {
        say_what_it_got(c, a, n);
        return true;
    }
    if (rc == XC_GIVEN_AS_TOLD)
        return true;
    audit_given(c, n, true, a);
    return false;
}
