/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's command line, as far as it is about CPUs.  Names as in Xen's documentation of
 * its command line; what is taken, and what of it is without effect, as 4.17.7 to 4.22.0 do.
 */
#include "host-private.h"

#include <cpuid-policy/releases.h>
#include <xen/errno.h>

#include "features-gen.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct word {
    const char *at;
    size_t len;
};

/* Is `w` = prefix + value?  *value is what follows. */
static bool has_prefix(const struct word *w, const char *prefix, struct word *value)
{
    size_t i = 0;

    for (; prefix[i]; i++)
        if (i >= w->len || w->at[i] != prefix[i])
            return false;
    *value = (struct word){w->at + i, w->len - i};
    return true;
}

static bool word_is(const struct word *w, const char *text)
{
    struct word rest;

    return has_prefix(w, text, &rest) && !rest.len;
}

/* A number as Xen takes it: 0x and up to eight hexadecimal digits, or decimal. */
static bool parse_u32(const struct word *w, uint32_t *value)
{
    struct word digits;
    uint32_t base = 10;
    uint64_t n = 0;

    if (has_prefix(w, "0x", &digits) || has_prefix(w, "0X", &digits))
        base = 16;
    else
        digits = *w;
    if (!digits.len)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.at[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                            : 16;

        if (d >= base)
            return false;
        n = n * base + d;
        if (n > 0xffffffffu)
            return false;
    }
    *value = (uint32_t)n;
    return true;
}

/* The next piece of a list between commas; false at its end. */
static bool next_item(struct word *list, struct word *item)
{
    size_t n = 0;

    if (!list->len)
        return false;
    while (n < list->len && list->at[n] != ',')
        n++;
    *item = (struct word){list->at, n};
    if (n < list->len)
        n++;
    *list = (struct word){list->at + n, list->len - n};
    return true;
}

/* A word of the command line, taken apart: [no-]name[=value]. */
struct option {
    struct word whole, name, value;
    bool has_value;
    bool negated; /* no- */
};

/* What is read, for whom, and what only counts when all of it has been read. */
struct reader {
    struct host_options *o;
    const struct host_option_listener *listener;
    const char *cmdline;
    const char *bad; /* where it is wrong */
    struct word smt, watchdog;
    bool xsave_off, pku_off, smep_off, smap_off, watched;
};

static void tell_listener(const struct reader *r, enum host_option_note what, const struct word *w)
{
    if (r->listener)
        r->listener->note(r->listener->data, what, (size_t)(w->at - r->cmdline), w->len);
}

static int refuse_word(struct reader *r, const struct word *w)
{
    r->bad = w->at;
    return -XEN_EINVAL;
}

/* 1 yes, 0 no, -1 neither: the words that Xen takes for them. */
static int parse_bool(const struct word *w)
{
    static const char *const yes[] = {"1", "on", "yes", "true", "enable"}, *const no[] = {
                                                                               "0", "no", "off",
                                                                               "false", "disable"};

    for (size_t i = 0; i < COUNT(yes); i++)
        if (word_is(w, yes[i]))
            return 1;
    for (size_t i = 0; i < COUNT(no); i++)
        if (word_is(w, no[i]))
            return 0;
    return -1;
}

/* An item of a list that is a switch: NAME, no-NAME or NAME=BOOL.  1, 0; -1: it is not about NAME;
 * -2: it is, and *value, what is behind the =, is no bool. */
static int parse_switch(const struct word *item, const char *name, struct word *value)
{
    struct word rest, stripped;

    if (has_prefix(item, "no-", &stripped) && word_is(&stripped, name))
        return 0;
    if (!has_prefix(item, name, &rest))
        return -1;
    if (!rest.len)
        return 1;
    if (rest.at[0] != '=')
        return -1;
    *value = (struct word){rest.at + 1, rest.len - 1};
    return parse_bool(value) < 0 ? -2 : parse_bool(value);
}

/* ---- options that are lists ---- */

/* "no-avx512f,rdrand,avx=0".  What is off stays off; and nothing is switched on by it but RDRAND,
 * where an erratum hides it. */
static int parse_cpuid(struct reader *r, const struct option *opt)
{
    struct word list = opt->value, item, name, value;
    size_t n;

    if (!list.len)
        return refuse_word(r, &list);
    while (next_item(&list, &item)) {
        bool off = has_prefix(&item, "no-", &name);
        int feature;

        if (!off)
            name = item;
        for (n = 0; n < name.len && name.at[n] != '='; n++)
            ;
        value = (struct word){name.at + n + 1, n < name.len ? name.len - n - 1 : 0};
        if (n < name.len && (off || parse_bool(&value) < 0))
            return refuse_word(r, &item);
        if (n < name.len)
            off = !parse_bool(&value);
        feature = n ? feature_by_name(name.at, n) : -1;
        if (feature < 0)
            return refuse_word(r, &item);
        if (!featureset_test(release_names(r->o->xen), (unsigned int)feature)) {
            tell_listener(r, HOST_OPTION_OF_OTHER_XEN, &item);
            continue;
        }
        featureset_set(off ? &r->o->cpuid_off : &r->o->cpuid_on, (unsigned int)feature);
        if (!off && feature != X86_FEATURE_RDRAND)
            tell_listener(r, HOST_OPTION_CHANGES_NOTHING, &item);
    }
    return 0;
}

static void switch_xen_off(struct host_options *o)
{
    o->no_gds_mit = o->no_bp_spec_reduce = true;
    o->unpriv_mmio = false;
}

/* msr-sc: for both kinds of guests, or with =[no-]pv, =[no-]hvm for one. */
static bool parse_msr_sc(struct host_options *o, const struct word *item)
{
    struct word value, rest;
    int on = parse_switch(item, "msr-sc", &value), one;

    if (on >= 0) {
        o->no_msr_pv = o->no_msr_hvm = !on;
        return true;
    }
    if (on == -1)
        return false;
    one = parse_switch(&value, "pv", &rest);
    if (one >= 0)
        o->no_msr_pv = !one;
    else if ((one = parse_switch(&value, "hvm", &rest)) >= 0)
        o->no_msr_hvm = !one;
    return one >= 0;
}

/* Those that change a policy; false: it is none of them. */
static bool parse_spec_ctrl_item(struct host_options *o, const struct word *item)
{
    const struct {
        const char *name;
        bool *off, *on;
    } switches[] = {
        {"pv", &o->no_msr_pv, NULL},
        {"hvm", &o->no_msr_hvm, NULL},
        {"gds-mit", &o->no_gds_mit, NULL},
        {"bp-spec-reduce", &o->no_bp_spec_reduce, NULL},
        {"unpriv-mmio", NULL, &o->unpriv_mmio},
    };
    struct word value;

    if (parse_bool(item) == 0) {
        o->no_msr_pv = o->no_msr_hvm = true;
        switch_xen_off(o);
        if (o->tsx == HOST_TSX_DEFAULT)
            o->tsx = HOST_TSX_LEFT;
        return true;
    }
    if (parse_switch(item, "xen", &value) == 0) {
        switch_xen_off(o);
        return true;
    }
    for (size_t i = 0; i < COUNT(switches); i++) {
        int on = parse_switch(item, switches[i].name, &value);

        if (on < 0)
            continue;
        if (switches[i].off)
            *switches[i].off = !on;
        else
            *switches[i].on = on;
        return true;
    }
    return parse_msr_sc(o, item);
}

/* Is it about how Xen protects itself and its guests, with no policy changed by it? */
static enum host_option_note judge_spec_ctrl_item(const struct host_options *o,
                                                  const struct word *item)
{
    static const struct {
        const char *name;
        uint16_t first, last;
    } names[] = {
        {"rsb", 417, 422},           {"verw", 417, 422},        {"md-clear", 417, 422},
        {"ibpb-entry", 417, 422},    {"bhb-entry", 417, 422},   {"bti-thunk", 417, 422},
        {"bhb-seq", 417, 422},       {"ibrs", 417, 422},        {"stibp", 417, 422},
        {"ssbd", 417, 422},          {"psfd", 417, 422},        {"bhi-dis-s", 417, 422},
        {"ibpb", 417, 422},          {"eager-fpu", 417, 421},   {"l1d-flush", 417, 422},
        {"branch-harden", 417, 422}, {"lock-harden", 417, 422}, {"srb-lock", 417, 422},
        {"div-scrub", 417, 422},     {"ibpb-alt", 418, 422},
    };
    struct word value;

    for (size_t i = 0; i < COUNT(names); i++)
        if (parse_switch(item, names[i].name, &value) != -1)
            return o->xen >= names[i].first && o->xen <= names[i].last ? HOST_OPTION_CHANGES_NOTHING
                                                                       : HOST_OPTION_OF_OTHER_XEN;
    return HOST_OPTION_UNKNOWN;
}

static int parse_spec_ctrl(struct reader *r, const struct option *opt)
{
    struct word list = opt->value, item;

    if (!list.len)
        return refuse_word(r, &opt->whole);
    while (next_item(&list, &item))
        if (!item.len)
            tell_listener(r, HOST_OPTION_UNKNOWN, &opt->whole);
        else if (!parse_spec_ctrl_item(r->o, &item))
            tell_listener(r, judge_spec_ctrl_item(r->o, &item), &item);
    return 0;
}

static int parse_vpmu(struct reader *r, const struct option *opt)
{
    struct word list = opt->value, item, value;
    bool events = false;

    if (!list.len)
        return refuse_word(r, &opt->whole);
    while (next_item(&list, &item)) {
        int on = parse_bool(&item);

        if (on >= 0) {
            r->o->vpmu = on;
            events = on && events;
        } else if (word_is(&item, "bts") || word_is(&item, "ipc") || word_is(&item, "arch")) {
            events = true;
        } else if (parse_switch(&item, "rtm-abort", &value) >= 0) {
            tell_listener(r, HOST_OPTION_CHANGES_NOTHING, &item);
        } else {
            return refuse_word(r, &item);
        }
    }
    r->o->vpmu = r->o->vpmu || events;
    return 0;
}

/* ---- options with one value ---- */

static int parse_tsx(struct reader *r, const struct option *opt)
{
    int on = parse_bool(&opt->value);

    if (on < 0)
        return refuse_word(r, &opt->whole);
    r->o->tsx = on ? HOST_TSX_ON : HOST_TSX_OFF;
    return 0;
}

/* A switch in the form of smt: its word alone says yes, and so it does for smep and smap.  Those
 * two also know "hvm": for guests only. */
static int parse_onoff(struct reader *r, const struct option *opt, bool *off)
{
    int on = opt->value.len ? parse_bool(&opt->value) : 1;

    if (on < 0)
        return refuse_word(r, &opt->whole);
    *off = on ? opt->negated : !opt->negated;
    return 0;
}

static int parse_simple(struct reader *r, const struct option *opt)
{
    const struct {
        const char *name;
        bool *off;
    } switches[] = {
        {"smt", &r->o->smt_off}, {"hap", &r->o->hap_off}, {"xsave", &r->xsave_off},
        {"pku", &r->pku_off},    {"smep", &r->smep_off},  {"smap", &r->smap_off},
    };

    for (size_t i = 0; i < COUNT(switches); i++)
        if (word_is(&opt->name, switches[i].name)) {
            if (opt->name.at[0] == 's' && opt->name.at[1] == 'm' && word_is(&opt->value, "hvm"))
                return 0;
            if (switches[i].off == &r->o->smt_off)
                r->smt = opt->whole;
            return parse_onoff(r, opt, switches[i].off);
        }
    return -XEN_EINVAL;
}

static int parse_nolapic(struct reader *r, const struct option *opt)
{
    (void)opt;
    featureset_set(&r->o->cpuid_off, X86_FEATURE_APIC);
    return 0;
}

static int parse_watchdog(struct reader *r, const struct option *opt)
{
    r->watchdog = opt->whole;
    r->watched = !opt->negated && parse_bool(&opt->value) != 0;
    return 0;
}

static int parse_ucode(struct reader *r, const struct option *opt)
{
    tell_listener(r, HOST_OPTION_MICROCODE, &opt->whole);
    return 0;
}

static int parse_mask(struct reader *r, const struct option *opt)
{
    struct host_options *o = r->o;
    const struct {
        const char *name;
        uint32_t *value;
    } masks[] = {
        {"cpuid_mask_ecx", &o->mask_ecx},
        {"cpuid_mask_edx", &o->mask_edx},
        {"cpuid_mask_ext_ecx", &o->mask_ext_ecx},
        {"cpuid_mask_ext_edx", &o->mask_ext_edx},
        {"cpuid_mask_xsave_eax", &o->mask_xsave_eax},
        {"cpuid_mask_l7s0_eax", &o->mask_l7s0_eax},
        {"cpuid_mask_l7s0_ebx", &o->mask_l7s0_ebx},
        {"cpuid_mask_therm_ecx", &o->mask_therm_ecx},   /* as Xen's documentation has it */
        {"cpuid_mask_thermal_ecx", &o->mask_therm_ecx}, /* as Xen takes it */
    };

    for (size_t i = 0; i < COUNT(masks); i++)
        if (word_is(&opt->name, masks[i].name))
            return parse_u32(&opt->value, masks[i].value) ? 0 : refuse_word(r, &opt->whole);
    return refuse_word(r, &opt->whole);
}

/* "fam_0f_rev_c": masks that AMD gave for its older CPUs (BIOS and Kernel Developer's Guides). */
static int parse_mask_cpu(struct reader *r, const struct option *opt)
{
    static const struct {
        const char *name;
        struct host_cpu_mask mask;
    } cpus[] = {
        {"fam_0f_rev_c", {0, 0x078bfbff, 0, 0xe1d3fbff}},
        {"fam_0f_rev_d", {0, 0x078bfbff, 0x1, 0xe3d3fbff}},
        {"fam_0f_rev_e", {0x1, 0x178bfbff, 0x3, 0xe3d3fbff}},
        {"fam_0f_rev_f", {0x2001, 0x178bfbff, 0x1f, 0xebd3fbff}},
        {"fam_0f_rev_g", {0x2001, 0x178bfbff, 0x11f, 0xebd3fbff}},
        {"fam_10_rev_b", {0x802009, 0x178bfbff, 0x6ff, 0xefd3fbff}},
        {"fam_10_rev_c", {0x802009, 0x178bfbff, 0x36ff, 0xefd3fbff}},
        {"fam_11_rev_b", {0x2001, 0x178bfbff, 0x111f, 0xebd3fbff}},
    };

    for (size_t i = 0; i < COUNT(cpus); i++)
        if (word_is(&opt->value, cpus[i].name)) {
            r->o->mask_cpu = cpus[i].mask;
            return 0;
        }
    return refuse_word(r, &opt->whole);
}

/* ---- words ---- */

static const struct {
    const char *name;
    uint16_t first, last; /* releases that know it */
    bool custom;          /* takes no-NAME as NAME=no, and no-NAME=... not at all */
    int (*parse)(struct reader *r, const struct option *opt);
} known[] = {
    {"cpuid", 417, 422, true, parse_cpuid},
    {"spec-ctrl", 417, 422, true, parse_spec_ctrl},
    {"tsx", 417, 422, true, parse_tsx},
    {"vpmu", 417, 422, true, parse_vpmu},
    {"smep", 417, 422, true, parse_simple},
    {"smap", 417, 422, true, parse_simple},
    {"smt", 417, 422, false, parse_simple},
    {"hap", 417, 422, false, parse_simple},
    {"xsave", 417, 422, false, parse_simple},
    {"pku", 417, 417, false, parse_simple},
    {"nolapic", 417, 422, false, parse_nolapic},
    {"watchdog", 417, 422, false, parse_watchdog},
    {"ucode", 417, 422, false, parse_ucode},
    {"cpuid_mask_cpu", 417, 421, false, parse_mask_cpu},
};

static struct option take_apart(const struct word *w)
{
    struct option opt = {.whole = *w, .name = *w, .value = {w->at + w->len, 0}};
    size_t n = 0;

    while (n < w->len && w->at[n] != '=')
        n++;
    opt.has_value = n < w->len;
    if (opt.has_value)
        opt.value = (struct word){w->at + n + 1, w->len - n - 1};
    opt.name.len = n;
    opt.negated = has_prefix(&opt.name, "no-", &opt.name);
    for (n = 0; n < opt.name.len; n++) /* "ivrs_hpet[0]" */
        if (opt.name.at[n] == '[' || opt.name.at[n] == '(' || opt.name.at[n] == '{' ||
            opt.name.at[n] == '<')
            opt.name.len = n;
    return opt;
}

static int parse_word(struct reader *r, const struct word *w)
{
    static const char no[] = "no";
    struct option opt = take_apart(w);
    struct word rest;

    if (has_prefix(&opt.name, "cpuid_mask_", &rest) && r->o->xen >= 422) {
        tell_listener(r, HOST_OPTION_OF_OTHER_XEN, w);
        return 0;
    }
    for (size_t i = 0; i < COUNT(known); i++) {
        if (!word_is(&opt.name, known[i].name))
            continue;
        if (r->o->xen < known[i].first || r->o->xen > known[i].last) {
            tell_listener(r, HOST_OPTION_OF_OTHER_XEN, w);
            return 0;
        }
        if (known[i].custom && opt.negated) {
            if (opt.value.len)
                return refuse_word(r, w);
            opt.value = (struct word){no, 2};
            opt.negated = false;
        }
        /* A value that is not in the line cannot be what is wrong: the word is. */
        if (known[i].parse(r, &opt)) {
            if (r->bad == no)
                r->bad = w->at;
            return -XEN_EINVAL;
        }
        return 0;
    }
    if (has_prefix(&opt.name, "cpuid_mask_", &rest))
        return opt.negated ? refuse_word(r, w) : parse_mask(r, &opt);
    tell_listener(r, host_option_judge(opt.name.at, opt.name.len, r->o->xen), w);
    return 0;
}

/* What depends on more than one word. */
static void close_options(struct reader *r)
{
    struct host_options *o = r->o;

    if (r->xsave_off)
        featureset_set(&o->cpuid_off, X86_FEATURE_XSAVE);
    if (r->pku_off)
        featureset_set(&o->cpuid_off, X86_FEATURE_PKU);
    if (r->smep_off)
        featureset_set(&o->cpuid_off, X86_FEATURE_SMEP);
    if (r->smap_off)
        featureset_set(&o->cpuid_off, X86_FEATURE_SMAP);
    if (r->watchdog.len && !o->vpmu)
        tell_listener(r, HOST_OPTION_CHANGES_NOTHING, &r->watchdog);
    if (r->watched) /* they want the same counter */
        o->vpmu = false;
    /* It counts where TSX is left on for a host without threads, and nowhere else. */
    if (r->smt.len && !o->unpriv_mmio)
        tell_listener(r, HOST_OPTION_CHANGES_NOTHING, &r->smt);
}

void host_options_init(struct host_options *options)
{
    *options = (struct host_options){
        .xen = HOST_XEN_DEFAULT,
        .mask_ecx = ~0u,
        .mask_edx = ~0u,
        .mask_ext_ecx = ~0u,
        .mask_ext_edx = ~0u,
        .mask_xsave_eax = ~0u,
        .mask_l7s0_eax = ~0u,
        .mask_l7s0_ebx = ~0u,
        .mask_therm_ecx = ~0u,
        .mask_cpu = {~0u, ~0u, ~0u, ~0u},
    };
}

int host_options_read(struct host_options *options, unsigned int xen, const char *cmdline,
                      const struct host_option_listener *listener, size_t *where)
{
    struct reader r = {.o = options, .listener = listener, .cmdline = cmdline};
    const char *at = cmdline;

    host_options_init(options);
    options->xen = xen;
    while (*at) {
        struct word w = {at, 0};

        while (at[w.len] && at[w.len] != ' ')
            w.len++;
        if (word_is(&w, "--")) /* what follows is dom0's */
            break;
        if (w.len && parse_word(&r, &w)) {
            *where = (size_t)(r.bad - cmdline);
            return -XEN_EINVAL;
        }
        at += w.len;
        while (*at == ' ')
            at++;
    }
    close_options(&r);
    return 0;
}

int host_options_parse(struct host_options *options, const char *cmdline, size_t *where)
{
    return host_options_read(options, HOST_XEN_DEFAULT, cmdline, NULL, where);
}
