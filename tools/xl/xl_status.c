/* SPDX-License-Identifier: MIT */
/*
 * xl-sim status: what a scripted guest has noted down of itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sim-abi/guest.h>

#include "json.h"
#include "out.h"
#include "util.h"
#include "xl.h"

#define PAGE          4096u
#define VCPUS_OFFSET  128u
#define IS_TROUBLE(s) ((s) > GUEST_RUNNING)

_Static_assert(VCPUS_OFFSET + SIM_GUEST_MAX_VCPUS * sizeof(struct sim_guest_vcpu) <= PAGE,
               "all of them are in one page");

static const struct cmd_option options[] = {
    CMD_JSON,
    CMD_END,
};

/* A copy of the page: the guest may be writing it. */
struct report {
    char *name;
    struct xc_domain_info info;
    struct sim_guest_page page;
    struct sim_guest_vcpu vcpus[SIM_GUEST_MAX_VCPUS];
};

/* -1 after a message. */
static int read_report(xc_handle *xch, uint32_t domid, struct report *r)
{
    uint64_t frame = SIM_GUEST_GFN;
    void *page = NULL, *mapping = NULL;

    /* dom0 has no memory here. */
    if (domid != 0 && r->info.type == XC_DOMAIN_PV && xc_pv_frames(xch, domid, &frame, 1))
        return -1;
    if (domid != 0)
        mapping = xc_map_foreign_pages(xch, domid, &frame, 1, false, &page);
    if (domid != 0 && !mapping)
        return -1;
    if (page) {
        memcpy(&r->page, page, sizeof(r->page));
        memcpy(r->vcpus, (const char *)page + VCPUS_OFFSET, sizeof(r->vcpus));
    }
    xc_unmap_foreign_pages(xch, mapping);
    if (page && r->page.magic == SIM_GUEST_MAGIC && r->page.nr_vcpus &&
        r->page.nr_vcpus <= SIM_GUEST_MAX_VCPUS)
        return 0;
    warn("domain '%s' is no scripted guest: there is none at frame %llx of its memory", r->name,
         (unsigned long long)SIM_GUEST_GFN);
    return -1;
}

static int status_of(const struct report *r)
{
    for (uint32_t i = 0; i < r->page.nr_vcpus; i++)
        if (IS_TROUBLE(r->vcpus[i].status))
            return STATUS_NO;
    return r->info.shutdown && r->info.shutdown_reason == XC_SHUTDOWN_CRASH ? STATUS_NO
                                                                            : STATUS_YES;
}

static const char *script_name(const struct report *r)
{
    const char *name = sim_script_name(r->page.script);

    return name ? name : "unknown script";
}

/* In the view of its kernel, or of its programs (PV). */
static bool cpu_has_changed(const struct sim_guest_vcpu *v)
{
    return v->status == GUEST_CPU_CHANGED || v->status == GUEST_PROGRAMS_CHANGED;
}

static void print_vcpu(struct table *t, uint32_t id, const struct sim_guest_vcpu *v)
{
    char *number = xasprintf("%" PRIu32, id);
    char *ticks = xasprintf("%" PRIu64, v->ticks);
    char *checks = xasprintf("%" PRIu64, v->checks);
    char *work = xasprintf("%" PRIu64, v->work);
    char *time =
        xasprintf("%" PRIu64 ".%06" PRIu64, v->time_ns / 1000000000, v->time_ns / 1000 % 1000000);
    char *status;

    if (cpu_has_changed(v))
        status = xasprintf("%s: leaf %" PRIx64 " subleaf %" PRIx64 " was %08" PRIx64
                           " at boot, reads %08" PRIx64,
                           sim_guest_status_name(v->status), v->changed_leaf, v->changed_subleaf,
                           v->expected, v->seen);
    else
        status = xstrdup(sim_guest_status_name(v->status));
    table_row(t, number, ticks, checks, work, time, status);
    free(number);
    free(ticks);
    free(checks);
    free(work);
    free(time);
    free(status);
}

static int print_text(const struct report *r)
{
    struct table t;

    out_text(stdout, 0, 2, "'%s' (%s, domain %u): %s, %s", r->name,
             xc_domain_type_name(r->info.type), r->info.domid, script_name(r),
             xl_domain_state(&r->info));
    table_init(&t, 6, 0);
    table_row(&t, "VCPU", "Steps", "Checks", "Work", "Time(s)", "Status");
    for (uint32_t i = 0; i < r->page.nr_vcpus; i++)
        print_vcpu(&t, i, &r->vcpus[i]);
    table_print(&t, stdout);
    return status_of(r);
}

static int print_json(const struct report *r)
{
    struct json *j = json_begin();

    json_object(j, NULL);
    json_number(j, "domid", r->info.domid);
    json_string(j, "name", r->name);
    json_string(j, "state", xl_domain_state(&r->info));
    json_string(j, "guest", script_name(r));
    json_number(j, "seed", r->page.seed);
    json_number(j, "first_gfn", r->page.first_gfn);
    json_number(j, "nr_gfns", r->page.nr_gfns);
    json_number(j, "pages_per_second", r->page.pages_per_second);
    json_array(j, "vcpus");
    for (uint32_t i = 0; i < r->page.nr_vcpus; i++) {
        const struct sim_guest_vcpu *v = &r->vcpus[i];

        json_object(j, NULL);
        json_string(j, "status", sim_guest_status_name(v->status));
        json_number(j, "level", v->level);
        json_number(j, "ticks", v->ticks);
        json_hex(j, "digest", v->digest);
        json_number(j, "checks", v->checks);
        json_number(j, "work", v->work);
        json_number(j, "time_ns", v->time_ns);
        json_number(j, "last_write_ns", v->last_write_ns);
        if (cpu_has_changed(v)) {
            json_string(j, "changed_view",
                        v->status == GUEST_PROGRAMS_CHANGED ? "programs" : "kernel");
            json_hex(j, "changed_leaf", v->changed_leaf);
            json_hex(j, "changed_subleaf", v->changed_subleaf);
            json_hex(j, "expected", v->expected);
            json_hex(j, "seen", v->seen);
        }
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
    return json_end(j) ? STATUS_TROUBLE : status_of(r);
}

static int run_status(const struct command *cmd, int argc, char **argv)
{
    struct report *r;
    xc_handle *xch;
    uint32_t domid;
    char **args;
    bool json;
    int status = xl_arguments(cmd, argc, argv, 1, "a domain is needed", &args, &json);

    if (status)
        return status;
    xch = xl_open();
    if (!xch)
        return STATUS_TROUBLE;
    r = xcalloc(1, sizeof(*r));
    status = STATUS_TROUBLE;
    if (!xc_domain_resolve(xch, args[0], &domid) && !xc_domain_getinfo(xch, domid, &r->info)) {
        r->name = xl_domain_name(xch, domid);
        if (!read_report(xch, domid, r))
            status = (json ? print_json : print_text)(r);
    }
    free(r->name);
    free(r);
    xc_interface_close(xch);
    return status;
}

const struct command cmd_status = {
    .name = "status",
    .args = "DOMAIN",
    .summary = "what a guest says of itself",
    .about = "Prints what the scripted guest has noted down in its memory, for each vCPU: the "
             "steps it has made, how often it has compared CPUID with what it was at boot, the "
             "pages or vectors it has worked on, its own time, and whether all is well. A PV guest "
             "tells what its kernel reads (cpu-changed) from what its programs read "
             "(programs-cpu-changed: its kernel goes on). Status 1: all is not well, or the domain "
             "has crashed.",
    .options = options,
    .run = run_status,
};
