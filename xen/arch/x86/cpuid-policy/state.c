/* SPDX-License-Identifier: MIT */
/* A vCPU's registers against its policy.  See state.h. */
#include <cpuid-policy/state.h>

#include "features-gen.h"
#include "policy-private.h"

_Static_assert(XSAVE_AREA_MIN == XSTATE_AREA, "the least of an XSAVE area");

static void report_fault(struct state_report *r, struct state_fault f)
{
    if (!r)
        return;
    if (r->count < r->max)
        r->faults[r->count] = f;
    r->count++;
}

/* Nobody's report still has to be counted. */
static struct state_report *begin_report(struct state_report *r, struct state_report *none,
                                         size_t *before)
{
    *none = (struct state_report){NULL, 0, 0};
    r = r ? r : none;
    *before = r->count;
    return r;
}

static int end_report(const struct state_report *r, size_t before)
{
    return r->count == before ? 0 : -EINVAL;
}

static void report_impossible(struct state_report *r, const char *where, uint64_t value)
{
    report_fault(r, (struct state_fault){.kind = STATE_VALUE, .where = where, .value = value});
}

static const char *feature_name(uint32_t feature)
{
    const struct feature_info *info = feature_info(feature);

    return info ? info->name : NULL;
}

/* ---- bits and their features ---- */

#define EFER_LME          (1ull << 8)
#define EFER_LMA          (1ull << 10)
#define EFER_LMSLE        (1ull << 13)
#define APIC_BASE_X2APIC  (1ull << 10)
#define APIC_BASE_ENABLE  (1ull << 11)
#define CPUID_FAULTING    (1ull << 0)
/* Under PV these are the hypervisor's, and the guest sees them. */
#define CR4_OF_HYPERVISOR (1ull << 5 | 1ull << 6 | 1ull << 9 | 1ull << 10)

static uint64_t row_mask(const struct register_bits *b)
{
    return (~0ull >> (64 - b->width)) << b->shift;
}

static bool brings_bits(const struct register_bits *b, const struct featureset *fs)
{
    for (unsigned int i = 0; i < b->nr_features; i++)
        if (featureset_test(fs, b->features[i]))
            return true;
    return !b->nr_features;
}

/* The bits above a physical address, which has 36 where the policy does not say (SDM vol. 3A,
 * 4.1.4). */
static uint64_t beyond_addresses(const struct cpu_policy *p)
{
    unsigned int width = p->extd[8].a & 0xff;

    return ~0ull << (width < 36 || width > 52 ? 36 : width);
}

/* What stands on more than a feature bit. */
static uint64_t forbidden_bits(const struct cpu_policy *p, const struct featureset *fs,
                               unsigned int reg)
{
    switch (reg) {
    case POLICY_REGISTER_EFER: /* AMD's until NO_LMSL, and nobody else's */
        return vendor_is_amd_like(policy_vendor_id(p)) && !featureset_test(fs, X86_FEATURE_NO_LMSL)
                   ? 0
                   : (uint64_t)EFER_LMSLE;
    case POLICY_REGISTER_APIC_BASE:
        return beyond_addresses(p);
    case POLICY_REGISTER_MISC_FEATURES_ENABLES:
        return p->platform_info & PLATFORM_INFO_CPUID_FAULTING ? 0 : (uint64_t)CPUID_FAULTING;
    case POLICY_REGISTER_XFD:
    case POLICY_REGISTER_XFD_ERR:
        return ~policy_xcr0(p);
    case POLICY_REGISTER_XSS:
        return ~policy_xss(p);
    default:
        return 0;
    }
}

static uint64_t allowed_bits(const struct cpu_policy *p, const struct featureset *fs,
                             unsigned int reg)
{
    uint64_t bits = 0;

    for (unsigned int i = 0; i < NR_REGISTER_BITS; i++)
        if (register_bits[i].reg == reg && brings_bits(&register_bits[i], fs))
            bits |= row_mask(&register_bits[i]);
    return bits & ~forbidden_bits(p, fs, reg);
}

/* The feature that would have brought the bit; NULL: none would. */
static const char *missing_feature(const struct featureset *fs, unsigned int reg, unsigned int bit)
{
    if (reg == POLICY_REGISTER_MISC_FEATURES_ENABLES && bit == 0)
        return "cpuid-faulting"; /* of MSR CE, which has no names */
    for (unsigned int i = 0; i < NR_REGISTER_BITS; i++)
        if (register_bits[i].reg == reg && (row_mask(&register_bits[i]) >> bit & 1))
            return brings_bits(&register_bits[i], fs) ? NULL
                                                      : feature_name(register_bits[i].features[0]);
    return NULL;
}

static bool holds_components(unsigned int reg)
{
    return reg == POLICY_REGISTER_XSS || reg == POLICY_REGISTER_XFD ||
           reg == POLICY_REGISTER_XFD_ERR;
}

static void missing_components(struct state_report *r, const char *where, uint64_t components)
{
    unsigned int i;

    for_each_component(i, components)
    {
        uint32_t feature = xstate_feature(i);

        report_fault(r, (struct state_fault){
                            .kind = STATE_COMPONENT,
                            .where = where,
                            .feature = feature == POLICY_NONE ? NULL : feature_name(feature),
                            .bit = i});
    }
}

static void check_register(const struct cpu_policy *p, unsigned int reg, uint64_t value,
                           uint64_t granted, struct state_report *r)
{
    const char *where = register_infos[reg].name, *last = NULL;
    struct featureset fs;
    uint64_t bad;
    unsigned int bit;

    policy_to_featureset(p, &fs);
    bad = value & ~allowed_bits(p, &fs, reg) & ~granted;
    for_each_component(bit, bad)
    {
        const char *name = missing_feature(&fs, reg, bit);

        if (name && name == last)
            continue; /* a feature of many bits is named once */
        last = name;
        if (name)
            report_fault(r,
                         (struct state_fault){
                             .kind = STATE_FEATURE, .where = where, .feature = name, .bit = bit});
        else if (holds_components(reg))
            missing_components(r, where, 1ull << bit);
        else
            report_fault(r,
                         (struct state_fault){.kind = STATE_RESERVED, .where = where, .bit = bit});
    }
}

/* ---- control registers and MSRs ---- */

#define CR0_PE    (1ull << 0)
#define CR0_NW    (1ull << 29)
#define CR0_CD    (1ull << 30)
#define CR0_PG    (1ull << 31)
#define CR0_KNOWN 0xe005003full /* SDM vol. 3A, 2.5 */

int state_check_cr0(uint64_t cr0, struct state_report *r)
{
    struct state_report none;
    size_t before;
    unsigned int bit;

    r = begin_report(r, &none, &before);
    for_each_component(bit, cr0 & ~CR0_KNOWN)
        report_fault(r, (struct state_fault){.kind = STATE_RESERVED, .where = "CR0", .bit = bit});
    if (((cr0 & CR0_PG) && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
        report_impossible(r, "CR0", cr0);
    return end_report(r, before);
}

int state_check_cr4(const struct cpu_policy *p, bool pv, uint64_t cr4, struct state_report *r)
{
    struct state_report none;
    size_t before;

    r = begin_report(r, &none, &before);
    check_register(p, POLICY_REGISTER_CR4, cr4, pv ? CR4_OF_HYPERVISOR : 0, r);
    return end_report(r, before);
}

int state_check_efer(const struct cpu_policy *p, uint64_t efer, struct state_report *r)
{
    struct state_report none;
    size_t before;

    r = begin_report(r, &none, &before);
    check_register(p, POLICY_REGISTER_EFER, efer, 0, r);
    if ((efer & EFER_LMA) && !(efer & EFER_LME))
        report_impossible(r, "EFER", efer);
    return end_report(r, before);
}

int state_check_msr(const struct cpu_policy *p, uint32_t msr, uint64_t value,
                    struct state_report *r)
{
    struct state_report none;
    size_t before;

    if (msr == register_infos[POLICY_REGISTER_EFER].msr)
        return state_check_efer(p, value, r);
    r = begin_report(r, &none, &before);
    for (unsigned int reg = 0; msr != NO_MSR && reg < NR_POLICY_REGISTERS; reg++)
        if (register_infos[reg].msr == msr)
            check_register(p, reg, value, 0, r);
    if (msr == MSR_APIC_BASE && (value & APIC_BASE_X2APIC) && !(value & APIC_BASE_ENABLE))
        report_impossible(r, "APIC_BASE", value);
    return end_report(r, before);
}

/* ---- XSAVE ---- */

/* Components that come together (SDM vol. 1, 13.3). */
#define XCR0_X87    (1ull << XSTATE_X87)
#define XCR0_SSE    (1ull << XSTATE_SSE)
#define XCR0_AVX    (1ull << XSTATE_AVX)
#define XCR0_MPX    (3ull << XSTATE_BNDREGS)
#define XCR0_AVX512 (7ull << XSTATE_OPMASK)
#define XCR0_AMX    (3ull << XSTATE_TILECFG)

uint64_t state_components(const struct cpu_policy *p)
{
    return policy_xcr0(p) | XCR0_X87 | XCR0_SSE;
}

uint64_t state_close_components(uint64_t components)
{
    components |= XCR0_X87;
    if (components & XCR0_AVX512)
        components |= XCR0_AVX512 | XCR0_AVX;
    if (components & XCR0_AVX)
        components |= XCR0_SSE;
    if (components & XCR0_MPX)
        components |= XCR0_MPX;
    if (components & XCR0_AMX)
        components |= XCR0_AMX;
    return components;
}

uint64_t state_xsave_size(const struct cpu_policy *p, uint64_t components)
{
    return xstate_standard_size(p, components | XCR0_X87);
}

/* Those of `within` have to be in it. */
static void check_components(const struct cpu_policy *p, const char *where, uint64_t value,
                             uint64_t within, struct state_report *r)
{
    missing_components(r, where, value & ~state_components(p));
    if (state_close_components(value) != value || (within & state_components(p) & ~value))
        report_impossible(r, where, value);
}

int state_check_xcr0(const struct cpu_policy *p, uint64_t xcr0, struct state_report *r)
{
    struct state_report none;
    size_t before;

    r = begin_report(r, &none, &before);
    check_components(p, "XCR0", xcr0, 0, r);
    return end_report(r, before);
}

static bool all_zero(const uint8_t *bytes, uint64_t n)
{
    uint8_t any = 0;

    for (uint64_t i = 0; i < n; i++)
        any |= bytes[i];
    return !any;
}

/* What XSAVE writes behind the legacy region's 512 bytes. */
struct xsave_header {
    uint64_t xstate_bv, xcomp_bv;
    uint8_t reserved[48];
};

static void check_area(const struct cpu_policy *p, const struct state_xsave *x,
                       struct state_report *r)
{
    uint64_t known = x->xcr0_accum & state_components(p), needed = state_xsave_size(p, known);
    struct xsave_header h;

    if (x->size < XSAVE_AREA_MIN) {
        report_fault(
            r, (struct state_fault){
                   .kind = STATE_SIZE, .where = "XSAVE area", .value = x->size, .needed = needed});
        return;
    }
    __builtin_memcpy(&h, x->area + XSAVE_AREA_MIN - sizeof(h), sizeof(h));
    missing_components(r, "XSTATE_BV", h.xstate_bv & ~state_components(p));
    if (h.xstate_bv & state_components(p) & ~x->xcr0_accum)
        report_impossible(r, "XSTATE_BV", h.xstate_bv);
    if (h.xcomp_bv) /* compacted */
        report_impossible(r, "XCOMP_BV", h.xcomp_bv);
    if (!all_zero(h.reserved, sizeof(h.reserved)))
        report_impossible(r, "XSAVE header's reserved bytes", 1);
    if (x->xcr0_accum != known)
        return; /* how much it needs nobody knows */
    if (x->size < needed || (x->exact && x->size != needed) ||
        !all_zero(x->area + needed, x->size - needed))
        report_fault(
            r, (struct state_fault){
                   .kind = STATE_SIZE, .where = "XSAVE area", .value = x->size, .needed = needed});
}

int state_check_xsave(const struct cpu_policy *p, const struct state_xsave *x,
                      struct state_report *r)
{
    struct state_report none;
    size_t before;

    r = begin_report(r, &none, &before);
    check_components(p, "XCR0", x->xcr0, 0, r);
    check_components(p, "accumulated XCR0", x->xcr0_accum, x->xcr0, r);
    check_area(p, x, r);
    return end_report(r, before);
}

/* ---- in words ---- */

struct text {
    char *at, *end; /* room for a NUL behind `end` */
};

static void put_text(struct text *t, const char *s)
{
    while (*s && t->at < t->end)
        *t->at++ = *s++;
}

static void put_number(struct text *t, uint64_t value, unsigned int base)
{
    char digits[21];
    char *d = digits + sizeof(digits) - 1;

    *d = '\0';
    do
        *--d = "0123456789abcdef"[value % base];
    while (value /= base);
    put_text(t, d);
}

char *state_fault_text(const struct state_fault *f, char *buf, size_t size)
{
    struct text t = {buf, buf + size - 1};

    put_text(&t, f->where);
    put_text(&t, ": ");
    switch (f->kind) {
    case STATE_FEATURE:
        put_text(&t, f->feature);
        break;
    case STATE_COMPONENT:
    case STATE_RESERVED:
        put_text(&t, f->kind == STATE_COMPONENT ? "component " : "bit ");
        put_number(&t, f->bit, 10);
        break;
    case STATE_VALUE:
        put_text(&t, "0x");
        put_number(&t, f->value, 16);
        break;
    case STATE_SIZE:
        put_number(&t, f->value, 10);
        break;
    }
    if (f->kind == STATE_COMPONENT && f->feature) {
        put_text(&t, " (");
        put_text(&t, f->feature);
        put_text(&t, ")");
    }
    if (f->kind == STATE_SIZE) {
        put_text(&t, " bytes; its components need ");
        put_number(&t, f->needed, 10);
    } else {
        put_text(&t, state_is_of_another_cpu(f)  ? " is not in its CPU policy"
                     : f->kind == STATE_RESERVED ? " is reserved"
                                                 : " cannot be");
    }
    *t.at = '\0';
    return buf;
}
