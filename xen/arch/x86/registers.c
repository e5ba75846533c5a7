/* SPDX-License-Identifier: MIT */
/*
 * Control registers, MSRs and the XSAVE area against a policy.  See registers.h.
 */
#include "registers.h"

#include <xen/errno.h>

/* More faults than a line each is worth. */
#define MAX_FAULTS 8u

struct findings {
    struct state_fault faults[MAX_FAULTS];
    struct state_report report;
};

static struct state_report *none_yet(struct findings *f)
{
    f->report = (struct state_report){f->faults, MAX_FAULTS, 0};
    return &f->report;
}

/* "d3v0: EFER: svm is not in its CPU policy", a line each. */
static int say_findings(const struct vcpu *v, const struct findings *f)
{
    char text[STATE_FAULT_TEXT];

    for (size_t i = 0; i < f->report.count && i < MAX_FAULTS; i++)
        printk(v->domain->hv, "d%uv%u: %s", v->domain->id, v->id,
               state_fault_text(&f->faults[i], text, sizeof(text)));
    return f->report.count ? -XEN_EINVAL : 0;
}

int check_cr0(const struct vcpu *v, uint64_t cr0)
{
    struct findings f;

    (void)state_check_cr0(cr0, none_yet(&f));
    return say_findings(v, &f);
}

int check_cr4(const struct vcpu *v, uint64_t cr4)
{
    struct findings f;

    (void)state_check_cr4(&v->domain->policy, !v->domain->hvm, cr4, none_yet(&f));
    return say_findings(v, &f);
}

int check_efer(const struct vcpu *v, uint64_t efer)
{
    struct findings f;

    (void)state_check_efer(&v->domain->policy, efer, none_yet(&f));
    return say_findings(v, &f);
}

int check_msr(const struct vcpu *v, uint32_t msr, uint64_t value)
{
    struct findings f;

    (void)state_check_msr(&v->domain->policy, msr, value, none_yet(&f));
    return say_findings(v, &f);
}

#define RFLAGS_KNOWN 0x3f7fd7ull /* SDM vol. 1, 3.4.3; bit 1 included */

int check_rflags(const struct vcpu *v, uint64_t rflags)
{
    if (!(rflags & ~RFLAGS_KNOWN))
        return 0;
    printk(v->domain->hv, "d%uv%u: RFLAGS: %lx has reserved bits", v->domain->id, v->id, rflags);
    return -XEN_EINVAL;
}

/* ---- XSAVE ---- */

#define XSAVE_HEADER 512u /* behind the legacy region: SDM vol. 1, 13.4 */
#define PKRU_BIT     9u

/* What XSAVE writes at the header: XSTATE_BV, XCOMP_BV, and 48 bytes of zeroes. */
struct xsave_header {
    uint64_t xstate_bv, xcomp_bv, reserved[6];
};

static struct xsave_header read_header(const uint8_t *area)
{
    struct xsave_header h;

    __builtin_memcpy(&h, area + XSAVE_HEADER, sizeof(h));
    return h;
}

uint32_t xsave_area_size(const struct cpu_policy *p, uint64_t components)
{
    uint64_t size = state_xsave_size(p, components);

    return size < VCPU_XSAVE_SIZE ? (uint32_t)size : VCPU_XSAVE_SIZE;
}

int check_xsave(const struct vcpu *v, uint64_t xcr0, uint64_t xcr0_accum, const uint8_t *area,
                size_t size)
{
    const struct state_xsave x = {xcr0, xcr0_accum, area, size, false};
    struct findings f;

    (void)state_check_xsave(&v->domain->policy, &x, none_yet(&f));
    return say_findings(v, &f);
}

uint64_t xsave_components(const struct vcpu *v)
{
    return state_close_components(v->regs.xcr0 | read_header(v->regs.xsave).xstate_bv) &
           state_components(&v->domain->policy);
}

/* Where PKRU is in the area; NULL: this CPU has none. */
static uint8_t *pkru_slot(struct vcpu *v)
{
    const struct cpu_policy *p = &v->domain->policy;
    uint64_t end = (uint64_t)p->xstate[PKRU_BIT].b + sizeof(v->regs.pkru);

    if (!(state_components(p) >> PKRU_BIT & 1) || end > VCPU_XSAVE_SIZE ||
        p->xstate[PKRU_BIT].b < XSAVE_AREA_MIN)
        return NULL;
    return v->regs.xsave + p->xstate[PKRU_BIT].b;
}

void store_pkru(struct vcpu *v)
{
    struct xsave_header h = read_header(v->regs.xsave);
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
    if (slot && (read_header(r->xsave).xstate_bv >> PKRU_BIT & 1))
        __builtin_memcpy(&r->pkru, slot, sizeof(r->pkru));
    guest_cpuid_update(v);
}
