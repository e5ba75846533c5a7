/* SPDX-License-Identifier: MIT */
/*
 * What headers and records of a migration stream must be: see xc_sr_rules.h.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "xc_sr_rules.h"

/* ---- headers ---- */

#define FAULT(kind, type, field, number)                                                           \
    ((struct xc_sr_header_fault){XC_SR_HEADER_##kind, offsetof(type, field), number})

static const struct xc_sr_header_fault right = {.what = XC_SR_HEADER_RIGHT};

struct xc_sr_header_fault xc_sr_check_marker(uint64_t marker)
{
    return marker == XC_SR_MARKER ? right : FAULT(MAGIC, struct xc_sr_ihdr, marker, 0);
}

uint32_t xc_sr_image_version(const struct xc_sr_ihdr *h)
{
    return __builtin_bswap32(h->version);
}

struct xc_sr_header_fault xc_sr_check_image_header(const struct xc_sr_ihdr *h)
{
    const struct xc_sr_header_fault marker = xc_sr_check_marker(h->marker);
    uint32_t id = __builtin_bswap32(h->id), version = xc_sr_image_version(h);
    uint16_t options = __builtin_bswap16(h->options);

    if (marker.what)
        return marker;
    if (id != XC_SR_IDENT)
        return FAULT(IDENT, struct xc_sr_ihdr, id, id);
    if (version != XC_SR_VERSION_2 && version != XC_SR_VERSION)
        return FAULT(VERSION, struct xc_sr_ihdr, version, version);
    if (options & XC_SR_OPT_BIG_ENDIAN)
        return FAULT(ENDIAN, struct xc_sr_ihdr, options, options);
    if (options)
        return FAULT(OPTIONS, struct xc_sr_ihdr, options, options);
    if (h->reserved1 || h->reserved2)
        return FAULT(RESERVED, struct xc_sr_ihdr, reserved1, 0);
    return right;
}

struct xc_sr_header_fault xc_sr_check_domain_header(const struct xc_sr_dhdr *h)
{
    if (h->type != XC_SR_GUEST_PV && h->type != XC_SR_GUEST_HVM)
        return FAULT(GUEST, struct xc_sr_dhdr, type, h->type);
    if (h->page_shift != XC_SR_PAGE_SHIFT)
        return FAULT(PAGES, struct xc_sr_dhdr, page_shift, h->page_shift);
    if (h->reserved)
        return FAULT(RESERVED, struct xc_sr_dhdr, reserved, h->reserved);
    return right;
}

struct xc_sr_header_fault xc_sr_check_libxl_header(const struct xc_sr_libxl_hdr *h)
{
    uint32_t version = __builtin_bswap32(h->version), options = __builtin_bswap32(h->options);

    if (h->ident != __builtin_bswap64(XC_SR_LIBXL_IDENT))
        return FAULT(MAGIC, struct xc_sr_libxl_hdr, ident, 0);
    if (version != XC_SR_LIBXL_VERSION)
        return FAULT(VERSION, struct xc_sr_libxl_hdr, version, version);
    if (options & XC_SR_LIBXL_OPT_BIG_ENDIAN)
        return FAULT(ENDIAN, struct xc_sr_libxl_hdr, options, options);
    if (options & XC_SR_LIBXL_OPT_LEGACY)
        return FAULT(LEGACY, struct xc_sr_libxl_hdr, options, options);
    if (options)
        return FAULT(OPTIONS, struct xc_sr_libxl_hdr, options, options);
    return right;
}

struct xc_sr_header_fault xc_sr_check_xl_header(const struct xc_sr_xl_hdr *h)
{
    uint32_t unknown = h->mandatory_flags & ~(XC_SR_XL_FLAG_JSON | XC_SR_XL_FLAG_STREAM_V2);

    if (memcmp(h->magic, XC_SR_XL_MAGIC, sizeof(h->magic)) != 0)
        return FAULT(MAGIC, struct xc_sr_xl_hdr, magic, 0);
    if (h->byteorder != XC_SR_XL_BYTEORDER)
        return FAULT(ENDIAN, struct xc_sr_xl_hdr, byteorder, h->byteorder);
    if (unknown)
        return FAULT(OPTIONS, struct xc_sr_xl_hdr, mandatory_flags, unknown);
    if (!(h->mandatory_flags & XC_SR_XL_FLAG_STREAM_V2))
        return FAULT(LEGACY, struct xc_sr_xl_hdr, mandatory_flags, h->mandatory_flags);
    return right;
}

/* ---- records ---- */

static const struct xc_sr_record *find_row(const struct xc_sr_record *rows, size_t n, uint32_t type)
{
    /* Rows ascend, and the first of them are 0, 1, 2 ... */
    if (type < n && rows[type].type == type)
        return &rows[type];
    for (size_t i = 0; i < n; i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}

const struct xc_sr_record *xc_sr_find_record(uint32_t type)
{
    return find_row(xc_sr_records, XC_SR_RECORDS, type);
}

const struct xc_sr_record *xc_sr_find_libxl_record(uint32_t type)
{
    return find_row(xc_sr_libxl_records, XC_SR_LIBXL_RECORDS, type);
}

static const char *name_of(const struct xc_sr_record *record, uint32_t type)
{
    if (record)
        return record->name;
    return type & REC_OPTIONAL ? "optional" : "unknown";
}

const char *xc_sr_record_name(uint32_t type)
{
    return name_of(xc_sr_find_record(type), type);
}

const char *xc_sr_libxl_record_name(uint32_t type)
{
    return name_of(xc_sr_find_libxl_record(type), type);
}

bool xc_sr_length_fits(const struct xc_sr_record *record, uint32_t length)
{
    if (length < record->low || length > record->high)
        return false;
    return length == record->low || (length - record->low) % record->step == 0;
}

/* ---- order ---- */

static uint32_t bit_of(const struct xc_sr_record *record)
{
    return 1u << (record - xc_sr_records);
}

static uint32_t bit_of_guest(const struct xc_sr_order *order)
{
    return 1u << order->guest;
}

/* The first row of the set that such a guest can have; NULL when there is none. */
static const struct xc_sr_record *first_row(uint32_t set, const struct xc_sr_order *order)
{
    for (size_t i = 0; i < XC_SR_RECORDS; i++)
        if (set >> i & 1 && xc_sr_records[i].guests & bit_of_guest(order))
            return &xc_sr_records[i];
    return NULL;
}

static enum xc_sr_order_wrong check_place(const struct xc_sr_order *order,
                                          const struct xc_sr_record *record)
{
    switch (record->place) {
    case XC_SR_PLACE_STATIC:
    case XC_SR_PLACE_STATIC_END:
        return order->static_end ? XC_SR_ORDER_LATE : XC_SR_ORDER_RIGHT;
    case XC_SR_PLACE_MEMORY:
    case XC_SR_PLACE_LATER:
        return order->static_end || order->version < XC_SR_VERSION ? XC_SR_ORDER_RIGHT
                                                                   : XC_SR_ORDER_EARLY;
    default:
        return XC_SR_ORDER_RIGHT;
    }
}

static bool is_repeated(const struct xc_sr_order *order, const struct xc_sr_record *record)
{
    uint32_t bit = bit_of(record);

    return (record->often == XC_SR_OFTEN_ONCE && order->seen & bit) ||
           (record->often == XC_SR_OFTEN_CHECKPOINT && order->checkpoint & bit);
}

/* May it stand behind what has come? */
static enum xc_sr_order_wrong check_neighbours(const struct xc_sr_order *order,
                                               const struct xc_sr_record *record,
                                               const struct xc_sr_record **other)
{
    const struct xc_sr_record *first = first_row(record->behind & ~order->seen, order);
    const struct xc_sr_record *last = first_row(record->not_behind & order->checkpoint, order);

    if (first) {
        *other = first;
        return XC_SR_ORDER_BEFORE;
    }
    if (last) {
        *other = last;
        return XC_SR_ORDER_BEHIND;
    }
    return XC_SR_ORDER_RIGHT;
}

enum xc_sr_order_wrong xc_sr_check_order(const struct xc_sr_order *order, uint32_t type,
                                         const struct xc_sr_record **other)
{
    const struct xc_sr_record *record = xc_sr_find_record(type);
    enum xc_sr_order_wrong place;

    if (!record)
        return type & REC_OPTIONAL ? XC_SR_ORDER_RIGHT : XC_SR_ORDER_UNKNOWN;
    if (record->place == XC_SR_PLACE_RETIRED || record->place == XC_SR_PLACE_BACK_CHANNEL)
        return XC_SR_ORDER_NEVER;
    if (order->version < record->since)
        return XC_SR_ORDER_VERSION;
    if (!(record->guests & bit_of_guest(order)))
        return XC_SR_ORDER_GUEST;
    place = check_place(order, record);
    if (place)
        return place;
    if (is_repeated(order, record))
        return XC_SR_ORDER_TWICE;
    return check_neighbours(order, record, other);
}

void xc_sr_note_record(struct xc_sr_order *order, uint32_t type)
{
    const struct xc_sr_record *record = xc_sr_find_record(type);

    if (!record)
        return;
    if (record->place == XC_SR_PLACE_STATIC_END ||
        (record->place == XC_SR_PLACE_MEMORY && order->version < XC_SR_VERSION))
        order->static_end = true;
    order->seen |= bit_of(record);
    order->checkpoint |= bit_of(record);
    if (type == REC_CHECKPOINT)
        order->checkpoint = 0;
}

/* ---- words ---- */

static const char *name_of_guest(const struct xc_sr_order *order)
{
    return order->guest == XC_SR_GUEST_PV ? "a PV" : "an HVM";
}

const char *xc_sr_order_text(const struct xc_sr_order *order, enum xc_sr_order_wrong wrong,
                             const struct xc_sr_record *other, char (*text)[XC_SR_RULE_TEXT])
{
    static const char *const words[] = {
        [XC_SR_ORDER_RIGHT] = "is where it may stand",
        [XC_SR_ORDER_UNKNOWN] = "a mandatory record that is not known",
        [XC_SR_ORDER_NEVER] = "no stream from a sender to a receiver has it",
        [XC_SR_ORDER_EARLY] = "stands before STATIC_DATA_END",
        [XC_SR_ORDER_LATE] = "stands behind the end of the static data",
        [XC_SR_ORDER_TWICE] = "stands here a second time",
    };

    switch (wrong) {
    case XC_SR_ORDER_VERSION:
        (void)snprintf(*text, sizeof(*text), "a version %u stream has no such record",
                       order->version);
        break;
    case XC_SR_ORDER_GUEST:
        (void)snprintf(*text, sizeof(*text), "in the stream of %s guest", name_of_guest(order));
        break;
    case XC_SR_ORDER_BEFORE:
        (void)snprintf(*text, sizeof(*text), "stands here without %s before it", other->name);
        break;
    case XC_SR_ORDER_BEHIND:
        (void)snprintf(*text, sizeof(*text), "stands behind %s", other->name);
        break;
    default:
        (void)snprintf(*text, sizeof(*text), "%s", words[wrong]);
        break;
    }
    return *text;
}

const char *xc_sr_length_text(const struct xc_sr_record *record, uint32_t length,
                              char (*text)[XC_SR_RULE_TEXT])
{
    if (!record->high)
        (void)snprintf(*text, sizeof(*text), "has a body of %u bytes, must have none", length);
    else if (!record->step)
        (void)snprintf(*text, sizeof(*text), "length %u, must be %u", length, record->low);
    else if (record->step == 1 && record->high == UINT32_MAX)
        (void)snprintf(*text, sizeof(*text), "length %u, must be at least %u", length, record->low);
    else if (record->step == 1)
        (void)snprintf(*text, sizeof(*text), "length %u, must be %u to %u", length, record->low,
                       record->high);
    else if (record->step == record->low)
        (void)snprintf(*text, sizeof(*text), "length %u is not a multiple of %u above zero", length,
                       record->step);
    else
        (void)snprintf(*text, sizeof(*text), "length %u is not %u and a multiple of %u", length,
                       record->low, record->step);
    return *text;
}
