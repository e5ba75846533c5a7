/* SPDX-License-Identifier: MIT */
/*
 * The report's tables: kinds of host, hosts, the level, history.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "describe.h"
#include "report-private.h"
#include "util.h"

#define NAMES_MOST    30
#define FEATURES_MOST 14
#define ROWS_SHORT    30 /* a longer table has a window of its own */

/* ---- kinds ---- */

static void write_host_names(const struct report *r, size_t kind, FILE *f)
{
    const struct pool *p = r->in->pool;
    size_t n = 0, all = r->kinds[kind].n_hosts;

    html(f, "<details data-kind=\"%zu\"><summary>%zu %s</summary><ul class=\"names\">", kind, all,
         report_noun(all, "host", "hosts"));
    for (size_t h = 0; h < p->n_hosts && n < NAMES_MOST; h++)
        if (r->hosts[h].kind == kind) {
            html(f, "<li>%s</li>", p->hosts[h].record->name);
            n++;
        }
    if (n < all)
        html(f, "<li>and %zu more</li>", all - n);
    html(f, "</ul></details>");
}

/* Few names are said at once; many are behind their number. */
static void write_features(const struct featureset *fs, FILE *f)
{
    size_t n = featureset_count(fs);
    char *names = report_feature_list(fs, 0);

    if (!n)
        html(f, "<span class=\"soft\">nothing</span>");
    else if (n <= FEATURES_MOST)
        html(f, "<span class=\"features\">%s</span>", names);
    else
        html(f,
             "<details><summary>%zu features</summary><span class=\"features\">%s</span></details>",
             n, names);
    free(names);
}

static void write_kind(const struct report *r, size_t i, FILE *f)
{
    static const char *const words[REPORT_VERDICTS] = {
        [REPORT_YES] = "gives it",
        [REPORT_NO] = "cannot give it",
        [REPORT_UNKNOWN] = "nobody can say",
    };
    const struct report_kind *k = &r->kinds[i];

    html(f, "<tr id=\"kind-%s\"><th scope=\"row\"><span class=\"letter\">%s</span></th><td>%s</td>",
         k->name, k->name, k->cpu);
    html(f, "<td>%s</td><td>", k->xen);
    write_host_names(r, i, f);
    html(f, "</td><td class=\"number\">%zu</td>", k->n_vms);
    if (r->in->pool->level != POOL_NONE)
        html(f,
             k->level == REPORT_YES ? "<td>%s</td>" : "<td><span class=\"tag bad\">%s</span></td>",
             words[k->level]);
    html(f, "<td>");
    if (r->n_kinds > 1 && r->one_vendor)
        write_features(&k->cost, f);
    html(f, "</td></tr>\n");
}

void report_kinds_table(const struct report *r, FILE *f)
{
    if (!r->n_kinds) {
        html(f, "<p>The pool has no hosts yet.</p>\n");
        return;
    }
    html(f, "<p>Hosts of a kind offer guests the same CPU under the same release of Xen. %s</p>\n",
         r->one_vendor
             ? "What a kind costs: the features that all other kinds have and it does not, "
               "so that a level of all hosts is without them."
             : "They are of different vendors: no level can hold for all of them.");
    html(f, "<div class=\"scroll\"><table class=\"list\"><thead><tr><th scope=\"col\">Kind</th>"
            "<th scope=\"col\">CPU</th><th scope=\"col\">Xen</th><th scope=\"col\">Hosts</th>"
            "<th scope=\"col\" class=\"number\">VMs there</th>");
    if (r->in->pool->level != POOL_NONE)
        html(f, "<th scope=\"col\">The level</th>");
    html(f, "<th scope=\"col\">Costs the pool</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < r->n_kinds; i++)
        write_kind(r, i, f);
    html(f, "</tbody></table></div>\n");
}

/* ---- hosts ---- */

/* Seconds since 1970, for the order; 0 where it is not known. */
static int64_t find_time(const char *when)
{
    time_t t;

    return when && date_read(when, &t) ? (int64_t)t : 0;
}

static void write_memory(const Xenlevel__PoolHost *record, FILE *f)
{
    uint64_t bytes = record->memory_free;

    if (record->memory)
        (void)fprintf(f, "<td class=\"number\" data-v=\"%" PRIu64 "\">%.1f</td>", bytes >> 20,
                      (double)(bytes >> 20) / 1024);
    else
        (void)fputs("<td class=\"number\" data-v=\"0\"><span class=\"soft\">not known</span></td>",
                    f);
}

static void write_state(const struct pool_host *host, FILE *f)
{
    const Xenlevel__PoolHost *record = host->record;
    bool drift = record->drift && *record->drift;

    html(f, "<td>");
    if (!host->seen)
        html(f, "<span class=\"tag bad\">silent</span> ");
    if (record->maintenance)
        html(f, "<span class=\"tag\">maintenance</span> ");
    if (drift)
        html(f, "<span class=\"tag bad\">drift</span> %s", record->drift);
    if (host->seen && !record->maintenance && !drift)
        html(f, "in order");
    html(f, "</td>");
}

/* How many of its VMs can leave it: by the plan, where there is one. */
static void write_leavers(const struct report *r, size_t h, FILE *f)
{
    const struct report_host *host = &r->hosts[h];
    size_t all = r->planned ? host->moves + host->stay : r->in->pool->hosts[h].n_domains;
    size_t can = r->planned ? host->moves : host->leave;

    html(f, "<td class=\"number\" data-v=\"%zu\">", all - can);
    if (all && r->in->pool->n_hosts > 1)
        html(f, can == all ? "all" : can ? "%zu of %zu" : "none", can, all);
    html(f, "</td>");
}

static void write_host(const struct report *r, size_t h, FILE *f)
{
    const struct pool_host *host = &r->in->pool->hosts[h];
    const Xenlevel__PoolHost *record = host->record;
    const struct report_kind *k = &r->kinds[r->hosts[h].kind];
    char *seen = report_date(host->seen);

    html(f,
         "<tr><th scope=\"row\">%s</th><td><a class=\"letter\" href=\"#kind-%s\">%s</a></td>"
         "<td class=\"number\" data-v=\"%zu\">%zu</td>",
         record->name, k->name, k->name, host->n_domains, host->n_domains);
    write_leavers(r, h, f);
    write_memory(record, f);
    html(f, "<td>%s</td><td>%s</td>", k->xen, record->microcode);
    (void)fprintf(f, "<td class=\"when\" data-v=\"%" PRId64 "\">", find_time(host->seen));
    html(f, host->seen ? "%s</td>" : "<span class=\"soft\">not heard of</span></td>", seen);
    write_state(host, f);
    html(f, "</tr>\n");
    free(seen);
}

void report_hosts_table(const struct report *r, FILE *f)
{
    const struct pool *p = r->in->pool;

    if (!p->n_hosts) {
        html(f, "<p>The pool has no hosts yet.</p>\n");
        return;
    }
    html(
        f,
        "<p>Can leave: how many of a host's VMs would find a place on other hosts that are neither "
        "silent nor in maintenance, %s. <code>xenlevel pool evacuate HOST</code> names the places, "
        "and what would help the others.</p>\n",
        r->planned ? "by CPU and memory" : "by their CPU alone");
    html(f,
         "<div class=\"tools needs-script\"><label for=\"filter\">Show hosts with</label>"
         "<input type=\"search\" id=\"filter\" autocomplete=\"off\" spellcheck=\"false\">"
         "<span id=\"found\" role=\"status\"></span></div>\n"
         "<div class=\"scroll%s\" tabindex=\"0\" role=\"region\" aria-label=\"Hosts\"><table "
         "class=\"list\" id=\"host-table\"><thead><tr><th scope=\"col\">Host</th><th "
         "scope=\"col\">Kind</th>"
         "<th scope=\"col\" class=\"number\">VMs</th>"
         "<th scope=\"col\" class=\"number\">Can leave</th>"
         "<th scope=\"col\" class=\"number\">Free, GiB</th><th scope=\"col\">Xen</th>"
         "<th scope=\"col\">Microcode</th><th scope=\"col\">Last seen</th>"
         "<th scope=\"col\">State</th></tr></thead>\n<tbody>\n",
         p->n_hosts > ROWS_SHORT ? " tall" : "");
    for (size_t h = 0; h < p->n_hosts; h++)
        write_host(r, h, f);
    html(f, "</tbody></table></div>\n");
}

/* ---- the level ---- */

static void write_level_of(const struct report *r, enum guest_type type, FILE *f)
{
    const struct cpu_policy *policy = report_level_policy(r, type);
    struct featureset fs;
    char *names;

    if (!policy) {
        html(f, "<p>It has nothing for %s guests.</p>\n", report_type_name(type));
        return;
    }
    policy_to_featureset(policy, &fs);
    show_comparable(&fs);
    names = report_feature_list(&fs, 0);
    html(f,
         "<details><summary>%s guests: %u features</summary><p class=\"features\">%s</p>"
         "</details>\n",
         report_type_name(type), featureset_count(&fs), names);
    free(names);
}

void report_level_section(const struct report *r, FILE *f)
{
    const struct pool *p = r->in->pool;
    size_t born = 0;

    if (p->level == POOL_NONE) {
        html(f, "<p>The pool has no level yet: new VMs are born with all that their host gives. "
                "<code>xenlevel pool level</code> makes one.</p>\n");
        return;
    }
    for (size_t h = 0; h < p->n_hosts; h++)
        born += p->hosts[h].record->born_level &&
                !strcmp(p->hosts[h].record->born_level, p->levels[p->level].name);
    html(f, "<p>The pool's level is <strong>%s</strong>. ", p->levels[p->level].name);
    if (born == p->n_hosts)
        html(f, "On every host new VMs are born on it.</p>\n");
    else
        html(f,
             "New VMs are born on it on %zu of %zu %s; elsewhere they get all that their host "
             "gives, unless their configuration says otherwise.</p>\n",
             born, p->n_hosts, report_noun(p->n_hosts, "host", "hosts"));
    write_level_of(r, GUEST_HVM_HAP, f);
    write_level_of(r, GUEST_PV, f);
}

/* ---- history ---- */

static void write_event(const Xenlevel__Event *e, FILE *f)
{
    char *when = report_date(e->when);

    html(f, "<tr><td class=\"when\">%s</td><td>%s</td><td>%s</td><td>%s</td><td>", when, e->who,
         e->what, e->subject);
    for (size_t i = 0; i < e->n_details; i++)
        html(f, "%s%s", i ? " " : "", e->details[i]);
    if (e->why && *e->why)
        html(f, "%s<q>%s</q>", e->n_details ? " " : "", e->why);
    html(f, "</td></tr>\n");
    free(when);
}

void report_history_table(const struct report *r, FILE *f)
{
    const struct report_input *in = r->in;

    if (!in->n_events) {
        html(f, "<p>Nothing has been written down yet.</p>\n");
        return;
    }
    if (in->n_events < in->all_events)
        html(f, "<p>The last %zu of %zu changes; <code>xenlevel pool history</code> has all.</p>\n",
             in->n_events, in->all_events);
    html(f,
         "<div class=\"scroll%s\" tabindex=\"0\" role=\"region\" aria-label=\"History\"><table "
         "class=\"list\"><thead><tr><th scope=\"col\">When</th><th scope=\"col\">Who</th>"
         "<th scope=\"col\">What</th><th scope=\"col\">Of</th><th scope=\"col\">Details</th>"
         "</tr></thead>\n<tbody>\n",
         in->n_events > ROWS_SHORT ? " tall" : "");
    for (size_t i = 0; i < in->n_events; i++)
        write_event(in->events[i], f);
    html(f, "</tbody></table></div>\n");
}
