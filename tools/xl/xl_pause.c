/* SPDX-License-Identifier: MIT */
/*
 * xl-sim pause, unpause.
 */
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "receive.h"
#include "xl.h"

static const struct cmd_option options[] = {
    CMD_END,
};

static int change_domain(const struct command *cmd, int argc, char **argv,
                         int (*how)(xc_handle *xch, uint32_t domid))
{
    int status, rc;
    xc_handle *xch;
    uint32_t domid;
    char **args;

    status = xl_arguments(cmd, argc, argv, 1, "a domain is needed", &args, NULL);
    if (status)
        return status;
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    rc = xc_domain_resolve(xch, args[0], &domid);
    if (!rc)
        rc = how(xch, domid);
    xc_interface_close(xch);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

static int run_pause(const struct command *cmd, int argc, char **argv)
{
    return change_domain(cmd, argc, argv, xc_domain_pause);
}

/* What is being received must not run, nor what a receiver that was killed has left. */
static int unpause_domain(xc_handle *xch, uint32_t domid)
{
    char *name = xl_domain_name(xch, domid);
    size_t length = strlen(name), tail = strlen(RECEIVE_INCOMING);
    bool incoming = length > tail && !strcmp(name + length - tail, RECEIVE_INCOMING);

    if (incoming)
        warn("'%s' is not all there, or runs elsewhere: when nobody is sending it any more, "
             "`xl-sim destroy %u`",
             name, domid);
    free(name);
    return incoming || xl_claim(domid) ? -1 : xc_domain_unpause(xch, domid);
}

static int run_unpause(const struct command *cmd, int argc, char **argv)
{
    return change_domain(cmd, argc, argv, unpause_domain);
}

const struct command cmd_pause = {
    .name = "pause",
    .args = "DOMAIN",
    .summary = "stop a domain where it is",
    .about = "Keeps the vCPUs of a domain from running until it is unpaused.",
    .options = options,
    .run = run_pause,
};

const struct command cmd_unpause = {
    .name = "unpause",
    .args = "DOMAIN",
    .summary = "let a domain run",
    .about = "Lets a domain run that was created with -p, or paused. Once it has run, its CPU "
             "cannot be changed any more.",
    .options = options,
    .run = run_unpause,
};
