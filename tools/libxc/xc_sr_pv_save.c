/* SPDX-License-Identifier: MIT */
/*
 * Saving PV domains: their page tables, shared info and vCPUs, with PFNs where the domain has MFNs.
 * Whatever is read from the domain's memory may be wrong on purpose.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_sr_pv.h"
#include "xc_sr_save.h"

/* s->guest. */
struct pv_save {
    struct sr_pv_p2m *p2m;
    uint64_t *deferred; /* a bit a PFN: page tables that could not be sent while the domain ran */
};

static struct sr_pv_p2m *p2m_of(const struct sr_save *s)
{
    return ((const struct pv_save *)s->guest)->p2m;
}

static int out_of_memory(const struct sr_save *s)
{
    return xc_fail(s->w.xch, ENOMEM, "out of memory for the frames of domain %u", s->domid);
}

/* ---- open, close ---- */

static int open_pv(struct sr_save *s)
{
    struct pv_save *pv = calloc(1, sizeof(*pv));

    if (!pv)
        return xc_fail(s->w.xch, ENOMEM, "out of memory for saving a PV domain");
    s->guest = pv;
    pv->p2m = sr_pv_open_p2m(s->w.xch, s->domid);
    if (!pv->p2m)
        return -1;
    s->nr_gfns = pv->p2m->nr_pfns;
    if (!s->options->live)
        return 0;
    pv->deferred = calloc(sr_save_bitmap_words(s), sizeof(*pv->deferred));
    return pv->deferred ? 0 : xc_fail(s->w.xch, ENOMEM, "out of memory for deferred page tables");
}

static void close_pv(struct sr_save *s)
{
    struct pv_save *pv = s->guest;

    if (!pv)
        return;
    sr_pv_close_p2m(pv->p2m);
    free(pv->deferred);
    free(pv);
}

static int check_p2m(struct sr_save *s)
{
    return sr_pv_check_p2m(p2m_of(s));
}

/* ---- memory ---- */

static size_t find_mfns(struct sr_save *s, size_t n)
{
    const struct sr_pv_p2m *p2m = p2m_of(s);
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (sr_pv_find_mfn(p2m, s->gfns[i], &s->frames[kept]))
            s->gfns[kept++] = s->gfns[i];
    return kept;
}

struct normalising {
    struct sr_pv_p2m *p2m;
    bool failed; /* not the frame is wrong: the M2P could not be read */
};

static bool translate_to_pfn(void *data, uint64_t mfn, uint64_t *pfn)
{
    struct normalising *n = data;
    int rc = sr_pv_find_pfn(n->p2m, mfn, pfn);

    n->failed = rc < 0;
    return !rc;
}

static int normalise_page(struct sr_save *s, size_t i, void **page)
{
    struct pv_save *pv = s->guest;
    struct normalising n = {pv->p2m, false};
    unsigned int level = sr_pv_level(s->types[i]), bad;
    void *table = s->copy + i * PAGE_SIZE;

    if (!level)
        return 0;
    /* A copy first: what is checked must be what is sent. */
    memcpy(table, *page, PAGE_SIZE);
    *page = table;
    if (!sr_pv_translate_table(level, table, table, translate_to_pfn, &n, &bad))
        return 0;
    if (n.failed)
        return -1;
    if (s->was_suspended)
        return xc_fail(s->w.xch, EINVAL,
                       "domain %u: frame %llx, a page table of level %u: entry %u names a frame "
                       "that is not the domain's",
                       s->domid, (unsigned long long)s->gfns[i], level, bad);
    /* It runs, and is about to change it, or has a frame of another's there for a while. */
    pv->deferred[s->gfns[i] / 64] |= 1ull << (s->gfns[i] % 64);
    *page = NULL;
    return 0;
}

static void add_deferred(struct sr_save *s)
{
    const struct pv_save *pv = s->guest;

    for (size_t i = 0; i < sr_save_bitmap_words(s); i++)
        s->dirty[i] |= pv->deferred[i];
}

/* ---- records ---- */

int sr_pv_write_info(struct sr_writer *w)
{
    struct xc_sr_pv_info body = {.guest_width = SR_PV_WIDTH, .pt_levels = SR_PV_LEVELS};
    struct iovec iov[3] = {{&body, sizeof(body)}};

    return sr_write_record(w, REC_X86_PV_INFO, iov, 1);
}

static int write_info(struct sr_save *s)
{
    return sr_pv_write_info(&s->w);
}

static int write_p2m_frames(struct sr_save *s)
{
    struct sr_pv_p2m *p2m = p2m_of(s);
    struct xc_sr_p2m_frames head = {.start_pfn = 0, .end_pfn = (uint32_t)(p2m->nr_pfns - 1)};
    uint64_t *pfns = calloc(p2m->nr_p2m_frames, sizeof(*pfns));
    struct iovec iov[4] = {{&head, sizeof(head)}, {pfns, p2m->nr_p2m_frames * sizeof(*pfns)}};
    int rc = 0;

    if (!pfns)
        return out_of_memory(s);
    for (uint64_t i = 0; i < p2m->nr_p2m_frames && !rc; i++)
        rc = sr_pv_find_pfn(p2m, p2m->p2m_mfns[i], &pfns[i]);
    if (rc > 0)
        rc = xc_fail(s->w.xch, EINVAL, "domain %u: a frame of its p2m is not in its p2m", s->domid);
    if (!rc)
        rc = sr_write_record(&s->w, REC_X86_PV_P2M_FRAMES, iov, 2);
    free(pfns);
    return rc;
}

static int write_vcpu_record(struct sr_save *s, uint32_t type, uint32_t vcpu, void *blob,
                             size_t size)
{
    struct xc_sr_vcpu head = {.vcpu_id = vcpu};
    struct iovec iov[4] = {{&head, sizeof(head)}, {blob, size}};

    return sr_write_record(&s->w, type, iov, 2);
}

static int normalise_mfn(struct sr_save *s, uint32_t vcpu, const char *what, uint64_t mfn,
                         uint64_t *pfn)
{
    int rc = sr_pv_find_pfn(p2m_of(s), mfn, pfn);

    if (rc <= 0)
        return rc;
    return xc_fail(s->w.xch, EINVAL,
                   "domain %u, vCPU %u: %s is in machine frame %llx, which is not "
                   "the domain's",
                   s->domid, vcpu, what, (unsigned long long)mfn);
}

static int normalise_context(struct sr_save *s, uint32_t vcpu, vcpu_guest_context_t *c)
{
    uint64_t pfn, frames = (c->gdt_ents + 511) / 512;

    /* The first vCPU asked for the suspension, with the frame of its start info. */
    if (vcpu == 0) {
        if (normalise_mfn(s, vcpu, "its start info", c->user_regs.rdx, &pfn))
            return -1;
        c->user_regs.rdx = pfn;
    }
    if (frames > sizeof(c->gdt_frames) / sizeof(c->gdt_frames[0]))
        return xc_fail(s->w.xch, EINVAL, "domain %u, vCPU %u: a GDT of %lu entries", s->domid, vcpu,
                       (unsigned long)c->gdt_ents);
    for (uint64_t i = 0; i < frames; i++) {
        if (normalise_mfn(s, vcpu, "its GDT", c->gdt_frames[i], &pfn))
            return -1;
        c->gdt_frames[i] = pfn;
    }
    if (normalise_mfn(s, vcpu, "its page table", xen_cr3_to_pfn(c->ctrlreg[3]), &pfn))
        return -1;
    c->ctrlreg[3] = xen_pfn_to_cr3(pfn);
    /* The page table of user mode, when there is one; bit 0 says so in the stream. */
    if (c->ctrlreg[1]) {
        if (normalise_mfn(s, vcpu, "its user page table", c->ctrlreg[1] >> 12, &pfn))
            return -1;
        c->ctrlreg[1] = pfn << 12 | 1;
    }
    return 0;
}

static int write_basic(struct sr_save *s, uint32_t vcpu)
{
    xc_handle *xch = s->w.xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpucontext, .domain = (domid_t)s->domid};
    vcpu_guest_context_t *c = xch->ops->alloc(xch->state, sizeof(*c));
    int rc;

    if (!c)
        return out_of_memory(s);
    op.u.vcpucontext.vcpu = vcpu;
    set_xen_guest_handle(op.u.vcpucontext.ctxt, c);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its registers: %s", s->domid, vcpu,
                     xc_reason(xch, errno));
    else
        rc = normalise_context(s, vcpu, c);
    if (!rc)
        rc = write_vcpu_record(s, REC_X86_PV_VCPU_BASIC, vcpu, c, sizeof(*c));
    xch->ops->release(xch->state, c);
    return rc;
}

static int write_extended(struct sr_save *s, uint32_t vcpu)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_ext_vcpucontext, .domain = (domid_t)s->domid};

    op.u.ext_vcpucontext.vcpu = vcpu;
    if (xc_domctl(s->w.xch, &op) < 0)
        return xc_fail(s->w.xch, errno, "domain %u, vCPU %u: its callbacks: %s", s->domid, vcpu,
                       xc_reason(s->w.xch, errno));
    return write_vcpu_record(s, REC_X86_PV_VCPU_EXTENDED, vcpu, &op.u.ext_vcpucontext,
                             sizeof(op.u.ext_vcpucontext));
}

static int write_xsave(struct sr_save *s, uint32_t vcpu)
{
    xc_handle *xch = s->w.xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuextstate, .domain = (domid_t)s->domid};
    struct xen_domctl_vcpuextstate *x = &op.u.vcpuextstate;
    uint64_t *blob;
    int rc;

    x->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u, vCPU %u: the size of its XSAVE state: %s", s->domid,
                       vcpu, xc_reason(xch, errno));
    if (!x->size)
        return 0; /* it has not used any */
    blob = xch->ops->alloc(xch->state, x->size);
    if (!blob)
        return out_of_memory(s);
    set_xen_guest_handle(x->buffer, blob);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its XSAVE state: %s", s->domid, vcpu,
                     xc_reason(xch, errno));
    else
        rc = x->size ? write_vcpu_record(s, REC_X86_PV_VCPU_XSAVE, vcpu, blob, x->size) : 0;
    xch->ops->release(xch->state, blob);
    return rc;
}

static int write_msrs(struct sr_save *s, uint32_t vcpu)
{
    xc_handle *xch = s->w.xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_get_vcpu_msrs, .domain = (domid_t)s->domid};
    struct xen_domctl_vcpu_msrs *m = &op.u.vcpu_msrs;
    xen_domctl_vcpu_msr_t *msrs;
    int rc;

    m->vcpu = vcpu;
    if (xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "domain %u, vCPU %u: how many MSRs it has: %s", s->domid, vcpu,
                       xc_reason(xch, errno));
    if (!m->msr_count)
        return 0;
    msrs = xch->ops->alloc(xch->state, m->msr_count * sizeof(*msrs));
    if (!msrs)
        return out_of_memory(s);
    set_xen_guest_handle(m->msrs, msrs);
    if (xc_domctl(xch, &op) < 0)
        rc = xc_fail(xch, errno, "domain %u, vCPU %u: its MSRs: %s", s->domid, vcpu,
                     xc_reason(xch, errno));
    else /* those that are 0 are left out, so there may be none */
        rc = m->msr_count ? write_vcpu_record(s, REC_X86_PV_VCPU_MSRS, vcpu, msrs,
                                              m->msr_count * sizeof(*msrs))
                          : 0;
    xch->ops->release(xch->state, msrs);
    return rc;
}

static int write_vcpu(struct sr_save *s, uint32_t vcpu)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getvcpuinfo, .domain = (domid_t)s->domid};

    op.u.getvcpuinfo.vcpu = vcpu;
    if (xc_domctl(s->w.xch, &op) < 0)
        return xc_fail(s->w.xch, errno, "domain %u, vCPU %u: %s", s->domid, vcpu,
                       xc_reason(s->w.xch, errno));
    if (!op.u.getvcpuinfo.online)
        return 0;
    return write_basic(s, vcpu) || write_extended(s, vcpu) || write_xsave(s, vcpu) ||
                   write_msrs(s, vcpu)
               ? -1
               : 0;
}

static int write_state(struct sr_save *s)
{
    struct iovec iov[3] = {{(void *)(uintptr_t)p2m_of(s)->shared, PAGE_SIZE}};

    if (sr_write_record(&s->w, REC_SHARED_INFO, iov, 1))
        return -1;
    for (uint32_t vcpu = 0; vcpu < s->nr_vcpus; vcpu++)
        if (write_vcpu(s, vcpu))
            return -1;
    return sr_write_checksum(&s->w);
}

const struct sr_save_ops sr_save_pv = {
    .guest_type = XC_SR_GUEST_PV,
    .needs_copies = true,
    .open = open_pv,
    .close = close_pv,
    .write_static_data = write_info,
    .write_memory_map = write_p2m_frames,
    .find_frames = find_mfns,
    .normalise_page = normalise_page,
    .check_suspended = check_p2m,
    .add_deferred = add_deferred,
    .write_state = write_state,
};
