/* SPDX-License-Identifier: MIT */
/* See level-plan.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "features-gen.h"
#include "level-plan.h"
#include "out.h"
#include "show.h"
#include "unsure.h"
#include "unknown.h"
#include "util.h"

/* What programs of PV guests of that level see on host i, wherever in the pool they were born: a
 * guest has the identity of its first host. */
static void enforce_level(const struct level_pool *pool, struct plan *plan, size_t i)
{
    for (size_t k = 0; k < pool->n; k++) {
        /* Its own first. */
        const struct subject *born = &pool->hosts[(i + k) % pool->n];
        struct cpu_policy guest = born->policy[subject_default(TYPE_PV)];

        (void)policy_apply_level(&guest, &plan->level, NULL); /* its host is in the level */
        if (k == 0)
            enforcement_of(&pool->hosts[i], &guest, &plan->enforced[i]);
        else
            enforcement_add_identity(&pool->hosts[i], &guest, &plan->enforced[i]);
    }
}

/* What each host has for sure, and what nobody knows of it. */
static void look_at_hosts(struct level_pool *pool, struct plan *plan)
{
    for (size_t i = 0; i < pool->n; i++) {
        enum xc_policy_index deflt = subject_default(plan->type);

        policy_to_featureset(&pool->hosts[i].policy[deflt], &plan->own[i]);
        unknown_features(&pool->hosts[i].unknown[deflt], &plan->maybe[i]);
        featureset_andnot(&plan->own[i], &plan->own[i], &plan->maybe[i]);
    }
}

/*
 * What is left out of the level because some host does not say whether it has it: every other has
 * it, or does not say either.  Of hazards that no host is known to have, too.
 */
static void find_left_out(const struct level_pool *pool, struct plan *plan)
{
    const struct featureset *hazard = featureset_merge_mask(MERGE_HAZARD);
    const struct featureset *accumulate = featureset_merge_mask(MERGE_ACCUMULATE);
    struct featureset unsaid = {{0}}, lacking = {{0}}, has = {{0}};

    for (size_t i = 0; i < pool->n; i++) {
        struct featureset lacks;

        featureset_andnot(&lacks, featureset_known(), &plan->own[i]);
        featureset_andnot(&lacks, &lacks, &plan->maybe[i]);
        featureset_or(&lacking, &lacking, &lacks);
        featureset_or(&unsaid, &unsaid, &plan->maybe[i]);
        featureset_or(&has, &has, &plan->own[i]);
    }
    featureset_andnot(&lacking, &lacking, accumulate);
    featureset_andnot(&plan->left_out, &unsaid, &plan->features);
    featureset_andnot(&plan->left_out, &plan->left_out, &lacking);
    featureset_andnot(&plan->left_out, &plan->left_out, hazard);
    show_comparable(&plan->left_out);
    featureset_and(&plan->supposed, &plan->features, hazard);
    featureset_and(&plan->supposed, &plan->supposed, &unsaid);
    featureset_andnot(&plan->supposed, &plan->supposed, &has);
}

/* What each host has, gives up, and is silent about. */
static void account_for(struct level_pool *pool, struct plan *plan)
{
    const struct featureset *accumulate = featureset_merge_mask(MERGE_ACCUMULATE);
    struct featureset level, told;

    policy_to_featureset(&plan->level, &plan->features);
    level = plan->features;
    featureset_or(&told, featureset_merge_mask(MERGE_HAZARD), accumulate);
    look_at_hosts(pool, plan);
    find_left_out(pool, plan);
    for (size_t i = 0; i < pool->n; i++) {
        struct featureset untold;

        featureset_andnot(&plan->given_up[i], &plan->own[i], &level);
        featureset_andnot(&plan->given_up[i], &plan->given_up[i], &told);
        featureset_andnot(&plan->given_up[i], &plan->given_up[i], &plan->left_out);
        show_comparable(&plan->given_up[i]);
        featureset_or(&plan->lost, &plan->lost, &plan->given_up[i]);
        featureset_and(&untold, &level, &told);
        featureset_andnot(&untold, &untold, &plan->own[i]);
        featureset_andnot(&untold, &untold, &plan->supposed);
        featureset_or(&plan->hazards, &plan->hazards, &untold);
        if (plan->type == TYPE_PV)
            enforce_level(pool, plan, i);
    }
}

/* Bring what hosts share down to what was asked for. */
static void cut_level(const struct level_pool *pool, struct plan *plan)
{
    struct featureset fallen = {.w = {0}};

    if (pool->at && pool->at->have[plan->type])
        named_cut(&plan->level, &pool->at->features[plan->type], NULL, &plan->fallen);
    if (!featureset_empty(&pool->without))
        named_drop(&plan->level, &pool->without, NULL, &fallen);
    featureset_or(&plan->fallen, &plan->fallen, &fallen);
    featureset_andnot(&plan->fallen, &plan->fallen, &pool->without);
    show_comparable(&plan->fallen);
}

/* What is not in the level because it was asked for without: no host is to blame for it. */
static void find_unwanted(const struct level_pool *pool, struct plan *plan)
{
    struct featureset above = {.w = {0}}, any = {.w = {0}}, all;

    for (size_t i = 0; i < pool->n; i++) {
        featureset_or(&any, &any, &plan->own[i]);
        featureset_or(&any, &any, &plan->maybe[i]);
    }
    featureset_andnot(&any, &any, &plan->features);
    if (pool->at && pool->at->have[plan->type]) {
        named_decided(&above);
        featureset_andnot(&above, &above, &pool->at->features[plan->type]);
    }
    featureset_and(&plan->above, &any, &above);
    featureset_and(&plan->removed, &any, &pool->without);
    featureset_andnot(&plan->above, &plan->above, &plan->removed);
    show_comparable(&plan->above);
    show_comparable(&plan->removed);
    featureset_or(&all, &plan->above, &plan->removed);
    featureset_andnot(&plan->unsaid, &plan->left_out, &all);
    featureset_andnot(&plan->lost, &plan->lost, &plan->above);
    featureset_andnot(&plan->lost, &plan->lost, &plan->removed);
    featureset_andnot(&plan->lost, &plan->lost, &plan->fallen);
}

/* The hosts as the level takes them; false when one of them cannot run such guests: *cannot. */
static bool host_offers(const struct level_pool *pool, struct plan *plan, struct policy_host *hosts,
                        size_t *cannot)
{
    for (size_t i = 0; i < pool->n; i++) {
        const struct subject *s = &pool->hosts[i];
        enum xc_policy_index deflt = subject_default(plan->type), max = subject_max(plan->type);

        if (!s->have[deflt]) {
            *cannot = i;
            return false;
        }
        plan->assumed[i] = s->policy[deflt];
        if (s->have[max])
            unsure_assume_hazards(&plan->assumed[i], &s->unknown[deflt], &s->policy[max]);
        hosts[i] = (struct policy_host){s->have[max] ? &s->policy[max] : NULL, &plan->assumed[i]};
        if (s->have[max])
            policy_to_featureset(&s->policy[max], &plan->may[i]);
        else
            plan->may[i] = *featureset_known(); /* it does not say that it cannot */
    }
    return true;
}

/* 0; -1 after a message when the hosts have no common level. */
int level_plan_make(struct level_pool *pool, enum subject_type type, bool quiet)
{
    struct plan *plan = &pool->plans[type];
    struct policy_host *hosts = xcalloc(pool->n, sizeof(*hosts));
    size_t culprit = 0;
    int rc;

    plan->type = type;
    plan->own = xcalloc(pool->n, sizeof(*plan->own));
    plan->given_up = xcalloc(pool->n, sizeof(*plan->given_up));
    plan->may = xcalloc(pool->n, sizeof(*plan->may));
    plan->maybe = xcalloc(pool->n, sizeof(*plan->maybe));
    plan->assumed = xcalloc(pool->n, sizeof(*plan->assumed));
    plan->enforced = xcalloc(pool->n, sizeof(*plan->enforced));
    if (!host_offers(pool, plan, hosts, &culprit)) {
        if (!quiet)
            out_text(stdout, 0, 2, "no level for %s guests: %s cannot run them",
                     subject_type_name(type), pool->hosts[culprit].name);
        free(hosts);
        return 0;
    }
    rc = policy_level(hosts, pool->n, &plan->level, &plan->untellable, &culprit);
    free(hosts);
    if (rc) {
        warn("%s and %s cannot be in one pool: %s", pool->hosts[0].name, pool->hosts[culprit].name,
             rc == -EXDEV ? "their CPUs differ in vendor or in the size of a CLFLUSH line"
                          : strerror(-rc));
        return -1;
    }
    plan->done = true;
    cut_level(pool, plan);
    account_for(pool, plan);
    find_unwanted(pool, plan);
    return 0;
}

/* "a, b": the hosts for which `has` is what they have of the feature. */
char *level_hosts_with(const struct level_pool *pool, const struct featureset *sets, unsigned int f,
                       bool has)
{
    char *list = xstrdup("");

    for (size_t i = 0; i < pool->n; i++)
        if (featureset_test(&sets[i], f) == has) {
            char *longer = xasprintf("%s%s%s", list, *list ? ", " : "", pool->hosts[i].name);

            free(list);
            list = longer;
        }
    return list;
}

/* The prerequisite that took f with it when every host has f itself; -1 when there is none. */
int level_fallen_with(const struct level_pool *pool, const struct plan *plan, unsigned int f)
{
    const struct featureset *needs = feature_needs(f);
    struct featureset gone;

    for (size_t i = 0; i < pool->n; i++)
        if (!featureset_test(&plan->own[i], f))
            return -1;
    if (!needs)
        return -1;
    featureset_andnot(&gone, needs, &plan->features);
    return featureset_next(&gone, 0);
}

/* What makes that there is AVX in the level, where nobody knows; NULL where that is not so. */
const char *level_assumption(const struct level_pool *pool, const struct plan *plan, size_t i)
{
    return featureset_test(&plan->features, X86_FEATURE_AVX) ? subject_assumption(&pool->hosts[i])
                                                             : NULL;
}

void level_plan_free(struct plan *plan)
{
    free(plan->own);
    free(plan->given_up);
    free(plan->may);
    free(plan->maybe);
    free(plan->assumed);
    free(plan->enforced);
}
