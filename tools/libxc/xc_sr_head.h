/* SPDX-License-Identifier: MIT */
/*
 * The head of a migration stream: everything before the first byte of memory.
 *
 * A stream is an image header, a domain header and records (docs/specs/libxc-migration-stream).
 * Version 3 puts the domain's CPUID and MSR policy first and ends that part with STATIC_DATA_END;
 * version 2 has no policy, and its head ends where the first memory begins (PAGE_DATA, or
 * X86_PV_P2M_FRAMES): Xen's reader would take a policy up to there.  An image made
 * by `xl save` wraps this in xl's header (with the domain's configuration) and libxl's stream.
 *
 * The parser does no I/O and allocates nothing: it is given bytes and says how many more it needs,
 * never one more than the head has.  xc_sr_head_read() is the same over a file descriptor.
 */
#ifndef XC_SR_HEAD_H
#define XC_SR_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cpuid-policy/policy.h>

#include "xc_sr_rules.h"

#define XC_SR_NO_RECORD 0xffffffffu /* in place of a record's number or type: there is none */

/* What the bytes begin with. */
enum xc_sr_layer {
    XC_SR_LIBXC, /* libxc's image header: what a save helper is given */
    XC_SR_XL,    /* xl's header: a file made by `xl save` */
    XC_SR_LIBXL, /* libxl's: what is in other toolstacks' files */
};

enum {
    XC_SR_MAX_MSRS = 16,          /* room for MSRs that no policy holds, so they can be named */
    XC_SR_MAX_OPTIONAL = 65536,   /* body of one optional record in the head */
    XC_SR_MAX_RECORDS = 32,       /* records in the head */
    XC_SR_MAX_CONFIG = 32768,     /* what is kept of the domain's configuration */
    XC_SR_MAX_OPTDATA = 16777216, /* xl's optional data; what is beyond the above is skipped */
    XC_SR_NAME = 256,
    /* The raw head of libxc's layer is never longer than this. */
    XC_SR_HEAD_MAX = 4 * XC_SR_MAX_OPTIONAL,
};

/* Everything the head says.  Large: not for small stacks. */
struct xc_sr_head {
    uint32_t version; /* 2 or 3 */
    enum xc_sr_guest guest;
    uint32_t xen_major, xen_minor; /* the hypervisor that wrote it */

    bool has_pv_info;
    uint8_t pv_width, pv_levels; /* bytes of a guest word; page table levels */

    bool has_cpuid, has_msrs; /* never MSRs alone */
    size_t nr_leaves, nr_msrs;
    uint64_t leaves_offset, msrs_offset; /* where entry 0 stands: a fault's index gives the rest */
    xen_cpuid_leaf_t leaves[POLICY_MAX_LEAVES];
    xen_msr_entry_t msrs[XC_SR_MAX_MSRS];

    /* Version 2: the header of the first record behind the head, PAGE_DATA or X86_PV_P2M_FRAMES,
     * has been read with it. */
    bool inferred_end;
    uint32_t next_type, next_length;

    uint64_t libxc_offset; /* where libxc's image header stands */
    uint64_t length;       /* bytes from the beginning (of xl's header) to the end of the head */
    unsigned int nr_records;

    /* XC_SR_XL only.  config is JSON text, cut at XC_SR_MAX_CONFIG; name is "" when not found. */
    uint32_t xl_flags;
    size_t config_length; /* in the image */
    char config[XC_SR_MAX_CONFIG + 1];
    char name[XC_SR_NAME];
};

/* What is wrong, and where. */
struct xc_sr_fault {
    uint64_t offset;  /* of the offending bytes, from the first byte given */
    uint32_t record;  /* counted from 0 within its layer; XC_SR_NO_RECORD: in a header */
    uint32_t type;    /* of that record, when there is one */
    bool libxl_layer; /* the record is one of libxl's, not of libxc's */
    bool truncated;   /* the bytes ended: nothing that was there is wrong */
    char text[256];   /* the whole sentence: "offset 40, record 0 (X86_CPUID_POLICY): ..." */
};

/* ---- the parser ---- */

struct xc_sr_parser {
    struct xc_sr_head *head;
    struct xc_sr_fault fault;
    unsigned int state;
    bool failed;
    bool libxl_layer;
    uint64_t offset;      /* bytes consumed */
    uint64_t item_offset; /* where the piece being read begins */
    uint64_t record_offset;
    size_t need;     /* bytes of the piece that are still to come */
    size_t have;     /* bytes of the piece that are in buf */
    uint32_t record; /* number of the current record */
    uint32_t type, length;
    uint32_t optdata_left;
    struct xc_sr_order order; /* of libxc's records */
    /* The longest piece that is kept whole: a CPUID policy with its padding. */
    uint8_t buf[POLICY_MAX_LEAVES * sizeof(xen_cpuid_leaf_t) + 8];
};

/* *head is zeroed and filled as the bytes come; it is whole once xc_sr_needs() returns 0. */
void xc_sr_parser_init(struct xc_sr_parser *p, enum xc_sr_layer layer, struct xc_sr_head *head);

/*
 * How many bytes can be read now without reading past the head.  0: the head is complete, or the
 * parser has failed.
 */
size_t xc_sr_needs(const struct xc_sr_parser *p);

/*
 * Take bytes.  Returns how many belonged to the head (less than len only when the head ended), or
 * -1 with errno EINVAL and p->fault.
 */
ssize_t xc_sr_feed(struct xc_sr_parser *p, const void *bytes, size_t len);

/* Say that the bytes have ended.  0 when the head is complete; else -1, EINVAL, p->fault. */
int xc_sr_end(struct xc_sr_parser *p);

/* ---- over a file descriptor ---- */

/*
 * Read a head from fd, not a byte beyond it.  raw (may be NULL) keeps the bytes as they came:
 * head->length says how many they are, never more than there is room for; only for XC_SR_LIBXC.
 * fd may be blocking or not.  Returns 0; or -1 with a sentence in fault->text and
 * errno: EINVAL for a bad or truncated head, else the error of read().
 */
int xc_sr_head_read(int fd, enum xc_sr_layer layer, struct xc_sr_head *head,
                    uint8_t (*raw)[XC_SR_HEAD_MAX], struct xc_sr_fault *fault);

/* The policy of a complete head in the library's form.  -1 with errno ENODATA when it has none;
 * EINVAL with the faults in *r, entries counted from 0 in their record, also when it is not whole
 * (policy_whole). */
int xc_sr_head_policy(const struct xc_sr_head *head, struct cpu_policy *policy,
                      struct policy_report *r);

#endif /* XC_SR_HEAD_H */
