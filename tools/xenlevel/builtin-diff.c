/* SPDX-License-Identifier: MIT */
/*
 * xenlevel diff: what tells two CPUs apart.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "out.h"
#include "show.h"
#include "subject.h"
#include "unknown.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'p', "policy", "NAME", "of hosts: raw, host, pv-max, hvm-max, pv-default or hvm-default"},
    {'t', "type", "TYPE",
     "pv or hvm: of hosts what such guests are born with, of pools their level"},
    {'l', "leaves", NULL, "also every other register that differs"},
    CMD_JSON,
    CMD_END,
};

struct side {
    struct subject s;
    const struct cpu_policy *policy, *unknown;
    const char *which;
    struct featureset fs;    /* what it has for sure */
    struct featureset maybe; /* what nobody knows of it */
};

/* The policy to compare: hosts as they are when both are hosts, else what guests have. */
static int choose_policy(struct side *side, bool by_name, enum xc_policy_index index,
                         enum subject_type type, bool hosts)
{
    if (side->s.kind == SUBJECT_HOST && (by_name || (hosts && type == TYPE_UNKNOWN))) {
        if (!by_name)
            index = XC_POLICY_HOST;
        if (!side->s.have[index]) {
            warn("%s has no policy %s", side->s.origin, xc_policy_name(index));
            return -1;
        }
        side->policy = &side->s.policy[index];
        side->unknown = &side->s.unknown[index];
        side->which = xc_policy_name(index);
    } else {
        side->policy = subject_guest_policy(&side->s, &type);
        if (!side->policy)
            return -1;
        side->unknown = subject_guest_unknown(&side->s, type);
        if (side->s.kind == SUBJECT_HOST)
            side->which = xc_policy_name(subject_default(type));
        else if (side->s.kind == SUBJECT_LEVEL)
            side->which = type == TYPE_PV ? "level for PV" : "level for HVM/PVH";
        else
            side->which = "guest";
    }
    policy_to_featureset(side->policy, &side->fs);
    side->fs.w[FEATURESET_Aa] = 0;
    unknown_features(side->unknown, &side->maybe);
    featureset_andnot(&side->fs, &side->fs, &side->maybe);
    return 0;
}

/* The registers that are feature words are reported by feature. */
static bool feature_register(uint32_t leaf, uint32_t subleaf, unsigned int reg)
{
    for (unsigned int w = 0; w < FEATURESET_WORDS; w++) {
        const struct featureset_word_info *info = featureset_word_info(w);

        if (w != FEATURESET_Aa && info->leaf == leaf && info->subleaf == subleaf &&
            info->reg == reg)
            return true;
    }
    return false;
}

struct difference {
    uint32_t leaf, subleaf;
    unsigned int reg;
    uint32_t a, b;
};

/* The registers of one leaf that differ and are not feature words. */
static size_t compare_leaf(const struct cpu_policy known[2], uint32_t leaf, uint32_t subleaf,
                           struct difference *list)
{
    const struct cpuid_regs zero = {0};
    const struct cpuid_regs *x = policy_leaf_const(&known[0], leaf, subleaf);
    const struct cpuid_regs *y = policy_leaf_const(&known[1], leaf, subleaf);
    size_t n = 0;

    x = x ? x : &zero;
    y = y ? y : &zero;
    const uint32_t va[4] = {x->a, x->b, x->c, x->d}, vb[4] = {y->a, y->b, y->c, y->d};
    for (unsigned int reg = 0; reg < 4; reg++)
        if (va[reg] != vb[reg] && !feature_register(leaf, subleaf, reg))
            list[n++] = (struct difference){leaf, subleaf, reg, va[reg], vb[reg]};
    return n;
}

static bool has_leaf(const struct xc_leaves *l, const xen_cpuid_leaf_t *leaf)
{
    for (size_t i = 0; i < l->nr_leaves; i++)
        if (l->leaves[i].leaf == leaf->leaf && l->leaves[i].subleaf == leaf->subleaf)
            return true;
    return false;
}

/* All registers that differ, as far as both are known, and are not feature words; the count.  *list
 * is malloc'ed. */
static size_t register_differences(const struct side *one, const struct side *other,
                                   struct difference **list)
{
    const struct side *const sides[2] = {one, other};
    struct cpu_policy *known = xcalloc(2, sizeof(*known));
    struct xc_leaves l[2] = {0};
    size_t n = 0;

    *list = xcalloc((size_t)8 * POLICY_MAX_LEAVES, sizeof(**list));
    for (unsigned int i = 0; i < 2; i++) {
        known[i] = *sides[i]->policy;
        unknown_clear(&known[i], one->unknown);
        unknown_clear(&known[i], other->unknown);
        if (xc_policy_to_leaves(sides[i]->policy, &l[i]))
            l[i] = (struct xc_leaves){0};
    }
    for (unsigned int i = 0; i < 2; i++)
        for (size_t k = 0; k < l[i].nr_leaves; k++)
            if (!i || !has_leaf(&l[0], &l[i].leaves[k]))
                n += compare_leaf(known, l[i].leaves[k].leaf, l[i].leaves[k].subleaf, *list + n);
    xc_leaves_free(&l[0]);
    xc_leaves_free(&l[1]);
    free(known);
    return n;
}

/* MSR CE, as far as both are known. */
static bool differ_in_platform_info(const struct side *a, const struct side *b)
{
    return (a->policy->platform_info ^ b->policy->platform_info) & ~a->unknown->platform_info &
           ~b->unknown->platform_info;
}

/* Is there anything that nobody knows?  Not between two copies of one file. */
static bool is_half_known(const struct side *a, const struct side *b)
{
    if (!strcmp(a->s.name, b->s.name) && !memcmp(a->policy, b->policy, sizeof(*a->policy)) &&
        !memcmp(a->unknown, b->unknown, sizeof(*a->unknown)))
        return false;
    return unknown_any(a->unknown) || unknown_any(b->unknown);
}

/* The features that only `one` has for sure, of those that are known of the other. */
static void only_in(const struct side *one, const struct side *other, struct featureset *fs)
{
    featureset_andnot(fs, &one->fs, &other->fs);
    featureset_andnot(fs, fs, &other->maybe);
}

/* Return whether any feature that is known of both tells them apart. */
static bool differ_in_features(const struct side *a, const struct side *b)
{
    struct featureset x, y;

    only_in(a, b, &x);
    only_in(b, a, &y);
    return !featureset_empty(&x) || !featureset_empty(&y);
}

/* What nobody knows of one side, so that it was not compared. */
static void print_maybe(const struct side *side)
{
    char *what, *how, count[32];

    if (!unknown_any(side->unknown))
        return;
    if (featureset_empty(&side->maybe)) {
        what = unknown_text(side->unknown);
        out_text(stdout, 0, 2, "not known of %s (%s), so not compared: %s", side->s.name,
                 side->which, what);
        free(what);
        return;
    }
    what = subject_unknown_cause(&side->s, &side->maybe);
    how = subject_unknown_how(&side->s);
    out_text(stdout, 0, 2, "not known of %s (%s), so not compared: %s, with %s:", side->s.name,
             side->which, what,
             plural(count, sizeof(count), featureset_count(&side->maybe), "feature", "features"));
    show_features(stdout, 2, &side->maybe);
    out_text(stdout, 2, 4, "%s", how);
    free(what);
    free(how);
}

static void print_only(const struct side *one, const struct side *other)
{
    struct featureset fs;
    char count[32];

    only_in(one, other, &fs);
    if (featureset_empty(&fs))
        return;
    out_text(stdout, 0, 2, "only in %s (%s), %s:", one->s.name, one->which,
             plural(count, sizeof(count), featureset_count(&fs), "feature", "features"));
    show_features(stdout, 2, &fs);
}

static int print_text(const struct side *a, const struct side *b, bool leaves)
{
    struct difference *list;
    size_t n = register_differences(a, b, &list);
    bool features = differ_in_features(a, b);

    print_only(a, b);
    print_only(b, a);
    if (n && leaves) {
        struct table t;

        out_text(stdout, 0, 2, "other registers that differ:");
        table_init(&t, 3, 2);
        table_row(&t, "", a->s.name, b->s.name);
        for (size_t i = 0; i < n; i++) {
            char where[48], va[16], vb[16];

            if (list[i].subleaf == POLICY_NONE)
                (void)snprintf(where, sizeof(where), "%x.%s", list[i].leaf,
                               xc_register_name(list[i].reg));
            else
                (void)snprintf(where, sizeof(where), "%x.%x.%s", list[i].leaf, list[i].subleaf,
                               xc_register_name(list[i].reg));
            (void)snprintf(va, sizeof(va), "%08x", list[i].a);
            (void)snprintf(vb, sizeof(vb), "%08x", list[i].b);
            table_row(&t, where, va, vb);
        }
        table_print(&t, stdout);
    } else if (n) {
        char count[32];

        out_text(stdout, 0, 2, "%s differ that are not features: see --leaves",
                 plural(count, sizeof(count), n, "register", "registers"));
    }
    if (differ_in_platform_info(a, b))
        out_print(stdout, "msr ce: %#" PRIx64 " in %s, %#" PRIx64 " in %s\n",
                  a->policy->platform_info, a->s.name, b->policy->platform_info, b->s.name);
    free(list);
    print_maybe(a);
    print_maybe(b);
    if (n || features || differ_in_platform_info(a, b))
        return STATUS_NO;
    if (is_half_known(a, b)) {
        out_text(stdout, 0, 2,
                 "cannot say whether %s (%s) and %s (%s) are the same CPU: all that is known of "
                 "both is the same",
                 a->s.name, a->which, b->s.name, b->which);
        return STATUS_NO;
    }
    out_text(stdout, 0, 2, "%s (%s) and %s (%s) are the same CPU", a->s.name, a->which, b->s.name,
             b->which);
    return STATUS_YES;
}

static int print_json(const struct side *a, const struct side *b)
{
    struct difference *list;
    size_t n = register_differences(a, b, &list);
    bool differ = n || differ_in_features(a, b) || differ_in_platform_info(a, b);
    bool same = !differ && !is_half_known(a, b);
    struct json *j = json_begin();
    const struct side *sides[2] = {a, b};

    json_object(j, NULL);
    json_bool(j, "same", same);
    json_string(j, "reason", same ? NULL : differ ? "different" : "unknown");
    json_array(j, "sides");
    for (unsigned int i = 0; i < 2; i++) {
        struct featureset fs;

        only_in(sides[i], sides[1 - i], &fs);
        json_object(j, NULL);
        json_string(j, "name", sides[i]->s.name);
        json_string(j, "origin", sides[i]->s.origin);
        json_string(j, "policy", sides[i]->which);
        json_features(j, "only_here", &fs);
        json_features(j, "unknown", &sides[i]->maybe);
        if (sides[i]->unknown->platform_info)
            json_string(j, "platform_info", NULL);
        else
            json_hex(j, "platform_info", sides[i]->policy->platform_info);
        json_close_object(j);
    }
    json_close_array(j);
    json_array(j, "registers");
    for (size_t i = 0; i < n; i++) {
        json_object(j, NULL);
        json_hex(j, "leaf", list[i].leaf);
        if (list[i].subleaf != POLICY_NONE)
            json_number(j, "subleaf", list[i].subleaf);
        json_string(j, "register", xc_register_name(list[i].reg));
        json_array(j, "values");
        json_hex(j, NULL, list[i].a);
        json_hex(j, NULL, list[i].b);
        json_close_array(j);
        json_close_object(j);
    }
    json_close_array(j);
    json_close_object(j);
    free(list);
    if (json_end(j))
        return STATUS_TROUBLE;
    return same ? STATUS_YES : STATUS_NO;
}

static int run_diff(const struct command *cmd, int argc, char **argv)
{
    bool by_name = false, leaves = false, json = false, hosts;
    enum xc_policy_index index = XC_POLICY_HOST;
    enum subject_type type = TYPE_UNKNOWN;
    struct side *sides;
    const char *value;
    int letter, first, status = STATUS_TROUBLE;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p' && !parse_policy_name(value, &index))
            by_name = true;
        else if (letter == 'l')
            leaves = true;
        else if (letter == 'j')
            json = true;
        else if (letter != 't' || parse_type(value, &type))
            return STATUS_TROUBLE;
    }
    if (argc - first != 2)
        return cmd_usage(cmd, "two files, save images or domains are needed");
    if (by_name && type != TYPE_UNKNOWN)
        return cmd_usage(cmd, "--policy and --type exclude each other");
    sides = xcalloc(2, sizeof(*sides));
    if (!subject_open(argv[first], &sides[0].s) && !subject_open(argv[first + 1], &sides[1].s)) {
        hosts = sides[0].s.kind == SUBJECT_HOST && sides[1].s.kind == SUBJECT_HOST;
        /* A guest says which type the other side is to be taken as. */
        for (unsigned int i = 0; i < 2 && type == TYPE_UNKNOWN; i++)
            if (sides[i].s.kind == SUBJECT_GUEST)
                type = sides[i].s.type;
        if (!choose_policy(&sides[0], by_name, index, type, hosts) &&
            !choose_policy(&sides[1], by_name, index, type, hosts))
            status =
                json ? print_json(&sides[0], &sides[1]) : print_text(&sides[0], &sides[1], leaves);
    }
    subject_close(&sides[0].s);
    subject_close(&sides[1].s);
    free(sides);
    return status;
}

const struct command cmd_diff = {
    .name = "diff",
    .args = "A B",
    .summary = "what tells two CPUs apart",
    .about = "Compares two policies: which features only one of them has, and which other "
             "registers differ. Two hosts are compared by what they are (policy host); a host and "
             "a guest or a pool, by what guests are born with there. Status 0: the same; 1: they "
             "differ.",
    .options = options,
    .run = run_diff,
};
