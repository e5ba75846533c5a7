/* SPDX-License-Identifier: MIT */
/*
 * xenlevel level: what the hosts of a pool share, what each gives up for it, and why.
 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "level-plan.h"
#include "out.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'o', "output", "POOL", "write the level to this file"},
    {'n', "name", "NAME", "what to call the pool (default: the file's name)"},
    CMD_STRICT,
    CMD_JSON,
    CMD_END,
};

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

static int open_hosts(struct level_pool *pool, char **args)
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
static bool is_too_loose(const struct level_pool *pool)
{
    const struct plan *plan = &pool->plans[TYPE_PV];
    bool loose = false;

    for (size_t i = 0; plan->done && i < pool->n; i++) {
        enforcement_print_refusal(stderr, 0, &pool->hosts[i], &plan->enforced[i]);
        loose |= !enforcement_is_exact(&plan->enforced[i]);
    }
    return loose;
}

static int level_hosts(struct level_pool *pool, const char *output, const char *name, bool strict,
                       bool json)
{
    int status;

    if (level_plan_make(pool, TYPE_HVM, json) || level_plan_make(pool, TYPE_PV, json))
        return STATUS_NO;
    if (!pool->plans[TYPE_HVM].done && !pool->plans[TYPE_PV].done) {
        warn("there is no type of guest that all of these hosts can run");
        return STATUS_NO;
    }
    if (strict && is_too_loose(pool)) {
        status = (json ? level_print_json : level_print)(pool, NULL);
        return status ? status : STATUS_NO;
    }
    if (output && level_write(pool, output, name))
        return STATUS_TROUBLE;
    return (json ? level_print_json : level_print)(pool, output);
}

static int run_level(const struct command *cmd, int argc, char **argv)
{
    const char *output = NULL, *name = NULL, *value;
    int letter, first, status = STATUS_TROUBLE;
    struct level_pool pool = {0};
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
    for (int type = TYPE_PV; type < TYPES; type++)
        level_plan_free(&pool.plans[type]);
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
