/* SPDX-License-Identifier: MIT */
/* See findings.h. */
#include "findings.h"

#include "describe.h"
#include "out.h"
#include "util.h"
#include "xc.h"

bool finding_is_feature(enum policy_fault_kind kind)
{
    return kind == FAULT_FEATURE_MISSING || kind == FAULT_HAZARD_UNTOLD;
}

static bool is_hidden(const struct findings *found, size_t i)
{
    return found->hidden && found->hidden[i];
}

static void print_line(FILE *f, unsigned int width, unsigned int indent, const char *text)
{
    out_wrap(f, width, indent, indent + 2, text);
    (void)fputc('\n', f);
}

size_t findings_count(const struct findings *found, enum policy_fault_kind kind)
{
    size_t count = 0;

    for (size_t i = found->first; i < found->end; i++)
        count += found->faults[i].kind == kind && !is_hidden(found, i);
    return count;
}

void findings_names(const struct findings *found, char *buf, size_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = found->first; i < found->end; i++) {
        enum policy_fault_kind kind = found->faults[i].kind;
        struct findings before = *found;
        int n;

        before.end = i;
        if (is_hidden(found, i) || findings_count(&before, kind))
            continue;
        n = snprintf(buf + len, size - len, "%s%s", len ? " " : "", policy_fault_name(kind));
        if (n < 0 || (size_t)n >= size - len) {
            buf[len] = '\0';
            return;
        }
        len += (size_t)n;
    }
}

void findings_features(FILE *f, unsigned int width, const struct findings *found,
                       enum policy_fault_kind kind, const char *one, const char *many)
{
    size_t count = findings_count(found, kind);
    char heading[128], number[96];
    struct table t;

    if (!count)
        return;
    (void)snprintf(heading, sizeof(heading),
                   "%s:", plural(number, sizeof(number), count, one, many));
    print_line(f, width, 2, heading);
    table_init(&t, 3, 4);
    for (size_t i = found->first; i < found->end; i++)
        if (found->faults[i].kind == kind && !is_hidden(found, i))
            show_feature_row(&t, found->faults[i].feature);
    table_print_to(&t, f, width);
}

void findings_others(FILE *f, unsigned int width, const struct findings *found, const char *heading)
{
    unsigned int indent = heading ? 4 : 2;

    for (size_t i = found->first; i < found->end; i++) {
        char text[XC_FAULT_TEXT];

        if (is_hidden(found, i) || finding_is_feature(found->faults[i].kind))
            continue;
        if (heading)
            print_line(f, width, 2, heading);
        heading = NULL;
        (void)xc_fault_text(&found->faults[i], text, sizeof(text));
        print_line(f, width, indent, text);
    }
}
