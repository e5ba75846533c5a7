/* SPDX-License-Identifier: MIT */
/* The level for people: see level-plan.h. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "level-plan.h"
#include "out.h"
#include "show.h"
#include "util.h"

/* Why f is not in the level, for people. */
static char *find_cause(const struct level_pool *pool, const struct plan *plan, unsigned int f)
{
    char *list = level_hosts_with(pool, plan->own, f, false), *text;
    int root;

    if (*list)
        return list;
    free(list);
    root = level_fallen_with(pool, plan, f);
    if (root < 0)
        return xstrdup("(the highest leaf of the level)");
    list = level_hosts_with(pool, plan->own, (unsigned int)root, false);
    text =
        xasprintf("%s (needs %s)", list,
                  feature_info((unsigned int)root) ? feature_info((unsigned int)root)->name : "?");
    free(list);
    return text;
}

/* The features of one cause, under one heading. */
static void print_group(const struct level_pool *pool, const struct plan *plan, unsigned int first,
                        struct featureset *printed)
{
    char *by = level_hosts_with(pool, plan->given_up, first, true);
    char *because = find_cause(pool, plan, first);
    struct featureset group = {{0}};
    char count[32];

    for (int f = (int)first; f >= 0; f = featureset_next(&plan->lost, (unsigned int)f + 1)) {
        char *by_too = level_hosts_with(pool, plan->given_up, (unsigned int)f, true);
        char *because_too = find_cause(pool, plan, (unsigned int)f);

        if (!strcmp(by, by_too) && !strcmp(because, because_too))
            featureset_set(&group, (unsigned int)f);
        free(by_too);
        free(because_too);
    }
    out_text(stdout, 2, 4, "%s: given up by %s, because of %s",
             plural(count, sizeof(count), featureset_count(&group), "feature", "features"), by,
             because);
    show_features(stdout, 4, &group);
    featureset_or(printed, printed, &group);
    free(by);
    free(because);
}

static void print_costs(const struct level_pool *pool, const struct plan *plan)
{
    struct featureset printed = {{0}};

    for (int f = featureset_next(&plan->lost, 0); f >= 0;
         f = featureset_next(&plan->lost, (unsigned int)f + 1))
        if (!featureset_test(&printed, (unsigned int)f))
            print_group(pool, plan, (unsigned int)f, &printed);
}

/* One line for each: what it is, who has it, who stands against it, and what that means. */
static void print_losses(const struct level_pool *pool, const struct plan *plan)
{
    for (int f = featureset_next(&plan->untellable, 0); f >= 0;
         f = featureset_next(&plan->untellable, (unsigned int)f + 1)) {
        const struct feature_info *info = feature_info((unsigned int)f);
        bool protects = info && info->protects; /* guests have to use it themselves */
        char *has = level_hosts_with(pool, plan->own, (unsigned int)f, true);
        char *cannot = level_hosts_with(pool, plan->may, (unsigned int)f, false);
        char *why = *cannot ? xasprintf("%s cannot give it to guests", cannot)
                            : xstrdup("the level does not reach its leaf or what it stands on");

        out_text(stdout, 2, 4, "loses %s (%s), which %s %s: %s, so a guest on %s %s",
                 info ? info->name : "?", info ? info->description : "?", has,
                 protects ? "needs" : "has", why, has,
                 protects ? "may leave out a protection that it needs there" : "is not told of it");
        free(why);
        free(has);
        free(cannot);
    }
}

/* "a (MSR 10A is not in the dump)": the hosts that do not say, and what they do not say. */
static char *find_silent(const struct level_pool *pool, const struct plan *plan,
                         const struct featureset *about)
{
    char *list = xstrdup("");

    for (size_t i = 0; i < pool->n; i++) {
        struct featureset fs;
        char *what, *longer;

        featureset_and(&fs, &plan->maybe[i], about);
        if (featureset_empty(&fs))
            continue;
        what = subject_unknown_cause(&pool->hosts[i], &fs);
        longer =
            xasprintf("%s%s%s (%s %s not in the %s)", list, *list ? ", " : "", pool->hosts[i].name,
                      what, strchr(what, ',') ? "are" : "is", subject_source_name(&pool->hosts[i]));
        free(what);
        free(list);
        list = longer;
    }
    return list;
}

/* What is not in the level, or is in it to be safe, because nobody knows. */
static void print_unknown(const struct level_pool *pool, const struct plan *plan)
{
    char count[32], *who;

    if (!featureset_empty(&plan->unsaid)) {
        who = find_silent(pool, plan, &plan->unsaid);
        out_text(
            stdout, 2, 4, "%s: left out, because it is not known of %s",
            plural(count, sizeof(count), featureset_count(&plan->unsaid), "feature", "features"),
            who);
        show_features(stdout, 4, &plan->unsaid);
        free(who);
    }
    if (!featureset_empty(&plan->supposed)) {
        who = find_silent(pool, plan, &plan->supposed);
        out_text(
            stdout, 2, 4,
            "guests are told of these hazards to be safe, because they are not known of %s:", who);
        show_features(stdout, 4, &plan->supposed);
        free(who);
    }
    for (size_t i = 0; i < pool->n; i++) {
        struct featureset both, here;
        char *how;

        featureset_or(&both, &plan->unsaid, &plan->supposed);
        featureset_and(&here, &both, &plan->maybe[i]);
        if (featureset_empty(&here))
            continue;
        how = subject_unknown_how(&pool->hosts[i]);
        out_text(stdout, 2, 4, "%s: %s", pool->hosts[i].name, how);
        free(how);
    }
}

static void print_assumptions(const struct level_pool *pool, const struct plan *plan)
{
    for (size_t i = 0; i < pool->n; i++) {
        const char *assumed = level_assumption(pool, plan, i);

        if (assumed)
            out_text(stdout, 2, 4, "assumed of %s: %s", pool->hosts[i].name, assumed);
    }
}

/* What was asked for without. */
static void print_unwanted(const struct level_pool *pool, const struct plan *plan)
{
    char count[32];

    if (!featureset_empty(&plan->above)) {
        out_text(
            stdout, 2, 4, "%s above %s:",
            plural(count, sizeof(count), featureset_count(&plan->above), "feature", "features"),
            pool->at->name);
        show_features(stdout, 4, &plan->above);
    }
    if (!featureset_empty(&plan->removed)) {
        out_text(
            stdout, 2, 4, "%s left out by --without:",
            plural(count, sizeof(count), featureset_count(&plan->removed), "feature", "features"));
        show_features(stdout, 4, &plan->removed);
    }
    if (!featureset_empty(&plan->fallen)) {
        out_text(stdout, 2, 4, "%s with them, for what is left out is needed by %s:",
                 plural(count, sizeof(count), featureset_count(&plan->fallen), "feature falls",
                        "features fall"),
                 featureset_count(&plan->fallen) == 1 ? "it" : "them");
        show_features(stdout, 4, &plan->fallen);
    }
}

static void print_plan(const struct level_pool *pool, const struct plan *plan)
{
    char count[32];
    struct table t;

    (void)printf("\n");
    out_text(
        stdout, 0, 2, "%s guests: %s in the level", plan->type == TYPE_PV ? "PV" : "HVM and PVH",
        plural(count, sizeof(count), featureset_count(&plan->features), "feature", "features"));
    table_init(&t, 2, 2);
    for (size_t i = 0; i < pool->n; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "gives up %u", featureset_count(&plan->given_up[i]));
        table_row(&t, pool->hosts[i].name,
                  featureset_empty(&plan->given_up[i]) ? "gives up nothing" : text);
    }
    table_print(&t, stdout);
    if (!featureset_empty(&plan->lost))
        print_costs(pool, plan);
    print_unwanted(pool, plan);
    if (!featureset_empty(&plan->hazards)) {
        out_text(stdout, 2, 4,
                 "guests are told of these on every host, though only some have them:");
        show_features(stdout, 4, &plan->hazards);
    }
    print_losses(pool, plan);
    print_unknown(pool, plan);
    print_assumptions(pool, plan);
    for (size_t i = 0; plan->type == TYPE_PV && i < pool->n; i++)
        enforcement_print(stdout, 2, &pool->hosts[i], &plan->enforced[i]);
}

int level_print(const struct level_pool *pool, const char *output)
{
    struct table t;

    table_init(&t, 2, 0);
    for (size_t i = 0; i < pool->n; i++)
        table_row(&t, pool->hosts[i].name, pool->hosts[i].file->host->cpu);
    table_print(&t, stdout);
    /* HVM first: it is what most guests are. */
    for (int type = TYPE_HVM; type >= TYPE_PV; type--)
        if (pool->plans[type].done)
            print_plan(pool, &pool->plans[type]);
    if (output)
        out_print(stdout, "\nwritten to %s\n", output);
    return STATUS_YES;
}
