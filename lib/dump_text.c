/* SPDX-License-Identifier: MIT */
/*
 * CPUID dumps as text: InstLatx64's, and that of `cpuid -r`.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"

static int refuse_line(struct dump *d, const char *what)
{
    (void)snprintf(d->error, sizeof(d->error), "line %u: %s", d->line, what);
    errno = EINVAL;
    return -1;
}

bool dump_take_hex(const char **s, unsigned int digits, uint32_t *value)
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

static const char *skip_blanks(const char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* The number behind a name at its beginning ("CPUID", "MSR"), and what may stand behind that: a
 * colon, blanks.  NULL when the line is prose. */
static const char *take_number(const char *s, const char *name, uint32_t *number)
{
    s = skip_blanks(s);
    if (strncmp(s, name, strlen(name)) != 0)
        return NULL;
    s += strlen(name);
    if (*s != ' ' && *s != '\t')
        return NULL;
    s = skip_blanks(s);
    if (!dump_take_hex(&s, 8, number) || isxdigit((unsigned char)*s))
        return NULL;
    s = skip_blanks(s);
    if (*s == ':')
        s = skip_blanks(s + 1);
    return s;
}

/* Between two registers: '-', or blanks, or both. */
static bool take_separator(const char **s)
{
    const char *begin = *s;

    *s = skip_blanks(*s);
    if (**s == '-')
        *s = skip_blanks(*s + 1);
    return *s != begin;
}

static bool take_registers(const char **s, struct cpuid_regs *regs)
{
    return dump_take_hex(s, 8, &regs->a) && take_separator(s) && dump_take_hex(s, 8, &regs->b) &&
           take_separator(s) && dump_take_hex(s, 8, &regs->c) && take_separator(s) &&
           dump_take_hex(s, 8, &regs->d) && !isxdigit((unsigned char)**s);
}

static int take_instlat_leaf(struct dump *d, uint32_t leaf, const char *s)
{
    struct cpuid_regs regs;
    uint32_t subleaf = 0;
    const char *sl;

    if (!isxdigit((unsigned char)*s))
        return 0; /* "CPUID Manufacturer : ..." and other prose */
    if (!take_registers(&s, &regs))
        return refuse_line(d, "a CPUID line without four registers of eight digits");
    sl = strstr(s, "[SL ");
    if (sl) {
        char *end;
        unsigned long n = strtoul(sl + 4, &end, 16);

        if (end == sl + 4 || *end != ']' || n > UINT32_MAX)
            return refuse_line(d, "a subleaf that is no number");
        subleaf = (uint32_t)n;
    }
    return dump_take_leaf(d, leaf, sl != NULL, subleaf, &regs) ? -1 : 1;
}

/* "MSR 0000010A: 0000-0000-0028-FDEB", and without hyphens: only those that policies hold. */
static int take_instlat_msr(struct dump *d, uint32_t msr, const char *s)
{
    uint64_t value = 0;
    uint32_t part;

    if (msr != MSR_INTEL_PLATFORM_INFO && msr != MSR_ARCH_CAPABILITIES)
        return 1;
    if (!isxdigit((unsigned char)*s))
        return 1; /* "< FAILED >": it could not be read */
    for (unsigned int i = 0; i < 4; i++) {
        if (i)
            (void)take_separator(&s);
        if (!dump_take_hex(&s, 4, &part))
            return refuse_line(d, "an MSR line without four numbers of four digits");
        value = value << 16 | part;
    }
    dump_take_msr(d, msr, value);
    return 1;
}

int dump_take_instlat(struct dump *d, const char *line)
{
    uint32_t number;
    const char *s = take_number(line, "CPUID", &number);

    if (s)
        return take_instlat_leaf(d, number, s);
    s = take_number(line, "MSR", &number);
    return s ? take_instlat_msr(d, number, s) : 0;
}

/* "0x00000004 0x00: eax=0x7c004121 ebx=0x01c0003f ecx=0x0000003f edx=0x00000000" */
int dump_take_cpuid_r(struct dump *d, const char *line)
{
    static const char *const names[4] = {"eax=0x", "ebx=0x", "ecx=0x", "edx=0x"};
    struct cpuid_regs regs;
    uint32_t *const values[4] = {&regs.a, &regs.b, &regs.c, &regs.d};
    const char *s = skip_blanks(line);
    unsigned long subleaf;
    uint32_t leaf;
    char *end;

    if (strncmp(s, "0x", 2) != 0) { /* what rdmsr said, written behind it as InstLatx64 does */
        s = take_number(line, "MSR", &leaf);
        return s ? take_instlat_msr(d, leaf, s) : 0;
    }
    s += 2;
    if (!dump_take_hex(&s, 8, &leaf))
        return 0;
    s = skip_blanks(s);
    if (s[0] != '0' || s[1] != 'x')
        return refuse_line(d, "a leaf without a subleaf");
    subleaf = strtoul(s + 2, &end, 16);
    if (end == s + 2 || *end != ':' || subleaf > UINT32_MAX)
        return refuse_line(d, "a subleaf that is no number");
    s = end + 1;
    for (unsigned int i = 0; i < 4; i++) {
        s = skip_blanks(s);
        if (strncmp(s, names[i], 6) == 0)
            s += 6;
        else if (strncmp(s, "0x", 2) == 0) /* other programs leave the names out */
            s += 2;
        else
            return refuse_line(d, "a leaf without its four registers");
        if (!dump_take_hex(&s, 8, values[i]))
            return refuse_line(d, "a register that is not eight hexadecimal digits");
    }
    return dump_take_leaf(d, leaf, true, (uint32_t)subleaf, &regs) ? -1 : 1;
}

int dump_read(FILE *f, struct dump *d)
{
    char line[DUMP_MAX_LINE];

    dump_init(d);
    while (fgets(line, sizeof(line), f)) {
        int rc;

        d->line++;
        if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n')
            return refuse_line(d, "a line of more than a thousand bytes: not a CPUID dump");
        if (d->line > DUMP_MAX_LINES)
            return refuse_line(d, "more than two million lines: not a CPUID dump");
        rc = dump_take_instlat(d, line);
        if (!rc)
            rc = dump_take_cpuid_r(d, line);
        if (rc < 0)
            return -1;
    }
    if (ferror(f)) {
        (void)snprintf(d->error, sizeof(d->error), "%s", strerror(errno));
        return -1;
    }
    if (!d->n_cpus) {
        (void)snprintf(d->error, sizeof(d->error),
                       "not a CPUID dump: no line is InstLatx64's (CPUID 00000000: ...) or one of "
                       "cpuid -r (0x00000000 0x00: eax=...)");
        errno = EINVAL;
        return -1;
    }
    return dump_finish(d);
}
