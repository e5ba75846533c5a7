/* SPDX-License-Identifier: MIT */
/*
 * xenlevel show: a policy file, a save image or a domain, for people or programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "level-at.h"
#include "out.h"
#include "show.h"
#include "unknown.h"
#include "util.h"

static const struct cmd_option options[] = {
    {'p', "policy", "NAME", "of a host: raw, host, pv-max, hvm-max, pv-default or hvm-default"},
    {'t', "type", "TYPE", "pv or hvm: the default policy of a host for it, the level of a pool"},
    {'l', "leaves", NULL, "print every CPUID leaf and MSR as well"},
    {'o', "output", "FILE", "keep the policy of a domain or save image in a file"},
    CMD_JSON,
    CMD_END,
};

void show_host(FILE *f, const struct subject *s)
{
    const Xenlevel__Host *host = s->file->host;
    char caps[XC_LEVELCAPS_TEXT] = "";
    struct table t;
    char *id, *xen, *unknown;

    if (host->family)
        id = xasprintf("%s family %#x model %#x stepping %#x", host->vendor, host->family,
                       host->model, host->stepping);
    else
        id = xasprintf("%s, family and model not known", host->vendor[0] ? host->vendor : "vendor");
    if (host->source == XENLEVEL__SOURCE__SOURCE_DUMP)
        xen = xasprintf("none: from a CPUID dump; the policies are what Xen %s would offer",
                        host->xen_version[0] ? host->xen_version : "4.17");
    else if (!host->xen_version[0])
        xen = xstrdup("version not known");
    else
        xen = xasprintf("%s%s%s", host->xen_version, host->xen_build_id[0] ? ", build id " : "",
                        host->xen_build_id);
    if (s->caps_known)
        (void)xc_levelling_caps_text(s->caps, caps, sizeof(caps));
    table_init(&t, 2, 0);
    table_row(&t, "host", host->name);
    table_row(&t, "cpu", host->cpu);
    table_row(&t, "", id);
    table_row(&t, "xen", xen);
    table_row(&t, "levelling", s->caps_known ? caps : "unknown");
    if (host->levelling_worked_out)
        table_row(&t, "", "worked out from the CPU's model: this Xen does not say");
    table_row(&t, "captured", host->date);
    unknown = subject_unknown_cause(s, NULL);
    if (*unknown)
        table_row(&t, "not known", unknown);
    for (size_t i = 0; i < host->n_notes; i++)
        table_row(&t, i ? "" : "note", host->notes[i]);
    table_print(&t, f);
    free(unknown);
    free(id);
    free(xen);
}

void show_host_json(struct json *j, const struct subject *s)
{
    const Xenlevel__Host *host = s->file->host;
    char *unknown = subject_unknown_cause(s, NULL);

    json_string(j, "kind", "host");
    json_string(j, "name", host->name);
    json_string(j, "cpu", host->cpu);
    json_string(j, "vendor", host->vendor);
    json_number(j, "family", host->family);
    json_number(j, "model", host->model);
    json_number(j, "stepping", host->stepping);
    json_string(j, "source", host->source == XENLEVEL__SOURCE__SOURCE_DUMP ? "dump" : "xen");
    json_string(j, "xen_version", host->xen_version);
    json_string(j, "xen_build_id", host->xen_build_id);
    json_string(j, "xen_capabilities", host->xen_capabilities);
    json_string(j, "date", host->date);
    if (s->caps_known)
        json_levelling_caps(j, "levelling_caps", s->caps);
    else
        json_string(j, "levelling_caps", NULL);
    json_bool(j, "levelling_worked_out", host->levelling_worked_out);
    json_string(j, "not_known", *unknown ? unknown : NULL);
    free(unknown);
    json_array(j, "notes");
    for (size_t i = 0; i < host->n_notes; i++)
        json_string(j, NULL, host->notes[i]);
    json_close_array(j);
}

static void print_leaf(FILE *f, const xen_cpuid_leaf_t *leaf, const struct cpuid_regs *unknown)
{
    char subleaf[16] = "-", eax[17], ebx[17], ecx[17], edx[17];

    if (leaf->subleaf != XEN_CPUID_NO_SUBLEAF)
        (void)snprintf(subleaf, sizeof(subleaf), "%x", leaf->subleaf);
    unknown_format_value(leaf->a, unknown ? unknown->a : 0, 8, eax);
    unknown_format_value(leaf->b, unknown ? unknown->b : 0, 8, ebx);
    unknown_format_value(leaf->c, unknown ? unknown->c : 0, 8, ecx);
    unknown_format_value(leaf->d, unknown ? unknown->d : 0, 8, edx);
    out_print(f, "  %08x %-8s %s %s %s %s\n", leaf->leaf, subleaf, eax, ebx, ecx, edx);
}

static void print_leaves(FILE *f, const struct cpu_policy *p, const struct cpu_policy *mask)
{
    struct xc_leaves l;

    if (xc_policy_to_leaves(p, &l))
        return;
    (void)fprintf(f, "  leaf     subleaf  eax      ebx      ecx      edx\n");
    for (size_t i = 0; i < l.nr_leaves; i++)
        print_leaf(f, &l.leaves[i], policy_leaf_const(mask, l.leaves[i].leaf, l.leaves[i].subleaf));
    for (size_t i = 0; i < l.nr_msrs; i++) {
        bool caps = l.msrs[i].idx == MSR_ARCH_CAPABILITIES;
        char value[17];

        unknown_format_value(l.msrs[i].val, caps ? mask->arch_caps : mask->platform_info, 16,
                             value);
        out_print(f, "  msr %08x      %s\n", l.msrs[i].idx, value);
    }
    xc_leaves_free(&l);
}

/* The features of which nobody knows, under a heading of their own. */
static void print_unknown(const struct subject *s, const struct cpu_policy *mask)
{
    struct featureset fs;
    char *what;

    if (!unknown_any(mask))
        return;
    unknown_features(mask, &fs);
    what = subject_unknown_cause(s, &fs);
    out_text(stdout, 2, 4, "not known, because the source does not say them: %s%s", what,
             featureset_empty(&fs) ? "" : "; it may have these features or not:");
    show_features(stdout, 4, &fs);
    free(what);
}

static void print_policy(const struct subject *s, const char *title, const struct cpu_policy *p,
                         const struct cpu_policy *mask, bool leaves)
{
    char words[UNKNOWN_WORDS_TEXT], count[32], more[48] = "";
    struct featureset fs, unknown;

    policy_to_featureset(mask, &unknown);
    policy_to_featureset(p, &fs);
    featureset_andnot(&fs, &fs, &unknown);
    unknown_format_words(p, mask, words);
    unknown_features(mask, &unknown);
    if (!featureset_empty(&unknown))
        (void)snprintf(more, sizeof(more), " and %u not known", featureset_count(&unknown));
    unknown = fs;
    unknown.w[FEATURESET_Aa] = 0;
    out_print(stdout, "\n%s: %s%s\n", title,
              plural(count, sizeof(count), featureset_count(&unknown), "feature", "features"),
              more);
    if (words[0])
        out_text(stdout, 2, 2, "%s", words);
    show_features(stdout, 2, &fs);
    print_unknown(s, mask);
    if (leaves)
        print_leaves(stdout, p, mask);
}

/* What is to be shown, after the options. */
struct choice {
    bool by_name;
    enum xc_policy_index index;
    enum subject_type type;
    bool leaves, json;
};

static void show_level(const struct subject *s, const struct choice *c, struct json *j)
{
    static const struct cpu_policy nothing;
    const Xenlevel__Level *level = s->file->level;

    if (j) {
        json_string(j, "kind", "level");
        json_string(j, "name", level->name);
        json_string(j, "date", level->date);
        json_array(j, "members");
        for (size_t i = 0; i < level->n_members; i++) {
            json_object(j, NULL);
            json_string(j, "name", level->members[i]->name);
            json_string(j, "cpu", level->members[i]->cpu);
            json_close_object(j);
        }
        json_close_array(j);
    } else {
        struct table t;

        table_init(&t, 3, 0);
        table_row(&t, "pool", level->name, "");
        table_row(&t, "levelled", level->date, "");
        for (size_t i = 0; i < level->n_members; i++)
            table_row(&t, i ? "" : "hosts", level->members[i]->name, level->members[i]->cpu);
        table_print(&t, stdout);
    }
    for (int type = TYPE_PV; type < TYPES; type++) {
        if (!s->have_level[type] || (c->type != TYPE_UNKNOWN && c->type != type))
            continue;
        if (j)
            json_policy(j, type == TYPE_PV ? "pv" : "hvm", &s->level[type], c->leaves);
        else
            print_policy(s, type == TYPE_PV ? "PV guests" : "HVM and PVH guests", &s->level[type],
                         &nothing, c->leaves);
    }
}

/* A featureset, for example, has no model: what stands there then is 0, and no CPU's. */
static char *guest_cpu(const struct subject *s)
{
    if (s->guest_unknown.basic[1].a == UINT32_MAX && s->guest_unknown.extd[2].a == UINT32_MAX)
        return xstrdup("model not known");
    return show_cpu(&s->guest);
}

static void show_guest(const struct subject *s, const struct choice *c, struct json *j)
{
    char *cpu = guest_cpu(s);

    if (j) {
        json_string(j, "kind", "guest");
        json_string(j, "name", s->name);
        json_string(j, "type", s->type_name);
        json_string(j, "cpu", cpu);
        json_string(j, "xen_version", s->xen);
        json_policy_known(j, "policy", &s->guest, &s->guest_unknown, c->leaves);
    } else {
        struct table t;

        table_init(&t, 2, 0);
        table_row(&t, "guest", s->name);
        table_row(&t, "type", s->type_name);
        table_row(&t, "cpu", cpu);
        table_row(&t, "xen", s->xen[0] ? s->xen : "unknown");
        table_print(&t, stdout);
        print_policy(s, "its CPU", &s->guest, &s->guest_unknown, c->leaves);
    }
    free(cpu);
}

/* Every policy of a host in JSON; the one asked for, or what a guest is born with, as text. */
static int show_a_host(const struct subject *s, const struct choice *c, struct json *j)
{
    enum xc_policy_index index = c->index;

    if (!c->by_name)
        index = subject_default(c->type == TYPE_PV ? TYPE_PV : TYPE_HVM);
    if (!c->by_name && !s->have[index] && c->type == TYPE_UNKNOWN)
        index = XC_POLICY_HOST;
    if ((c->by_name || c->type != TYPE_UNKNOWN) && !s->have[index])
        return complain("%s has no policy %s: it cannot run such guests", s->origin,
                        xc_policy_name(index));
    if (!j) {
        show_host(stdout, s);
        if (s->have[index])
            print_policy(s, xc_policy_name(index), &s->policy[index], &s->unknown[index],
                         c->leaves);
        return STATUS_YES;
    }
    show_host_json(j, s);
    json_object(j, "policies");
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (s->have[i] && ((!c->by_name && c->type == TYPE_UNKNOWN) || i == index))
            json_policy_known(j, xc_policy_name(i), &s->policy[i], &s->unknown[i], c->leaves);
    json_close_object(j);
    return STATUS_YES;
}

/* Keep a guest's policy: a domain is gone after a while, the question where it can run is not. */
int show_keep_guest(const struct subject *s, const char *path)
{
    Xenlevel__File *file = xlp_new();
    Xenlevel__Guest *guest = xcalloc(1, sizeof(*guest));
    struct xlp_error error;
    char date[21];
    int rc;

    xenlevel__guest__init(guest);
    date_now(date);
    guest->name = xstrdup(s->name);
    guest->date = xstrdup(date);
    guest->xen_version = xstrdup(s->xen);
    if (s->type == TYPE_PV)
        guest->type = XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV;
    else if (s->type == TYPE_HVM)
        guest->type = strcmp(s->type_name, "PVH") ? XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM
                                                  : XENLEVEL__GUEST_TYPE__GUEST_TYPE_PVH;
    guest->policy = xlp_policy_from(&s->guest);
    guest->unknown = xlp_unknown_from(&s->guest_unknown);
    file->content_case = XENLEVEL__FILE__CONTENT_GUEST;
    file->guest = guest;
    rc = xlp_save(path, file, &error);
    xlp_free(file);
    return rc ? complain("%s", error.text) : STATUS_YES;
}

static int show_file(const struct subject *s, const struct choice *c)
{
    struct json *j = c->json ? json_begin() : NULL;
    int status = STATUS_YES;

    if (j)
        json_object(j, NULL);
    if (s->kind == SUBJECT_HOST)
        status = show_a_host(s, c, j);
    else if (s->kind == SUBJECT_NAMED && j)
        level_named_json(j, s->named);
    else if (s->kind == SUBJECT_NAMED)
        level_named_print(s->named);
    else if (s->kind == SUBJECT_LEVEL)
        show_level(s, c, j);
    else
        show_guest(s, c, j);
    if (j && status == STATUS_YES) {
        json_close_object(j);
        status = json_end(j);
    }
    return status;
}

static int run_show(const struct command *cmd, int argc, char **argv)
{
    struct choice c = {.type = TYPE_UNKNOWN};
    const char *value, *output = NULL;
    struct subject s;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        switch (letter) {
        case 'p':
            c.by_name = true;
            if (parse_policy_name(value, &c.index))
                return STATUS_TROUBLE;
            break;
        case 't':
            if (parse_type(value, &c.type))
                return STATUS_TROUBLE;
            break;
        case 'l':
            c.leaves = true;
            break;
        case 'o':
            output = value;
            break;
        case 'j':
            c.json = true;
            break;
        default:
            return STATUS_TROUBLE;
        }
    }
    if (argc - first != 1)
        return cmd_usage(cmd, "one file, save image or domain is needed");
    if (c.by_name && c.type != TYPE_UNKNOWN)
        return cmd_usage(cmd, "--policy and --type exclude each other");
    if (subject_open(argv[first], &s)) {
        subject_close(&s);
        return STATUS_TROUBLE;
    }
    if (c.by_name && s.kind != SUBJECT_HOST)
        status = complain("%s is not a host: --policy does not apply", s.origin);
    else if (output && s.kind != SUBJECT_GUEST)
        status = complain("%s is a policy file already: --output is for domains and save images",
                          s.origin);
    else
        status = show_file(&s, &c);
    if (output && status == STATUS_YES)
        status = show_keep_guest(&s, output);
    subject_close(&s);
    return status;
}

const struct command cmd_show = {
    .name = "show",
    .args = "FILE|IMAGE|DOMAIN",
    .summary = "print a policy file, a save image or a domain",
    .about = "Prints what a file, an image made by `xl save`, or a domain (by name or number) has "
             "in it: every feature by name, where it is and what it is. Of a host, the policy "
             "that HVM guests are born with, unless another one is asked for. `-` is this host.",
    .options = options,
    .run = run_show,
};
