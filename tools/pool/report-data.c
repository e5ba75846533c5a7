/* SPDX-License-Identifier: MIT */
/*
 * The report as data: what --json writes, and what is inside the page.  The man page,
 * xenlevel-pool-report in docs/man/xenlevel.1.md, says what each member means.
 */
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "event.h"
#include "report-private.h"
#include "util.h"

static void names(struct json *j, const char *key, const struct featureset *fs)
{
    char word[64];

    json_array(j, key);
    for (int i = featureset_next(fs, 0); i >= 0; i = featureset_next(fs, (unsigned int)i + 1)) {
        feature_word((unsigned int)i, word, sizeof(word));
        json_string(j, NULL, word);
    }
    json_close_array(j);
}

/* An empty text of a record means that it is not known. */
static void text(struct json *j, const char *key, const char *value)
{
    json_string(j, key, value && *value ? value : NULL);
}

static void write_pool(const struct report *r, struct json *j)
{
    const struct pool *p = r->in->pool;

    json_object(j, "pool");
    json_string(j, "name", p->record->name);
    text(j, "created", p->record->created);
    json_string(j, "registry", r->in->source);
    text(j, "level", p->record->level);
    json_number(j, "hosts", p->n_hosts);
    json_number(j, "vms", p->n_domains);
    json_number(j, "silent", r->n_silent);
    json_number(j, "maintenance", r->n_maintenance);
    json_number(j, "drift", r->n_drift);
    json_number(j, "cannot_leave", r->n_stuck);
    json_close_object(j);
    json_object(j, "mobility");
    json_number(j, "pairs", r->pairs);
    json_number(j, "yes", r->pair[REPORT_YES]);
    json_number(j, "power_cycle", r->pair[REPORT_CYCLE]);
    json_number(j, "no", r->pair[REPORT_NO]);
    json_number(j, "cannot_say", r->pair[REPORT_UNKNOWN]);
    json_close_object(j);
}

static void write_level(const struct report *r, struct json *j)
{
    static const struct {
        enum guest_type type;
        const char *key;
    } types[] = {{GUEST_HVM_HAP, "hvm"}, {GUEST_PV, "pv"}};
    const struct pool *p = r->in->pool;

    if (p->level == POOL_NONE) {
        json_string(j, "level", NULL);
        return;
    }
    json_object(j, "level");
    json_string(j, "name", p->levels[p->level].name);
    for (unsigned int i = 0; i < 2; i++) {
        const struct cpu_policy *policy = report_level_policy(r, types[i].type);
        struct featureset fs;

        if (!policy) {
            json_string(j, types[i].key, NULL);
            continue;
        }
        policy_to_featureset(policy, &fs);
        show_comparable(&fs);
        names(j, types[i].key, &fs);
    }
    json_close_object(j);
}

static void write_kinds(const struct report *r, struct json *j)
{
    json_array(j, "kinds");
    for (size_t i = 0; i < r->n_kinds; i++) {
        const struct report_kind *k = &r->kinds[i];
        const char *digest = r->in->pool->captures[k->capture].digest;

        json_object(j, NULL);
        json_string(j, "name", k->name);
        json_string(j, "cpu", k->cpu);
        text(j, "xen", k->xen);
        text(j, "capture", digest);
        json_number(j, "hosts", k->n_hosts);
        json_number(j, "vms", k->n_vms);
        json_string(j, "level",
                    r->in->pool->level == POOL_NONE ? NULL : report_verdict_name(k->level));
        names(j, "costs", &k->cost);
        json_close_object(j);
    }
    json_close_array(j);
}

static void write_guests(const struct report *r, struct json *j)
{
    json_array(j, "guests");
    for (size_t i = 0; i < r->n_guests; i++) {
        const struct report_guest *g = &r->guests[i];

        json_object(j, NULL);
        json_string(j, "name", g->name);
        json_string(j, "type", report_type_name(g->type));
        text(j, "xen", g->xen);
        text(j, "policy", g->policy == POOL_NONE ? NULL : r->in->pool->policies[g->policy].digest);
        json_number(j, "vms", g->n_vms);
        json_array(j, "here");
        for (size_t k = 0; k < r->n_kinds; k++)
            json_number(j, NULL, g->here[k]);
        json_close_array(j);
        json_close_object(j);
    }
    json_close_array(j);
    json_array(j, "matrix");
    for (size_t i = 0; i < r->n_guests; i++) {
        json_array(j, NULL);
        for (size_t k = 0; k < r->n_kinds; k++)
            json_number(j, NULL, r->guests[i].reason[k]);
        json_close_array(j);
        json_flush(j);
    }
    json_close_array(j);
}

static void write_reasons(const struct report *r, struct json *j)
{
    json_array(j, "reasons");
    for (size_t i = 0; i < r->n_reasons; i++) {
        const struct report_reason *why = &r->reasons[i];

        json_object(j, NULL);
        json_string(j, "answer", report_verdict_name(why->verdict));
        json_string(j, "text", why->text);
        names(j, "missing", &why->missing);
        names(j, "hazards", &why->hazards);
        json_number(j, "pairs", why->pairs);
        json_close_object(j);
        json_flush(j);
    }
    json_close_array(j);
}

/* Also to itself: hosts of one group can exchange their guests, or not. */
static void write_edges(const struct report_graph *g, size_t from, const char *key,
                        enum report_edge edge, struct json *j)
{
    json_array(j, key);
    for (size_t to = 0; to < g->n_groups; to++)
        if (g->edge[from * g->n_groups + to] == edge)
            json_number(j, NULL, to);
    json_close_array(j);
}

static void write_graphs(const struct report *r, struct json *j)
{
    json_array(j, "graphs");
    for (size_t i = 0; i < r->n_graphs; i++) {
        const struct report_graph *g = &r->graphs[i];

        json_object(j, NULL);
        json_string(j, "type", report_type_name(g->type));
        json_array(j, "groups");
        for (size_t a = 0; a < g->n_groups; a++) {
            json_object(j, NULL);
            json_array(j, "kinds");
            for (size_t k = 0; k < g->groups[a].n_kinds; k++)
                json_number(j, NULL, g->groups[a].kinds[k]);
            json_close_array(j);
            write_edges(g, a, "to", REPORT_EDGE_ALL, j);
            write_edges(g, a, "some_to", REPORT_EDGE_SOME, j);
            write_edges(g, a, "cannot_say_to", REPORT_EDGE_UNKNOWN, j);
            json_close_object(j);
        }
        json_close_array(j);
        json_close_object(j);
    }
    json_close_array(j);
}

static void write_plan(const struct report *r, size_t h, struct json *j)
{
    if (!r->planned) {
        json_string(j, "plan", NULL);
        return;
    }
    json_object(j, "plan");
    json_number(j, "move", r->hosts[h].moves);
    json_number(j, "stay", r->hosts[h].stay);
    json_close_object(j);
}

static void write_hosts(const struct report *r, struct json *j)
{
    const struct pool *p = r->in->pool;

    json_array(j, "hosts");
    for (size_t h = 0; h < p->n_hosts; h++) {
        const struct pool_host *host = &p->hosts[h];

        json_object(j, NULL);
        json_string(j, "name", host->record->name);
        json_number(j, "kind", r->hosts[h].kind);
        json_string(j, "seen", host->seen);
        json_bool(j, "maintenance", host->record->maintenance);
        text(j, "drift", host->record->drift);
        text(j, "xen", host->record->xen_version);
        text(j, "microcode", host->record->microcode);
        text(j, "born_level", host->record->born_level);
        json_number(j, "can_leave", r->hosts[h].leave);
        write_plan(r, h, j);
        json_array(j, "vms");
        for (size_t d = 0; d < host->n_domains; d++) {
            size_t at = host->first_domain + d;

            json_object(j, NULL);
            json_string(j, "name", p->domains[at].record->name);
            json_number(j, "guest", r->guest_of[at]);
            if (p->domains[at].record->usage && *p->domains[at].record->usage)
                json_string(j, "usage", p->domains[at].record->usage);
            json_close_object(j);
        }
        json_close_array(j);
        json_close_object(j);
        json_flush(j);
    }
    json_close_array(j);
}

static void write_history(const struct report *r, struct json *j)
{
    json_number(j, "events", r->in->all_events);
    json_array(j, "history");
    for (size_t i = 0; i < r->in->n_events; i++)
        json_event(j, r->in->events[i]);
    json_close_array(j);
}

void report_data(const struct report *r, struct json *j)
{
    json_object(j, NULL);
    json_string(j, "xenlevel", "pool report");
    json_number(j, "version", 1);
    json_string(j, "when", r->in->when);
    write_pool(r, j);
    write_level(r, j);
    write_kinds(r, j);
    write_guests(r, j);
    write_reasons(r, j);
    write_graphs(r, j);
    write_hosts(r, j);
    write_history(r, j);
    json_close_object(j);
}

int report_write_json(const struct report *r)
{
    struct json *j = json_begin();

    report_data(r, j);
    return json_end(j);
}
