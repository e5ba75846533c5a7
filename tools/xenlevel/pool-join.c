/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool join: a host becomes a member, if it can give the pool's level.
 */
#include <stdlib.h>
#include <string.h>

#include "admit.h"
#include "change.h"
#include "host-record.h"
#include "host-self.h"
#include "json.h"
#include "out.h"
#include "pool-commands.h"
#include "pool-conf.h"
#include "util.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'H', "host", "FILE", "a host out of a file of any form, in place of this one"},
    {'n', "name", "NAME", "what the pool calls it (default: its own name, or the file's)"},
    {'l', "lower", NULL, "make the next version of the pool's level, which it can give"},
    {'c', "write-config", NULL,
     "write /etc/xenlevel/pool.conf, so that this host refreshes its record at boot"},
    {'i', "images", "DIR", "images of saved domains are here (default: where xendomains saves to)"},
    {'r', "root", "DIR", "read /proc, /sys and /etc below DIR"},
    POOL_WHY,
    CMD_JSON,
    CMD_END,
};

enum join_outcome { JOIN_DONE, JOIN_MEMBER, JOIN_REFUSED, JOIN_NO_LEVEL };

struct join {
    struct host_self self;
    const char *why;
    bool lower;
    enum join_outcome outcome;
    char *text;  /* what the level says of it */
    char *level; /* the pool's, that it was held against or that was made; NULL: none */
    char **rich; /* after lowering: domains that are too rich for it, "web on alpha" */
    size_t n_rich;
};

static void forget_outcome(struct join *j)
{
    for (size_t i = 0; i < j->n_rich; i++)
        free(j->rich[i]);
    free(j->rich);
    free(j->text);
    free(j->level);
    j->rich = NULL;
    j->n_rich = 0;
    j->text = j->level = NULL;
}

/* "web.v3" -> "web.v4", or the first one behind it that nobody has. */
static char *name_next_version(const struct pool *p, const char *name)
{
    const char *dot = strrchr(name, '.');
    unsigned long version = 0;
    size_t base = strlen(name);
    char *next = NULL;

    if (dot && dot[1] == 'v' && dot[2] >= '0' && dot[2] <= '9') {
        version = strtoul(dot + 2, NULL, 10);
        base = (size_t)(dot - name);
    }
    do {
        free(next);
        next = xasprintf("%.*s.v%lu", (int)base, name, ++version);
    } while (pool_find_level(p, next) != POOL_NONE);
    return next;
}

/* Which domains cannot come to it. */
static void find_rich(struct join *j, const struct pool *p, const struct pool_capture *capture)
{
    enum verdict *verdicts = xcalloc(p->n_policies + 1, sizeof(*verdicts));

    pool_too_rich(p, capture, verdicts);
    for (size_t i = 0; i < p->n_domains; i++) {
        const struct pool_domain *d = &p->domains[i];

        if (d->policy == POOL_NONE || verdicts[d->policy] != VERDICT_NO)
            continue;
        j->rich = xrealloc((void *)j->rich, (j->n_rich + 1) * sizeof(*j->rich));
        j->rich[j->n_rich++] =
            xasprintf("%s on %s", d->record->name, p->hosts[d->host].record->name);
    }
    free(verdicts);
}

/* Make the next version of the level.  -1: they share none; j->text says why. */
static int lower_level(struct join *j, struct pool_change *c, const struct pool *p,
                       const struct pool_capture *capture)
{
    Xenlevel__Pool record = *p->record;
    Xenlevel__File *level = pool_lower(&p->levels[p->level], capture, &j->text);
    char *name, n[32];

    if (!level)
        return -1;
    name = name_next_version(p, p->levels[p->level].name);
    pool_put_level(c, name, level);
    record.level = name;
    pool_put_record(c, &record);
    pool_change_detail(c, "%s takes the place of %s", name, p->record->level);
    find_rich(j, p, capture);
    if (j->n_rich)
        pool_change_detail(c, "%s more CPU than %s can give",
                           plural(n, sizeof(n), j->n_rich, "guest has", "guests have"),
                           j->self.name);
    j->level = name;
    xlp_free(level);
    return 0;
}

/* Hold it against the level.  Whether it may come in. */
static bool admit(struct join *j, struct pool_change *c, const struct pool *p,
                  const struct pool_capture *capture)
{
    struct pool_admission a;

    if (p->level == POOL_NONE) {
        j->outcome = JOIN_DONE;
        return true;
    }
    pool_admit(capture, &p->levels[p->level], &a);
    j->text = pool_admission_text(&a, capture, &p->levels[p->level]);
    j->level = xstrdup(p->levels[p->level].name);
    j->outcome = JOIN_DONE;
    if (a.verdict == VERDICT_YES)
        return true;
    pool_change_detail(c, "%s", j->text);
    j->outcome = JOIN_REFUSED;
    if (!j->lower)
        return false;
    free(j->text);
    free(j->level);
    j->text = j->level = NULL;
    j->outcome = lower_level(j, c, p, capture) ? JOIN_NO_LEVEL : JOIN_DONE;
    return j->outcome == JOIN_DONE;
}

static enum pool_decision decide(struct pool_change *c, const struct pool *p, void *arg)
{
    struct join *j = arg;
    bool admitted;

    forget_outcome(j);
    if (pool_find_host(p, j->self.name) != POOL_NONE) {
        j->outcome = JOIN_MEMBER;
        return POOL_REFUSE;
    }
    pool_change_event(c, "join", j->self.name, j->why);
    admitted = admit(j, c, p, &j->self.cpu);
    if (admitted)
        host_record_join(c, p, &j->self);
    return admitted ? POOL_COMMIT : POOL_REFUSE;
}

static int print_json(const struct join *j, const char *config)
{
    struct json *out = json_begin();

    json_object(out, NULL);
    json_string(out, "host", j->self.name);
    json_bool(out, "joined", j->outcome == JOIN_DONE);
    json_string(out, "level", j->level);
    json_string(out, "text", j->text);
    json_array(out, "too_rich");
    for (size_t i = 0; i < j->n_rich; i++)
        json_string(out, NULL, j->rich[i]);
    json_close_array(out);
    json_string(out, "config", config);
    json_close_object(out);
    return json_end(out);
}

static void print_done(const struct join *j)
{
    out_text(stdout, 0, 2, "%s is a member%s%s", j->self.name, j->text ? ": " : "",
             j->text ? j->text : "");
    if (j->level && !j->text)
        out_text(stdout, 0, 2, "the pool's level is %s now, which it can give", j->level);
    if (!j->level)
        out_text(stdout, 0, 2,
                 "the pool has no level yet: `xenlevel pool level` makes one of its hosts");
    if (j->n_rich)
        out_text(stdout, 0, 2, "too rich for it, until their next power cycle on %s:", j->level);
    for (size_t i = 0; i < j->n_rich; i++)
        out_text(stdout, 2, 4, "%s", j->rich[i]);
}

static void print_refusal(const struct join *j)
{
    switch (j->outcome) {
    case JOIN_MEMBER:
        warn("%s is a member already: on it, `xenlevel pool refresh` renews its record",
             j->self.name);
        break;
    case JOIN_NO_LEVEL:
        warn("%s was not admitted: no level could do for it as well: %s", j->self.name,
             j->text ? j->text : "");
        break;
    default:
        warn("%s was not admitted: %s", j->self.name, j->text);
        out_text(stderr, 0, 2, "--lower makes the next version of %s, which it can give", j->level);
        break;
    }
}

struct join_options {
    const char *where, *file;
    struct host_self_options self;
    bool json, config;
};

/* Join, and say what came of it.  `path`: the configuration that is to be written, or NULL. */
static int join_pool(struct join *j, const struct join_options *o, struct store *store,
                     const char *where, const char *path)
{
    /* Who lowers the level is told which guests anywhere that concerns. */
    int outcome = pool_change_run(store, j->lower ? NULL : j->self.name, decide, j);
    int status = pool_change_status(outcome);

    if (!outcome && path && pool_conf_write(path, where, j->self.name))
        status = STATUS_TROUBLE;
    if (outcome == 2 && !o->json)
        print_refusal(j);
    if (outcome >= 0 && o->json && print_json(j, status == STATUS_YES ? path : NULL))
        status = STATUS_TROUBLE;
    if (outcome || o->json)
        return status;
    print_done(j);
    if (path && status == STATUS_YES)
        out_text(stdout, 0, 2, "written to %s", path);
    return status;
}

static int join_with_config(struct join *j, const struct join_options *o, struct store *store)
{
    char *where = pool_conf_where(o->where), *path = NULL;
    int status = STATUS_TROUBLE;

    if (where)
        path = pool_conf_check(o->self.root, where, j->self.name);
    if (path)
        status = join_pool(j, o, store, where, path);
    free(where);
    free(path);
    return status;
}

/* 0; or -1 after a message. */
static int parse_options(const struct command *cmd, int argc, char **argv, struct join_options *o,
                         struct join *j)
{
    const char *value;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            o->where = value;
        else if (letter == 'H')
            o->file = value;
        else if (letter == 'n')
            o->self.name = value;
        else if (letter == 'l')
            j->lower = true;
        else if (letter == 'c')
            o->config = true;
        else if (letter == 'i')
            o->self.images = value;
        else if (letter == 'r')
            o->self.root = value;
        else if (letter == 'w')
            j->why = value;
        else if (letter == 'j')
            o->json = true;
        else
            return -1;
    }
    if (first != argc)
        (void)cmd_usage(cmd, "takes no arguments; --host FILE names a file");
    else if (o->file && (o->config || o->self.images || *o->self.root))
        (void)cmd_usage(cmd, "--write-config, --images and --root are for this host itself");
    else if (o->self.name && (!*o->self.name || strchr(o->self.name, '/')))
        (void)cmd_usage(cmd, "a host's name is not empty and has no '/'");
    else
        return 0;
    return -1;
}

static int run_join(const struct command *cmd, int argc, char **argv)
{
    struct join_options o = {.self = {.root = ""}};
    struct join j = {.why = NULL};
    struct store *store;
    int rc, status = STATUS_TROUBLE;

    if (parse_options(cmd, argc, argv, &o, &j))
        return STATUS_TROUBLE;
    store = pool_open(o.where, false);
    if (!store)
        return STATUS_TROUBLE;
    rc = o.file ? host_self_from_file(&j.self, o.file, o.self.name)
                : host_self_read(&j.self, &o.self);
    if (!rc)
        status = o.config ? join_with_config(&j, &o, store) : join_pool(&j, &o, store, NULL, NULL);
    host_self_close(&j.self);
    forget_outcome(&j);
    store_close(store);
    return status;
}

const struct command pool_cmd_join = {
    .group = "pool",
    .name = "join",
    .args = "[--host FILE]",
    .summary = "make this host, or one out of a file, a member",
    .about =
        "Captures this host (or takes one out of a file in any form) and puts it into the "
        "registry, "
        "with its domains, its microcode, BIOS, Xen and command line. In a pool that has a level a "
        "host is admitted when guests of the level can come to it; one that cannot give the level, "
        "or of which nobody can say, is refused by name (status 1).\n\n"
        "With --lower the next version of the level is made in the same change, which this host "
        "can "
        "give too; guests that have more CPU than that are named: they cannot come to it before "
        "their next power cycle. With --write-config this host refreshes its record at boot and by "
        "a timer from then on.",
    .options = options,
    .run = run_join,
};
