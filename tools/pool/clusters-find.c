/* SPDX-License-Identifier: MIT */
/* The search for levels; see clusters.h. */
#include "clusters-private.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define MOST_CANDIDATES 1500u   /* levels that are considered */
#define MOST_CHOICES    300000u /* of k levels, that are all tried */
#define MOST_EXCHANGES  50u

/* What the search knows of a class: features that are compared and no hazards. */
struct traits {
    struct featureset deflt;
    unsigned int n;  /* of them */
    uint32_t family; /* equal: vendor and CLFLUSH are, so they can share a level */
};

struct search {
    const struct cluster_class *classes;
    size_t n;
    enum cluster_goal goal;
    struct traits *traits;
    struct featureset *candidates;
    uint32_t *families; /* of the candidates */
    size_t n_candidates;
    bool complete; /* all that sets of hosts share is among them */
    double *value; /* [candidate * n + class]: what its hosts are worth there; 0: not for them */
    double *own;   /* of each class without a level */
};

static void find_traits(struct search *s)
{
    s->traits = xcalloc(s->n + 1, sizeof(*s->traits));
    for (size_t i = 0; i < s->n; i++) {
        struct traits *t = &s->traits[i];

        cluster_features(s->classes[i].deflt, &t->deflt);
        t->n = featureset_count(&t->deflt);
        t->family = cluster_family(s->classes[i].deflt);
    }
}

/* ---- candidates ---- */

static bool add_candidate(struct search *s, const struct featureset *fs, uint32_t family)
{
    for (size_t i = 0; i < s->n_candidates; i++)
        if (s->families[i] == family && featureset_equal(&s->candidates[i], fs))
            return true;
    if (s->n_candidates == MOST_CANDIDATES)
        return false;
    s->candidates[s->n_candidates] = *fs;
    s->families[s->n_candidates++] = family;
    return true;
}

/* What all classes of a group share, for each group. */
static void add_groups(struct search *s, const size_t *group, size_t n_groups)
{
    for (size_t g = 0; g < n_groups; g++) {
        struct featureset fs;
        uint32_t family = 0;
        bool any = false;

        for (size_t i = 0; i < s->n; i++) {
            if (group[i] != g)
                continue;
            if (!any)
                fs = s->traits[i].deflt;
            else
                featureset_and(&fs, &fs, &s->traits[i].deflt);
            family = s->traits[i].family;
            any = true;
        }
        if (any)
            (void)add_candidate(s, &fs, family);
    }
}

/* The classes' own, what vendors and models share, and then what any two candidates share, until
 * there is nothing new or there are enough. */
static void find_candidates(struct search *s)
{
    size_t *group = xcalloc(s->n + 1, sizeof(*group));

    s->candidates = xcalloc(MOST_CANDIDATES, sizeof(*s->candidates));
    s->families = xcalloc(MOST_CANDIDATES, sizeof(*s->families));
    s->complete = true;
    add_groups(s, group, clusters_by_vendor(s->classes, s->n, group));
    add_groups(s, group, clusters_by_model(s->classes, s->n, group));
    for (size_t i = 0; i < s->n; i++)
        s->complete &= add_candidate(s, &s->traits[i].deflt, s->traits[i].family);
    for (size_t i = 1; i < s->n_candidates && s->complete; i++)
        for (size_t j = 0; j < i && s->complete; j++) {
            struct featureset both;

            if (s->families[i] != s->families[j])
                continue;
            featureset_and(&both, &s->candidates[i], &s->candidates[j]);
            s->complete = add_candidate(s, &both, s->families[i]);
        }
    free(group);
}

/* What a candidate is worth to each class; `shares` has room for n. */
static void find_value(const struct search *s, size_t candidate, bool *shares)
{
    const struct featureset *fs = &s->candidates[candidate];
    struct cluster_level level;

    for (size_t i = 0; i < s->n; i++)
        shares[i] = s->traits[i].family == s->families[candidate] && s->traits[i].n &&
                    featureset_subset(fs, &s->traits[i].deflt);
    if (!cluster_make_level(s->classes, s->n, shares, &level))
        return;
    for (size_t i = 0; i < s->n; i++) {
        double kept = s->goal == CLUSTER_MOBILITY ? 1 : (double)level.features / s->traits[i].n;

        if (shares[i])
            s->value[candidate * s->n + i] =
                (double)s->classes[i].hosts * (double)level.reach * kept;
    }
}

static void find_values(struct search *s)
{
    bool *shares = xcalloc(s->n + 1, sizeof(*shares));

    s->value = xcalloc(s->n_candidates * s->n + 1, sizeof(*s->value));
    s->own = xcalloc(s->n + 1, sizeof(*s->own));
    for (size_t i = 0; i < s->n; i++)
        s->own[i] = (double)s->classes[i].hosts * (double)cluster_own_reach(s->classes, s->n, i);
    for (size_t k = 0; k < s->n_candidates; k++)
        find_value(s, k, shares);
    free(shares);
}

/* ---- the choice ---- */

struct choice {
    size_t *chosen, n;
    double value;
};

/* What each class is worth with the chosen ones but `without` (a place in chosen[], or its end). */
static void value_classes(const struct search *s, const struct choice *c, size_t without,
                          double *worth)
{
    memcpy(worth, s->own, s->n * sizeof(*worth));
    for (size_t k = 0; k < c->n; k++)
        for (size_t i = 0; k != without && i < s->n; i++)
            if (s->value[c->chosen[k] * s->n + i] > worth[i])
                worth[i] = s->value[c->chosen[k] * s->n + i];
}

static double add_up(const double *worth, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += worth[i];
    return sum;
}

/* Find the candidate that adds most to what the classes are worth; *gain 0: none adds anything. */
static size_t find_most_useful(const struct search *s, const double *worth, double *gain)
{
    size_t best = 0;

    *gain = 0;
    for (size_t k = 0; k < s->n_candidates; k++) {
        const double *value = &s->value[k * s->n];
        double adds = 0;

        for (size_t i = 0; i < s->n; i++)
            adds += value[i] > worth[i] ? value[i] - worth[i] : 0;
        if (adds > *gain) {
            *gain = adds;
            best = k;
        }
    }
    return best;
}

static void choose_greedily(const struct search *s, size_t k, struct choice *c, double *worth)
{
    double gain;

    while (c->n < k) {
        size_t best;

        value_classes(s, c, c->n, worth);
        best = find_most_useful(s, worth, &gain);
        if (gain <= 0)
            break;
        c->chosen[c->n++] = best;
    }
    value_classes(s, c, c->n, worth);
    c->value = add_up(worth, s->n);
}

/* Exchange single ones as long as that helps. */
static void exchange(const struct search *s, struct choice *c, double *worth)
{
    bool better = true;

    for (unsigned int turn = 0; better && turn < MOST_EXCHANGES; turn++) {
        better = false;
        for (size_t k = 0; k < c->n; k++) {
            double gain, value;
            size_t best;

            value_classes(s, c, k, worth);
            best = find_most_useful(s, worth, &gain);
            value = add_up(worth, s->n) + gain;
            /* Sums in another order differ in their last digits. */
            if (best == c->chosen[k] || value <= c->value * (1 + 1e-12))
                continue;
            c->chosen[k] = best;
            c->value = value;
            better = true;
        }
    }
}

/* Try all choices of k candidates from `first` on.  worth[depth * n]: what classes are worth with
 * those chosen so far. */
static void try_all(const struct search *s, size_t first, size_t depth, size_t k, size_t *chosen,
                    double *worth, struct choice *best)
{
    const double *before = &worth[depth * s->n];
    double sum = add_up(before, s->n);

    if (sum > best->value * (1 + 1e-12)) {
        best->value = sum;
        best->n = depth;
        memcpy(best->chosen, chosen, depth * sizeof(*chosen));
    }
    for (size_t j = first; depth < k && j < s->n_candidates; j++) {
        double *after = &worth[(depth + 1) * s->n];

        for (size_t i = 0; i < s->n; i++) {
            double value = s->value[j * s->n + i];

            after[i] = value > before[i] ? value : before[i];
        }
        chosen[depth] = j;
        try_all(s, j + 1, depth + 1, k, chosen, worth, best);
    }
}

static bool is_small(size_t candidates, size_t k)
{
    double choices = 1;

    for (size_t i = 0; i < k && i < candidates; i++)
        choices = choices * (double)(candidates - i) / (double)(i + 1);
    return choices <= MOST_CHOICES;
}

static void choose(const struct search *s, size_t k, struct choice *c, bool *exact)
{
    double *worth = xcalloc((k + 1) * s->n + 1, sizeof(*worth));

    *exact = s->complete && is_small(s->n_candidates, k);
    if (*exact) {
        size_t *chosen = xcalloc(k + 1, sizeof(*chosen));

        memcpy(worth, s->own, s->n * sizeof(*worth));
        try_all(s, 0, 0, k, chosen, worth, c);
        free(chosen);
    } else {
        choose_greedily(s, k, c, worth);
        exchange(s, c, worth);
    }
    free(worth);
}

/* Which level is each class given, and who shares it: all that can be given it, so that it is what
 * the search has reckoned with. */
static void assign_levels(const struct search *s, const struct choice *c, size_t *group,
                          bool *shares)
{
    for (size_t i = 0; i < s->n; i++) {
        double worth = s->own[i];

        group[i] = CLUSTER_NONE;
        for (size_t j = 0; j < c->n; j++) {
            double value = s->value[c->chosen[j] * s->n + i];

            shares[j * s->n + i] = value > 0;
            if (value > worth) {
                worth = value;
                group[i] = j;
            }
        }
    }
}

void clusters_find(const struct cluster_class *classes, size_t n, size_t k, enum cluster_goal goal,
                   struct clusters *c)
{
    struct search s = {.classes = classes, .n = n, .goal = goal};
    struct choice choice = {.chosen = xcalloc(k + 1, sizeof(size_t))};
    size_t *group = xcalloc(n + 1, sizeof(*group));
    bool *shares = xcalloc(k * n + 1, sizeof(*shares));
    bool exact;

    find_traits(&s);
    find_candidates(&s);
    find_values(&s);
    choose(&s, k, &choice, &exact);
    assign_levels(&s, &choice, group, shares);
    cluster_judge(classes, n, group, shares, choice.n, c);
    c->exact = exact;
    free(s.traits);
    free(s.candidates);
    free(s.families);
    free(s.value);
    free(s.own);
    free(choice.chosen);
    free(group);
    free(shares);
}
