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

#include "allow.h"
#include "xc.h"
#include "xc_sr_head.h"

struct text;

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
    bool drifted;          /* the host has lost features since it joined its pool */
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
    bool waived[AUDIT_FAULTS], hidden[AUDIT_FAULTS];
};

/* Answer the question: is what came in the stream whole, can it exist, and can this host give it?
 */
void audit_run(const struct audit_case *c, struct audit *a);

/* Refuse a stream that cannot be read, or because the gate cannot do its work. */
void audit_bad_stream(const struct audit_case *c, const struct xc_sr_fault *fault, struct audit *a);
void audit_broken(const struct audit_case *c, const char *reason, struct audit *a);

/*
 * Refuse because of what Xen made of that CPU when it was asked to give it: a->faults[0..n), less
 * those that a->waived[] marks.  late: not in the trial before memory, but in the last look behind
 * it.
 */
void audit_given(const struct audit_case *c, size_t n, bool late, struct audit *a);
/*
 * Add to what is given up what a->allowed does not list yet: of a->faults[0..n) the features that
 * a->waived[] marks, and of *named (allow_name()) the findings that are given up.
 */
void audit_given_up(const struct audit_case *c, const struct policy_report *named, size_t n,
                    struct audit *a);
/* Refuse because Xen refuses that CPU, or could not be asked. */
void audit_not_given(const struct audit_case *c, const char *reason, bool late, struct audit *a);

/* Append a line to *t: nothing has happened to the domain. */
void audit_say_untouched(const struct audit_case *c, struct text *t);
/* Append a line to *t: how to have the messages explained that have these names (docs/messages.md).
 */
void audit_say_names(const char *names, struct text *t);

/* Cut from a name what `xl migrate` puts behind that of a domain on its way: "--incoming". */
void audit_strip_name(char *name);

#endif /* GATE_AUDIT_H */
