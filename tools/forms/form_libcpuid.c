/* SPDX-License-Identifier: MIT */
/*
 * Raw files of libcpuid (cpuid_tool --save): "basic_cpuid[7]=00000000 d19f4fbb 40415f5e 00000000".
 * Until 0.5 they are of one CPU; since 0.6 of each, behind a heading.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "forms-private.h"

/* What the lines are called, and which leaf the number in them belongs to: `by_subleaf` it is the
 * subleaf, else it is added. */
static const struct {
    const char *name;
    uint32_t leaf;
    bool by_subleaf;
} kinds[] = {
    {"basic_cpuid[", 0, false},
    {"ext_cpuid[", EXTD_FIRST, false},
    {"intel_fn4[", 4, true},
    {"intel_fn11[", 0xb, true},
};

static bool take_regs(const char *s, struct cpuid_regs *regs)
{
    uint32_t *const values[4] = {&regs->a, &regs->b, &regs->c, &regs->d};

    for (unsigned int i = 0; i < 4; i++) {
        while (*s == ' ' || *s == '\t')
            s++;
        if (!dump_take_hex(&s, 8, values[i]))
            return false;
    }
    return !isxdigit((unsigned char)*s);
}

static unsigned int looks_like_libcpuid(const struct form_text *t)
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (form_after(t->lines[i], "basic_cpuid["))
            return 90;
    return 0;
}

static int take_line(struct dump *d, const char *line)
{
    if (form_after(line, "_________________ Logical CPU #"))
        return dump_begin_cpu(d);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const char *s = form_after(line, kinds[i].name);
        struct cpuid_regs regs;
        char *end;
        unsigned long n;

        if (!s)
            continue;
        n = strtoul(s, &end, 10);
        if (end == s || n > 0xff || strncmp(end, "]=", 2) != 0 || !take_regs(end + 2, &regs)) {
            (void)snprintf(d->error, sizeof(d->error),
                           "line %u: not a number in brackets, '=' and four registers of eight "
                           "digits",
                           d->line);
            return -1;
        }
        if (kinds[i].by_subleaf)
            return dump_take_leaf(d, kinds[i].leaf, true, (uint32_t)n, &regs);
        return dump_take_leaf(d, kinds[i].leaf + (uint32_t)n, true, 0, &regs);
    }
    return 0;
}

static int read_libcpuid(const struct form_text *t, struct form *f)
{
    struct dump d;
    int rc = 0;

    dump_init(&d);
    for (size_t i = 0; !rc && i < t->n_lines; i++) {
        d.line = (unsigned int)i + 1;
        rc = take_line(&d, t->lines[i]);
        if (rc && form_is_cut(f, t, i, &d))
            rc = 0;
    }
    if (!rc)
        rc = dump_finish(&d);
    rc = rc ? form_fail(f, "%s", d.error) : form_from_dump(f, &d);
    dump_free(&d);
    return rc;
}

const struct form_reader form_libcpuid = {
    .name = "libcpuid raw file",
    .looks_like = looks_like_libcpuid,
    .read = read_libcpuid,
};
