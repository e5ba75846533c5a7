/* SPDX-License-Identifier: MIT */
/*
 * The state of an HVM domain's vCPUs, to and from the toolstack: the ABI's save records HEADER,
 * CPU, CPU_XSAVE, CPU_MSR, LAPIC (its base register), MTRR and END.  The devices that the other
 * records are about are not part of this core, so those records are refused, by number.
 *
 * Everything that arrives is checked before anything is changed.
 */
#include "registers.h"

#include <xen/errno.h>
#include <xen/hvm/save.h>

#define CODE_END       0u
#define CODE_HEADER    1u
#define CODE_CPU       2u
#define CODE_LAPIC     5u
#define CODE_MTRR      14u
#define CODE_CPU_XSAVE CPU_XSAVE_CODE
#define CODE_CPU_MSR   CPU_MSR_CODE

_Static_assert(HVM_SAVE_CODE(HEADER) == CODE_HEADER && HVM_SAVE_CODE(CPU) == CODE_CPU &&
                   HVM_SAVE_CODE(LAPIC) == CODE_LAPIC && HVM_SAVE_CODE(MTRR) == CODE_MTRR &&
                   HVM_SAVE_CODE(END) == CODE_END,
               "record codes");

/* Without pending_esr, which 4.20.1 and newer have: what older ones wrote is taken as well. */
#define LAPIC_LENGTH 24u

_Static_assert(offsetof(struct hvm_hw_lapic, apic_base_msr) == 0 &&
                   offsetof(struct hvm_hw_lapic, tdt_msr) + sizeof(uint64_t) == LAPIC_LENGTH,
               "LAPIC");

#define MAX_MSRS  8u
#define PAT_RESET 0x0007040600070406ull /* SDM vol. 3A, 12.12.4 */

/* Where the XSAVE area begins in its record, and the longest that the record can be. */
#define XSAVE_AREA offsetof(struct hvm_hw_cpu_xsave, save_area)
#define XSAVE_MAX  (XSAVE_AREA + VCPU_XSAVE_SIZE)

/* What struct vcpu's `context` points to: registers that the core keeps and does not use. */
struct kept {
    struct hvm_hw_cpu cpu;
    struct hvm_hw_mtrr mtrr;
};

struct msr_record {
    uint32_t count;
    uint32_t pad;
    struct hvm_one_msr msr[MAX_MSRS];
};
#define MSR_RECORD(n) (offsetof(struct msr_record, msr) + (n) * sizeof(struct hvm_one_msr))

_Static_assert(offsetof(struct hvm_msr, msr) == offsetof(struct msr_record, msr), "CPU_MSR");

/* ---- out ---- */

/* A null buffer counts only. */
struct writer {
    uint8_t *buf;
    size_t pos;
};

static void put_record(struct writer *w, uint16_t code, uint16_t instance, const void *data,
                       size_t size)
{
    const struct hvm_save_descriptor desc = {code, instance, (uint32_t)size};

    if (w->buf) {
        __builtin_memcpy(w->buf + w->pos, &desc, sizeof(desc));
        if (size)
            __builtin_memcpy(w->buf + w->pos + sizeof(desc), data, size);
    }
    w->pos += sizeof(desc) + size;
}

static void put_cpu(struct writer *w, const struct vcpu *v)
{
    const struct vcpu_regs *r = &v->regs;
    struct hvm_hw_cpu c;

    __builtin_memset(&c, 0, sizeof(c));
    if (v->context)
        c = ((const struct kept *)v->context)->cpu;
    __builtin_memcpy(c.fpu_regs, r->xsave, sizeof(c.fpu_regs));
    c.rax = r->gpr[GPR_RAX];
    c.rcx = r->gpr[GPR_RCX];
    c.rdx = r->gpr[GPR_RDX];
    c.rbx = r->gpr[GPR_RBX];
    c.rsp = r->gpr[GPR_RSP];
    c.rbp = r->gpr[GPR_RBP];
    c.rsi = r->gpr[GPR_RSI];
    c.rdi = r->gpr[GPR_RDI];
    __builtin_memcpy(&c.r8, &r->gpr[GPR_R8], 8 * sizeof(c.r8)); /* r8 .. r15, in order in both */
    c.rip = r->rip;
    c.rflags = r->rflags;
    c.cr0 = r->cr0;
    c.cr2 = r->cr2;
    c.cr3 = r->cr3;
    c.cr4 = r->cr4;
    c.msr_efer = r->efer;
    c.msr_tsc_aux = r->tsc_aux;
    c.flags = XEN_X86_FPU_INITIALISED;
    put_record(w, CODE_CPU, (uint16_t)v->id, &c, sizeof(c));
}

static void put_lapic(struct writer *w, const struct vcpu *v)
{
    const struct hvm_hw_lapic l = {.apic_base_msr = v->regs.apic_base};

    put_record(w, CODE_LAPIC, (uint16_t)v->id, &l, sizeof(l));
}

static void put_mtrr(struct writer *w, const struct vcpu *v)
{
    struct hvm_hw_mtrr m = {.msr_pat_cr = PAT_RESET};

    if (v->context)
        m = ((const struct kept *)v->context)->mtrr;
    put_record(w, CODE_MTRR, (uint16_t)v->id, &m, sizeof(m));
}

static void put_xsave(struct writer *w, struct vcpu *v, struct hvm_hw_cpu_xsave *x)
{
    uint64_t components = xsave_components(v);
    size_t area = xsave_area_size(&v->domain->policy, components);

    if (!v->regs.xcr0)
        return; /* a CPU without XSAVE: the CPU record has it all */
    store_pkru(v);
    __builtin_memset(x, 0, XSAVE_AREA);
    x->xfeature_mask = state_components(&v->domain->policy);
    x->xcr0 = v->regs.xcr0;
    x->xcr0_accum = components;
    __builtin_memcpy(&x->save_area, v->regs.xsave, area);
    put_record(w, CODE_CPU_XSAVE, (uint16_t)v->id, x, XSAVE_AREA + area);
}

/* Those that are zero, as at power-on, are left out. */
static void put_msrs(struct writer *w, const struct vcpu *v)
{
    struct msr_record m = {0};

    if (v->regs.misc_features_enables)
        m.msr[m.count++] =
            (struct hvm_one_msr){MSR_MISC_FEATURES_ENABLES, 0, v->regs.misc_features_enables};
    if (v->regs.xss)
        m.msr[m.count++] = (struct hvm_one_msr){MSR_XSS, 0, v->regs.xss};
    if (m.count)
        put_record(w, CODE_CPU_MSR, (uint16_t)v->id, &m, MSR_RECORD(m.count));
}

static void put_vcpu(struct writer *w, struct vcpu *v, struct hvm_hw_cpu_xsave *x)
{
    put_cpu(w, v);
    put_lapic(w, v);
    put_mtrr(w, v);
    put_xsave(w, v, x);
    put_msrs(w, v);
}

/* A vCPU that is not up has no records, and so stays down where they are loaded. */
static void put_all(struct writer *w, struct domain *d, struct hvm_hw_cpu_xsave *x)
{
    const struct hvm_save_header h = {
        .magic = HVM_FILE_MAGIC,
        .version = HVM_FILE_VERSION,
        .changeset = ~0ull, /* unknown */
        .cpuid = d->policy.basic[1].a,
        .gtsc_khz = d->tsc.gtsc_khz ? d->tsc.gtsc_khz : host_khz(d->hv),
    };

    put_record(w, CODE_HEADER, 0, &h, sizeof(h));
    for (uint32_t i = 0; i < d->max_vcpus; i++)
        if (d->vcpus[i] && d->vcpus[i]->online)
            put_vcpu(w, d->vcpus[i], x);
    put_record(w, CODE_END, 0, NULL, 0);
}

/* The whole of it into new memory; *size says how much it is. */
static int make_context(struct domain *d, uint8_t **out, size_t *size)
{
    struct platform *p = d->hv->platform;
    struct hvm_hw_cpu_xsave *x = platform_alloc(p, XSAVE_MAX);
    struct writer w = {NULL, 0};
    int rc = -XEN_ENOMEM;

    if (!x)
        return rc;
    sched_domain_stop(d);
    put_all(&w, d, x);
    *size = w.pos;
    w = (struct writer){platform_alloc(p, *size), 0};
    if (w.buf) {
        put_all(&w, d, x);
        *out = w.buf;
        rc = 0;
    }
    platform_free(p, x);
    return rc;
}

long hvm_get_context(struct domain *d, struct xen_domctl_hvmcontext *op)
{
    uint8_t *records;
    size_t size;
    long rc;

    if (!d->hvm)
        return -XEN_EINVAL;
    rc = make_context(d, &records, &size);
    if (rc)
        return rc;
    if (HANDLE(op->buffer)) {
        if (op->size < size)
            rc = -XEN_ENOSPC;
        else if (platform_copy_to_guest(d->hv->platform, HANDLE(op->buffer), records, size))
            rc = -XEN_EFAULT;
    }
    platform_free(d->hv->platform, records);
    if (!rc)
        op->size = (uint32_t)size;
    return rc;
}

/* One record without its descriptor. */
long hvm_get_context_partial(struct domain *d, struct xen_domctl_hvmcontext_partial *op)
{
    struct platform *p = d->hv->platform;
    struct hvm_save_descriptor desc;
    uint8_t *records;
    size_t size;
    long rc;

    if (!d->hvm || op->type > HVM_SAVE_CODE_MAX || op->type == CODE_END)
        return -XEN_EINVAL;
    rc = make_context(d, &records, &size);
    if (rc)
        return rc;
    rc = -XEN_ENOENT;
    for (size_t pos = 0; pos + sizeof(desc) <= size; pos += sizeof(desc) + desc.length) {
        __builtin_memcpy(&desc, records + pos, sizeof(desc));
        if (desc.typecode != op->type || desc.instance != op->instance)
            continue;
        rc = 0;
        if (HANDLE(op->buffer) && op->bufsz < desc.length)
            rc = -XEN_ENOSPC;
        else if (HANDLE(op->buffer) &&
                 platform_copy_to_guest(p, HANDLE(op->buffer), records + pos + sizeof(desc),
                                        desc.length))
            rc = -XEN_EFAULT;
        else
            op->bufsz = desc.length;
        break;
    }
    platform_free(p, records);
    return rc;
}

/* ---- in ---- */

/* One record: checked against the domain, or (apply) taken after the check. */
struct record {
    struct domain *d;
    struct vcpu *v; /* for the records that are a vCPU's */
    uint16_t code;
    uint32_t length;
    const uint8_t *data; /* not aligned */
};

static int refuse_record(const struct record *r, const char *why)
{
    printk(r->d->hv, "d%u: HVM context: record %u: %s", r->d->id, r->code, why);
    return -XEN_EINVAL;
}

static int take_header(const struct record *r)
{
    struct hvm_save_header h;

    if (r->length != sizeof(h))
        return refuse_record(r, "wrong length");
    __builtin_memcpy(&h, r->data, sizeof(h));
    if (h.magic != HVM_FILE_MAGIC || h.version != HVM_FILE_VERSION)
        return refuse_record(r, "not this format");
    return 0;
}

static void apply_cpu(struct vcpu *v, const struct hvm_hw_cpu *c)
{
    struct vcpu_regs *r = &v->regs;

    __builtin_memcpy(r->xsave, c->fpu_regs, sizeof(c->fpu_regs));
    r->gpr[GPR_RAX] = c->rax;
    r->gpr[GPR_RCX] = c->rcx;
    r->gpr[GPR_RDX] = c->rdx;
    r->gpr[GPR_RBX] = c->rbx;
    r->gpr[GPR_RSP] = c->rsp;
    r->gpr[GPR_RBP] = c->rbp;
    r->gpr[GPR_RSI] = c->rsi;
    r->gpr[GPR_RDI] = c->rdi;
    __builtin_memcpy(&r->gpr[GPR_R8], &c->r8, 8 * sizeof(c->r8));
    r->rip = c->rip;
    r->rflags = c->rflags | 2; /* bit 1 reads as one */
    r->cr0 = c->cr0;
    r->cr2 = c->cr2;
    r->cr3 = c->cr3;
    r->cr4 = c->cr4;
    r->efer = c->msr_efer;
    r->tsc_aux = c->msr_tsc_aux;
    v->online = true;
    guest_cpuid_update(v);
}

/* Room for what is only kept: found while checking, so that applying cannot fail. */
static int make_room(struct vcpu *v)
{
    struct kept *k = v->context;

    if (k)
        return 0;
    k = platform_alloc(v->domain->hv->platform, sizeof(*k));
    if (!k)
        return -XEN_ENOMEM;
    k->mtrr.msr_pat_cr = PAT_RESET;
    v->context = k;
    return 0;
}

static int take_cpu(const struct record *r, bool apply)
{
    struct hvm_hw_cpu c;

    if (r->length != sizeof(c))
        return refuse_record(r, "wrong length");
    __builtin_memcpy(&c, r->data, sizeof(c));
    if (!apply &&
        (check_cr0(r->v, c.cr0) || check_cr4(r->v, c.cr4) || check_efer(r->v, c.msr_efer) ||
         check_rflags(r->v, c.rflags) || check_msr(r->v, MSR_TSC_AUX, c.msr_tsc_aux)))
        return -XEN_EINVAL;
    if (apply) {
        ((struct kept *)r->v->context)->cpu = c;
        apply_cpu(r->v, &c);
    }
    return make_room(r->v);
}

static int take_lapic(const struct record *r, bool apply)
{
    uint64_t base;

    if (r->length != LAPIC_LENGTH && r->length != sizeof(struct hvm_hw_lapic))
        return refuse_record(r, "wrong length");
    for (uint32_t i = sizeof(base); i < r->length; i++)
        if (r->data[i])
            return refuse_record(r, "a local APIC in use, which is not emulated here");
    __builtin_memcpy(&base, r->data, sizeof(base));
    if (!apply && check_msr(r->v, MSR_APIC_BASE, base))
        return -XEN_EINVAL;
    if (apply) {
        r->v->regs.apic_base = base;
        guest_cpuid_update(r->v);
    }
    return 0;
}

static int take_mtrr(const struct record *r, bool apply)
{
    struct hvm_hw_mtrr m;

    if (r->length != sizeof(m))
        return refuse_record(r, "wrong length");
    __builtin_memcpy(&m, r->data, sizeof(m));
    /* Eight memory types: 2 and 3 are none, nor is anything above 7 (SDM vol. 3A, 12.12.2). */
    for (unsigned int i = 0; i < 64; i += 8) {
        uint8_t type = (uint8_t)(m.msr_pat_cr >> i);

        if (type > 7 || type == 2 || type == 3)
            return refuse_record(r, "PAT has a memory type that there is not");
    }
    if (apply)
        ((struct kept *)r->v->context)->mtrr = m;
    return make_room(r->v);
}

static int take_xsave(const struct record *r, bool apply)
{
    struct hvm_hw_cpu_xsave x; /* its beginning */

    if (r->length < sizeof(x) || r->length > XSAVE_MAX)
        return refuse_record(r, "wrong length");
    __builtin_memcpy(&x, r->data, sizeof(x));
    if (!apply &&
        check_xsave(r->v, x.xcr0, x.xcr0_accum, r->data + XSAVE_AREA, r->length - XSAVE_AREA))
        return -XEN_EINVAL;
    if (apply)
        load_xsave(r->v, x.xcr0, r->data + XSAVE_AREA, r->length - XSAVE_AREA);
    return 0;
}

static int take_msr(const struct record *r, const struct hvm_one_msr *m, bool apply)
{
    struct vcpu_regs *regs = &r->v->regs;

    if (m->_rsvd)
        return refuse_record(r, "reserved bits of an MSR entry");
    if (!apply && check_msr(r->v, m->index, m->val))
        return -XEN_EINVAL;
    switch (m->index) {
    case MSR_MISC_FEATURES_ENABLES:
        if (apply)
            regs->misc_features_enables = m->val;
        return 0;
    case MSR_XSS:
        if (apply) {
            regs->xss = m->val;
            guest_cpuid_update(r->v);
        }
        return 0;
    default:
        printk(r->d->hv, "d%uv%u: MSR %x is not known here", r->d->id, r->v->id, m->index);
        return m->val ? -XEN_ENXIO : 0;
    }
}

static int take_msrs(const struct record *r, bool apply)
{
    struct msr_record m;

    if (r->length < MSR_RECORD(0) || r->length > sizeof(m))
        return refuse_record(r, "wrong length");
    __builtin_memset(&m, 0, sizeof(m));
    __builtin_memcpy(&m, r->data, r->length);
    if (m.count > MAX_MSRS || r->length != MSR_RECORD(m.count))
        return refuse_record(r, "wrong length");
    for (uint32_t i = 0; i < m.count; i++) {
        int rc = take_msr(r, &m.msr[i], apply);

        if (rc)
            return rc;
    }
    return 0;
}

static int take_record(const struct record *r, bool apply)
{
    switch (r->code) {
    case CODE_HEADER:
        return take_header(r);
    case CODE_CPU:
        return take_cpu(r, apply);
    case CODE_LAPIC:
        return take_lapic(r, apply);
    case CODE_MTRR:
        return take_mtrr(r, apply);
    case CODE_CPU_XSAVE:
        return take_xsave(r, apply);
    case CODE_CPU_MSR:
        return take_msrs(r, apply);
    default:
        return refuse_record(r, "not known here");
    }
}

/* All records once: from HEADER to END, nothing missing between. */
static int walk_context(struct domain *d, const uint8_t *buf, size_t size, bool apply)
{
    struct hvm_save_descriptor desc;
    size_t pos = 0;
    int rc;

    while (pos + sizeof(desc) <= size) {
        struct record r = {.d = d};

        __builtin_memcpy(&desc, buf + pos, sizeof(desc));
        r.code = desc.typecode;
        r.length = desc.length;
        r.data = buf + pos + sizeof(desc);
        if (desc.length > size - pos - sizeof(desc))
            return refuse_record(&r, "longer than the rest");
        if ((pos == 0) != (desc.typecode == CODE_HEADER))
            return refuse_record(&r, "the header is not first, or not alone");
        if (desc.typecode == CODE_END)
            return desc.length ? refuse_record(&r, "wrong length") : 0;
        if (desc.typecode != CODE_HEADER) {
            if (desc.instance >= d->max_vcpus || !d->vcpus[desc.instance])
                return refuse_record(&r, "no such vCPU");
            r.v = d->vcpus[index_nospec(desc.instance, d->max_vcpus)];
        }
        rc = take_record(&r, apply);
        if (rc)
            return rc;
        pos += sizeof(desc) + desc.length;
    }
    return -XEN_ENODATA; /* no END */
}

/* More than this no context of this domain can be. */
static size_t longest_context(const struct domain *d)
{
    return 2 * sizeof(struct hvm_save_descriptor) + sizeof(struct hvm_save_header) +
           d->max_vcpus * (5 * sizeof(struct hvm_save_descriptor) + sizeof(struct kept) +
                           sizeof(struct hvm_hw_lapic) + XSAVE_MAX + sizeof(struct msr_record));
}

long hvm_set_context(struct domain *d, const struct xen_domctl_hvmcontext *op)
{
    struct platform *p = d->hv->platform;
    uint8_t *buf;
    long rc;

    if (!d->hvm)
        return -XEN_EINVAL;
    if (op->size > longest_context(d)) {
        printk(d->hv, "d%u: HVM context: %u bytes are more than it can have", d->id, op->size);
        return -XEN_EINVAL;
    }
    buf = platform_alloc(p, op->size ? op->size : 1);
    if (!buf)
        return -XEN_ENOMEM;
    rc = -XEN_EFAULT;
    if (!platform_copy_from_guest(p, buf, HANDLE(op->buffer), op->size)) {
        sched_domain_stop(d);
        rc = walk_context(d, buf, op->size, false);
        if (!rc)
            rc = walk_context(d, buf, op->size, true);
        if (!rc)
            sched_domain_changed(d);
    }
    platform_free(p, buf);
    return rc;
}
