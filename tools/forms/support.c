/* SPDX-License-Identifier: MIT */
/*
 * CPUs of which only a part is known, and what else the readers share.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cpuid-policy/vocabulary.h>

#include "features-gen.h"
#include "forms-private.h"
#include "xc_text.h"

int form_fail(struct form *f, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)xc_text_vprint(f->error, sizeof(f->error), fmt, ap);
    va_end(ap);
    errno = EINVAL;
    return -1;
}

void form_note(struct form *f, const char *fmt, ...)
{
    va_list ap;
    char *note;

    if (f->n_notes == FORM_MAX_NOTES)
        return;
    va_start(ap, fmt);
    note = xc_text_vformat(fmt, ap);
    va_end(ap);
    if (note)
        f->notes[f->n_notes++] = note;
}

/* ---- text ---- */

const char *form_trim(const char *line, const char **end)
{
    size_t len;

    while (isspace((unsigned char)*line))
        line++;
    len = strlen(line);
    while (len && isspace((unsigned char)line[len - 1]))
        len--;
    *end = line + len;
    return line;
}

const char *form_after(const char *text, const char *word)
{
    size_t len = strlen(word);

    return strncmp(text, word, len) == 0 ? text + len : NULL;
}

const char *form_value(const char *line, const char *key)
{
    size_t len = strlen(key);

    while (isspace((unsigned char)*line))
        line++;
    if (strncasecmp(line, key, len) != 0)
        return NULL;
    line += len;
    while (isspace((unsigned char)*line))
        line++;
    if (*line != ':' && *line != '=')
        return NULL;
    line++;
    while (isspace((unsigned char)*line))
        line++;
    return line;
}

size_t form_take_words(const char *text, uint32_t *words, size_t max, const char **end)
{
    size_t n = 0;

    *end = text;
    while (n < max && dump_take_hex(&text, 8, &words[n]) && !isxdigit((unsigned char)*text)) {
        n++;
        *end = text;
        if (*text != '-' && *text != ':')
            break;
        text++;
    }
    return n;
}

/* ---- what is known of a CPU ---- */

void form_cpu_init(struct form_cpu *c)
{
    memset(&c->policy, 0, sizeof(c->policy));
    dump_set_all_unknown(&c->unknown);
}

static uint32_t *pick_reg(struct cpuid_regs *r, unsigned int reg)
{
    uint32_t *const all[4] = {&r->a, &r->b, &r->c, &r->d};

    return all[reg & 3];
}

bool form_know_bits(struct form_cpu *c, uint32_t leaf, uint32_t subleaf, unsigned int reg,
                    uint32_t mask, uint32_t value)
{
    struct cpuid_regs *to = policy_leaf(&c->policy, leaf, subleaf);
    struct cpuid_regs *unknown = policy_leaf(&c->unknown, leaf, subleaf);

    if (!to || !unknown)
        return false;
    *pick_reg(to, reg) = (*pick_reg(to, reg) & ~mask) | (value & mask);
    *pick_reg(unknown, reg) &= ~mask;
    return true;
}

static void know_msr(struct form_cpu *c, unsigned int shift, uint32_t mask, uint32_t value)
{
    c->policy.arch_caps &= ~((uint64_t)mask << shift);
    c->policy.arch_caps |= (uint64_t)(value & mask) << shift;
    c->unknown.arch_caps &= ~((uint64_t)mask << shift);
}

static void know_word_bits(struct form_cpu *c, unsigned int word, uint32_t mask, uint32_t value)
{
    const struct featureset_word_info *w = featureset_word_info(word);

    if (!w)
        return;
    if (w->msr == POLICY_NONE)
        (void)form_know_bits(c, w->leaf, w->subleaf, w->reg, mask, value);
    else if (w->msr == MSR_ARCH_CAPABILITIES)
        know_msr(c, w->reg ? 32 : 0, mask, value);
}

void form_know_feature(struct form_cpu *c, unsigned int feature, bool there)
{
    know_word_bits(c, feature / 32, feature_bit(feature), there ? ~0u : 0);
}

void form_know_word(struct form_cpu *c, unsigned int word, uint32_t value)
{
    know_word_bits(c, word, ~0u, value);
}

void form_know_guest_words(struct form_cpu *c, const uint32_t *words, size_t n)
{
    enum { FEWEST_OF_ANY_XEN = 9 };
    /* Leaves 6 and F, which Xen gives no guest (4.7 to 4.22). */
    static const unsigned int never[] = {FEATURESET_6a, FEATURESET_6c, FEATURESET_Fd0,
                                         FEATURESET_Fd1};

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        form_know_word(c, never[i], 0);
    for (unsigned int i = 0; i < FEATURESET_XEN_WORDS; i++)
        if (i < n)
            form_know_word(c, i, words[i]);
        else if (n >= FEWEST_OF_ANY_XEN)
            form_know_word(c, i, 0);
}

void form_know_vendor(struct form_cpu *c, const char *vendor, size_t len)
{
    unsigned char name[12] = {0};
    uint32_t part[3];

    if (len > sizeof(name))
        len = sizeof(name);
    memcpy(name, vendor, len);
    for (size_t i = 0; i < 3; i++)
        part[i] = (uint32_t)name[4 * i] | (uint32_t)name[4 * i + 1] << 8 |
                  (uint32_t)name[4 * i + 2] << 16 | (uint32_t)name[4 * i + 3] << 24;
    (void)form_know_bits(c, 0, POLICY_NONE, 1, ~0u, part[0]);
    (void)form_know_bits(c, 0, POLICY_NONE, 3, ~0u, part[1]);
    (void)form_know_bits(c, 0, POLICY_NONE, 2, ~0u, part[2]);
}

void form_know_signature(struct form_cpu *c, unsigned int family, unsigned int model,
                         unsigned int stepping)
{
    uint32_t base = family < 0xf ? family : 0xf, extended = family - base;
    uint32_t eax = (stepping & 0xf) | (model & 0xf) << 4 | base << 8 | (model >> 4 & 0xf) << 16 |
                   (extended & 0xff) << 20;

    (void)form_know_bits(c, 1, POLICY_NONE, 0, ~0u, eax);
}

void form_know_brand(struct form_cpu *c, const char *brand, size_t len)
{
    unsigned char name[48] = {0};

    memcpy(name, brand, len < sizeof(name) ? len : sizeof(name) - 1);
    for (size_t i = 0; i < 12; i++)
        (void)form_know_bits(c, EXTD_FIRST + 2 + (uint32_t)(i / 4), POLICY_NONE,
                             (unsigned int)(i % 4), ~0u,
                             (uint32_t)name[4 * i] | (uint32_t)name[4 * i + 1] << 8 |
                                 (uint32_t)name[4 * i + 2] << 16 | (uint32_t)name[4 * i + 3] << 24);
}

/* ---- numbers that nobody said ---- */

/* As high as the leaves of which something is known to be set. */
static void fit_maxima(struct form_cpu *c)
{
    struct cpu_policy *p = &c->policy;
    uint32_t last = 0xd, feat = 0, extd = 8;
    static const struct cpuid_regs none;

    for (uint32_t i = 0xe; i < POLICY_NR_BASIC; i++)
        if (memcmp(&p->basic[i], &none, sizeof(none)) != 0)
            last = i;
    for (uint32_t i = 1; i < POLICY_NR_FEAT; i++)
        if (memcmp(&p->feat[i], &none, sizeof(none)) != 0)
            feat = i;
    for (uint32_t i = 9; i < POLICY_NR_EXTD; i++)
        if (memcmp(&p->extd[i], &none, sizeof(none)) != 0)
            extd = i;
    if (c->unknown.basic[0].a)
        p->basic[0].a = last;
    if (c->unknown.feat[0].a)
        p->feat[0].a = feat;
    if (c->unknown.extd[0].a)
        p->extd[0].a = EXTD_FIRST + extd;
}

/*
 * Features that only AMD's and Hygon's CPUs have say whose a featureset is: each of their 64-bit
 * CPUs has some of them, and Xen gives them to guests.  (AMD's copies of 1.EDX do not tell: Xen has
 * them in the featuresets of guests on Intel's CPUs as well.)
 */
static void fit_vendor(struct form_cpu *c)
{
    static const unsigned int amds[] = {X86_FEATURE_SVM,    X86_FEATURE_CR8_LEGACY,
                                        X86_FEATURE_SSE4A,  X86_FEATURE_MISALIGNSSE,
                                        X86_FEATURE_MMXEXT, X86_FEATURE_FFXSR};
    const char *vendor = "GenuineIntel";

    if (!c->unknown.basic[0].b || c->unknown.extd[1].d == ~0u || c->unknown.extd[1].c == ~0u)
        return;
    for (size_t i = 0; i < sizeof(amds) / sizeof(amds[0]); i++)
        if (policy_has(&c->policy, amds[i]))
            vendor = "AuthenticAMD";
    form_know_vendor(c, vendor, strlen(vendor));
}

/* The components of the XSAVE area that the features stand on, where Intel's manual has them in
 * standard form (SDM vol. 1, 13.4 to 13.13). */
static void fit_xstate(struct form_cpu *c)
{
    static const struct {
        unsigned int feature, component;
        uint32_t size, offset;
    } parts[] = {
        {X86_FEATURE_AVX, 2, 256, 576},      {X86_FEATURE_MPX, 3, 64, 960},
        {X86_FEATURE_MPX, 4, 64, 1024},      {X86_FEATURE_AVX512F, 5, 64, 1088},
        {X86_FEATURE_AVX512F, 6, 512, 1152}, {X86_FEATURE_AVX512F, 7, 1024, 1664},
        {X86_FEATURE_PKU, 9, 8, 2688},
    };
    struct cpu_policy *p = &c->policy;

    if (c->unknown.xstate[0].a != ~0u || !policy_has(p, X86_FEATURE_XSAVE))
        return;
    p->xstate[0].a |= 3;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!policy_has(p, parts[i].feature))
            continue;
        p->xstate[0].a |= 1u << parts[i].component;
        p->xstate[parts[i].component].a = parts[i].size;
        p->xstate[parts[i].component].b = parts[i].offset;
    }
    p->xstate[0].b = p->xstate[0].c = (uint32_t)xstate_standard_size(p, p->xstate[0].a);
}

void form_fit_numbers(struct form_cpu *c)
{
    if (c->unknown.extd[8].a == ~0u)
        c->policy.extd[8].a = 48u << 8 | 46;
    if (c->unknown.basic[1].b == ~0u)
        c->policy.basic[1].b = 8u << 8; /* lines of 64 bytes, as every CPU of the last 20 years */
    fit_vendor(c);
    fit_maxima(c);
    fit_xstate(c);
}

/* ---- CPUs into a form ---- */

struct form_cpu *form_add_cpu(struct form *f)
{
    struct form_cpu *cpus = realloc(f->cpus, (f->n_cpus + 1) * sizeof(*cpus));

    if (!cpus) {
        (void)form_fail(f, "out of memory");
        errno = ENOMEM;
        return NULL;
    }
    f->cpus = cpus;
    form_cpu_init(&cpus[f->n_cpus]);
    return &cpus[f->n_cpus++];
}

int form_one_cpu(struct form *f, const struct form_cpu *c)
{
    struct form_cpu *to = form_add_cpu(f);

    if (!to)
        return -1;
    f->kind = FORM_CPU;
    *to = *c;
    return 0;
}

static void name_of_hypervisor(const struct cpuid_regs *r, char name[static 13])
{
    const uint32_t part[3] = {r->b, r->c, r->d};

    for (unsigned int i = 0; i < 12; i++)
        name[i] = (char)(part[i / 4] >> (8 * (i % 4)));
    name[12] = '\0';
}

/* Which hypervisor, by what it writes into leaf 40000000 (and Xen also at 40000100, below what it
 * shows Windows guests). */
static const struct {
    const char *signature, *name;
} hypervisors[] = {
    {"XenVMMXenVMM", "Xen"},
    {"KVMKVMKVM", "KVM"},
    {"Linux KVM Hv", "KVM"},
    {"Microsoft Hv", "Hyper-V"},
    {"VMwareVMware", "VMware"},
    {"TCGTCGTCGTCG", "QEMU"},
    {"VBoxVBoxVBox", "VirtualBox"},
    {"bhyve bhyve ", "bhyve"},
    {"BHyVE BHyVE ", "bhyve"},
    {" prl hyperv ", "Parallels"},
    {" lrpepyh  vr", "Parallels"},
    {"ACRNACRNACRN", "ACRN"},
    {"___ NVMM ___", "NVMM"},
    {"OpenBSDVMM58", "OpenBSD vmm"},
    {"MicrosoftXTA", "Windows on ARM"},
    {"SRESRESRESRE", "Lockheed LMHS"},
    {"QNXQVMBSQG", "QNX"},
    {"Jailhouse", "Jailhouse"},
};

static const char *find_hypervisor(const struct cpuid_regs *r, char signature[static 13])
{
    name_of_hypervisor(r, signature);
    for (size_t i = 0; i < sizeof(hypervisors) / sizeof(hypervisors[0]); i++)
        if (!strncmp(hypervisors[i].signature, signature, 12))
            return hypervisors[i].name;
    return signature[0] ? "another hypervisor" : NULL;
}

/* PV domains are never told of VME, PSE and PGE, which Xen keeps for itself; HVM and PVH ones are.
 */
static enum form_guest_type guess_type(const struct form_cpu *c)
{
    static const unsigned int xens[] = {X86_FEATURE_PGE, X86_FEATURE_PSE, X86_FEATURE_VME};
    unsigned int known = 0;

    for (size_t i = 0; i < sizeof(xens) / sizeof(xens[0]); i++) {
        if (policy_has(&c->unknown, xens[i]))
            continue;
        if (policy_has(&c->policy, xens[i]))
            return FORM_GUEST_HVM;
        known++;
    }
    return known == sizeof(xens) / sizeof(xens[0]) ? FORM_GUEST_PV : FORM_GUEST_UNKNOWN;
}

void form_make_domain(struct form *f)
{
    f->kind = FORM_GUEST;
    f->inside_xen = true;
    f->guest = f->cpus[0];
    f->guest_type = guess_type(&f->guest);
    form_note(f,
              "it was taken inside a %sdomain of Xen%s: it is what that domain was told, not what "
              "the host has",
              f->guest_type == FORM_GUEST_PV ? "PV " : "",
              f->guest_type == FORM_GUEST_PV ? " (neither PSE nor PGE is there)" : "");
}

/* Who stands between the dump and the CPU. */
static void look_for_hypervisor(struct form *f, const struct dump *d)
{
    char signature[13], second[13];
    const char *name = find_hypervisor(&d->hypervisor[0], signature);
    const char *below = find_hypervisor(&d->hypervisor[1], second);

    if ((name && !strcmp(name, "Xen")) || (below && !strcmp(below, "Xen")))
        form_make_domain(f);
    else if (name && !strcmp(name, "Hyper-V"))
        form_note(f, "Hyper-V was running (leaf 40000000): the dump is what it shows to Windows, "
                     "which may be less than the CPU has");
    else if (name)
        form_note(f,
                  "it was taken inside a virtual machine of %s (leaf 40000000 says '%s'): it is "
                  "what that machine was told, not what the CPU has",
                  name, signature);
    else if (policy_has(&f->cpus[0].policy, X86_FEATURE_HYPERVISOR))
        form_note(f, "it was taken inside a virtual machine (1.ECX[31]): it is what that machine "
                     "was told, not what the CPU has");
}

/* Behind a line's end split lines have an empty one. */
bool form_is_cut(struct form *f, const struct form_text *t, size_t at, const struct dump *d)
{
    if (at + 1 != t->n_lines || !d->n_cpus)
        return false;
    form_note(f, "its last line, %zu, is cut short and was passed over", at + 1);
    return true;
}

int form_from_dump(struct form *f, struct dump *d)
{
    f->kind = FORM_CPU;
    f->cpus = calloc(d->n_cpus, sizeof(*f->cpus));
    if (!f->cpus) {
        (void)form_fail(f, "out of memory");
        errno = ENOMEM;
        return -1;
    }
    for (size_t i = 0; i < d->n_cpus; i++) {
        f->cpus[i].policy = d->cpus[i].policy;
        f->cpus[i].unknown = d->cpus[i].unknown;
    }
    f->n_cpus = d->n_cpus;
    if (d->too_many_cpus)
        form_note(f, "only the first %d of its CPUs were read", DUMP_MAX_CPUS);
    look_for_hypervisor(f, d);
    return 0;
}
