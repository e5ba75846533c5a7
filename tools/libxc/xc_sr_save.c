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
#include "xc_sr_save.h"

#define DEFAULT_ROUNDS    5u  /* as stock Xen */
#define DEFAULT_THRESHOLD 50u /* pages */

/* ---- what the caller sees ---- */

static int report_progress(struct sr_save *s)
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

static int shadow_op(struct sr_save *s, uint32_t what, uint64_t *pages)
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

static int fail_to_log(struct sr_save *s)
{
    return xc_fail(s->w.xch, errno, "logging what domain %u writes: %s", s->domid,
                   xc_reason(s->w.xch, errno));
}

static int start_logging(struct sr_save *s)
{
    int rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL);

    /* EINVAL: it is on.  A saver that was killed has left it so; what it has logged is of no use,
     * for every frame is sent again. */
    if (rc && errno == EINVAL && !shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, NULL))
        rc = shadow_op(s, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, NULL);
    if (rc)
        return fail_to_log(s);
    s->log_dirty = true;
    if (s->cb->switch_qemu_logdirty) {
        if (s->cb->switch_qemu_logdirty(s->cb->data, true))
            return xc_fail(s->w.xch, EIO, "the device model of domain %u does not log", s->domid);
        s->qemu_log_dirty = true;
    }
    return 0;
}

static void stop_logging(struct sr_save *s)
{
    int err = errno;

    if (s->qemu_log_dirty)
        (void)s->cb->switch_qemu_logdirty(s->cb->data, false);
    if (s->log_dirty && shadow_op(s, XEN_DOMCTL_SHADOW_OP_OFF, NULL))
        (void)fail_to_log(s);
    errno = err;
}

static int suspend_domain(struct sr_save *s)
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
    return s->ops->check_suspended(s);
}

/* It was suspended for nothing: it goes on. */
static void resume_domain(struct sr_save *s)
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

/* ---- memory ---- */

/* Of the frames gfns[0..n), those that have contents: *n of them stay, with frames[] and types[].
 */
static int drop_absent(struct sr_save *s, size_t *n)
{
    xc_handle *xch = s->w.xch;
    struct xen_domctl op = {.cmd = XEN_DOMCTL_getpageframeinfo3, .domain = (domid_t)s->domid};
    size_t kept = 0;

    *n = s->ops->find_frames(s, *n);
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
static bool is_zero(struct sr_save *s, size_t i)
{
    return s->options->zero_pages && s->ops->may_omit_zeros && s->stats.round == 0 &&
           sr_zero_find(&s->zero, s->w.xch, s->pages[i]);
}

/*
 * Finds what is to be sent of page i, which is mapped: *page, NULL: nothing now.  It has the same
 * contents when it is summed and when it is sent: a running domain's page is copied, when there are
 * sums.
 */
static int find_contents(struct sr_save *s, size_t i, void **page)
{
    *page = s->pages[i];
    if (s->ops->normalise_page(s, i, page))
        return -1;
    if (*page == s->pages[i] && s->options->checksums && s->options->live && !s->was_suspended)
        *page = memcpy(s->copy + i * PAGE_SIZE, *page, PAGE_SIZE);
    return 0;
}

/* The frames gfns[0..n), straight from the domain's memory.  One that goes away meanwhile (the
 * domain runs) is left out: it is dirty. */
static int send_frames(struct sr_save *s, size_t n)
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
            rc = find_contents(s, i, &page);
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
static int send_batch(struct sr_save *s, size_t *n)
{
    if (drop_absent(s, n) || (*n && send_frames(s, *n)))
        return -1;
    return report_progress(s);
}

static void begin_round(struct sr_save *s)
{
    s->stats.sent_in_round = 0;
    s->round_begun = xc_now_ns();
}

/* Were as many frames found as the domain has?  -1: that cannot be had. */
static int found_all(struct sr_save *s, uint64_t found)
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
static int send_all(struct sr_save *s)
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
static int send_dirty(struct sr_save *s)
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
static int take_dirty(struct sr_save *s)
{
    uint64_t pages = s->nr_gfns;

    if (shadow_op(s, XEN_DOMCTL_SHADOW_OP_CLEAN, &pages))
        return fail_to_log(s);
    s->stats.round_pages = s->stats.dirty_count;
    s->stats.dirty_pages_per_second =
        (uint64_t)((double)s->stats.dirty_count * 1e9 / (double)(xc_now_ns() - s->round_begun + 1));
    return 0;
}

static int send_live(struct sr_save *s)
{
    unsigned int rounds = s->options->max_rounds ? s->options->max_rounds : DEFAULT_ROUNDS;
    uint64_t few = s->options->dirty_threshold ? s->options->dirty_threshold : DEFAULT_THRESHOLD;

    if (start_logging(s))
        return -1;
    s->stats.round_pages = s->stats.total_pages;
    if (send_all(s))
        return -1;
    for (s->stats.round = 1;; s->stats.round++) {
        if (take_dirty(s) || report_progress(s))
            return -1;
        /* What was taken must be sent, whoever runs meanwhile. */
        if (s->stats.round >= rounds || s->stats.dirty_count <= few)
            break;
        if (send_dirty(s))
            return -1;
    }
    if (send_dirty(s) || suspend_domain(s) || take_dirty(s))
        return -1;
    s->ops->add_deferred(s);
    s->stats.round++;
    return send_dirty(s);
}

/* All of it again, now that nobody writes: the receiver compares. */
static int send_to_verify(struct sr_save *s)
{
    struct iovec none[2];

    if (!s->options->verify)
        return 0;
    s->stats.round++;
    s->stats.round_pages = s->stats.total_pages;
    return sr_write_record(&s->w, REC_VERIFY, none, 0) || send_all(s) ? -1 : 0;
}

/* ---- all of it ---- */

static int write_headers(struct sr_save *s)
{
    struct sr_writer *w = &s->w;
    struct xc_version v;
    struct xc_sr_ihdr image = {
        .marker = XC_SR_MARKER,
        .id = __builtin_bswap32(XC_SR_IDENT),
        .version = __builtin_bswap32(XC_SR_VERSION),
    };
    struct xc_sr_dhdr domain = {.type = s->ops->guest_type, .page_shift = XC_SR_PAGE_SHIFT};
    struct iovec iov[2] = {{&image, sizeof(image)}, {&domain, sizeof(domain)}};

    if (xc_version(w->xch, &v))
        return -1;
    domain.xen_major = v.major;
    domain.xen_minor = v.minor;
    return sr_writev(w, iov, 2);
}

/* The specification's "Order of records". */
static int write_stream(struct sr_save *s)
{
    struct iovec end[2];

    if (write_headers(s) || s->ops->write_static_data(s) || sr_write_policy(&s->w, s->domid) ||
        s->ops->write_memory_map(s))
        return -1;
    if (s->options->live ? send_live(s) : suspend_domain(s) || send_all(s))
        return -1;
    if (send_to_verify(s))
        return -1;
    if (sr_write_tsc(&s->w, s->domid))
        return -1;
    if (s->ops->write_state(s))
        return -1;
    if (sr_write_record(&s->w, REC_END, end, 0))
        return -1;
    s->stats.downtime_ns = xc_now_ns() - s->suspended;
    return report_progress(s);
}

/* Everything that can fail before the domain or the stream is touched. */
static int prepare_save(struct sr_save *s)
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
    s->nr_vcpus = info.nr_vcpus;
    s->info = xch->ops->alloc(xch->state, SR_BATCH * sizeof(*s->info));
    if (!s->info)
        return xc_fail(xch, ENOMEM, "out of memory for what the frames are");
    s->ops = info.type == XC_DOMAIN_PV ? &sr_save_pv : &sr_save_hvm;
    if (s->ops->open(s))
        return -1;
    if (s->ops->needs_copies || (s->options->live && s->options->checksums)) {
        s->copy = malloc((size_t)SR_BATCH * PAGE_SIZE);
        if (!s->copy)
            return xc_fail(xch, ENOMEM, "out of memory for copies of pages");
    }
    if (!s->options->live)
        return 0;
    s->dirty = xch->ops->alloc(xch->state, sr_save_bitmap_words(s) * sizeof(*s->dirty));
    return s->dirty ? 0 : xc_fail(xch, ENOMEM, "out of memory for the log of writes");
}

int xc_domain_save(xc_handle *xch, int fd, uint32_t domid, const struct xc_save_options *options,
                   const struct xc_save_callbacks *callbacks, struct xc_sr_stats *stats)
{
    struct sr_save *s = calloc(1, sizeof(*s));
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
    rc = sr_be_patient(&s->w, options->patience) || prepare_save(s) || write_stream(s) ? -1 : 0;
    err = errno;
    sr_writer_done(&s->w);
    stop_logging(s);
    if (rc)
        resume_domain(s);
    xch->ops->release(xch->state, s->dirty);
    xch->ops->release(xch->state, s->info);
    if (stats)
        *stats = s->stats;
    sr_splice_close(&s->w.splice);
    if (s->ops)
        s->ops->close(s);
    free(s->copy);
    free(s);
    errno = err;
    return rc;
}
