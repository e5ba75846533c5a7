/* SPDX-License-Identifier: MIT */
/* See level_make.h. */
#include "level_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "unknown.h"
#include "util.h"
#include "xlp.h"

#define MAX_MEMBERS 1000u /* kinds of hosts that a level names: it has to fit into a value */

static const char *name_type(unsigned int type)
{
    return type == POOL_PV ? "PV" : "HVM and PVH";
}

static void object(struct level_made *made, const struct suggest_class *c, char *why)
{
    struct level_objection *o;

    made->objections =
        xrealloc(made->objections, (made->n_objections + 1) * sizeof(*made->objections));
    o = &made->objections[made->n_objections++];
    *o = (struct level_objection){c->name, c->hosts, why};
}

/* ---- who cannot give a named level ---- */

static char *add_line(char *line, char *more)
{
    char *longer = xasprintf("%s%s%s", line, *line && *more ? "; " : "", more);

    free(line);
    free(more);
    return longer;
}

/* "" where the class can give it. */
static char *ask_type(const struct suggest_class *c, const struct named_level *l, unsigned int type)
{
    struct featureset has, maybe = {.w = {0}}, lacks, doubtful;
    char *line = xstrdup(""), *names;

    policy_to_featureset(c->deflt[type], &has);
    if (c->unknown[type])
        unknown_features(c->unknown[type], &maybe);
    featureset_andnot(&has, &has, &maybe);
    featureset_andnot(&lacks, &l->features[type], &has);
    featureset_and(&doubtful, &lacks, &maybe);
    featureset_andnot(&lacks, &lacks, &maybe);
    if (!featureset_empty(&lacks)) {
        names = pool_name_features(&lacks);
        line = add_line(line, xasprintf("it lacks %s for %s guests", names, name_type(type)));
        free(names);
    }
    if (!featureset_empty(&doubtful)) {
        names = pool_name_features(&doubtful);
        line = add_line(line, xasprintf("nobody knows whether it has %s", names));
        free(names);
    }
    return line;
}

static void ask_class(const struct suggest_class *c, const struct named_level *l,
                      struct level_made *made)
{
    char *line = xstrdup("");

    for (unsigned int type = POOL_TYPES; type-- > POOL_PV;) {
        if (!c->deflt[type] || !l->have[type])
            continue;
        if (!named_is_vendor(l, c->deflt[type])) {
            line = add_line(line, xasprintf("its CPU is not of %s", l->vendor));
            break;
        }
        line = add_line(line, ask_type(c, l, type));
    }
    if (*line)
        object(made, c, line);
    else
        free(line);
}

/* ---- what they share ---- */

/* What a class gives up, and what is left out because it does not say. */
static void describe_member(const struct suggest_class *c, unsigned int type,
                            const struct featureset *level, Xenlevel__Member *m)
{
    struct featureset own, maybe = {.w = {0}}, told, out;

    featureset_or(&told, featureset_merge_mask(MERGE_HAZARD),
                  featureset_merge_mask(MERGE_ACCUMULATE));
    policy_to_featureset(c->deflt[type], &own);
    if (c->unknown[type])
        unknown_features(c->unknown[type], &maybe);
    featureset_andnot(&own, &own, &maybe);
    featureset_andnot(&own, &own, level);
    featureset_andnot(&own, &own, &told);
    show_comparable(&own);
    featureset_andnot(&out, &maybe, level);
    featureset_andnot(&out, &out, &told);
    show_comparable(&out);
    if (type == POOL_PV) {
        m->pv_given_up = xlp_featureset_new(own.w, FEATURESET_WORDS);
        if (!featureset_empty(&out))
            m->pv_left_out = xlp_featureset_new(out.w, FEATURESET_WORDS);
    } else {
        m->hvm_given_up = xlp_featureset_new(own.w, FEATURESET_WORDS);
        if (!featureset_empty(&out))
            m->hvm_left_out = xlp_featureset_new(out.w, FEATURESET_WORDS);
    }
}

/* The host that a class is named after. */
static const struct pool_host *find_first(const struct pool *p, const char *name)
{
    return &p->hosts[pool_find_host(p, name)];
}

static void add_members(const struct pool *p, const struct suggest_class *classes, size_t n,
                        const struct suggestion *s, Xenlevel__Level *level)
{
    level->members = xcalloc(n + 1, sizeof(void *));
    for (size_t i = 0; i < n && i < MAX_MEMBERS; i++) {
        const struct pool_host *host = find_first(p, classes[i].name);
        const struct pool_capture *capture = &p->captures[host->capture];
        Xenlevel__Member *m = xcalloc(1, sizeof(*m));

        xenlevel__member__init(m);
        m->name = classes[i].hosts > 1
                      ? xasprintf("%s and %zu like it", classes[i].name, classes[i].hosts - 1)
                      : xstrdup(classes[i].name);
        m->cpu = xstrdup(capture->file->host->cpu);
        m->xen_version = xstrdup(host->record->xen_version);
        if (capture->caps_known) {
            m->levelling_case = XENLEVEL__MEMBER__LEVELLING_LEVELLING_CAPS;
            m->levelling_caps = capture->caps;
        }
        for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
            if (s->have[type]) {
                struct featureset fs;

                policy_to_featureset(&s->level[type], &fs);
                describe_member(&classes[i], type, &fs, m);
            }
        level->members[level->n_members++] = m;
    }
}

static Xenlevel__File *new_level(void)
{
    Xenlevel__File *file = xlp_new();
    char date[21];

    date_now(date);
    file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
    file->level = xcalloc(1, sizeof(*file->level));
    xenlevel__level__init(file->level);
    file->level->date = xstrdup(date);
    return file;
}

/* Bring it down to what is wished, and make the file. */
static void finish(const struct pool *p, const struct suggest_class *classes, size_t n,
                   const struct level_wish *wish, struct suggestion *s, struct level_made *made)
{
    struct featureset fallen;

    made->file = new_level();
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++) {
        if (!s->have[type])
            continue;
        if (wish->at && wish->at->have[type]) {
            named_cut(&s->level[type], &wish->at->features[type], NULL, &fallen);
            featureset_or(&made->fallen, &made->fallen, &fallen);
        }
        if (!featureset_empty(&wish->without)) {
            named_drop(&s->level[type], &wish->without, NULL, &fallen);
            featureset_or(&made->fallen, &made->fallen, &fallen);
        }
        if (type == POOL_PV)
            made->file->level->pv = xlp_policy_from(&s->level[type]);
        else
            made->file->level->hvm = xlp_policy_from(&s->level[type]);
    }
    show_comparable(&made->fallen);
    add_members(p, classes, n, s, made->file->level);
}

void level_make(const struct pool *p, const struct level_wish *wish, struct level_made *made)
{
    static const struct named_list none;
    struct suggestion s;
    size_t n, culprit = 0;
    struct suggest_class *classes = suggest_classes(p, &n);

    memset(made, 0, sizeof(*made));
    for (size_t i = 0; wish->at && i < n; i++)
        ask_class(&classes[i], wish->at, made);
    if (!made->n_objections) {
        if (suggest_level(classes, n, &none, &s, &culprit))
            object(made, &classes[culprit],
                   xasprintf("its CPU and that of %s differ in vendor or in the size of a CLFLUSH "
                             "line",
                             classes[0].name));
        else if (!s.have[POOL_PV] && !s.have[POOL_HVM])
            object(made, &classes[0], xstrdup("there is no type of guest that all hosts run"));
        else
            finish(p, classes, n, wish, &s, made);
        suggest_free(&s);
    }
    free(classes);
}

void level_take(const struct pool *p, const Xenlevel__Level *level, struct level_made *made)
{
    Xenlevel__File *file = xlp_new();
    struct suggest_class *classes;
    struct pool_level view;
    size_t n, len, k = 0;
    void *bytes;

    memset(made, 0, sizeof(*made));
    file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
    len = xenlevel__level__get_packed_size(level);
    bytes = xcalloc(len + 1, 1);
    (void)xenlevel__level__pack(level, bytes);
    file->level = xenlevel__level__unpack(NULL, len, bytes);
    free(bytes);
    if (!file->level)
        out_of_memory();
    level_view(&view, level->name, file);
    classes = suggest_classes(p, &n);
    for (size_t i = 0; i < p->n_captures; i++) {
        struct pool_admission a;

        if (k == n || find_first(p, classes[k].name)->capture != i)
            continue;
        pool_admit(&p->captures[i], &view, &a);
        if (a.verdict != VERDICT_YES)
            object(made, &classes[k], pool_admission_text(&a, &p->captures[i], &view));
        k++;
    }
    free(classes);
    if (made->n_objections)
        xlp_free(file);
    else
        made->file = file;
}

void level_made_free(struct level_made *made)
{
    for (size_t i = 0; i < made->n_objections; i++)
        free(made->objections[i].why);
    free(made->objections);
    xlp_free(made->file);
    memset(made, 0, sizeof(*made));
}

/* ---- names and comparisons ---- */

/* The length of "web" in "web" and "web.v3", and the version, 0 where there is none. */
static size_t split_name(const char *name, unsigned long *version)
{
    const char *dot = strrchr(name, '.');
    char *end;

    *version = 0;
    if (!dot || dot[1] != 'v' || dot[2] < '1' || dot[2] > '9')
        return strlen(name);
    *version = strtoul(dot + 2, &end, 10);
    if (!*end)
        return (size_t)(dot - name);
    *version = 0;
    return strlen(name);
}

char *level_next_name(const struct pool *p, const char *name)
{
    unsigned long version, last = 0;
    size_t base = split_name(name, &version);

    for (size_t i = 0; i < p->n_levels; i++) {
        const char *other = p->levels[i].name;

        if (split_name(other, &version) == base && !strncmp(other, name, base) && version > last)
            last = version;
    }
    return xasprintf("%.*s.v%lu", (int)base, name, last + 1);
}

void level_view(struct pool_level *view, char *name, Xenlevel__File *file)
{
    memset(view, 0, sizeof(*view));
    view->name = name;
    view->file = file;
    view->have[POOL_PV] = file->level->pv;
    view->have[POOL_HVM] = file->level->hvm;
    if (file->level->pv)
        xlp_policy_get(file->level->pv, &view->policy[POOL_PV]);
    if (file->level->hvm)
        xlp_policy_get(file->level->hvm, &view->policy[POOL_HVM]);
}

bool level_is_same(const struct pool_level *a, const struct pool_level *b)
{
    for (unsigned int type = POOL_PV; type < POOL_TYPES; type++)
        if (a->have[type] != b->have[type] ||
            (a->have[type] &&
             memcmp(&a->policy[type], &b->policy[type], sizeof(a->policy[type])) != 0))
            return false;
    return true;
}

void level_difference(const struct pool_level *from, const struct pool_level *to, unsigned int type,
                      struct featureset *gained, struct featureset *lost)
{
    struct featureset a = {.w = {0}}, b = {.w = {0}};

    if (from && from->have[type])
        policy_to_featureset(&from->policy[type], &a);
    if (to->have[type])
        policy_to_featureset(&to->policy[type], &b);
    featureset_andnot(gained, &b, &a);
    featureset_andnot(lost, &a, &b);
    show_comparable(gained);
    show_comparable(lost);
}
