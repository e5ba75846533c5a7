/* SPDX-License-Identifier: MIT */
/*
 * Can a host hold PV guests to a level?
 */
#include <string.h>

#include "enforce.h"
#include "out.h"
#include "programs.h"
#include "release.h"
#include "show.h"
#include "util.h"

#include <xen/sysctl.h>

/* Of what stays visible only what a level is about: what PV guests are given at all by that Xen (no
 * VMX, no power management), and no hazards. */
static void of_a_level(const struct subject *host, struct featureset *fs)
{
    unsigned int xen = release_of(host->xen);

    featureset_and(fs, fs, release_guest_default(xen ? xen : XEN_OLDEST, GUEST_PV));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_HAZARD));
    show_comparable(fs);
}

static const struct cpu_policy *real_cpu(const struct subject *host)
{
    return &host->policy[host->have[XC_POLICY_RAW] ? XC_POLICY_RAW : XC_POLICY_HOST];
}

static void view_on(const struct subject *host, const struct cpu_policy *policy,
                    struct pv_view *view)
{
    levelling_pv_view(host->caps, real_cpu(host), policy, view);
}

void enforcement_of(const struct subject *host, const struct cpu_policy *level,
                    struct enforcement *e)
{
    struct pv_view view;

    memset(e, 0, sizeof(*e));
    e->known = host->caps_known;
    e->faulting = host->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting;
    if (!e->known || e->faulting)
        return;
    levelling_visible(host->caps, real_cpu(host), level, &e->visible);
    levelling_visible(0, real_cpu(host), level, &e->masked); /* with no mask at all */
    featureset_andnot(&e->masked, &e->masked, &e->visible);
    of_a_level(host, &e->visible);
    of_a_level(host, &e->masked);
    view_on(host, level, &view);
    e->beyond = view.beyond;
}

void enforcement_add_identity(const struct subject *host, const struct cpu_policy *level,
                              struct enforcement *e)
{
    struct pv_view view;

    if (!e->known || e->faulting)
        return;
    view_on(host, level, &view);
    e->beyond.areas |= view.beyond.areas;
    e->beyond.basic |= view.beyond.basic;
    e->beyond.extd |= view.beyond.extd;
}

void enforcement_of_move(const struct subject *home, const struct subject *host,
                         const struct cpu_policy *policy, struct enforcement *e)
{
    struct pv_view from, to;

    if (!e->known || !home->caps_known)
        return;
    view_on(home, policy, &from);
    view_on(host, policy, &to);
    e->home = home->name;
    levelling_pv_move(&from, &to, &e->move);
}

bool enforcement_is_exact(const struct enforcement *e)
{
    return e->known && e->faulting && (!e->home || levelling_pv_same(&e->move));
}

struct paragraph {
    FILE *f;
    unsigned int indent;
};

static void print_line(void *opaque, const char *line)
{
    const struct paragraph *p = opaque;

    out_text(p->f, p->indent, p->indent + 2, "%s", line);
}

/* Everything that programs see otherwise, the features of `visible` already having been said. */
static void print_beyond(FILE *f, unsigned int indent, const struct subject *host,
                         const struct enforcement *e)
{
    struct paragraph p = {f, indent + 2};
    struct pv_change rest = e->beyond;

    featureset_andnot(&rest.appear, &rest.appear, &e->visible);
    out_text(f, indent, indent + 2,
             "PV guests on %s: their kernels read the policy; their programs execute CPUID on the "
             "processor, and read something else:",
             host->name);
    programs_say(&rest, print_line, &p);
}

static void print_move(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e)
{
    struct paragraph p = {f, indent + 2};

    out_text(f, indent, indent + 2,
             "PV guests that move from %s to %s: what their programs read changes:", e->home,
             host->name);
    programs_say_move(&e->move, print_line, &p);
}

void enforcement_print(FILE *f, unsigned int indent, const struct subject *host,
                       const struct enforcement *e)
{
    char count[32];

    if (!e->known) {
        out_text(f, indent, indent + 2,
                 "PV guests on %s: whether their programs can be kept from seeing more than the "
                 "level is not known (its levelling capabilities are not in the file)",
                 host->name);
        return;
    }
    if (!featureset_empty(&e->visible)) {
        out_text(f, indent, indent + 2,
                 "PV guests on %s: %s beyond the level %s visible to their programs, since its "
                 "CPU has neither CPUID faulting nor a mask for:",
                 host->name,
                 plural(count, sizeof(count), featureset_count(&e->visible), "feature", "features"),
                 featureset_count(&e->visible) == 1 ? "stays" : "stay");
        show_features(f, indent + 4, &e->visible);
    }
    if (!featureset_empty(&e->masked))
        out_text(f, indent, indent + 2,
                 "PV guests on %s: %s %s hidden by masking MSRs. These are written again whenever "
                 "the processor switches to a guest of another level, which makes context switches "
                 "slower.",
                 host->name,
                 plural(count, sizeof(count), featureset_count(&e->masked), "feature", "features"),
                 featureset_count(&e->masked) == 1 ? "is" : "are");
    if (!e->faulting)
        print_beyond(f, indent, host, e);
    if (e->home && !levelling_pv_same(&e->move))
        print_move(f, indent, host, e);
}

void enforcement_print_refusal(FILE *f, unsigned int indent, const struct subject *host,
                               const struct enforcement *e)
{
    if (enforcement_is_exact(e))
        return;
    out_text(f, indent, indent + 2, "refused by --strict: programs of PV guests on %s %s",
             host->name,
             !e->known      ? "may read something other than their policy: that is not known"
             : !e->faulting ? "do not read exactly their policy"
                            : "read their policy, which they did not where they come from");
}

void enforcement_json(struct json *j, const char *key, const struct enforcement *e)
{
    json_object(j, key);
    json_bool(j, "known", e->known);
    if (e->known) {
        json_bool(j, "faulting", e->faulting);
        json_features(j, "visible", &e->visible);
        json_features(j, "masked", &e->masked);
        json_pv_change(j, &e->beyond, false);
    }
    json_bool(j, "exact", enforcement_is_exact(e));
    if (e->home) {
        json_object(j, "move");
        json_string(j, "from", e->home);
        json_pv_change(j, &e->move, true);
        json_close_object(j);
    }
    json_close_object(j);
}
