/* SPDX-License-Identifier: MIT */
/*
 * A migration stream's bytes: written and read in full, counted, and summed for CHECKSUM records.
 */
#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xc_sr_head.h"
#include "xc_sr_private.h"
#include "xc_sr_wait.h"

#define SKIP_BYTES 65536u

static void sum_bytes(struct sr_sum *sum, const void *bytes, size_t n)
{
    /* Twice over the same bytes, while they are in the cache. */
    sum->batch = libdeflate_crc32(sum->batch, bytes, n);
    sum->whole = libdeflate_crc32(sum->whole, bytes, n);
}

static void count_bytes(struct sr_sum *sum, size_t n)
{
    sum->batch_bytes += n;
    sum->whole_bytes += n;
}

/* Step over n bytes of the vector. */
static void step_over(struct iovec **iov, size_t *n, size_t done)
{
    while (*n && done >= (*iov)->iov_len) {
        done -= (*iov)->iov_len;
        ++*iov;
        --*n;
    }
    if (*n) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

void sr_unmap(xc_handle *xch, void *mapping, size_t n, uint64_t *leave)
{
    if (*leave < n || !xch->ops->leave) {
        xc_unmap_foreign_pages(xch, mapping);
        return;
    }
    *leave -= n;
    xch->ops->leave(xch->state, mapping);
}

/* ---- writing ---- */

int sr_be_patient(struct sr_writer *w, unsigned int patience)
{
    int flags;

    w->patience = w->splice.patience = patience;
    w->fd_flags = -1;
    if (!patience)
        return 0;
    flags = fcntl(w->fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(w->fd, F_SETFL, flags | O_NONBLOCK)))
        return xc_fail(w->xch, errno, "the stream's descriptor: %s", strerror(errno));
    w->fd_flags = flags;
    return 0;
}

void sr_writer_done(struct sr_writer *w)
{
    if (w->fd_flags >= 0)
        (void)fcntl(w->fd, F_SETFL, w->fd_flags);
}

int sr_writev(struct sr_writer *w, struct iovec *iov, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (w->checksums)
            sum_bytes(&w->sum, iov[i].iov_base, iov[i].iov_len);
        count_bytes(&w->sum, iov[i].iov_len);
    }
    step_over(&iov, &n, 0);
    while (n) {
        ssize_t done = writev(w->fd, iov, n < IOV_MAX ? (int)n : IOV_MAX);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN) {
            if (sr_wait(w->xch, w->fd, POLLOUT, w->patience))
                return -1;
            continue;
        }
        if (done < 0)
            return xc_fail(w->xch, errno, "writing the stream: %s", strerror(errno));
        step_over(&iov, &n, (size_t)done);
    }
    return 0;
}

int sr_write_record(struct sr_writer *w, uint32_t type, struct iovec *iov, size_t n)
{
    static const uint8_t zeros[XC_SR_RECORD_ALIGN];
    struct xc_sr_rhdr header = {.type = type};

    memmove(iov + 1, iov, n * sizeof(*iov));
    for (size_t i = 1; i <= n; i++)
        header.length += (uint32_t)iov[i].iov_len;
    iov[0] = (struct iovec){&header, sizeof(header)};
    iov[n + 1] = (struct iovec){(void *)zeros, -header.length % XC_SR_RECORD_ALIGN};
    return sr_writev(w, iov, n + 2);
}

int sr_write_pages(struct sr_writer *w, struct iovec *iov, size_t n)
{
    struct xc_sr_rhdr header = {.type = REC_PAGE_DATA};
    struct iovec before[3] = {{&header, sizeof(header)}, iov[0], iov[1]};
    size_t size = 0;

    for (size_t i = 2; i < n; i++)
        size += iov[i].iov_len;
    if (w->checksums || !sr_splice_find(&w->splice, w->xch, w->fd, w->by_reference, iov + 2, n - 2))
        return sr_write_record(w, REC_PAGE_DATA, iov, n);
    header.length = (uint32_t)(iov[0].iov_len + iov[1].iov_len + size);
    if (sr_writev(w, before, 3))
        return -1;
    if (sr_splice_write(&w->splice, w->fd))
        return -1;
    count_bytes(&w->sum, size);
    return 0; /* a multiple of XC_SR_RECORD_ALIGN: there is no padding */
}

int sr_write_checksum(struct sr_writer *w)
{
    struct xc_sr_checksum c = {
        .algorithm = XC_SR_CHECKSUM_CRC32,
        .batch_crc = w->sum.batch,
        .batch_bytes = w->sum.batch_bytes,
        .whole_bytes = w->sum.whole_bytes,
        .whole_crc = w->sum.whole,
    };
    struct iovec iov[3] = {{&c, sizeof(c)}};

    if (!w->checksums)
        return 0;
    if (sr_write_record(w, REC_CHECKSUM, iov, 1))
        return -1;
    w->sum.batch = 0;
    w->sum.batch_bytes = 0;
    return 0;
}

/* ---- reading ---- */

static int refuse_place(struct sr_reader *r, const struct sr_place *at, int err, const char *fmt,
                        va_list ap)
{
    char text[384];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    if (at->record == UINT32_MAX)
        return xc_fail(r->xch, err, "stream, offset %llu: %s",
                       (unsigned long long)r->sum.whole_bytes, text);
    return xc_fail(r->xch, err, "stream, offset %llu, record %u (%s): %s",
                   (unsigned long long)at->start, at->record, xc_sr_record_name(at->type), text);
}

int sr_refuse(struct sr_reader *r, const struct sr_place *at, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)refuse_place(r, at, err, fmt, ap);
    va_end(ap);
    return -1;
}

int sr_bad(struct sr_reader *r, const char *fmt, ...)
{
    const struct sr_place here = sr_here(r);
    va_list ap;

    va_start(ap, fmt);
    (void)refuse_place(r, &here, EILSEQ, fmt, ap);
    va_end(ap);
    return -1;
}

int sr_readv(struct sr_reader *r, struct iovec *iov, size_t n)
{
    struct iovec *left = iov;
    size_t nr_left = n, total = 0;
    struct iovec whole[n ? n : 1];

    memcpy(whole, iov, n * sizeof(*iov));
    for (size_t i = 0; i < n; i++)
        total += iov[i].iov_len;
    step_over(&left, &nr_left, 0);
    while (nr_left) {
        ssize_t got;

        if (r->patience && sr_wait(r->xch, r->fd, POLLIN, r->patience))
            return -1;
        got = readv(r->fd, left, nr_left < IOV_MAX ? (int)nr_left : IOV_MAX);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) {
            if (sr_wait(r->xch, r->fd, POLLIN, r->patience))
                return -1;
            continue;
        }
        if (got < 0)
            return xc_fail(r->xch, errno, "reading the stream: %s", strerror(errno));
        if (!got)
            return sr_bad(r, "the stream ends before its end");
        step_over(&left, &nr_left, (size_t)got);
    }
    for (size_t i = 0; i < n && !r->unsummed; i++)
        sum_bytes(&r->sum, whole[i].iov_base, whole[i].iov_len);
    count_bytes(&r->sum, total);
    return 0;
}

int sr_read_pages(struct sr_reader *r, struct iovec *pages, size_t n)
{
    ssize_t rc;

    /* What is summed has to be looked at. */
    if (!r->unsummed || !sr_splice_find(&r->splice, r->xch, r->fd, true, pages, n))
        return sr_readv(r, pages, n);
    rc = sr_splice_read(&r->splice, r->fd);
    if (rc == SR_SPLICE_REFUSED)
        return sr_readv(r, pages, n);
    if (rc < 0)
        return -1;
    if (!rc)
        return sr_bad(r, "the stream ends before its end");
    for (size_t i = 0; i < n; i++)
        count_bytes(&r->sum, pages[i].iov_len);
    return 0;
}

int sr_read(struct sr_reader *r, void *buf, size_t size)
{
    struct iovec iov = {buf, size};

    return sr_readv(r, &iov, 1);
}

int sr_read_padding(struct sr_reader *r, uint32_t length)
{
    uint8_t padding[XC_SR_RECORD_ALIGN] = {0};
    uint32_t n = -length % XC_SR_RECORD_ALIGN;

    if (sr_read(r, padding, n))
        return -1;
    for (uint32_t i = 0; i < n; i++)
        if (padding[i])
            return sr_bad(r, "its padding is not zero");
    return 0;
}

static int skip_body(struct sr_reader *r, uint32_t length)
{
    uint8_t buf[SKIP_BYTES];

    for (uint32_t n; length; length -= n) {
        n = length < SKIP_BYTES ? length : SKIP_BYTES;
        if (sr_read(r, buf, n))
            return -1;
    }
    return 0;
}

/* `before`: what the sums were where the record's header began. */
static int compare_checksum(struct sr_reader *r, const struct sr_sum *before, uint32_t length)
{
    struct xc_sr_checksum c;

    if (length != sizeof(c))
        return sr_bad(r, "%u bytes, must be %zu", length, sizeof(c));
    if (r->unsummed)
        return sr_bad(r, "the first checksum of a stream stands before its memory");
    if (sr_read(r, &c, sizeof(c)))
        return -1;
    if (c.algorithm != XC_SR_CHECKSUM_CRC32 || c.reserved)
        return sr_bad(r, "algorithm %u is not known, or a reserved field is not zero", c.algorithm);
    if (c.batch_bytes != before->batch_bytes || c.whole_bytes != before->whole_bytes)
        return sr_bad(r, "it is about %llu and %llu bytes, and there were %llu and %llu",
                      (unsigned long long)c.batch_bytes, (unsigned long long)c.whole_bytes,
                      (unsigned long long)before->batch_bytes,
                      (unsigned long long)before->whole_bytes);
    if (c.batch_crc != before->batch || c.whole_crc != before->whole)
        return sr_bad(r, "the stream is damaged: its bytes make %08x, %08x were sent",
                      before->batch, c.batch_crc);
    r->checksums_seen = true;
    r->sum.batch = 0;
    r->sum.batch_bytes = 0;
    r->covered = r->sum.whole_bytes;
    return 0;
}

int sr_next(struct sr_reader *r, struct xc_sr_rhdr *header)
{
    for (;;) {
        struct sr_sum before = r->sum;
        int rc;

        r->record++;
        r->start = r->sum.whole_bytes;
        r->type = UINT32_MAX;
        if (sr_read(r, header, sizeof(*header)))
            return -1;
        r->type = header->type;
        /* A stream without checksums shows that before its memory: then none are made. */
        if (header->type == REC_PAGE_DATA && !r->checksums_seen)
            r->unsummed = true;
        if (header->length > XC_SR_MAX_LENGTH)
            return sr_bad(r, "a body of %u bytes; %u are the most", header->length,
                          XC_SR_MAX_LENGTH);
        if (header->type == REC_END && r->checksums_seen && r->covered != r->start)
            return sr_bad(r, "%llu bytes before it are in no checksum",
                          (unsigned long long)(r->start - r->covered));
        if (!(header->type & REC_OPTIONAL)) {
            r->run = 0;
            return 0;
        }
        if (++r->run > XC_SR_MAX_OPTIONAL_RUN)
            return sr_bad(r, "more than %u optional records one behind the other",
                          XC_SR_MAX_OPTIONAL_RUN);
        rc = header->type == REC_CHECKSUM ? compare_checksum(r, &before, header->length)
                                          : skip_body(r, header->length);
        if (rc || sr_read_padding(r, header->length))
            return -1;
    }
}
