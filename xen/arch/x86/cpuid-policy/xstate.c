/* SPDX-License-Identifier: MIT */
/* XSAVE state components: whose they are, and how large an area they make. */
#include "policy-private.h"
#include "features-gen.h"

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

uint64_t xstate_standard_size(const struct cpu_policy *p, uint64_t xcr0)
{
    uint64_t size = xcr0 ? XSTATE_AREA : 0;
    unsigned int i;

    for_each_component(i, xcr0 & ~3ull & ~(1ull << 63))
    {
        uint64_t end = (uint64_t)p->xstate[i].b + p->xstate[i].a;

        if (end > size)
            size = end;
    }
    return size;
}

uint64_t xstate_compact_size(const struct cpu_policy *p, uint64_t components)
{
    uint64_t size = components ? XSTATE_AREA : 0;
    unsigned int i;

    for_each_component(i, components & ~3ull & ~(1ull << 63))
    {
        if (p->xstate[i].c & XSTATE_ALIGN64)
            size = (size + 63) & ~63ull;
        size += p->xstate[i].a;
    }
    return size;
}
