/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line, as far as it is about CPUs.  Names as in Xen's documentation of
 * its command line.
 */
#include <host-policy.h>

#include <xen/errno.h>

struct word {
    const char *at;
    size_t len;
};

/* Is `w` = prefix + value?  *value is what follows. */
static bool has_prefix(const struct word *w, const char *prefix, struct word *value)
{
    size_t i = 0;

    for (; prefix[i]; i++)
        if (i >= w->len || w->at[i] != prefix[i])
            return false;
    *value = (struct word){w->at + i, w->len - i};
    return true;
}

static bool word_is(const struct word *w, const char *text)
{
    struct word rest;

    return has_prefix(w, text, &rest) && !rest.len;
}

/* A number as Xen takes it: 0x and up to eight hexadecimal digits, or decimal. */
static bool parse_u32(const struct word *w, uint32_t *value)
{
    struct word digits;
    uint32_t base = 10;
    uint64_t n = 0;

    if (has_prefix(w, "0x", &digits) || has_prefix(w, "0X", &digits))
        base = 16;
    else
        digits = *w;
    if (!digits.len)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.at[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                            : 16;

        if (d >= base)
            return false;
        n = n * base + d;
        if (n > 0xffffffffu)
            return false;
    }
    *value = (uint32_t)n;
    return true;
}

/* The next piece of a list between commas; false at its end. */
static bool next_item(struct word *list, struct word *item)
{
    size_t n = 0;

    if (!list->len)
        return false;
    while (n < list->len && list->at[n] != ',')
        n++;
    *item = (struct word){list->at, n};
    if (n < list->len)
        n++;
    *list = (struct word){list->at + n, list->len - n};
    return true;
}

/* "no-avx512f,rdrand": *bad is the piece that is no feature. */
static int parse_cpuid(struct host_options *o, struct word list, const char **bad)
{
    struct word item, name;

    if (!list.len) {
        *bad = list.at;
        return -XEN_EINVAL;
    }
    while (next_item(&list, &item)) {
        bool off = has_prefix(&item, "no-", &name);
        int feature;

        if (!off)
            name = item;
        feature = name.len ? feature_by_name(name.at, name.len) : -1;
        if (feature < 0) {
            *bad = item.at;
            return -XEN_EINVAL;
        }
        /* The last word about a feature counts. */
        featureset_clear(off ? &o->cpuid_on : &o->cpuid_off, (unsigned int)feature);
        featureset_set(off ? &o->cpuid_off : &o->cpuid_on, (unsigned int)feature);
    }
    return 0;
}

/* 1: the option is one of these.  0: it is not.  -EINVAL: its value is no number. */
static int parse_mask(struct host_options *o, const struct word *w)
{
    const struct {
        const char *name;
        uint32_t *value;
    } masks[] = {
        {"cpuid_mask_ecx=", &o->mask_ecx},
        {"cpuid_mask_edx=", &o->mask_edx},
        {"cpuid_mask_ext_ecx=", &o->mask_ext_ecx},
        {"cpuid_mask_ext_edx=", &o->mask_ext_edx},
        {"cpuid_mask_xsave_eax=", &o->mask_xsave_eax},
        {"cpuid_mask_l7s0_eax=", &o->mask_l7s0_eax},
        {"cpuid_mask_l7s0_ebx=", &o->mask_l7s0_ebx},
        {"cpuid_mask_therm_ecx=", &o->mask_therm_ecx},
    };
    struct word value;

    for (unsigned int i = 0; i < sizeof(masks) / sizeof(masks[0]); i++)
        if (has_prefix(w, masks[i].name, &value))
            return parse_u32(&value, masks[i].value) ? 1 : -XEN_EINVAL;
    return has_prefix(w, "cpuid_mask_", &value) ? -XEN_EINVAL : 0;
}

static int parse_word(struct host_options *o, const struct word *w, const char **bad)
{
    struct word list, item;
    int rc;

    *bad = w->at;
    if (has_prefix(w, "cpuid=", &list))
        return parse_cpuid(o, list, bad);
    rc = parse_mask(o, w);
    if (rc)
        return rc < 0 ? rc : 0;
    if (has_prefix(w, "spec-ctrl=", &list))
        while (next_item(&list, &item))
            if (word_is(&item, "no-gds-mit") || word_is(&item, "gds-mit=0"))
                o->no_gds_mit = true;
    return 0;
}

void host_options_init(struct host_options *options)
{
    *options = (struct host_options){
        .xen = 417,
        .mask_ecx = ~0u,
        .mask_edx = ~0u,
        .mask_ext_ecx = ~0u,
        .mask_ext_edx = ~0u,
        .mask_xsave_eax = ~0u,
        .mask_l7s0_eax = ~0u,
        .mask_l7s0_ebx = ~0u,
        .mask_therm_ecx = ~0u,
    };
}

int host_options_parse(struct host_options *options, const char *cmdline, size_t *where)
{
    const char *at = cmdline, *bad = NULL;

    host_options_init(options);
    while (*at) {
        struct word w = {at, 0};

        while (at[w.len] && at[w.len] != ' ')
            w.len++;
        if (w.len && parse_word(options, &w, &bad)) {
            *where = (size_t)(bad - cmdline);
            return -XEN_EINVAL;
        }
        at += w.len;
        while (*at == ' ')
            at++;
    }
    return 0;
}
