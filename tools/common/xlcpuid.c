/* SPDX-License-Identifier: MIT */
/* See xlcpuid.h. */
#include "xlcpuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "settings.h"
#include "xc_text.h"

/* ---- names ---- */

/* Fields, and names that libxl has beside those of the public header (cpufeatureset.h). */
struct field {
    const char *name;
    uint32_t leaf, subleaf;
    uint8_t reg, bit, width; /* reg: 0 EAX .. 3 EDX */
};

#define NONE POLICY_NONE
static const struct field fields[] = {
    {"maxleaf", 0, NONE, 0, 0, 32},
    {"stepping", 1, NONE, 0, 0, 4},
    {"model", 1, NONE, 0, 4, 8},
    {"family", 1, NONE, 0, 8, 8},
    {"brandid", 1, NONE, 1, 0, 8},
    {"clflush", 1, NONE, 1, 8, 8},
    {"proccount", 1, NONE, 1, 16, 8},
    {"localapicid", 1, NONE, 1, 24, 8},
    {"est", 1, NONE, 2, 7, 1},
    {"cntxid", 1, NONE, 2, 10, 1},
    {"cmpxchg16", 1, NONE, 2, 13, 1},
    {"sse4_1", 1, NONE, 2, 19, 1},
    {"sse4.1", 1, NONE, 2, 19, 1},
    {"sse4_2", 1, NONE, 2, 20, 1},
    {"sse4.2", 1, NONE, 2, 20, 1},
    {"aes", 1, NONE, 2, 25, 1},
    {"cmpxchg8", 1, NONE, 3, 8, 1},
    {"sysenter", 1, NONE, 3, 11, 1},
    {"psn", 1, NONE, 3, 18, 1},
    {"clfsh", 1, NONE, 3, 19, 1},
    {"tm", 1, NONE, 3, 29, 1},
    {"ia64", 1, NONE, 3, 30, 1},
    {"pbe", 1, NONE, 3, 31, 1},
    {"procpkg", 4, 0, 0, 26, 6},
    {"arat", 6, NONE, 0, 2, 1},
    {"tsc_adjust", 7, 0, 1, 1, 1},
    {"cmt", 7, 0, 1, 12, 1},
    {"maxhvleaf", 0x40000000u, NONE, 0, 0, 8},
    {"lahfsahf", 0x80000001u, NONE, 2, 0, 1},
    {"cmplegacy", 0x80000001u, NONE, 2, 1, 1},
    {"altmovcr8", 0x80000001u, NONE, 2, 4, 1},
    {"nodeid", 0x80000001u, NONE, 2, 19, 1},
    {"perfctr_core", 0x80000001u, NONE, 2, 23, 1},
    {"perfctr_nb", 0x80000001u, NONE, 2, 24, 1},
    {"invtsc", 0x80000007u, NONE, 3, 8, 1},
    {"ppin", 0x80000008u, NONE, 1, 23, 1},
    {"btc-no", 0x80000008u, NONE, 1, 29, 1},
    {"nc", 0x80000008u, NONE, 2, 0, 8},
    {"apicidsize", 0x80000008u, NONE, 2, 12, 4},
    {"svm_npt", 0x8000000au, NONE, 3, 0, 1},
    {"svm_lbrv", 0x8000000au, NONE, 3, 1, 1},
    {"svm_nrips", 0x8000000au, NONE, 3, 3, 1},
    {"svm_tscrate", 0x8000000au, NONE, 3, 4, 1},
    {"svm_vmcbclean", 0x8000000au, NONE, 3, 5, 1},
    {"svm_decode", 0x8000000au, NONE, 3, 7, 1},
    {"svm_pausefilt", 0x8000000au, NONE, 3, 10, 1},
    {"lfence+", 0x80000021u, NONE, 0, 2, 1},
};
#undef NONE

/* One of both, by its name: a field, or bit `msr_bit` of MSR 10A. */
struct place {
    struct field field;
    int msr_bit; /* -1: it is a field */
};

static int say(char *why, size_t size, const char *what, const char *item, size_t len)
{
    char safe[256];

    (void)xc_text_safe(item, len < 64 ? len : 64, safe, sizeof(safe));
    (void)snprintf(why, size, "'%s%s': %s", safe, len < 64 ? "" : "...", what);
    errno = EINVAL;
    return -1;
}

/* 0; -1 when libxl knows no such name: *near is the name that it has, or NULL. */
static int find_place(const char *name, size_t len, struct place *place, const char **near)
{
    const struct featureset_word_info *word;
    const struct feature_info *info;
    int feature;

    *near = NULL;
    place->msr_bit = -1;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (strlen(fields[i].name) == len && !memcmp(fields[i].name, name, len)) {
            place->field = fields[i];
            return 0;
        }
    feature = len ? feature_by_name(name, len) : -1;
    info = feature < 0 ? NULL : feature_info((unsigned int)feature);
    if (!info || (unsigned int)feature / 32 >= FEATURESET_XEN_WORDS)
        return -1;
    if (strlen(info->name) != len || memcmp(info->name, name, len) != 0) {
        *near = info->name; /* libxl takes no other spelling */
        return -1;
    }
    word = featureset_word_info((unsigned int)feature / 32);
    if (word->leaf == POLICY_NONE)
        place->msr_bit =
            (unsigned int)feature / 32 == FEATURESET_m10Ah ? feature % 32 + 32 : feature % 32;
    else
        place->field = (struct field){
            info->name, word->leaf, word->subleaf, (uint8_t)word->reg, (uint8_t)(feature % 32), 1};
    /* Leaf 7 and D always have a subleaf; others are named without. */
    return 0;
}

/* ---- the setting ---- */

/* The entry of a leaf, made when there is none; NULL when there is no room. */
static struct xlcpuid_leaf *find_leaf(struct xlcpuid *c, uint32_t leaf, uint32_t subleaf)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->leaves[i].leaf == leaf && c->leaves[i].subleaf == subleaf)
            return &c->leaves[i];
    if (c->n == XLCPUID_MAX_LEAVES)
        return NULL;
    c->leaves[c->n] = (struct xlcpuid_leaf){.leaf = leaf, .subleaf = subleaf};
    return &c->leaves[c->n++];
}

static bool is_bit(char c)
{
    return c && strchr("01xks", c);
}

static int add_register(struct xlcpuid_leaf *entry, const char **at)
{
    const char *s = *at;
    unsigned int reg;

    if (s[0] != 'e' || s[1] < 'a' || s[1] > 'd' || s[2] != 'x' || s[3] != '=')
        return -1;
    reg = (unsigned int)(s[1] - 'a');
    s += 4;
    for (unsigned int i = 0; i < 32; i++) {
        if (!is_bit(s[i]))
            return -1;
        entry->bits[reg][i] = s[i];
    }
    entry->bits[reg][32] = '\0';
    *at = s + 32;
    return 0;
}

int xlcpuid_add_bits(struct xlcpuid *c, const char *item, char *why, size_t size)
{
    static const char form[] =
        "not LEAF[,SUBLEAF]:REG=BITS, with 32 bits of 0, 1, x, k or s for a register";
    size_t len = strlen(item);
    struct xlcpuid_leaf *entry;
    unsigned long leaf, subleaf = POLICY_NONE;
    char *end;

    if (item[0] < '0' || item[0] > '9')
        return say(why, size, form, item, len);
    leaf = strtoul(item, &end, 0);
    if (*end == ',' && end[1] >= '0' && end[1] <= '9')
        subleaf = strtoul(end + 1, &end, 0);
    if (*end != ':' || leaf > 0xffffffffu || subleaf > 0xffffffffu)
        return say(why, size, form, item, len);
    entry = find_leaf(c, (uint32_t)leaf, (uint32_t)subleaf);
    if (!entry)
        return say(why, size, "too many leaves", item, len);
    for (const char *at = end + 1;;) {
        if (add_register(entry, &at))
            return say(why, size, form, item, len);
        if (!*at)
            return 0;
        if (*at++ != ',')
            return say(why, size, form, item, len);
        at += strspn(at, " \n");
    }
}

/* The family stands in two fields (SDM vol. 2A, CPUID leaf 1), as does the model. */
static void put_signature(char *bits, const char *name, unsigned long value)
{
    bool family = !strcmp(name, "family");
    unsigned long base = value & 0xf, extended = value >> 4;
    unsigned int base_bit = family ? 8 : 4, extended_bit = family ? 20 : 16;
    unsigned int extended_width = family ? 8 : 4;

    if (family) {
        base = value < 0xf ? value : 0xf;
        extended = value < 0xf ? 0 : value - 0xf;
    }
    for (unsigned int i = 0; i < 4; i++)
        bits[31 - base_bit - i] = base >> i & 1 ? '1' : '0';
    for (unsigned int i = 0; i < extended_width; i++)
        bits[31 - extended_bit - i] = extended >> i & 1 ? '1' : '0';
}

static int put_field(struct xlcpuid *c, const struct field *f, const char *value)
{
    struct xlcpuid_leaf *entry = find_leaf(c, f->leaf, f->subleaf);
    unsigned long number;
    char *bits, *end;

    if (!entry)
        return -1;
    bits = entry->bits[f->reg];
    if (!bits[0]) {
        memset(bits, 'x', 32);
        bits[32] = '\0';
    }
    if (*value && strchr("xks", *value) && !value[1]) {
        memset(bits + 32 - f->bit - f->width, *value, f->width);
        return 0;
    }
    if (*value < '0' || *value > '9')
        return -1;
    number = strtoul(value, &end, 0);
    if (*end || (f->width < 32 && number >> f->width) || number > 0xffffffffu)
        return -1;
    if (!strcmp(f->name, "family") || !strcmp(f->name, "model")) {
        put_signature(bits, f->name, number);
        return 0;
    }
    for (unsigned int i = 0; i < f->width; i++)
        bits[31 - f->bit - i] = number >> i & 1 ? '1' : '0';
    return 0;
}

static int put_msr_bit(struct xlcpuid *c, unsigned int bit, const char *value)
{
    if (!is_bit(value[0]) || value[1])
        return -1;
    if (!c->arch_caps[0]) {
        memset(c->arch_caps, 'x', 64);
        c->arch_caps[64] = '\0';
    }
    c->arch_caps[63 - bit] = value[0];
    return 0;
}

static int add_name(struct xlcpuid *c, char *item, char *why, size_t size)
{
    char *equals = strchr(item, '='), what[128];
    size_t len = strlen(item);
    struct place place;
    const char *near;

    if (!equals || equals == item)
        return say(why, size, "not NAME=VALUE", item, len);
    if (find_place(item, (size_t)(equals - item), &place, &near)) {
        (void)snprintf(what, sizeof(what),
                       near ? "libxl knows no such name; it has '%s'" : "libxl knows no such name",
                       near);
        return say(why, size, what, item, (size_t)(equals - item));
    }
    if (place.msr_bit < 0 ? put_field(c, &place.field, equals + 1)
                          : put_msr_bit(c, (unsigned int)place.msr_bit, equals + 1))
        return say(why, size, "its value is a number that fits, x, k or s", item, len);
    return 0;
}

int xlcpuid_add_names(struct xlcpuid *c, const char *names, char *why, size_t size)
{
    char *copy = strdup(names), *item, *rest = NULL;
    bool first = true;
    int rc = 0;

    if (!copy)
        return say(why, size, "out of memory", "", 0);
    for (item = strtok_r(copy, ",", &rest); item && !rc; item = strtok_r(NULL, ",", &rest)) {
        item += strspn(item, " ");
        for (size_t n = strlen(item); n && item[n - 1] == ' '; n--)
            item[n - 1] = '\0';
        if (first && strcmp(item, "host") != 0)
            rc = say(why, size, "a setting of names begins with 'host'", names, strlen(names));
        else if (!first)
            rc = add_name(c, item, why, size);
        first = false;
    }
    if (first)
        rc = say(why, size, "a setting of names begins with 'host'", names, strlen(names));
    free(copy);
    return rc;
}

int xlcpuid_from_settings(const char *path, struct settings *s, struct xlcpuid *c)
{
    char why[512], *names = NULL;
    const char **items;
    size_t n;
    int rc = settings_list(s, "cpuid", &items, &n);

    *c = (struct xlcpuid){.n = 0};
    if (rc < 0)
        return -1;
    if (rc && settings_string(s, "cpuid", &names))
        return -1;
    for (size_t i = 0; i < n && !rc; i++)
        rc = xlcpuid_add_bits(c, items[i], why, sizeof(why));
    if (names)
        rc = xlcpuid_add_names(c, names, why, sizeof(why));
    free((void *)items);
    if (rc < 0)
        warn("%s%scpuid: %s", path ? path : "", path ? ": " : "", why);
    rc = rc < 0 ? -1 : names || n;
    free(names);
    return rc;
}

/* ---- a domain's policy ---- */

static uint64_t merge_bits(const char *bits, unsigned int width, uint64_t own, uint64_t deflt,
                           uint64_t host)
{
    uint64_t value = own;

    for (unsigned int i = 0; bits[0] && i < width; i++) {
        unsigned int bit = width - 1 - i;
        uint64_t from = bits[i] == '1'   ? ~UINT64_C(0)
                        : bits[i] == '0' ? 0
                        : bits[i] == 'x' ? deflt
                                         : host;

        value = (value & ~(UINT64_C(1) << bit)) | (from & UINT64_C(1) << bit);
    }
    return value;
}

int xlcpuid_apply(const struct xlcpuid *c, const struct cpu_policy *deflt,
                  const struct cpu_policy *host, struct cpu_policy *p, char *why, size_t size)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct xlcpuid_leaf *e = &c->leaves[i];
        struct cpuid_regs *own = policy_leaf(p, e->leaf, e->subleaf);
        const struct cpuid_regs *d = policy_leaf_const(deflt, e->leaf, e->subleaf);
        const struct cpuid_regs *h = policy_leaf_const(host, e->leaf, e->subleaf);

        if (!own || !d || !h) {
            (void)snprintf(why, size, "no policy has leaf %#x%s", e->leaf,
                           e->subleaf == POLICY_NONE ? "" : " with that subleaf");
            errno = EINVAL;
            return -1;
        }
        own->a = (uint32_t)merge_bits(e->bits[0], 32, own->a, d->a, h->a);
        own->b = (uint32_t)merge_bits(e->bits[1], 32, own->b, d->b, h->b);
        own->c = (uint32_t)merge_bits(e->bits[2], 32, own->c, d->c, h->c);
        own->d = (uint32_t)merge_bits(e->bits[3], 32, own->d, d->d, h->d);
    }
    p->arch_caps = merge_bits(c->arch_caps, 64, p->arch_caps, deflt->arch_caps, host->arch_caps);
    return 0;
}

void xlcpuid_clamp(struct cpu_policy *p, const struct cpu_policy *max, struct featureset *taken)
{
    struct featureset asked, given, most;

    policy_to_featureset(p, &asked);
    policy_to_featureset(max, &most);
    /* Of these max does not speak: they follow the vCPU, or other bits. */
    for (unsigned int m = MERGE_DYNAMIC; m <= MERGE_MIRROR; m++)
        featureset_or(&most, &most, featureset_merge_mask((enum feature_merge)m));
    featureset_and(&given, &asked, &most);
    policy_from_featureset(p, &given);
    policy_trim(p);
    policy_close(p, NULL);
    policy_to_featureset(p, &given);
    featureset_andnot(taken, &asked, &given);
}
