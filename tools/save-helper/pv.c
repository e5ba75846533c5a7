/* SPDX-License-Identifier: MIT */
/*
 * A PV guest's programs execute CPUID on the processor.  What they will read on this host beyond or
 * short of the policy that the audit has accepted is said, or with XENLEVEL_PV=strict refused.
 *
 * What they have read where they come from is in no stream: there the gate says so when it saves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "programs.h"
#include "text.h"

/* -1: XENLEVEL_PV says something that nobody knows, which must not mean less than was meant. */
static int is_strict(bool *strict)
{
    const char *value = getenv("XENLEVEL_PV"); /* NOLINT(concurrency-mt-unsafe): one thread */

    *strict = value && !strcmp(value, "strict");
    return !value || !value[0] || *strict || !strcmp(value, "warn") ? 0 : -1;
}

static void add_line(void *opaque, const char *line)
{
    text_line(opaque, 4, "  %s", line);
}

static void add_summary(void *opaque, const char *line)
{
    text_add(opaque, "; %s", line);
}

/* Into a->text and a->summary, as a warning or as a refusal. */
static void tell_view(const struct audit_case *c, const struct pv_view *view, bool strict,
                      struct audit *a)
{
    const char *what =
        !view
            ? "what its programs will read with CPUID on this host is not known"
            : "its programs execute CPUID on this host's processor, and will read something other "
              "than its policy";
    struct text t, summary;

    text_init(&t, a->text, sizeof(a->text), c->width);
    text_init(&summary, a->summary, sizeof(a->summary), 0);
    a->text[0] = a->summary[0] = '\0';
    text_add(&summary, "%s'%s' (%s): %s", strict ? "refused: " : "", c->domain, c->type, what);
    text_line(&t, 4, "xenlevel: %s%s", a->summary, view ? ":" : "");
    if (view) {
        programs_say(&view->beyond, add_line, &t);
        programs_say(&view->beyond, add_summary, &summary);
    }
    if (!strict)
        return;
    audit_say_untouched(c, &t);
    audit_say_names("pv-programs", &t);
    text_line(&t, 4, "  XENLEVEL_PV=strict on this host asks for that.");
}

bool pv_refuses(const struct gate_host *h, const struct audit_case *c, struct audit *a)
{
    struct policy_report none = {NULL, 0, 0};
    struct pv_view view;
    bool strict, known;

    if (h->domain.type != XC_DOMAIN_PV)
        return false;
    if (is_strict(&strict)) {
        audit_broken(c, "XENLEVEL_PV: neither 'warn' nor 'strict'", a);
        return true;
    }
    known = c->head->has_cpuid && !xc_sr_head_policy(c->head, &a->policy, &none) &&
            !programs_view(h->xch, &a->policy, &view);
    if (known && view.exact)
        return false;
    tell_view(c, known ? &view : NULL, strict, a);
    if (!strict)
        report_text(LOG_WARNING, a->text);
    return strict;
}

void pv_leaves(const struct gate_host *h, uint32_t domid, const char *name)
{
    struct cpu_policy policy;
    struct xc_domain_info info;
    struct pv_view view;
    char names[512]; /* of a line's length */

    if (xc_domain_getinfo(h->xch, domid, &info) || info.type != XC_DOMAIN_PV ||
        xc_domain_policy(h->xch, domid, &policy))
        return; /* what fails here fails the save as well, with its own words */
    if (programs_view(h->xch, &policy, &view) || view.exact)
        return;
    programs_features(&view.beyond.vanish, names, sizeof(names));
    report_line(
        LOG_WARNING,
        "saving '%s': its programs execute CPUID on this host's processor and read something "
        "other than its policy%s%s; where it goes on they may read something else again",
        name, names[0] ? ", without " : "", names);
}
