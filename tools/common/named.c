/* SPDX-License-Identifier: MIT */
/* What named levels are for, and where they are: see named.h. */
#include "named.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "features-gen.h"
#include "util.h"

#define F(name) X86_FEATURE_##name

/* ---- which features are a ceiling's ---- */

/*
 * What comes with microcode, or says that a weakness is not there: a guest without it is not more
 * mobile but less safe, so it is never cut, and no host is refused for lacking it.
 */
static void find_protections(struct featureset *fs)
{
    static const uint16_t protections[] = {
        F(SRBDS_CTRL), F(TSX_FORCE_ABORT), F(IBRSB),        F(STIBP),      F(L1D_FLUSH),
        F(ARCH_CAPS),  F(CORE_CAPS),       F(SSBD),         F(IBPB),       F(IBRS),
        F(AMD_STIBP),  F(IBRS_ALWAYS),     F(STIBP_ALWAYS), F(IBRS_FAST),  F(IBRS_SAME_MODE),
        F(AMD_SSBD),   F(VIRT_SSBD),       F(SSB_NO),       F(PSFD),       F(BTC_NO),
        F(IBPB_RET),   F(LFENCE_DISPATCH), F(NSCB),         F(AUTO_IBRS),  F(EPSF),
        F(SBPB),       F(IBPB_BRTYPE),     F(SRSO_NO),      F(SRSO_US_NO), F(SRSO_MSR_FIX),
        F(AMD_ERAPS),
    };

    memset(fs, 0, sizeof(*fs));
    for (size_t i = 0; i < sizeof(protections) / sizeof(protections[0]); i++)
        featureset_set(fs, protections[i]);
    fs->w[FEATURESET_m10Al] = fs->w[FEATURESET_m10Ah] = UINT32_MAX;
    fs->w[FEATURESET_7d2] = fs->w[FEATURESET_e21c] = UINT32_MAX;
}

void named_decided(struct featureset *fs)
{
    struct featureset protections;

    find_protections(&protections);
    featureset_andnot(fs, featureset_known(), &protections);
    featureset_and(fs, fs, featureset_merge_mask(MERGE_CAPABILITY));
    featureset_andnot(fs, fs, featureset_number_bits());
}

void named_drop(struct cpu_policy *p, const struct featureset *what, struct featureset *dropped,
                struct featureset *fallen)
{
    struct cpu_policy *less = xcalloc(1, sizeof(*less));
    struct featureset before, after, gone;

    policy_to_featureset(p, &before);
    featureset_andnot(&after, &before, what);
    *less = *p;
    policy_from_featureset(less, &after);
    /* As if a host of the pool had no more: what stands on them goes, and what leaves say of them.
     */
    (void)policy_apply_level(p, less, NULL);
    policy_shrink(p);
    free(less);
    policy_to_featureset(p, &after);
    featureset_andnot(&gone, &before, &after);
    featureset_andnot(&gone, &gone, featureset_merge_mask(MERGE_MIRROR));
    if (dropped)
        *dropped = gone;
    if (fallen)
        featureset_andnot(fallen, &gone, what);
}

void named_cut(struct cpu_policy *p, const struct featureset *ceiling, struct featureset *dropped,
               struct featureset *fallen)
{
    struct featureset above;

    named_decided(&above);
    featureset_andnot(&above, &above, ceiling);
    named_drop(p, &above, dropped, fallen);
}

bool named_is_vendor(const struct named_level *l, const struct cpu_policy *p)
{
    char vendor[13];

    policy_vendor(p, vendor);
    return !strcmp(l->vendor, "any") || !strcmp(l->vendor, vendor);
}

/* ---- features by pattern ---- */

/* "AVX512_vbmi*" -> "avx512-vbmi*" */
static void normalise(const char *text, size_t len, char *buf, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < size; i++) {
        int c = tolower((unsigned char)text[i]);

        buf[n++] = (char)(c == '_' ? '-' : c);
    }
    buf[n] = '\0';
}

static bool match_item(const char *pattern, struct featureset *fs)
{
    const struct featureset *known = featureset_known();
    bool found = false;

    for (int f = featureset_next(known, 0); f >= 0; f = featureset_next(known, (unsigned int)f + 1))
        if (!fnmatch(pattern, feature_info((unsigned int)f)->name, 0)) {
            featureset_set(fs, (unsigned int)f);
            found = true;
        }
    if (!found && !strpbrk(pattern, "*?[")) { /* another release's spelling, or "7b0:22" */
        int f = feature_by_name(pattern, strlen(pattern));

        if (f < 0)
            return false;
        featureset_set(fs, (unsigned int)f);
        found = true;
    }
    return found;
}

int named_match(const char *list, struct featureset *fs, char **bad)
{
    for (;;) {
        size_t len = strcspn(list, ",");
        char pattern[64];

        normalise(list, len, pattern, sizeof(pattern));
        if (!len || !match_item(pattern, fs)) {
            *bad = xasprintf("%.*s", (int)(len < 200 ? len : 200), list);
            errno = EINVAL;
            return -1;
        }
        if (!list[len])
            return 0;
        list += len + 1;
    }
}

/* ---- where they are ---- */

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* A path that begins where this program's file is; NULL when there is nothing. */
static char *find_from_program(const char *relative)
{
    char program[PATH_MAX], joined[2 * PATH_MAX], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (n <= 0 || !*relative)
        return NULL;
    program[n] = '\0';
    *strrchr(program, '/') = '\0'; /* the kernel's answer is absolute */
    (void)snprintf(joined, sizeof(joined), "%s/%s", program, relative);
    return realpath(joined, path) && is_folder(path) ? xstrdup(path) : NULL;
}

/* Beside what is installed, wherever that was moved to; else in the sources; malloc'ed. */
static char *find_folder(void)
{
    char *installed = find_from_program(LEVELS_FROM_PROGRAM);

    return installed ? installed : xstrdup(is_folder(LEVELS_SOURCE) ? LEVELS_SOURCE : LEVELS_DIR);
}

static int by_name(const void *a, const void *b)
{
    const struct named_level *x = a, *y = b;
    int order = strverscmp(x->base, y->base);

    return order ? order : (x->version > y->version) - (x->version < y->version);
}

/* 0; -1 with *why.  A file is called as its level: NAME.vN.level. */
static int add_file(struct named_list *list, const char *path, char **why)
{
    struct named_level *l;
    char *file;
    int rc;

    list->levels = xrealloc(list->levels, (list->n + 1) * sizeof(*list->levels));
    l = &list->levels[list->n];
    rc = named_read(path, l, why);
    list->n++;
    if (rc)
        return -1;
    file = base_name(path, NAMED_SUFFIX);
    if (strcmp(file, l->name) != 0) {
        *why = xasprintf("%s: it says that it is %s", path, l->name);
        rc = -1;
    }
    free(file);
    return rc;
}

int named_list(struct named_list *list, char **why)
{
    char *folder = find_folder(), *pattern = xasprintf("%s/*" NAMED_SUFFIX, folder);
    glob_t g;
    int rc = glob(pattern, 0, NULL, &g);

    memset(list, 0, sizeof(*list));
    if (rc == GLOB_NOMATCH)
        *why = xasprintf("%s: no levels are there", folder);
    else if (rc)
        *why = xasprintf("%s: %s", folder, strerror(errno));
    for (size_t i = 0; !rc && i < g.gl_pathc; i++)
        rc = add_file(list, g.gl_pathv[i], why);
    if (rc != GLOB_NOMATCH)
        globfree(&g);
    if (!rc)
        qsort(list->levels, list->n, sizeof(*list->levels), by_name);
    free(pattern);
    free(folder);
    return rc ? -1 : 0;
}

void named_list_free(struct named_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        named_free(&list->levels[i]);
    free(list->levels);
    memset(list, 0, sizeof(*list));
}

const struct named_level *named_find(const struct named_list *list, const char *name)
{
    const struct named_level *found = NULL;

    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->levels[i].name, name) || !strcmp(list->levels[i].base, name))
            found = &list->levels[i]; /* the last: the newest version */
    return found;
}

bool named_is_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    if (!len || !isalpha((unsigned char)*text))
        return false;
    text += len;
    return !*text || (text[0] == '.' && text[1] == 'v' && isdigit((unsigned char)text[2]) &&
                      !text[2 + strspn(text + 2, "0123456789")]);
}

/* How many letters differ: insertions, deletions, replacements (V. Levenshtein, 1965). */
static unsigned int find_distance(const char *a, const char *b)
{
    unsigned int row[NAMED_NAME + 1];
    size_t n = strnlen(b, NAMED_NAME);

    for (size_t k = 0; k <= n; k++)
        row[k] = (unsigned int)k;
    for (unsigned int i = 1; a[i - 1]; i++) {
        unsigned int corner = row[0];

        row[0] = i;
        for (size_t k = 1; k <= n; k++) {
            unsigned int best = corner + (a[i - 1] != b[k - 1]);

            corner = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[n];
}

/* The name without what is behind its last ".v". */
static char *strip_version(const char *name)
{
    const char *end = strrchr(name, '.');

    return end && end[1] == 'v' ? xasprintf("%.*s", (int)(end - name), name) : xstrdup(name);
}

/* Do they begin with the same word, "intel-"? */
static bool is_kin(const char *a, const char *b)
{
    size_t len = strcspn(a, "-");

    return a[len] == '-' && !strncmp(a, b, len + 1);
}

/* Do they end with the same word, "-milan"? */
static bool is_namesake(const char *a, const char *b)
{
    const char *x = strrchr(a, '-'), *y = strrchr(b, '-');

    return x && y && x[1] && !strcmp(x, y);
}

static char *list_near(const struct named_list *list, const char *base, unsigned int best, bool kin)
{
    char *text = xstrdup("");
    unsigned int shown = 0;

    for (size_t i = 0; i < list->n && shown < 5; i++) {
        const char *other = list->levels[i].base;
        bool is_near = find_distance(base, other) <= best || is_namesake(base, other) ||
                       (strlen(base) > 2 && strstr(other, base));
        char *longer;

        if (!is_near && !(kin && is_kin(base, other)))
            continue;
        longer = xasprintf("%s%s%s", text, *text ? ", " : "", list->levels[i].name);
        free(text);
        text = longer;
        shown++;
    }
    return text;
}

char *named_near(const struct named_list *list, const char *name)
{
    char *base = strip_version(name), *text = xstrdup("");
    unsigned int best = (unsigned int)strlen(base) / 3;

    if (strlen(base) < NAMED_NAME) {
        for (size_t i = 0; i < list->n; i++) {
            unsigned int d = find_distance(base, list->levels[i].base);

            best = d < best ? d : best;
        }
        free(text);
        text = list_near(list, base, best, false);
        if (!*text) {
            free(text);
            text = list_near(list, base, best, true);
        }
    }
    free(base);
    return text;
}
