/* SPDX-License-Identifier: MIT */
/*
 * Can a host hold PV guests to a level?
 */
#include <string.h>

#include "enforce.h"
#include "out.h"
#include "show.h"
#include "util.h"

#include <levelling.h>
#include <xen/sysctl.h>

/* Of what stays visible only what a level is about: what PV guests are given at all (no VMX, no
 * power management), and no hazards. */
static void of_a_level(struct featureset *fs)
{
    featureset_and(fs, fs, featureset_guest_default(GUEST_PV));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_HAZARD));
    show_comparable(fs);
}

void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e)
{
    const struct cpu_policy *real =
        &host->policy[host->have[XC_POLICY_RAW] ? XC_POLICY_RAW : XC_POLICY_HOST];

    memset(e, 0, sizeof(*e));
    e->known = host->caps_known;
    e->faulting = host->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting;
    if (!e->known || e->faulting)
        return;
    levelling_visible(host->caps, real, level, &e->visible);
    levelling_visible(0, real, level, &e->masked); /* with no mask at all */
    featureset_andnot(&e->masked, &e->masked, &e->visible);
    of_a_level(&e->visible);
    of_a_level(&e->masked);
}

void enforcement_print(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e)
{
    char count[32];

    if (!e->known) {
        out_text(f, indent, indent + 2,
                 "PV guests on %s: whether their programs can be kept from seeing more than the "
                 "level is not known (its levelling capabilities are not in the file)",
                 host->name);
        return;
    }
    if (!featureset_empty(&e->visible)) {
        out_text(f, indent, indent + 2,
                 "PV guests on %s: %s beyond the level %s visible to their programs, since its "
                 "CPU has neither CPUID faulting nor a mask for:",
                 host->name,
                 plural(count, sizeof(count), featureset_count(&e->visible), "feature", "features"),
                 featureset_count(&e->visible) == 1 ? "stays" : "stay");
        show_features(f, indent + 4, &e->visible);
    }
    if (!featureset_empty(&e->masked))
        out_text(f, indent, indent + 2,
                 "PV guests on %s: %s %s hidden by masking MSRs. These are written again whenever "
                 "the processor switches to a guest of another level, which makes context switches "
                 "slower.",
                 host->name,
                 plural(count, sizeof(count), featureset_count(&e->masked), "feature", "features"),
                 featureset_count(&e->masked) == 1 ? "is" : "are");
}

void enforcement_json(struct json *j, const char *key, const struct enforcement *e)
{
    json_object(j, key);
    json_bool(j, "known", e->known);
    if (e->known) {
        json_bool(j, "faulting", e->faulting);
        json_features(j, "visible", &e->visible);
        json_features(j, "masked", &e->masked);
    }
    json_close_object(j);
}
