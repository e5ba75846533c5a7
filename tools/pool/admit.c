/* SPDX-License-Identifier: MIT */
/* See admit.h. */
#include "admit.h"

#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "describe.h"
#include "findings.h"
#include "matrix.h"
#include "unknown.h"
#include "unsure.h"
#include "util.h"
#include "xlp.h"

#define SHOWN 3 /* features that a line names */

static enum guest_type type_of(unsigned int type)
{
    return type == POOL_PV ? GUEST_PV : GUEST_HVM_HAP;
}

static const char *name_type(unsigned int type)
{
    return type == POOL_PV ? "PV" : "HVM and PVH";
}

/* The first finding that is about no feature, and how many there are. */
static void count_others(const struct policy_report *r, size_t *count, struct policy_fault *first)
{
    for (size_t i = 0; i < r->count; i++) {
        if (i < r->max &&
            (finding_is_feature(r->faults[i].kind) || r->faults[i].kind == FAULT_XSTATE_MISSING))
            continue;
        if (!*count && i < r->max)
            *first = r->faults[i];
        (*count)++;
    }
}

static void admit_type(const struct answer_host *host, const struct pool_level *level,
                       unsigned int type, struct cpu_answer *answer, struct pool_admission_type *t)
{
    const struct answer_guest guest = {
        .name = level->name, .policy = &level->policy[type], .type = type_of(type)};

    t->asked = level->have[type];
    if (!t->asked)
        return;
    answer_ask(&guest, host, answer);
    t->offered = answer->offered;
    t->verdict = answer_verdict(answer);
    if (!t->offered)
        return;
    answer_features(answer, &t->missing, &t->hazards);
    answer_doubtful(answer, &t->doubtful);
    count_others(&answer->report, &t->other, &t->first_other);
}

/* No is stronger than "nobody can say", and that than yes. */
static enum verdict combine(enum verdict a, enum verdict b)
{
    if (a == VERDICT_NO || b == VERDICT_NO)
        return VERDICT_NO;
    return a == VERDICT_UNKNOWN || b == VERDICT_UNKNOWN ? VERDICT_UNKNOWN : VERDICT_YES;
}

void pool_admit(const struct pool_capture *capture, const struct pool_level *level,
                struct pool_admission *a)
{
    struct answer_host host;
    struct cpu_answer answer;

    memset(a, 0, sizeof(*a));
    a->verdict = VERDICT_YES;
    pool_answer_host(capture, "", &host);
    answer_init(&answer);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        admit_type(&host, level, type, &answer, &a->type[type]);
        if (a->type[type].asked)
            a->verdict = combine(a->verdict, a->type[type].verdict);
    }
    answer_free(&answer);
}

/* ---- in words ---- */

char *pool_name_features(const struct featureset *fs)
{
    unsigned int count = featureset_count(fs), shown = 0;
    char *text = xstrdup("");

    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        char word[64], *longer;

        if (shown == SHOWN && count > SHOWN + 1)
            break;
        feature_word((unsigned int)f, word, sizeof(word));
        longer = xasprintf("%s%s%s", text, !*text ? "" : shown + 1 == count ? " and " : ", ", word);
        free(text);
        text = longer;
        shown++;
    }
    if (shown < count) {
        char *longer =
            xasprintf("%s and %u %s", text, count - shown, count - shown == 1 ? "other" : "others");

        free(text);
        text = longer;
    }
    return text;
}

/* Add a part to a line, behind "; " where there is something already. */
static void add_part(char **line, char *part)
{
    char *longer = xasprintf("%s%s%s", *line, **line ? "; " : "", part);

    free(*line);
    free(part);
    *line = longer;
}

static void add_features(char **line, const char *what, const struct featureset *fs)
{
    char *names;

    if (featureset_empty(fs))
        return;
    names = pool_name_features(fs);
    add_part(line, xasprintf("%s %s", what, names));
    free(names);
}

static void add_fault(char **line, size_t count, const struct policy_fault *first)
{
    char text[XC_FAULT_TEXT];

    if (!count)
        return;
    (void)xc_fault_text(first, text, sizeof(text));
    add_part(line, count > 1 ? xasprintf("%s, and %zu more of its kind", text, count - 1)
                             : xstrdup(text));
}

static char *type_text(const struct pool_admission_type *t, const struct pool_capture *capture,
                       unsigned int type)
{
    struct answer_host host;
    char *line = xstrdup(""), *cause;

    if (!t->offered) {
        add_part(&line, xasprintf("it runs no %s guests", name_type(type)));
        return line;
    }
    if (t->verdict == VERDICT_UNKNOWN) {
        pool_answer_host(capture, "", &host);
        cause = answer_host_cause(&host, &t->doubtful);
        add_part(&line, xasprintf("nobody can say: %s of it %s not known", cause,
                                  strchr(cause, ',') ? "are" : "is"));
        free(cause);
    }
    add_features(&line, "it lacks", &t->missing);
    add_features(&line, "guests are not told of its", &t->hazards);
    add_fault(&line, t->other, &t->first_other);
    return line;
}

char *pool_admission_text(const struct pool_admission *a, const struct pool_capture *capture,
                          const struct pool_level *level)
{
    char *texts[POOL_TYPES] = {NULL, NULL}, *line;

    if (a->verdict == VERDICT_YES)
        return xasprintf("it can give %s", level->name);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        texts[type] = a->type[type].asked && a->type[type].verdict != VERDICT_YES
                          ? type_text(&a->type[type], capture, type)
                          : xstrdup("");
    line = xstrdup("");
    if (!strcmp(texts[POOL_PV], texts[POOL_HVM])) {
        add_part(&line, xasprintf("%s (%s)", texts[POOL_HVM], level->name));
    } else {
        for (unsigned int type = POOL_TYPES; type-- > POOL_PV;)
            if (*texts[type])
                add_part(&line, xasprintf("%s (%s, %s guests)", texts[type], level->name,
                                          name_type(type)));
    }
    free(texts[POOL_PV]);
    free(texts[POOL_HVM]);
    return line;
}

/* ---- how guests are born ---- */

/* What is born there, and what applying the level would make of it: born on the level is what that
 * does not change. */
static void born_type(const struct pool_capture *c, const struct pool_level *level,
                      unsigned int type, struct pool_birth_type *b)
{
    enum xc_policy_index deflt = answer_default(type_of(type));
    struct policy_fault faults[64];
    struct policy_report r = {faults, 64, 0};
    struct cpu_policy *p = xcalloc(2, sizeof(*p));
    struct featureset before, after, fs;

    p[0] = *c->policy[deflt];
    host_policy_for_domain(&p[0]);
    p[1] = p[0];
    if (policy_apply_level(&p[1], &level->policy[type], NULL)) {
        b->other = 1;
        b->first_other = (struct policy_fault){.kind = FAULT_VENDOR};
        free(p);
        return;
    }
    policy_to_featureset(&p[0], &before);
    policy_to_featureset(&p[1], &after);
    policy_to_featureset(&level->policy[type], &fs);
    featureset_andnot(&b->richer, &before, &after);
    featureset_andnot(&b->untold, &after, &before);
    featureset_andnot(&b->lacks, &fs, &after);
    if (c->unknown[deflt])
        unknown_features(c->unknown[deflt], &b->doubtful);
    show_comparable(&b->richer);
    show_comparable(&b->untold);
    show_comparable(&b->lacks);
    show_comparable(&b->doubtful);
    featureset_andnot(&b->richer, &b->richer, &b->doubtful);
    featureset_andnot(&b->lacks, &b->lacks, &b->doubtful);
    featureset_andnot(&b->untold, &b->untold, &b->doubtful);
    (void)policy_compare(&p[1], &p[0], &r);
    for (size_t i = 0; i < r.count && i < r.max; i++)
        if (faults[i].feature == POLICY_NONE && !b->other++)
            b->first_other = faults[i];
    free(p);
}

static enum verdict judge_birth(const struct pool_birth_type *b)
{
    if (!b->offered)
        return VERDICT_NO;
    if (!featureset_empty(&b->richer) || !featureset_empty(&b->lacks) ||
        !featureset_empty(&b->untold) || b->other)
        return VERDICT_NO;
    return featureset_empty(&b->doubtful) ? VERDICT_YES : VERDICT_UNKNOWN;
}

void pool_born(const struct pool_capture *capture, const struct pool_level *level,
               struct pool_birth *b)
{
    memset(b, 0, sizeof(*b));
    b->exactly = VERDICT_YES;
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        struct pool_birth_type *t = &b->type[type];

        t->asked = level->have[type];
        if (!t->asked)
            continue;
        t->offered = capture->have[answer_default(type_of(type))];
        if (t->offered)
            born_type(capture, level, type, t);
        b->exactly = combine(b->exactly, judge_birth(t));
    }
}

static char *birth_type_text(const struct pool_birth_type *b, unsigned int type)
{
    char *line = xstrdup("");

    if (!b->offered) {
        add_part(&line, xasprintf("no %s guests are born there", name_type(type)));
        return line;
    }
    add_features(&line, "richer by", &b->richer);
    add_features(&line, "lacks", &b->lacks);
    add_features(&line, "is not told of", &b->untold);
    if (featureset_empty(&b->richer) && featureset_empty(&b->lacks))
        add_fault(&line, b->other, &b->first_other);
    if (!*line)
        add_features(&line, "nobody knows of", &b->doubtful);
    return line;
}

char *pool_birth_text(const struct pool_birth *b, const struct pool_level *level)
{
    char *texts[POOL_TYPES], *line;

    if (b->exactly == VERDICT_YES)
        return xasprintf("exactly on %s", level->name);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        texts[type] = b->type[type].asked ? birth_type_text(&b->type[type], type) : xstrdup("");
    line = xstrdup("");
    if (!strcmp(texts[POOL_PV], texts[POOL_HVM]) || !*texts[POOL_PV]) {
        add_part(&line, xasprintf("%s", texts[POOL_HVM]));
    } else {
        for (unsigned int type = POOL_TYPES; type-- > POOL_PV;)
            if (*texts[type])
                add_part(&line, xasprintf("%s (%s)", texts[type], name_type(type)));
    }
    free(texts[POOL_PV]);
    free(texts[POOL_HVM]);
    return line;
}

/* ---- a lower level ---- */

/* 0; -1 with *why. */
static int lower_type(const struct pool_level *level, const struct pool_capture *c,
                      unsigned int type, struct cpu_policy *lower, char **why)
{
    enum xc_policy_index max = answer_max(type_of(type)), deflt = answer_default(type_of(type));
    struct cpu_policy *assumed = xcalloc(1, sizeof(*assumed));
    /* What the level does not say of what accumulates, some host of it could not say. */
    struct policy_host hosts[2] = {{&level->policy[type], &level->policy[type]},
                                   {c->policy[max], assumed}};
    int rc;

    *assumed = *c->policy[deflt];
    if (c->policy[max] && c->unknown[deflt])
        unsure_assume_hazards(assumed, c->unknown[deflt], c->policy[max]);
    rc = policy_level(hosts, 2, lower, NULL, NULL);
    free(assumed);
    if (!rc)
        return 0;
    *why = xasprintf("%s and it share no level for %s guests: their CPUs differ in vendor or in "
                     "the size of a CLFLUSH line",
                     level->name, name_type(type));
    return -1;
}

Xenlevel__File *pool_lower(const struct pool_level *level, const struct pool_capture *newcomer,
                           char **why)
{
    struct cpu_policy *lower = xcalloc(1, sizeof(*lower));
    Xenlevel__File *file = xlp_new();
    bool any = false;
    char date[21];
    int rc = 0;

    date_now(date);
    file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
    file->level = xcalloc(1, sizeof(*file->level));
    xenlevel__level__init(file->level);
    file->level->date = xstrdup(date);
    for (unsigned int type = POOL_PV; !rc && type < POOL_TYPES; type++) {
        if (!level->have[type] || !newcomer->have[answer_default(type_of(type))])
            continue;
        rc = lower_type(level, newcomer, type, lower, why);
        if (rc)
            break;
        any = true;
        if (type == POOL_PV)
            file->level->pv = xlp_policy_from(lower);
        else
            file->level->hvm = xlp_policy_from(lower);
    }
    free(lower);
    if (!rc && any)
        return file;
    if (!rc)
        *why =
            xasprintf("there is no type of guest that both %s is for and it can run", level->name);
    xlp_free(file);
    return NULL;
}

void pool_too_rich(const struct pool *p, const struct pool_capture *capture, enum verdict *verdicts)
{
    struct answer_host host;
    struct cpu_answer answer;

    pool_answer_host(capture, "", &host);
    answer_init(&answer);
    for (size_t i = 0; i < p->n_policies; i++) {
        const struct pool_policy *policy = &p->policies[i];
        const struct answer_guest guest = {.name = "",
                                           .policy = &policy->policy,
                                           .unknown = &policy->unknown,
                                           .type = policy->type};

        answer_ask(&guest, &host, &answer);
        verdicts[i] = answer_verdict(&answer);
    }
    answer_free(&answer);
}
