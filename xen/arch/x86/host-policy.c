/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor makes of a CPU: the host's policy, and what its guests may have.  See
 * host-policy.h.  What is not in the manuals was seen on Debian's Xen 4.17.7: tests/data/hosts.
 */
#include <host-policy.h>

/* Public headers of the ABI, for XEN_SYSCTL_CPU_LEVELCAP_* and error numbers. */
#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

/* The highest leaves that Xen 4.17 gives to guests. */
#define GUEST_MAX_BASIC 0xdu
#define GUEST_MAX_FEAT  2u
#define GUEST_MAX_EXTD  0x80000021u

/* x87, SSE, AVX, MPX (2), AVX-512 (3), PKRU: the state that Xen 4.17 saves for guests.  There is
 * no supervisor state for guests in it. */
#define GUEST_XCR0 0x2ffu

#define VENDOR_AMD   0x68747541u /* "Auth" of AuthenticAMD, in EBX of leaf 0 */
#define VENDOR_HYGON 0x6f677948u /* "Hygo" of HygonGenuine */
#define VENDOR_INTEL 0x756e6547u /* "Genu" of GenuineIntel */

static const struct cpuid_regs zero;

static bool is_amd(const struct cpu_policy *p)
{
    return p->basic[0].b == VENDOR_AMD || p->basic[0].b == VENDOR_HYGON;
}

static bool is_intel(const struct cpu_policy *p)
{
    return p->basic[0].b == VENDOR_INTEL;
}

static uint32_t lower_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool one_of(unsigned int model, const uint8_t *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (models[i] == model)
            return true;
    return false;
}

/* ---- host: what a model is known for ---- */

/*
 * Gather data sampling: Skylake to Tiger Lake and Rocket Lake leak through AVX2's gathers (Intel's
 * table of affected processors), and microcode mends it.  Under a hypervisor neither the model nor
 * the microcode can be believed: without AVX there is nothing to fear, with it AVX is hidden.
 */
static void gather_data_sampling(const struct cpu_policy *raw, const struct host_options *options,
                                 unsigned int family, unsigned int model, struct featureset *fs)
{
    static const uint8_t affected[] = {0x4e, 0x55, 0x5e, 0x6a, 0x6c, 0x7d, 0x7e,
                                       0x8c, 0x8d, 0x8e, 0x9e, 0xa5, 0xa6, 0xa7};
    bool virtualised = featureset_test(fs, X86_FEATURE_HYPERVISOR);
    bool told = raw->arch_caps >> 25 & 3; /* GDS_CTRL, GDS_NO */

    if (family != 6 || told)
        return;
    if (!featureset_test(fs, X86_FEATURE_AVX) ||
        (!virtualised && !one_of(model, affected, sizeof(affected))))
        featureset_set(fs, X86_FEATURE_GDS_NO);
    else if (virtualised && !options->no_gds_mit)
        featureset_drop(fs, X86_FEATURE_AVX);
}

/*
 * Are returns predicted from elsewhere when the return stack runs empty?  Nehalem to Broadwell do
 * not; of every other model of family 6 it is assumed, unless the CPU itself says something.
 */
static void return_stack_alternatives(unsigned int family, unsigned int model,
                                      struct featureset *fs)
{
    static const uint8_t safe[] = {0x17, 0x1a, 0x1d, 0x1e, 0x1f, 0x25, 0x2a, 0x2c,
                                   0x2d, 0x2e, 0x2f, 0x3a, 0x3c, 0x3d, 0x3e, 0x3f,
                                   0x45, 0x46, 0x47, 0x4f, 0x56, 0x57, 0x85};

    if (family != 6 || featureset_test(fs, X86_FEATURE_RSBA) ||
        featureset_test(fs, X86_FEATURE_RRSBA) || one_of(model, safe, sizeof(safe)))
        return;
    featureset_set(fs,
                   featureset_test(fs, X86_FEATURE_EIBRS) ? X86_FEATURE_RRSBA : X86_FEATURE_RSBA);
}

static void intel_host(const struct cpu_policy *raw, const struct host_options *options,
                       struct featureset *fs)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    gather_data_sampling(raw, options, family, model, fs);
    return_stack_alternatives(family, model, fs);
    /* Skylake and Cascade Lake servers: seen on 4.17.7, for reasons of speed, not of safety: a
     * guest may still come with it. */
    if (family == 6 && model == 0x55)
        featureset_drop(fs, X86_FEATURE_CLWB);
}

static void amd_host(const struct cpu_policy *raw, struct featureset *fs)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    /* SYSENTER does not work in long mode, where the hypervisor and its PV guests are. */
    featureset_drop(fs, X86_FEATURE_SEP);
    /* Erratum 400: a core in C1E is not woken by a write to the monitored line. */
    if (family == 0x10)
        featureset_drop(fs, X86_FEATURE_MONITOR);
    /* LFENCE is made dispatch serializing at boot where it is not so anyway (APM vol. 2, DE_CFG).
     */
    featureset_set(fs, X86_FEATURE_LFENCE_DISPATCH);
}

/* Leaves that no guest sees and Xen's own policy therefore leaves out. */
static void clear_unused_leaves(struct cpu_policy *p)
{
    p->basic[1].a &= 0x0fff0fffu; /* without the processor type */
    p->basic[1].b &= 0x00ffffffu; /* without the APIC id */
    p->basic[5] = p->basic[6] = p->basic[8] = p->basic[0xa] = p->basic[0xc] = zero;
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++)
        p->topo[i] = zero;
    p->extd[7].a = p->extd[7].b = p->extd[7].c = 0;
    p->extd[8].d = 0;
}

/* What one vendor's CPUs say that the other's reserve (SDM vol. 2A, CPUID; APM vol. 3, appendix E).
 */
static void clear_vendor_leaves(struct cpu_policy *p)
{
    p->extd[8].a &= 0xffffu; /* the physical address width of guests is not theirs to see */
    if (is_intel(p)) {
        if (p->basic[0].a >= 2)
            p->basic[2].a = (p->basic[2].a & ~0xffu) | 1; /* one query tells all */
        p->basic[3] = p->basic[9] = zero;
        p->extd[0].b = p->extd[0].c = p->extd[0].d = 0;
        p->extd[1].a = p->extd[1].b = 0;
        p->extd[5] = zero;
        p->extd[6].a = p->extd[6].b = p->extd[6].d = 0;
        p->extd[8].c = 0;
    } else if (is_amd(p)) {
        for (unsigned int i = 0; i < POLICY_NR_CACHE; i++)
            p->cache[i] = zero;
        p->basic[2] = p->basic[3] = p->basic[9] = zero;
        p->extd[0].b = p->basic[0].b;
        p->extd[0].c = p->basic[0].c;
        p->extd[0].d = p->basic[0].d;
        p->extd[1].a = p->basic[1].a;
        p->extd[1].b &= 0xff00ffffu;
        p->extd[8].c &= 0x0003f0ffu;
        p->extd[9] = zero;
        for (unsigned int i = 0xb; i <= 0x18; i++)
            p->extd[i] = zero;
        p->extd[0x1b] = zero;
        p->extd[0x1c].a = 0;
    }
}

/* Leaf A of SVM: nested paging, LBR virtualization, NRIP, decode assists, pause filter when they
 * are there; clean bits and the TSC ratio, which are emulated, always (APM vol. 3, 8000000A). */
#define SVM_HARDWARE 0x0000048bu
#define SVM_EMULATED 0x00000030u

static void limit_svm(struct cpu_policy *p)
{
    if (!(p->extd[1].c >> (X86_FEATURE_SVM % 32) & 1))
        return;
    p->extd[0xa].d = (p->extd[0xa].d & SVM_HARDWARE) | SVM_EMULATED;
}

/* Keep these state components; their sizes are fixed by the CPU, and the area's total follows. What
 * is in use (EBX) is the vCPU's, not the policy's. */
static void limit_xstate(struct cpu_policy *p, uint32_t components)
{
    p->xstate[0].a &= components;
    p->xstate[0].d = 0;
    p->xstate[1].c = p->xstate[1].d = 0;
    for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
        if (i >= 32 || !(p->xstate[0].a >> i & 1))
            p->xstate[i] = zero;
    policy_close(p, NULL);
    p->xstate[0].b = p->xstate[1].b = 0;
}

void host_policy_from_raw(struct cpu_policy *host, const struct cpu_policy *raw,
                          const struct host_options *options)
{
    struct featureset fs;

    *host = *raw;
    host->basic[0].a = lower_of(host->basic[0].a, GUEST_MAX_BASIC);
    host->feat[0].a = lower_of(host->feat[0].a, GUEST_MAX_FEAT);
    if (host->extd[0].a >= 0x80000000u)
        host->extd[0].a = lower_of(host->extd[0].a, GUEST_MAX_EXTD);
    policy_trim(host);
    policy_to_featureset(raw, &fs);
    featureset_and(&fs, &fs, featureset_known());
    /* They follow CR4, which the hypervisor had not set when it looked. */
    featureset_clear(&fs, X86_FEATURE_OSXSAVE);
    featureset_clear(&fs, X86_FEATURE_OSPKE);
    /* 4.17 uses neither 5-level paging nor supervisor keys, and says so by not having them. */
    featureset_drop(&fs, X86_FEATURE_LA57);
    featureset_drop(&fs, X86_FEATURE_PKS);
    if (is_intel(raw))
        intel_host(raw, options, &fs);
    else if (is_amd(raw))
        amd_host(raw, &fs);
    for (int f = featureset_next(&options->cpuid_off, 0); f >= 0;
         f = featureset_next(&options->cpuid_off, (unsigned int)f + 1))
        featureset_drop(&fs, (unsigned int)f);
    if (fs.w[FEATURESET_e21a] && is_amd(raw))
        host->extd[0].a = GUEST_MAX_EXTD;
    clear_unused_leaves(host);
    clear_vendor_leaves(host);
    fs.w[FEATURESET_6a] = fs.w[FEATURESET_6c] = fs.w[FEATURESET_Aa] = fs.w[FEATURESET_Ab] = 0;
    policy_from_featureset(host, &fs);
    limit_svm(host);
    limit_xstate(host, GUEST_XCR0);
    /* A host may know what no CPUID bit announces (GDS_NO without ARCH_CAPS): not closed. */
    policy_from_featureset(host, &fs);
    policy_trim(host);
    host->platform_info &= PLATFORM_INFO_CPUID_FAULTING;
}

/* ---- guests ---- */

/*
 * What a guest may come with though this host's CPU does not say it: thread topology, flushes that
 * old microcode does not promise, the warning that returns may be predicted from elsewhere, and the
 * local APIC's x2APIC mode, which is emulated.
 */
static const uint16_t intel_max[] = {X86_FEATURE_CMP_LEGACY, X86_FEATURE_MD_CLEAR,
                                     X86_FEATURE_ARCH_CAPS,  X86_FEATURE_FB_CLEAR,
                                     X86_FEATURE_RFDS_CLEAR, X86_FEATURE_RSBA};
static const uint16_t amd_max[] = {X86_FEATURE_VERW_CLEAR};

static void set_all(struct featureset *fs, const uint16_t *features, size_t n)
{
    for (size_t i = 0; i < n; i++)
        featureset_set(fs, features[i]);
}

static void add_to_max(const struct cpu_policy *raw, enum guest_type type, struct featureset *fs)
{
    featureset_set(fs, X86_FEATURE_X2APIC);
    featureset_set(fs, X86_FEATURE_HYPERVISOR);
    if (is_intel(raw))
        set_all(fs, intel_max, sizeof(intel_max) / sizeof(intel_max[0]));
    else if (is_amd(raw))
        set_all(fs, amd_max, sizeof(amd_max) / sizeof(amd_max[0]));
    if (type == GUEST_PV)
        return;
    featureset_set(fs, X86_FEATURE_APIC);
    /* Outside of long mode SYSENTER works, and HVM guests may be there. */
    if (is_amd(raw) && (raw->basic[1].d >> (X86_FEATURE_SEP % 32) & 1))
        featureset_set(fs, X86_FEATURE_SEP);
}

/* EFER.LMSLE: AMD's CPUs before Zen 3 have it; who has not got it can say so. */
static bool has_lmsle(const struct cpu_policy *raw)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    return is_amd(raw) && family < 0x19 && !(raw->basic[1].c >> 31 & 1);
}

void host_policy_guest_max(struct cpu_policy *max, const struct cpu_policy *raw,
                           const struct cpu_policy *host, enum guest_type type)
{
    struct featureset fs, own;

    *max = *host;
    /* A guest may come from a CPU with more of them, on a CPU that has leaf 7 at all. */
    if (max->basic[0].a >= 7)
        max->feat[0].a = GUEST_MAX_FEAT;
    policy_to_featureset(host, &fs);
    if (is_intel(raw)) {
        /* Hidden from those who are born here, not from those who come. */
        policy_to_featureset(raw, &own);
        if (featureset_test(&own, X86_FEATURE_CLWB))
            featureset_set(&fs, X86_FEATURE_CLWB);
    }
    featureset_and(&fs, &fs, featureset_guest_max(type));
    add_to_max(raw, type, &fs);
    if (type != GUEST_PV && !has_lmsle(raw))
        featureset_set(&fs, X86_FEATURE_NO_LMSL);
    featureset_andnot(&fs, &fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_close(&fs, NULL);
    policy_from_featureset(max, &fs);
    policy_trim(max); /* what was added to leaves that this CPU does not reach */
    if (type == GUEST_PV)
        max->extd[0xa] = zero; /* no SVM for PV guests */
    limit_xstate(max, GUEST_XCR0);
    max->hv_limit = max->hv2_limit = 0;
    /* Xen can make CPUID fault for any HVM guest, since it intercepts it; for PV only the CPU can.
     */
    if (type != GUEST_PV)
        max->platform_info = PLATFORM_INFO_CPUID_FAULTING;
}

void host_policy_guest_default(struct cpu_policy *deflt, const struct cpu_policy *max,
                               const struct cpu_policy *host, const struct host_options *options,
                               enum guest_type type)
{
    unsigned int family, model, stepping;
    struct featureset fs, own, born;

    *deflt = *max;
    policy_signature(host, &family, &model, &stepping);
    policy_to_featureset(max, &fs);
    policy_to_featureset(host, &own);
    /* What was added above for those who come stays away from those who are born here. */
    for (unsigned int i = 0; i < sizeof(intel_max) / sizeof(intel_max[0]); i++)
        if (is_intel(host) && !featureset_test(&own, intel_max[i]) &&
            intel_max[i] != X86_FEATURE_ARCH_CAPS)
            featureset_clear(&fs, intel_max[i]);
    for (unsigned int i = 0; i < sizeof(amd_max) / sizeof(amd_max[0]); i++)
        if (is_amd(host) && !featureset_test(&own, amd_max[i]))
            featureset_clear(&fs, amd_max[i]);
    if (!featureset_test(&own, X86_FEATURE_CLWB))
        featureset_drop(&fs, X86_FEATURE_CLWB);
    if (type == GUEST_PV && !featureset_test(&own, X86_FEATURE_X2APIC))
        featureset_clear(&fs, X86_FEATURE_X2APIC);
    born = *featureset_guest_default(type);
    featureset_set(&born, X86_FEATURE_HYPERVISOR);
    featureset_set(&born, X86_FEATURE_ARCH_CAPS);
    featureset_set(&born, X86_FEATURE_X2APIC);
    /* A warning that this very CPU needs. */
    if (featureset_test(&own, X86_FEATURE_RSBA))
        featureset_set(&born, X86_FEATURE_RSBA);
    if (featureset_test(&own, X86_FEATURE_RRSBA))
        featureset_set(&born, X86_FEATURE_RRSBA);
    /* Ivy Bridge's client parts leak what RDRAND gave (SRBDS) and get no microcode against it. */
    if (is_intel(host) && family == 6 && model == 0x3a &&
        !featureset_test(&options->cpuid_on, X86_FEATURE_RDRAND))
        featureset_clear(&born, X86_FEATURE_RDRAND);
    featureset_and(&fs, &fs, &born);
    featureset_close(&fs, NULL);
    policy_from_featureset(deflt, &fs);
    limit_xstate(deflt, GUEST_XCR0);
    while (deflt->feat[0].a && !(deflt->feat[deflt->feat[0].a].a | deflt->feat[deflt->feat[0].a].b |
                                 deflt->feat[deflt->feat[0].a].c | deflt->feat[deflt->feat[0].a].d))
        deflt->feat[0].a--; /* no subleaf that says nothing */
}

void host_policy_for_domain(struct cpu_policy *p)
{
    uint32_t mirrors = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];

    p->extd[1].d &= ~mirrors;
    if (is_amd(p))
        p->extd[1].d |= p->basic[1].d & mirrors;
}

/* Masking MSRs of Intel's family 6, by model (SDM vol. 4, tables of models 17H, 1AH and 2AH). */
static uint32_t intel_masks(unsigned int family, unsigned int model)
{
    const uint32_t basic = XEN_SYSCTL_CPU_LEVELCAP_ecx | XEN_SYSCTL_CPU_LEVELCAP_edx;
    const uint32_t extd = XEN_SYSCTL_CPU_LEVELCAP_extd_ecx | XEN_SYSCTL_CPU_LEVELCAP_extd_edx;

    if (family != 6)
        return 0;
    switch (model) {
    case 0x17:
    case 0x1d:
        return basic;
    case 0x1a:
    case 0x1e:
    case 0x1f:
    case 0x25:
    case 0x2c:
    case 0x2e:
    case 0x2f:
        return basic | extd;
    case 0x2a:
    case 0x2d:
        return basic | extd | XEN_SYSCTL_CPU_LEVELCAP_xsave_eax;
    default:
        return 0;
    }
}

/* AMD's override MSRs (BIOS and Kernel Developer's Guides, MSR C001_1002 .. C001_1005). */
static uint32_t amd_masks(const struct cpu_policy *raw, unsigned int family, unsigned int model)
{
    uint32_t caps = 0;

    if (family > 0xf || (family == 0xf && model >= 0x20)) {
        if (family != 0x11)
            caps |= XEN_SYSCTL_CPU_LEVELCAP_ecx | XEN_SYSCTL_CPU_LEVELCAP_edx |
                    XEN_SYSCTL_CPU_LEVELCAP_extd_ecx | XEN_SYSCTL_CPU_LEVELCAP_extd_edx;
        if (raw->basic[0].a >= 7)
            caps |= XEN_SYSCTL_CPU_LEVELCAP_l7s0_eax | XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx;
        if (family == 0x15 && raw->basic[0].a >= 6 && raw->basic[6].c)
            caps |= XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx;
    }
    return caps;
}

int host_policy_levelling_caps(const struct cpu_policy *raw, bool platform_info_known,
                               uint32_t *caps)
{
    unsigned int family, model, stepping;

    *caps = 0;
    policy_signature(raw, &family, &model, &stepping);
    if (is_amd(raw)) {
        *caps = amd_masks(raw, family, model);
        /* CpuidUserDis: 80000021.EAX[17]. */
        if (raw->extd[0].a >= 0x80000021u && (raw->extd[0x21].a >> 17 & 1))
            *caps |= XEN_SYSCTL_CPU_LEVELCAP_faulting;
        return 0;
    }
    if (raw->basic[0].b != VENDOR_INTEL)
        return -XEN_ENODATA;
    *caps = intel_masks(family, model);
    if (raw->platform_info & PLATFORM_INFO_CPUID_FAULTING)
        *caps |= XEN_SYSCTL_CPU_LEVELCAP_faulting;
    /* A model with masks is older than faulting. */
    return platform_info_known || *caps ? 0 : -XEN_ENODATA;
}
