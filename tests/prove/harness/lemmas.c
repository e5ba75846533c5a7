/* SPDX-License-Identifier: MIT */
/* The library's two iterations visit exactly the set bits, upwards: what the rewriting "walk"
 * stands on. */
#include "harness.h"

#include "policy-private.h"

#include "featureset.c"
#include "features-gen.c"

/* featureset_next is the first set feature at or after `from`. */
void lemma_feature(void)
{
    struct featureset fs = nondet_featureset();
    unsigned int from = nondet_uint(), other = nondet_uint();
    int f = featureset_next(&fs, from);

    ASSUME(other >= from && other < FEATURESET_BITS);
    if (f >= 0) {
        PROVE((unsigned int)f >= from && (unsigned int)f < FEATURESET_BITS, "in the range");
        PROVE(featureset_test(&fs, (unsigned int)f), "a set one");
        PROVE(other >= (unsigned int)f || !featureset_test(&fs, other), "none before it");
    } else {
        PROVE(!featureset_test(&fs, other), "none at all");
    }
    REACHED();
}

/*
 * A step of for_each_component takes the lowest bit away and no other.  What a step does hangs on
 * m_ alone, so that two steps from any mask are every step: by induction every set bit comes once,
 * upwards, and there are at most 64 steps.
 */
void lemma_component(void)
{
    uint64_t mask = nondet_mask(), expected = mask;
    unsigned int i, steps = 0;

    for_each_component(i, mask)
    {
        PROVE(m_ == expected, "what is left");
        PROVE(i < 64 && (m_ >> i & 1) && !(m_ & ((1ull << i) - 1)), "the lowest bit");
        expected = m_ & ~(1ull << i);
        if (++steps == 2)
            break;
    }
    PROVE(steps == 2 || !expected, "not before all have been seen");
    REACHED();
}

/* Two words of 64 bits, or four of 32: the same answer. */
void lemma_plain(void)
{
    struct cpuid_regs x = nondet_regs(), y = nondet_regs();

    PROVE(regs_empty(&x) == (!x.a && !x.b && !x.c && !x.d), "empty");
    PROVE(regs_differ(&x, &y) == (x.a != y.a || x.b != y.b || x.c != y.c || x.d != y.d),
          "different");
    REACHED();
}
