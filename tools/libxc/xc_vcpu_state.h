/* SPDX-License-Identifier: MIT */
/*
 * The registers of a domain's vCPUs that say what it has switched on of its CPU: of a domain on
 * this host, or out of the records of a migration stream.
 *
 * Unless a comment says otherwise, a function that returns int returns 0; or -1 with errno.
 */
#ifndef XC_VCPU_STATE_H
#define XC_VCPU_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xc.h"

#define XC_STATE_MAX_VCPUS 8192u
#define XC_STATE_MAX_MSRS  32u /* Xen sends at most 10 of a vCPU */

struct xc_msr_value {
    uint32_t index;
    uint64_t value;
};

struct xc_vcpu_state {
    bool have_regs; /* cr4, and of HVM guests efer: it is online */
    bool have_apic; /* apic_base */
    bool have_xsave;
    uint64_t cr4, efer, apic_base;
    uint64_t xcr0,
        xcr0_accum;       /* now; every component that was ever on since the domain was built */
    uint64_t xstate_bv;   /* components whose registers are not as after a reset */
    unsigned int nr_msrs; /* that are not 0, of those that the hypervisor sends */
    struct xc_msr_value msrs[XC_STATE_MAX_MSRS];
};

struct xc_domain_state {
    bool pv;
    size_t nr_vcpus; /* that are in vcpus[]: up to the highest that something is known of */
    struct xc_vcpu_state *vcpus;
};

/* Free what is in it, and zero it. */
void xc_domain_state_free(struct xc_domain_state *s);

/*
 * Ask the hypervisor about a domain.  Xen itself holds a vCPU while its state is copied, and an HVM
 * domain while its context is, so that each vCPU's registers belong together; nobody has to pause
 * the domain, and nothing is left paused whatever happens here.  Logs its failures.  *s is to be
 * freed in both cases.
 */
int xc_domain_get_state(xc_handle *xch, const struct xc_domain_info *info,
                        struct xc_domain_state *s);

/* ---- out of records: *s begins with zeros and `pv` ---- */

/* What of a record cannot be, in a sentence; a static text. */
typedef const char *xc_state_wrong;

/* Take an HVM_CONTEXT.  EILSEQ with *why; ENOMEM. */
int xc_state_take_hvm(struct xc_domain_state *s, const void *context, size_t size,
                      xc_state_wrong *why);

enum xc_state_record { XC_STATE_PV_BASIC, XC_STATE_PV_XSAVE, XC_STATE_PV_MSRS };

/* Take the body of an X86_PV_VCPU_BASIC, _XSAVE or _MSRS record.  EILSEQ with *why; ENOMEM. */
int xc_state_take_pv(struct xc_domain_state *s, enum xc_state_record which, const void *body,
                     size_t size, xc_state_wrong *why);

#endif /* XC_VCPU_STATE_H */
