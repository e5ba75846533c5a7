/* SPDX-License-Identifier: MIT */
/*
 * An HVM domain's context, <xen/arch-x86/hvm/save.h>, before the hypervisor gets it.  Entries that
 * are about devices, and those that nobody knows here, are the hypervisor's to judge.
 */
#include <errno.h>
#include <string.h>

#include "xc_sr_check.h"

#include <xen/hvm/save.h>

#define MAX_VCPUS 8192u /* that an instance can be of */

/* struct hvm_hw_cpu as Xen up to 4.6 wrote it: without flags. */
#define CPU_WITHOUT_FLAGS offsetof(struct hvm_hw_cpu, flags)
#define XSAVE_AREA        offsetof(struct hvm_hw_cpu_xsave, save_area)
#define MSRS              offsetof(struct hvm_msr, msr)

struct entry {
    struct sr_reader *r;
    const struct sr_place *at;
    const struct cpu_policy *p;
    unsigned int index;              /* counted from 0 */
    struct hvm_save_descriptor desc; /* within the context */
    const uint8_t *data;             /* not aligned */
};

static const char *name_of(uint16_t typecode)
{
    switch (typecode) {
    case HVM_SAVE_CODE(END):
        return "END";
    case HVM_SAVE_CODE(HEADER):
        return "HEADER";
    case HVM_SAVE_CODE(CPU):
        return "CPU";
    case HVM_SAVE_CODE(LAPIC):
        return "LAPIC";
    case CPU_XSAVE_CODE:
        return "CPU_XSAVE";
    case CPU_MSR_CODE:
        return "CPU_MSR";
    default:
        return "of another type";
    }
}

/* "entry 4 (CPU_XSAVE, instance 1): ..."; -1 with EILSEQ. */
static int refuse_entry(const struct entry *e, const char *why)
{
    return sr_refuse(e->r, e->at, EILSEQ, "entry %u (%s, instance %u): %s", e->index,
                     name_of(e->desc.typecode), e->desc.instance, why);
}

static int refuse_length(const struct entry *e)
{
    return sr_refuse(e->r, e->at, EILSEQ, "entry %u (%s, instance %u): its length is %u bytes",
                     e->index, name_of(e->desc.typecode), e->desc.instance, e->desc.length);
}

static int check_header(const struct entry *e)
{
    struct hvm_save_header h;

    if (e->desc.length != sizeof(h))
        return refuse_length(e);
    memcpy(&h, e->data, sizeof(h));
    if (h.magic != HVM_FILE_MAGIC || h.version != HVM_FILE_VERSION)
        return refuse_entry(e, "it is not of this format");
    return 0;
}

static int check_cpu(const struct entry *e)
{
    const uint32_t length = e->desc.length;
    struct sr_findings f;
    struct hvm_hw_cpu c;

    if (length != sizeof(c) && length != CPU_WITHOUT_FLAGS &&
        length != sizeof(struct hvm_hw_cpu_compat))
        return refuse_length(e);
    memset(&c, 0, sizeof(c));
    memcpy(&c, e->data, length); /* the oldest one differs behind EFER */
    if (length == sizeof(struct hvm_hw_cpu_compat))
        c.msr_tsc_aux = 0;
    (void)sr_findings(&f);
    (void)state_check_cr0(c.cr0, &f.report);
    (void)state_check_cr4(e->p, false, c.cr4, &f.report);
    (void)state_check_efer(e->p, c.msr_efer, &f.report);
    (void)state_check_msr(e->p, MSR_TSC_AUX, c.msr_tsc_aux, &f.report);
    return sr_refuse_state(e->r, e->at, e->desc.instance, &f);
}

/*
 * Xen fills up with zeros what an older one has left out.  The entry ends behind timer_divisor up
 * to Xen 4.17, and behind pending_esr since 4.18.5, 4.19.2, 4.20.1 and 4.21.0 (hvm/save.h of each):
 * both come here, whichever of them the installed headers have.  APIC_BASE is its first field.
 */
#define LAPIC_LENGTH     24u
#define LAPIC_LENGTH_ESR 32u

static int check_lapic(const struct entry *e)
{
    const uint32_t length = e->desc.length;
    uint64_t apic_base = 0;
    struct sr_findings f;

    if (!length || (length > LAPIC_LENGTH && length != LAPIC_LENGTH_ESR))
        return refuse_length(e);
    memcpy(&apic_base, e->data, length < sizeof(apic_base) ? length : sizeof(apic_base));
    (void)state_check_msr(e->p, MSR_APIC_BASE, apic_base, sr_findings(&f));
    return sr_refuse_state(e->r, e->at, e->desc.instance, &f);
}

static int check_xsave(const struct entry *e)
{
    struct state_xsave x = {.area = e->data + XSAVE_AREA};
    struct hvm_hw_cpu_xsave head;
    struct sr_findings f;

    if (e->desc.length < XSAVE_AREA)
        return refuse_length(e);
    memcpy(&head, e->data, XSAVE_AREA);
    x.xcr0 = head.xcr0;
    x.xcr0_accum = head.xcr0_accum;
    x.size = e->desc.length - XSAVE_AREA;
    (void)state_check_xsave(e->p, &x, sr_findings(&f));
    return sr_refuse_state(e->r, e->at, e->desc.instance, &f);
}

static int check_msrs(const struct entry *e)
{
    uint32_t count;

    if (e->desc.length < MSRS)
        return refuse_length(e);
    memcpy(&count, e->data, sizeof(count));
    if ((e->desc.length - MSRS) / sizeof(struct hvm_one_msr) != count ||
        (e->desc.length - MSRS) % sizeof(struct hvm_one_msr))
        return refuse_length(e);
    return sr_check_msrs(e->r, e->at, e->p, e->desc.instance, e->data + MSRS, count);
}

/* The entries that are looked into; of each vCPU one. */
static const struct {
    uint16_t typecode;
    int (*check)(const struct entry *e);
} kinds[] = {
    {HVM_SAVE_CODE(CPU), check_cpu},
    {HVM_SAVE_CODE(LAPIC), check_lapic},
    {CPU_XSAVE_CODE, check_xsave},
    {CPU_MSR_CODE, check_msrs},
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A bit an instance. */
typedef uint8_t seen_t[NR_KINDS][MAX_VCPUS / 8];

static int check_entry(const struct entry *e, uint32_t nr_vcpus, seen_t seen)
{
    const uint16_t n = e->desc.instance;

    for (size_t k = 0; k < NR_KINDS; k++) {
        if (kinds[k].typecode != e->desc.typecode)
            continue;
        if (n >= nr_vcpus || n >= MAX_VCPUS)
            return sr_refuse(e->r, e->at, EILSEQ,
                             "entry %u (%s) is of vCPU %u, and the domain has %u", e->index,
                             name_of(e->desc.typecode), n, nr_vcpus);
        if (seen[k][n / 8] >> n % 8 & 1)
            return refuse_entry(e, "it is there a second time");
        seen[k][n / 8] = (uint8_t)(seen[k][n / 8] | 1u << n % 8);
        return kinds[k].check(e);
    }
    return 0;
}

/* The next entry, at *pos. */
static int find_next_entry(struct entry *e, const uint8_t *context, size_t size, size_t *pos)
{
    if (size - *pos < sizeof(e->desc))
        return sr_refuse(e->r, e->at, EILSEQ, "it ends without an END, behind %u entries",
                         e->index);
    memcpy(&e->desc, context + *pos, sizeof(e->desc));
    *pos += sizeof(e->desc);
    e->data = context + *pos;
    if (e->desc.length > size - *pos)
        return refuse_length(e);
    *pos += e->desc.length;
    if ((e->index == 0) != (e->desc.typecode == HVM_SAVE_CODE(HEADER)))
        return refuse_entry(e, "HEADER is not first, or there twice");
    return 0;
}

int sr_hvm_check(struct sr_reader *r, const struct sr_place *at, const struct cpu_policy *p,
                 uint32_t nr_vcpus, const void *context, size_t size)
{
    struct entry e = {.r = r, .at = at, .p = p};
    bool any_cpu = false;
    seen_t seen;
    size_t pos = 0;

    memset(seen, 0, sizeof(seen));
    for (;; e.index++) {
        if (find_next_entry(&e, context, size, &pos))
            return -1;
        if (e.desc.typecode == HVM_SAVE_CODE(END))
            break;
        if (e.index ? check_entry(&e, nr_vcpus, seen) : check_header(&e))
            return -1;
        any_cpu |= e.desc.typecode == HVM_SAVE_CODE(CPU);
    }
    if (e.desc.length)
        return refuse_length(&e);
    if (pos != size)
        return sr_refuse(r, at, EILSEQ, "%zu bytes stand behind its END", size - pos);
    if (!any_cpu)
        return sr_refuse(r, at, EILSEQ, "there is no CPU entry in it");
    return 0;
}
