/* SPDX-License-Identifier: MIT */
/*
 * xl-sim destroy.
 */
#include "out.h"
#include "xl.h"

static const struct cmd_option options[] = {
    CMD_END,
};

static int run_destroy(const struct command *cmd, int argc, char **argv)
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
    if (!rc && domid == 0) {
        warn("domain 0 is the host's own: `xl-sim poweroff` switches the host off");
        rc = -1;
    }
    if (!rc)
        rc = xc_domain_destroy(xch, domid);
    if (!rc)
        rc = xc_domain_set_name(xch, domid, NULL);
    xc_interface_close(xch);
    return rc ? STATUS_TROUBLE : STATUS_YES;
}

const struct command cmd_destroy = {
    .name = "destroy",
    .args = "DOMAIN",
    .summary = "end a domain at once",
    .about = "Takes a domain's vCPUs and memory away. It is not asked first.",
    .options = options,
    .run = run_destroy,
};
