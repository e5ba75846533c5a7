/* SPDX-License-Identifier: MIT */
/* See subject-named.h. */
#include "subject-named.h"

#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "util.h"

/* A copy that this subject owns. */
static void take_named(struct subject *s, const struct named_level *from, const char *origin)
{
    struct named_level *l = xcalloc(1, sizeof(*l));

    *l = *from;
    s->kind = SUBJECT_NAMED;
    s->named = l;
    s->name = xstrdup(l->name);
    s->origin = xstrdup(origin);
    s->xen = xstrdup("");
}

int subject_open_named(const char *name, bool only, struct subject *s)
{
    struct named_list list;
    const struct named_level *found;
    char *why = NULL, *near, *origin;
    int rc = 1;

    if (!named_is_name(name) && !only)
        return 1;
    if (named_list(&list, &why)) {
        /* A name without a version may be a domain's, whatever is wrong with the levels. */
        bool domain = !only && !strchr(name, '.');

        if (!domain)
            warn("%s", why);
        free(why);
        named_list_free(&list);
        return domain ? 1 : -1;
    }
    found = named_find(&list, name);
    if (found) {
        struct named_level *taken = &list.levels[found - list.levels];

        origin = xasprintf("named level %s", taken->name);
        take_named(s, taken, origin);
        free(origin);
        *taken = (struct named_level){.base = ""}; /* it is the subject's now */
        rc = 0;
    } else if (only || strchr(name, '.')) { /* "NAME.v3" is no domain's */
        near = named_near(&list, name);
        warn("there is no level %s%s%s; `xenlevel level --list` has all", name,
             *near ? ": perhaps " : "", near);
        free(near);
        rc = -1;
    }
    named_list_free(&list);
    return rc;
}

int subject_open_named_text(const char *path, struct subject *s)
{
    struct named_level l;
    char *why = NULL, *origin;

    if (named_read(path, &l, &why)) {
        warn("%s", why);
        free(why);
        named_free(&l);
        return -1;
    }
    origin = xasprintf("file %s", path);
    take_named(s, &l, origin);
    free(origin);
    return 0;
}

void subject_warn_of_named(const char *arg)
{
    struct named_list list;
    char *why = NULL;

    if (!named_is_name(arg))
        return;
    if (!named_list(&list, &why) && named_find(&list, arg))
        warn("the file %s is taken, not the named level", arg);
    free(why);
    named_list_free(&list);
}
