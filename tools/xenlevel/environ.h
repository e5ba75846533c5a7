/* SPDX-License-Identifier: MIT */
/*
 * Which environment a service, or a login, gives to the programs that it starts.
 */
#ifndef XENLEVEL_ENVIRON_H
#define XENLEVEL_ENVIRON_H

#include <stdbool.h>
#include <stddef.h>

/* A list of "NAME=value", each malloc'ed.  The last of a name counts. */
struct environ_list {
    char **words;
    size_t n;
};

/* Return the value of a name in the list; NULL when it is not there. */
const char *environ_get(const struct environ_list *l, const char *name);
void environ_free(struct environ_list *l);

/*
 * Add what a file of assignments says: /etc/environment, or an EnvironmentFile of a unit.  Returns
 * 0, also when there is no such file; -1 with errno when it cannot be read.
 */
int environ_read_file(struct environ_list *l, const char *path);

enum unit_state {
    UNIT_ABSENT,  /* there is no such service here */
    UNIT_KNOWN,   /* and this is its environment */
    UNIT_UNKNOWN, /* it is there, but its environment could not be found out */
};

/* A service.  Free it with unit_close(). */
struct unit {
    enum unit_state state;
    struct environ_list list; /* what it is started with */
    bool runs;
    struct environ_list running; /* what it was started with, when it runs and that can be seen */
};

/*
 * Find out what a service, as in "libvirtd", is started with: asked of systemd; or, where none runs
 * or below a root other than "", read from its unit files, drop-ins and files of assignments.
 */
void unit_open(const char *root, const char *name, struct unit *u);
void unit_close(struct unit *u);

#endif /* XENLEVEL_ENVIRON_H */
