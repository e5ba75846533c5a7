/* SPDX-License-Identifier: MIT */
/*
 * What Xen 4.17 would make of a CPU that one only has a CPUID dump of.  See host-policy.h.
 */
#include <host-policy.h>

/* Public headers of the ABI, for XEN_SYSCTL_CPU_LEVELCAP_* and error numbers. */
#include <xen/errno.h>
#include <xen/sysctl.h>

/* The highest leaves that Xen 4.17 gives to guests. */
#define GUEST_MAX_BASIC 0xdu
#define GUEST_MAX_FEAT  2u
#define GUEST_MAX_EXTD  0x80000021u

/* x87, SSE, AVX, MPX (2), AVX-512 (3), PKRU: the state that Xen 4.17 saves for guests.  There is
 * no supervisor state for guests in it. */
#define GUEST_XCR0 0x2ffu

/*
 * What Debian's Xen 4.17.7 was seen to add to the maximum on Intel hosts, whatever the CPU says, so
 * that a guest from another CPU may come with it: thread topology, flushes that old microcode does
 * not promise, and the warning that returns may be predicted from elsewhere.
 */
#define INTEL_MAX_E1C     (1u << 1)                       /* CMP_LEGACY */
#define INTEL_MAX_7D0     (1u << 10 | 1u << 29)           /* MD_CLEAR, ARCH_CAPS */
#define INTEL_MAX_M10A    (1u << 2 | 1u << 17 | 1u << 28) /* RSBA, FB_CLEAR, RFDS_CLEAR */
#define INTEL_DEFAULT_7D0 (1u << 29)                      /* ARCH_CAPS, even with no bit in it */

/* Bits that Xen sets for its guests whatever the CPU says (SDM vol. 2A, CPUID leaf 1). */
#define ECX1_X2APIC     (1u << 21)
#define ECX1_HYPERVISOR (1u << 31)
#define EDX1_APIC       (1u << 9)

#define VENDOR_AMD   0x68747541u /* "Auth" of AuthenticAMD, in EBX of leaf 0 */
#define VENDOR_HYGON 0x6f677948u /* "Hygo" of HygonGenuine */
#define VENDOR_INTEL 0x756e6547u /* "Genu" of GenuineIntel */

static bool is_amd(const struct cpu_policy *p)
{
    return p->basic[0].b == VENDOR_AMD || p->basic[0].b == VENDOR_HYGON;
}

static uint32_t lower_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* AMD repeats bits of 1.EDX in 80000001.EDX; on other CPUs those bits are zero, but for SYSCALL &c,
 * which are not mirrors. */
static void set_mirrors(const struct cpu_policy *p, struct featureset *fs)
{
    uint32_t mirrors = featureset_merge_mask(MERGE_MIRROR)->w[FEATURESET_e1d];

    fs->w[FEATURESET_e1d] &= ~mirrors;
    if (is_amd(p))
        fs->w[FEATURESET_e1d] |= fs->w[FEATURESET_1d] & mirrors;
}

void host_policy_from_raw(struct cpu_policy *host, const struct cpu_policy *raw)
{
    struct featureset fs;
    uint32_t numbers;

    *host = *raw;
    policy_trim(host);
    policy_to_featureset(host, &fs);
    numbers = fs.w[FEATURESET_Aa];
    featureset_and(&fs, &fs, featureset_known());
    fs.w[FEATURESET_Aa] = numbers; /* not bits: there is nothing to name */
    policy_from_featureset(host, &fs);
}

/* Leaves that are about one processor or one machine, not about the CPU that a guest sees. */
static void clear_machine_leaves(struct cpu_policy *p)
{
    static const uint8_t leaves[] = {0x3, 0x5, 0x8, 0x9, 0xa, 0xc};
    static const struct cpuid_regs zero;

    for (unsigned int i = 0; i < sizeof(leaves); i++)
        p->basic[leaves[i]] = zero;
    for (unsigned int i = 0; i < POLICY_NR_TOPO; i++)
        p->topo[i] = zero;
    p->basic[6].a = p->basic[6].b = p->basic[6].c = p->basic[6].d = 0;
    /* Of leaf 1's EBX only the CLFLUSH size is the CPU's: the rest is APIC id and thread count. */
    p->basic[1].b &= 0xff00u;
    /* Likewise 80000008.ECX: core count; 8000001E: who am I. */
    p->extd[8].c = 0;
    p->extd[0x1e] = zero;
}

/* Keep the state components that guests get; policy_close() adds up the sizes. */
static void limit_xstate(struct cpu_policy *p)
{
    static const struct cpuid_regs zero;

    p->xstate[0].a &= GUEST_XCR0;
    p->xstate[0].d = 0;
    p->xstate[1].b = p->xstate[1].c = p->xstate[1].d = 0;
    for (unsigned int i = 2; i < POLICY_NR_XSTATE; i++)
        if (i >= 32 || !(p->xstate[0].a >> i & 1))
            p->xstate[i] = zero;
}

/* The bits of the list above, on CPUs that reach their leaves. */
static void add_intel_max(const struct cpu_policy *p, enum guest_type type, struct featureset *fs)
{
    if (p->basic[0].b != VENDOR_INTEL)
        return;
    if (type == GUEST_PV)
        fs->w[FEATURESET_1c] |= ECX1_X2APIC;
    fs->w[FEATURESET_e1c] |= INTEL_MAX_E1C;
    if (p->basic[0].a < 7)
        return;
    fs->w[FEATURESET_7d0] |= INTEL_MAX_7D0;
    fs->w[FEATURESET_m10Al] |= INTEL_MAX_M10A;
}

void host_policy_guest_max(struct cpu_policy *max, const struct cpu_policy *host,
                           enum guest_type type)
{
    struct featureset fs;

    *max = *host;
    max->basic[0].a = lower_of(max->basic[0].a, GUEST_MAX_BASIC);
    max->feat[0].a = lower_of(max->feat[0].a, GUEST_MAX_FEAT);
    max->extd[0].a = lower_of(max->extd[0].a, GUEST_MAX_EXTD);
    policy_trim(max);
    clear_machine_leaves(max);
    limit_xstate(max);
    max->hv_limit = max->hv2_limit = 0;

    policy_to_featureset(max, &fs);
    featureset_and(&fs, &fs, featureset_guest_max(type));
    fs.w[FEATURESET_1c] |= ECX1_HYPERVISOR;
    if (type != GUEST_PV) {
        /* The local APIC is emulated, x2APIC mode included, whatever the machine has. */
        fs.w[FEATURESET_1d] |= EDX1_APIC;
        fs.w[FEATURESET_1c] |= ECX1_X2APIC;
    }
    add_intel_max(max, type, &fs);
    set_mirrors(max, &fs);
    policy_from_featureset(max, &fs);

    /* Xen can make CPUID fault for any HVM guest, since it intercepts it; for PV only the CPU can.
     */
    max->platform_info &= PLATFORM_INFO_CPUID_FAULTING;
    if (type != GUEST_PV)
        max->platform_info = PLATFORM_INFO_CPUID_FAULTING;
    policy_close(max, NULL);
}

void host_policy_guest_default(struct cpu_policy *deflt, const struct cpu_policy *max,
                               const struct cpu_policy *host, enum guest_type type)
{
    struct featureset fs, kept, own;

    *deflt = *max;
    policy_to_featureset(deflt, &fs);
    /* What Xen itself added above is there by default. */
    kept = fs;
    featureset_and(&fs, &fs, featureset_guest_default(type));
    fs.w[FEATURESET_1c] |= kept.w[FEATURESET_1c] & ECX1_HYPERVISOR;
    if (type != GUEST_PV) {
        fs.w[FEATURESET_1d] |= kept.w[FEATURESET_1d] & EDX1_APIC;
        fs.w[FEATURESET_1c] |= kept.w[FEATURESET_1c] & ECX1_X2APIC;
    }
    if (deflt->basic[0].b == VENDOR_INTEL) {
        /* Of what the maximum has beyond the CPU only ARCH_CAPS is given, even with no bit in it.
         */
        policy_to_featureset(host, &own);
        fs.w[FEATURESET_e1c] &= ~INTEL_MAX_E1C | own.w[FEATURESET_e1c];
        fs.w[FEATURESET_7d0] &= ~INTEL_MAX_7D0 | own.w[FEATURESET_7d0];
        fs.w[FEATURESET_m10Al] &= ~INTEL_MAX_M10A | own.w[FEATURESET_m10Al];
        fs.w[FEATURESET_7d0] |= kept.w[FEATURESET_7d0] & INTEL_DEFAULT_7D0;
    }
    set_mirrors(deflt, &fs);
    policy_from_featureset(deflt, &fs);
    policy_close(deflt, NULL);
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
