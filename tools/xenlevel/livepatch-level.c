/* SPDX-License-Identifier: MIT */
/*
 * The level that new domains are born on, from its file into the payload, and back out of Xen.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "findings.h"
#include "livepatch.h"
#include "narrow.h"
#include "out.h"
#include "outfile.h"
#include "show.h"
#include "util.h"
#include "xc_audit.h"

#define RUN_DIR "/run/xenlevel"

static const enum xc_policy_index max_index[BORN_TYPES] = {
    [BORN_PV] = XC_POLICY_PV_MAX, [BORN_HVM] = XC_POLICY_HVM_MAX};
static const enum xc_policy_index default_index[BORN_TYPES] = {
    [BORN_PV] = XC_POLICY_PV_DEFAULT, [BORN_HVM] = XC_POLICY_HVM_DEFAULT};
static const enum subject_type subject_types[BORN_TYPES] = {
    [BORN_PV] = TYPE_PV, [BORN_HVM] = TYPE_HVM};

static const char *type_words(unsigned int type)
{
    return type == BORN_PV ? "PV guests" : "HVM and PVH guests";
}

/* Why a host cannot give a level to guests of one type. */
static void say_refusal(const struct subject *level, unsigned int type, const struct born_cpu *c)
{
    const struct policy_report *r = &c->report;
    const struct findings all = {r->faults, 0, r->count < r->max ? r->count : r->max, NULL};
    unsigned int width = out_width(stderr);
    char count[32];

    if (c->foreign) {
        warn("the level of '%s' is of another vendor's CPU, or of other CLFLUSH sizes",
             level->name);
        return;
    }
    warn("%s on this host cannot have the level of '%s'", type_words(type), level->name);
    if (!featureset_empty(&c->absent)) {
        out_text(stderr, 2, 4, "%s of the level cannot be given here:",
                 plural(count, sizeof(count), featureset_count(&c->absent), "feature", "features"));
        show_features(stderr, 4, &c->absent);
    }
    findings_features(stderr, width, &all, FAULT_HAZARD_UNTOLD,
                      "hazard of this host is one that the level does not tell of",
                      "hazards of this host are ones that the level does not tell of");
    findings_others(stderr, width, &all, NULL);
}

/* One type of guest.  Returns a status. */
static int plan_type(xc_handle *xch, const struct subject *level, unsigned int type,
                     struct born_plan *plan)
{
    struct cpu_policy *max = xcalloc(2, sizeof(*max)), *deflt = max + 1;
    struct born_cpu *c = xcalloc(1, sizeof(*c));
    int n, status = STATUS_TROUBLE;

    if (xc_system_policy(xch, max_index[type], max) ||
        xc_system_policy(xch, default_index[type], deflt))
        goto out;
    /* It may be narrowed already, to another level, which gives way. */
    if (xc_widen_own(xch, default_index[type], deflt) < 0)
        goto out;
    status = STATUS_NO;
    if (born_narrow(deflt, max, &level->level[subject_types[type]], c)) {
        say_refusal(level, type, c);
        goto out;
    }
    n = born_entries(deflt, &c->wanted, plan->table.entries[type]);
    if (n < 0) {
        warn("%s: the level of '%s' changes more of the default policy than a live patch can",
             type_words(type), level->name);
        goto out;
    }
    plan->table.n[type] = (uint32_t)n;
    plan->given_up[type] = c->given_up;
    plan->said[type] = true;
    status = STATUS_YES;
out:
    free(max);
    free(c);
    return status;
}

int born_plan_make(xc_handle *xch, const struct subject *level, struct born_plan *plan)
{
    struct xc_physinfo info;
    int status = STATUS_YES;

    memset(plan, 0, sizeof(*plan));
    plan->table.magic = BORN_MAGIC;
    plan->table.size = sizeof(plan->table);
    (void)snprintf(plan->name, sizeof(plan->name), "%s", level->name);
    plan->check = level->file->end;
    if (xc_physinfo(xch, &info))
        return STATUS_TROUBLE;
    for (unsigned int type = 0; type < BORN_TYPES && status != STATUS_TROUBLE; type++) {
        int rc = STATUS_YES;

        if (!(type == BORN_PV ? info.pv : info.hvm))
            continue;
        if (level->have_level[subject_types[type]])
            rc = plan_type(xch, level, type, plan);
        else
            warn("the level of '%s' says nothing of %s: they are born as before", level->name,
                 type_words(type));
        if (rc)
            status = rc;
    }
    return status;
}

/* Write the string that Xen is asked for: no blanks in it but those that part its words.  It is
 * shorter than its section. */
static void put_says(const struct born_plan *plan, char says[static BORN_SAYS_SIZE])
{
    char name[BORN_NAME];
    int len;

    (void)snprintf(name, sizeof(name), "%s", plan->name);
    for (char *c = name; *c; c++)
        if (*c <= ' ' || *c > '~')
            *c = '_';
    len =
        snprintf(says, BORN_SAYS_SIZE, "%s%s check=%08" PRIx32, BORN_SAYS_LEVEL, name, plan->check);
    memset(says + len, ' ', BORN_SAYS_SIZE - 1 - (size_t)len); /* the NUL at the end stays */
}

int born_plan_put(const struct born_plan *plan, const char *path, struct payload *p)
{
    uint8_t *table = payload_section(p, BORN_SECTION, sizeof(plan->table));
    uint8_t *says = payload_section(p, BORN_SAYS_SECTION, BORN_SAYS_SIZE);
    uint32_t magic = 0;

    if (table)
        memcpy(&magic, table, sizeof(magic));
    if (!says || magic != BORN_MAGIC) {
        warn("%s has no place for a level: it was built by another release of xenlevel; build it "
             "anew with `xenlevel livepatch build`",
             path);
        return -1;
    }
    memcpy(table, &plan->table, sizeof(plan->table));
    put_says(plan, (char *)says);
    return 0;
}

int born_plan_keep(const struct born_plan *plan)
{
    struct outfile o;
    int rc;

    (void)mkdir(RUN_DIR, 0755);
    rc = outfile_open(&o, XC_BORN_FILE, 0644);
    if (!rc)
        rc = outfile_write(&o, &plan->table, sizeof(plan->table));
    if (!rc)
        rc = outfile_commit(&o);
    if (rc)
        warn("%s: %s", XC_BORN_FILE,
             strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
    outfile_close(&o);
    return rc;
}

void born_plan_forget(void)
{
    (void)unlink(XC_BORN_FILE);
}

void born_plan_print(const struct born_plan *plan)
{
    char count[32];

    for (unsigned int type = 0; type < BORN_TYPES; type++) {
        if (!plan->said[type])
            continue;
        if (featureset_empty(&plan->given_up[type])) {
            out_text(stdout, 2, 4, "%s: nothing that they had by default is left out",
                     type_words(type));
            continue;
        }
        out_text(stdout, 2, 4, "%s do without %s:", type_words(type),
                 plural(count, sizeof(count), featureset_count(&plan->given_up[type]), "feature",
                        "features"));
        show_features(stdout, 4, &plan->given_up[type]);
    }
}

/* Are the defaults what the file beside the hypervisor says that they were changed to? */
static bool is_known(xc_handle *xch)
{
    struct cpu_policy *p = xcalloc(1, sizeof(*p));
    bool known = true;

    for (unsigned int type = 0; type < BORN_TYPES;
         type++) /* of a type that is not offered: as is */
        if (!xc_system_policy(xch, default_index[type], p))
            known = known && xc_widen_own(xch, default_index[type], p) > 0;
    free(p);
    return known;
}

int born_now_read(xc_handle *xch, struct born_now *now)
{
    struct xc_livepatch_status status;
    char says[BORN_SAYS_SIZE], *name, *end;

    *now = (struct born_now){.name = ""};
    if (xc_livepatch_get(xch, PATCH_NAME, &status))
        return -1;
    if (status.state != XC_LIVEPATCH_APPLIED)
        return 0;
    if (xc_livepatch_says(xch, PATCH_NAME, says, sizeof(says)))
        return -1;
    name = strstr(says, BORN_SAYS_LEVEL);
    end = name ? strstr(name, " check=") : NULL;
    if (!end)
        return 0;
    name += strlen(BORN_SAYS_LEVEL);
    now->check = (uint32_t)strtoul(end + strlen(" check="), NULL, 16);
    (void)snprintf(now->name, sizeof(now->name), "%.*s", (int)(end - name), name);
    now->known = is_known(xch);
    return 0;
}

bool born_now_is(const struct born_now *now, const struct subject *level)
{
    return now->name[0] && level->file && now->check == level->file->end;
}
