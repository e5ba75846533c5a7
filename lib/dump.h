/* SPDX-License-Identifier: MIT */
/*
 * CPUID dumps: text that says, leaf by leaf, what CPUID answered on the CPUs of some machine.
 *
 * This is where CPUs are put together out of leaves as they come, whatever text they come from; and
 * the readers of the two texts that simulated machines are made of:
 *  - InstLatx64's, of AIDA64 and its relatives, in its three shapes
 *        CPUID 00000007: 00000000-F3BFBFFB-00415F5E-BC040412 [SL 00]
 *        CPUID 00000007      00000000-F3BFBFFB-00415F5E-BC040412 [SL 00]
 *        CPUID 00000007: 00000000 F3BFBFFB 00415F5E BC040412 [SL 00]
 *    with lines "MSR 000000CE: 0000-0000-8083-8F30";
 *  - that of `cpuid -r` and `cpuid -1r`
 *        0x00000007 0x00: eax=0x00000000 ebx=0x... ecx=0x... edx=0x...
 */
#ifndef LIB_DUMP_H
#define LIB_DUMP_H

#include <stdbool.h>
#include <stdio.h>

#include <cpuid-policy/policy.h>

enum {
    DUMP_MAX_CPUS = 4096,
    DUMP_MAX_LINE = 1024, /* bytes of a line of a dump, with its NUL */
    DUMP_MAX_LINES = 2000000,
};

/* A 1 bit of `unknown`: the dump does not say this bit of the policy. */
struct dump_cpu {
    struct cpu_policy policy, unknown;
};

/* How far one CPU has come. */
struct dump_state {
    uint32_t last_leaf; /* for subleaves that are not numbered */
    unsigned int count; /* lines of last_leaf so far */
    bool begun, msr_ce, msr_10a;
};

struct dump {
    struct dump_cpu *cpus; /* the first is the boot CPU */
    size_t n_cpus, room;
    unsigned int leaves; /* lines taken, of all CPUs */
    unsigned int line;   /* of the text, from 1: whoever reads one counts */
    bool too_many_cpus;  /* those above DUMP_MAX_CPUS were left out */

    /* What the boot CPU says at 40000000 and 40000100, where hypervisors have their names. */
    struct cpuid_regs hypervisor[2];

    bool have_msr[2]; /* the first CE and 10A of the file */
    uint64_t msr[2];
    struct dump_state state;
    char error[256]; /* "line 12: ..." */
};

/* Begin without CPUs; end, and free what it holds. */
void dump_init(struct dump *d);
void dump_free(struct dump *d);

/* Every bit that a policy can hold: nothing has been said yet. */
void dump_set_all_unknown(struct cpu_policy *unknown);

/*
 * Take one leaf of the CPU that is being read; leaf 0 begins the next CPU.  numbered: the text says
 * which subleaf; else they come in ascending order.  Leaves that no policy holds are passed over.
 * Returns 0; or -1 with EINVAL, or ENOMEM, and d->error.
 */
int dump_take_leaf(struct dump *d, uint32_t leaf, bool numbered, uint32_t subleaf,
                   const struct cpuid_regs *regs);
/* Begin the next CPU, where the text says so before its leaf 0.  As dump_take_leaf(). */
int dump_begin_cpu(struct dump *d);
/* Take an MSR of the CPU that is being read; those that no policy holds are passed over. */
void dump_take_msr(struct dump *d, uint32_t msr, uint64_t value);

/*
 * Take a line of one of the two texts.  Returns 1 when it was one, 0 when it is prose; -1 with
 * EINVAL (or ENOMEM) and d->error when it is damaged.
 */
int dump_take_instlat(struct dump *d, const char *line);
int dump_take_cpuid_r(struct dump *d, const char *line);

/*
 * Say what follows from the leaves that were seen: behind the end of a list, and above a maximum,
 * is nothing.  Returns 0; or -1 with EINVAL and d->error when there is no CPU, or not even its
 * leaf 1.
 */
int dump_finish(struct dump *d);

/* Read a file of either text to its end, and finish.  0; or -1 with EINVAL (or read errors) and
 * d->error.  dump_free() in both cases. */
int dump_read(FILE *f, struct dump *d);

/*
 * Make the CPU of a dump whole, as a hypervisor would read it: leaves above the maxima go, missing
 * XSAVE components are completed, SYSCALL is shown.  Returns the XSAVE components that had to be
 * given up, with their features.
 */
uint64_t dump_complete(struct cpu_policy *p);

/* Exactly `digits` hexadecimal digits at *s, which moves behind them. */
bool dump_take_hex(const char **s, unsigned int digits, uint32_t *value);

#endif /* LIB_DUMP_H */
