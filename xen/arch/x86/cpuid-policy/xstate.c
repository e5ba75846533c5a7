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

/* Sizes that no processor can change: SDM vol. 1, 13.5; APM vol. 2, 13.4 for LWP.  0: not fixed. */
static uint32_t architectural_size(unsigned int component)
{
    switch (component) {
    case XSTATE_PT:
    case XSTATE_LWP:
        return 128;
    case XSTATE_PKRU:
    case XSTATE_PASID:
        return 8;
    case XSTATE_CET_U:
        return 16;
    case XSTATE_CET_S:
        return 24;
    case XSTATE_UINTR:
        return 48;
    default:
        return 0;
    }
}

uint64_t policy_complete_xstate(struct cpu_policy *p)
{
    const uint64_t numbered = ~3ull & ~(1ull << 63);
    uint64_t xcr0 = policy_xcr0(p), xss = policy_xss(p), given_up = 0;
    unsigned int i;

    for_each_component(i, (xcr0 | xss) & numbered)
    {
        uint32_t size = architectural_size(i);
        uint64_t others = xstate_standard_size(p, xcr0);

        if (p->xstate[i].a)
            continue;
        if (size && ((xss >> i) & 1))
            p->xstate[i] = (struct cpuid_regs){.a = size, .c = XSTATE_SUPERVISOR};
        else if (size && others + size <= p->xstate[0].c) /* the one at the area's end */
            p->xstate[i] = (struct cpuid_regs){.a = size, .b = p->xstate[0].c - size};
        else
            given_up |= 1ull << i;
    }
    if (given_up) {
        xcr0 &= ~given_up;
        xss &= ~given_up;
        p->xstate[0].a = (uint32_t)xcr0;
        p->xstate[0].d = (uint32_t)(xcr0 >> 32);
        p->xstate[1].c = (uint32_t)xss;
        p->xstate[1].d = (uint32_t)(xss >> 32);
        policy_close(p, NULL);
    }
    return given_up;
}
