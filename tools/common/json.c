/* SPDX-License-Identifier: MIT */
/*
 * What programs read: JSON, by yajl.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "json.h"
#include "unknown.h"
#include "out.h"
#include "util.h"
#include "xc_text.h"

struct json {
    yajl_gen gen;
    FILE *f;
    bool failed;     /* it cannot be made: out of memory */
    bool for_script; /* '<', '>' and '&' are escaped */
    int write_error; /* errno of the first failure of f */
};

static void note_status(struct json *j, yajl_gen_status status)
{
    if (status != yajl_gen_status_ok)
        j->failed = true;
}

/* Names come from files and from xenstore: JSON cannot hold what is no UTF-8, so it is escaped as
 * it is for people.  What JSON can hold is told as it is; see write_escaped(). */
static void add_text(struct json *j, const char *s)
{
    size_t len = strlen(s);

    if (xc_text_is_utf8(s, len)) {
        note_status(j, yajl_gen_string(j->gen, (const unsigned char *)s, len));
    } else {
        size_t size = xc_text_safe(s, len, NULL, 0) + 1;
        char *safe = xcalloc(size, 1);

        (void)xc_text_safe(s, len, safe, size);
        note_status(j, yajl_gen_string(j->gen, (const unsigned char *)safe, size - 1));
        free(safe);
    }
}

static void add_key(struct json *j, const char *key)
{
    if (key)
        add_text(j, key);
}

static struct json *begin_document(FILE *f, bool indented)
{
    struct json *j = xcalloc(1, sizeof(*j));

    j->f = f;
    j->gen = yajl_gen_alloc(NULL);
    if (!j->gen)
        out_of_memory();
    yajl_gen_config(j->gen, yajl_gen_beautify, indented);
    yajl_gen_config(j->gen, yajl_gen_indent_string, "  ");
    return j;
}

struct json *json_begin(void)
{
    return begin_document(stdout, true);
}

struct json *json_begin_compact(FILE *f)
{
    return begin_document(f, false);
}

struct json *json_begin_script(FILE *f)
{
    struct json *j = begin_document(f, false);

    j->for_script = true;
    return j;
}

/* The two bytes of UTF-8 at b, or the three, as a number; all that is looked for is below 10000. */
static unsigned int code_at(const unsigned char *b, size_t n)
{
    return n == 2 ? (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu)
                  : (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
}

/*
 * Write yajl's text.  It has escaped what JSON wants escaped (00-1F); DEL, U+0080 to U+009F and
 * what turns the direction of text is escaped here, so that a terminal shows it, too.  Such
 * characters are only in strings, and all of it is UTF-8 (yajl's own look at it lets overlong forms
 * and surrogates through).  false with errno when it fails.
 */
static bool write_escaped(const struct json *j, const unsigned char *bytes, size_t len)
{
    FILE *f = j->f;
    size_t n;

    for (size_t i = 0; i < len; i += n) {
        const unsigned char *b = bytes + i;
        char ignored[16];

        n = b[0] < 0x80 ? 1 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
        if (n > len - i)
            n = len - i;
        if (b[0] == 0x7f || (j->for_script && strchr("<>&", b[0]))) {
            if (fprintf(f, "\\u%04x", b[0]) < 0)
                return false;
        } else if ((n == 2 || n == 3) &&
                   xc_text_safe((const char *)b, n, ignored, sizeof(ignored)) != n) {
            if (fprintf(f, "\\u%04x", code_at(b, n)) < 0)
                return false;
        } else if (fwrite(b, 1, n, f) != n) {
            return false;
        }
    }
    return true;
}

void json_flush(struct json *j)
{
    const unsigned char *bytes;
    size_t len;

    note_status(j, yajl_gen_get_buf(j->gen, &bytes, &len));
    if (!j->failed && !j->write_error && !write_escaped(j, bytes, len))
        j->write_error = errno;
    yajl_gen_clear(j->gen);
}

int json_end(struct json *j)
{
    int rc = 0;

    json_flush(j);
    if (!j->failed && !j->write_error && fflush(j->f))
        j->write_error = errno;
    if (j->failed)
        rc = complain("the JSON output could not be made");
    if (j->write_error) {
        rc = complain("%s: %s", j->f == stdout ? "standard output" : "the JSON output",
                      strerror(j->write_error));
        __fpurge(j->f); /* said: not again at the program's end */
        clearerr(j->f);
    }
    yajl_gen_free(j->gen);
    free(j);
    return rc;
}

void json_object(struct json *j, const char *key)
{
    add_key(j, key);
    note_status(j, yajl_gen_map_open(j->gen));
}

void json_array(struct json *j, const char *key)
{
    add_key(j, key);
    note_status(j, yajl_gen_array_open(j->gen));
}

void json_close_object(struct json *j)
{
    note_status(j, yajl_gen_map_close(j->gen));
}

void json_close_array(struct json *j)
{
    note_status(j, yajl_gen_array_close(j->gen));
}

void json_string(struct json *j, const char *key, const char *value)
{
    add_key(j, key);
    if (value)
        add_text(j, value);
    else
        note_status(j, yajl_gen_null(j->gen));
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);

    add_key(j, key);
    note_status(j, yajl_gen_number(j->gen, digits, (size_t)len));
}

void json_share(struct json *j, const char *key, double value)
{
    uint64_t millionths = (uint64_t)(value * 1e6 + 0.5); /* no locale has a say in it */
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64 ".%06" PRIu64, millionths / 1000000,
                       millionths % 1000000);

    add_key(j, key);
    note_status(j, yajl_gen_number(j->gen, digits, (size_t)len));
}

void json_bool(struct json *j, const char *key, bool value)
{
    add_key(j, key);
    note_status(j, yajl_gen_bool(j->gen, value));
}

void json_hex(struct json *j, const char *key, uint64_t value)
{
    char digits[24];

    (void)snprintf(digits, sizeof(digits), "0x%0*" PRIx64, value > UINT32_MAX ? 16 : 8, value);
    json_string(j, key, digits);
}

static void feature_members(struct json *j, unsigned int feature)
{
    const struct feature_info *info = feature_info(feature);
    char place[32] = "";

    (void)feature_location(feature, place, sizeof(place));
    json_string(j, "name", info ? info->name : NULL);
    json_string(j, "location", place);
    json_string(j, "description", info ? info->description : NULL);
}

void json_feature(struct json *j, unsigned int feature)
{
    json_object(j, NULL);
    feature_members(j, feature);
    json_close_object(j);
}

void json_features(struct json *j, const char *key, const struct featureset *fs)
{
    json_array(j, key);
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1))
        json_feature(j, (unsigned int)f);
    json_close_array(j);
}

void json_fault(struct json *j, const struct policy_fault *fault)
{
    char words[XC_FAULT_TEXT];

    json_object(j, NULL);
    json_string(j, "kind", policy_fault_name(fault->kind));
    (void)xc_fault_text(fault, words, sizeof(words));
    json_string(j, "text", words);
    if (fault->feature != POLICY_NONE && fault->kind != FAULT_FIELD)
        feature_members(j, fault->feature);
    if (fault->leaf != POLICY_NONE)
        json_hex(j, "leaf", fault->leaf);
    if (fault->subleaf != POLICY_NONE)
        json_number(j, "subleaf", fault->subleaf);
    if (fault->msr != POLICY_NONE)
        json_hex(j, "msr", fault->msr);
    json_close_object(j);
}

void json_pv_change(struct json *j, const struct pv_change *c, bool move)
{
    json_features(j, move ? "appears" : "stays_visible", &c->appear);
    json_features(j, move ? "vanishes" : "cannot_be_shown", &c->vanish);
    json_array(j, "identity_changes");
    for (unsigned int i = 0; i < PV_AREAS; i++)
        if (c->areas >> i & 1)
            json_string(j, NULL, levelling_pv_area_name(i));
    json_close_array(j);
    json_array(j, "other_leaves");
    for (unsigned int i = 0; i < 64; i++)
        if (c->basic >> i & 1)
            json_hex(j, NULL, i);
    for (unsigned int i = 0; i < 64; i++)
        if (c->extd >> i & 1)
            json_hex(j, NULL, 0x80000000u + i);
    json_close_array(j);
}

void json_programs(struct json *j, const struct programs *p)
{
    json_object(j, "programs");
    json_bool(j, "known", p->known);
    json_bool(j, "exact", programs_exact(p));
    if (p->known)
        json_pv_change(j, &p->view.beyond, false);
    json_close_object(j);
}

void json_levelling_caps(struct json *j, const char *key, uint32_t caps)
{
    json_array(j, key);
    for (unsigned int bit = 0; bit < 32; bit++)
        if (caps >> bit & 1) {
            const char *cap = xc_levelling_cap_name(bit);
            char number[16];

            (void)snprintf(number, sizeof(number), "bit %u", bit);
            json_string(j, NULL, cap ? cap : number);
        }
    json_close_array(j);
}

/* NULL where a bit is not known. */
static void json_known(struct json *j, const char *key, uint64_t value, uint64_t mask)
{
    if (mask)
        json_string(j, key, NULL);
    else
        json_hex(j, key, value);
}

/* What is not known of one leaf or MSR; nothing where there is no mask or no such leaf in it. */
static struct cpuid_regs unknown_of(const struct cpu_policy *mask, const xen_cpuid_leaf_t *leaf)
{
    const struct cpuid_regs *r = mask ? policy_leaf_const(mask, leaf->leaf, leaf->subleaf) : NULL;

    return r ? *r : (struct cpuid_regs){0};
}

static uint64_t unknown_of_msr(const struct cpu_policy *mask, uint32_t msr)
{
    if (!mask)
        return 0;
    return msr == MSR_ARCH_CAPABILITIES     ? mask->arch_caps
           : msr == MSR_INTEL_PLATFORM_INFO ? mask->platform_info
                                            : 0;
}

static void write_leaves(struct json *j, const struct xc_leaves *l, const struct cpu_policy *mask)
{
    json_array(j, "leaves");
    for (size_t i = 0; i < l->nr_leaves; i++) {
        const xen_cpuid_leaf_t *leaf = &l->leaves[i];
        const struct cpuid_regs unknown = unknown_of(mask, leaf);

        json_object(j, NULL);
        json_hex(j, "leaf", leaf->leaf);
        if (leaf->subleaf != XEN_CPUID_NO_SUBLEAF)
            json_number(j, "subleaf", leaf->subleaf);
        json_known(j, "eax", leaf->a, unknown.a);
        json_known(j, "ebx", leaf->b, unknown.b);
        json_known(j, "ecx", leaf->c, unknown.c);
        json_known(j, "edx", leaf->d, unknown.d);
        json_close_object(j);
    }
    json_close_array(j);
    json_array(j, "msrs");
    for (size_t i = 0; i < l->nr_msrs; i++) {
        json_object(j, NULL);
        json_hex(j, "msr", l->msrs[i].idx);
        json_known(j, "value", l->msrs[i].val, unknown_of_msr(mask, l->msrs[i].idx));
        json_close_object(j);
    }
    json_close_array(j);
}

void json_leaves(struct json *j, const struct xc_leaves *l)
{
    write_leaves(j, l, NULL);
}

static void json_place(const struct unknown_place *p, void *arg)
{
    static const char *const names[4] = {"eax", "ebx", "ecx", "edx"};
    struct json *j = arg;

    json_object(j, NULL);
    if (p->msr != POLICY_NONE) {
        json_hex(j, "msr", p->msr);
        json_hex(j, "bits", p->bits[0] | (uint64_t)p->bits[1] << 32);
    } else {
        json_hex(j, "leaf", p->leaf);
        if (p->subleaf != POLICY_NONE)
            json_number(j, "subleaf", p->subleaf);
        for (unsigned int i = 0; i < 4; i++)
            if (p->bits[i])
                json_hex(j, names[i], p->bits[i]);
    }
    json_close_object(j);
}

static void json_unknown(struct json *j, const struct cpu_policy *mask)
{
    struct featureset fs;

    unknown_features(mask, &fs);
    json_object(j, "unknown");
    json_features(j, "features", &fs);
    json_array(j, "places");
    unknown_each(mask, json_place, j);
    json_close_array(j);
    json_close_object(j);
}

void json_policy_known(struct json *j, const char *key, const struct cpu_policy *p,
                       const struct cpu_policy *mask, bool leaves)
{
    char hex[UNKNOWN_WORDS_TEXT];
    struct featureset fs, unknown;
    struct xc_leaves l;

    policy_to_featureset(p, &fs);
    policy_to_featureset(mask, &unknown);
    featureset_andnot(&fs, &fs, &unknown);
    json_object(j, key);
    unknown_format_words(p, mask, hex);
    json_string(j, "featureset", hex);
    json_features(j, "features", &fs);
    if (unknown_any(mask))
        json_unknown(j, mask);
    if (leaves && xc_policy_to_leaves(p, &l)) {
        j->failed = true;
    } else if (leaves) {
        write_leaves(j, &l, mask);
        xc_leaves_free(&l);
    }
    json_close_object(j);
}

void json_policy(struct json *j, const char *key, const struct cpu_policy *p, bool leaves)
{
    static const struct cpu_policy nothing;

    json_policy_known(j, key, p, &nothing, leaves);
}
