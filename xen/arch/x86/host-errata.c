/* SPDX-License-Identifier: MIT */
/*
 * What a model is known for.  From the vendors' advisories and revision guides; where Xen 4.17.7
 * chooses among several ways, its way.  What is about virtualised CPUs was seen (tests/data/hosts);
 * of bare metal there is no capture.  Microcode is taken to be of 2025.
 */
#include "host-private.h"

#include "features-gen.h"

struct model {
    unsigned int family, model, stepping;
    bool virtualised;
};

static struct model model_of(const struct cpu_policy *raw)
{
    struct model m;

    policy_signature(raw, &m.family, &m.model, &m.stepping);
    m.virtualised = policy_has(raw, X86_FEATURE_HYPERVISOR);
    return m;
}

static bool one_of(unsigned int model, const uint8_t *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (models[i] == model)
            return true;
    return false;
}

/* ---- Intel ---- */

/*
 * Gather data sampling: Skylake servers to Rocket Lake leak through AVX2's gathers (Intel's table
 * of affected processors), and microcode mends it, which GDS_CTRL tells.  Under a hypervisor
 * neither the model nor the microcode can be believed: without AVX there is nothing to fear, with
 * it AVX is hidden.
 */
static void gather_data_sampling(const struct host_options *options, const struct model *m,
                                 struct featureset *fs)
{
    static const uint8_t affected[] = {0x55, 0x6a, 0x6c, 0x7e, 0x8c, 0x8d,
                                       0x8e, 0x9e, 0xa5, 0xa6, 0xa7};
    bool mended = featureset_test(fs, X86_FEATURE_GDS_CTRL);
    bool vulnerable = m->virtualised || one_of(m->model, affected, sizeof(affected));

    if (featureset_test(fs, X86_FEATURE_GDS_NO))
        return;
    /* Microcode is not asked for on bare metal: a dump seldom has the MSR. */
    if (!m->virtualised)
        mended = true;
    if (!mended && !featureset_test(fs, X86_FEATURE_AVX))
        vulnerable = false;
    if (!vulnerable || (mended && !options->no_gds_mit))
        featureset_set(fs, X86_FEATURE_GDS_NO);
    else if (!mended && !options->no_gds_mit)
        featureset_drop(fs, X86_FEATURE_AVX);
}

/*
 * Are returns predicted from elsewhere when the return stack runs empty?  Whoever has EIBRS does
 * so, within the mode, also where microcode is too old to say it.  Else a CPU with the MSR is
 * believed, and one without is known by its model: Nehalem to Broadwell do not, nor do the early
 * Atoms and Knights; of every other model of family 6 it is assumed.
 */
static void return_stack_alternatives(const struct model *m, struct featureset *fs)
{
    static const uint8_t safe[] = {0x17, 0x1a, 0x1c, 0x1d, 0x1e, 0x1f, 0x25, 0x26, 0x27,
                                   0x2a, 0x2c, 0x2d, 0x2e, 0x2f, 0x35, 0x36, 0x37, 0x3a,
                                   0x3c, 0x3d, 0x3e, 0x3f, 0x45, 0x46, 0x47, 0x4a, 0x4c,
                                   0x4d, 0x4f, 0x56, 0x57, 0x5a, 0x5c, 0x5f, 0x85};

    if (featureset_test(fs, X86_FEATURE_EIBRS))
        featureset_set(fs, X86_FEATURE_RRSBA);
    else if (!featureset_test(fs, X86_FEATURE_ARCH_CAPS) && !one_of(m->model, safe, sizeof(safe)))
        featureset_set(fs, X86_FEATURE_RSBA);
}

/* Register file data sampling is Atom's: Goldmont to Gracemont, alone or beside big cores (Intel's
 * table of affected processors).  Alder and Raptor Lake also exist without the small ones. */
static void register_file_data_sampling(const struct model *m, struct featureset *fs)
{
    static const uint8_t affected[] = {0x5c, 0x5f, 0x7a, 0x86, 0x96, 0x9a, 0x9c, 0xba, 0xbe, 0xbf};

    if (m->virtualised || featureset_test(fs, X86_FEATURE_RFDS_NO) ||
        featureset_test(fs, X86_FEATURE_RFDS_CLEAR) ||
        one_of(m->model, affected, sizeof(affected)) ||
        ((m->model == 0x97 || m->model == 0xb7) && featureset_test(fs, X86_FEATURE_HYBRID)))
        return;
    featureset_set(fs, X86_FEATURE_RFDS_NO);
}

bool host_hides_clwb(const struct cpu_policy *raw)
{
    struct model m = model_of(raw);

    return is_intel(raw) && m.family == 6 && m.model == 0x55;
}

static void intel_errata(const struct cpu_policy *raw, const struct host_options *options,
                         const struct model *m, struct featureset *fs)
{
    if (m->family != 6)
        return;
    gather_data_sampling(options, m, fs);
    return_stack_alternatives(m, fs);
    register_file_data_sampling(m, fs);
    if (host_hides_clwb(raw))
        featureset_drop(fs, X86_FEATURE_CLWB);
}

/* ---- AMD, Hygon ---- */

/*
 * Bits that came after the CPUs of which they are true: null selectors clear the base since Zen 2
 * (which STIBP tells from Zen 1), branch types are not confused from Zen 3 on, and TSA is of
 * family 0x19 alone (AMD-SB-7029), where VERW mends it.
 */
static void amd_late_bits(const struct cpu_policy *raw, const struct model *m,
                          struct featureset *fs)
{
    if (m->virtualised)
        return;
    if ((m->family == 0x17 || m->family == 0x18) && featureset_test(fs, X86_FEATURE_AMD_STIBP))
        featureset_set(fs, X86_FEATURE_NSCB);
    if (policy_vendor_id(raw) != CPU_VENDOR_AMD)
        return;
    if (m->family == 0x19) {
        featureset_set(fs, X86_FEATURE_BTC_NO);
        featureset_set(fs, X86_FEATURE_VERW_CLEAR);
    } else {
        featureset_set(fs, X86_FEATURE_TSA_SQ_NO);
        featureset_set(fs, X86_FEATURE_TSA_L1_NO);
    }
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
    amd_late_bits(raw, m, fs);
}

/* 8000000A.EDX[20]: SPEC_CTRL is virtualised (APM vol. 3, appendix E). */
bool host_gives_spec_ctrl(const struct cpu_policy *raw)
{
    return raw->extd[0].a >= 0x8000000au && (raw->extd[0xa].d >> 20 & 1);
}

/* Families 0x15 to 0x18 have a bit in LS_CFG against speculative store bypass (AMD's paper of
 * 2018), for the core, not for the thread: the hypervisor sets it for the guest. */
bool host_gives_virt_ssbd(const struct cpu_policy *raw)
{
    struct model m = model_of(raw);
    struct featureset fs;

    policy_to_featureset(raw, &fs);
    if (featureset_test(&fs, X86_FEATURE_AMD_SSBD) || featureset_test(&fs, X86_FEATURE_SSB_NO))
        return false;
    return featureset_test(&fs, X86_FEATURE_VIRT_SSBD) ||
           (is_amd(raw) && !m.virtualised && m.family >= 0x15 && m.family <= 0x18);
}

void host_errata(const struct cpu_policy *raw, const struct host_options *options,
                 struct featureset *fs)
{
    struct model m = model_of(raw);

    if (is_intel(raw))
        intel_errata(raw, options, &m, fs);
    else if (is_amd(raw))
        amd_errata(raw, options, &m, fs);
}
