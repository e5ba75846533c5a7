/* SPDX-License-Identifier: MIT */
/*
 * Printing of hosts, shared by several commands.
 */
#ifndef XENLEVEL_SHOW_H
#define XENLEVEL_SHOW_H

#include <stdio.h>

#include "describe.h"
#include "json.h"
#include "subject.h"

/* Print a host's name, CPU, Xen and levelling capabilities: a few lines. */
void show_host(FILE *f, const struct subject *s);
/* Write the same as members of the object that is open. */
void show_host_json(struct json *j, const struct subject *s);

/* Write a guest's policy (SUBJECT_GUEST) to a policy file.  Returns a status; 2 after a message. */
int show_keep_guest(const struct subject *s, const char *path);

#endif /* XENLEVEL_SHOW_H */
