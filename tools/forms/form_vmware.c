/* SPDX-License-Identifier: MIT */
/*
 * vmware.log: "...| hostCPUID level 00000001, 0: 0x000406f1 0x00100800 0x7ffefbff 0xbfebfbff" is
 * what the host's CPU says; "guest vs. host CPUID guest level ..." what the VM is told.
 */
#include <stdlib.h>
#include <string.h>

#include "forms-private.h"

/* Behind the words, in a line that has a time in front. */
static const char *behind(const char *line, const char *words)
{
    const char *s = strstr(line, words);

    return s ? s + strlen(words) : NULL;
}

static const char *host_level(const char *line)
{
    const char *s = behind(line, "hostCPUID level ");

    return s ? s : behind(line, "*host level ");
}

static const char *guest_level(const char *line)
{
    const char *s = behind(line, "CPUID guest level ");

    return s ? s : behind(line, "guestCPUID level ");
}

static unsigned int looks_like_vmware(const struct form_text *t)
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (host_level(t->lines[i]) || guest_level(t->lines[i]))
            return 90;
    return 0;
}

/* "00000001, 0: 0x... 0x... 0x... 0x..." */
static bool take_level(const char *s, uint32_t *leaf, uint32_t *subleaf, struct cpuid_regs *regs)
{
    uint32_t *const values[4] = {&regs->a, &regs->b, &regs->c, &regs->d};
    char *end;

    if (!dump_take_hex(&s, 8, leaf) || *s != ',')
        return false;
    *subleaf = (uint32_t)strtoul(s + 1, &end, 16);
    if (end == s + 1 || *end != ':')
        return false;
    s = end + 1;
    for (unsigned int i = 0; i < 4; i++) {
        while (*s == ' ')
            s++;
        s = form_after(s, "0x");
        if (!s || !dump_take_hex(&s, 8, values[i]))
            return false;
    }
    return true;
}

/* The first time that the log lists them; it does so each time that the VM is switched on. */
static int read_levels(const struct form_text *t, struct form *f,
                       const char *(*level)(const char *line))
{
    bool begun = false;
    struct dump d;
    int rc = 0;

    dump_init(&d);
    for (size_t i = 0; !rc && i < t->n_lines; i++) {
        const char *s = level(t->lines[i]);
        uint32_t leaf, subleaf;
        struct cpuid_regs regs;

        d.line = (unsigned int)i + 1;
        if (!s)
            continue;
        if (!take_level(s, &leaf, &subleaf, &regs)) {
            if (form_is_cut(f, t, i, &d))
                break;
            (void)form_fail(f, "line %u: a CPUID level without four registers", d.line);
            dump_free(&d);
            return -1;
        }
        if (begun && !leaf && !subleaf)
            break;
        begun |= !leaf;
        if (begun)
            rc = dump_take_leaf(&d, leaf, true, subleaf, &regs);
    }
    if (!rc)
        rc = dump_finish(&d);
    rc = rc ? form_fail(f, "%s", d.error) : form_from_dump(f, &d);
    dump_free(&d);
    return rc;
}

static int read_vmware(const struct form_text *t, struct form *f)
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (host_level(t->lines[i]))
            return read_levels(t, f, host_level);
    f->name = "vmware.log, of a guest";
    if (read_levels(t, f, guest_level))
        return -1;
    f->kind = FORM_GUEST;
    f->guest = f->cpus[0];
    f->guest_type = FORM_GUEST_HVM;
    return 0;
}

const struct form_reader form_vmware = {
    .name = "vmware.log",
    .looks_like = looks_like_vmware,
    .read = read_vmware,
};
