/* SPDX-License-Identifier: MIT */
/*
 * What the report says, computed: kinds of hosts, classes of VMs, and what follows.
 */
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "plan.h"
#include "report-private.h"
#include "unknown.h"
#include "util.h"

/* ---- kinds of hosts ---- */

static int compare_policies(const struct cpu_policy *a, const struct cpu_policy *b)
{
    return a == b ? 0 : !a ? -1 : !b ? 1 : memcmp(a, b, sizeof(*a));
}

/* One column of the matrix: hosts with equal captures under the same release. */
struct offer {
    const struct pool *pool;
    const struct matrix_column *column;
    size_t number;
    unsigned int features; /* that a guest is born with */
};

/* The policies that guests meet; raw and host are no matter of theirs. */
static int compare_offers(const struct offer *a, const struct offer *b)
{
    const struct pool_capture *x = &a->pool->captures[a->column->capture];
    const struct pool_capture *y = &b->pool->captures[b->column->capture];
    int rc = strcmp(a->column->xen, b->column->xen);

    for (unsigned int i = XC_POLICY_PV_MAX; i < XC_POLICIES && !rc && x != y; i++) {
        rc = (int)x->have[i] - (int)y->have[i];
        if (!rc && x->have[i])
            rc = compare_policies(x->policy[i], y->policy[i]);
        if (!rc && x->have[i])
            rc = compare_policies(x->unknown[i], y->unknown[i]);
    }
    return rc;
}

static int order_same(const void *a, const void *b)
{
    const struct offer *x = a, *y = b;
    int rc = compare_offers(x, y);

    return rc ? rc : x->number < y->number ? -1 : x->number > y->number;
}

/* The newest CPU first: which has most features. */
static int order_newest(const void *a, const void *b)
{
    const struct offer *x = a, *y = b;

    if (x->features != y->features)
        return x->features > y->features ? -1 : 1;
    return order_same(a, b);
}

/* What a guest is born with on a kind: of HVM where there is that, else of PV. */
static const struct cpu_policy *find_born(const struct pool_capture *c)
{
    return c->have[XC_POLICY_HVM_DEFAULT]  ? c->policy[XC_POLICY_HVM_DEFAULT]
           : c->have[XC_POLICY_PV_DEFAULT] ? c->policy[XC_POLICY_PV_DEFAULT]
                                           : NULL;
}

static void find_comparable(const struct cpu_policy *p, struct featureset *fs)
{
    memset(fs, 0, sizeof(*fs));
    if (p)
        policy_to_featureset(p, fs);
    show_comparable(fs);
}

static void name_kind(size_t i, char name[static 8])
{
    if (i < 26)
        (void)snprintf(name, 8, "%c", (char)('A' + i));
    else if (i < 26 + 26 * 26)
        (void)snprintf(name, 8, "%c%c", (char)('A' + (i - 26) / 26), (char)('A' + (i - 26) % 26));
    else
        (void)snprintf(name, 8, "K%u", (unsigned int)(i + 1) % 1000000u);
}

/* The processor's name; without one its vendor and numbers. */
static char *name_cpu(const Xenlevel__File *file)
{
    const Xenlevel__Host *host =
        file && file->content_case == XENLEVEL__FILE__CONTENT_HOST ? file->host : NULL;
    char *cpu = report_short_cpu(host && host->cpu ? host->cpu : "");

    if (*cpu)
        return cpu;
    free(cpu);
    if (!host)
        return xstrdup("a CPU without a name");
    return xasprintf("%s %u-%u-%u",
                     !strcmp(host->vendor, "GenuineIntel")   ? "Intel"
                     : !strcmp(host->vendor, "AuthenticAMD") ? "AMD"
                                                             : host->vendor,
                     host->family, host->model, host->stepping);
}

static void fill_kind(struct report *r, size_t i, const struct offer *o)
{
    struct report_kind *k = &r->kinds[i];

    name_kind(i, k->name);
    k->column = o->number;
    k->capture = o->column->capture;
    k->xen = o->column->xen;
    k->cpu = name_cpu(o->pool->captures[k->capture].file);
}

static struct offer *find_offers(const struct report *r)
{
    const struct pool *p = r->in->pool;
    struct offer *offers = xcalloc(r->matrix.n_columns + 1, sizeof(*offers));

    for (size_t c = 0; c < r->matrix.n_columns; c++) {
        const struct matrix_column *column = &r->matrix.columns[c];
        struct featureset fs;

        find_comparable(find_born(&p->captures[column->capture]), &fs);
        offers[c] = (struct offer){p, column, c, featureset_count(&fs)};
    }
    return offers;
}

/* Number the columns by what they offer, and tell every host its kind. */
static void make_kinds(struct report *r)
{
    const struct pool *p = r->in->pool;
    size_t n = r->matrix.n_columns, kinds = 0;
    struct offer *offers = find_offers(r);
    size_t *first = xcalloc(n + 1, sizeof(*first)); /* by column: the first of its kind */
    size_t *kind = xcalloc(n + 1, sizeof(*kind));   /* by column that is such a one */

    qsort(offers, n, sizeof(*offers), order_same);
    for (size_t i = 0; i < n; i++) {
        size_t column = offers[i].number;

        if (!kinds || compare_offers(&offers[kinds - 1], &offers[i]))
            offers[kinds++] = offers[i];
        first[column] = offers[kinds - 1].number;
    }
    qsort(offers, kinds, sizeof(*offers), order_newest);
    r->kinds = xcalloc(kinds + 1, sizeof(*r->kinds));
    r->n_kinds = kinds;
    for (size_t i = 0; i < kinds; i++) {
        fill_kind(r, i, &offers[i]);
        kind[offers[i].number] = i;
    }
    for (size_t h = 0; h < p->n_hosts; h++) {
        size_t i = kind[first[r->matrix.column_of[h]]];

        r->hosts[h].kind = i;
        r->kinds[i].n_hosts++;
        r->kinds[i].n_vms += p->hosts[h].n_domains;
    }
    free(offers);
    free(first);
    free(kind);
}

/* What guests are born with there for sure, and what they may be. */
static void find_offered(const struct report *r, size_t kind, struct featureset *sure,
                         struct featureset *unknown)
{
    const struct pool_capture *c = &r->in->pool->captures[r->kinds[kind].capture];
    const struct cpu_policy *mask = c->have[XC_POLICY_HVM_DEFAULT]
                                        ? c->unknown[XC_POLICY_HVM_DEFAULT]
                                        : c->unknown[XC_POLICY_PV_DEFAULT];

    memset(unknown, 0, sizeof(*unknown));
    if (mask)
        unknown_features(mask, unknown);
    find_comparable(find_born(c), sure);
    featureset_andnot(sure, sure, unknown);
}

static bool is_one_vendor(const struct report *r)
{
    const struct cpu_policy *first = NULL;

    for (size_t i = 0; i < r->n_kinds; i++) {
        const struct cpu_policy *p = find_born(&r->in->pool->captures[r->kinds[i].capture]);

        if (p && first &&
            (p->basic[0].b != first->basic[0].b || p->basic[0].c != first->basic[0].c ||
             p->basic[0].d != first->basic[0].d))
            return false;
        first = p ? p : first;
    }
    return true;
}

/* Of every capability: which kind alone stands against it? */
static void find_costs(struct report *r)
{
    struct featureset any = {{0}}, once = {{0}}, twice = {{0}}, sure, unknown, lacking;

    r->one_vendor = is_one_vendor(r);
    for (size_t i = 0; i < r->n_kinds && r->one_vendor; i++) {
        find_offered(r, i, &sure, &unknown);
        featureset_or(&any, &any, &sure);
    }
    featureset_and(&any, &any, featureset_merge_mask(MERGE_CAPABILITY));
    for (size_t i = 0; i < r->n_kinds; i++) {
        find_offered(r, i, &sure, &unknown);
        featureset_andnot(&lacking, &any, &sure);
        featureset_and(&sure, &lacking, &once);
        featureset_or(&twice, &twice, &sure);
        featureset_or(&once, &once, &lacking);
    }
    for (size_t i = 0; i < r->n_kinds; i++) {
        find_offered(r, i, &sure, &unknown);
        featureset_andnot(&lacking, &any, &sure);
        featureset_andnot(&lacking, &lacking, &unknown);
        featureset_andnot(&r->kinds[i].cost, &lacking, &twice);
    }
}

/* ---- classes of VMs ---- */

static unsigned int count_features(const struct report *r, size_t policy)
{
    struct featureset fs;

    if (policy == POOL_NONE)
        return 0;
    find_comparable(&r->in->pool->policies[policy].policy, &fs);
    return featureset_count(&fs);
}

/* Has it just the features that guests get on that kind when nobody says otherwise? */
static bool is_born_with(const struct report *r, size_t kind, enum guest_type type,
                         const struct cpu_policy *policy)
{
    const struct pool_capture *c = &r->in->pool->captures[r->kinds[kind].capture];
    enum xc_policy_index deflt = answer_default(type);
    struct featureset there, here;

    if (!c->have[deflt] || c->policy[deflt]->basic[1].a != policy->basic[1].a)
        return false; /* another model */
    find_comparable(c->policy[deflt], &there);
    find_comparable(policy, &here);
    return featureset_equal(&there, &here);
}

static char *name_guest(const struct report *r, const struct report_guest *g, const char *level)
{
    const struct cpu_policy *policy;
    char *cpu, *brand, *name;

    if (g->policy == POOL_NONE)
        return xstrdup("CPU not known");
    policy = &r->in->pool->policies[g->policy].policy;
    if (level && *level)
        return xasprintf("level %s", level);
    for (size_t k = 0; k < r->n_kinds; k++)
        if (is_born_with(r, k, g->type, policy))
            return xasprintf("full CPU of kind %s", r->kinds[k].name);
    brand = show_cpu(policy);
    cpu = report_short_cpu(brand);
    name = xasprintf("%s%s%u features", cpu, *cpu ? ", " : "", count_features(r, g->policy));
    free(cpu);
    free(brand);
    return name;
}

struct ranked {
    size_t row;
    enum guest_type type;
    unsigned int features;
};

static int order_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if ((x->type == GUEST_PV) != (y->type == GUEST_PV))
        return x->type == GUEST_PV ? 1 : -1;
    if (x->features != y->features)
        return x->features > y->features ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void fill_guest(struct report *r, size_t i, size_t row)
{
    const struct matrix_row *m = &r->matrix.rows[row];
    const struct pool *p = r->in->pool;
    struct report_guest *g = &r->guests[i];
    const Xenlevel__Domain *one = p->domains[r->matrix.order_domains[m->first]].record;

    g->row = row;
    g->policy = m->policy;
    g->xen = m->xen;
    g->n_vms = m->n;
    g->type = GUEST_HVM_HAP;
    if (m->policy != POOL_NONE ? p->policies[m->policy].type == GUEST_PV
                               : one->type == XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV)
        g->type = GUEST_PV;
    g->here = xcalloc(r->n_kinds + 1, sizeof(size_t));
    g->reason = xcalloc(r->n_kinds + 1, sizeof(size_t));
    g->name = name_guest(r, g, one->born_level);
    for (size_t k = 0; k < m->n; k++) {
        size_t d = r->matrix.order_domains[m->first + k];

        r->guest_of[d] = i;
        g->here[r->hosts[p->domains[d].host].kind]++;
    }
}

/* The rows of the matrix, those that were told of most first. */
static void make_guests(struct report *r)
{
    size_t n = r->matrix.n_rows;
    struct ranked *ranked = xcalloc(n + 1, sizeof(*ranked));

    for (size_t i = 0; i < n; i++) {
        size_t policy = r->matrix.rows[i].policy;

        ranked[i] = (struct ranked){i, GUEST_HVM_HAP, count_features(r, policy)};
        if (policy != POOL_NONE)
            ranked[i].type = r->in->pool->policies[policy].type;
    }
    qsort(ranked, n, sizeof(*ranked), order_ranked);
    r->guests = xcalloc(n + 1, sizeof(*r->guests));
    r->n_guests = n;
    for (size_t i = 0; i < n; i++)
        fill_guest(r, i, ranked[i].row);
    free(ranked);
}

/* ---- what follows ---- */

static void count_pairs(struct report *r)
{
    for (size_t g = 0; g < r->n_guests; g++)
        for (size_t k = 0; k < r->n_kinds; k++) {
            size_t pairs = r->guests[g].n_vms * r->kinds[k].n_hosts - r->guests[g].here[k];
            struct report_reason *why = &r->reasons[r->guests[g].reason[k]];

            why->pairs += pairs;
            r->pair[why->verdict] += pairs;
            r->pairs += pairs;
        }
}

static int order_reasons(const void *a, const void *b)
{
    const struct report_reason *x = a, *y = b;

    if (x->pairs != y->pairs)
        return x->pairs > y->pairs ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* Number the reasons by how much hangs on them; "yes" stays the first. */
static void sort_reasons(struct report *r)
{
    size_t *now = xcalloc(r->n_reasons + 1, sizeof(*now)); /* by their first number */

    for (size_t i = 0; i < r->n_reasons; i++)
        r->reasons[i].number = i;
    qsort(r->reasons + 1, r->n_reasons - 1, sizeof(*r->reasons), order_reasons);
    for (size_t i = 0; i < r->n_reasons; i++)
        now[r->reasons[i].number] = i;
    for (size_t g = 0; g < r->n_guests; g++)
        for (size_t k = 0; k < r->n_kinds; k++)
            r->guests[g].reason[k] = now[r->guests[g].reason[k]];
    free(now);
}

/* How many hosts in service can take a guest of that class? */
static size_t count_takers(const struct report *r, size_t guest, const size_t *in_service)
{
    size_t n = 0;

    for (size_t k = 0; k < r->n_kinds; k++)
        if (r->reasons[r->guests[guest].reason[k]].verdict == REPORT_YES)
            n += in_service[k];
    return n;
}

static void count_leavers(struct report *r)
{
    const struct pool *p = r->in->pool;
    size_t *in_service = xcalloc(r->n_kinds + 1, sizeof(*in_service));
    size_t *takers = xcalloc(r->n_guests + 1, sizeof(*takers));

    for (size_t h = 0; h < p->n_hosts; h++)
        if (r->hosts[h].in_service)
            in_service[r->hosts[h].kind]++;
    for (size_t g = 0; g < r->n_guests; g++)
        takers[g] = count_takers(r, g, in_service);
    for (size_t d = 0; d < p->n_domains; d++) {
        struct report_host *host = &r->hosts[p->domains[d].host];
        const struct report_guest *g = &r->guests[r->guest_of[d]];
        bool itself = host->in_service && r->reasons[g->reason[host->kind]].verdict == REPORT_YES;

        if (takers[r->guest_of[d]] > (size_t)itself)
            host->leave++;
        else
            r->n_stuck++;
    }
    free(in_service);
    free(takers);
}

static void make_plans(struct report *r)
{
    const struct plan_options options = {.reserve = PLAN_RESERVE};
    const struct pool *p = r->in->pool;

    r->planned = p->n_hosts > 1 && p->n_hosts <= REPORT_PLANS;
    for (size_t h = 0; h < p->n_hosts && r->planned; h++) {
        struct evacuation e;

        plan_evacuate(&r->matrix, &options, h, &e);
        r->hosts[h].moves = e.n_moves;
        r->hosts[h].stay = e.n_stuck;
        evacuation_free(&e);
    }
}

static void count_states(struct report *r)
{
    const struct pool *p = r->in->pool;

    for (size_t h = 0; h < p->n_hosts; h++) {
        const Xenlevel__PoolHost *record = p->hosts[h].record;

        r->n_silent += !p->hosts[h].seen;
        r->n_maintenance += record->maintenance;
        r->n_drift += record->drift && *record->drift;
        r->hosts[h].in_service = p->hosts[h].seen && !record->maintenance;
    }
}

void report_make(const struct report_input *in, struct report *r)
{
    memset(r, 0, sizeof(*r));
    r->in = in;
    r->hosts = xcalloc(in->pool->n_hosts + 1, sizeof(*r->hosts));
    r->guest_of = xcalloc(in->pool->n_domains + 1, sizeof(*r->guest_of));
    matrix_build(in->pool, &r->matrix);
    count_states(r);
    make_kinds(r);
    find_costs(r);
    make_guests(r);
    report_ask_all(r);
    count_pairs(r);
    sort_reasons(r);
    count_leavers(r);
    make_plans(r);
    report_make_graphs(r);
}

void report_free(struct report *r)
{
    for (size_t i = 0; i < r->n_kinds; i++)
        free(r->kinds[i].cpu);
    for (size_t i = 0; i < r->n_guests; i++) {
        free(r->guests[i].name);
        free(r->guests[i].here);
        free(r->guests[i].reason);
    }
    for (size_t i = 0; i < r->n_reasons; i++)
        free(r->reasons[i].text);
    report_free_graphs(r);
    matrix_free(&r->matrix);
    free(r->kinds);
    free(r->guests);
    free(r->reasons);
    free(r->hosts);
    free(r->guest_of);
    memset(r, 0, sizeof(*r));
}
