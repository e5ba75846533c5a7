/* SPDX-License-Identifier: MIT */
/* See cmdline.h. */
#include "cmdline.h"

#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include <cpuid-policy/releases.h>

#include "features-gen.h"
#include "named.h"
#include "release.h"
#include "util.h"

/* The command line without its cpuid= words; *had: there was one.  Xen takes what is behind "--"
 * for itself no more. */
static char *strip_cpuid(const char *cmdline, bool *had)
{
    char *text = xstrdup(""), *longer;

    *had = false;
    while (*cmdline) {
        size_t len = strcspn(cmdline, " ");

        if (len == 2 && !strncmp(cmdline, "--", 2))
            break;
        if (!strncmp(cmdline, "cpuid=", 6)) {
            *had = true;
        } else if (len) {
            longer = xasprintf("%s%s%.*s", text, *text ? " " : "", (int)len, cmdline);
            free(text);
            text = longer;
        }
        cmdline += len + strspn(cmdline + len, " ");
    }
    return text;
}

/* Let own policies be what Xen of that release makes of the raw CPU.  Whether it could be done. */
static bool derive(const struct pool_capture *from, unsigned int xen, const char *cmdline,
                   struct pool_capture *to)
{
    struct cpu_policy *p;
    struct host_options options;
    bool has_hvm, has_hap;
    size_t where;

    if (!from->have[XC_POLICY_RAW] || !release_is_known(xen) ||
        host_options_read(&options, xen, cmdline, NULL, &where))
        return false;
    p = xcalloc(HOST_POLICIES, sizeof(*p));
    p[0] = *from->policy[XC_POLICY_RAW];
    host_policies_derive(p, &options, &has_hvm, &has_hap);
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        to->have[i] =
            from->have[i] && (has_hvm || (i != XC_POLICY_HVM_MAX && i != XC_POLICY_HVM_DEFAULT));
        if (!to->have[i])
            continue;
        to->policy[i] = xcalloc(2, sizeof(*to->policy[i]));
        *to->policy[i] = p[i];
        to->unknown[i] = to->policy[i] + 1;
        if (from->unknown[i])
            *to->unknown[i] = *from->unknown[i];
    }
    free(p);
    return true;
}

/* What is hidden is known: it is not there. */
static void forget_doubts(struct pool_capture *c, const struct featureset *hidden)
{
    struct featureset fs;

    for (unsigned int i = XC_POLICY_HOST; i < XC_POLICIES; i++) {
        if (!c->have[i])
            continue;
        policy_to_featureset(c->unknown[i], &fs);
        featureset_andnot(&fs, &fs, hidden);
        policy_from_featureset(c->unknown[i], &fs);
    }
}

static void free_derived(struct pool_capture *c)
{
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        free(c->policy[i]);
    memset(c, 0, sizeof(*c));
}

/*
 * What has to be hidden, and may be.  cpuid= is for all guests: what only PV guests must not have
 * stays where the others have it.  And it is for Xen, which uses none of it either: what protects
 * Xen itself is kept.  Warnings can only be added, which it cannot do.
 */
static void find_hidden(const struct pool_capture *capture, const struct pool_level *level,
                        struct pool_cmdline *c, struct featureset *hide)
{
    static const uint16_t used_by_xen[] = {X86_FEATURE_SMEP, X86_FEATURE_SMAP};
    struct featureset more[POOL_TYPES], has, decided;
    struct pool_birth b;

    pool_born(capture, level, &b);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        const struct pool_birth_type *t = &b.type[type];

        memset(&has, 0, sizeof(has));
        if (level->have[type])
            policy_to_featureset(&level->policy[type], &has);
        featureset_andnot(&more[type], &t->doubtful, &has);
        featureset_or(&more[type], &more[type], &t->richer);
    }
    featureset_andnot(&more[POOL_PV], &more[POOL_PV], &has); /* of HVM, which is last */
    featureset_or(hide, &more[POOL_PV], &more[POOL_HVM]);
    featureset_and(hide, hide, featureset_merge_mask(MERGE_CAPABILITY));
    named_decided(&decided);
    for (size_t i = 0; i < sizeof(used_by_xen) / sizeof(used_by_xen[0]); i++)
        featureset_clear(&decided, used_by_xen[i]);
    featureset_andnot(&c->kept, hide, &decided);
    featureset_and(hide, hide, &decided);
}

static char *write_line(const struct featureset *hide, unsigned int xen, struct featureset *unnamed)
{
    char *line = xstrdup("");

    memset(unnamed, 0, sizeof(*unnamed));
    for (int f = featureset_next(hide, 0); f >= 0; f = featureset_next(hide, (unsigned int)f + 1)) {
        const char *name = release_xen_name(xen, (unsigned int)f);
        char *longer;

        if (!name) {
            featureset_set(unnamed, (unsigned int)f);
            continue;
        }
        longer = xasprintf("%s%sno-%s", line, *line ? "," : "cpuid=", name);
        free(line);
        line = longer;
    }
    return line;
}

/* What is worked out for one host. */
struct work {
    const struct pool_capture *capture;
    const struct pool_level *level;
    unsigned int xen;
    char *rest; /* its command line without cpuid= */
};

/* Let `after` be what the host offers with these hidden.  Whether it can be worked out. */
static bool predict(const struct work *w, const struct featureset *hide, struct pool_capture *after)
{
    struct featureset unnamed, hidden;
    char *line = write_line(hide, w->xen, &unnamed);
    char *whole = xasprintf("%s%s%s", w->rest, *w->rest ? " " : "", line);
    bool done = derive(w->capture, w->xen, whole, after);

    featureset_andnot(&hidden, hide, &unnamed);
    if (done)
        forget_doubts(after, &hidden);
    free(whole);
    free(line);
    return done;
}

/* How much of the level a host with these hidden could not give. */
static size_t count_refused(const struct work *w, const struct featureset *hide)
{
    struct pool_capture after = {.file = NULL};
    struct pool_admission a;
    size_t n = 0;

    if (!predict(w, hide, &after))
        return 0;
    pool_admit(&after, w->level, &a);
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        n += featureset_count(&a.type[type].missing) + a.type[type].other;
    free_derived(&after);
    return n;
}

/* Take out of what is to be hidden what Xen needs to give guests something that the level has: it
 * gives RTM_ALWAYS_ABORT only where there is RTM. */
static void spare_needed(const struct work *w, struct featureset *hide, struct featureset *needed)
{
    const struct featureset all = *hide;
    size_t refused = count_refused(w, hide);

    memset(needed, 0, sizeof(*needed));
    for (int f = featureset_next(&all, 0); refused && f >= 0;
         f = featureset_next(&all, (unsigned int)f + 1)) {
        size_t less;

        featureset_clear(hide, (unsigned int)f);
        less = count_refused(w, hide);
        if (less < refused) {
            featureset_set(needed, (unsigned int)f);
            refused = less;
        } else {
            featureset_set(hide, (unsigned int)f);
        }
    }
}

void pool_cmdline_make(const struct pool_capture *capture, const char *xen_version, const char *now,
                       const struct pool_level *level, struct pool_cmdline *c)
{
    struct work w = {capture, level, release_of(xen_version), NULL};
    struct pool_capture bare = {.file = NULL};
    struct featureset hide;

    memset(c, 0, sizeof(*c));
    if (!w.xen)
        w.xen = XEN_NEWEST;
    w.rest = strip_cpuid(now, &c->in_place);
    /* What it offers now is known best; what it would without its cpuid= is worked out. */
    if (c->in_place && derive(capture, w.xen, w.rest, &bare))
        find_hidden(&bare, level, c, &hide);
    else
        find_hidden(capture, level, c, &hide);
    spare_needed(&w, &hide, &c->needed);
    c->line = write_line(&hide, w.xen, &c->unnamed);
    c->predicted = predict(&w, &hide, &c->after);
    if (c->predicted)
        pool_born(&c->after, level, &c->birth);
    free(w.rest);
    free_derived(&bare);
}

void pool_cmdline_free(struct pool_cmdline *c)
{
    free(c->line);
    free_derived(&c->after);
    memset(c, 0, sizeof(*c));
}
