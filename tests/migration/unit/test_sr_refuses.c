/* SPDX-License-Identifier: MIT */
/*
 * What the stream's reader must refuse: a good stream with one thing in it that is wrong, each
 * once.  It is refused in words that say what, before the memory when that is where it stands, and
 * nothing is left of the domain.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>
#include <xc_sr_stream_format.h>
#include <xen/hvm/params.h>

#include "inproc.h"
#include "srpair.h"

#define MACHINE "intel-haswell-ep"
#define HEADERS (sizeof(struct xc_sr_ihdr) + sizeof(struct xc_sr_dhdr))
#define RHDR    sizeof(struct xc_sr_rhdr)

static struct srpair p;

/* ---- a stream, and what is done to it ---- */

enum change {
    SET,    /* bytes at `at` of the body become the value; HEADER: of the stream */
    LENGTH, /* the body gets `at` bytes, zeros at its end or cut; the value: its count field */
    CLAIM,  /* the header says `at` bytes, and nothing else changes */
    TYPE,   /* becomes the value */
    DROP,
    TWICE,
    FIRST, /* it stands before all others */
    PAD,   /* one byte longer, and its padding is not zero */
};

#define HEADER UINT32_MAX

struct wrong {
    uint32_t record; /* the first of this type, or HEADER */
    enum change change;
    size_t at;
    uint64_t value;
    unsigned int size; /* bytes that SET sets */
    const char *says;
};

/* In the order of the stream.  Lengths and limits: one beyond what is allowed. */
static const struct wrong wrongs[] = {
    {HEADER, SET, 0, 0, 8, "is no migration stream"},
    {HEADER, SET, 8, 0, 4, "not XENF"},
    {HEADER, SET, 15, 4, 1, "version 4"},
    {HEADER, SET, 15, 1, 1, "version 1"},
    {HEADER, SET, 17, 1, 1, "big-endian"},
    {HEADER, SET, 18, 1, 1, "reserved bits"},
    {HEADER, SET, 20, 1, 4, "reserved bits"},
    {HEADER, SET, 24, 3, 4, "guest type 3"},
    {HEADER, SET, 24, XC_SR_GUEST_PV, 4, "it is a PV domain's"},
    {HEADER, SET, 28, 13, 2, "2^13"},
    {HEADER, SET, 30, 1, 2, "guest type"},
    {REC_X86_CPUID_POLICY, LENGTH, 0, 0, 0, "it has 1 to"},
    {REC_X86_CPUID_POLICY, LENGTH, 23, 0, 0, "it has 1 to"},
    {REC_X86_CPUID_POLICY, LENGTH, (POLICY_MAX_LEAVES + 1) * 24, 0, 0, "it has 1 to"},
    {REC_X86_CPUID_POLICY, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_CPUID_POLICY, DROP, 0, 0, 0, "X86_MSR_POLICY, and no X86_CPUID_POLICY"},
    {REC_X86_CPUID_POLICY, SET, 0, 0x12345678, 4, "cannot be"},
    {REC_X86_MSR_POLICY, LENGTH, 15, 0, 0, "it has 1 to"},
    {REC_X86_MSR_POLICY, LENGTH, (POLICY_MAX_MSRS + 1) * 16, 0, 0, "it has 1 to"},
    {REC_X86_MSR_POLICY, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_MSR_POLICY, DROP, 0, 0, 0, "MSR CE is not named"},
    {REC_STATIC_DATA_END, LENGTH, 8, 0, 0, "it has a body"},
    {REC_STATIC_DATA_END, TWICE, 0, 0, 0, "does not belong here"},
    {REC_STATIC_DATA_END, FIRST, 0, 0, 0, "does not say which CPU"},
    {REC_STATIC_DATA_END, DROP, 0, 0, 0, "before STATIC_DATA_END"},
    {REC_STATIC_DATA_END, TYPE, 0, REC_X86_PV_INFO, 0, "before STATIC_DATA_END"},
    {REC_PAGE_DATA, FIRST, 0, 0, 0, "before STATIC_DATA_END"},
    {REC_X86_TSC_INFO, FIRST, 0, 0, 0, "before STATIC_DATA_END"},
    {REC_PAGE_DATA, CLAIM, XC_SR_MAX_LENGTH + 1, 0, 0, "are the most"},
    {REC_PAGE_DATA, LENGTH, 4, 1, 0, "4 bytes"},
    {REC_PAGE_DATA, LENGTH, 8, 1, 0, "1 pages in 8 bytes"},
    {REC_PAGE_DATA, SET, 0, 0, 4, "0 pages"},
    {REC_PAGE_DATA, LENGTH, 8 + 1025 * 8, 1025, 0, "1025 pages"},
    {REC_PAGE_DATA, SET, 4, 1, 4, "pages in"},
    {REC_PAGE_DATA, SET, 8 + 6, 0x10, 1, "reserved bits"},
    {REC_PAGE_DATA, SET, 8 + 4, 0x10, 1, "beyond all memory"},
    {REC_PAGE_DATA, SET, 8 + 7, XC_SR_PAGE_L1TAB << 4, 1, "no pages of type 1"},
    {REC_PAGE_DATA, SET, 8 + 7, XC_SR_PAGE_L4TAB_PIN << 4, 1, "no pages of type 12"},
    {REC_PAGE_DATA, SET, 8 + 7, 5 << 4, 1, "no pages of type 5"},
    {REC_PAGE_DATA, SET, 8 + 7, XC_SR_PAGE_XTAB << 4, 1,
     "bytes for"}, /* its page is one too many */
    {REC_PAGE_DATA, TYPE, 0, REC_X86_PV_P2M_FRAMES, 0, "an HVM domain's stream"},
    {REC_PAGE_DATA, TYPE, 0, REC_TOOLSTACK, 0, "no such record"},
    {REC_PAGE_DATA, TYPE, 0, 0x13, 0, "no such record (0x13)"},
    {REC_PAGE_DATA, TYPE, 0, REC_CHECKSUM, 0, "must be 32"},
    {REC_X86_TSC_INFO, LENGTH, 16, 0, 0, "must be 24"},
    {REC_X86_TSC_INFO, LENGTH, 32, 0, 0, "must be 24"},
    {REC_X86_TSC_INFO, SET, 20, 1, 4, "reserved"},
    {REC_X86_TSC_INFO, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_TSC_INFO, DROP, 0, 0, 0, "no X86_TSC_INFO"},
    {REC_HVM_CONTEXT, LENGTH, 0, 0, 0, "0 bytes"},
    {REC_HVM_CONTEXT, CLAIM, (16u << 20) + 1, 0, 0, "can be"},
    {REC_HVM_CONTEXT, TWICE, 0, 0, 0, "a second time"},
    {REC_HVM_CONTEXT, DROP, 0, 0, 0, "no HVM_CONTEXT"},
    {REC_HVM_CONTEXT, PAD, 0, 0, 0, "padding is not zero"},
    {REC_HVM_CONTEXT, SET, 0, 0xffff, 2, "HEADER is not first"},
    {REC_HVM_PARAMS, LENGTH, 4, 1, 0, "at least 8"},
    {REC_HVM_PARAMS, LENGTH, 8 + 65 * 16, 65, 0, "65 parameters"},
    {REC_HVM_PARAMS, SET, 0, 2, 4, "2 parameters"},
    {REC_HVM_PARAMS, SET, 4, 1, 4, "parameters"},
    {REC_HVM_PARAMS, TWICE, 0, 0, 0, "a second time"},
    {REC_HVM_PARAMS, SET, 8, 0xffff, 4, "parameter 65535"},
    {REC_HVM_PARAMS, SET, 12, 1, 4, "there is none"},
    {REC_END, LENGTH, 8, 0, 0, "it has a body"},
    {REC_END, DROP, 0, 0, 0, "ends before its end"},
};

/* Of a PV domain's with 8 PFNs and 2 vCPUs (tests/fuzz/mkstreams.c).  PFN 1 has the p2m, 5 is the
 * top of the page tables. */
#define PAGE(pfn) (8 + 8 * 8 + (pfn)*4096)
static const struct wrong pv_wrongs[] = {
    {HEADER, SET, 24, XC_SR_GUEST_HVM, 4, "it is a HVM domain's"},
    {REC_X86_PV_INFO, LENGTH, 7, 0, 0, "7 bytes"},
    {REC_X86_PV_INFO, SET, 0, 4, 1, "words of 4"},
    {REC_X86_PV_INFO, SET, 1, 5, 1, "5 levels"},
    {REC_X86_PV_INFO, SET, 0, 0x0304, 2, "32-bit PV"},
    {REC_X86_PV_INFO, SET, 7, 1, 1, "reserved"},
    {REC_X86_PV_INFO, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_PV_INFO, DROP, 0, 0, 0, "no X86_PV_INFO"},
    {REC_STATIC_DATA_END, DROP, 0, 0, 0, "before STATIC_DATA_END"},
    {REC_X86_PV_P2M_FRAMES, FIRST, 0, 0, 0, "before STATIC_DATA_END"},
    {REC_X86_PV_P2M_FRAMES, LENGTH, 4, 7, 0, "4 bytes"},
    {REC_X86_PV_P2M_FRAMES, LENGTH, 24, 0, 0, "24 bytes for"},
    {REC_X86_PV_P2M_FRAMES, SET, 4, UINT32_MAX, 4, "bytes for the 8388608"},
    {REC_X86_PV_P2M_FRAMES, SET, 0, 9, 4, "frames 9 to 7"},
    {REC_X86_PV_P2M_FRAMES, SET, 0, 512 | 1000ull << 32, 8, "begins at frame 200"},
    {REC_X86_PV_P2M_FRAMES, SET, 8, 8, 8, "frame 8 is beyond the 8"},
    {REC_X86_PV_P2M_FRAMES, SET, 15, 0xff, 1, "is beyond the 8"},
    {REC_X86_PV_P2M_FRAMES, DROP, 0, 0, 0, "frame 0 is beyond the 0"},
    {REC_PAGE_DATA, SET, 8, 8, 4, "frame 8 is beyond the 8"},
    {REC_PAGE_DATA, SET, 8 + 7, 8 << 4, 1, "no pages of type 8"},
    {REC_PAGE_DATA, SET, 8 + 7, XC_SR_PAGE_XALLOC << 4, 1, "bytes for 8 entries"},
    {REC_PAGE_DATA, SET, PAGE(5), 8 << 12 | 7, 4, "entry 0 is 8007"},
    {REC_PAGE_DATA, SET, PAGE(5), 6 << 12 | 0x87, 4, "level 4: entry 0"},
    {REC_PAGE_DATA, SET, PAGE(6) + 511 * 8, UINT64_MAX, 8, "level 3: entry 511"},
    {REC_PAGE_DATA, TYPE, 0, REC_HVM_CONTEXT, 0, "a PV domain's stream"},
    {REC_SHARED_INFO, LENGTH, 4095, 0, 0, "4095 bytes"},
    {REC_SHARED_INFO, LENGTH, 4104, 0, 0, "4104 bytes"},
    {REC_SHARED_INFO, TWICE, 0, 0, 0, "a second time"},
    {REC_SHARED_INFO, DROP, 0, 0, 0, "no SHARED_INFO"},
    {REC_X86_PV_VCPU_BASIC, LENGTH, 4, 0, 0, "4 bytes"},
    {REC_X86_PV_VCPU_BASIC, LENGTH, 8, 0, 0, "vCPU 0: 0 bytes"},
    {REC_X86_PV_VCPU_BASIC, SET, 0, 2, 4, "vCPU 2; the domain has 2"},
    {REC_X86_PV_VCPU_BASIC, SET, 0, UINT32_MAX, 4, "the domain has 2"},
    {REC_X86_PV_VCPU_BASIC, SET, 4, 1, 4, "reserved"},
    {REC_X86_PV_VCPU_BASIC, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_PV_VCPU_BASIC, DROP, 0, 0, 0, "no X86_PV_VCPU_BASIC"},
    {REC_X86_PV_VCPU_BASIC, TYPE, 0, REC_X86_PV_VCPU_EXTENDED, 0, "vCPU 0:"},
    {REC_X86_PV_VCPU_XSAVE, LENGTH, 23, 0, 0, "vCPU 0: 15 bytes"},
    {REC_X86_PV_VCPU_XSAVE, LENGTH, 8 + 4 * 4096 + 1, 0, 0, "vCPU 0: 16385 bytes"},
    {REC_X86_PV_VCPU_XSAVE, TWICE, 0, 0, 0, "a second time"},
    {REC_X86_TSC_INFO, DROP, 0, 0, 0, "no X86_TSC_INFO"},
    {REC_END, DROP, 0, 0, 0, "ends before its end"},
};

static size_t find(const uint8_t *bytes, size_t size, uint32_t type, size_t *length)
{
    for (size_t at = HEADERS; at + RHDR <= size; at += *length) {
        struct xc_sr_rhdr header;

        memcpy(&header, bytes + at, RHDR);
        *length = RHDR + (header.length + (size_t)7) / 8 * 8;
        if (header.type == type)
            return at;
    }
    fail_msg("the stream has no record %#x", type);
    return 0;
}

/* A copy of the record, to be changed: its header and body, with room. */
static uint8_t *record_of(const uint8_t *bytes, size_t at, size_t *length, const struct wrong *w)
{
    uint8_t *record = calloc(1, *length + w->at + 64);
    struct xc_sr_rhdr header;

    assert_non_null(record);
    memcpy(record, bytes + at, *length);
    memcpy(&header, record, RHDR);
    switch (w->change) {
    case SET:
        memcpy(record + RHDR + w->at, &w->value, w->size);
        break;
    case LENGTH:
        memset(record + RHDR + w->at, 0, *length > RHDR + w->at ? *length - RHDR - w->at : 0);
        if (w->value)
            memcpy(record + RHDR, &w->value, 4);
        header.length = (uint32_t)w->at;
        *length = RHDR + (w->at + 7) / 8 * 8;
        break;
    case CLAIM:
        header.length = (uint32_t)w->at;
        break;
    case TYPE:
        header.type = (uint32_t)w->value;
        break;
    case PAD:
        header.length++;
        *length = RHDR + (header.length + (size_t)7) / 8 * 8;
        memset(record + RHDR + header.length, 1, -header.length % 8);
        break;
    default:
        break;
    }
    memcpy(record, &header, RHDR);
    return record;
}

/* The stream with that in it, into p.stream. */
static void make_wrong(const uint8_t *bytes, size_t size, const struct wrong *w)
{
    size_t old = 0, at = w->record == HEADER ? 0 : find(bytes, size, w->record, &old), length = old;
    uint8_t *record = record_of(bytes, at, &length, w), *out = malloc(size + length), *end = out;
    size_t first = w->change == FIRST ? HEADERS : at;

    assert_non_null(out);
    end = (uint8_t *)memcpy(out, bytes, first) + first;
    if (w->change != DROP)
        end = (uint8_t *)memcpy(end, record, length) + length;
    if (w->change == TWICE)
        end = (uint8_t *)memcpy(end, record, length) + length;
    end = (uint8_t *)memcpy(end, bytes + first, at - first) + at - first;
    end = (uint8_t *)memcpy(end, bytes + at + old, size - at - old) + size - at - old;
    if (w->record == HEADER)
        memcpy(out + w->at, &w->value, w->size);
    srpair_replace(&p, out, (size_t)(end - out));
    free(record);
    free(out);
}

/* ---- it is refused ---- */

/* Before its memory? */
static bool is_static(const struct wrong *w)
{
    return w->record == HEADER || w->record == REC_STATIC_DATA_END ||
           w->record == REC_X86_PV_INFO || w->record == REC_X86_CPUID_POLICY ||
           w->record == REC_X86_MSR_POLICY || w->change == FIRST;
}

static void refused(const struct domain *from, const struct wrong *w, size_t row)
{
    uint64_t frames = p.dst->hv.free_pages;
    struct xc_restore_result result;
    struct domain *there;
    int rc;

    there = srpair_receive(&p, from, false, &rc, &result);
    if (rc != -1)
        fail_msg("row %zu (%s) was taken", row, w->says);
    if (!inproc_said(w->says))
        fail_msg("row %zu (%s): it said: %s", row, w->says, inproc_log());
    if (is_static(w))
        assert_int_equal(there->memory.tot_pages, 0);
    domain_destroy(there);
    assert_int_equal(p.dst->hv.free_pages, frames);
}

/* With n optional records of nothing in front of the first record of that type. */
static void make_run(const uint8_t *bytes, size_t size, uint32_t type, size_t n)
{
    static const struct xc_sr_rhdr optional = {.type = REC_OPTIONAL | 5};
    size_t length, at = find(bytes, size, type, &length);
    uint8_t *out = malloc(size + n * RHDR);

    assert_non_null(out);
    memcpy(out, bytes, at);
    for (size_t i = 0; i < n; i++)
        memcpy(out + at + i * RHDR, &optional, RHDR);
    memcpy(out + at + n * RHDR, bytes + at, size - at);
    srpair_replace(&p, out, size + n * RHDR);
    free(out);
}

/* Optional records are skipped, but not for ever: 16 MiB of them must not keep a reader busy. */
static void runs(const struct domain *d, const uint8_t *bytes, size_t size)
{
    static const uint32_t types[] = {REC_X86_CPUID_POLICY, REC_STATIC_DATA_END, REC_PAGE_DATA,
                                     REC_X86_TSC_INFO, REC_END};
    static const struct wrong w = {.says = "more than 1024 optional records one behind the other"};
    struct xc_restore_result result;
    struct domain *there;
    int rc;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        make_run(bytes, size, types[i], XC_SR_MAX_OPTIONAL_RUN + 1);
        refused(d, &w, i);
        make_run(bytes, size, types[i], XC_SR_MAX_OPTIONAL_RUN);
        there = srpair_receive(&p, d, false, &rc, &result);
        assert_int_equal(rc, 0);
        domain_destroy(there);
    }
}

static void hvm(void **state)
{
    const struct xc_save_options options = {.live = false};
    struct xc_restore_result result;
    struct domain *d, *there;
    uint8_t *bytes;
    size_t size;
    int rc;

    (void)state;
    srpair_boot(&p, MACHINE, MACHINE);
    d = srpair_guest(&p, SCRIPT_STEADY, NULL);
    d->hvm_params[HVM_PARAM_STORE_PFN] = 3;
    (void)sim_host_run(p.src, 100);
    assert_int_equal(srpair_save(&p, d, &options, 0, 0, NULL), 0);
    bytes = srpair_contents(&p, &size);
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        make_wrong(bytes, size, &wrongs[i]);
        refused(d, &wrongs[i], i);
    }
    runs(d, bytes, size);
    /* And without any of that it is a good one. */
    srpair_replace(&p, bytes, size);
    there = srpair_receive(&p, d, false, &rc, &result);
    assert_int_equal(rc, 0);
    assert_int_equal(result.store_gfn, 3);
    domain_destroy(there);
    free(bytes);
    srpair_halt(&p);
}

static const char *pv_stream; /* behind a byte that is the fuzzer's */

static void pv(void **state)
{
    static uint8_t bytes[1 << 17];
    FILE *f = fopen(pv_stream, "re");
    struct domain *d;
    size_t size;

    (void)state;
    assert_non_null(f);
    size = fread(bytes, 1, sizeof(bytes), f);
    assert_true(size > HEADERS && feof(f));
    (void)fclose(f);
    srpair_boot(&p, MACHINE, MACHINE);
    p.stream = memfd_create("stream", MFD_CLOEXEC);
    d = simdomain_empty(p.src, false, false, 2, 1);
    assert_non_null(d);
    for (size_t i = 0; i < sizeof(pv_wrongs) / sizeof(pv_wrongs[0]); i++) {
        make_wrong(bytes + 1, size - 1, &pv_wrongs[i]);
        refused(d, &pv_wrongs[i], i);
    }
    srpair_halt(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hvm), cmocka_unit_test(pv)};

    if (argc != 2)
        return 2;
    pv_stream = argv[1];
    return cmocka_run_group_tests_name("restore: what is refused", tests, NULL, NULL);
}
