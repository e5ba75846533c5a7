/* SPDX-License-Identifier: MIT */
/* XENLEVEL_ALLOW, and what is given up by it: see allow.h. */
#include "allow.h"

#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "xc.h"

#include <cpuid-policy/vocabulary.h>

#define EXTD 0x80000000u

enum { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

#define BIT(kind) (1u << (kind))

_Static_assert(FAULT_MSR < 32, "fault kinds must fit into audit_allow.kinds");

/*
 * Names for what is not a feature.  A policy of another vendor, a vendor nobody knows and entries
 * that cannot be read are not in this list: nobody can give them up.
 */
static const struct {
    const char *name;
    uint32_t kinds;
} kind_names[] = {
    {"maxphysaddr", BIT(FAULT_MAXPHYSADDR)},
    {"linearaddr", BIT(FAULT_LINEARADDR)},
    {"clflush", BIT(FAULT_CLFLUSH)},
    {"max-leaf", BIT(FAULT_MAX_LEAF) | BIT(FAULT_BEYOND_MAX)},
    {"xstate", BIT(FAULT_XSTATE_FEATURE) | BIT(FAULT_XSTATE_LAYOUT) | BIT(FAULT_XSTATE_TOTAL) |
                   BIT(FAULT_XSTATE_MISSING) | BIT(FAULT_XSTATE_SIZE) | BIT(FAULT_XSTATE_OFFSET) |
                   BIT(FAULT_XSTATE_FLAGS)},
    {"leaf", BIT(FAULT_LEAF)},
    {"msr", BIT(FAULT_MSR) | BIT(FAULT_MSR_RESERVED)},
};

#define NR_KIND_NAMES (sizeof(kind_names) / sizeof(kind_names[0]))

/* ---- the list ---- */

static bool same_name(const char *name, const char *s, size_t len)
{
    return strlen(name) == len && !strncasecmp(name, s, len);
}

static bool allow_field(const char *s, size_t len, struct audit_allow *allow)
{
    const struct featureset_field_info *f;

    for (unsigned int i = 0; i < 32 && (f = featureset_field_info(i)); i++) {
        if (same_name(f->name, s, len)) {
            allow->fields |= 1u << i;
            return true;
        }
    }
    return false;
}

static bool allow_one(const char *s, size_t len, struct audit_allow *allow)
{
    int feature;

    if (same_name("unverified", s, len)) {
        allow->unverified = true;
        return true;
    }
    if (same_name("release", s, len)) {
        allow->release = true;
        return true;
    }
    for (size_t i = 0; i < NR_KIND_NAMES; i++) {
        if (same_name(kind_names[i].name, s, len)) {
            allow->kinds |= kind_names[i].kinds;
            return true;
        }
    }
    feature = feature_by_name(s, len);
    if (feature >= 0) {
        featureset_set(&allow->features, (unsigned int)feature);
        return true;
    }
    return allow_field(s, len, allow);
}

int audit_allow_parse(const char *list, struct audit_allow *allow, char *why, size_t size)
{
    const char *separators = ", \t\n";

    memset(allow, 0, sizeof(*allow));
    for (const char *s = list ? list : ""; *s;) {
        size_t len = strcspn(s, separators);

        if (len && !allow_one(s, len, allow)) {
            (void)snprintf(why, size,
                           "XENLEVEL_ALLOW: '%.*s' is neither a feature nor one of maxphysaddr, "
                           "linearaddr, clflush, max-leaf, leaf, xstate, msr, release, unverified",
                           len > 64 ? 64 : (int)len, s);
            return -1;
        }
        s += len;
        s += strspn(s, separators);
    }
    return 0;
}

/* ---- findings of the audit ---- */

int allow_component_owner(uint32_t component)
{
    uint32_t feature = xstate_feature(component);

    return feature == POLICY_NONE ? -1 : (int)feature;
}

/* Whoever gives up a feature gives up its registers. */
static bool component_allowed(uint32_t component, const struct audit_allow *allow)
{
    int feature = allow_component_owner(component);

    return feature >= 0 && featureset_test(&allow->features, (unsigned int)feature);
}

bool allow_covers(const struct audit_allow *allow, const struct policy_fault *f)
{
    switch (f->kind) {
    case FAULT_XSTATE_MISSING:
        return (allow->kinds & BIT(f->kind)) || component_allowed(f->subleaf, allow);
    case FAULT_FEATURE_MISSING:
    case FAULT_HAZARD_UNTOLD:
    case FAULT_PREREQUISITE:
        return featureset_test(&allow->features, f->feature);
    case FAULT_FIELD:
        return f->feature < 32 && (allow->fields & (1u << f->feature));
    default:
        return allow->kinds & BIT(f->kind);
    }
}

/* "avx2"; "7.0.edx" for a register that is no set of features. */
static void given_word(const struct policy_fault *f, char *buf, size_t size)
{
    if (f->feature != POLICY_NONE)
        feature_word(f->feature, buf, size);
    else if (f->msr != POLICY_NONE)
        (void)snprintf(buf, size, "MSR-%x", f->msr);
    else if (f->subleaf != POLICY_NONE)
        (void)snprintf(buf, size, "%x.%x.%s", f->leaf, f->subleaf, xc_register_name(f->reg));
    else
        (void)snprintf(buf, size, "%x.%s", f->leaf, xc_register_name(f->reg));
}

void allow_word(const struct policy_fault *f, char *buf, size_t size)
{
    const struct featureset_field_info *field;

    buf[0] = '\0';
    switch (f->kind) {
    case FAULT_FEATURE_MISSING:
    case FAULT_HAZARD_UNTOLD:
    case FAULT_PREREQUISITE:
        feature_word(f->feature, buf, size);
        return;
    case FAULT_FIELD:
        field = featureset_field_info(f->feature);
        (void)snprintf(buf, size, "%s", field ? field->name : "field");
        return;
    case FAULT_GIVEN_OTHERWISE:
        given_word(f, buf, size);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < NR_KIND_NAMES; i++)
        if (kind_names[i].kinds & BIT(f->kind))
            (void)snprintf(buf, size, "%s", kind_names[i].name);
    if (!buf[0])
        (void)snprintf(buf, size, "%s", policy_fault_name(f->kind));
}

/* ---- what a hypervisor made of a CPU ---- */

void allow_name(const struct cpu_policy *told, const struct cpu_policy *given,
                struct policy_report *named)
{
    const struct policy_host as_given = {.max = given};

    (void)policy_verify(told, named);
    (void)policy_check(told, &as_given, named);
}

static bool is_at(const struct policy_fault *f, uint32_t leaf, uint32_t subleaf, uint32_t reg)
{
    return f->leaf == leaf && f->subleaf == subleaf && f->reg == reg;
}

static uint32_t bit_mask(unsigned int shift, unsigned int width)
{
    return (width < 32 ? (1u << width) - 1 : ~0u) << shift;
}

/* The bit of a component in the two registers that list them, of XCR0 or of XSS. */
static uint32_t component_bit(const struct policy_fault *f, uint32_t component)
{
    bool low = is_at(f, 0xd, 0, REG_EAX) || is_at(f, 0xd, 1, REG_ECX);
    bool high = is_at(f, 0xd, 0, REG_EDX) || is_at(f, 0xd, 1, REG_EDX);

    return (low && component < 32) || (high && component >= 32) ? 1u << component % 32 : 0;
}

/* The bits of the register at fault (f) that this finding about the XSAVE area accounts for. */
static uint32_t xstate_bits(const struct policy_fault *named, const struct policy_fault *f,
                            const struct cpu_policy *given)
{
    uint64_t size = policy_xcr0(given) ? xstate_standard_size(given, policy_xcr0(given)) : 0;
    bool own = f->leaf == 0xd && f->subleaf >= 2 && f->subleaf == named->subleaf;

    if (is_at(f, 0xd, 0, REG_ECX)) /* the size of all follows, and is then that of what is there */
        return f->host == size ? ~0u : 0;
    switch (named->kind) {
    case FAULT_XSTATE_MISSING:
        return own ? ~0u : component_bit(f, named->subleaf);
    case FAULT_XSTATE_SIZE:
        return own && f->reg == REG_EAX ? ~0u : 0;
    case FAULT_XSTATE_OFFSET:
        return own && f->reg == REG_EBX ? ~0u : 0;
    case FAULT_XSTATE_FLAGS:
        return own && f->reg >= REG_ECX ? ~0u : 0;
    default:
        return 0;
    }
}

/* The bits of a register at fault (f) that a finding of the audit's accounts for. */
static uint32_t named_bits(const struct policy_fault *named, const struct policy_fault *f,
                           const struct cpu_policy *given)
{
    const struct featureset_field_info *field;
    const struct featureset_word_info *w;

    switch (named->kind) {
    case FAULT_LEAF:
    case FAULT_CLFLUSH:
    case FAULT_MAXPHYSADDR:
    case FAULT_LINEARADDR:
        return is_at(f, named->leaf, named->subleaf, named->reg)
                   ? bit_mask(named->shift, named->width)
                   : 0;
    case FAULT_FIELD:
        field = featureset_field_info(named->feature);
        w = field ? featureset_word_info(field->word) : NULL;
        return w && is_at(f, w->leaf, w->subleaf, w->reg) ? bit_mask(field->shift, field->width)
                                                          : 0;
    case FAULT_XSTATE_TOTAL:
    case FAULT_XSTATE_MISSING:
    case FAULT_XSTATE_SIZE:
    case FAULT_XSTATE_OFFSET:
    case FAULT_XSTATE_FLAGS:
        return xstate_bits(named, f, given);
    default:
        return 0;
    }
}

/* Numbers in leaves: does the audit, too, find at fault each bit that differs, as what is given up?
 */
static bool register_waived(const struct policy_fault *f, const struct cpu_policy *given,
                            const struct policy_report *named, const struct audit_allow *allow)
{
    uint32_t differ = (uint32_t)(f->guest ^ f->host);

    for (size_t i = 0; i < named->count && i < named->max; i++)
        if (allow_covers(allow, &named->faults[i]))
            differ &= ~named_bits(&named->faults[i], f, given);
    return !differ;
}

/* Is the leaf above the maximum that the domain has got?  Then it went with the maximum. */
static bool is_beyond(const struct policy_fault *f, const struct cpu_policy *given)
{
    if (f->leaf >= EXTD)
        return f->leaf > given->extd[0].a;
    if (f->leaf == 7 && f->subleaf != POLICY_NONE && f->subleaf > given->feat[0].a)
        return true;
    return f->leaf > given->basic[0].a;
}

static bool is_maximum(const struct policy_fault *f)
{
    return f->reg == 0 && (f->leaf == 0 || f->leaf == EXTD || (f->leaf == 7 && f->subleaf == 0));
}

static bool is_waived(const struct policy_fault *f, const struct cpu_policy *given,
                      const struct policy_report *named, const struct audit_allow *allow)
{
    if (f->feature != POLICY_NONE && featureset_test(&allow->features, f->feature))
        return true;
    if (f->msr != POLICY_NONE) /* ARCH_CAPABILITIES is features, to be named one by one */
        return f->feature == POLICY_NONE && (allow->kinds & BIT(FAULT_MSR));
    if (allow->kinds & BIT(FAULT_MAX_LEAF) && (is_maximum(f) || is_beyond(f, given)))
        return true;
    return f->feature == POLICY_NONE && register_waived(f, given, named, allow);
}

size_t allow_given(const struct audit_allow *allow, const struct cpu_policy *given,
                   const struct policy_report *named, const struct policy_fault *faults, size_t n,
                   bool *waived)
{
    size_t remain = 0;

    for (size_t i = 0; i < n; i++) {
        waived[i] = is_waived(&faults[i], given, named, allow);
        remain += !waived[i];
    }
    return remain;
}
