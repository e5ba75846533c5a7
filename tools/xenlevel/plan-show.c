/* SPDX-License-Identifier: MIT */
/* See plan-show.h. */
#include "plan-show.h"

#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "describe.h"
#include "out.h"
#include "pool-commands.h"
#include "pool-lists.h"
#include "solver.h"
#include "util.h"

static const char *host_name(const struct pool_matrix *m, size_t host)
{
    return m->pool->hosts[host].record->name;
}

static const Xenlevel__Domain *domain_of(const struct pool_matrix *m, size_t domain)
{
    return m->pool->domains[domain].record;
}

/* ---- text ---- */

void plan_print_moves(const struct pool_matrix *m, const struct evacuation *e, unsigned int indent)
{
    struct table t;

    if (!e->n_moves)
        return;
    table_init(&t, 4, indent);
    table_row(&t, "Guest", "Memory", "To", "");
    for (size_t i = 0; i < e->n_moves; i++) {
        const struct plan_move *move = &e->moves[i];
        char size[32];

        table_row(&t, domain_of(m, move->domain)->name,
                  pool_size_text(domain_of(m, move->domain)->memory, size), host_name(m, move->to),
                  move->one_way ? "cannot come back: that host's Xen is newer" : "");
    }
    table_print(&t, stdout);
}

/* "avx2,fma": as XENLEVEL_ALLOW takes them; malloc'ed. */
static char *list_words(const struct featureset *fs)
{
    char *list = NULL, *longer;

    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        char word[64];

        feature_word((unsigned int)f, word, sizeof(word));
        longer = list ? xasprintf("%s,%s", list, word) : xstrdup(word);
        free(list);
        list = longer;
    }
    return list ? list : xstrdup("");
}

static void print_usage(const struct pool_matrix *m, size_t domain, unsigned int indent)
{
    const Xenlevel__Domain *d = domain_of(m, domain);

    if (*d->usage)
        out_text(stdout, indent, indent + 2, "what %s uses: %s", d->name, d->usage);
    else
        out_text(stdout, indent, indent + 2,
                 "what %s uses of that is not known: `xenlevel usage %s` on %s says", d->name,
                 d->name, host_name(m, m->pool->domains[domain].host));
}

static void print_loss(const struct pool_matrix *m, const struct plan_stuck *s, size_t n,
                       const struct plan_help *help, unsigned int indent)
{
    char *words = list_words(&help->features);

    out_text(stdout, indent, indent + 2,
             "%sit gives up what it was told of: XENLEVEL_ALLOW=%s on %s lets it in",
             help == s->helps ? "" : "or ", words, host_name(m, help->host));
    for (size_t i = 0; i < n && i < LIST_MOST; i++)
        print_usage(m, s[i].domain, indent + 2);
    free(words);
}

/* A help for n guests that are stuck alike. */
static void print_help(const struct pool_matrix *m, const struct plan_stuck *s, size_t n,
                       const struct plan_help *help, unsigned int indent)
{
    const char *begin = help == s->helps ? "" : "or ";
    const char *host = host_name(m, help->host);
    char size[32], *list;

    switch (help->kind) {
    case HELP_RESTART:
        if (help->level != POOL_NONE)
            out_text(stdout, indent, indent + 2,
                     "%sa power cycle: started anew on level %s it can run on %s", begin,
                     m->pool->levels[help->level].name, host);
        else
            out_text(stdout, indent, indent + 2,
                     "%sa power cycle: started anew on %s it has that host's CPU", begin, host);
        break;
    case HELP_GIVE_UP:
        print_loss(m, s, n, help, indent);
        break;
    case HELP_UPDATE:
        out_text(stdout, indent, indent + 2,
                 "%s%s is updated first: only its Xen is older, which does not take the state of a "
                 "newer one",
                 begin, host);
        break;
    case HELP_FIND_OUT:
        list = answer_feature_list(&help->features, LIST_MOST);
        out_text(stdout, indent, indent + 2,
                 "a capture of %s itself (`xenlevel pool refresh` there) would say%s%s", host,
                 *list ? ": it depends on " : "", list);
        free(list);
        break;
    case HELP_MEMORY:
        out_text(stdout, indent, indent + 2, "%s freed on %s would do",
                 pool_size_text(help->bytes, size), host);
        break;
    case HELP_MAKE_ROOM:
        out_text(stdout, indent, indent + 2, "or room is made first: %s (%s) can go from %s to %s",
                 domain_of(m, help->other)->name, pool_size_text(help->bytes, size), host,
                 host_name(m, help->other_to));
        break;
    }
}

/* Why it stays, about the host that comes nearest; malloc'ed. */
static char *describe_reason(const struct pool_matrix *m, const struct plan_stuck *s)
{
    const char *host = s->nearest == POOL_NONE ? "" : host_name(m, s->nearest);

    switch (s->reason) {
    case PLAN_NO_HOST:
        return s->why ? xasprintf("no host can take it; the nearest, %s: %s", host, s->why)
                      : xstrdup("no host can take it");
    case PLAN_CANNOT_SAY:
        return xasprintf("nobody can say whether a host can take it; %s: %s", host,
                         s->why ? s->why : "not known");
    case PLAN_TOO_LARGE:
        return xasprintf("the hosts that can run it have not enough free memory; the most is on %s",
                         host);
    case PLAN_CROWDED:
        return xasprintf("the hosts that can run it have no room for it beside the others; the "
                         "most is left on %s",
                         host);
    case PLAN_SIZE_UNKNOWN:
        return xstrdup("nobody knows how much memory it needs");
    case PLAN_CANNOT_RETURN:
        return xasprintf("it could not come home from any host that can take it: the Xen of %s is "
                         "newer",
                         host);
    }
    return xstrdup("");
}

static bool is_same_help(const struct plan_help *a, const struct plan_help *b)
{
    return a->kind == b->kind && a->host == b->host && a->level == b->level &&
           a->bytes == b->bytes && a->other == b->other && a->other_to == b->other_to &&
           featureset_equal(&a->features, &b->features);
}

/* Are two guests of one class stuck for the same reason, and the same would help? */
static bool is_alike(const struct pool_matrix *m, const struct plan_stuck *a,
                     const struct plan_stuck *b)
{
    if (a->reason != b->reason || a->nearest != b->nearest || a->n_helps != b->n_helps ||
        m->row_of[a->domain] != m->row_of[b->domain])
        return false;
    for (size_t i = 0; i < a->n_helps; i++)
        if (!is_same_help(&a->helps[i], &b->helps[i]))
            return false;
    return true;
}

/* How many guests from s on are stuck alike: the same class, for the same reason. */
static size_t count_alike(const struct pool_matrix *m, const struct plan_stuck *s, size_t n)
{
    size_t k = 1;

    while (k < n && is_alike(m, s, &s[k]))
        k++;
    return k;
}

void plan_print_stuck(const struct pool_matrix *m, const struct evacuation *e, unsigned int indent)
{
    size_t n;

    for (size_t i = 0; i < e->n_stuck; i += n) {
        const struct plan_stuck *s = &e->stuck[i];
        char size[32], *reason = describe_reason(m, s), *list = NULL, *names;
        size_t listed = 0;

        n = count_alike(m, s, e->n_stuck - i);
        for (size_t k = 0; k < n; k++)
            list_add(&list, &listed, LIST_MOST, domain_of(m, s[k].domain)->name);
        names = list_end(&list, &listed, LIST_MOST);
        if (n == 1)
            out_text(stdout, indent, indent + 2, "%s (%s, %s) stays: %s", names,
                     row_type(m, m->row_of[s->domain]), pool_size_text(s->need, size), reason);
        else
            out_text(stdout, indent, indent + 2, "%s (%s) stay: %s", names,
                     row_type(m, m->row_of[s->domain]), reason);
        for (size_t k = 0; k < s->n_helps; k++)
            print_help(m, s, n, &s->helps[k], indent + 2);
        free(reason);
        free(names);
    }
}

void plan_print_method(const struct evacuation *e)
{
    if (e->no_library)
        out_text(
            stdout, 2, 4,
            "this plan is by first fit, since there is no solver here; with %s another one may "
            "place more",
            solver_name());
    else if (e->method == ASSIGN_FIRST_FIT)
        out_text(stdout, 2, 4, "this plan is by first fit: another one may place more");
    else if (e->method == ASSIGN_LIMIT)
        out_text(stdout, 2, 4,
                 "the solver reached its limit: another plan may place more than this one");
    else if (e->method == ASSIGN_MOST && e->n_moves)
        out_text(stdout, 2, 4, "no other plan places more of them");
}

static const char *target_word(enum plan_target target)
{
    return target == PLAN_MAINTENANCE ? "in maintenance"
           : target == PLAN_SILENT    ? "silent: nobody knows what it has free now"
                                      : "of which the free memory is not known";
}

void plan_print_skipped(const struct pool *p, size_t host)
{
    for (enum plan_target k = PLAN_MAINTENANCE; k <= PLAN_MEMORY_UNKNOWN; k++) {
        char *names = NULL, *list;
        size_t n = 0;

        for (size_t i = 0; i < p->n_hosts; i++)
            if (i != host && plan_target(p, i) == k)
                list_add(&names, &n, LIST_MOST, p->hosts[i].record->name);
        if (n) {
            list = list_end(&names, &n, LIST_MOST);
            out_text(stdout, 0, 2, "nothing is placed on %s (%s)", list, target_word(k));
            free(list);
        }
    }
}

/* ---- JSON ---- */

static void help_json(struct json *j, const struct pool_matrix *m, const struct plan_stuck *s,
                      const struct plan_help *help)
{
    static const char *const words[] = {
        [HELP_RESTART] = "power-cycle", [HELP_GIVE_UP] = "give-up", [HELP_UPDATE] = "update-host",
        [HELP_FIND_OUT] = "find-out",   [HELP_MEMORY] = "memory",   [HELP_MAKE_ROOM] = "make-room",
    };
    const Xenlevel__Domain *d = domain_of(m, s->domain);

    json_object(j, NULL);
    json_string(j, "help", words[help->kind]);
    json_string(j, "host", host_name(m, help->host));
    if (help->kind == HELP_RESTART)
        json_string(j, "level",
                    help->level == POOL_NONE ? NULL : m->pool->levels[help->level].name);
    if (help->kind == HELP_GIVE_UP || help->kind == HELP_FIND_OUT)
        json_features(j, "features", &help->features);
    if (help->kind == HELP_GIVE_UP)
        json_string(j, "usage", *d->usage ? d->usage : NULL);
    if (help->kind == HELP_MEMORY || help->kind == HELP_MAKE_ROOM)
        json_number(j, "bytes", help->bytes);
    if (help->kind == HELP_MAKE_ROOM) {
        json_string(j, "guest", domain_of(m, help->other)->name);
        json_string(j, "to", host_name(m, help->other_to));
    }
    json_close_object(j);
}

static void stuck_json(struct json *j, const struct pool_matrix *m, const struct plan_stuck *s)
{
    static const char *const words[] = {
        [PLAN_NO_HOST] = "no-host",           [PLAN_CANNOT_SAY] = "cannot-say",
        [PLAN_TOO_LARGE] = "too-large",       [PLAN_CROWDED] = "crowded",
        [PLAN_SIZE_UNKNOWN] = "size-unknown", [PLAN_CANNOT_RETURN] = "cannot-return",
    };

    json_object(j, NULL);
    json_string(j, "guest", domain_of(m, s->domain)->name);
    json_string(j, "uuid", domain_of(m, s->domain)->uuid);
    json_number(j, "need", s->need);
    json_string(j, "reason", words[s->reason]);
    json_string(j, "nearest", s->nearest == POOL_NONE ? NULL : host_name(m, s->nearest));
    json_string(j, "why", s->why);
    json_array(j, "helps");
    for (size_t i = 0; i < s->n_helps; i++)
        help_json(j, m, s, &s->helps[i]);
    json_close_array(j);
    json_close_object(j);
}

void plan_json(struct json *j, const struct pool_matrix *m, const struct evacuation *e)
{
    static const char *const methods[] = {
        [ASSIGN_ALL] = "all",
        [ASSIGN_MOST] = "most",
        [ASSIGN_LIMIT] = "limit",
        [ASSIGN_FIRST_FIT] = "first-fit",
    };

    json_string(j, "host", host_name(m, e->host));
    json_bool(j, "can_be_emptied", !e->n_stuck);
    json_string(j, "method", methods[e->method]);
    json_array(j, "moves");
    for (size_t i = 0; i < e->n_moves; i++) {
        const struct plan_move *move = &e->moves[i];

        json_object(j, NULL);
        json_string(j, "guest", domain_of(m, move->domain)->name);
        json_string(j, "uuid", domain_of(m, move->domain)->uuid);
        json_string(j, "to", host_name(m, move->to));
        json_number(j, "need", move->need);
        json_bool(j, "can_come_back", !move->one_way);
        json_close_object(j);
    }
    json_close_array(j);
    json_array(j, "stuck");
    for (size_t i = 0; i < e->n_stuck; i++)
        stuck_json(j, m, &e->stuck[i]);
    json_close_array(j);
    json_number(j, "images", e->n_images);
    json_number(j, "images_bound", e->n_bound);
}

void plan_skipped_json(struct json *j, const struct pool *p, size_t host)
{
    static const char *const words[] = {
        [PLAN_MAINTENANCE] = "maintenance",
        [PLAN_SILENT] = "silent",
        [PLAN_MEMORY_UNKNOWN] = "memory-unknown",
    };

    json_array(j, "not_targets");
    for (size_t i = 0; i < p->n_hosts; i++) {
        enum plan_target target = plan_target(p, i);

        if (i == host || target == PLAN_TARGET)
            continue;
        json_object(j, NULL);
        json_string(j, "host", p->hosts[i].record->name);
        json_string(j, "why", words[target]);
        json_close_object(j);
    }
    json_close_array(j);
}

/* ---- the script ---- */

/* In single quotes, as a shell reads it back; malloc'ed. */
static char *quote(const char *text)
{
    char *quoted = xstrdup("'"), *longer;

    for (const char *at = text; *at;) {
        size_t plain = strcspn(at, "'");

        longer = xasprintf("%s%.*s%s", quoted, (int)plain, at, at[plain] ? "'\\''" : "");
        free(quoted);
        quoted = longer;
        at += plain + (at[plain] != '\0');
    }
    longer = xasprintf("%s'", quoted);
    free(quoted);
    return longer;
}

/* Is it a name that a script can have: printable ASCII, and for ssh no option? */
static bool is_plain(const char *name, bool host)
{
    if (!*name || (host && *name == '-'))
        return false;
    for (; *name; name++)
        if (*name < ' ' || *name > '~')
            return false;
    return true;
}

/* xl takes what consists of digits for a number. */
static bool is_number(const char *name)
{
    return *name && !name[strspn(name, "0123456789")];
}

int plan_print_script(const struct pool_matrix *m, const struct evacuation *e)
{
    for (size_t i = 0; i < e->n_moves; i++) {
        const char *guest = domain_of(m, e->moves[i].domain)->name;
        const char *host = host_name(m, e->moves[i].to);

        if (!is_plain(guest, false) || !is_plain(host, true))
            return complain("'%s' to '%s': a script cannot have such a name", guest, host);
    }
    out_print(stdout,
              "#!/bin/sh\n"
              "# A plan of `xenlevel pool evacuate`: to be run on the host that is emptied.\n"
              "set -eu\n");
    for (size_t i = 0; i < e->n_moves; i++) {
        const char *name = domain_of(m, e->moves[i].domain)->name;
        char *guest = quote(name), *host = quote(host_name(m, e->moves[i].to));

        if (is_number(name))
            out_print(stdout, "xl migrate -- \"$(xl domid -- %s)\" %s\n", guest, host);
        else
            out_print(stdout, "xl migrate -- %s %s\n", guest, host);
        free(guest);
        free(host);
    }
    return STATUS_YES;
}
