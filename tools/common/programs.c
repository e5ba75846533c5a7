/* SPDX-License-Identifier: MIT */
/* See programs.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "out.h"
#include "programs.h"
#include "xc_audit.h"

#include <cpuid-policy/releases.h>
#include <host-policy.h>

int programs_levelling_caps(xc_handle *xch, const struct cpu_policy *raw, uint32_t *caps,
                            bool *worked_out)
{
    *worked_out = false;
    if (!xc_get_cpu_levelling_caps(xch, caps))
        return 0;
    if (errno != ENOSYS && errno != EOPNOTSUPP)
        return -1;
    *worked_out = true;
    /* Xen has probed for faulting: its raw policy has the bit of MSR CE, or the CPU cannot. */
    if (!host_policy_levelling_caps(raw, true, XEN_NEWEST, caps))
        return 0;
    errno = ENODATA;
    return -1;
}

int programs_view(xc_handle *xch, const struct cpu_policy *policy, struct pv_view *view)
{
    struct cpu_policy raw;
    uint32_t caps;
    bool worked_out;

    if (xc_system_policy(xch, XC_POLICY_RAW, &raw) ||
        programs_levelling_caps(xch, &raw, &caps, &worked_out))
        return -1;
    levelling_pv_view(caps, &raw, policy, view);
    return 0;
}

struct list {
    char *buf;
    size_t size, len;
};

static void list_add(struct list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void list_add(struct list *l, const char *format, ...)
{
    va_list ap;
    int n;

    if (l->len >= l->size)
        return;
    va_start(ap, format);
    n = vsnprintf(l->buf + l->len, l->size - l->len, format, ap);
    va_end(ap);
    l->len += n > 0 ? (size_t)n : 0;
}

void programs_features(const struct featureset *fs, char *buf, size_t size)
{
    struct list l = {buf, size, 0};

    buf[0] = '\0';
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        const struct feature_info *info = feature_info((unsigned int)f);

        if (info)
            list_add(&l, "%s%s", l.len ? ", " : "", info->name);
    }
}

static void add_leaves(struct list *l, uint64_t basic, uint64_t extd)
{
    const char *before = " (";

    for (unsigned int i = 0; i < 64; i++)
        if (basic >> i & 1) {
            list_add(l, "%s%x", before, i);
            before = ", ";
        }
    for (unsigned int i = 0; i < 64; i++)
        if (extd >> i & 1) {
            list_add(l, "%s%x", before, 0x80000000u + i);
            before = ", ";
        }
    if (basic | extd)
        list_add(l, ")");
}

void programs_areas(const struct pv_change *c, char *buf, size_t size)
{
    struct list l = {buf, size, 0};

    buf[0] = '\0';
    for (unsigned int i = 0; i < PV_AREAS; i++) {
        if (!(c->areas >> i & 1))
            continue;
        list_add(&l, "%s%s", l.len ? ", " : "", levelling_pv_area_name(i));
        if (i == PV_AREA_OTHER)
            add_leaves(&l, c->basic, c->extd);
    }
}

static void say_names(const char *what, const char *names, programs_line *line, void *opaque)
{
    char text[PROGRAMS_TEXT + 64];

    if (!names[0])
        return;
    (void)snprintf(text, sizeof(text), "%s: %s", what, names);
    line(opaque, text);
}

static void say_all(const struct pv_change *c, const char *appear, const char *vanish,
                    programs_line *line, void *opaque)
{
    char names[PROGRAMS_TEXT];

    programs_features(&c->appear, names, sizeof(names));
    say_names(appear, names, line, opaque);
    programs_features(&c->vanish, names, sizeof(names));
    say_names(vanish, names, line, opaque);
    programs_areas(c, names, sizeof(names));
    say_names("identity changes", names, line, opaque);
}

void programs_say(const struct pv_change *beyond, programs_line *line, void *opaque)
{
    say_all(beyond, "stays visible", "cannot be shown", line, opaque);
}

void programs_say_move(const struct pv_change *move, programs_line *line, void *opaque)
{
    say_all(move, "appears", "vanishes", line, opaque);
}

/* ---- of one domain ---- */

int programs_look(xc_handle *xch, const struct cpu_policy *policy, struct programs *p)
{
    p->known = !programs_view(xch, policy, &p->view);
    return p->known ? 0 : -1;
}

int programs_look_at(xc_handle *xch, uint32_t domid, struct programs *p)
{
    struct cpu_policy policy;

    p->known = false;
    return xc_domain_policy(xch, domid, &policy) ? -1 : programs_look(xch, &policy, p);
}

bool programs_exact(const struct programs *p)
{
    return p->known && p->view.exact;
}

static void print_line(void *opaque, const char *line)
{
    out_text(opaque, 2, 4, "%s", line);
}

void programs_print(FILE *f, const struct programs *p, const char *name)
{
    if (programs_exact(p))
        return;
    if (!p->known) {
        out_text(f, 0, 2,
                 "what the programs of '%s' read on this host is not known: the hypervisor does "
                 "not say how it can hide CPUID from them",
                 name);
        return;
    }
    out_text(
        f, 0, 2,
        "the kernel of '%s' reads its policy; its programs execute CPUID on the processor, and "
        "read something else on this host:",
        name);
    programs_say(&p->view.beyond, print_line, f);
}
