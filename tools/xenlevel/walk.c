/* SPDX-License-Identifier: MIT */
/*
 * A save image, walked: see image.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "walk.h"
#include "out.h"
#include "util.h"
#include "xc_sr_envelope.h"

enum {
    AT_XL,
    AT_LIBXL_HEADER,
    AT_LIBXL,
    AT_IMAGE_HEADER,
    AT_DOMAIN_HEADER,
    AT_LIBXC,
    AT_TRAILER,
    AT_END,
};

/* What xl sends to xl behind a migration's stream; captures of one have it. */
static const char permission[] = "domain is yours, you are cleared to unpause";

const char *image_layer_name(enum image_layer layer)
{
    static const char *const names[IMAGE_LAYERS] = {"xl", "libxl", "libxc"};

    return names[layer];
}

const char *image_record_name(const struct image_item *it)
{
    return it->layer == IMAGE_LIBXC ? xc_sr_record_name(it->type)
                                    : xc_sr_libxl_record_name(it->type);
}

int image_fault(const struct image *im, const struct image_item *it, uint64_t offset,
                const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (it && !it->header)
        warn("%s: offset %" PRIu64 ", %srecord %u (%s, type 0x%x): %s", im->path, offset,
             it->layer == IMAGE_LIBXL ? "libxl " : "", it->record, image_record_name(it), it->type,
             text);
    else
        warn("%s: offset %" PRIu64 ": %s", im->path, offset, text);
    return -1;
}

int image_read(const struct image *im, uint64_t offset, void *buf, size_t len)
{
    unsigned char *b = buf;

    while (len) {
        ssize_t n = pread(im->fd, b, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return image_fault(im, NULL, offset, "reading failed: %s", strerror(errno));
        if (n == 0)
            return image_fault(im, NULL, offset, "the image ends here, %zu bytes short", len);
        b += n;
        offset += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Which kind of image its first bytes say it is. */
static int recognise_format(struct image *im)
{
    static const char marker[8] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    struct xc_sr_envelope envelope;
    char first[8], why[256];
    size_t n = im->size < sizeof(first) ? (size_t)im->size : sizeof(first);

    if (image_read(im, 0, first, n))
        return -1;
    if (!n)
        return image_fault(im, NULL, 0, "the file is empty");
    if (!memcmp(first, XC_SR_XL_MAGIC, n)) {
        im->format = XC_SR_XL;
        return 0;
    }
    if (xc_sr_find_stream(im->fd, &envelope, why, sizeof(why)))
        return image_fault(im, NULL, 0, "%s", why);
    im->whose = envelope.whose;
    im->base = envelope.offset;
    if (im->whose)
        im->format = envelope.layer;
    else if (!memcmp(first, marker, n))
        im->format = XC_SR_LIBXC;
    else
        return image_fault(im, NULL, 0, "neither an image made by `xl save` nor a stream of libxc");
    return 0;
}

static int take_head(struct image *im)
{
    struct xc_sr_fault fault = {0};

    if (lseek(im->fd, (off_t)im->base, SEEK_SET) < 0)
        return image_fault(im, NULL, im->base, "reading failed: %s", strerror(errno));
    if (!xc_sr_head_read(im->fd, im->format, im->head, NULL, &fault))
        return 0;
    if (im->whose)
        warn("%s: in the stream at byte %" PRIu64 " of %s's image: %s", im->path, im->base,
             im->whose, fault.text);
    else
        warn("%s: %s", im->path, fault.text);
    return -1;
}

int image_open(struct image *im, const char *path)
{
    *im = (struct image){.path = path};
    im->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (im->fd < 0 || fstat(im->fd, &im->st)) {
        warn("%s: %s", path, strerror(errno));
    } else if (!S_ISREG(im->st.st_mode)) {
        warn("%s: not a file: what is looked at more than once has to be on disk (verify-stream "
             "takes pipes)",
             path);
    } else {
        im->size = (uint64_t)im->st.st_size;
        im->head = xcalloc(1, sizeof(*im->head));
        if (!recognise_format(im) && !take_head(im)) {
            image_rewind(im);
            return 0;
        }
    }
    image_close(im);
    return -1;
}

void image_close(struct image *im)
{
    if (im->fd >= 0)
        (void)close(im->fd);
    free(im->head);
    im->fd = -1;
    im->head = NULL;
}

void image_rewind(struct image *im)
{
    im->state = im->format == XC_SR_XL      ? AT_XL
                : im->format == XC_SR_LIBXL ? AT_LIBXL_HEADER
                                            : AT_IMAGE_HEADER;
    im->at = im->base;
    memset(im->next, 0, sizeof(im->next));
    im->order = (struct xc_sr_order){.version = im->head->version, .guest = im->head->guest};
    im->in_checkpoint = false;
    im->run = im->seen = 0;
}

/* ---- headers: the head's parser has judged them ---- */

static int next_header(struct image *im, struct image_item *it, enum image_layer layer,
                       uint64_t size, int next)
{
    *it = (struct image_item){.layer = layer, .header = true, .offset = im->at};
    it->body = it->end = im->at += size;
    im->state = next;
    return 1;
}

static int next_xl_header(struct image *im, struct image_item *it)
{
    struct xc_sr_xl_hdr hdr;

    if (image_read(im, 0, &hdr, sizeof(hdr)))
        return -1;
    return next_header(im, it, IMAGE_XL, sizeof(hdr) + hdr.optional_length, AT_LIBXL_HEADER);
}

/* ---- records ---- */

/* A record's header, where its body ends, and whether all of it is there. */
static int take_record(struct image *im, struct image_item *it, enum image_layer layer)
{
    struct xc_sr_rhdr hdr;

    *it = (struct image_item){.layer = layer, .header = true, .offset = im->at};
    if (im->at == im->size)
        return image_fault(im, it, im->at, "the image ends here, without %s's END",
                           image_layer_name(layer));
    if (image_read(im, im->at, &hdr, sizeof(hdr)))
        return -1;
    it->header = false;
    it->record = im->next[layer]++;
    it->type = hdr.type;
    it->length = hdr.length;
    it->body = im->at + sizeof(hdr);
    it->end = it->body + (((uint64_t)hdr.length + 7) & ~7ull);
    im->run = hdr.type & REC_OPTIONAL ? im->run + 1 : 0;
    if (im->run > XC_SR_MAX_OPTIONAL_RUN)
        return image_fault(im, it, it->offset, "more than %u optional records one behind the other",
                           XC_SR_MAX_OPTIONAL_RUN);
    if (it->end > im->size)
        return image_fault(im, it, im->size, "the image ends here, %" PRIu64 " bytes short",
                           it->end - im->size);
    im->at = it->end;
    return 1;
}

/* May it stand here, and be so long? */
static int judge_record(struct image *im, const struct image_item *it)
{
    const struct xc_sr_record *record = xc_sr_find_record(it->type), *other = NULL;
    enum xc_sr_order_wrong wrong = xc_sr_check_order(&im->order, it->type, &other);
    char text[XC_SR_RULE_TEXT];

    if (it->length > XC_SR_MAX_LENGTH)
        return image_fault(im, it, it->offset + 4, "a body of %u bytes; %u are the most",
                           it->length, XC_SR_MAX_LENGTH);
    if (wrong)
        return image_fault(im, it, it->offset, "%s",
                           xc_sr_order_text(&im->order, wrong, other, &text));
    if (record && !xc_sr_length_fits(record, it->length))
        return image_fault(im, it, it->offset + 4, "%s",
                           xc_sr_length_text(record, it->length, &text));
    xc_sr_note_record(&im->order, it->type);
    return 0;
}

static int next_libxc_record(struct image *im, struct image_item *it)
{
    struct xc_sr_page_data pages;

    if (take_record(im, it, IMAGE_LIBXC) < 0 || judge_record(im, it))
        return -1;
    switch (it->type) {
    case REC_PAGE_DATA:
        if (image_read(im, it->body, &pages, sizeof(pages)))
            return -1;
        it->pages = pages.count;
        break;
    case REC_END:
        im->state = im->format != XC_SR_LIBXC ? AT_LIBXL : AT_TRAILER;
        im->in_checkpoint = false;
        break;
    case REC_CHECKPOINT:
        im->in_checkpoint = im->format != XC_SR_LIBXC;
        if (im->in_checkpoint)
            im->state = AT_LIBXL;
        break;
    default:
        break;
    }
    return 1;
}

/* Behind CHECKPOINT_END libxc goes on, unless COLO says something first: to libxc that type is
 * X86_PV_VCPU_EXTENDED, which no HVM stream has. */
static bool libxc_goes_on(const struct image *im)
{
    struct xc_sr_rhdr hdr;

    if (im->head->guest != XC_SR_GUEST_HVM || im->size - im->at < sizeof(hdr) ||
        pread(im->fd, &hdr, sizeof(hdr), (off_t)im->at) != (ssize_t)sizeof(hdr))
        return true;
    return hdr.type != LIBXL_REC_CHECKPOINT_STATE;
}

/* The same for one of libxl's; that LIBXC_CONTEXT is the first the head's parser has judged. */
static int judge_libxl_record(struct image *im, const struct image_item *it)
{
    const struct xc_sr_record *record = xc_sr_find_libxl_record(it->type);
    uint32_t bit;
    char text[XC_SR_RULE_TEXT];

    if (!record)
        return it->type & REC_OPTIONAL
                   ? 0
                   : image_fault(im, it, it->offset, "a mandatory record that is not known");
    bit = 1u << (record - xc_sr_libxl_records);
    if (record->often == XC_SR_OFTEN_ONCE && im->seen & bit)
        return image_fault(im, it, it->offset, "stands here a second time");
    if (record->place == XC_SR_PLACE_CHECKPOINTED && !im->in_checkpoint)
        return image_fault(im, it, it->offset, "no CHECKPOINT of libxc stands before it");
    if (!xc_sr_length_fits(record, it->length))
        return image_fault(im, it, it->offset + 4, "%s",
                           xc_sr_length_text(record, it->length, &text));
    im->seen |= bit;
    return 0;
}

static int next_libxl_record(struct image *im, struct image_item *it)
{
    if (take_record(im, it, IMAGE_LIBXL) < 0 || judge_libxl_record(im, it))
        return -1;
    switch (it->type) {
    case LIBXL_REC_LIBXC_CONTEXT:
        im->state = AT_IMAGE_HEADER;
        break;
    case LIBXL_REC_CHECKPOINT_END:
    case LIBXL_REC_CHECKPOINT_STATE:
        im->state = libxc_goes_on(im) ? AT_LIBXC : AT_LIBXL;
        break;
    case LIBXL_REC_END:
        if (im->in_checkpoint)
            return image_fault(im, it, it->offset, "libxc's stream has not ended");
        im->state = AT_TRAILER;
        break;
    default:
        break;
    }
    return 1;
}

static int next_trailer(struct image *im, struct image_item *it)
{
    char text[sizeof(permission)];

    if (im->at == im->size || im->whose) /* XAPI's device model stands behind it */
        return 0;
    if (im->format == XC_SR_XL && im->size - im->at == sizeof(text)) {
        if (image_read(im, im->at, text, sizeof(text)))
            return -1;
        if (!memcmp(text, permission, sizeof(text)))
            return next_header(im, it, IMAGE_XL, sizeof(text), AT_END);
    }
    return image_fault(im, NULL, im->at, "%" PRIu64 " bytes stand behind the end of the image",
                       im->size - im->at);
}

int image_next(struct image *im, struct image_item *it)
{
    switch (im->state) {
    case AT_XL:
        return next_xl_header(im, it);
    case AT_LIBXL_HEADER:
        return next_header(im, it, IMAGE_LIBXL, sizeof(struct xc_sr_libxl_hdr), AT_LIBXL);
    case AT_LIBXL:
        return next_libxl_record(im, it);
    case AT_IMAGE_HEADER:
        return next_header(im, it, IMAGE_LIBXC, sizeof(struct xc_sr_ihdr), AT_DOMAIN_HEADER);
    case AT_DOMAIN_HEADER:
        return next_header(im, it, IMAGE_LIBXC, sizeof(struct xc_sr_dhdr), AT_LIBXC);
    case AT_LIBXC:
        return next_libxc_record(im, it);
    case AT_TRAILER:
        return next_trailer(im, it);
    default:
        return 0;
    }
}
