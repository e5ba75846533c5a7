/* SPDX-License-Identifier: MIT */
/*
 * The dumps of InstLatx64, AIDA64 and EVEREST, and of `cpuid -r`: what their lines are is in
 * lib/dump.h.
 */
#include <ctype.h>
#include <string.h>

#include "forms-private.h"

/* Begins with 0x and eight digits, and has a register; a subleaf that is missing is for the one who
 * reads the line to complain of. */
static bool is_cpuid_r(const char *line)
{
    const char *end, *s = form_trim(line, &end);
    uint32_t leaf;

    s = form_after(s, "0x");
    if (!s || !dump_take_hex(&s, 8, &leaf))
        return false;
    s += strspn(s, " \t");
    if (*s == ':')
        return form_after(s + 1 + strspn(s + 1, " \t"), "eax=0x") != NULL;
    s = form_after(s, "0x") ? strchr(s, ':') : NULL;
    if (!s)
        return false;
    s += 1 + strspn(s + 1, " \t");
    return form_after(s, "eax=0x") || form_after(s, "0x");
}

/* "CPUID 00000000", and behind it a register. */
static bool is_instlat(const char *line)
{
    const char *end, *s = form_after(form_trim(line, &end), "CPUID ");
    uint32_t leaf;

    while (s && isspace((unsigned char)*s))
        s++;
    if (!s || !dump_take_hex(&s, 8, &leaf))
        return false;
    while (*s == ':' || *s == ' ' || *s == '\t')
        s++;
    return dump_take_hex(&s, 8, &leaf) && (*s == '-' || *s == ' ' || *s == '\t');
}

static unsigned int count_lines(const struct form_text *t, bool (*is_one)(const char *line))
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (is_one(t->lines[i]))
            return 80;
    return 0;
}

static int read_lines(const struct form_text *t, struct form *f,
                      int (*take)(struct dump *d, const char *line))
{
    struct dump d;
    int rc = 0;

    dump_init(&d);
    for (size_t i = 0; !rc && i < t->n_lines; i++) {
        d.line = (unsigned int)i + 1;
        rc = take(&d, t->lines[i]) < 0 ? -1 : 0;
        if (rc && form_is_cut(f, t, i, &d))
            rc = 0;
    }
    if (!rc)
        rc = dump_finish(&d);
    rc = rc ? form_fail(f, "%s", d.error) : form_from_dump(f, &d);
    dump_free(&d);
    return rc;
}

static unsigned int looks_like_instlat(const struct form_text *t)
{
    return count_lines(t, is_instlat);
}

/* A report has chapters: "--------[ CPUID ]----". */
static bool is_report(const struct form_text *t)
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (form_after(t->lines[i], "--------[ "))
            return true;
    return false;
}

static int read_instlat(const struct form_text *t, struct form *f)
{
    if (is_report(t))
        f->name = "a report of AIDA64 or EVEREST";
    return read_lines(t, f, dump_take_instlat);
}

static unsigned int looks_like_cpuid_r(const struct form_text *t)
{
    return count_lines(t, is_cpuid_r);
}

static int read_cpuid_r(const struct form_text *t, struct form *f)
{
    return read_lines(t, f, dump_take_cpuid_r);
}

const struct form_reader form_instlat = {
    .name = "InstLatx64 or AIDA64 dump",
    .looks_like = looks_like_instlat,
    .read = read_instlat,
};

const struct form_reader form_cpuid_r = {
    .name = "cpuid -r",
    .looks_like = looks_like_cpuid_r,
    .read = read_cpuid_r,
};
