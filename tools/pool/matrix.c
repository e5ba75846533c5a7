/* SPDX-License-Identifier: MIT */
/* See matrix.h. */
#include "matrix.h"

#include <stdlib.h>
#include <string.h>

#include "unknown.h"
#include "util.h"

/* ---- one host, one guest ---- */

const char *pool_host_xen(const struct pool *p, size_t host)
{
    const struct pool_host *h = &p->hosts[host];
    const Xenlevel__File *file = p->captures[h->capture].file;

    if (h->record->xen_version[0])
        return h->record->xen_version;
    return file && file->content_case == XENLEVEL__FILE__CONTENT_HOST ? file->host->xen_version
                                                                      : "";
}

static bool is_image(const struct pool_domain *d)
{
    return d->record->state == XENLEVEL__DOMAIN_STATE__DOMAIN_SAVED;
}

const char *pool_domain_xen(const struct pool *p, size_t domain)
{
    const struct pool_domain *d = &p->domains[domain];

    if (is_image(d) && d->record->xen_version[0])
        return d->record->xen_version;
    return pool_host_xen(p, d->host);
}

void pool_answer_host(const struct pool_capture *c, const char *xen, struct answer_host *host)
{
    *host = (struct answer_host){
        .name = "",
        .xen = xen,
        .is_dump = c->file && c->file->content_case == XENLEVEL__FILE__CONTENT_HOST &&
                   c->file->host->source == XENLEVEL__SOURCE__SOURCE_DUMP,
    };
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        host->have[i] = c->have[i] && c->policy[i];
        host->policy[i] = c->policy[i];
        host->unknown[i] = c->unknown[i];
    }
}

void pool_answer_guest(const struct pool *p, size_t policy, const char *xen,
                       struct answer_guest *guest)
{
    const struct pool_policy *g = &p->policies[policy];

    *guest = (struct answer_guest){
        .name = "", .policy = &g->policy, .unknown = &g->unknown, .type = g->type, .xen = xen};
}

/* ---- classes ---- */

/* The releases of a pool, a handful: each has a number. */
struct releases {
    const char **text;
    size_t n;
};

static size_t number_release(struct releases *r, const char *text)
{
    for (size_t i = r->n; i-- > 0;)
        if (!strcmp(r->text[i], text))
            return i;
    r->text = xrealloc((void *)r->text, (r->n + 1) * sizeof(*r->text));
    r->text[r->n] = text;
    return r->n++;
}

/* Things with a kind and a release, on the way to classes. */
struct sorting {
    size_t n, kinds;    /* how many things, and kinds of them */
    size_t *kind, *xen; /* of each thing; a kind is below `kinds` */
    struct releases releases;
    size_t *class_of, *order;
    size_t n_classes;
    size_t *class_kind, *class_xen, *class_n, *class_first;
};

static void begin_sorting(struct sorting *s, size_t n, size_t kinds)
{
    *s = (struct sorting){.n = n, .kinds = kinds};
    s->kind = xcalloc(n + 1, sizeof(*s->kind));
    s->xen = xcalloc(n + 1, sizeof(*s->xen));
    s->class_of = xcalloc(n + 1, sizeof(*s->class_of));
    s->order = xcalloc(n + 1, sizeof(*s->order));
}

/* Number the classes in the order of their kinds, and list what is in each: a counting sort. */
static void find_classes(struct sorting *s)
{
    size_t cells = s->kinds * s->releases.n, *number = xcalloc(cells + 1, sizeof(*number));
    size_t at = 0, *next;

    for (size_t i = 0; i < s->n; i++)
        number[s->kind[i] * s->releases.n + s->xen[i]]++;
    for (size_t i = 0; i < cells; i++)
        s->n_classes += number[i] != 0;
    s->class_kind = xcalloc(s->n_classes + 1, sizeof(size_t));
    s->class_xen = xcalloc(s->n_classes + 1, sizeof(size_t));
    s->class_n = xcalloc(s->n_classes + 1, sizeof(size_t));
    s->class_first = xcalloc(s->n_classes + 1, sizeof(size_t));
    s->n_classes = 0;
    for (size_t i = 0; i < cells; i++) {
        size_t c = s->n_classes;

        if (!number[i])
            continue;
        s->class_kind[c] = i / s->releases.n;
        s->class_xen[c] = i % s->releases.n;
        s->class_n[c] = number[i];
        s->class_first[c] = at;
        at += number[i];
        number[i] = s->n_classes++;
    }
    next = xcalloc(s->n_classes + 1, sizeof(*next));
    for (size_t i = 0; i < s->n; i++) {
        size_t c = number[s->kind[i] * s->releases.n + s->xen[i]];

        s->class_of[i] = c;
        s->order[s->class_first[c] + next[c]++] = i;
    }
    free(next);
    free(number);
}

static void end_sorting(struct sorting *s)
{
    free(s->kind);
    free(s->xen);
    free((void *)s->releases.text);
    free(s->class_kind);
    free(s->class_xen);
    free(s->class_n);
    free(s->class_first);
}

static void make_rows(const struct pool *p, struct pool_matrix *m)
{
    struct sorting s;

    begin_sorting(&s, p->n_domains, p->n_policies + 1); /* the last kind: nobody knows */
    for (size_t i = 0; i < p->n_domains; i++) {
        size_t policy = p->domains[i].policy;

        s.kind[i] = policy == POOL_NONE ? p->n_policies : policy;
        s.xen[i] = number_release(&s.releases, pool_domain_xen(p, i));
    }
    find_classes(&s);
    m->n_rows = s.n_classes;
    m->rows = xcalloc(s.n_classes + 1, sizeof(*m->rows));
    for (size_t c = 0; c < s.n_classes; c++)
        m->rows[c] = (struct matrix_row){
            .policy = s.class_kind[c] == p->n_policies ? POOL_NONE : s.class_kind[c],
            .xen = s.releases.text[s.class_xen[c]],
            .first = s.class_first[c],
            .n = s.class_n[c],
        };
    for (size_t i = 0; i < p->n_domains; i++)
        m->rows[s.class_of[i]].n_images += is_image(&p->domains[i]);
    m->row_of = s.class_of;
    m->order_domains = s.order;
    end_sorting(&s);
}

static void make_columns(const struct pool *p, struct pool_matrix *m)
{
    struct sorting s;

    begin_sorting(&s, p->n_hosts, p->n_captures);
    for (size_t i = 0; i < p->n_hosts; i++) {
        s.kind[i] = p->hosts[i].capture;
        s.xen[i] = number_release(&s.releases, pool_host_xen(p, i));
    }
    find_classes(&s);
    m->n_columns = s.n_classes;
    m->columns = xcalloc(s.n_classes + 1, sizeof(*m->columns));
    for (size_t c = 0; c < s.n_classes; c++)
        m->columns[c] = (struct matrix_column){
            .capture = s.class_kind[c],
            .xen = s.releases.text[s.class_xen[c]],
            .first = s.class_first[c],
            .n = s.class_n[c],
        };
    m->column_of = s.class_of;
    m->order_hosts = s.order;
    end_sorting(&s);
}

/* ---- answers ---- */

/* What a capture can do for one type of guests, made ready once.  Where all is known the answer is
 * policy_check()'s, as answer_ask() comes to it in the end. */
struct ready_host {
    bool ready, offered, known;
    struct cpu_policy max;
    const struct cpu_policy *deflt;
};

struct asking {
    const struct pool *pool;
    struct ready_host *hosts; /* [capture * 2 + is PV] */
    uint8_t *verdicts;        /* [policy * n_captures + capture], of CPUs alone; 0: not asked */
    struct cpu_answer answer;
};

static bool is_known(const struct cpu_policy *mask)
{
    return !mask || !unknown_any(mask);
}

static const struct ready_host *get_ready(struct asking *a, size_t capture, enum guest_type type)
{
    const struct pool_capture *c = &a->pool->captures[capture];
    struct ready_host *h = &a->hosts[capture * 2 + (type == GUEST_PV)];
    enum xc_policy_index max = answer_max(type), deflt = answer_default(type);

    if (h->ready)
        return h;
    h->ready = true;
    h->offered = c->have[max] && c->policy[max];
    if (!h->offered)
        return h;
    h->known = is_known(c->unknown[max]) && is_known(c->unknown[deflt]);
    h->max = *c->policy[max];
    policy_restrict(&h->max, type == GUEST_PV ? GUEST_PV : GUEST_HVM_HAP);
    h->deflt = c->have[deflt] ? c->policy[deflt] : NULL;
    return h;
}

static enum verdict ask_slowly(struct asking *a, size_t policy, size_t capture)
{
    struct answer_guest guest;
    struct answer_host host;

    pool_answer_guest(a->pool, policy, "", &guest);
    pool_answer_host(&a->pool->captures[capture], "", &host);
    answer_ask(&guest, &host, &a->answer);
    return answer_verdict(&a->answer);
}

/* May guests with this CPU run there, whatever the releases are? */
static enum verdict ask_cpus(struct asking *a, size_t policy, size_t capture)
{
    uint8_t *kept = &a->verdicts[policy * a->pool->n_captures + capture];
    const struct pool_policy *g = &a->pool->policies[policy];
    struct policy_report r = {.faults = NULL};
    const struct ready_host *h;
    struct policy_host host;
    enum verdict v;

    if (*kept)
        return (enum verdict)(*kept - 1);
    h = get_ready(a, capture, g->type);
    if (!h->offered)
        v = VERDICT_NO;
    else if (!h->known || unknown_any(&g->unknown))
        v = ask_slowly(a, policy, capture);
    else {
        host = (struct policy_host){.max = &h->max, .deflt = h->deflt};
        (void)policy_verify(&g->policy, &r);
        (void)policy_check(&g->policy, &host, &r);
        v = r.count ? VERDICT_NO : VERDICT_YES;
    }
    *kept = (uint8_t)(v + 1);
    return v;
}

/* Does the release of a row stand in the way on a column? */
static bool is_obstructed(const struct pool *p, const struct matrix_row *row,
                          const struct matrix_column *column)
{
    return row->policy != POOL_NONE &&
           answer_obstacle(p->policies[row->policy].type, row->xen, column->xen);
}

static void add_pairs(struct matrix_count *c, enum verdict v, uint64_t n)
{
    if (v == VERDICT_YES)
        c->yes += n;
    else if (v == VERDICT_NO)
        c->no += n;
    else
        c->unknown += n;
}

/* That a guest can be where it is says nothing of how it can move. */
static void take_away_own(struct pool_matrix *m)
{
    for (size_t d = 0; d < m->pool->n_domains; d++)
        add_pairs(&m->all, matrix_of(m, d, m->pool->domains[d].host), (uint64_t)-1);
}

void matrix_build(const struct pool *p, struct pool_matrix *m)
{
    struct asking a = {.pool = p};

    *m = (struct pool_matrix){.pool = p};
    make_rows(p, m);
    make_columns(p, m);
    m->cpus = xcalloc(m->n_rows * m->n_columns + 1, 1);
    m->verdicts = xcalloc(m->n_rows * m->n_columns + 1, 1);
    a.hosts = xcalloc(2 * p->n_captures + 1, sizeof(*a.hosts));
    a.verdicts = xcalloc(p->n_policies * p->n_captures + 1, 1);
    answer_init(&a.answer);
    for (size_t r = 0; r < m->n_rows; r++)
        for (size_t c = 0; c < m->n_columns; c++) {
            const struct matrix_row *row = &m->rows[r];
            const struct matrix_column *column = &m->columns[c];
            enum verdict v = row->policy == POOL_NONE ? VERDICT_UNKNOWN
                                                      : ask_cpus(&a, row->policy, column->capture);

            m->cpus[r * m->n_columns + c] = (uint8_t)v;
            if (is_obstructed(p, row, column))
                v = VERDICT_NO;
            m->verdicts[r * m->n_columns + c] = (uint8_t)v;
            add_pairs(&m->all, v, (uint64_t)m->rows[r].n * m->columns[c].n);
        }
    take_away_own(m);
    answer_free(&a.answer);
    free(a.hosts);
    free(a.verdicts);
}

void matrix_free(struct pool_matrix *m)
{
    free(m->rows);
    free(m->columns);
    free(m->row_of);
    free(m->column_of);
    free(m->order_domains);
    free(m->order_hosts);
    free(m->cpus);
    free(m->verdicts);
    memset(m, 0, sizeof(*m));
}

enum verdict matrix_verdict(const struct pool_matrix *m, size_t row, size_t column)
{
    return (enum verdict)m->verdicts[row * m->n_columns + column];
}

enum verdict matrix_cpus(const struct pool_matrix *m, size_t row, size_t column)
{
    return (enum verdict)m->cpus[row * m->n_columns + column];
}

enum verdict matrix_of(const struct pool_matrix *m, size_t domain, size_t host)
{
    return matrix_verdict(m, m->row_of[domain], m->column_of[host]);
}

struct matrix_count matrix_count_row(const struct pool_matrix *m, size_t row)
{
    struct matrix_count c = {0, 0, 0};

    for (size_t i = 0; i < m->n_columns; i++)
        add_pairs(&c, matrix_verdict(m, row, i), m->columns[i].n);
    return c;
}

struct matrix_count matrix_count_column(const struct pool_matrix *m, size_t column)
{
    struct matrix_count c = {0, 0, 0};

    for (size_t i = 0; i < m->n_rows; i++)
        add_pairs(&c, matrix_verdict(m, i, column), m->rows[i].n);
    return c;
}

bool matrix_ask(const struct pool_matrix *m, size_t row, size_t column, struct cpu_answer *a)
{
    const struct matrix_row *r = &m->rows[row];
    const struct matrix_column *c = &m->columns[column];
    struct answer_guest guest;
    struct answer_host host;

    if (r->policy == POOL_NONE)
        return false;
    pool_answer_guest(m->pool, r->policy, r->xen, &guest);
    pool_answer_host(&m->pool->captures[c->capture], c->xen, &host);
    answer_ask(&guest, &host, a);
    return true;
}

char *matrix_why(const struct pool_matrix *m, size_t row, size_t column, unsigned int most)
{
    struct cpu_answer a;
    char *why;

    answer_init(&a);
    if (matrix_ask(m, row, column, &a))
        why = answer_why(&a, most);
    else
        why = xstrdup("nobody knows the CPU of these guests");
    answer_free(&a);
    return why;
}
