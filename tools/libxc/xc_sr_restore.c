/* SPDX-License-Identifier: MIT */
/*
 * Restoring a domain: the stream's reader.  See xc_sr.h.  Whoever wrote the stream is not trusted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_clock.h"
#include "xc_sim.h"
#include "xc_sr_restore.h"

/* ---- headers ---- */

static int refuse_image_header(struct sr_reader *r, struct xc_sr_header_fault f)
{
    switch (f.what) {
    case XC_SR_HEADER_MAGIC:
        return sr_bad(r, "this is no migration stream, or an image of Xen 4.5 or older: Xen 4.6 to "
                         "4.19 can still restore those");
    case XC_SR_HEADER_IDENT:
        return sr_bad(r, "its id is not XENF");
    case XC_SR_HEADER_VERSION:
        return sr_bad(r, "version %u; 2 and 3 are known", f.value);
    default:
        return sr_bad(r, "it is big-endian, or reserved bits of its header are not zero");
    }
}

static int read_headers(struct sr_restore *s)
{
    struct sr_reader *r = &s->r;
    struct xc_sr_ihdr image;
    struct xc_sr_dhdr domain;
    struct xc_sr_header_fault fault;
    struct xc_domain_info info;
    const struct sr_restore_ops *ops;

    if (sr_read(r, &image, sizeof(image)))
        return -1;
    fault = xc_sr_check_image_header(&image);
    if (fault.what)
        return refuse_image_header(r, fault);
    if (sr_read(r, &domain, sizeof(domain)))
        return -1;
    if (xc_sr_check_domain_header(&domain).what)
        return sr_bad(r, "guest type %u with pages of 2^%u bytes%s", domain.type, domain.page_shift,
                      domain.reserved ? ", and reserved bits that are not zero" : "");
    s->order.version = xc_sr_image_version(&image);
    s->order.guest = (enum xc_sr_guest)domain.type;
    s->result->hvm = domain.type == XC_SR_GUEST_HVM;
    ops = s->result->hvm ? &sr_restore_hvm : &sr_restore_pv;
    if (xc_domain_getinfo(r->xch, s->domid, &info))
        return -1;
    s->nr_vcpus = info.nr_vcpus;
    if (s->result->hvm == (info.type == XC_DOMAIN_PV))
        return sr_bad(r, "it is a %s domain's, and domain %u is %s", ops->name, s->domid,
                      xc_domain_type_name(info.type));
    s->ops = ops;
    return ops->open(s);
}

/* ---- static data ---- */

static int end_of_static(struct sr_restore *s)
{
    unsigned int missing = (s->policy.have_cpuid ? 0 : 1u) | (s->policy.have_msr ? 0 : 2u);

    if (s->ops->check_static_data(s))
        return -1;
    if (s->policy.have_msr && !s->policy.have_cpuid)
        return sr_bad(&s->r, "there was X86_MSR_POLICY, and no X86_CPUID_POLICY");
    if (sr_apply_policy(&s->r, &s->policy, s->domid, s->options->unverified, s->result))
        return -1;
    if (s->cb->static_data_done && s->cb->static_data_done(s->cb->data, missing))
        return xc_fail(s->r.xch, ECANCELED, "restoring domain %u was called off", s->domid);
    return 0;
}

/* ---- memory ---- */

/* Where page i of the batch is read to: the domain's frame, or aside. */
static void *find_target(struct sr_restore *s, size_t i)
{
    return s->verifying ? s->copy + i * PAGE_SIZE : s->pages[i];
}

static int localise_pages(struct sr_restore *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->ops->localise_page(s, i, find_target(s, i)))
            return -1;
    return 0;
}

/* A self-test of the sender's: differences are told, the first of them by name, and no more. */
static void compare_pages(struct sr_restore *s, size_t n)
{
    for (size_t i = 0; s->verifying && i < n; i++) {
        if (!memcmp(find_target(s, i), s->pages[i], PAGE_SIZE))
            continue;
        if (s->different++ < SR_MAX_TOLD)
            xtl_log(s->r.xch->logger, XTL_WARN, -1, "xenlevel",
                    "domain %u: frame %llx is not what the sender has there after all", s->domid,
                    (unsigned long long)s->gfns[i]);
    }
}

/* Contents from the stream straight into the domain's frames; behind VERIFY, beside them. */
static int read_contents(struct sr_restore *s, size_t n)
{
    void *mapping;
    size_t nr = 0;
    int rc = 0;

    if (!n)
        return 0;
    mapping = xc_map_foreign_pages(s->r.xch, s->domid, s->frames, n, !s->verifying, s->pages);
    if (!mapping)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!s->pages[i])
            rc = sr_bad(&s->r, "frame %llx cannot be written", (unsigned long long)s->gfns[i]);
        else
            sr_add_page(s->iov, &nr, find_target(s, i));
    }
    if (!rc)
        rc = sr_read_pages(&s->r, s->iov, nr);
    if (!rc)
        rc = localise_pages(s, n);
    if (!rc)
        compare_pages(s, n);
    if (s->ops->may_leave_mapped)
        sr_unmap(s->r.xch, mapping, n, &s->leave);
    else
        xc_unmap_foreign_pages(s->r.xch, mapping);
    s->result->stats.sent_pages += n;
    return rc;
}

/* Zeros into new frames, gfns[0..n).  Those of a simulated host have them; a real one's mostly do,
 * but a debug build of Xen leaves a pattern. */
static int clear_frames(struct sr_restore *s, size_t n)
{
    void *mapping;
    int rc = 0;

    if (!n || xc_is_sim(s->r.xch))
        return 0;
    mapping = xc_map_foreign_pages(s->r.xch, s->domid, s->frames, n, true, s->pages);
    if (!mapping)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (!s->pages[i])
            rc = sr_bad(&s->r, "frame %llx cannot be written", (unsigned long long)s->gfns[i]);
        else if (!sr_page_is_zero(s->pages[i]))
            memset(s->pages[i], 0, PAGE_SIZE);
    }
    xc_unmap_foreign_pages(s->r.xch, mapping);
    return rc;
}

/* Frames without contents that the domain has all the same: zeros, unless they were there. */
static int allocate_frames(struct sr_restore *s, const uint64_t *entries, uint32_t count)
{
    bool fresh[SR_BATCH];
    size_t n = 0, nr_fresh = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (entries[i] >> XC_SR_TYPE_SHIFT != XC_SR_PAGE_XALLOC)
            continue;
        s->types[n] = XC_SR_PAGE_NOTAB;
        s->gfns[n] = entries[i] & XC_SR_PFN_MASK;
        fresh[n] = !s->ops->is_populated(s, s->gfns[n]);
        n++;
    }
    if (s->ops->populate(s, n))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (fresh[i]) {
            s->gfns[nr_fresh] = s->gfns[i];
            s->frames[nr_fresh++] = s->frames[i];
        }
    s->result->stats.zero_pages += nr_fresh;
    return clear_frames(s, nr_fresh);
}

/* The frames of one record's entries that have contents, into s->gfns and s->types. */
static int take_entries(struct sr_restore *s, const uint64_t *entries, uint32_t count, size_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t gfn = entries[i] & XC_SR_PFN_MASK;
        uint64_t type = entries[i] >> XC_SR_TYPE_SHIFT;

        if (entries[i] & ~XC_SR_PFN_MASK & ~XC_SR_TYPE_MASK)
            return sr_bad(&s->r, "entry %u: reserved bits are not zero", i);
        if (gfn >= SR_MAX_PFN)
            return sr_bad(&s->r, "entry %u: frame %llx is beyond all memory", i,
                          (unsigned long long)gfn);
        if (s->ops->has_page_type((unsigned int)type)) {
            s->types[*n] = (uint8_t)type;
            s->gfns[(*n)++] = gfn;
        } else if (type < XC_SR_PAGE_BROKEN) {
            return sr_bad(&s->r, "entry %u: %s domains have no pages of type %u", i, s->ops->name,
                          (unsigned int)type);
        }
    }
    return 0;
}

static int take_pages(struct sr_restore *s, uint32_t length)
{
    uint64_t entries[SR_BATCH];
    struct xc_sr_page_data head;
    size_t n;

    if (length < sizeof(head) || sr_read(&s->r, &head, sizeof(head)))
        return length < sizeof(head) ? sr_bad(&s->r, "%u bytes", length) : -1;
    if (!head.count || head.count > SR_BATCH || head.reserved ||
        length < sizeof(head) + head.count * sizeof(entries[0]))
        return sr_bad(&s->r, "%u pages in %u bytes; 1 to %u can be", head.count, length, SR_BATCH);
    if (sr_read(&s->r, entries, head.count * sizeof(entries[0])) ||
        take_entries(s, entries, head.count, &n))
        return -1;
    if (length != sizeof(head) + head.count * sizeof(entries[0]) + n * PAGE_SIZE)
        return sr_bad(&s->r, "%u bytes for %u entries and %zu pages", length, head.count, n);
    if (s->ops->populate(s, n) || read_contents(s, n) || allocate_frames(s, entries, head.count))
        return -1;
    s->result->stats.bytes = s->r.sum.whole_bytes;
    s->result->stats.elapsed_ns = xc_now_ns() - s->begun;
    if (s->cb->progress && s->cb->progress(s->cb->data, &s->result->stats))
        return xc_fail(s->r.xch, ECANCELED, "restoring domain %u was called off", s->domid);
    return 0;
}

/* From here on memory comes a second time. */
static int take_verify(struct sr_restore *s, uint32_t length)
{
    if (length)
        return sr_bad(&s->r, "it has a body");
    s->copy = malloc((size_t)SR_BATCH * PAGE_SIZE);
    if (!s->copy)
        return xc_fail(s->r.xch, ENOMEM, "out of memory for pages to compare");
    s->verifying = true;
    return 0;
}

static void say_different(const struct sr_restore *s)
{
    if (s->different)
        xtl_log(s->r.xch->logger, XTL_WARN, -1, "xenlevel",
                "domain %u: %llu frames are not what the sender has", s->domid,
                (unsigned long long)s->different);
}

/* ---- records ---- */

/* May such a record stand here? */
static int judge_record(struct sr_restore *s, uint32_t type)
{
    const struct xc_sr_record *other = NULL;
    enum xc_sr_order_wrong wrong = xc_sr_check_order(&s->order, type, &other);
    char text[XC_SR_RULE_TEXT];

    switch (wrong) {
    case XC_SR_ORDER_RIGHT:
        break;
    case XC_SR_ORDER_UNKNOWN:
    case XC_SR_ORDER_NEVER:
        return sr_bad(&s->r, "no such record (%#x) can be in a stream", type);
    case XC_SR_ORDER_GUEST:
        return sr_bad(&s->r, "no such record (%#x) can be in %s domain's stream", type,
                      s->order.guest == XC_SR_GUEST_PV ? "a PV" : "an HVM");
    case XC_SR_ORDER_VERSION:
    case XC_SR_ORDER_LATE:
        return sr_bad(&s->r, "it does not belong here");
    default:
        return sr_bad(&s->r, "it %s", xc_sr_order_text(&s->order, wrong, other, &text));
    }
    if (type == REC_END && !s->order.static_end) /* of version 2 */
        return sr_bad(&s->r, "it stands before any memory");
    return 0;
}

static int take_record(struct sr_restore *s, const struct xc_sr_rhdr *header)
{
    struct sr_reader *r = &s->r;
    bool had_ended = s->order.static_end;

    if (judge_record(s, header->type))
        return -1;
    xc_sr_note_record(&s->order, header->type);
    /* Version 2 does not say where its static data ends: here memory begins. */
    if (s->order.static_end && !had_ended && header->type != REC_STATIC_DATA_END &&
        end_of_static(s))
        return -1;
    switch (header->type) {
    case REC_X86_CPUID_POLICY:
    case REC_X86_MSR_POLICY:
        return sr_take_policy(r, &s->policy, header);
    case REC_PAGE_DATA:
        return take_pages(s, header->length);
    case REC_VERIFY:
        return take_verify(s, header->length);
    case REC_X86_TSC_INFO:
        return sr_take_tsc(r, &s->tsc, header->length);
    case REC_STATIC_DATA_END:
    case REC_END:
        return header->length ? sr_bad(r, "it has a body") : 0;
    case REC_CHECKPOINT:
        return xc_fail(r->xch, EOPNOTSUPP,
                       "the stream is checkpointed (Remus, COLO), which only stock Xen's own "
                       "restore can read");
    default:
        return s->ops->take_record(s, header);
    }
}

/* Everything of the stream into the domain. */
static int take_stream(struct sr_restore *s)
{
    struct xc_sr_rhdr header;

    if (read_headers(s))
        return -1;
    do {
        if (sr_next(&s->r, &header) || take_record(s, &header) ||
            sr_read_padding(&s->r, header.length))
            return -1;
        if (header.type == REC_STATIC_DATA_END && end_of_static(s))
            return -1;
    } while (header.type != REC_END);
    say_different(s);
    /* Before the hypervisor is given anything of the vCPUs: are they of the domain's CPU? */
    if (s->policy.guest && s->ops->check_state(s))
        return -1;
    return sr_apply_tsc(&s->r, &s->tsc, s->domid) || s->ops->apply(s) ? -1 : 0;
}

int xc_domain_restore(xc_handle *xch, int fd, uint32_t domid,
                      const struct xc_restore_options *options,
                      const struct xc_restore_callbacks *callbacks,
                      struct xc_restore_result *result)
{
    struct sr_restore *s = calloc(1, sizeof(*s));
    int rc, err;

    memset(result, 0, sizeof(*result));
    if (!s)
        return xc_fail(xch, ENOMEM, "out of memory for restoring a domain");
    s->r.xch = xch;
    s->r.fd = fd;
    s->r.patience = s->r.splice.patience = options->patience;
    s->r.record = UINT32_MAX;
    s->domid = domid;
    s->options = options;
    s->cb = callbacks;
    s->result = result;
    s->begun = xc_now_ns();
    s->leave = options->ends_soon ? SR_MAX_LEFT : 0;
    rc = take_stream(s);
    if (!rc)
        rc = sr_look_again(&s->r, &s->policy, domid, result);
    err = errno;
    sr_splice_close(&s->r.splice);
    xc_leaves_free(&s->policy.leaves);
    free(s->policy.guest);
    if (s->ops)
        s->ops->close(s);
    free(s->copy);
    free(s);
    errno = err;
    return rc;
}
