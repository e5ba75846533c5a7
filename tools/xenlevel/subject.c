/* SPDX-License-Identifier: MIT */
/*
 * What a command line argument stands for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <host-policy.h>

#include "capture.h"
#include "level-json.h"
#include "out.h"
#include "subject-named.h"
#include "subject.h"
#include "unknown.h"
#include "util.h"
#include "xc_audit.h"
#include "xc_sr_envelope.h"
#include "xc_sr_head.h"

const char *subject_type_name(enum subject_type type)
{
    return type == TYPE_PV ? "PV" : type == TYPE_HVM ? "HVM/PVH" : "unknown";
}

enum guest_type subject_guest_type(enum subject_type type)
{
    return type == TYPE_PV ? GUEST_PV : GUEST_HVM_HAP;
}

enum xc_policy_index subject_max(enum subject_type type)
{
    return answer_max(subject_guest_type(type));
}

enum xc_policy_index subject_default(enum subject_type type)
{
    return answer_default(subject_guest_type(type));
}

static void take_host(struct subject *s, const Xenlevel__Host *host)
{
    s->kind = SUBJECT_HOST;
    s->name = xstrdup(host->name);
    s->xen = xstrdup(host->xen_version);
    s->caps_known = host->levelling_case == XENLEVEL__HOST__LEVELLING_LEVELLING_CAPS;
    s->caps = s->caps_known ? host->levelling_caps : 0;
    for (size_t i = 0; i < host->n_policies; i++) {
        uint32_t index = host->policies[i]->index;

        if (index < XC_POLICIES) {
            xlp_policy_get(host->policies[i]->policy, &s->policy[index]);
            xlp_unknown_get(host->policies[i]->unknown, &s->unknown[index]);
            s->have[index] = true;
        }
    }
}

static void take_guest(struct subject *s, const Xenlevel__Guest *guest)
{
    s->kind = SUBJECT_GUEST;
    s->name = xstrdup(guest->name);
    s->xen = xstrdup(guest->xen_version);
    xlp_policy_get(guest->policy, &s->guest);
    xlp_unknown_get(guest->unknown, &s->guest_unknown);
    switch (guest->type) {
    case XENLEVEL__GUEST_TYPE__GUEST_TYPE_PV:
        s->type = TYPE_PV;
        s->type_name = "PV";
        break;
    case XENLEVEL__GUEST_TYPE__GUEST_TYPE_HVM:
        s->type = TYPE_HVM;
        s->type_name = "HVM";
        break;
    case XENLEVEL__GUEST_TYPE__GUEST_TYPE_PVH:
        s->type = TYPE_HVM;
        s->type_name = "PVH";
        break;
    default:
        break;
    }
}

void subject_from_file(struct subject *s, Xenlevel__File *file, const char *origin)
{
    memset(s, 0, sizeof(*s));
    s->type = TYPE_UNKNOWN;
    s->type_name = "unknown";
    s->domid = POLICY_NONE;
    s->file = file;
    s->origin = xstrdup(origin);
    switch (file->content_case) {
    case XENLEVEL__FILE__CONTENT_HOST:
        take_host(s, file->host);
        break;
    case XENLEVEL__FILE__CONTENT_GUEST:
        take_guest(s, file->guest);
        break;
    default: /* xlp_decode() lets nothing else pass */
        s->kind = SUBJECT_LEVEL;
        s->name = xstrdup(file->level->name);
        s->xen = xstrdup("");
        s->have_level[TYPE_PV] = file->level->pv != NULL;
        s->have_level[TYPE_HVM] = file->level->hvm != NULL;
        if (file->level->pv)
            xlp_policy_get(file->level->pv, &s->level[TYPE_PV]);
        if (file->level->hvm)
            xlp_policy_get(file->level->hvm, &s->level[TYPE_HVM]);
        break;
    }
}

static int open_policy_file(const char *path, struct subject *s)
{
    struct xlp_error error;
    Xenlevel__File *file = xlp_load(path, &error);
    char *origin;

    if (!file) {
        warn("%s", error.text);
        return -1;
    }
    origin = xasprintf("file %s", path);
    subject_from_file(s, file, origin);
    free(origin);
    return 0;
}

/* A save image: only its head is read. */
static int open_image(const char *path, int fd, enum xc_sr_layer layer, const char *whose,
                      struct subject *s)
{
    struct xc_sr_head *head = xcalloc(1, sizeof(*head));
    struct policy_fault fault;
    struct policy_report report = {.faults = &fault, .max = 1};
    struct xc_sr_fault where = {0};
    char text[XC_FAULT_TEXT];
    int rc = -1;

    if (xc_sr_head_read(fd, layer, head, NULL, &where)) {
        warn("%s: %s", path, where.text[0] ? where.text : strerror(errno));
        goto out;
    }
    if (!head->has_cpuid) {
        warn(
            "%s: a version %u stream without a CPU policy (Xen 4.13 and older, or a save that lost "
            "it): there is nothing to look at",
            path, head->version);
        goto out;
    }
    if (xc_sr_head_policy(head, &s->guest, &report)) {
        if (report.count)
            (void)xc_fault_text(&fault, text, sizeof(text));
        else
            (void)snprintf(text, sizeof(text), "%s", strerror(errno));
        warn("%s: the CPU policy in it: %s", path, text);
        goto out;
    }
    s->kind = SUBJECT_GUEST;
    s->name = head->name[0] ? xstrdup(head->name) : base_name(path, "");
    s->origin =
        whose ? xasprintf("save image %s of %s", path, whose) : xasprintf("save image %s", path);
    s->xen = xasprintf("%u.%u", head->xen_major, head->xen_minor);
    s->type = head->guest == XC_SR_GUEST_PV ? TYPE_PV : TYPE_HVM;
    s->type_name = s->type == TYPE_PV ? "PV" : "HVM or PVH";
    s->is_image = true;
    rc = 0;
out:
    free(head);
    return rc;
}

static int open_domain(const char *arg, struct subject *s)
{
    xc_handle *xch = xc_interface_open(out_logger());
    struct xc_domain_info info;
    struct xc_version v;
    char *name;
    uint32_t domid;
    int rc = -1;

    if (!xch) {
        warn("'%s' is not a file here, and domains cannot be asked for", arg);
        return -1;
    }
    if (xc_domain_resolve(xch, arg, &domid) || xc_domain_getinfo(xch, domid, &info) ||
        xc_version(xch, &v) || xc_domain_policy(xch, domid, &s->guest))
        goto out;
    name = xc_domain_name(xch, domid);
    s->kind = SUBJECT_GUEST;
    s->name = name ? name : xstrdup(arg);
    s->origin = xasprintf("domain %u", domid);
    s->xen = xstrdup(v.text);
    s->domid = domid;
    s->type = info.type == XC_DOMAIN_PV ? TYPE_PV : TYPE_HVM;
    s->type_name = xc_domain_type_name(info.type);
    rc = 0;
out:
    xc_interface_close(xch);
    return rc;
}

static int open_this_host(struct subject *s)
{
    xc_handle *xch = xc_interface_open(out_logger());
    Xenlevel__File *file;

    if (!xch)
        return -1;
    file = capture_xen(xch, NULL);
    xc_interface_close(xch);
    if (!file)
        return -1;
    subject_from_file(s, file, "this host");
    return 0;
}

/* A level that was written as JSON, and perhaps edited.  1: it is other JSON. */
static int open_json(const char *path, int fd, struct subject *s)
{
    char *text = xcalloc(XLP_MAX_SIZE + 1, 1), *origin;
    Xenlevel__File *file = NULL;
    struct xlp_error error;
    ssize_t n, len = 0;
    bool other = false;

    while ((n = pread(fd, text + len, XLP_MAX_SIZE - (size_t)len, len)) > 0)
        len += n;
    if (n < 0)
        warn("%s: %s", path, strerror(errno));
    else if (!level_json_is(text, (size_t)len))
        other = true;
    else
        file = level_from_json(path, text, (size_t)len, &error);
    if (n == 0 && !other && !file)
        warn("%s", error.text);
    free(text);
    if (!file)
        return other ? 1 : -1;
    origin = xasprintf("file %s", path);
    subject_from_file(s, file, origin);
    free(origin);
    return 0;
}

/* What one domain was told, in a form of somebody else's. */
static void take_form_guest(const char *path, const struct form *f, struct subject *s)
{
    s->kind = SUBJECT_GUEST;
    s->name = f->subject[0] ? xstrdup(f->subject) : capture_name(path);
    s->origin = xasprintf("file %s (%s)", path, f->name);
    s->xen = xstrdup(f->xen);
    s->guest = f->guest.policy;
    s->guest_unknown = f->guest.unknown;
    if (f->guest_type == FORM_GUEST_UNKNOWN)
        return;
    s->type = f->guest_type == FORM_GUEST_PV ? TYPE_PV : TYPE_HVM;
    s->type_name = s->type == TYPE_PV ? "PV" : "HVM or PVH";
}

/* 0; or -1 after a message. */
static int take_form(const char *path, struct form *f, struct subject *s)
{
    Xenlevel__File *file;
    char *origin;

    if (f->kind == FORM_GUEST) {
        for (size_t i = 0; i < f->n_notes; i++)
            warn("%s: %s", path, f->notes[i]);
        take_form_guest(path, f, s);
        return 0;
    }
    file = capture_form(path, f, NULL, NULL, "", 0, false);
    if (!file)
        return -1;
    origin = xasprintf("file %s (%s)", path, f->name);
    subject_from_file(s, file, origin);
    free(origin);
    return 0;
}

static int open_form(const char *path, struct subject *s)
{
    struct form *f = xcalloc(1, sizeof(*f));
    int rc = form_read(path, f);

    if (rc)
        warn("%s", f->error);
    else
        rc = take_form(path, f, s);
    form_free(f);
    free(f);
    return rc;
}

/* Words on the command line itself. */
static int open_featureset(const char *words, struct subject *s)
{
    struct form *f = xcalloc(1, sizeof(*f));
    int rc = form_read_featureset(words, f);

    if (rc)
        warn("%s: %s", words, f->error);
    else
        rc = take_form("featureset", f, s);
    form_free(f);
    free(f);
    return rc;
}

/* What other toolstacks put around a stream.  1: it is none of theirs. */
static int open_envelope(const char *path, int fd, struct subject *s)
{
    struct xc_sr_envelope e;
    char why[256];

    if (xc_sr_find_stream(fd, &e, why, sizeof(why))) {
        warn("%s: %s", path, why);
        return -1;
    }
    if (!e.whose)
        return 1;
    if (lseek(fd, (off_t)e.offset, SEEK_SET) < 0) {
        warn("%s: %s", path, strerror(errno));
        return -1;
    }
    return open_image(path, fd, e.layer, e.whose, s);
}

/* What kind of file it is shows in its first bytes. */
static int open_file(const char *path, int fd, struct subject *s)
{
    static const char xl_magic[] = "Xen saved domain, xl format\n";
    char first[4096] = "";
    ssize_t n = pread(fd, first, sizeof(first) - 1, 0);
    int rc;

    if (n < 0) {
        warn("%s: %s", path, strerror(errno));
        return -1;
    }
    if ((size_t)n >= sizeof(xl_magic) - 1 && !memcmp(first, xl_magic, sizeof(xl_magic) - 1))
        return open_image(path, fd, XC_SR_XL, NULL, s);
    if (n >= 8 && !memcmp(first, "\xff\xff\xff\xff\xff\xff\xff\xff", 8))
        return open_image(path, fd, XC_SR_LIBXC, NULL, s);
    if (n > 0 && first[0] == 0x09 && (n == 1 || first[1] == 'X'))
        return open_policy_file(path, s);
    if (n > 0 && first[strspn(first, " \t\r\n")] == '{') {
        rc = open_json(path, fd, s);
        if (rc <= 0)
            return rc;
    }
    if (named_text_is(first, (size_t)n))
        return subject_open_named_text(path, s);
    rc = open_envelope(path, fd, s);
    if (rc <= 0)
        return rc;
    return open_form(path, s);
}

int subject_open(const char *arg, struct subject *s)
{
    struct stat st;
    int fd, rc;

    memset(s, 0, sizeof(*s));
    s->type = TYPE_UNKNOWN;
    s->type_name = "unknown";
    s->domid = POLICY_NONE;
    if (!strcmp(arg, "-"))
        return open_this_host(s);
    fd = open(arg, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if ((errno == ENOENT || errno == ENAMETOOLONG) && form_is_featureset(arg))
            return open_featureset(arg, s);
        if (errno == ENOENT && !strchr(arg, '/') && !ends_with(arg, XLP_SUFFIX)) {
            rc = subject_open_named(arg, false, s);
            return rc == 1 ? open_domain(arg, s) : rc;
        }
        warn("%s: %s", arg, strerror(errno));
        return -1;
    }
    if (!fstat(fd, &st) && S_ISDIR(st.st_mode)) {
        warn("%s: not a file", arg);
        rc = -1;
    } else if (!S_ISREG(st.st_mode)) { /* a pipe, which is read once: no image, which are large */
        rc = open_form(arg, s);
    } else {
        subject_warn_of_named(arg);
        rc = open_file(arg, fd, s);
    }
    (void)close(fd);
    return rc;
}

void subject_close(struct subject *s)
{
    free(s->name);
    free(s->origin);
    free(s->xen);
    xlp_free(s->file);
    if (s->named)
        named_free(s->named);
    free(s->named);
    memset(s, 0, sizeof(*s));
}

const struct cpu_policy *subject_guest_policy(const struct subject *s, enum subject_type *type)
{
    if (s->kind == SUBJECT_GUEST) {
        if (*type == TYPE_UNKNOWN)
            *type = s->type;
        if (*type == TYPE_UNKNOWN) {
            warn("%s does not say what type of guest it is: --type pv or --type hvm is needed",
                 s->origin);
            return NULL;
        }
        if (s->type != TYPE_UNKNOWN && s->type != *type) {
            warn("%s is a %s guest, not %s", s->origin, s->type_name, subject_type_name(*type));
            return NULL;
        }
        return &s->guest;
    }
    if (*type == TYPE_UNKNOWN)
        *type = TYPE_HVM;
    if (s->kind == SUBJECT_NAMED) {
        warn(
            "%s says which features, and becomes a CPU with hosts: `xenlevel level --at %s HOST... "
            "-o POOL.xlp`",
            s->origin, s->name);
        return NULL;
    }
    if (s->kind == SUBJECT_LEVEL) {
        if (s->have_level[*type])
            return &s->level[*type];
        warn("%s has no level for %s guests: not every host in it can run them", s->origin,
             subject_type_name(*type));
        return NULL;
    }
    if (s->have[subject_default(*type)])
        return &s->policy[subject_default(*type)];
    warn("%s cannot run %s guests", s->origin, subject_type_name(*type));
    return NULL;
}

const struct cpu_policy *subject_guest_unknown(const struct subject *s, enum subject_type type)
{
    static const struct cpu_policy nothing;

    if (s->kind == SUBJECT_GUEST)
        return &s->guest_unknown;
    return s->kind == SUBJECT_HOST ? &s->unknown[subject_default(type)] : &nothing;
}

void subject_answer_host(const struct subject *s, struct answer_host *host)
{
    *host = (struct answer_host){
        .name = s->name, .xen = s->xen, .is_dump = !strcmp(subject_source_name(s), "dump")};
    for (unsigned int i = 0; i < XC_POLICIES; i++) {
        host->have[i] = s->have[i];
        host->policy[i] = &s->policy[i];
        host->unknown[i] = &s->unknown[i];
    }
}

char *subject_unknown_cause(const struct subject *s, const struct featureset *about)
{
    struct answer_guest guest = {.unknown = &s->guest_unknown};
    struct answer_host host;

    if (s->kind == SUBJECT_GUEST)
        return answer_guest_cause(&guest, about);
    subject_answer_host(s, &host);
    return answer_host_cause(&host, about);
}

const char *subject_source_name(const struct subject *s)
{
    return s->kind == SUBJECT_HOST && s->file &&
                   s->file->host->source == XENLEVEL__SOURCE__SOURCE_DUMP
               ? "dump"
               : "file";
}

const char *subject_assumption(const struct subject *s)
{
    static const char mark[] = "assumed: "; /* settle_unknown() */
    const Xenlevel__Host *host = s->kind == SUBJECT_HOST && s->file ? s->file->host : NULL;

    for (size_t i = 0; host && i < host->n_notes; i++) {
        const char *found = strstr(host->notes[i], mark);

        if (found)
            return found + sizeof(mark) - 1;
    }
    return NULL;
}

char *subject_unknown_how(const struct subject *s)
{
    struct answer_guest guest = {.unknown = &s->guest_unknown};
    struct answer_host host;

    if (s->kind == SUBJECT_GUEST)
        return answer_guest_how(&guest);
    subject_answer_host(s, &host);
    return answer_host_how(&host);
}

int parse_type(const char *text, enum subject_type *type)
{
    if (!strcasecmp(text, "pv"))
        *type = TYPE_PV;
    else if (!strcasecmp(text, "hvm") || !strcasecmp(text, "pvh"))
        *type = TYPE_HVM;
    else {
        warn("--type is pv, hvm or pvh, not '%s'", text);
        return -1;
    }
    return 0;
}

int parse_policy_name(const char *text, enum xc_policy_index *index)
{
    for (unsigned int i = 0; i < XC_POLICIES; i++)
        if (!strcmp(text, xc_policy_name(i))) {
            *index = i;
            return 0;
        }
    warn("--policy is raw, host, pv-max, hvm-max, pv-default or hvm-default, not '%s'", text);
    return -1;
}
