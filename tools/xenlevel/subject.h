/* SPDX-License-Identifier: MIT */
/*
 * What a command line argument stands for: a host, a pool's level or a guest, from a policy file,
 * a save image, a domain, or the hypervisor of this machine ("-"); or a named level.
 */
#ifndef XENLEVEL_SUBJECT_H
#define XENLEVEL_SUBJECT_H

#include "answer.h"
#include "named.h"
#include "xlp.h"

enum subject_kind {
    SUBJECT_HOST,
    SUBJECT_LEVEL,
    SUBJECT_GUEST,
    SUBJECT_NAMED, /* a named level: a ceiling of features (named.h), and no CPU */
};

/* The two kinds of CPU that a host offers.  A PVH guest has an HVM guest's. */
enum subject_type {
    TYPE_UNKNOWN = -1,
    TYPE_PV,
    TYPE_HVM,
    TYPES,
};

struct subject {
    enum subject_kind kind;
    char *name;
    char *origin; /* "file a.xlp", "save image b", "domain 7", "this host" */

    Xenlevel__File *file; /* what the policies came from; NULL for images and domains */

    bool have[XC_POLICIES]; /* SUBJECT_HOST */
    struct cpu_policy policy[XC_POLICIES];
    struct cpu_policy unknown[XC_POLICIES]; /* what the source does not say of each: unknown.h */
    bool caps_known;
    uint32_t caps;

    bool have_level[TYPES]; /* SUBJECT_LEVEL */
    struct cpu_policy level[TYPES];

    struct named_level *named; /* SUBJECT_NAMED */

    enum subject_type type; /* SUBJECT_GUEST */
    const char *type_name;  /* "PV", "HVM", "PVH", "HVM or PVH", "unknown" */
    char *xen;              /* the version it ran under, "" when unknown */
    struct cpu_policy guest, guest_unknown;
    unsigned int domid; /* of a domain, else POLICY_NONE */
    bool is_image;      /* a save image, with all of its state */
};

/* Find out what an argument stands for.  Returns 0; or -1 after a message.  Call subject_close() in
 * both cases. */
int subject_open(const char *arg, struct subject *s);
void subject_close(struct subject *s);

/* Fill *s from a file that is already in memory, and own it. */
void subject_from_file(struct subject *s, Xenlevel__File *file, const char *origin);

/* Return "PV" or "HVM/PVH"; and which policies of a host are for guests of that type. */
const char *subject_type_name(enum subject_type type);
enum guest_type subject_guest_type(enum subject_type type);
enum xc_policy_index subject_max(enum subject_type type);
enum xc_policy_index subject_default(enum subject_type type);

/*
 * Return the CPU that a guest of this type has (SUBJECT_GUEST; a type that contradicts its own is
 * an error), would have on this level, or is born with on this host; NULL after a message.  *type
 * TYPE_UNKNOWN: the guest's own, or HVM for levels and hosts; it becomes what was used.
 */
const struct cpu_policy *subject_guest_policy(const struct subject *s, enum subject_type *type);

/* Return what is not known of the policy that subject_guest_policy() returned for this type. */
const struct cpu_policy *subject_guest_unknown(const struct subject *s, enum subject_type type);

/* Write a host as answer_ask() has it.  It points into *s. */
void subject_answer_host(const struct subject *s, struct answer_host *host);

/* Return what is not known of the CPU itself, in the words of unknown_cause(), as far as it is
 * about these features (NULL: all of it); malloc'ed. */
char *subject_unknown_cause(const struct subject *s, const struct featureset *about);
/* Return what it came from: "dump" or "file". */
const char *subject_source_name(const struct subject *s);
/* Return how a person finds it out: unknown_how(). */
char *subject_unknown_how(const struct subject *s);

/* Return what was assumed of a host where its dump is silent, and guests' AVX stands on: a part of
 * its notes; NULL when nothing was. */
const char *subject_assumption(const struct subject *s);

/* Parse the arguments of "--type" and "--policy".  Return 0; or -1 after a message. */
int parse_type(const char *text, enum subject_type *type);
int parse_policy_name(const char *text, enum xc_policy_index *index);

#endif /* XENLEVEL_SUBJECT_H */
