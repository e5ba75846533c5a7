/* SPDX-License-Identifier: MIT */
/*
 * xl-sim run: let the guests of a stepped host run.  xl-sim poweroff.
 */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "out.h"
#include "xc_sim.h"
#include "xl.h"

static const struct cmd_option run_options[] = {
    CMD_JSON,
    CMD_END,
};

static const struct cmd_option power_options[] = {
    CMD_END,
};

/* In one request: the host answers others in between. */
#define CHUNK 100000u

/* Up to n steps; *made of them, *info at the end. */
static int make_steps(xc_handle *xch, uint64_t n, uint64_t *made, struct xc_sim_info *info)
{
    uint64_t before;

    *made = 0;
    if (xc_sim_info(xch, info))
        return -1;
    before = info->steps;
    while (*made < n) {
        uint64_t left = n - *made, steps = info->steps;

        if (xc_sim_run(xch, left < CHUNK ? left : CHUNK, info))
            return -1;
        *made = info->steps - before;
        if (info->steps == steps) /* nothing can run, and nothing will wake up */
            break;
    }
    return 0;
}

static int run_steps(const struct command *cmd, int argc, char **argv)
{
    struct xc_sim_info info;
    uint64_t n, made;
    xc_handle *xch;
    char **args;
    bool json;
    int status = xl_arguments(cmd, argc, argv, 1, "a number of steps is needed", &args, &json);

    if (status)
        return status;
    if (xl_number(args[0], UINT64_MAX, &n))
        return complain("'%s' is not a number of steps", args[0]);
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    if (make_steps(xch, n, &made, &info)) {
        status = STATUS_TROUBLE;
    } else if (json) {
        struct json *j = json_begin();

        json_object(j, NULL);
        json_number(j, "made", made);
        json_number(j, "steps", info.steps);
        json_number(j, "time_ns", info.now_ns);
        json_close_object(j);
        status = json_end(j);
    } else {
        (void)printf("%" PRIu64 " steps made, %" PRIu64 " since the host was switched on\n", made,
                     info.steps);
    }
    xc_interface_close(xch);
    if (!status && made < n)
        status = STATUS_NO;
    return status;
}

static int run_poweroff(const struct command *cmd, int argc, char **argv)
{
    xc_handle *xch;
    char **args;
    int status = xl_arguments(cmd, argc, argv, 0, "takes no arguments", &args, NULL);

    if (status)
        return status;
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    status = xc_sim_power_off(xch) ? STATUS_TROUBLE : STATUS_YES;
    xc_interface_close(xch);
    return status;
}

const struct command cmd_run = {
    .name = "run",
    .args = "STEPS",
    .summary = "let the guests of a stepped host run",
    .about = "A host that was started with --stepped stands still between commands. This lets its "
             "guests make so many steps, one after the other, in an order that its seed decides. "
             "Status 1: no guest could go on, fewer were made.",
    .options = run_options,
    .run = run_steps,
};

const struct command cmd_poweroff = {
    .name = "poweroff",
    .args = "",
    .summary = "switch the simulated host off",
    .about = "Ends the simulated host, with all of its domains.",
    .options = power_options,
    .run = run_poweroff,
};
