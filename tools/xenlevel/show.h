/* SPDX-License-Identifier: MIT */
/*
 * Printing of hosts and features, shared by several commands.
 */
#ifndef XENLEVEL_SHOW_H
#define XENLEVEL_SHOW_H

#include <stdio.h>

#include "json.h"
#include "subject.h"

/* Name, CPU, Xen, levelling capabilities: a few lines. */
void show_host(FILE *f, const struct subject *s);
/* The same as members of the object that is open. */
void show_host_json(struct json *j, const struct subject *s);

/* "Intel(R) Xeon(R) ..." of a policy, or vendor and numbers when it has no brand; malloc'ed. */
char *show_cpu(const struct cpu_policy *p);

/* A row for each feature: name, place, what it is. */
void show_features(FILE *f, unsigned int indent, const struct featureset *fs);

/* Features that are compared: without those that follow run-time state and mirrors. */
void show_comparable(struct featureset *fs);

#endif /* XENLEVEL_SHOW_H */
