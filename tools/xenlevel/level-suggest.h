/* SPDX-License-Identifier: MIT */
/*
 * What hosts could have, in words: `xenlevel level --suggest` and `xenlevel pool level --suggest`.
 */
#ifndef XENLEVEL_LEVEL_SUGGEST_H
#define XENLEVEL_LEVEL_SUGGEST_H

#include "level-plan.h"
#include "suggest.h"

/* Suggest for hosts of which there are files.  Returns a status. */
int level_suggest(const struct level_pool *pool, bool json);

/* Print the levels that hosts could have, or write them as members of the open object. */
void suggest_print_levels(const struct suggestion *s);
void suggest_json_levels(struct json *j, const struct suggestion *s);
/* Print what retiring each class gains the others, or write it as a member. */
void suggest_print_gains(const struct suggest_class *classes, size_t n, const struct suggestion *s);
void suggest_json_gains(struct json *j, const struct suggest_class *classes, size_t n,
                        const struct suggestion *s);

#endif /* XENLEVEL_LEVEL_SUGGEST_H */
