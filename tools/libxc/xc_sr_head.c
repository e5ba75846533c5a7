/* SPDX-License-Identifier: MIT */
/*
 * The head of a migration stream, read piece by piece: see xc_sr_head.h.
 *
 * Every piece (a header, a record header, a body) has a state.  Bytes are collected until the
 * piece is whole; then the state's handler judges it and says what comes next.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "xc_bytes.h"
#include "xc_sr_head.h"

enum state {
    ST_XL_HEADER,
    ST_XL_OPTDATA,
    ST_XL_CONFIG,
    ST_XL_SKIP,
    ST_LIBXL_HEADER,
    ST_LIBXL_RECORD,
    ST_LIBXL_SKIP,
    ST_MARKER,
    ST_IMAGE_HEADER,
    ST_DOMAIN_HEADER,
    ST_RECORD,
    ST_BODY,
    ST_SKIP,
    ST_PADDING,
    ST_DONE,
};

/* Sizes of the pieces, in bytes. */
enum {
    MARKER_SIZE = sizeof(uint64_t),
};

/* Every record that is kept, as long as it can be, has room in a head. */
_Static_assert(sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr) +
                       POLICY_MAX_LEAVES * sizeof(xen_cpuid_leaf_t) +
                       XC_SR_MAX_MSRS * sizeof(xen_msr_entry_t) + sizeof(struct xc_sr_pv_info) +
                       4 * (sizeof(struct xc_sr_rhdr) + XC_SR_RECORD_ALIGN) <=
                   XC_SR_HEAD_MAX,
               "a whole policy must have room in a head");

/* ---- bytes ---- */

/* Bodies are padded to a multiple of 8.  64 bits, so that a length near 4 GiB does not wrap. */
static uint64_t padded_length(uint32_t length)
{
    return ((uint64_t)length + 7) & ~7ull;
}

/* ---- faults ---- */

static int fail_at(struct xc_sr_parser *p, uint64_t offset, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Always -1, so that a handler can return it. */
static int fail_at(struct xc_sr_parser *p, uint64_t offset, const char *fmt, ...)
{
    struct xc_sr_fault *f = &p->fault;
    const char *layer = p->libxl_layer ? "libxl record" : "record";
    const char *name =
        p->libxl_layer ? xc_sr_libxl_record_name(p->type) : xc_sr_record_name(p->type);
    size_t at;
    va_list ap;

    f->offset = offset;
    f->record = p->record;
    f->type = p->type;
    f->libxl_layer = p->libxl_layer;
    if (p->record == XC_SR_NO_RECORD)
        (void)snprintf(f->text, sizeof(f->text), "offset %" PRIu64 ": ", offset);
    else if (p->type == XC_SR_NO_RECORD)
        (void)snprintf(f->text, sizeof(f->text), "offset %" PRIu64 ", %s %u: ", offset, layer,
                       p->record);
    else
        (void)snprintf(f->text, sizeof(f->text),
                       "offset %" PRIu64 ", %s %u (%s, type 0x%x): ", offset, layer, p->record,
                       name, p->type);
    at = strlen(f->text);
    va_start(ap, fmt);
    (void)vsnprintf(f->text + at, sizeof(f->text) - at, fmt, ap);
    va_end(ap);

    p->failed = true;
    p->need = 0;
    return -1;
}

/* What comes next: `size` bytes that are to be judged in `state`. */
static int expect_piece(struct xc_sr_parser *p, enum state state, size_t size)
{
    p->state = state;
    p->need = size;
    p->have = 0;
    p->item_offset = p->offset;
    if (state == ST_RECORD || state == ST_LIBXL_RECORD) {
        p->record_offset = p->offset;
        p->record = p->record == XC_SR_NO_RECORD ? 0 : p->record + 1;
        p->type = XC_SR_NO_RECORD;
        p->length = 0;
    }
    return 0;
}

static int finish_head(struct xc_sr_parser *p)
{
    p->head->length = p->offset;
    return expect_piece(p, ST_DONE, 0);
}

/* ---- records of both layers ---- */

/* The body has come; behind it stand zeros up to a multiple of 8. */
static int expect_padding(struct xc_sr_parser *p)
{
    return expect_piece(p, ST_PADDING, (size_t)(padded_length(p->length) - p->length));
}

static int on_padding(struct xc_sr_parser *p)
{
    for (size_t i = 0; i < p->have; i++)
        if (p->buf[i])
            return fail_at(p, p->item_offset + i, "its padding is not zero");
    return expect_piece(p, p->libxl_layer ? ST_LIBXL_RECORD : ST_RECORD, sizeof(struct xc_sr_rhdr));
}

/* ---- xl's and libxl's layers ---- */

/* A header that is not right: the fault in the words of its layer.  at: where the header begins. */
static int refuse_xl_header(struct xc_sr_parser *p, struct xc_sr_header_fault f)
{
    uint64_t at = p->item_offset + f.at;

    switch (f.what) {
    case XC_SR_HEADER_ENDIAN:
        return fail_at(p, at, "byte order is 0x%08x, not 0x%08x: saved on another architecture",
                       f.value, XC_SR_XL_BYTEORDER);
    case XC_SR_HEADER_OPTIONS:
        return fail_at(p, at, "unknown mandatory flags 0x%x of xl: saved by a newer one", f.value);
    case XC_SR_HEADER_LEGACY:
        return fail_at(p, at, "a legacy stream, of Xen 4.5 or older: it holds no CPU policy");
    default:
        return fail_at(p, at, "not an image made by `xl save`: its magic is not there");
    }
}

static int on_xl_header(struct xc_sr_parser *p)
{
    struct xc_sr_header_fault fault;
    struct xc_sr_xl_hdr header;
    uint32_t optdata;

    memcpy(&header, p->buf, sizeof(header));
    fault = xc_sr_check_xl_header(&header);
    if (fault.what)
        return refuse_xl_header(p, fault);
    p->head->xl_flags = header.mandatory_flags;
    optdata = header.optional_length;
    if (optdata > XC_SR_MAX_OPTDATA)
        return fail_at(p, 44, "optional data of %u bytes; at most %d are taken", optdata,
                       XC_SR_MAX_OPTDATA);
    if (!optdata)
        return expect_piece(p, ST_LIBXL_HEADER, sizeof(struct xc_sr_libxl_hdr));
    if (optdata < 4)
        return fail_at(p, 44, "optional data of %u bytes cannot hold a length", optdata);
    p->optdata_left = optdata - 4;
    return expect_piece(p, ST_XL_OPTDATA, 4);
}

static int on_xl_optdata(struct xc_sr_parser *p)
{
    uint32_t length = le32(p->buf);

    if (length > p->optdata_left)
        return fail_at(p, p->item_offset, "configuration of %u bytes in optional data of %u",
                       length, p->optdata_left);
    p->head->config_length = length;
    if (length > XC_SR_MAX_CONFIG)
        length = XC_SR_MAX_CONFIG;
    p->optdata_left -= length;
    return expect_piece(p, ST_XL_CONFIG, length);
}

/* Where the configuration has the domain's name: { "c_info": { ... "name": "web1" ...  */
static void find_name(struct xc_sr_head *head)
{
    const char *s = strstr(head->config, "\"c_info\"");
    size_t n = 0;

    s = s ? strstr(s, "\"name\"") : NULL;
    if (!s)
        return;
    s += strlen("\"name\"");
    s += strspn(s, " \t\r\n:");
    if (*s++ != '"')
        return;
    while (*s && *s != '"' && n < sizeof(head->name) - 1) {
        if (*s == '\\' && s[1])
            s++;
        head->name[n++] = *s++;
    }
    head->name[n] = '\0';
}

static int on_xl_config(struct xc_sr_parser *p)
{
    find_name(p->head);
    return expect_piece(p, ST_XL_SKIP, p->optdata_left);
}

static int on_xl_skip(struct xc_sr_parser *p)
{
    return expect_piece(p, ST_LIBXL_HEADER, sizeof(struct xc_sr_libxl_hdr));
}

static int refuse_libxl_header(struct xc_sr_parser *p, struct xc_sr_header_fault f)
{
    uint64_t at = p->item_offset + f.at;

    switch (f.what) {
    case XC_SR_HEADER_VERSION:
        return fail_at(p, at, "version %u of libxl's stream; only %u is known", f.value,
                       XC_SR_LIBXL_VERSION);
    case XC_SR_HEADER_ENDIAN:
        return fail_at(p, at, "libxl's stream is big-endian");
    case XC_SR_HEADER_LEGACY:
        return fail_at(p, at, "converted from a legacy stream: it holds no CPU policy");
    case XC_SR_HEADER_OPTIONS:
        return fail_at(p, at, "options 0x%08x: reserved bits are not zero", f.value);
    default:
        return fail_at(p, at, "libxl's stream does not begin here: no \"LibxlFmt\"");
    }
}

static int on_libxl_header(struct xc_sr_parser *p)
{
    struct xc_sr_header_fault fault;
    struct xc_sr_libxl_hdr header;

    memcpy(&header, p->buf, sizeof(header));
    fault = xc_sr_check_libxl_header(&header);
    if (fault.what)
        return refuse_libxl_header(p, fault);
    p->libxl_layer = true;
    return expect_piece(p, ST_LIBXL_RECORD, sizeof(struct xc_sr_rhdr));
}

static int on_libxl_record(struct xc_sr_parser *p)
{
    p->type = le32(p->buf);
    p->length = le32(p->buf + 4);
    if (p->type == LIBXL_REC_LIBXC_CONTEXT) {
        if (p->length)
            return fail_at(p, p->record_offset, "has a body of %u bytes, must have none",
                           p->length);
        p->libxl_layer = false;
        p->record = XC_SR_NO_RECORD;
        p->head->libxc_offset = p->offset;
        return expect_piece(p, ST_MARKER, MARKER_SIZE);
    }
    /* An optional record that is known has its place, too. */
    if (!(p->type & REC_OPTIONAL) || xc_sr_find_libxl_record(p->type))
        return fail_at(p, p->record_offset, "stands before LIBXC_CONTEXT");
    if (p->length > XC_SR_MAX_OPTIONAL)
        return fail_at(p, p->record_offset, "an optional record of %u bytes; at most %d are taken",
                       p->length, XC_SR_MAX_OPTIONAL);
    if (p->record >= XC_SR_MAX_RECORDS)
        return fail_at(p, p->record_offset, "more than %d records before LIBXC_CONTEXT",
                       XC_SR_MAX_RECORDS);
    return expect_piece(p, ST_LIBXL_SKIP, p->length);
}

/* ---- libxc's layer: headers ---- */

static int refuse_image_header(struct xc_sr_parser *p, struct xc_sr_header_fault f)
{
    uint64_t at = p->item_offset + f.at;

    switch (f.what) {
    case XC_SR_HEADER_IDENT:
        return fail_at(p, at, "not a Xen migration stream: its id is 0x%08x, not \"XENF\"",
                       f.value);
    case XC_SR_HEADER_VERSION:
        return fail_at(p, at, "version %u of the stream; 2 and 3 are known", f.value);
    case XC_SR_HEADER_ENDIAN:
        return fail_at(p, at, "the stream is big-endian");
    case XC_SR_HEADER_OPTIONS:
        return fail_at(p, at, "options 0x%04x: reserved bits are not zero", f.value);
    case XC_SR_HEADER_RESERVED:
        return fail_at(p, at, "reserved bytes of the image header are not zero");
    default:
        return fail_at(p, at,
                       "not a Xen migration stream: the marker of 8 bytes 0xff is not there");
    }
}

/* Whatever is no stream is refused by its first 8 bytes.  They stay in buf. */
static int on_marker(struct xc_sr_parser *p)
{
    struct xc_sr_header_fault fault;
    uint64_t marker = 0;

    memcpy(&marker, p->buf, p->have);
    fault = xc_sr_check_marker(marker);
    if (fault.what)
        return refuse_image_header(p, fault);
    p->state = ST_IMAGE_HEADER;
    p->need = sizeof(struct xc_sr_ihdr) - MARKER_SIZE;
    return 0;
}

static int on_image_header(struct xc_sr_parser *p)
{
    struct xc_sr_header_fault fault;
    struct xc_sr_ihdr header;

    memcpy(&header, p->buf, sizeof(header));
    fault = xc_sr_check_image_header(&header);
    if (fault.what)
        return refuse_image_header(p, fault);
    p->head->version = p->order.version = xc_sr_image_version(&header);
    return expect_piece(p, ST_DOMAIN_HEADER, sizeof(struct xc_sr_dhdr));
}

static int refuse_domain_header(struct xc_sr_parser *p, struct xc_sr_header_fault f)
{
    uint64_t at = p->item_offset + f.at;

    switch (f.what) {
    case XC_SR_HEADER_PAGES:
        return fail_at(p, at, "pages of 2^%u bytes; x86 has 2^%d", f.value, XC_SR_PAGE_SHIFT);
    case XC_SR_HEADER_RESERVED:
        return fail_at(p, at, "the reserved field of the domain header is not zero");
    default:
        return fail_at(p, at, "guest type %u; 1 (x86 PV) and 2 (x86 HVM) are known", f.value);
    }
}

static int on_domain_header(struct xc_sr_parser *p)
{
    struct xc_sr_header_fault fault;
    struct xc_sr_dhdr header;

    memcpy(&header, p->buf, sizeof(header));
    fault = xc_sr_check_domain_header(&header);
    if (fault.what)
        return refuse_domain_header(p, fault);
    p->head->guest = p->order.guest = (enum xc_sr_guest)header.type;
    p->head->xen_major = header.xen_major;
    p->head->xen_minor = header.xen_minor;
    return expect_piece(p, ST_RECORD, sizeof(struct xc_sr_rhdr));
}

/* ---- libxc's layer: records ---- */

/*
 * Expect the body of a record.  Behind it there is always room for the header of a next record, so
 * a head is never longer than XC_SR_HEAD_MAX, whatever its records are.
 */
static int expect_body(struct xc_sr_parser *p, enum state state)
{
    if (p->offset - p->head->libxc_offset + padded_length(p->length) + sizeof(struct xc_sr_rhdr) >
        XC_SR_HEAD_MAX)
        return fail_at(p, p->record_offset, "the head is longer than %d bytes", XC_SR_HEAD_MAX);
    return expect_piece(p, state, p->length);
}

/* What must be there once the head ends, whichever way it ends. */
static int end_of_head(struct xc_sr_parser *p)
{
    if (p->head->guest == XC_SR_GUEST_PV && !p->head->has_pv_info)
        return fail_at(p, p->record_offset, "the head of a PV guest ends without X86_PV_INFO");
    /* Xen would give the domain those, over what it was born with. */
    if (p->head->has_msrs && !p->head->has_cpuid)
        return fail_at(p, p->record_offset,
                       "the head ends with X86_MSR_POLICY and without X86_CPUID_POLICY");
    return finish_head(p);
}

/* A policy has no more than `max` entries. */
static int on_policy(struct xc_sr_parser *p, size_t entry, size_t max)
{
    if (p->length / entry > max)
        return fail_at(p, p->record_offset, "%zu entries; no policy has more than %zu",
                       p->length / entry, max);
    return expect_body(p, ST_BODY);
}

static int on_optional(struct xc_sr_parser *p)
{
    if (p->length > XC_SR_MAX_OPTIONAL)
        return fail_at(p, p->record_offset, "an optional record of %u bytes; at most %d are taken",
                       p->length, XC_SR_MAX_OPTIONAL);
    return expect_body(p, ST_SKIP);
}

/*
 * A record of version 2 that is not static data.  Xen's reader applies what static data it has been
 * given when it meets the first memory, or where the list of a PV guest's frames is (Xen 4.14 to
 * 4.22, xg_sr_restore.c).  Until then a policy could still come, so everything before is the head.
 */
static int on_other_v2(struct xc_sr_parser *p)
{
    if (p->type == REC_END)
        return fail_at(p, p->record_offset, "stands before any memory");
    if (!p->order.static_end)
        return expect_body(p, ST_SKIP);
    p->head->inferred_end = true;
    p->head->next_type = p->type;
    p->head->next_length = p->length;
    return end_of_head(p);
}

/* A record that may stand here, and whose body can have that length. */
static int on_known_record(struct xc_sr_parser *p)
{
    switch (p->type) {
    case REC_X86_PV_INFO:
        return expect_body(p, ST_BODY);
    case REC_X86_CPUID_POLICY:
        return on_policy(p, sizeof(xen_cpuid_leaf_t), POLICY_MAX_LEAVES);
    case REC_X86_MSR_POLICY:
        return on_policy(p, sizeof(xen_msr_entry_t), XC_SR_MAX_MSRS);
    case REC_STATIC_DATA_END:
        return end_of_head(p);
    default:
        return on_other_v2(p);
    }
}

static int on_record(struct xc_sr_parser *p)
{
    const struct xc_sr_record *record, *other = NULL;
    enum xc_sr_order_wrong wrong;
    char text[XC_SR_RULE_TEXT];

    p->type = le32(p->buf);
    p->length = le32(p->buf + 4);
    p->head->nr_records = p->record + 1;
    if (p->record >= XC_SR_MAX_RECORDS)
        return fail_at(p, p->record_offset, "more than %d records in the head", XC_SR_MAX_RECORDS);
    wrong = xc_sr_check_order(&p->order, p->type, &other);
    if (wrong)
        return fail_at(p, p->record_offset, "%s", xc_sr_order_text(&p->order, wrong, other, &text));
    xc_sr_note_record(&p->order, p->type);
    record = xc_sr_find_record(p->type);
    if (record && !xc_sr_length_fits(record, p->length))
        return fail_at(p, p->record_offset, "%s", xc_sr_length_text(record, p->length, &text));
    return p->type & REC_OPTIONAL ? on_optional(p) : on_known_record(p);
}

static int on_pv_info(struct xc_sr_parser *p)
{
    unsigned int width = p->buf[0], levels = p->buf[1];

    if (!(width == 4 && levels == 3) && !(width == 8 && levels == 4))
        return fail_at(p, p->item_offset,
                       "words of %u bytes with %u page table levels; x86 has 4 with 3 and 8 with 4",
                       width, levels);
    for (size_t i = 2; i < p->have; i++)
        if (p->buf[i])
            return fail_at(p, p->item_offset + 2, "its reserved bytes are not zero");
    p->head->has_pv_info = true;
    p->head->pv_width = (uint8_t)width;
    p->head->pv_levels = (uint8_t)levels;
    return expect_padding(p);
}

/* The entries are copied field by field: the buffer is not aligned for them. */
static void take_leaves(struct xc_sr_parser *p)
{
    size_t i, n = p->length / sizeof(xen_cpuid_leaf_t);

    for (i = 0; i < n; i++) {
        const uint8_t *b = p->buf + i * sizeof(xen_cpuid_leaf_t);

        p->head->leaves[i] = (xen_cpuid_leaf_t){le32(b),      le32(b + 4),  le32(b + 8),
                                                le32(b + 12), le32(b + 16), le32(b + 20)};
    }
    p->head->nr_leaves = n;
    p->head->leaves_offset = p->item_offset;
    p->head->has_cpuid = true;
}

static void take_msrs(struct xc_sr_parser *p)
{
    size_t i, n = p->length / sizeof(xen_msr_entry_t);

    for (i = 0; i < n; i++) {
        const uint8_t *b = p->buf + i * sizeof(xen_msr_entry_t);

        p->head->msrs[i] = (xen_msr_entry_t){le32(b), le32(b + 4), le64(b + 8)};
    }
    p->head->nr_msrs = n;
    p->head->msrs_offset = p->item_offset;
    p->head->has_msrs = true;
}

static int on_body(struct xc_sr_parser *p)
{
    if (p->type == REC_X86_PV_INFO)
        return on_pv_info(p);
    if (p->type == REC_X86_CPUID_POLICY)
        take_leaves(p);
    else
        take_msrs(p);
    return expect_padding(p);
}

/* ---- the machine ---- */

static int (*const handlers[])(struct xc_sr_parser *) = {
    [ST_XL_HEADER] = on_xl_header,
    [ST_XL_OPTDATA] = on_xl_optdata,
    [ST_XL_CONFIG] = on_xl_config,
    [ST_XL_SKIP] = on_xl_skip,
    [ST_LIBXL_HEADER] = on_libxl_header,
    [ST_LIBXL_RECORD] = on_libxl_record,
    [ST_LIBXL_SKIP] = expect_padding,
    [ST_MARKER] = on_marker,
    [ST_IMAGE_HEADER] = on_image_header,
    [ST_DOMAIN_HEADER] = on_domain_header,
    [ST_RECORD] = on_record,
    [ST_BODY] = on_body,
    [ST_SKIP] = expect_padding,
    [ST_PADDING] = on_padding,
};

void xc_sr_parser_init(struct xc_sr_parser *p, enum xc_sr_layer layer, struct xc_sr_head *head)
{
    memset(head, 0, sizeof(*head));
    memset(p, 0, sizeof(*p));
    p->head = head;
    p->record = XC_SR_NO_RECORD;
    p->type = XC_SR_NO_RECORD;
    if (layer == XC_SR_XL)
        expect_piece(p, ST_XL_HEADER, sizeof(struct xc_sr_xl_hdr));
    else if (layer == XC_SR_LIBXL)
        expect_piece(p, ST_LIBXL_HEADER, sizeof(struct xc_sr_libxl_hdr));
    else
        expect_piece(p, ST_MARKER, MARKER_SIZE);
}

size_t xc_sr_needs(const struct xc_sr_parser *p)
{
    return p->need;
}

/* Put bytes of the current piece where they are kept, if they are. */
static void keep_bytes(struct xc_sr_parser *p, const uint8_t *bytes, size_t n)
{
    if (p->state == ST_XL_CONFIG)
        memcpy(p->head->config + p->have, bytes, n);
    else if (p->state != ST_XL_SKIP && p->state != ST_LIBXL_SKIP && p->state != ST_SKIP)
        memcpy(p->buf + p->have, bytes, n);
    p->have += n;
    p->need -= n;
    p->offset += n;
}

ssize_t xc_sr_feed(struct xc_sr_parser *p, const void *bytes, size_t len)
{
    const uint8_t *b = bytes;
    size_t used = 0;

    while (!p->failed && used < len && p->need) {
        size_t n = len - used < p->need ? len - used : p->need;

        keep_bytes(p, b + used, n);
        used += n;
        /* A piece may be empty: then its handler's turn comes at once. */
        while (!p->failed && !p->need && p->state != ST_DONE)
            handlers[p->state](p);
    }
    if (p->failed) {
        errno = EINVAL;
        return -1;
    }
    return (ssize_t)used;
}

int xc_sr_end(struct xc_sr_parser *p)
{
    if (!p->failed && p->state == ST_DONE)
        return 0;
    if (!p->failed && p->state == ST_MARKER && p->have &&
        memcmp(p->buf, "\xff\xff\xff\xff\xff\xff\xff", p->have) != 0)
        on_marker(p); /* what there is of it is not a marker: the better reason */
    if (!p->failed) {
        fail_at(p, p->offset, "the stream ends here, %zu bytes short", p->need);
        p->fault.truncated = true;
    }
    errno = EINVAL;
    return -1;
}

/* ---- over a file descriptor ---- */

/* read() that waits also on a descriptor somebody made non-blocking. */
static ssize_t read_some(int fd, void *buf, size_t size)
{
    for (;;) {
        ssize_t n = read(fd, buf, size);

        if (n >= 0)
            return n;
        if (errno == EAGAIN) {
            struct pollfd pfd = {.fd = fd, .events = POLLIN};

            if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
                return -1;
        } else if (errno != EINTR) {
            return -1;
        }
    }
}

int xc_sr_head_read(int fd, enum xc_sr_layer layer, struct xc_sr_head *head,
                    uint8_t (*raw)[XC_SR_HEAD_MAX], struct xc_sr_fault *fault)
{
    struct xc_sr_parser p;
    uint8_t chunk[4096];

    memset(fault, 0, sizeof(*fault));
    xc_sr_parser_init(&p, layer, head);
    while (xc_sr_needs(&p)) {
        size_t want = xc_sr_needs(&p) < sizeof(chunk) ? xc_sr_needs(&p) : sizeof(chunk);
        uint64_t at = p.offset;
        ssize_t n = read_some(fd, chunk, want);

        if (n < 0) {
            int err = errno;

            fail_at(&p, p.offset, "reading failed: %s", strerror(err));
            *fault = p.fault;
            errno = err;
            return -1;
        }
        if (n == 0) {
            xc_sr_end(&p);
            break;
        }
        if (raw && at + (uint64_t)n > sizeof(*raw)) {
            fail_at(&p, at, "the head is longer than %zu bytes", sizeof(*raw));
            break;
        }
        if (raw)
            memcpy(*raw + at, chunk, (size_t)n);
        xc_sr_feed(&p, chunk, (size_t)n);
    }
    if (!p.failed)
        return 0;
    *fault = p.fault;
    errno = EINVAL;
    return -1;
}

int xc_sr_head_policy(const struct xc_sr_head *head, struct cpu_policy *policy,
                      struct policy_report *r)
{
    if (!head->has_cpuid) {
        errno = ENODATA;
        return -1;
    }
    if (policy_from_leaves(policy, head->leaves, head->nr_leaves, head->msrs, head->nr_msrs, r) ||
        policy_whole(head->leaves, head->nr_leaves, head->msrs, head->nr_msrs, r)) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}
