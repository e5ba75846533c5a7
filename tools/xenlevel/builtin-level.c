/* SPDX-License-Identifier: MIT */
/*
 * xenlevel level: what the hosts of a pool share, what each gives up for it, and why.
 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "level-at.h"
#include "level-plan.h"
#include "level-suggest.h"
#include "out.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'o', "output", "POOL", "write the level to this file"},
    {'n', "name", "NAME", "what to call the pool (default: the file's name)"},
    {'a', "at", "LEVEL", "cut it to this level, refused when a host cannot give all of it"},
    {'W', "without", "NAMES", "leave these features out, as in 'avx512*,rtm'"},
    {'T', "text", NULL, "write its features as text, which --at takes; nothing else"},
    {'S', "suggest", NULL, "what these hosts could have, and what each of them costs"},
    {'l', "list", NULL, "list the levels that have a name"},
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

/* What the command line says. */
struct request {
    const char *output, *name, *at;
    bool strict, json, text, list, suggest;
    struct featureset without;
};

static int print_text(const struct level_pool *pool, const char *name)
{
    struct named_level l;

    level_at_from_plan(pool, name ? name : "level", &l);
    named_write(stdout, &l);
    named_free(&l);
    return STATUS_YES;
}

static int level_hosts(struct level_pool *pool, const struct request *r)
{
    bool quiet = r->json || r->text;
    int status;

    if (pool->at) {
        status = level_at_check(pool, r->json);
        if (status)
            return status;
    }
    if (level_plan_make(pool, TYPE_HVM, quiet) || level_plan_make(pool, TYPE_PV, quiet))
        return STATUS_NO;
    if (!pool->plans[TYPE_HVM].done && !pool->plans[TYPE_PV].done) {
        warn("there is no type of guest that all of these hosts can run");
        return STATUS_NO;
    }
    if (r->strict && is_too_loose(pool)) {
        status = (r->json ? level_print_json : level_print)(pool, NULL);
        return status ? status : STATUS_NO;
    }
    if (r->output && level_write(pool, r->output, r->name))
        return STATUS_TROUBLE;
    if (r->text)
        return print_text(pool, r->name);
    return (r->json ? level_print_json : level_print)(pool, r->output);
}

/* --at without hosts: the level itself, less what --without says. */
static int print_named(struct named_level *l, const struct request *r)
{
    struct json *j;

    for (int f = featureset_next(&r->without, 0); f >= 0;
         f = featureset_next(&r->without, (unsigned int)f + 1))
        for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++)
            featureset_drop(&l->features[type], (unsigned int)f);
    if (r->json) {
        j = json_begin();
        json_object(j, NULL);
        level_named_json(j, l);
        json_close_object(j);
        return json_end(j);
    }
    if (r->text)
        named_write(stdout, l);
    else
        level_named_print(l);
    return STATUS_YES;
}

static int run_request(const struct request *r, int n, char **args)
{
    struct named_level at = {.base = ""};
    struct level_pool pool = {.n = (size_t)n, .without = r->without};
    int status = STATUS_TROUBLE;

    pool.hosts = xcalloc(pool.n + 1, sizeof(*pool.hosts));
    pool.at = r->at ? &at : NULL;
    if ((r->at && level_at_open(r->at, &at)) || open_hosts(&pool, args))
        status = STATUS_TROUBLE;
    else if (!n)
        status = print_named(&at, r);
    else if (r->suggest && pool.hosts[0].kind == SUBJECT_HOST)
        status = level_suggest(&pool, r->json);
    else if (pool.hosts[0].kind == SUBJECT_LEVEL && (r->suggest || r->at || r->text))
        status = complain("%s is a level: --at, --suggest and --text go with hosts",
                          pool.hosts[0].origin);
    else if (pool.hosts[0].kind == SUBJECT_LEVEL)
        status = write_level(&pool.hosts[0], r->output, r->name);
    else
        status = level_hosts(&pool, r);
    for (size_t i = 0; i < pool.n; i++)
        subject_close(&pool.hosts[i]);
    for (int type = TYPE_PV; type < TYPES; type++)
        level_plan_free(&pool.plans[type]);
    named_free(&at);
    free(pool.hosts);
    return status;
}

/* 0; -1 after a message. */
static int take_option(struct request *r, int letter, const char *value)
{
    switch (letter) {
    case 'o':
        r->output = value;
        return 0;
    case 'n':
        r->name = value;
        return 0;
    case 'a':
        r->at = value;
        return 0;
    case 'W':
        return level_without_parse(value, &r->without);
    case 's':
        r->strict = true;
        return 0;
    case 'j':
        r->json = true;
        return 0;
    case 'T':
        r->text = true;
        return 0;
    case 'S':
        r->suggest = true;
        return 0;
    case 'l':
        r->list = true;
        return 0;
    default:
        return -1;
    }
}

static int run_level(const struct command *cmd, int argc, char **argv)
{
    struct request r = {.output = NULL};
    const char *value;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1)
        if (take_option(&r, letter, value))
            return STATUS_TROUBLE;
    if (r.list)
        return first == argc ? level_list(r.json) : cmd_usage(cmd, "--list takes no hosts");
    if (first == argc && !r.at)
        return cmd_usage(cmd, "at least one host is needed");
    if (first == argc && r.output)
        return cmd_usage(cmd, "--output needs hosts: with them a named level becomes a CPU");
    if (r.suggest && (r.at || r.text || r.output || r.strict || !featureset_empty(&r.without)))
        return cmd_usage(cmd, "--suggest goes with hosts and --json alone");
    if (r.text && r.json)
        return cmd_usage(cmd, "--text or --json, not both");
    return run_request(&r, argc - first, argv + first);
}

const struct command cmd_level = {
    .name = "level",
    .args = "[--at LEVEL] [--without NAMES] HOST... [-o POOL]",
    .summary = "what the hosts of a pool share",
    .about =
        "Computes the CPU that a guest can be born with and then move to any of these hosts: "
        "what all of them offer by default. Prints what each host gives up for it, which host "
        "costs the pool each feature, and, for PV guests, what their programs see beyond or "
        "short of it. Without -o nothing is written. HOST is a host's file, or - for this "
        "host.\n\n"
        "--at cuts it to a level that has a name (--list), or to one in a file: features above "
        "it are left out, and a host that cannot give all of it is named. Without hosts it is "
        "printed. --without leaves features out, and what stands on them. --suggest names the "
        "newest level that all can give, and what each host costs the others.\n\n"
        "Status 1: these hosts have no common level, one of them cannot give the level asked "
        "for, or with --strict one of them cannot hold PV guests to it.",
    .options = options,
    .run = run_level,
};
