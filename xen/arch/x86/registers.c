/* SPDX-License-Identifier: MIT */
/*
 * Control registers, MSRs and the XSAVE area against a policy.  See registers.h.
 */
#include "registers.h"

#include <xen/errno.h>

struct bit_name {
    uint8_t bit;
    const char *name;
};

/* "d3v0: EFER: svme is not in its CPU policy".  Bits without a name by number. */
static int refuse_bits(const struct vcpu *v, const char *what, uint64_t bits,
                       const struct bit_name *names, size_t n)
{
    for (unsigned int bit = 0; bit < 64; bit++) {
        const char *name = NULL;

        if (!(bits >> bit & 1))
            continue;
        for (size_t i = 0; i < n; i++)
            if (names[i].bit == bit)
                name = names[i].name;
        if (name)
            printk(v->domain->hv, "d%uv%u: %s: %s is not in its CPU policy", v->domain->id, v->id,
                   what, name);
        else
            printk(v->domain->hv, "d%uv%u: %s: bit %u is reserved", v->domain->id, v->id, what,
                   bit);
    }
    return -XEN_EINVAL;
}

static int refuse(const struct vcpu *v, const char *what, uint64_t value)
{
    printk(v->domain->hv, "d%uv%u: %s: %lx cannot be", v->domain->id, v->id, what, value);
    return -XEN_EINVAL;
}

/* ---- control registers: SDM vol. 3A, 2.5 ---- */

#define CR0_PE    (1ull << 0)
#define CR0_NW    (1ull << 29)
#define CR0_CD    (1ull << 30)
#define CR0_PG    (1ull << 31)
#define CR0_KNOWN 0xe005003full

int check_cr0(const struct vcpu *v, uint64_t cr0)
{
    if (cr0 & ~CR0_KNOWN)
        return refuse_bits(v, "CR0", cr0 & ~CR0_KNOWN, NULL, 0);
    if (((cr0 & CR0_PG) && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
        return refuse(v, "CR0", cr0);
    return 0;
}

int check_cr4(struct vcpu *v, uint64_t cr4)
{
    uint64_t before = v->regs.cr4;
    int rc = vcpu_write_cr4(v, cr4);

    v->regs.cr4 = before;
    guest_cpuid_update(v);
    return rc ? refuse(v, "CR4", cr4) : 0;
}

#define RFLAGS_KNOWN 0x3f7fd7ull /* SDM vol. 1, 3.4.3; bit 1 included */

int check_rflags(const struct vcpu *v, uint64_t rflags)
{
    return rflags & ~RFLAGS_KNOWN ? refuse_bits(v, "RFLAGS", rflags & ~RFLAGS_KNOWN, NULL, 0) : 0;
}

/* ---- MSRs ---- */

/* APM vol. 2, 3.1.7; the bits that the SDM has too are the same. */
#define EFER_SCE   (1ull << 0)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define EFER_SVME  (1ull << 12)
#define EFER_FFXSR (1ull << 14)

int check_efer(const struct vcpu *v, uint64_t efer)
{
    static const struct bit_name names[] = {{0, "syscall"}, {8, "lm"},   {10, "lm"},
                                            {11, "nx"},     {12, "svm"}, {14, "ffxsr"}};
    const struct cpuid_regs *e1 = &v->domain->policy.extd[1];
    uint64_t allowed = 0;

    allowed |= e1->d >> 11 & 1 ? EFER_SCE : 0;
    allowed |= e1->d >> 29 & 1 ? EFER_LME | EFER_LMA | EFER_SCE : 0; /* long mode has SYSCALL */
    allowed |= e1->d >> 20 & 1 ? EFER_NXE : 0;
    allowed |= e1->c >> 2 & 1 ? EFER_SVME : 0;
    allowed |= e1->d >> 25 & 1 ? EFER_FFXSR : 0;
    if (efer & ~allowed)
        return refuse_bits(v, "EFER", efer & ~allowed, names, sizeof(names) / sizeof(names[0]));
    if ((efer & EFER_LMA) && !(efer & EFER_LME))
        return refuse(v, "EFER", efer);
    return 0;
}

/* SDM vol. 3A, 11.4.4 and 11.12.1. */
#define APIC_BASE_BSP    (1ull << 8)
#define APIC_BASE_X2APIC (1ull << 10)
#define APIC_BASE_ENABLE (1ull << 11)
#define ECX1_X2APIC      (1u << 21)

int check_apic_base(const struct vcpu *v, uint64_t apic_base)
{
    const struct cpu_policy *p = &v->domain->policy;
    unsigned int width = p->extd[8].a & 0xff;
    uint64_t known = APIC_BASE_BSP | APIC_BASE_ENABLE;

    if (width < 36 || width > 52)
        width = 36;
    known |= (1ull << width) - 4096;
    known |= p->basic[1].c & ECX1_X2APIC ? APIC_BASE_X2APIC : 0;
    if (apic_base & ~known)
        return refuse_bits(v, "APIC_BASE", apic_base & ~known,
                           (const struct bit_name[]){{10, "x2apic"}}, 1);
    if ((apic_base & APIC_BASE_X2APIC) && !(apic_base & APIC_BASE_ENABLE))
        return refuse(v, "APIC_BASE", apic_base);
    return 0;
}

int check_misc_features(const struct vcpu *v, uint64_t value)
{
    uint64_t allowed = v->domain->policy.platform_info & PLATFORM_INFO_CPUID_FAULTING ? 1 : 0;

    if (value & ~allowed)
        return refuse_bits(v, "MISC_FEATURES_ENABLES", value & ~allowed,
                           (const struct bit_name[]){{0, "cpuid-faulting"}}, 1);
    return 0;
}

/* ---- XSAVE ---- */

static const struct bit_name component_names[] = {
    {0, "x87 state"},           {1, "sse state"},           {2, "avx state"},
    {3, "bound registers"},     {4, "bound configuration"}, {5, "opmask state"},
    {6, "zmm-hi256 state"},     {7, "hi16-zmm state"},      {8, "pt state"},
    {9, "pkru state"},          {11, "cet user state"},     {12, "cet supervisor state"},
    {17, "tile configuration"}, {18, "tile data"},
};

static int refuse_components(const struct vcpu *v, const char *what, uint64_t components)
{
    return refuse_bits(v, what, components, component_names,
                       sizeof(component_names) / sizeof(component_names[0]));
}

uint64_t policy_components(const struct cpu_policy *p)
{
    return p->xstate[0].a | (uint64_t)p->xstate[0].d << 32;
}

int check_xss(const struct vcpu *v, uint64_t xss)
{
    const struct cpuid_regs *r = &v->domain->policy.xstate[1];
    uint64_t allowed = r->c | (uint64_t)r->d << 32;

    return xss & ~allowed ? refuse_components(v, "XSS", xss & ~allowed) : 0;
}

/* SDM vol. 1, 13.4: the legacy area's 512 bytes, and the header's 64. */
#define XSAVE_HEADER 512u
#define XSAVE_MIN    576u
#define PKRU_BIT     9u

/* What XSAVE writes at the header: XSTATE_BV, XCOMP_BV, and 48 bytes of zeroes. */
struct xsave_header {
    uint64_t xstate_bv, xcomp_bv, reserved[6];
};

static struct xsave_header header(const uint8_t *area)
{
    struct xsave_header h;

    __builtin_memcpy(&h, area + XSAVE_HEADER, sizeof(h));
    return h;
}

uint32_t xsave_area_size(const struct cpu_policy *p, uint64_t components)
{
    uint32_t size = XSAVE_MIN;

    for (unsigned int i = 2; i < POLICY_NR_XSTATE - 1; i++) {
        uint64_t end = (uint64_t)p->xstate[i].b + p->xstate[i].a;

        if ((components >> i & 1) && end > size)
            size = end < VCPU_XSAVE_SIZE ? (uint32_t)end : VCPU_XSAVE_SIZE;
    }
    return size;
}

static bool zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any |= bytes[i];
    return !any;
}

static int check_xcr0(struct vcpu *v, uint64_t xcr0)
{
    struct vcpu_regs *r = &v->regs;
    uint64_t xcr0_before = r->xcr0, cr4_before = r->cr4;
    int rc;

    /* XSETBV wants OSXSAVE: here it is the rest of the context that says whether that is on. */
    r->cr4 |= CR4_OSXSAVE;
    rc = vcpu_write_xcr0(v, xcr0);
    r->xcr0 = xcr0_before;
    r->cr4 = cr4_before;
    guest_cpuid_update(v);
    return rc ? refuse(v, "XCR0", xcr0) : 0;
}

int check_xsave(struct vcpu *v, uint64_t xcr0, uint64_t xcr0_accum, const uint8_t *area,
                size_t size)
{
    const struct cpu_policy *p = &v->domain->policy;
    struct xsave_header h;
    uint32_t used;
    int rc;

    if (size < XSAVE_MIN)
        return refuse(v, "size of XSAVE area", size);
    if (xcr0_accum & ~policy_components(p))
        return refuse_components(v, "XCR0", xcr0_accum & ~policy_components(p));
    if (xcr0 & ~xcr0_accum)
        return refuse(v, "accumulated XCR0", xcr0_accum);
    rc = check_xcr0(v, xcr0);
    if (rc)
        return rc;
    h = header(area);
    if (h.xstate_bv & ~xcr0_accum)
        return refuse_components(v, "XSTATE_BV", h.xstate_bv & ~xcr0_accum);
    if (h.xcomp_bv || !zero((const uint8_t *)h.reserved, sizeof(h.reserved)))
        return refuse(v, "XCOMP_BV", h.xcomp_bv);
    used = xsave_area_size(p, xcr0_accum);
    if (size < used || !zero(area + used, size - used))
        return refuse(v, "size of XSAVE area", size);
    return 0;
}

uint64_t xsave_components(const struct vcpu *v)
{
    return (v->regs.xcr0 | header(v->regs.xsave).xstate_bv) & policy_components(&v->domain->policy);
}

/* Where PKRU is in the area; NULL: this CPU has none. */
static uint8_t *pkru_slot(struct vcpu *v)
{
    const struct cpu_policy *p = &v->domain->policy;
    uint64_t end = (uint64_t)p->xstate[PKRU_BIT].b + sizeof(v->regs.pkru);

    if (!(policy_components(p) >> PKRU_BIT & 1) || end > VCPU_XSAVE_SIZE ||
        p->xstate[PKRU_BIT].b < XSAVE_MIN)
        return NULL;
    return v->regs.xsave + p->xstate[PKRU_BIT].b;
}

void store_pkru(struct vcpu *v)
{
    struct xsave_header h = header(v->regs.xsave);
    uint8_t *slot = pkru_slot(v);

    if (!slot || !(v->regs.xcr0 >> PKRU_BIT & 1))
        return;
    __builtin_memcpy(slot, &v->regs.pkru, sizeof(v->regs.pkru));
    if (v->regs.pkru)
        h.xstate_bv |= 1ull << PKRU_BIT;
    else
        h.xstate_bv &= ~(1ull << PKRU_BIT);
    __builtin_memcpy(v->regs.xsave + XSAVE_HEADER, &h, sizeof(h));
}

void load_xsave(struct vcpu *v, uint64_t xcr0, const uint8_t *area, size_t size)
{
    struct vcpu_regs *r = &v->regs;
    const uint8_t *slot;

    if (size > VCPU_XSAVE_SIZE)
        size = VCPU_XSAVE_SIZE; /* what is beyond was checked to be zero */
    __builtin_memset(r->xsave, 0, sizeof(r->xsave));
    __builtin_memcpy(r->xsave, area, size);
    r->xcr0 = xcr0;
    r->pkru = 0;
    slot = pkru_slot(v);
    if (slot && (header(r->xsave).xstate_bv >> PKRU_BIT & 1))
        __builtin_memcpy(&r->pkru, slot, sizeof(r->pkru));
    guest_cpuid_update(v);
}
