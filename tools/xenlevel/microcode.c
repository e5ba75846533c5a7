/* SPDX-License-Identifier: MIT */
/* See microcode.h. */
#include <stdlib.h>
#include <string.h>

#include <host-microcode.h>

#include "derive_unknown.h"
#include "describe.h"
#include "features-gen.h"
#include "microcode.h"
#include "release.h"
#include "util.h"

/* ---- what newer microcode would give ---- */

static char *list_names(const struct featureset *fs)
{
    char *list = xstrdup("");

    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        char word[64], *longer;

        feature_word((unsigned int)f, word, sizeof(word));
        longer = xasprintf("%s%s%s", list, *list ? ", " : "", word);
        free(list);
        list = longer;
    }
    return list;
}

/* The earliest update that it lacks. */
static const char *find_oldest(const struct featureset *missing)
{
    const char *oldest = NULL;

    for (int f = featureset_next(missing, 0); f >= 0;
         f = featureset_next(missing, (unsigned int)f + 1)) {
        const struct microcode_bit *bit = host_microcode_bit((unsigned int)f);

        if (bit && (!oldest || strcmp(bit->since, oldest) < 0))
            oldest = bit->since;
    }
    return oldest ? oldest : "today";
}

/* What guests are born with on such a host. */
static void find_default(const struct cpu_policy *raw, const struct host_options *options,
                         struct featureset *fs)
{
    struct cpu_policy *p = xcalloc(HOST_POLICIES, sizeof(*p));
    bool has_hvm, has_hap;

    p[XC_POLICY_RAW] = *raw;
    host_policies_derive(p, options, &has_hvm, &has_hap);
    policy_to_featureset(&p[has_hvm ? XC_POLICY_HVM_DEFAULT : XC_POLICY_PV_DEFAULT], fs);
    show_comparable(fs);
    free(p);
}

/* The features of guests with what is missing, less those without. */
static void find_gain(const struct cpu_policy *raw, const struct featureset *missing,
                      const struct host_options *options, struct featureset *gain)
{
    struct cpu_policy *with = xcalloc(1, sizeof(*with));
    struct host_options newer = *options;
    struct featureset fs, before;

    *with = *raw;
    policy_to_featureset(with, &fs);
    featureset_or(&fs, &fs, missing);
    policy_from_featureset(with, &fs);
    if (featureset_test(missing, X86_FEATURE_ARCH_CAPS))
        newer.arch_caps = HOST_MSR_NOT_READ; /* nobody knows what the new MSR would have */
    find_default(with, &newer, gain);
    find_default(raw, options, &before);
    featureset_andnot(gain, gain, &before);
    free(with);
}

char *microcode_note(const struct cpu_policy *raw, const struct cpu_policy *unknown,
                     const struct host_options *options)
{
    struct featureset missing, not_known, gain;
    struct host_options seen = *options;
    char *lacks, *gives, *note;

    host_microcode_missing(raw, &missing);
    unknown_features(unknown, &not_known);
    featureset_andnot(&missing, &missing, &not_known);
    if (featureset_empty(&missing))
        return NULL;
    seen.arch_caps = unknown->arch_caps ? HOST_MSR_NOT_READ : HOST_MSR_READ;
    find_gain(raw, &missing, &seen, &gain);
    lacks = list_names(&missing);
    gives = list_names(&gain);
    note = xasprintf("its microcode is older than %s: it lacks %s; the policies are what Xen makes "
                     "of that, and newer microcode gives guests %s",
                     find_oldest(&missing), lacks, *gives ? gives : "nothing more");
    free(lacks);
    free(gives);
    return note;
}

/* ---- what tells two CPUs apart ---- */

/* The features that their CPUs state otherwise, as far as both are known. */
static void find_raw_difference(const struct subject *a, const struct subject *b,
                                struct featureset *fs)
{
    struct featureset x, y, unknown;

    policy_to_featureset(&a->policy[XC_POLICY_RAW], &x);
    policy_to_featureset(&b->policy[XC_POLICY_RAW], &y);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        fs->w[i] = x.w[i] ^ y.w[i];
    policy_to_featureset(&a->unknown[XC_POLICY_RAW], &unknown);
    featureset_andnot(fs, fs, &unknown);
    policy_to_featureset(&b->unknown[XC_POLICY_RAW], &unknown);
    featureset_andnot(fs, fs, &unknown);
    show_comparable(fs);
}

static void find_code_bits(struct featureset *fs)
{
    memset(fs, 0, sizeof(*fs));
    for (unsigned int i = 0; host_microcode_row(i); i++)
        featureset_set(fs, host_microcode_row(i)->feature);
}

enum cpu_relation microcode_compare(const struct subject *a, const struct subject *b)
{
    const struct cpu_policy *x = &a->policy[XC_POLICY_RAW], *y = &b->policy[XC_POLICY_RAW];
    struct featureset differ, code;

    if (!a->have[XC_POLICY_RAW] || !b->have[XC_POLICY_RAW] || x->basic[0].b != y->basic[0].b ||
        x->basic[0].c != y->basic[0].c || x->basic[0].d != y->basic[0].d ||
        x->basic[1].a != y->basic[1].a || !x->basic[1].a || a->unknown[XC_POLICY_RAW].basic[1].a ||
        b->unknown[XC_POLICY_RAW].basic[1].a)
        return CPU_OTHER;
    find_raw_difference(a, b, &differ);
    if (featureset_empty(&differ))
        return CPU_SAME;
    find_code_bits(&code);
    return featureset_subset(&differ, &code) ? CPU_SAME_BUT_CODE : CPU_SAME_SETTINGS;
}

/* What newer microcode on that host gives its guests, and states there. */
static void find_to_come(const struct subject *host, struct featureset *fs)
{
    const struct cpu_policy *raw = &host->policy[XC_POLICY_RAW];
    const struct cpu_policy *mask = &host->unknown[XC_POLICY_RAW];
    struct featureset missing, unknown;
    struct host_options options;

    host_options_init(&options);
    if (release_of(host->xen))
        options.xen = release_of(host->xen);
    options.arch_caps = mask->arch_caps ? HOST_MSR_NOT_READ : HOST_MSR_READ;
    host_microcode_missing(raw, &missing);
    unknown_features(mask, &unknown);
    featureset_andnot(&missing, &missing, &unknown);
    memset(fs, 0, sizeof(*fs));
    if (!featureset_empty(&missing))
        find_gain(raw, &missing, &options, fs);
    featureset_or(fs, fs, &missing);
}

void microcode_features(enum cpu_relation relation, const struct subject *a,
                        const struct subject *b, const struct featureset *missing,
                        struct featureset *by_microcode)
{
    struct featureset code, differ;

    if (relation == CPU_SAME_BUT_CODE) {
        *by_microcode = *missing;
        return;
    }
    find_to_come(b, by_microcode);
    if (relation == CPU_SAME_SETTINGS) {
        find_code_bits(&code);
        find_raw_difference(a, b, &differ);
        featureset_and(&code, &code, &differ);
        featureset_or(by_microcode, by_microcode, &code);
    }
    featureset_and(by_microcode, by_microcode, missing);
}

char *microcode_sources(const struct featureset *features)
{
    char *list = xstrdup("");

    for (unsigned int i = 0; host_microcode_row(i); i++) {
        const struct microcode_bit *bit = host_microcode_row(i);
        char *one, *longer;

        if (!featureset_test(features, bit->feature))
            continue;
        one = xasprintf("%s, %s", bit->since, bit->source);
        longer =
            strstr(list, one) ? xstrdup(list) : xasprintf("%s%s%s", list, *list ? "; " : "", one);
        free(one);
        free(list);
        list = longer;
    }
    return list;
}
