/* SPDX-License-Identifier: MIT */
/*
 * A pool's level in the words of others than xl: libvirt, XAPI, Xen's command line.
 */
#ifndef XENLEVEL_XLCFG_FORMS_H
#define XENLEVEL_XLCFG_FORMS_H

#include "subject.h"

/* What is to be said. */
struct xlcfg_level {
    const struct cpu_policy *policy;
    const struct featureset *lost; /* what members give up */
    enum subject_type type;
    unsigned int xen; /* the release whose names count: struct host_options */
};

/* Returns the names of features that this release has none for, which it therefore offers to
 * nobody: words between blanks; the caller's to free. */
char *xlcfg_unnamed(const struct featureset *lost, unsigned int xen);

/* Print a <cpu> element for a domain of libvirt's Xen driver.  Returns STATUS_YES; or STATUS_NO
 * after a message when that driver gives guests of the type no CPU. */
int print_libvirt(const struct xlcfg_level *level);

/* Print the featureset as XAPI writes it, words with '-' between them. */
void print_featureset(const struct xlcfg_level *level);

/* Print the words for Xen's own command line with which a host offers the level and no more. */
void print_cmdline(const struct xlcfg_level *level);

#endif /* XENLEVEL_XLCFG_FORMS_H */
