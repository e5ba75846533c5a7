/* SPDX-License-Identifier: MIT */
/* What the files that make a host's policies share. */
#ifndef X86_HOST_PRIVATE_H
#define X86_HOST_PRIVATE_H

#include <host-policy.h>

#include <cpuid-policy/vocabulary.h>

static inline bool is_amd(const struct cpu_policy *p)
{
    return vendor_is_amd_like(policy_vendor_id(p));
}

static inline bool is_intel(const struct cpu_policy *p)
{
    return policy_vendor_id(p) == CPU_VENDOR_INTEL;
}

/* Is the model one of a list of n? */
static inline bool is_model_of(unsigned int model, const uint8_t *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (models[i] == model)
            return true;
    return false;
}

/*
 * Models of family 6 from Skylake's servers to Rocket Lake: those that Intel's table of affected
 * processors lists for gather data sampling, and, where they have EIBRS, for indirect target
 * selection.
 */
enum { HOST_GDS_MODELS = 11 };
extern const uint8_t host_gds_models[HOST_GDS_MODELS];

/* Say what an option that changes no policy is to this release of Xen; `at` is without no- and =.
 */
enum host_option_note host_option_judge(const char *at, size_t len, unsigned int xen);

/*
 * Bring the features that this CPU states to what the hypervisor makes of them: without what an
 * erratum spoils, with what is known of the model though its CPUID came too early to say it.
 */
void host_errata(const struct cpu_policy *raw, const struct host_options *options,
                 struct featureset *fs);

/*
 * The part of it that is about transactional memory, on Intel; and whether guests are born without
 * RTM there, because the hypervisor has it abort every transaction (tsx=, or TAA's mitigation).
 */
void host_tsx(const struct cpu_policy *raw, const struct host_options *options,
              struct featureset *fs);
bool host_disables_rtm(const struct cpu_policy *raw, const struct host_options *options);

/* Skylake, Cascade Lake and Cooper Lake servers, of which Xen hides CLWB (it is slow with the
 * microcode against GDS), but not from guests that come with it. */
bool host_hides_clwb(const struct cpu_policy *raw);

/*
 * On AMD: does the hypervisor give HVM guests MSR SPEC_CTRL (it needs the CPU to virtualise it), or
 * VIRT_SPEC_CTRL instead, which it then translates to the model's own means?
 */
bool host_gives_spec_ctrl(const struct cpu_policy *raw);
bool host_gives_virt_ssbd(const struct cpu_policy *raw, const struct host_options *options);

#endif /* X86_HOST_PRIVATE_H */
