/* SPDX-License-Identifier: MIT */
/*
 * policy_check(guest, host) == 0 means that the guest finds there what it was told of.  The
 * relation is written here anew: from the masks of the table, not with the library's code.  Each
 * function is one part of it.  A leaf above the guest's own maximum is not the guest's to see.
 */
#include "harness.h"

#include "check.c"
#include "components.c"
#include "featureset.c"
#include "features-gen.c"
#include "leaves.c"
#include "text.c"
#include "xstate.c"

#ifdef WITH_FIELDS
#include "fields.c"
#else
/* It can only add findings: without it policy_check() says yes to more, and what holds for these
 * holds for those that the library accepts. */
void policy_check_fields(const struct cpu_policy *guest, const struct cpu_policy *max,
                         const struct featureset *fs, struct policy_report *r)
{
    (void)guest;
    (void)max;
    (void)fs;
    (void)r;
}
#endif

/* What is accepted: any guest and host that policy_check() says yes to. */
static void any_accepted(struct cpu_policy *g, struct cpu_policy *max, struct cpu_policy *deflt)
{
    struct policy_host host = {max, deflt};
    struct policy_report r = {NULL, 0, 0};

    *g = nondet_policy();
    *max = nondet_policy();
    *deflt = nondet_policy();
    ASSUME(policy_check(g, &host, &r) == 0);
}

static bool sees_basic(const struct cpu_policy *p, uint32_t leaf)
{
    return leaf <= p->basic[0].a;
}

static bool sees_extended(const struct cpu_policy *p, uint32_t leaf)
{
    return leaf <= p->extd[0].a;
}

/* Every feature that works, and every bit that has no name, is the host's as well. */
void check_capabilities(void)
{
    struct cpu_policy g, max, deflt;
    struct featureset fg, fm;

    any_accepted(&g, &max, &deflt);
    policy_to_featureset(&g, &fg);
    policy_to_featureset(&max, &fm);
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        uint32_t must = (features_by_merge[MERGE_CAPABILITY].w[i] | ~features_known.w[i]) &
                        ~features_numbers.w[i];

        PROVE(!(fg.w[i] & must & ~fm.w[i]), "the host has every capability of the guest");
    }
    REACHED();
}

static bool sees_word(const struct cpu_policy *p, const struct featureset *fs, unsigned int word)
{
    if (word == FEATURESET_m10Al || word == FEATURESET_m10Ah)
        return true;
    if (word == FEATURESET_Ab)
        return fs->w[FEATURESET_Aa] & 0xff;
    if (featureset_words[word].leaf >= 0x80000000u)
        return sees_extended(p, featureset_words[word].leaf);
    if (featureset_words[word].leaf == 7)
        return sees_basic(p, 7) && featureset_words[word].subleaf <= p->feat[0].a;
    return sees_basic(p, featureset_words[word].leaf);
}

/* Has the guest all that the feature stands on? */
static bool concerned(const struct featureset *fs, unsigned int f)
{
    bool all = true;

    for (unsigned int i = 0; feature_needs_at[f] && i < FEATURESET_WORDS; i++)
        all &= !(feature_needs_sets[feature_needs_at[f] - 1].w[i] & ~fs->w[i]);
    return all;
}

/* The guest knows every hazard of the host that concerns it: all that the hazard stands on is the
 * guest's, and the word can be seen.  RSBA and RRSBA are one hazard in two strengths; here only
 * that one of them is told. */
void check_hazards_told(void)
{
    struct cpu_policy g, max, deflt;
    struct featureset fg, fd;

    any_accepted(&g, &max, &deflt);
    policy_to_featureset(&g, &fg);
    policy_to_featureset(&deflt, &fd);
    for (unsigned int f = 0; f < FEATURESET_BITS; f++) {
        if (!featureset_test(&features_by_merge[MERGE_HAZARD], f) || f == X86_FEATURE_RRSBA ||
            f == X86_FEATURE_RSBA)
            continue;
        PROVE(!featureset_test(&fd, f) || featureset_test(&fg, f) || !concerned(&fg, f) ||
                  !sees_word(&g, &fg, f / 32),
              "the guest knows the host's hazard");
    }
    REACHED();
}

/* Numbers inside feature words: at most the host's. */
void check_numbers(void)
{
    struct cpu_policy g, max, deflt;
    struct featureset fg, fm;

    any_accepted(&g, &max, &deflt);
    policy_to_featureset(&g, &fg);
    policy_to_featureset(&max, &fm);
    for (unsigned int i = 0; i < NR_FEATURE_FIELDS; i++) {
        unsigned int word = featureset_fields[i].word, shift = featureset_fields[i].shift;
        uint32_t below = ~0u >> (32 - featureset_fields[i].width);

        PROVE((fg.w[word] >> shift & below) <= (fm.w[word] >> shift & below), "at most the host's");
    }
    REACHED();
}

/* The vendor, and MSR CE. */
void check_identity(void)
{
    struct cpu_policy g, max, deflt;

    any_accepted(&g, &max, &deflt);
    PROVE(g.basic[0].b == max.basic[0].b && g.basic[0].c == max.basic[0].c &&
              g.basic[0].d == max.basic[0].d,
          "the same vendor");
    PROVE(!(g.platform_info & ~max.platform_info), "MSR CE");
    REACHED();
}

/* Maxima, address widths, line size: rows of the fields' table. */
void check_scalars(void)
{
    struct cpu_policy g, max, deflt;

    any_accepted(&g, &max, &deflt);
    PROVE(g.basic[0].a <= max.basic[0].a, "the highest basic leaf");
    PROVE(!sees_basic(&g, 7) || g.feat[0].a <= max.feat[0].a, "the highest subleaf of leaf 7");
    PROVE(g.extd[0].a <= max.extd[0].a, "the highest extended leaf");
    if (sees_extended(&g, 0x80000008u)) {
        PROVE((g.extd[8].a & 0xff) <= (max.extd[8].a & 0xff), "physical addresses");
        PROVE((g.extd[8].a >> 8 & 0xff) <= (max.extd[8].a >> 8 & 0xff), "linear addresses");
    }
    PROVE(!sees_basic(&g, 1) || !(g.basic[1].d >> 19 & 1) ||
              (g.basic[1].b >> 8 & 0xff) == (max.basic[1].b >> 8 & 0xff),
          "CLFLUSH goes over as many bytes");
    REACHED();
}

/* State components: the host's, in the same place and form. */
void check_state(void)
{
    struct cpu_policy g, max, deflt;

    any_accepted(&g, &max, &deflt);
    for (unsigned int i = 0; i < 63; i++) {
        unsigned int bit = i % 32;
        bool user = (i < 32 ? g.xstate[0].a : g.xstate[0].d) >> bit & 1;
        bool system = (i < 32 ? g.xstate[1].c : g.xstate[1].d) >> bit & 1;

        if (user)
            PROVE((i < 32 ? max.xstate[0].a : max.xstate[0].d) >> bit & 1, "a component of XCR0");
        if (system)
            PROVE((i < 32 ? max.xstate[1].c : max.xstate[1].d) >> bit & 1, "a component of XSS");
        if (i >= 2 && (user || system))
            PROVE(g.xstate[i].a == max.xstate[i].a && g.xstate[i].b == max.xstate[i].b &&
                      g.xstate[i].c == max.xstate[i].c,
                  "size, offset and flags");
    }
    REACHED();
}
