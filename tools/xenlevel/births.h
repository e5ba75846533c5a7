/* SPDX-License-Identifier: MIT */
/*
 * A configuration that no domain was created from yet: what would a guest of it be told on each
 * host, and where could it go from there?
 */
#ifndef XENLEVEL_BIRTHS_H
#define XENLEVEL_BIRTHS_H

#include <stdbool.h>

/* Say whether a file looks like a configuration of xl: text that sets one of its keys. */
bool config_is(const char *path);

/*
 * Answer for n hosts, as text or JSON.  Returns STATUS_YES when a guest that is created on any of
 * them can go to all others; STATUS_NO when not; STATUS_TROUBLE after a message.
 */
int check_births(const char *path, int n, char **hosts, bool strict, bool json);

#endif /* XENLEVEL_BIRTHS_H */
