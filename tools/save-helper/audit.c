/* SPDX-License-Identifier: MIT */
/* The audit: may a domain with this policy come to this host?  See audit.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "findings.h"
#include "text.h"
#include "xc.h"
#include "xc_audit.h"
#include "xc_text.h"

/* ---- words ---- */

static void head_lines(const struct audit_case *c, const char *verb, struct text *t,
                       struct text *summary)
{
    char who[512];
    size_t n;

    n = (size_t)snprintf(who, sizeof(who), "refused: '%s' (%s", c->domain, c->type);
    if (n < sizeof(who) && c->head && c->head->version &&
        (c->head->xen_major || c->head->xen_minor))
        (void)snprintf(who + n, sizeof(who) - n, ", from Xen %u.%u", c->head->xen_major,
                       c->head->xen_minor);
    n = strlen(who);
    if (n < sizeof(who) && c->host[0])
        (void)snprintf(who + n, sizeof(who) - n, ") %s this host (%s)", verb, c->host);
    else if (n < sizeof(who))
        (void)snprintf(who + n, sizeof(who) - n, ") %s this host", verb);
    text_line(t, 4, "xenlevel: %s", who);
    text_add(summary, "%s", who);
}

void audit_say_untouched(const struct audit_case *c, struct text *t)
{
    text_line(t, 4,
              c->from_file ? "  Nothing was restored; the saved image is as it was."
                           : "  Nothing was transferred; the domain keeps running where it was.");
}

void audit_say_names(const char *names, struct text *t)
{
    text_line(t, 4, "  What that means:  xenlevel explain %s", names);
}

/* "  LABEL:  xenlevel COMMAND web1 *.xlp": whole and on one line, or not at all: it is to be
 * copied. */
static void command_line(const struct audit_case *c, const char *label, const char *command,
                         const char *rest, struct text *t)
{
    char word[1024];
    size_t n = xc_text_shell(c->domain, word, sizeof(word));
    const char *end = c->domain[0] == '-' ? "-- " : "";

    if (!strcmp(word, c->domain))
        text_line(t, 4, "  %s:  xenlevel %s %s%s%s", label, command, end, word, rest);
    else if (n < sizeof(word))
        text_add(t, "  %s:  xenlevel %s %s%s%s\n", label, command, end, word, rest);
}

static void tail_lines(const struct audit_case *c, const char *names, bool which, struct text *t)
{
    audit_say_untouched(c, t);
    audit_say_names(names, t);
    if (which && c->drifted)
        text_line(t, 4, "  %s:  xenlevel pool drift",
                  "This host has lost features since it joined its pool");
    if (which)
        command_line(c, "Which hosts can take it", "check", " *.xlp", t);
}

/* Only its head is here yet, and no register. */
static void usage_line(const struct audit_case *c, struct text *t)
{
    if (c->from_file)
        text_line(t, 4, "  What it has used of these:  xenlevel usage IMAGE");
    else
        command_line(c, "What it has used of these, where it runs", "usage", "", t);
}

/* Is it said already by the feature that is missing too? */
static bool is_implied(const struct audit *a, size_t n, const struct policy_fault *f)
{
    int feature = f->kind == FAULT_XSTATE_MISSING ? allow_component_owner(f->subleaf) : -1;

    for (size_t i = 0; feature >= 0 && i < n; i++)
        if (a->faults[i].kind == FAULT_FEATURE_MISSING &&
            a->faults[i].feature == (unsigned int)feature)
            return true;
    return false;
}

/* Of a->faults[0..n), those that are to be said: neither given up nor implied. */
static struct findings findings_to_say(struct audit *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a->hidden[i] = a->waived[i] || is_implied(a, n, &a->faults[i]);
    return (struct findings){a->faults, 0, n, a->hidden};
}

static void feature_lines(const struct findings *found, enum policy_fault_kind kind,
                          const char *one, const char *many, struct text *t)
{
    findings_features(text_stream(t), t->width, found, kind, one, many);
    text_join(t);
}

static void other_lines(const struct findings *found, const char *heading, struct text *t)
{
    findings_others(text_stream(t), t->width, found, heading);
    text_join(t);
}

/* Is the finding one of the summary's: of this group (a kind; -1: every other), and to be said? */
static bool in_group(const struct findings *found, size_t i, int kind)
{
    enum policy_fault_kind own = found->faults[i].kind;

    return !found->hidden[i] && (kind < 0 ? !finding_is_feature(own) : (int)own == kind);
}

/* Has an earlier fault of the group been given the same word? */
static bool said_before(const struct findings *found, size_t i, int kind, const char *word)
{
    for (size_t j = 0; j < i; j++) {
        char other[64];

        if (!in_group(found, j, kind))
            continue;
        allow_word(&found->faults[j], other, sizeof(other));
        if (!strcmp(word, other))
            return true;
    }
    return false;
}

/* ": missing avx2 bmi1; untold rsba; maxphysaddr".  Fields of leaves, components: once is enough.
 */
static void summarize_findings(const struct findings *found, struct text *summary)
{
    static const struct {
        int kind; /* -1: every other */
        const char *label;
    } groups[] = {
        {FAULT_FEATURE_MISSING, "missing"}, {FAULT_HAZARD_UNTOLD, "untold"}, {-1, "differs"}};
    const char *before = ": ";

    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        bool first = true;

        for (size_t i = found->first; i < found->end; i++) {
            char word[64];

            if (!in_group(found, i, groups[g].kind))
                continue;
            allow_word(&found->faults[i], word, sizeof(word));
            if (!first && said_before(found, i, groups[g].kind, word))
                continue;
            if (first)
                text_add(summary, "%s%s", before, groups[g].label);
            first = false;
            before = "; ";
            text_add(summary, " %s", word);
        }
    }
}

/* ---- verdicts ---- */

static void begin_verdict(const struct audit_case *c, struct audit *a, struct text *t,
                          struct text *summary)
{
    memset(a->text, 0, sizeof(a->text));
    memset(a->summary, 0, sizeof(a->summary));
    memset(a->allowed, 0, sizeof(a->allowed));
    a->given_up = 0;
    a->clamped = false;
    a->refused = true;
    text_init(t, a->text, sizeof(a->text), c->width);
    text_init(summary, a->summary, sizeof(a->summary), 0);
}

void audit_bad_stream(const struct audit_case *c, const struct xc_sr_fault *fault, struct audit *a)
{
    struct text t, summary;

    begin_verdict(c, a, &t, &summary);
    head_lines(c,
               fault->truncated ? "came incomplete to" : "came in a stream that cannot be read to",
               &t, &summary);
    text_line(&t, 4, "  %s", fault->text);
    text_add(&summary, ": %s", fault->text);
    tail_lines(c, "stream-broken", false, &t);
}

void audit_broken(const struct audit_case *c, const char *reason, struct audit *a)
{
    struct text t, summary;

    begin_verdict(c, a, &t, &summary);
    head_lines(c, "cannot be checked against", &t, &summary);
    text_line(&t, 4, "  %s", reason);
    text_add(&summary, ": %s", reason);
    tail_lines(c, "not-checked", false, &t);
}

/* A stream that says nothing about the CPU. */
static void refuse_without_policy(const struct audit_case *c, struct audit *a, struct text *t,
                                  struct text *summary)
{
    const char *reason = c->head->version < 3
                             ? "the stream is of version 2 and has no CPU policy: Xen 4.13 and "
                               "older do not write one"
                             : "the stream has no CPU policy: X86_CPUID_POLICY is not in it";

    if (c->allow->unverified) {
        struct text allowed;

        a->refused = false;
        a->given_up = 1;
        text_init(&allowed, a->allowed, sizeof(a->allowed), 0);
        text_line(
            &allowed, 0,
            "unverified: %s; this host's toolstack makes up a CPU for it, and what the domain "
            "was told at its birth may no longer be true",
            reason);
        return;
    }
    head_lines(c, "cannot be verified for", t, summary);
    text_line(t, 4, "  %c%s.", reason[0] - 'a' + 'A', reason + 1);
    text_add(summary, ": %s", reason);
    tail_lines(c, "unverified", false, t);
    text_line(t, 4, "  To take it all the same:  XENLEVEL_ALLOW=unverified");
}

/* The entries of the policy records cannot be read. */
static void refuse_malformed(const struct audit_case *c, const struct policy_report *r,
                             struct audit *a, struct text *t, struct text *summary)
{
    size_t n = r->count < r->max ? r->count : r->max;
    const struct findings all = {a->faults, 0, n, NULL};
    char names[256];

    head_lines(c, "came in a stream that cannot be read to", t, summary);
    text_line(t, 4, "  Its CPU policy is %s:",
              n && a->faults[0].kind == FAULT_NOT_NAMED ? "not whole" : "malformed");
    for (size_t i = 0; i < n; i++) {
        const struct policy_fault *f = &a->faults[i];
        bool msr = f->msr != POLICY_NONE || f->kind == FAULT_MSR_RANGE;
        uint64_t at = msr ? c->head->msrs_offset : c->head->leaves_offset;
        char line[XC_FAULT_TEXT];

        if (f->index != POLICY_NONE)
            at += (uint64_t)f->index * (msr ? sizeof(xen_msr_entry_t) : sizeof(xen_cpuid_leaf_t));
        (void)xc_fault_text(f, line, sizeof(line));
        if (f->kind == FAULT_NOT_NAMED) { /* it has no place */
            text_line(t, 6, "    %s", line);
            text_add(summary, "%s %s", i ? ";" : ":", line);
            continue;
        }
        text_line(t, 6, "    offset %" PRIu64 ", record %s: %s", at,
                  msr ? "X86_MSR_POLICY" : "X86_CPUID_POLICY", line);
        text_add(summary, "%s offset %" PRIu64 ": %s", i ? ";" : ":", at, line);
    }
    findings_names(&all, names, sizeof(names));
    tail_lines(c, names, false, t);
}

/* Mark what is given up, and say so line by line.  Returns how many faults remain. */
static size_t waive_findings(const struct audit_case *c, struct audit *a, size_t n)
{
    size_t remain = 0;
    struct text t;

    text_init(&t, a->allowed, sizeof(a->allowed), 0);
    for (size_t i = 0; i < n; i++) {
        char word[64], line[XC_FAULT_TEXT];

        a->waived[i] = allow_covers(c->allow, &a->faults[i]);
        if (!a->waived[i]) {
            remain++;
            continue;
        }
        a->given_up++;
        a->clamped |= a->faults[i].kind != FAULT_HAZARD_UNTOLD;
        allow_word(&a->faults[i], word, sizeof(word));
        (void)xc_fault_text(&a->faults[i], line, sizeof(line));
        text_line(&t, 0, "%s: given up by XENLEVEL_ALLOW: %s", word, line);
    }
    return remain;
}

static void refuse_host(const struct audit_case *c, struct audit *a, size_t verified, size_t n,
                        struct text *t, struct text *summary)
{
    const struct findings all = findings_to_say(a, n);
    const struct findings exists = {all.faults, 0, verified, all.hidden};
    const struct findings differs = {all.faults, verified, n, all.hidden};
    char names[256];

    head_lines(c, "cannot run on", t, summary);
    other_lines(&exists, "What it was told is not a CPU that can exist:", t);
    feature_lines(&all, FAULT_FEATURE_MISSING, "feature that it was told it has is missing here",
                  "features that it was told it has are missing here", t);
    feature_lines(&all, FAULT_HAZARD_UNTOLD, "hazard of this host that it has not been told of",
                  "hazards of this host that it has not been told of", t);
    if (findings_count(&all, FAULT_VENDOR)) {
        char g[13], h[13];

        policy_vendor(&a->policy, g);
        policy_vendor(c->max, h);
        text_line(t, 4, "  Its CPU is a %s, this host's a %s: no setting can bridge that.", g, h);
        text_add(summary, ": its CPU is a %s, this host's a %s", g, h);
    } else {
        other_lines(&differs, "What else differs:", t);
        summarize_findings(&all, summary);
    }
    if (a->given_up)
        text_line(t, 4, "  %u more would have been given up by XENLEVEL_ALLOW.", a->given_up);
    findings_names(&all, names, sizeof(names));
    tail_lines(c, names, true, t);
    if (findings_count(&all, FAULT_FEATURE_MISSING))
        usage_line(c, t);
}

void audit_run(const struct audit_case *c, struct audit *a)
{
    struct policy_report r = {a->faults, AUDIT_FAULTS, 0};
    const struct policy_host host = {c->max, c->deflt};
    struct text t, summary;
    size_t verified, n;

    begin_verdict(c, a, &t, &summary);
    memset(a->waived, 0, sizeof(a->waived));
    if (!c->head->has_cpuid) {
        refuse_without_policy(c, a, &t, &summary);
        return;
    }
    if (xc_sr_head_policy(c->head, &a->policy, &r)) {
        refuse_malformed(c, &r, a, &t, &summary);
        return;
    }

    r.count = 0;
    /* That it is whole xc_sr_head_policy() has seen. */
    (void)xc_audit_policy(NULL, &a->policy, &host, &r, &verified);
    if (verified > r.max)
        verified = r.max;
    n = r.count < r.max ? r.count : r.max;

    /* More findings than there is room for: those beyond it cannot be given up. */
    if (waive_findings(c, a, n) || r.count > n)
        refuse_host(c, a, verified, n, &t, &summary);
    else
        a->refused = false;
}

/* ": without avx2 bmi1; with rsba; otherwise 7.0.eax" */
static void summarize_given(const struct audit *a, size_t n, struct text *summary)
{
    static const char *const labels[] = {"without", "with", "otherwise"};
    const char *before = ": ";

    for (unsigned int g = 0; g < 3; g++) {
        bool first = true;

        for (size_t i = 0; i < n; i++) {
            const struct policy_fault *f = &a->faults[i];
            unsigned int group = f->feature == POLICY_NONE ? 2 : !f->guest;
            char word[64];

            if (group != g || a->waived[i])
                continue;
            allow_word(f, word, sizeof(word));
            if (first)
                text_add(summary, "%s%s", before, labels[g]);
            text_add(summary, " %s", word);
            before = "; ";
            first = false;
        }
    }
}

/* Does a line of a->allowed begin with these words, up to a colon or its end? */
static bool is_listed(const struct audit *a, const char *words)
{
    size_t n = strlen(words);

    for (const char *s = a->allowed; *s; s += strcspn(s, "\n"), s += *s == '\n')
        if (!strncmp(s, words, n) && (s[n] == ':' || s[n] == '\n'))
            return true;
    return false;
}

static void list_given_up(struct audit *a, struct text *t, const char *line)
{
    a->given_up++;
    a->clamped = true;
    text_line(t, 0, "%s", line);
}

/* What is no feature: by the findings that account for it, as the audit says them. */
static bool list_numbers(const struct audit_case *c, const struct policy_report *named,
                         struct audit *a, struct text *t)
{
    bool any = false;

    for (size_t i = 0; i < named->count && i < named->max; i++) {
        const struct policy_fault *f = &named->faults[i];
        char word[64], text[XC_FAULT_TEXT], line[XC_FAULT_TEXT + 128];

        if (f->kind == FAULT_FEATURE_MISSING || !allow_covers(c->allow, f))
            continue;
        any = true;
        allow_word(f, word, sizeof(word));
        (void)xc_fault_text(f, text, sizeof(text));
        (void)snprintf(line, sizeof(line), "%s: given up by XENLEVEL_ALLOW: %s", word, text);
        if (!is_listed(a, line))
            list_given_up(a, t, line);
    }
    return any;
}

void audit_given_up(const struct audit_case *c, const struct policy_report *named, size_t n,
                    struct audit *a)
{
    struct text t = {
        .buf = a->allowed, .size = sizeof(a->allowed), .len = strlen(a->allowed), .width = 0};
    bool numbers_said = list_numbers(c, named, a, &t);

    for (size_t i = 0; i < n; i++) {
        const struct policy_fault *f = &a->faults[i];
        char word[64], text[XC_FAULT_TEXT], line[XC_FAULT_TEXT + 128];

        if (!a->waived[i])
            continue;
        allow_word(f, word, sizeof(word));
        if (f->feature == POLICY_NONE ? numbers_said : is_listed(a, word))
            continue;
        (void)xc_fault_text(f, text, sizeof(text));
        (void)snprintf(line, sizeof(line), "%s: given up by XENLEVEL_ALLOW: Xen gave it %s", word,
                       text);
        list_given_up(a, &t, line);
    }
}

/* Where the domain is now, after what was seen too late for it not to be taken. */
static void late_tail(const struct audit_case *c, struct text *t)
{
    audit_say_names("changed-after", t);
    text_line(t, 4,
              c->from_file
                  ? "  What was restored is thrown away; the saved image is as it was."
                  : "  What was transferred is thrown away; the domain goes on where it was.");
}

void audit_given(const struct audit_case *c, size_t n, bool late, struct audit *a)
{
    const struct findings all = findings_to_say(a, n);
    struct text t, summary;

    begin_verdict(c, a, &t, &summary);
    head_lines(c, late ? "no longer has its CPU on" : "would get another CPU on", &t, &summary);
    other_lines(&all,
                late ? "What it has now is not what Xen gave it in the trial:"
                     : "Xen was asked for the CPU that it was told of, and gave it:",
                &t);
    summarize_given(a, n, &summary);
    if (late)
        late_tail(c, &t);
    else
        tail_lines(c, "given-otherwise", true, &t);
}

void audit_not_given(const struct audit_case *c, const char *reason, bool late, struct audit *a)
{
    struct text t, summary;

    begin_verdict(c, a, &t, &summary);
    head_lines(c, late ? "cannot be looked at again on" : "does not get its CPU on", &t, &summary);
    text_line(&t, 4, "  %s", reason);
    text_add(&summary, ": %s", reason);
    if (late)
        late_tail(c, &t);
    else
        tail_lines(c, "not-given", false, &t);
}

void audit_strip_name(char *name)
{
    static const char suffix[] = "--incoming";
    size_t n = strlen(name), s = sizeof(suffix) - 1;

    if (n > s && !strcmp(name + n - s, suffix))
        name[n - s] = '\0';
}
