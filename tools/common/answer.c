/* SPDX-License-Identifier: MIT */
/* See answer.h. */
#include "answer.h"

#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "describe.h"
#include "features-gen.h"
#include "findings.h"
#include "unknown.h"
#include "util.h"
#include "xc_release.h"

#define MAX_FAULTS 1024

static const struct cpu_policy all_known;

static const struct cpu_policy *mask_of(const struct cpu_policy *unknown)
{
    return unknown ? unknown : &all_known;
}

void answer_init(struct cpu_answer *a)
{
    struct policy_fault *faults = xcalloc((size_t)2 * MAX_FAULTS, sizeof(*faults));

    *a = (struct cpu_answer){.report = {.faults = faults, .max = MAX_FAULTS},
                             .maybe = {.faults = faults + MAX_FAULTS, .max = MAX_FAULTS}};
}

void answer_free(struct cpu_answer *a)
{
    free(a->report.faults);
    memset(a, 0, sizeof(*a));
}

enum xc_policy_index answer_max(enum guest_type type)
{
    return type == GUEST_PV ? XC_POLICY_PV_MAX : XC_POLICY_HVM_MAX;
}

enum xc_policy_index answer_default(enum guest_type type)
{
    return type == GUEST_PV ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT;
}

const char *answer_obstacle(enum guest_type type, const char *from, const char *to)
{
    struct xc_release source, target;

    if (type == GUEST_PV || !xc_read_release(from, &source) || !xc_read_release(to, &target))
        return NULL;
    return xc_release_obstacle(&source, &target);
}

void answer_ask(const struct answer_guest *guest, const struct answer_host *host,
                struct cpu_answer *a)
{
    enum xc_policy_index max = answer_max(guest->type), deflt = answer_default(guest->type);
    struct unsure u = {
        .guest = {guest->policy, mask_of(guest->unknown)},
        .max = {host->policy[max], mask_of(host->unknown[max])},
        .type = guest->type == GUEST_PV ? GUEST_PV : GUEST_HVM_HAP,
        .same = guest->born_there,
    };

    a->offered = host->have[max];
    a->report.count = 0;
    a->maybe.count = 0;
    a->obstacle = answer_obstacle(guest->type, guest->xen, host->xen);
    if (!a->offered)
        return;
    if (host->have[deflt])
        u.deflt = (struct half_known){host->policy[deflt], mask_of(host->unknown[deflt])};
    unsure_ask(&u, &a->report, &a->maybe);
}

enum verdict answer_verdict(const struct cpu_answer *a)
{
    if (!a->offered || a->report.count || a->obstacle)
        return VERDICT_NO;
    return a->maybe.count ? VERDICT_UNKNOWN : VERDICT_YES;
}

void answer_doubtful(const struct cpu_answer *a, struct featureset *fs)
{
    memset(fs, 0, sizeof(*fs));
    for (size_t i = 0; i < a->maybe.count && i < a->maybe.max; i++)
        if (finding_is_feature(a->maybe.faults[i].kind))
            featureset_set(fs, a->maybe.faults[i].feature);
}

void answer_features(const struct cpu_answer *a, struct featureset *missing,
                     struct featureset *hazards)
{
    memset(missing, 0, sizeof(*missing));
    memset(hazards, 0, sizeof(*hazards));
    for (size_t i = 0; i < a->report.count && i < a->report.max; i++) {
        const struct policy_fault *f = &a->report.faults[i];

        if (f->kind == FAULT_FEATURE_MISSING)
            featureset_set(missing, f->feature);
        else if (f->kind == FAULT_HAZARD_UNTOLD)
            featureset_set(hazards, f->feature);
        else if (f->kind == FAULT_XSTATE_MISSING && xstate_feature(f->subleaf) != POLICY_NONE)
            featureset_set(missing, xstate_feature(f->subleaf));
    }
}

/* ---- in one line ---- */

char *answer_feature_list(const struct featureset *fs, unsigned int most)
{
    unsigned int n = featureset_count(fs), named = most && n > most ? most : n, k = 0;
    char *list = xstrdup(""), *longer;

    for (int f = featureset_next(fs, 0); f >= 0 && k < named;
         f = featureset_next(fs, (unsigned int)f + 1)) {
        char word[64];

        feature_word((unsigned int)f, word, sizeof(word));
        longer = xasprintf("%s%s%s", list, !k ? "" : k + 1 == n ? " and " : ", ", word);
        free(list);
        list = longer;
        k++;
    }
    if (named < n) {
        longer = xasprintf("%s and %u %s", list, n - named, n - named == 1 ? "other" : "others");
        free(list);
        list = longer;
    }
    return list;
}

/* Add a part to a line, and free the part. */
static void add_part(char **line, char *part)
{
    char *longer = xasprintf("%s%s%s", *line, **line && *part ? "; " : "", part);

    free(*line);
    free(part);
    *line = longer;
}

static void add_features(char **line, const char *what, const struct featureset *fs,
                         unsigned int most)
{
    char *list;

    if (featureset_empty(fs))
        return;
    list = answer_feature_list(fs, most);
    add_part(line, xasprintf("%s%s", what, list));
    free(list);
}

/* Findings that are about no feature: the first in words, the others by their number.  A state
 * component that is missing goes with its feature. */
static void add_others(char **line, const struct policy_report *r)
{
    const struct policy_fault *first = NULL;
    char text[XC_FAULT_TEXT];
    size_t n = 0;

    for (size_t i = 0; i < r->count && i < r->max; i++) {
        const struct policy_fault *f = &r->faults[i];

        if (finding_is_feature(f->kind) ||
            (f->kind == FAULT_XSTATE_MISSING && xstate_feature(f->subleaf) != POLICY_NONE))
            continue;
        first = first ? first : f;
        n++;
    }
    if (!first)
        return;
    (void)xc_fault_text(first, text, sizeof(text));
    add_part(line,
             n == 1 ? xstrdup(text) : xasprintf("%s, and %zu more of this kind", text, n - 1));
}

char *answer_why(const struct cpu_answer *a, unsigned int most)
{
    struct featureset missing, hazards;
    char *line = xstrdup("");

    if (!a->offered) {
        add_part(&line, xstrdup("no guests of that type can run there"));
        return line;
    }
    if (a->obstacle)
        add_part(&line, xasprintf("the Xen that it comes from is newer: %s", a->obstacle));
    answer_features(a, &missing, &hazards);
    add_features(&line, "lacks ", &missing, most);
    add_features(&line, "has hazards that it was not told of: ", &hazards, most);
    add_others(&line, &a->report);
    if (answer_verdict(a) != VERDICT_UNKNOWN)
        return line;
    answer_doubtful(a, &missing);
    if (featureset_empty(&missing))
        add_part(&line, xstrdup("nobody knows some of its numbers, which may be too low"));
    add_features(&line, "nobody knows about ", &missing, most);
    return line;
}

/* ---- what is not known, in words ---- */

/* What the source itself left out of a host: of raw, where there is one. */
static const struct cpu_policy *find_source_mask(const struct answer_host *host)
{
    const struct cpu_policy *raw = mask_of(host->unknown[XC_POLICY_RAW]);

    if (unknown_any(raw))
        return raw;
    for (unsigned int i = XC_POLICY_HOST; i < XC_POLICIES; i++)
        if (unknown_any(mask_of(host->unknown[i])))
            return host->unknown[i];
    return raw;
}

/* Every feature of which some policy for guests does not say whether it has it. */
static void find_doubtful(const struct answer_host *host, struct featureset *all)
{
    memset(all, 0, sizeof(*all));
    for (unsigned int i = XC_POLICY_PV_MAX; i < XC_POLICIES; i++) {
        struct featureset fs;

        unknown_features(mask_of(host->unknown[i]), &fs);
        featureset_or(all, all, &fs);
    }
}

static char *say_cause(const struct cpu_policy *source, const struct featureset *all,
                       const struct featureset *about)
{
    struct cpu_policy *mask;
    char *text;

    if (featureset_empty(all))
        return xstrdup("");
    mask = xcalloc(1, sizeof(*mask));
    *mask = *source;
    unknown_reduce(mask, all);
    text = about && !featureset_empty(about) ? unknown_cause(mask, about) : unknown_text(mask);
    free(mask);
    return text;
}

static char *say_how(const struct cpu_policy *source, const struct featureset *all)
{
    struct cpu_policy *mask = xcalloc(1, sizeof(*mask));
    char *how;

    *mask = *source;
    unknown_reduce(mask, all);
    how = unknown_how(mask);
    free(mask);
    return how;
}

char *answer_host_cause(const struct answer_host *host, const struct featureset *about)
{
    struct featureset all;

    find_doubtful(host, &all);
    return say_cause(find_source_mask(host), &all, about);
}

char *answer_guest_cause(const struct answer_guest *guest, const struct featureset *about)
{
    struct featureset all;

    unknown_features(mask_of(guest->unknown), &all);
    return say_cause(mask_of(guest->unknown), &all, about);
}

char *answer_host_how(const struct answer_host *host)
{
    struct featureset all;

    find_doubtful(host, &all);
    return say_how(find_source_mask(host), &all);
}

char *answer_guest_how(const struct answer_guest *guest)
{
    struct featureset all;

    unknown_features(mask_of(guest->unknown), &all);
    return say_how(mask_of(guest->unknown), &all);
}
