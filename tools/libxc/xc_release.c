/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "xc_release.h"

/* The newest release whose records were compared: what a later one writes is not known. */
#define NEWEST_MAJOR 4u
#define NEWEST_MINOR 22u

/*
 * struct hvm_hw_lapic got pending_esr, which made save entry 5 (LAPIC) grow from 24 to 32 bytes: in
 * 4.21.0, and in these releases of the branches before.  An older Xen refuses the longer entry.
 */
static const struct {
    unsigned int minor;
    int point;
} lapic_grew[] = {{18, 5}, {19, 2}, {20, 1}, {21, 0}};
#define NR_LAPIC_GREW (sizeof(lapic_grew) / sizeof(lapic_grew[0]))

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_UNKNOWN };

static enum answer has_long_lapic(const struct xc_release *r)
{
    if (r->major != 4 || r->minor > lapic_grew[NR_LAPIC_GREW - 1].minor)
        return r->major < 4 ? ANSWER_NO : ANSWER_YES;
    for (size_t i = 0; i < NR_LAPIC_GREW; i++) {
        if (r->minor != lapic_grew[i].minor)
            continue;
        if (!lapic_grew[i].point)
            return ANSWER_YES;
        if (r->point < 0)
            return ANSWER_UNKNOWN;
        return r->point >= lapic_grew[i].point ? ANSWER_YES : ANSWER_NO;
    }
    return ANSWER_NO;
}

/* A number at *at, which moves behind it; false when there is none, or it is none of a release. */
static bool read_number(const char **at, unsigned int *number)
{
    unsigned long value;
    char *end;

    if (**at < '0' || **at > '9')
        return false;
    value = strtoul(*at, &end, 10);
    if (value > 9999)
        return false;
    *at = end;
    *number = (unsigned int)value;
    return true;
}

static bool skip_point(const char **at)
{
    if (**at != '.')
        return false;
    ++*at;
    return true;
}

bool xc_read_release(const char *text, struct xc_release *r)
{
    const char *at = text ? text : "";
    unsigned int point;

    r->point = -1;
    if (!read_number(&at, &r->major) || !skip_point(&at) || !read_number(&at, &r->minor))
        return false;
    /* "-pre" and "-rc1" are on the way to the release that they name. */
    if (skip_point(&at) && read_number(&at, &point) && strncmp(at, "-pre", 4) != 0 &&
        strncmp(at, "-rc", 3) != 0)
        r->point = (int)point;
    return true;
}

static bool is_newer(const struct xc_release *a, const struct xc_release *b)
{
    if (a->major != b->major)
        return a->major > b->major;
    if (a->minor != b->minor)
        return a->minor > b->minor;
    return a->point >= 0 && b->point >= 0 && a->point > b->point;
}

const char *xc_release_obstacle(const struct xc_release *from, const struct xc_release *to)
{
    const struct xc_release newest = {NEWEST_MAJOR, NEWEST_MINOR, -1};
    const enum answer writes = has_long_lapic(from);

    /* The same branch, and the sender's point is not known: most likely the same release. */
    if (from->major == to->major && from->minor == to->minor && from->point < 0)
        return NULL;
    if (writes != ANSWER_NO && has_long_lapic(to) == ANSWER_NO)
        return writes == ANSWER_YES
                   ? "it writes LAPIC entries of 32 bytes, of which Xen takes only 24 here"
                   : "it may write LAPIC entries of 32 bytes, of which Xen takes only 24 here";
    if (is_newer(from, &newest) && is_newer(from, to))
        return "it is newer than all whose records are known here";
    return NULL;
}
