/* SPDX-License-Identifier: MIT */
/*
 * The head of a migration stream: what is taken, and what is wrong with what is not, each with its
 * place.  Streams are built here byte by byte, from the published format, by code that shares
 * nothing with the parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "xc_sr_head.h"

/* ---- building ---- */

static uint8_t stream[1 << 20];
static size_t length;

static void le(uint64_t value, unsigned int bytes)
{
    while (bytes--) {
        stream[length++] = (uint8_t)value;
        value >>= 8;
    }
}

static void be(uint64_t value, unsigned int bytes)
{
    while (bytes--)
        stream[length++] = (uint8_t)(value >> (8 * bytes));
}

static void zeroes(size_t n)
{
    memset(stream + length, 0, n);
    length += n;
}

static void begin(void)
{
    length = 0;
}

static void image_header(uint32_t version)
{
    be(UINT64_MAX, 8);
    be(0x58454e46, 4);
    be(version, 4);
    zeroes(8);
}

static void domain_header(uint32_t type)
{
    le(type, 4);
    le(12, 2);
    zeroes(2);
    le(4, 4);
    le(17, 4);
}

static void headers(uint32_t version, uint32_t type)
{
    begin();
    image_header(version);
    domain_header(type);
}

static void rec(uint32_t type, uint32_t size)
{
    le(type, 4);
    le(size, 4);
}

static void empty(uint32_t type, uint32_t size)
{
    rec(type, size);
    zeroes((size + 7) & ~7u);
}

static void pv_info(unsigned int width, unsigned int levels)
{
    rec(REC_X86_PV_INFO, 8);
    le(width, 1);
    le(levels, 1);
    zeroes(6);
}

static void leaf(uint32_t number, uint32_t subleaf, uint32_t a)
{
    le(number, 4);
    le(subleaf, 4);
    le(a, 4);
    le(0x11, 4);
    le(0x22, 4);
    le(0x33, 4);
}

/* A small one, but whole: it says itself that leaf 1 is its last. */
static void cpuid_policy(void)
{
    rec(REC_X86_CPUID_POLICY, 3 * 24);
    leaf(0, POLICY_NONE, 1);
    leaf(1, POLICY_NONE, 0x306c3);
    leaf(0x80000000, POLICY_NONE, 0x80000000);
}

static void msr_policy(void)
{
    rec(REC_X86_MSR_POLICY, 32);
    le(0xce, 4);
    le(0, 4);
    le(0x80000000, 8);
    le(0x10a, 4);
    le(0, 4);
    le(0x1000, 8);
}

static void good_hvm(void)
{
    headers(3, 2);
    cpuid_policy();
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
}

static void good_pv(void)
{
    headers(3, 1);
    pv_info(8, 4);
    cpuid_policy();
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
}

#define XL_MAGIC "Xen saved domain, xl format\n \0 \r"
static const char config[] = "{\n    \"c_info\": {\n        \"type\": \"pvh\",\n        \"name\": "
                             "\"we\\\"b1\",\n        \"uuid\": 1 } }";

static void xl_header(uint32_t flags, uint32_t optdata)
{
    memcpy(stream + length, XL_MAGIC, 32);
    length += 32;
    le(0x01020304, 4);
    le(flags, 4);
    le(0, 4);
    le(optdata, 4);
}

static void libxl_header(uint32_t version, uint32_t options)
{
    be(0x4c6962786c466d74, 8);
    be(version, 4);
    be(options, 4);
}

static void xl_image_head(void)
{
    begin();
    xl_header(3, 4 + sizeof(config));
    le(sizeof(config), 4);
    memcpy(stream + length, config, sizeof(config));
    length += sizeof(config);
    libxl_header(2, 0);
    rec(1, 0);
}

static void xl_image(void)
{
    xl_image_head();
    image_header(3);
    domain_header(2);
    cpuid_policy();
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
}

/* ---- running ---- */

static struct xc_sr_head head;
static struct xc_sr_parser parser;

/* Feed it in pieces; 0 when the head is complete. */
static int run(enum xc_sr_layer layer, size_t size, size_t piece)
{
    size_t at = 0;

    xc_sr_parser_init(&parser, layer, &head);
    while (at < size && xc_sr_needs(&parser)) {
        size_t n = size - at < piece ? size - at : piece;
        ssize_t used = xc_sr_feed(&parser, stream + at, n);

        if (used < 0)
            return -1;
        at += (size_t)used;
    }
    return xc_sr_end(&parser);
}

static void takes(enum xc_sr_layer layer)
{
    static const size_t pieces[] = {1, 2, 3, 7, 8, 24, 100, sizeof(stream)};
    size_t end = length;

    memset(stream + length, 0xa5, 64); /* what is behind the head must not be looked at */
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (run(layer, end + 64, pieces[i]))
            fail_msg("in pieces of %zu: %s", pieces[i], parser.fault.text);
        assert_int_equal(head.length, end);
    }
}

/* ---- what is taken ---- */

static void test_hvm(void **state)
{
    (void)state;
    good_hvm();
    takes(XC_SR_LIBXC);
    assert_int_equal(head.version, 3);
    assert_int_equal(head.guest, XC_SR_GUEST_HVM);
    assert_int_equal(head.xen_major, 4);
    assert_int_equal(head.xen_minor, 17);
    assert_true(head.has_cpuid && head.has_msrs && !head.has_pv_info && !head.inferred_end);
    assert_int_equal(head.nr_leaves, 3);
    assert_int_equal(head.leaves_offset, 48);
    assert_int_equal(head.leaves[1].leaf, 1);
    assert_int_equal(head.leaves[1].subleaf, POLICY_NONE);
    assert_int_equal(head.leaves[1].a, 0x306c3);
    assert_int_equal(head.leaves[1].d, 0x33);
    assert_int_equal(head.nr_msrs, 2);
    assert_int_equal(head.msrs[0].idx, 0xce);
    assert_int_equal(head.msrs[0].val, 0x80000000);
    assert_int_equal(head.msrs[1].idx, 0x10a);
    assert_int_equal(head.msrs[1].val, 0x1000);
    assert_int_equal(head.msrs_offset, 48 + 72 + 8);
    assert_int_equal(head.nr_records, 3);
}

static void test_pv(void **state)
{
    (void)state;
    good_pv();
    takes(XC_SR_LIBXC);
    assert_int_equal(head.guest, XC_SR_GUEST_PV);
    assert_true(head.has_pv_info);
    assert_int_equal(head.pv_width, 8);
    assert_int_equal(head.pv_levels, 4);

    headers(3, 1);
    cpuid_policy();
    pv_info(4, 3);
    rec(REC_STATIC_DATA_END, 0);
    takes(XC_SR_LIBXC);
    assert_int_equal(head.pv_width, 4);
}

static void test_no_msrs(void **state)
{
    (void)state;
    headers(3, 2);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
    takes(XC_SR_LIBXC);
    assert_true(head.has_cpuid && !head.has_msrs);
}

static void test_version_2(void **state)
{
    (void)state;
    headers(2, 2);
    rec(REC_PAGE_DATA, 4112);
    takes(XC_SR_LIBXC);
    assert_true(head.inferred_end && !head.has_cpuid);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
    assert_int_equal(head.next_length, 4112);

    headers(2, 1);
    pv_info(8, 4);
    rec(REC_X86_PV_P2M_FRAMES, 16);
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_X86_PV_P2M_FRAMES);

    /* The head goes on to the memory, whatever stands before it. */
    headers(2, 2);
    empty(REC_X86_TSC_INFO, 24);
    empty(REC_OPTIONAL | 9, 5);
    empty(REC_HVM_CONTEXT, 70001);
    rec(REC_PAGE_DATA, 8);
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
    assert_int_equal(head.nr_records, 4);
}

static void test_optional_records(void **state)
{
    (void)state;
    headers(3, 2);
    empty(REC_OPTIONAL | 5, 0);
    empty(REC_OPTIONAL | 5, 13);
    cpuid_policy();
    empty(0xffffffff, XC_SR_MAX_OPTIONAL);
    rec(REC_STATIC_DATA_END, 0);
    takes(XC_SR_LIBXC);
    assert_int_equal(head.nr_records, 5);

    headers(2, 2);
    empty(REC_OPTIONAL | 5, 16);
    rec(REC_PAGE_DATA, 8);
    takes(XC_SR_LIBXC);
    assert_int_equal(head.next_type, REC_PAGE_DATA);
}

static void test_xl_image(void **state)
{
    (void)state;
    xl_image();
    takes(XC_SR_XL);
    assert_string_equal(head.name, "we\"b1");
    assert_int_equal(head.config_length, sizeof(config));
    assert_string_equal(head.config, config);
    assert_int_equal(head.xl_flags, 3);
    assert_int_equal(head.libxc_offset, 48 + 4 + sizeof(config) + 16 + 8);
    assert_int_equal(head.leaves_offset, head.libxc_offset + 48);
}

static void test_xl_image_variants(void **state)
{
    (void)state;
    begin();
    xl_header(3, 0); /* no configuration */
    libxl_header(2, 0);
    empty(REC_OPTIONAL | 1, 5);
    rec(1, 0);
    image_header(3);
    domain_header(2);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
    takes(XC_SR_XL);
    assert_string_equal(head.name, "");

    begin();
    xl_header(3, 4 + 100000 + 50); /* longer than is kept, and something behind it */
    le(100000, 4);
    memset(stream + length, ' ', 100050);
    length += 100050;
    libxl_header(2, 0);
    rec(1, 0);
    image_header(3);
    domain_header(2);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
    takes(XC_SR_XL);
    assert_int_equal(head.config_length, 100000);
    assert_int_equal(strlen(head.config), XC_SR_MAX_CONFIG);
}

/* ---- what is refused ---- */

/* One bad stream: how it is made, where the fault is, what is said. */
struct bad {
    const char *name;
    void (*make)(void);
    uint64_t offset;
    uint32_t record;
    uint32_t type;
    const char *words;
    enum xc_sr_layer layer;
};

static void m_garbage(void)
{
    begin();
    memset(stream, 'G', 100);
    length = 100;
}
static void m_id(void)
{
    good_hvm();
    stream[11] ^= 1;
}
static void m_version_1(void)
{
    headers(1, 2);
}
static void m_version_4(void)
{
    headers(4, 2);
}
static void m_big_endian(void)
{
    good_hvm();
    stream[17] |= 1;
}
static void m_arm(void)
{
    headers(3, 4);
}
static void m_type_0(void)
{
    headers(3, 0);
}
static void m_page_shift(void)
{
    good_hvm();
    stream[28] = 16;
}
static void m_unknown(void)
{
    headers(3, 2);
    cpuid_policy();
    rec(0x13, 0);
}
static void m_early_memory(void)
{
    headers(3, 2);
    cpuid_policy();
    rec(REC_PAGE_DATA, 8);
}
static void m_early_end(void)
{
    headers(3, 2);
    rec(REC_END, 0);
}
static void m_cpuid_twice(void)
{
    headers(3, 2);
    cpuid_policy();
    cpuid_policy();
}
static void m_msr_twice(void)
{
    headers(3, 2);
    msr_policy();
    msr_policy();
}
static void m_msrs_alone(void)
{
    headers(3, 2);
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
}
static void m_pv_info_twice(void)
{
    headers(3, 1);
    pv_info(8, 4);
    pv_info(8, 4);
}
static void m_cpuid_empty(void)
{
    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 0);
}
static void m_cpuid_odd(void)
{
    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 25);
}
static void m_cpuid_long(void)
{
    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, (POLICY_MAX_LEAVES + 1) * 24);
}
static void m_cpuid_huge(void)
{
    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 0xfffffff0);
}
static void m_msr_odd(void)
{
    headers(3, 2);
    rec(REC_X86_MSR_POLICY, 8);
}
static void m_msr_long(void)
{
    headers(3, 2);
    rec(REC_X86_MSR_POLICY, (XC_SR_MAX_MSRS + 1) * 16);
}
static void m_pv_info_hvm(void)
{
    headers(3, 2);
    pv_info(8, 4);
}
static void m_pv_info_short(void)
{
    headers(3, 1);
    rec(REC_X86_PV_INFO, 4);
}
static void m_pv_info_width(void)
{
    headers(3, 1);
    pv_info(8, 3);
}
static void m_pv_info_none(void)
{
    headers(3, 1);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
}
static void m_pv_info_none_v2(void)
{
    headers(2, 1);
    rec(REC_X86_PV_P2M_FRAMES, 8);
}
static void m_end_body(void)
{
    headers(3, 2);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 8);
}
static void m_v2_policy(void)
{
    headers(2, 2);
    cpuid_policy();
}
static void m_v2_msrs(void)
{
    headers(2, 2);
    msr_policy();
}
static void m_v2_end(void)
{
    headers(2, 2);
    rec(REC_STATIC_DATA_END, 0);
}
static void m_v2_unknown(void)
{
    headers(2, 2);
    rec(0x7fffffff, 0);
}
/* Xen's reader takes such a policy: it applies what it has when the first memory comes. */
static void m_v2_smuggled(void)
{
    headers(2, 2);
    empty(REC_X86_TSC_INFO, 24);
    cpuid_policy();
    rec(REC_PAGE_DATA, 8);
}
static void m_v2_smuggled_pv(void)
{
    headers(2, 1);
    pv_info(8, 4);
    empty(REC_SHARED_INFO, 4096);
    msr_policy();
    rec(REC_X86_PV_P2M_FRAMES, 8);
}
static void m_v2_no_memory(void)
{
    headers(2, 2);
    empty(REC_X86_TSC_INFO, 24);
    rec(REC_END, 0);
}
static void m_v2_long(void)
{
    headers(2, 2);
    empty(REC_OPTIONAL, 40000);
    rec(REC_HVM_CONTEXT, XC_SR_HEAD_MAX - 40000 - 40 - 24 + 1);
}
static void m_v2_wraps(void)
{
    headers(2, 2);
    rec(REC_HVM_CONTEXT, 0xffffffff);
}
static void m_options(void)
{
    good_hvm();
    stream[16] |= 0x80;
}
static void m_image_reserved(void)
{
    good_hvm();
    stream[18] = 1;
}
static void m_image_reserved_last(void)
{
    good_hvm();
    stream[23] = 1;
}
static void m_domain_reserved(void)
{
    good_hvm();
    stream[31] = 1;
}
static void m_pv_info_reserved(void)
{
    good_pv();
    stream[40 + 8 + 7] = 1;
}
static void m_padding(void)
{
    headers(3, 2);
    empty(REC_OPTIONAL, 13);
    stream[length - 1] = 1;
}
static void m_padding_v2(void)
{
    headers(2, 2);
    empty(REC_HVM_CONTEXT, 1);
    stream[length - 7] = 1;
}
/* The policy stands behind as many optional records as a head can hold. */
static void m_long_policy(void)
{
    headers(3, 2);
    for (int i = 0; i < 3; i++)
        empty(REC_OPTIONAL, XC_SR_MAX_OPTIONAL);
    empty(REC_OPTIONAL, XC_SR_HEAD_MAX - 40 - 3 * (8 + XC_SR_MAX_OPTIONAL) - 16);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
}
static void m_long_pv_info(void)
{
    headers(3, 1);
    for (int i = 0; i < 3; i++)
        empty(REC_OPTIONAL, XC_SR_MAX_OPTIONAL);
    empty(REC_OPTIONAL, XC_SR_HEAD_MAX - 40 - 3 * (8 + XC_SR_MAX_OPTIONAL) - 16);
    pv_info(8, 4);
}
static void m_libxl_reserved(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0x80000000);
}
static void m_libxl_padding(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0);
    empty(REC_OPTIONAL, 4);
    stream[length - 1] = 1;
}
static void m_optional_long(void)
{
    headers(3, 2);
    rec(REC_OPTIONAL, XC_SR_MAX_OPTIONAL + 1);
}
static void m_optional_wraps(void)
{
    headers(3, 2);
    rec(REC_OPTIONAL, 0xffffffff);
}
static void m_optional_many(void)
{
    headers(3, 2);
    for (int i = 0; i < XC_SR_MAX_RECORDS + 1; i++)
        empty(REC_OPTIONAL, 8);
}
static void m_optional_sum(void)
{
    headers(3, 2);
    for (int i = 0; i < 4; i++)
        empty(REC_OPTIONAL, XC_SR_MAX_OPTIONAL);
}
static void m_xl_magic(void)
{
    xl_image();
    stream[30] ^= 1;
}
static void m_xl_byteorder(void)
{
    xl_image();
    stream[32] = 1;
}
static void m_xl_flags(void)
{
    xl_image();
    stream[36] |= 4;
}
static void m_xl_legacy(void)
{
    xl_image();
    stream[36] = 1;
}
static void m_xl_optdata_huge(void)
{
    begin();
    xl_header(3, 0xffffffff);
}
static void m_xl_optdata_small(void)
{
    begin();
    xl_header(3, 3);
}
static void m_xl_config_long(void)
{
    begin();
    xl_header(3, 20);
    le(17, 4);
}
static void m_libxl_ident(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0);
    stream[48] ^= 1;
}
static void m_libxl_version(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(3, 0);
}
static void m_libxl_big_endian(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 1);
}
static void m_libxl_legacy(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 2);
}
static void m_libxl_early(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0);
    rec(2, 8);
}
static void m_libxl_context_body(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0);
    rec(1, 8);
}
/* What Xenlevel's engine and verify-stream refuse, the gate refuses. */
static void m_v2_other_guest(void)
{
    headers(2, 1);
    pv_info(8, 4);
    empty(REC_HVM_CONTEXT, 8);
    rec(REC_X86_PV_P2M_FRAMES, 16);
}
static void m_v2_retired(void)
{
    headers(2, 2);
    rec(REC_TOOLSTACK, 0);
}
static void m_v2_back_channel(void)
{
    headers(2, 2);
    rec(REC_CHECKPOINT_DIRTY_PFN_LIST, 8);
}
static void m_v2_twice(void)
{
    headers(2, 2);
    empty(REC_X86_TSC_INFO, 24);
    empty(REC_X86_TSC_INFO, 24);
    rec(REC_PAGE_DATA, 8);
}
static void m_v2_verify(void)
{
    headers(2, 2);
    rec(REC_VERIFY, 0);
}
static void m_v2_vcpu(void)
{
    headers(2, 1);
    pv_info(8, 4);
    rec(REC_X86_PV_VCPU_BASIC, 8);
}
static void m_v2_tsc_length(void)
{
    headers(2, 2);
    empty(REC_X86_TSC_INFO, 32);
    rec(REC_PAGE_DATA, 8);
}
static void m_v2_params_length(void)
{
    headers(2, 2);
    empty(REC_HVM_PARAMS, 16);
    rec(REC_PAGE_DATA, 8);
}
static void m_v2_page_length(void)
{
    headers(2, 2);
    rec(REC_PAGE_DATA, 7);
}
static void m_checksum_length(void)
{
    headers(3, 2);
    empty(REC_CHECKSUM, 24);
}
static void m_libxl_early_sum(void)
{
    begin();
    xl_header(3, 0);
    libxl_header(2, 0);
    empty(LIBXL_REC_HEAD_CHECKSUM, 16);
}

#define NONE        XC_SR_NO_RECORD
#define POLICY_SIZE (8 + 72)

static const struct bad bads[] = {
    {"garbage", m_garbage, 0, NONE, NONE, "not a Xen migration stream", XC_SR_LIBXC},
    {"id", m_id, 8, NONE, NONE, "id is 0x58454e47", XC_SR_LIBXC},
    {"version 1", m_version_1, 12, NONE, NONE, "version 1 of the stream", XC_SR_LIBXC},
    {"version 4", m_version_4, 12, NONE, NONE, "version 4 of the stream", XC_SR_LIBXC},
    {"big-endian", m_big_endian, 16, NONE, NONE, "big-endian", XC_SR_LIBXC},
    {"an ARM guest", m_arm, 24, NONE, NONE, "guest type 4", XC_SR_LIBXC},
    {"guest type 0", m_type_0, 24, NONE, NONE, "guest type 0", XC_SR_LIBXC},
    {"page size", m_page_shift, 28, NONE, NONE, "pages of 2^16 bytes", XC_SR_LIBXC},
    {"unknown mandatory record", m_unknown, 40 + POLICY_SIZE, 1, 0x13,
     "a mandatory record that is not known", XC_SR_LIBXC},
    {"memory before STATIC_DATA_END", m_early_memory, 40 + POLICY_SIZE, 1, REC_PAGE_DATA,
     "stands before STATIC_DATA_END", XC_SR_LIBXC},
    {"END before STATIC_DATA_END", m_early_end, 40, 0, REC_END, "stands before STATIC_DATA_END",
     XC_SR_LIBXC},
    {"CPUID policy twice", m_cpuid_twice, 40 + POLICY_SIZE, 1, REC_X86_CPUID_POLICY,
     "a second time", XC_SR_LIBXC},
    {"MSR policy twice", m_msr_twice, 80, 1, REC_X86_MSR_POLICY, "a second time", XC_SR_LIBXC},
    {"MSR policy alone", m_msrs_alone, 80, 1, REC_STATIC_DATA_END,
     "ends with X86_MSR_POLICY and without X86_CPUID_POLICY", XC_SR_LIBXC},
    {"PV info twice", m_pv_info_twice, 56, 1, REC_X86_PV_INFO, "a second time", XC_SR_LIBXC},
    {"CPUID policy empty", m_cpuid_empty, 40, 0, REC_X86_CPUID_POLICY, "length 0", XC_SR_LIBXC},
    {"CPUID policy of an odd length", m_cpuid_odd, 40, 0, REC_X86_CPUID_POLICY,
     "length 25 is not a multiple of 24", XC_SR_LIBXC},
    {"CPUID policy too long", m_cpuid_long, 40, 0, REC_X86_CPUID_POLICY, "no policy has more than",
     XC_SR_LIBXC},
    {"CPUID policy of 4 GiB", m_cpuid_huge, 40, 0, REC_X86_CPUID_POLICY, "no policy has more than",
     XC_SR_LIBXC},
    {"MSR policy of an odd length", m_msr_odd, 40, 0, REC_X86_MSR_POLICY, "length 8", XC_SR_LIBXC},
    {"MSR policy too long", m_msr_long, 40, 0, REC_X86_MSR_POLICY, "no policy has more than 16",
     XC_SR_LIBXC},
    {"PV info of an HVM guest", m_pv_info_hvm, 40, 0, REC_X86_PV_INFO,
     "in the stream of an HVM guest", XC_SR_LIBXC},
    {"PV info too short", m_pv_info_short, 40, 0, REC_X86_PV_INFO, "length 4, must be 8",
     XC_SR_LIBXC},
    {"PV info: width", m_pv_info_width, 48, 0, REC_X86_PV_INFO, "words of 8 bytes with 3",
     XC_SR_LIBXC},
    {"PV without PV info", m_pv_info_none, 40 + POLICY_SIZE, 1, REC_STATIC_DATA_END,
     "without X86_PV_INFO", XC_SR_LIBXC},
    {"PV without PV info, version 2", m_pv_info_none_v2, 40, 0, REC_X86_PV_P2M_FRAMES,
     "without X86_PV_INFO", XC_SR_LIBXC},
    {"STATIC_DATA_END with a body", m_end_body, 40 + POLICY_SIZE, 1, REC_STATIC_DATA_END,
     "body of 8 bytes", XC_SR_LIBXC},
    {"CPUID policy in version 2", m_v2_policy, 40, 0, REC_X86_CPUID_POLICY,
     "a version 2 stream has no such record", XC_SR_LIBXC},
    {"MSR policy in version 2", m_v2_msrs, 40, 0, REC_X86_MSR_POLICY,
     "a version 2 stream has no such record", XC_SR_LIBXC},
    {"STATIC_DATA_END in version 2", m_v2_end, 40, 0, REC_STATIC_DATA_END,
     "a version 2 stream has no such record", XC_SR_LIBXC},
    {"unknown mandatory record in version 2", m_v2_unknown, 40, 0, 0x7fffffff,
     "a mandatory record that is not known", XC_SR_LIBXC},
    {"CPUID policy behind another record of version 2", m_v2_smuggled, 72, 1, REC_X86_CPUID_POLICY,
     "a version 2 stream has no such record", XC_SR_LIBXC},
    {"MSR policy of a PV guest, the same", m_v2_smuggled_pv, 56 + 4104, 2, REC_X86_MSR_POLICY,
     "a version 2 stream has no such record", XC_SR_LIBXC},
    {"version 2 without memory", m_v2_no_memory, 72, 1, REC_END, "stands before any memory",
     XC_SR_LIBXC},
    {"version 2, too long", m_v2_long, 40 + 40008, 1, REC_HVM_CONTEXT, "the head is longer than",
     XC_SR_LIBXC},
    {"version 2, 4 GiB", m_v2_wraps, 40, 0, REC_HVM_CONTEXT, "the head is longer than",
     XC_SR_LIBXC},
    {"reserved option", m_options, 16, NONE, NONE, "options 0x8000", XC_SR_LIBXC},
    {"image header's reserved bytes", m_image_reserved, 18, NONE, NONE, "reserved bytes",
     XC_SR_LIBXC},
    {"the last of them", m_image_reserved_last, 18, NONE, NONE, "reserved bytes", XC_SR_LIBXC},
    {"domain header's reserved field", m_domain_reserved, 30, NONE, NONE, "reserved field",
     XC_SR_LIBXC},
    {"PV info's reserved bytes", m_pv_info_reserved, 50, 0, REC_X86_PV_INFO, "reserved bytes",
     XC_SR_LIBXC},
    {"padding", m_padding, 48 + 15, 0, REC_OPTIONAL, "padding is not zero", XC_SR_LIBXC},
    {"padding in version 2", m_padding_v2, 48 + 1, 0, REC_HVM_CONTEXT, "padding is not zero",
     XC_SR_LIBXC},
    {"head too long by its policy", m_long_policy, XC_SR_HEAD_MAX - 8, 4, REC_X86_CPUID_POLICY,
     "the head is longer than 262144 bytes", XC_SR_LIBXC},
    {"head too long by its PV info", m_long_pv_info, XC_SR_HEAD_MAX - 8, 4, REC_X86_PV_INFO,
     "the head is longer than 262144 bytes", XC_SR_LIBXC},
    {"libxl: reserved option", m_libxl_reserved, 60, NONE, NONE, "options 0x80000000", XC_SR_XL},
    {"libxl: padding", m_libxl_padding, 64 + 8 + 7, 0, REC_OPTIONAL, "padding is not zero",
     XC_SR_XL},
    {"optional record too long", m_optional_long, 40, 0, REC_OPTIONAL, "at most 65536 are taken",
     XC_SR_LIBXC},
    {"optional record whose padding wraps", m_optional_wraps, 40, 0, REC_OPTIONAL,
     "of 4294967295 bytes", XC_SR_LIBXC},
    {"too many records", m_optional_many, 40 + XC_SR_MAX_RECORDS * 16, XC_SR_MAX_RECORDS,
     REC_OPTIONAL, "more than 32 records", XC_SR_LIBXC},
    {"head too long", m_optional_sum, 40 + 3 * (8 + XC_SR_MAX_OPTIONAL), 3, REC_OPTIONAL,
     "the head is longer than", XC_SR_LIBXC},
    {"xl: magic", m_xl_magic, 0, NONE, NONE, "not an image made by", XC_SR_XL},
    {"xl: byte order", m_xl_byteorder, 32, NONE, NONE, "byte order is", XC_SR_XL},
    {"xl: flags", m_xl_flags, 36, NONE, NONE, "unknown mandatory flags 0x4", XC_SR_XL},
    {"xl: legacy", m_xl_legacy, 36, NONE, NONE, "a legacy stream", XC_SR_XL},
    {"xl: optional data of 4 GiB", m_xl_optdata_huge, 44, NONE, NONE, "optional data of", XC_SR_XL},
    {"xl: optional data of 3 bytes", m_xl_optdata_small, 44, NONE, NONE, "cannot hold a length",
     XC_SR_XL},
    {"xl: configuration longer than its data", m_xl_config_long, 48, NONE, NONE,
     "configuration of 17 bytes in optional data of 16", XC_SR_XL},
    {"libxl: ident", m_libxl_ident, 48, NONE, NONE, "LibxlFmt", XC_SR_XL},
    {"libxl: version", m_libxl_version, 56, NONE, NONE, "version 3 of libxl's", XC_SR_XL},
    {"libxl: big-endian", m_libxl_big_endian, 60, NONE, NONE, "big-endian", XC_SR_XL},
    {"libxl: legacy", m_libxl_legacy, 60, NONE, NONE, "converted from a legacy", XC_SR_XL},
    {"libxl: record before LIBXC_CONTEXT", m_libxl_early, 64, 0, 2, "EMULATOR_XENSTORE_DATA",
     XC_SR_XL},
    {"version 2: of another guest", m_v2_other_guest, 56, 1, REC_HVM_CONTEXT,
     "in the stream of a PV guest", XC_SR_LIBXC},
    {"version 2: retired", m_v2_retired, 40, 0, REC_TOOLSTACK, "no stream from a sender",
     XC_SR_LIBXC},
    {"version 2: of the back-channel", m_v2_back_channel, 40, 0, REC_CHECKPOINT_DIRTY_PFN_LIST,
     "no stream from a sender", XC_SR_LIBXC},
    {"version 2: twice", m_v2_twice, 72, 1, REC_X86_TSC_INFO, "a second time", XC_SR_LIBXC},
    {"version 2: VERIFY without memory", m_v2_verify, 40, 0, REC_VERIFY,
     "without PAGE_DATA before it", XC_SR_LIBXC},
    {"version 2: a vCPU without the list", m_v2_vcpu, 56, 1, REC_X86_PV_VCPU_BASIC,
     "without X86_PV_P2M_FRAMES before it", XC_SR_LIBXC},
    {"version 2: length of TSC_INFO", m_v2_tsc_length, 40, 0, REC_X86_TSC_INFO,
     "length 32, must be 24", XC_SR_LIBXC},
    {"version 2: length of HVM_PARAMS", m_v2_params_length, 40, 0, REC_HVM_PARAMS,
     "length 16 is not 8 and a multiple of 16", XC_SR_LIBXC},
    {"version 2: length of PAGE_DATA", m_v2_page_length, 40, 0, REC_PAGE_DATA,
     "length 7, must be at least 8", XC_SR_LIBXC},
    {"length of CHECKSUM", m_checksum_length, 40, 0, REC_CHECKSUM, "length 24, must be 32",
     XC_SR_LIBXC},
    {"libxl: HEAD_CHECKSUM before LIBXC_CONTEXT", m_libxl_early_sum, 64, 0, LIBXL_REC_HEAD_CHECKSUM,
     "stands before LIBXC_CONTEXT", XC_SR_XL},
    {"libxl: LIBXC_CONTEXT with a body", m_libxl_context_body, 64, 0, 1, "body of 8 bytes",
     XC_SR_XL},
};

static void test_bad_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        const struct bad *b = &bads[i];

        for (size_t piece = 1; piece <= sizeof(stream); piece *= 1024) {
            char where[64];
            const struct xc_sr_fault *f = &parser.fault;

            b->make();
            if (!run(b->layer, length, piece))
                fail_msg("%s: was taken", b->name);
            if (f->truncated || f->offset != b->offset || f->record != b->record ||
                f->type != b->type || !strstr(f->text, b->words))
                fail_msg("%s: offset %llu, record %u, type %x: %s", b->name,
                         (unsigned long long)f->offset, f->record, f->type, f->text);
            (void)snprintf(where, sizeof(where), "offset %llu", (unsigned long long)b->offset);
            assert_int_equal(strncmp(f->text, where, strlen(where)), 0);
        }
    }
}

/* Cut at every byte: always said to be cut, always at the place where it was. */
static void cut_everywhere(enum xc_sr_layer layer)
{
    size_t end = length;

    for (size_t size = 0; size < end; size++) {
        assert_int_equal(run(layer, size, 5), -1);
        assert_true(parser.fault.truncated);
        assert_int_equal(parser.fault.offset, size);
    }
    assert_int_equal(run(layer, end, 5), 0);
}

static void test_truncated(void **state)
{
    (void)state;
    good_hvm();
    cut_everywhere(XC_SR_LIBXC);
    good_pv();
    cut_everywhere(XC_SR_LIBXC);
    headers(2, 2);
    rec(REC_PAGE_DATA, 8);
    cut_everywhere(XC_SR_LIBXC);
    xl_image();
    cut_everywhere(XC_SR_XL);
}

/* Every byte of a good stream changed in every bit: taken or refused, never more than the head. */
static void test_every_bit(void **state)
{
    (void)state;
    good_pv();
    for (size_t i = 0, end = length; i < end; i++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            good_pv();
            stream[i] ^= (uint8_t)(1u << bit);
            if (run(XC_SR_LIBXC, end, 1 + i % 9) == 0)
                assert_true(head.length <= end);
            else
                assert_true(strlen(parser.fault.text) > 10);
        }
    }
}

/* ---- the policy inside ---- */

static void fault_of_leaves(uint32_t l0, uint32_t s0, uint32_t l1, uint32_t s1,
                            enum policy_fault_kind kind, uint32_t index)
{
    static struct cpu_policy policy;
    struct policy_fault faults[4];
    struct policy_report r = {faults, 4, 0};

    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 2 * 24);
    leaf(l0, s0, 0);
    leaf(l1, s1, 0);
    rec(REC_STATIC_DATA_END, 0);
    assert_int_equal(run(XC_SR_LIBXC, length, 3), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, &r), -1);
    assert_true(r.count >= 1);
    assert_int_equal(faults[0].kind, kind);
    assert_int_equal(faults[0].index, index);
}

static void test_policy_entries(void **state)
{
    (void)state;
    fault_of_leaves(1, POLICY_NONE, 0, POLICY_NONE, FAULT_UNSORTED, 1);
    fault_of_leaves(1, POLICY_NONE, 1, POLICY_NONE, FAULT_DUPLICATE, 1);
    fault_of_leaves(0, POLICY_NONE, 0x12345, POLICY_NONE, FAULT_LEAF_RANGE, 1);
    fault_of_leaves(0, POLICY_NONE, 7, POLICY_NONE, FAULT_SUBLEAF_EXPECTED, 1);
    fault_of_leaves(0, 0, 1, POLICY_NONE, FAULT_SUBLEAF_UNEXPECTED, 0);
}

/* What a stream does not name is not zero there: it is what the domain was born with. */
static void incomplete(uint32_t leaf_number, uint32_t msr)
{
    static struct cpu_policy policy;
    struct policy_fault faults[4];
    struct policy_report r = {faults, 4, 0};

    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, &r), -1);
    assert_int_equal(r.count, msr == POLICY_NONE ? 1 : 2);
    assert_int_equal(faults[0].kind, FAULT_NOT_NAMED);
    assert_int_equal(faults[0].leaf, leaf_number);
    assert_int_equal(faults[0].msr, msr);
}

static void test_incomplete(void **state)
{
    (void)state;
    headers(3, 2);
    cpuid_policy();
    rec(REC_STATIC_DATA_END, 0);
    incomplete(POLICY_NONE, 0xce);

    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 3 * 24);
    leaf(0, POLICY_NONE, 2);
    leaf(1, POLICY_NONE, 0x306c3);
    leaf(0x80000000, POLICY_NONE, 0x80000000);
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
    incomplete(2, POLICY_NONE);

    headers(3, 2);
    rec(REC_X86_CPUID_POLICY, 24);
    leaf(0, POLICY_NONE, 0);
    msr_policy();
    rec(REC_STATIC_DATA_END, 0);
    incomplete(0x80000000, POLICY_NONE);
}

static void test_policy(void **state)
{
    static struct cpu_policy policy;

    (void)state;
    good_hvm();
    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, NULL), 0);
    assert_int_equal(policy.basic[1].a, 0x306c3);
    assert_int_equal(policy.platform_info, 0x80000000);
    assert_int_equal(policy.arch_caps, 0x1000);

    headers(2, 2);
    rec(REC_PAGE_DATA, 8);
    assert_int_equal(run(XC_SR_LIBXC, length, 1000), 0);
    assert_int_equal(xc_sr_head_policy(&head, &policy, NULL), -1);
}

/* ---- the file descriptor ---- */

static void test_read(void **state)
{
    static uint8_t raw[XC_SR_HEAD_MAX];
    struct xc_sr_fault fault;
    char rest[8] = "";
    int fds[2];

    (void)state;
    good_pv();
    memcpy(stream + length, "behind", 6);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], stream, length + 6), length + 6);
    close(fds[1]);
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), 0);
    assert_int_equal(head.length, length);
    assert_memory_equal(raw, stream, length);
    assert_int_equal(read(fds[0], rest, sizeof(rest)), 6);
    assert_string_equal(rest, "behind");
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_true(fault.truncated);
    close(fds[0]);
    assert_int_equal(xc_sr_head_read(fds[0], XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_non_null(strstr(fault.text, "reading failed"));
}

/* As long as a head can be, and one record more: what is kept of it is what it is said to be. */
static void test_read_longest(void **state)
{
    static uint8_t raw[XC_SR_HEAD_MAX];
    struct xc_sr_fault fault;
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    headers(3, 2);
    cpuid_policy();
    for (int i = 0; i < 3; i++)
        empty(REC_OPTIONAL, XC_SR_MAX_OPTIONAL);
    empty(REC_OPTIONAL, (uint32_t)(XC_SR_HEAD_MAX - length - 16));
    rec(REC_STATIC_DATA_END, 0);
    assert_int_equal(length, XC_SR_HEAD_MAX);
    takes(XC_SR_LIBXC);
    assert_int_equal(fwrite(stream, 1, length, f), length);
    rewind(f);
    assert_int_equal(xc_sr_head_read(fileno(f), XC_SR_LIBXC, &head, &raw, &fault), 0);
    assert_int_equal(head.length, sizeof(raw));
    assert_memory_equal(raw, stream, length);

    m_long_policy();
    rewind(f);
    assert_int_equal(fwrite(stream, 1, length, f), length);
    rewind(f);
    assert_int_equal(xc_sr_head_read(fileno(f), XC_SR_LIBXC, &head, &raw, &fault), -1);
    assert_non_null(strstr(fault.text, "the head is longer than 262144 bytes"));
    (void)fclose(f);
}

static void test_names(void **state)
{
    (void)state;
    for (uint32_t t = 0; t <= REC_X86_MSR_POLICY; t++)
        assert_true(strlen(xc_sr_record_name(t)) > 2);
    assert_string_equal(xc_sr_record_name(0x11), "X86_CPUID_POLICY");
    assert_string_equal(xc_sr_record_name(0x13), "unknown");
    assert_string_equal(xc_sr_record_name(REC_OPTIONAL), "optional");
    assert_string_equal(xc_sr_libxl_record_name(1), "LIBXC_CONTEXT");
    assert_string_equal(xc_sr_libxl_record_name(77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hvm),
        cmocka_unit_test(test_pv),
        cmocka_unit_test(test_no_msrs),
        cmocka_unit_test(test_version_2),
        cmocka_unit_test(test_optional_records),
        cmocka_unit_test(test_xl_image),
        cmocka_unit_test(test_xl_image_variants),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_policy_entries),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_longest),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
