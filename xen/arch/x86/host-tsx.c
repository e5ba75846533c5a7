/* SPDX-License-Identifier: MIT */
/*
 * Transactional memory: what the hypervisor makes of it where it can be switched off and hidden.
 * Whoever ran before (firmware, a kernel that wrote the dump) may have hidden HLE and RTM; Xen
 * sees through that by the means of hiding: MSR TSX_CTRL (ARCH_CAPS[7], SDM vol. 4) on CPUs that
 * are not open to MDS, MSR TSX_FORCE_ABORT (7.0.EDX[13]) on Skylake's before them.
 */
#include "host-private.h"

#include "features-gen.h"

struct tsx {
    bool visible;      /* HLE and RTM are there, whatever CPUID says */
    bool always_abort; /* microcode has taken transactions away, and XBEGIN does not fault */
    bool broken;       /* it has taken XBEGIN away too, and still says the former */
    bool disabled;     /* what the hypervisor decides: guests are not told of RTM at birth */
};

/* Microcode that says RTM_ALWAYS_ABORT where XBEGIN faults has been seen on this model, Coffee
 * Lake: Xen finds it by its MSR, which a dump has not. */
static bool abort_is_broken(const struct cpu_policy *raw, const struct featureset *fs)
{
    unsigned int family, model, stepping;

    policy_signature(raw, &family, &model, &stepping);
    return family == 6 && model == 0x9e && stepping == 0xa && !featureset_test(fs, X86_FEATURE_RTM);
}

/* TSX asynchronous abort: a CPU with MDS_NO and without TAA_NO.  Transactions stay on where the
 * admin has chosen to flush buffers and not to have threads. */
static bool is_open_to_taa(const struct host_options *options, const struct featureset *fs)
{
    bool flushes =
        options->smt_off && options->unpriv_mmio && featureset_test(fs, X86_FEATURE_FB_CLEAR);

    return featureset_test(fs, X86_FEATURE_MDS_NO) && !featureset_test(fs, X86_FEATURE_TAA_NO) &&
           !flushes;
}

static struct tsx find_tsx(const struct cpu_policy *raw, const struct host_options *options)
{
    struct tsx t = {0};
    struct featureset fs;
    bool control, force_abort;
    enum host_tsx chosen = options->tsx;

    policy_to_featureset(raw, &fs);
    control =
        featureset_test(&fs, X86_FEATURE_ARCH_CAPS) && featureset_test(&fs, X86_FEATURE_TSX_CTRL);
    force_abort = featureset_test(&fs, X86_FEATURE_TSX_FORCE_ABORT);
    t.always_abort = featureset_test(&fs, X86_FEATURE_RTM_ALWAYS_ABORT);
    if (control && t.always_abort && featureset_test(&fs, X86_FEATURE_SRBDS_CTRL) &&
        chosen == HOST_TSX_DEFAULT)
        chosen = HOST_TSX_OFF;
    if (force_abort && t.always_abort && abort_is_broken(raw, &fs)) {
        t.broken = true;
        t.always_abort = force_abort = false;
    }
    if (force_abort && (chosen == HOST_TSX_DEFAULT || chosen == HOST_TSX_LEFT))
        chosen = t.always_abort ? HOST_TSX_OFF : HOST_TSX_ON;
    if (control && chosen == HOST_TSX_DEFAULT && is_open_to_taa(options, &fs))
        chosen = HOST_TSX_OFF;
    t.visible = control || force_abort;
    t.disabled = t.visible && chosen == HOST_TSX_OFF;
    return t;
}

void host_tsx(const struct cpu_policy *raw, const struct host_options *options,
              struct featureset *fs)
{
    struct tsx t = find_tsx(raw, options);

    if (t.broken) {
        featureset_clear(fs, X86_FEATURE_RTM_ALWAYS_ABORT);
        featureset_clear(fs, X86_FEATURE_TSX_FORCE_ABORT);
    }
    if (t.visible) {
        featureset_set(fs, X86_FEATURE_HLE);
        featureset_set(fs, X86_FEATURE_RTM);
    }
}

bool host_disables_rtm(const struct cpu_policy *raw, const struct host_options *options)
{
    return is_intel(raw) && find_tsx(raw, options).disabled;
}
