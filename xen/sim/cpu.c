/* SPDX-License-Identifier: MIT */
/*
 * A simulated CPU: what CPUID, RDMSR and WRMSR do on it.  See cpu.h.
 *
 * Sources: Intel SDM vol. 2A (CPUID) and vol. 4 (MSRs, by model); Intel's application note 323850
 * (virtualisation FlexMigration: masks and faulting); AMD's BIOS and Kernel Developer's Guides
 * (MSR C001_1002 to C001_1005) and APM vol. 2 (HWCR, CpuidUserDis).
 */
#include <string.h>

#include <cpuid-policy/vocabulary.h>
#include <sim/cpu.h>

#include "features-gen.h"

#define MSR_MISC_FEATURES_ENABLES 0x00000140u
#define MISC_FEATURES_FAULTING    (1ull << 0)
#define MISC_FEATURES_RING3_MWAIT (1ull << 1)
#define MSR_K8_HWCR               0xc0010015u
#define HWCR_CPUID_USER_DIS       (1ull << 35)

#define AMD_EDI_KEY 0x9c5a203au

#define CR4_OSXSAVE_BIT (1ull << 18)
#define CR4_PKE_BIT     (1ull << 22)

static bool is_intel(const struct sim_cpu_model *m)
{
    return policy_vendor_id(&m->cpuid) == CPU_VENDOR_INTEL;
}

static bool is_amd(const struct sim_cpu_model *m)
{
    return vendor_is_amd_like(policy_vendor_id(&m->cpuid));
}

static void init_intel(struct sim_cpu_model *m)
{
    m->has_faulting = m->platform_info & PLATFORM_INFO_CPUID_FAULTING;
    if (m->has_faulting)
        m->kind = LEVELLING_INTEL_FAULTING;
    if (m->family != 6)
        return;
    switch (m->model) {
    case 0x17:
    case 0x1d:
        m->kind = LEVELLING_INTEL_V1;
        m->mask_msr[MASK_1] = 0x478;
        break;
    case 0x1a:
    case 0x1e:
    case 0x1f:
    case 0x25:
    case 0x2c:
    case 0x2e:
    case 0x2f:
        m->kind = LEVELLING_INTEL_V2;
        m->mask_msr[MASK_1] = 0x130;
        m->mask_msr[MASK_E1] = 0x131;
        break;
    case 0x2a:
    case 0x2d:
        m->kind = LEVELLING_INTEL_V3;
        m->mask_msr[MASK_1] = 0x132;
        m->mask_msr[MASK_E1] = 0x133;
        m->mask_msr[MASK_Da1] = 0x134;
        break;
    default:
        break;
    }
}

static void init_amd(struct sim_cpu_model *m)
{
    if (m->family < 0xf || (m->family == 0xf && m->model < 0x20))
        return;
    m->kind = LEVELLING_AMD;
    m->edi = m->family < 0x10 ? AMD_EDI_KEY : 0;
    /* Family 0x11 has no C001_1004 and C001_1005. */
    if (m->family != 0x11) {
        m->mask_msr[MASK_1] = 0xc0011004u;
        m->mask_msr[MASK_E1] = 0xc0011005u;
    }
    if (m->cpuid.basic[0].a >= 7)
        m->mask_msr[MASK_7ab0] = 0xc0011002u;
    if (m->family == 0x15 && m->cpuid.basic[0].a >= 6 && m->cpuid.basic[6].c)
        m->mask_msr[MASK_6c] = 0xc0011003u;
    m->has_userdis = m->cpuid.extd[0].a >= 0x80000021u && (m->cpuid.extd[0x21].a >> 17 & 1);
    if (m->has_userdis)
        m->kind = LEVELLING_AMD_USERDIS;
}

void sim_cpu_model_init(struct sim_cpu_model *model)
{
    policy_signature(&model->cpuid, &model->family, &model->model, &model->stepping);
    model->platform_info |= model->cpuid.platform_info;
    model->arch_caps |= model->cpuid.arch_caps;
    model->kind = LEVELLING_NONE;
    memset(model->mask_msr, 0, sizeof(model->mask_msr));
    model->edi = 0;
    model->has_faulting = model->has_userdis = false;
    if (model->virtualised)
        return;
    if (is_intel(model))
        init_intel(model);
    else if (is_amd(model))
        init_amd(model);
}

/* The register that a mask or an override covers, as the silicon has it. */
static uint64_t read_silicon(const struct sim_cpu_model *m, enum mask_slot slot)
{
    const struct cpu_policy *p = &m->cpuid;

    switch (slot) {
    case MASK_1:
        return (uint64_t)p->basic[1].c << 32 | p->basic[1].d;
    case MASK_E1:
        return (uint64_t)p->extd[1].c << 32 | p->extd[1].d;
    case MASK_Da1:
        return p->xstate[1].a;
    case MASK_7ab0:
        return (uint64_t)p->feat[0].a << 32 | p->feat[0].b;
    case MASK_6c:
        return p->basic[6].c;
    case MASK_SLOTS:
        break;
    }
    return 0;
}

void sim_pcpu_reset(struct sim_pcpu *c, const struct sim_cpu_model *model, unsigned int id)
{
    memset(c, 0, sizeof(*c));
    c->model = model;
    c->id = id;
    c->xcr0 = 1;
    for (unsigned int slot = 0; slot < MASK_SLOTS; slot++) {
        if (!model->mask_msr[slot])
            continue;
        c->mask[slot] = is_intel(model) ? ~0ull : read_silicon(model, slot);
        /* The overrides' OSXSAVE and APIC stand for "as it really is". */
        if (!is_intel(model) && slot == MASK_1) {
            c->mask[slot] |= 1ull << (X86_FEATURE_APIC % 32);
            if (model->cpuid.basic[1].c >> (X86_FEATURE_XSAVE % 32) & 1)
                c->mask[slot] |= 1ull << (32 + X86_FEATURE_OSXSAVE % 32);
        }
    }
}

/* ---- CPUID ---- */

/* The size of the XSAVE area for these components: standard form, or compacted (SDM vol. 1,
 * 13.4). */
static uint32_t xstate_size(const struct cpu_policy *p, uint64_t components, bool compacted)
{
    uint32_t size = 576; /* legacy area and header */

    for (unsigned int i = 2; i < 63; i++) {
        const struct cpuid_regs *r = &p->xstate[i];

        if (!(components >> i & 1))
            continue;
        if (compacted)
            size = ((r->c & 2) ? (size + 63u) & ~63u : size) + r->a;
        else if (!(r->c & 1) && r->a + r->b > size)
            size = r->a + r->b;
    }
    return size;
}

/* Leaf 1: who, and what the CPU's CR4 adds; then the masks. */
static void leaf_1(const struct sim_pcpu *c, struct cpuid_regs *r)
{
    uint64_t mask = c->mask[MASK_1];
    uint32_t osxsave = 1u << (X86_FEATURE_OSXSAVE % 32), apic = 1u << (X86_FEATURE_APIC % 32);

    r->b = (r->b & 0x00ffffffu) | (c->id & 0xffu) << 24;
    r->c &= ~osxsave;
    if ((r->c >> (X86_FEATURE_XSAVE % 32) & 1) && (c->cr4 & CR4_OSXSAVE_BIT))
        r->c |= osxsave;
    if (!c->model->mask_msr[MASK_1])
        return;
    if (is_intel(c->model)) {
        /* Bits 31:0 are ECX's, 63:32 EDX's. */
        r->c &= (uint32_t)mask;
        r->d &= (uint32_t)(mask >> 32);
    } else {
        /* An override: 31:0 EDX, 63:32 ECX; it replaces, but for the two that say how things are.
         */
        r->c = ((uint32_t)(mask >> 32) & ~osxsave) | ((uint32_t)(mask >> 32) & r->c & osxsave);
        r->d = ((uint32_t)mask & ~apic) | ((uint32_t)mask & r->d & apic);
    }
}

static void leaf_e1(const struct sim_pcpu *c, struct cpuid_regs *r)
{
    uint64_t mask = c->mask[MASK_E1];

    if (!c->model->mask_msr[MASK_E1])
        return;
    if (is_intel(c->model)) {
        r->c &= (uint32_t)mask;
        r->d &= (uint32_t)(mask >> 32);
    } else {
        uint32_t apic = 1u << (X86_FEATURE_APIC % 32);

        r->c = (uint32_t)(mask >> 32);
        r->d = ((uint32_t)mask & ~apic) | ((uint32_t)mask & r->d & apic);
    }
}

static void leaf_d(const struct sim_pcpu *c, uint32_t subleaf, struct cpuid_regs *r)
{
    const struct cpu_policy *p = &c->model->cpuid;
    bool xsaves = p->xstate[1].a >> (X86_FEATURE_XSAVES % 32) & 1;

    if (subleaf == 0) {
        r->b = xstate_size(p, c->xcr0, false);
    } else if (subleaf == 1) {
        if (p->xstate[1].a >> (X86_FEATURE_XSAVEC % 32) & 1 || xsaves)
            r->b = xstate_size(p, c->xcr0, true);
        if (c->model->mask_msr[MASK_Da1])
            r->a &= (uint32_t)c->mask[MASK_Da1];
    }
}

static void leaf_7(const struct sim_pcpu *c, struct cpuid_regs *r)
{
    uint32_t ospke = 1u << (X86_FEATURE_OSPKE % 32);

    r->c &= ~ospke;
    if ((r->c >> (X86_FEATURE_PKU % 32) & 1) && (c->cr4 & CR4_PKE_BIT))
        r->c |= ospke;
    if (c->model->mask_msr[MASK_7ab0]) {
        r->a = (uint32_t)(c->mask[MASK_7ab0] >> 32);
        r->b = (uint32_t)c->mask[MASK_7ab0];
    }
}

bool sim_pcpu_cpuid(const struct sim_pcpu *c, unsigned int cpl, uint32_t leaf, uint32_t subleaf,
                    struct cpuid_regs *regs)
{
    const struct sim_cpu_model *m = c->model;
    const struct cpu_policy *p = &m->cpuid;
    const struct cpuid_regs *r;

    memset(regs, 0, sizeof(*regs));
    if (cpl && m->has_faulting && (c->misc_features_enables & MISC_FEATURES_FAULTING))
        return false;
    if (cpl && m->has_userdis && (c->hwcr & HWCR_CPUID_USER_DIS))
        return false;

    if (leaf >= 0x80000000u ? leaf > p->extd[0].a : leaf > p->basic[0].a) {
        /* Intel's answer as the highest basic leaf would (SDM vol. 2A, CPUID); AMD's as zero. */
        if (!is_intel(m))
            return true;
        leaf = p->basic[0].a;
    }
    r = policy_leaf_const(p, leaf, policy_leaf_has_subleaves(leaf) ? subleaf : POLICY_NONE);
    if (r)
        *regs = *r;
    if (leaf == 1)
        leaf_1(c, regs);
    else if (leaf == 6 && m->mask_msr[MASK_6c])
        regs->c = (uint32_t)c->mask[MASK_6c];
    else if (leaf == 7 && subleaf == 0)
        leaf_7(c, regs);
    else if (leaf == 0xb || leaf == 0x1f) {
        regs->c = (regs->c & ~0xffu) | (subleaf & 0xffu);
        regs->d = c->id;
    } else if (leaf == 0xd)
        leaf_d(c, subleaf, regs);
    else if (leaf == 0x80000001u)
        leaf_e1(c, regs);
    return true;
}

/* ---- MSRs ---- */

/* The masking MSR of this number, or MASK_SLOTS. */
static unsigned int mask_slot_of(const struct sim_cpu_model *m, uint32_t msr)
{
    unsigned int slot = 0;

    while (slot < MASK_SLOTS && (!m->mask_msr[slot] || m->mask_msr[slot] != msr))
        slot++;
    return slot;
}

/* The bits of MSR 140 that this CPU has; without any it has no such MSR. */
static uint64_t misc_features(const struct sim_cpu_model *m)
{
    uint64_t bits = m->has_faulting ? MISC_FEATURES_FAULTING : 0;

    /* MONITOR and MWAIT for programs: Xeon Phi (SDM vol. 4, models 06_57H and 06_85H). */
    if (is_intel(m) && !m->virtualised && m->family == 6 && (m->model == 0x57 || m->model == 0x85))
        bits |= MISC_FEATURES_RING3_MWAIT;
    return bits;
}

bool sim_pcpu_rdmsr(struct sim_pcpu *c, uint32_t msr, uint32_t edi, uint64_t *value)
{
    const struct sim_cpu_model *m = c->model;
    unsigned int slot = mask_slot_of(m, msr);

    *value = 0;
    c->msr_reads++;
    if (slot < MASK_SLOTS) {
        if (m->edi && edi != m->edi)
            return false;
        *value = c->mask[slot];
        return true;
    }
    switch (msr) {
    case MSR_INTEL_PLATFORM_INFO:
        /* The MSR came with Nehalem; family 0xF must not be asked. */
        if (!is_intel(m) || m->virtualised || m->family != 6 || m->model < 0x1a || m->model == 0x1d)
            return false;
        *value = m->platform_info;
        return true;
    case MSR_ARCH_CAPABILITIES:
        *value = m->arch_caps;
        return policy_has(&m->cpuid, X86_FEATURE_ARCH_CAPS) || (*value = 0);
    case MSR_MISC_FEATURES_ENABLES:
        *value = c->misc_features_enables;
        return misc_features(m) != 0;
    case MSR_K8_HWCR:
        *value = c->hwcr;
        return is_amd(m);
    default:
        return false;
    }
}

bool sim_pcpu_wrmsr(struct sim_pcpu *c, uint32_t msr, uint32_t edi, uint64_t value)
{
    const struct sim_cpu_model *m = c->model;
    unsigned int slot = mask_slot_of(m, msr);

    c->msr_writes++;
    if (slot < MASK_SLOTS) {
        if (m->edi && edi != m->edi)
            return false;
        c->changes += c->mask[slot] != value;
        c->mask[slot] = value;
        return true;
    }
    switch (msr) {
    case MSR_MISC_FEATURES_ENABLES:
        if (!misc_features(m) || (value & ~misc_features(m)))
            return false;
        c->changes += (c->misc_features_enables ^ value) & MISC_FEATURES_FAULTING;
        c->misc_features_enables = value;
        return true;
    case MSR_K8_HWCR:
        if (!is_amd(m) || (!m->has_userdis && (value & HWCR_CPUID_USER_DIS)))
            return false;
        c->changes += (c->hwcr ^ value) >> 35 & 1;
        c->hwcr = value;
        return true;
    default:
        return false; /* there, but read-only, or not there */
    }
}

/* ---- instructions ---- */

bool sim_pcpu_executes(const struct sim_pcpu *c, unsigned int feature)
{
    const struct featureset *needs = feature_needs(feature);
    uint64_t components = 0;

    if (!policy_has(&c->model->cpuid, feature))
        return false;
    if (feature == X86_FEATURE_AVX || (needs && featureset_test(needs, X86_FEATURE_AVX)))
        components |= 0x7;
    if (feature == X86_FEATURE_AVX512F || (needs && featureset_test(needs, X86_FEATURE_AVX512F)))
        components |= 0xe7;
    /* Without XSAVE turned on there is no state for them to work in (SDM vol. 1, 13.5, 14.3). */
    return !components || ((c->cr4 & CR4_OSXSAVE_BIT) && (c->xcr0 & components) == components);
}
