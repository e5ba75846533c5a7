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

static void hear(void *data, enum host_option_note what, size_t at, size_t len)
{
    struct heard *h = data;
    char *name = name_option(h->cmdline, at, len), *before = h->list[what];

    h->list[what] = before ? xasprintf("%s, %s", before, name) : xstrdup(name);
    free(before);
    free(name);
}

static void say(const struct heard *h, unsigned int xen)
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
    const struct host_option_listener listener = {hear, &h};
    size_t where = 0;
    int rc = host_options_read(options, xen, cmdline, &listener, &where);

    if (rc)
        warn("--xen-cmdline: what is wrong begins at '%s'", cmdline + where);
    else
        say(&h, xen);
    for (unsigned int i = 0; i < KINDS; i++)
        free(h.list[i]);
    return rc ? -1 : 0;
}
