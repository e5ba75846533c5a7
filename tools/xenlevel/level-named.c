/* SPDX-License-Identifier: MIT */
/* Named levels for people and programs: see level-at.h. */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "level-at.h"
#include "out.h"
#include "show.h"
#include "util.h"

/* "intel-haswell-ep and 6 others" */
static char *shorten_machines(const char *machines)
{
    size_t first = strcspn(machines, " "), others = 0;

    for (const char *c = machines + first; *c; c++)
        others += *c == ' ';
    if (!others)
        return xstrdup(machines);
    return xasprintf("%.*s and %zu other%s", (int)first, machines, others, others > 1 ? "s" : "");
}

static void list_row(struct table *t, const struct named_level *l)
{
    char *from = shorten_machines(l->machines), hvm[16], pv[16];
    char *about = xasprintf("%s; from %s", l->summary, from);

    (void)snprintf(hvm, sizeof(hvm), "%u", featureset_count(&l->features[NAMED_HVM]));
    (void)snprintf(pv, sizeof(pv), "%u", featureset_count(&l->features[NAMED_PV]));
    table_row(t, l->name, l->vendor, l->have[NAMED_HVM] ? hvm : "-", l->have[NAMED_PV] ? pv : "-",
              about);
    free(about);
    free(from);
}

int level_list(bool json)
{
    struct named_list list;
    struct json *j = NULL;
    struct table t;
    char *why = NULL;
    int status = STATUS_YES;

    if (named_list(&list, &why)) {
        warn("%s", why);
        free(why);
        named_list_free(&list);
        return STATUS_TROUBLE;
    }
    if (json) {
        j = json_begin();
        json_object(j, NULL);
        json_array(j, "levels");
        for (size_t i = 0; i < list.n; i++) {
            json_object(j, NULL);
            level_named_json(j, &list.levels[i]);
            json_close_object(j);
        }
        json_close_array(j);
        json_close_object(j);
        status = json_end(j);
    } else {
        table_init(&t, 5, 0);
        table_row(&t, "NAME", "VENDOR", "HVM", "PV", "WHAT");
        for (size_t i = 0; i < list.n; i++)
            list_row(&t, &list.levels[i]);
        table_print(&t, stdout);
    }
    named_list_free(&list);
    return status;
}

void level_named_print(const struct named_level *l)
{
    struct table t;
    char count[32];

    table_init(&t, 2, 0);
    table_row(&t, "named level", l->name);
    table_row(&t, "what", l->summary);
    table_row(&t, "vendor", l->vendor);
    table_row(&t, "source", l->source);
    if (*l->machines)
        table_row(&t, "machines", l->machines);
    if (*l->xen)
        table_row(&t, "xen", l->xen);
    table_print(&t, stdout);
    out_text(stdout, 0, 0,
             "\nA guest has at most these features, on hosts that all give them; identity, sizes, "
             "protections and warnings are what the hosts share.");
    for (int type = NAMED_HVM; type >= NAMED_PV; type--) {
        if (!l->have[type])
            continue;
        (void)printf("\n");
        out_text(stdout, 0, 2, "%s guests: %s", type == NAMED_PV ? "PV" : "HVM and PVH",
                 plural(count, sizeof(count), featureset_count(&l->features[type]), "feature",
                        "features"));
        show_features(stdout, 2, &l->features[type]);
    }
}

void level_named_json(struct json *j, const struct named_level *l)
{
    json_string(j, "kind", "named-level");
    json_string(j, "name", l->name);
    json_number(j, "version", l->version);
    json_string(j, "vendor", l->vendor);
    json_string(j, "summary", l->summary);
    json_string(j, "source", l->source);
    json_string(j, "machines", l->machines);
    json_string(j, "xen", l->xen);
    json_string(j, "file", l->path);
    for (int type = NAMED_HVM; type >= NAMED_PV; type--)
        if (l->have[type])
            json_features(j, type == NAMED_PV ? "pv" : "hvm", &l->features[type]);
}
