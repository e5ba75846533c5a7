/* SPDX-License-Identifier: MIT */
/*
 * Featuresets as XAPI writes them (`xe host-cpu-info`, `xe host-param-list`, a pool's cpu_info, a
 * VM's last-boot-CPU-flags), and alone: words of eight digits with '-' between them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms-private.h"

enum { FEWEST_WORDS = 4, OLD_WORDS = 4, MOST_WORDS = 64 };

/* ---- the words ---- */

/*
 * Four words are XenServer's of before Xen 4.7, in the order 1c, 1d, e1c, e1d; but a featureset
 * of 4.7 and later may be cut to four as well.  Bit 20 is SSE4.2 of 1c, and reserved in 1d (SDM
 * vol. 2A, CPUID leaf 1); bit 0 of 1d is the FPU's, and bit 0 of 1c SSE3's.
 */
static bool is_old_order(const uint32_t *words, size_t n)
{
    static const uint32_t reserved_in_1d = 1u << 10 | 1u << 20;

    return n == OLD_WORDS && (words[0] & reserved_in_1d || !(words[0] & 1u << 4)) &&
           !(words[1] & reserved_in_1d);
}

/* Of a guest, or what a host gives guests; but four words may be a host's own. */
static void know_words(struct form_cpu *c, const uint32_t *words, size_t n)
{
    static const unsigned int old_order[OLD_WORDS] = {FEATURESET_1c, FEATURESET_1d, FEATURESET_e1c,
                                                      FEATURESET_e1d};

    form_cpu_init(c);
    if (!is_old_order(words, n)) {
        form_know_guest_words(c, words, n);
        return;
    }
    for (size_t i = 0; i < OLD_WORDS; i++)
        form_know_word(c, old_order[i], words[i]);
}

/* ---- keys and values ---- */

/* What the keys are of. */
enum owner { HOST_PV, HOST_HVM, HOST_PV_MAX, HOST_HVM_MAX, VM, PLAIN, OWNERS };

static const char *const keys[OWNERS] = {
    [HOST_PV] = "features_pv",
    [HOST_HVM] = "features_hvm",
    [HOST_PV_MAX] = "features_pv_host",
    [HOST_HVM_MAX] = "features_hvm_host",
    [VM] = "featureset",
    [PLAIN] = "features",
};

struct found {
    bool have[OWNERS];
    struct form_cpu cpu[OWNERS];
    bool last_boot; /* the plain one is a VM's */
    int type;       /* of that VM, as XAPI's domain-type says */
    char vendor[13];
    char brand[49];
    unsigned int numbers[3], said; /* family, model, stepping; a bit for each that was said */
};

/* Behind a key: blanks, quotes, ':' or '='.  NULL when no value follows. */
static const char *behind_key(const char *s)
{
    bool sign = false;

    while (*s == ' ' || *s == '\t' || *s == '"' || *s == '\'' || *s == ':' || *s == '=' ||
           *s == '>') {
        sign |= *s == ':' || *s == '=' || *s == '>';
        s++;
    }
    return sign ? s : NULL;
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* The key at s, as a whole word. */
static bool is_key(const char *line, const char *s, const char *key)
{
    size_t len = strlen(key);

    return (s == line || !is_name_byte(s[-1])) && !strncmp(s, key, len) && !is_name_byte(s[len]);
}

static void take_features(struct found *found, const char *line)
{
    for (const char *s = strstr(line, "features"); s; s = strstr(s + 1, "features")) {
        for (unsigned int k = 0; k < OWNERS; k++) {
            uint32_t words[MOST_WORDS];
            const char *value, *end;
            size_t n;

            if (found->have[k] || !is_key(line, s, keys[k]))
                continue;
            value = behind_key(s + strlen(keys[k]));
            n = value ? form_take_words(value, words, MOST_WORDS, &end) : 0;
            if (n < FEWEST_WORDS)
                continue;
            know_words(&found->cpu[k], words, n);
            found->have[k] = true;
        }
    }
}

/* The value of a key, up to ';', '"' or the line's end; false when it is not there. */
static bool take_value(const char *line, const char *key, char *out, size_t size)
{
    for (const char *s = strstr(line, key); s; s = strstr(s + 1, key)) {
        const char *value = is_key(line, s, key) ? behind_key(s + strlen(key)) : NULL;
        size_t len;

        if (!value)
            continue;
        len = strcspn(value, ";\"");
        while (len && isspace((unsigned char)value[len - 1]))
            len--;
        (void)snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), value);
        return len != 0;
    }
    return false;
}

static void take_identity(struct found *found, const char *line)
{
    char text[16];

    if (!found->vendor[0])
        (void)take_value(line, "vendor", found->vendor, sizeof(found->vendor));
    if (!found->brand[0])
        (void)take_value(line, "modelname", found->brand, sizeof(found->brand));
    for (unsigned int i = 0; i < 3; i++) {
        static const char *const names[3] = {"family", "model", "stepping"};

        if (found->said >> i & 1 || !take_value(line, names[i], text, sizeof(text)))
            continue;
        found->numbers[i] = (unsigned int)strtoul(text, NULL, 10);
        found->said |= 1u << i;
    }
}

/* "domain-type ( RW): hvm".  XAPI's pv-in-pvh is a PV guest in a PVH one, and no type of Xen's. */
static void take_type(struct found *found, const char *line)
{
    static const char *const types[] = {
        [FORM_GUEST_PV] = "pv",
        [FORM_GUEST_HVM] = "hvm",
    };
    const char *end, *s = form_after(form_trim(line, &end), "domain-type");

    s = s ? strchr(s, ':') : NULL;
    s = s ? form_trim(s + 1, &end) : NULL;
    for (int i = FORM_GUEST_PV; s && i <= FORM_GUEST_HVM; i++)
        if (strlen(types[i]) == (size_t)(end - s) && !strncmp(types[i], s, (size_t)(end - s)))
            found->type = i;
}

/* Is there a key "features" or "featureset" with a featureset behind it? */
static bool has_plain(const char *line)
{
    for (const char *s = strstr(line, "features"); s; s = strstr(s + 1, "features")) {
        uint32_t words[FEWEST_WORDS];
        const char *end, *value = NULL;

        for (unsigned int k = VM; !value && k <= PLAIN; k++)
            value = is_key(line, s, keys[k]) ? behind_key(s + strlen(keys[k])) : NULL;
        if (value && form_take_words(value, words, FEWEST_WORDS, &end) == FEWEST_WORDS)
            return true;
    }
    return false;
}

static unsigned int looks_like_xapi(const struct form_text *t)
{
    static const char *const sure[] = {"features_pv", "features_hvm", "last_boot_CPU_flags",
                                       "last-boot-CPU-flags"};

    for (size_t i = 0; i < t->n_lines; i++) {
        for (size_t k = 0; k < sizeof(sure) / sizeof(sure[0]); k++)
            if (strstr(t->lines[i], sure[k]))
                return 65;
        if (has_plain(t->lines[i]))
            return 65;
    }
    return 0;
}

/* ---- into a form ---- */

static void add_identity(const struct found *found, struct form_cpu *c)
{
    if (found->vendor[0])
        form_know_vendor(c, found->vendor, strlen(found->vendor));
    if (found->brand[0])
        form_know_brand(c, found->brand, strlen(found->brand));
    if (found->said == 7)
        form_know_signature(c, found->numbers[0], found->numbers[1], found->numbers[2]);
    form_fit_numbers(c);
}

/* platform:featureset is what XAPI starts the VM with. */
static int take_vm(struct form *f, struct found *found)
{
    f->partial = true;
    f->kind = FORM_GUEST;
    f->guest_type = found->type;
    f->name = "XAPI's platform:featureset";
    form_fit_numbers(&found->cpu[VM]); /* the vendor beside it is of the last start */
    f->guest = found->cpu[VM];
    return 0;
}

static int take_plain(struct form *f, struct found *found)
{
    f->partial = true;
    add_identity(found, &found->cpu[PLAIN]);
    if (!found->last_boot)
        return form_one_cpu(f, &found->cpu[PLAIN]);
    f->kind = FORM_GUEST;
    f->guest_type = found->type;
    f->name = "XAPI's last-boot-CPU-flags";
    f->guest = found->cpu[PLAIN];
    form_note(f, "last-boot-CPU-flags are the features of the host where the VM was started%s",
              found->type == FORM_GUEST_UNKNOWN ? "; it is not said whether it is PV or HVM" : "");
    return 0;
}

/* Before XAPI had ..._host, one featureset said both what a VM gets and what it may come with. */
static void take_host_pair(struct form *f, struct found *found, enum owner deflt, enum owner max,
                           enum xc_policy_index index_deflt, enum xc_policy_index index_max)
{
    if (!found->have[deflt] && !found->have[max])
        return;
    if (!found->have[deflt])
        found->cpu[deflt] = found->cpu[max];
    if (!found->have[max])
        found->cpu[max] = found->cpu[deflt];
    add_identity(found, &found->cpu[deflt]);
    add_identity(found, &found->cpu[max]);
    f->policies[index_deflt] = found->cpu[deflt];
    f->policies[index_max] = found->cpu[max];
    f->have[index_deflt] = f->have[index_max] = true;
}

static int take_found(struct form *f, struct found *found)
{
    bool host = false;

    for (unsigned int k = 0; k < VM; k++)
        host |= found->have[k];
    form_note(f, "a featureset says which features there are, and nothing else of the CPU: widths, "
                 "caches and XSAVE sizes stay unknown");
    if (!host && !found->have[PLAIN] && !found->have[VM])
        return form_fail(f, "no featureset is in it: words of eight hexadecimal digits with '-' "
                            "between them");
    if (!host)
        return found->have[VM] ? take_vm(f, found) : take_plain(f, found);
    f->kind = FORM_HOST;
    f->partial = true;
    take_host_pair(f, found, HOST_PV, HOST_PV_MAX, XC_POLICY_PV_DEFAULT, XC_POLICY_PV_MAX);
    take_host_pair(f, found, HOST_HVM, HOST_HVM_MAX, XC_POLICY_HVM_DEFAULT, XC_POLICY_HVM_MAX);
    if (!found->have[HOST_PV_MAX] && !found->have[HOST_HVM_MAX])
        form_note(f, "there is no features_pv_host or features_hvm_host in it: what a guest may "
                     "come with is taken to be what one is started with");
    return 0;
}

static int read_xapi(const struct form_text *t, struct form *f)
{
    struct found *found = calloc(1, sizeof(*found));
    int rc;

    if (!found) {
        (void)form_fail(f, "out of memory");
        errno = ENOMEM;
        return -1;
    }
    found->type = FORM_GUEST_UNKNOWN;
    for (size_t i = 0; i < t->n_lines; i++) {
        take_type(found, t->lines[i]);
        found->last_boot |= strstr(t->lines[i], "last_boot_CPU_flags") != NULL ||
                            strstr(t->lines[i], "last-boot-CPU-flags") != NULL;
        take_features(found, t->lines[i]);
        take_identity(found, t->lines[i]);
    }
    rc = take_found(f, found);
    free(found);
    return rc;
}

const struct form_reader form_xapi = {
    .name = "XAPI's features_pv and features_hvm",
    .looks_like = looks_like_xapi,
    .read = read_xapi,
};

/* ---- the words alone ---- */

/* All of the text is one featureset. */
static size_t take_bare(const char *text, uint32_t words[static MOST_WORDS])
{
    const char *end, *last, *s = form_trim(text, &last);
    size_t n = form_take_words(s, words, MOST_WORDS, &end);

    return end == last && n >= FEWEST_WORDS ? n : 0;
}

bool form_is_featureset(const char *text)
{
    uint32_t words[MOST_WORDS];

    return take_bare(text, words) != 0;
}

static int read_words(const char *text, struct form *f)
{
    static const enum xc_policy_index all[] = {XC_POLICY_PV_MAX, XC_POLICY_HVM_MAX,
                                               XC_POLICY_PV_DEFAULT, XC_POLICY_HVM_DEFAULT};
    uint32_t words[MOST_WORDS];
    size_t n = take_bare(text, words);

    if (!n)
        return form_fail(f, "not words of eight hexadecimal digits with '-' or ':' between them");
    f->kind = FORM_HOST;
    f->partial = true;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        know_words(&f->policies[all[i]], words, n);
        form_fit_numbers(&f->policies[all[i]]);
        f->have[all[i]] = true;
    }
    form_note(f, "a featureset does not say whose it is: it is taken for what guests of either "
                 "type get, and may come with");
    return 0;
}

int form_read_featureset(const char *text, struct form *f)
{
    form_begin(f);
    f->name = form_bare_featureset.name;
    return read_words(text, f);
}

/* The one line that is not blank. */
static const char *only_line(const struct form_text *t)
{
    const char *only = NULL;

    for (size_t i = 0; i < t->n_lines; i++) {
        const char *end, *s = form_trim(t->lines[i], &end);

        if (s == end)
            continue;
        if (only)
            return NULL;
        only = t->lines[i];
    }
    return only;
}

static unsigned int looks_like_bare(const struct form_text *t)
{
    const char *line = only_line(t);

    return line && form_is_featureset(line) ? 60 : 0;
}

static int read_bare(const struct form_text *t, struct form *f)
{
    return read_words(only_line(t), f);
}

const struct form_reader form_bare_featureset = {
    .name = "a featureset's words",
    .looks_like = looks_like_bare,
    .read = read_bare,
};
