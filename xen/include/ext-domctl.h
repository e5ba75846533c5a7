/* SPDX-License-Identifier: MIT */
/*
 * The one question of ours that the public ABI has no operation for.  A stock hypervisor answers
 * it with -ENOSYS; a toolstack then computes the same with levelling_visible().
 */
#ifndef EXT_DOMCTL_H
#define EXT_DOMCTL_H

#include <stdint.h>

/* Far from Xen's own numbers, which are below 100, and from its debuggers' at 1000. */
#define XENLEVEL_DOMCTL_get_visible 0x584c0001u

/*
 * Which features does this PV domain see though its policy lacks them?  In the `pad` of struct
 * xen_domctl's union.  nr_words: IN, room at `words`; OUT, words written (or the number there
 * are, when `words` is 0).  -ENOBUFS as XEN_SYSCTL_get_cpu_featureset.
 */
struct xenlevel_domctl_visible {
    uint32_t nr_words;
    uint32_t costs_switches; /* OUT: 1 when running it beside others costs MSR writes */
    uint64_t words;          /* address of uint32_t[] */
};

#endif /* EXT_DOMCTL_H */
