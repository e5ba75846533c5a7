/* SPDX-License-Identifier: MIT */
/*
 * xl-sim list: the domains, in xl's columns.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "out.h"
#include "util.h"
#include "xl.h"

#define PAGES_PER_MIB 256

static const struct cmd_option options[] = {
    CMD_JSON,
    CMD_END,
};

/* One letter a state, where it holds: running, blocked, paused, shut down, crashed, dying. */
static void state_letters(const struct xc_domain_info *info, char text[static 7])
{
    bool crashed = info->shutdown && info->shutdown_reason == XC_SHUTDOWN_CRASH;

    (void)snprintf(text, 7, "%c%c%c%c%c%c", info->running ? 'r' : '-', info->blocked ? 'b' : '-',
                   info->paused ? 'p' : '-', info->shutdown ? 's' : '-', crashed ? 'c' : '-',
                   info->dying ? 'd' : '-');
}

static int print_text(xc_handle *xch, const struct xc_domain_info *list, size_t n)
{
    (void)printf("%-40s %5s %5s %5s\t%s\t%s\n", "Name", "ID", "Mem", "VCPUs", "State", "Time(s)");
    for (size_t i = 0; i < n; i++) {
        const struct xc_domain_info *info = &list[i];
        char *name = xl_domain_name(xch, info->domid);
        char state[7];

        state_letters(info, state);
        out_print(stdout, "%-40s %5u %5" PRIu64 " %5u     %s  %8" PRIu64 ".%" PRIu64 "\n", name,
                  info->domid, info->tot_pages / PAGES_PER_MIB, info->nr_online_vcpus, state,
                  info->cpu_time_ns / 1000000000, info->cpu_time_ns / 100000000 % 10);
        free(name);
    }
    return STATUS_YES;
}

static int print_json(xc_handle *xch, const struct xc_domain_info *list, size_t n)
{
    struct json *j = json_begin();

    json_array(j, NULL);
    for (size_t i = 0; i < n; i++) {
        const struct xc_domain_info *info = &list[i];
        char *name = xl_domain_name(xch, info->domid);

        json_object(j, NULL);
        json_number(j, "domid", info->domid);
        json_string(j, "name", name);
        json_string(j, "type", xc_domain_type_name(info->type));
        json_bool(j, "hap", info->hap);
        json_string(j, "state", xl_domain_state(info));
        json_bool(j, "running", info->running);
        json_bool(j, "blocked", info->blocked);
        json_bool(j, "paused", info->paused);
        json_bool(j, "dying", info->dying);
        json_string(j, "shutdown",
                    info->shutdown ? xc_shutdown_reason_name(info->shutdown_reason) : NULL);
        json_number(j, "pages", info->tot_pages);
        json_number(j, "vcpus", info->nr_online_vcpus);
        json_number(j, "time_ns", info->cpu_time_ns);
        json_close_object(j);
        free(name);
    }
    json_close_array(j);
    return json_end(j);
}

/* The domains that were asked for, or all of them; *list is malloc'ed. */
static int collect_domains(xc_handle *xch, int n, char **names, struct xc_domain_info **list,
                           size_t *count)
{
    if (!n)
        return xc_domain_list(xch, list, count);
    *list = xcalloc((size_t)n, sizeof(**list));
    *count = (size_t)n;
    for (int i = 0; i < n; i++) {
        uint32_t domid;

        if (xc_domain_resolve(xch, names[i], &domid) ||
            xc_domain_getinfo(xch, domid, &(*list)[i])) {
            free(*list);
            return -1;
        }
    }
    return 0;
}

static int run_list(const struct command *cmd, int argc, char **argv)
{
    int letter, first, status = STATUS_TROUBLE;
    struct xc_domain_info *list;
    const char *value;
    bool json = false;
    xc_handle *xch;
    size_t n;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'j')
            return STATUS_TROUBLE;
        json = true;
    }
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    if (!collect_domains(xch, argc - first, argv + first, &list, &n)) {
        status = (json ? print_json : print_text)(xch, list, n);
        free(list);
    }
    xc_interface_close(xch);
    return status;
}

const struct command cmd_list = {
    .name = "list",
    .args = "[DOMAIN]...",
    .summary = "the domains",
    .about = "Lists the domains, or those that are named, as xl does: their names and numbers, "
             "memory in MiB, the vCPUs that are up, their state, and the time that they have run. "
             "The state: r running at this moment, b blocked, p paused, s shut down, c crashed, "
             "d dying.",
    .options = options,
    .run = run_list,
};
