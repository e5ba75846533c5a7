/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool refresh: a member says what it is now.  At boot and by a timer, on each host.
 */
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "host-record.h"
#include "host-self.h"
#include "json.h"
#include "out.h"
#include "pool-base.h"
#include "pool-commands.h"
#include "pool-conf.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'n', "name", "NAME",
     "what the pool calls this host (default: host = of pool.conf, or its own name)"},
    {'i', "images", "DIR", "images of saved domains are here (default: where xendomains saves to)"},
    {'r', "root", "DIR", "read /proc and /sys, and write /var/lib/xenlevel, below DIR"},
    CMD_JSON,
    CMD_END,
};

struct refresh {
    struct store *store;
    struct host_self self;
    bool member, failed;
    char *pool; /* its name */
    struct host_refresh found;
};

static enum pool_decision decide(struct pool_change *c, const struct pool *p, void *arg)
{
    struct refresh *r = arg;
    size_t host = pool_find_host(p, r->self.name);
    struct pool_base base;

    free(r->pool);
    r->pool = xstrdup(p->record->name);
    r->member = host != POOL_NONE;
    if (!r->member)
        return POOL_REFUSE;
    r->failed = pool_base_open(r->store, p, host, &base) != 0;
    if (r->failed)
        return POOL_REFUSE;
    host_record_refresh(c, p, host, &r->self, &base.moment, &r->found);
    pool_base_close(&base);
    return POOL_COMMIT;
}

static int print_json(const struct refresh *r)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "pool", r->pool);
    json_string(j, "host", r->self.name);
    json_bool(j, "changed", r->found.changed);
    json_number(j, "domains", r->self.domains.n);
    json_array(j, "changes");
    for (size_t i = 0; i < r->found.n_details; i++)
        json_string(j, NULL, r->found.details[i]);
    json_close_array(j);
    json_string(j, "drift", *r->found.drift ? r->found.drift : NULL);
    json_close_object(j);
    return json_end(j);
}

static void print_text(const struct refresh *r)
{
    if (!r->found.changed)
        out_text(stdout, 0, 2, "%s: nothing has changed", r->self.name);
    else
        out_text(stdout, 0, 2, "%s: its record is renewed", r->self.name);
    for (size_t i = 0; i < r->found.n_details; i++)
        out_text(stdout, 2, 4, "%s", r->found.details[i]);
    if (*r->found.drift)
        out_text(stdout, 0, 2, "drift: %s: `xenlevel pool drift` says more", r->found.drift);
}

/* For `xenlevel status` and the gate; of a simulated host only below a root. */
static int write_mark(const struct refresh *r, const char *root)
{
    char now[21];
    struct pool_mark mark = {
        .pool = r->pool,
        .registry = (char *)store_name(r->store),
        .host = r->self.name,
        .refreshed = now,
        .drift = *r->found.drift ? r->found.drift : "none",
    };

    date_now(now);
    if (!*root && r->self.is_sim)
        return 0;
    return pool_mark_write(root, &mark);
}

static int refresh_host(struct refresh *r, const char *root, bool json)
{
    int outcome = pool_change_run(r->store, r->self.name, decide, r);

    if (outcome < 0 || r->failed)
        return STATUS_TROUBLE;
    if (!r->member)
        return complain("%s is no member of pool %s (%s): on it, `xenlevel pool join` makes it one",
                        r->self.name, r->pool, store_name(r->store));
    if (write_mark(r, root))
        return STATUS_TROUBLE;
    if (json)
        return print_json(r);
    print_text(r);
    return STATUS_YES;
}

static int run_refresh(const struct command *cmd, int argc, char **argv)
{
    struct host_self_options o = {.root = ""};
    const char *where = NULL, *value;
    struct refresh r = {.store = NULL};
    char *configured = NULL;
    int letter, first, status = STATUS_TROUBLE;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            where = value;
        else if (letter == 'n')
            o.name = value;
        else if (letter == 'i')
            o.images = value;
        else if (letter == 'r')
            o.root = value;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (first != argc)
        return cmd_usage(cmd, "takes no arguments: a host refreshes itself");
    if (!o.name)
        o.name = configured = pool_conf_host();
    r.store = pool_open(where, false);
    if (r.store && !host_self_read(&r.self, &o))
        status = refresh_host(&r, o.root, json);
    host_self_close(&r.self);
    host_refresh_free(&r.found);
    free(r.pool);
    free(configured);
    store_close(r.store);
    return status;
}

const struct command pool_cmd_refresh = {
    .group = "pool",
    .name = "refresh",
    .args = "",
    .summary = "say what this host is now: at boot, and by a timer",
    .about =
        "Captures this host, reads its microcode, BIOS, Xen, command line, kernel and memory, its "
        "domains with their CPUs, and the images of saved domains, and puts what changed into the "
        "registry, all in one change. Where nothing changed only the time is renewed at which the "
        "host was seen.\n\n"
        "A host that lost what the pool's level needs, or what a guest needs that is there, is not "
        "silently taken as it is now: its record says drift from then on, until all is back, or "
        "`xenlevel pool drift --accept`. The package's timer xenlevel-pool-refresh runs this at "
        "boot and every five minutes once there is /etc/xenlevel/pool.conf.",
    .options = options,
    .run = run_refresh,
};
