/* SPDX-License-Identifier: MIT */
/* What the harnesses share.  A function without a body answers anything: CBMC tries every value. */
#ifndef PROVE_HARNESS_H
#define PROVE_HARNESS_H

#include <cpuid-policy/policy.h>

struct cpu_policy nondet_policy(void);
struct featureset nondet_featureset(void);
struct cpuid_regs nondet_regs(void);
size_t nondet_size(void);
unsigned int nondet_uint(void);
uint64_t nondet_mask(void);
bool nondet_bool(void);
void *malloc(size_t size);
void *memcpy(void *to, const void *from, size_t size);
#define __builtin_memcpy memcpy /* which CBMC has a body for */

#define ASSUME(condition)      __CPROVER_assume(condition)
#define PROVE(condition, what) __CPROVER_assert(condition, what)
/* Must fail: see prove.py. */
#define REACHED()              __CPROVER_assert(0, "the end is reached")

/* A caller's report, with room for up to `most` findings and none more; or none at all. */
static struct policy_report *any_report(struct policy_report *r, size_t most)
{
    size_t max = nondet_size();

    ASSUME(max <= most);
    *r = (struct policy_report){malloc(max * sizeof(struct policy_fault)), max, 0};
    return nondet_bool() ? r : NULL;
}

#endif
