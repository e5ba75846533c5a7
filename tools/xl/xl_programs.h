/* SPDX-License-Identifier: MIT */
/*
 * What the programs of a PV domain read on this host, beyond or short of its policy
 * (levelling-view.h).
 */
#ifndef XL_SIM_PROGRAMS_H
#define XL_SIM_PROGRAMS_H

#include <stdio.h>

#include <levelling-view.h>

#include "json.h"
#include "xc.h"

struct xl_programs {
    bool known; /* the hypervisor says how it hides CPUID, and what the CPU is */
    struct pv_view view;
};

/* Of a PV domain.  -1, after a message, when it is not known. */
int xl_programs_look(xc_handle *xch, uint32_t domid, struct xl_programs *p);
/* They read its policy and nothing else. */
bool xl_programs_exact(const struct xl_programs *p);
/* Nothing when they do. */
void xl_programs_print(FILE *f, const struct xl_programs *p, const char *name);
/* A member "programs". */
void xl_programs_json(struct json *j, const struct xl_programs *p);

#endif /* XL_SIM_PROGRAMS_H */
