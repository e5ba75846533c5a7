/* SPDX-License-Identifier: MIT */
/* See clusters.h. */
#include "clusters-private.h"

#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "describe.h"
#include "util.h"

void cluster_features(const struct cpu_policy *p, struct featureset *fs)
{
    policy_to_featureset(p, fs);
    show_comparable(fs);
    featureset_andnot(fs, fs, featureset_merge_mask(MERGE_HAZARD));
}

uint32_t cluster_family(const struct cpu_policy *p)
{
    return (p->basic[0].b ^ p->basic[0].c << 1 ^ p->basic[0].d << 2) + (p->basic[1].b >> 8 & 0xff);
}

/* ---- what levels are worth: the policy library's answers ---- */

/* Which hosts can run guests with this CPU?  The policy library's answer. */
uint64_t cluster_reach(const struct cluster_class *classes, size_t n,
                       const struct cpu_policy *guest)
{
    struct cpu_policy *max = xcalloc(1, sizeof(*max));
    uint64_t reach = 0;

    for (size_t i = 0; i < n; i++) {
        struct policy_report r = {.faults = NULL};
        struct policy_host host = {.max = max, .deflt = classes[i].deflt};

        *max = *classes[i].max;
        policy_restrict(max, GUEST_HVM_HAP);
        if (!policy_check(guest, &host, &r))
            reach += classes[i].hosts;
    }
    free(max);
    return reach;
}

uint64_t cluster_own_reach(const struct cluster_class *classes, size_t n, size_t class)
{
    struct cpu_policy *guest = xcalloc(1, sizeof(*guest));
    uint64_t reach;

    *guest = *classes[class].deflt;
    host_policy_for_domain(guest);
    reach = cluster_reach(classes, n, guest);
    free(guest);
    return reach;
}

/* Make the level that classes share; false where there are none. */
bool cluster_make_level(const struct cluster_class *classes, size_t n, const bool *shares,
                        struct cluster_level *level)
{
    struct policy_host *hosts = xcalloc(n + 1, sizeof(*hosts));
    struct featureset fs;
    size_t count = 0;

    *level = (struct cluster_level){.hosts = 0};
    for (size_t i = 0; i < n; i++)
        if (shares[i])
            hosts[count++] = (struct policy_host){.max = classes[i].max, .deflt = classes[i].deflt};
    if (count && policy_level(hosts, count, &level->policy, NULL, NULL))
        count = 0;
    free(hosts);
    if (!count)
        return false;
    cluster_features(&level->policy, &fs);
    level->features = featureset_count(&fs);
    level->reach = cluster_reach(classes, n, &level->policy);
    return true;
}

/* ---- judging ---- */

static size_t count_groups(const size_t *group, size_t n)
{
    size_t most = 0;

    for (size_t i = 0; i < n; i++)
        if (group[i] != CLUSTER_NONE && group[i] + 1 > most)
            most = group[i] + 1;
    return most;
}

static void add_class(const struct cluster_class *classes, size_t n, size_t i, struct clusters *c,
                      double hosts)
{
    struct featureset own, has;
    uint64_t reach;
    double kept = 1, pairs = hosts * (hosts - 1), weight = (double)classes[i].hosts;

    cluster_features(classes[i].deflt, &own);
    if (c->of[i] == CLUSTER_NONE) {
        reach = cluster_own_reach(classes, n, i);
    } else {
        reach = c->levels[c->of[i]].reach;
        cluster_features(&c->levels[c->of[i]].policy, &has);
        featureset_and(&has, &has, &own);
        if (featureset_count(&own))
            kept = (double)featureset_count(&has) / featureset_count(&own);
    }
    c->kept += kept * weight / hosts;
    if (hosts > 1 && reach) {
        c->mobility += weight * (double)(reach - 1) / pairs;
        c->score += kept * weight * (double)(reach - 1) / pairs;
    }
}

/* Judge groups that have the level of `shares`, [group * n + class]. */
void cluster_judge(const struct cluster_class *classes, size_t n, const size_t *group,
                   const bool *shares, size_t groups, struct clusters *c)
{
    double hosts = 0;

    *c = (struct clusters){.n_levels = 0};
    c->of = xcalloc(n + 1, sizeof(*c->of));
    c->levels = xcalloc(groups + 1, sizeof(*c->levels));
    memcpy(c->of, group, n * sizeof(*group));
    for (size_t i = 0; i < n; i++)
        hosts += (double)classes[i].hosts;
    for (size_t g = 0; g < groups; g++) {
        struct cluster_level *level = &c->levels[c->n_levels];
        bool is = cluster_make_level(classes, n, &shares[g * n], level);

        for (size_t i = 0; i < n; i++)
            if (group[i] == g) {
                c->of[i] = is && shares[g * n + i] ? c->n_levels : CLUSTER_NONE;
                level->hosts += c->of[i] == CLUSTER_NONE ? 0 : classes[i].hosts;
            }
        c->n_levels += is && level->hosts; /* one that no host takes is none */
    }
    for (size_t i = 0; i < n; i++)
        add_class(classes, n, i, c, hosts);
}

void clusters_judge(const struct cluster_class *classes, size_t n, const size_t *group,
                    struct clusters *c)
{
    size_t groups = count_groups(group, n);
    bool *shares = xcalloc(groups * n + 1, sizeof(*shares));

    for (size_t g = 0; g < groups; g++) {
        size_t first = n;

        for (size_t i = 0; i < n; i++) {
            if (group[i] != g)
                continue;
            first = first == n ? i : first;
            shares[g * n + i] =
                cluster_family(classes[i].deflt) == cluster_family(classes[first].deflt);
        }
    }
    cluster_judge(classes, n, group, shares, groups, c);
    free(shares);
}

void clusters_free(struct clusters *c)
{
    free(c->levels);
    free(c->of);
    *c = (struct clusters){.n_levels = 0};
}

/* ---- groups that people make ---- */

static size_t group_equal(const struct cluster_class *classes, size_t n, size_t *group,
                          bool (*equal)(const struct cpu_policy *, const struct cpu_policy *))
{
    size_t groups = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < i && !equal(classes[k].deflt, classes[i].deflt))
            k++;
        group[i] = k < i ? group[k] : groups++;
    }
    return groups;
}

static bool has_same_vendor(const struct cpu_policy *a, const struct cpu_policy *b)
{
    return cluster_family(a) == cluster_family(b);
}

static bool has_same_model(const struct cpu_policy *a, const struct cpu_policy *b)
{
    return has_same_vendor(a, b) && !((a->basic[1].a ^ b->basic[1].a) & 0x0fff0ff0u);
}

size_t clusters_by_vendor(const struct cluster_class *classes, size_t n, size_t *group)
{
    return group_equal(classes, n, group, has_same_vendor);
}

size_t clusters_by_model(const struct cluster_class *classes, size_t n, size_t *group)
{
    return group_equal(classes, n, group, has_same_model);
}
