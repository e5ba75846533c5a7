/* SPDX-License-Identifier: MIT */
/*
 * xl-sim: xl for simulated hosts.  A table of commands; each is a file xl_NAME.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "out.h"
#include "util.h"
#include "xc_transport.h"
#include "xl.h"

static const struct command *const commands[] = {
    &cmd_info,     &cmd_list,  &cmd_create,  &cmd_destroy, &cmd_pause,
    &cmd_unpause,  &cmd_cpuid, &cmd_status,  &cmd_dmesg,   &cmd_run,
    &cmd_poweroff, &cmd_save,  &cmd_restore, &cmd_migrate, &cmd_migrate_receive,
};

static const struct cmd_option options[] = {
    {'s', "socket", "PATH", "the socket of the simulated host (default: XENLEVEL_HOST)"},
    CMD_END,
};

static const char *socket_path;

static void take_option(int letter, const char *value)
{
    (void)letter;
    socket_path = value;
}

const char *xl_socket(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    return socket_path ? socket_path : getenv("XENLEVEL_HOST");
}

xc_handle *xl_open(void)
{
    const char *where = xl_socket();

    if (where && where[0])
        return xc_interface_open_transport(&xc_transport_sim, where, out_logger());
    warn("which simulated host? Its socket is named by -s PATH, or in XENLEVEL_HOST");
    return NULL;
}

const char *xl_program(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    return n > 0 ? path : "xl-sim"; /* path[] ends with a NUL: it was zero */
}

char *xl_domain_name(xc_handle *xch, uint32_t domid)
{
    char *name = xc_domain_name(xch, domid);

    return name ? name : xstrdup(domid ? "(no name)" : "Domain-0");
}

const char *xl_domain_state(const struct xc_domain_info *info)
{
    static char text[48];

    if (info->dying)
        return "dying";
    if (info->shutdown) {
        (void)snprintf(text, sizeof(text), "shut down (%s)",
                       xc_shutdown_reason_name(info->shutdown_reason));
        return text;
    }
    return info->paused ? "paused" : "running";
}

int xl_arguments(const struct command *cmd, int argc, char **argv, int n, const char *what,
                 char ***args, bool *json)
{
    int letter, first;
    const char *value;

    if (json)
        *json = false;
    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter != 'j' || !json)
            return STATUS_TROUBLE;
        *json = true;
    }
    if (argc - first != n)
        return cmd_usage(cmd, what);
    *args = argv + first;
    return STATUS_YES;
}

int xl_number(const char *text, uint64_t max, uint64_t *value)
{
    unsigned long long n;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || *end || n > max)
        return -1;
    *value = n;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct program xl_sim = {
        .name = "xl-sim",
        .version = XENLEVEL_VERSION,
        .manual = "xl-sim(1)",
        .options = options,
        .option = take_option,
        .commands = commands,
        .nr_commands = sizeof(commands) / sizeof(commands[0]),
    };

    /* Lines are written whole: both ends of a migration may have the same stderr. */
    (void)setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    return cmd_main(&xl_sim, argc, argv);
}
