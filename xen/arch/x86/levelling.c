/* SPDX-License-Identifier: MIT */
/*
 * Levelling: finding out what the CPU can do, the masks of a domain, and the switch.  The vendors'
 * differences are in levelling-intel.c and levelling-amd.c.  See levelling.h.
 */
#include "levelling-private.h"

#include <cpuid-policy/releases.h>
#include <cpuid-policy/vocabulary.h>

#include <xen/errno.h>
#include <xen/sysctl.h>

#include "features-gen.h"

#define FAULTING_UNKNOWN (1u << MASK_SLOTS) /* in levelling_pcpu.unknown */

/* The capabilities that each slot stands for. */
static const uint32_t slot_caps[MASK_SLOTS] = {
    [MASK_1] = XEN_SYSCTL_CPU_LEVELCAP_ecx | XEN_SYSCTL_CPU_LEVELCAP_edx,
    [MASK_E1] = XEN_SYSCTL_CPU_LEVELCAP_extd_ecx | XEN_SYSCTL_CPU_LEVELCAP_extd_edx,
    [MASK_Da1] = XEN_SYSCTL_CPU_LEVELCAP_xsave_eax,
    [MASK_7ab0] = XEN_SYSCTL_CPU_LEVELCAP_l7s0_eax | XEN_SYSCTL_CPU_LEVELCAP_l7s0_ebx,
    [MASK_6c] = XEN_SYSCTL_CPU_LEVELCAP_thermal_ecx,
};

static const struct cpu_policy *raw_policy(const struct hypervisor *hv)
{
    return &hv->policies[XEN_SYSCTL_cpu_policy_raw];
}

static const struct levelling_vendor *vendor_of(const struct hypervisor *hv)
{
    switch (policy_vendor_id(raw_policy(hv))) {
    case CPU_VENDOR_INTEL:
        return &levelling_intel;
    case CPU_VENDOR_AMD:
    case CPU_VENDOR_HYGON:
        return &levelling_amd;
    default:
        return NULL;
    }
}

/* ---- boot ---- */

/* Is it there: it can be read, and takes back what it held. */
static bool probe_mask(struct hypervisor *hv, enum mask_slot slot)
{
    struct levelling *lev = &hv->levelling;
    uint64_t value;

    if (platform_rdmsr(hv->platform, 0, lev->msr[slot], lev->edi, &value) ||
        platform_wrmsr(hv->platform, 0, lev->msr[slot], lev->edi, value))
        return false;
    lev->hardware.value[slot] = value;
    return true;
}

static void probe_masks(struct hypervisor *hv)
{
    struct levelling *lev = &hv->levelling;

    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++) {
        if (!lev->msr[slot])
            continue;
        if (probe_mask(hv, slot)) {
            lev->caps |= slot_caps[slot];
        } else {
            printk(hv, "Levelling: MSR %x should be there and is not", lev->msr[slot]);
            lev->msr[slot] = 0;
        }
    }
    if (!lev->caps)
        lev->kind = LEVELLING_NONE;
}

/* The registers behind a slot, as a policy has them. */
static void slot_registers(const struct cpu_policy *p, enum mask_slot slot,
                           struct mask_registers *r)
{
    const struct cpuid_regs *leaf = slot == MASK_1      ? &p->basic[1]
                                    : slot == MASK_E1   ? &p->extd[1]
                                    : slot == MASK_Da1  ? &p->xstate[1]
                                    : slot == MASK_7ab0 ? &p->feat[0]
                                                        : &p->basic[6];

    *r = (struct mask_registers){leaf->a, leaf->b, leaf->c, leaf->d};
}

/* Xen's old options to take features from everybody: each is ANDed with one register. */
static void apply_options(const struct host_options *o, enum mask_slot slot,
                          struct mask_registers *r)
{
    switch (slot) {
    case MASK_1:
        r->c &= o->mask_ecx;
        r->d &= o->mask_edx;
        break;
    case MASK_E1:
        r->c &= o->mask_ext_ecx;
        r->d &= o->mask_ext_edx;
        break;
    case MASK_Da1:
        r->a &= o->mask_xsave_eax;
        break;
    case MASK_7ab0:
        r->a &= o->mask_l7s0_eax;
        r->b &= o->mask_l7s0_ebx;
        break;
    case MASK_6c:
        r->c &= o->mask_therm_ecx;
        break;
    case MASK_SLOTS:
        break;
    }
}

static bool options_have_masks(const struct host_options *o)
{
    return (o->mask_ecx & o->mask_edx & o->mask_ext_ecx & o->mask_ext_edx & o->mask_xsave_eax &
            o->mask_l7s0_eax & o->mask_l7s0_ebx & o->mask_therm_ecx) != 0xffffffffu;
}

static void compute_defaults(struct hypervisor *hv, const struct levelling_vendor *vendor)
{
    struct levelling *lev = &hv->levelling;

    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++) {
        struct mask_registers r;

        if (!lev->msr[slot])
            continue;
        slot_registers(&hv->policies[XEN_SYSCTL_cpu_policy_host], slot, &r);
        apply_options(&hv->options, slot, &r);
        lev->defaults.value[slot] = vendor->pack(slot, &r, lev->hardware.value[slot]);
        /* Both as they are: the hypervisor itself wants to read the truth. */
        lev->defaults.value[slot] |=
            lev->hardware.value[slot] & (vendor->osxsave_bit(slot) | vendor->apic_bit(slot));
    }
}

static void log_findings(struct hypervisor *hv)
{
    const struct levelling *lev = &hv->levelling;

    printk(hv, "Levelling: %s, capabilities %x", levelling_kind_name(lev->kind), lev->caps);
    if (lev->caps != lev->expected_caps)
        printk(hv, "Levelling: this family and model should have %x", lev->expected_caps);
    if (!(lev->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting))
        printk(hv, "Levelling: no CPUID faulting: PV guests see what masks do not cover");
    if (options_have_masks(&hv->options) &&
        (!lev->caps || (lev->caps & XEN_SYSCTL_CPU_LEVELCAP_faulting)))
        printk(hv, "Levelling: cpuid_mask_* has no effect: this CPU has no masks in use");
}

void levelling_init(struct hypervisor *hv)
{
    const struct levelling_vendor *vendor = vendor_of(hv);
    struct levelling *lev = &hv->levelling;
    const uint32_t faulting = XEN_SYSCTL_CPU_LEVELCAP_faulting;
    uint32_t caps = 0;

    *lev = (struct levelling){.kind = LEVELLING_NONE};
    if (vendor) {
        /* Unlike 4.17, which the core follows in its policies, it knows AMD's way of faulting. */
        (void)host_policy_levelling_caps(raw_policy(hv), true, XEN_NEWEST, &caps);
        /* Whoever can fault needs no mask, and has none expected of it. */
        lev->expected_caps = caps & faulting ? faulting : caps;
        if ((caps & faulting) && vendor->probe_faulting(hv)) {
            lev->caps = faulting;
            lev->kind =
                vendor == &levelling_intel ? LEVELLING_INTEL_FAULTING : LEVELLING_AMD_USERDIS;
        } else {
            vendor->expect(raw_policy(hv), caps & ~faulting, lev);
            probe_masks(hv);
        }
        compute_defaults(hv, vendor);
    }
    log_findings(hv);
}

/* ---- a pCPU's MSRs ---- */

static void write_failed(struct hypervisor *hv, unsigned int pcpu, uint32_t msr)
{
    hv->pcpus[pcpu].levelling.write_failures++;
    if (hv->levelling.write_failure_logged)
        return;
    hv->levelling.write_failure_logged = true;
    printk(hv, "Levelling: CPU%u did not take a value for MSR %x", pcpu, msr);
}

/* Write one, and know afterwards what it holds, whatever happened. */
static void write_mask(struct hypervisor *hv, unsigned int pcpu, enum mask_slot slot,
                       uint64_t value)
{
    struct levelling_pcpu *l = &hv->pcpus[pcpu].levelling;
    const struct levelling *lev = &hv->levelling;

    if (!platform_wrmsr(hv->platform, pcpu, lev->msr[slot], lev->edi, value)) {
        l->held.value[slot] = value;
        l->unknown &= ~(1u << slot);
        return;
    }
    write_failed(hv, pcpu, lev->msr[slot]);
    if (l->unknown >> slot & 1 &&
        !platform_rdmsr(hv->platform, pcpu, lev->msr[slot], lev->edi, &l->held.value[slot]))
        l->unknown &= ~(1u << slot);
}

static void write_faulting(struct hypervisor *hv, unsigned int pcpu, bool on)
{
    const struct levelling_vendor *vendor = vendor_of(hv);
    struct levelling_pcpu *l = &hv->pcpus[pcpu].levelling;

    if (!vendor->set_faulting(hv, pcpu, on)) {
        l->faulting = on;
        l->unknown &= ~FAULTING_UNKNOWN;
    } else {
        write_failed(hv, pcpu,
                     vendor == &levelling_intel ? MSR_INTEL_MISC_FEATURES_ENABLES : MSR_AMD_HWCR);
    }
}

/* All of them, whatever they held: the machine's firmware or another kernel may have been here. */
static void write_all(struct hypervisor *hv, unsigned int pcpu, const struct cpuid_masks *masks)
{
    if (hv->levelling.caps & XEN_SYSCTL_CPU_LEVELCAP_faulting) {
        hv->pcpus[pcpu].levelling.unknown |= FAULTING_UNKNOWN;
        write_faulting(hv, pcpu, false);
    }
    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++)
        if (hv->levelling.msr[slot]) {
            hv->pcpus[pcpu].levelling.unknown |= 1u << slot;
            write_mask(hv, pcpu, slot, masks->value[slot]);
        }
}

void levelling_pcpu_online(struct hypervisor *hv, unsigned int pcpu)
{
    write_all(hv, pcpu, &hv->levelling.defaults);
}

void levelling_pcpu_restore(struct hypervisor *hv, unsigned int pcpu)
{
    write_all(hv, pcpu, &hv->levelling.hardware);
}

/* ---- a domain ---- */

static void log_visible(struct hypervisor *hv, const struct domain *d)
{
    const struct featureset *fs = &d->levelling.visible;
    char line[160];
    size_t len = 0;

    printk(hv,
           "d%u: its programs see %u features that its policy lacks, which this CPU cannot hide:",
           d->id, featureset_count(fs));
    for (int f = featureset_next(fs, 0); f >= 0; f = featureset_next(fs, (unsigned int)f + 1)) {
        int n =
            format_text(line + len, sizeof(line) - len, " %s", feature_info((unsigned int)f)->name);

        len += (size_t)n;
        if (len > sizeof(line) - 40) {
            printk(hv, "d%u:%s", d->id, line);
            len = 0;
        }
    }
    if (len)
        printk(hv, "d%u:%s", d->id, line);
}

void levelling_domain_update(struct hypervisor *hv, struct domain *d)
{
    const struct levelling_vendor *vendor = vendor_of(hv);
    const struct levelling *lev = &hv->levelling;
    struct levelling_domain *l = &d->levelling;
    const struct levelling_domain before = *l;

    *l = (struct levelling_domain){.costs_switches = false};
    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++) {
        struct mask_registers r;
        uint64_t osxsave;

        if (!lev->msr[slot])
            continue;
        slot_registers(&d->policy, slot, &r);
        osxsave = vendor->osxsave_bit(slot);
        /* Within the defaults: what an option took from everybody stays taken. */
        l->masks.value[slot] = vendor->pack(slot, &r, lev->defaults.value[slot]) & ~osxsave;
        /* A PV guest has no APIC to disable: set, the CPU shows how it is. */
        if (policy_has(&d->policy, X86_FEATURE_APIC))
            l->masks.value[slot] |= vendor->apic_bit(slot);
        if (policy_has(&d->policy, X86_FEATURE_XSAVE))
            l->osxsave |= osxsave;
        if (l->masks.value[slot] != (lev->defaults.value[slot] & ~osxsave))
            l->costs_switches = true;
    }
    levelling_visible(lev->caps, raw_policy(hv), &d->policy, &l->visible);
    if (l->costs_switches && !before.costs_switches)
        printk(hv, "d%u: hidden features cost MSR writes whenever its vCPUs take turns with others",
               d->id);
    if (!featureset_empty(&l->visible) && !featureset_equal(&l->visible, &before.visible))
        log_visible(hv, d);
}

/* ---- the switch ---- */

/* A slot that has no MSR here is zero on both sides: nothing differs. */
static void switch_masks(struct hypervisor *hv, unsigned int pcpu, const struct vcpu *v)
{
    const struct levelling_domain *d = &v->domain->levelling;
    struct levelling_pcpu *l = &hv->pcpus[pcpu].levelling;
    uint64_t osxsave = v->regs.cr4 & CR4_OSXSAVE ? d->osxsave : 0;
    /* The usual case, equal masks, without a branch a slot. */
    uint64_t differ = l->unknown | ((d->masks.value[MASK_1] | osxsave) ^ l->held.value[MASK_1]);

    for (enum mask_slot slot = MASK_1 + 1; slot < MASK_SLOTS; slot++)
        differ |= d->masks.value[slot] ^ l->held.value[slot];
    if (!differ)
        return;
    for (enum mask_slot slot = 0; slot < MASK_SLOTS; slot++) {
        uint64_t value = d->masks.value[slot] | (slot == MASK_1 ? osxsave : 0);

        if (value == l->held.value[slot] && !(l->unknown >> slot & 1))
            continue;
        l->writes++;
        write_mask(hv, pcpu, slot, value);
    }
}

void levelling_switch(struct hypervisor *hv, unsigned int pcpu, const struct vcpu *next)
{
    struct levelling_pcpu *l = &hv->pcpus[pcpu].levelling;
    bool pv = !next->domain->hvm;

    if (next->domain->idle || !hv->levelling.caps)
        return;
    l->switches += pv;
    if (hv->levelling.caps & XEN_SYSCTL_CPU_LEVELCAP_faulting) {
        bool on = pv || (next->regs.misc_features_enables & MISC_FEATURES_CPUID_FAULTING);

        if (on != l->faulting || (l->unknown & FAULTING_UNKNOWN)) {
            l->writes++;
            write_faulting(hv, pcpu, on);
        }
    } else if (pv) {
        switch_masks(hv, pcpu, next);
    }
}
