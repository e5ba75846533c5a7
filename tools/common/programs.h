/* SPDX-License-Identifier: MIT */
/*
 * What the programs of a PV guest see of the CPU beyond or short of its policy (levelling-view.h):
 * asked of a hypervisor, and in words.
 */
#ifndef COMMON_PROGRAMS_H
#define COMMON_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <levelling-view.h>

#include "xc.h"

/*
 * Gets the levelling capabilities of the host behind xch, whose raw policy is *raw: what the
 * hypervisor says or, where it does not say (Xen 4.22), what is worked out from the CPU's model as
 * for dumps; *worked_out says which.  0; -1 and errno, ENODATA when the model does not settle it.
 */
int programs_levelling_caps(xc_handle *xch, const struct cpu_policy *raw, uint32_t *caps,
                            bool *worked_out);

/* On the host behind xch.  0; or -1, logged by xch, when its levelling capabilities or its CPU
 * cannot be had: then what they see is not known. */
int programs_view(xc_handle *xch, const struct cpu_policy *policy, struct pv_view *view);

/* What the programs of one domain read on one host. */
struct programs {
    bool known; /* the hypervisor says how it hides CPUID, and what the CPU is */
    struct pv_view view;
};

/* Find out what the programs of a PV domain with this policy read on the host behind xch; of the
 * domain domid, whose policy is asked for.  0; or -1, logged by xch: then it is not known. */
int programs_look(xc_handle *xch, const struct cpu_policy *policy, struct programs *p);
int programs_look_at(xc_handle *xch, uint32_t domid, struct programs *p);
/* Return whether they read the policy and nothing else. */
bool programs_exact(const struct programs *p);
/* Print what they read otherwise, of a domain of that name; nothing when they are exact.  In JSON:
 * json_programs(). */
void programs_print(FILE *f, const struct programs *p, const char *name);

enum { PROGRAMS_TEXT = 8192 };

/* "avx2, bmi1"; "brand, caches, other leaves (5, a)".  All of it goes into PROGRAMS_TEXT bytes. */
void programs_features(const struct featureset *fs, char *buf, size_t size);
void programs_areas(const struct pv_change *c, char *buf, size_t size);

/* Up to three lines: "stays visible: ...", "cannot be shown: ...", "identity changes: ...". */
typedef void programs_line(void *opaque, const char *line);
void programs_say(const struct pv_change *beyond, programs_line *line, void *opaque);
/* The same of a move: "appears: ...", "vanishes: ...", "identity changes: ...". */
void programs_say_move(const struct pv_change *move, programs_line *line, void *opaque);

#endif /* COMMON_PROGRAMS_H */
