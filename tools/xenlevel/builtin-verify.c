/* SPDX-License-Identifier: MIT */
/*
 * xenlevel verify: is a policy that of a CPU that can exist?
 */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "json.h"
#include "out.h"
#include "subject.h"
#include "util.h"

#include "features-gen.h"

#define MAX_FAULTS 1024

static const struct cmd_option options[] = {CMD_JSON, CMD_END};

/*
 * A host's own policy is what the hypervisor knows, and no guest has it: bits of MSR 10A that it
 * set for this model (RSBA, GDS_NO) stand there also where CPUID announces no such MSR.
 */
static void forget_what_xen_knows(struct policy_report *r)
{
    size_t n = r->count < r->max ? r->count : r->max, kept = 0;

    for (size_t i = 0; i < n; i++)
        if (r->faults[i].kind != FAULT_XSTATE_FEATURE &&
            (r->faults[i].kind != FAULT_PREREQUISITE ||
             r->faults[i].needs != X86_FEATURE_ARCH_CAPS))
            r->faults[kept++] = r->faults[i];
    r->count -= n - kept;
}

/* The number of faults; they are printed, or added to the array that is open. */
static size_t verify_one(const struct subject *s, const char *which, const struct cpu_policy *p,
                         struct json *j)
{
    struct policy_fault *faults = xcalloc(MAX_FAULTS, sizeof(*faults));
    struct policy_report r = {.faults = faults, .max = MAX_FAULTS};
    char text[XC_FAULT_TEXT], count[32];

    (void)policy_verify(p, &r);
    if (p == &s->policy[XC_POLICY_HOST])
        forget_what_xen_knows(&r);
    if (j) {
        json_object(j, NULL);
        json_string(j, "policy", which);
        json_bool(j, "valid", r.count == 0);
        json_array(j, "faults");
        for (size_t i = 0; i < r.count && i < r.max; i++)
            json_fault(j, &faults[i]);
        json_close_array(j);
        json_close_object(j);
    } else if (!r.count) {
        out_text(stdout, 0, 2, "%s, %s: a CPU that can exist", s->origin, which);
    } else {
        out_text(stdout, 0, 2, "%s, %s: no such CPU can exist, %s:", s->origin, which,
                 plural(count, sizeof(count), r.count, "fault", "faults"));
        for (size_t i = 0; i < r.count && i < r.max; i++) {
            (void)xc_fault_text(&faults[i], text, sizeof(text));
            out_text(stdout, 2, 4, "%s", text);
        }
    }
    free(faults);
    return r.count;
}

static size_t verify_subject(const struct subject *s, struct json *j)
{
    size_t count = 0;

    if (j) {
        json_object(j, NULL);
        json_string(j, "name", s->name);
        json_string(j, "origin", s->origin);
        json_array(j, "policies");
    }
    if (s->kind == SUBJECT_GUEST)
        count = verify_one(s, "guest", &s->guest, j);
    for (int type = TYPE_PV; s->kind == SUBJECT_LEVEL && type < TYPES; type++)
        if (s->have_level[type])
            count += verify_one(s, type == TYPE_PV ? "pv" : "hvm", &s->level[type], j);
    for (unsigned int i = 0; s->kind == SUBJECT_HOST && i < XC_POLICIES; i++)
        if (s->have[i])
            count += verify_one(s, xc_policy_name(i), &s->policy[i], j);
    if (j) {
        json_close_array(j);
        json_bool(j, "valid", count == 0);
        json_close_object(j);
    }
    return count;
}

static int run_verify(const struct command *cmd, int argc, char **argv)
{
    struct json *j = NULL;
    int letter, first, status = STATUS_YES;
    bool json = false;
    const char *value;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'j')
            return STATUS_TROUBLE;
        json = true;
    }
    if (first == argc)
        return cmd_usage(cmd, "at least one file, save image or domain is needed");
    if (json) {
        j = json_begin();
        json_array(j, NULL);
    }
    for (int i = first; i < argc; i++) {
        struct subject s;

        if (subject_open(argv[i], &s))
            status = STATUS_TROUBLE;
        else if (verify_subject(&s, j) && status == STATUS_YES)
            status = STATUS_NO;
        subject_close(&s);
    }
    if (j) {
        json_close_array(j);
        if (json_end(j))
            status = STATUS_TROUBLE;
    }
    return status;
}

const struct command cmd_verify = {
    .name = "verify",
    .args = "FILE|IMAGE|DOMAIN...",
    .summary = "is it a CPU that can exist?",
    .about = "Checks every policy in files, save images and domains: whether each feature has the "
             "ones that it stands on, whether the highest leaves and address widths are in range, "
             "whether the XSAVE components fit their features and each other. Files that are "
             "damaged, truncated or not ours are refused (status 2).",
    .options = options,
    .run = run_verify,
};
