/* SPDX-License-Identifier: MIT */
/* What the pool's levels are, and could be: see pool-level.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "json.h"
#include "level-suggest.h"
#include "out.h"
#include "pool-level.h"
#include "unknown.h"
#include "util.h"

#define SHOWN 5 /* domains that a line names */

/* ---- domains ---- */

void vm_list_free(struct vm_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    memset(l, 0, sizeof(*l));
}

void vm_list_add(struct vm_list *l, const struct pool *p, const struct featureset *sets)
{
    for (size_t i = 0; i < p->n_domains; i++) {
        const struct pool_domain *d = &p->domains[i];

        if (d->policy == POOL_NONE || featureset_empty(&sets[d->policy]))
            continue;
        if ((l->n & (l->n - 1)) == 0) /* room for the next power of two */
            l->names = xrealloc((void *)l->names, (l->n ? 2 * l->n : 1) * sizeof(*l->names));
        l->names[l->n++] = xasprintf("%s on %s", d->record->name, p->hosts[d->host].record->name);
    }
}

void vm_list_print(const struct vm_list *l, const char *one, const char *many)
{
    char *list = xstrdup("");

    for (size_t i = 0; i < l->n && i < SHOWN; i++) {
        char *longer = xasprintf("%s%s%s", list, *list ? ", " : "", l->names[i]);

        free(list);
        list = longer;
    }
    if (l->n > SHOWN)
        out_text(stdout, 2, 4, "%zu %s: %s and %zu %s", l->n, many, list, l->n - SHOWN,
                 l->n - SHOWN == 1 ? "other" : "others");
    else if (l->n)
        out_text(stdout, 2, 4, "%zu %s: %s", l->n, l->n == 1 ? one : many, list);
    free(list);
}

void vm_list_json(struct json *j, const char *key, const struct vm_list *l)
{
    json_array(j, key);
    for (size_t i = 0; i < l->n; i++)
        json_string(j, NULL, l->names[i]);
    json_close_array(j);
}

void level_find_below(const struct pool *p, const struct pool_level *level, struct vm_list *l)
{
    struct featureset *lacks = xcalloc(p->n_policies + 1, sizeof(*lacks));

    suggest_below(p, level->have, level->policy, lacks);
    vm_list_add(l, p, lacks);
    free(lacks);
}

void level_find_above(const struct pool *p, const struct pool_level *level, struct vm_list *l)
{
    struct featureset *more = xcalloc(p->n_policies + 1, sizeof(*more)), features;

    for (size_t i = 0; i < p->n_policies; i++) {
        unsigned int type = p->policies[i].type == GUEST_PV ? POOL_PV : POOL_HVM;

        if (!level->have[type])
            continue;
        policy_to_featureset(&p->policies[i].policy, &more[i]);
        policy_to_featureset(&level->policy[type], &features);
        featureset_andnot(&more[i], &more[i], &features);
        featureset_and(&more[i], &more[i], featureset_merge_mask(MERGE_CAPABILITY));
        show_comparable(&more[i]);
    }
    vm_list_add(l, p, more);
    free(more);
}

/* ---- a level ---- */

/* How many hosts can give it, and where new domains are born on it. */
struct hosts_of {
    size_t yes, no, unknown, born;
};

static void count_hosts(const struct pool *p, const struct pool_level *level, struct hosts_of *h)
{
    size_t *hosts = xcalloc(p->n_captures + 1, sizeof(*hosts));

    memset(h, 0, sizeof(*h));
    for (size_t i = 0; i < p->n_hosts; i++) {
        hosts[p->hosts[i].capture]++;
        h->born += !strcmp(p->hosts[i].record->born_level, level->name);
    }
    for (size_t i = 0; i < p->n_captures; i++) {
        struct pool_admission a;

        if (!hosts[i])
            continue;
        pool_admit(&p->captures[i], level, &a);
        *(a.verdict == VERDICT_YES  ? &h->yes
          : a.verdict == VERDICT_NO ? &h->no
                                    : &h->unknown) += hosts[i];
    }
    free(hosts);
}

/* Who cannot give it, and why: asked once for each kind of host. */
static void print_hosts(const struct pool *p, const struct pool_level *level)
{
    char **why = xcalloc(p->n_captures + 1, sizeof(char *));

    for (size_t i = 0; i < p->n_captures; i++) {
        struct pool_admission a;

        pool_admit(&p->captures[i], level, &a);
        if (a.verdict != VERDICT_YES)
            why[i] = pool_admission_text(&a, &p->captures[i], level);
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        if (why[p->hosts[i].capture])
            out_text(stdout, 2, 4, "%s: %s", p->hosts[i].record->name, why[p->hosts[i].capture]);
    for (size_t i = 0; i < p->n_captures; i++)
        free(why[i]);
    free((void *)why);
}

static unsigned int count_features(const struct pool_level *level, unsigned int type)
{
    struct featureset fs;

    policy_to_featureset(&level->policy[type], &fs);
    show_comparable(&fs);
    return featureset_count(&fs);
}

static void print_level(const struct pool *p, const struct pool_level *level)
{
    struct vm_list below = {NULL, 0}, above = {NULL, 0};
    struct hosts_of h;
    char hosts[32];

    count_hosts(p, level, &h);
    out_text(stdout, 0, 2, "%s%s, of %s: %u features for HVM and PVH guests, %u for PV",
             level->name,
             p->level != POOL_NONE && level == &p->levels[p->level] ? ", the pool's level" : "",
             level->file->level->date, level->have[POOL_HVM] ? count_features(level, POOL_HVM) : 0,
             level->have[POOL_PV] ? count_features(level, POOL_PV) : 0);
    out_text(stdout, 2, 4, "%zu of %s can give it; new domains are born on it on %zu", h.yes,
             plural(hosts, sizeof(hosts), p->n_hosts, "host", "hosts"), h.born);
    if (h.no || h.unknown)
        print_hosts(p, level);
    level_find_below(p, level, &below);
    level_find_above(p, level, &above);
    vm_list_print(&below, "domain needs a power cycle to have all of it",
                  "domains need a power cycle to have all of it");
    vm_list_print(&above, "domain has more than it and cannot go everywhere",
                  "domains have more than it and cannot go everywhere");
    vm_list_free(&below);
    vm_list_free(&above);
}

static void level_json(struct json *j, const struct pool *p, const struct pool_level *level)
{
    struct vm_list below = {NULL, 0}, above = {NULL, 0};
    struct hosts_of h;

    count_hosts(p, level, &h);
    json_object(j, NULL);
    json_string(j, "name", level->name);
    json_string(j, "date", level->file->level->date);
    json_bool(j, "pools", p->level != POOL_NONE && level == &p->levels[p->level]);
    json_number(j, "hosts", p->n_hosts);
    json_number(j, "can_give", h.yes);
    json_number(j, "cannot_give", h.no);
    json_number(j, "not_known", h.unknown);
    json_number(j, "born_on_it", h.born);
    for (unsigned int type = POOL_TYPES; type-- > POOL_PV;)
        if (level->have[type]) {
            struct featureset fs;

            policy_to_featureset(&level->policy[type], &fs);
            show_comparable(&fs);
            json_features(j, type == POOL_PV ? "pv" : "hvm", &fs);
        }
    level_find_below(p, level, &below);
    level_find_above(p, level, &above);
    vm_list_json(j, "power_cycle", &below);
    vm_list_json(j, "above", &above);
    json_close_object(j);
    vm_list_free(&below);
    vm_list_free(&above);
}

/* All others, by name. */
static void print_others(const struct pool *p)
{
    bool any = false;

    for (size_t i = 0; i < p->n_levels; i++) {
        if (i == p->level)
            continue;
        if (!any)
            (void)printf("\n");
        if (!any)
            out_text(stdout, 0, 0, "other levels:");
        any = true;
        out_text(stdout, 2, 4, "%s, of %s", p->levels[i].name, p->levels[i].file->level->date);
    }
}

static int show_json(const struct pool *p, size_t only)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "level", p->level == POOL_NONE ? NULL : p->levels[p->level].name);
    json_array(j, "levels");
    for (size_t i = 0; i < p->n_levels; i++)
        if (only == POOL_NONE || only == i)
            level_json(j, p, &p->levels[i]);
    json_close_array(j);
    json_close_object(j);
    return json_end(j);
}

int pool_level_show(const struct pool *p, const char *name, bool json)
{
    size_t only = name ? pool_find_level(p, name) : POOL_NONE;

    if (name && only == POOL_NONE)
        return complain("the pool has no level %s: --from or --compute makes one", name);
    if (json)
        return show_json(p, only);
    if (only != POOL_NONE) {
        print_level(p, &p->levels[only]);
        return STATUS_YES;
    }
    if (p->level == POOL_NONE)
        out_text(stdout, 0, 2, "pool %s has no level yet: `xenlevel pool level NAME --compute`",
                 p->record->name);
    else
        print_level(p, &p->levels[p->level]);
    print_others(p);
    return STATUS_YES;
}

/* ---- what could be ---- */

/* The level that a suggestion comes to, cut to a named one; NULL: as it is. */
static void fill_target(const struct suggestion *s, const struct named_level *at,
                        struct pool_level *target)
{
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        target->have[type] = s->have[type];
        if (!s->have[type])
            continue;
        target->policy[type] = s->level[type];
        if (at && at->have[type])
            named_cut(&target->policy[type], &at->features[type], NULL, NULL);
    }
}

/* What raising the pool's level to it would gain, and who needs a power cycle. */
static void say_raise(const struct pool *p, const struct suggestion *s,
                      const struct named_level *at, struct json *j)
{
    const struct pool_level *from = p->level == POOL_NONE ? NULL : &p->levels[p->level];
    struct pool_level *target = xcalloc(1, sizeof(*target));
    struct vm_list below = {NULL, 0};
    struct featureset gained[POOL_TYPES], lost[POOL_TYPES];
    char *names;

    fill_target(s, at, target);
    level_find_below(p, target, &below);
    if (j) {
        json_object(j, NULL);
        json_string(j, "to", at ? at->name : NULL);
    } else {
        (void)printf("\n");
        out_text(stdout, 0, 2, "the pool's level as %s:", at ? at->name : "all that hosts share");
    }
    for (unsigned int type = POOL_TYPES; type-- > POOL_PV;) {
        level_difference(from, target, type, &gained[type], &lost[type]);
        if (j) {
            json_object(j, type == POOL_PV ? "pv" : "hvm");
            json_features(j, "gained", &gained[type]);
            json_features(j, "lost", &lost[type]);
            json_close_object(j);
            continue;
        }
        for (unsigned int k = 0; from && k < 2; k++) {
            const struct featureset *fs = k ? &lost[type] : &gained[type];

            if (featureset_empty(fs))
                continue;
            names = pool_name_features(fs);
            out_text(stdout, 2, 4, "%s guests %s %s", type == POOL_PV ? "PV" : "HVM and PVH",
                     k ? "lose" : "gain", names);
            free(names);
        }
    }
    if (j) {
        vm_list_json(j, "power_cycle", &below);
        json_close_object(j);
    } else {
        vm_list_print(&below, "domain needs a power cycle to have all of it",
                      "domains need a power cycle to have all of it");
        if (from && level_is_same(from, target))
            out_text(stdout, 2, 4, "%s is that already", from->name);
    }
    vm_list_free(&below);
    free(target);
}

/* Would guests gain anything by it?  A named level may be poorer than what the pool has. */
static bool is_raise(const struct pool *p, const struct suggestion *s, const struct named_level *at)
{
    struct pool_level *target = xcalloc(1, sizeof(*target));
    struct featureset gained, lost;
    bool more = false;

    fill_target(s, at, target);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        level_difference(p->level == POOL_NONE ? NULL : &p->levels[p->level], target, type, &gained,
                         &lost);
        more |= !featureset_empty(&gained);
    }
    free(target);
    return more;
}

static int print_suggestion(const struct pool *p, const struct suggest_class *classes, size_t n,
                            const struct suggestion *s, bool json)
{
    struct json *j = NULL;
    char hosts[32], kinds[32];

    if (json) {
        j = json_begin();
        json_object(j, NULL);
        json_string(j, "level", p->level == POOL_NONE ? NULL : p->levels[p->level].name);
        json_number(j, "hosts", p->n_hosts);
        suggest_json_levels(j, s);
        json_array(j, "raise");
    } else {
        out_text(stdout, 0, 0, "%s, %s; the pool's level: %s",
                 plural(hosts, sizeof(hosts), p->n_hosts, "host", "hosts"),
                 plural(kinds, sizeof(kinds), n, "kind of CPU", "kinds of CPU"),
                 p->level == POOL_NONE ? "none" : p->levels[p->level].name);
        suggest_print_levels(s);
    }
    if (s->newest && (j || is_raise(p, s, s->newest)))
        say_raise(p, s, s->newest, j);
    say_raise(p, s, NULL, j);
    if (j) {
        json_close_array(j);
        suggest_json_gains(j, classes, n, s);
        json_close_object(j);
        return json_end(j);
    }
    if (n > 1)
        suggest_print_gains(classes, n, s);
    return STATUS_YES;
}

/* Call it with the errno of suggest_level(). */
static int say_no_level(const struct pool *p, const struct suggest_class *a,
                        const struct suggest_class *b, bool json)
{
    const char *why = errno == EXDEV
                          ? "their CPUs differ in vendor or in the size of a CLFLUSH line"
                          : strerror(errno);
    struct json *j;

    if (!json) {
        warn("%s and %s share no level: %s", a->name, b->name, why);
        return STATUS_NO;
    }
    j = json_begin();
    json_object(j, NULL);
    json_string(j, "level", p->level == POOL_NONE ? NULL : p->levels[p->level].name);
    json_number(j, "hosts", p->n_hosts);
    json_array(j, "share_no_level");
    json_string(j, NULL, a->name);
    json_string(j, NULL, b->name);
    json_close_array(j);
    json_string(j, "why", why);
    json_close_object(j);
    return json_end(j) ? STATUS_TROUBLE : STATUS_NO;
}

int pool_level_suggest(const struct pool *p, bool json)
{
    size_t n, culprit = 0;
    struct suggest_class *classes = suggest_classes(p, &n);
    struct suggestion s = {.newest = NULL};
    struct named_list list = {NULL, 0};
    char *why = NULL;
    int status;

    if (!n) {
        status = complain("pool %s has no hosts", p->record->name);
    } else if (named_list(&list, &why)) {
        status = complain("%s", why);
    } else if (suggest_level(classes, n, &list, &s, &culprit)) {
        status = say_no_level(p, &classes[0], &classes[culprit], json);
    } else {
        status = print_suggestion(p, classes, n, &s, json);
    }
    free(why);
    suggest_free(&s);
    named_list_free(&list);
    free(classes);
    return status;
}
