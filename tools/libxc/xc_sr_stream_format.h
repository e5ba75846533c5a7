/* SPDX-License-Identifier: MIT */
/*
 * What a migration stream is made of: numbers and layouts, of libxc's layer and of the two around
 * it.  docs/specs/libxc-migration-stream says what they mean; tests/unit/test_spec.py holds that
 * text's tables against this file.  The types of records are those of records.def, by way of
 * xc_sr_records.h.
 *
 * Every layout is what stands in the stream.  Headers marked "big-endian" are in network order;
 * all else is in the order of the sender, which on x86 is little-endian.
 */
#ifndef XC_SR_STREAM_FORMAT_H
#define XC_SR_STREAM_FORMAT_H

#include <stdint.h>

#include "xc_sr_records.h"

/* ---- libxc's layer: headers ---- */

#define XC_SR_MARKER 0xffffffffffffffffull
#define XC_SR_IDENT  0x58454e46u /* "XENF" */

#define XC_SR_VERSION_2 2u /* no static data but X86_PV_INFO */
#define XC_SR_VERSION   3u /* what is written */

#define XC_SR_OPT_BIG_ENDIAN (1u << 0)

/* Image header, big-endian. */
struct xc_sr_ihdr {
    uint64_t marker;
    uint32_t id;
    uint32_t version;
    uint16_t options;
    uint16_t reserved1;
    uint32_t reserved2;
};

/* The guest type in the domain header.  A PVH guest travels as HVM. */
enum xc_sr_guest {
    XC_SR_GUEST_PV = 1,
    XC_SR_GUEST_HVM = 2,
};

#define XC_SR_PAGE_SHIFT 12

/* Domain header. */
struct xc_sr_dhdr {
    uint32_t type; /* enum xc_sr_guest */
    uint16_t page_shift;
    uint16_t reserved;
    uint32_t xen_major, xen_minor; /* major 0: converted from a legacy stream */
};

/* ---- libxc's layer: records ---- */

/* Behind each record header come `length` bytes of body, and zeros up to a multiple of 8. */
struct xc_sr_rhdr {
    uint32_t type;
    uint32_t length;
};

#define XC_SR_RECORD_ALIGN 8u
/* The longest body that Xen's own reader takes. */
#define XC_SR_MAX_LENGTH   (128u << 20)

/* A reader that does not know such a record skips it; any other that it does not know, it
 * refuses. */
#define REC_OPTIONAL           0x80000000u
/* So many of them may stand one behind the other, in either layer.  Each costs a reader more than
 * it costs whoever makes it up. */
#define XC_SR_MAX_OPTIONAL_RUN 1024u

/* PAGE_DATA: this, an entry for each page, and the contents of the pages that have any. */
struct xc_sr_page_data {
    uint32_t count;
    uint32_t reserved;
    /* uint64_t pfn[count]; */
};

#define XC_SR_PFN_MASK   0x000fffffffffffffull
#define XC_SR_TYPE_MASK  0xf000000000000000ull
#define XC_SR_TYPE_SHIFT 60

/* Bits 63..60 of an entry: <xen/domctl.h>'s XEN_DOMCTL_PFINFO_*, shifted.  5 to 8 are no types. */
enum xc_sr_page_type {
    XC_SR_PAGE_NOTAB = 0x0,
    XC_SR_PAGE_L1TAB = 0x1,
    XC_SR_PAGE_L2TAB = 0x2,
    XC_SR_PAGE_L3TAB = 0x3,
    XC_SR_PAGE_L4TAB = 0x4,
    XC_SR_PAGE_L1TAB_PIN = 0x9,
    XC_SR_PAGE_L2TAB_PIN = 0xa,
    XC_SR_PAGE_L3TAB_PIN = 0xb,
    XC_SR_PAGE_L4TAB_PIN = 0xc,
    XC_SR_PAGE_BROKEN = 0xd, /* these three have no contents in the stream */
    XC_SR_PAGE_XALLOC = 0xe,
    XC_SR_PAGE_XTAB = 0xf,
};

struct xc_sr_pv_info {
    uint8_t guest_width; /* bytes of a word: 4 or 8 */
    uint8_t pt_levels;   /* 3 or 4 */
    uint8_t reserved[6];
};

/* X86_PV_P2M_FRAMES: this, and the frames that hold the p2m's entries start_pfn..end_pfn. */
struct xc_sr_p2m_frames {
    uint32_t start_pfn, end_pfn; /* both inclusive */
    /* uint64_t pfn[]; */
};

/* X86_PV_VCPU_{BASIC,EXTENDED,XSAVE,MSRS}: this, and what the hypervisor gave. */
struct xc_sr_vcpu {
    uint32_t vcpu_id;
    uint32_t reserved;
};

struct xc_sr_tsc_info {
    uint32_t mode;
    uint32_t khz;
    uint64_t nsec;
    uint32_t incarnation;
    uint32_t reserved;
};

struct xc_sr_hvm_param {
    uint64_t index;
    uint64_t value;
};

struct xc_sr_hvm_params {
    uint32_t count;
    uint32_t reserved;
    /* struct xc_sr_hvm_param param[count]; */
};

#define XC_SR_CHECKSUM_CRC32 1u /* the CRC-32 of IEEE 802.3 and zlib */

/*
 * CHECKSUM.  "batch" is what came since the end of the previous CHECKSUM, or since the marker;
 * "whole" what came since the marker.  Both end where this record's header begins, and count every
 * byte of libxc's layer in between.
 */
struct xc_sr_checksum {
    uint32_t algorithm;
    uint32_t batch_crc;
    uint64_t batch_bytes;
    uint64_t whole_bytes;
    uint32_t whole_crc;
    uint32_t reserved;
};

/* ---- libxl's layer ---- */

#define XC_SR_LIBXL_IDENT          0x4c6962786c466d74ull /* "LibxlFmt" */
#define XC_SR_LIBXL_VERSION        2u
#define XC_SR_LIBXL_OPT_BIG_ENDIAN (1u << 0)
#define XC_SR_LIBXL_OPT_LEGACY     (1u << 1)

/* Big-endian. */
struct xc_sr_libxl_hdr {
    uint64_t ident;
    uint32_t version;
    uint32_t options;
};

/* HEAD_CHECKSUM: of all in front of libxc's stream. */
struct xc_sr_head_checksum {
    uint32_t algorithm; /* XC_SR_CHECKSUM_CRC32 */
    uint32_t crc;
    uint64_t bytes; /* from the file's first byte to the end of LIBXC_CONTEXT */
};

/* The beginning of EMULATOR_XENSTORE_DATA and EMULATOR_CONTEXT. */
struct xc_sr_emulator {
    uint32_t emulator; /* 0 unknown, 1 qemu-traditional, 2 qemu */
    uint32_t index;
};

/* ---- xl's header ---- */

#define XC_SR_XL_MAGIC     "Xen saved domain, xl format\n \0 \r" /* 31 bytes and a NUL */
#define XC_SR_XL_BYTEORDER 0x01020304u

#define XC_SR_XL_FLAG_JSON      (1u << 0)
#define XC_SR_XL_FLAG_STREAM_V2 (1u << 1)

struct xc_sr_xl_hdr {
    char magic[32];
    uint32_t byteorder;
    uint32_t mandatory_flags;
    uint32_t optional_flags;
    uint32_t optional_length; /* bytes that follow: the configuration's length and it */
};

/* ---- no padding that is not named ---- */

_Static_assert(sizeof(struct xc_sr_ihdr) == 24, "image header");
_Static_assert(sizeof(struct xc_sr_dhdr) == 16, "domain header");
_Static_assert(sizeof(struct xc_sr_rhdr) == 8, "record header");
_Static_assert(sizeof(struct xc_sr_page_data) == 8, "PAGE_DATA");
_Static_assert(sizeof(struct xc_sr_pv_info) == 8, "X86_PV_INFO");
_Static_assert(sizeof(struct xc_sr_p2m_frames) == 8, "X86_PV_P2M_FRAMES");
_Static_assert(sizeof(struct xc_sr_vcpu) == 8, "X86_PV_VCPU_*");
_Static_assert(sizeof(struct xc_sr_tsc_info) == 24, "X86_TSC_INFO");
_Static_assert(sizeof(struct xc_sr_hvm_param) == 16, "HVM_PARAMS entry");
_Static_assert(sizeof(struct xc_sr_hvm_params) == 8, "HVM_PARAMS");
_Static_assert(sizeof(struct xc_sr_checksum) == 32, "CHECKSUM");
_Static_assert(sizeof(struct xc_sr_libxl_hdr) == 16, "libxl header");
_Static_assert(sizeof(struct xc_sr_emulator) == 8, "EMULATOR_*");
_Static_assert(sizeof(struct xc_sr_head_checksum) == 16, "HEAD_CHECKSUM");
_Static_assert(sizeof(struct xc_sr_xl_hdr) == 48, "xl header");

#endif /* XC_SR_STREAM_FORMAT_H */
