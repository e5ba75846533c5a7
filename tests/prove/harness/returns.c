/* SPDX-License-Identifier: MIT */
/*
 * RSBA and RRSBA: one hazard in two strengths.  check_hazards() names one of them if and only if
 * the guest can read the MSR and does not know what the host has.  What else check_hazards() names
 * is not looked at here, so only these two need to be weighed.
 */
#include "harness.h"

#include "check.c"
#include "featureset.c"
#include "features-gen.c"
#include "leaves.c"
#include "text.c"

static bool named;

static bool is_return_stack(unsigned int feature)
{
    return feature == X86_FEATURE_RSBA || feature == X86_FEATURE_RRSBA;
}

static void stub_feature_fault(enum policy_fault_kind kind, unsigned int feature, uint64_t guest,
                               uint64_t host, struct policy_report *r)
{
    (void)guest;
    (void)host;
    (void)r;
    named |= kind == FAULT_HAZARD_UNTOLD && is_return_stack(feature);
}

static bool stub_hazard_concerns(const struct featureset *fs, unsigned int hazard)
{
    return is_return_stack(hazard) && real_hazard_concerns(fs, hazard);
}

void check_return_stack(void)
{
    struct cpu_policy guest = nondet_policy(), deflt = nondet_policy();
    struct policy_report r = {NULL, 0, 0};
    struct featureset g, h;
    bool weak, strong, knows;

    policy_to_featureset(&guest, &g);
    policy_to_featureset(&deflt, &h);
    check_hazards(&guest, &g, &deflt, &r);

    /* Beside EIBRS it is the weaker one, whatever the host calls it. */
    strong = featureset_test(&h, X86_FEATURE_RSBA) && !featureset_test(&h, X86_FEATURE_EIBRS);
    weak = !strong &&
           (featureset_test(&h, X86_FEATURE_RSBA) || featureset_test(&h, X86_FEATURE_RRSBA));
    /* RSBA covers both; RRSBA the weaker, and says nothing without EIBRS. */
    knows = featureset_test(&g, X86_FEATURE_RSBA) || (!strong && !weak) ||
            (!strong && featureset_test(&g, X86_FEATURE_RRSBA) &&
             featureset_test(&g, X86_FEATURE_EIBRS));
    PROVE(named == (featureset_test(&g, X86_FEATURE_ARCH_CAPS) && !knows),
          "named if and only if it must be");
    REACHED();
}
