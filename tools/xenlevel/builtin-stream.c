/* SPDX-License-Identifier: MIT */
/*
 * xenlevel stream: save images on disk: what is in them, their CPU policy out and in.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "describe.h"
#include "out.h"
#include "rewrite.h"
#include "show.h"
#include "stream-show.h"
#include "subject.h"
#include "util.h"

#define MAX_FAULTS 1024

static const struct cmd_option options[] = {
    {'p', "policy", "FILE", "set-policy: the guest's policy, or a pool's level"},
    {'f', "force", "LIST",
     "set-policy: features that may be taken from the guest, names with commas between, or `all`"},
    {'o', "output", "FILE",
     "extract-policy: where to; by default the guest's name and .xlp, here. set-policy, strip: "
     "where to; by default in the image's own place"},
    {'r', "records", NULL, "show: every record"},
    CMD_JSON,
    CMD_END,
};

struct request {
    const char *policy, *output;
    bool forced, force_all, records, json;
    struct featureset may_go;
    const char *path;
    struct image image;
    struct policy_report losses; /* of the guest, by set-policy */
};

static int show_stream(struct request *q)
{
    return stream_show(&q->image, q->records, q->json);
}

/* ---- extract-policy ---- */

static int extract_policy(struct request *q)
{
    struct subject s;
    char *output;
    int status = STATUS_TROUBLE;

    if (!subject_open(q->path, &s)) {
        output = q->output ? xstrdup(q->output) : xasprintf("%s" XLP_SUFFIX, s.name);
        if (!q->output && strchr(s.name, '/'))
            status = complain("the guest's name is '%s': --output is needed", s.name);
        else
            status = show_keep_guest(&s, output);
        if (status == STATUS_YES)
            out_text(stdout, 0, 2, "written to %s", output);
        free(output);
    }
    subject_close(&s);
    return status;
}

/* ---- set-policy ---- */

/* Did --force name it? */
static bool may_go(const struct request *q, const struct policy_fault *f)
{
    bool feature = f->kind == FAULT_FEATURE_MISSING || f->kind == FAULT_HAZARD_UNTOLD;

    return q->force_all || (feature && featureset_test(&q->may_go, f->feature));
}

static void print_faults(FILE *f, const struct request *q, bool forced)
{
    const struct policy_report *r = &q->losses;
    char text[XC_FAULT_TEXT];

    for (size_t i = 0; i < r->count && i < r->max; i++)
        if (may_go(q, &r->faults[i]) == forced) {
            (void)xc_fault_text(&r->faults[i], text, sizeof(text));
            out_text(f, 2, 4, "%s", text);
        }
}

/* What the guest would lose.  A status. */
static int judge_losses(const struct request *q)
{
    const struct policy_report *r = &q->losses;
    size_t refused = r->count > r->max; /* what was not kept cannot have been named */

    for (size_t i = 0; i < r->count && i < r->max; i++)
        refused += !may_go(q, &r->faults[i]);
    if (!refused)
        return STATUS_YES;
    warn("%s: its guest was told of a CPU that it would not have with %s (--force LIST takes "
         "these all the same):",
         q->path, q->policy);
    print_faults(stderr, q, false);
    return STATUS_NO;
}

static int is_impossible(struct request *q)
{
    warn("%s: no such CPU can exist:", q->policy);
    q->force_all = false;
    memset(&q->may_go, 0, sizeof(q->may_go));
    print_faults(stderr, q, false);
    return STATUS_NO;
}

/* May the guest have this policy instead of its own?  A status, after messages. */
static int judge_stream(struct request *q, const struct cpu_policy *old,
                        const struct cpu_policy *new)
{
    const struct policy_host host = {.max = new, .deflt = new};

    if (policy_verify(new, &q->losses))
        return is_impossible(q);
    if (old)
        return policy_check(old, &host, &q->losses) ? judge_losses(q) : STATUS_YES;
    if (q->force_all)
        return STATUS_YES;
    warn("%s: has no CPU policy that can be compared: what this one takes from the guest cannot "
         "be known (--force all sets it all the same)",
         q->path);
    return STATUS_NO;
}

/* The policy that is to be in the image; -1 after a message. */
static int wanted_policy(const struct request *q, const struct cpu_policy *old,
                         struct cpu_policy *new)
{
    enum subject_type type = q->image.head->guest == XC_SR_GUEST_PV ? TYPE_PV : TYPE_HVM;
    struct subject *s = xcalloc(1, sizeof(*s));
    const struct cpu_policy *p = NULL;
    int rc = -1;

    if (!subject_open(q->policy, s)) {
        if (s->kind == SUBJECT_HOST)
            warn("%s is a host: a guest's policy or a pool's level is needed", s->origin);
        else if (s->kind == SUBJECT_LEVEL && !old)
            warn("%s is a level, and %s has no CPU policy to bring down to it", s->origin, q->path);
        else
            p = subject_guest_policy(s, &type);
    }
    if (p && s->kind == SUBJECT_LEVEL) {
        *new = *old;
        rc = policy_apply_level(new, p, NULL);
        if (rc)
            warn("%s is the level of CPUs of another vendor or CLFLUSH size", s->origin);
    } else if (p) {
        *new = *p;
        rc = 0;
    }
    subject_close(s);
    free(s);
    return rc ? -1 : 0;
}

static uint64_t place_policy(const xen_cpuid_leaf_t *l)
{
    return (uint64_t)l->leaf << 32 | l->subleaf;
}

/*
 * The new policy's leaves, and those that only the old record names, as the new policy has them:
 * stock Xen merges entry by entry, and would leave what is not named as its own default.
 */
static void take_leaves(struct edit *e, const xen_cpuid_leaf_t *old, size_t nr_old,
                        const struct cpu_policy *new, const xen_cpuid_leaf_t *leaves, size_t n)
{
    size_t i = 0, k = 0;

    while ((i < n || k < nr_old) && e->nr_leaves < POLICY_MAX_LEAVES) {
        xen_cpuid_leaf_t *to = &e->leaves[e->nr_leaves++];
        const struct cpuid_regs *r;

        if (k == nr_old || (i < n && place_policy(&leaves[i]) <= place_policy(&old[k]))) {
            k += k < nr_old && place_policy(&leaves[i]) == place_policy(&old[k]);
            *to = leaves[i++];
            continue;
        }
        *to = (xen_cpuid_leaf_t){.leaf = old[k].leaf, .subleaf = old[k].subleaf};
        r = policy_leaf_const(new, to->leaf, to->subleaf);
        if (r) {
            to->a = r->a;
            to->b = r->b;
            to->c = r->c;
            to->d = r->d;
        }
        k++;
    }
}

static struct edit *policy_edit(const struct xc_sr_head *head, bool old_is_valid,
                                const struct cpu_policy *new)
{
    struct edit *e = xcalloc(1, sizeof(*e));
    xen_cpuid_leaf_t *leaves = xcalloc(POLICY_MAX_LEAVES, sizeof(*leaves));
    size_t nr_leaves = POLICY_MAX_LEAVES;

    e->set_policy = true;
    e->nr_msrs = POLICY_MAX_MSRS;
    (void)policy_to_leaves(new, leaves, &nr_leaves, e->msrs, &e->nr_msrs); /* there is room */
    take_leaves(e, head->leaves, old_is_valid ? head->nr_leaves : 0, new, leaves, nr_leaves);
    free(leaves);
    return e;
}

static int rewrite_stream(struct request *q, struct edit *e, const struct image_summary *sum)
{
    const char *output = q->output ? q->output : q->path;

    if (rewrite_image(&q->image, e, sum->checksum.count, output))
        return STATUS_TROUBLE;
    if (e->strip)
        out_text(stdout, 0, 2, "%" PRIu64 " optional record%s left out%s; written to %s",
                 e->dropped, e->dropped == 1 ? "" : "s",
                 sum->checksum.count ? ", after their checksums were found right" : "", output);
    else
        out_text(stdout, 0, 2, "written to %s", output);
    return STATUS_YES;
}

/* The image with that policy, or the image if it has it already: then its records stay as they
 * are, to the byte. */
static int write_policy(struct request *q, const struct cpu_policy *old,
                        const struct cpu_policy *new, const struct image_summary *sum)
{
    bool same = old && !memcmp(old, new, sizeof(*old));
    struct edit *e = same ? xcalloc(1, sizeof(*e)) : policy_edit(q->image.head, old != NULL, new);
    int status = STATUS_YES;

    if (same)
        out_text(stdout, 0, 2, "%s has that policy already", q->path);
    if (!same || q->output)
        status = rewrite_stream(q, e, sum);
    if (status == STATUS_YES && q->losses.count) {
        out_text(stdout, 0, 2, "taken from the guest by force:");
        print_faults(stdout, q, true);
    }
    free(e);
    return status;
}

static int set_policy(struct request *q)
{
    struct cpu_policy *old = xcalloc(1, sizeof(*old)), *new = xcalloc(1, sizeof(*new));
    const struct cpu_policy *has = xc_sr_head_policy(q->image.head, old, NULL) ? NULL : old;
    struct image_summary sum;
    int status = STATUS_TROUBLE;

    q->losses = (struct policy_report){.max = MAX_FAULTS};
    q->losses.faults = xcalloc(MAX_FAULTS, sizeof(*q->losses.faults));
    if (q->image.head->version < XC_SR_VERSION)
        warn("%s: a version %u stream, which cannot hold a CPU policy", q->path,
             q->image.head->version);
    else if (!image_summarise(&q->image, &sum) && !wanted_policy(q, has, new))
        status = judge_stream(q, has, new);
    if (status == STATUS_YES)
        status = write_policy(q, has, new, &sum);
    free(q->losses.faults);
    free(old);
    free(new);
    return status;
}

/* ---- strip ---- */

static int strip_stream(struct request *q)
{
    struct edit *e;
    struct image_summary sum;
    int status;

    if (image_summarise(&q->image, &sum))
        return STATUS_TROUBLE;
    if (!q->output && !sum.checksum.count && !sum.optional[IMAGE_LIBXC].count &&
        !sum.optional[IMAGE_LIBXL].count) {
        out_text(stdout, 0, 2, "%s has no optional records", q->path);
        return STATUS_YES;
    }
    e = xcalloc(1, sizeof(*e));
    e->strip = true;
    status = rewrite_stream(q, e, &sum);
    free(e);
    return status;
}

/* ---- the command ---- */

static int parse_force(struct request *q, const char *list)
{
    q->forced = true;
    while (*list) {
        size_t len = strcspn(list, ",");
        int f = feature_by_name(list, len);

        if (len == 3 && !strncmp(list, "all", 3))
            q->force_all = true;
        else if (f >= 0)
            featureset_set(&q->may_go, (unsigned int)f);
        else
            return complain("--force: there is no feature '%.*s'", (int)len, list);
        list += len + (list[len] == ',');
    }
    return 0;
}

/* Options of other verbs are mistakes that somebody should hear of. */
static const char *is_misplaced(const struct request *q, const char *verb)
{
    bool sets = !strcmp(verb, "set-policy"), shows = !strcmp(verb, "show");

    if (sets && !q->policy)
        return "set-policy needs --policy FILE";
    if (!sets && (q->policy || q->forced))
        return "--policy and --force are for set-policy";
    if (!shows && (q->records || q->json))
        return "--records and --json are for show";
    return shows && q->output ? "show writes no file" : NULL;
}

static int run_stream(const struct command *cmd, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct request *q);
    } verbs[] = {
        {"show", show_stream},
        {"extract-policy", extract_policy},
        {"set-policy", set_policy},
        {"strip", strip_stream},
    };
    struct request q = {.policy = NULL};
    const char *value, *wrong;
    int letter, first, status;

    while ((letter = cmd_option(cmd, argc, argv, &value, &first)) != -1) {
        if (letter == 'p')
            q.policy = value;
        else if (letter == 'o')
            q.output = value;
        else if (letter == 'r')
            q.records = true;
        else if (letter == 'j')
            q.json = true;
        else if (letter != 'f' || parse_force(&q, value))
            return STATUS_TROUBLE;
    }
    if (argc - first != 2)
        return cmd_usage(cmd, "a verb and one image are needed");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[first], verbs[i].name) != 0)
            continue;
        wrong = is_misplaced(&q, verbs[i].name);
        if (wrong)
            return cmd_usage(cmd, wrong);
        q.path = argv[first + 1];
        if (image_open(&q.image, q.path))
            return STATUS_TROUBLE;
        if (q.image.whose && (verbs[i].run == set_policy || verbs[i].run == strip_stream))
            status = complain("%s: an image of %s: only images of xl and streams of libxc are "
                              "written anew",
                              q.path, q.image.whose);
        else
            status = verbs[i].run(&q);
        image_close(&q.image);
        return status;
    }
    return cmd_usage(cmd, "the verb is show, extract-policy, set-policy or strip");
}

const struct command cmd_stream = {
    .name = "stream",
    .args = "show|extract-policy|set-policy|strip IMAGE",
    .summary = "what is in a save image; its CPU policy out and in",
    .about =
        "Works on images made by `xl save`, and on streams of libxc alone; the first two verbs "
        "also on images of XAPI and libvirt. `show` says what is in one. `extract-policy` writes "
        "its CPU policy to a policy file. `set-policy` "
        "puts another one in, and refuses one that takes something from the guest that it "
        "was told it has. `strip` leaves out every optional record. Images are written whole "
        "or not at all.",
    .options = options,
    .run = run_stream,
};
