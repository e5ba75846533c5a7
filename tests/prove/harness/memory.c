/* SPDX-License-Identifier: MIT */
/* Whatever it is given, the library stays within its memory and ends. */
#include "harness.h"

#include "features-gen.c" /* first: how long its arrays are */

#include "featureset.c"
#include "leaves.c"
#include "text.c"
#include "xstate.c"

/* policy_fault: one finding more, written only where there is room. */
void memory_fault(void)
{
    struct policy_report r, *given = any_report(&r, 3);
    struct policy_fault f;

    r.count = nondet_size();
    size_t before = r.count;
    ASSUME(before < SIZE_MAX);
    policy_fault(given, f);
    PROVE(!given || r.count == before + 1, "every finding is counted, none is taken back");
    REACHED();
}

void memory_zero_family(void)
{
    struct cpu_policy p = nondet_policy();

    for (unsigned int family = 0; family < POLICY_NR_FAMILIES; family++)
        zero_family(&p, &policy_families[family], nondet_uint());
    REACHED();
}

void memory_featureset(void)
{
    struct featureset fs;
    size_t n = nondet_size(), at;
    uint32_t *words;

    ASSUME(n <= FEATURESET_WORDS + 8);
    words = malloc(n * sizeof(*words));
    if (!featureset_from_words(&fs, words, n)) {
        size_t k = nondet_size();

        ASSUME(k < n);
        PROVE(k < FEATURESET_WORDS ? fs.w[k] == words[k] : !words[k], "no word is lost");
        PROVE(featureset_length(&fs) <= FEATURESET_WORDS, "a length");
    }
    REACHED();
}

void memory_featureset_policy(void)
{
    struct cpu_policy p = nondet_policy();
    struct featureset fs = nondet_featureset(), back;
    unsigned int k = nondet_uint();

    policy_from_featureset(&p, &fs);
    policy_to_featureset(&p, &back);
    ASSUME(k < FEATURESET_WORDS);
    PROVE(fs.w[k] == back.w[k], "what goes in comes out");
    REACHED();
}
