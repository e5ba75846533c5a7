/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool cmdline: what to write on Xen's command line so that domains are born on the level.
 */
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "json.h"
#include "out.h"
#include "pool-level.h"
#include "util.h"

#define LINE_MAX_XEN 1024u /* bytes that Xen keeps of its command line */

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'l', "level", "NAME.vN", "for this level (default: the pool's)"},
    CMD_JSON,
    CMD_END,
};

/* Who could come in, and could not any more. */
static void find_kept_out(const struct pool *p, const struct pool_capture *before,
                          const struct pool_capture *after, struct vm_list *l)
{
    enum verdict *could = xcalloc(p->n_policies + 1, sizeof(*could));
    enum verdict *can = xcalloc(p->n_policies + 1, sizeof(*can));
    struct featureset *out = xcalloc(p->n_policies + 1, sizeof(*out));

    pool_too_rich(p, before, could);
    pool_too_rich(p, after, can);
    for (size_t i = 0; i < p->n_policies; i++)
        if (could[i] != VERDICT_NO && can[i] == VERDICT_NO)
            featureset_set(&out[i], 0);
    vm_list_add(l, p, out);
    free(out);
    free(can);
    free(could);
}

static void print_notes(const struct pool_cmdline *c, const struct pool_level *level,
                        const struct pool_host *host, const struct vm_list *kept_out)
{
    char *text;

    if (c->in_place)
        out_text(stdout, 2, 4, "in the place of the cpuid= that is there");
    if (strlen(c->line) + strlen(host->record->xen_cmdline) >= LINE_MAX_XEN)
        out_text(stdout, 2, 4, "with the rest it is longer than the %u bytes that Xen keeps",
                 LINE_MAX_XEN - 1);
    if (!featureset_empty(&c->unnamed)) {
        text = pool_name_features(&c->unnamed);
        out_text(stdout, 2, 4, "that Xen has no name for %s, and cannot hide it", text);
        free(text);
    }
    if (!featureset_empty(&c->kept)) {
        text = pool_name_features(&c->kept);
        out_text(stdout, 2, 4,
                 "not in it, for cpuid= would also change how Xen protects itself: %s", text);
        free(text);
    }
    if (!featureset_empty(&c->needed)) {
        text = pool_name_features(&c->needed);
        out_text(stdout, 2, 4, "not in it, for guests of the level could not come in without: %s",
                 text);
        free(text);
    }
    if (c->predicted) {
        text = pool_birth_text(&c->birth, level);
        out_text(stdout, 2, 4, "with it new domains are, as far as that can be worked out, %s%s",
                 c->birth.exactly == VERDICT_YES ? "" : "not exactly on the level: ", text);
        free(text);
    } else {
        out_text(stdout, 2, 4,
                 "what comes of it cannot be worked out: look with `xenlevel pool "
                 "status` after the reboot");
    }
    vm_list_print(kept_out, "domain has more and could not come in any more",
                  "domains have more and could not come in any more");
}

static void host_json(struct json *j, const struct pool_cmdline *c, const struct pool_level *level,
                      const struct pool_host *host, const struct vm_list *kept_out)
{
    char *text = c->predicted ? pool_birth_text(&c->birth, level) : NULL;

    json_object(j, NULL);
    json_string(j, "host", host->record->name);
    json_string(j, "xen", host->record->xen_version);
    json_string(j, "now", host->record->xen_cmdline);
    json_string(j, "line", c->line);
    json_bool(j, "in_place_of_cpuid", c->in_place);
    json_features(j, "unnamed", &c->unnamed);
    json_features(j, "kept_for_xen", &c->kept);
    json_features(j, "kept_for_level", &c->needed);
    json_string(j, "born", text);
    json_bool(j, "exactly", c->predicted && c->birth.exactly == VERDICT_YES);
    vm_list_json(j, "kept_out", kept_out);
    json_close_object(j);
    free(text);
}

/* Returns STATUS_YES where new domains will be exactly on the level. */
static int print_host(const struct pool *p, const struct pool_level *level, size_t i,
                      struct json *j)
{
    const struct pool_host *host = &p->hosts[i];
    const struct pool_capture *capture = &p->captures[host->capture];
    struct vm_list kept_out = {NULL, 0};
    struct pool_cmdline c;
    int status;

    pool_cmdline_make(capture, host->record->xen_version, host->record->xen_cmdline, level, &c);
    if (c.predicted)
        find_kept_out(p, capture, &c.after, &kept_out);
    status = c.predicted && c.birth.exactly == VERDICT_YES ? STATUS_YES : STATUS_NO;
    if (j) {
        host_json(j, &c, level, host, &kept_out);
    } else {
        out_text(stdout, 0, 2, "%s (Xen %s), for %s:", host->record->name,
                 *host->record->xen_version ? host->record->xen_version : "of unknown version",
                 level->name);
        /* Not wrapped: it is to be pasted. */
        out_print(stdout, "  %s\n", *c.line ? c.line : "(nothing to hide)");
        print_notes(&c, level, host, &kept_out);
    }
    vm_list_free(&kept_out);
    pool_cmdline_free(&c);
    return status;
}

static int print_hosts(const struct pool *p, const struct pool_level *level, size_t only, bool json)
{
    struct json *j = json ? json_begin() : NULL;
    int status = STATUS_YES;

    if (j) {
        json_object(j, NULL);
        json_string(j, "level", level->name);
        json_array(j, "hosts");
    }
    for (size_t i = 0; i < p->n_hosts; i++)
        if ((only == POOL_NONE || only == i) && print_host(p, level, i, j))
            status = STATUS_NO;
    if (!j) {
        out_text(stdout, 0, 2,
                 "It narrows what guests may come in with as well: no guest with more than the "
                 "level can be there any more. It counts from the host's next boot on.");
        return status;
    }
    json_close_array(j);
    json_close_object(j);
    return json_end(j) ? STATUS_TROUBLE : status;
}

static int run_cmdline(const struct command *cmd, int argc, char **argv)
{
    const char *value, *where = NULL, *name = NULL;
    size_t level, host = POOL_NONE;
    struct pool_session s;
    int letter, first, status;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'l')
            name = value;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first > 1)
        return cmd_usage(cmd, "one host at most");
    status = pool_session_open(&s, where);
    if (!status) {
        level = name ? pool_find_level(&s.pool, name) : s.pool.level;
        if (argc > first)
            host = pool_session_host(&s, argv[first]);
        if (argc > first && host == POOL_NONE)
            status = STATUS_TROUBLE;
        else if (level == POOL_NONE)
            status = name ? complain("the pool has no level %s", name)
                          : complain("the pool has no level yet: `xenlevel pool level`");
        else
            status = print_hosts(&s.pool, &s.pool.levels[level], host, json);
    }
    pool_session_close(&s);
    return status;
}

const struct command pool_cmd_cmdline = {
    .group = "pool",
    .name = "cmdline",
    .args = "[HOST]",
    .summary = "Xen's command line, so that domains are born on the level",
    .about =
        "Prints for each host what to write on Xen's command line, so that what it offers new "
        "domains by default is the pool's level, for every toolstack and without a step per "
        "domain; "
        "and what comes of it, worked out from the host's CPU: what the command line cannot say "
        "(numbers, warnings) is named. It also narrows what may come in: the domains that could "
        "not "
        "come to the host any more are named. Status 1: new domains would not be exactly on the "
        "level on some host.",
    .options = options,
    .run = run_cmdline,
};
