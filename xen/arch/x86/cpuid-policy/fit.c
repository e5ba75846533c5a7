/* SPDX-License-Identifier: MIT */
/* Bring the fields of a level that are no features to what each of its hosts can give: fields.c
 * the other way round. */
#include "fields.h"

static uint32_t *reg_of(struct cpuid_regs *r, unsigned int reg)
{
    switch (reg) {
    case 0:
        return &r->a;
    case 1:
        return &r->b;
    case 2:
        return &r->c;
    default:
        return &r->d;
    }
}

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
        return silent ? 0 : a | b;
    case RULE_OFFERED:
        return a == b ? a : 0;
    default:
        return a;
    }
}

/* *unshared: the features that a leaf which had to become empty is there for. */
static void fit_leaf(struct cpuid_regs *level, const struct cpuid_regs *host, uint32_t leaf,
                     uint32_t subleaf, uint8_t vendor, struct featureset *unshared)
{
    const bool silent = regs_empty(level) || regs_empty(host);
    bool mute = false;
    unsigned int feature = 0; /* of a row that makes the leaf empty; plus 1 */

    for (const struct field_rule *f = rules_of(leaf); f->first <= leaf && leaf <= f->last; f++)
        for (unsigned int reg = 0; f->rule < NR_RULES_COMPARED && reg < 4; reg++) {
            uint32_t *l = reg_of(level, reg);
            uint32_t h = policy_reg(host, reg);

            if (!((f->registers >> reg) & 1) || !rule_applies(f, subleaf, vendor))
                continue;
            *l = (*l & ~f->mask) | field_common(f, *l & f->mask, h & f->mask, silent, &mute);
            if (mute && !feature)
                feature = f->feature;
        }
    /* Leaves 0 and 1 and their like have such fields too: those policies have no level at all. */
    if (mute && leaf > 1 && leaf != EXTD_FIRST)
        *level = (struct cpuid_regs){0};
    if (mute && feature)
        featureset_set(unshared, feature - 1u);
}

void policy_fit_fields(struct cpu_policy *level, const struct cpu_policy *host,
                       struct featureset *unshared)
{
    uint8_t vendor = rule_vendor(level);
    uint32_t basic = policy_last_basic(level), extd = policy_last_extd(level) - EXTD_FIRST;

    for (uint32_t i = 0; i <= basic; i++)
        if (regs_differ(&level->basic[i], &host->basic[i]))
            fit_leaf(&level->basic[i], &host->basic[i], i, 0, vendor, unshared);
    for (unsigned int i = 0; i < POLICY_NR_FAMILIES && policy_families[i].leaf <= basic; i++) {
        const struct leaf_family *f = &policy_families[i];

        for (uint32_t s = 0; f->leaf != 0xd && s < f->count; s++) {
            struct cpuid_regs *l = policy_leaf(level, f->leaf, s);
            const struct cpuid_regs *h = policy_leaf_const(host, f->leaf, s);

            if (regs_differ(l, h))
                fit_leaf(l, h, f->leaf, s, vendor, unshared);
        }
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
