/* SPDX-License-Identifier: MIT */
/* What the payload's parts share, and what it takes from the hypervisor it is loaded into. */
#ifndef LIVEPATCH_PAYLOAD_H
#define LIVEPATCH_PAYLOAD_H

#include <cpuid-policy/policy.h>

#include "layout-gen.h"

/* The hypervisor's own: this list is all that the payload refers to (build.py holds it). */
int printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
void x86_cpu_policy_to_featureset(const void *policy, uint32_t *featureset);
void x86_cpu_policy_fill_native(void *policy);
extern const uint8_t raw_cpu_policy[], host_cpu_policy[];
extern const uint8_t pv_max_cpu_policy[], hvm_max_cpu_policy[];
extern uint8_t pv_def_cpu_policy[], hvm_def_cpu_policy[]; /* which born.c narrows */
extern const uint64_t cpu_khz;

/* printk levels: '<G>' lets the hypervisor limit the rate, the digit is the level (0 error .. 2
 * info). */
#define LOG_REFUSAL "<G><0>"
#define LOG_ERROR   "<0>"
#define LOG_INFO    "<2>"

/* What the audit answers with, as the hypervisor has it; all ones where there is nothing to say. */
struct audit_where {
    uint32_t leaf, subleaf, msr;
};

/* The hypervisor's policy object as ours.  *to is zero in the slots that the hypervisor has not. */
void convert_policy(struct cpu_policy *to, const void *from);

/* Before the first audit: zero the statistics. */
void audit_prepare(void);

/*
 * Audit `guest` against `max`.  0, or -EINVAL with *where (may be NULL) = the first difference.
 * `domain` is the hypervisor's object whose first member is the domain's number, or NULL: only the
 * log needs it.
 */
int audit_policy(const void *max, const void *guest, struct audit_where *where, const void *domain);

/* Where the hypervisor's call arrives: audit_policy() with the caller's domain for its fourth
 * argument. */
int audit_entry(const void *max, const void *guest, struct audit_where *where);

/* Numbers since loading, for the line at unloading. */
struct audit_stats {
    uint64_t calls, refused, cycles_total, cycles_max;
};
void audit_statistics(struct audit_stats *stats);

/* ---- born.c: the level that new domains are born on; type is one of born.h's ---- */

/* How many registers of the type's default policy it changes. */
unsigned int born_count(unsigned int type);
/* 0: the table can be used.  -EINVAL: *what and the place say what is wrong with it. */
int born_check(const char **what, uint32_t *leaf, uint32_t *subleaf);
/* 0: the hypervisor's default policies hold what they held before (or hold when narrowed), in every
 * place that is in the table.  -EINVAL: not in this one. */
int born_holds(bool narrowed, uint32_t *leaf, uint32_t *subleaf);
/* Narrow an object of the hypervisor's form, or make it what it was. */
void born_write(unsigned int type, uint8_t *object, bool narrowed);
/* Make a copy of the type's default policy what it was before it was narrowed. */
void born_widen(unsigned int type, struct cpu_policy *p);

static inline uint64_t read_tsc(void)
{
    uint32_t low, high;

    /* The fence keeps earlier work out of the measurement: SDM vol. 2B, RDTSC. */
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
    return low | (uint64_t)high << 32;
}

#endif /* LIVEPATCH_PAYLOAD_H */
