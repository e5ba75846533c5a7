/* SPDX-License-Identifier: MIT */
/* XSAVE state components: which feature each is there for. */
#include "features-gen.h"
#include "policy-private.h"

uint32_t xstate_feature(unsigned int component)
{
    uint32_t feature = component < POLICY_NR_XSTATE ? xstate_features[component] : 0;

    return feature ? feature - 1 : POLICY_NONE;
}
