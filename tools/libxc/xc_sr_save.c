/* SPDX-License-Identifier: MIT */
/*
 * Saving a domain: the stream's writer.  See xc_sr.h.
 *
 * A live save sends memory in rounds while the domain runs, each round what was written during the
 * last; then the domain is suspended and the rest follows.  Whatever fails, the domain is as it
 * was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xc_clock.h"
#include "xc_sr_pv.h"

#include <xen/memory.h>

#define DEFAULT_ROUNDS    5u  /* as stock Xen */
#define DEFAULT_THRESHOLD 50u /* pages */

struct saver {
    struct sr_writer w;
    uint32_t domid;
    const struct xc_save_options *options;
    const struct xc_save_callbacks *cb;
    struct xc_sr_stats stats;
    uint64_t begun, round_begun, suspended; /* ns */
    struct sr_pv_save *pv;                  /* NULL: an HVM domain */
    uint64_t nr_gfns;                       /* of a PV domain: PFNs */
    uint64_t *dirty;                        /* a hypercall buffer: a bit a gfn */
    xen_pfn_t *info;                        /* another: frames in, kinds of pages out */
    uint64_t *deferred; /* PV: a bit a PFN, page tables that could not be sent while it ran */
    bool log_dirty, qemu_log_dirty, was_suspended;
    struct sr_zero zero;
    uint64_t leave; /* frames that may stay mapped */

    /* One batch. */
    uint64_t gfns[SR_BATCH], entries[SR_BATCH];
    uint64_t frames[SR_BATCH]; /* what the hypervisor calls them: PV's machine frames, or gfns */
    uint8_t types[SR_BATCH];   /* enum xc_sr_page_type */
    void *pages[SR_BATCH];
    struct iovec iov[SR_BATCH + 4];
    uint8_t *copy; /* PV, or with checksums: SR_BATCH pages that nobody writes meanwhile */
};

/* ---- what the caller sees ---- */

static int progress(struct saver *s)
{
    struct xc_sr_stats *st = &s->stats;

    st->bytes = s->w.sum.whole_bytes;
    st->elapsed_ns = xc_now_ns() - s->begun;
    if (st->elapsed_ns)
        st->bytes_per_second = (uint64_t)((double)st->bytes * 1e9 / (double)st->elapsed_ns);
    if (st->bytes_per_second)
        st->expected_downtime_ns =
            (uint64_t)((double)st->dirty_count * PAGE_SIZE * 1e9 / (double)st->bytes_per_second);
    if (s->cb->progress && s->cb->progress(s->cb->data, st))
        return xc_fail(s->w.xch, ECANCELED, "saving domain %u was called off", s->domid);
    return 0;
}

/* ---- the domain ---- */

static int shadow_op(struct saver *s, uint32_t what, uint64_t *pages)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_shadow_op, .domain = (domid_t)s->domid};

    op.u.shadow_op.op = what;
    if (pages) {
        op.u.shadow_op.pages = *pages;
        set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, (uint8_t *)s->dirty);
    }
    if (xc_domctl(s->w.xch, &op) < 0)
        return -1;
    s->stats.dirty_count = op.u.shadow_op.stats.dirty_count;
    return 0;
}

static int cannot_log(struct saver *s)
{
    return xc_fail(s->w.xch, errno, "logging what domain %u writes: %s", s->domid,
                   xc_reason(s->w.xch, errno));
}

static int start_logging(struct saver *s)
{
    int rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL);

    /* EINVAL: it is on.  A saver that was killed has left it so; what it has logged is of no use,
     * for every frame is sent again. */
    if (rc && errno == EINVAL && !shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, NULL))
        rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL);
    if (rc)
        return cannot_log(s);
    s->log_dirty = true;
    if (s->cb->switch_qemu_logdirty) {
        if (s->cb->switch_qemu_logdirty(s->cb->data, true))
            return xc_fail(s->w.xch, EIO, "the device model of domain %u does not log", s->domid);
        s->qemu_log_dirty = true;
    }
    return 0;
}

static void stop_logging(struct saver *s)
{
    int err = errno;

    if (s->qemu_log_dirty)
        (void)s->cb->switch_qemu_logdirty(s->cb->data, false);
    if (s->log_dirty && shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, NULL))
        (void)cannot_log(s);
    errno = err;
}

static int suspend(struct saver *s)
{
    struct xc_domain_info info;

    s->suspended = xc_now_ns();
    if (s->cb->suspend(s->cb->data))
        return xc_fail(s->w.xch, errno ? errno : EIO, "domain %u was not suspended", s->domid);
    s->was_suspended = true;
    if (xc_domain_getinfo(s->w.xch, s->domid, &info))
        return -1;
    if (!info.shutdown || info.shutdown_reason != XC_SHUTDOWN_SUSPEND) {
        s->was_suspended = false; /* it has crashed or stopped by itself, and stays so */
        return xc_fail(s->w.xch, EIO, "domain %u is not suspended", s->domid);
    }
    return s->pv ? sr_pv_check_p2m(s->pv) : 0;
}

/* It was suspended for nothing: it goes on. */
static void resume(struct saver *s)
{
    struct xen_domctl op = {.cmd = XEN_DOMCTL_resumedomain, .domain = (domid_t)s->domid};
    int err = errno;

    if (s->was_suspended && s->cb->resume)
        (void)s->cb->resume(s->cb->data);
    else if (s->was_suspended && xc_domctl(s->w.xch, &op) < 0)
        (void)xc_fail(s->w.xch, errno, "domain %u does not go on: %s", s->domid,
                      xc_reason(s->w.xch, errno));
    errno = err;
}

/* How many gfns it has: the highest and one. */
static int count_gfns(struct saver *s)
{
    xc_handle *xch = s->w.xch;
    domid_t *domid = xch->ops->alloc(xch->state, sizeof(*domid));
    const uint64_t args[XC_HYPERCALL_ARGS] = {XENMEM_maximum_gpfn, (uintptr_t)domid};
    long rc;
    int err;

    if (!domid)
        return xc_fail(xch, ENOMEM, "out of memory");
    *domid = (domid_t)s->domid;
    rc = xch->ops->hypercall(xch->state, __HYPERVISOR_memory_op, args);
    err = errno;
    xch->ops->release(xch->state, domid);
    if (rc < 0)
        return xc_fail(xch, err, "the highest frame of domain %u: %s", s->domid,
                       xc_reason(xch, err));
    s->nr_gfns = (uint64_t)rc + 1;
    if (s->nr_gfns > SR_MAX_PFN)
        return xc_fail(xch, EIO, "domain %u has a frame %#lx?", s->domid, (unsigned long)rc);
    return 0;
}

/* ---- memory ---- */

/* A page that has the same contents when it is summed and when it is sent: a running domain's is
 * copied, when there are sums. */
static void *still(struct saver *s, size_t i, void *page)
{
    if (!s->options->checksums || !s->options->live || s->was_suspended)
        return page;
    return memcpy(s->copy + i * PAGE_SIZE, page, PAGE_SIZE);
}

/* Of the frames gfns[0..n), those that a PV domain has, and their machine frames. */
static size_t find_mfns(struct saver *s, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (sr_pv_mfn(s->pv, s->gfns[i], &s->frames[kept]))
            s->gfns[kept++] = s->gfns[i];
    return kept;
}

/* Of the frames gfns[0..n), those that have contents: *n of them stay, with frames[] and types[].
 */
static int drop_absent(struct saver *s, size_t *n)
{
    xc_handle *xch = s->w.xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getpageframeinfo3, .domain = (domid_t)s->domid};
    size_t kept = 0;

    if (s->pv)
        *n = find_mfns(s, *n);
    else
        memcpy(s->frames, s->gfns, *n * sizeof(s->gfns[0]));
    memcpy(s->info, s->frames, *n * sizeof(s->frames[0]));
    op.u.getpageframeinfo3.num = *n;
    set_xen_guest_handle(op.u.getpageframeinfo3.array, s->info);
    if (*n && xc_domctl(xch, &op) < 0)
        return xc_fail(xch, errno, "what the frames of domain %u are: %s", s->domid,
                       xc_reason(xch, errno));
    for (size_t i = 0; i < *n; i++) {
        uint8_t type =
            (uint8_t)((s->info[i] & XEN_DOMCTL_PFINFO_LTAB_MASK) >> XEN_DOMCTL_PFINFO_LTAB_SHIFT);

        if (type >= XC_SR_PAGE_BROKEN)
            continue;
        s->types[kept] = type;
        s->frames[kept] = s->frames[i];
        s->gfns[kept++] = s->gfns[i];
    }
    *n = kept;
    return 0;
}

/*
 * Can page i, which is mapped, go without contents?  In round 0 none was sent before.  One that is
 * written later is dirty: logging began before anybody looked.
 */
static bool is_zero(struct saver *s, size_t i)
{
    return s->options->zero_pages && !s->pv && s->stats.round == 0 &&
           sr_zero_find(&s->zero, s->w.xch, s->pages[i]);
}

/* What is to be sent of page i, which is mapped: NULL: nothing now.  -1: failed. */
static int contents(struct saver *s, size_t i, void **page)
{
    unsigned int bad;
    uint8_t *table;

    if (!s->pv || !sr_pv_level(s->types[i])) {
        *page = still(s, i, s->pages[i]);
        return 0;
    }
    table = s->copy + i * PAGE_SIZE;
    *page = table;
    if (!sr_pv_normalise(s->pv, s->types[i], s->pages[i], table, &bad))
        return 0;
    if (errno != EAGAIN)
        return -1;
    if (s->was_suspended)
        return xc_fail(s->w.xch, EINVAL,
                       "domain %u: frame %llx, a page table of level %u: entry %u names a frame "
                       "that is not the domain's",
                       s->domid, (unsigned long long)s->gfns[i], sr_pv_level(s->types[i]), bad);
    /* It runs, and is about to change it, or has a frame of another's there for a while. */
    s->deferred[s->gfns[i] / 64] |= 1ull << (s->gfns[i] % 64);
    *page = NULL;
    return 0;
}

/* The frames gfns[0..n), straight from the domain's memory.  One that goes away meanwhile (the
 * domain runs) is left out: it is dirty. */
static int send_frames(struct saver *s, size_t n)
{
    struct xc_sr_page_data head = {.count = 0};
    size_t nr = 0, nr_pages = 0;
    void *mapping = xc_map_foreign_pages(s->w.xch, s->domid, s->frames, n, false, s->pages);
    int rc = 0;

    if (!mapping)
        return -1;
    for (size_t i = 0; i < n && !rc; i++) {
        void *page = NULL;

        if (s->pages[i] && is_zero(s, i)) {
            s->entries[head.count++] = s->gfns[i] | (uint64_t)XC_SR_PAGE_XALLOC << XC_SR_TYPE_SHIFT;
            continue;
        }
        if (s->pages[i])
            rc = contents(s, i, &page);
        if (rc || !page)
            continue;
        s->entries[head.count++] = s->gfns[i] | (uint64_t)s->types[i] << XC_SR_TYPE_SHIFT;
        sr_add_page(s->iov + 2, &nr, page);
        nr_pages++;
    }
    if (head.count && !rc) {
        s->iov[0] = (struct iovec){&head, sizeof(head)};
        s->iov[1] = (struct iovec){s->entries, head.count * sizeof(s->entries[0])};
        rc = sr_write_pages(&s->w, s->iov, nr + 2);
        if (!rc)
            rc = sr_write_checksum(&s->w);
    }
    sr_unmap(s->w.xch, mapping, n, &s->leave);
    s->stats.sent_pages += nr_pages;
    s->stats.zero_pages += head.count - nr_pages;
    s->stats.sent_in_round += head.count;
    return rc;
}

/* Those of the frames gfns[0..*n) that there are; *n becomes their number. */
static int send_batch(struct saver *s, size_t *n)
{
    if (drop_absent(s, n) || (*n && send_frames(s, *n)))
        return -1;
    return progress(s);
}

static void begin_round(struct saver *s)
{
    s->stats.sent_in_round = 0;
    s->round_begun = xc_now_ns();
}

/* Were as many frames found as the domain has?  -1: that cannot be had. */
static int found_all(struct saver *s, uint64_t found)
{
    struct xc_domain_info info;

    if (found < s->stats.total_pages)
        return 0;
    if (xc_domain_getinfo(s->w.xch, s->domid, &info))
        return -1;
    s->stats.total_pages = info.tot_pages;
    return found >= info.tot_pages;
}

/*
 * Every frame.  To ask about one costs the same whether it is there or not, and domains have theirs
 * at both ends: a small PVH guest's are some at the bottom and a few just below 4 GiB, with a
 * million that are not there in between.  So it goes up from the bottom while there is something,
 * then down from the top, in turns, until as many were found as the domain has.
 */
static int send_all(struct saver *s)
{
    uint64_t low = 0, high = s->nr_gfns, found = 0;
    bool from_top = false;
    int all = 0;

    begin_round(s);
    while (low < high && !all) {
        size_t n = high - low < SR_BATCH ? (size_t)(high - low) : SR_BATCH;
        uint64_t first = from_top ? high - n : low;

        if (from_top)
            high -= n;
        else
            low += n;
        for (size_t i = 0; i < n; i++)
            s->gfns[i] = first + i;
        if (send_batch(s, &n))
            return -1;
        if (!n)
            from_top = !from_top;
        found += n;
        all = found_all(s, found);
    }
    return all < 0 ? -1 : 0;
}

/* Those whose bit is set. */
static int send_dirty(struct saver *s)
{
    size_t n = 0;

    begin_round(s);
    for (uint64_t gfn = 0; gfn < s->nr_gfns; gfn++) {
        if (!s->dirty[gfn / 64]) {
            gfn |= 63; /* none of these */
            continue;
        }
        if (!(s->dirty[gfn / 64] >> (gfn % 64) & 1))
            continue;
        s->gfns[n++] = gfn;
        if (n == SR_BATCH) {
            if (send_batch(s, &n))
                return -1;
            n = 0;
        }
    }
    return n ? send_batch(s, &n) : 0;
}

/* What was written since the last time, into s->dirty. */
static int take_dirty(struct saver *s)
{
    uint64_t pages = s->nr_gfns;

    if (shadow_op(s, XEN_DOMCTL_SHADOW_OP_CLEAN, &pages))
        return cannot_log(s);
    s->stats.round_pages = s->stats.dirty_count;
    s->stats.dirty_pages_per_second =
        (uint64_t)((double)s->stats.dirty_count * 1e9 / (double)(xc_now_ns() - s->round_begun + 1));
    return 0;
}

static int send_live(struct saver *s)
{
    unsigned int rounds = s->options->max_rounds ? s->options->max_rounds : DEFAULT_ROUNDS;
    uint64_t few = s->options->dirty_threshold ? s->options->dirty_threshold : DEFAULT_THRESHOLD;

    if (start_logging(s))
        return -1;
    s->stats.round_pages = s->stats.total_pages;
    if (send_all(s))
        return -1;
    for (s->stats.round = 1;; s->stats.round++) {
        if (take_dirty(s) || progress(s))
            return -1;
        /* What was taken must be sent, whoever runs meanwhile. */
        if (s->stats.round >= rounds || s->stats.dirty_count <= few)
            break;
        if (send_dirty(s))
            return -1;
    }
    if (send_dirty(s) || suspend(s) || take_dirty(s))
        return -1;
    for (uint64_t i = 0; s->pv && i < (s->nr_gfns + 63) / 64; i++)
        s->dirty[i] |= s->deferred[i];
    s->stats.round++;
    return send_dirty(s);
}

/* All of it again, now that nobody writes: the receiver compares. */
static int send_to_verify(struct saver *s)
{
    struct iovec none[2];

    if (!s->options->verify)
        return 0;
    s->stats.round++;
    s->stats.round_pages = s->stats.total_pages;
    return sr_write_record(&s->w, REC_VERIFY, none, 0) || send_all(s) ? -1 : 0;
}

/* ---- all of it ---- */

static int write_headers(struct saver *s)
{
    struct sr_writer *w = &s->w;
    struct xc_version v;
    struct xc_sr_ihdr image = {
        .marker = XC_SR_MARKER,
        .id = __builtin_bswap32(XC_SR_IDENT),
        .version = __builtin_bswap32(XC_SR_VERSION),
    };
    struct xc_sr_dhdr domain = {.type = s->pv ? XC_SR_GUEST_PV : XC_SR_GUEST_HVM,
                                .page_shift = XC_SR_PAGE_SHIFT};
    struct iovec iov[2] = {{&image, sizeof(image)}, {&domain, sizeof(domain)}};

    if (xc_version(w->xch, &v))
        return -1;
    domain.xen_major = v.major;
    domain.xen_minor = v.minor;
    return sr_writev(w, iov, 2);
}

static int save(struct saver *s)
{
    struct iovec end[2];

    if (write_headers(s) || (s->pv && sr_pv_write_info(&s->w)) ||
        sr_write_policy(&s->w, s->domid) || (s->pv && sr_pv_write_p2m_frames(&s->w, s->pv)))
        return -1;
    if (s->options->live ? send_live(s) : suspend(s) || send_all(s))
        return -1;
    if (send_to_verify(s))
        return -1;
    if (sr_write_tsc(&s->w, s->domid))
        return -1;
    if (s->pv ? sr_pv_write_state(&s->w, s->pv) : sr_hvm_write_state(&s->w, s->domid))
        return -1;
    if (sr_write_record(&s->w, REC_END, end, 0))
        return -1;
    s->stats.downtime_ns = xc_now_ns() - s->suspended;
    return progress(s);
}

static int prepare(struct saver *s)
{
    xc_handle *xch = s->w.xch;
    struct xc_domain_info info;

    if (!s->cb->suspend)
        return xc_fail(xch, EINVAL, "saving a domain needs a way to suspend it");
    if (xc_domain_getinfo(xch, s->domid, &info))
        return -1;
    if (info.dying || info.shutdown)
        return xc_fail(xch, EINVAL, "domain %u has shut down", s->domid);
    s->stats.total_pages = s->stats.round_pages = info.tot_pages;
    s->info = xch->ops->alloc(xch->state, SR_BATCH * sizeof(*s->info));
    if (!s->info)
        return xc_fail(xch, ENOMEM, "out of memory for what the frames are");
    if (info.type == XC_DOMAIN_PV) {
        s->pv = sr_pv_open(xch, s->domid);
        if (!s->pv)
            return -1;
        s->nr_gfns = sr_pv_nr_pfns(s->pv);
    } else if (count_gfns(s)) {
        return -1;
    }
    if (s->pv || (s->options->live && s->options->checksums)) {
        s->copy = malloc((size_t)SR_BATCH * PAGE_SIZE);
        if (!s->copy)
            return xc_fail(xch, ENOMEM, "out of memory for copies of pages");
    }
    if (!s->options->live)
        return 0;
    if (s->pv) {
        s->deferred = calloc((s->nr_gfns + 63) / 64, sizeof(*s->deferred));
        if (!s->deferred)
            return xc_fail(xch, ENOMEM, "out of memory for deferred page tables");
    }
    s->dirty = xch->ops->alloc(xch->state, (s->nr_gfns + 63) / 64 * sizeof(*s->dirty));
    return s->dirty ? 0 : xc_fail(xch, ENOMEM, "out of memory for the log of writes");
}

int xc_domain_save(xc_handle *xch, int fd, uint32_t domid, const struct xc_save_options *options,
                   const struct xc_save_callbacks *callbacks, struct xc_sr_stats *stats)
{
    struct saver *s = calloc(1, sizeof(*s));
    int rc, err;

    if (!s)
        return xc_fail(xch, ENOMEM, "out of memory for saving a domain");
    s->w.xch = xch;
    s->w.fd = fd;
    s->w.checksums = options->checksums;
    s->w.by_reference = options->by_reference;
    s->domid = domid;
    s->options = options;
    s->cb = callbacks;
    s->leave = options->ends_soon ? SR_MAX_LEFT : 0;
    s->begun = s->round_begun = xc_now_ns();
    rc = sr_be_patient(&s->w, options->patience) || prepare(s) || save(s) ? -1 : 0;
    err = errno;
    sr_writer_done(&s->w);
    stop_logging(s);
    if (rc)
        resume(s);
    xch->ops->release(xch->state, s->dirty);
    xch->ops->release(xch->state, s->info);
    if (stats)
        *stats = s->stats;
    sr_splice_close(&s->w.splice);
    sr_pv_close(s->pv);
    free(s->deferred);
    free(s->copy);
    free(s);
    errno = err;
    return rc;
}
