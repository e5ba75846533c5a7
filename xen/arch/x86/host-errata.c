/* SPDX-License-Identifier: MIT */
/*
 * What a model is known for.  From the vendors' advisories and revision guides; where Xen chooses
 * among several ways, its way (4.17.7 to 4.22.0).  What is about virtualised CPUs was seen
 * (tests/data/hosts).  Microcode is taken to be of 2025 unless the CPU itself shows an older one.
 */
#include "host-private.h"

#include "features-gen.h"

struct model {
    unsigned int family, model, stepping;
    unsigned int xen; /* the release, as in host_options */
    bool virtualised;
    bool arch_caps_seen; /* MSR ARCH_CAPS was read: every CPU that has it has a bit in it */
};

static struct model model_of(const struct cpu_policy *raw, const struct host_options *options)
{
    struct model m = {.xen = options->xen};

    policy_signature(raw, &m.family, &m.model, &m.stepping);
    m.virtualised = policy_has(raw, X86_FEATURE_HYPERVISOR);
    m.arch_caps_seen = options->arch_caps == HOST_MSR_BY_VALUE
                           ? raw->arch_caps != 0
                           : options->arch_caps == HOST_MSR_READ;
    return m;
}

/* ---- Intel ---- */

const uint8_t host_gds_models[HOST_GDS_MODELS] = {0x55, 0x6a, 0x6c, 0x7e, 0x8c, 0x8d,
                                                  0x8e, 0x9e, 0xa5, 0xa6, 0xa7};

/*
 * Gather data sampling: Skylake servers to Rocket Lake leak through AVX2's gathers (Intel's table
 * of affected processors), and microcode mends it, which GDS_CTRL tells.  Under a hypervisor
 * neither the model nor the microcode can be believed: without AVX there is nothing to fear, with
 * it AVX is hidden.
 */
static void gather_data_sampling(const struct host_options *options, const struct model *m,
                                 struct featureset *fs)
{
    bool mended = featureset_test(fs, X86_FEATURE_GDS_CTRL);
    bool vulnerable =
        m->virtualised || is_model_of(m->model, host_gds_models, sizeof(host_gds_models));

    if (featureset_test(fs, X86_FEATURE_GDS_NO))
        return;
    /* A dump without the MSR does not show the microcode's age. */
    if (!m->virtualised && !m->arch_caps_seen)
        mended = true;
    if (!mended && !featureset_test(fs, X86_FEATURE_AVX))
        vulnerable = false;
    if (!vulnerable || (mended && !options->no_gds_mit))
        featureset_set(fs, X86_FEATURE_GDS_NO);
    else if (!mended && !options->no_gds_mit)
        featureset_drop(fs, X86_FEATURE_AVX);
}

/* Knights' cores do not either; from 4.20 on Xen does not know them any more.  Of Broadwell's
 * servers four steppings have microcode for it. */
static bool returns_are_safe(const struct model *m)
{
    static const uint8_t safe[] = {0x17, 0x1a, 0x1c, 0x1d, 0x1e, 0x1f, 0x25, 0x26, 0x27, 0x2a, 0x2c,
                                   0x2d, 0x2e, 0x2f, 0x35, 0x36, 0x37, 0x3a, 0x3c, 0x3d, 0x3e, 0x3f,
                                   0x45, 0x46, 0x47, 0x4a, 0x4c, 0x4d, 0x4f, 0x5a, 0x5c, 0x5f};

    if (m->model == 0x56)
        return m->stepping >= 2 && m->stepping <= 5;
    if (m->model == 0x57 || m->model == 0x85)
        return m->xen < 420;
    return is_model_of(m->model, safe, sizeof(safe));
}

/*
 * Are returns predicted from elsewhere when the return stack runs empty?  Whoever has EIBRS does
 * so, within the mode, also where microcode is too old to say it.  Else a CPU with the MSR is
 * believed, and one without is known by its model: Nehalem to Broadwell do not, nor do the early
 * Atoms; of every other model of family 6 it is assumed.
 */
static void return_stack_alternatives(const struct model *m, struct featureset *fs)
{
    if (featureset_test(fs, X86_FEATURE_EIBRS))
        featureset_set(fs, X86_FEATURE_RRSBA);
    else if (!featureset_test(fs, X86_FEATURE_ARCH_CAPS) && !returns_are_safe(m))
        featureset_set(fs, X86_FEATURE_RSBA);
}

/* Register file data sampling is Atom's: Goldmont to Gracemont, alone or beside big cores (Intel's
 * table of affected processors).  Alder and Raptor Lake also exist without the small ones. */
static void register_file_data_sampling(const struct model *m, struct featureset *fs)
{
    static const uint8_t affected[] = {0x5c, 0x5f, 0x7a, 0x86, 0x96, 0x9a, 0x9c, 0xba, 0xbe, 0xbf};

    if (m->virtualised || featureset_test(fs, X86_FEATURE_RFDS_NO) ||
        featureset_test(fs, X86_FEATURE_RFDS_CLEAR) ||
        is_model_of(m->model, affected, sizeof(affected)) ||
        ((m->model == 0x97 || m->model == 0xb7) && featureset_test(fs, X86_FEATURE_HYBRID)))
        return;
    featureset_set(fs, X86_FEATURE_RFDS_NO);
}

/* EIBRS where the MSR that states it was not read: Skylake's cores have it from these steppings on,
 * later ones all (Intel's table of affected processors). */
static bool has_eibrs(const struct model *m, const struct featureset *fs)
{
    if (m->arch_caps_seen || !featureset_test(fs, X86_FEATURE_ARCH_CAPS))
        return featureset_test(fs, X86_FEATURE_EIBRS);
    return m->model == 0x55   ? m->stepping > 5
           : m->model == 0x8e ? m->stepping > 0xb
           : m->model == 0x9e ? m->stepping > 0xc
                              : true;
}

/*
 * Indirect target selection is of the cores between EIBRS and Golden Cove (which has BHI_CTRL):
 * Skylake's with EIBRS, Sunny, Willow and Cypress Cove (Intel's table of affected processors).  No
 * CPU states ITS_NO: the hypervisor does, on every other one that is not virtualised.
 */
static void indirect_target_selection(const struct model *m, struct featureset *fs)
{
    if (m->virtualised)
        return;
    if (m->family == 6 && is_model_of(m->model, host_gds_models, sizeof(host_gds_models)) &&
        has_eibrs(m, fs) && !featureset_test(fs, X86_FEATURE_BHI_CTRL))
        return;
    featureset_set(fs, X86_FEATURE_ITS_NO);
}

bool host_hides_clwb(const struct cpu_policy *raw)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    return is_intel(raw) && family == 6 && model == 0x55;
}

static void intel_errata(const struct cpu_policy *raw, const struct host_options *options,
                         const struct model *m, struct featureset *fs)
{
    indirect_target_selection(m, fs);
    if (m->family != 6)
        return;
    gather_data_sampling(options, m, fs);
    return_stack_alternatives(m, fs);
    register_file_data_sampling(m, fs);
    if (host_hides_clwb(raw))
        featureset_drop(fs, X86_FEATURE_CLWB);
}

/* ---- AMD, Hygon ---- */

/* Models and steppings of family 0x19 with microcode against TSA, which no CPUID bit announces
 * (AMD-SB-7029, table of microcode). */
static bool verw_clears(const struct model *m)
{
    static const uint16_t mended[] = {0x011, 0x012, 0x082, 0x111, 0x112, 0x181, 0x210, 0x212,
                                      0x441, 0x500, 0x612, 0x741, 0x752, 0x780, 0x7c0, 0xa02};

    for (size_t i = 0; i < sizeof(mended) / sizeof(mended[0]); i++)
        if (mended[i] == (m->model << 4 | m->stepping))
            return true;
    return false;
}

/* Transient scheduler attacks are of family 0x19 alone; a CPU that states one of the two bits is
 * believed in both. */
static void transient_scheduler_attacks(const struct model *m, struct featureset *fs)
{
    if (featureset_test(fs, X86_FEATURE_TSA_SQ_NO) || featureset_test(fs, X86_FEATURE_TSA_L1_NO))
        return;
    if (m->family != 0x19) {
        featureset_set(fs, X86_FEATURE_TSA_SQ_NO);
        featureset_set(fs, X86_FEATURE_TSA_L1_NO);
    } else if (verw_clears(m)) {
        featureset_set(fs, X86_FEATURE_VERW_CLEAR);
    }
}

/* Has the CPU more than one thread a core in use?  Leaf B says it, else 8000001E.EBX[15:8] (APM
 * vol. 3, appendix E).  A dump that has neither does not say: they usually have. */
static bool has_threads(const struct cpu_policy *raw)
{
    const struct cpuid_regs *unit = &raw->extd[0x1e];

    if (raw->basic[0].a >= 0xb && (raw->topo[0].b & 0xffff))
        return (raw->topo[0].b & 0xffff) > 1;
    return !(unit->a | unit->b | unit->c | unit->d) || (unit->b >> 8 & 0xff);
}

/*
 * Speculative return stack overflow (AMD's paper of 2023).  With its microcode family 0x19 has two
 * kinds of barrier that its CPUID does not state.  On older cores any IBPB also clears branch
 * types; Xen takes that to be so of all of them.  Zen 1 and 2 are safe with one thread a core.
 */
static void return_stack_overflow(const struct cpu_policy *raw, const struct model *m,
                                  struct featureset *fs)
{
    if (m->family == 0x19) {
        featureset_set(fs, X86_FEATURE_IBPB_BRTYPE);
        featureset_set(fs, X86_FEATURE_SBPB);
    } else if (m->family < 0x19 && featureset_test(fs, X86_FEATURE_IBPB)) {
        featureset_set(fs, X86_FEATURE_IBPB_BRTYPE);
    }
    if ((m->family == 0x17 || m->family == 0x18) && !has_threads(raw))
        featureset_set(fs, X86_FEATURE_SRSO_NO);
}

/*
 * Bits that came after the CPUs of which they are true: null selectors clear the base since Zen 2
 * (which STIBP tells from Zen 1), and branch types are not confused from Zen 3 on.
 */
static void amd_late_bits(const struct cpu_policy *raw, const struct model *m,
                          struct featureset *fs)
{
    if (m->virtualised)
        return;
    if ((m->family == 0x17 || m->family == 0x18) && featureset_test(fs, X86_FEATURE_AMD_STIBP))
        featureset_set(fs, X86_FEATURE_NSCB);
    return_stack_overflow(raw, m, fs);
    if (policy_vendor_id(raw) != CPU_VENDOR_AMD)
        return;
    if (m->family == 0x19)
        featureset_set(fs, X86_FEATURE_BTC_NO);
    transient_scheduler_attacks(m, fs);
}

/* Bits that the first CPUs with them, or their firmware, state wrongly. */
static void amd_wrong_bits(const struct cpu_policy *raw, const struct model *m,
                           struct featureset *fs)
{
    if (policy_vendor_id(raw) != CPU_VENDOR_AMD)
        return;
    /* 1.EDX[31] repeats 3DNow! on AMD (it is no PBE); Xen 4.22 leaves it. */
    if (m->xen < 422)
        featureset_clear(fs, X86_FEATURE_PBE);
    /* K8 before revision D: erratum 110. */
    if (m->family == 0xf && m->model < 0x14)
        featureset_clear(fs, X86_FEATURE_LAHF_LM);
    /* Piledriver whose firmware switched topology extensions off: Xen switches them on. */
    if (!m->virtualised && m->family == 0x15 && m->model >= 0x10 && m->model <= 0x1f)
        featureset_set(fs, X86_FEATURE_TOPOEXT);
}

static void amd_errata(const struct cpu_policy *raw, const struct host_options *options,
                       const struct model *m, struct featureset *fs)
{
    /* SYSENTER does not work in long mode, where the hypervisor and its PV guests are. */
    featureset_drop(fs, X86_FEATURE_SEP);
    /* Erratum 400: a core in C1E is not woken by a write to the monitored line. */
    if (m->family == 0x10)
        featureset_drop(fs, X86_FEATURE_MONITOR);
    /* Firmware forgets RDRAND when it resumes from S3, and it then returns no random numbers. */
    if ((m->family == 0x15 || m->family == 0x16) &&
        !featureset_test(&options->cpuid_on, X86_FEATURE_RDRAND))
        featureset_drop(fs, X86_FEATURE_RDRAND);
    /* LFENCE is made dispatch serializing at boot where it is not so anyway (APM vol. 2, DE_CFG).
     */
    featureset_set(fs, X86_FEATURE_LFENCE_DISPATCH);
    amd_wrong_bits(raw, m, fs);
    amd_late_bits(raw, m, fs);
}

/* 8000000A.EDX[20]: SPEC_CTRL is virtualised (APM vol. 3, appendix E). */
bool host_gives_spec_ctrl(const struct cpu_policy *raw)
{
    return raw->extd[0].a >= 0x8000000au && (raw->extd[0xa].d >> 20 & 1);
}

/* Families 0x15 to 0x18 have a bit in LS_CFG against speculative store bypass (AMD's paper of
 * 2018), for the core, not for the thread: the hypervisor sets it for the guest. */
bool host_gives_virt_ssbd(const struct cpu_policy *raw, const struct host_options *options)
{
    struct model m = model_of(raw, options);
    struct featureset fs;

    policy_to_featureset(raw, &fs);
    if (options->no_msr_hvm || featureset_test(&fs, X86_FEATURE_AMD_SSBD))
        return false;
    return featureset_test(&fs, X86_FEATURE_VIRT_SSBD) ||
           (is_amd(raw) && !m.virtualised && !featureset_test(&fs, X86_FEATURE_SSB_NO) &&
            m.family >= 0x15 && m.family <= 0x18);
}

void host_errata(const struct cpu_policy *raw, const struct host_options *options,
                 struct featureset *fs)
{
    struct model m = model_of(raw, options);

    if (is_intel(raw)) {
        host_tsx(raw, options, fs);
        intel_errata(raw, options, &m, fs);
    } else if (is_amd(raw)) {
        amd_errata(raw, options, &m, fs);
    }
}
