/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the report share.
 */
#ifndef POOL_REPORT_PRIVATE_H
#define POOL_REPORT_PRIVATE_H

#include "answer.h"
#include "json.h"
#include "report.h"

/* report-ask.c: one class of guests and one kind of host. */
void report_ask_all(struct report *r);
struct answer_host report_answer_host(const struct report *r, size_t kind);
/* Returns the policy of the pool's level for that type; NULL: there is none. */
const struct cpu_policy *report_level_policy(const struct report *r, enum guest_type type);

/* report-graph.c */
void report_make_graphs(struct report *r);
void report_free_graphs(struct report *r);

/* report-words.c */
const char *report_type_name(enum guest_type type); /* "HVM and PVH", "PV" */
/* Take from a brand what says nothing: "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz" is "Xeon Gold
 * 6248"; malloc'ed, "" where nothing is left. */
char *report_short_cpu(const char *brand);
/* Choose the word behind a number: "host", "hosts". */
const char *report_noun(size_t n, const char *one, const char *many);
/* "48,523,684"; malloc'ed. */
char *report_count(size_t n);
/* Join the names of features: "avx2, bmi1"; after `most` of them "and 12 more" (0: all);
 * malloc'ed. */
char *report_feature_list(const struct featureset *fs, size_t most);
/* "29 November 2026, 18:05 UTC" of an RFC 3339 time; other text as it is; malloc'ed. */
char *report_date(const char *when);

/* report-data.c: the document, without json_begin() and json_end(). */
void report_data(const struct report *r, struct json *j);

/* report-svg.c: where the nodes of a graph are, and the picture. */
void report_draw_graph(const struct report *r, size_t graph, FILE *f);

/* report-tables.c, report-heat.c */
void report_kinds_table(const struct report *r, FILE *f);
void report_hosts_table(const struct report *r, FILE *f);
void report_level_section(const struct report *r, FILE *f);
void report_history_table(const struct report *r, FILE *f);
void report_heat_map(const struct report *r, FILE *f);
void report_head(const struct report *r, FILE *f);
void report_attention(const struct report *r, FILE *f);

/*
 * Write HTML: the format is markup, and the arguments of %s are text, which xc_text_safe() has made
 * safe and of which nothing is markup.  Knows %s, %zu, %u, %d and %%.
 */
void html(FILE *f, const char *markup, ...) __attribute__((format(printf, 2, 3)));

#endif /* POOL_REPORT_PRIVATE_H */
