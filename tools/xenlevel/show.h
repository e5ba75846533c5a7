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

/* Name, CPU, Xen, levelling capabilities: a few lines. */
void show_host(FILE *f, const struct subject *s);
/* The same as members of the object that is open. */
void show_host_json(struct json *j, const struct subject *s);

#endif /* XENLEVEL_SHOW_H */
