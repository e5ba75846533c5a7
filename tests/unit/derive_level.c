/* SPDX-License-Identifier: MIT */
/*
 * Derives named levels from the machines that their files name: a processor of xen/sim/machines, or
 * "posted:NAME", the raw policy of one in tests/data/posted.
 */
#include "derive_level.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <host-policy.h>

#include "cpus.h"

#define MAX_WORDS 32

struct words {
    char *copy, *word[MAX_WORDS];
    size_t n;
};

static void split(struct words *w, const char *text)
{
    char *save = NULL;

    w->n = 0;
    w->copy = strdup(text);
    for (char *word = strtok_r(w->copy, " ", &save); word && w->n < MAX_WORDS;
         word = strtok_r(NULL, " ", &save))
        w->word[w->n++] = word;
}

static void stop(const char *what, const char *of)
{
    (void)fprintf(stderr, "%s: %s\n", of, what);
    exit(2);
}

/* "7.0.b 219c95a9 ...": the first column is raw. */
static void set_posted(struct cpu_policy *raw, const char *name, uint32_t value)
{
    char *end;
    uint32_t leaf = (uint32_t)strtoul(name, &end, 16), subleaf = POLICY_NONE;
    const char *dot = strrchr(name, '.');

    if (!dot)
        return; /* an MSR: of protections alone */
    if (end != dot)
        subleaf = (uint32_t)strtoul(end + 1, NULL, 16);
    if (!policy_leaf(raw, leaf, subleaf))
        stop("no policy has this leaf", name);
    (&policy_leaf(raw, leaf, subleaf)->a)[dot[1] - 'a'] = value;
}

static void read_posted(const char *name, struct cpu_policy *raw)
{
    static const char *const about[] = {"cpu ", "source ",  "ran ",    "xen ",
                                        "#",    "differs ", "cmdline "};
    char path[512], line[1024], reg[24];
    unsigned int value;
    FILE *f;

    (void)snprintf(path, sizeof(path), POSTED "/%.100s.policies", name);
    f = fopen(path, "re");
    if (!f)
        stop("cannot be opened", path);
    memset(raw, 0, sizeof(*raw));
    while (fgets(line, sizeof(line), f)) {
        bool is_about = false;

        for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
            is_about |= !strncmp(line, about[i], strlen(about[i]));
        if (!is_about && sscanf(line, "%23s %x", reg, &value) == 2)
            set_posted(raw, reg, value);
    }
    (void)fclose(f);
}

static void derive_machine(const char *machine, unsigned int xen, struct cpu_policy *p)
{
    struct host_options options;
    bool has_hvm, has_hap;
    size_t where;

    memset(p, 0, HOST_POLICIES * sizeof(*p));
    if (!strncmp(machine, "posted:", 7))
        read_posted(machine + 7, &p[0]);
    else
        p[0] = *test_cpu(machine);
    if (host_options_read(&options, xen, "", NULL, &where))
        stop("no such release", machine);
    host_policies_derive(p, &options, &has_hvm, &has_hap);
    if (!has_hvm)
        stop("it runs no HVM guests", machine);
}

void derive_each(const struct named_level *l, unsigned int type,
                 void (*visit)(const char *machine, unsigned int xen, const struct cpu_policy *p,
                               void *arg),
                 void *arg)
{
    static struct cpu_policy p[HOST_POLICIES];
    struct words machines, releases;

    split(&machines, l->machines);
    split(&releases, l->xen);
    if (!machines.n || !releases.n)
        stop("it names no machines, or no releases", l->path);
    for (size_t m = 0; m < machines.n; m++)
        for (size_t r = 0; r < releases.n; r++) {
            unsigned int major, minor;

            if (sscanf(releases.word[r], "%u.%u", &major, &minor) != 2)
                stop("no release", releases.word[r]);
            derive_machine(machines.word[m], major * 100 + minor, p);
            /* XEN_SYSCTL_cpu_policy_{pv,hvm}_default */
            host_policy_for_domain(&p[type == NAMED_PV ? 4 : 5]);
            visit(machines.word[m], major * 100 + minor, &p[type == NAMED_PV ? 4 : 5], arg);
        }
    free(machines.copy);
    free(releases.copy);
}

static void take_shared(const char *machine, unsigned int xen, const struct cpu_policy *p,
                        void *arg)
{
    struct featureset *all = arg, fs;

    (void)machine;
    (void)xen;
    policy_to_featureset(p, &fs);
    featureset_and(all, all, &fs);
}

/* The features that the file adds, or leaves out. */
static void find_words(const char *text, struct featureset *fs)
{
    struct words w;

    memset(fs, 0, sizeof(*fs));
    split(&w, text);
    for (size_t i = 0; i < w.n; i++) {
        int feature = feature_by_name(w.word[i], strlen(w.word[i]));

        if (feature < 0)
            stop("there is no such feature", w.word[i]);
        featureset_set(fs, (unsigned int)feature);
    }
    free(w.copy);
}

void derive_features(const struct named_level *l, unsigned int type, struct featureset *fs)
{
    struct featureset decided, with, without;

    memset(fs, 0xff, sizeof(*fs));
    derive_each(l, type, take_shared, fs);
    find_words(l->with, &with);
    find_words(l->without, &without);
    featureset_or(fs, fs, &with);
    featureset_andnot(fs, fs, &without);
    featureset_close(fs, NULL);
    named_decided(&decided);
    featureset_and(fs, fs, &decided);
}
