/* SPDX-License-Identifier: MIT */
/* What a guest has used of its CPU, in words and in JSON.  See usage.h. */
#include <cpuid-policy/vocabulary.h>

#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "features-gen.h"
#include "out.h"
#include "usage.h"
#include "util.h"

static const struct {
    const char *name, *words, *heading;
} verdicts[USAGE_VERDICTS] = {
    [USAGE_UNTRACED] = {"untraced", "no evidence either way, for it leaves no trace", NULL},
    [USAGE_NEVER] = {"never", "its state was never on since the guest was booted",
                     "told, and its state was never on since the guest was booted: not used"},
    [USAGE_OFF] = {"off", "it is off now; whether it ever was on nobody knows",
                   "off now; whether it ever was on nobody knows"},
    [USAGE_WAS_ON] = {"was-on", "its state was on once, and is off now",
                      "its state was on once, and is off now"},
    [USAGE_ON] = {"on", "its state is on; its registers are empty at this moment",
                  "its state is on; its registers are empty at this moment"},
    [USAGE_SHARED] = {"shared", "state that it shares with others is in use now",
                      "state that it shares with others is in use now"},
    [USAGE_IN_USE] = {"in-use", "in use now", "in use now"},
};

const char *usage_words(enum usage_verdict verdict)
{
    return verdicts[verdict].words;
}

const char *usage_name(enum usage_verdict verdict)
{
    return verdicts[verdict].name;
}

/* ---- lists ---- */

/* Add a feature's word to a list with a blank between. */
static char *add_word(char *list, unsigned int feature)
{
    char word[64], *longer;

    feature_word(feature, word, sizeof(word));
    longer = xasprintf("%s%s%s", list, *list ? " " : "", word);
    free(list);
    return longer;
}

static void add_row(struct table *t, const struct usage_finding *f)
{
    char word[64], place[32] = "";

    feature_word(f->feature, word, sizeof(word));
    (void)feature_location(f->feature, place, sizeof(place));
    table_row(t, word, place, f->where);
}

static void print_verdict(FILE *f, const struct usage *u, enum usage_verdict verdict)
{
    struct table t;
    size_t n = 0;

    table_init(&t, 3, 4);
    for (size_t i = 0; i < u->n; i++)
        if (u->findings[i].told && u->findings[i].verdict == verdict) {
            add_row(&t, &u->findings[i]);
            n++;
        }
    if (n)
        out_text(f, 2, 4, "%s:", verdicts[verdict].heading);
    table_print(&t, f);
}

static void print_untold(FILE *f, const struct usage *u)
{
    struct table t;
    size_t n = 0;

    table_init(&t, 3, 4);
    for (size_t i = 0; i < u->n; i++)
        if (!u->findings[i].told) {
            add_row(&t, &u->findings[i]);
            n++;
        }
    if (n)
        out_text(f, 2, 4, "on, or once on, and not in its CPU policy:");
    table_print(&t, f);
}

static void print_untraced(FILE *f, const struct usage *u)
{
    char *list = xstrdup("");
    size_t n = 0;

    for (size_t i = 0; i < u->n; i++)
        if (u->findings[i].told && u->findings[i].verdict == USAGE_UNTRACED) {
            list = add_word(list, u->findings[i].feature);
            n++;
        }
    if (n)
        out_text(f, 2, 4, "no evidence either way (%zu), since they leave no trace: %s", n, list);
    free(list);
}

void usage_print(FILE *f, const struct usage *u)
{
    static const enum usage_verdict order[] = {USAGE_IN_USE, USAGE_SHARED, USAGE_ON,
                                               USAGE_WAS_ON, USAGE_NEVER,  USAGE_OFF};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        print_verdict(f, u, order[i]);
    print_untold(f, u);
    print_untraced(f, u);
    if (u->unread)
        out_text(
            f, 2, 4,
            "%zu of its vCPUs %s offline: what was on there before is known only as far as the "
            "above says",
            u->unread, u->unread == 1 ? "is" : "are");
}

/* ---- one line ---- */

static bool has_components(unsigned int feature)
{
    for (unsigned int i = 2; i < 63; i++)
        if (xstate_feature(i) == feature)
            return true;
    return false;
}

/* Add "on: avx pku" to a line, of those whose verdict is between the two. */
static char *add_part(char *line, const char *words, const struct usage *u,
                      enum usage_verdict least, enum usage_verdict most)
{
    char *list = xstrdup(""), *longer;

    for (size_t i = 0; i < u->n; i++)
        if (u->findings[i].verdict >= least && u->findings[i].verdict <= most &&
            has_components(u->findings[i].feature))
            list = add_word(list, u->findings[i].feature);
    longer = *list ? xasprintf("%s%s%s: %s", line, *line ? "; " : "", words, list) : xstrdup(line);
    free(list);
    free(line);
    return longer;
}

char *usage_line(const struct usage *u)
{
    char *line = add_part(xstrdup(""), "on", u, USAGE_WAS_ON, USAGE_IN_USE);

    line = add_part(line, "never on", u, USAGE_NEVER, USAGE_NEVER);
    if (*line)
        return line;
    free(line);
    return xstrdup("nothing that tells");
}

/* ---- of some features ---- */

void usage_print_of(FILE *f, const struct usage *u, const struct featureset *missing)
{
    bool begun = false;

    for (enum usage_verdict v = USAGE_VERDICTS; v-- > USAGE_UNTRACED;) {
        char *list = xstrdup("");

        for (int i = featureset_next(missing, 0); i >= 0;
             i = featureset_next(missing, (unsigned int)i + 1)) {
            const struct usage_finding *found = usage_of(u, (unsigned int)i);

            if ((found ? found->verdict : USAGE_UNTRACED) == v)
                list = add_word(list, (unsigned int)i);
        }
        if (*list && !begun)
            out_text(f, 2, 4, "what it has used of these:");
        begun |= *list;
        if (*list)
            out_text(f, 4, 6, "%s: %s", usage_words(v), list);
        free(list);
    }
}

/* ---- JSON ---- */

static void finding_json(struct json *j, unsigned int feature, const struct usage_finding *found)
{
    enum usage_verdict verdict = found ? found->verdict : USAGE_UNTRACED;
    char word[64], place[32] = "";

    feature_word(feature, word, sizeof(word));
    (void)feature_location(feature, place, sizeof(place));
    json_object(j, NULL);
    json_string(j, "name", word);
    json_string(j, "location", place);
    json_string(j, "usage", usage_name(verdict));
    json_string(j, "text", usage_words(verdict));
    json_string(j, "where", found && found->where[0] ? found->where : NULL);
    json_close_object(j);
}

static void findings_json(struct json *j, const char *key, const struct usage *u, bool told)
{
    json_array(j, key);
    for (size_t i = 0; i < u->n; i++)
        if (u->findings[i].told == told)
            finding_json(j, u->findings[i].feature, &u->findings[i]);
    json_close_array(j);
}

void usage_json(struct json *j, const struct usage *u)
{
    char *line = usage_line(u);

    json_number(j, "vcpus", u->vcpus);
    json_number(j, "vcpus_offline", u->unread);
    json_string(j, "summary", line);
    findings_json(j, "features", u, true);
    findings_json(j, "beyond_policy", u, false);
    free(line);
}

void usage_json_of(struct json *j, const struct usage *u, const struct featureset *missing)
{
    json_array(j, "usage");
    for (int i = featureset_next(missing, 0); i >= 0;
         i = featureset_next(missing, (unsigned int)i + 1))
        finding_json(j, (unsigned int)i, usage_of(u, (unsigned int)i));
    json_close_array(j);
}
