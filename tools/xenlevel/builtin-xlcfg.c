/* SPDX-License-Identifier: MIT */
/*
 * xenlevel xlcfg: a pool's level as lines for xl.cfg(5).
 *
 * xl takes cpuid= in one of two forms, never both: names ("host,avx2=0"), or a list of bit strings
 * by leaf and register.  Bit strings are written by default, because they can say everything that
 * CPUID has, also what this libxl has no name for.  Each bit is '0' (hidden), '1' (told: hazards)
 * or 'x' (as the host has it by default), the most significant one first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "features-gen.h"
#include "json.h"
#include "level-json.h"
#include "out.h"
#include "release.h"
#include "show.h"
#include "subject.h"
#include "util.h"
#include "xlcfg-forms.h"

static const struct cmd_option options[] = {
    {'t', "type", "TYPE", "for pv or hvm guests (default: hvm, which PVH guests are too)"},
    {'f', "form", "FORM",
     "bits (default) or names: the form of the cpuid= line; libvirt, featureset, cmdline or json: "
     "for others than xl"},
    {'X', "xen", "RELEASE",
     "for names and cmdline: the Xen whose names count, as in 4.20 (default: the hosts')"},
    CMD_JSON,
    CMD_END,
};

enum form { FORM_BITS, FORM_NAMES, FORM_LIBVIRT, FORM_FEATURESET, FORM_CMDLINE, FORM_JSON };

/* A register's 32 characters. */
struct bits {
    char text[33];
};

static void word_bits(unsigned int word, const struct featureset *level, struct bits *b)
{
    const uint32_t hazard = featureset_merge_mask(MERGE_HAZARD)->w[word];
    const uint32_t alone = featureset_merge_mask(MERGE_DYNAMIC)->w[word] |
                           featureset_merge_mask(MERGE_MIRROR)->w[word];

    for (unsigned int bit = 0; bit < 32; bit++) {
        bool set = level->w[word] >> bit & 1;
        char c = set ? 'x' : '0';

        if (alone >> bit & 1)
            c = 'x';
        else if (hazard >> bit & 1)
            c = set ? '1' : 'x';
        b->text[31 - bit] = c;
    }
    b->text[32] = '\0';
}

/* A number in bits high..low of a register, the rest as it is. */
static void number_bits(uint32_t value, unsigned int high, unsigned int low, struct bits *b)
{
    memset(b->text, 'x', 32);
    for (unsigned int bit = low; bit <= high; bit++) {
        bool set = value >> (bit - low) & 1;

        b->text[31 - bit] = set ? '1' : '0';
    }
    b->text[32] = '\0';
}

/* One entry: "0x7,0:ebx=..." and what follows it as a comment. */
struct entry {
    char leaf[32];
    const char *reg;
    struct bits bits;
    char *comment;
};

struct entries {
    struct entry e[FEATURESET_WORDS + 4];
    size_t n;
};

static void add_entry(struct entries *list, uint32_t leaf, uint32_t subleaf, unsigned int reg,
                      const struct bits *b, char *comment)
{
    struct entry *e = &list->e[list->n++];

    if (subleaf == POLICY_NONE)
        (void)snprintf(e->leaf, sizeof(e->leaf), "%#x", leaf);
    else
        (void)snprintf(e->leaf, sizeof(e->leaf), "%#x,%u", leaf, subleaf);
    e->reg = xc_register_name(reg);
    e->bits = *b;
    e->comment = comment;
}

/* The names in one word of what the members give up: what the '0's there are about. */
static char *names_of(const struct featureset *fs, unsigned int word)
{
    char *list = xstrdup("");

    for (int f = featureset_next(fs, word * 32); f >= 0 && (unsigned int)f < word * 32 + 32;
         f = featureset_next(fs, (unsigned int)f + 1)) {
        const struct feature_info *info = feature_info((unsigned int)f);
        char *longer = xasprintf("%s%s%s", list, *list ? " " : "", info ? info->name : "?");

        free(list);
        list = longer;
    }
    return list;
}

static void add_words(const Xenlevel__Featureset *f, struct featureset *all)
{
    struct featureset fs;

    if (f && !featureset_from_words(&fs, f->words, f->n_words))
        featureset_or(all, all, &fs);
}

/* What members give up, and what is left out because some member does not say whether it has it:
 * all that a host of the pool may show and a guest must not see. */
static void given_up(const struct subject *pool, enum subject_type type, struct featureset *all)
{
    const Xenlevel__Level *level = pool->file->level;

    memset(all, 0, sizeof(*all));
    for (size_t i = 0; i < level->n_members; i++) {
        const Xenlevel__Member *m = level->members[i];

        add_words(type == TYPE_PV ? m->pv_given_up : m->hvm_given_up, all);
        add_words(type == TYPE_PV ? m->pv_left_out : m->hvm_left_out, all);
    }
}

/* The leaf's family must reach it, or what is written there means nothing. */
static bool is_reached(const struct cpu_policy *p, uint32_t leaf, uint32_t subleaf)
{
    if (leaf >= 0x80000000u)
        return leaf <= p->extd[0].a;
    if (leaf > p->basic[0].a)
        return false;
    return leaf != 7 || subleaf <= p->feat[0].a;
}

static void collect_entries(const struct cpu_policy *p, const struct featureset *lost,
                            struct entries *list)
{
    struct featureset fs;
    struct bits b;

    policy_to_featureset(p, &fs);
    number_bits(p->basic[0].a, 31, 0, &b);
    add_entry(list, 0, POLICY_NONE, 0, &b, xstrdup("highest leaf"));
    if (p->basic[0].a >= 7) {
        number_bits(p->feat[0].a, 31, 0, &b);
        add_entry(list, 7, 0, 0, &b, xstrdup("highest subleaf of leaf 7"));
    }
    number_bits(p->extd[0].a, 31, 0, &b);
    add_entry(list, 0x80000000u, POLICY_NONE, 0, &b, xstrdup("highest extended leaf"));
    if (p->extd[0].a >= 0x80000008u) {
        number_bits(p->extd[8].a & 0xff, 7, 0, &b);
        add_entry(list, 0x80000008u, POLICY_NONE, 0, &b, xstrdup("bits of a physical address"));
    }
    for (unsigned int w = 0; w < FEATURESET_XEN_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);

        if (info->leaf == POLICY_NONE || !is_reached(p, info->leaf, info->subleaf))
            continue;
        word_bits(w, &fs, &b);
        /* Nothing hidden, nothing told: no line. */
        if (strspn(b.text, "x") < 32)
            add_entry(list, info->leaf, info->subleaf, info->reg, &b, names_of(lost, w));
    }
}

static void print_bits(const struct entries *list)
{
    (void)printf("cpuid = [\n");
    for (size_t i = 0; i < list->n; i++) {
        const struct entry *e = &list->e[i];

        if (e->comment[0])
            (void)printf("    # %s\n", e->comment);
        (void)printf("    \"%s:%s=%s\"%s\n", e->leaf, e->reg, e->bits.text,
                     i + 1 < list->n ? "," : "");
    }
    (void)printf("]\n");
}

/* What guests must be told though a host may not say it by itself. */
static void told_by(const struct cpu_policy *p, struct featureset *told)
{
    struct featureset fs;

    policy_to_featureset(p, &fs);
    featureset_or(told, featureset_merge_mask(MERGE_HAZARD),
                  featureset_merge_mask(MERGE_ACCUMULATE));
    featureset_and(told, told, &fs);
    if (featureset_test(&fs, X86_FEATURE_ARCH_CAPS)) /* hazards of the MSR need it */
        featureset_set(told, X86_FEATURE_ARCH_CAPS);
}

/* ",avx2=0,bmi1=0": what this libxl has a name for. */
static void print_settings(const struct featureset *fs, char value, unsigned int xen)
{
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        const char *name = release_libxl_name(xen, (unsigned int)f);

        if (name)
            (void)printf(",%s=%c", name, value);
    }
}

/* "host,avx2=0,rsba=1,...": only what the members really give up, and what guests must be told;
 * only by name. */
static void print_names(const struct xlcfg_level *level)
{
    struct featureset told, all;
    char *unnamed, release[RELEASE_TEXT];

    told_by(level->policy, &told);
    featureset_or(&all, level->lost, &told);
    unnamed = xlcfg_unnamed(&all, level->xen);
    if (*unnamed)
        (void)printf("# Xen %s has no name for these, and offers them to nobody:\n#   %s\n",
                     release_text(level->xen, release), unnamed);
    free(unnamed);
    (void)printf("cpuid = \"host,maxleaf=%#x", level->policy->basic[0].a);
    print_settings(level->lost, '0', level->xen);
    print_settings(&told, '1', level->xen);
    (void)printf("\"\n");
}

/* Do two releases write the same names of these? */
static bool same_names(const struct featureset *fs, unsigned int a, unsigned int b)
{
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        const char *one = release_libxl_name(a, (unsigned int)f);
        const char *other = release_libxl_name(b, (unsigned int)f);

        if (!one != !other || (one && strcmp(one, other) != 0))
            return false;
    }
    return true;
}

/*
 * The release whose names count where --xen does not say it: that of the pool's hosts.  When nobody
 * knows them, the newest.  0; or -1 after a message when hosts have several, which write other
 * names.
 */
static int release_of_hosts(const struct subject *pool, const struct featureset *named,
                            unsigned int *xen)
{
    const Xenlevel__Level *level = pool->file->level;
    char one[RELEASE_TEXT], other[RELEASE_TEXT];

    *xen = 0;
    for (size_t i = 0; i < level->n_members; i++) {
        unsigned int own = release_of(level->members[i]->xen_version);

        if (!*xen)
            *xen = own;
        if (!own || own == *xen || same_names(named, own, *xen))
            continue;
        warn("the hosts of '%s' have Xen %s and %s, which have other names: --xen says for which "
             "of them this is",
             pool->name, release_text(*xen < own ? *xen : own, one),
             release_text(*xen < own ? own : *xen, other));
        return -1;
    }
    if (!*xen)
        *xen = XEN_NEWEST;
    return 0;
}

/* What xl cannot be told by the lines. */
static void print_limits(const struct cpu_policy *p, const struct featureset *lost, bool names)
{
    char *low = names_of(lost, FEATURESET_m10Al), *high = names_of(lost, FEATURESET_m10Ah);

    (void)printf("# xl has no msr= option.\n");
    if (!names && (*low || *high))
        (void)printf("# Bits of MSR 10A (arch-caps) that the level does not have, and that bit "
                     "strings cannot hide:\n#   %s%s%s\n"
                     "# Use `xenlevel apply` (or --form names) when a host has them.\n",
                     low, *low && *high ? " " : "", high);
    if (names)
        (void)printf(
            "# Names cannot lower the highest subleaf of leaf 7 (%u), the highest extended "
            "leaf (%#x),\n# or the width of physical addresses (%u bits); and an older "
            "libxl may not know them all.\n",
            p->feat[0].a, p->extd[0].a, p->extd[8].a & 0xff);
    free(low);
    free(high);
}

/* The features given up that this libxl has a name for, or those that it has none for: by ours, or
 * by their place where nobody names the bit (a level's file may hold any). */
static void json_names(struct json *j, const char *key, const struct xlcfg_level *level, bool named)
{
    char word[64];

    json_array(j, key);
    for (int f = featureset_next(level->lost, 0); f >= 0;
         f = featureset_next(level->lost, (unsigned int)f + 1)) {
        const char *name = release_libxl_name(level->xen, (unsigned int)f);

        if (!name != !named)
            continue;
        feature_word((unsigned int)f, word, sizeof(word));
        json_string(j, NULL, name ? name : word);
    }
    json_close_array(j);
}

static int print_json(const struct subject *pool, const struct xlcfg_level *level,
                      const struct entries *list)
{
    struct json *j = json_begin();
    char release[RELEASE_TEXT];

    json_object(j, NULL);
    json_string(j, "pool", pool->name);
    json_string(j, "type", level->type == TYPE_PV ? "pv" : "hvm");
    if (level->xen) {
        json_string(j, "xen", release_text(level->xen, release));
        json_names(j, "names", level, true);
        json_names(j, "unnamed", level, false);
    }
    json_array(j, "cpuid");
    for (size_t i = 0; i < list->n; i++) {
        char line[96];

        (void)snprintf(line, sizeof(line), "%s:%s=%s", list->e[i].leaf, list->e[i].reg,
                       list->e[i].bits.text);
        json_string(j, NULL, line);
    }
    json_close_array(j);
    json_features(j, "hidden", level->lost);
    json_close_object(j);
    return json_end(j);
}

/* The forms of others. */
static int write_other(enum form form, const struct xlcfg_level *level)
{
    if (form == FORM_LIBVIRT)
        return print_libvirt(level);
    (form == FORM_FEATURESET ? print_featureset : print_cmdline)(level);
    return STATUS_YES;
}

/* xen: 0, that of the hosts. */
static int write_config(const struct subject *pool, enum subject_type type, enum form form,
                        unsigned int xen, bool json)
{
    const struct cpu_policy *p = subject_guest_policy(pool, &type);
    struct xlcfg_level level;
    struct entries *list;
    struct featureset lost, named;
    int status = STATUS_YES;

    if (!p)
        return STATUS_TROUBLE;
    given_up(pool, type, &lost);
    told_by(p, &named);
    featureset_or(&named, &named, &lost);
    if (!xen && (form == FORM_NAMES || form == FORM_CMDLINE) &&
        release_of_hosts(pool, &named, &xen))
        return STATUS_TROUBLE;
    level = (struct xlcfg_level){p, &lost, type, xen};
    if (form > FORM_NAMES)
        return write_other(form, &level);
    list = xcalloc(1, sizeof(*list));
    collect_entries(p, &lost, list);
    if (json) {
        status = print_json(pool, &level, list);
    } else {
        out_print(stdout, "# The level of '%s' for %s guests, by xenlevel.\n", pool->name,
                  type == TYPE_PV ? "PV" : "HVM and PVH");
        print_limits(p, &lost, form == FORM_NAMES);
        if (form == FORM_NAMES)
            print_names(&level);
        else
            print_bits(list);
    }
    for (size_t i = 0; i < list->n; i++)
        free(list->e[i].comment);
    free(list);
    return status;
}

static int parse_form(const char *text, enum form *form)
{
    static const char *const forms[] = {"bits",       "names",   "libvirt",
                                        "featureset", "cmdline", "json"};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (!strcmp(text, forms[i])) {
            *form = (enum form)i;
            return 0;
        }
    return -1;
}

static int run_xlcfg(const struct command *cmd, int argc, char **argv)
{
    enum subject_type type = TYPE_UNKNOWN;
    enum form form = FORM_BITS;
    bool json = false;
    unsigned int xen = 0;
    struct subject *pool;
    const char *value;
    int letter, first, status = STATUS_TROUBLE;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'j')
            json = true;
        else if (letter == 'f' && parse_form(value, &form))
            return cmd_usage(cmd, "--form is bits, names, libvirt, featureset, cmdline or json");
        else if ((letter == 'X' && release_option("--xen", value, &xen)) ||
                 (letter == 't' && parse_type(value, &type)) || !strchr("ftX", letter))
            return STATUS_TROUBLE;
    }
    if (xen && form != FORM_NAMES && form != FORM_CMDLINE)
        return cmd_usage(cmd, "--xen goes with --form names and cmdline");
    if (json && form > FORM_NAMES)
        return cmd_usage(cmd, "--json goes with --form bits and names");
    if (argc - first != 1)
        return cmd_usage(cmd, "one pool is needed");
    pool = xcalloc(1, sizeof(*pool));
    if (!subject_open(argv[first], pool)) {
        if (pool->kind != SUBJECT_LEVEL)
            status = complain("%s is not a pool's level: see `xenlevel level`", pool->origin);
        else if (form == FORM_JSON)
            status = level_to_json(pool->file->level);
        else
            status = write_config(pool, type, form, xen, json);
    }
    subject_close(pool);
    free(pool);
    return status;
}

const struct command cmd_xlcfg = {
    .name = "xlcfg",
    .args = "POOL",
    .summary = "a pool's level as lines for xl.cfg",
    .about =
        "Prints the cpuid= setting for xl.cfg(5) that gives a guest the level of a pool from "
        "its birth, in xl's bit string form, which can name every bit of CPUID; or by feature "
        "name. xl has no msr= setting: what the level hides in MSRs is named in a comment, and "
        "`xenlevel apply` can hide it. Names differ between releases of Xen: they are those of "
        "the pool's hosts, or of --xen.\n\n"
        "--form libvirt: a <cpu> element; featureset: the words that XAPI keeps; cmdline: "
        "cpuid= for Xen's own command line, on each host; json: the level as text that can "
        "be edited, and be given to every command in the place of the file.",
    .options = options,
    .run = run_xlcfg,
};
