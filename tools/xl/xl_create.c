/* SPDX-License-Identifier: MIT */
/*
 * xl-sim create: a domain from a configuration.
 */
#include <stdio.h>

#include "build.h"
#include "json.h"
#include "out.h"
#include "programs.h"
#include "xl.h"

static const struct cmd_option options[] = {
    {'p', "paused", NULL, "leave it paused: its CPU can be changed until `unpause`"},
    CMD_JSON,
    CMD_END,
};

static int report_json(const struct guest_config *c, uint32_t domid, bool paused,
                       const struct programs *programs)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_number(j, "domid", domid);
    json_string(j, "name", c->name);
    json_string(j, "type", xc_domain_type_name(c->type));
    json_bool(j, "paused", paused);
    if (c->type == XC_DOMAIN_PV)
        json_programs(j, programs);
    json_close_object(j);
    return json_end(j);
}

static int create_domain(xc_handle *xch, const struct guest_config *c, bool paused, bool json)
{
    struct programs programs = {.known = false};
    uint32_t domid;

    if (build_domain(xch, c, &domid))
        return STATUS_TROUBLE;
    if (!paused && xc_domain_unpause(xch, domid)) {
        (void)xc_domain_destroy(xch, domid);
        (void)xc_domain_set_name(xch, domid, NULL);
        return STATUS_TROUBLE;
    }
    if (c->type == XC_DOMAIN_PV)
        (void)programs_look_at(xch, domid, &programs);
    if (json)
        return report_json(c, domid, paused, &programs);
    out_print(stdout, "'%s' (%s) is domain %u%s\n", c->name, xc_domain_type_name(c->type), domid,
              paused ? ", paused" : "");
    if (c->type == XC_DOMAIN_PV)
        programs_print(stdout, &programs, c->name);
    return STATUS_YES;
}

static int run_create(const struct command *cmd, int argc, char **argv)
{
    int letter, first, status = STATUS_TROUBLE;
    bool paused = false, json = false;
    struct guest_config c;
    const char *value;
    xc_handle *xch;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            paused = true;
        else if (letter == 'j')
            json = true;
        else
            return STATUS_TROUBLE;
    }
    if (argc - first < 1)
        return cmd_usage(cmd, "a configuration file is needed");
    /* The file first: it is there to be wrong without a host. */
    if (!config_read(argv[first], argc - first - 1, argv + first + 1, &c)) {
        xch = xl_open();
        if (xch)
            status = create_domain(xch, &c, paused, json);
        xc_interface_close(xch);
    }
    config_free(&c);
    return status;
}

const struct command cmd_create = {
    .name = "create",
    .args = "FILE [KEY=VALUE]...",
    .summary = "a domain from a configuration file",
    .about =
        "Builds a domain of a simulated guest and lets it run. The file is written as xl.cfg(5) "
        "is; KEY=VALUE comes before what it says, /dev/null is a file that says nothing. What "
        "fails half way leaves no domain.\n\n"
        "name (needed); type: pv (the default), pvh or hvm; hap: 0 or 1; memory in MiB (128); "
        "vcpus (1, at most 41)\n"
        "guest: steady (the default; compares CPUID with what it was at boot), writer (dirties "
        "guest_pages pages at a rate of guest_rate a second), vector (works with the best vector "
        "extension it found at boot); seed\n"
        "cpuid: as in xl.cfg, names (\"host,avx2=0\") or bit strings, for this host's default CPU\n"
        "cpu_policy: a level made by `xenlevel level`, applied as `xenlevel apply` does; or the "
        "CPU of one guest, kept by `xenlevel show -o`\n"
        "threads, cores, dies, sockets: the topology of its vCPUs",
    .options = options,
    .run = run_create,
};
