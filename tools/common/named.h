/* SPDX-License-Identifier: MIT */
/*
 * Levels with a name and a version that the product ships: "x86-64-v3", "intel-icelake.v1".
 *
 * A named level is a ceiling: the features that a guest may have at most of those that a generation
 * of CPUs brings.  Hosts give the rest: identity, sizes, hazards, and the protections that come
 * with microcode (named_decided() says which features are a ceiling's).  So it becomes a CPU only
 * with hosts, and can be given by every host that offers all its features, of any vendor unless it
 * names one.
 *
 * Its file is text, an INI file that a person can read, compare and write:
 *
 *   [level]
 *   name = intel-icelake
 *   version = 1
 *   vendor = GenuineIntel            (or: any)
 *   summary = Intel Ice Lake SP and later
 *   source = where the features come from, in a sentence
 *   machines = intel-icelake-sp ...  (optional: the captures that it was derived from,
 *   xen = 4.17 4.18                   and the releases of Xen whose rules were followed;
 *   without = rtm                     what is not in it though they share it,
 *   with = aesni                      and what is in it though one of them lacks it: with reasons
 *                                     in `source`)
 *   [hvm]
 *   1.edx = fpu de tsc               (a feature stands under its register; lines may be continued
 *   7.0.ebx = fsgsbase bmi1           by lines that begin with a blank)
 *   [pv]
 *   ...
 */
#ifndef COMMON_NAMED_H
#define COMMON_NAMED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cpuid-policy/policy.h>

#define NAMED_SUFFIX ".level"
#define NAMED_NAME   64u /* bytes of a name with version, and NUL */

enum { NAMED_PV, NAMED_HVM, NAMED_TYPES };

struct named_level {
    char name[NAMED_NAME]; /* "intel-icelake.v1" */
    char base[NAMED_NAME]; /* "intel-icelake" */
    unsigned int version;
    char *vendor; /* "GenuineIntel", or "any" */
    char *summary, *source;
    char *machines, *xen, *without, *with; /* "" where not said; words between blanks */
    bool have[NAMED_TYPES];
    struct featureset features[NAMED_TYPES];
    char *path; /* of its file; "" for text in memory */
};

/*
 * Read one from text in memory.  `path` is for messages.  Returns 0; or -1 with errno EINVAL and
 * *why, malloc'ed, one line: "FILE: line 7: there is no feature 'avx9'".  Free with named_free() in
 * both cases.
 */
int named_from_text(const char *path, const char *text, size_t len, struct named_level *l,
                    char **why);
/* Say whether text[0..len) looks like one. */
bool named_text_is(const char *text, size_t len);
/* Read a file; as named_from_text(), also with other errno. */
int named_read(const char *path, struct named_level *l, char **why);
void named_free(struct named_level *l);
/* Write it as text, features under their registers in the order of the table. */
void named_write(FILE *f, const struct named_level *l);

struct named_list {
    struct named_level *levels; /* by base name, then version */
    size_t n;
};

/* Read every level that is shipped.  Returns 0; or -1 with *why, malloc'ed: a folder that is not
 * there, a file that is wrong.  Free with named_list_free() in both cases. */
int named_list(struct named_list *list, char **why);
void named_list_free(struct named_list *list);
/* Find "NAME.vN", or the newest version of "NAME".  NULL: there is none. */
const struct named_level *named_find(const struct named_list *list, const char *name);
/* Return the names that look like it, "intel-icelake, intel-haswell"; malloc'ed, "" for none. */
char *named_near(const struct named_list *list, const char *name);
/* Return whether text could be a name of a level: [a-z0-9] and '-', perhaps ".vN"; something that
 * looks like a file's name is none. */
bool named_is_name(const char *text);

/* Return the features that a ceiling decides: those that a generation of CPUs brings.  All others
 * (protections, hazards, what accumulates, what follows run-time state) are what hosts share. */
void named_decided(struct featureset *fs);
/* Take features from a CPU, and what stands on them.  *dropped (may be NULL): all that went;
 * *fallen (may be NULL): those of them that went because of what they stood on. */
void named_drop(struct cpu_policy *p, const struct featureset *what, struct featureset *dropped,
                struct featureset *fallen);
/*
 * Take from a CPU what is above the ceiling, and what stands on that.  *dropped (may be NULL):
 * the features that went; *fallen (may be NULL): those of them that are below the ceiling, and went
 * because what they stand on is above it.
 */
void named_cut(struct cpu_policy *p, const struct featureset *ceiling, struct featureset *dropped,
               struct featureset *fallen);
/* Return whether a CPU's vendor is the level's. */
bool named_is_vendor(const struct named_level *l, const struct cpu_policy *p);

/*
 * Add to *fs the features whose names match a list "avx512*,rtm" (fnmatch(3) patterns; '_' and '-'
 * are not distinguished, nor letter case).  Returns 0; or -1 with *bad, malloc'ed: the first item
 * that matches nothing.
 */
int named_match(const char *list, struct featureset *fs, char **bad);

#endif /* COMMON_NAMED_H */
