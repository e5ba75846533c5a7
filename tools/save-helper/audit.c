/* SPDX-License-Identifier: MIT */
/* The audit: may a domain with this policy come to this host?  See audit.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"
#include "text.h"
#include "xc.h"
#include "xc_audit.h"
#include "xc_text.h"

#include <cpuid-policy/vocabulary.h>

#define BIT(kind) (1u << (kind))

_Static_assert(FAULT_MSR < 32, "fault kinds must fit into audit_allow.kinds");

/*
 * Names for what is not a feature.  A policy of another vendor, a vendor nobody knows and entries
 * that cannot be read are not in this list: nobody can give them up.
 */
static const struct {
    const char *name;
    uint32_t kinds;
} kind_names[] = {
    {"maxphysaddr", BIT(FAULT_MAXPHYSADDR)},
    {"linearaddr", BIT(FAULT_LINEARADDR)},
    {"clflush", BIT(FAULT_CLFLUSH)},
    {"max-leaf", BIT(FAULT_MAX_LEAF) | BIT(FAULT_BEYOND_MAX)},
    {"xstate", BIT(FAULT_XSTATE_FEATURE) | BIT(FAULT_XSTATE_LAYOUT) | BIT(FAULT_XSTATE_TOTAL) |
                   BIT(FAULT_XSTATE_MISSING) | BIT(FAULT_XSTATE_SIZE) | BIT(FAULT_XSTATE_OFFSET) |
                   BIT(FAULT_XSTATE_FLAGS)},
    {"leaf", BIT(FAULT_LEAF)},
    {"msr", BIT(FAULT_MSR) | BIT(FAULT_MSR_RESERVED)},
};

#define NR_KIND_NAMES (sizeof(kind_names) / sizeof(kind_names[0]))

/* ---- what is given up ---- */

static bool same_name(const char *name, const char *s, size_t len)
{
    return strlen(name) == len && !strncasecmp(name, s, len);
}

static bool allow_field(const char *s, size_t len, struct audit_allow *allow)
{
    const struct featureset_field_info *f;

    for (unsigned int i = 0; i < 32 && (f = featureset_field_info(i)); i++) {
        if (same_name(f->name, s, len)) {
            allow->fields |= 1u << i;
            return true;
        }
    }
    return false;
}

static bool allow_one(const char *s, size_t len, struct audit_allow *allow)
{
    int feature;

    if (same_name("unverified", s, len)) {
        allow->unverified = true;
        return true;
    }
    for (size_t i = 0; i < NR_KIND_NAMES; i++) {
        if (same_name(kind_names[i].name, s, len)) {
            allow->kinds |= kind_names[i].kinds;
            return true;
        }
    }
    feature = feature_by_name(s, len);
    if (feature >= 0) {
        featureset_set(&allow->features, (unsigned int)feature);
        return true;
    }
    return allow_field(s, len, allow);
}

int audit_allow_parse(const char *list, struct audit_allow *allow, char *why, size_t size)
{
    const char *separators = ", \t\n";

    memset(allow, 0, sizeof(*allow));
    for (const char *s = list ? list : ""; *s;) {
        size_t len = strcspn(s, separators);

        if (len && !allow_one(s, len, allow)) {
            (void)snprintf(why, size,
                           "XENLEVEL_ALLOW: '%.*s' is neither a feature nor one of maxphysaddr, "
                           "linearaddr, clflush, max-leaf, leaf, xstate, msr, unverified",
                           len > 64 ? 64 : (int)len, s);
            return -1;
        }
        s += len;
        s += strspn(s, separators);
    }
    return 0;
}

/*
 * The feature that a component of the XSAVE area is there for, or -1.  Whoever gives up the feature
 * gives up its registers, and where it is missing they are not news.
 */
static int component_owner(uint32_t component)
{
    uint32_t feature = xstate_feature(component);

    return feature == POLICY_NONE ? -1 : (int)feature;
}

bool audit_component_allowed(uint32_t component, const struct audit_allow *allow)
{
    int feature = component_owner(component);

    return feature >= 0 && featureset_test(&allow->features, (unsigned int)feature);
}

static bool is_allowed(const struct policy_fault *f, const struct audit_allow *allow)
{
    switch (f->kind) {
    case FAULT_XSTATE_MISSING:
        return (allow->kinds & BIT(f->kind)) || audit_component_allowed(f->subleaf, allow);
    case FAULT_FEATURE_MISSING:
    case FAULT_HAZARD_UNTOLD:
    case FAULT_PREREQUISITE:
        return featureset_test(&allow->features, f->feature);
    case FAULT_FIELD:
        return f->feature < 32 && (allow->fields & (1u << f->feature));
    default:
        return allow->kinds & BIT(f->kind);
    }
}

/* The feature's name; "e8b:10" for a bit that has none: feature_by_name() takes both. */
static void feature_word(unsigned int feature, char *buf, size_t size)
{
    const struct feature_info *info = feature_info(feature);
    const struct featureset_word_info *word = featureset_word_info(feature / 32);

    if (info)
        (void)snprintf(buf, size, "%s", info->name);
    else
        (void)snprintf(buf, size, "%s:%u", word ? word->name : "?", feature % 32);
}

/* "avx2"; "7.0.edx" for a register that is no set of features. */
static void given_word(const struct policy_fault *f, char *buf, size_t size)
{
    static const char *const regs[] = {"eax", "ebx", "ecx", "edx"};

    if (f->feature != POLICY_NONE)
        feature_word(f->feature, buf, size);
    else if (f->msr != POLICY_NONE)
        (void)snprintf(buf, size, "MSR-%x", f->msr);
    else if (f->subleaf != POLICY_NONE)
        (void)snprintf(buf, size, "%x.%x.%s", f->leaf, f->subleaf, regs[f->reg & 3]);
    else
        (void)snprintf(buf, size, "%x.%s", f->leaf, regs[f->reg & 3]);
}

/* The word of XENLEVEL_ALLOW that gives this up, for the one-line summary; "" when none does. */
static void fault_word(const struct policy_fault *f, char *buf, size_t size)
{
    const struct featureset_field_info *field;

    buf[0] = '\0';
    switch (f->kind) {
    case FAULT_FEATURE_MISSING:
    case FAULT_HAZARD_UNTOLD:
    case FAULT_PREREQUISITE:
        feature_word(f->feature, buf, size);
        return;
    case FAULT_FIELD:
        field = featureset_field_info(f->feature);
        (void)snprintf(buf, size, "%s", field ? field->name : "field");
        return;
    case FAULT_GIVEN_OTHERWISE:
        given_word(f, buf, size);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < NR_KIND_NAMES; i++)
        if (kind_names[i].kinds & BIT(f->kind))
            (void)snprintf(buf, size, "%s", kind_names[i].name);
    if (!buf[0])
        (void)snprintf(buf, size, "%s", policy_fault_name(f->kind));
}

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

static void tail_lines(const struct audit_case *c, bool which, struct text *t)
{
    if (c->from_file)
        text_line(t, 4, "  Nothing was restored; the saved image is as it was.");
    else
        text_line(t, 4, "  Nothing was transferred; the domain keeps running where it was.");
    if (which) {
        char word[1024];
        size_t n = xc_text_shell(c->domain, word, sizeof(word));
        const char *end = c->domain[0] == '-' ? "-- " : "";

        if (!strcmp(word, c->domain))
            text_line(t, 4, "  Which hosts can take it:  xenlevel check %s%s *.xlp", end, word);
        else if (n < sizeof(word)) /* on one line and whole, or not at all: it is to be copied */
            text_add(t, "  Which hosts can take it:  xenlevel check %s%s *.xlp\n", end, word);
    }
}

/* Is it said already by the feature that is missing too? */
static bool is_implied(const struct audit *a, size_t n, const struct policy_fault *f)
{
    int feature = f->kind == FAULT_XSTATE_MISSING ? component_owner(f->subleaf) : -1;

    for (size_t i = 0; feature >= 0 && i < n; i++)
        if (a->faults[i].kind == FAULT_FEATURE_MISSING &&
            a->faults[i].feature == (unsigned int)feature)
            return true;
    return false;
}

static bool is_feature_kind(enum policy_fault_kind kind)
{
    return kind == FAULT_FEATURE_MISSING || kind == FAULT_HAZARD_UNTOLD;
}

struct columns {
    unsigned int name, place;
};

struct feature_row {
    char name[64], place[32];
};

static struct feature_row name_feature(unsigned int feature)
{
    struct feature_row row = {"", ""};

    feature_word(feature, row.name, sizeof(row.name));
    (void)feature_location(feature, row.place, sizeof(row.place));
    return row;
}

/* How wide the columns of a table of features must be. */
static struct columns measure(const struct audit *a, size_t n)
{
    struct columns w = {0, 0};

    for (size_t i = 0; i < n; i++) {
        struct feature_row row;

        if (a->waived[i] || !is_feature_kind(a->faults[i].kind))
            continue;
        row = name_feature(a->faults[i].feature);
        if (strlen(row.name) > w.name)
            w.name = (unsigned int)strlen(row.name);
        if (strlen(row.place) > w.place)
            w.place = (unsigned int)strlen(row.place);
    }
    return w;
}

static void feature_line(const struct policy_fault *f, struct columns w, struct text *t)
{
    const struct feature_info *info = feature_info(f->feature);
    struct feature_row row = name_feature(f->feature);

    text_line(t, 4 + w.name + 2 + w.place + 2, "    %-*s  %-*s  %s", (int)w.name, row.name,
              (int)w.place, row.place, info ? info->description : "");
}

static size_t count_kind(const struct audit *a, size_t n, enum policy_fault_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += a->faults[i].kind == kind && !a->waived[i];
    return count;
}

/* A table of the features of one kind, with its heading. */
static void feature_table(const struct audit *a, size_t n, enum policy_fault_kind kind,
                          const char *one, const char *many, struct text *t)
{
    size_t count = count_kind(a, n, kind);
    struct columns w = measure(a, n);

    if (!count)
        return;
    if (count == 1)
        text_line(t, 4, "  %s", one);
    else
        text_line(t, 4, "  %zu %s", count, many);
    for (size_t i = 0; i < n; i++)
        if (a->faults[i].kind == kind && !a->waived[i])
            feature_line(&a->faults[i], w, t);
}

/* Faults [from, to) that are not features, each in a line of words, with a heading. */
static void other_lines(const struct audit *a, size_t from, size_t to, const char *heading,
                        struct text *t)
{
    bool first = true;

    for (size_t i = from; i < to; i++) {
        char line[XC_FAULT_TEXT];

        if (a->waived[i] || is_feature_kind(a->faults[i].kind) || is_implied(a, to, &a->faults[i]))
            continue;
        if (first)
            text_line(t, 4, "  %s", heading);
        first = false;
        (void)xc_fault_text(&a->faults[i], line, sizeof(line));
        text_line(t, 6, "    %s", line);
    }
}

/* Is the fault one of the summary's: of this group (a kind; -1: every other), and not given up? */
static bool in_group(const struct audit *a, size_t n, size_t i, int kind)
{
    const struct policy_fault *f = &a->faults[i];
    bool mine = kind < 0 ? !is_feature_kind(f->kind) : (int)f->kind == kind;

    return mine && !a->waived[i] && !is_implied(a, n, f);
}

/* Has an earlier fault of the group been given the same word? */
static bool said_before(const struct audit *a, size_t n, size_t i, int kind, const char *word)
{
    for (size_t j = 0; j < i; j++) {
        char other[64];

        if (!in_group(a, n, j, kind))
            continue;
        fault_word(&a->faults[j], other, sizeof(other));
        if (!strcmp(word, other))
            return true;
    }
    return false;
}

/* ": missing avx2 bmi1; untold rsba; maxphysaddr".  Fields of leaves, components: once is enough.
 */
static void summarize(const struct audit *a, size_t n, struct text *summary)
{
    static const struct {
        int kind; /* -1: every other */
        const char *label;
    } groups[] = {
        {FAULT_FEATURE_MISSING, "missing"}, {FAULT_HAZARD_UNTOLD, "untold"}, {-1, "differs"}};
    const char *before = ": ";

    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        bool first = true;

        for (size_t i = 0; i < n; i++) {
            char word[64];

            if (!in_group(a, n, i, groups[g].kind))
                continue;
            fault_word(&a->faults[i], word, sizeof(word));
            if (!first && said_before(a, n, i, groups[g].kind, word))
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

static void begin(const struct audit_case *c, struct audit *a, struct text *t, struct text *summary)
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

    begin(c, a, &t, &summary);
    head_lines(c,
               fault->truncated ? "came incomplete to" : "came in a stream that cannot be read to",
               &t, &summary);
    text_line(&t, 4, "  %s", fault->text);
    text_add(&summary, ": %s", fault->text);
    tail_lines(c, false, &t);
}

void audit_broken(const struct audit_case *c, const char *reason, struct audit *a)
{
    struct text t, summary;

    begin(c, a, &t, &summary);
    head_lines(c, "cannot be checked against", &t, &summary);
    text_line(&t, 4, "  %s", reason);
    text_add(&summary, ": %s", reason);
    tail_lines(c, false, &t);
}

/* A stream that says nothing about the CPU. */
static void no_policy(const struct audit_case *c, struct audit *a, struct text *t,
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
    tail_lines(c, false, t);
    text_line(t, 4, "  To take it all the same:  XENLEVEL_ALLOW=unverified");
}

/* The entries of the policy records cannot be read. */
static void malformed(const struct audit_case *c, const struct policy_report *r, struct audit *a,
                      struct text *t, struct text *summary)
{
    size_t n = r->count < r->max ? r->count : r->max;

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
    tail_lines(c, false, t);
}

/* Mark what is given up, and say so line by line.  Returns how many faults remain. */
static size_t waive(const struct audit_case *c, struct audit *a, size_t n)
{
    size_t remain = 0;
    struct text t;

    text_init(&t, a->allowed, sizeof(a->allowed), 0);
    for (size_t i = 0; i < n; i++) {
        char word[64], line[XC_FAULT_TEXT];

        a->waived[i] = is_allowed(&a->faults[i], c->allow);
        if (!a->waived[i]) {
            remain++;
            continue;
        }
        a->given_up++;
        a->clamped |= a->faults[i].kind != FAULT_HAZARD_UNTOLD;
        fault_word(&a->faults[i], word, sizeof(word));
        (void)xc_fault_text(&a->faults[i], line, sizeof(line));
        text_line(&t, 0, "%s: given up by XENLEVEL_ALLOW: %s", word, line);
    }
    return remain;
}

static void refuse(const struct audit_case *c, struct audit *a, size_t verified, size_t n,
                   struct text *t, struct text *summary)
{
    bool vendor = count_kind(a, n, FAULT_VENDOR) != 0;

    head_lines(c, "cannot run on", t, summary);
    other_lines(a, 0, verified, "What it was told is not a CPU that can exist:", t);
    feature_table(a, n, FAULT_FEATURE_MISSING, "1 feature that it was told it has is missing here:",
                  "features that it was told it has are missing here:", t);
    feature_table(a, n, FAULT_HAZARD_UNTOLD, "1 hazard of this host that it has not been told of:",
                  "hazards of this host that it has not been told of:", t);
    if (vendor) {
        char g[13], h[13];

        policy_vendor(&a->policy, g);
        policy_vendor(c->max, h);
        text_line(t, 4, "  Its CPU is a %s, this host's a %s: no setting can bridge that.", g, h);
        text_add(summary, ": its CPU is a %s, this host's a %s", g, h);
    } else {
        other_lines(a, verified, n, "What else differs:", t);
        summarize(a, n, summary);
    }
    if (a->given_up)
        text_line(t, 4, "  %u more would have been given up by XENLEVEL_ALLOW.", a->given_up);
    tail_lines(c, true, t);
}

void audit_run(const struct audit_case *c, struct audit *a)
{
    struct policy_report r = {a->faults, AUDIT_FAULTS, 0};
    const struct policy_host host = {c->max, c->deflt};
    struct text t, summary;
    size_t verified, n;

    begin(c, a, &t, &summary);
    memset(a->waived, 0, sizeof(a->waived));
    if (!c->head->has_cpuid) {
        no_policy(c, a, &t, &summary);
        return;
    }
    if (xc_sr_head_policy(c->head, &a->policy, &r)) {
        malformed(c, &r, a, &t, &summary);
        return;
    }

    r.count = 0;
    /* That it is whole xc_sr_head_policy() has seen. */
    (void)xc_audit_policy(NULL, &a->policy, &host, &r, &verified);
    if (verified > r.max)
        verified = r.max;
    n = r.count < r.max ? r.count : r.max;

    /* More findings than there is room for: those beyond it cannot be given up. */
    if (waive(c, a, n) || r.count > n)
        refuse(c, a, verified, n, &t, &summary);
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
            fault_word(f, word, sizeof(word));
            if (first)
                text_add(summary, "%s%s", before, labels[g]);
            text_add(summary, " %s", word);
            before = "; ";
            first = false;
        }
    }
}

/* Does a line of a->allowed begin with this word? */
static bool is_listed(const struct audit *a, const char *word)
{
    size_t n = strlen(word);

    for (const char *s = a->allowed; *s; s += strcspn(s, "\n"), s += *s == '\n')
        if (!strncmp(s, word, n) && s[n] == ':')
            return true;
    return false;
}

void audit_given_up(size_t n, struct audit *a)
{
    bool numbers_said = a->clamped;
    struct text t = {
        .buf = a->allowed, .size = sizeof(a->allowed), .len = strlen(a->allowed), .width = 0};

    for (size_t i = 0; i < n; i++) {
        const struct policy_fault *f = &a->faults[i];
        char word[64], line[XC_FAULT_TEXT];

        if (!a->waived[i])
            continue;
        fault_word(f, word, sizeof(word));
        if (f->feature == POLICY_NONE ? numbers_said : is_listed(a, word))
            continue;
        a->given_up++;
        a->clamped = true;
        (void)xc_fault_text(f, line, sizeof(line));
        text_line(&t, 0, "%s: given up by XENLEVEL_ALLOW: Xen gave it %s", word, line);
    }
}

/* Where the domain is now, after what was seen too late for it not to be taken. */
static void late_tail(const struct audit_case *c, struct text *t)
{
    text_line(t, 4,
              c->from_file
                  ? "  What was restored is thrown away; the saved image is as it was."
                  : "  What was transferred is thrown away; the domain goes on where it was.");
}

void audit_given(const struct audit_case *c, size_t n, bool late, struct audit *a)
{
    struct text t, summary;

    begin(c, a, &t, &summary);
    head_lines(c, late ? "no longer has its CPU on" : "would get another CPU on", &t, &summary);
    other_lines(a, 0, n,
                late ? "What it has now is not what Xen gave it in the trial:"
                     : "Xen was asked for the CPU that it was told of, and gave it:",
                &t);
    summarize_given(a, n, &summary);
    if (late)
        late_tail(c, &t);
    else
        tail_lines(c, true, &t);
}

void audit_not_given(const struct audit_case *c, const char *reason, bool late, struct audit *a)
{
    struct text t, summary;

    begin(c, a, &t, &summary);
    head_lines(c, late ? "cannot be looked at again on" : "does not get its CPU on", &t, &summary);
    text_line(&t, 4, "  %s", reason);
    text_add(&summary, ": %s", reason);
    if (late)
        late_tail(c, &t);
    else
        tail_lines(c, false, &t);
}

void audit_strip_name(char *name)
{
    static const char suffix[] = "--incoming";
    size_t n = strlen(name), s = sizeof(suffix) - 1;

    if (n > s && !strcmp(name + n - s, suffix))
        name[n - s] = '\0';
}
