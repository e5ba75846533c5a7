/* SPDX-License-Identifier: MIT */
/*
 * CPUID dumps: InstLatx64's text and that of `cpuid -r`.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "features-gen.h"

#include <cpuid-policy/vocabulary.h>

#define MAX_LINE  1024
#define MAX_LINES 1000000u

struct reader {
    struct dump *d;
    unsigned int line;
    uint32_t last_leaf; /* for subleaves that are not numbered */
    unsigned int count; /* lines of last_leaf so far */
    bool begun, done;   /* leaf 0 has come; another CPU has begun */
};

static int refuse_line(struct reader *r, const char *what)
{
    (void)snprintf(r->d->error, sizeof(r->d->error), "line %u: %s", r->line, what);
    errno = EINVAL;
    return -1;
}

/* Exactly `digits` hexadecimal digits at *s, which moves behind them. */
static bool take_hex(const char **s, unsigned int digits, uint32_t *value)
{
    *value = 0;
    for (unsigned int i = 0; i < digits; i++) {
        int c = (unsigned char)(*s)[i];

        if (!isxdigit(c))
            return false;
        *value = *value << 4 | (uint32_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    *s += digits;
    return true;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    ++*s;
    return true;
}

/*
 * The subleaf of a line that does not number it.  They come in ascending order, but old programs
 * leave out those of leaf D that are zero: subleaf 1 is told from a component by being odd or zero
 * (bit 0 of its EAX is XSAVEOPT, a component's size is even), and components follow D.0's mask.
 */
static uint32_t guess_subleaf(struct reader *r, uint32_t leaf, const struct cpuid_regs *regs)
{
    const struct cpu_policy *p = &r->d->policy;
    uint32_t component = 1;

    if (leaf != 0xd || r->count == 0)
        return r->count;
    if (r->count == 1 && (regs->a == 0 || regs->a & 1))
        return 1;
    for (uint32_t i = 2; i < POLICY_NR_XSTATE; i++) {
        uint32_t mask = i < 32 ? p->xstate[0].a : p->xstate[0].d;

        if (mask >> (i % 32) & 1 && !p->xstate[i].a) {
            component = i;
            break;
        }
    }
    if (component == 1)
        return POLICY_NR_XSTATE; /* nothing is expected: drop it */
    return component;
}

static int take_leaf(struct reader *r, uint32_t leaf, bool numbered, uint32_t subleaf,
                     const struct cpuid_regs *regs)
{
    struct cpuid_regs *slot;

    if (leaf == 0 && r->begun) {
        r->done = true;
        return 0;
    }
    if (leaf == 0)
        r->begun = true;
    if (!r->begun)
        return refuse_line(r, "the first leaf of a dump is leaf 0");
    if (leaf != r->last_leaf)
        r->count = 0;
    r->last_leaf = leaf;
    if (policy_leaf_has_subleaves(leaf)) {
        if (!numbered)
            subleaf = guess_subleaf(r, leaf, regs);
    } else {
        if (r->count || (numbered && subleaf)) /* leaf 2 of old CPUs: the first answer counts */
            return 0;
        subleaf = POLICY_NONE;
    }
    r->count++;
    slot = policy_leaf(&r->d->policy, leaf, subleaf);
    if (slot && !(leaf >= 0x40000000u && leaf < 0x50000000u)) {
        *slot = *regs;
        memset(policy_leaf(&r->d->seen, leaf, subleaf), 0xff, sizeof(*slot));
        r->d->leaves++;
    }
    return 0;
}

/* "CPUID 00000004: FC004121-02C0003F-0000003F-00000000 [SL 00] [...]" */
static int instlat_leaf(struct reader *r, const char *s)
{
    struct cpuid_regs regs;
    uint32_t leaf, subleaf = 0;
    const char *sl;

    if (!take_hex(&s, 8, &leaf) || !take_char(&s, ':'))
        return 0; /* "CPUID Manufacturer : ..." and other prose */
    while (*s == ' ')
        s++;
    if (!take_hex(&s, 8, &regs.a) || !take_char(&s, '-') || !take_hex(&s, 8, &regs.b) ||
        !take_char(&s, '-') || !take_hex(&s, 8, &regs.c) || !take_char(&s, '-') ||
        !take_hex(&s, 8, &regs.d) || isxdigit((unsigned char)*s))
        return refuse_line(r, "a CPUID line without four registers of eight digits");
    sl = strstr(s, "[SL ");
    if (sl) {
        char *end;
        unsigned long n = strtoul(sl + 4, &end, 16);

        if (end == sl + 4 || *end != ']' || n > UINT32_MAX)
            return refuse_line(r, "a subleaf that is no number");
        subleaf = (uint32_t)n;
    }
    return take_leaf(r, leaf, sl != NULL, subleaf, &regs);
}

/* "MSR 0000010A: 0000-0000-0028-FDEB": only those that policies hold. */
static int instlat_msr(struct reader *r, const char *s)
{
    uint32_t msr, part;
    uint64_t value = 0;

    if (!take_hex(&s, 8, &msr) || !take_char(&s, ':'))
        return 0;
    if (msr != MSR_INTEL_PLATFORM_INFO && msr != MSR_ARCH_CAPABILITIES)
        return 0;
    while (*s == ' ')
        s++;
    for (unsigned int i = 0; i < 4; i++) {
        if ((i && !take_char(&s, '-')) || !take_hex(&s, 4, &part))
            return refuse_line(r, "an MSR line without four numbers of four digits");
        value = value << 16 | part;
    }
    /* Some dumps list MSRs for each CPU: the first one counts here as well. */
    if (msr == MSR_INTEL_PLATFORM_INFO && !r->d->platform_info_known) {
        r->d->policy.platform_info = value;
        r->d->platform_info_known = true;
    } else if (msr == MSR_ARCH_CAPABILITIES && !r->d->arch_caps_known) {
        r->d->policy.arch_caps = value;
        r->d->arch_caps_known = true;
    }
    return 0;
}

/* "0x00000004 0x00: eax=0x7c004121 ebx=0x01c0003f ecx=0x0000003f edx=0x00000000" */
static int raw_leaf(struct reader *r, const char *s)
{
    static const char *const names[4] = {"eax=0x", "ebx=0x", "ecx=0x", "edx=0x"};
    struct cpuid_regs regs;
    uint32_t *const values[4] = {&regs.a, &regs.b, &regs.c, &regs.d};
    uint32_t leaf;
    unsigned long subleaf;
    char *end;

    s += 2;
    if (!take_hex(&s, 8, &leaf))
        return 0;
    while (*s == ' ')
        s++;
    if (s[0] != '0' || s[1] != 'x')
        return refuse_line(r, "a leaf without a subleaf");
    subleaf = strtoul(s + 2, &end, 16);
    if (end == s + 2 || *end != ':' || subleaf > UINT32_MAX)
        return refuse_line(r, "a subleaf that is no number");
    s = end + 1;
    for (unsigned int i = 0; i < 4; i++) {
        while (*s == ' ')
            s++;
        if (strncmp(s, names[i], 6) != 0)
            return refuse_line(r, "a leaf without its four registers");
        s += 6;
        if (!take_hex(&s, 8, values[i]))
            return refuse_line(r, "a register that is not eight hexadecimal digits");
    }
    return take_leaf(r, leaf, true, (uint32_t)subleaf, &regs);
}

static int take_line(struct reader *r, const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    if (!strncmp(s, "CPUID ", 6))
        return instlat_leaf(r, s + 6);
    if (!strncmp(s, "MSR ", 4))
        return instlat_msr(r, s + 4);
    if (!strncmp(s, "0x", 2))
        return raw_leaf(r, s);
    return 0;
}

int dump_read(FILE *f, struct dump *d)
{
    struct reader r = {.d = d};
    char line[MAX_LINE];

    memset(d, 0, sizeof(*d));
    /* To the end even when the CPU is complete: the MSRs may stand behind all CPUs. */
    while (fgets(line, sizeof(line), f)) {
        if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n')
            return refuse_line(&r, "a line of more than a thousand bytes: not a CPUID dump");
        if (++r.line > MAX_LINES)
            return refuse_line(&r, "a million lines: not a CPUID dump");
        if (r.done && strncmp(line, "MSR ", 4) != 0)
            continue;
        if (take_line(&r, line))
            return -1;
    }
    if (ferror(f)) {
        (void)snprintf(d->error, sizeof(d->error), "%s", strerror(errno));
        return -1;
    }
    if (!r.begun) {
        (void)snprintf(d->error, sizeof(d->error),
                       "not a CPUID dump: no line is InstLatx64's (CPUID 00000000: ...) or one of "
                       "cpuid -r (0x00000000 0x00: eax=...)");
        errno = EINVAL;
        return -1;
    }
    if (d->policy.basic[0].a >= 1 && !d->policy.basic[1].a)
        return refuse_line(&r, "the dump ends before leaf 1");
    return 0;
}

/* How many subleaves of a leaf there are by what the dump says of it: all that a policy holds where
 * it says nothing.  Where a list ends by itself, what was written of it is all. */
static uint32_t count_subleaves(const struct dump *d, const struct leaf_family *f)
{
    const struct cpu_policy *p = &d->policy;
    const struct cpuid_regs *seen = policy_family_regs(&d->seen, f);

    if (!seen[0].a)
        return f->count;
    if (f->leaf == 7)
        return p->feat[0].a < f->count ? p->feat[0].a + 1 : f->count;
    return f->leaf == 0xd ? 2 : 0;
}

void dump_unknown(const struct dump *d, struct cpu_policy *mask)
{
    const struct cpu_policy *p = &d->policy;
    uint32_t extd = d->seen.extd[0].a ? p->extd[0].a : EXTD_FIRST + POLICY_NR_EXTD - 1;

    memset(mask, 0, sizeof(*mask));
    for (uint32_t leaf = 1; leaf <= p->basic[0].a && leaf < POLICY_NR_BASIC; leaf++) {
        const struct leaf_family *f = policy_family(leaf);

        if (!f) {
            memset(&mask->basic[leaf], 0xff, sizeof(mask->basic[leaf]));
            continue;
        }
        for (uint32_t s = 0; s < count_subleaves(d, f); s++)
            memset(policy_leaf(mask, leaf, s), 0xff, sizeof(struct cpuid_regs));
    }
    for (uint32_t i = 0; i < POLICY_NR_EXTD && EXTD_FIRST + i <= extd; i++)
        memset(&mask->extd[i], 0xff, sizeof(mask->extd[i]));
    for (size_t i = 0; i < sizeof(*mask); i++)
        ((unsigned char *)mask)[i] &= (unsigned char)~((const unsigned char *)&d->seen)[i];
    mask->platform_info = d->platform_info_known ? 0 : UINT64_MAX;
    mask->arch_caps = d->arch_caps_known ? 0 : UINT64_MAX;
}

/*
 * Intel shows SYSCALL to 64-bit code only (SDM vol. 2A, CPUID leaf 80000001H); programs that dump
 * CPUID are often 32-bit ones.  A 64-bit guest would not boot without it.
 */
static void show_syscall(struct cpu_policy *p)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    if (!featureset_test(&fs, X86_FEATURE_LM))
        return;
    featureset_set(&fs, X86_FEATURE_SYSCALL);
    policy_from_featureset(p, &fs);
}

uint64_t dump_complete(struct cpu_policy *p)
{
    uint64_t given_up;

    /* A dump may name leaves above the maximum that the CPU states (Intel answers for them). */
    policy_trim(p);
    given_up = policy_complete_xstate(p);
    show_syscall(p);
    return given_up;
}
