/* SPDX-License-Identifier: MIT */
/* See unknown.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "unknown.h"
#include "util.h"

#define EXTENDED 0x80000000u

/* Policies are handled by bytes here: there are none between their members. */
_Static_assert(sizeof(struct cpu_policy) ==
                   sizeof(struct cpuid_regs) *
                           (POLICY_NR_BASIC + POLICY_NR_CACHE + POLICY_NR_FEAT + POLICY_NR_TOPO +
                            POLICY_NR_XSTATE + POLICY_NR_MONITOR + POLICY_NR_TILE + POLICY_NR_TMUL +
                            POLICY_NR_TOPO_V2 + POLICY_NR_AVX10 + POLICY_NR_EXTD) +
                       2 * sizeof(uint32_t) + 2 * sizeof(uint64_t),
               "a policy without holes");

bool unknown_any(const struct cpu_policy *mask)
{
    const unsigned char *m = (const unsigned char *)mask;

    for (size_t i = 0; i < sizeof(*mask); i++)
        if (m[i])
            return true;
    return false;
}

void unknown_fill(struct cpu_policy *p, const struct cpu_policy *mask,
                  const struct cpu_policy *from)
{
    const unsigned char *m = (const unsigned char *)mask, *f = (const unsigned char *)from;
    unsigned char *to = (unsigned char *)p;

    for (size_t i = 0; i < sizeof(*p); i++)
        to[i] = (unsigned char)((to[i] & ~m[i]) | (f[i] & m[i]));
}

void unknown_set(struct cpu_policy *p, const struct cpu_policy *mask)
{
    unknown_fill(p, mask, mask);
}

void unknown_clear(struct cpu_policy *p, const struct cpu_policy *mask)
{
    const unsigned char *m = (const unsigned char *)mask;
    unsigned char *to = (unsigned char *)p;

    for (size_t i = 0; i < sizeof(*p); i++)
        to[i] = (unsigned char)(to[i] & ~m[i]);
}

void unknown_add_difference(struct cpu_policy *mask, const struct cpu_policy *a,
                            const struct cpu_policy *b)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    struct featureset before, fx, fy;
    unsigned char *m = (unsigned char *)mask;
    uint64_t platform_info = mask->platform_info | (a->platform_info ^ b->platform_info);

    policy_to_featureset(mask, &before);
    policy_to_featureset(a, &fx);
    policy_to_featureset(b, &fy);
    for (size_t i = 0; i < sizeof(*mask); i++)
        if (x[i] != y[i])
            m[i] = 0xff;
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++)
        before.w[i] |= fx.w[i] ^ fy.w[i];
    policy_from_featureset(mask, &before);
    mask->platform_info = platform_info;
}

void unknown_features(const struct cpu_policy *mask, struct featureset *fs)
{
    policy_to_featureset(mask, fs);
    featureset_and(fs, fs, featureset_known());
    featureset_andnot(fs, fs, featureset_number_bits());
}

void unknown_format_value(uint64_t value, uint64_t mask, unsigned int digits, char buf[static 17])
{
    static const char hex[] = "0123456789abcdef";

    for (unsigned int i = 0; i < digits; i++) {
        unsigned int shift = 4 * (digits - 1 - i);

        buf[i] = hex[value >> shift & 0xf];
        if (mask >> shift & 0xf)
            buf[i] = '?';
    }
    buf[digits] = '\0';
}

void unknown_format_words(const struct cpu_policy *p, const struct cpu_policy *mask,
                          char buf[static UNKNOWN_WORDS_TEXT])
{
    struct featureset fs, unknown, any;
    size_t words;

    policy_to_featureset(p, &fs);
    policy_to_featureset(mask, &unknown);
    featureset_or(&any, &fs, &unknown);
    words = featureset_length(&any);
    buf[0] = '\0';
    for (size_t i = 0; i < words; i++) {
        unknown_format_value(fs.w[i], unknown.w[i], 8, buf + 9 * i);
        if (i + 1 < words)
            buf[9 * i + 8] = ':';
    }
}

/* ---- places ---- */

struct walk {
    void (*place)(const struct unknown_place *, void *);
    void *arg;
};

static void visit_leaf(const struct walk *w, uint32_t leaf, uint32_t subleaf,
                       const struct cpuid_regs *r)
{
    const struct unknown_place p = {leaf, subleaf, POLICY_NONE, {r->a, r->b, r->c, r->d}};

    if (r->a | r->b | r->c | r->d)
        w->place(&p, w->arg);
}

static void visit_msr(const struct walk *w, uint32_t msr, uint64_t bits)
{
    const struct unknown_place p = {
        POLICY_NONE, POLICY_NONE, msr, {(uint32_t)bits, (uint32_t)(bits >> 32), 0, 0}};

    if (bits)
        w->place(&p, w->arg);
}

void unknown_each(const struct cpu_policy *mask,
                  void (*place)(const struct unknown_place *, void *), void *arg)
{
    const struct walk w = {place, arg};
    const struct cpuid_regs hv = {mask->hv_limit, 0, 0, 0}, hv2 = {mask->hv2_limit, 0, 0, 0};

    for (uint32_t leaf = 0; leaf < POLICY_NR_BASIC; leaf++) {
        if (!policy_leaf_has_subleaves(leaf)) {
            visit_leaf(&w, leaf, POLICY_NONE, &mask->basic[leaf]);
            continue;
        }
        for (uint32_t s = 0; policy_leaf_const(mask, leaf, s); s++)
            visit_leaf(&w, leaf, s, policy_leaf_const(mask, leaf, s));
    }
    visit_leaf(&w, 0x40000000u, POLICY_NONE, &hv);
    visit_leaf(&w, 0x40000100u, POLICY_NONE, &hv2);
    for (uint32_t i = 0; i < POLICY_NR_EXTD; i++)
        visit_leaf(&w, EXTENDED + i, POLICY_NONE, &mask->extd[i]);
    visit_msr(&w, MSR_INTEL_PLATFORM_INFO, mask->platform_info);
    visit_msr(&w, MSR_ARCH_CAPABILITIES, mask->arch_caps);
}

/* ---- words ---- */

/* What is listed: leaves by number (their subleaves by one where only one is missing), MSRs. */
struct listing {
    const struct featureset *about; /* only places of these; NULL: of all */
    bool extended;                  /* leaf 80000000 is missing, so all behind it is */
    uint32_t last;                  /* leaf that was added */
    unsigned int leaves, msrs;
    char *leaf_text, *msr_text;
};

/* Is one of the features in this place? */
static bool is_about(const struct unknown_place *p, const struct featureset *about)
{
    for (unsigned int i = 0; i < FEATURESET_WORDS; i++) {
        const struct featureset_word_info *w = featureset_word_info(i);
        unsigned int reg = w->reg;

        if (about->w[i] && w->leaf == p->leaf && w->subleaf == p->subleaf && w->msr == p->msr &&
            p->bits[w->msr == POLICY_NONE ? reg : reg & 1] & about->w[i])
            return true;
    }
    return false;
}

static void append_word(char **list, const char *word)
{
    char *longer = xasprintf("%s%s%s", *list, **list ? ", " : "", word);

    free(*list);
    *list = longer;
}

static void list_place(const struct unknown_place *p, void *arg)
{
    struct listing *l = arg;
    char word[48];

    if (l->about && !is_about(p, l->about))
        return;
    if (p->msr != POLICY_NONE) {
        (void)snprintf(word, sizeof(word), "MSR %X", p->msr);
        append_word(&l->msr_text, word);
        l->msrs++;
        return;
    }
    if (l->extended && p->leaf >= EXTENDED)
        return;
    if (l->leaves && p->leaf == l->last)
        return;
    if (p->subleaf != POLICY_NONE && p->subleaf)
        (void)snprintf(word, sizeof(word), "%x.%x", p->leaf, p->subleaf);
    else
        (void)snprintf(word, sizeof(word), "%x", p->leaf);
    if (p->leaf == EXTENDED && p->bits[0]) {
        l->extended = true;
        (void)snprintf(word, sizeof(word), "80000000 and up");
    }
    l->last = p->leaf;
    l->leaves++;
    append_word(&l->leaf_text, word);
}

static char *list_places(const struct cpu_policy *mask, const struct featureset *about)
{
    struct listing l = {.about = about, .leaf_text = xstrdup(""), .msr_text = xstrdup("")};
    char *text;

    unknown_each(mask, list_place, &l);
    text = xasprintf("%s%s%s%s", l.msr_text, l.msrs && l.leaves ? ", " : "",
                     !l.leaves                      ? ""
                     : l.leaves == 1 && !l.extended ? "leaf "
                                                    : "leaves ",
                     l.leaf_text);
    free(l.leaf_text);
    free(l.msr_text);
    return text;
}

char *unknown_text(const struct cpu_policy *mask)
{
    return list_places(mask, NULL);
}

char *unknown_cause(const struct cpu_policy *mask, const struct featureset *about)
{
    char *text = list_places(mask, about);

    if (*text)
        return text;
    free(text);
    return list_places(mask, NULL);
}

void unknown_reduce(struct cpu_policy *mask, const struct featureset *about)
{
    struct cpu_policy all = *mask;
    struct featureset fs;

    policy_to_featureset(mask, &fs);
    featureset_and(&fs, &fs, about);
    memset(mask, 0, sizeof(*mask));
    policy_from_featureset(mask, &fs);
    mask->platform_info = all.platform_info;
    if (all.extd[0].a == UINT32_MAX)
        mask->extd[0].a = all.extd[0].a;
    mask->xstate[0].a = all.xstate[0].a;
    if (!unknown_any(mask))
        *mask = all;
}

static void note_leaf(const struct unknown_place *p, void *arg)
{
    if (p->msr == POLICY_NONE)
        *(bool *)arg = true;
}

char *unknown_how(const struct cpu_policy *mask)
{
    bool leaves = false;

    unknown_each(mask, note_leaf, &leaves);
    if (leaves || (mask->platform_info && mask->arch_caps))
        return xstrdup("to find out, run on that host, as root: `xenlevel host`, or `xen-cpuid -p` "
                       "where it runs Xen; else `cpuid -r` and `rdmsr 0x10a`");
    return xasprintf("to find out, run on that host, as root: `rdmsr %#x` (of msr-tools), or "
                     "`xenlevel host` or `xen-cpuid -p` where it runs Xen; the dump takes a line "
                     "\"MSR %08X: 0000-0000-0000-0000\" with its sixteen digits",
                     mask->arch_caps ? MSR_ARCH_CAPABILITIES : MSR_INTEL_PLATFORM_INFO,
                     mask->arch_caps ? MSR_ARCH_CAPABILITIES : MSR_INTEL_PLATFORM_INFO);
}
