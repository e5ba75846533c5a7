/* SPDX-License-Identifier: MIT */
/*
 * Between which kinds of hosts can a guest move that was born with all that its host gives?
 */
#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "report-layout.h"
#include "report-private.h"
#include "util.h"

/* The kinds that run guests of that type, and their answers. */
struct moves {
    enum guest_type type;
    size_t *kind; /* numbers of kinds */
    size_t n;
    uint8_t *verdict; /* enum verdict, [from * n + to] */
};

static bool runs(const struct report *r, size_t kind, enum guest_type type)
{
    const struct pool_capture *c = &r->in->pool->captures[r->kinds[kind].capture];

    return c->have[answer_max(type)] && c->have[answer_default(type)];
}

static void ask_moves(const struct report *r, struct moves *m)
{
    struct cpu_policy *policy = xcalloc(1, sizeof(*policy));
    struct cpu_answer answer;

    answer_init(&answer);
    for (size_t from = 0; from < m->n; from++) {
        const struct answer_host home = report_answer_host(r, m->kind[from]);
        const struct answer_guest born = {.name = home.name,
                                          .policy = policy,
                                          .unknown = home.unknown[answer_default(m->type)],
                                          .type = m->type,
                                          .xen = home.xen};

        *policy = *home.policy[answer_default(m->type)];
        host_policy_for_domain(policy); /* what Xen makes of it for a new domain */
        for (size_t to = 0; to < m->n; to++) {
            const struct answer_host host = report_answer_host(r, m->kind[to]);

            answer_ask(&born, &host, &answer);
            m->verdict[from * m->n + to] = (uint8_t)answer_verdict(&answer);
        }
    }
    answer_free(&answer);
    free(policy);
}

static struct moves find_moves(const struct report *r, enum guest_type type)
{
    struct moves m = {.type = type, .kind = xcalloc(r->n_kinds + 1, sizeof(size_t))};

    for (size_t k = 0; k < r->n_kinds; k++)
        if (runs(r, k, type))
            m.kind[m.n++] = k;
    m.verdict = xcalloc(m.n * m.n + 1, sizeof(*m.verdict));
    ask_moves(r, &m);
    return m;
}

/* Do two kinds answer alike, with all others and with each other? */
static bool are_alike(const struct moves *m, size_t a, size_t b)
{
    for (size_t k = 0; k < m->n; k++)
        if (m->verdict[a * m->n + k] != m->verdict[b * m->n + k] ||
            m->verdict[k * m->n + a] != m->verdict[k * m->n + b])
            return false;
    return true;
}

static void add_to_group(const struct report *r, struct report_group *g, size_t kind)
{
    g->kinds = xrealloc(g->kinds, (g->n_kinds + 1) * sizeof(*g->kinds));
    g->kinds[g->n_kinds++] = kind;
    g->n_hosts += r->kinds[kind].n_hosts;
    g->n_vms += r->kinds[kind].n_vms;
}

/* Has the second the same processor as the first? */
static bool are_same_cpu(const struct report *r, const struct moves *m, size_t a, size_t b)
{
    return !strcmp(r->kinds[m->kind[a]].cpu, r->kinds[m->kind[b]].cpu);
}

/* Put kinds together; group[k] becomes the number of kind k's. */
static void make_groups(const struct report *r, const struct moves *m, struct report_graph *graph,
                        size_t *group)
{
    size_t *first = xcalloc(m->n + 1, sizeof(*first));

    graph->groups = xcalloc(m->n + 1, sizeof(*graph->groups));
    graph->n_groups = 0;
    for (size_t k = 0; k < m->n; k++) {
        size_t g = 0;

        while (g < graph->n_groups &&
               !(graph->coarse ? are_same_cpu(r, m, first[g], k) : are_alike(m, first[g], k)))
            g++;
        if (g == graph->n_groups)
            first[graph->n_groups++] = k;
        group[k] = g;
        add_to_group(r, &graph->groups[g], m->kind[k]);
    }
    free(first);
}

static void free_groups(struct report_graph *g)
{
    for (size_t i = 0; i < g->n_groups; i++)
        free(g->groups[i].kinds);
    free(g->groups);
}

/* An edge holds for all of two groups, for some, or for none. */
static void make_edges(const struct moves *m, const size_t *group, struct report_graph *g)
{
    size_t n = g->n_groups;
    bool *fails = xcalloc(n * n + 1, sizeof(bool));

    g->edge = xcalloc(n * n + 1, sizeof(*g->edge));
    for (size_t a = 0; a < m->n; a++)
        for (size_t b = 0; b < m->n; b++) {
            size_t edge = group[a] * n + group[b];

            if (m->verdict[a * m->n + b] == VERDICT_YES)
                g->edge[edge] = REPORT_EDGE_ALL;
            else if (m->verdict[a * m->n + b] == VERDICT_UNKNOWN && !g->edge[edge])
                g->edge[edge] = REPORT_EDGE_UNKNOWN;
            fails[edge] |= m->verdict[a * m->n + b] != VERDICT_YES;
        }
    for (size_t i = 0; i < n * n; i++)
        if (g->edge[i] == REPORT_EDGE_ALL && fails[i])
            g->edge[i] = REPORT_EDGE_SOME;
    free(fails);
}

/* Can a guest that goes from a to b and from b to c always go from a to c? */
static bool is_transitive(const struct report_graph *g)
{
    size_t n = g->n_groups;

    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            for (size_t c = 0; c < n && g->edge[a * n + b] == REPORT_EDGE_ALL; c++)
                if (c != a && g->edge[b * n + c] == REPORT_EDGE_ALL &&
                    g->edge[a * n + c] != REPORT_EDGE_ALL)
                    return false;
    return true;
}

/* Is there a step between, so that both parts are at least as good? */
static bool has_step(const struct report_graph *g, size_t a, size_t c)
{
    size_t n = g->n_groups;
    uint8_t edge = g->edge[a * n + c];

    for (size_t b = 0; b < n; b++)
        if (b != a && b != c && g->edge[a * n + b] >= edge && g->edge[b * n + c] >= edge &&
            g->edge[b * n + a] < edge && g->edge[c * n + b] < edge)
            return true;
    return false;
}

/* Where moves can be put together, an arrow for each step is enough. */
static void choose_drawn(struct report_graph *g)
{
    size_t n = g->n_groups;

    g->drawn = xcalloc(n * n + 1, sizeof(bool));
    g->reduced = is_transitive(g);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++) {
            uint8_t edge = a == b ? REPORT_EDGE_NONE : g->edge[a * n + b];

            g->drawn[a * n + b] = edge >= REPORT_EDGE_SOME &&
                                  !((g->reduced || edge == REPORT_EDGE_SOME) && has_step(g, a, b));
        }
}

static void make_graph(const struct report *r, enum guest_type type, struct report_graph *g)
{
    struct moves m = find_moves(r, type);
    size_t *group = xcalloc(m.n + 1, sizeof(*group));

    g->type = type;
    make_groups(r, &m, g, group);
    if (g->n_groups > LAYOUT_MOST) {
        free_groups(g);
        g->coarse = true;
        make_groups(r, &m, g, group);
    }
    make_edges(&m, group, g);
    choose_drawn(g);
    free(group);
    free(m.kind);
    free(m.verdict);
}

static bool has_guests(const struct report *r, enum guest_type type)
{
    for (size_t g = 0; g < r->n_guests; g++)
        if (r->guests[g].type == type)
            return true;
    return false;
}

void report_make_graphs(struct report *r)
{
    make_graph(r, GUEST_HVM_HAP, &r->graphs[r->n_graphs++]);
    if (has_guests(r, GUEST_PV) || !r->graphs[0].n_groups)
        make_graph(r, GUEST_PV, &r->graphs[r->n_graphs++]);
}

void report_free_graphs(struct report *r)
{
    for (size_t i = 0; i < r->n_graphs; i++) {
        struct report_graph *g = &r->graphs[i];

        free_groups(g);
        free(g->edge);
        free(g->drawn);
    }
}
