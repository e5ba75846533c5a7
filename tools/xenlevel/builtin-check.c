/* SPDX-License-Identifier: MIT */
/*
 * xenlevel check: can this guest run there?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>
#include <host-policy.h>

#include "answer.h"
#include "births.h"
#include "check.h"
#include "commands.h"
#include "level-at.h"
#include "enforce.h"
#include "features-gen.h"
#include "findings.h"
#include "json.h"
#include "microcode.h"
#include "out.h"
#include "show.h"
#include "subject.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'t', "type", "TYPE", "pv or hvm, where the guest does not say which it is"},
    CMD_STRICT,
    CMD_JSON,
    CMD_END,
};

static void print_guest(const struct question *q, const char *can, const struct subject *host,
                        const char *why)
{
    out_text(stdout, 0, 2, "'%s' (%s%s%s) %s %s (%s)%s", q->guest->name, q->type_name,
             q->guest->xen[0] && q->guest->kind == SUBJECT_GUEST ? ", from Xen " : "",
             q->guest->kind == SUBJECT_GUEST ? q->guest->xen : "", can, host->name,
             host->file->host->cpu, why);
}

/* What --strict does not let pass. */
static bool is_too_loose(const struct question *q, const struct enforcement *e)
{
    return q->strict && e && !enforcement_is_exact(e);
}

/* What was found of one host. */
struct finding {
    struct cpu_answer answer;
    const struct enforcement *pv; /* NULL: it is no PV guest */
    /* Of a guest that is a host's: how their CPUs compare, and what comes by microcode of what is
     * missing. */
    enum cpu_relation relation;
    struct featureset by_microcode;
};

static enum verdict find_verdict(const struct question *q, const struct finding *a)
{
    return is_too_loose(q, a->pv) ? VERDICT_NO : answer_verdict(&a->answer);
}

/* How do the CPUs of two hosts compare, and what of what is missing comes by microcode? */
static void find_relation(const struct question *q, const struct subject *host, struct finding *a)
{
    struct featureset missing = {{0}};

    if (q->guest->kind != SUBJECT_HOST)
        return;
    a->relation = microcode_compare(q->guest, host);
    for (size_t i = 0; i < a->answer.report.count && i < a->answer.report.max; i++)
        if (finding_is_feature(a->answer.report.faults[i].kind))
            featureset_set(&missing, a->answer.report.faults[i].feature);
    microcode_features(a->relation, q->guest, host, &missing, &a->by_microcode);
}

/* Return "MSR 10A is not in the dump of n": what would have to be known; malloc'ed. */
static char *find_cause(const struct question *q, const struct subject *host,
                        const struct finding *a)
{
    const struct subject *sides[2] = {host, q->guest};
    char *text = xstrdup("");
    struct featureset about;

    answer_doubtful(&a->answer, &about);
    for (unsigned int i = 0; i < 2; i++) {
        char *what = subject_unknown_cause(sides[i], &about), *longer;

        if (*what) {
            longer = xasprintf("%s%s%s %s not in the %s of %s", text, *text ? "; " : "", what,
                               strchr(what, ',') ? "are" : "is", subject_source_name(sides[i]),
                               sides[i]->name);
            free(text);
            text = longer;
        }
        free(what);
        if (!strcmp(host->origin, q->guest->origin))
            break;
    }
    return text;
}

/* The side that somebody would have to look at. */
static char *find_how(const struct question *q, const struct subject *host)
{
    char *what = subject_unknown_cause(host, NULL);
    const struct subject *side = *what ? host : q->guest;

    free(what);
    return subject_unknown_how(side);
}

/* Where a number stands that is not known: the host's value says nothing. */
static void format_number(const struct policy_fault *f, char *buf, size_t size)
{
    if (f->msr != POLICY_NONE)
        (void)snprintf(buf, size, "MSR %X", f->msr);
    else if (f->subleaf != POLICY_NONE && f->subleaf)
        (void)snprintf(buf, size, "leaf %x.%x", f->leaf, f->subleaf);
    else
        (void)snprintf(buf, size, "leaf %x", f->leaf);
}

static void number_json(struct json *j, const struct policy_fault *f)
{
    char where[32];

    format_number(f, where, sizeof(where));
    json_object(j, NULL);
    json_string(j, "kind", policy_fault_name(f->kind));
    json_string(j, "text", "a number that is not known, and may be too low there");
    json_string(j, "location", where);
    json_close_object(j);
}

/* What the answer stands on: that a host gives guests AVX, of which its dump does not tell. */
static const char *find_assumption(const struct question *q, const struct subject *host,
                                   enum verdict verdict)
{
    return verdict != VERDICT_NO && policy_has(q->policy, X86_FEATURE_AVX)
               ? subject_assumption(host)
               : NULL;
}

/* "unknown": what may stand against it; "not_known", "find_out": why nobody can say.  Absent where
 * the answer does not depend on anything unknown. */
static void unknown_json(const struct question *q, const struct subject *host,
                         const struct finding *a)
{
    const struct policy_report *r = &a->answer.maybe;
    struct json *j = q->json;
    char *cause, *how;

    if (!r->count)
        return;
    cause = find_cause(q, host, a);
    how = find_how(q, host);
    json_array(j, "unknown");
    for (size_t i = 0; i < r->count && i < r->max; i++)
        if (finding_is_feature(r->faults[i].kind))
            json_fault(j, &r->faults[i]);
        else
            number_json(j, &r->faults[i]);
    json_close_array(j);
    json_string(j, "not_known", cause);
    json_string(j, "find_out", how);
    free(cause);
    free(how);
}

/* Is all that stands against it gone with the same microcode? */
static bool is_all_microcode(const struct finding *a)
{
    for (size_t i = 0; i < a->answer.report.count; i++) {
        const struct policy_fault *f = &a->answer.report.faults[i];
        uint32_t feature = finding_is_feature(f->kind)       ? f->feature
                           : f->kind == FAULT_XSTATE_MISSING ? xstate_feature(f->subleaf)
                                                             : POLICY_NONE;

        if (i >= a->answer.report.max || !featureset_test(&a->by_microcode, feature))
            return false;
    }
    return a->answer.report.count;
}

/* What it has used of the features that are missing there: for whoever would give them up. */
static void add_usage(const struct question *q, const struct finding *a)
{
    struct featureset missing, hazards;
    const struct usage *u;

    answer_features(&a->answer, &missing, &hazards);
    if (!a->answer.offered || featureset_empty(&missing) || !q->evidence)
        return;
    u = evidence_get(q->evidence, q->guest);
    if (u && q->json)
        usage_json_of(q->json, u, &missing);
    else if (u)
        usage_print_of(stdout, u, &missing);
}

/* "difference": "microcode" where all that stands against it comes by microcode, "cpu" where
 * nothing of it does, "both"; null where it was not born on a host, or nothing stands against it.
 */
static void relation_json(const struct question *q, const struct finding *a)
{
    static const char *const names[] = {
        [CPU_OTHER] = "other",
        [CPU_SAME] = "same",
        [CPU_SAME_BUT_CODE] = "same, other microcode",
        [CPU_SAME_SETTINGS] = "same, other settings",
    };
    struct json *j = q->json;
    bool code = !featureset_empty(&a->by_microcode);

    if (q->guest->kind != SUBJECT_HOST)
        return;
    json_string(j, "cpus", names[a->relation]);
    json_string(j, "difference",
                !a->answer.report.count ? NULL
                : is_all_microcode(a)   ? "microcode"
                : code                  ? "both"
                                        : "cpu");
    json_features(j, "by_microcode", &a->by_microcode);
}

static void answer_json(const struct question *q, const struct subject *host,
                        const struct finding *a)
{
    const struct policy_report *r = &a->answer.report;
    enum verdict verdict = find_verdict(q, a);
    const char *assumed;
    struct json *j = q->json;

    json_object(j, NULL);
    json_string(j, "host", host->name);
    json_string(j, "cpu", host->file->host->cpu);
    json_bool(j, "can_run", verdict == VERDICT_YES);
    json_string(j, "reason",
                verdict == VERDICT_UNKNOWN ? "unknown"
                : verdict == VERDICT_NO    ? "refused"
                                           : NULL);
    json_bool(j, "type_offered", a->answer.offered);
    if (a->answer.obstacle)
        json_string(j, "release_obstacle", a->answer.obstacle);
    json_array(j, "faults");
    for (size_t i = 0; i < r->count && i < r->max; i++)
        json_fault(j, &r->faults[i]);
    json_close_array(j);
    unknown_json(q, host, a);
    assumed = find_assumption(q, host, verdict);
    if (assumed)
        json_string(j, "assumed", assumed);
    relation_json(q, a);
    add_usage(q, a);
    if (a->pv)
        enforcement_json(j, "pv_enforcement", a->pv);
    json_close_object(j);
}

/* The numbers (widths, sizes, highest leaves) that are not known, by where they stand. */
static void print_numbers(const struct policy_report *r)
{
    char *list = xstrdup("");
    char last[32] = "";

    for (size_t i = 0; i < r->count && i < r->max; i++) {
        char where[32], *longer;

        if (finding_is_feature(r->faults[i].kind))
            continue;
        format_number(&r->faults[i], where, sizeof(where));
        if (!strcmp(where, last))
            continue;
        longer = xasprintf("%s%s%s", list, *list ? ", " : "", where);
        free(list);
        list = longer;
        (void)snprintf(last, sizeof(last), "%s", where);
    }
    if (*list)
        out_text(stdout, 2, 4, "numbers that are not known, and may be too low there: %s", list);
    free(list);
}

static bool has_features(const struct policy_report *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (i >= r->max || finding_is_feature(r->faults[i].kind))
            return true;
    return false;
}

/* What the answer depends on, when that is not known. */
static void print_unknown(const struct question *q, const struct subject *host,
                          const struct finding *a)
{
    const struct policy_report *r = &a->answer.maybe;
    const struct findings all = {r->faults, 0, r->count < r->max ? r->count : r->max, NULL};
    unsigned int width = out_width(stdout);
    char *how;

    if (!r->count)
        return;
    findings_features(stdout, width, &all, FAULT_FEATURE_MISSING,
                      "feature that it was told it has may be missing there",
                      "features that it was told it has may be missing there");
    findings_features(stdout, width, &all, FAULT_HAZARD_UNTOLD,
                      "hazard that it was not told of may be there",
                      "hazards that it was not told of may be there");
    print_numbers(r);
    if (!a->answer.report.count && !has_features(r))
        out_text(stdout, 2, 4, "every feature that it was told it has is there");
    how = find_how(q, host);
    out_text(stdout, 2, 4, "%s", how);
    free(how);
}

/* What of it all is the age of microcode. */
static void print_relation(const struct question *q, const struct subject *host,
                           const struct finding *a)
{
    unsigned int n = featureset_count(&a->by_microcode);
    char *sources, count[32];

    if (!n && !a->answer.maybe.count)
        return;
    if (a->relation == CPU_SAME && a->answer.maybe.count)
        out_text(stdout, 2, 4, "as far as both are known, it is the same CPU as that of %s",
                 q->guest->name);
    if (!n)
        return;
    sources = microcode_sources(&a->by_microcode);
    if (a->relation == CPU_SAME_BUT_CODE)
        out_text(stdout, 2, 4,
                 "the same CPU with other microcode: all of it comes by microcode (%s), not by the "
                 "CPU; the same microcode on %s and %s takes it away",
                 sources, q->guest->name, host->name);
    else
        out_text(stdout, 2, 4, "%s by newer microcode on %s (%s):",
                 plural(count, sizeof(count), n, "of these comes", "of these come"), host->name,
                 sources);
    if (a->relation != CPU_SAME_BUT_CODE)
        show_features(stdout, 4, &a->by_microcode);
    free(sources);
}

/* How to have explained what stands against it. */
static void print_names(const struct finding *a, const struct findings *all)
{
    char names[256];

    findings_names(all, names, sizeof(names));
    if (a->answer.obstacle || names[0] || a->answer.maybe.count)
        out_text(stdout, 2, 4, "what that means: xenlevel explain%s%s%s%s",
                 a->answer.obstacle ? " release-newer" : "", names[0] ? " " : "", names,
                 a->answer.maybe.count ? " unknown" : "");
}

static void answer_text(const struct question *q, const struct subject *host,
                        const struct finding *a)
{
    const struct policy_report *r = &a->answer.report;
    const struct findings all = {r->faults, 0, r->count < r->max ? r->count : r->max, NULL};
    unsigned int width = out_width(stdout);
    enum verdict verdict = find_verdict(q, a);
    const char *assumed;

    if (!a->answer.offered) {
        print_guest(q, "cannot run on", host, ": no guests of that type can");
        return;
    }
    if (verdict == VERDICT_UNKNOWN) {
        char *cause = find_cause(q, host, a);
        char *why = xasprintf(": cannot say: %s", cause);

        print_guest(q, "on", host, why);
        free(cause);
        free(why);
    } else {
        print_guest(q, verdict == VERDICT_YES ? "can run on" : "cannot run on", host,
                    verdict == VERDICT_YES ? "" : ":");
    }
    if (a->answer.obstacle)
        out_text(stdout, 2, 4, "the Xen it comes from (%s) is newer than the one there (%s): %s",
                 q->guest->xen, host->xen, a->answer.obstacle);
    findings_features(stdout, width, &all, FAULT_FEATURE_MISSING,
                      "feature that it was told it has is missing there",
                      "features that it was told it has are missing there");
    findings_features(stdout, width, &all, FAULT_HAZARD_UNTOLD,
                      "hazard of that host is one that it was not told of",
                      "hazards of that host are ones that it was not told of");
    findings_others(stdout, width, &all, NULL);
    print_unknown(q, host, a);
    assumed = find_assumption(q, host, verdict);
    if (assumed)
        out_text(stdout, 2, 4, "assumed of %s: %s", host->name, assumed);
    print_relation(q, host, a);
    add_usage(q, a);
    print_names(a, &all);
    if (is_too_loose(q, a->pv))
        enforcement_print_refusal(stdout, 2, host, a->pv);
    if (a->pv)
        enforcement_print(stdout, 2, host, a->pv);
}

/* The host that the guest was born on, by what two files say: one may be a copy. */
static bool is_same_host(const struct subject *guest, const struct subject *host)
{
    return guest->kind == SUBJECT_HOST && !strcmp(guest->name, host->name) &&
           guest->have[XC_POLICY_RAW] && host->have[XC_POLICY_RAW] &&
           !memcmp(guest->policy, host->policy, sizeof(guest->policy[0])) &&
           !memcmp(guest->unknown, host->unknown, sizeof(guest->unknown));
}

int check_host(const struct question *q, const struct subject *host)
{
    struct answer_guest guest = {
        .name = q->guest->name,
        .policy = q->policy,
        .unknown = q->unknown,
        .type = subject_guest_type(q->type),
        .born_there = q->born_there || is_same_host(q->guest, host),
        /* A guest, or one that is born on a host, goes from the Xen that it runs under; one of a
         * level will be born there. */
        .xen = q->guest->kind == SUBJECT_LEVEL ? NULL : q->guest->xen,
    };
    struct answer_host there;
    struct finding a = {.pv = NULL};
    struct enforcement e;
    int status;

    answer_init(&a.answer);
    subject_answer_host(host, &there);
    answer_ask(&guest, &there, &a.answer);
    if (a.answer.offered)
        find_relation(q, host, &a);
    if (q->type == TYPE_PV) {
        a.pv = &e;
        enforcement_of(host, q->policy, &e);
        if (q->home)
            enforcement_of_move(q->home, host, q->policy, &e);
    }
    (q->json ? answer_json : answer_text)(q, host, &a);
    status = find_verdict(q, &a) == VERDICT_YES ? STATUS_YES : STATUS_NO;
    answer_free(&a.answer);
    return status;
}

/* Where its programs are now: a host's guest there, a domain here.  Others come from anywhere.  0;
 * or -1 after a message. */
static int find_home(struct question *q, struct subject *here)
{
    if (q->type != TYPE_PV)
        return 0;
    if (q->guest->kind == SUBJECT_HOST)
        q->home = q->guest;
    else if (q->guest->domid != POLICY_NONE && subject_open("-", here))
        return -1;
    else if (q->guest->domid != POLICY_NONE)
        q->home = here;
    return 0;
}

/* A guest that is born on that very host, on a named level. */
static int check_named(const struct question *q, const struct subject *host)
{
    const struct named_level *l = q->guest->named;
    struct question born = *q;
    struct cpu_policy *policy;
    struct level_refusal r;
    int status;

    if (!level_at_ask(l, host, q->type, &r)) {
        level_at_refuse(l, host, q->type, &r, q->json);
        return STATUS_NO;
    }
    policy = xcalloc(1, sizeof(*policy));
    if (r.offered) {
        *policy = host->policy[subject_default(q->type)];
        host_policy_for_domain(policy);
        named_cut(policy, &l->features[q->type], NULL, NULL);
    }
    born.policy = policy;
    born.unknown = &host->unknown[subject_default(q->type)];
    born.born_there = true;
    born.home = q->type == TYPE_PV ? host : NULL;
    status = check_host(&born, host);
    free(policy);
    return status;
}

static int ask_all(struct question *q, int n, char **hosts)
{
    int status = STATUS_YES;

    for (int i = 0; i < n; i++) {
        struct subject *host = xcalloc(1, sizeof(*host));
        int one = STATUS_TROUBLE;

        if (subject_open(hosts[i], host))
            one = STATUS_TROUBLE;
        else if (host->kind != SUBJECT_HOST)
            one = complain("%s is not a host", host->origin);
        else
            one = (q->guest->kind == SUBJECT_NAMED ? check_named : check_host)(q, host);
        if (one > status)
            status = one;
        subject_close(host);
        free(host);
    }
    return status;
}

static bool prepare_guest(struct question *q)
{
    q->policy = subject_guest_policy(q->guest, &q->type);
    q->unknown = subject_guest_unknown(q->guest, q->type);
    return q->policy;
}

static bool prepare_named(struct question *q)
{
    if (q->type == TYPE_UNKNOWN)
        q->type = TYPE_HVM;
    if (!q->guest->named->have[q->type])
        warn("%s is not for %s guests", q->guest->origin, subject_type_name(q->type));
    return q->guest->named->have[q->type];
}

static int run_check(const struct command *cmd, int argc, char **argv)
{
    struct evidence evidence = {.arg = NULL};
    struct question q = {.type = TYPE_UNKNOWN, .evidence = &evidence};
    struct subject *guest, *here;
    int letter, first, status = STATUS_TROUBLE;
    bool json = false, ready = false;
    const char *value;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'j')
            json = true;
        else if (letter == 's')
            q.strict = true;
        else if (letter != 't' || parse_type(value, &q.type))
            return STATUS_TROUBLE;
    }
    if (argc - first < 2)
        return cmd_usage(cmd, "a guest and at least one host are needed");
    if (config_is(argv[first]))
        return check_births(argv[first], argc - first - 1, argv + first + 1, q.strict, json);
    guest = xcalloc(1, sizeof(*guest));
    here = xcalloc(1, sizeof(*here));
    if (!subject_open(argv[first], guest)) {
        q.guest = guest;
        evidence.arg = argv[first];
        ready = guest->kind == SUBJECT_NAMED ? prepare_named(&q) : prepare_guest(&q);
        if (ready && guest->kind == SUBJECT_HOST) /* a guest born there */
            host_policy_for_domain(&guest->policy[subject_default(q.type)]);
    }
    if (ready && !find_home(&q, here)) {
        q.type_name = guest->kind == SUBJECT_GUEST && guest->type != TYPE_UNKNOWN
                          ? guest->type_name
                          : subject_type_name(q.type);
        if (json) {
            q.json = json_begin();
            json_object(q.json, NULL);
            json_string(q.json, "guest", guest->name);
            json_string(q.json, "type", q.type_name);
            json_array(q.json, "hosts");
        }
        status = ask_all(&q, argc - first - 1, argv + first + 1);
        if (json) {
            json_close_array(q.json);
            json_bool(q.json, "can_run_everywhere", status == STATUS_YES);
            json_close_object(q.json);
            if (json_end(q.json))
                status = STATUS_TROUBLE;
        }
    }
    subject_close(guest);
    subject_close(here);
    free(guest);
    free(here);
    free(evidence.usage);
    return status;
}

const struct command cmd_check = {
    .name = "check",
    .args = "GUEST HOST...",
    .summary = "can this guest run there?",
    .about =
        "Asks whether a guest can move to each host and find there the CPU that it was told "
        "it has. GUEST is a domain, a save image or a policy file (of a pool: a guest built "
        "on its level;  of a host: a guest that was born there), or an xl.cfg that nothing was "
        "created "
        "from yet: what would be told on each host, and where it could go from there. HOST is a "
        "host's file, or - "
        "for this host. What a host can give at most is compared, and what a guest must know "
        "of. Of a PV guest also what its programs see there beyond or short of its policy: that "
        "is a warning, or with --strict a no. Status 0: it can run on all of them; 1: not on "
        "all.",
    .options = options,
    .run = run_check,
};
