/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool clusters: which hosts should share a level, when there may be several?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusters.h"
#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "pool-lists.h"
#include "subject.h"
#include "unknown.h"
#include "util.h"

#define MOST_LEVELS 64u

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'k', "levels", "N", "at most so many levels (default: 2)"},
    {'m', "mobility", NULL, "seek mobility alone, whatever guests keep of their features"},
    {'t', "type", "TYPE", "for which guests: hvm (and pvh), the default, or pv"},
    CMD_JSON,
    CMD_END,
};

/* The hosts of a pool by their CPUs. */
struct fleet {
    struct cluster_class *classes;
    size_t *capture; /* of each class */
    size_t n;
    size_t left_out; /* hosts that run no such guests, or of which not all is known */
};

static bool is_known(const struct cpu_policy *mask)
{
    return !mask || !unknown_any(mask);
}

static void read_fleet(const struct pool *p, enum guest_type type, struct fleet *f)
{
    enum xc_policy_index max = answer_max(type), deflt = answer_default(type);
    uint64_t *hosts = xcalloc(p->n_captures + 1, sizeof(*hosts));

    *f = (struct fleet){.n = 0};
    f->classes = xcalloc(p->n_captures + 1, sizeof(*f->classes));
    f->capture = xcalloc(p->n_captures + 1, sizeof(*f->capture));
    for (size_t i = 0; i < p->n_hosts; i++)
        hosts[p->hosts[i].capture]++;
    for (size_t i = 0; i < p->n_captures; i++) {
        const struct pool_capture *c = &p->captures[i];

        if (!hosts[i])
            continue;
        if (!c->have[max] || !c->have[deflt] || !is_known(c->unknown[max]) ||
            !is_known(c->unknown[deflt])) {
            f->left_out += hosts[i];
            continue;
        }
        f->classes[f->n] = (struct cluster_class){c->policy[deflt], c->policy[max], hosts[i]};
        f->capture[f->n++] = i;
    }
    free(hosts);
}

static void free_fleet(struct fleet *f)
{
    free(f->classes);
    free(f->capture);
}

/* What is compared: none, what people do, and what was found. */
enum { NONE, VENDORS, MODELS, FOUND, WAYS };

static void judge_all(const struct fleet *f, size_t k, enum cluster_goal goal,
                      struct clusters ways[static WAYS])
{
    size_t *group = xcalloc(f->n + 1, sizeof(*group));

    for (size_t i = 0; i < f->n; i++)
        group[i] = CLUSTER_NONE;
    clusters_judge(f->classes, f->n, group, &ways[NONE]);
    (void)clusters_by_vendor(f->classes, f->n, group);
    clusters_judge(f->classes, f->n, group, &ways[VENDORS]);
    (void)clusters_by_model(f->classes, f->n, group);
    clusters_judge(f->classes, f->n, group, &ways[MODELS]);
    clusters_find(f->classes, f->n, k, goal, &ways[FOUND]);
    free(group);
}

/* ---- text ---- */

static void print_ways(const struct clusters *ways, size_t k)
{
    char found[64];
    const char *const names[WAYS] = {
        [NONE] = "none: each guest as its host gives it",
        [VENDORS] = "one for all hosts of a vendor",
        [MODELS] = "one for each model of CPU",
        [FOUND] = found,
    };
    struct table t;

    (void)snprintf(found, sizeof(found), "at most %zu, chosen below", k);
    table_init(&t, 5, 2);
    table_row(&t, "Levels", "", "Mobility", "Features kept", "Score");
    for (unsigned int i = 0; i < WAYS; i++) {
        char count[24], mobility[24], kept[24], score[24];

        (void)snprintf(count, sizeof(count), "%zu", ways[i].n_levels);
        (void)snprintf(mobility, sizeof(mobility), "%.1f %%", 100 * ways[i].mobility);
        (void)snprintf(kept, sizeof(kept), "%.1f %%", 100 * ways[i].kept);
        (void)snprintf(score, sizeof(score), "%.4f", ways[i].score);
        table_row(&t, names[i], count, mobility, kept, score);
    }
    table_print(&t, stdout);
}

/* The hosts of a level, or (CLUSTER_NONE) those without one; malloc'ed. */
static char *list_members(const struct pool *p, const struct fleet *f, const struct clusters *c,
                          size_t level)
{
    bool *is = xcalloc(p->n_captures + 1, sizeof(*is));
    char *list = NULL;
    size_t n = 0;

    for (size_t i = 0; i < f->n; i++)
        is[f->capture[i]] = c->of[i] == level;
    for (size_t i = 0; i < p->n_hosts; i++)
        if (is[p->hosts[i].capture])
            list_add(&list, &n, LIST_MOST, p->hosts[i].record->name);
    free(is);
    return list_end(&list, &n, LIST_MOST);
}

static void print_levels(const struct pool *p, const struct fleet *f, const struct clusters *c)
{
    for (size_t k = 0; k <= c->n_levels; k++) {
        size_t level = k < c->n_levels ? k : CLUSTER_NONE;
        char *members = list_members(p, f, c, level), hosts[32];

        if (level != CLUSTER_NONE)
            out_text(stdout, 2, 4, "level %zu, %u features: %s can run its guests; it is for %s",
                     k + 1, c->levels[k].features,
                     plural(hosts, sizeof(hosts), c->levels[k].reach, "host", "hosts"), members);
        else if (*members)
            out_text(stdout, 2, 4, "without a level: %s", members);
        free(members);
    }
}

static void print_clusters(const struct pool *p, const struct fleet *f, size_t k,
                           const struct clusters *ways)
{
    char hosts[32], kinds[32], left[32];

    out_text(stdout, 0, 2, "pool %s: %s of %s", p->record->name,
             plural(hosts, sizeof(hosts), p->n_hosts - f->left_out, "host", "hosts"),
             plural(kinds, sizeof(kinds), f->n, "kind", "kinds"));
    print_ways(ways, k);
    print_levels(p, f, &ways[FOUND]);
    if (!ways[FOUND].exact)
        out_text(stdout, 2, 4, "found by a search: another choice may be a little better");
    if (f->left_out)
        out_text(stdout, 0, 2, "left out: %s that cannot run such guests, or not all known",
                 plural(left, sizeof(left), f->left_out, "host", "hosts"));
}

/* ---- JSON ---- */

static void way_json(struct json *j, const char *key, const struct clusters *c)
{
    json_object(j, key);
    json_number(j, "levels", c->n_levels);
    json_share(j, "mobility", c->mobility);
    json_share(j, "kept", c->kept);
    json_share(j, "score", c->score);
    json_close_object(j);
}

static void members_json(struct json *j, const char *key, const struct pool *p,
                         const struct fleet *f, const struct clusters *c, size_t level)
{
    bool *is = xcalloc(p->n_captures + 1, sizeof(*is));

    for (size_t i = 0; i < f->n; i++)
        is[f->capture[i]] = c->of[i] == level;
    json_array(j, key);
    for (size_t i = 0; i < p->n_hosts; i++)
        if (is[p->hosts[i].capture])
            json_string(j, NULL, p->hosts[i].record->name);
    json_close_array(j);
    free(is);
}

static int print_json(const struct pool *p, const struct fleet *f, const struct clusters *ways)
{
    const struct clusters *c = &ways[FOUND];
    struct json *j = json_begin();

    json_object(j, NULL);
    way_json(j, "none", &ways[NONE]);
    way_json(j, "by_vendor", &ways[VENDORS]);
    way_json(j, "by_model", &ways[MODELS]);
    way_json(j, "chosen", c);
    json_bool(j, "exact", c->exact);
    json_array(j, "levels");
    for (size_t k = 0; k < c->n_levels; k++) {
        json_object(j, NULL);
        members_json(j, "hosts", p, f, c, k);
        json_number(j, "reach", c->levels[k].reach);
        json_policy(j, "policy", &c->levels[k].policy, false);
        json_close_object(j);
    }
    json_close_array(j);
    members_json(j, "without", p, f, c, CLUSTER_NONE);
    json_number(j, "left_out", f->left_out);
    json_close_object(j);
    return json_end(j);
}

/* ---- the command ---- */

static int parse_count(const char *text, size_t *count)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || !value || value > MOST_LEVELS)
        return complain("--levels is a number from 1 to %u, not '%s'", MOST_LEVELS, text);
    *count = value;
    return 0;
}

static int find_clusters(const struct pool *p, enum guest_type type, size_t k,
                         enum cluster_goal goal, bool json)
{
    struct clusters ways[WAYS];
    struct fleet f;
    int status = STATUS_YES;

    read_fleet(p, type, &f);
    out_line("looking for levels of %zu kinds of hosts", f.n);
    judge_all(&f, k, goal, ways);
    out_line_end();
    if (!json)
        print_clusters(p, &f, k, ways);
    else if (print_json(p, &f, ways))
        status = STATUS_TROUBLE;
    for (unsigned int i = 0; i < WAYS; i++)
        clusters_free(&ways[i]);
    free_fleet(&f);
    return status;
}

static int run_clusters(const struct command *cmd, int argc, char **argv)
{
    enum cluster_goal goal = CLUSTER_SCORE;
    enum subject_type type = TYPE_HVM;
    const char *where = NULL, *value;
    struct pool_session s;
    int letter, first, status;
    bool json = false;
    size_t k = 2;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'j')
            json = true;
        else if (letter == 'm')
            goal = CLUSTER_MOBILITY;
        else if (letter == 'k' ? parse_count(value, &k) : letter != 't' || parse_type(value, &type))
            return STATUS_TROUBLE;
    }
    if (argc != first)
        return cmd_usage(cmd, "takes no arguments");
    status = pool_session_open(&s, where);
    if (status == STATUS_YES)
        status = find_clusters(&s.pool, subject_guest_type(type), k, goal, json);
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_clusters = {
    .group = "pool",
    .name = "clusters",
    .args = "",
    .summary = "which hosts should share a level, when there may be several",
    .about =
        "One level for all lets guests go everywhere and takes features from the newest hosts; no "
        "level at all keeps the features, and guests at home. With up to N levels this command "
        "says which hosts are given which, beside what no level, one for each vendor and one for "
        "each model of CPU come to: mobility, the share of pairs of a guest and another host that "
        "work (a guest on each host); the share of features that guests keep of those that their "
        "host would give them; and the score that is sought, in which a pair that works counts "
        "with what its guest keeps.\n\n"
        "Status 0.",
    .options = options,
    .run = run_clusters,
};
