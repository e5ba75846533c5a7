/* SPDX-License-Identifier: MIT */
/*
 * A save image written anew with something changed: see rewrite.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libdeflate.h>
#include <zlib.h>

#include "out.h"
#include "outfile.h"
#include "rewrite.h"
#include "util.h"

#define CHUNK ((size_t)1 << 20)

/* What CHECKSUM records say of one of the two images, old and new. */
struct sums {
    uint64_t batch_bytes; /* since the end of the last CHECKSUM, or the marker */
    uint32_t batch_crc;   /* of those, where they are read at all */
    uint64_t whole_bytes; /* up to the end of the last CHECKSUM */
    uint32_t whole_crc;
};

struct rewrite {
    struct image *im;
    struct edit *edit;
    struct outfile out;
    bool summing; /* bytes of libxc's layer are read and summed, not only moved */
    bool changed; /* everything that changes is behind us */
    bool sums_seen;
    uint64_t from, to; /* bytes of the image that are to be copied as they are, and are not yet */
    struct sums was, is;
    unsigned char *chunk;
};

static int write_failed(const struct rewrite *rw)
{
    warn("%s: cannot be written: %s", rw->out.path, strerror(errno));
    return -1;
}

/* ---- moving bytes ---- */

static int write_out(struct rewrite *rw, const void *bytes, size_t len)
{
    return outfile_write(&rw->out, bytes, len) ? write_failed(rw) : 0;
}

/* By way of our memory: each chunk is given to `each`. */
static int read_through(struct rewrite *rw, uint64_t from, uint64_t to,
                        int (*each)(struct rewrite *rw, const void *bytes, size_t len))
{
    while (from < to) {
        size_t len = to - from < CHUNK ? (size_t)(to - from) : CHUNK;

        if (image_read(rw->im, from, rw->chunk, len) || each(rw, rw->chunk, len))
            return -1;
        from += len;
    }
    return 0;
}

/* Copy what waits, inside the kernel where it can do that. */
static int flush_output(struct rewrite *rw)
{
    while (rw->from < rw->to) {
        off_t at = (off_t)rw->from;
        size_t len = rw->to - rw->from < 1u << 30 ? (size_t)(rw->to - rw->from) : 1u << 30;
        ssize_t n = copy_file_range(rw->im->fd, &at, rw->out.fd, NULL, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == ENOSPC || errno == EIO || errno == EFBIG || errno == EDQUOT))
            return write_failed(rw);
        if (n <= 0) { /* not between these file systems; a shrunken image is found below */
            if (read_through(rw, rw->from, rw->to, write_out))
                return -1;
            n = (ssize_t)(rw->to - rw->from);
        }
        rw->from += (uint64_t)n;
    }
    return 0;
}

static int sum_old(struct rewrite *rw, const void *bytes, size_t len)
{
    rw->was.batch_crc = libdeflate_crc32(rw->was.batch_crc, bytes, len);
    return 0;
}

static int sum_both(struct rewrite *rw, const void *bytes, size_t len)
{
    (void)sum_old(rw, bytes, len);
    rw->is.batch_crc = libdeflate_crc32(rw->is.batch_crc, bytes, len);
    return write_out(rw, bytes, len);
}

/* ---- what can be done with an item ---- */

static int keep_bytes(struct rewrite *rw, const struct image_item *it)
{
    if (it->layer == IMAGE_LIBXC) {
        rw->was.batch_bytes += it->end - it->offset;
        rw->is.batch_bytes += it->end - it->offset;
        if (rw->summing)
            return flush_output(rw) ? -1 : read_through(rw, it->offset, it->end, sum_both);
    }
    if (rw->to != it->offset) {
        if (flush_output(rw))
            return -1;
        rw->from = it->offset;
    }
    rw->to = it->end;
    return 0;
}

static int drop_bytes(struct rewrite *rw, const struct image_item *it)
{
    if (it->layer != IMAGE_LIBXC)
        return 0;
    rw->was.batch_bytes += it->end - it->offset;
    return rw->summing ? read_through(rw, it->offset, it->end, sum_old) : 0;
}

/* Bytes of libxc's layer that the old image does not have; a multiple of 8. */
static int put_bytes(struct rewrite *rw, const void *bytes, size_t len)
{
    if (flush_output(rw))
        return -1;
    rw->is.batch_bytes += len;
    if (rw->summing)
        rw->is.batch_crc = libdeflate_crc32(rw->is.batch_crc, bytes, len);
    return write_out(rw, bytes, len);
}

static int put_record(struct rewrite *rw, uint32_t type, const void *body, size_t len)
{
    struct xc_sr_rhdr hdr = {.type = type, .length = (uint32_t)len};

    if (!len)
        return 0;
    return put_bytes(rw, &hdr, sizeof(hdr)) || put_bytes(rw, body, len) ? -1 : 0;
}

static int put_leaves(struct rewrite *rw)
{
    const struct edit *e = rw->edit;

    return put_record(rw, REC_X86_CPUID_POLICY, e->leaves, e->nr_leaves * sizeof(e->leaves[0]));
}

static int put_msrs(struct rewrite *rw)
{
    const struct edit *e = rw->edit;

    return put_record(rw, REC_X86_MSR_POLICY, e->msrs, e->nr_msrs * sizeof(e->msrs[0]));
}

/* ---- checksums ---- */

static uint32_t combine_sums(uint32_t a, uint32_t b, uint64_t length_of_b)
{
    return (uint32_t)crc32_combine(a, b, (z_off_t)length_of_b);
}

/* Is the record true of the old image, as far as that is known? */
static int judge_checksum(const struct rewrite *rw, const struct image_item *it,
                          const struct xc_sr_checksum *c)
{
    const struct sums *was = &rw->was;
    uint64_t whole = was->whole_bytes + was->batch_bytes;

    if (c->algorithm != XC_SR_CHECKSUM_CRC32)
        return image_fault(rw->im, it, it->body, "algorithm %u; 1 (CRC-32) is known", c->algorithm);
    if (c->batch_bytes != was->batch_bytes || c->whole_bytes != whole)
        return image_fault(rw->im, it, it->body + 8,
                           "speaks of %" PRIu64 " bytes of %" PRIu64 "; there are %" PRIu64
                           " of %" PRIu64 ": the image is damaged",
                           c->batch_bytes, c->whole_bytes, was->batch_bytes, whole);
    if (rw->summing && c->batch_crc != was->batch_crc)
        return image_fault(rw->im, it, it->body + 4,
                           "the CRC-32 is %08x, the bytes make %08x: the image is damaged",
                           c->batch_crc, was->batch_crc);
    if (c->whole_crc != combine_sums(was->whole_crc, c->batch_crc, c->batch_bytes))
        return image_fault(rw->im, it, it->body + 24,
                           "the CRC-32 of the whole is not what its parts make: the image is "
                           "damaged");
    return 0;
}

/* The sums once a CHECKSUM record stands there. */
static void account_for(struct sums *s, const struct xc_sr_rhdr *hdr,
                        const struct xc_sr_checksum *c)
{
    s->whole_crc = libdeflate_crc32(c->whole_crc, hdr, sizeof(*hdr));
    s->whole_crc = libdeflate_crc32(s->whole_crc, c, sizeof(*c));
    s->whole_bytes = c->whole_bytes + sizeof(*hdr) + sizeof(*c);
    s->batch_bytes = 0;
    s->batch_crc = 0;
}

static int on_checksum(struct rewrite *rw, const struct image_item *it)
{
    struct xc_sr_rhdr hdr = {.type = REC_CHECKSUM, .length = sizeof(struct xc_sr_checksum)};
    struct xc_sr_checksum c;

    /* image_next() has judged its length. */
    if (image_read(rw->im, it->body, &c, sizeof(c)) || judge_checksum(rw, it, &c))
        return -1;
    account_for(&rw->was, &hdr, &c);
    rw->sums_seen = true;
    if (rw->edit->strip) {
        rw->edit->dropped++;
        return 0;
    }
    if (rw->summing)
        c.batch_crc = rw->is.batch_crc;
    c.batch_bytes = rw->is.batch_bytes;
    c.whole_bytes = rw->is.whole_bytes + c.batch_bytes;
    c.whole_crc = combine_sums(rw->is.whole_crc, c.batch_crc, c.batch_bytes);
    if (flush_output(rw) || write_out(rw, &hdr, sizeof(hdr)) || write_out(rw, &c, sizeof(c)))
        return -1;
    account_for(&rw->is, &hdr, &c);
    rw->summing = !rw->changed;
    return 0;
}

/* ---- the pass ---- */

static int libxc_record(struct rewrite *rw, const struct image_item *it)
{
    const struct xc_sr_head *head = rw->im->head;

    switch (it->type) {
    case REC_CHECKSUM:
        return on_checksum(rw, it);
    case REC_END:
        if (rw->sums_seen && rw->was.batch_bytes)
            return image_fault(rw->im, it, it->offset,
                               "%" PRIu64 " bytes before it are in no checksum: the image is "
                               "damaged",
                               rw->was.batch_bytes);
        break;
    case REC_X86_CPUID_POLICY:
        if (rw->edit->set_policy)
            return drop_bytes(rw, it) || put_leaves(rw) || (!head->has_msrs && put_msrs(rw)) ? -1
                                                                                             : 0;
        break;
    case REC_X86_MSR_POLICY:
        if (rw->edit->set_policy)
            return drop_bytes(rw, it) || put_msrs(rw) ? -1 : 0;
        break;
    case REC_STATIC_DATA_END:
        if (rw->edit->set_policy && !head->has_cpuid &&
            (put_leaves(rw) || (!head->has_msrs && put_msrs(rw))))
            return -1;
        rw->changed = !rw->edit->strip;
        break;
    default:
        break;
    }
    return keep_bytes(rw, it);
}

static int rewrite_one(struct rewrite *rw, const struct image_item *it)
{
    bool checksum = !it->header && it->layer == IMAGE_LIBXC && it->type == REC_CHECKSUM;

    if (rw->edit->strip && !it->header && it->type & REC_OPTIONAL && !checksum) {
        rw->edit->dropped++;
        return drop_bytes(rw, it);
    }
    if (it->layer == IMAGE_LIBXC && !it->header)
        return libxc_record(rw, it);
    return keep_bytes(rw, it);
}

/* A guest's memory is in it: whoever could read the old image, and nobody else. */
static int open_output(struct rewrite *rw, const char *output)
{
    const struct stat *st = &rw->im->st;
    struct stat now;

    if (outfile_open(&rw->out, output, 0600) || fstat(rw->out.fd, &now))
        return write_failed(rw);
    if ((now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
        (rw->out.replaces || fchown(rw->out.fd, st->st_uid, st->st_gid)))
        return 0; /* other people's: they get no more than they had */
    return outfile_allow(&rw->out, st->st_mode & 0777) ? write_failed(rw) : 0;
}

int rewrite_image(struct image *im, struct edit *edit, bool checksums, const char *output)
{
    struct rewrite rw = {.im = im, .edit = edit, .summing = checksums, .out = {.fd = -1}};
    struct image_item it;
    int more = -1;

    edit->dropped = 0;
    image_rewind(im);
    rw.chunk = xcalloc(1, CHUNK);
    if (!open_output(&rw, output)) {
        while ((more = image_next(im, &it)) > 0)
            if (rewrite_one(&rw, &it)) {
                more = -1;
                break;
            }
        if (!more)
            more = flush_output(&rw);
        if (!more && outfile_commit(&rw.out))
            more = write_failed(&rw);
    }
    outfile_close(&rw.out);
    free(rw.chunk);
    return more;
}
