/* SPDX-License-Identifier: MIT */
/*
 * What headers and records of a migration stream must be: records.def as a table, and rules that
 * are pure functions.  They do no I/O, keep nothing and say what is wrong as a number.  Readers
 * have words of their own, or take those that are here.  docs/specs/libxc-migration-stream is where
 * the rules come from.
 */
#ifndef XC_SR_RULES_H
#define XC_SR_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "xc_sr_stream_format.h"

/* ---- headers ---- */

enum xc_sr_header_wrong {
    XC_SR_HEADER_RIGHT,
    XC_SR_HEADER_MAGIC,    /* its marker or magic is another: no such stream begins here */
    XC_SR_HEADER_IDENT,    /* libxc's "XENF" is another */
    XC_SR_HEADER_VERSION,  /* one that is not known */
    XC_SR_HEADER_ENDIAN,   /* big-endian; of xl's header: any other byte order */
    XC_SR_HEADER_LEGACY,   /* it is, or was converted from, an image of Xen 4.5 or older */
    XC_SR_HEADER_OPTIONS,  /* options or mandatory flags that are not known */
    XC_SR_HEADER_RESERVED, /* another reserved field is not zero */
    XC_SR_HEADER_GUEST,    /* a guest type that is not known */
    XC_SR_HEADER_PAGES,    /* pages of another size than x86 has */
};

/* The first thing that is wrong with a header, in the order of its fields. */
struct xc_sr_header_fault {
    enum xc_sr_header_wrong what;
    unsigned int at; /* byte offset in the header */
    uint32_t
        value; /* what stands there, in the order of the host; of OPTIONS the bits in question */
};

/* Check the first 8 bytes of a stream of libxc, as they came. */
struct xc_sr_header_fault xc_sr_check_marker(uint64_t marker);
/* Check headers, as they stand in the stream: image header and libxl's are big-endian. */
struct xc_sr_header_fault xc_sr_check_image_header(const struct xc_sr_ihdr *h);
struct xc_sr_header_fault xc_sr_check_domain_header(const struct xc_sr_dhdr *h);
struct xc_sr_header_fault xc_sr_check_libxl_header(const struct xc_sr_libxl_hdr *h);
/* The length of xl's optional data is its reader's to judge. */
struct xc_sr_header_fault xc_sr_check_xl_header(const struct xc_sr_xl_hdr *h);

/* The stream's version, of an image header that is right. */
uint32_t xc_sr_image_version(const struct xc_sr_ihdr *h);

/* ---- records.def ---- */

/* records.def says what each of them means. */
enum xc_sr_place {
    XC_SR_PLACE_STATIC,
    XC_SR_PLACE_STATIC_END,
    XC_SR_PLACE_MEMORY,
    XC_SR_PLACE_LATER,
    XC_SR_PLACE_ANYWHERE,
    XC_SR_PLACE_RETIRED,
    XC_SR_PLACE_BACK_CHANNEL,
    XC_SR_PLACE_FIRST,
    XC_SR_PLACE_CHECKPOINTED,
};

enum xc_sr_often {
    XC_SR_OFTEN_ONCE,
    XC_SR_OFTEN_CHECKPOINT,
    XC_SR_OFTEN_VCPU,
    XC_SR_OFTEN_ANY,
};

/* A row.  Sets of rows are bits 1 << row number. */
struct xc_sr_record {
    uint32_t type;
    const char *name;
    uint8_t guests; /* bits 1 << enum xc_sr_guest */
    uint8_t since;  /* version of the layer's stream */
    uint8_t place;  /* enum xc_sr_place */
    uint8_t often;  /* enum xc_sr_often */
    /* Bytes of the body: low and a multiple of step, at most high. */
    uint32_t low, step, high;
    uint32_t behind;     /* rows of which one stands before it, for guests that have them */
    uint32_t not_behind; /* rows of which none of the same checkpoint stands before it */
};

/* The rows of each layer, in the order of types; xc_sr_records.h says how many. */
extern const struct xc_sr_record xc_sr_records[XC_SR_RECORDS];
extern const struct xc_sr_record xc_sr_libxl_records[XC_SR_LIBXL_RECORDS];

/* Find the row of a type; NULL when the type is not known. */
const struct xc_sr_record *xc_sr_find_record(uint32_t type);
const struct xc_sr_record *xc_sr_find_libxl_record(uint32_t type);

/* Name a type: "X86_CPUID_POLICY", of libxl's layer "LIBXC_CONTEXT"; "optional" or "unknown" when
 * it is not known. */
const char *xc_sr_record_name(uint32_t type);
const char *xc_sr_libxl_record_name(uint32_t type);

/* Say whether a body of such a record can have that many bytes. */
bool xc_sr_length_fits(const struct xc_sr_record *record, uint32_t length);

/* ---- the order of libxc's records ---- */

/* What has come so far.  Begin with the headers' version and guest, and zeros. */
struct xc_sr_order {
    uint32_t version;
    enum xc_sr_guest guest;
    bool static_end;           /* the static data has ended, in version 2 by the first memory */
    uint32_t seen, checkpoint; /* rows that have come: ever, and since the last CHECKPOINT */
};

enum xc_sr_order_wrong {
    XC_SR_ORDER_RIGHT,
    XC_SR_ORDER_UNKNOWN, /* a mandatory record that is not known */
    XC_SR_ORDER_NEVER,   /* retired, or of the back-channel */
    XC_SR_ORDER_VERSION, /* no stream of this version has it */
    XC_SR_ORDER_GUEST,   /* no stream of such a guest has it */
    XC_SR_ORDER_EARLY,   /* before STATIC_DATA_END */
    XC_SR_ORDER_LATE,    /* behind the end of the static data */
    XC_SR_ORDER_TWICE,   /* once more than it may */
    XC_SR_ORDER_BEFORE,  /* before *other */
    XC_SR_ORDER_BEHIND,  /* behind *other */
};

/*
 * Check whether a record of this type may stand here; lengths and vCPUs' numbers are not looked at.
 * *other is set with the last two.  The first rule that is broken, in the order of the enum.
 */
enum xc_sr_order_wrong xc_sr_check_order(const struct xc_sr_order *order, uint32_t type,
                                         const struct xc_sr_record **other);

/* Note that it stands here, right or wrong. */
void xc_sr_note_record(struct xc_sr_order *order, uint32_t type);

/* ---- words ---- */

#define XC_SR_RULE_TEXT 96

/* Say what is wrong, into *text, which is returned: "stands here a second time"; "length 7, must be
 * 8".  other: as xc_sr_check_order() has set it. */
const char *xc_sr_order_text(const struct xc_sr_order *order, enum xc_sr_order_wrong wrong,
                             const struct xc_sr_record *other, char (*text)[XC_SR_RULE_TEXT]);
const char *xc_sr_length_text(const struct xc_sr_record *record, uint32_t length,
                              char (*text)[XC_SR_RULE_TEXT]);

#endif /* XC_SR_RULES_H */
