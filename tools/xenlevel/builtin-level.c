/* SPDX-License-Identifier: MIT */
/*
 * xenlevel level: what the hosts of a pool share, what each gives up for it, and why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "enforce.h"
#include "features-gen.h"
#include "json.h"
#include "out.h"
#include "show.h"
#include "subject.h"
#include "unknown.h"
#include "unsure.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'o', "output", "POOL", "write the level to this file"},
    {'n', "name", "NAME", "what to call the pool (default: the file's name)"},
    CMD_STRICT,
    CMD_JSON,
    CMD_END,
};

/* The level of one type of guest over all hosts. */
struct plan {
    enum subject_type type;
    bool done; /* every host offers it */
    struct cpu_policy level;
    struct featureset features;   /* of the level */
    struct featureset *own;       /* what each host offers by default, for sure */
    struct featureset *maybe;     /* what each host offers by default or not: nobody knows */
    struct cpu_policy *assumed;   /* its default, on the safe side */
    struct featureset *given_up;  /* of that, what is not in the level */
    struct featureset hazards;    /* what guests must be told of, and not every host would */
    struct featureset lost;       /* the union of given_up */
    struct featureset left_out;   /* what no host is known to lack, and some may lack */
    struct featureset supposed;   /* hazards in the level that no host is known to have */
    struct featureset *may;       /* what each host may give at most */
    struct featureset untellable; /* what accumulates, and some host cannot give */
    struct enforcement *enforced; /* PV only */
};

struct pool {
    struct subject *hosts;
    size_t n;
    struct plan plans[TYPES];
};

/* What programs of PV guests of that level see on host i, wherever in the pool they were born: a
 * guest has the identity of its first host. */
static void enforce_level(const struct pool *pool, struct plan *plan, size_t i)
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
static void look_at_hosts(struct pool *pool, struct plan *plan)
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
static void find_left_out(const struct pool *pool, struct plan *plan)
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
static void account_for(struct pool *pool, struct plan *plan)
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

/* The hosts as the level takes them; false when one of them cannot run such guests: *cannot. */
static bool host_offers(const struct pool *pool, struct plan *plan, struct policy_host *hosts,
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
static int make_plan(struct pool *pool, enum subject_type type, bool quiet)
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
    account_for(pool, plan);
    return 0;
}

/* "a, b": the hosts for which `has` is what they have of the feature. */
static char *hosts_with(const struct pool *pool, const struct featureset *sets, unsigned int f,
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
static int fallen_with(const struct pool *pool, const struct plan *plan, unsigned int f)
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

/* Why f is not in the level, for people. */
static char *find_cause(const struct pool *pool, const struct plan *plan, unsigned int f)
{
    char *list = hosts_with(pool, plan->own, f, false), *text;
    int root;

    if (*list)
        return list;
    free(list);
    root = fallen_with(pool, plan, f);
    if (root < 0)
        return xstrdup("(the highest leaf of the level)");
    list = hosts_with(pool, plan->own, (unsigned int)root, false);
    text =
        xasprintf("%s (needs %s)", list,
                  feature_info((unsigned int)root) ? feature_info((unsigned int)root)->name : "?");
    free(list);
    return text;
}

/* The features of one cause, under one heading. */
static void print_group(const struct pool *pool, const struct plan *plan, unsigned int first,
                        struct featureset *printed)
{
    char *by = hosts_with(pool, plan->given_up, first, true);
    char *because = find_cause(pool, plan, first);
    struct featureset group = {{0}};
    char count[32];

    for (int f = (int)first; f >= 0; f = featureset_next(&plan->lost, (unsigned int)f + 1)) {
        char *by_too = hosts_with(pool, plan->given_up, (unsigned int)f, true);
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

static void print_costs(const struct pool *pool, const struct plan *plan)
{
    struct featureset printed = {{0}};

    for (int f = featureset_next(&plan->lost, 0); f >= 0;
         f = featureset_next(&plan->lost, (unsigned int)f + 1))
        if (!featureset_test(&printed, (unsigned int)f))
            print_group(pool, plan, (unsigned int)f, &printed);
}

/* One line for each: what it is, who has it, who stands against it, and what that means. */
static void print_losses(const struct pool *pool, const struct plan *plan)
{
    for (int f = featureset_next(&plan->untellable, 0); f >= 0;
         f = featureset_next(&plan->untellable, (unsigned int)f + 1)) {
        const struct feature_info *info = feature_info((unsigned int)f);
        bool protects = info && info->protects; /* guests have to use it themselves */
        char *has = hosts_with(pool, plan->own, (unsigned int)f, true);
        char *cannot = hosts_with(pool, plan->may, (unsigned int)f, false);
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
static char *find_silent(const struct pool *pool, const struct plan *plan,
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
static void print_unknown(const struct pool *pool, const struct plan *plan)
{
    char count[32], *who;

    if (!featureset_empty(&plan->left_out)) {
        who = find_silent(pool, plan, &plan->left_out);
        out_text(
            stdout, 2, 4, "%s: left out, because it is not known of %s",
            plural(count, sizeof(count), featureset_count(&plan->left_out), "feature", "features"),
            who);
        show_features(stdout, 4, &plan->left_out);
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

        featureset_or(&both, &plan->left_out, &plan->supposed);
        featureset_and(&here, &both, &plan->maybe[i]);
        if (featureset_empty(&here))
            continue;
        how = subject_unknown_how(&pool->hosts[i]);
        out_text(stdout, 2, 4, "%s: %s", pool->hosts[i].name, how);
        free(how);
    }
}

/* What makes that there is AVX in the level, where nobody knows; NULL where that is not so. */
static const char *find_assumption(const struct pool *pool, const struct plan *plan, size_t i)
{
    return featureset_test(&plan->features, X86_FEATURE_AVX) ? subject_assumption(&pool->hosts[i])
                                                             : NULL;
}

static void print_assumptions(const struct pool *pool, const struct plan *plan)
{
    for (size_t i = 0; i < pool->n; i++) {
        const char *assumed = find_assumption(pool, plan, i);

        if (assumed)
            out_text(stdout, 2, 4, "assumed of %s: %s", pool->hosts[i].name, assumed);
    }
}

static void print_plan(const struct pool *pool, const struct plan *plan)
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

static void names_json(struct json *j, const char *key, const struct pool *pool,
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

static void costs_json(struct json *j, const struct pool *pool, const struct plan *plan)
{
    json_array(j, "costs");
    for (int f = featureset_next(&plan->lost, 0); f >= 0;
         f = featureset_next(&plan->lost, (unsigned int)f + 1)) {
        int root = fallen_with(pool, plan, (unsigned int)f);
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

static void losses_json(struct json *j, const struct pool *pool, const struct plan *plan)
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

static void left_out_json(struct json *j, const struct pool *pool, const struct plan *plan)
{
    json_array(j, "left_out");
    for (int f = featureset_next(&plan->left_out, 0); f >= 0;
         f = featureset_next(&plan->left_out, (unsigned int)f + 1)) {
        begin_feature_json(j, (unsigned int)f);
        json_string(j, "reason", "unknown");
        names_json(j, "not_known_of", pool, plan->maybe, (unsigned int)f, true);
        json_close_object(j);
    }
    json_close_array(j);
    json_features(j, "hazards_supposed", &plan->supposed);
}

static void plan_json(struct json *j, const char *key, const struct pool *pool,
                      const struct plan *plan)
{
    if (!plan->done) {
        json_string(j, key, NULL);
        return;
    }
    json_object(j, key);
    json_features(j, "features", &plan->features);
    costs_json(j, pool, plan);
    json_features(j, "hazards_told", &plan->hazards);
    losses_json(j, pool, plan);
    left_out_json(j, pool, plan);
    json_array(j, "hosts");
    for (size_t i = 0; i < pool->n; i++) {
        const char *assumed;

        json_object(j, NULL);
        json_string(j, "name", pool->hosts[i].name);
        json_features(j, "gives_up", &plan->given_up[i]);
        assumed = find_assumption(pool, plan, i);
        if (assumed)
            json_string(j, "assumed", assumed);
        if (plan->type == TYPE_PV)
            enforcement_json(j, "pv_enforcement", &plan->enforced[i]);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
}

static int print_report(const struct pool *pool, const char *output, bool json)
{
    struct json *j;
    struct table t;

    if (json) {
        j = json_begin();
        json_object(j, NULL);
        json_string(j, "file", output);
        plan_json(j, "pv", pool, &pool->plans[TYPE_PV]);
        plan_json(j, "hvm", pool, &pool->plans[TYPE_HVM]);
        json_close_object(j);
        return json_end(j);
    }
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

/* What the level lacks because this host does not say whether it has it; NULL for nothing. */
static Xenlevel__Featureset *left_out_of(const struct pool *pool, enum subject_type type, size_t i)
{
    const struct plan *plan = &pool->plans[type];
    struct featureset fs;

    featureset_and(&fs, &plan->left_out, &plan->maybe[i]);
    return featureset_empty(&fs) ? NULL : xlp_featureset_new(fs.w, FEATURESET_WORDS);
}

static Xenlevel__Member *new_member(const struct pool *pool, size_t i)
{
    const struct subject *host = &pool->hosts[i];
    Xenlevel__Member *member = xcalloc(1, sizeof(*member));

    xenlevel__member__init(member);
    member->name = xstrdup(host->name);
    member->cpu = xstrdup(host->file->host->cpu);
    member->xen_version = xstrdup(host->file->host->xen_version);
    if (host->caps_known) {
        member->levelling_case = XENLEVEL__MEMBER__LEVELLING_LEVELLING_CAPS;
        member->levelling_caps = host->caps;
    }
    if (pool->plans[TYPE_PV].done)
        member->pv_given_up =
            xlp_featureset_new(pool->plans[TYPE_PV].given_up[i].w, FEATURESET_WORDS);
    if (pool->plans[TYPE_HVM].done)
        member->hvm_given_up =
            xlp_featureset_new(pool->plans[TYPE_HVM].given_up[i].w, FEATURESET_WORDS);
    if (pool->plans[TYPE_PV].done)
        member->pv_left_out = left_out_of(pool, TYPE_PV, i);
    if (pool->plans[TYPE_HVM].done)
        member->hvm_left_out = left_out_of(pool, TYPE_HVM, i);
    return member;
}

static int write_pool(const struct pool *pool, const char *path, const char *name)
{
    Xenlevel__File *file = xlp_new();
    Xenlevel__Level *level = xcalloc(1, sizeof(*level));
    struct xlp_error error;
    char date[21];
    int rc;

    xenlevel__level__init(level);
    date_now(date);
    level->name = name ? xstrdup(name) : base_name(path, XLP_SUFFIX);
    level->date = xstrdup(date);
    if (pool->plans[TYPE_PV].done)
        level->pv = xlp_policy_from(&pool->plans[TYPE_PV].level);
    if (pool->plans[TYPE_HVM].done)
        level->hvm = xlp_policy_from(&pool->plans[TYPE_HVM].level);
    level->n_members = pool->n;
    level->members = xcalloc(pool->n, sizeof(Xenlevel__Member *));
    for (size_t i = 0; i < pool->n; i++)
        level->members[i] = new_member(pool, i);
    file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
    file->level = level;
    rc = xlp_save(path, file, &error);
    xlp_free(file);
    return rc ? complain("%s", error.text) : STATUS_YES;
}

/* A level by itself, which may have been edited as JSON: written as a file. */
static int write_level(const struct subject *s, const char *output, const char *name)
{
    struct xlp_error error;

    if (!output)
        return complain("%s is not a host but a level: --output is needed to write it as a file",
                        s->origin);
    if (name) {
        free(s->file->level->name);
        s->file->level->name = xstrdup(name);
    }
    if (xlp_save(output, s->file, &error))
        return complain("%s", error.text);
    out_print(stdout, "written to %s\n", output);
    return STATUS_YES;
}

static int open_hosts(struct pool *pool, char **args)
{
    for (size_t i = 0; i < pool->n; i++) {
        if (subject_open(args[i], &pool->hosts[i]))
            return -1;
        if (pool->n == 1 && pool->hosts[i].kind == SUBJECT_LEVEL)
            return 0;
        if (pool->hosts[i].kind != SUBJECT_HOST) {
            warn("%s is not a host: a level is made of hosts", pool->hosts[i].origin);
            return -1;
        }
        for (size_t k = 0; k < i; k++)
            if (!strcmp(pool->hosts[k].name, pool->hosts[i].name)) {
                warn("%s and %s are both called '%s': see `host --name`", pool->hosts[k].origin,
                     pool->hosts[i].origin, pool->hosts[i].name);
                return -1;
            }
    }
    return 0;
}

/* --strict: is there a host where programs of PV guests read something else?  They are named. */
static bool is_too_loose(const struct pool *pool)
{
    const struct plan *plan = &pool->plans[TYPE_PV];
    bool loose = false;

    for (size_t i = 0; plan->done && i < pool->n; i++) {
        enforcement_print_refusal(stderr, 0, &pool->hosts[i], &plan->enforced[i]);
        loose |= !enforcement_is_exact(&plan->enforced[i]);
    }
    return loose;
}

static int level_hosts(struct pool *pool, const char *output, const char *name, bool strict,
                       bool json)
{
    int status;

    if (make_plan(pool, TYPE_HVM, json) || make_plan(pool, TYPE_PV, json))
        return STATUS_NO;
    if (!pool->plans[TYPE_HVM].done && !pool->plans[TYPE_PV].done) {
        warn("there is no type of guest that all of these hosts can run");
        return STATUS_NO;
    }
    if (strict && is_too_loose(pool)) {
        status = print_report(pool, NULL, json);
        return status ? status : STATUS_NO;
    }
    if (output && write_pool(pool, output, name))
        return STATUS_TROUBLE;
    return print_report(pool, output, json);
}

static int run_level(const struct command *cmd, int argc, char **argv)
{
    const char *output = NULL, *name = NULL, *value;
    int letter, first, status = STATUS_TROUBLE;
    struct pool pool = {0};
    bool strict = false, json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'o')
            output = value;
        else if (letter == 'n')
            name = value;
        else if (letter == 's')
            strict = true;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (first == argc)
        return cmd_usage(cmd, "at least one host is needed");
    pool.n = (size_t)(argc - first);
    pool.hosts = xcalloc(pool.n, sizeof(*pool.hosts));
    if (open_hosts(&pool, argv + first))
        status = STATUS_TROUBLE;
    else if (pool.hosts[0].kind == SUBJECT_LEVEL)
        status = write_level(&pool.hosts[0], output, name);
    else
        status = level_hosts(&pool, output, name, strict, json);
    for (size_t i = 0; i < pool.n; i++)
        subject_close(&pool.hosts[i]);
    for (int type = TYPE_PV; type < TYPES; type++) {
        free(pool.plans[type].own);
        free(pool.plans[type].given_up);
        free(pool.plans[type].may);
        free(pool.plans[type].maybe);
        free(pool.plans[type].assumed);
        free(pool.plans[type].enforced);
    }
    free(pool.hosts);
    return status;
}

const struct command cmd_level = {
    .name = "level",
    .args = "HOST... [-o POOL]",
    .summary = "what the hosts of a pool share",
    .about = "Computes the CPU that a guest can be born with and then move to any of these hosts: "
             "what all of them offer by default. Prints what each host gives up for it, which host "
             "costs the pool each feature, and, for PV guests, what their programs see beyond or "
             "short of it. Without -o nothing is written. HOST is a host's file, or - for this "
             "host. Status 1: these hosts have no common level, or with --strict one of them "
             "cannot hold PV guests to it.",
    .options = options,
    .run = run_level,
};
