/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor makes of a CPU: the host's policy, and what its guests may have.  See
 * host-policy.h.  What is not in the manuals was seen on Debian's Xen 4.17.7 and 4.20.4:
 * tests/data/hosts.
 */
#include "host-private.h"

/* Public headers of the ABI, for XEN_SYSCTL_CPU_LEVELCAP_* and error numbers. */
#include <xen/errno.h>
#include <xen/sysctl.h>

#include <cpuid-policy/releases.h>

#include "features-gen.h"

/* The highest leaves that Xen gives to guests: CPUID_GUEST_NR_* are the same in 4.17 to 4.22. */
#define GUEST_MAX_BASIC 0xdu
#define GUEST_MAX_FEAT  2u
#define GUEST_MAX_EXTD  0x80000021u

/* x87, SSE, AVX, MPX (2), AVX-512 (3), PKRU: the state that Xen saves for guests.  There is no
 * supervisor state for guests in it.  4.20 knows the tiles' as well, and gives them to no guest. */
#define GUEST_XCR0 0x2ffu
#define TILE_XCR0  (1u << XSTATE_TILECFG | 1u << XSTATE_TILEDATA)

/*
 * Releases from which on something is so, and before was not.  Their sources: xen/arch/x86/
 * cpu-policy.c of the branches stable-4.17 to stable-4.22; 4.17 and 4.20 were seen as well.
 */
#define XEN_MAX_HAS_ALL_LEAVES 418 /* a guest's max has every leaf that Xen keeps */
#define XEN_PKS_WITH_VMX       418
#define XEN_USES_USER_DIS      418 /* CpuidUserDis of AMD CPUs makes CPUID fault for PV guests */
#define XEN_SVM_OF_GUESTS      419 /* 8000000A: the CPU's in the host's policy, limited in HVM's */
#define XEN_XSTATE_ATTRIBUTES  419 /* D.n.ECX follows XSAVEC and XSAVES */
#define XEN_KNOWS_TILES        420
#define XEN_ERMS_MAY_COME      421 /* fast REP MOVSB is only a hint about speed */
#define XEN_HOST_IS_RAW        422 /* what guests do not see is not cleared in the host's policy */

static const struct cpuid_regs zero;

static uint32_t lower_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
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
        /* Sampling, LWP, the host's caches and nodes, encrypted guests, bandwidth: not offered. */
        for (unsigned int i = 0x1b; i <= 0x20; i++)
            p->extd[i] = zero;
        p->extd[0x21].b = p->extd[0x21].d = 0;
    }
}

/* Leaf A of SVM: nested paging, LBR virtualization, NRIP, decode assists, pause filter when they
 * are there; clean bits, and until 4.18 the TSC ratio, which are emulated, always (APM vol. 3,
 * 8000000A). */
#define SVM_HARDWARE      0x0000048bu
#define SVM_CLEAN_BITS    0x00000020u
#define SVM_TSC_RATIO     0x00000010u
#define SVM_NESTED_PAGING 0x00000001u

static void limit_svm(struct cpu_policy *p, uint32_t emulated)
{
    if (policy_has(p, X86_FEATURE_SVM))
        p->extd[0xa].d = (p->extd[0xa].d & SVM_HARDWARE) | emulated;
}

/* Keep these state components; their sizes are fixed by the CPU, and the area's total follows. What
 * is in use (EBX) is the vCPU's, not the policy's. */
static void limit_xstate(struct cpu_policy *p, uint32_t components, unsigned int xen)
{
    uint32_t attributes = ~0u;

    p->xstate[0].a &= components;
    p->xstate[0].d = 0;
    p->xstate[1].c = p->xstate[1].d = 0;
    if (xen >= XEN_XSTATE_ATTRIBUTES)
        attributes = (policy_has(p, X86_FEATURE_XSAVEC) ? XSTATE_ALIGN64 : 0) |
                     (policy_has(p, X86_FEATURE_XSAVES) ? XSTATE_SUPERVISOR : 0);
    for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
        if (i >= 32 || !(p->xstate[0].a >> i & 1))
            p->xstate[i] = zero;
        else
            p->xstate[i].c &= attributes;
    policy_close(p, NULL);
    p->xstate[0].b = p->xstate[1].b = 0;
}

static void drop_all(struct featureset *fs, const struct featureset *features)
{
    for (int f = featureset_next(features, 0); f >= 0;
         f = featureset_next(features, (unsigned int)f + 1))
        featureset_drop(fs, (unsigned int)f);
}

/* From 4.22 on the host's policy has leaf 6 as the CPU has it, no copies of 1.EDX, and no PMU. */
static void keep_own_words(struct cpu_policy *host, struct featureset *fs)
{
    struct featureset own;

    policy_to_featureset(host, &own);
    fs->w[FEATURESET_6a] = own.w[FEATURESET_6a];
    fs->w[FEATURESET_6c] = own.w[FEATURESET_6c];
    host->basic[0xa] = zero;
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
}

void host_add_lacking(struct featureset *lacking, const struct cpu_policy *boot,
                      const struct cpu_policy *other, const struct cpu_policy *unknown)
{
    /* Of the CPU that was asked, or of where it stood when it was: not features of a machine. */
    static const uint8_t own[] = {FEATURESET_6a, FEATURESET_6c, FEATURESET_Aa, FEATURESET_Ab};
    struct featureset fs, mask;

    policy_to_featureset(other, &fs);
    if (unknown) {
        policy_to_featureset(unknown, &mask);
        featureset_or(&fs, &fs, &mask);
    }
    policy_to_featureset(boot, &mask);
    featureset_andnot(&mask, &mask, &fs);
    featureset_clear(&mask, X86_FEATURE_OSXSAVE);
    featureset_clear(&mask, X86_FEATURE_OSPKE);
    for (size_t i = 0; i < sizeof(own); i++)
        mask.w[own[i]] = 0;
    featureset_or(lacking, lacking, &mask);
}

/* What the masking MSRs hide from the hypervisor itself: it has written them before it looks. */
static void apply_masks(const struct cpu_policy *raw, const struct host_options *o,
                        struct featureset *fs)
{
    struct host_cpu_mask m = {o->mask_ecx, o->mask_edx, o->mask_ext_ecx, o->mask_ext_edx};
    uint32_t caps;

    (void)host_policy_levelling_caps(raw, true, o->xen, &caps);
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_faulting) /* then masks are not used */
        return;
    if (is_amd(raw) && (m.ecx & m.edx) == ~0u) {
        m.ecx = o->mask_cpu.ecx;
        m.edx = o->mask_cpu.edx;
    }
    if (is_amd(raw) && (m.ext_ecx & m.ext_edx) == ~0u) {
        m.ext_ecx = o->mask_cpu.ext_ecx;
        m.ext_edx = o->mask_cpu.ext_edx;
    }
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_ecx) {
        fs->w[FEATURESET_1c] &= m.ecx;
        fs->w[FEATURESET_1d] &= m.edx;
    }
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_extd_ecx) {
        fs->w[FEATURESET_e1c] &= m.ext_ecx;
        fs->w[FEATURESET_e1d] &= m.ext_edx;
    }
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_xsave_eax)
        fs->w[FEATURESET_Da1] &= o->mask_xsave_eax;
    if (caps & XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx)
        fs->w[FEATURESET_7b0] &= o->mask_l7s0_ebx;
}

/* The PMU's leaf is the CPU's own, for guests of a Xen with vpmu on Intel. */
static void keep_pmu(struct cpu_policy *p, const struct cpu_policy *from,
                     const struct host_options *options)
{
    if (options->vpmu && is_intel(from) && from->basic[0].a >= 0xa)
        p->basic[0xa] = from->basic[0xa];
}

/*
 * The features that the hypervisor finds on this CPU: those that it has a name for.  The others are
 * in no policy; so 4.17 has neither 5-level paging nor supervisor keys.
 */
static void host_features(const struct cpu_policy *raw, const struct host_options *options,
                          struct featureset *fs)
{
    policy_to_featureset(raw, fs);
    featureset_and(fs, fs, release_names(options->xen));
    /* They follow CR4, which the hypervisor had not set when it looked. */
    featureset_clear(fs, X86_FEATURE_OSXSAVE);
    featureset_clear(fs, X86_FEATURE_OSPKE);
    apply_masks(raw, options, fs);
    /* What is switched off is off before the hypervisor looks what is missing, and stays so. */
    drop_all(fs, &options->cpuid_off);
    host_errata(raw, options, fs);
    featureset_andnot(fs, fs, &options->lacking);
    if (is_intel(raw)) /* seen on all, though one may hide it */
        host_tsx(raw, options, fs);
    drop_all(fs, &options->cpuid_off);
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
    host_features(raw, options, &fs);
    if (fs.w[FEATURESET_e21a] && is_amd(raw))
        host->extd[0].a = GUEST_MAX_EXTD;
    if (options->xen < XEN_HOST_IS_RAW) {
        clear_unused_leaves(host);
        clear_vendor_leaves(host);
    } else {
        keep_own_words(host, &fs);
    }
    policy_from_featureset(host, &fs);
    if (options->xen < XEN_SVM_OF_GUESTS)
        limit_svm(host, SVM_CLEAN_BITS | SVM_TSC_RATIO);
    limit_xstate(host, GUEST_XCR0 | (options->xen >= XEN_KNOWS_TILES ? TILE_XCR0 : 0),
                 options->xen);
    /* A host may know what no CPUID bit announces (GDS_NO without ARCH_CAPS): not closed. */
    policy_from_featureset(host, &fs);
    keep_pmu(host, raw, options);
    policy_trim(host);
    host->platform_info &= PLATFORM_INFO_CPUID_FAULTING;
}

/* ---- guests ---- */

/*
 * What a guest may come with though this host's CPU does not say it: thread topology, flushes that
 * old microcode does not promise, the warning that returns may be predicted from elsewhere.
 */
static const uint16_t every_max[] = {X86_FEATURE_HTT, X86_FEATURE_CMP_LEGACY};
static const uint16_t hint_max[] = {X86_FEATURE_ERMS};
static const uint16_t intel_max[] = {X86_FEATURE_MD_CLEAR, X86_FEATURE_ARCH_CAPS,
                                     X86_FEATURE_FB_CLEAR, X86_FEATURE_RFDS_CLEAR,
                                     X86_FEATURE_RSBA,     X86_FEATURE_RRSBA};
static const uint16_t amd_max[] = {X86_FEATURE_VERW_CLEAR};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void set_all(struct featureset *fs, const uint16_t *features, size_t n)
{
    for (size_t i = 0; i < n; i++)
        featureset_set(fs, features[i]);
}

/* What was set by set_all() is for those who come: who is born here gets what the host has. */
static void keep_hosts(struct featureset *fs, const struct featureset *host,
                       const uint16_t *features, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!featureset_test(host, features[i]))
            featureset_clear(fs, features[i]);
}

static void add_to_max(const struct cpu_policy *raw, unsigned int xen, enum guest_type type,
                       struct featureset *fs)
{
    /* The local APIC's x2APIC mode is emulated; PV guests once saw the bit without the mode. */
    featureset_set(fs, X86_FEATURE_X2APIC);
    featureset_set(fs, X86_FEATURE_HYPERVISOR);
    set_all(fs, every_max, COUNT(every_max));
    if (xen >= XEN_ERMS_MAY_COME)
        set_all(fs, hint_max, COUNT(hint_max));
    if (is_intel(raw))
        set_all(fs, intel_max, COUNT(intel_max));
    else if (is_amd(raw))
        set_all(fs, amd_max, COUNT(amd_max));
    /* XBEGIN does not fault where there is RTM, whether transactions abort or not. */
    if (featureset_test(fs, X86_FEATURE_RTM))
        featureset_set(fs, X86_FEATURE_RTM_ALWAYS_ABORT);
    if (type == GUEST_PV)
        return;
    featureset_set(fs, X86_FEATURE_APIC);
    /* Outside of long mode SYSENTER works, and HVM guests may be there. */
    if (is_amd(raw) && policy_has(raw, X86_FEATURE_SEP))
        featureset_set(fs, X86_FEATURE_SEP);
}

/* MSR SPEC_CTRL on AMD: what of it a guest has stands and falls with the CPU's virtualising it. */
static void clear_amd_spec_ctrl(struct featureset *fs)
{
    static const uint16_t spec_ctrl[] = {X86_FEATURE_IBRS,        X86_FEATURE_AMD_STIBP,
                                         X86_FEATURE_IBRS_ALWAYS, X86_FEATURE_STIBP_ALWAYS,
                                         X86_FEATURE_IBRS_FAST,   X86_FEATURE_IBRS_SAME_MODE,
                                         X86_FEATURE_AMD_SSBD,    X86_FEATURE_PSFD};

    for (size_t i = 0; i < COUNT(spec_ctrl); i++)
        featureset_clear(fs, spec_ctrl[i]);
}

/*
 * Speculation control.  Where there is IBRS there is STIBP for guests, which does nothing on a CPU
 * without threads; where the host has it in Intel's form there is also IBPB alone, in AMD's form.
 * The MSR itself is not for guests where spec-ctrl=msr-sc= says so.
 */
static void add_spec_ctrl(const struct cpu_policy *raw, const struct cpu_policy *host,
                          const struct host_options *options, enum guest_type type,
                          struct featureset *fs)
{
    bool given = type == GUEST_PV ? !options->no_msr_pv : !options->no_msr_hvm;
    bool ibrs = given && featureset_test(fs, X86_FEATURE_IBRS) && host_gives_spec_ctrl(raw);

    if (is_amd(raw) && !ibrs)
        clear_amd_spec_ctrl(fs);
    if (!given)
        featureset_drop(fs, X86_FEATURE_IBRSB);
    if (ibrs && type != GUEST_PV)
        featureset_set(fs, X86_FEATURE_AMD_STIBP);
    if (featureset_test(fs, X86_FEATURE_IBRSB))
        featureset_set(fs, X86_FEATURE_STIBP);
    if (policy_has(host, X86_FEATURE_IBRSB))
        featureset_set(fs, X86_FEATURE_IBPB);
    if (type != GUEST_PV &&
        (host_gives_virt_ssbd(raw, options) || (ibrs && featureset_test(fs, X86_FEATURE_AMD_SSBD))))
        featureset_set(fs, X86_FEATURE_VIRT_SSBD);
    /* A PV kernel shares its ring with its programs, and is safe as SRSO_US_NO says only while
     * BP_CFG.BP_SPEC_REDUCE is set. */
    if (type == GUEST_PV &&
        (options->no_bp_spec_reduce || !policy_has(host, X86_FEATURE_SRSO_MSR_FIX)))
        featureset_clear(fs, X86_FEATURE_SRSO_US_NO);
}

/* The leaves of the host's policy, as those who come may have them. */
static void leaves_of_max(struct cpu_policy *max, const struct cpu_policy *host, unsigned int xen,
                          enum guest_type type)
{
    *max = *host;
    if (xen >= XEN_HOST_IS_RAW) {
        clear_unused_leaves(max);
        clear_vendor_leaves(max);
    }
    if (xen >= XEN_MAX_HAS_ALL_LEAVES) {
        max->basic[0].a = GUEST_MAX_BASIC;
        max->feat[0].a = GUEST_MAX_FEAT;
        max->extd[0].a = GUEST_MAX_EXTD;
    } else if (max->basic[0].a >= 7) {
        /* A guest may come from a CPU with more of them, on a CPU that has leaf 7 at all. */
        max->feat[0].a = GUEST_MAX_FEAT;
    }
    if (type == GUEST_PV)
        max->extd[0xa] = zero; /* no SVM for PV guests */
    else if (xen >= XEN_SVM_OF_GUESTS)
        limit_svm(max, SVM_CLEAN_BITS);
}

void host_policy_guest_max(struct cpu_policy *max, const struct cpu_policy *raw,
                           const struct cpu_policy *host, const struct host_options *options,
                           enum guest_type type)
{
    struct featureset fs, own;

    leaves_of_max(max, host, options->xen, type);
    policy_to_featureset(host, &fs);
    /* Hidden from those who are born here, not from those who come. */
    policy_to_featureset(raw, &own);
    if (host_hides_clwb(raw) && featureset_test(&own, X86_FEATURE_CLWB))
        featureset_set(&fs, X86_FEATURE_CLWB);
    featureset_and(&fs, &fs, release_guest_max(options->xen, type));
    /* Supervisor keys are given where VMX switches them. */
    if (options->xen >= XEN_PKS_WITH_VMX && !featureset_test(&own, X86_FEATURE_VMX))
        featureset_clear(&fs, X86_FEATURE_PKS);
    add_to_max(raw, options->xen, type, &fs);
    add_spec_ctrl(raw, host, options, type, &fs);
    if (type != GUEST_PV) /* no HVM guest has EFER.LMSLE, whatever the CPU has: Xen since 4.16 */
        featureset_set(&fs, X86_FEATURE_NO_LMSL);
    featureset_andnot(&fs, &fs, featureset_merge_mask(MERGE_MIRROR));
    featureset_close(&fs, NULL);
    if (!featureset_test(&fs, X86_FEATURE_EIBRS)) /* what RRSBA restricts is its */
        featureset_clear(&fs, X86_FEATURE_RRSBA);
    policy_from_featureset(max, &fs);
    policy_trim(max); /* what was added to leaves that this CPU does not reach */
    limit_xstate(max, GUEST_XCR0, options->xen);
    max->hv_limit = max->hv2_limit = 0;
    keep_pmu(max, host, options);
    /* Xen can make CPUID fault for any HVM guest, since it intercepts it; for PV only the CPU can.
     */
    if (type != GUEST_PV)
        max->platform_info = PLATFORM_INFO_CPUID_FAULTING;
}

/* A warning that this very CPU needs, in the strength that goes with the guest's EIBRS. */
static void warn_of_returns(const struct featureset *host, struct featureset *guest)
{
    if (featureset_test(guest, X86_FEATURE_ARCH_CAPS) &&
        (featureset_test(host, X86_FEATURE_RSBA) || featureset_test(host, X86_FEATURE_RRSBA)))
        featureset_set(guest, featureset_test(guest, X86_FEATURE_EIBRS) ? X86_FEATURE_RRSBA
                                                                        : X86_FEATURE_RSBA);
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
    keep_hosts(&fs, &own, every_max, COUNT(every_max));
    keep_hosts(&fs, &own, hint_max, COUNT(hint_max));
    if (is_intel(host)) {
        bool arch_caps = featureset_test(&fs, X86_FEATURE_ARCH_CAPS);

        keep_hosts(&fs, &own, intel_max, COUNT(intel_max));
        if (arch_caps) /* even with no bit in it */
            featureset_set(&fs, X86_FEATURE_ARCH_CAPS);
    } else if (is_amd(host)) {
        keep_hosts(&fs, &own, amd_max, COUNT(amd_max));
    }
    if (!featureset_test(&own, X86_FEATURE_CLWB))
        featureset_drop(&fs, X86_FEATURE_CLWB);
    born = *release_guest_default(options->xen, type);
    if (type != GUEST_PV && host_gives_virt_ssbd(host, options))
        featureset_set(&born, X86_FEATURE_VIRT_SSBD);
    /* Ivy Bridge's client parts leak what RDRAND gave (SRBDS) and get no microcode against it. */
    if (is_intel(host) && family == 6 && model == 0x3a &&
        !featureset_test(&options->cpuid_on, X86_FEATURE_RDRAND))
        featureset_clear(&born, X86_FEATURE_RDRAND);
    featureset_and(&fs, &fs, &born);
    if (host_disables_rtm(host, options)) {
        featureset_clear(&fs, X86_FEATURE_RTM);
        featureset_set(&fs, X86_FEATURE_RTM_ALWAYS_ABORT);
    }
    featureset_close(&fs, NULL);
    warn_of_returns(&own, &fs);
    policy_from_featureset(deflt, &fs);
    deflt->basic[0].a = host->basic[0].a;
    deflt->feat[0].a = host->feat[0].a;
    deflt->extd[0].a = host->extd[0].a;
    policy_trim(deflt);
    keep_pmu(deflt, host, options);
    limit_xstate(deflt, GUEST_XCR0, options->xen);
}

void host_policy_for_domain(struct cpu_policy *p)
{
    uint32_t mirrors = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];

    p->extd[1].d &= ~mirrors;
    if (is_amd(p))
        p->extd[1].d |= p->basic[1].d & mirrors;
    if (policy_max_extd(p) >= EXTD_FIRST + 8)
        p->extd[8].a = (p->extd[8].a & ~0xff00u) | policy_linear_bits(p) << 8;
    if (!policy_has(p, X86_FEATURE_PAGE1GB))
        p->extd[0x19] = zero;
    if (!policy_has(p, X86_FEATURE_SVM)) /* what it says differs between releases */
        p->extd[0xa] = zero;
}

/*
 * Can it run HVM guests, and with nested page tables?  CPUID says the first, and of SVM both.  With
 * VMX the second stands in MSRs that no dump has; every model with VMX since Nehalem has EPT;
 * and whatever the model is, which not every source says, one with PCID is of after that.
 */
static void detect_hvm(const struct cpu_policy *raw, bool *has_hvm, bool *has_hap)
{
    unsigned int family, model, stepping;

    if (policy_has(raw, X86_FEATURE_VMX)) {
        policy_signature(raw, &family, &model, &stepping);
        *has_hvm = true;
        *has_hap =
            (family == 6 && model >= 0x1a && model != 0x1d) || policy_has(raw, X86_FEATURE_PCID);
    } else {
        *has_hvm = policy_has(raw, X86_FEATURE_SVM);
        *has_hap = *has_hvm && (raw->extd[0xa].d & SVM_NESTED_PAGING);
    }
}

static void derive_guest(struct cpu_policy *policies, unsigned int max, unsigned int deflt,
                         const struct host_options *options, enum guest_type type)
{
    const struct cpu_policy *host = &policies[XEN_SYSCTL_cpu_policy_host];

    host_policy_guest_max(&policies[max], &policies[XEN_SYSCTL_cpu_policy_raw], host, options,
                          type);
    host_policy_guest_default(&policies[deflt], &policies[max], host, options, type);
}

void host_policies_derive(struct cpu_policy policies[static HOST_POLICIES],
                          const struct host_options *options, bool *has_hvm, bool *has_hap)
{
    struct cpu_policy *raw = &policies[XEN_SYSCTL_cpu_policy_raw];

    raw->platform_info &= PLATFORM_INFO_CPUID_FAULTING;
    for (unsigned int i = 1; i < HOST_POLICIES; i++)
        policies[i] = (struct cpu_policy){0};
    detect_hvm(raw, has_hvm, has_hap);
    *has_hap = *has_hap && !options->hap_off;
    host_policy_from_raw(&policies[XEN_SYSCTL_cpu_policy_host], raw, options);
    derive_guest(policies, XEN_SYSCTL_cpu_policy_pv_max, XEN_SYSCTL_cpu_policy_pv_default, options,
                 GUEST_PV);
    if (!*has_hvm)
        return;
    derive_guest(policies, XEN_SYSCTL_cpu_policy_hvm_max, XEN_SYSCTL_cpu_policy_hvm_default,
                 options, *has_hap ? GUEST_HVM_HAP : GUEST_HVM_SHADOW);
    derive_guest(policies, HOST_POLICY_SHADOW_MAX, HOST_POLICY_SHADOW_DEFAULT, options,
                 GUEST_HVM_SHADOW);
    policy_restrict(&policies[HOST_POLICY_SHADOW_MAX], GUEST_HVM_SHADOW);
    policy_restrict(&policies[HOST_POLICY_SHADOW_DEFAULT], GUEST_HVM_SHADOW);
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
                               unsigned int xen, uint32_t *caps)
{
    unsigned int family, model, stepping;

    *caps = 0;
    policy_signature(raw, &family, &model, &stepping);
    if (is_amd(raw)) {
        *caps = amd_masks(raw, family, model);
        /* CpuidUserDis: 80000021.EAX[17]. */
        if (xen >= XEN_USES_USER_DIS && policy_max_extd(raw) >= 0x80000021u &&
            policy_has(raw, X86_FEATURE_CPUID_USER_DIS))
            *caps |= XEN_SYSCTL_CPU_LEVELCAP_faulting;
        return 0;
    }
    if (!is_intel(raw))
        return -XEN_ENODATA;
    *caps = intel_masks(family, model);
    if (raw->platform_info & PLATFORM_INFO_CPUID_FAULTING)
        *caps |= XEN_SYSCTL_CPU_LEVELCAP_faulting;
    /* A model with masks is older than faulting. */
    return platform_info_known || *caps ? 0 : -XEN_ENODATA;
}
