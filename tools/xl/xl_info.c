/* SPDX-License-Identifier: MIT */
/*
 * xl-sim info: what machine this is, and what its hypervisor can do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "describe.h"
#include "json.h"
#include "out.h"
#include "util.h"
#include "xc_audit.h"
#include "xc_sim.h"
#include "xl.h"

#define PAGES_PER_MIB 256

static const struct cmd_option options[] = {
    CMD_JSON,
    CMD_END,
};

struct facts {
    struct xc_sim_info sim;
    struct xc_version version;
    struct xc_physinfo machine;
    struct cpu_policy raw;
    size_t nr_domains;
};

static int find_out(xc_handle *xch, struct facts *f)
{
    struct xc_domain_info *list;

    if (xc_sim_info(xch, &f->sim) || xc_version(xch, &f->version) ||
        xc_physinfo(xch, &f->machine) || xc_system_policy(xch, XC_POLICY_RAW, &f->raw) ||
        xc_domain_list(xch, &list, &f->nr_domains))
        return -1;
    free(list);
    return 0;
}

static void print_number(struct table *t, const char *what, uint64_t number, const char *unit)
{
    char *text = xasprintf("%" PRIu64 "%s", number, unit);

    table_row(t, what, text);
    free(text);
}

static int print_text(const struct facts *f, const char *cpu)
{
    const struct xc_physinfo *m = &f->machine;
    unsigned int family, model, stepping;
    char caps[XC_LEVELCAPS_TEXT] = "";
    struct table t;
    char *text;

    (void)xc_levelling_caps_text(m->levelling_caps, caps, sizeof(caps));
    policy_signature(&f->raw, &family, &model, &stepping);
    table_init(&t, 2, 0);
    table_row(&t, "machine", f->sim.machine);
    table_row(&t, "xen_version", f->version.text);
    table_row(&t, "cpu", cpu);
    text = xasprintf("family %#x model %#x stepping %#x", family, model, stepping);
    table_row(&t, "", text);
    free(text);
    print_number(&t, "nr_cpus", m->nr_cpus, "");
    print_number(&t, "total_memory", m->total_pages / PAGES_PER_MIB, " MiB");
    print_number(&t, "free_memory", m->free_pages / PAGES_PER_MIB, " MiB");
    text = xasprintf("%s%s%s", m->pv ? "pv " : "", m->hvm ? "pvh hvm " : "",
                     m->hap ? "(with hap)" : "");
    table_row(&t, "guests", text);
    free(text);
    table_row(&t, "levelling_caps", caps);
    print_number(&t, "domains", f->nr_domains, "");
    print_number(&t, "steps", f->sim.steps,
                 f->sim.stepped ? " (its guests run with `xl-sim run` only)" : "");
    text = xasprintf("%" PRIu64 ".%03" PRIu64 " s", f->sim.now_ns / 1000000000,
                     f->sim.now_ns / 1000000 % 1000);
    table_row(&t, "time", text);
    free(text);
    print_number(&t, "seed", f->sim.seed, "");
    table_print(&t, stdout);
    return STATUS_YES;
}

static int print_json(const struct facts *f, const char *cpu)
{
    const struct xc_physinfo *m = &f->machine;
    unsigned int family, model, stepping;
    struct json *j = json_begin();

    policy_signature(&f->raw, &family, &model, &stepping);
    json_object(j, NULL);
    json_string(j, "machine", f->sim.machine);
    json_string(j, "xen_version", f->version.text);
    json_string(j, "xen_capabilities", f->version.capabilities);
    json_string(j, "cpu", cpu);
    json_number(j, "family", family);
    json_number(j, "model", model);
    json_number(j, "stepping", stepping);
    json_number(j, "nr_cpus", m->nr_cpus);
    json_number(j, "total_pages", m->total_pages);
    json_number(j, "free_pages", m->free_pages);
    json_bool(j, "pv", m->pv);
    json_bool(j, "hvm", m->hvm);
    json_bool(j, "hap", m->hap);
    json_levelling_caps(j, "levelling_caps", m->levelling_caps);
    json_number(j, "domains", f->nr_domains);
    json_number(j, "steps", f->sim.steps);
    json_number(j, "time_ns", f->sim.now_ns);
    json_number(j, "seed", f->sim.seed);
    json_bool(j, "stepped", f->sim.stepped);
    json_close_object(j);
    return json_end(j);
}

static int run_info(const struct command *cmd, int argc, char **argv)
{
    struct facts *f;
    xc_handle *xch;
    char **args;
    bool json;
    int status = xl_arguments(cmd, argc, argv, 0, "takes no arguments", &args, &json);

    if (status)
        return status;
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    f = xcalloc(1, sizeof(*f));
    status = STATUS_TROUBLE;
    if (!find_out(xch, f)) {
        char *cpu = show_cpu(&f->raw);

        status = (json ? print_json : print_text)(f, cpu);
        free(cpu);
    }
    free(f);
    xc_interface_close(xch);
    return status;
}

const struct command cmd_info = {
    .name = "info",
    .args = "",
    .summary = "what machine this is, and what its hypervisor can do",
    .about = "Says what the simulated machine and its hypervisor are: the CPU, memory, which types "
             "of guest it runs, and its levelling capabilities: by which registers of CPUID it can "
             "be kept from PV guests what their policy does not have (faulting: all).",
    .options = options,
    .run = run_info,
};
