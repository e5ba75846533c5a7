/* SPDX-License-Identifier: MIT */
/* The level as JSON: see level-plan.h. */
#include "level-plan.h"
#include "show.h"

static void names_json(struct json *j, const char *key, const struct level_pool *pool,
                       const struct featureset *sets, unsigned int f, bool has)
{
    json_array(j, key);
    for (size_t i = 0; i < pool->n; i++)
        if (featureset_test(&sets[i], f) == has)
            json_string(j, NULL, pool->hosts[i].name);
    json_close_array(j);
}

/* Begin an object of the list, about one feature; what is said of it follows. */
static void begin_feature_json(struct json *j, unsigned int feature)
{
    const struct feature_info *info = feature_info(feature);
    char place[32] = "";

    (void)feature_location(feature, place, sizeof(place));
    json_object(j, NULL);
    json_string(j, "name", info ? info->name : NULL);
    json_string(j, "location", place);
}

static void costs_json(struct json *j, const struct level_pool *pool, const struct plan *plan)
{
    json_array(j, "costs");
    for (int f = featureset_next(&plan->lost, 0); f >= 0;
         f = featureset_next(&plan->lost, (unsigned int)f + 1)) {
        int root = level_fallen_with(pool, plan, (unsigned int)f);
        unsigned int blamed = root < 0 ? (unsigned int)f : (unsigned int)root;

        begin_feature_json(j, (unsigned int)f);
        names_json(j, "given_up_by", pool, plan->given_up, (unsigned int)f, true);
        names_json(j, "because_of", pool, plan->own, blamed, false);
        if (root >= 0)
            json_string(j, "fell_with", feature_info(blamed) ? feature_info(blamed)->name : NULL);
        json_close_object(j);
    }
    json_close_array(j);
}

static void losses_json(struct json *j, const struct level_pool *pool, const struct plan *plan)
{
    json_array(j, "loses");
    for (int f = featureset_next(&plan->untellable, 0); f >= 0;
         f = featureset_next(&plan->untellable, (unsigned int)f + 1)) {
        begin_feature_json(j, (unsigned int)f);
        names_json(j, "needed_on", pool, plan->own, (unsigned int)f, true);
        names_json(j, "because_of", pool, plan->may, (unsigned int)f, false);
        json_close_object(j);
    }
    json_close_array(j);
}

static void left_out_json(struct json *j, const struct level_pool *pool, const struct plan *plan)
{
    json_array(j, "left_out");
    for (int f = featureset_next(&plan->unsaid, 0); f >= 0;
         f = featureset_next(&plan->unsaid, (unsigned int)f + 1)) {
        begin_feature_json(j, (unsigned int)f);
        json_string(j, "reason", "unknown");
        names_json(j, "not_known_of", pool, plan->maybe, (unsigned int)f, true);
        json_close_object(j);
    }
    json_close_array(j);
    json_features(j, "hazards_supposed", &plan->supposed);
}

static void plan_json(struct json *j, const char *key, const struct level_pool *pool,
                      const struct plan *plan)
{
    if (!plan->done) {
        json_string(j, key, NULL);
        return;
    }
    json_object(j, key);
    json_features(j, "features", &plan->features);
    costs_json(j, pool, plan);
    json_features(j, "above", &plan->above);
    json_features(j, "removed", &plan->removed);
    json_features(j, "fallen", &plan->fallen);
    json_features(j, "hazards_told", &plan->hazards);
    losses_json(j, pool, plan);
    left_out_json(j, pool, plan);
    json_array(j, "hosts");
    for (size_t i = 0; i < pool->n; i++) {
        const char *assumed;

        json_object(j, NULL);
        json_string(j, "name", pool->hosts[i].name);
        json_features(j, "gives_up", &plan->given_up[i]);
        assumed = level_assumption(pool, plan, i);
        if (assumed)
            json_string(j, "assumed", assumed);
        if (plan->type == TYPE_PV)
            enforcement_json(j, "pv_enforcement", &plan->enforced[i]);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
}

int level_print_json(const struct level_pool *pool, const char *output)
{
    struct json *j;

    j = json_begin();
    json_object(j, NULL);
    json_string(j, "file", output);
    if (pool->at)
        json_string(j, "at", pool->at->name);
    plan_json(j, "pv", pool, &pool->plans[TYPE_PV]);
    plan_json(j, "hvm", pool, &pool->plans[TYPE_HVM]);
    json_close_object(j);
    return json_end(j);
}
