/* SPDX-License-Identifier: MIT */
/*
 * The values of a registry, which others wrote: decoded, and each refused by its key when it is not
 * what it must be.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "pool_load.h"
#include "out.h"
#include "util.h"
#include "xlp.h"

int pool_load_fail(struct load *l, int err, const char *fmt, ...)
{
    char *text, *whole;
    va_list ap;

    va_start(ap, fmt);
    text = out_vformat(fmt, ap);
    va_end(ap);
    whole = xasprintf("%s: %s", store_name(l->store), text);
    free(text);
    free(l->p->error);
    l->p->error = whole;
    errno = err;
    return -1;
}

/* Compares the key that is looked for with that of a value. */
static int compare_key(const void *key, const void *value)
{
    return strcmp(key, ((const struct store_value *)value)->key);
}

const struct store_value *pool_load_find(const struct load *l, const char *key)
{
    return l->list.n ? bsearch(key, l->list.values, l->list.n, sizeof(*l->list.values), compare_key)
                     : NULL;
}

/* ---- records ---- */

static bool text_fits(const char *text)
{
    return !text || strnlen(text, POOL_TEXT_MAX + 1) <= POOL_TEXT_MAX;
}

/* No record is in itself, so this ends. */
static bool texts_fit(const ProtobufCMessage *m);

static bool field_fits(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)m + field->offset;
    bool many = field->label == PROTOBUF_C_LABEL_REPEATED;
    size_t n =
        many ? *(const size_t *)(const void *)((const char *)m + field->quantifier_offset) : 1;
    /* An array of pointers, or the one pointer itself. */
    void *const *all = many ? *(void *const *const *)(const void *)at : (const void *)at;

    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    for (size_t i = 0; i < n; i++)
        if (field->type == PROTOBUF_C_TYPE_STRING ? !text_fits(all[i])
                                                  : all[i] && !texts_fit(all[i]))
            return false;
    return true;
}

static bool texts_fit(const ProtobufCMessage *m)
{
    for (unsigned int i = 0; i < m->descriptor->n_fields; i++)
        if (!field_fits(m, &m->descriptor->fields[i]))
            return false;
    return true;
}

void *pool_load_record(struct load *l, const struct store_value *value,
                       const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, value->len, value->bytes);

    if (m && texts_fit(m))
        return m;
    if (m)
        (void)pool_load_fail(l, EINVAL, "%s: a text in it is too long", value->key);
    else
        (void)pool_load_fail(l, EINVAL, "%s: this is no %s", value->key, type->short_name);
    if (m)
        protobuf_c_message_free_unpacked(m, NULL);
    return NULL;
}

/* ---- captures and policies, by their digests ---- */

static Xenlevel__File *decode_file(struct load *l, const struct store_value *value)
{
    struct xlp_error error;
    Xenlevel__File *file = xlp_decode(value->key, value->bytes, value->len, &error);

    if (!file)
        (void)pool_load_fail(l, errno, "%s", error.text);
    return file;
}

/* The value that a DIGEST stands for, whole; NULL and p->error. */
static const struct store_value *find_content(struct load *l, const char *kind, const char *digest,
                                              const char *owner)
{
    char *key = xasprintf("%s/%s", kind, digest), there[DIGEST_TEXT];
    const struct store_value *value = pool_load_find(l, key);

    free(key);
    if (!value) {
        (void)pool_load_fail(l, EINVAL, "%s: its %s '%s' is not there", owner, kind, digest);
        return NULL;
    }
    if (l->class_of[value - l->list.values] != POOL_NONE)
        return value;
    digest_text(value->bytes, value->len, there);
    if (!strcmp(there, digest))
        return value;
    (void)pool_load_fail(l, EINVAL, "%s: damaged: its SHA-256 is %s", value->key, there);
    return NULL;
}

void pool_capture_take(struct pool_capture *c, Xenlevel__File *file)
{
    const Xenlevel__Host *host = file->host;

    *c = (struct pool_capture){.file = file};
    c->caps_known = host->levelling_case == XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
    c->caps = c->caps_known ? host->levelling_caps : 0;
    for (size_t i = 0; i < host->n_policies; i++) {
        uint32_t index = host->policies[i]->index;

        if (index >= XC_POLICIES) /* a kind that a newer program knows */
            continue;
        c->have[index] = true;
        c->policy[index] = xcalloc(1, sizeof(*c->policy[index]));
        c->unknown[index] = xcalloc(1, sizeof(*c->unknown[index]));
        xlp_policy_get(host->policies[i]->policy, c->policy[index]);
        xlp_unknown_get(host->policies[i]->unknown, c->unknown[index]);
    }
}

void pool_capture_clear(struct pool_capture *c)
{
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        free(c->policy[i]);
        free(c->unknown[i]);
    }
    xlp_free(c->file);
    *c = (struct pool_capture){0};
}

/* A kind of value that is kept by its digest, and what is in it. */
struct content {
    const char *kind;
    Xenlevel__File__ContentCase is;
    const char *else_say;
};

/*
 * Find the class of a digest: *index where it was loaded before; else it becomes the next one,
 * which is `next`, and *file is what the caller makes it of.
 */
static int find_class(struct load *l, const struct content *c, const char *digest,
                      const char *owner, size_t next, size_t *index, Xenlevel__File **file)
{
    const struct store_value *value = find_content(l, c->kind, digest, owner);

    *file = NULL;
    if (!value)
        return -1;
    *index = l->class_of[value - l->list.values];
    if (*index != POOL_NONE)
        return 0;
    *file = decode_file(l, value);
    if (!*file)
        return -1;
    if ((*file)->content_case != c->is) {
        xlp_free(*file);
        return pool_load_fail(l, EINVAL, "%s: %s", value->key, c->else_say);
    }
    *index = l->class_of[value - l->list.values] = next;
    return 0;
}

int pool_load_capture(struct load *l, const char *digest, const char *owner, size_t *index)
{
    static const struct content capture = {"capture", XENLEVEL__FILE__CONTENT_HOST,
                                           "this is not what a host can offer"};
    struct pool *p = l->p;
    Xenlevel__File *file;

    if (find_class(l, &capture, digest, owner, p->n_captures, index, &file))
        return -1;
    if (!file)
        return 0;
    p->captures = xrealloc(p->captures, (p->n_captures + 1) * sizeof(*p->captures));
    pool_capture_take(&p->captures[*index], file);
    memcpy(p->captures[*index].digest, digest, DIGEST_TEXT); /* compared with one above */
    p->n_captures++;
    return 0;
}

static void add_policy(struct pool *p, const char *digest, const Xenlevel__Guest *guest)
{
    struct pool_policy *c;

    /* A power of two is full. */
    if (!(p->n_policies & (p->n_policies - 1)))
        p->policies =
            xrealloc(p->policies, (p->n_policies ? 2 * p->n_policies : 1) * sizeof(*p->policies));
    c = &p->policies[p->n_policies++];
    memset(c, 0, sizeof(*c));
    memcpy(c->digest, digest, DIGEST_TEXT); /* compared with one above */
    c->type = guest->type == XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV ? GUEST_PV : GUEST_HVM_HAP;
    xlp_policy_get(guest->policy, &c->policy);
    xlp_unknown_get(guest->unknown, &c->unknown);
}

int pool_load_policy(struct load *l, const char *digest, const char *owner, size_t *index)
{
    static const struct content policy = {"policy", XENLEVEL__FILE__CONTENT_GUEST,
                                          "this is no guest's CPU"};
    Xenlevel__File *file;

    if (find_class(l, &policy, digest, owner, l->p->n_policies, index, &file))
        return -1;
    if (!file)
        return 0;
    add_policy(l->p, digest, file->guest);
    xlp_free(file);
    return 0;
}

/* ---- levels ---- */

/* "web.v3": where the number begins; NULL: it is no level's name. */
static const char *find_version(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t digits = dot && dot[1] == 'v' ? strspn(dot + 2, "0123456789") : 0;

    if (!digits || digits > 9 || dot[2 + digits] || dot[2] == '0' || dot == name)
        return NULL;
    return dot + 2;
}

static int compare_levels(const void *a, const void *b)
{
    const char *x = ((const struct pool_level *)a)->name, *y = ((const struct pool_level *)b)->name;
    const char *vx = find_version(x), *vy = find_version(y);
    size_t nx = (size_t)(vx - x), ny = (size_t)(vy - y);
    int order = strncmp(x, y, nx < ny ? nx : ny);
    unsigned long number_x, number_y;

    if (order || nx != ny)
        return order ? order : nx < ny ? -1 : 1;
    number_x = strtoul(vx, NULL, 10);
    number_y = strtoul(vy, NULL, 10);
    return (number_x > number_y) - (number_x < number_y);
}

/* The name behind "level/", malloc'ed; NULL: it is none. */
static char *level_name(const char *key)
{
    char *name = xstrdup(strchr(key, '/') + 1), *to = name, *again;
    bool same;

    for (const char *s = name; *s; s++) {
        char hex[3] = {s[0], s[1], '\0'};

        if (*s == '%' && s[1] && s[2]) {
            hex[0] = s[1];
            hex[1] = s[2];
            *to++ = (char)strtoul(hex, NULL, 16);
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
    again = pool_key("level", name);
    same = !strcmp(again, key);
    free(again);
    if (same && find_version(name))
        return name;
    free(name);
    return NULL;
}

static int load_level(struct load *l, const struct store_value *value)
{
    Xenlevel__File *file = decode_file(l, value);
    struct pool *p = l->p;
    struct pool_level *level;
    char *name;

    if (!file)
        return -1;
    name = level_name(value->key);
    if (!name || file->content_case != XENLEVEL__FILE__CONTENT_LEVEL) {
        free(name);
        xlp_free(file);
        return pool_load_fail(l, EINVAL, "%s: this is no level, or not called NAME.vN", value->key);
    }
    p->levels = xrealloc(p->levels, (p->n_levels + 1) * sizeof(*p->levels));
    level = &p->levels[p->n_levels++];
    *level = (struct pool_level){.name = name, .file = file};
    level->have[0] = file->level->pv != NULL;
    level->have[1] = file->level->hvm != NULL;
    if (level->have[0])
        xlp_policy_get(file->level->pv, &level->policy[0]);
    if (level->have[1])
        xlp_policy_get(file->level->hvm, &level->policy[1]);
    return 0;
}

int pool_load_levels(struct load *l)
{
    struct pool *p = l->p;

    for (size_t i = 0; i < l->list.n; i++)
        if (!strncmp(l->list.values[i].key, "level/", 6) && load_level(l, &l->list.values[i]))
            return -1;
    if (p->n_levels)
        qsort(p->levels, p->n_levels, sizeof(*p->levels), compare_levels);
    if (!p->record->level[0])
        return 0;
    p->level = pool_find_level(p, p->record->level);
    if (p->level == POOL_NONE)
        return pool_load_fail(l, EINVAL, "pool: its level '%s' is not there", p->record->level);
    return 0;
}
