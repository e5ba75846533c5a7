/* SPDX-License-Identifier: MIT */
/*
 * The report's head: the pool in numbers and sentences, and what somebody should look at.
 */
#include <stdlib.h>
#include <string.h>

#include "report-private.h"
#include "util.h"

#define HOSTS_MOST 8 /* names in one sentence */

/* Per cent, cut: 100 means all of them, and 0 none or almost none. */
static unsigned int percent(size_t part, size_t all)
{
    return all ? (unsigned int)(100.0 * (double)part / (double)all) : 0;
}

static void write_figure(FILE *f, const char *value, const char *name)
{
    html(f, "<div><dt>%s</dt><dd>%s</dd></div>", name, value);
}

static void write_number(FILE *f, size_t n, const char *name)
{
    char *count = report_count(n);

    write_figure(f, count, name);
    free(count);
}

static void say_mobility(const struct report *r, FILE *f)
{
    char *all, *n[REPORT_VERDICTS];

    if (!r->pairs) {
        html(f, "<p>There is no VM that could move to another host yet.</p>\n");
        return;
    }
    if (r->pair[REPORT_YES] == r->pairs) {
        html(f, "<p>Every VM can run on every host.</p>\n");
        return;
    }
    all = report_count(r->pairs);
    for (unsigned int i = 0; i < REPORT_VERDICTS; i++)
        n[i] = report_count(r->pair[i]);
    html(f, "<p>Of %s pairs of a VM and another host, %s work.", all, n[REPORT_YES]);
    if (r->pair[REPORT_CYCLE])
        html(f, " %s more would after a power cycle of the VM on the pool's level.",
             n[REPORT_CYCLE]);
    if (r->pair[REPORT_UNKNOWN])
        html(f, " Of %s nobody can say.", n[REPORT_UNKNOWN]);
    html(f, "</p>\n");
    free(all);
    for (unsigned int i = 0; i < REPORT_VERDICTS; i++)
        free(n[i]);
}

void report_head(const struct report *r, FILE *f)
{
    const struct pool *p = r->in->pool;
    char *when = report_date(r->in->when), *ratio;

    html(f, "<h1>Pool %s</h1>\n<p class=\"soft\">As it was on %s", p->record->name, when);
    if (r->in->source)
        html(f, ", in %s", r->in->source);
    html(f, "</p>\n<dl class=\"figures\">");
    write_number(f, p->n_hosts, report_noun(p->n_hosts, "host", "hosts"));
    write_number(f, r->n_kinds, report_noun(r->n_kinds, "kind of host", "kinds of host"));
    write_number(f, p->n_domains, report_noun(p->n_domains, "VM", "VMs"));
    if (r->pairs) {
        ratio = xasprintf("%u\xe2\x80\x89%%", percent(r->pair[REPORT_YES], r->pairs));
        write_figure(f, ratio, "of all moves work");
        free(ratio);
    }
    write_figure(f, p->level == POOL_NONE ? "none" : p->levels[p->level].name, "level");
    html(f, "</dl>\n<div class=\"said\">");
    say_mobility(r, f);
    html(f, "</div>\n");
    free(when);
}

/* ---- what somebody should look at ---- */

static bool is_silent(const struct report *r, size_t h)
{
    return !r->in->pool->hosts[h].seen;
}

static bool has_drift(const struct report *r, size_t h)
{
    const char *drift = r->in->pool->hosts[h].record->drift;

    return drift && *drift;
}

static bool lacks_level(const struct report *r, size_t h)
{
    return r->in->pool->level != POOL_NONE && r->kinds[r->hosts[h].kind].level == REPORT_NO;
}

static bool is_stuck(const struct report *r, size_t h)
{
    return r->in->pool->n_hosts > 1 && r->hosts[h].leave < r->in->pool->hosts[h].n_domains;
}

/* "<b>Silent</b>: a, b and 3 more"; nothing where there is none.  Returns how many. */
static size_t say_hosts(const struct report *r, FILE *f, bool (*is)(const struct report *, size_t),
                        const char *one, const char *many)
{
    const struct pool *p = r->in->pool;
    size_t n = 0, said = 0;

    for (size_t h = 0; h < p->n_hosts; h++)
        n += is(r, h);
    if (!n)
        return 0;
    html(f, "<li>%zu %s: ", n, n == 1 ? one : many);
    for (size_t h = 0; h < p->n_hosts && said < HOSTS_MOST; h++)
        if (is(r, h))
            html(f, "%s<strong>%s</strong>", said++ ? ", " : "", p->hosts[h].record->name);
    if (said < n)
        html(f, " and %zu more", n - said);
    html(f, ".</li>\n");
    return n;
}

void report_attention(const struct report *r, FILE *f)
{
    char *text = NULL;
    size_t len = 0, n = 0;
    FILE *list = open_memstream(&text, &len);

    if (!list)
        out_of_memory();
    n += say_hosts(r, list, has_drift, "host has changed since it joined",
                   "hosts have changed since they joined");
    n += say_hosts(r, list, lacks_level, "host cannot give the pool's level",
                   "hosts cannot give the pool's level");
    n +=
        say_hosts(r, list, is_silent, "host has not been heard of", "hosts have not been heard of");
    n += say_hosts(r, list, is_stuck, "host has VMs that no other host in service can run",
                   "hosts have VMs that no other host in service can run");
    if (fclose(list))
        out_of_memory();
    html(f,
         "<section class=\"attention%s\" aria-labelledby=\"attention-title\">\n<h2 "
         "id=\"attention-title\">%s</h2>\n",
         n ? "" : " none", n ? "What needs a look" : "Nothing needs a look");
    if (n)
        (void)fprintf(f, "<ul>\n%s</ul>\n", text);
    else
        html(f, "<p>Every host is heard of and as it joined, and every VM can leave its "
                "host.</p>\n");
    html(f, "</section>\n");
    free(text);
}
