/* SPDX-License-Identifier: MIT */
/* See xlcfg-forms.h. */
#include "xlcfg-forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "libvirt-names.h"
#include "out.h"
#include "release.h"
#include "util.h"

/* What no form of names can say. */
static void print_numbers(const struct xlcfg_level *level, const char *before, const char *behind)
{
    const struct cpu_policy *p = level->policy;

    (void)printf("%sNot said here: the highest leaf (%#x), the highest subleaf of leaf 7 (%u), the "
                 "highest extended leaf (%#x), %u bits of a physical address.%s\n",
                 before, p->basic[0].a, p->feat[0].a, p->extd[0].a, p->extd[8].a & 0xff, behind);
}

int print_libvirt(const struct xlcfg_level *level)
{
    struct featureset fs, hazards;

    if (level->type == TYPE_PV) {
        warn("libvirt's Xen driver gives PV guests no CPU of their own: use `xenlevel apply`, or "
             "--form cmdline for the hosts");
        return STATUS_NO;
    }
    (void)printf("<!-- A pool's level for HVM and PVH guests, by xenlevel. -->\n");
    print_numbers(level, "<!-- ", " -->");
    (void)printf("<cpu mode='host-passthrough'>\n");
    for (int f = featureset_next(level->lost, 0); f >= 0;
         f = featureset_next(level->lost, (unsigned int)f + 1)) {
        const char *name = libvirt_feature_name((unsigned int)f);

        if (name)
            (void)printf("  <feature policy='disable' name='%s'/>\n", name);
    }
    policy_to_featureset(level->policy, &fs);
    featureset_and(&hazards, &fs, featureset_merge_mask(MERGE_HAZARD));
    for (int f = featureset_next(&hazards, 0); f >= 0;
         f = featureset_next(&hazards, (unsigned int)f + 1)) {
        const char *name = libvirt_feature_name((unsigned int)f);

        if (name)
            (void)printf("  <feature policy='require' name='%s'/>\n", name);
    }
    (void)printf("</cpu>\n");
    return STATUS_YES;
}

void print_featureset(const struct xlcfg_level *level)
{
    char text[FEATURESET_WORDS * 9 + 1];
    struct featureset fs;

    policy_to_featureset(level->policy, &fs);
    if (featureset_format(&fs, FEATURESET_XEN_WORDS, text, sizeof(text)) < 0)
        return;
    for (char *c = text; *c; c++)
        if (*c == ':')
            *c = '-';
    (void)printf("%s\n", text);
}

char *xlcfg_unnamed(const struct featureset *lost, unsigned int xen)
{
    char *list = xstrdup("");

    for (int f = featureset_next(lost, 0); f >= 0; f = featureset_next(lost, (unsigned int)f + 1)) {
        char word[64], *longer;

        if (release_xen_name(xen, (unsigned int)f))
            continue;
        feature_word((unsigned int)f, word, sizeof(word));
        longer = xasprintf("%s%s%s", list, *list ? " " : "", word);
        free(list);
        list = longer;
    }
    return list;
}

void print_cmdline(const struct xlcfg_level *level)
{
    char *unnamed = xlcfg_unnamed(level->lost, level->xen), release[RELEASE_TEXT];
    const char *before = "cpuid=";

    for (int f = featureset_next(level->lost, 0); f >= 0;
         f = featureset_next(level->lost, (unsigned int)f + 1)) {
        const char *name = release_xen_name(level->xen, (unsigned int)f);

        if (name) {
            (void)printf("%sno-%s", before, name);
            before = ",";
        }
    }
    if (*before == ',')
        (void)printf("\n");
    if (*unnamed)
        out_text(stderr, 0, 2, "Xen %s has no name for these, and offers them to nobody: %s",
                 release_text(level->xen, release), unnamed);
    free(unnamed);
    /* On standard error: what is on standard output is to be pasted. */
    out_text(
        stderr, 0, 2,
        "For each host of the pool. It narrows what guests may come in with as well: those that "
        "were told more must be shut down first.");
}
