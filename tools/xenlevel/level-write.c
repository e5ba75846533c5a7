/* SPDX-License-Identifier: MIT */
/* The level as a file: see level-plan.h. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "level-plan.h"
#include "out.h"
#include "util.h"

/* What the level lacks because this host does not say whether it has it; NULL for nothing. */
static Xenlevel__Featureset *left_out_of(const struct level_pool *pool, enum subject_type type,
                                         size_t i)
{
    const struct plan *plan = &pool->plans[type];
    struct featureset fs;

    featureset_and(&fs, &plan->left_out, &plan->maybe[i]);
    return featureset_empty(&fs) ? NULL : xlp_featureset_new(fs.w, FEATURESET_WORDS);
}

static Xenlevel__Member *new_member(const struct level_pool *pool, size_t i)
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

int level_write(const struct level_pool *pool, const char *path, const char *name)
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
