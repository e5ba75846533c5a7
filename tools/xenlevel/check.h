/* SPDX-License-Identifier: MIT */
/*
 * One question of `xenlevel check`: can this guest run on that host?
 */
#ifndef XENLEVEL_CHECK_H
#define XENLEVEL_CHECK_H

#include <stdbool.h>

#include "evidence.h"
#include "json.h"
#include "subject.h"

struct question {
    const struct subject *guest;
    const struct cpu_policy *policy, *unknown; /* and what is not known of it */
    enum subject_type type;
    const char *type_name;
    bool strict;                /* PV: programs, too, must read exactly the policy */
    bool born_there;            /* it is what is born on the host, less what a level cuts */
    const struct subject *home; /* PV: the host that it comes from, when that is known; or NULL */
    struct evidence *evidence;  /* what the guest has used of its CPU; NULL: nobody knows */
    struct json *json;          /* where the answer is added as an object; NULL: it is printed */
};

/* Ask and answer it.  Returns STATUS_YES or STATUS_NO. */
int check_host(const struct question *q, const struct subject *host);

#endif /* XENLEVEL_CHECK_H */
