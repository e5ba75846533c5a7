/* SPDX-License-Identifier: MIT */
/*
 * Can a host hold PV guests to a level?
 */
#include <string.h>

#include "enforce.h"
#include "out.h"
#include "show.h"
#include "util.h"

#include <xen/sysctl.h>

/* Which word each masking capability covers. */
static const struct {
    uint32_t cap;
    unsigned int word;
} masks[] = {
    {XEN_SYSCTL_CPU_LEVELCAP_ecx, FEATURESET_1c},
    {XEN_SYSCTL_CPU_LEVELCAP_edx, FEATURESET_1d},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_ecx, FEATURESET_e1c},
    {XEN_SYSCTL_CPU_LEVELCAP_extd_edx, FEATURESET_e1d},
    {XEN_SYSCTL_CPU_LEVELCAP_xsave_eax, FEATURESET_Da1},
    {XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx, FEATURESET_6c},
    {XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx, FEATURESET_7b0},
};

void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e)
{
    const struct cpu_policy *real =
        &host->policy[host->have[XC_POLICY_RAW] ? XC_POLICY_RAW : XC_POLICY_HOST];
    struct featureset allowed;

    memset(e, 0, sizeof(*e));
    e->known = host->caps_known;
    e->faulting = host->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting;
    if (!e->known || e->faulting)
        return;
    policy_to_featureset(real, &e->visible);
    /* What PV guests are not given anyway (VMX, power management) is no part of any level. */
    featureset_and(&e->visible, &e->visible, featureset_guest_default(GUEST_PV));
    featureset_andnot(&e->visible, &e->visible, featureset_merge_mask(MERGE_HAZARD));
    show_comparable(&e->visible);
    e->visible.w[FEATURESET_m10Al] = e->visible.w[FEATURESET_m10Ah] = 0; /* not CPUID */
    policy_to_featureset(level, &allowed);
    featureset_andnot(&e->visible, &e->visible, &allowed);
    for (unsigned int i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
        if (host->caps & masks[i].cap) {
            e->masked.w[masks[i].word] = e->visible.w[masks[i].word];
            e->visible.w[masks[i].word] = 0;
        }
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
