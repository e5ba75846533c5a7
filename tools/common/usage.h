/* SPDX-License-Identifier: MIT */
/*
 * What a guest has used of the CPU that it was told of, as far as its registers say.
 *
 * Some features have state: components of the XSAVE area, which XCR0 switches on and of which the
 * hypervisor remembers each that ever was; bits in control registers and MSRs.  Most have none: BMI
 * or MOVBE are instructions that leave no trace, and of those nothing is said.
 */
#ifndef COMMON_USAGE_H
#define COMMON_USAGE_H

#include <stdio.h>

#include <cpuid-policy/policy.h>

#include "json.h"
#include "xc_vcpu_state.h"

/* Weakest first.  Of several vCPUs the one that says most counts. */
enum usage_verdict {
    USAGE_UNTRACED, /* no evidence either way */
    USAGE_NEVER,  /* its state was never on since the guest was booted: it cannot have been used */
    USAGE_OFF,    /* off now; whether it ever was on is not recorded */
    USAGE_WAS_ON, /* its state was on once, and is off now */
    USAGE_ON,     /* its state is on, and at this moment empty: as after a reset */
    USAGE_SHARED, /* state that it shares with other features is in use now */
    USAGE_IN_USE, /* in use now */
    USAGE_VERDICTS,
};

#define USAGE_WHERE 48u

struct usage_finding {
    uint16_t feature;
    bool told; /* it is in the policy.  false: the state has it all the same */
    enum usage_verdict verdict;
    char where[USAGE_WHERE]; /* "XSTATE_BV[5]", "CR4[20]"; "" where there is no evidence */
};

struct usage {
    bool pv;
    size_t vcpus, unread; /* vCPUs that something is known of, and those that are offline */
    size_t n;
    struct usage_finding findings[FEATURESET_BITS]; /* ascending */
};

/*
 * Compare what a guest was told with its vCPUs' state: a finding for each feature of the policy
 * that is compared at all, and one for each that is not in it and that its state shows.  Pure; *u
 * is large.
 */
void usage_find(const struct cpu_policy *p, const struct xc_domain_state *s, struct usage *u);

/* Return the finding of a feature; NULL: there is none. */
const struct usage_finding *usage_of(const struct usage *u, unsigned int feature);

/* Return what a verdict says, as the end of a sentence: "its state was never on since it booted".
 */
const char *usage_words(enum usage_verdict verdict);
/* Return its name in JSON: "never". */
const char *usage_name(enum usage_verdict verdict);

/* Print all of it: a table for each verdict, and a list of those without a trace. */
void usage_print(FILE *f, const struct usage *u);
/* Add members "vcpus", "vcpus_offline", "features", "beyond_policy", "summary". */
void usage_json(struct json *j, const struct usage *u);

/*
 * Return one line about features that have state of their own, "on: avx pku; never on: avx512f":
 * what was on at any time since the guest was booted, so that it does not change from one moment to
 * the next; malloc'ed, never empty.
 */
char *usage_line(const struct usage *u);

/* Print what the guest has used of those features, a line for each verdict.  Prints nothing for an
 * empty set. */
void usage_print_of(FILE *f, const struct usage *u, const struct featureset *missing);
/* Add an array "usage" of objects for them. */
void usage_json_of(struct json *j, const struct usage *u, const struct featureset *missing);

#endif /* COMMON_USAGE_H */
