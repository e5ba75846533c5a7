/* SPDX-License-Identifier: MIT */
/*
 * What a CPU says with one microcode and not with another: bits that came by an update, when, and
 * to which models.  Two dumps of one CPU may differ in them and nothing else.
 *
 * Freestanding, no allocation, no state.
 */
#ifndef HOST_MICROCODE_H
#define HOST_MICROCODE_H

#include <cpuid-policy/policy.h>

/* One bit that microcode brings. */
struct microcode_bit {
    uint16_t feature;
    const char *since;  /* "2023-08": the first update that has it */
    const char *source; /* the advisory of Intel or AMD that says so */
};

/* Returns the row of a feature (X86_FEATURE_*), or NULL when no microcode brings it. */
const struct microcode_bit *host_microcode_bit(unsigned int feature);

/* Returns row number i (0, 1, ...) of the table; NULL past the last. */
const struct microcode_bit *host_microcode_row(unsigned int i);

/*
 * Find what this CPU does not say though newer microcode of its family and model brings it: the
 * evidence that its microcode is old.  Nothing of a CPU that a hypervisor shows.
 */
void host_microcode_missing(const struct cpu_policy *raw, struct featureset *missing);

#endif /* HOST_MICROCODE_H */
