/* SPDX-License-Identifier: MIT */
/*
 * What the commands of xl-sim share; each is a file xl_NAME.c.
 */
#ifndef XL_SIM_XL_H
#define XL_SIM_XL_H

#include "cmd.h"
#include "xc.h"

extern const struct command cmd_info, cmd_list, cmd_create, cmd_destroy, cmd_pause, cmd_unpause,
    cmd_cpuid, cmd_status, cmd_dmesg, cmd_run, cmd_poweroff, cmd_save, cmd_restore, cmd_migrate,
    cmd_migrate_receive;

/* Open the simulated host that -s or XENLEVEL_HOST names.  NULL after a message. */
xc_handle *xl_open(void);

/* Return the path of its socket; NULL: nothing names one. */
const char *xl_socket(void);

/* Keep every other process from saving, restoring, migrating or unpausing this domain, until this
 * one ends.  0; or -1 after a message: another has it. */
int xl_claim(uint32_t domid);

/* Return the path of this program's own file. */
const char *xl_program(void);

/* Return the name of a domain, malloc'ed: "Domain-0" for domain 0, "(no name)" where there is none.
 */
char *xl_domain_name(xc_handle *xch, uint32_t domid);

/* Return "paused", "shut down (crash)", "dying", "running" (that it may run). */
const char *xl_domain_state(const struct xc_domain_info *info);

/* Parse the command line of a command that takes n arguments (`what` says which) and no option but
 * --json (`json` NULL: not that either).  0 with *args; or STATUS_TROUBLE after a message. */
int xl_arguments(const struct command *cmd, int argc, char **argv, int n, const char *what,
                 char ***args, bool *json);

/* Parse a decimal number from 0 to max.  0; or -1, without a message. */
int xl_number(const char *text, uint64_t max, uint64_t *value);

#endif /* XL_SIM_XL_H */
