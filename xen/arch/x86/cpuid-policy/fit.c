/* SPDX-License-Identifier: MIT */
/* Bring the fields of a level that are no features to what each of its hosts can give: fields.c
 * the other way round. */
#include "fields.h"

/* What both can have of the field.  silent: the leaf of one of them says nothing at all.  *mute:
 * nothing, and the rest of the leaf means nothing without it. */
static uint32_t field_common(const struct field_rule *f, uint32_t a, uint32_t b, bool silent,
                             bool *mute)
{
    switch (f->rule) {
    case RULE_EQUAL:
        *mute |= a != b || silent; /* of a level: its hosts did not share the leaf */
        return a;
    case RULE_AT_MOST:
        return a < b ? a : b;
    case RULE_SUBSET:
        return a & b;
    case RULE_TOLD:
        *mute |= silent; /* and stays so, whatever later hosts warn of */
        return a | b;
    case RULE_OFFERED:
        return a == b ? a : 0;
    default:
        return a;
    }
}

/*
 * Of a level that says nothing in this leaf and goes on doing so: which feature does the host's
 * leaf make unshared?  0: none; plus 1.
 */
static unsigned int silent_feature(const struct field_rule *f, uint32_t leaf, uint32_t subleaf,
                                   uint8_t vendor)
{
    for (; f->first <= leaf && leaf <= f->last; f++)
        if (f->rule == RULE_EQUAL && f->feature && rule_applies(f, subleaf, vendor))
            return f->feature;
    return 0;
}

/* One leaf of both, and the feature that is unshared when it has to become empty. */
static void fit_leaf(struct cpuid_regs *level, const struct cpuid_regs *host, uint32_t leaf,
                     uint32_t subleaf, uint8_t vendor, struct featureset *unshared)
{
    const bool silent = regs_empty(level) || regs_empty(host);
    const unsigned int regs = silent ? 0xf : regs_differing(level, host);
    bool mute = false;
    unsigned int feature = 0; /* of a row that makes the leaf empty; plus 1 */
    uint32_t l[4], h[4];

    if (regs_empty(level)) {
        feature = silent_feature(rules_of(leaf), leaf, subleaf, vendor);
        if (feature)
            featureset_set(unshared, feature - 1u);
        return;
    }
    __builtin_memcpy(l, level, sizeof(l));
    __builtin_memcpy(h, host, sizeof(h));
    for (const struct field_rule *f = rules_of(leaf); f->first <= leaf && leaf <= f->last; f++) {
        unsigned int fields = f->registers & regs;

        if (!fields || f->rule >= NR_RULES_COMPARED || !rule_applies(f, subleaf, vendor))
            continue;
        for (; fields; fields &= fields - 1) {
            unsigned int reg = (unsigned int)__builtin_ctz(fields);

            l[reg] = (l[reg] & ~f->mask) |
                     field_common(f, l[reg] & f->mask, h[reg] & f->mask, silent, &mute);
        }
        if (mute && !feature)
            feature = f->feature;
    }
    __builtin_memcpy(level, l, sizeof(l));
    /* Leaves 0 and 1 and their like have such fields too: those policies have no level at all. */
    if (mute && leaf > 1 && leaf != EXTD_FIRST)
        *level = (struct cpuid_regs){0};
    if (mute && feature)
        featureset_set(unshared, feature - 1u);
}

/* A limit of 0 means "as Xen chooses", which is more than any number. */
static uint32_t lower_limit(uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a | b;
    return a < b ? a : b;
}

void policy_fit_fields(struct cpu_policy *level, const struct cpu_policy *host,
                       struct featureset *unshared)
{
    uint8_t vendor = rule_vendor(level);
    uint32_t basic = policy_last_basic(level), extd = policy_last_extd(level) - EXTD_FIRST;

    level->platform_info &= host->platform_info;
    level->hv_limit = lower_limit(level->hv_limit, host->hv_limit);
    level->hv2_limit = lower_limit(level->hv2_limit, host->hv2_limit);
    for (uint32_t i = 0; i <= basic; i++)
        if (regs_differ(&level->basic[i], &host->basic[i]))
            fit_leaf(&level->basic[i], &host->basic[i], i, 0, vendor, unshared);
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES && policy_families[i].leaf <= basic; i++) {
        const struct leaf_family *f = &policy_families[i];
        struct cpuid_regs *l = policy_leaf(level, f->leaf, 0);
        const struct cpuid_regs *h = policy_family_regs(host, f);

        for (uint32_t s = 0; f->leaf != 0xd && s < f->count; s++)
            if (regs_differ(&l[s], &h[s]))
                fit_leaf(&l[s], &h[s], f->leaf, s, vendor, unshared);
    }
    for (uint32_t i = 0; i <= extd; i++)
        if (regs_differ(&level->extd[i], &host->extd[i]))
            fit_leaf(&level->extd[i], &host->extd[i], EXTD_FIRST + i, 0, vendor, unshared);
}

void policy_drop_unbacked(struct cpu_policy *p, const struct featureset *unshared)
{
    struct featureset fs;
    uint8_t vendor = rule_vendor(p);

    /* Tiles, say, without a shape that hosts share are no tiles. */
    policy_to_featureset(p, &fs);
    for (int f = featureset_next(unshared, 0); f >= 0;
         f = featureset_next(unshared, (unsigned int)f + 1))
        featureset_drop(&fs, (unsigned int)f);
    if (!featureset_empty(unshared)) {
        policy_from_featureset(p, &fs);
        policy_close(p, NULL);
        policy_to_featureset(p, &fs);
    }
    for (unsigned int i = 0; i < NR_FIELD_CONDITIONAL; i++) {
        uint32_t leaf = field_conditional[i];
        const struct leaf_family *family = policy_family(leaf);
        const struct field_rule *f = rules_of(leaf);

        while (!rule_applies(f, 0, vendor))
            f++;
        if (!f->feature || featureset_test(&fs, f->feature - 1u))
            continue;
        for (uint32_t s = 0; s < (family ? family->count : 1u); s++)
            *policy_leaf(p, leaf, family ? s : POLICY_NONE) = (struct cpuid_regs){0};
    }
}
