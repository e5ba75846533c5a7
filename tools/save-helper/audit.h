/* SPDX-License-Identifier: MIT */
/*
 * The audit: may a domain with this policy come to this host?  Policies in, a verdict and words
 * out; no I/O and no state, so that tests can ask it anything.
 */
#ifndef GATE_AUDIT_H
#define GATE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xc.h"
#include "xc_sr_head.h"

/* What the administrator gives up: the list in XENLEVEL_ALLOW, parsed. */
struct audit_allow {
    struct featureset features; /* by name, or by position ("7b0:22") */
    uint32_t kinds;             /* bit (1 << enum policy_fault_kind) */
    uint32_t fields;            /* bit (1 << number): featureset_field_info() */
    bool unverified;            /* a stream that has no policy at all */
};

/*
 * "avx2,bmi1,maxphysaddr": names separated by commas or blanks.  NULL and "" allow nothing.
 * Returns 0; or -1 with one sentence in why[] when a name is unknown: a typing error must not
 * quietly allow less, or more, than was meant.
 */
int audit_allow_parse(const char *list, struct audit_allow *allow, char *why, size_t size);

/* The policy of a head as the entries that a hypervisor is given: only to be read. */
static inline struct xc_leaves audit_named(const struct xc_sr_head *head)
{
    return (struct xc_leaves){(xen_cpuid_leaf_t *)head->leaves, head->nr_leaves,
                              (xen_msr_entry_t *)head->msrs, head->nr_msrs};
}

enum {
    AUDIT_FAULTS = 1024, /* more than there are features and state components */
    AUDIT_TEXT = 65536,
    AUDIT_SUMMARY = 8192,
};

/* The question. */
struct audit_case {
    const char *domain;    /* "web1"; "domain 7" when it has no name */
    const char *type;      /* "PV", "PVH", "HVM" */
    const char *host;      /* "Intel Xeon E5-2690"; "" when the processor has no name */
    enum guest_type guest; /* as the hypervisor says that the domain is */
    bool from_file;        /* restored from a file, so nothing runs elsewhere */
    unsigned int width;    /* columns of the reader's terminal */
    const struct xc_sr_head *head;
    const struct cpu_policy *max;   /* what a guest of that type may arrive with */
    const struct cpu_policy *deflt; /* what it is born with: the hazards it must know of */
    const struct audit_allow *allow;
};

/* The answer.  Large: not for the stack. */
struct audit {
    bool refused;
    unsigned int given_up;       /* what was allowed only because the administrator said so */
    bool clamped;                /* of that, something that the host cannot give */
    char text[AUDIT_TEXT];       /* when refused: for people, wrapped; lines end with \n */
    char summary[AUDIT_SUMMARY]; /* when refused: all of it in one line without \n */
    char allowed[AUDIT_TEXT];    /* a line for each thing given up */

    /* working room */
    struct cpu_policy policy, host;
    struct policy_fault faults[AUDIT_FAULTS];
    bool waived[AUDIT_FAULTS];
};

void audit_run(const struct audit_case *c, struct audit *a);

/* The same words for a stream that cannot be read, and for a gate that cannot do its work. */
void audit_bad_stream(const struct audit_case *c, const struct xc_sr_fault *fault, struct audit *a);
void audit_broken(const struct audit_case *c, const char *reason, struct audit *a);

/*
 * What Xen made of that CPU when it was asked to give it: a->faults[0..n), less those that
 * a->waived[] marks.  late: not in the trial before memory, but in the last look behind it.
 */
void audit_given(const struct audit_case *c, size_t n, bool late, struct audit *a);
/*
 * Of a->faults[0..n), those that a->waived[] marks and that a->allowed does not speak of yet: the
 * audit foresaw nothing of the kind.  Adds them to what is given up.
 */
void audit_given_up(size_t n, struct audit *a);
/* The same words when Xen refuses that CPU, or could not be asked. */
void audit_not_given(const struct audit_case *c, const char *reason, bool late, struct audit *a);

/* Is this component of the XSAVE area given up with its feature? */
bool audit_component_allowed(uint32_t component, const struct audit_allow *allow);

/* Cut what `xl migrate` puts behind the name of a domain that is on its way. */
void audit_strip_name(char *name);

#endif /* GATE_AUDIT_H */
