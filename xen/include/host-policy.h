/* SPDX-License-Identifier: MIT */
/*
 * What a hypervisor makes of a CPU: from what CPUID says to what it would offer its guests.
 *
 * A running Xen is asked for this.  These functions are for CPUs that one only has a dump of: they
 * answer "what would Xen 4.20 offer there?", so that a pool can be planned before its machines are
 * there; and they are what our own core does when it boots, as 4.17.  Held against what stock Xen
 * 4.17 and 4.20 answered on emulated CPUs: tests/unit/test_host_policy.c; 4.18, 4.19, 4.21 and 4.22
 * follow their headers and sources, and were not seen.  They do not know the machine's
 * firmware and microcode, so a plan made from them is to be checked against the running host:
 * `xenlevel host` there, then `xenlevel diff`.
 *
 * Freestanding, no allocation, no state.
 */
#ifndef HOST_POLICY_H
#define HOST_POLICY_H

#include <cpuid-policy/policy.h>

#define HOST_XEN_DEFAULT 417

/* AND masks by the name of a CPU: cpuid_mask_cpu=. */
struct host_cpu_mask {
    uint32_t ecx, edx, ext_ecx, ext_edx;
};

/* What tsx= decides, or is left to decide: "left" is what spec-ctrl=no implies. */
enum host_tsx { HOST_TSX_DEFAULT, HOST_TSX_OFF, HOST_TSX_ON, HOST_TSX_LEFT };

/*
 * Was MSR ARCH_CAPS read?  What it lacks then shows how old the microcode is.  By its value: a CPU
 * that has the MSR has a bit in it.
 */
enum host_msr_read { HOST_MSR_BY_VALUE, HOST_MSR_READ, HOST_MSR_NOT_READ };

/*
 * What the command line says about CPUs, and which Xen reads it.  All zero but for the release and
 * the masks: nothing was said.
 */
struct host_options {
    unsigned int xen; /* the release whose rules are followed: major * 100 + minor, 417 .. 422 */
    struct featureset cpuid_off; /* cpuid=no-FEAT */
    struct featureset cpuid_on; /* cpuid=FEAT: as stock Xen takes it, only what is off by default */
    /* spec-ctrl= */
    bool no_gds_mit;            /* AVX is not hidden under a hypervisor */
    bool no_msr_pv, no_msr_hvm; /* msr-sc=no: guests of this kind get no MSR SPEC_CTRL */
    bool no_bp_spec_reduce, unpriv_mmio;
    bool smt_off; /* smt=0 */
    bool hap_off; /* hap=0 */
    bool vpmu;    /* vpmu: guests may see leaf A */
    enum host_tsx tsx;
    /* Not of the command line: what the boot CPU has and another CPU of the machine lacks; and what
     * the raw policy comes from. */
    struct featureset lacking;
    enum host_msr_read arch_caps;
    /* cpuid_mask_{ecx,edx,ext_ecx,ext_edx,xsave_eax,l7s0_eax,l7s0_ebx,therm_ecx}=: AND masks for
     * the masking MSRs' defaults; all ones when not given. */
    uint32_t mask_ecx, mask_edx, mask_ext_ecx, mask_ext_edx, mask_xsave_eax, mask_l7s0_eax,
        mask_l7s0_ebx, mask_therm_ecx;
    struct host_cpu_mask mask_cpu; /* AMD only, where neither register of a leaf is masked above */
};

/* What the reader of a command line has to say of an option, or of an item in an option's list. */
enum host_option_note {
    HOST_OPTION_UNKNOWN,         /* no release has it: not looked at */
    HOST_OPTION_OF_OTHER_XEN,    /* other releases have it, and this one ignores it */
    HOST_OPTION_CHANGES_NOTHING, /* known; the policies are the same with it */
    HOST_OPTION_MICROCODE,       /* ucode=: newer microcode may change anything */
};

struct host_option_listener {
    /* `at`, `len`: where the option stands in the command line. */
    void (*note)(void *data, enum host_option_note what, size_t at, size_t len);
    void *data;
};

/*
 * Xen's command line: words between blanks, up to "--", as that release reads it.  Every option
 * that changes a policy is taken into *options; every other one is told to the listener (may be
 * NULL), so that nothing is passed over in silence. 0; or -EINVAL with *where = offset in `cmdline`
 * of what is wrong: a value that Xen does not take.
 */
int host_options_read(struct host_options *options, unsigned int xen, const char *cmdline,
                      const struct host_option_listener *listener, size_t *where);
/* As Xen 4.17 and without a listener. */
int host_options_parse(struct host_options *options, const char *cmdline, size_t *where);
/* Set no options, of Xen 4.17: what host_options_parse() makes of "". */
void host_options_init(struct host_options *options);

/*
 * Add to *lacking the features that `boot` has and another CPU of the same machine lacks: Xen
 * offers what all CPUs have, and takes everything else from the boot CPU.  `unknown` (may be NULL):
 * a mask in the shape of a policy, of the other's bits that nobody knows.
 */
void host_add_lacking(struct featureset *lacking, const struct cpu_policy *boot,
                      const struct cpu_policy *other, const struct cpu_policy *unknown);

/* Read the raw policy: everything that CPUID and the policy's MSRs say on pCPU 0 of this platform.
 */
struct platform;
void host_policy_read(struct platform *p, struct cpu_policy *raw);

/* A host's policies: 0 to 5 by XEN_SYSCTL_cpu_policy_* (raw, host, PV max, HVM max, PV default, HVM
 * default), then the HVM ones for a guest without hardware-assisted paging. */
enum {
    HOST_SYSTEM_POLICIES = 6, /* that the ABI has a number for */
    HOST_POLICY_SHADOW_MAX = HOST_SYSTEM_POLICIES,
    HOST_POLICY_SHADOW_DEFAULT,
    HOST_POLICIES,
};

/*
 * Derive all policies of a host from the first of them, raw, which the caller has put there:
 * whatever asks what a host offers, the core when it boots and the tools when they have a dump,
 * asks here.  Raw loses the clock ratios of PLATFORM_INFO, which no policy of Xen's has.
 * *has_hvm: can it run HVM guests (VMX, or SVM)?  If not, their four policies are zero.
 * *has_hap: with nested page tables?  If not, the HVM policies are those for shadow paging.
 */
void host_policies_derive(struct cpu_policy policies[static HOST_POLICIES],
                          const struct host_options *options, bool *has_hvm, bool *has_hap);

/*
 * The host's policy: raw, less what no policy has, what an erratum or the hypervisor's own choice
 * takes away (AVX where a hypervisor below leaves GDS in doubt), and what the command line does;
 * with what the hypervisor knows of this model though CPUID does not say it (RSBA, GDS_NO).
 */
void host_policy_from_raw(struct cpu_policy *host, const struct cpu_policy *raw,
                          const struct host_options *options);

/*
 * The most that a guest of this type may have there: what it may migrate in with.  `host` is what
 * host_policy_from_raw() made of `raw`.  As Xen writes them: AMD's copies of 1.EDX in 80000001.EDX
 * are zero, and put in when a domain is made (host_policy_for_domain).
 */
void host_policy_guest_max(struct cpu_policy *max, const struct cpu_policy *raw,
                           const struct cpu_policy *host, const struct host_options *options,
                           enum guest_type type);

/* What a guest of this type is born with there.  `max` is what host_policy_guest_max() made. */
void host_policy_guest_default(struct cpu_policy *deflt, const struct cpu_policy *max,
                               const struct cpu_policy *host, const struct host_options *options,
                               enum guest_type type);

/* Make of a policy that a hypervisor reports what a domain with it has: AMD's copies of 1.EDX in
 * 80000001.EDX, linear addresses as wide as its paging has levels, no TLBs of pages and no
 * virtualization's details that it lacks.
 */
void host_policy_for_domain(struct cpu_policy *p);

/*
 * The levelling capabilities (XEN_SYSCTL_CPU_LEVELCAP_*) that Xen finds on bare metal of this
 * family and model.  platform_info_known: raw->platform_info was really read from the CPU.  xen:
 * the release; 4.17 makes no use of AMD's way of faulting. Returns 0; -ENODATA when the dump does
 * not say enough: then *caps has what is certain.
 */
int host_policy_levelling_caps(const struct cpu_policy *raw, bool platform_info_known,
                               unsigned int xen, uint32_t *caps);

#endif /* HOST_POLICY_H */
