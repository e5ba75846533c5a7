/* SPDX-License-Identifier: MIT */
/*
 * xenlevel apply: give a new domain the CPU of a pool's level.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "enforce.h"
#include "json.h"
#include "level.h"
#include "out.h"
#include "programs.h"
#include "show.h"
#include "subject.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'d', "dry-run", NULL, "say what would change, change nothing"},
    CMD_STRICT,
    CMD_JSON,
    CMD_END,
};

struct application {
    const struct subject *domain, *pool;
    struct level_change *change;
    bool dry, strict, json;
    bool pv;
    struct programs programs; /* PV: what they read here */
};

static int refuse_if_run(const struct xc_domain_info *info, const char *name)
{
    if (info->domid == 0)
        return complain("domain 0 is the host's own: it cannot be given another CPU");
    if (info->dying || info->shutdown)
        return complain("domain '%s' has shut down", name);
    if (info->has_run)
        return complain("domain '%s' has run already: its CPU cannot change any more. Create it "
                        "with `xl create -p`, apply the level, then `xl unpause`",
                        name);
    if (!info->paused)
        return complain("domain '%s' is not paused: create it with `xl create -p`", name);
    return STATUS_YES;
}

/* --strict, before anything is changed. */
static int refuse_if_loose(xc_handle *xch, struct application *a)
{
    if (!a->strict || !a->pv)
        return STATUS_YES;
    (void)programs_look(xch, &a->change->wanted, &a->programs);
    if (programs_exact(&a->programs))
        return STATUS_YES;
    programs_print(stderr, &a->programs, a->domain->name);
    warn("refused by --strict: '%s' stays as it is", a->domain->name);
    return STATUS_NO;
}

/* ---- what became of it ---- */

static int report_text(const struct application *a)
{
    const struct subject *domain = a->domain, *pool = a->pool;
    const struct level_change *c = a->change;
    bool dry = a->dry;
    char count[32];

    if (featureset_empty(&c->dropped))
        out_text(stdout, 0, 2, "'%s' is at the level of '%s' already", domain->name, pool->name);
    else {
        out_text(
            stdout, 0, 2, "'%s' %s the level of '%s': without %s:", domain->name,
            dry ? "would be at" : "is at", pool->name,
            plural(count, sizeof(count), featureset_count(&c->dropped), "feature", "features"));
        show_features(stdout, 2, &c->dropped);
    }
    if (a->pv)
        programs_print(stdout, &a->programs, domain->name);
    if (dry)
        return STATUS_YES;
    if (!featureset_empty(&c->kept)) {
        out_text(stdout, 0, 2, "the hypervisor did not take away:");
        show_features(stdout, 2, &c->kept);
    }
    if (!featureset_empty(&c->absent)) {
        out_text(stdout, 0, 2, "the hypervisor does not give it:");
        show_features(stdout, 2, &c->absent);
    }
    if (c->other)
        out_text(stdout, 0, 2,
                 "%s (highest leaves, address width, MSR CE or XSAVE layout) not as asked for",
                 plural(count, sizeof(count), c->other, "register", "registers"));
    return level_taken(c) ? STATUS_YES : STATUS_NO;
}

static int report_json(const struct application *a)
{
    const struct subject *domain = a->domain, *pool = a->pool;
    const struct level_change *c = a->change;
    bool dry = a->dry;
    bool taken = level_taken(c);
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "domain", domain->name);
    json_number(j, "domid", domain->domid);
    json_string(j, "pool", pool->name);
    json_bool(j, "dry_run", dry);
    json_features(j, "dropped", &c->dropped);
    if (!dry) {
        json_bool(j, "as_asked", taken);
        json_features(j, "not_taken_away", &c->kept);
        json_features(j, "not_given", &c->absent);
        json_number(j, "other_registers", c->other);
    }
    if (a->pv)
        json_programs(j, &a->programs);
    json_close_object(j);
    if (json_end(j))
        return STATUS_TROUBLE;
    return dry || taken ? STATUS_YES : STATUS_NO;
}

static int apply_level(struct application *a)
{
    xc_handle *xch = xc_interface_open(out_logger());
    struct level_change *c = xcalloc(1, sizeof(*c));
    enum subject_type type = a->domain->type;
    const struct cpu_policy *level = subject_guest_policy(a->pool, &type);
    struct xc_domain_info info;
    int status = STATUS_TROUBLE;

    a->change = c;
    if (!xch || !level || xc_domain_getinfo(xch, a->domain->domid, &info))
        goto out;
    status = refuse_if_run(&info, a->domain->name);
    if (status)
        goto out;
    a->pv = info.type == XC_DOMAIN_PV;
    c->wanted = a->domain->guest;
    if (policy_apply_level(&c->wanted, level, &c->dropped)) {
        status = complain("'%s' has another vendor's CPU, or another CLFLUSH size, than the level "
                          "of '%s': it was not made on a host of that pool",
                          a->domain->name, a->pool->name);
        goto out;
    }
    status = refuse_if_loose(xch, a);
    if (!status && !a->dry)
        status = level_apply(xch, a->domain->domid, c) ? STATUS_TROUBLE : STATUS_YES;
    if (!status) {
        if (a->pv)
            (void)programs_look(xch, a->dry ? &c->wanted : &c->after, &a->programs);
        status = (a->json ? report_json : report_text)(a);
    }
out:
    xc_interface_close(xch);
    free(c);
    return status;
}

static int run_apply(const struct command *cmd, int argc, char **argv)
{
    struct subject *domain, *pool;
    int letter, first, status = STATUS_TROUBLE;
    struct application a = {.dry = false};
    const char *value;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'd')
            a.dry = true;
        else if (letter == 's')
            a.strict = true;
        else if (letter == 'j')
            a.json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first != 2)
        return cmd_usage(cmd, "a domain and a pool are needed");
    domain = xcalloc(1, sizeof(*domain));
    pool = xcalloc(1, sizeof(*pool));
    a.domain = domain;
    a.pool = pool;
    /* The pool first: it is there to be wrong without a hypervisor. */
    if (!subject_open(argv[first + 1], pool) && !subject_open(argv[first], domain)) {
        if (pool->kind != SUBJECT_LEVEL)
            status = complain("%s is not a pool's level", pool->origin);
        else if (domain->domid == POLICY_NONE)
            status = complain("%s is not a domain", domain->origin);
        else
            status = apply_level(&a);
    }
    subject_close(domain);
    subject_close(pool);
    free(domain);
    free(pool);
    return status;
}

const struct command cmd_apply = {
    .name = "apply",
    .args = "DOMAIN POOL",
    .summary = "give a new domain the CPU of a pool's level",
    .about = "Brings the CPU of a domain down to a pool's level, so that it can move to every host "
             "of the pool. The domain must be new: made by `xl create -p`, and not unpaused yet. "
             "What the hypervisor took is read back; whatever differs from what was asked for is "
             "named (status 1). Of a PV domain also what its programs will read otherwise on this "
             "host; with --strict that is refused (status 1). A domain made by `xl restore -p` "
             "looks new to the hypervisor, but "
             "its kernel has seen its CPU already: do not apply a level to it.",
    .options = options,
    .run = run_apply,
};
