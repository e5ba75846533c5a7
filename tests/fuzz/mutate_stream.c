/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's mutator for fuzz_restore and fuzz_image: it knows where a stream's records begin and
 * end, so that what it makes is more often than not a stream whose records are wrong, not one that
 * ends there.
 */
#include <libdeflate.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <xc_sr_stream_format.h>

#define MAX_RECORDS 64u
#define HEADERS     (sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr))

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

struct span {
    size_t at, size; /* with header and padding */
};

struct input {
    uint8_t *data;
    size_t size, max;
    size_t stream; /* where libxc's begins */
    struct span records[MAX_RECORDS];
    size_t n;
};

static struct xc_sr_rhdr header_of(const struct input *in, size_t at)
{
    struct xc_sr_rhdr header;

    memcpy(&header, in->data + at, sizeof(header));
    return header;
}

/* Behind the target's own byte; in an xl image also behind xl's and libxl's headers, and that of
 * libxl's record. */
static void find_stream(struct input *in)
{
    struct xc_sr_xl_hdr xl;

    in->stream = 1;
    if (in->size < 1 + sizeof(xl))
        return;
    memcpy(&xl, in->data + 1, sizeof(xl));
    if (!memcmp(xl.magic, XC_SR_XL_MAGIC, sizeof(xl.magic)))
        in->stream += sizeof(xl) + xl.optional_length + sizeof(struct xc_sr_libxl_hdr) +
                      sizeof(struct xc_sr_rhdr);
}

static void find_records(struct input *in)
{
    find_stream(in);
    in->n = 0;
    for (size_t at = in->stream + HEADERS;
         in->n < MAX_RECORDS && at + sizeof(struct xc_sr_rhdr) <= in->size;
         at += in->records[in->n++].size) {
        struct xc_sr_rhdr header = header_of(in, at);
        size_t size = sizeof(header) + (header.length + (size_t)7) / 8 * 8;

        if (size > in->size - at)
            return;
        in->records[in->n] = (struct span){at, size};
    }
}

/* Other bytes in the place of these; false: there is no room. */
static bool splice(struct input *in, struct span old, const uint8_t *bytes, size_t size)
{
    size_t behind = old.at + old.size;

    if (in->size - old.size + size > in->max)
        return false;
    memmove(in->data + old.at + size, in->data + behind, in->size - behind);
    if (size)
        memcpy(in->data + old.at, bytes, size);
    in->size = in->size - old.size + size;
    return true;
}

/* A copy of one before another. */
static void copy(struct input *in, struct span from, size_t to)
{
    uint8_t *bytes = malloc(from.size);

    if (!bytes)
        abort();
    memcpy(bytes, in->data + from.at, from.size);
    (void)splice(in, (struct span){to, 0}, bytes, from.size);
    free(bytes);
}

/* To another place: before or behind it. */
static void move(struct input *in, struct span from, size_t to)
{
    size_t size = in->size;

    copy(in, from, to);
    if (in->size != size)
        (void)splice(in, (struct span){from.at + (to <= from.at ? from.size : 0), from.size}, NULL,
                     0);
}

static void change_type(struct input *in, struct span r, unsigned int rnd)
{
    static const uint32_t types[] = {
        REC_END,
        REC_PAGE_DATA,
        REC_X86_PV_INFO,
        REC_X86_PV_P2M_FRAMES,
        REC_X86_PV_VCPU_BASIC,
        REC_X86_PV_VCPU_EXTENDED,
        REC_X86_PV_VCPU_XSAVE,
        REC_SHARED_INFO,
        REC_X86_TSC_INFO,
        REC_HVM_CONTEXT,
        REC_HVM_PARAMS,
        REC_X86_PV_VCPU_MSRS,
        REC_STATIC_DATA_END,
        REC_X86_CPUID_POLICY,
        REC_X86_MSR_POLICY,
        REC_CHECKSUM,
        REC_OPTIONAL | 99,
    };

    memcpy(in->data + r.at, &types[rnd % (sizeof(types) / sizeof(types[0]))], sizeof(types[0]));
}

/* A body that is another, of the right length for its header. */
static void change_body(struct input *in, struct span r)
{
    struct xc_sr_rhdr header = header_of(in, r.at);
    size_t most = header.length + (size_t)256;
    uint8_t *record = calloc(1, sizeof(header) + most + 8);

    if (!record)
        abort();
    memcpy(record + sizeof(header), in->data + r.at + sizeof(header), header.length);
    header.length = (uint32_t)LLVMFuzzerMutate(record + sizeof(header), header.length, most);
    memset(record + sizeof(header) + header.length, 0, most + 8 - header.length);
    memcpy(record, &header, sizeof(header));
    (void)splice(in, r, record, sizeof(header) + (header.length + (size_t)7) / 8 * 8);
    free(record);
}

/* Some bytes of a body, nothing moves: the first ones, where counts and kinds are, or one of the
 * array's entries behind them. */
static void change_part(struct input *in, struct span r, unsigned int rnd)
{
    size_t body = r.size - sizeof(struct xc_sr_rhdr);
    size_t n = rnd & 1 ? 24 : 8, at = rnd & 2 ? 0 : rnd / 4 % (body ? body : 1) / 8 * 8;
    uint8_t part[24];

    if (at + n > body)
        return;
    memcpy(part, in->data + r.at + sizeof(struct xc_sr_rhdr) + at, n);
    if (LLVMFuzzerMutate(part, n, n))
        memcpy(in->data + r.at + sizeof(struct xc_sr_rhdr) + at, part, n);
}

/* PAGE_DATA: one entry gets another type or frame; the pages are as many as have contents. */
static void change_entry(struct input *in, struct span r, unsigned int rnd)
{
    static const uint8_t types[] = {XC_SR_PAGE_NOTAB, XC_SR_PAGE_XALLOC,   XC_SR_PAGE_BROKEN,
                                    XC_SR_PAGE_XTAB,  XC_SR_PAGE_L1TAB,    XC_SR_PAGE_L2TAB,
                                    XC_SR_PAGE_L4TAB, XC_SR_PAGE_L4TAB_PIN};
    struct xc_sr_rhdr header = header_of(in, r.at);
    struct xc_sr_page_data head = {.count = 0};
    size_t at = r.at + sizeof(header) + sizeof(head);
    uint64_t entry, type, was;

    if (r.size >= sizeof(header) + sizeof(head))
        memcpy(&head, in->data + r.at + sizeof(header), sizeof(head));
    if (header.type != REC_PAGE_DATA || !head.count || header.length < 8 + 8 * (size_t)head.count)
        return;
    at += rnd % head.count * sizeof(entry);
    rnd /= 1024;
    memcpy(&entry, in->data + at, sizeof(entry));
    was = entry >> XC_SR_TYPE_SHIFT;
    if (rnd & 1) {
        entry = (entry & ~XC_SR_PFN_MASK) | (rnd & 2 ? rnd / 4 % 128 : (1ull << rnd / 4 % 40) - 1);
    } else {
        type = types[rnd / 2 % sizeof(types)];
        entry = (entry & XC_SR_PFN_MASK) | type << XC_SR_TYPE_SHIFT;
        if (type >= XC_SR_PAGE_BROKEN && was < XC_SR_PAGE_BROKEN && header.length % 4096 >= 8 &&
            header.length > 4096) {
            header.length -= 4096;
            memcpy(in->data + r.at, &header, sizeof(header));
            (void)splice(in, (struct span){r.at + r.size - 4096, 4096}, NULL, 0);
        }
    }
    memcpy(in->data + at, &entry, sizeof(entry));
}

/* Every CHECKSUM says what stands before it. */
static void sum_up(struct input *in)
{
    size_t batch;

    find_records(in);
    batch = in->stream;
    for (size_t i = 0; i < in->n; i++) {
        const struct span r = in->records[i];
        struct xc_sr_checksum c = {.algorithm = XC_SR_CHECKSUM_CRC32};
        struct xc_sr_rhdr header = header_of(in, r.at);

        if (header.type != REC_CHECKSUM || header.length != sizeof(c))
            continue;
        c.batch_bytes = r.at - batch;
        c.whole_bytes = r.at - in->stream;
        c.batch_crc = libdeflate_crc32(0, in->data + batch, c.batch_bytes);
        c.whole_crc = libdeflate_crc32(0, in->data + in->stream, c.whole_bytes);
        memcpy(in->data + r.at + sizeof(header), &c, sizeof(c));
        batch = r.at + r.size;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct input in = {.data = data, .size = size, .max = max_size};
    unsigned int what = seed % 13, rnd = seed / 13;
    struct span r;

    find_records(&in);
    if (in.n < 2 || what == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    r = in.records[rnd % in.n];
    rnd /= MAX_RECORDS;
    if (what == 1)
        data[rnd % in.records[0].at] ^= (uint8_t)(1u << rnd / 65536 % 8);
    else if (what == 2)
        copy(&in, r, in.records[rnd % in.n].at);
    else if (what == 3)
        move(&in, r, in.records[rnd % in.n].at);
    else if (what == 4)
        (void)splice(&in, r, NULL, 0);
    else if (what == 5)
        change_type(&in, r, rnd);
    else if (what == 6)
        change_entry(&in, r, rnd);
    else if (what < 9)
        change_body(&in, r);
    else
        change_part(&in, r, rnd);
    if (seed % 5)
        sum_up(&in);
    return in.size;
}
