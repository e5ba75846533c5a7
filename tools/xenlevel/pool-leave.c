/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool leave, and pool maintenance: what an admin says of a member.
 */
#include <string.h>

#include "change.h"
#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "util.h"

/* What the command line of both says. */
struct said {
    const char *where, *why;
    bool force, json;
};

/* 0; -1 after a message */
static int read_options(const struct command *cmd, int argc, char **argv, struct said *s,
                        int *first)
{
    const char *value;
    int letter;

    *s = (struct said){.where = NULL};
    while ((letter = cmd_option(cmd, argc, argv, &value, first)) != -1) {
        if (letter == 'p')
            s->where = value;
        else if (letter == 'f')
            s->force = true;
        else if (letter == 'w')
            s->why = value;
        else if (letter == 'j')
            s->json = true;
        else
            return -1;
    }
    return 0;
}

/* ---- leaving ---- */

struct leave {
    const char *host, *why;
    bool force, member;
    size_t domains, images;
};

static size_t count_images(const struct pool *p, const struct pool_host *h)
{
    size_t n = 0;

    for (size_t i = h->first_domain; i < h->first_domain + h->n_domains; i++)
        n += p->domains[i].record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
    return n;
}

static enum pool_decision decide_leave(struct pool_change *c, const struct pool *p, void *arg)
{
    struct leave *l = arg;
    size_t host = pool_find_host(p, l->host);

    l->member = host != POOL_NONE;
    if (!l->member)
        return POOL_REFUSE;
    l->images = count_images(p, &p->hosts[host]);
    l->domains = p->hosts[host].n_domains - l->images;
    if (p->hosts[host].n_domains && !l->force)
        return POOL_REFUSE;
    pool_change_event(c, "leave", l->host, l->why);
    if (p->hosts[host].n_domains)
        pool_change_detail(c, "with %zu domains and %zu images", l->domains, l->images);
    pool_require_host(c, l->host);
    pool_require_domains(c, l->host);
    pool_remove_host(c, l->host);
    return POOL_COMMIT;
}

/* Returns a status, for what is no member. */
static int complain_of_host(struct store *store, const char *host)
{
    return complain("there is no host '%s' in the pool (%s)", host, store_name(store));
}

static int print_leave_json(const struct leave *l, bool left)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "host", l->host);
    json_bool(j, "left", left);
    json_number(j, "domains", l->domains);
    json_number(j, "images", l->images);
    json_close_object(j);
    return json_end(j);
}

static int leave_pool(struct leave *l, struct store *store, bool json)
{
    int outcome = pool_change_run(store, l->host, decide_leave, l);
    char domains[32], images[32];
    int status = pool_change_status(outcome);

    if (outcome < 0)
        return status;
    if (!l->member)
        return complain_of_host(store, l->host);
    if (json)
        return print_leave_json(l, !outcome) ? STATUS_TROUBLE : status;
    if (outcome)
        warn("%s has %s and %s: they are to go first, or --force forgets them", l->host,
             plural(domains, sizeof(domains), l->domains, "domain", "domains"),
             plural(images, sizeof(images), l->images, "saved image", "saved images"));
    else
        out_text(stdout, 0, 2, "%s has left", l->host);
    return status;
}

static int run_leave(const struct command *cmd, int argc, char **argv)
{
    struct leave l = {.why = NULL};
    struct said said;
    struct store *store;
    int first, status;

    if (read_options(cmd, argc, argv, &said, &first))
        return STATUS_TROUBLE;
    if (argc - first != 1)
        return cmd_usage(cmd, "takes one host");
    l.host = argv[first];
    l.why = said.why;
    l.force = said.force;
    store = pool_open(said.where, false);
    if (!store)
        return STATUS_TROUBLE;
    status = leave_pool(&l, store, said.json);
    store_close(store);
    return status;
}

/* ---- maintenance ---- */

struct maintenance {
    const char *host, *why;
    bool on, member;
};

static enum pool_decision decide_maintenance(struct pool_change *c, const struct pool *p, void *arg)
{
    struct maintenance *m = arg;
    size_t host = pool_find_host(p, m->host);
    Xenlevel__PoolHost record;

    m->member = host != POOL_NONE;
    if (!m->member)
        return POOL_REFUSE;
    record = *p->hosts[host].record;
    if (!record.maintenance == !m->on)
        return POOL_NOTHING;
    record.maintenance = m->on;
    pool_change_event(c, "maintenance", m->host, m->why);
    pool_change_detail(c, m->on ? "nothing is to be placed there" : "guests may be placed there");
    pool_put_host(c, &record);
    return POOL_COMMIT;
}

static int print_maintenance_json(const struct maintenance *m, bool changed)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "host", m->host);
    json_bool(j, "maintenance", m->on);
    json_bool(j, "changed", changed);
    json_close_object(j);
    return json_end(j);
}

static int set_maintenance(struct maintenance *m, struct store *store, bool json)
{
    int outcome = pool_change_run(store, m->host, decide_maintenance, m);

    if (outcome < 0)
        return STATUS_TROUBLE;
    if (!m->member)
        return complain_of_host(store, m->host);
    if (json)
        return print_maintenance_json(m, !outcome);
    out_text(stdout, 0, 2, "%s: maintenance %s%s", m->host, m->on ? "on" : "off",
             outcome ? ", as before" : "");
    return STATUS_YES;
}

static int run_maintenance(const struct command *cmd, int argc, char **argv)
{
    struct maintenance m = {.why = NULL};
    struct said said;
    struct store *store;
    int first, status;

    if (read_options(cmd, argc, argv, &said, &first))
        return STATUS_TROUBLE;
    if (argc - first != 2 ||
        (strcmp(argv[first + 1], "on") != 0 && strcmp(argv[first + 1], "off") != 0))
        return cmd_usage(cmd, "takes a host, and on or off");
    m.host = argv[first];
    m.on = !strcmp(argv[first + 1], "on");
    m.why = said.why;
    store = pool_open(said.where, false);
    if (!store)
        return STATUS_TROUBLE;
    status = set_maintenance(&m, store, said.json);
    store_close(store);
    return status;
}

static const struct cmd_option leave_options[] = {
    POOL_WHERE, {'f', "force", NULL, "also with domains and images: the registry forgets them"},
    POOL_WHY,   CMD_JSON,
    CMD_END,
};

const struct command pool_cmd_leave = {
    .group = "pool",
    .name = "leave",
    .args = "HOST",
    .summary = "take a host out of the pool",
    .about = "Takes a host out of the registry. One that has domains, or images of saved domains, "
             "is refused (status 1): they are to go elsewhere first, or --force forgets them.",
    .options = leave_options,
    .run = run_leave,
};

static const struct cmd_option maintenance_options[] = {POOL_WHERE, POOL_WHY, CMD_JSON, CMD_END};

const struct command pool_cmd_maintenance = {
    .group = "pool",
    .name = "maintenance",
    .args = "HOST on|off",
    .summary = "nothing is to be placed on a host, or may be again",
    .about = "Says of a host that nothing is to be placed there (on), as before an update, or that "
             "guests may be (off). Plans of evacuations leave it out meanwhile.",
    .options = maintenance_options,
    .run = run_maintenance,
};
