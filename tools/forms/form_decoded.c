/* SPDX-License-Identifier: MIT */
/*
 * What `cpuid` prints without -r (etallen's): each bit as a line "name = true" in a chapter
 * "extended feature flags (7):".
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "forms-private.h"

static const struct {
    uint32_t leaf; /* of the chapter */
    const char *text;
    unsigned int word, bit;
} labels[] = {
#define LABEL(leaf, text, word, bit) {leaf, text, FEATURESET_##word, bit},
#include "decoded_labels.def"
#undef LABEL
};

/* "   feature information (1/edx):" and the like; POLICY_NONE for other lines. */
static uint32_t chapter_leaf(const char *line)
{
    const char *end, *s = form_trim(line, &end), *open;
    char *behind;
    unsigned long leaf;

    if (end - s < 4 || end[-1] != ':' || end[-2] != ')')
        return POLICY_NONE;
    open = strrchr(s, '(');
    if (!open || !isxdigit((unsigned char)open[1]))
        return POLICY_NONE;
    leaf = strtoul(open + 1, &behind, 0);
    return *behind == '/' || *behind == ')' ? (uint32_t)leaf : POLICY_NONE;
}

static unsigned int looks_like_decoded(const struct form_text *t)
{
    static const char *const sure[] = {
        "feature information (1/edx):", "feature information (1/ecx):",
        "version information (1/eax):"};

    for (size_t i = 0; i < t->n_lines; i++) {
        const char *end, *s = form_trim(t->lines[i], &end);

        for (size_t k = 0; k < sizeof(sure) / sizeof(sure[0]); k++)
            if (form_after(s, sure[k]))
                return 85; /* leaves that it does not know it prints as -r does */
    }
    return 0;
}

/* What stands before " = " in a line, without blanks; *value is what stands behind. */
static const char *split_line(const char *line, const char **end, const char **value)
{
    const char *last, *s = form_trim(line, &last), *equals = strstr(s, "= ");

    if (!equals || equals == s)
        return NULL;
    *end = equals;
    while (*end > s && isspace((unsigned char)(*end)[-1]))
        --*end;
    *value = equals + 2;
    return s;
}

static void take_bit(struct form_cpu *c, uint32_t leaf, const char *text, size_t len, bool there)
{
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
        if (labels[i].leaf == leaf && strlen(labels[i].text) == len &&
            !memcmp(labels[i].text, text, len))
            form_know_feature(c, labels[i].word * 32 + labels[i].bit, there);
}

struct decoded {
    struct form_cpu *cpu;
    uint32_t leaf;
    unsigned int family, model;
};

static bool is_text(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && !memcmp(text, word, len);
}

static void take_number(struct decoded *d, const char *text, size_t len, const char *value)
{
    unsigned long n = strtoul(value, NULL, 0);

    if (is_text(text, len, "(family synth)"))
        d->family = (unsigned int)n;
    else if (is_text(text, len, "(model synth)"))
        form_know_signature(d->cpu, d->family, (unsigned int)n, d->cpu->policy.basic[1].a & 0xf);
    else if (d->leaf == 1 && is_text(text, len, "stepping id"))
        d->cpu->policy.basic[1].a = n & 0xf;
    else if (is_text(text, len, "maximum physical address bits"))
        (void)form_know_bits(d->cpu, EXTD_FIRST + 8, POLICY_NONE, 0, 0xff, (uint32_t)n);
    else if (is_text(text, len, "maximum linear (virtual) address bits"))
        (void)form_know_bits(d->cpu, EXTD_FIRST + 8, POLICY_NONE, 0, 0xff00, (uint32_t)n << 8);
    else if (is_text(text, len, "CLFLUSH line size"))
        (void)form_know_bits(d->cpu, 1, POLICY_NONE, 1, 0xff00, (uint32_t)n << 8);
}

static void take_quoted(struct form *f, struct form_cpu *c, const char *text, size_t len,
                        const char *value)
{
    size_t n = strcspn(value + 1, "\"");

    if (is_text(text, len, "vendor_id")) {
        form_know_vendor(c, value + 1, n);
    } else if (is_text(text, len, "brand")) {
        form_know_brand(c, value + 1, n);
    } else if (len >= 13 && !memcmp(text, "hypervisor_id", 13)) {
        f->inside_xen |= n >= 12 && !memcmp(value + 1, "XenVMMXenVMM", 12);
        if (!f->inside_xen)
            form_note(f,
                      "it was taken inside a virtual machine (hypervisor_id is '%.*s'): it is "
                      "what that machine was told, not what the CPU has",
                      (int)(n < 12 ? n : 12), value + 1);
    }
}

static void take_line(struct form *f, struct decoded *d, const char *line)
{
    uint32_t leaf = chapter_leaf(line);
    const char *text, *end, *value;

    if (leaf != POLICY_NONE) {
        d->leaf = leaf;
        return;
    }
    text = split_line(line, &end, &value);
    if (!text)
        return;
    if (form_after(value, "true"))
        take_bit(d->cpu, d->leaf, text, (size_t)(end - text), true);
    else if (form_after(value, "false"))
        take_bit(d->cpu, d->leaf, text, (size_t)(end - text), false);
    else if (*value == '"')
        take_quoted(f, d->cpu, text, (size_t)(end - text), value);
    else
        take_number(d, text, (size_t)(end - text), value);
}

/* "CPU 3:" */
static bool is_heading(const char *line)
{
    const char *end, *s = form_after(form_trim(line, &end), "CPU");

    return s && end - s < 8 && end[-1] == ':';
}

static int read_decoded(const struct form_text *t, struct form *f)
{
    struct decoded d = {.leaf = POLICY_NONE};
    bool headed = false; /* the CPU that is being read has its heading */

    f->kind = FORM_CPU;
    for (size_t i = 0; i < t->n_lines; i++) {
        bool heading = is_heading(t->lines[i]);

        /* What stands in front of the first heading (a prompt, a mail) begins no CPU of its own. */
        if (!d.cpu || (heading && headed)) {
            if (form_is_full(f))
                break;
            d = (struct decoded){.cpu = form_add_cpu(f), .leaf = POLICY_NONE};
            if (!d.cpu)
                return -1;
        }
        headed |= heading;
        take_line(f, &d, t->lines[i]);
    }
    for (size_t i = 0; i < f->n_cpus; i++)
        form_fit_numbers(&f->cpus[i]);
    f->partial = true;
    form_note(f, "decoded `cpuid` leaves out leaves' numbers and all MSRs: `cpuid -r` says more");
    if (f->inside_xen)
        form_make_domain(f);
    return 0;
}

const struct form_reader form_decoded = {
    .name = "decoded cpuid",
    .looks_like = looks_like_decoded,
    .read = read_decoded,
};
