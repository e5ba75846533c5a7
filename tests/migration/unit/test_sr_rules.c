/* SPDX-License-Identifier: MIT */
/*
 * The rules of a stream's headers and records (xc_sr_rules.h): each kind of row of records.def,
 * each field of the headers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <xc_sr_rules.h>

/* ---- headers ---- */

/* One byte of a header that is right, changed. */
struct wrong {
    size_t at;
    uint8_t value;
    enum xc_sr_header_wrong what;
    unsigned int field; /* where the fault is */
    uint32_t says;
};

typedef struct xc_sr_header_fault check(const void *header);

static void check_header(const void *header, size_t size, check *fn, const struct wrong *wrongs,
                         size_t n)
{
    uint8_t bytes[64];

    assert_true(size <= sizeof(bytes));
    assert_int_equal(fn(header).what, XC_SR_HEADER_RIGHT);
    for (size_t i = 0; i < n; i++) {
        struct xc_sr_header_fault f;

        memcpy(bytes, header, size);
        bytes[wrongs[i].at] = wrongs[i].value;
        f = fn(bytes);
        if (f.what != wrongs[i].what || f.at != wrongs[i].field || f.value != wrongs[i].says)
            fail_msg("byte %zu: fault %d at %u with %#x", wrongs[i].at, f.what, f.at, f.value);
    }
}

static struct xc_sr_header_fault check_image(const void *header)
{
    return xc_sr_check_image_header(header);
}

static struct xc_sr_header_fault check_domain(const void *header)
{
    return xc_sr_check_domain_header(header);
}

static struct xc_sr_header_fault check_libxl(const void *header)
{
    return xc_sr_check_libxl_header(header);
}

static struct xc_sr_header_fault check_xl(const void *header)
{
    return xc_sr_check_xl_header(header);
}

static void test_image_header(void **state)
{
    static const struct wrong wrongs[] = {
        {7, 0xfe, XC_SR_HEADER_MAGIC, 0, 0},
        {11, 'G', XC_SR_HEADER_IDENT, 8, XC_SR_IDENT + 1},
        {15, 1, XC_SR_HEADER_VERSION, 12, 1},
        {15, 4, XC_SR_HEADER_VERSION, 12, 4},
        {12, 1, XC_SR_HEADER_VERSION, 12, 0x01000003},
        {17, 1, XC_SR_HEADER_ENDIAN, 16, 1},
        {17, 2, XC_SR_HEADER_OPTIONS, 16, 2},
        {16, 0x80, XC_SR_HEADER_OPTIONS, 16, 0x8000},
        {18, 1, XC_SR_HEADER_RESERVED, 18, 0},
        {19, 1, XC_SR_HEADER_RESERVED, 18, 0},
        {20, 1, XC_SR_HEADER_RESERVED, 18, 0},
        {23, 1, XC_SR_HEADER_RESERVED, 18, 0},
    };
    struct xc_sr_ihdr h = {.marker = XC_SR_MARKER,
                           .id = __builtin_bswap32(XC_SR_IDENT),
                           .version = __builtin_bswap32(2)};

    (void)state;
    assert_int_equal(xc_sr_check_image_header(&h).what, XC_SR_HEADER_RIGHT);
    assert_int_equal(xc_sr_image_version(&h), 2);
    h.version = __builtin_bswap32(3);
    check_header(&h, sizeof(h), check_image, wrongs, sizeof(wrongs) / sizeof(wrongs[0]));
    assert_int_equal(xc_sr_check_marker(XC_SR_MARKER).what, XC_SR_HEADER_RIGHT);
    assert_int_equal(xc_sr_check_marker(0).what, XC_SR_HEADER_MAGIC);
}

static void test_domain_header(void **state)
{
    static const struct wrong wrongs[] = {
        {0, 0, XC_SR_HEADER_GUEST, 0, 0},
        {0, 3, XC_SR_HEADER_GUEST, 0, 3},
        {3, 1, XC_SR_HEADER_GUEST, 0, 1u << 24 | XC_SR_GUEST_HVM},
        {4, 13, XC_SR_HEADER_PAGES, 4, 13},
        {5, 1, XC_SR_HEADER_PAGES, 4, 0x10c},
        {6, 1, XC_SR_HEADER_RESERVED, 6, 1},
        {7, 1, XC_SR_HEADER_RESERVED, 6, 0x100},
    };
    struct xc_sr_dhdr h = {.type = XC_SR_GUEST_PV,
                           .page_shift = XC_SR_PAGE_SHIFT,
                           .xen_major = 4,
                           .xen_minor = UINT32_MAX};

    (void)state;
    assert_int_equal(xc_sr_check_domain_header(&h).what, XC_SR_HEADER_RIGHT);
    h.type = XC_SR_GUEST_HVM;
    check_header(&h, sizeof(h), check_domain, wrongs, sizeof(wrongs) / sizeof(wrongs[0]));
}

static void test_libxl_header(void **state)
{
    static const struct wrong wrongs[] = {
        {0, 'l', XC_SR_HEADER_MAGIC, 0, 0},   {11, 3, XC_SR_HEADER_VERSION, 8, 3},
        {15, 1, XC_SR_HEADER_ENDIAN, 12, 1},  {15, 2, XC_SR_HEADER_LEGACY, 12, 2},
        {15, 4, XC_SR_HEADER_OPTIONS, 12, 4}, {12, 0x80, XC_SR_HEADER_OPTIONS, 12, 1u << 31},
    };
    const struct xc_sr_libxl_hdr h = {.ident = __builtin_bswap64(XC_SR_LIBXL_IDENT),
                                      .version = __builtin_bswap32(XC_SR_LIBXL_VERSION)};

    (void)state;
    check_header(&h, sizeof(h), check_libxl, wrongs, sizeof(wrongs) / sizeof(wrongs[0]));
}

static void test_xl_header(void **state)
{
    static const struct wrong wrongs[] = {
        {0, 'x', XC_SR_HEADER_MAGIC, 0, 0},           {31, 1, XC_SR_HEADER_MAGIC, 0, 0},
        {32, 1, XC_SR_HEADER_ENDIAN, 32, 0x01020301}, {36, 7, XC_SR_HEADER_OPTIONS, 36, 4},
        {36, 1, XC_SR_HEADER_LEGACY, 36, 1},
    };
    struct xc_sr_xl_hdr h = {.byteorder = XC_SR_XL_BYTEORDER,
                             .mandatory_flags = XC_SR_XL_FLAG_JSON | XC_SR_XL_FLAG_STREAM_V2,
                             .optional_flags = 5,
                             .optional_length = 77};

    (void)state;
    memcpy(h.magic, XC_SR_XL_MAGIC, sizeof(h.magic));
    check_header(&h, sizeof(h), check_xl, wrongs, sizeof(wrongs) / sizeof(wrongs[0]));
}

/* ---- the table ---- */

static void test_find(void **state)
{
    (void)state;
    for (size_t i = 0; i < XC_SR_RECORDS; i++)
        assert_ptr_equal(xc_sr_find_record(xc_sr_records[i].type), &xc_sr_records[i]);
    for (size_t i = 0; i < XC_SR_LIBXL_RECORDS; i++)
        assert_ptr_equal(xc_sr_find_libxl_record(xc_sr_libxl_records[i].type),
                         &xc_sr_libxl_records[i]);
    for (uint32_t type = 0; type < XC_SR_TYPES; type++)
        assert_non_null(xc_sr_find_record(type));
    assert_null(xc_sr_find_record(XC_SR_TYPES));
    assert_null(xc_sr_find_record(LIBXL_REC_HEAD_CHECKSUM));
    assert_null(xc_sr_find_record(REC_OPTIONAL));
    assert_null(xc_sr_find_libxl_record(XC_SR_LIBXL_TYPES));
    assert_null(xc_sr_find_libxl_record(UINT32_MAX));
    assert_string_equal(xc_sr_record_name(REC_CHECKSUM), "CHECKSUM");
    assert_string_equal(xc_sr_record_name(LIBXL_REC_HEAD_CHECKSUM), "optional");
    assert_string_equal(xc_sr_libxl_record_name(LIBXL_REC_HEAD_CHECKSUM), "HEAD_CHECKSUM");
}

/* Each kind of size: what fits, and what does not. */
static void test_lengths(void **state)
{
    static const struct {
        uint32_t type, length;
        bool fits;
    } rows[] = {
        {REC_END, 0, true}, /* empty */
        {REC_END, 8, false},
        {REC_X86_TSC_INFO, 24, true}, /* N */
        {REC_X86_TSC_INFO, 0, false},
        {REC_X86_TSC_INFO, 23, false},
        {REC_X86_TSC_INFO, 48, false},
        {REC_X86_CPUID_POLICY, 24, true}, /* N* */
        {REC_X86_CPUID_POLICY, 48, true},
        {REC_X86_CPUID_POLICY, 0, false},
        {REC_X86_CPUID_POLICY, 36, false},
        {REC_HVM_PARAMS, 8, true}, /* N+M* */
        {REC_HVM_PARAMS, 24, true},
        {REC_HVM_PARAMS, 0, false},
        {REC_HVM_PARAMS, 16, false},
        {REC_PAGE_DATA, 8, true}, /* N.. */
        {REC_PAGE_DATA, UINT32_MAX, true},
        {REC_PAGE_DATA, 7, false},
        {REC_TOOLSTACK, 0, true},
        {REC_X86_PV_VCPU_EXTENDED, 8, true}, /* N..M */
        {REC_X86_PV_VCPU_EXTENDED, 136, true},
        {REC_X86_PV_VCPU_EXTENDED, 137, false},
        {REC_CHECKSUM, 32, true},
        {REC_CHECKSUM, 24, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (xc_sr_length_fits(xc_sr_find_record(rows[i].type), rows[i].length) != rows[i].fits)
            fail_msg("%s of %u bytes", xc_sr_record_name(rows[i].type), rows[i].length);
    assert_true(xc_sr_length_fits(xc_sr_find_libxl_record(LIBXL_REC_HEAD_CHECKSUM), 16));
    assert_false(xc_sr_length_fits(xc_sr_find_libxl_record(LIBXL_REC_LIBXC_CONTEXT), 1));
}

/* ---- order ---- */

#define PV  XC_SR_GUEST_PV
#define HVM XC_SR_GUEST_HVM

/* Records that have come, ended by NONE; then one more, and what is wrong with it. */
#define NONE 0xfffffffeu
struct order_row {
    uint32_t version;
    enum xc_sr_guest guest;
    uint32_t before[8];
    uint32_t type;
    enum xc_sr_order_wrong wrong;
    uint32_t other; /* of BEFORE and BEHIND */
};

#define STATIC_HVM REC_X86_CPUID_POLICY, REC_STATIC_DATA_END
#define STATIC_PV  REC_X86_PV_INFO, REC_STATIC_DATA_END

static const struct order_row order_rows[] = {
    {3, HVM, {NONE}, 0x13, XC_SR_ORDER_UNKNOWN, 0},
    {3, HVM, {NONE}, 0x7fffffff, XC_SR_ORDER_UNKNOWN, 0},
    {3, HVM, {REC_OPTIONAL | 0x13, NONE}, REC_OPTIONAL | 0x13, XC_SR_ORDER_RIGHT, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_TOOLSTACK, XC_SR_ORDER_NEVER, 0},
    {2, PV, {REC_X86_PV_INFO, NONE}, REC_CHECKPOINT_DIRTY_PFN_LIST, XC_SR_ORDER_NEVER, 0},
    /* since */
    {2, HVM, {NONE}, REC_X86_CPUID_POLICY, XC_SR_ORDER_VERSION, 0},
    {2, HVM, {NONE}, REC_X86_MSR_POLICY, XC_SR_ORDER_VERSION, 0},
    {2, PV, {REC_X86_PV_INFO, NONE}, REC_STATIC_DATA_END, XC_SR_ORDER_VERSION, 0},
    /* guests */
    {3, HVM, {NONE}, REC_X86_PV_INFO, XC_SR_ORDER_GUEST, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_SHARED_INFO, XC_SR_ORDER_GUEST, 0},
    {3, PV, {STATIC_PV, NONE}, REC_HVM_CONTEXT, XC_SR_ORDER_GUEST, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_X86_PV_VCPU_MSRS, XC_SR_ORDER_GUEST, 0},
    /* STATIC, STATIC_END */
    {3, HVM, {STATIC_HVM, NONE}, REC_X86_MSR_POLICY, XC_SR_ORDER_LATE, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_STATIC_DATA_END, XC_SR_ORDER_LATE, 0},
    {3, HVM, {REC_X86_CPUID_POLICY, NONE}, REC_X86_MSR_POLICY, XC_SR_ORDER_RIGHT, 0},
    {3, HVM, {NONE}, REC_STATIC_DATA_END, XC_SR_ORDER_RIGHT, 0},
    /* MEMORY, LATER */
    {3, HVM, {REC_X86_CPUID_POLICY, NONE}, REC_PAGE_DATA, XC_SR_ORDER_EARLY, 0},
    {3, HVM, {NONE}, REC_END, XC_SR_ORDER_EARLY, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_PAGE_DATA, XC_SR_ORDER_RIGHT, 0},
    {3, HVM, {STATIC_HVM, NONE}, REC_END, XC_SR_ORDER_RIGHT, 0},
    /* In version 2 the first MEMORY ends the static data, and nothing else does. */
    {2, HVM, {NONE}, REC_X86_TSC_INFO, XC_SR_ORDER_RIGHT, 0},
    {2, PV, {REC_X86_TSC_INFO, NONE}, REC_X86_PV_INFO, XC_SR_ORDER_RIGHT, 0},
    {2, PV, {REC_X86_PV_INFO, REC_X86_PV_P2M_FRAMES, NONE}, REC_X86_PV_INFO, XC_SR_ORDER_LATE, 0},
    {2, PV, {REC_PAGE_DATA, NONE}, REC_X86_PV_INFO, XC_SR_ORDER_LATE, 0},
    /* ANYWHERE */
    {3, HVM, {NONE}, REC_CHECKSUM, XC_SR_ORDER_RIGHT, 0},
    {3, HVM, {STATIC_HVM, REC_PAGE_DATA, REC_CHECKSUM, NONE}, REC_CHECKSUM, XC_SR_ORDER_RIGHT, 0},
    /* once */
    {3, HVM, {REC_X86_CPUID_POLICY, NONE}, REC_X86_CPUID_POLICY, XC_SR_ORDER_TWICE, 0},
    {3, PV, {REC_X86_PV_INFO, NONE}, REC_X86_PV_INFO, XC_SR_ORDER_TWICE, 0},
    {3,
     HVM,
     {STATIC_HVM, REC_PAGE_DATA, REC_VERIFY, REC_CHECKPOINT, NONE},
     REC_VERIFY,
     XC_SR_ORDER_TWICE,
     0},
    /* checkpoint */
    {3, HVM, {STATIC_HVM, REC_X86_TSC_INFO, NONE}, REC_X86_TSC_INFO, XC_SR_ORDER_TWICE, 0},
    {2, HVM, {REC_HVM_PARAMS, NONE}, REC_HVM_PARAMS, XC_SR_ORDER_TWICE, 0},
    {3,
     HVM,
     {STATIC_HVM, REC_X86_TSC_INFO, REC_CHECKPOINT, NONE},
     REC_X86_TSC_INFO,
     XC_SR_ORDER_RIGHT,
     0},
    /* vcpu, any: who reads them knows of which vCPU they are */
    {3,
     PV,
     {STATIC_PV, REC_X86_PV_P2M_FRAMES, REC_X86_PV_VCPU_BASIC, NONE},
     REC_X86_PV_VCPU_BASIC,
     XC_SR_ORDER_RIGHT,
     0},
    {3, HVM, {STATIC_HVM, REC_PAGE_DATA, NONE}, REC_PAGE_DATA, XC_SR_ORDER_RIGHT, 0},
    /* BEHIND: for guests that have the other, and once is enough */
    {3,
     PV,
     {REC_STATIC_DATA_END, NONE},
     REC_X86_PV_P2M_FRAMES,
     XC_SR_ORDER_BEFORE,
     REC_X86_PV_INFO},
    {3, PV, {STATIC_PV, NONE}, REC_PAGE_DATA, XC_SR_ORDER_BEFORE, REC_X86_PV_P2M_FRAMES},
    {3, PV, {STATIC_PV, NONE}, REC_X86_PV_VCPU_XSAVE, XC_SR_ORDER_BEFORE, REC_X86_PV_P2M_FRAMES},
    {3, HVM, {STATIC_HVM, NONE}, REC_VERIFY, XC_SR_ORDER_BEFORE, REC_PAGE_DATA},
    {3,
     PV,
     {STATIC_PV, REC_X86_PV_P2M_FRAMES, REC_CHECKPOINT, NONE},
     REC_PAGE_DATA,
     XC_SR_ORDER_RIGHT,
     0},
    /* NOT_BEHIND: in the same checkpoint */
    {3,
     PV,
     {STATIC_PV, REC_X86_PV_P2M_FRAMES, REC_X86_PV_VCPU_MSRS, NONE},
     REC_PAGE_DATA,
     XC_SR_ORDER_BEHIND,
     REC_X86_PV_VCPU_MSRS},
    {3,
     PV,
     {STATIC_PV, REC_X86_PV_P2M_FRAMES, REC_X86_PV_VCPU_BASIC, NONE},
     REC_X86_PV_P2M_FRAMES,
     XC_SR_ORDER_BEHIND,
     REC_X86_PV_VCPU_BASIC},
    {3,
     PV,
     {STATIC_PV, REC_X86_PV_P2M_FRAMES, REC_X86_PV_VCPU_BASIC, REC_CHECKPOINT, NONE},
     REC_PAGE_DATA,
     XC_SR_ORDER_RIGHT,
     0},
};

static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(order_rows) / sizeof(order_rows[0]); i++) {
        const struct order_row *row = &order_rows[i];
        struct xc_sr_order order = {.version = row->version, .guest = row->guest};
        const struct xc_sr_record *other = NULL;
        enum xc_sr_order_wrong wrong;

        for (size_t n = 0; row->before[n] != NONE; n++)
            xc_sr_note_record(&order, row->before[n]);
        wrong = xc_sr_check_order(&order, row->type, &other);
        if (wrong != row->wrong)
            fail_msg("row %zu (%s): %d", i, xc_sr_record_name(row->type), wrong);
        if (wrong == XC_SR_ORDER_BEFORE || wrong == XC_SR_ORDER_BEHIND)
            assert_int_equal(other->type, row->other);
        else
            assert_null(other);
    }
}

/* ---- words ---- */

static void test_words(void **state)
{
    static const struct {
        uint32_t type, length;
        const char *text;
    } rows[] = {
        {REC_END, 8, "has a body of 8 bytes, must have none"},
        {REC_X86_TSC_INFO, 23, "length 23, must be 24"},
        {REC_PAGE_DATA, 7, "length 7, must be at least 8"},
        {REC_X86_PV_VCPU_EXTENDED, 137, "length 137, must be 8 to 136"},
        {REC_X86_CPUID_POLICY, 25, "length 25 is not a multiple of 24 above zero"},
        {REC_HVM_PARAMS, UINT32_MAX, "length 4294967295 is not 8 and a multiple of 16"},
    };
    const struct xc_sr_order hvm = {.version = 2, .guest = HVM}, pv = {.version = 3, .guest = PV};
    const struct xc_sr_record *longest = xc_sr_find_record(REC_CHECKPOINT_DIRTY_PFN_LIST);
    char text[XC_SR_RULE_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(
            xc_sr_length_text(xc_sr_find_record(rows[i].type), rows[i].length, &text),
            rows[i].text);
    for (int wrong = XC_SR_ORDER_RIGHT; wrong <= XC_SR_ORDER_BEHIND; wrong++) {
        const char *words = xc_sr_order_text(&pv, (enum xc_sr_order_wrong)wrong, longest, &text);

        assert_ptr_equal(words, text);
        assert_in_range(strlen(words), 10, XC_SR_RULE_TEXT - 2);
    }
    assert_string_equal(xc_sr_order_text(&hvm, XC_SR_ORDER_VERSION, NULL, &text),
                        "a version 2 stream has no such record");
    assert_string_equal(xc_sr_order_text(&hvm, XC_SR_ORDER_GUEST, NULL, &text),
                        "in the stream of an HVM guest");
    assert_string_equal(xc_sr_order_text(&pv, XC_SR_ORDER_GUEST, NULL, &text),
                        "in the stream of a PV guest");
    assert_string_equal(xc_sr_order_text(&pv, XC_SR_ORDER_BEFORE, longest, &text),
                        "stands here without CHECKPOINT_DIRTY_PFN_LIST before it");
    assert_string_equal(xc_sr_order_text(&pv, XC_SR_ORDER_BEHIND, longest, &text),
                        "stands behind CHECKPOINT_DIRTY_PFN_LIST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_header), cmocka_unit_test(test_domain_header),
        cmocka_unit_test(test_libxl_header), cmocka_unit_test(test_xl_header),
        cmocka_unit_test(test_find),         cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_order),        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
