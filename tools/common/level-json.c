/* SPDX-License-Identifier: MIT */
/* See level-json.h. */
#include "level-json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "json.h"
#include "json_read.h"
#include "util.h"
#include "xc.h"
#include "xc_text.h"

#define KIND "level" /* what "xenlevel" is set to */

/* ---- writing ---- */

static void write_names(struct json *j, const char *key, const struct featureset *fs)
{
    char word[64];

    json_array(j, key);
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        feature_word((unsigned int)f, word, sizeof(word));
        json_string(j, NULL, word);
    }
    json_close_array(j);
}

static void write_given_up(struct json *j, const char *key, const Xenlevel__Featureset *words)
{
    struct featureset fs;

    if (words && !featureset_from_words(&fs, words->words, words->n_words))
        write_names(j, key, &fs);
}

/* 0; -1 when the policy cannot be written as leaves. */
static int write_policy(struct json *j, const char *key, const Xenlevel__Policy *message)
{
    struct featureset fs;
    struct cpu_policy p;
    struct xc_leaves l;

    if (!message)
        return 0;
    xlp_policy_get(message, &p);
    if (xc_policy_to_leaves(&p, &l))
        return -1;
    policy_to_featureset(&p, &fs);
    json_object(j, key);
    write_names(j, "features", &fs);
    json_hex(j, "max_leaf", p.basic[0].a);
    json_hex(j, "max_leaf7_subleaf", p.feat[0].a);
    json_hex(j, "max_extended_leaf", p.extd[0].a);
    json_hex(j, "physical_address_bits", p.extd[8].a & 0xff);
    json_array(j, "leaves");
    for (size_t i = 0; i < l.nr_leaves; i++) {
        const xen_cpuid_leaf_t *leaf = &l.leaves[i];

        json_object(j, NULL);
        json_hex(j, "leaf", leaf->leaf);
        if (leaf->subleaf != XEN_CPUID_NO_SUBLEAF)
            json_hex(j, "subleaf", leaf->subleaf);
        json_hex(j, "eax", leaf->a);
        json_hex(j, "ebx", leaf->b);
        json_hex(j, "ecx", leaf->c);
        json_hex(j, "edx", leaf->d);
        json_close_object(j);
    }
    json_close_array(j);
    json_array(j, "msrs");
    for (size_t i = 0; i < l.nr_msrs; i++) {
        json_object(j, NULL);
        json_hex(j, "msr", l.msrs[i].idx);
        json_hex(j, "value", l.msrs[i].val);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
    xc_leaves_free(&l);
    return 0;
}

int level_to_json(const Xenlevel__Level *level)
{
    struct json *j = json_begin();
    int failed;

    json_object(j, NULL);
    json_string(j, "xenlevel", KIND);
    json_string(j, "name", level->name);
    failed = write_policy(j, "hvm", level->hvm) | write_policy(j, "pv", level->pv);
    json_array(j, "members");
    for (size_t i = 0; i < level->n_members; i++) {
        const Xenlevel__Member *m = level->members[i];

        json_object(j, NULL);
        json_string(j, "name", m->name);
        json_string(j, "cpu", m->cpu);
        json_string(j, "xen_version", m->xen_version);
        write_given_up(j, "hvm_given_up", m->hvm_given_up);
        write_given_up(j, "pv_given_up", m->pv_given_up);
        write_given_up(j, "hvm_left_out", m->hvm_left_out);
        write_given_up(j, "pv_left_out", m->pv_left_out);
        if (m->levelling_case == XENLEVEL__MEMBER__LEVELLING_LEVELLING_CAPS)
            json_hex(j, "levelling_caps", m->levelling_caps);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
    return json_end(j) || failed ? 2 : 0;
}

/* ---- reading ---- */

struct reader {
    const char *name;
    struct xlp_error *error;
};

static int refuse_level(struct reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse_level(struct reader *r, const char *fmt, ...)
{
    char what[384], safe[400];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    (void)xc_text_safe(what, strlen(what), safe, sizeof(safe));
    (void)snprintf(r->error->text, sizeof(r->error->text), "%.100s: %s", r->name, safe);
    r->error->offset = (size_t)-1;
    errno = EINVAL;
    return -1;
}

/* A number written as text.  `must`: it has to be there; else *value stays. */
static int get_number(struct reader *r, yajl_val object, const char *key, bool must, uint64_t most,
                      uint64_t *value)
{
    yajl_val v = json_find(object, key, yajl_t_any);
    const char *text;
    char *end;

    if (!v)
        return must ? refuse_level(r, "\"%s\" is missing", key) : 0;
    text = YAJL_IS_NUMBER(v) ? YAJL_GET_NUMBER(v) : YAJL_GET_STRING(v);
    if (!text || text[0] < '0' || text[0] > '9')
        return refuse_level(r, "\"%s\" is no number", key);
    errno = 0;
    *value = strtoull(text, &end, 0);
    if (*end || errno || *value > most)
        return refuse_level(r, "\"%s\": %s is no number that fits", key, text);
    return 0;
}

static int get_names(struct reader *r, yajl_val object, const char *key, struct featureset *fs)
{
    yajl_val list = json_find(object, key, yajl_t_array);

    *fs = (struct featureset){.w = {0}};
    for (size_t i = 0; list && i < YAJL_GET_ARRAY(list)->len; i++) {
        const char *name = YAJL_GET_STRING(YAJL_GET_ARRAY(list)->values[i]);
        int feature = name && *name ? feature_by_name(name, strlen(name)) : -1;

        if (feature < 0)
            return refuse_level(r, "\"%s\", item %zu: there is no feature '%s'", key, i + 1,
                                name ? name : "(no text)");
        featureset_set(fs, (unsigned int)feature);
    }
    return list ? 0 : 1;
}

static int get_leaf(struct reader *r, yajl_val v, xen_cpuid_leaf_t *leaf)
{
    uint64_t n[6] = {[1] = XEN_CPUID_NO_SUBLEAF};
    static const char *const keys[] = {"leaf", "subleaf", "eax", "ebx", "ecx", "edx"};

    for (unsigned int i = 0; i < 6; i++)
        if (get_number(r, v, keys[i], i != 1, UINT32_MAX, &n[i]))
            return -1;
    *leaf = (xen_cpuid_leaf_t){(uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2],
                               (uint32_t)n[3], (uint32_t)n[4], (uint32_t)n[5]};
    return 0;
}

/* "leaves" and "msrs" -> a policy. */
static int get_registers(struct reader *r, yajl_val object, const char *which, struct cpu_policy *p)
{
    yajl_val leaves = json_find(object, "leaves", yajl_t_array);
    yajl_val msrs = json_find(object, "msrs", yajl_t_array);
    struct policy_fault fault;
    struct policy_report report = {&fault, 1, 0};
    char text[XC_FAULT_TEXT];
    xen_cpuid_leaf_t *l;
    xen_msr_entry_t *m;
    size_t nr_leaves, nr_msrs;
    int rc = -1;

    if (!leaves || !msrs)
        return refuse_level(r, "\"%s\" has no \"leaves\", or no \"msrs\"", which);
    nr_leaves = YAJL_GET_ARRAY(leaves)->len;
    nr_msrs = YAJL_GET_ARRAY(msrs)->len;
    l = xcalloc(nr_leaves + 1, sizeof(*l));
    m = xcalloc(nr_msrs + 1, sizeof(*m));
    for (size_t i = 0; i < nr_leaves; i++)
        if (get_leaf(r, YAJL_GET_ARRAY(leaves)->values[i], &l[i]))
            goto out;
    for (size_t i = 0; i < nr_msrs; i++) {
        yajl_val v = YAJL_GET_ARRAY(msrs)->values[i];
        uint64_t msr = 0;

        if (get_number(r, v, "msr", true, UINT32_MAX, &msr) ||
            get_number(r, v, "value", true, UINT64_MAX, &m[i].val))
            goto out;
        m[i].idx = (uint32_t)msr;
    }
    if (policy_whole(l, nr_leaves, m, nr_msrs, &report) ||
        policy_from_leaves(p, l, nr_leaves, m, nr_msrs, &report)) {
        (void)xc_fault_text(&fault, text, sizeof(text));
        (void)refuse_level(r, "\"%s\": %s", which, text);
    } else {
        rc = 0;
    }
out:
    free(l);
    free(m);
    return rc;
}

/* What was edited, over the registers: features, and the numbers beside them. */
static int get_edits(struct reader *r, yajl_val object, const char *which, struct cpu_policy *p,
                     struct featureset *removed)
{
    uint64_t basic = p->basic[0].a, feat = p->feat[0].a, extd = p->extd[0].a,
             width = p->extd[8].a & 0xff;
    struct policy_fault fault;
    struct policy_report report = {&fault, 1, 0};
    struct featureset before, fs;
    char text[XC_FAULT_TEXT];
    int rc = get_names(r, object, "features", &fs);

    if (rc)
        return rc < 0 ? -1 : refuse_level(r, "\"%s\" has no \"features\"", which);
    if (get_number(r, object, "max_leaf", false, UINT32_MAX, &basic) ||
        get_number(r, object, "max_leaf7_subleaf", false, UINT32_MAX, &feat) ||
        get_number(r, object, "max_extended_leaf", false, UINT32_MAX, &extd) ||
        get_number(r, object, "physical_address_bits", false, 255, &width))
        return -1;
    policy_to_featureset(p, &before);
    policy_from_featureset(p, &fs);
    p->basic[0].a = (uint32_t)basic;
    p->feat[0].a = (uint32_t)feat;
    p->extd[0].a = (uint32_t)extd;
    p->extd[8].a = (p->extd[8].a & ~0xffu) | (uint32_t)width;
    policy_trim(p);
    policy_close(p, NULL);
    policy_to_featureset(p, &fs);
    featureset_andnot(removed, &before, &fs);
    if (!policy_verify(p, &report))
        return 0;
    (void)xc_fault_text(&fault, text, sizeof(text));
    return refuse_level(r, "\"%s\": no such CPU can exist: %s", which, text);
}

static int get_policy(struct reader *r, yajl_val root, const char *which,
                      Xenlevel__Policy **message, struct featureset *removed)
{
    yajl_val object = json_find(root, which, yajl_t_object);
    struct cpu_policy *p;
    int rc = -1;

    *removed = (struct featureset){.w = {0}};
    if (!object)
        return json_find(root, which, yajl_t_any) ? refuse_level(r, "\"%s\" is no object", which)
                                                  : 0;
    p = xcalloc(1, sizeof(*p));
    if (!get_registers(r, object, which, p) && !get_edits(r, object, which, p, removed)) {
        *message = xlp_policy_from(p);
        rc = 0;
    }
    free(p);
    return rc;
}

/* Names of features, and `removed` with them: what was edited away counts as given up by every
 * member.  removed NULL: where the names are not there, there is no message. */
static int get_given_up(struct reader *r, yajl_val v, const char *key,
                        const struct featureset *removed, Xenlevel__Featureset **message)
{
    static const struct featureset none = {.w = {0}};
    struct featureset fs;
    int rc = get_names(r, v, key, &fs);

    if (rc < 0 || (rc && !removed))
        return rc < 0 ? -1 : 0;
    removed = removed ? removed : &none;
    featureset_or(&fs, &fs, removed);
    *message = xlp_featureset_new(fs.w, FEATURESET_WORDS);
    return 0;
}

static int get_member_host(struct reader *r, yajl_val v, const Xenlevel__Level *level,
                           const struct featureset removed[2], Xenlevel__Member *m)
{
    const char *name = json_find_string(v, "name");
    const char *cpu = json_find_string(v, "cpu");
    const char *xen = json_find_string(v, "xen_version");
    uint64_t caps = 0;

    if (!name || !*name)
        return refuse_level(r, "\"members\": one has no \"name\"");
    m->name = xstrdup(name);
    m->cpu = xstrdup(cpu ? cpu : "");
    m->xen_version = xstrdup(xen ? xen : "");
    if (json_find(v, "levelling_caps", yajl_t_any)) {
        if (get_number(r, v, "levelling_caps", true, UINT32_MAX, &caps))
            return -1;
        m->levelling_case = XENLEVEL__MEMBER__LEVELLING_LEVELLING_CAPS;
        m->levelling_caps = (uint32_t)caps;
    }
    if (level->hvm && get_given_up(r, v, "hvm_given_up", &removed[0], &m->hvm_given_up))
        return -1;
    if (level->pv && get_given_up(r, v, "pv_given_up", &removed[1], &m->pv_given_up))
        return -1;
    return get_given_up(r, v, "hvm_left_out", NULL, &m->hvm_left_out) ||
                   get_given_up(r, v, "pv_left_out", NULL, &m->pv_left_out)
               ? -1
               : 0;
}

static int get_level(struct reader *r, yajl_val root, Xenlevel__Level *level)
{
    const char *name = json_find_string(root, "name");
    yajl_val members = json_find(root, "members", yajl_t_array);
    struct featureset removed[2];
    char date[21];

    if (!name || !*name)
        return refuse_level(r, "\"name\" is missing");
    date_now(date);
    level->name = xstrdup(name);
    level->date = xstrdup(date);
    if (get_policy(r, root, "hvm", &level->hvm, &removed[0]) ||
        get_policy(r, root, "pv", &level->pv, &removed[1]))
        return -1;
    if (!level->hvm && !level->pv)
        return refuse_level(r, "neither \"hvm\" nor \"pv\" is there");
    level->members = xcalloc(members ? YAJL_GET_ARRAY(members)->len + 1 : 1, sizeof(void *));
    for (size_t i = 0; members && i < YAJL_GET_ARRAY(members)->len; i++) {
        Xenlevel__Member *m = xcalloc(1, sizeof(*m));

        xenlevel__member__init(m);
        level->members[level->n_members++] = m;
        if (get_member_host(r, YAJL_GET_ARRAY(members)->values[i], level, removed, m))
            return -1;
    }
    return 0;
}

bool level_json_is(const char *text, size_t len)
{
    static const char key[] = "\"xenlevel\"";
    size_t i = 0;

    while (i < len && strchr(" \t\r\n", text[i]) && text[i])
        i++;
    return i < len && text[i] == '{' && memmem(text, len, key, sizeof(key) - 1);
}

Xenlevel__File *level_from_json(const char *name, const char *text, size_t len,
                                struct xlp_error *error)
{
    struct reader r = {name, error};
    char why[256];
    yajl_val root = json_read(text, len, why, sizeof(why));
    const char *kind = json_find_string(root, "xenlevel");
    Xenlevel__File *file = NULL;
    int rc = -1;

    if (!root) {
        (void)refuse_level(&r, "this is no JSON: %s", why);
    } else if (!kind || strcmp(kind, KIND) != 0) {
        (void)refuse_level(&r, "this JSON is no level: \"xenlevel\" is not \"" KIND "\"");
    } else {
        file = xlp_new();
        file->level = xcalloc(1, sizeof(*file->level));
        xenlevel__level__init(file->level);
        file->content_case = XENLEVEL__FILE__CONTENT_LEVEL;
        rc = get_level(&r, root, file->level);
    }
    yajl_tree_free(root);
    if (!rc)
        return file;
    xlp_free(file);
    errno = EINVAL;
    return NULL;
}
