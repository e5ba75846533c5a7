/* SPDX-License-Identifier: MIT */
/* See pool-lists.h. */
#include "pool-lists.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "util.h"

void list_add(char **list, size_t *n, size_t most, const char *name)
{
    char *longer;

    ++*n;
    if (most && *n > most)
        return;
    longer = *list ? xasprintf("%s, %s", *list, name) : xstrdup(name);
    free(*list);
    *list = longer;
}

char *list_end(char **list, size_t *n, size_t most)
{
    char *all = *list ? *list : xstrdup("");

    if (most && *n > most) {
        all = xasprintf("%s and %zu %s", *list, *n - most, *n - most == 1 ? "other" : "others");
        free(*list);
    }
    *list = NULL;
    *n = 0;
    return all;
}

char *list_hosts(const struct pool_matrix *m, size_t column, size_t most)
{
    const struct matrix_column *c = &m->columns[column];
    char *list = NULL;
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        list_add(&list, &n, most, m->pool->hosts[m->order_hosts[c->first + i]].record->name);
    return list_end(&list, &n, most);
}

char *list_guests(const struct pool_matrix *m, size_t row, size_t most)
{
    const struct matrix_row *r = &m->rows[row];
    char *list = NULL;
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        list_add(&list, &n, most, m->pool->domains[m->order_domains[r->first + i]].record->name);
    return list_end(&list, &n, most);
}

const char *class_name(size_t i, char *buf)
{
    char digits[16];
    size_t n = 0;

    for (i++; i && n < sizeof(digits) - 1; i = (i - 1) / 26)
        digits[n++] = (char)('A' + (i - 1) % 26);
    for (size_t k = 0; k < n; k++)
        buf[k] = digits[n - 1 - k];
    buf[n] = '\0';
    return buf;
}

const char *capture_cpu(const struct pool *p, size_t capture)
{
    const Xenlevel__File *file = p->captures[capture].file;

    return file && file->content_case == XENLEVEL__FILE__CONTENT_HOST ? file->host->cpu : "";
}

const char *row_type(const struct pool_matrix *m, size_t row)
{
    size_t policy = m->rows[row].policy;

    if (policy == POOL_NONE)
        return "?";
    return m->pool->policies[policy].type == GUEST_PV ? "PV" : "HVM/PVH";
}

const char *verdict_word(enum verdict v)
{
    return v == VERDICT_YES ? "yes" : v == VERDICT_NO ? "no" : "unknown";
}

void json_counts(struct json *j, const struct matrix_count *c)
{
    json_number(j, "yes", c->yes);
    json_number(j, "no", c->no);
    json_number(j, "unknown", c->unknown);
}

int parse_size(const char *option, const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGT";
    unsigned long long value;
    unsigned int shift = 0;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*end) {
        const char *letter = strchr(letters, *end >= 'a' ? *end - 'a' + 'A' : *end);

        if (letter && !end[1])
            shift = 10 * (unsigned int)(letter - letters + 1);
    }
    if (*text < '0' || *text > '9' || errno || (*end && !shift) || value > UINT64_MAX >> shift) {
        warn("--%s is a size, as 512M or 2G, not '%s'", option, text);
        return -1;
    }
    *bytes = (uint64_t)value << shift;
    return 0;
}
