/* SPDX-License-Identifier: MIT */
/* XSAVE state components: which feature each is there for. */
#include "features-gen.h"
#include "policy-private.h"

uint32_t xstate_feature(unsigned int component)
{
    switch (component) {
    case XSTATE_X87:
    case XSTATE_SSE:
        return X86_FEATURE_XSAVE;
    case XSTATE_AVX:
        return X86_FEATURE_AVX;
    case XSTATE_BNDREGS:
    case XSTATE_BNDCSR:
        return X86_FEATURE_MPX;
    case XSTATE_OPMASK:
    case XSTATE_ZMM:
    case XSTATE_HI_ZMM:
        return X86_FEATURE_AVX512F;
    case XSTATE_PKRU:
        return X86_FEATURE_PKU;
    case XSTATE_TILECFG:
    case XSTATE_TILEDATA:
        return X86_FEATURE_AMX_TILE;
    case XSTATE_APX:
        return X86_FEATURE_APX_F;
    case XSTATE_LWP:
        return X86_FEATURE_LWP;
    default:
        return POLICY_NONE;
    }
}
