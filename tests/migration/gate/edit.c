/* SPDX-License-Identifier: MIT */
/* Changing a policy by the names of features, for tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit.h"

static void each(const char *list, struct featureset *fs,
                 void (*apply)(struct featureset *, unsigned int))
{
    while (list && *list) {
        size_t len = strcspn(list, ",");
        int feature = feature_by_name(list, len);

        if (feature < 0) {
            (void)fprintf(stderr, "no feature '%.*s'\n", (int)len, list);
            exit(2);
        }
        apply(fs, (unsigned int)feature);
        list += len + (list[len] == ',');
    }
}

static void set(struct featureset *fs, unsigned int feature)
{
    featureset_set(fs, feature);
}

void edit_policy(struct cpu_policy *p, const char *to_set, const char *to_drop)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    each(to_set, &fs, set);
    each(to_drop, &fs, featureset_drop);
    policy_from_featureset(p, &fs);
    if (to_drop)
        policy_close(p, NULL);
}
