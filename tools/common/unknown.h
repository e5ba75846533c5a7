/* SPDX-License-Identifier: MIT */
/*
 * What a source does not say of a CPU: a mask in the shape of a policy, with a 1 for each bit that
 * is not known.  A mask of zeros: all is known.  Where the mask is 1 the policy is 0 as a rule.
 */
#ifndef COMMON_UNKNOWN_H
#define COMMON_UNKNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include <cpuid-policy/policy.h>

/* Returns whether any bit is not known. */
bool unknown_any(const struct cpu_policy *mask);

/* Take from `from` the bits for which the mask is 1; the rest of *p stays. */
void unknown_fill(struct cpu_policy *p, const struct cpu_policy *mask,
                  const struct cpu_policy *from);
/* Set (or clear) in *p all bits for which the mask is 1. */
void unknown_set(struct cpu_policy *p, const struct cpu_policy *mask);
void unknown_clear(struct cpu_policy *p, const struct cpu_policy *mask);
/* Add to *mask what differs between a and b: single bits of features and MSRs; whole bytes of what
 * is no feature, for there are numbers in it. */
void unknown_add_difference(struct cpu_policy *mask, const struct cpu_policy *a,
                            const struct cpu_policy *b);

/* Write the named features that are not known. */
void unknown_features(const struct cpu_policy *mask, struct featureset *fs);

/*
 * Write a featureset as featureset_format() does, with '?' for each digit of which a bit is not
 * known.  buf: UNKNOWN_WORDS_TEXT bytes.
 */
#define UNKNOWN_WORDS_TEXT (FEATURESET_WORDS * 9u + 1u)
void unknown_format_words(const struct cpu_policy *p, const struct cpu_policy *mask,
                          char buf[static UNKNOWN_WORDS_TEXT]);
/* Write a register in `digits` hexadecimal digits (8, or 16 of an MSR), with '?' in the same way;
 * buf: 17 bytes. */
void unknown_format_value(uint64_t value, uint64_t mask, unsigned int digits, char buf[static 17]);

/*
 * Find the places of a raw CPU that are not known, in ascending order: every register of every
 * leaf, and both MSRs.  place(): leaf and subleaf, or msr (the others POLICY_NONE); bits[]: EAX to
 * EDX, or an MSR's two halves.
 */
struct unknown_place {
    uint32_t leaf, subleaf, msr;
    uint32_t bits[4];
};
void unknown_each(const struct cpu_policy *mask,
                  void (*place)(const struct unknown_place *, void *), void *arg);

/* Return "MSR 10A", "leaves 7, d and 80000000 and up": what is not known, in words; malloc'ed, ""
 * where all is. */
char *unknown_text(const struct cpu_policy *mask);
/* Return the same of those places alone in which the features are; all of them where there is none
 * of them. */
char *unknown_cause(const struct cpu_policy *mask, const struct featureset *about);
/* Leave in the mask only what these features stand in, MSR CE, and what is behind a maximum that is
 * not known; all of it where that is nothing. */
void unknown_reduce(struct cpu_policy *mask, const struct featureset *about);
/* Return how a person finds out on the machine itself: a sentence; malloc'ed. */
char *unknown_how(const struct cpu_policy *mask);

#endif /* COMMON_UNKNOWN_H */
