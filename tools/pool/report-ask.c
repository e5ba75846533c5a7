/* SPDX-License-Identifier: MIT */
/*
 * The report's question, asked once for every class of VMs and kind of host, and its answer in
 * words.
 */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "report-private.h"
#include "util.h"

#define NAMES_MOST 16 /* of features in one sentence; the data has all */

struct answer_host report_answer_host(const struct report *r, size_t kind)
{
    struct answer_host h;

    pool_answer_host(&r->in->pool->captures[r->kinds[kind].capture], r->kinds[kind].xen, &h);
    return h;
}

const struct cpu_policy *report_level_policy(const struct report *r, enum guest_type type)
{
    const struct pool *p = r->in->pool;
    const struct pool_level *level = p->level == POOL_NONE ? NULL : &p->levels[p->level];
    unsigned int i = type == GUEST_PV ? 0 : 1;

    return level && level->have[i] ? &level->policy[i] : NULL;
}

/* ---- reasons, each once ---- */

struct asking {
    struct report *r;
    void *tree;
    size_t room;
    struct cpu_answer answer, again;
};

/* A node of the tree: the text is the reason's own, which moves with no other. */
struct known {
    enum report_verdict verdict;
    char *text;
    size_t index;
};

static int order_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    return x->verdict != y->verdict ? (x->verdict < y->verdict ? -1 : 1) : strcmp(x->text, y->text);
}

/* Returns the number of that reason.  `text` becomes its own, or is freed. */
static size_t keep_reason(struct asking *q, const struct report_reason *reason)
{
    struct known key = {.verdict = reason->verdict, .text = reason->text}, *node;
    void *const *found = tfind(&key, &q->tree, order_known);

    if (found) {
        free(reason->text);
        return ((const struct known *)*found)->index;
    }
    if (q->r->n_reasons == q->room) {
        q->room = q->room ? q->room * 2 : 64;
        q->r->reasons = xrealloc(q->r->reasons, q->room * sizeof(*q->r->reasons));
    }
    node = xcalloc(1, sizeof(*node));
    *node = (struct known){reason->verdict, reason->text, q->r->n_reasons};
    if (!tsearch(node, &q->tree, order_known))
        out_of_memory();
    q->r->reasons[q->r->n_reasons] = *reason;
    return q->r->n_reasons++;
}

/* Could a VM with the pool's level be born there? */
static bool level_helps(struct asking *q, enum guest_type type, const struct answer_host *host)
{
    const struct answer_guest born = {
        .name = "level", .policy = report_level_policy(q->r, type), .type = type};

    if (!born.policy)
        return false;
    answer_ask(&born, host, &q->again);
    return answer_verdict(&q->again) == VERDICT_YES;
}

/* "avx2 is missing" as a sentence; the text is freed. */
static char *make_sentence(char *text)
{
    char *sentence = *text ? xasprintf("%c%s.", text[0], text + 1) : xstrdup("");

    if (sentence[0] >= 'a' && sentence[0] <= 'z')
        sentence[0] = (char)(sentence[0] - 'a' + 'A');
    free(text);
    return sentence;
}

static size_t ask(struct asking *q, const struct report_guest *g, size_t kind)
{
    const struct report *r = q->r;
    size_t column = r->kinds[kind].column;
    enum verdict verdict = matrix_verdict(&r->matrix, g->row, column);
    struct report_reason reason = {.verdict = REPORT_YES};

    if (verdict == VERDICT_YES)
        return 0;
    if (!matrix_ask(&r->matrix, g->row, column, &q->answer)) {
        reason.verdict = REPORT_UNKNOWN;
        reason.text = xstrdup("Nobody knows the CPU of these guests.");
        return keep_reason(q, &reason);
    }
    answer_features(&q->answer, &reason.missing, &reason.hazards);
    reason.text = make_sentence(answer_why(&q->answer, NAMES_MOST));
    reason.verdict = REPORT_UNKNOWN;
    if (verdict == VERDICT_NO) {
        const struct answer_host host = report_answer_host(r, kind);

        reason.verdict = level_helps(q, g->type, &host) ? REPORT_CYCLE : REPORT_NO;
    }
    return keep_reason(q, &reason);
}

/* Can a guest on the level be born on, and come to, that kind?  Of the types that it has. */
static enum report_verdict ask_level(struct asking *q, size_t kind)
{
    static const enum guest_type types[2] = {GUEST_PV, GUEST_HVM_HAP};
    const struct answer_host host = report_answer_host(q->r, kind);
    enum report_verdict worst = REPORT_YES;

    for (unsigned int i = 0; i < 2; i++) {
        const struct answer_guest born = {
            .name = "level", .policy = report_level_policy(q->r, types[i]), .type = types[i]};
        enum verdict verdict;

        if (!born.policy)
            continue;
        answer_ask(&born, &host, &q->answer);
        verdict = answer_verdict(&q->answer);
        if (verdict == VERDICT_NO)
            worst = REPORT_NO;
        else if (verdict == VERDICT_UNKNOWN && worst == REPORT_YES)
            worst = REPORT_UNKNOWN;
    }
    return worst;
}

void report_ask_all(struct report *r)
{
    struct asking q = {.r = r};
    struct report_reason yes = {.verdict = REPORT_YES, .text = xstrdup("")};

    answer_init(&q.answer);
    answer_init(&q.again);
    (void)keep_reason(&q, &yes);
    for (size_t g = 0; g < r->n_guests; g++)
        for (size_t k = 0; k < r->n_kinds; k++)
            r->guests[g].reason[k] = ask(&q, &r->guests[g], k);
    for (size_t k = 0; k < r->n_kinds; k++)
        r->kinds[k].level = ask_level(&q, k);
    answer_free(&q.answer);
    answer_free(&q.again);
    tdestroy(q.tree, free);
}
