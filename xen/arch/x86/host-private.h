/* SPDX-License-Identifier: MIT */
/* What host-policy.c and host-errata.c share. */
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

/*
 * Bring the features that this CPU states to what the hypervisor makes of them: without what an
 * erratum spoils, with what is known of the model though its CPUID came too early to say it.
 */
void host_errata(const struct cpu_policy *raw, const struct host_options *options,
                 struct featureset *fs);

/* Skylake, Cascade Lake and Cooper Lake servers, of which Xen hides CLWB (it is slow with the
 * microcode against GDS), but not from guests that come with it. */
bool host_hides_clwb(const struct cpu_policy *raw);

/*
 * On AMD: does the hypervisor give HVM guests MSR SPEC_CTRL (it needs the CPU to virtualise it), or
 * VIRT_SPEC_CTRL instead, which it then translates to the model's own means?
 */
bool host_gives_spec_ctrl(const struct cpu_policy *raw);
bool host_gives_virt_ssbd(const struct cpu_policy *raw);

#endif /* X86_HOST_PRIVATE_H */
