/* SPDX-License-Identifier: MIT */
/* XSAVE state components: how large an area they make. */
#include "policy-private.h"
#include "features-gen.h"

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
