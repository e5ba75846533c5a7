/* SPDX-License-Identifier: MIT */
/*
 * The report for Prometheus: text that node_exporter's textfile collector takes.
 * Source: Prometheus, "Exposition formats", text-based format, version 0.0.4.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report-private.h"
#include "util.h"
#include "xc_text.h"

/* The value of a label: a backslash, a quote and a line end are escaped; what is no UTF-8, and what
 * a terminal must not see, is escaped as everywhere (xc_text.h). */
static void write_label(FILE *f, const char *name, const char *value, bool first)
{
    size_t size = xc_text_safe(value, strlen(value), NULL, 0) + 1;
    char *safe = xcalloc(size, 1);

    (void)xc_text_safe(value, strlen(value), safe, size);
    (void)fprintf(f, "%c%s=\"", first ? '{' : ',', name);
    for (const char *c = safe; *c; c++) {
        if (*c == '\\' || *c == '"')
            (void)fputc('\\', f);
        (void)fputc(*c, f);
    }
    (void)fputc('"', f);
    free(safe);
}

static void begin_metric(FILE *f, const char *name, const char *help)
{
    (void)fprintf(f, "# HELP xenlevel_pool_%s %s\n# TYPE xenlevel_pool_%s gauge\n", name, help,
                  name);
}

/* One value of a metric of the pool. */
static void write_value(const struct report *r, FILE *f, const char *name, uint64_t value)
{
    (void)fprintf(f, "xenlevel_pool_%s", name);
    write_label(f, "pool", r->in->pool->record->name, true);
    (void)fprintf(f, "} %" PRIu64 "\n", value);
}

static void write_metric(const struct report *r, FILE *f, const char *name, const char *help,
                         uint64_t value)
{
    begin_metric(f, name, help);
    write_value(r, f, name, value);
}

static void write_of_host(const struct report *r, FILE *f, const char *name, size_t host,
                          uint64_t value)
{
    (void)fprintf(f, "xenlevel_pool_%s", name);
    write_label(f, "pool", r->in->pool->record->name, true);
    write_label(f, "host", r->in->pool->hosts[host].record->name, false);
    (void)fprintf(f, "} %" PRIu64 "\n", value);
}

static uint64_t find_drift(const struct report *r, size_t h)
{
    const char *drift = r->in->pool->hosts[h].record->drift;

    return drift && *drift;
}

static uint64_t find_maintenance(const struct report *r, size_t h)
{
    return r->in->pool->hosts[h].record->maintenance;
}

static uint64_t find_vms(const struct report *r, size_t h)
{
    return r->in->pool->hosts[h].n_domains;
}

static uint64_t find_stuck(const struct report *r, size_t h)
{
    return r->in->pool->hosts[h].n_domains - r->hosts[h].leave;
}

static uint64_t find_silent(const struct report *r, size_t h)
{
    return !r->in->pool->hosts[h].seen;
}

static void write_hosts(const struct report *r, FILE *f)
{
    static const struct {
        const char *name, *help;
        uint64_t (*value)(const struct report *, size_t);
    } metrics[] = {
        {"host_vms", "VMs on the host.", find_vms},
        {"host_vms_cannot_leave",
         "VMs of the host that no other host in service can run, by their CPU.", find_stuck},
        {"host_drift", "1 when the host is not as it was when it joined.", find_drift},
        {"host_maintenance", "1 when nothing is to be placed on the host.", find_maintenance},
        {"host_silent", "1 when the host has not refreshed in time.", find_silent},
    };

    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        begin_metric(f, metrics[i].name, metrics[i].help);
        for (size_t h = 0; h < r->in->pool->n_hosts; h++)
            write_of_host(r, f, metrics[i].name, h, metrics[i].value(r, h));
    }
}

/* A host that is silent has none: no number is better than a wrong one. */
static void write_refreshes(const struct report *r, FILE *f)
{
    begin_metric(f, "host_last_refresh_timestamp_seconds",
                 "When the host last refreshed what the registry says of it.");
    for (size_t h = 0; h < r->in->pool->n_hosts; h++) {
        const char *seen = r->in->pool->hosts[h].seen;
        time_t when;

        if (seen && date_read(seen, &when) && when >= 0)
            write_of_host(r, f, "host_last_refresh_timestamp_seconds", h, (uint64_t)when);
    }
}

static void write_level(const struct report *r, FILE *f)
{
    const struct pool *p = r->in->pool;

    begin_metric(f, "level_info", "The level of the pool; level is empty when there is none.");
    (void)fputs("xenlevel_pool_level_info", f);
    write_label(f, "pool", p->record->name, true);
    write_label(f, "level", p->level == POOL_NONE ? "" : p->levels[p->level].name, false);
    (void)fputs("} 1\n", f);
}

static void write_moves(const struct report *r, FILE *f)
{
    static const char *const names[REPORT_VERDICTS] = {"yes", "power_cycle", "no", "cannot_say"};

    begin_metric(f, "moves", "Pairs of a VM and a host other than its own, by answer.");
    for (unsigned int i = 0; i < REPORT_VERDICTS; i++) {
        (void)fputs("xenlevel_pool_moves", f);
        write_label(f, "pool", r->in->pool->record->name, true);
        write_label(f, "answer", names[i], false);
        (void)fprintf(f, "} %zu\n", r->pair[i]);
    }
    begin_metric(
        f, "mobility_ratio",
        "Share of the pairs of a VM and another host that work, 0 to 1; NaN without pairs.");
    (void)fputs("xenlevel_pool_mobility_ratio", f);
    write_label(f, "pool", r->in->pool->record->name, true);
    if (r->pairs)
        (void)fprintf(f, "} %.9g\n", (double)r->pair[REPORT_YES] / (double)r->pairs);
    else
        (void)fputs("} NaN\n", f);
}

int report_write_metrics(const struct report *r, FILE *f)
{
    const struct pool *p = r->in->pool;

    write_metric(r, f, "hosts", "Hosts of the pool.", p->n_hosts);
    write_metric(r, f, "host_kinds", "Kinds of host: those of a kind offer the same.", r->n_kinds);
    write_metric(r, f, "vms", "VMs of the pool.", p->n_domains);
    write_metric(r, f, "vms_cannot_leave", "VMs that no other host in service can run.",
                 r->n_stuck);
    write_moves(r, f);
    write_level(r, f);
    write_hosts(r, f);
    write_refreshes(r, f);
    return 0;
}
