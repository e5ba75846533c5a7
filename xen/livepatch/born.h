/* SPDX-License-Identifier: MIT */
/*
 * The level that new domains are born on, as the payload carries it: what of the hypervisor's two
 * default policies is to be changed, register by register.
 *
 * `xenlevel livepatch load --level` works it out from the policies of the hypervisor that runs, and
 * writes it into the payload's section before the upload.  The payload trusts none of it.
 */
#ifndef LIVEPATCH_BORN_H
#define LIVEPATCH_BORN_H

#include <cpuid-policy/policy.h>

#define BORN_SECTION ".xenlevel.born"
#define BORN_MAGIC   0x31524f42u /* "BOR1" */

enum {
    BORN_PV,
    BORN_HVM,
    BORN_TYPES,
    BORN_MAX = 48, /* registers of one type; a level that gives up all of leaf D takes 30 */
};

/* A leaf, or an MSR: leaf POLICY_NONE, subleaf its number, a and b its lower and upper half. */
struct born_entry {
    uint32_t leaf, subleaf;
    struct cpuid_regs from, to; /* as the hypervisor made it; as new domains are to have it */
};

struct born_level {
    uint32_t magic, size;   /* BORN_MAGIC, sizeof(struct born_level) */
    uint32_t n[BORN_TYPES]; /* 0: that type's default stays as it is */
    /* In ascending order, no place twice. */
    struct born_entry entries[BORN_TYPES][BORN_MAX];
};

/* What the payload says of itself when Xen is asked for it (XEN_SYSCTL_LIVEPATCH_LIST): one string
 * of a fixed size, filled up with blanks. */
#define BORN_SAYS_SECTION ".modinfo"
#define BORN_SAYS_SIZE    160
#define BORN_SAYS_LEVEL   "level=" /* and behind it, up to the blanks, the level's name */
#define BORN_BLANKS       "                                      "
#define BORN_SAYS_NOTHING BORN_SAYS_LEVEL "-" BORN_BLANKS BORN_BLANKS BORN_BLANKS BORN_BLANKS
_Static_assert(sizeof(BORN_SAYS_NOTHING) == BORN_SAYS_SIZE, "the string fills its section");

#endif /* LIVEPATCH_BORN_H */
