/* SPDX-License-Identifier: MIT */
/*
 * CPUID dumps: text that says what CPUID answered on some machine.
 *
 * Two forms are read: InstLatx64's ("CPUID 00000007: 00000000-F3BFBFFB-... [SL 00]", from AIDA64
 * and its relatives, with "MSR 000000CE: ..." lines) and that of `cpuid -r`
 * ("   0x00000007 0x00: eax=0x00000000 ebx=...").  Of several CPUs the first one counts.
 */
#ifndef LIB_DUMP_H
#define LIB_DUMP_H

#include <stdbool.h>
#include <stdio.h>

#include <cpuid-policy/policy.h>

struct dump {
    struct cpu_policy policy;
    struct cpu_policy seen;   /* all ones where the dump had a leaf */
    unsigned int leaves;      /* lines taken */
    bool platform_info_known; /* the dump had MSR CE */
    bool arch_caps_known;     /* the dump had MSR 10A */
    char error[256];          /* "line 12: ..." */
};

/* 0; or -1 with EINVAL (or read errors) and d->error. */
int dump_read(FILE *f, struct dump *d);

/*
 * Fill *mask with a 1 for each bit that the dump does not say: leaves and subleaves that there are
 * on this CPU by what it does say, and both MSRs.  Ask before dump_complete().
 */
void dump_unknown(const struct dump *d, struct cpu_policy *mask);

/*
 * Make the CPU of a dump whole, as a hypervisor would read it: leaves above the maxima go, missing
 * XSAVE components are completed, SYSCALL is shown.  Returns the XSAVE components that had to be
 * given up, with their features.
 */
uint64_t dump_complete(struct cpu_policy *p);

#endif /* LIB_DUMP_H */
