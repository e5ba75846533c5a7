/* SPDX-License-Identifier: MIT */
/* The trial and the last look; see trial.h. */
#include "trial.h"

#include <string.h>

#define EXTD 0x80000000u

/* ---- what is given up ---- */

static bool gives_up(const struct audit_allow *allow, enum policy_fault_kind kind)
{
    return allow->kinds & (1u << kind);
}

/* Leaf D.0, EAX and EDX: is every component that differs given up? */
static bool components_waived(const struct policy_fault *f, const struct audit_allow *allow)
{
    uint32_t differ = (uint32_t)(f->guest ^ f->host);

    for (unsigned int i = 0; i < 32; i++)
        if (differ >> i & 1 && !audit_component_allowed(f->reg == 3 ? i + 32 : i, allow))
            return false;
    return true;
}

static bool any_component_waived(const struct audit_allow *allow)
{
    for (uint32_t i = 2; i < 63; i++)
        if (audit_component_allowed(i, allow))
            return true;
    return false;
}

static bool xstate_waived(const struct policy_fault *f, const struct audit_allow *allow)
{
    if (gives_up(allow, FAULT_XSTATE_MISSING))
        return true;
    if (f->subleaf >= 2)
        return audit_component_allowed(f->subleaf, allow);
    if (f->subleaf == 0 && f->reg == 2) /* the size of all of them follows */
        return any_component_waived(allow);
    return f->subleaf == 0 && components_waived(f, allow);
}

/* Is the leaf above the maximum that the domain has got?  Then it went with the maximum. */
static bool is_beyond(const struct policy_fault *f, const struct cpu_policy *given)
{
    if (f->leaf >= EXTD)
        return f->leaf > given->extd[0].a;
    if (f->leaf == 7 && f->subleaf != POLICY_NONE && f->subleaf > given->feat[0].a)
        return true;
    return f->leaf > given->basic[0].a;
}

static bool is_maximum(const struct policy_fault *f)
{
    return f->reg == 0 && (f->leaf == 0 || f->leaf == EXTD || (f->leaf == 7 && f->subleaf == 0));
}

/* Leaf A and its like: a number that was given up by its name. */
static bool field_waived(const struct policy_fault *f, const struct audit_allow *allow)
{
    const struct featureset_field_info *field;

    for (unsigned int i = 0; i < 32 && (field = featureset_field_info(i)); i++) {
        const struct featureset_word_info *w = featureset_word_info(field->word);

        if (allow->fields >> i & 1 && w->leaf == f->leaf && w->subleaf == f->subleaf)
            return true;
    }
    return false;
}

/* Findings of which reg, shift and width say which bits they are. */
static bool has_bits(enum policy_fault_kind kind)
{
    return kind == FAULT_LEAF || kind == FAULT_CLFLUSH || kind == FAULT_MAXPHYSADDR ||
           kind == FAULT_LINEARADDR;
}

/* Fields of leaves: does the audit, too, find at fault each bit that differs, as what is given up?
 */
static bool register_waived(const struct policy_fault *f, const struct policy_report *named,
                            const struct audit_allow *allow)
{
    uint32_t differ = (uint32_t)(f->guest ^ f->host);

    for (size_t i = 0; i < named->count && i < named->max; i++) {
        const struct policy_fault *n = &named->faults[i];

        if (has_bits(n->kind) && gives_up(allow, n->kind) && n->leaf == f->leaf &&
            n->subleaf == f->subleaf && n->reg == f->reg)
            differ &= ~(n->width < 32 ? ((1u << n->width) - 1) << n->shift : ~0u);
    }
    return !differ;
}

/* Is this difference one that the administrator has given up?  *named: what the audit says of a
 * host that gives no more than this. */
static bool is_waived(const struct policy_fault *f, const struct cpu_policy *given,
                      const struct policy_report *named, const struct audit_allow *allow)
{
    if (f->feature != POLICY_NONE && featureset_test(&allow->features, f->feature))
        return true;
    if (f->msr != POLICY_NONE) /* ARCH_CAPABILITIES is features, to be named one by one */
        return f->feature == POLICY_NONE && gives_up(allow, FAULT_MSR);
    if (gives_up(allow, FAULT_MAX_LEAF) && (is_maximum(f) || is_beyond(f, given)))
        return true;
    if (f->feature != POLICY_NONE)
        return false;
    if (f->leaf == 0xd)
        return xstate_waived(f, allow);
    return field_waived(f, allow) || register_waived(f, named, allow);
}

/* Returns how many findings remain. */
static size_t waive(const struct audit_case *c, struct trial *t, size_t n, struct audit *a)
{
    const struct policy_host as_given = {.max = &t->given};
    struct policy_report named = {t->named, AUDIT_FAULTS, 0};
    size_t remain = 0;

    if (n)
        (void)policy_check(&a->policy, &as_given, &named);

    for (size_t i = 0; i < n; i++) {
        a->waived[i] = is_waived(&a->faults[i], &t->given, &named, c->allow);
        remain += !a->waived[i];
    }
    return remain;
}

/* ---- */

bool trial_run(struct gate_host *h, uint32_t domid, const struct audit_case *c, struct trial *t,
               struct audit *a)
{
    struct policy_report r = {a->faults, AUDIT_FAULTS, 0};
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
    n = r.count < r.max ? r.count : r.max;
    if (rc < 0)
        audit_not_given(c, why, false, a);
    else if (waive(c, t, n, a) || r.count > n)
        audit_given(c, n, false, a);
    else {
        audit_given_up(n, a);
        rc = XC_GIVEN_AS_TOLD;
    }
    return rc == XC_GIVEN_AS_TOLD;
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
