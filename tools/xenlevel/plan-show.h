/* SPDX-License-Identifier: MIT */
/*
 * A plan in words, as JSON, and as a script: for `xenlevel pool evacuate` and `rolling`.
 */
#ifndef XENLEVEL_PLAN_SHOW_H
#define XENLEVEL_PLAN_SHOW_H

#include "json.h"
#include "plan.h"

/* Print where each guest goes, who stays and what would help. */
void plan_print_moves(const struct pool_matrix *m, const struct evacuation *e, unsigned int indent);
void plan_print_stuck(const struct pool_matrix *m, const struct evacuation *e, unsigned int indent);
/* Print how the plan was found, where that is not to the end. */
void plan_print_method(const struct evacuation *e);
/* Print which hosts were not asked to take guests; e->host: the one that is emptied, or POOL_NONE.
 */
void plan_print_skipped(const struct pool *p, size_t host);

/* Add the members of a plan. */
void plan_json(struct json *j, const struct pool_matrix *m, const struct evacuation *e);
/* Add "not_targets". */
void plan_skipped_json(struct json *j, const struct pool *p, size_t host);

/*
 * Print a shell script with a line of `xl migrate` for each move, to be run on the host that is
 * emptied.  Returns STATUS_YES; or STATUS_TROUBLE after a message, and nothing is printed, when a
 * name cannot be one of xl's.
 */
int plan_print_script(const struct pool_matrix *m, const struct evacuation *e);

#endif /* XENLEVEL_PLAN_SHOW_H */
