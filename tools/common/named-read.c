/* SPDX-License-Identifier: MIT */
/* Named levels as text: see named.h. */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "named.h"
#include "util.h"
#include "xc_text.h"

#define MAX_TEXT (1u << 20)
#define LINE_END 90 /* column at which a list of features goes on in the next line */

struct reader {
    struct named_level *l;
    char base[NAMED_NAME];
    char what[256]; /* what is wrong; libinih says where */
};

/* To libinih: an error on this line. */
static int refuse_line(struct reader *r, const char *what, const char *value)
{
    if (!*r->what)
        (void)snprintf(r->what, sizeof(r->what), "%s '%.100s'", what, value);
    return 0;
}

/* The file says it over several lines: libinih calls once for each. */
static int append_text(char **text, const char *value)
{
    char *longer = *text ? xasprintf("%s %s", *text, value) : xstrdup(value);

    free(*text);
    *text = longer;
    return 1;
}

static bool is_plain_name(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len && len < 48 && !text[len] && isalnum((unsigned char)text[0]);
}

static int take_level_key(struct reader *r, const char *key, const char *value)
{
    struct named_level *l = r->l;
    const struct {
        const char *key;
        char **text;
    } texts[] = {
        {"vendor", &l->vendor},     {"summary", &l->summary}, {"source", &l->source},
        {"machines", &l->machines}, {"xen", &l->xen},         {"without", &l->without},
        {"with", &l->with},
    };
    char *end;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!strcmp(key, texts[i].key))
            return append_text(texts[i].text, value);
    if (!strcmp(key, "name")) {
        if (!is_plain_name(value))
            return refuse_line(r, "a name is letters, digits and '-', not", value);
        (void)snprintf(l->base, sizeof(l->base), "%s", value);
        return 1;
    }
    if (!strcmp(key, "version")) {
        unsigned long n = strtoul(value, &end, 10);

        if (!isdigit((unsigned char)*value) || *end || !n || n > 9999)
            return refuse_line(r, "a version is a number from 1 to 9999, not", value);
        l->version = (unsigned int)n;
        return 1;
    }
    return refuse_line(r, "[level] has no key", key);
}

static const struct featureset_word_info *find_word(const char *location, unsigned int *word)
{
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++)
        if (!strcasecmp(featureset_word_info(w)->location, location)) {
            *word = w;
            return featureset_word_info(w);
        }
    return NULL;
}

/* "7.0.ebx = fsgsbase bmi1": each of them stands there. */
static int take_features(struct reader *r, unsigned int type, const char *location,
                         const char *value)
{
    struct featureset decided;
    unsigned int word = 0;

    if (!find_word(location, &word))
        return refuse_line(r, "there is no register of features", location);
    named_decided(&decided);
    for (value += strspn(value, " \t"); *value; value += strspn(value, " \t")) {
        size_t len = strcspn(value, " \t");
        char name[64];
        int feature = feature_by_name(value, len);

        (void)snprintf(name, sizeof(name), "%.*s", (int)(len < 60 ? len : 60), value);
        if (feature < 0)
            return refuse_line(r, "there is no feature", name);
        if ((unsigned int)feature / 32 != word)
            return refuse_line(r, "another register has the feature", name);
        if (!featureset_test(&decided, (unsigned int)feature))
            return refuse_line(r, "hosts and their microcode decide, and no named level, of", name);
        featureset_set(&r->l->features[type], (unsigned int)feature);
        value += len;
    }
    return 1;
}

static int take_line(void *data, const char *section, const char *key, const char *value)
{
    struct reader *r = data;

    if (!strcmp(section, "level"))
        return take_level_key(r, key, value);
    for (unsigned int type = NAMED_PV; type < NAMED_TYPES; type++)
        if (!strcmp(section, type == NAMED_PV ? "pv" : "hvm")) {
            r->l->have[type] = true;
            return take_features(r, type, key, value);
        }
    return refuse_line(r, "there is no section", section);
}

/* What every one must have; NULL where it has it. */
static const char *find_missing(const struct named_level *l)
{
    if (!*l->base)
        return "[level] has no name";
    if (!l->version)
        return "[level] has no version";
    if (!l->vendor)
        return "[level] has no vendor (\"any\" is one)";
    if (!l->have[NAMED_PV] && !l->have[NAMED_HVM])
        return "it has neither [hvm] nor [pv]";
    return NULL;
}

/* A line that libinih would cut in two. */
static size_t find_long_line(const char *text)
{
    for (size_t line = 1; *text; line++) {
        size_t len = strcspn(text, "\n");

        if (len > 190)
            return line;
        text += len + (text[len] == '\n');
    }
    return 0;
}

static void fill_in(struct named_level *l)
{
    char **texts[] = {&l->vendor, &l->summary, &l->source, &l->machines,
                      &l->xen,    &l->without, &l->with};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (!*texts[i])
            *texts[i] = xstrdup("");
    (void)snprintf(l->name, sizeof(l->name), "%.48s.v%u", l->base, l->version);
}

int named_from_text(const char *path, const char *text, size_t len, struct named_level *l,
                    char **why)
{
    struct reader r = {.l = l};
    char *copy = xasprintf("%.*s", (int)(len < MAX_TEXT ? len : MAX_TEXT), text), safe[400];
    const char *missing;
    size_t line;
    int bad;

    memset(l, 0, sizeof(*l));
    l->path = xstrdup(path);
    line = find_long_line(copy);
    bad = line ? (int)line : ini_parse_string(copy, take_line, &r);
    free(copy);
    missing = find_missing(l);
    if (bad) {
        if (!*r.what)
            (void)snprintf(r.what, sizeof(r.what), "%s",
                           line ? "a line is at most 190 bytes long" : "this is no 'key = value'");
        (void)xc_text_safe(r.what, strlen(r.what), safe, sizeof(safe));
        *why = xasprintf("%s: line %d: %s", path, bad, safe);
    } else if (missing) {
        *why = xasprintf("%s: %s", path, missing);
    } else {
        fill_in(l);
        return 0;
    }
    errno = EINVAL;
    return -1;
}

bool named_text_is(const char *text, size_t len)
{
    static const char mark[] = "[level]";
    size_t at = 0;

    while (at < len) {
        const char *line = text + at, *end = memchr(line, '\n', len - at);
        size_t n = end ? (size_t)(end - line) : len - at, blanks = 0;

        while (blanks < n && (line[blanks] == ' ' || line[blanks] == '\r' || line[blanks] == '\t'))
            blanks++;
        if (n - blanks >= sizeof(mark) - 1 && !memcmp(line + blanks, mark, sizeof(mark) - 1))
            return true;
        if (blanks < n && line[blanks] != ';' && line[blanks] != '#')
            return false;
        at += n + 1;
    }
    return false;
}

int named_read(const char *path, struct named_level *l, char **why)
{
    char *text = xcalloc(MAX_TEXT + 1, 1);
    FILE *f = fopen(path, "re");
    size_t len;
    int rc = -1;

    memset(l, 0, sizeof(*l));
    if (!f) {
        *why = xasprintf("%s: %s", path, strerror(errno));
        free(text);
        return -1;
    }
    len = fread(text, 1, MAX_TEXT, f);
    if (ferror(f))
        *why = xasprintf("%s: %s", path, strerror(errno));
    else
        rc = named_from_text(path, text, len, l, why);
    (void)fclose(f);
    free(text);
    return rc;
}

void named_free(struct named_level *l)
{
    free(l->vendor);
    free(l->summary);
    free(l->source);
    free(l->machines);
    free(l->xen);
    free(l->without);
    free(l->with);
    free(l->path);
    memset(l, 0, sizeof(*l));
}

/* ---- writing ---- */

/* "key = words", continued where it becomes long. */
static void write_words(FILE *f, const char *key, const char *words)
{
    char *safe = xcalloc(strlen(words) * 4 + 1, 1);
    const char *at = safe;
    int column;

    (void)xc_text_safe(words, strlen(words), safe, strlen(words) * 4 + 1);
    column = fprintf(f, "%s =", key);
    for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
        int len = (int)strcspn(at, " ");

        if (column + 1 + len > LINE_END)
            column = fprintf(f, "\n ") - 1;
        column += fprintf(f, " %.*s", len, at);
        at += len;
    }
    (void)fprintf(f, "\n");
    free(safe);
}

static void write_type(FILE *f, const char *section, const struct featureset *features)
{
    (void)fprintf(f, "\n[%s]\n", section);
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        char *words = xstrdup("");

        for (unsigned int bit = 0; bit < 32; bit++) {
            const struct feature_info *info = feature_info(w * 32 + bit);
            char *longer;

            if (!info || !featureset_test(features, w * 32 + bit))
                continue;
            longer = xasprintf("%s %s", words, info->name);
            free(words);
            words = longer;
        }
        if (*words)
            write_words(f, featureset_word_info(w)->location, words);
        free(words);
    }
}

void named_write(FILE *f, const struct named_level *l)
{
    const struct {
        const char *key, *text;
    } texts[] = {
        {"vendor", l->vendor},     {"summary", l->summary}, {"source", l->source},
        {"machines", l->machines}, {"xen", l->xen},         {"without", l->without},
        {"with", l->with},
    };

    (void)fprintf(f, "[level]\nname = %s\nversion = %u\n", l->base, l->version);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (texts[i].text && *texts[i].text)
            write_words(f, texts[i].key, texts[i].text);
    if (l->have[NAMED_HVM])
        write_type(f, "hvm", &l->features[NAMED_HVM]);
    if (l->have[NAMED_PV])
        write_type(f, "pv", &l->features[NAMED_PV]);
}
