/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's registers against its policy: may a guest that was told of this CPU have them?
 *
 * Which bit stands on which feature is in features.def (REGISTER and BITS).  Whoever takes a vCPU's
 * state from outside asks here: the core, and the reader of migration streams.
 *
 * Freestanding: no allocation, no global state, bounded time.
 */
#ifndef CPUID_POLICY_STATE_H
#define CPUID_POLICY_STATE_H

#include <cpuid-policy/policy.h>

enum state_fault_kind {
    STATE_FEATURE,   /* the bit's feature is not in the policy */
    STATE_COMPONENT, /* the same of a state component (XCR0, XSTATE_BV, XSS) */
    STATE_RESERVED,  /* no CPU has the bit */
    STATE_VALUE,     /* no CPU has this combination of bits */
    STATE_SIZE,      /* the XSAVE area has `value` bytes and needs `needed` */
};

struct state_fault {
    enum state_fault_kind kind;
    const char *where;   /* "CR4", "XSTATE_BV" */
    const char *feature; /* the name of what is missing; NULL: it has none */
    unsigned int bit;
    uint64_t value, needed;
};

/* Another CPU's state, rather than nobody's. */
static inline bool state_is_of_another_cpu(const struct state_fault *f)
{
    return f->kind == STATE_FEATURE || f->kind == STATE_COMPONENT;
}

/* The caller's room for findings, as in struct policy_report. */
struct state_report {
    struct state_fault *faults; /* may be NULL when max is 0 */
    size_t max;
    size_t count;
};

/* "CR4: smep is not in its CPU policy", with a NUL; what does not fit is cut.  Returns buf. */
#define STATE_FAULT_TEXT 96u
char *state_fault_text(const struct state_fault *f, char *buf, size_t size);

/*
 * Each returns 0 or -EINVAL, and adds to *r (may be NULL) every bit that may not be; neighbours
 * that stand on the same feature are one.
 *
 * CR4 of a PV vCPU: what it sees of the hypervisor's own (PAE, MCE, OSFXSR, OSXMMEXCPT) may always
 * be there.
 */
int state_check_cr0(uint64_t cr0, struct state_report *r); /* no feature brings any bit of it */
int state_check_cr4(const struct cpu_policy *p, bool pv, uint64_t cr4, struct state_report *r);
int state_check_efer(const struct cpu_policy *p, uint64_t efer, struct state_report *r);
int state_check_xcr0(const struct cpu_policy *p, uint64_t xcr0, struct state_report *r);
/* An MSR by number.  0 for one that features.def has no REGISTER for, and for a zero: that is what
 * it would be on a CPU that does not have it. */
int state_check_msr(const struct cpu_policy *p, uint32_t msr, uint64_t value,
                    struct state_report *r);

#define MSR_APIC_BASE             0x0000001bu
#define MSR_MISC_FEATURES_ENABLES 0x00000140u
#define MSR_XSS                   0x00000da0u
#define MSR_TSC_AUX               0xc0000103u

#define XSAVE_AREA_MIN 576u /* legacy region and header: SDM vol. 1, 13.4 */

/* An XSAVE area in standard form, and what the hypervisor says about it. */
struct state_xsave {
    uint64_t xcr0, xcr0_accum; /* now; every component that was ever on */
    const uint8_t *area;       /* need not be aligned */
    size_t size;               /* bytes of it */
    bool exact;                /* zeros behind its end are not allowed either */
};

/* Are XCR0 and the components the policy's, is the header right (SDM vol. 1, 13.4.2), is it whole,
 * and nothing behind its end? */
int state_check_xsave(const struct cpu_policy *p, const struct state_xsave *x,
                      struct state_report *r);

/* Returns the state components that a vCPU can have on in XCR0: leaf D's; x87 and SSE have state
 * without XSAVE too. */
uint64_t state_components(const struct cpu_policy *p);
/* Returns these, and those that XSETBV wants beside them: an XCR0 that can be. */
uint64_t state_close_components(uint64_t components);
/* Returns the bytes of an area with these components; at least XSAVE_AREA_MIN. */
uint64_t state_xsave_size(const struct cpu_policy *p, uint64_t components);

#endif /* CPUID_POLICY_STATE_H */
