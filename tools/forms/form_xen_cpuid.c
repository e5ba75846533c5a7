/* SPDX-License-Identifier: MIT */
/*
 * What `xen-cpuid` prints (Xen's tools/misc, 4.7 to 4.22): the policies of a host or of a domain
 * with -p, else the featuresets.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forms-private.h"

/* ---- xen-cpuid -p ---- */

/*
 * "HVM Max policy: 61 leaves, 2 MSRs", then " CPUID:", a heading, the leaves that are not zero
 * (older ones print all), " MSRs:", a heading, the MSRs.
 */
static bool is_policy_heading(const char *line, char name[static 32], unsigned int *leaves,
                              unsigned int *msrs)
{
    const char *at = strstr(line, " policy: "), *behind;
    char *end;

    if (!at || at == line || at - line > 31)
        return false;
    *leaves = (unsigned int)strtoul(at + strlen(" policy: "), &end, 10);
    behind = form_after(end, " leaves, ");
    if (!behind)
        return false;
    *msrs = (unsigned int)strtoul(behind, &end, 10);
    if (end == behind || !form_after(end, " MSRs"))
        return false;
    (void)snprintf(name, 32, "%.*s", (int)(at - line), line);
    return true;
}

static unsigned int looks_like_policy(const struct form_text *t)
{
    unsigned int leaves, msrs;
    char name[32];

    for (size_t i = 0; i < t->n_lines; i++)
        if (is_policy_heading(t->lines[i], name, &leaves, &msrs))
            return 100;
    return 0;
}

/* Where a policy of this name goes: a host's, or a domain's.  NULL: a name that is not known. */
static struct form_cpu *find_place(struct form *f, const char *name, bool *domain)
{
    static const char *const names[XC_POLICIES] = {
        [XC_POLICY_RAW] = "Raw",
        [XC_POLICY_HOST] = "Host",
        [XC_POLICY_PV_MAX] = "PV Max",
        [XC_POLICY_HVM_MAX] = "HVM Max",
        [XC_POLICY_PV_DEFAULT] = "PV Default",
        [XC_POLICY_HVM_DEFAULT] = "HVM Default",
    };

    while (isspace((unsigned char)*name))
        name++;
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (!strcmp(names[i], name)) {
            f->have[i] = true;
            return &f->policies[i];
        }
    if (!form_after(name, "Domain "))
        return NULL;
    if (*domain)
        return NULL; /* the first one counts */
    *domain = true;
    (void)snprintf(f->subject, sizeof(f->subject), "domain %s", name + strlen("Domain "));
    return &f->guest;
}

/* "  00000007:00000000 -> 00000000:..." */
static bool take_policy_leaf(const char *line, xen_cpuid_leaf_t *l)
{
    uint32_t *const values[6] = {&l->leaf, &l->subleaf, &l->a, &l->b, &l->c, &l->d};
    static const char *const behind[6] = {":", " -> ", ":", ":", ":", ""};

    while (*line == ' ')
        line++;
    for (unsigned int i = 0; i < 6; i++) {
        if (!dump_take_hex(&line, 8, values[i]))
            return false;
        line = form_after(line, behind[i]);
        if (!line)
            return false;
    }
    return true;
}

/* "  0000010a -> 000000000d000c04" */
static bool take_policy_msr(const char *line, xen_msr_entry_t *m)
{
    uint32_t high, low;

    while (*line == ' ')
        line++;
    memset(m, 0, sizeof(*m));
    if (!dump_take_hex(&line, 8, &m->idx))
        return false;
    line = form_after(line, " -> ");
    if (!line || !dump_take_hex(&line, 8, &high) || !dump_take_hex(&line, 8, &low))
        return false;
    m->val = (uint64_t)high << 32 | low;
    return true;
}

/* The leaves and MSRs of one policy, from the line behind its heading on.  Returns the line behind
 * them; 0 with f->error. */
static size_t read_one_policy(const struct form_text *t, struct form *f, size_t at,
                              const char *name, unsigned int nr_msrs, struct form_cpu *to)
{
    struct policy_report report = {0};
    xen_msr_entry_t m = {0};
    xen_cpuid_leaf_t *leaves = calloc(POLICY_MAX_LEAVES, sizeof(*leaves));
    xen_msr_entry_t msrs[POLICY_MAX_MSRS];
    size_t n = 0, seen = 0, held = 0, i, heading = at;
    unsigned int x, y;
    char other[32];

    for (i = at; leaves && i < t->n_lines; i++) {
        if (is_policy_heading(t->lines[i], other, &x, &y))
            break;
        if (n < POLICY_MAX_LEAVES && take_policy_leaf(t->lines[i], &leaves[n])) {
            n++;
        } else if (take_policy_msr(t->lines[i], &m)) {
            seen++;
            if (held < POLICY_MAX_MSRS)
                msrs[held++] = m;
        }
    }
    /* Entries that no policy of ours holds are counted in the report, and left out. */
    if (leaves && n && seen >= nr_msrs)
        (void)policy_from_leaves(&to->policy, leaves, n, msrs, held, &report);
    free(leaves);
    memset(&to->unknown, 0, sizeof(to->unknown));
    if (n && seen >= nr_msrs)
        return i;
    (void)form_fail(f, "line %zu: the policy '%s' is cut short: %zu leaves, and %zu of its %u MSRs",
                    heading, name, n, seen, nr_msrs);
    return 0;
}

/* A PV domain has no PSE and no PGE. */
static enum form_guest_type guess_type(const struct cpu_policy *p)
{
    static const uint32_t paging = 1u << 3 | 1u << 13;

    return p->basic[1].d & paging ? FORM_GUEST_HVM : FORM_GUEST_PV;
}

static int finish_policies(struct form *f, bool domain)
{
    bool guests = false, own = f->have[XC_POLICY_RAW] || f->have[XC_POLICY_HOST];

    for (unsigned int i = XC_POLICY_PV_MAX; i < XC_POLICIES; i++)
        guests |= f->have[i];
    if (domain && !own && !guests) {
        f->kind = FORM_GUEST;
        f->name = "xen-cpuid -p of a domain";
        f->guest_type = guess_type(&f->guest.policy);
        return 0;
    }
    if (domain)
        form_note(f, "the policy of %s in it was not looked at", f->subject);
    f->subject[0] = '\0';
    f->kind = FORM_HOST;
    if (guests)
        return 0;
    if (!f->have[XC_POLICY_RAW])
        return form_fail(f, "only the host's policy is in it: neither the raw one nor any that "
                            "guests get");
    form_note(f, "only the raw policy is in it: what guests get is worked out from that");
    return form_one_cpu(f, &f->policies[XC_POLICY_RAW]);
}

static int read_policy(const struct form_text *t, struct form *f)
{
    unsigned int leaves, msrs;
    bool domain = false, any = false;
    char name[32];

    for (size_t i = 0; i < t->n_lines; i++) {
        struct form_cpu *to;

        if (!is_policy_heading(t->lines[i], name, &leaves, &msrs))
            continue;
        to = find_place(f, name, &domain);
        if (!to) {
            form_note(f, "the policy '%s' in it was not looked at", name);
            continue;
        }
        i = read_one_policy(t, f, i + 1, name, msrs, to);
        if (!i)
            return -1;
        any = true;
        i--;
    }
    if (!any)
        return form_fail(f, "there is no policy in it of a name that is known");
    return finish_policies(f, domain);
}

const struct form_reader form_cpuid_policy = {
    .name = "xen-cpuid -p",
    .looks_like = looks_like_policy,
    .read = read_policy,
};

/* ---- plain xen-cpuid: featuresets ---- */

enum { FEWEST_WORDS = 4, MOST_WORDS = 64 };

/* Which policies a set is of; the PV and HVM of Xen 4.7 to 4.11 are both maximum and default. */
static const struct {
    const char *name;
    unsigned int policies; /* a bit each */
} sets[] = {
    {"Raw", 1u << XC_POLICY_RAW},
    {"Host", 1u << XC_POLICY_HOST},
    {"PV Max", 1u << XC_POLICY_PV_MAX},
    {"HVM Max", 1u << XC_POLICY_HVM_MAX},
    {"PV Default", 1u << XC_POLICY_PV_DEFAULT},
    {"HVM Default", 1u << XC_POLICY_HVM_DEFAULT},
    {"PV", 1u << XC_POLICY_PV_MAX | 1u << XC_POLICY_PV_DEFAULT},
    {"HVM", 1u << XC_POLICY_HVM_MAX | 1u << XC_POLICY_HVM_DEFAULT},
};

/* "HVM Default            1fcbfbfd:f6f83203:..." */
static size_t take_set(const char *line, unsigned int *policies, uint32_t words[static MOST_WORDS])
{
    const char *end, *s = form_trim(line, &end);

    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        const char *at = form_after(s, sets[i].name);
        size_t n;

        if (!at || (*at != ' ' && *at != '\t' && *at != ':'))
            continue;
        while (*at == ' ' || *at == '\t' || *at == ':')
            at++;
        n = form_take_words(at, words, MOST_WORDS, &at);
        if (n < FEWEST_WORDS)
            continue;
        *policies = sets[i].policies;
        return n;
    }
    return 0;
}

/* The sets that a release knows at all are no host's. */
static bool is_static(const char *line, bool before)
{
    const char *end, *s = form_trim(line, &end);

    if (form_after(s, "Static sets"))
        return true;
    return form_after(s, "Dynamic sets") ? false : before;
}

static unsigned int looks_like_sets(const struct form_text *t)
{
    uint32_t words[MOST_WORDS];
    unsigned int policies;

    for (size_t i = 0; i < t->n_lines; i++)
        if (take_set(t->lines[i], &policies, words))
            return 75;
    return 0;
}

static void know_words(struct form_cpu *c, const uint32_t *words, size_t n)
{
    for (size_t i = 0; i < n && i < FEATURESET_XEN_WORDS; i++)
        form_know_word(c, (unsigned int)i, words[i]);
}

/*
 * A maximum has what its default has, so of one that was not printed that much is known; the
 * reverse for a default.
 */
static void infer_set(struct form *f, unsigned int from, unsigned int to, bool set)
{
    const struct form_cpu *c = &f->policies[from];
    struct featureset fs, unknown;

    if (!f->have[from] || f->have[to])
        return;
    policy_to_featureset(&c->policy, &fs);
    policy_to_featureset(&c->unknown, &unknown);
    form_cpu_init(&f->policies[to]);
    for (unsigned int feature = 0; feature < FEATURESET_XEN_WORDS * 32u; feature++)
        if (!featureset_test(&unknown, feature) && featureset_test(&fs, feature) == set &&
            feature_info(feature) && feature_info(feature)->merge == MERGE_CAPABILITY)
            form_know_feature(&f->policies[to], feature, set);
    f->have[to] = true;
}

static int finish_sets(struct form *f)
{
    bool guests = false;

    infer_set(f, XC_POLICY_PV_DEFAULT, XC_POLICY_PV_MAX, true);
    infer_set(f, XC_POLICY_HVM_DEFAULT, XC_POLICY_HVM_MAX, true);
    infer_set(f, XC_POLICY_PV_MAX, XC_POLICY_PV_DEFAULT, false);
    infer_set(f, XC_POLICY_HVM_MAX, XC_POLICY_HVM_DEFAULT, false);
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        if (f->have[i])
            form_fit_numbers(&f->policies[i]);
        guests |= f->have[i] && i > XC_POLICY_HOST;
    }
    f->kind = FORM_HOST;
    f->partial = true;
    form_note(f, "a featureset says which features there are, and nothing else of the CPU: model, "
                 "widths, caches and XSAVE sizes stay unknown");
    if (guests)
        return 0;
    form_note(f, "none of the sets is one that guests get: that is worked out");
    return form_one_cpu(f, &f->policies[f->have[XC_POLICY_RAW] ? XC_POLICY_RAW : XC_POLICY_HOST]);
}

static int read_sets(const struct form_text *t, struct form *f)
{
    uint32_t words[MOST_WORDS];
    bool fixed = false, any = false;

    for (size_t i = 0; i < t->n_lines; i++) {
        unsigned int policies = 0;
        size_t n;

        fixed = is_static(t->lines[i], fixed);
        n = fixed ? 0 : take_set(t->lines[i], &policies, words);
        for (unsigned int p = 0; n && p < XC_POLICIES; p++) {
            if (!(policies >> p & 1) || f->have[p])
                continue;
            form_cpu_init(&f->policies[p]);
            if (p > XC_POLICY_HOST)
                form_know_guest_words(&f->policies[p], words, n);
            else
                know_words(&f->policies[p], words, n);
            f->have[p] = any = true;
        }
    }
    if (!any)
        return form_fail(f, "only static sets are in it: what this Xen knows, of no host");
    return finish_sets(f);
}

const struct form_reader form_featuresets = {
    .name = "xen-cpuid",
    .looks_like = looks_like_sets,
    .read = read_sets,
};

/* ---- xl info ---- */

enum { HW_CAPS_WORDS = 8 };

static const char *find_hw_caps(const struct form_text *t)
{
    for (size_t i = 0; i < t->n_lines; i++) {
        const char *s = form_value(t->lines[i], "hw_caps");

        if (s)
            return s;
    }
    return NULL;
}

static unsigned int looks_like_xl_info(const struct form_text *t)
{
    return find_hw_caps(t) ? 70 : 0;
}

static void take_xl_line(struct form *f, const char *line)
{
    static const struct {
        const char *key;
        size_t offset, size;
    } keys[] = {
        {"xen_version", offsetof(struct form, xen), sizeof(f->xen)},
        {"xen_commandline", offsetof(struct form, cmdline), sizeof(f->cmdline)},
        {"host", offsetof(struct form, subject), sizeof(f->subject)},
    };
    const char *s, *end;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        s = form_value(line, keys[i].key);
        if (!s)
            continue;
        s = form_trim(s, &end);
        (void)snprintf((char *)f + keys[i].offset, keys[i].size, "%.*s", (int)(end - s), s);
    }
}

/* GRUB puts "placeholder" before what it passes on. */
static void take_cmdline(struct form *f)
{
    const char *rest = form_after(f->cmdline, "placeholder");

    if (rest && (!*rest || *rest == ' '))
        memmove(f->cmdline, rest, strlen(rest) + 1);
    if (f->cmdline[0])
        form_note(f, "its xen_commandline counts where --xen-cmdline is not given");
}

/*
 * The words of Xen 4.7 and later are the first of the featureset.  Before it they were Linux's
 * order: 1d, e1d, Transmeta's, Linux's own, 1c, VIA's, e1c, 7b0; nobody has Transmeta's.
 */
static int read_xl_info(const struct form_text *t, struct form *f)
{
    static const int old_order[HW_CAPS_WORDS] = {
        FEATURESET_1d, FEATURESET_e1d, -1, -1, FEATURESET_1c, -1, FEATURESET_e1c, FEATURESET_7b0};
    const char *s = find_hw_caps(t), *end;
    uint32_t words[MOST_WORDS];
    struct form_cpu *c = &f->policies[XC_POLICY_HOST];
    size_t n = form_take_words(s, words, MOST_WORDS, &end);

    if (n < HW_CAPS_WORDS)
        return form_fail(f, "hw_caps has %zu words of eight hexadecimal digits, not eight", n);
    if (!words[0] && !words[1])
        return form_fail(f, "hw_caps are zeros: no x86 host");
    for (size_t i = 0; i < t->n_lines; i++)
        take_xl_line(f, t->lines[i]);
    take_cmdline(f);
    form_cpu_init(c);
    if (words[2] || n > HW_CAPS_WORDS)
        know_words(c, words, n);
    else
        for (size_t i = 0; i < HW_CAPS_WORDS; i++)
            if (old_order[i] >= 0)
                form_know_word(c, (unsigned int)old_order[i], words[i]);
    form_fit_numbers(c);
    f->partial = true;
    form_note(f, "hw_caps are eight words of features that Xen itself uses: what guests get is "
                 "worked out from them, and the rest of the CPU stays unknown");
    return form_one_cpu(f, c);
}

const struct form_reader form_xl_info = {
    .name = "xl info",
    .looks_like = looks_like_xl_info,
    .read = read_xl_info,
};
