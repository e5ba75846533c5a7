/* SPDX-License-Identifier: MIT */
/*
 * xenlevel pool level: what the pool's level is, and how it gets another.
 */
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "json.h"
#include "level-at.h"
#include "out.h"
#include "pool-level.h"
#include "util.h"
#include "xlp.h"

static const struct cmd_option options[] = {
    POOL_WHERE,
    {'f', "from", "LEVEL", "make NAME's next version: a level's file, or a named level"},
    {'c', "compute", NULL, "make NAME's next version: what all hosts share"},
    {'W', "without", "NAMES", "and leave these features out, as in 'avx512*,rtm'"},
    {'u', "use", NULL, "make the version NAME.vN, which there is, the pool's level again"},
    {'o', "output", "FILE", "write the level to a file, for apply, xlcfg and check"},
    {'S', "suggest", NULL, "what the hosts could have, and what it costs"},
    POOL_WHY,
    CMD_JSON,
    CMD_END,
};

struct request {
    const char *name, *from, *without, *why, *output;
    bool compute, use, suggest, json;
};

#define GUARDED 64u /* hosts that are conditions of a change: etcd takes 128 */

enum outcome { MADE, SAME, REFUSED, NO_HOSTS, NO_SUCH };

/* What is wished, and what came of it. */
struct setting {
    const struct request *request;
    struct level_wish wish;
    const Xenlevel__Level *take; /* a whole level; NULL: the wish */

    enum outcome outcome;
    bool unguarded;       /* a host may have changed meanwhile */
    char *level, *before; /* names; before NULL: the pool had none */
    char **refusals;      /* "alpha and 3 like it: it lacks ..." */
    size_t n_refusals;
    struct featureset gained[POOL_TYPES], lost[POOL_TYPES], fallen;
    struct vm_list below, above;
};

static void forget(struct setting *s)
{
    free(s->level);
    free(s->before);
    for (size_t i = 0; i < s->n_refusals; i++)
        free(s->refusals[i]);
    free(s->refusals);
    vm_list_free(&s->below);
    vm_list_free(&s->above);
    s->level = s->before = NULL;
    s->refusals = NULL;
    s->n_refusals = 0;
}

static void keep_refusals(struct setting *s, const struct level_made *made)
{
    s->refusals = xcalloc(made->n_objections + 1, sizeof(*s->refusals));
    for (size_t i = 0; i < made->n_objections; i++) {
        const struct level_objection *o = &made->objections[i];

        s->refusals[s->n_refusals++] =
            o->hosts > 1 ? xasprintf("%s and %zu like it: %s", o->host, o->hosts - 1, o->why)
                         : xasprintf("%s: %s", o->host, o->why);
    }
}

static void add_detail(struct pool_change *c, const char *what, unsigned int type,
                       const struct featureset *fs)
{
    char *names;

    if (featureset_empty(fs))
        return;
    names = pool_name_features(fs);
    pool_change_detail(c, "%s guests %s %s", type == POOL_PV ? "PV" : "HVM and PVH", what, names);
    free(names);
}

/* What the change means: for the history, and for whoever made it. */
static void describe_change(struct setting *s, struct pool_change *c, const struct pool *p,
                            const struct pool_level *to)
{
    const struct pool_level *from = p->level == POOL_NONE ? NULL : &p->levels[p->level];

    if (from)
        pool_change_detail(c, "%s takes the place of %s", to->name, from->name);
    for (unsigned int type = POOL_TYPES; type-- > POOL_PV;) {
        level_difference(from, to, type, &s->gained[type], &s->lost[type]);
        if (from) {
            add_detail(c, "gain", type, &s->gained[type]);
            add_detail(c, "lose", type, &s->lost[type]);
        }
    }
    level_find_below(p, to, &s->below);
    level_find_above(p, to, &s->above);
}

static void put(struct setting *s, struct pool_change *c, const struct pool *p)
{
    Xenlevel__Pool record = *p->record;

    record.level = s->level;
    pool_change_event(c, "level", s->level, s->request->why);
    pool_put_record(c, &record);
}

/* The pool's level is an older version again. */
static enum pool_decision use_level(struct setting *s, struct pool_change *c, const struct pool *p)
{
    size_t i = pool_find_level(p, s->request->name);

    if (i == POOL_NONE) {
        s->outcome = NO_SUCH;
        return POOL_REFUSE;
    }
    s->level = xstrdup(p->levels[i].name);
    if (i == p->level) {
        s->outcome = SAME;
        return POOL_NOTHING;
    }
    s->outcome = MADE;
    put(s, c, p);
    describe_change(s, c, p, &p->levels[i]);
    return POOL_COMMIT;
}

/* The base of the name: as it was given, or that of the level that the pool has. */
static const char *choose_name(const struct setting *s, const struct pool *p)
{
    if (s->request->name)
        return s->request->name;
    return p->level == POOL_NONE ? p->record->name : p->levels[p->level].name;
}

/* Is the level that would be made another version of the one that the pool has? */
static bool keeps_name(const struct setting *s, const struct pool *p)
{
    char *next = level_next_name(p, p->levels[p->level].name);
    bool same = !strcmp(next, s->level);

    free(next);
    return same;
}

static enum pool_decision put_made(struct setting *s, struct pool_change *c, const struct pool *p,
                                   struct level_made *made)
{
    struct pool_level *view = xcalloc(1, sizeof(*view));
    enum pool_decision decision = POOL_COMMIT;

    s->level = level_next_name(p, choose_name(s, p));
    if (made->file->level->name != (char *)protobuf_c_empty_string)
        free(made->file->level->name);
    made->file->level->name = xstrdup(s->level);
    level_view(view, s->level, made->file);
    s->fallen = made->fallen;
    if (p->level != POOL_NONE && keeps_name(s, p) && level_is_same(view, &p->levels[p->level])) {
        free(s->level);
        s->level = xstrdup(p->levels[p->level].name);
        s->outcome = SAME;
        decision = POOL_NOTHING;
    } else {
        s->outcome = MADE;
        put(s, c, p);
        pool_put_level(c, s->level, made->file);
        describe_change(s, c, p, view);
        s->unguarded = p->n_hosts > GUARDED;
        for (size_t i = 0; !s->unguarded && i < p->n_hosts; i++)
            pool_require_host(c, p->hosts[i].record->name);
    }
    free(view);
    return decision;
}

static enum pool_decision decide(struct pool_change *c, const struct pool *p, void *arg)
{
    struct setting *s = arg;
    enum pool_decision decision = POOL_REFUSE;
    struct level_made made;

    forget(s);
    s->before = p->level == POOL_NONE ? NULL : xstrdup(p->levels[p->level].name);
    if (s->request->use)
        return use_level(s, c, p);
    if (!p->n_hosts && !s->take) {
        s->outcome = NO_HOSTS;
        return POOL_REFUSE;
    }
    if (s->take)
        level_take(p, s->take, &made);
    else
        level_make(p, &s->wish, &made);
    if (made.n_objections) {
        s->outcome = REFUSED;
        keep_refusals(s, &made);
    } else {
        decision = put_made(s, c, p, &made);
    }
    level_made_free(&made);
    return decision;
}

/* ---- what came of it ---- */

static void print_features(const char *what, unsigned int type, const struct featureset *fs)
{
    char *names;

    if (featureset_empty(fs))
        return;
    names = pool_name_features(fs);
    out_text(stdout, 2, 4, "%s guests %s %s", type == POOL_PV ? "PV" : "HVM and PVH", what, names);
    free(names);
}

static void print_outcome(const struct setting *s)
{
    char *names;

    if (s->outcome == SAME) {
        out_text(stdout, 0, 2, "nothing to change: %s is that already", s->level);
        return;
    }
    if (s->before)
        out_text(stdout, 0, 2, "%s is the pool's level now, in the place of %s", s->level,
                 s->before);
    else
        out_text(stdout, 0, 2, "%s is the pool's level now", s->level);
    for (unsigned int type = POOL_TYPES; s->before && type-- > POOL_PV;) {
        print_features("gain", type, &s->gained[type]);
        print_features("lose", type, &s->lost[type]);
    }
    if (!featureset_empty(&s->fallen)) {
        names = pool_name_features(&s->fallen);
        out_text(stdout, 2, 4, "%s left out too, for what is left out is needed", names);
        free(names);
    }
    vm_list_print(&s->below, "domain needs a power cycle to have all of it",
                  "domains need a power cycle to have all of it");
    vm_list_print(&s->above, "domain has more than it and cannot go everywhere",
                  "domains have more than it and cannot go everywhere");
}

static void print_refusals(const struct setting *s)
{
    switch (s->outcome) {
    case NO_HOSTS:
        warn("the pool has no hosts: `xenlevel pool join`, or --from a level's file");
        break;
    case NO_SUCH:
        warn("the pool has no level %s: `xenlevel pool level` names them", s->request->name);
        break;
    default:
        warn("hosts of the pool cannot give it:");
        for (size_t i = 0; i < s->n_refusals; i++)
            out_text(stderr, 2, 4, "%s", s->refusals[i]);
        break;
    }
}

static int outcome_json(const struct setting *s)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_string(j, "level", s->outcome == MADE || s->outcome == SAME ? s->level : NULL);
    json_bool(j, "changed", s->outcome == MADE);
    json_string(j, "before", s->before);
    json_array(j, "refused_by");
    for (size_t i = 0; i < s->n_refusals; i++)
        json_string(j, NULL, s->refusals[i]);
    json_close_array(j);
    for (unsigned int type = POOL_TYPES; type-- > POOL_PV;) {
        json_object(j, type == POOL_PV ? "pv" : "hvm");
        json_features(j, "gained", &s->gained[type]);
        json_features(j, "lost", &s->lost[type]);
        json_close_object(j);
    }
    json_features(j, "fallen", &s->fallen);
    vm_list_json(j, "power_cycle", &s->below);
    vm_list_json(j, "above", &s->above);
    json_close_object(j);
    return json_end(j);
}

/* ---- the command ---- */

/* A host that came or changed while the level was made was held against the one before. */
static void look_again(struct store *store)
{
    struct pool p;
    size_t *hosts, left_out = 0;
    struct pool_admission a;

    if (!pool_load(store, &p) && p.level != POOL_NONE) {
        hosts = xcalloc(p.n_captures + 1, sizeof(*hosts));
        for (size_t i = 0; i < p.n_hosts; i++)
            hosts[p.hosts[i].capture]++;
        for (size_t i = 0; i < p.n_captures; i++) {
            if (!hosts[i])
                continue;
            pool_admit(&p.captures[i], &p.levels[p.level], &a);
            left_out += a.verdict == VERDICT_YES ? 0 : hosts[i];
        }
        free(hosts);
    }
    pool_free(&p);
    if (left_out)
        warn("hosts that came or changed meanwhile cannot give it: `xenlevel pool level` names "
             "them");
}

static int change_level(struct setting *s, const char *where)
{
    struct store *store = pool_open(where, false);
    int rc, status;

    if (!store)
        return STATUS_TROUBLE;
    rc = pool_change_run(store, NULL, decide, s);
    status = pool_change_status(rc);
    if (rc >= 0 && s->request->json && outcome_json(s))
        status = STATUS_TROUBLE;
    if (rc == 2)
        print_refusals(s);
    else if (rc >= 0 && !s->request->json)
        print_outcome(s);
    if (rc == 0 && s->unguarded)
        look_again(store);
    if (rc == 2 && s->outcome == NO_SUCH)
        status = STATUS_TROUBLE;
    forget(s);
    store_close(store);
    return status;
}

/* --from: a named level is a ceiling, any other a level as it is. */
static int open_from(const char *from, struct subject *s, struct named_level *at,
                     struct setting *setting)
{
    if (level_at_subject(from, s))
        return -1;
    if (s->kind == SUBJECT_LEVEL) {
        if (!featureset_empty(&setting->wish.without)) {
            warn("--without goes with --compute and named levels: %s is taken as it is", s->origin);
            return -1;
        }
        setting->take = s->file->level;
        return 0;
    }
    if (s->kind != SUBJECT_NAMED) {
        warn("--from: %s is no level", s->origin);
        return -1;
    }
    *at = *s->named;
    memset(s->named, 0, sizeof(*s->named));
    setting->wish.at = at;
    return 0;
}

static int run_change(const struct request *r, const char *where)
{
    struct setting s = {.request = r};
    struct named_level at = {.base = ""};
    struct subject *from = xcalloc(1, sizeof(*from));
    int status = STATUS_TROUBLE;

    if ((!r->without || !level_without_parse(r->without, &s.wish.without)) &&
        (!r->from || !open_from(r->from, from, &at, &s)))
        status = change_level(&s, where);
    subject_close(from);
    free(from);
    named_free(&at);
    return status;
}

/* A level of the pool as a file, which every command takes. */
static int write_level(const struct pool *p, const struct request *r)
{
    size_t i = r->name ? pool_find_level(p, r->name) : p->level;
    struct xlp_error error;

    if (i == POOL_NONE)
        return r->name
                   ? complain("the pool has no level %s: --from or --compute makes one", r->name)
                   : complain("the pool has no level yet: `xenlevel pool level NAME --compute`");
    if (xlp_save(r->output, p->levels[i].file, &error))
        return complain("%s", error.text);
    if (!r->json)
        out_text(stdout, 0, 2, "%s is written to %s", p->levels[i].name, r->output);
    return STATUS_YES;
}

static int run_show(const struct request *r, const char *where)
{
    struct pool_session s;
    int status = pool_session_open(&s, where);

    if (!status && r->output)
        status = write_level(&s.pool, r);
    if (!status && (!r->output || r->json))
        status = r->suggest ? pool_level_suggest(&s.pool, r->json)
                            : pool_level_show(&s.pool, r->name, r->json);
    pool_session_close(&s);
    return status;
}

/* Does the name end in ".vN"? */
static bool has_version(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && dot[1] == 'v' && dot[2] && strspn(dot + 2, "0123456789") == strlen(dot + 2);
}

/* What does not go together; NULL where all does. */
static const char *find_misuse(const struct request *r)
{
    if (r->from && r->compute)
        return "--from or --compute, not both";
    if (r->without && !r->from && !r->compute)
        return "--without goes with --from or --compute";
    if (r->use && (!r->name || r->from || r->compute))
        return "--use goes with a NAME.vN alone";
    if ((r->from || r->compute) && r->name && has_version(r->name))
        return "the registry numbers the versions: NAME without .vN";
    if (r->output && (r->use || r->from || r->compute || r->suggest))
        return "--output goes with a NAME.vN and --json alone";
    if (r->suggest && (r->name || r->use || r->from || r->compute))
        return "--suggest goes with --json alone";
    if (r->name && (!*r->name || strlen(r->name) > 100))
        return "a level's name has 1 to 100 bytes";
    return NULL;
}

static int run_level(const struct command *cmd, int argc, char **argv)
{
    struct request r = {.name = NULL};
    const char *value, *where = NULL;
    int letter, first;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        switch (letter) {
        case 'p':
            where = value;
            break;
        case 'f':
            r.from = value;
            break;
        case 'c':
            r.compute = true;
            break;
        case 'W':
            r.without = value;
            break;
        case 'u':
            r.use = true;
            break;
        case 'o':
            r.output = value;
            break;
        case 'S':
            r.suggest = true;
            break;
        case 'w':
            r.why = value;
            break;
        case 'j':
            r.json = true;
            break;
        default:
            return STATUS_TROUBLE;
        }
    }
    if (argc - first > 1)
        return cmd_usage(cmd, "one name at most");
    r.name = argc > first ? argv[first] : NULL;
    if (find_misuse(&r))
        return cmd_usage(cmd, find_misuse(&r));
    return r.from || r.compute || r.use ? run_change(&r, where) : run_show(&r, where);
}

const struct command pool_cmd_level = {
    .group = "pool",
    .name = "level",
    .args = "[NAME] [--from LEVEL | --compute] [--without NAMES]",
    .summary = "the pool's level, and how it gets another",
    .about =
        "Shows the pool's level: which hosts can give it, where new domains are born on it, and "
        "which domains are below or above it. A level never changes: --from and --compute make the "
        "next version, NAME.vN, and make it the pool's. --compute: what all hosts share; --from: a "
        "file of `xenlevel level`, taken as it is, or a named level (`xenlevel level --list`), to "
        "which what the hosts share is cut. Hosts that cannot give it are named, and nothing is "
        "changed. -o writes it to a file. --suggest says what the pool could have, who needs a "
        "power cycle for it, and "
        "what "
        "retiring a host gains the others. Status 1: refused.",
    .options = options,
    .run = run_level,
};
