/* SPDX-License-Identifier: MIT */
/*
 * The questions of ours that the public ABI has no operation for.  A stock hypervisor answers them
 * with -ENOSYS.
 */
#ifndef EXT_DOMCTL_H
#define EXT_DOMCTL_H

#include <stdint.h>

/* Far from Xen's own numbers, which are below 100, and from its debuggers' at 1000. */
#define XENLEVEL_DOMCTL_get_visible    0x584c0001u
#define XENLEVEL_DOMCTL_get_vcpu_cpuid 0x584c0002u

/*
 * Which features does this PV domain see though its policy lacks them?  In the `pad` of struct
 * xen_domctl's union.  nr_words: IN, room at `words`; OUT, words written (or the number there
 * are, when `words` is 0).  -ENOBUFS as XEN_SYSCTL_get_cpu_featureset.  Where a hypervisor does not
 * say, levelling_visible() computes it.
 */
struct xenlevel_domctl_visible {
    uint32_t nr_words;
    uint32_t costs_switches; /* OUT: 1 when running it beside others costs MSR writes */
    uint64_t words;          /* address of uint32_t[] */
};

/*
 * What does this vCPU read with CPUID now, as the hypervisor answers it?  (Of a PV domain: what its
 * kernel reads.)  In the same `pad`.  leaves: address of nr_leaves xen_cpuid_leaf_t; leaf and
 * subleaf are IN (XEN_CPUID_NO_SUBLEAF asks for subleaf 0), the registers OUT.  -ESRCH: there is no
 * such vCPU; -E2BIG: more leaves than any policy has.
 */
struct xenlevel_domctl_vcpu_cpuid {
    uint32_t vcpu;
    uint32_t nr_leaves;
    uint64_t leaves;
};

#endif /* EXT_DOMCTL_H */
