/* SPDX-License-Identifier: MIT */
/*
 * xl-sim cpuid: the CPU of a domain, as it was told; and what its programs see beyond that.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "describe.h"
#include "json.h"
#include "out.h"
#include "programs.h"
#include "util.h"
#include "xc_audit.h"
#include "xl.h"

static const struct cmd_option options[] = {
    {'n', "vcpu", "N", "as that vCPU reads it now, in its place in the topology"},
    CMD_JSON,
    CMD_END,
};

struct view {
    char *name;
    struct xc_domain_info info;
    struct cpu_policy policy;
    long vcpu; /* -1: the policy itself */
    struct xc_leaves leaves;
    struct featureset visible; /* PV, this and all below */
    struct programs programs;
    bool costs_known, costs_switches;
};

/* ---- what stays visible ---- */

static int find_visible(xc_handle *xch, struct view *v)
{
    if (v->info.type != XC_DOMAIN_PV)
        return 0;
    if (programs_look_at(xch, v->info.domid, &v->programs))
        return -1;
    v->visible = v->programs.view.beyond.appear;
    featureset_andnot(&v->visible, &v->visible, featureset_merge_mask(MERGE_DYNAMIC));
    /* Our own hypervisor knows better, and what it costs. */
    v->costs_known = !xc_domain_get_visible(xch, v->info.domid, &v->visible, &v->costs_switches);
    return v->costs_known || errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -1;
}

/* ---- printing ---- */

static void print_visible(const struct view *v)
{
    size_t n = featureset_count(&v->visible);
    char count[32];

    if (n) {
        out_text(stdout, 0, 2,
                 "%s visible to its programs though its policy lacks %s: this CPU can hide %s "
                 "neither by faulting nor by a mask",
                 plural(count, sizeof(count), n, "feature stays", "features stay"),
                 n == 1 ? "it" : "them", n == 1 ? "it" : "them");
        show_features(stdout, 2, &v->visible);
    }
    if (v->costs_switches)
        out_text(stdout, 0, 2,
                 "its masks are not the host's: they are written at every switch between it and a "
                 "PV guest of another level, which makes context switches slower");
}

/* What is no feature that stays visible. */
static void print_beyond(const struct view *v)
{
    const struct pv_change *beyond = &v->programs.view.beyond;
    char names[PROGRAMS_TEXT];

    programs_features(&beyond->vanish, names, sizeof(names));
    if (names[0])
        out_text(stdout, 0, 2, "its programs cannot be shown, though its policy has it: %s", names);
    programs_areas(beyond, names, sizeof(names));
    if (names[0])
        out_text(stdout, 0, 2, "its programs read of this CPU, not of its policy: %s", names);
}

static int print_text(const struct view *v)
{
    char *cpu = show_cpu(&v->policy);

    if (v->vcpu < 0)
        out_text(stdout, 0, 2, "'%s' (%s, domain %u): %s", v->name,
                 xc_domain_type_name(v->info.type), v->info.domid, cpu);
    else
        out_text(stdout, 0, 2, "'%s' (%s, domain %u), vCPU %ld: %s", v->name,
                 xc_domain_type_name(v->info.type), v->info.domid, v->vcpu, cpu);
    free(cpu);
    (void)printf("  leaf     subleaf  eax      ebx      ecx      edx\n");
    for (size_t i = 0; i < v->leaves.nr_leaves; i++) {
        const xen_cpuid_leaf_t *l = &v->leaves.leaves[i];
        char subleaf[16] = "-";

        if (l->subleaf != XEN_CPUID_NO_SUBLEAF)
            (void)snprintf(subleaf, sizeof(subleaf), "%x", l->subleaf);
        (void)printf("  %08x %-7s  %08x %08x %08x %08x\n", l->leaf, subleaf, l->a, l->b, l->c,
                     l->d);
    }
    print_visible(v);
    if (v->info.type == XC_DOMAIN_PV)
        print_beyond(v);
    return STATUS_YES;
}

static int print_json(const struct view *v)
{
    struct json *j = json_begin();
    char *cpu = show_cpu(&v->policy);

    json_object(j, NULL);
    json_string(j, "name", v->name);
    json_number(j, "domid", v->info.domid);
    json_string(j, "type", xc_domain_type_name(v->info.type));
    json_string(j, "cpu", cpu);
    if (v->vcpu >= 0)
        json_number(j, "vcpu", (uint64_t)v->vcpu);
    json_leaves(j, &v->leaves);
    if (v->info.type == XC_DOMAIN_PV) {
        json_features(j, "visible", &v->visible);
        if (v->costs_known)
            json_bool(j, "costs_switches", v->costs_switches);
        else
            json_string(j, "costs_switches", NULL);
        json_programs(j, &v->programs);
    }
    json_close_object(j);
    free(cpu);
    return json_end(j);
}

/* ---- */

static int find_out(xc_handle *xch, const char *domain, struct view *v)
{
    uint32_t domid;

    if (xc_domain_resolve(xch, domain, &domid) || xc_domain_getinfo(xch, domid, &v->info))
        return -1;
    v->name = xl_domain_name(xch, domid);
    if (v->vcpu >= 0 && (uint64_t)v->vcpu >= v->info.nr_vcpus) {
        warn("domain '%s' has %u vCPUs: they are numbered from 0", v->name, v->info.nr_vcpus);
        return -1;
    }
    if (xc_domain_policy(xch, domid, &v->policy) || find_visible(xch, v))
        return -1;
    if (xc_policy_to_leaves(&v->policy, &v->leaves)) {
        warn("out of memory");
        return -1;
    }
    return v->vcpu < 0 ? 0
                       : xc_vcpu_get_cpuid(xch, domid, (uint32_t)v->vcpu, v->leaves.leaves,
                                           v->leaves.nr_leaves);
}

static int run_cpuid(const struct command *cmd, int argc, char **argv)
{
    int letter, first, status = STATUS_TROUBLE;
    struct view *v;
    xc_handle *xch;
    uint64_t vcpu = UINT64_MAX;
    const char *value;
    bool json = false;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'j')
            json = true;
        else if (letter != 'n')
            return STATUS_TROUBLE;
        else if (xl_number(value, INT32_MAX, &vcpu))
            return complain("'%s' is not the number of a vCPU", value);
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "a domain is needed");
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    v = xcalloc(1, sizeof(*v));
    v->vcpu = vcpu == UINT64_MAX ? -1 : (long)vcpu;
    if (!find_out(xch, argv[first], v))
        status = (json ? print_json : print_text)(v);
    xc_leaves_free(&v->leaves);
    free(v->name);
    free(v);
    xc_interface_close(xch);
    return status;
}

const struct command cmd_cpuid = {
    .name = "cpuid",
    .args = "DOMAIN",
    .summary = "the CPU of a domain",
    .about = "Prints the CPUID leaves of a domain's policy, or what one of its vCPUs reads now "
             "(of a PV domain, its kernel). Of a PV domain, also what its programs read beyond or "
             "short of "
             "it: features that the CPU cannot be kept from showing, features that it cannot be "
             "made to show, and what else is the CPU's own; and whether hiding features costs time "
             "at context switches.",
    .options = options,
    .run = run_cpuid,
};
