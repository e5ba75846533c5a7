/* SPDX-License-Identifier: MIT */
/* See xen-options.h. */
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "release.h"
#include "util.h"
#include "xen-options.h"

enum { KINDS = HOST_OPTION_MICROCODE + 1 };

/* What has been heard: by kind, a list between commas. */
struct heard {
    const char *cmdline;
    char *list[KINDS];
};

/* An item of a list is called with its option: "spec-ctrl=ibpb". */
static char *name_option(const char *cmdline, size_t at, size_t len)
{
    size_t word = at, name = 0;

    while (word && cmdline[word - 1] != ' ')
        word--;
    if (word == at)
        return xasprintf("%.*s", (int)len, cmdline + at);
    while (cmdline[word + name] != '=')
        name++;
    return xasprintf("%.*s=%.*s", (int)name, cmdline + word, (int)len, cmdline + at);
}

static void keep_note(void *data, enum host_option_note what, size_t at, size_t len)
{
    struct heard *h = data;
    char *name = name_option(h->cmdline, at, len), *before = h->list[what];

    h->list[what] = before ? xasprintf("%s, %s", before, name) : xstrdup(name);
    free(before);
    free(name);
}

static void warn_of_heard(const struct heard *h, unsigned int xen)
{
    char release[RELEASE_TEXT];

    (void)release_text(xen, release);
    if (h->list[HOST_OPTION_UNKNOWN])
        warn("--xen-cmdline: not looked at, for Xen does not know it: %s",
             h->list[HOST_OPTION_UNKNOWN]);
    if (h->list[HOST_OPTION_OF_OTHER_XEN])
        warn("--xen-cmdline: not looked at, for Xen %s does not know it (other releases do): %s",
             release, h->list[HOST_OPTION_OF_OTHER_XEN]);
    if (h->list[HOST_OPTION_MICROCODE])
        warn("--xen-cmdline: not looked at, for what it brings is not known here (newer "
             "microcode): %s",
             h->list[HOST_OPTION_MICROCODE]);
    if (h->list[HOST_OPTION_CHANGES_NOTHING])
        warn("--xen-cmdline: does not change what guests are offered: %s",
             h->list[HOST_OPTION_CHANGES_NOTHING]);
}

int xen_options_read(struct host_options *options, unsigned int xen, const char *cmdline)
{
    struct heard h = {.cmdline = cmdline};
    const struct host_option_listener listener = {keep_note, &h};
    size_t where = 0;
    int rc = host_options_read(options, xen, cmdline, &listener, &where);

    if (rc)
        warn("--xen-cmdline: what is wrong begins at '%s'", cmdline + where);
    else
        warn_of_heard(&h, xen);
    for (unsigned int i = 0; i < KINDS; i++)
        free(h.list[i]);
    return rc ? -1 : 0;
}

/* ---- of this CPU ---- */

static void count_note(void *data, enum host_option_note what, size_t at, size_t len)
{
    size_t *notes = data;

    (void)what;
    (void)at;
    (void)len;
    (*notes)++;
}

/* Is there nothing in this word that has been spoken of? */
static bool is_taken_whole(const char *word, unsigned int xen)
{
    struct host_options o;
    size_t notes = 0, where;
    const struct host_option_listener listener = {count_note, &notes};

    return !host_options_read(&o, xen, word, &listener, &where) && !notes;
}

/* Are the policies that come of p[0] the same without the word at `at`? */
static bool is_same_without(const struct host_options *options, const char *cmdline, size_t at,
                            size_t len, const struct cpu_policy *p)
{
    char *less = xasprintf("%.*s%s", (int)at, cmdline, cmdline + at + len);
    struct cpu_policy *other = xcalloc(HOST_POLICIES, sizeof(*other));
    struct host_options o;
    bool has_hvm, has_hap, same;
    size_t where;

    same = !host_options_read(&o, options->xen, less, NULL, &where);
    o.lacking = options->lacking;
    o.arch_caps = options->arch_caps;
    other[0] = p[0];
    if (same) {
        host_policies_derive(other, &o, &has_hvm, &has_hap);
        same = !memcmp(other, p, HOST_POLICIES * sizeof(*other));
    }
    free(other);
    free(less);
    return same;
}

/* The policies of the CPU as far as it is known, and of one that has what is not known as well. */
static void derive_both(const struct host_options *options, const struct cpu_policy *raw,
                        const struct cpu_policy *unknown, struct cpu_policy *p)
{
    struct featureset fs, more;
    bool has_hvm, has_hap;

    p[0] = p[HOST_POLICIES] = *raw;
    policy_to_featureset(raw, &fs);
    policy_to_featureset(unknown, &more);
    featureset_or(&fs, &fs, &more);
    policy_from_featureset(&p[HOST_POLICIES], &fs);
    host_policies_derive(p, options, &has_hvm, &has_hap);
    host_policies_derive(p + HOST_POLICIES, options, &has_hvm, &has_hap);
}

void xen_options_judge(const struct host_options *options, const char *cmdline,
                       const struct cpu_policy *raw, const struct cpu_policy *unknown)
{
    struct cpu_policy *p = xcalloc((size_t)2 * HOST_POLICIES, sizeof(*p));
    char *list = NULL;
    size_t at = 0, len;

    derive_both(options, raw, unknown, p);
    for (; cmdline[at]; at += len + strspn(cmdline + at + len, " ")) {
        char *word, *before = list;

        len = strcspn(cmdline + at, " ");
        word = xasprintf("%.*s", (int)len, cmdline + at);
        if (!strcmp(word, "--")) {
            free(word);
            break;
        }
        if (len && is_taken_whole(word, options->xen) &&
            is_same_without(options, cmdline, at, len, p) &&
            is_same_without(options, cmdline, at, len, p + HOST_POLICIES)) {
            list = before ? xasprintf("%s, %s", before, word) : xstrdup(word);
            free(before);
        }
        free(word);
    }
    if (list)
        warn("--xen-cmdline: changes nothing on this CPU: %s", list);
    free(list);
    free(p);
}
