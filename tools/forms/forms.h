/* SPDX-License-Identifier: MIT */
/*
 * Files in which people have a CPU: one reader, which chooses by content and says what it took the
 * file for.
 *
 * What a form does not say is in the `unknown` mask beside each policy: a policy in shape, with a 1
 * for each bit that the source does not say.  All bits of a register that was not seen; single bits
 * where a source has only names; platform_info, arch_caps, hv_limit and hv2_limit likewise.  What
 * follows from the rest of the source is known: leaves above a maximum that was seen are zero, and
 * so are subleaves behind the end of their list, and MSR 10A where 7.0.EDX says there is none.
 *
 * Where the mask is 1 the value is 0, but for numbers in which a 0 would take away what is known:
 * a maximum of leaves (0.EAX, 7.0.EAX, 80000000.EAX) that was not seen is as high as the leaves
 * that were, and XSAVE components are where most CPUs have them.  Leave those as they are.
 */
#ifndef FORMS_FORMS_H
#define FORMS_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include <cpuid-policy/policy.h>

#include "xc.h"

enum form_kind {
    FORM_CPU,   /* what CPUID says on the CPUs of a machine: a host's policies can be derived */
    FORM_HOST,  /* policies (or parts of them) that Xen said of a host */
    FORM_GUEST, /* what one domain was told */
};

enum form_guest_type {
    FORM_GUEST_UNKNOWN = -1,
    FORM_GUEST_PV,
    FORM_GUEST_HVM, /* HVM or PVH */
};

struct form_cpu {
    struct cpu_policy policy, unknown;
};

enum {
    FORM_MAX_NOTES = 16,
    FORM_MAX_CPUS = 4096,
};

struct form {
    enum form_kind kind;
    const char *name; /* "InstLatx64 dump", "xen-cpuid -p", ...: said to the user */
    bool partial;     /* the form never says a whole CPU: featuresets, names */
    bool inside_xen;  /* FORM_GUEST that looks like a CPU: taken inside a domain of Xen */
    char subject[64]; /* what the source calls it ("web2", "domain 3"); "" when it does not */
    char xen[32];     /* the version of Xen that it is from, "" when it does not say */

    char cmdline[2048]; /* of that Xen, "" when it does not say */

    struct form_cpu *cpus; /* FORM_CPU: each CPU of the file, the first is the boot CPU */
    size_t n_cpus;

    bool have[XC_POLICIES]; /* FORM_HOST */
    struct form_cpu policies[XC_POLICIES];

    struct form_cpu guest; /* FORM_GUEST */
    enum form_guest_type guest_type;

    char *notes[FORM_MAX_NOTES]; /* things to tell the user: foreign text in them is safe already */
    size_t n_notes;
    char error[1024]; /* safe to print */
};

/*
 * Read a file; "-" is standard input.  Compressed files and UTF-16 are opened.  0; or -1 with errno
 * and f->error, one line that names the file.  Call form_free() in both cases.
 */
int form_read(const char *path, struct form *f);

/* Do the same with bytes that are in memory already; `name` is what errors call them. */
int form_read_bytes(const char *name, const void *bytes, size_t len, struct form *f);

/* Returns whether the text is a featureset as on a command line: at least four words of eight
 * hexadecimal digits, with '-' or ':' between them; form_read_featureset() takes it. */
bool form_is_featureset(const char *text);
int form_read_featureset(const char *text, struct form *f);

/* Free what the form holds, and zero it. */
void form_free(struct form *f);

#endif /* FORMS_FORMS_H */
