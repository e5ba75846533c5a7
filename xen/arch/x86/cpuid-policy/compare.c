/* SPDX-License-Identifier: MIT */
/*
 * policy_compare: did the domain get the CPU that it was told of?  check.c asks what a host could
 * give; this compares what a hypervisor did give, register by register, and forgives nothing but
 * what is in one table.
 */
#include "policy-private.h"
#include "features-gen.h"

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

/*
 * Bits in which a policy and what Xen reads back may differ though no guest sees another CPU.  Each
 * is shown on real Xen by tests/migration/lab/test_trial.py.
 */
struct own_nature {
    uint32_t leaf, subleaf;
    uint32_t reg, mask;
    const char *reason;
};

static const struct own_nature own_nature[] = {
    {1, POLICY_NONE, REG_EBX, 0xff000000u,
     "the initial APIC ID is each vCPU's own; Xen clears it in a domain's policy"},
    {1, POLICY_NONE, REG_ECX, 1u << X86_FEATURE_OSXSAVE % 32,
     "mirrors the vCPU's CR4.OSXSAVE when the guest asks"},
    {7, 0, REG_ECX, 1u << X86_FEATURE_OSPKE % 32, "mirrors the vCPU's CR4.PKE when the guest asks"},
    {7, 0, REG_EBX, 1u << X86_FEATURE_FDP_EXCP_ONLY % 32 | 1u << X86_FEATURE_NO_FPU_SEL % 32,
     "how the processor's FPU behaves: Xen takes both from the host, whatever it is told"},
    {0xd, 0, REG_EBX, 0xffffffffu,
     "the size for the XCR0 of the moment, which the vCPU that asks has"},
    {0xd, 1, REG_EBX, 0xffffffffu,
     "the size for the XCR0 and XSS of the moment, which the vCPU that asks has"},
};

const char *policy_own_nature(uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t *mask)
{
    for (size_t i = 0; i < sizeof(own_nature) / sizeof(own_nature[0]); i++)
        if (own_nature[i].leaf == leaf && own_nature[i].subleaf == subleaf &&
            own_nature[i].reg == reg) {
            *mask = own_nature[i].mask;
            return own_nature[i].reason;
        }
    *mask = 0;
    return NULL;
}

/* The featureset word that a register is; FEATURESET_WORDS when it is none. */
static unsigned int word_of(uint32_t leaf, uint32_t subleaf, uint32_t msr, uint32_t reg)
{
    unsigned int i;

    for (i = 0; i < FEATURESET_WORDS; i++) {
        const struct featureset_word_info *w = featureset_word_info(i);

        if (w->leaf == leaf && w->subleaf == subleaf && w->msr == msr && w->reg == reg)
            break;
    }
    return i;
}

/* Report each differing bit of one register: features by number, all other bits together. */
static void compare_word(struct policy_fault where, unsigned int word, uint32_t told,
                         uint32_t given, uint32_t differ, struct policy_report *r)
{
    uint32_t numbers = word < FEATURESET_WORDS ? featureset_number_bits()->w[word] : 0xffffffffu;

    for (unsigned int bit = 0; bit < 32; bit++) {
        if (!(differ & ~numbers & (1u << bit)))
            continue;
        where.feature = word * 32 + bit;
        where.guest = told >> bit & 1;
        where.host = given >> bit & 1;
        policy_fault(r, where);
    }
    if (!(differ & numbers))
        return;
    where.feature = POLICY_NONE;
    where.guest = told;
    where.host = given;
    policy_fault(r, where);
}

static void compare_reg(uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t told,
                        uint32_t given, struct policy_report *r)
{
    struct policy_fault f = policy_fault_at(FAULT_GIVEN_OTHERWISE, leaf, subleaf, told, given);
    uint32_t own;

    if (told == given)
        return;
    (void)policy_own_nature(leaf, subleaf, reg, &own);
    if (!((told ^ given) & ~own))
        return;
    f.reg = reg;
    compare_word(f, word_of(leaf, subleaf, POLICY_NONE, reg), told, given, (told ^ given) & ~own,
                 r);
}

static void compare_leaf(const struct cpu_policy *told, const struct cpu_policy *given,
                         uint32_t leaf, uint32_t subleaf, struct policy_report *r)
{
    const struct cpuid_regs *t = policy_leaf_const(told, leaf, subleaf);
    const struct cpuid_regs *g = policy_leaf_const(given, leaf, subleaf);

    if (!t || !g) /* no policy holds it */
        return;
    compare_reg(leaf, subleaf, REG_EAX, t->a, g->a, r);
    compare_reg(leaf, subleaf, REG_EBX, t->b, g->b, r);
    compare_reg(leaf, subleaf, REG_ECX, t->c, g->c, r);
    compare_reg(leaf, subleaf, REG_EDX, t->d, g->d, r);
}

static void compare_range(const struct cpu_policy *told, const struct cpu_policy *given,
                          uint32_t first, uint32_t count, struct policy_report *r)
{
    for (uint32_t leaf = first; leaf < first + count; leaf++) {
        const struct leaf_family *f = policy_family(leaf);

        if (!f) {
            compare_leaf(told, given, leaf, POLICY_NONE, r);
            continue;
        }
        for (uint32_t s = 0; s < f->count; s++)
            compare_leaf(told, given, leaf, s, r);
    }
}

/* The highest hypervisor leaf; 0 leaves it to Xen, which then may answer with any. */
static void compare_hv(uint32_t leaf, uint32_t told, uint32_t given, struct policy_report *r)
{
    if (told)
        compare_reg(leaf, POLICY_NONE, REG_EAX, told, given, r);
}

static void compare_platform_info(uint64_t told, uint64_t given, struct policy_report *r)
{
    struct policy_fault f = policy_fault_init(FAULT_GIVEN_OTHERWISE);

    if (told == given)
        return;
    f.msr = MSR_INTEL_PLATFORM_INFO;
    f.guest = told;
    f.host = given;
    policy_fault(r, f);
}

static void compare_arch_caps(uint64_t told, uint64_t given, struct policy_report *r)
{
    for (uint32_t half = 0; half < 2; half++) {
        uint32_t t = (uint32_t)(told >> (32 * half)), g = (uint32_t)(given >> (32 * half));
        struct policy_fault f = policy_fault_init(FAULT_GIVEN_OTHERWISE);

        if (t == g)
            continue;
        f.msr = MSR_ARCH_CAPABILITIES;
        compare_word(
            f, word_of(POLICY_NONE, POLICY_NONE, MSR_ARCH_CAPABILITIES, half ? REG_EDX : REG_EAX),
            t, g, t ^ g, r);
    }
}

int policy_compare(const struct cpu_policy *told, const struct cpu_policy *given,
                   struct policy_report *r)
{
    struct policy_report count_only = {NULL, 0, 0};
    size_t before;

    if (!r)
        r = &count_only;
    before = r->count;
    compare_range(told, given, 0, POLICY_NR_BASIC, r);
    compare_hv(HV_FIRST, told->hv_limit, given->hv_limit, r);
    compare_hv(HV2_FIRST, told->hv2_limit, given->hv2_limit, r);
    compare_range(told, given, EXTD_FIRST, POLICY_NR_EXTD, r);
    compare_platform_info(told->platform_info, given->platform_info, r);
    compare_arch_caps(told->arch_caps, given->arch_caps, r);
    return r->count == before ? 0 : -EINVAL;
}
