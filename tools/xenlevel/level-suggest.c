/* SPDX-License-Identifier: MIT */
/* See level-suggest.h. */
#include "level-suggest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admit.h"
#include "cmd.h"
#include "out.h"
#include "show.h"
#include "util.h"

/* ---- what they could have ---- */

static void print_named(const char *what, const struct named_level *l)
{
    if (l)
        out_text(stdout, 0, 2, "%s: %s (%u features for HVM and PVH guests, %u for PV): %s", what,
                 l->name, featureset_count(&l->features[NAMED_HVM]),
                 featureset_count(&l->features[NAMED_PV]), l->summary);
    else
        out_text(stdout, 0, 2, "%s: none", what);
}

void suggest_print_levels(const struct suggestion *s)
{
    struct featureset decided;
    char count[32];

    print_named("newest named level that all can give", s->newest);
    print_named("and of any vendor", s->any_vendor);
    named_decided(&decided);
    for (int type = NAMED_HVM; type >= NAMED_PV; type--) {
        const char *name = type == NAMED_PV ? "PV" : "HVM and PVH";
        struct featureset beyond;
        char *names, *more;

        if (!s->have[type]) {
            out_text(stdout, 0, 2, "no level for %s guests: not all hosts run them", name);
            continue;
        }
        featureset_and(&beyond, &s->features[type], &decided);
        if (s->newest)
            featureset_andnot(&beyond, &beyond, &s->newest->features[type]);
        names = pool_name_features(&beyond);
        more =
            s->newest && *names ? xasprintf("; beyond %s %s", s->newest->name, names) : xstrdup("");
        out_text(stdout, 0, 2, "%s guests: all share %s%s", name,
                 plural(count, sizeof(count), featureset_count(&s->features[type]), "feature",
                        "features"),
                 more);
        free(more);
        free(names);
    }
}

static void named_json(struct json *j, const char *key, const struct named_level *l)
{
    json_string(j, key, l ? l->name : NULL);
}

void suggest_json_levels(struct json *j, const struct suggestion *s)
{
    named_json(j, "newest", s->newest);
    named_json(j, "any_vendor", s->any_vendor);
    json_object(j, "shared");
    for (int type = NAMED_HVM; type >= NAMED_PV; type--)
        if (s->have[type])
            json_features(j, type == NAMED_PV ? "pv" : "hvm", &s->features[type]);
    json_close_object(j);
}

/* ---- what each costs ---- */

static unsigned int count_gain(const struct suggestion *s, size_t i)
{
    return featureset_count(&s->gain[NAMED_HVM][i]) + featureset_count(&s->gain[NAMED_PV][i]);
}

/* The gain of HVM guests, and of PV guests where that is another. */
static char *name_gain(const struct suggestion *s, size_t i)
{
    const struct featureset *hvm = &s->gain[NAMED_HVM][i], *pv = &s->gain[NAMED_PV][i];
    char *a = pool_name_features(hvm), *b = pool_name_features(pv), *text;

    if (featureset_empty(hvm) || featureset_empty(pv) || featureset_equal(hvm, pv))
        text = xasprintf("%s%s", featureset_empty(hvm) ? b : a,
                         featureset_equal(hvm, pv) ? ""
                         : featureset_empty(pv)    ? " (HVM and PVH guests)"
                                                   : " (PV guests)");
    else
        text = xasprintf("%s (HVM and PVH guests); %s (PV guests)", a, b);
    free(a);
    free(b);
    return text;
}

void suggest_print_gains(const struct suggest_class *classes, size_t n, const struct suggestion *s)
{
    struct table t;
    size_t without = 0;

    (void)printf("\n");
    out_text(stdout, 0, 0, "what retiring a host gains the others:");
    table_init(&t, 2, 2);
    for (size_t i = 0; i < n; i++) {
        const struct suggest_class *c = &classes[i];
        char *who, *what;

        if (!count_gain(s, i)) {
            without += c->hosts;
            continue;
        }
        who = c->hosts > 1 ? xasprintf("%s and %zu like it", c->name, c->hosts - 1)
                           : xstrdup(c->name);
        what = name_gain(s, i);
        table_row(&t, who, what);
        free(who);
        free(what);
    }
    table_print(&t, stdout);
    if (without == 1)
        out_text(stdout, 2, 4, "the other one: nothing");
    else if (without)
        out_text(stdout, 2, 4, "each of %zu hosts: nothing", without);
}

void suggest_json_gains(struct json *j, const struct suggest_class *classes, size_t n,
                        const struct suggestion *s)
{
    json_array(j, "retiring");
    for (size_t i = 0; i < n; i++) {
        json_object(j, NULL);
        json_string(j, "host", classes[i].name);
        json_number(j, "hosts", classes[i].hosts);
        json_features(j, "hvm", &s->gain[NAMED_HVM][i]);
        json_features(j, "pv", &s->gain[NAMED_PV][i]);
        json_close_object(j);
    }
    json_close_array(j);
}

/* ---- of files ---- */

/* Do two hosts offer the same?  An order, so that equals come together. */
static int compare_subjects(const struct subject *a, const struct subject *b)
{
    int order = memcmp(a->have, b->have, sizeof(a->have));

    if (!order)
        order = memcmp(&a->policy[XC_POLICY_PV_MAX], &b->policy[XC_POLICY_PV_MAX],
                       4 * sizeof(a->policy[0]));
    if (!order)
        order = memcmp(&a->unknown[XC_POLICY_PV_MAX], &b->unknown[XC_POLICY_PV_MAX],
                       4 * sizeof(a->unknown[0]));
    return order;
}

static int by_cpu(const void *a, const void *b)
{
    const struct subject *const *x = a, *const *y = b;
    int order = compare_subjects(*x, *y);

    return order ? order : (*x > *y) - (*x < *y);
}

static struct suggest_class make_class(const struct subject *s)
{
    struct suggest_class c = {.name = s->name, .hosts = 1};

    for (int type = TYPE_PV; type < TYPES; type++) {
        enum xc_policy_index deflt = subject_default(type), max = subject_max(type);

        c.deflt[type] = s->have[deflt] ? &s->policy[deflt] : NULL;
        c.unknown[type] = s->have[deflt] ? &s->unknown[deflt] : NULL;
        c.max[type] = s->have[max] ? &s->policy[max] : NULL;
    }
    return c;
}

static int by_place(const void *a, const void *b)
{
    const struct subject *const *x = a, *const *y = b;

    return (*x > *y) - (*x < *y);
}

/* Equals together, in the order in which the first of each was named. */
static struct suggest_class *classify(const struct level_pool *pool, size_t *n)
{
    const struct subject **sorted = xcalloc(pool->n, sizeof(void *));
    const struct subject **first = xcalloc(pool->n, sizeof(void *));
    struct suggest_class *classes = xcalloc(pool->n, sizeof(*classes));
    size_t *like = xcalloc(pool->n, sizeof(*like));

    for (size_t i = 0; i < pool->n; i++)
        sorted[i] = &pool->hosts[i];
    qsort(sorted, pool->n, sizeof(void *), by_cpu);
    *n = 0;
    for (size_t i = 0; i < pool->n; i++) {
        if (!i || compare_subjects(sorted[i], first[*n - 1]) != 0)
            first[(*n)++] = sorted[i];
        like[first[*n - 1] - pool->hosts]++;
    }
    qsort(first, *n, sizeof(void *), by_place);
    for (size_t i = 0; i < *n; i++) {
        classes[i] = make_class(first[i]);
        classes[i].hosts = like[first[i] - pool->hosts];
    }
    free(like);
    free(first);
    free(sorted);
    return classes;
}

static int print_suggestion(const struct level_pool *pool, const struct suggest_class *classes,
                            size_t n, const struct suggestion *s, bool json)
{
    char hosts[32], kinds[32];
    struct json *j;

    if (json) {
        j = json_begin();
        json_object(j, NULL);
        json_number(j, "hosts", pool->n);
        suggest_json_levels(j, s);
        suggest_json_gains(j, classes, n, s);
        json_close_object(j);
        return json_end(j);
    }
    out_text(stdout, 0, 0, "%s, %s", plural(hosts, sizeof(hosts), pool->n, "host", "hosts"),
             plural(kinds, sizeof(kinds), n, "kind of CPU", "kinds of CPU"));
    suggest_print_levels(s);
    if (n > 1)
        suggest_print_gains(classes, n, s);
    return STATUS_YES;
}

int level_suggest(const struct level_pool *pool, bool json)
{
    size_t n, culprit = 0;
    struct suggest_class *classes = classify(pool, &n);
    struct suggestion s = {.newest = NULL};
    struct named_list list;
    char *why = NULL;
    int status;

    if (named_list(&list, &why)) {
        status = complain("%s", why);
    } else if (suggest_level(classes, n, &list, &s, &culprit)) {
        warn("%s and %s cannot be in one pool: %s", classes[0].name, classes[culprit].name,
             errno == EXDEV ? "their CPUs differ in vendor or in the size of a CLFLUSH line"
                            : strerror(errno));
        status = STATUS_NO;
    } else {
        status = print_suggestion(pool, classes, n, &s, json);
    }
    free(why);
    suggest_free(&s);
    named_list_free(&list);
    free(classes);
    return status;
}
