/* SPDX-License-Identifier: MIT */
/*
 * What a host is and can offer: asked of its hypervisor, or worked out from a CPUID dump.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <host-policy.h>

#include "capture.h"
#include "derive_unknown.h"
#include "dump.h"
#include "features-gen.h"
#include "forms.h"
#include "logger.h"
#include "microcode.h"
#include "out.h"
#include "programs.h"
#include "release.h"
#include "util.h"
#include "xc_audit.h"
#include "xc_sim.h"
#include "xen-options.h"

static Xenlevel__File *new_host(const char *name)
{
    Xenlevel__File *file = xlp_new();
    Xenlevel__Host *host = xcalloc(1, sizeof(*host));
    char date[21];

    xenlevel__host__init(host);
    host->name = xstrdup(name);
    date_now(date);
    host->date = xstrdup(date);
    file->content_case = XENLEVEL__FILE__CONTENT_HOST;
    file->host = host;
    return file;
}

/* What the CPU calls itself.  unknown: what is not known of it, or NULL. */
static void set_identity(Xenlevel__Host *host, const struct cpu_policy *p,
                         const struct cpu_policy *unknown)
{
    unsigned int family, model, stepping;
    char brand[49], vendor[13];

    policy_brand(p, brand);
    policy_vendor(p, vendor);
    policy_signature(p, &family, &model, &stepping);
    host->vendor = xstrdup(vendor);
    host->family = family;
    host->model = model;
    host->stepping = stepping;
    /* Engineering samples and old CPUs may have no brand. */
    if (brand[0])
        host->cpu = xstrdup(brand);
    else if (unknown && unknown->basic[1].a)
        host->cpu = xasprintf("%s, model not known", vendor[0] ? vendor : "vendor");
    else
        host->cpu =
            xasprintf("%s family %#x model %#x stepping %#x", vendor, family, model, stepping);
}

static Xenlevel__HostPolicy *add_policy(Xenlevel__Host *host, enum xc_policy_index index,
                                        Xenlevel__Policy *policy)
{
    Xenlevel__HostPolicy *entry = xcalloc(1, sizeof(*entry));

    xenlevel__host_policy__init(entry);
    entry->index = index;
    entry->policy = policy;
    host->policies =
        xrealloc((void *)host->policies, (host->n_policies + 1) * sizeof(Xenlevel__HostPolicy *));
    host->policies[host->n_policies++] = entry;
    return entry;
}

/* A sentence that is to be said of the host ever after; the host owns it. */
static void add_note(Xenlevel__Host *host, char *note)
{
    host->notes = xrealloc((void *)host->notes, (host->n_notes + 1) * sizeof(char *));
    host->notes[host->n_notes++] = note;
}

static void add_featureset(Xenlevel__Host *host, enum xc_featureset_index index,
                           const uint32_t *words, size_t n)
{
    Xenlevel__HostFeatureset *entry = xcalloc(1, sizeof(*entry));

    xenlevel__host_featureset__init(entry);
    entry->index = index;
    entry->featureset = xlp_featureset_new(words, n);
    host->featuresets = xrealloc((void *)host->featuresets,
                                 (host->n_featuresets + 1) * sizeof(Xenlevel__HostFeatureset *));
    host->featuresets[host->n_featuresets++] = entry;
}

/* What a hypervisor that runs no guests of some type says when asked about them. */
static bool not_offered(int err)
{
    return err == EOPNOTSUPP || err == EINVAL || err == ENOENT;
}

/* `type`: for which guests; the raw and host policies must be there in any case. */
static bool is_wanted(const char *which, const struct xc_physinfo *info)
{
    if (!strncmp(which, "pv", 2))
        return info->pv;
    if (!strncmp(which, "hvm", 3))
        return info->hvm;
    return true;
}

/* A host's default policies are what its Xen made, also while a live patch has narrowed them to a
 * level: what the host can give must not look like less for it.  The same words, as they were. */
static int widen_words(xc_handle *xch, enum xc_featureset_index index, uint32_t *words, size_t n)
{
    const enum xc_policy_index from =
        index == XC_FEATURESET_PV ? XC_POLICY_PV_DEFAULT : XC_POLICY_HVM_DEFAULT;
    struct cpu_policy p;
    struct featureset fs;
    int rc;

    if (index != XC_FEATURESET_PV && index != XC_FEATURESET_HVM)
        return 0;
    if (xc_system_policy(xch, from, &p))
        return not_offered(errno) ? 0 : -1;
    rc = xc_widen_own(xch, from, &p);
    if (rc <= 0)
        return rc;
    policy_to_featureset(&p, &fs);
    for (size_t i = 0; i < n && i < FEATURESET_WORDS; i++)
        words[i] = fs.w[i];
    return 0;
}

static int capture_featuresets(xc_handle *xch, const struct xc_physinfo *info, Xenlevel__Host *host)
{
    for (unsigned int i = 0; i < XC_FEATURESETS; i++) {
        uint32_t *words;
        size_t n;

        if (!is_wanted(xc_featureset_name(i), info))
            continue;
        if (xc_get_cpu_featureset(xch, i, &words, &n)) {
            if (i > XC_FEATURESET_HOST && not_offered(errno))
                continue;
            return -1;
        }
        if (widen_words(xch, i, words, n)) {
            free(words);
            return -1;
        }
        add_featureset(host, i, words, n);
        free(words);
    }
    return 0;
}

static int capture_policies(xc_handle *xch, const struct xc_physinfo *info, Xenlevel__Host *host)
{
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        struct cpu_policy p;
        struct xc_leaves l;
        char what[64], why[XC_FAULT_TEXT];
        int widened;

        if (!is_wanted(xc_policy_name(i), info))
            continue;
        if (xc_get_system_cpu_policy(xch, i, &l)) {
            if (i > XC_POLICY_HOST && not_offered(errno))
                continue;
            return -1;
        }
        (void)snprintf(what, sizeof(what), "the hypervisor's policy %s", xc_policy_name(i));
        if (xc_policy_from_leaves(NULL, what, &l, &p, why, sizeof(why))) {
            warn("%s: %s", what, why);
            xc_leaves_free(&l);
            return -1;
        }
        if (i == XC_POLICY_HOST)
            set_identity(host, &p, NULL);
        widened = xc_widen_own(xch, i, &p);
        if (widened >= 0)
            (void)add_policy(host, i, widened ? xlp_policy_from(&p) : xlp_policy_new(&l));
        xc_leaves_free(&l);
        if (widened < 0)
            return -1;
    }
    return 0;
}

/* What this host can hide from PV guests; where nobody knows, that is left out. */
static int capture_levelling(xc_handle *xch, Xenlevel__Host *host)
{
    struct cpu_policy raw;
    bool worked_out;
    uint32_t caps;

    if (xc_system_policy(xch, XC_POLICY_RAW, &raw))
        return -1;
    if (programs_levelling_caps(xch, &raw, &caps, &worked_out))
        return errno == ENODATA ? 0 : -1;
    host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
    host->levelling_caps = caps;
    host->levelling_worked_out = worked_out;
    return 0;
}

Xenlevel__File *capture_xen(xc_handle *xch, const char *name)
{
    char own[256] = "this-host";
    struct xc_sim_info sim;
    struct xc_physinfo info;
    struct xc_version v;
    struct xentoollog_logger *logger;
    struct logger silent;
    Xenlevel__File *file;
    char *failed_before;
    int rc;

    if (!name) {
        (void)gethostname(own, sizeof(own) - 1);
        name = own;
        /* A simulated one has a name of its own. */
        if (xc_is_sim(xch) && xc_sim_info(xch, &sim))
            return NULL;
        if (xc_is_sim(xch) && sim.machine[0] && !strchr(sim.machine, '/'))
            name = sim.machine;
    }
    if (xc_version(xch, &v) || xc_physinfo(xch, &info))
        return NULL;
    file = new_host(name);
    file->host->source = XENLEVEL__SOURCE__SOURCE_XEN;
    file->host->xen_version = xstrdup(v.text);
    file->host->xen_build_id = xstrdup(v.build_id);
    file->host->xen_capabilities = xstrdup(v.capabilities);

    /* "No such guests here" is an answer, not a failure. */
    logger = xc_set_logger(xch, logger_init(&silent, NULL, NULL));
    failed_before = xstrdup(xc_last_error(xch));
    rc = capture_featuresets(xch, &info, file->host);
    if (!rc)
        rc = capture_policies(xch, &info, file->host);
    if (!rc)
        rc = capture_levelling(xch, file->host);
    (void)xc_set_logger(xch, logger);
    if (rc) {
        if (strcmp(xc_last_error(xch), failed_before) != 0)
            warn("%s", xc_last_error(xch));
        xlp_free(file);
        file = NULL;
    }
    free(failed_before);
    return file;
}

/* The policies of a host of which only the first is known: those of guests that it can run. */
static void derive_policies(Xenlevel__Host *host, const struct cpu_policy *raw,
                            const struct cpu_policy *unknown, const struct host_options *options)
{
    struct derived *d = xcalloc(1, sizeof(*d));
    struct xc_physinfo info = {.pv = true};
    struct host_options seen = *options;

    seen.arch_caps = unknown->arch_caps ? HOST_MSR_NOT_READ : HOST_MSR_READ;
    derive_unknown(raw, unknown, &seen, d);
    info.hvm = d->has_hvm;
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (is_wanted(xc_policy_name(i), &info))
            add_policy(host, i, xlp_policy_from(&d->policy[i]))->unknown =
                xlp_unknown_from(&d->unknown[i]);
    for (unsigned int i = 0; i < XC_FEATURESETS; i++) {
        static const enum xc_policy_index from[XC_FEATURESETS] = {
            [XC_FEATURESET_RAW] = XC_POLICY_RAW,       [XC_FEATURESET_HOST] = XC_POLICY_HOST,
            [XC_FEATURESET_PV] = XC_POLICY_PV_DEFAULT, [XC_FEATURESET_HVM] = XC_POLICY_HVM_DEFAULT,
            [XC_FEATURESET_PV_MAX] = XC_POLICY_PV_MAX, [XC_FEATURESET_HVM_MAX] = XC_POLICY_HVM_MAX,
        };
        struct featureset fs;

        if (!is_wanted(xc_featureset_name(i), &info))
            continue;
        policy_to_featureset(&d->policy[from[i]], &fs);
        add_featureset(host, i, fs.w, FEATURESET_WORDS);
    }
    free(d);
}

/* Which features of guests' policies are not known?  Returns whether anything of them is not. */
static bool find_unknown_features(const Xenlevel__Host *host, struct featureset *all)
{
    struct cpu_policy *mask = xcalloc(1, sizeof(*mask));
    bool any = false;

    memset(all, 0, sizeof(*all));
    for (size_t i = 0; i < host->n_policies; i++) {
        struct featureset fs;

        if (host->policies[i]->index <= XC_POLICY_HOST)
            continue;
        xlp_unknown_get(host->policies[i]->unknown, mask);
        unknown_features(mask, &fs);
        featureset_or(all, all, &fs);
        any |= mask->platform_info || !featureset_empty(&fs);
    }
    free(mask);
    return any;
}

/* One warning about what is not known and matters to guests. */
static void warn_of_unknown(const char *path, const Xenlevel__Host *host)
{
    struct cpu_policy *mask = xcalloc(1, sizeof(*mask));
    struct featureset about;
    char *what, *how;

    for (size_t i = 0; i < host->n_policies; i++)
        if (host->policies[i]->index == XC_POLICY_RAW)
            xlp_unknown_get(host->policies[i]->unknown, mask);
    if (find_unknown_features(host, &about)) {
        unknown_reduce(mask, &about);
        what = unknown_text(mask);
        how = unknown_how(mask);
        warn("%s: not in the dump, so not known: %s; %s", path, what, how);
        free(what);
        free(how);
    }
    free(mask);
}

/* A CPU's dump must be one of a CPU: 0; -1 after a message. */
static int check_complete(const char *path, const struct cpu_policy *raw,
                          const struct cpu_policy *unknown, bool partial)
{
    char *missing = find_missing_leaves(raw, unknown);

    if (missing && !partial)
        warn("%s: this cannot be a whole CPU: leaf 0 says that there are leaves up to %x, and "
             "these are not in the file: %s; --partial takes it, with all of them unknown",
             path, raw->basic[0].a, missing);
    free(missing);
    return missing && !partial ? -1 : 0;
}

/* The host that a CPU makes, of which not all may be known. */
static Xenlevel__File *make_host(const char *name, const struct cpu_policy *raw,
                                 const struct cpu_policy *unknown, const uint32_t *caps,
                                 const struct host_options *options)
{
    Xenlevel__File *file = new_host(name);
    Xenlevel__Host *host = file->host;
    uint32_t found;

    host->source = XENLEVEL__SOURCE__SOURCE_DUMP;
    set_identity(host, raw, unknown);
    if (caps) {
        host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
        host->levelling_caps = *caps;
    } else if (!host_policy_levelling_caps(raw, !unknown->platform_info, options->xen, &found)) {
        host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
        host->levelling_caps = found;
    }
    derive_policies(host, raw, unknown, options);
    return file;
}

/* Say what the boot CPU has and others lack: Xen offers what all have. */
static void warn_of_unlike_cpus(const char *path, Xenlevel__Host *host, const struct form *f,
                                const struct featureset *lacking)
{
    char *names = xstrdup(""), *note;

    for (int i = featureset_next(lacking, 0); i >= 0;
         i = featureset_next(lacking, (unsigned int)i + 1)) {
        const struct feature_info *info = feature_info((unsigned int)i);
        char *before = names;

        if (!info) /* no Xen offers it anyway */
            continue;
        names = xasprintf("%s %s", before, info->name);
        free(before);
    }
    if (!*names) {
        free(names);
        return;
    }
    note = xasprintf("its %zu CPUs are not alike, and Xen offers what all of them have; the first "
                     "has, and not all:%s",
                     f->n_cpus, names);
    warn("%s: %s", path, note);
    add_note(host, note);
    free(names);
}

/* The host that the CPUs of a form make. */
static Xenlevel__File *host_from_cpus(const char *path, const char *name, struct form *f,
                                      const uint32_t *caps, const struct host_options *options,
                                      const char *cmdline, bool partial)
{
    struct form_cpu *c = &f->cpus[0];
    struct host_options of_all = *options;
    Xenlevel__File *file;
    struct featureset said;
    uint64_t given_up;
    char *settled;

    /* As the file has them: what is mended below is mended of the first alone. */
    for (size_t i = 1; i < f->n_cpus; i++)
        host_add_lacking(&of_all.lacking, &c->policy, &f->cpus[i].policy, &f->cpus[i].unknown);
    settled = settle_unknown(&c->policy, &c->unknown);
    if (check_complete(path, &c->policy, &c->unknown, partial || f->partial)) {
        free(settled);
        return NULL;
    }
    policy_to_featureset(&c->policy, &said);
    given_up = dump_complete(&c->policy);
    if (given_up && c->unknown.xstate[0].a) { /* no word about XSAVE: nothing is given up for it */
        policy_from_featureset(&c->policy, &said);
        given_up = 0;
    }
    if (given_up)
        warn("%s: the dump does not say where XSAVE components %#" PRIx64
             " are: the features that need them are left out",
             path, given_up);
    file = make_host(name, &c->policy, &c->unknown, caps, &of_all);
    warn_of_unlike_cpus(path, file->host, f, &of_all.lacking);
    of_all.arch_caps = c->unknown.arch_caps ? HOST_MSR_NOT_READ : HOST_MSR_READ;
    xen_options_judge(&of_all, cmdline, &c->policy, &c->unknown);
    if (settled)
        add_note(file->host, settled);
    settled = microcode_note(&c->policy, &c->unknown, options);
    if (settled)
        add_note(file->host, settled);
    warn_of_unknown(path, file->host);
    return file;
}

/* Which policy says what the CPU calls itself: the nearest to the CPU. */
static unsigned int first_policy(const struct form *f)
{
    static const unsigned int order[] = {XC_POLICY_HOST,        XC_POLICY_RAW,
                                         XC_POLICY_HVM_MAX,     XC_POLICY_PV_MAX,
                                         XC_POLICY_HVM_DEFAULT, XC_POLICY_PV_DEFAULT};

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (f->have[order[i]])
            return order[i];
    return XC_POLICY_HOST;
}

/* The host of which Xen said the policies, or parts of them. */
static Xenlevel__File *host_from_policies(const char *name, const struct form *f,
                                          const uint32_t *caps)
{
    Xenlevel__File *file = new_host(name);
    Xenlevel__Host *host = file->host;
    const struct form_cpu *raw = &f->policies[XC_POLICY_RAW];
    unsigned int xen = release_of(f->xen);
    uint32_t found;

    host->source = XENLEVEL__SOURCE__SOURCE_XEN;
    host->xen_version = xstrdup(f->xen);
    host->xen_build_id = xstrdup("");
    host->xen_capabilities = xstrdup("");
    set_identity(host, &f->policies[first_policy(f)].policy, &f->policies[first_policy(f)].unknown);
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (f->have[i])
            add_policy(host, i, xlp_policy_from(&f->policies[i].policy))->unknown =
                xlp_unknown_from(&f->policies[i].unknown);
    if (caps)
        found = *caps;
    else if (!f->have[XC_POLICY_RAW] || raw->unknown.basic[1].a ||
             host_policy_levelling_caps(&raw->policy, !raw->unknown.platform_info,
                                        xen ? xen : XEN_OLDEST, &found))
        return file;
    host->levelling_case = XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
    host->levelling_caps = found;
    host->levelling_worked_out = true;
    return file;
}

/* How the form was read, and what is to be said of it, ever after. */
static void keep_notes(const char *path, Xenlevel__Host *host, const struct form *f)
{
    char *read = f->n_cpus > 1 ? xasprintf("read as %s, of %zu CPUs", f->name, f->n_cpus)
                               : xasprintf("read as %s", f->name);

    add_note(host, read);
    for (size_t i = 0; i < f->n_notes; i++) {
        warn("%s: %s", path, f->notes[i]);
        add_note(host, xstrdup(f->notes[i]));
    }
}

char *capture_name(const char *path)
{
    static const char *const endings[] = {".gz",  ".xz",  ".zst", ".txt", ".cpuid",
                                          ".raw", ".log", ".xml", ".json"};
    char *name = base_name(path, "");

    if (!strcmp(path, "-")) {
        free(name);
        return xstrdup("standard-input");
    }
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (ends_with(name, endings[i]) && strlen(name) > strlen(endings[i]))
            name[strlen(name) - strlen(endings[i])] = '\0';
    return name;
}

/*
 * The options of the Xen there.  A source that says a CPU may also say what Xen runs on it: nobody
 * has to repeat that.  What is wrong in a command line with which that Xen runs is no reason to
 * read nothing.  *cmdline and *xen become what was taken.  0; or -1 after a message.
 */
static int read_options(const char *path, const struct form *f, const char **cmdline,
                        unsigned int *xen, struct host_options *options)
{
    unsigned int release;

    if (!*xen)
        *xen = release_of(f->xen);
    release = *xen ? *xen : HOST_XEN_DEFAULT;
    if (**cmdline || !f->cmdline[0])
        return xen_options_read(options, release, *cmdline);
    if (xen_options_read(options, release, f->cmdline)) {
        warn("%s: its xen_commandline is left out for that", path);
        return xen_options_read(options, release, "");
    }
    *cmdline = f->cmdline;
    return 0;
}

Xenlevel__File *capture_form(const char *path, struct form *f, const char *name,
                             const uint32_t *caps, const char *cmdline, unsigned int xen,
                             bool partial)
{
    struct host_options options;
    char *own = capture_name(path), release[RELEASE_TEXT];
    Xenlevel__File *file = NULL;

    if (!name)
        name = own;
    if (f->inside_xen)
        warn("%s: %s, taken inside a domain of Xen: it is what that domain was told, and no host; "
             "as a guest it can be asked for: xenlevel check %s HOST",
             path, f->name, path);
    else if (f->kind == FORM_GUEST)
        warn("%s: %s: it is what one guest was told, and no host", path, f->name);
    else if (f->kind == FORM_HOST && xen)
        warn("%s: %s: its policies are those that a Xen made: --xen is for what a CPU says", path,
             f->name);
    else if (f->kind == FORM_HOST)
        file = host_from_policies(name, f, caps);
    else if (!read_options(path, f, &cmdline, &xen, &options))
        file = host_from_cpus(path, name, f, caps, &options, cmdline, partial);
    if (file && f->kind == FORM_HOST && *cmdline)
        warn("%s: %s: these are the policies that Xen made there; --xen-cmdline is not looked at",
             path, f->name);
    /* A release that nobody named is no reason against a guest that comes from a newer one. */
    if (file && xen && file->host->source == XENLEVEL__SOURCE__SOURCE_DUMP)
        file->host->xen_version = xstrdup(release_text(xen, release));
    if (file)
        keep_notes(path, file->host, f);
    free(own);
    return file;
}

Xenlevel__File *capture_dump(const char *path, const char *name, const uint32_t *caps,
                             const char *cmdline, unsigned int xen, bool partial)
{
    struct form *f = xcalloc(1, sizeof(*f));
    Xenlevel__File *file = NULL;

    if (form_read(path, f))
        warn("%s", f->error);
    else
        file = capture_form(path, f, name, caps, cmdline, xen, partial);
    form_free(f);
    free(f);
    return file;
}
