/* SPDX-License-Identifier: MIT */
/*
 * What Linux says of a CPU by names: /proc/cpuinfo and lscpu.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "features-gen.h"
#include "forms-private.h"
#include "json_read.h"

/*
 * Features that every Linux of the last ten years names, and does not hide of itself on a CPU that
 * has them: where such a name is missing the feature is.  Of all others silence says nothing.
 */
static const unsigned int always_named[] = {
    X86_FEATURE_SSE3,          X86_FEATURE_PCLMULQDQ,   X86_FEATURE_SSSE3,
    X86_FEATURE_FMA,           X86_FEATURE_CX16,        X86_FEATURE_SSE4_1,
    X86_FEATURE_SSE4_2,        X86_FEATURE_MOVBE,       X86_FEATURE_POPCNT,
    X86_FEATURE_AESNI,         X86_FEATURE_F16C,        X86_FEATURE_BMI1,
    X86_FEATURE_BMI2,          X86_FEATURE_ABM,         X86_FEATURE_SSE4A,
    X86_FEATURE_SVM,           X86_FEATURE_FMA4,        X86_FEATURE_XOP,
    X86_FEATURE_TBM,           X86_FEATURE_LAHF_LM,     X86_FEATURE_LM,
    X86_FEATURE_SYSCALL,       X86_FEATURE_ADX,         X86_FEATURE_SHA,
    X86_FEATURE_MMXEXT,        X86_FEATURE_3DNOW,       X86_FEATURE_3DNOWEXT,
    X86_FEATURE_3DNOWPREFETCH, X86_FEATURE_MISALIGNSSE, X86_FEATURE_RDTSCP,
    X86_FEATURE_HYPERVISOR,    X86_FEATURE_VME,         X86_FEATURE_PSE,
    X86_FEATURE_PGE,
};

/* One processor as it is read. */
struct linux_cpu {
    struct form_cpu *cpu;
    unsigned int family, model, stepping;
    unsigned int identity; /* a bit for each of the three that was said */
    bool flags;
    char architecture[32]; /* lscpu: "x86_64"; "" when it is not said */
    char hypervisor[32];   /* lscpu: whose virtual machine it is */
};

/* ibrs, ibpb, stibp and ssbd are Linux's own names, for Intel's bits or AMD's. */
static int speculation_feature(const struct form_cpu *c, const char *name, size_t len)
{
    static const struct {
        const char *name;
        int intel, amd;
    } own[] = {
        {"ibrs", X86_FEATURE_IBRSB, X86_FEATURE_IBRS},
        {"ibpb", X86_FEATURE_IBRSB, X86_FEATURE_IBPB},
        {"stibp", X86_FEATURE_STIBP, X86_FEATURE_AMD_STIBP},
        {"ssbd", X86_FEATURE_SSBD, -1},
        {"ibrs_enhanced", X86_FEATURE_EIBRS, X86_FEATURE_AUTO_IBRS},
    };

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strlen(own[i].name) == len && !memcmp(own[i].name, name, len))
            return vendor_is_amd_like(policy_vendor_id(&c->policy)) ? own[i].amd : own[i].intel;
    return -2;
}

static void take_flags(struct linux_cpu *l, const char *s)
{
    for (size_t i = 0; i < sizeof(always_named) / sizeof(always_named[0]); i++)
        form_know_feature(l->cpu, always_named[i], false);
    while (*s) {
        size_t len = strcspn(s, " \t");
        int feature = speculation_feature(l->cpu, s, len);

        if (feature == -2)
            feature = form_feature_by_name(FORM_NAMES_LINUX, s, len);
        if (feature >= 0)
            form_know_feature(l->cpu, (unsigned int)feature, true);
        s += len;
        s += strspn(s, " \t");
    }
    l->flags = true;
}

/* "46 bits physical, 48 bits virtual" */
static void take_widths(struct form_cpu *c, const char *s)
{
    char *end;
    unsigned long physical = strtoul(s, &end, 10), virtual;
    const char *behind = form_after(end, " bits physical, ");

    if (!behind)
        return;
    virtual = strtoul(behind, &end, 10);
    if (form_after(end, " bits virtual"))
        (void)form_know_bits(c, EXTD_FIRST + 8, POLICY_NONE, 0, 0xffff,
                             (uint32_t)((physical & 0xff) | (virtual & 0xff) << 8));
}

static void take_identity(struct linux_cpu *l, unsigned int which, const char *s)
{
    unsigned int *const numbers[3] = {&l->family, &l->model, &l->stepping};

    *numbers[which] = (unsigned int)strtoul(s, NULL, 10);
    l->identity |= 1u << which;
    if (l->identity == 7)
        form_know_signature(l->cpu, l->family, l->model, l->stepping);
}

static void take_value(struct linux_cpu *l, const char *line)
{
    static const struct {
        const char *key;
        unsigned int which;
    } identity[] = {{"cpu family", 0}, {"model", 1}, {"stepping", 2}};
    const char *s, *end;

    if ((s = form_value(line, "flags"))) {
        take_flags(l, s);
        return;
    }
    for (size_t i = 0; i < 3; i++)
        if ((s = form_value(line, identity[i].key)))
            take_identity(l, identity[i].which, s);
    if ((s = form_value(line, "vendor_id")) || (s = form_value(line, "Vendor ID"))) {
        s = form_trim(s, &end);
        form_know_vendor(l->cpu, s, (size_t)(end - s));
    } else if ((s = form_value(line, "model name"))) {
        s = form_trim(s, &end);
        form_know_brand(l->cpu, s, (size_t)(end - s));
    } else if ((s = form_value(line, "address sizes"))) {
        take_widths(l->cpu, s);
    } else if ((s = form_value(line, "cpuid level"))) {
        (void)form_know_bits(l->cpu, 0, POLICY_NONE, 0, ~0u, (uint32_t)strtoul(s, NULL, 10));
    } else if ((s = form_value(line, "clflush size"))) {
        (void)form_know_bits(l->cpu, 1, POLICY_NONE, 1, 0xff00,
                             (uint32_t)strtoul(s, NULL, 10) / 8 << 8);
    } else if ((s = form_value(line, "Architecture"))) {
        s = form_trim(s, &end);
        (void)snprintf(l->architecture, sizeof(l->architecture), "%.*s", (int)(end - s), s);
    } else if ((s = form_value(line, "Hypervisor vendor"))) {
        s = form_trim(s, &end);
        (void)snprintf(l->hypervisor, sizeof(l->hypervisor), "%.*s", (int)(end - s), s);
    }
}

static bool has_key(const struct form_text *t, const char *key)
{
    for (size_t i = 0; i < t->n_lines; i++)
        if (form_value(t->lines[i], key))
            return true;
    return false;
}

static void note_virtual(struct form *f, const struct linux_cpu *l)
{
    if (!strcmp(l->hypervisor, "Xen"))
        form_make_domain(f);
    else if (l->hypervisor[0])
        form_note(f,
                  "it was taken inside a virtual machine of %s: it is what that machine was "
                  "told, not what the CPU has",
                  l->hypervisor);
    else if (policy_has(&f->cpus[0].policy, X86_FEATURE_HYPERVISOR))
        form_note(f, "it was taken inside a virtual machine (the flag hypervisor is there): it is "
                     "what that machine was told, not what the CPU has");
}

static int finish_linux(struct form *f, const struct linux_cpu *l)
{
    f->kind = FORM_CPU;
    f->partial = true;
    if (l->architecture[0] && !strstr(l->architecture, "86")) /* x86_64, i686 */
        return form_fail(f, "it is of a CPU of %s, and no x86", l->architecture);
    if (!f->n_cpus || !l->flags)
        return form_fail(f, "there are no flags in it");
    for (size_t i = 0; i < f->n_cpus; i++)
        form_fit_numbers(&f->cpus[i]);
    form_note(f, "it has names only, of what Linux uses of the CPU: most of the CPU is unknown; "
                 "`cpuid -r` says it");
    note_virtual(f, l);
    return 0;
}

/* ---- /proc/cpuinfo ---- */

static unsigned int looks_like_cpuinfo(const struct form_text *t)
{
    return has_key(t, "vendor_id") && has_key(t, "flags") ? 60 : 0;
}

static int read_cpuinfo(const struct form_text *t, struct form *f)
{
    struct linux_cpu l = {0};

    for (size_t i = 0; i < t->n_lines; i++) {
        if (!l.cpu || form_value(t->lines[i], "processor")) {
            struct linux_cpu next = {0};

            if (l.cpu && !l.flags) { /* what stands in front of the first */
                take_value(&l, t->lines[i]);
                continue;
            }
            if (f->n_cpus == FORM_MAX_CPUS)
                break;
            next.cpu = form_add_cpu(f);
            next.flags = l.flags;
            l = next;
            if (!l.cpu)
                return -1;
        }
        take_value(&l, t->lines[i]);
    }
    return finish_linux(f, &l);
}

const struct form_reader form_cpuinfo = {
    .name = "/proc/cpuinfo",
    .looks_like = looks_like_cpuinfo,
    .read = read_cpuinfo,
};

/* ---- lscpu ---- */

/* lscpu -J: "field" and "data" of each line, and lines below it. */
static void take_json(struct linux_cpu *l, yajl_val list, unsigned int depth)
{
    for (size_t i = 0; i < json_count(list); i++) {
        yajl_val entry = YAJL_GET_ARRAY(list)->values[i];
        const char *field = json_find_string(entry, "field");
        const char *data = json_find_string(entry, "data");
        char *line = NULL;

        if (field && data &&
            asprintf(&line, "%s%s%s", field, strchr(field, ':') ? " " : ": ", data) > 0)
            take_value(l, line);
        free(line);
        if (depth)
            take_json(l, json_find(entry, "children", yajl_t_array), depth - 1);
    }
}

static unsigned int looks_like_lscpu_json(const struct form_text *t)
{
    const char *s = t->bytes + strspn(t->bytes, " \t\r\n");

    return *s == '{' && strstr(s, "\"lscpu\"") ? 95 : 0;
}

static int read_lscpu_json(const struct form_text *t, struct form *f)
{
    struct linux_cpu l = {.cpu = form_add_cpu(f)};
    char why[256];
    yajl_val root;

    if (!l.cpu)
        return -1;
    root = json_read(t->bytes, t->len, why, sizeof(why));
    if (!root)
        return form_fail(f, "%s", why);
    take_json(&l, json_find(root, "lscpu", yajl_t_array), 4);
    yajl_tree_free(root);
    return finish_linux(f, &l);
}

const struct form_reader form_lscpu_json = {
    .name = "lscpu -J",
    .looks_like = looks_like_lscpu_json,
    .read = read_lscpu_json,
};

static unsigned int looks_like_lscpu(const struct form_text *t)
{
    return has_key(t, "Architecture") && has_key(t, "Flags") ? 61 : 0;
}

static int read_lscpu(const struct form_text *t, struct form *f)
{
    struct linux_cpu l = {.cpu = form_add_cpu(f)};

    if (!l.cpu)
        return -1;
    for (size_t i = 0; i < t->n_lines; i++)
        take_value(&l, t->lines[i]);
    return finish_linux(f, &l);
}

const struct form_reader form_lscpu = {
    .name = "lscpu",
    .looks_like = looks_like_lscpu,
    .read = read_lscpu,
};
