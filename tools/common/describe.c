/* SPDX-License-Identifier: MIT */
/*
 * CPUs and features in words.
 */
#include <stdlib.h>

#include "describe.h"
#include "out.h"
#include "util.h"

char *show_cpu(const struct cpu_policy *p)
{
    unsigned int family, model, stepping;
    char brand[49], vendor[13];

    policy_brand(p, brand);
    if (brand[0])
        return xstrdup(brand);
    policy_vendor(p, vendor);
    policy_signature(p, &family, &model, &stepping);
    return xasprintf("%s family %#x model %#x stepping %#x", vendor[0] ? vendor : "unknown vendor",
                     family, model, stepping);
}

void show_comparable(struct featureset *fs)
{
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_DYNAMIC));
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_MIRROR));
    fs->w[FEATURESET_Aa] = 0; /* numbers, compared as such */
}

void feature_word(unsigned int feature, char *buf, size_t size)
{
    const struct feature_info *info = feature_info(feature);
    const struct featureset_word_info *word = featureset_word_info(feature / 32);

    if (info)
        (void)snprintf(buf, size, "%s", info->name);
    else
        (void)snprintf(buf, size, "%s:%u", word ? word->name : "?", feature % 32);
}

void show_feature_row(struct table *t, unsigned int feature)
{
    const struct feature_info *info = feature_info(feature);
    char word[64], place[32] = "";

    feature_word(feature, word, sizeof(word));
    (void)feature_location(feature, place, sizeof(place));
    table_row(t, word, place, info ? info->description : "(no name)");
}

void show_features(FILE *f, unsigned int indent, const struct featureset *fs)
{
    struct table t;

    table_init(&t, 3, indent);
    for (int i = featureset_next(fs, 0); i >= 0; i = featureset_next(fs, (unsigned int)i + 1))
        if (i / 32 != FEATURESET_Aa)
            show_feature_row(&t, (unsigned int)i);
    table_print(&t, f);
}
